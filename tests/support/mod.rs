//! What the tests on a real engine share.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod agent;
pub mod docker;
pub mod images;
pub mod packed;
pub mod program;
pub mod proxy;
pub mod repository;
pub mod sim;
pub mod stacks;
pub mod wait;

use bowline::engine::docker::Docker;

/// The engine to test on, if the caller of the tests asked for it; then its absence is a failure.
pub fn engine() -> Option<Docker> {
    if std::env::var("BOWLINE_TEST_ENGINE").as_deref() == Ok("docker") {
        return Some(Docker::connect(None).expect("the address of the test engine is valid"));
    }
    println!("engine tests did not run: set BOWLINE_TEST_ENGINE=docker");
    None
}
