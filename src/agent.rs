//! The agent's loop, from its independent parts: wake-ups, which carry no data, and the queue that
//! they fill. It decides nothing about containers.

pub mod backoff;
pub mod chance;
pub mod queue;
pub mod schedule;
