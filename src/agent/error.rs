//! Why an agent cannot begin.

use crate::control::ControlError;
use crate::model::{SourceName, StackName};
use crate::store::{Mishap, StoreError};
use std::path::PathBuf;

/// The agent cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Commands could not speak with it.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// What is known of stacks cannot be read.
    #[error("{0}")]
    Inventory(Mishap),
    /// Nothing is known of the stack that it is for.
    #[error("the inventory in {} knows no stack {stack}", state_dir.display())]
    Unknown {
        /// The stack.
        stack: StackName,
        /// Where the inventory is.
        state_dir: PathBuf,
    },
    /// The stack that it is for is of a source that the configuration does not have.
    #[error(
        "the stack {stack} came from source {source_name}, which the configuration does not have"
    )]
    NoSource {
        /// The stack.
        stack: StackName,
        /// The source.
        source_name: SourceName,
    },
    /// Nothing of the source can be read.
    #[error("nothing of source {source_name} can be read: {trouble}")]
    Unread {
        /// The source.
        source_name: SourceName,
        /// Why.
        trouble: String,
    },
}
