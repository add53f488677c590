//! Opens the engine that the arguments ask for.

use super::{Common, EngineKind};
use crate::engine::docker::Docker;
use crate::engine::sim::Sim;
use crate::engine::{Contents, Engine, EngineError, Notes};
use crate::model::ContainerId;
use crate::store;
use std::path::Path;
use std::sync::Arc;

/// The engine, without having asked it anything yet.
pub(super) fn open(common: &Common) -> Result<Arc<dyn Engine>, EngineError> {
    Ok(match common.engine {
        EngineKind::Docker => {
            let docker = Docker::connect(common.host.as_deref())?;
            Arc::new(docker.with_notes(notes(&common.state_dir())))
        }
        EngineKind::Sim => Arc::new(Sim::new()),
    })
}

/// What is noted of containers, in a state directory.
pub(super) fn notes(state_dir: &Path) -> Arc<dyn Notes> {
    Arc::new(OnDisk(store::Notes::of(state_dir, "contents")))
}

struct OnDisk(store::Notes);

impl Notes for OnDisk {
    fn contents(&self, container: &ContainerId) -> Option<Contents> {
        serde_json::from_str(&self.0.read(&container.0)?).ok()
    }

    fn note(&self, container: &ContainerId, contents: &Contents) {
        let text = serde_json::to_string(contents).expect("a map of texts is always JSON");
        if let Err(error) = self.0.write(&container.0, &text) {
            let id = &container.0;
            tracing::warn!("cannot note the contents of container {id}: {error}");
        }
    }

    fn forget(&self, container: &ContainerId) {
        self.0.forget(&container.0);
    }
}
