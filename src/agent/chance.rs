//! Chance, drawn from the system. It only spreads waits and never decides anything.

/// A fresh number from 0 up to and without 1. The middle, should the system have none to give.
pub(crate) fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |drawn| f64::from(drawn) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_stays_within_its_bounds_and_varies() {
        let drawn: Vec<f64> = (0..100).map(|_| chance()).collect();
        assert!(drawn.iter().all(|drawn| (0.0..1.0).contains(drawn)));
        assert!(drawn.iter().any(|other| (other - drawn[0]).abs() > f64::EPSILON));
    }
}
