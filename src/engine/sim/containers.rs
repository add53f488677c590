//! Containers: made, renamed and removed; every other step is handed to its own file.

use super::spec;
use super::state::{Attachment, SimContainer, World, not_found, refused};
use crate::engine::EngineError;
use crate::model::{ContainerSpec, Health, MountSource, Networking, State, VolumeSpec};
use crate::plan::{ContainerRef, NewContainer, Step};
use std::collections::BTreeMap;
use std::time::Duration;

/// The engine's first pause before a restart.
pub(super) const FIRST_BACKOFF: Duration = Duration::from_millis(100);

impl World {
    /// Carries out a step that takes no time.
    pub(super) fn perform(&mut self, step: &Step) -> Result<(), EngineError> {
        match step {
            Step::PullImage { image, platform } => self.pull(image, platform.as_ref()),
            Step::CreateNetwork { spec, labels } => self.create_network(spec, labels),
            Step::RemoveNetwork { name, id } => self.remove_network(name, id),
            Step::CreateVolume { spec, labels } => {
                self.create_volume(spec, labels);
                Ok(())
            }
            Step::RemoveImage { name, id } => self.remove_image(name, id),
            Step::RemoveVolume(name) => self.remove_volume(name),
            Step::CreateContainer(new) => self.create(new),
            Step::Connect { container, network, endpoint } => {
                self.connect(container, network, endpoint)
            }
            Step::Disconnect { container, network } => self.disconnect(container, network),
            Step::Start(container) => self.start(container),
            Step::Unpause(container) => self.unpause(container),
            Step::Signal { container, signal } => self.signal(container, signal),
            Step::CopyFiles { container, .. } => {
                self.container("copy files into", container).map(drop)
            }
            Step::NoteContents { container, contents } => {
                let id = self.container("note", container)?.id.clone();
                self.containers.change(&id, |found| {
                    found.spec.contents.clone_from(contents);
                    found.contents_noted = true;
                });
                Ok(())
            }
            Step::Stop { container, .. } => {
                self.end_stop(container);
                Ok(())
            }
            Step::Remove(container) => {
                self.remove(container);
                Ok(())
            }
            Step::Rename { container, to } => self.rename(container, to),
            Step::Update { container, limits, restart } => self.update(container, limits, *restart),
            Step::Discard(container) => {
                self.discard(container);
                Ok(())
            }
            Step::Withdraw { container, network, endpoint } => {
                self.withdraw(container, network, endpoint).map(drop)
            }
            Step::OweHooks(container) => self.note_hooks(container, true),
            Step::HooksDone(container) => self.note_hooks(container, false),
            Step::Await { .. } | Step::Finish { .. } | Step::RunHooks { .. } | Step::Linger(_) => {
                Err(refused(
                    "ask the engine for",
                    "what is done beside it",
                    400,
                    "it cannot do that",
                ))
            }
        }
    }

    fn create(&mut self, new: &NewContainer) -> Result<(), EngineError> {
        let object = format!("container {}", new.name);
        check_name("create", &object, &new.name)?;
        let reference = new.spec.image.as_str();
        let image = self.image(reference).cloned();
        let image = image.ok_or_else(|| not_found("use", format!("image {reference}")))?;
        if self.named(&new.name).is_some() {
            return Err(EngineError::NameTaken { operation: "create", object });
        }
        let mark = self.next_id()[..16].to_owned();
        let keeps = self.facts.keeps_start_interval();
        let mut spec = spec::observed(new, &image.image.config, &mark, keeps);
        self.share_by_id(&mut spec)?;
        let says_nothing = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
        if says_nothing(&spec.entrypoint) && says_nothing(&spec.command) {
            return Err(refused("create", object, 400, "No command specified"));
        }
        let attached = Self::attachments(&new.spec.networking);
        if let Networking::Networks(networks) = &mut spec.networking {
            // What it is attached to tells which.
            if std::mem::take(networks).is_empty() {
                spec.networking = Networking::DefaultBridge;
            }
        }
        let anonymous_volumes = self.make_mounted_volumes(new, &spec);
        let id = self.next_id();
        let created_at = self.timestamp();
        let container = SimContainer {
            id: id.clone(),
            name: new.name.clone(),
            image_id: image.image.id,
            spec,
            attached,
            anonymous_volumes,
            state: State::Created,
            health: Health::Unchecked,
            failed_probes: 0,
            started: None,
            owes_hooks: false,
            contents_noted: false,
            created_at,
            started_at: None,
            stopped_by_hand: false,
            backoff: FIRST_BACKOFF,
            restarts: 0,
            frozen: Vec::new(),
            ports: Vec::new(),
        };
        self.containers.insert(id.clone(), container);
        self.tell_of(&id, "create");
        self.join_the_rest(new).inspect_err(|_| self.remove(&ContainerRef::named(&new.name)))
    }

    /// Names the containers that one shares something with by their ids.
    fn share_by_id(&self, spec: &mut ContainerSpec) -> Result<(), EngineError> {
        let id = |name: &str| {
            self.find(name).ok_or_else(|| not_found("look at", format!("container {name}")))
        };
        if let Networking::Container(other) = &mut spec.networking {
            *other = id(other)?;
        }
        for from in &mut spec.volumes_from {
            from.container = id(&from.container)?;
        }
        for mode in [&mut spec.pid, &mut spec.ipc].into_iter().flatten() {
            if let Some(other) = mode.strip_prefix("container:") {
                *mode = format!("container:{}", id(other)?);
            }
        }
        Ok(())
    }

    /// All but the first are joined after the container is made, so they must be there.
    fn join_the_rest(&self, new: &NewContainer) -> Result<(), EngineError> {
        for (network, _) in new.spec.networking.joined().into_iter().skip(1) {
            if self.network(network).is_none() {
                let object = format!("container {} to network {network}", new.name);
                return Err(not_found("connect", object));
            }
        }
        Ok(())
    }

    fn attachments(networking: &Networking) -> BTreeMap<String, Attachment> {
        let at = |name: &str| BTreeMap::from([(name.to_owned(), Attachment::default())]);
        match networking {
            Networking::Networks(networks) if networks.is_empty() => at("bridge"),
            Networking::Networks(networks) => networks
                .iter()
                .map(|(name, endpoint)| (name.clone(), Attachment::of(endpoint)))
                .collect(),
            Networking::DefaultBridge => at("bridge"),
            Networking::Host => at("host"),
            Networking::None => at("none"),
            Networking::Container(_) => BTreeMap::new(),
        }
    }

    /// Volumes that are mounted and not there are made; gives the anonymous ones.
    fn make_mounted_volumes(
        &mut self,
        new: &NewContainer,
        spec: &ContainerSpec,
    ) -> BTreeMap<String, String> {
        let mut anonymous = BTreeMap::new();
        for (target, mount) in &spec.mounts {
            let name = match &mount.source {
                MountSource::Volume { name, .. } => name.clone(),
                MountSource::Anonymous => {
                    let kept = new.keep_volumes.get(target).cloned();
                    let name = kept.unwrap_or_else(|| self.next_id());
                    anonymous.insert(target.clone(), name.clone());
                    name
                }
                MountSource::Bind(_) | MountSource::Tmpfs(_) | MountSource::Image { .. } => {
                    continue;
                }
            };
            self.create_volume(&VolumeSpec { name, ..VolumeSpec::default() }, &mount.labels);
        }
        anonymous
    }

    /// Takes a container away, running or not; its volumes stay.
    pub(super) fn remove(&mut self, wanted: &ContainerRef) {
        let Some(id) = self.find(&wanted.key) else { return };
        if self.containers[&id].is_up() {
            self.tell_of(&id, "kill");
            self.end_by_hand(&id, 137);
        }
        self.unschedule(&id);
        self.tell_of(&id, "destroy");
        self.containers.remove(&id);
    }

    fn rename(&mut self, wanted: &ContainerRef, to: &str) -> Result<(), EngineError> {
        let object = format!("container {} to {to}", wanted.name);
        let missing = || not_found("rename", object.clone());
        let id = self.find(&wanted.key).ok_or_else(missing)?;
        if self.containers[&id].name == to {
            return Ok(());
        }
        check_name("rename", &object, to)?;
        if self.named(to).is_some() {
            return Err(EngineError::NameTaken { operation: "rename", object });
        }
        self.containers.change(&id, |container| to.clone_into(&mut container.name));
        self.tell_of(&id, "rename");
        Ok(())
    }
}

fn check_name(operation: &'static str, object: &str, name: &str) -> Result<(), EngineError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.len() > 1 && name.chars().all(allowed) {
        return Ok(());
    }
    let message =
        format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
    Err(refused(operation, object, 400, message))
}
