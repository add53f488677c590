//! Bowline.
pub mod engine;
pub mod model;
pub mod plan;
pub mod status;
