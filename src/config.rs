//! The agent's configuration.
