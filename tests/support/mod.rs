//! What the tests on a real engine share.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod agent;
pub mod api;
pub mod docker;
pub mod images;
pub mod load;
pub mod own_engine;
pub mod packed;
pub mod passes;
pub mod program;
pub mod prometheus;
pub mod proxy;
pub mod recorder;
pub mod registry;
pub mod repository;
pub mod sim;
pub mod site;
pub mod stacks;
pub mod wait;
pub mod watched;

use bowline::engine::docker::Docker;

/// The engine to test on, if the caller of the tests asked for it; then its absence is a failure.
pub fn engine() -> Option<Docker> {
    if std::env::var("BOWLINE_TEST_ENGINE").as_deref() == Ok("docker") {
        return Some(Docker::connect(None).expect("the address of the test engine is valid"));
    }
    did_not_run("engine tests did not run: set BOWLINE_TEST_ENGINE=docker");
    None
}

/// Says once a program, past the harness that swallows what passing tests print, that some of its
/// tests did not run.
pub fn did_not_run(line: &str) {
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        let line = format!("{line}\n");
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
    });
}
