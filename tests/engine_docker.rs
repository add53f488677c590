//! The real engine, on a real engine. Runs with `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used, unreachable_pub)]

mod support;

/// A corner of the engine with this prefix; the test ends where there is no engine.
macro_rules! corner {
    ($prefix:literal) => {
        match crate::support::engine() {
            Some(engine) => Corner::new(engine, $prefix),
            None => return,
        }
    };
}

#[path = "engine_docker/owners.rs"]
mod owners;
#[path = "engine_docker/read_back.rs"]
mod read_back;
#[path = "engine_docker/signs.rs"]
mod signs;
#[path = "engine_docker/specs.rs"]
mod specs;
#[path = "engine_docker/steps.rs"]
mod steps;
