//! Bowline.
pub mod engine;
pub mod http;
pub mod log;
pub mod metrics;
pub mod model;
pub mod plan;
pub mod status;
pub mod systemd;
