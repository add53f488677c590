//! The containers found in one slot, and which of them stays.

use super::effective::{comparable, effective};
use super::fields::{Difference, differences};
use super::slots::STATE;
use super::{Action, Draft};
use crate::model::{
    Container, ContainerSpec, Health, Image, ImageConfig, Mount, MountSource, Networking,
    OnContentChange, Service, ServiceName, Slot, State,
};

/// Digits of a content's digest that are shown.
const SHORT_DIGEST: usize = 12;
/// What a container is made from, as a field.
const IMAGE: &str = "image";
/// What the field of a mounted content ends with.
const MOUNTED: &str = ".content";
/// What stands for a container that was shared with and is no more; no container is called so.
const GONE: &str = "(gone)";

/// A container found in a slot, compared with what belongs there.
pub(super) struct Candidate<'a> {
    pub(super) container: &'a Container,
    /// The fields that differ.
    pub(super) differences: Vec<Difference>,
    /// Those that differ and are left alone.
    pub(super) ignored: Vec<Difference>,
}

/// What was found in one slot.
pub(super) struct Found<'a> {
    /// The container that stays, if one can.
    pub(super) kept: Option<Candidate<'a>>,
    /// The others; they go.
    pub(super) old: Vec<Candidate<'a>>,
}

impl Found<'_> {
    /// How many of them are there, and how many run.
    pub(super) fn counts(&self) -> (usize, usize) {
        let runs = |candidate: &&Candidate<'_>| candidate.container.state == State::Running;
        let all = || self.kept.iter().chain(&self.old);
        (all().count(), all().filter(runs).count())
    }

    /// Whether one of them does what it is for.
    pub(super) fn serves(&self) -> bool {
        self.kept.iter().chain(&self.old).any(|candidate| serves(candidate.container))
    }
}

/// Whether a container does what it is for, and others find it.
pub(super) fn serves(container: &Container) -> bool {
    works(container) && !is_withdrawn(container)
}

/// Whether a container does what it is for.
pub(super) fn works(container: &Container) -> bool {
    container.state == State::Running
        && matches!(container.health, Health::Healthy | Health::Unchecked)
}

/// Whether a container was taken out of its names before it was to be stopped, or was about to be led to
/// again: on every network a container is found by its service's name at least.
pub(super) fn is_withdrawn(container: &Container) -> bool {
    match &container.spec.networking {
        Networking::Networks(networks) => {
            networks.values().all(|endpoint| endpoint.aliases.is_empty())
        }
        _ => false,
    }
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

    pub(super) fn image_of(&self, service: &Service) -> Option<&'a Image> {
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
            .containers_in(slot)
            .filter(|container| container.state != State::Removing)
            .map(|container| {
                let found = self.compare(container, service, effective);
                let stays_down = self.ignores(&slot.service, STATE);
                let ignores = |difference: &Difference| {
                    self.ignores(&slot.service, &difference.path)
                        || (stays_down && difference.action == Action::Start)
                };
                let (ignored, differences) = found.into_iter().partition(ignores);
                Candidate { container, differences, ignored }
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

    /// Whether what differs in a field of a service is left alone. It may be named as in the file or
    /// as in the plan.
    pub(super) fn ignores(&self, service: &ServiceName, path: &str) -> bool {
        let policy = &self.desired.policy;
        let ignores = |path: &str| policy.ignores(&format!("services.{service}.{path}"));
        !policy.ignore.is_empty() && (ignores(path) || ignores(&self.written(service, path)))
    }

    /// Whether the container called `name` is one of the stack that this plan makes.
    fn is_made_anew(&self, name: &str) -> bool {
        self.changes_of_named(name).any(|index| self.is_anew(index))
    }

    /// `spec` with the containers that it shares something with by the names that they shall have:
    /// one that is only to be renamed stays the same.
    fn with_final_names(&self, mut spec: ContainerSpec) -> ContainerSpec {
        let rename = |name: &mut String| {
            let holder = self.container_named(name);
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
        let actual = comparable(container, &service.container, &self.observed.engine);
        let actual = self.with_final_names(actual);
        let Some(image) = self.image_of(service) else {
            // What the image gives is not known before it is pulled; the next round compares.
            return image_difference(effective, &actual).into_iter().collect();
        };
        let mut found = differences(effective, &actual);
        found.retain(|difference| !is_followed_no_more(service, difference));
        // An image may be asked for by name and by id.
        let by_id = [&effective.image, &actual.image].iter().any(|name| name.as_str() == image.id);
        if by_id && container.image_id == image.id {
            found.retain(|difference| difference.path != IMAGE);
        }
        for difference in found.iter_mut().filter(|difference| difference.path == IMAGE) {
            difference.desired = shown(&difference.desired).to_owned();
            difference.actual = shown(&difference.actual).to_owned();
        }
        for difference in &mut found {
            let contents = [&service.container.contents, &actual.contents];
            if contents.iter().any(|contents| contents.contains_key(&difference.path)) {
                difference.action = if container.contents_known {
                    on_content_change(service, container, &difference.path)
                } else {
                    Action::Adopt
                };
                difference.of_content = true;
                shorten(&mut difference.desired);
                shorten(&mut difference.actual);
            }
        }
        for (path, other) in shared(service) {
            if self.is_made_anew(other) && found.iter().all(|known| known.path != path) {
                found.push(Difference {
                    path: path.into(),
                    desired: format!("the container {other} to be made"),
                    actual: "the one of now".into(),
                    action: Action::Replace,
                    of_content: false,
                });
            }
        }
        if container.state == State::Created && !service.container.files.is_empty() {
            // Files are copied in after the creation; a crash may have come between.
            found.push(Difference {
                path: "configs".into(),
                desired: "copied in before the first start".into(),
                actual: "perhaps not all there".into(),
                action: Action::Replace,
                of_content: false,
            });
        }
        if container.image_id != image.id && effective.image == actual.image {
            found.insert(
                0,
                Difference {
                    path: IMAGE.into(),
                    desired: format!("{} ({})", effective.image, short(&image.id)),
                    actual: format!("{} ({})", actual.image, short(&container.image_id)),
                    action: Action::Replace,
                    of_content: false,
                },
            );
        }
        found
    }
}

/// Whether it is about a mounted tree that is still mounted, but became too large to be followed.
fn is_followed_no_more(service: &Service, difference: &Difference) -> bool {
    let mounts = &service.container.mounts;
    let field = difference.path.strip_prefix("volumes.");
    let target = field.and_then(|field| field.strip_suffix(MOUNTED));
    target.is_some_and(|target| mounts.contains_key(target))
        && !service.container.contents.contains_key(&difference.path)
}

/// A digest, or that there is none, short enough to be read.
fn shorten(digest: &mut String) {
    if digest.len() > SHORT_DIGEST {
        digest.truncate(SHORT_DIGEST);
        digest.insert_str(0, "content ");
    }
}

/// The gentlest action that gives `container` the content wanted in `field`. One that does not run
/// finds it when it starts, and one that is to have none there is made anew.
fn on_content_change(service: &Service, container: &Container, field: &str) -> Action {
    let spec = &service.container;
    let runs = container.state == State::Running || container.state == State::Paused;
    let is_up = runs || container.state == State::Restarting;
    // A file that is mounted by itself stays what it was in a container that runs.
    let is_file = |mount: &Mount| matches!(&mount.source, MountSource::Bind(bind) if bind.is_file);
    let target = field.split_once('.').map_or(field, |(_, target)| target);
    let target = target.strip_suffix(MOUNTED).unwrap_or(target);
    let needs_restart = spec.mounts.get(target).is_some_and(is_file);
    match &service.on_content_change {
        _ if !spec.contents.contains_key(field) => Action::Replace,
        OnContentChange::Replace => Action::Replace,
        OnContentChange::Restart | OnContentChange::Signal(_) if !is_up => Action::Start,
        // Without a stop signal of its own it would not be restarted by its policy any more.
        OnContentChange::Signal(_)
            if runs && !needs_restart && container.spec.stop_signal.is_some() =>
        {
            Action::Signal
        }
        OnContentChange::Restart | OnContentChange::Signal(_) => Action::Restart,
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
        path: IMAGE.into(),
        desired: shown(desired.image.as_str()).to_owned(),
        actual: shown(actual.image.as_str()).to_owned(),
        action: Action::Replace,
        of_content: false,
    })
}

/// Whether it is the id of a container: those that are there are told by name.
fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An image by its name or, where it is asked for so, its id.
fn shown(image: &str) -> &str {
    if image.starts_with("sha256:") { short(image) } else { image }
}

/// An image id as `docker images` shows it.
pub(super) fn short(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..12).unwrap_or(hex)
}
