//! What was probably meant by a name that is not known.

/// ` (did you mean NAME?)` with the known names nearest to `written`; empty if none is near.
pub fn near_misses<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> String {
    let bound = |name: &str| 1 + name.chars().count().max(written.chars().count()) / 4;
    let mut near: Vec<(usize, &str)> = known
        .map(|name| (strsim::damerau_levenshtein(written, name), name))
        .filter(|(distance, name)| *distance <= bound(name) || begins(name, written))
        .collect();
    near.sort_unstable();
    let names: Vec<&str> = near.into_iter().map(|(_, name)| name).take(3).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" (did you mean {}?)", names.join(" or "))
    }
}

fn begins(name: &str, written: &str) -> bool {
    written.len() > 2 && name.starts_with(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first_and_others_not_at_all() {
        let near =
            |written| near_misses(written, ["shop", "shop-eu", "web", "billing"].into_iter());
        assert_eq!(near("shpo"), " (did you mean shop?)");
        assert_eq!(near("sho"), " (did you mean shop or shop-eu?)");
        assert_eq!(near("biling"), " (did you mean billing?)");
        assert_eq!(near("queue"), "");
    }
}
