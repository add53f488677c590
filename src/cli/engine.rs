//! Opens the engine that the arguments ask for.

use super::{Common, EngineKind};
use crate::engine::docker::Docker;
use crate::engine::sim::Sim;
use crate::engine::{Engine, EngineError};
use std::sync::Arc;

/// The engine, without having asked it anything yet.
pub(super) fn open(common: &Common) -> Result<Arc<dyn Engine>, EngineError> {
    Ok(match common.engine {
        EngineKind::Docker => Arc::new(Docker::connect(common.host.as_deref())?),
        EngineKind::Sim => Arc::new(Sim::new()),
    })
}
