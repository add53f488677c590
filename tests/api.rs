//! The API over a real listener and at the real socket, answered by an agent in this process that follows a
//! real git repository on the simulated engine.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

#[path = "api/conformance.rs"]
mod conformance;
#[path = "api/desk.rs"]
mod desk;
#[path = "api/doors.rs"]
mod doors;
mod support;
#[path = "api/suspending.rs"]
mod suspending;
