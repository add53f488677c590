//! Images, the registry, and what the processes of an image do.

use super::state::{World, refused};
use crate::engine::EngineError;
use crate::model::{Image, ImageConfig, ImageRef, Platform};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a container's process does, counted from each of its starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// It ends by itself after so long, with this code.
    pub exits: Option<(Duration, i64)>,
    /// Its health check passes from then on; absent: never.
    pub healthy_after: Option<Duration>,
    /// Its health check fails again from then on.
    pub unhealthy_after: Option<Duration>,
    /// What the engine says instead of starting it.
    pub fails_to_start: Option<String>,
    /// Its exit code when asked to stop; absent: it takes no notice and must be killed.
    pub stops_with: Option<i64>,
    /// What a failing health check prints.
    pub health_output: Option<String>,
    /// What it writes.
    pub output: Vec<String>,
    /// What commands do that the image is not for. One that is not here ends well at once where it is
    /// run in a container, and as a container's own does what the image is for.
    pub commands: BTreeMap<Vec<String>, Deed>,
}

/// What a command does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deed {
    /// How long it takes.
    pub takes: Duration,
    /// Its exit code.
    pub code: i64,
    /// What it writes.
    pub output: Vec<String>,
}

impl Default for Behaviour {
    /// Runs for ever, is well, and ends with 143 when asked.
    fn default() -> Self {
        Self {
            exits: None,
            healthy_after: Some(Duration::ZERO),
            unhealthy_after: None,
            fails_to_start: None,
            stops_with: Some(143),
            health_output: None,
            output: Vec::new(),
            commands: BTreeMap::new(),
        }
    }
}

/// An image with what its processes do.
#[derive(Debug, Clone)]
pub(super) struct SimImage {
    pub image: Image,
    pub behaviour: Behaviour,
}

impl World {
    /// An image that nobody has yet.
    pub(super) fn new_image(&mut self, config: ImageConfig, behaviour: Behaviour) -> SimImage {
        let id = format!("sha256:{}", self.next_id());
        let platform = Platform {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            ..Platform::default()
        };
        SimImage { image: Image { id, platform, config, ..Image::default() }, behaviour }
    }

    /// Gives `image` the name `reference` on the engine.
    pub(super) fn tag(&mut self, reference: &str, image: SimImage) {
        self.tags.insert(full(reference), image.image.id.clone());
        self.images.insert(image.image.id.clone(), image);
    }

    /// The image that `reference`, a name or an id, stands for.
    pub(super) fn image(&self, reference: &str) -> Option<&SimImage> {
        let by_tag = self.tags.get(&full(reference)).and_then(|id| self.images.get(id));
        by_tag.or_else(|| self.images.get(reference))
    }

    /// Fetches from the registry.
    pub(super) fn pull(
        &mut self,
        reference: &ImageRef,
        platform: Option<&Platform>,
    ) -> Result<(), EngineError> {
        if self.faults.registry_away {
            return Err(EngineError::PullFailed {
                image: reference.to_string(),
                message: "dial tcp: connect: connection refused".to_owned(),
                transient: true,
            });
        }
        let offered = self.registry.get(&full(reference.as_str())).filter(|image| {
            platform.is_none_or(|platform| platform.accepts(&image.image.platform))
        });
        let Some(image) = offered.cloned() else {
            return Err(EngineError::PullFailed {
                image: reference.to_string(),
                message: format!("manifest for {reference} not found: manifest unknown"),
                transient: false,
            });
        };
        self.tag(reference.as_str(), image);
        Ok(())
    }
}

impl World {
    /// The tags of the image `id`.
    pub(super) fn tags_of(&self, id: &str) -> BTreeSet<String> {
        let tags = self.tags.iter().filter(|(_, tagged)| *tagged == id);
        tags.map(|(tag, _)| tag.clone()).collect()
    }

    /// Removes an image with its tags, as an engine does that is not forced.
    pub(super) fn remove_image(&mut self, name: &str, id: &str) -> Result<(), EngineError> {
        let refusal = |why: &str| refused("remove", format!("image {name}"), 409, why);
        if self.containers.values().any(|container| container.image_id == id) {
            return Err(refusal("conflict: unable to delete: image is being used by a container"));
        }
        let tags = self.tags_of(id);
        let repositories: BTreeSet<&str> =
            tags.iter().map(|tag| tag.rsplit_once(':').map_or(tag.as_str(), |(r, _)| r)).collect();
        if repositories.len() > 1 {
            return Err(refusal("conflict: image is referenced in multiple repositories"));
        }
        self.tags.retain(|_, tagged| tagged != id);
        self.images.remove(id);
        Ok(())
    }
}

/// A reference with its tag.
pub(super) fn full(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    if name.contains([':', '@']) { reference.to_owned() } else { format!("{reference}:latest") }
}
