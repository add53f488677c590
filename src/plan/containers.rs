//! The containers found in one slot, and which of them stays.

use super::effective::{comparable, effective};
use super::fields::{Difference, differences};
use super::{Action, Draft, Object};
use crate::model::{
    Container, ContainerSpec, Image, ImageConfig, Networking, Service, Slot, State,
};

/// What stands for a container that was shared with and is no more; no container is called so.
const GONE: &str = "(gone)";

/// A container found in a slot, compared with what belongs there.
pub(super) struct Candidate<'a> {
    pub(super) container: &'a Container,
    /// The fields that differ.
    pub(super) differences: Vec<Difference>,
}

/// What was found in one slot.
pub(super) struct Found<'a> {
    /// The container that stays, if one can.
    pub(super) kept: Option<Candidate<'a>>,
    /// The others; they go.
    pub(super) old: Vec<Candidate<'a>>,
}

impl Candidate<'_> {
    fn can_stay(&self) -> bool {
        self.container.state != State::Dead
            && self.differences.iter().all(|difference| difference.action != Action::Replace)
    }
}

impl<'a> Draft<'a> {
    /// The container that the engine would make for a service, as far as its image is known.
    pub(super) fn effective(&self, service: &Service) -> ContainerSpec {
        let unknown = ImageConfig::default();
        let image = self.image_of(service).map_or(&unknown, |image| &image.config);
        effective(&service.container, image, &self.observed.engine)
    }

    fn image_of(&self, service: &Service) -> Option<&'a Image> {
        self.observed.images.get(&service.container.image)
    }

    /// Compares what is in a slot with what belongs there.
    pub(super) fn found(
        &self,
        slot: &Slot,
        service: &Service,
        effective: &ContainerSpec,
        final_name: &str,
    ) -> Found<'a> {
        let mut candidates: Vec<Candidate<'a>> = self
            .observed
            .containers
            .iter()
            .filter(|container| container.slot == *slot && container.state != State::Removing)
            .map(|container| Candidate {
                container,
                differences: self.compare(container, service, effective),
            })
            .collect();
        candidates.sort_by_key(|candidate| {
            let container = candidate.container;
            let runs = matches!(container.state, State::Running | State::Restarting);
            (!candidate.can_stay(), !runs, container.name != final_name, &container.id)
        });
        let stays = candidates.first().is_some_and(Candidate::can_stay);
        let old = candidates.split_off(usize::from(stays));
        Found { kept: candidates.pop(), old }
    }

    /// Whether the container called `name` is one of the stack that this plan makes.
    fn is_made_anew(&self, name: &str) -> bool {
        let makes = [Action::Create, Action::Replace];
        self.plan.changes.iter().filter(|change| makes.contains(&change.action)).any(|change| {
            let Object::Container(slot) = &change.object else { return false };
            self.desired.container_name(slot).as_deref() == Some(name)
        })
    }

    /// `spec` with the containers that it shares something with by the names that they shall have:
    /// one that is only to be renamed stays the same.
    fn with_final_names(&self, mut spec: ContainerSpec) -> ContainerSpec {
        let rename = |name: &mut String| {
            let holder = self.observed.containers.iter().find(|other| other.name == *name);
            if let Some(wanted) = holder.and_then(|other| self.desired.container_name(&other.slot))
            {
                *name = wanted;
            } else if is_id(name) {
                GONE.clone_into(name);
            }
        };
        if let Networking::Container(other) = &mut spec.networking {
            rename(other);
        }
        spec.volumes_from.iter_mut().for_each(|from| rename(&mut from.container));
        for mode in [&mut spec.pid, &mut spec.ipc].into_iter().flatten() {
            if let Some(mut other) = mode.strip_prefix("container:").map(str::to_owned) {
                rename(&mut other);
                *mode = format!("container:{other}");
            }
        }
        spec
    }

    fn compare(
        &self,
        container: &Container,
        service: &Service,
        effective: &ContainerSpec,
    ) -> Vec<Difference> {
        let actual = comparable(&container.spec, &service.container, &self.observed.engine);
        let actual = self.with_final_names(actual);
        let Some(image) = self.image_of(service) else {
            // What the image gives is not known before it is pulled; the next round compares.
            return image_difference(effective, &actual).into_iter().collect();
        };
        let mut found = differences(effective, &actual);
        for (path, other) in shared(service) {
            if self.is_made_anew(other) && found.iter().all(|known| known.path != path) {
                found.push(Difference {
                    path: path.into(),
                    desired: format!("the container {other} to be made"),
                    actual: "the one of now".into(),
                    action: Action::Replace,
                });
            }
        }
        if container.state == State::Created && !service.container.files.is_empty() {
            // Files are copied in after the creation; a crash may have come between.
            found.push(Difference {
                path: "contents".into(),
                desired: "copied in before the first start".into(),
                actual: "perhaps not all there".into(),
                action: Action::Replace,
            });
        }
        if container.image_id != image.id && effective.image == actual.image {
            found.insert(
                0,
                Difference {
                    path: "image".into(),
                    desired: format!("{} ({})", effective.image, short(&image.id)),
                    actual: format!("{} ({})", actual.image, short(&container.image_id)),
                    action: Action::Replace,
                },
            );
        }
        found
    }
}

/// The containers that those of a service share something with, by the field that says so.
pub(super) fn shared(service: &Service) -> Vec<(&'static str, &str)> {
    let spec = &service.container;
    let network = match &spec.networking {
        Networking::Container(other) => Some(other.as_str()),
        _ => None,
    };
    let modes = [("pid", &spec.pid), ("ipc", &spec.ipc)];
    let modes = modes.map(|(path, mode)| {
        (path, mode.as_deref().and_then(|mode| mode.strip_prefix("container:")))
    });
    let one = modes.into_iter().chain([("network_mode", network)]);
    let one = one.filter_map(|(path, other)| Some((path, other?)));
    let from = spec.volumes_from.iter().map(|from| ("volumes_from", from.container.as_str()));
    one.chain(from).collect()
}

fn image_difference(desired: &ContainerSpec, actual: &ContainerSpec) -> Option<Difference> {
    (desired.image != actual.image).then(|| Difference {
        path: "image".into(),
        desired: desired.image.to_string(),
        actual: actual.image.to_string(),
        action: Action::Replace,
    })
}

/// Whether it is the id of a container: those that are there are told by name.
fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An image id as `docker images` shows it.
fn short(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..12).unwrap_or(hex)
}
