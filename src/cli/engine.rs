//! Opens the engine that the arguments ask for.

use super::{Common, EngineKind};
use crate::engine::docker::Docker;
use crate::engine::sim::Sim;
use crate::engine::{Contents, Engine, EngineError, InMemory, Notes};
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
    let kept = store::Notes::of(state_dir, "contents");
    let owing = store::Notes::of(state_dir, "hooks");
    let (unwritten, unwritten_owing) = (InMemory::default(), InMemory::default());
    Arc::new(OnDisk { kept, owing, unwritten, unwritten_owing })
}

struct OnDisk {
    kept: store::Notes,
    /// A text for each container whose hooks are still to be run.
    owing: store::Notes,
    /// What could not be written; it holds until this process ends.
    unwritten: InMemory,
    unwritten_owing: InMemory,
}

impl Notes for OnDisk {
    fn contents(&self, container: &ContainerId) -> Option<Contents> {
        let kept = || serde_json::from_str(&self.kept.read(&container.0)?).ok();
        self.unwritten.contents(container).or_else(kept)
    }

    fn note(&self, container: &ContainerId, contents: &Contents) {
        let text = serde_json::to_string(contents).expect("a map of texts is always JSON");
        match self.kept.write(&container.0, &text) {
            Ok(()) => self.unwritten.forget(container),
            Err(error) => {
                let id = &container.0;
                tracing::warn!(
                    "cannot note the contents of container {id}, so a restart forgets them: {error}"
                );
                self.unwritten.note(container, contents);
            }
        }
    }

    fn owes_hooks(&self, container: &ContainerId) -> bool {
        self.unwritten_owing.owes_hooks(container) || self.owing.read(&container.0).is_some()
    }

    fn owe_hooks(&self, container: &ContainerId) {
        if let Err(error) = self.owing.write(&container.0, "post_start") {
            let id = &container.0;
            tracing::warn!(
                "cannot note that hooks of container {id} are to be run, so a crash forgets them: {error}"
            );
            self.unwritten_owing.owe_hooks(container);
        }
    }

    fn hooks_done(&self, container: &ContainerId) {
        self.unwritten_owing.hooks_done(container);
        self.owing.forget(&container.0);
    }

    fn forget(&self, container: &ContainerId) {
        self.unwritten.forget(container);
        self.unwritten_owing.forget(container);
        self.kept.forget(&container.0);
        self.owing.forget(&container.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::DigestKey;
    use std::fs;

    #[test]
    fn what_cannot_be_written_is_known_until_the_process_ends() {
        let dir = tempfile::tempdir().unwrap();
        let (state, id) = (dir.path().join("state"), ContainerId("c0ffee".to_owned()));
        let contents = |text: &[u8]| -> Contents {
            [("/etc/app".to_owned(), DigestKey::new([7; 32]).digest(text))].into()
        };
        let here = notes(&state);
        here.note(&id, &contents(b"one"));
        fs::remove_dir_all(&state).unwrap();
        fs::write(&state, "no directory").unwrap();
        here.note(&id, &contents(b"two"));
        assert_eq!(here.contents(&id), Some(contents(b"two")));
        assert_eq!(notes(&state).contents(&id), None);
        fs::remove_file(&state).unwrap();
        here.note(&id, &contents(b"three"));
        assert_eq!(here.contents(&id), Some(contents(b"three")));
        assert_eq!(notes(&state).contents(&id), Some(contents(b"three")));
        here.forget(&id);
        assert_eq!(here.contents(&id), None);
    }

    #[test]
    fn hooks_are_owed_until_they_are_done_whoever_asks() {
        let dir = tempfile::tempdir().unwrap();
        let (state, id) = (dir.path().join("state"), ContainerId("c0ffee".to_owned()));
        let here = notes(&state);
        assert!(!here.owes_hooks(&id));
        here.owe_hooks(&id);
        assert!(notes(&state).owes_hooks(&id));
        here.hooks_done(&id);
        assert!(!notes(&state).owes_hooks(&id));
        here.owe_hooks(&id);
        here.forget(&id);
        assert!(!notes(&state).owes_hooks(&id));
        fs::remove_dir_all(&state).unwrap();
        fs::write(&state, "no directory").unwrap();
        here.owe_hooks(&id);
        assert!(here.owes_hooks(&id) && !notes(&state).owes_hooks(&id));
    }
}
