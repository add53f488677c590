//! Bowline.
pub mod agent;
pub mod config;
pub mod engine;
pub mod model;
pub mod plan;
pub mod status;
