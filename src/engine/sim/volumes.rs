//! Volumes: made once, kept while a container refers to them.

use super::state::{SimContainer, World, refused};
use crate::engine::EngineError;
use crate::model::{MountSource, VolumeSpec};
use std::collections::BTreeMap;

impl World {
    /// Makes a volume; one of that name is left as it is.
    pub(super) fn create_volume(&mut self, spec: &VolumeSpec, labels: &BTreeMap<String, String>) {
        if self.volumes.get(&spec.name).is_some() {
            return;
        }
        let driver = spec.driver.clone().unwrap_or_else(|| "local".to_owned());
        let made = VolumeSpec {
            external: false,
            driver: Some(driver),
            labels: labels.clone(),
            ..spec.clone()
        };
        self.volumes.insert(spec.name.clone(), made);
        self.tell("create", labels);
    }

    /// Removes a volume that no container refers to.
    pub(super) fn remove_volume(&mut self, name: &str) -> Result<(), EngineError> {
        let users: Vec<_> = self
            .containers
            .values()
            .filter(|user| uses(user, name))
            .map(|c| c.id.as_str())
            .collect();
        if !users.is_empty() && self.volumes.get(name).is_some() {
            let message = format!("remove {name}: volume is in use - [{}]", users.join(", "));
            return Err(refused("remove", format!("volume {name}"), 409, message));
        }
        if let Some(volume) = self.volumes.remove(name) {
            self.tell("destroy", &volume.labels);
        }
        Ok(())
    }
}

fn uses(container: &SimContainer, name: &str) -> bool {
    container.anonymous_volumes.values().any(|volume| volume == name)
        || container.spec.mounts.values().any(
            |mount| matches!(&mount.source, MountSource::Volume { name: used, .. } if used == name),
        )
}
