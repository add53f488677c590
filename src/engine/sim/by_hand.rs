//! What people do to an engine past Bowline, and what befalls it.

use super::images::{Behaviour, full};
use super::state::SimContainer;
use super::{Sim, faults};
use crate::engine::EngineError;
use crate::model::{ContainerSpec, ImageConfig, Limits, RestartPolicy};
use crate::plan::{ContainerRef, NewContainer, Step};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

impl Sim {
    /// Puts an image on the engine; gives its id. A former owner of the name keeps its containers.
    pub fn image_add(&self, reference: &str, config: ImageConfig, behaviour: Behaviour) -> String {
        self.act(|world| {
            let image = world.new_image(config, behaviour);
            let id = image.image.id.clone();
            world.tag(reference, image);
            world.tell_of_image(&[&id, reference], "tag");
            id
        })
    }

    /// Puts an image into the registry; gives its id.
    pub fn registry_add(
        &self,
        reference: &str,
        config: ImageConfig,
        behaviour: Behaviour,
    ) -> String {
        self.act(|world| {
            let image = world.new_image(config, behaviour);
            let id = image.image.id.clone();
            world.registry.insert(full(reference), image);
            id
        })
    }

    /// `docker tag`: `name` stands for the image that `reference` stands for.
    pub fn tag(&self, reference: &str, name: &str) {
        self.act(|world| {
            if let Some(image) = world.image(reference).cloned() {
                let id = image.image.id.clone();
                world.tag(name, image);
                world.tell_of_image(&[&id, name], "tag");
            }
        });
    }

    /// `docker rmi`, of the name alone.
    pub fn untag(&self, reference: &str) {
        self.act(|world| {
            if let Some(id) = world.tags.remove(&full(reference)) {
                world.tell_of_image(&[&id], "untag");
            }
        });
    }

    /// What the process of the container called `name` does from its next start on, in place of
    /// what its image declares.
    pub fn behave(&self, name: &str, behaviour: Behaviour) {
        self.act(|world| drop(world.behaviours.insert(name.to_owned(), behaviour)));
    }

    /// `docker pause`.
    pub fn pause(&self, name: &str) -> Result<(), EngineError> {
        self.act(|world| world.pause(&ContainerRef::named(name)))
    }

    /// `docker update`.
    pub fn edit_limits(
        &self,
        name: &str,
        limits: &Limits,
        restart: RestartPolicy,
    ) -> Result<(), EngineError> {
        self.act(|world| world.update(&ContainerRef::named(name), limits, restart))
    }

    /// Any step, by hand: not counted and not hindered by faults. A stop takes no time.
    pub fn by_hand(&self, step: &Step) -> Result<(), EngineError> {
        self.act(|world| world.perform(step))
    }

    /// `docker create` with exactly these labels and those of the image; nothing marks it as ours.
    pub fn foreign(&self, new: &NewContainer) -> Result<(), EngineError> {
        self.act(|world| {
            world.perform(&Step::CreateContainer(Box::new(new.clone())))?;
            let id = world.find(&new.name).unwrap_or_default();
            let image =
                world.image(new.spec.image.as_str()).map(|image| image.image.config.clone());
            world.containers.change(&id, |container| {
                relabel(container, &image.unwrap_or_default(), &new.labels);
            });
            Ok(())
        })
    }

    /// `docker create` of the container `name` with the definition and all labels of the container
    /// called `of`, as `change` leaves them.
    pub fn copy(
        &self,
        of: &str,
        name: &str,
        change: impl FnOnce(&mut ContainerSpec),
    ) -> Result<(), EngineError> {
        self.act(|world| {
            let found = world.container("copy", &ContainerRef::named(of))?.clone();
            let mut spec = world.read(&found)?.spec;
            change(&mut spec);
            let all = spec.labels.clone();
            let new = NewContainer {
                name: name.to_owned(),
                spec,
                labels: BTreeMap::new(),
                keep_volumes: BTreeMap::new(),
            };
            world.perform(&Step::CreateContainer(Box::new(new)))?;
            let id = world.container("copy", &ContainerRef::named(name))?.id.clone();
            world.containers.change(&id, |made| made.spec.labels = all);
            Ok(())
        })
    }

    /// The process of the container called `name` ends by itself.
    pub fn crash(&self, name: &str, code: i64) {
        self.act(|world| {
            if let Some(id) = world.find(name).filter(|id| world.containers[id].is_up()) {
                world.exit(&id, code);
            }
        });
    }

    /// The kernel ends the process of the container called `name` for want of memory.
    pub fn run_out_of_memory(&self, name: &str) {
        self.act(|world| {
            if let Some(id) = world.find(name).filter(|id| world.containers[id].is_up()) {
                world.tell_of(&id, "oom");
                world.exit(&id, 137);
            }
        });
    }

    /// The engine is not reachable from now on; its containers go on.
    pub fn go_down(&self) {
        self.act(|world| {
            world.faults.down = true;
            world.hang_up(&faults::unreachable());
        });
    }

    /// The engine is reachable again.
    pub fn come_back(&self) {
        self.act(|world| world.faults.down = false);
    }

    /// Whether the registry answers from now on.
    pub fn registry_answers(&self, answers: bool) {
        self.act(|world| world.faults.registry_away = !answers);
    }

    /// The `nth` next call (1: the next) of `operation` (see [`Sim::calls`]) fails.
    pub fn fail(&self, operation: &str, nth: u64, error: EngineError) {
        self.act(|world| {
            let done = world.faults.calls.get(operation).copied().unwrap_or_default();
            world.faults.failures.insert((operation.to_owned(), done + nth), error);
        });
    }

    /// The engine goes down instead of doing the step after the next `steps`.
    pub fn crash_after(&self, steps: u64) {
        self.act(|world| world.faults.crash_after = Some(steps));
    }

    /// Every call takes so long.
    pub fn delay(&self, latency: Duration) {
        self.act(|world| world.faults.latency = latency);
    }

    /// What time its calendar says: the world's at its birth, and what went by since on tokio's clock.
    pub fn now(&self) -> Timestamp {
        self.act(|world| world.calendar())
    }

    /// How often each operation was called: `observe`, `create`, `start`, `stop`, `pull`, ...
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.act(|world| world.faults.calls.clone())
    }
}

fn relabel(container: &mut SimContainer, image: &ImageConfig, labels: &BTreeMap<String, String>) {
    container.spec.labels.clone_from(&image.labels);
    container.spec.labels.extend(labels.clone());
}
