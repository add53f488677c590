//! The simulated engine as a place for scenarios.

use bowline::engine::sim::Sim;

/// An engine that answers as the one that the tests use does.
pub fn engine() -> Sim {
    Sim::with_api(41)
}
