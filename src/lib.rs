//! Bowline.
pub mod engine;
pub mod execute;
pub mod model;
pub mod pass;
pub mod plan;
pub mod status;
pub mod store;
