//! Containers that run a service's `pre_start` hooks: made when the container that they prepare is
//! made, run to their end before it starts, and then removed.

use super::effective::{comparable, effective};
use super::fields::differences;
use super::order::JOB_BOUND;
use super::slots::Wanted;
use super::{Action, Change, ContainerRef, Draft, NewContainer, Object, Step};
use crate::model::{
    Container, ContainerSpec, Endpoint, Healthcheck, Hook, HookKind, ImageConfig, Networking,
    RestartPolicy, Service, State, VolumesFrom, labels,
};
use std::collections::BTreeMap;

/// Which `pre_start` hooks come before the start of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// All: none of the service runs as it should yet.
    Service,
    /// Those of each replica.
    Replica,
}

impl Draft<'_> {
    /// Runs the hooks that come before the start of `container`, which is there and does not run. One
    /// that a former pass began and that still runs is waited for.
    pub(super) fn before_start(&self, wanted: &Wanted<'_>, container: &ContainerRef) -> Vec<Step> {
        let due = |hook: &Hook| wanted.opening == Opening::Service || hook.per_replica;
        let hooks = wanted.service.hooks.pre_start.iter().enumerate();
        let hooks = hooks.filter(|(_, hook)| due(hook));
        let new: Vec<NewContainer> = hooks
            .map(|(index, hook)| hook_container(self, wanted, index, hook, container))
            .collect();
        let found: Vec<&Container> =
            self.observed.hooks.iter().filter(|found| found.slot == wanted.slot).collect();
        let goes_on = |new: &NewContainer| {
            let is_there = container.key != container.name;
            let mut wanted = new.clone();
            // What is seen of a container names those that it shares with.
            wanted.spec.volumes_from = vec![all_of(&container.name)];
            found.iter().find(|found| is_there && self.is_run_of(found, &wanted)).copied()
        };
        let under_way = new.iter().enumerate().find_map(|(at, new)| Some((at, goes_on(new)?)));
        let (done, running) = match under_way {
            // Those before it have ended well.
            Some((at, running)) => (at + 1, Some(running)),
            None => (0, None),
        };
        let stale = found.iter().filter(|found| running.is_none_or(|it| it.id != found.id));
        let mut steps: Vec<Step> =
            stale.map(|found| Step::Remove(ContainerRef::of(found))).collect();
        steps.extend(running.into_iter().flat_map(|running| finish(ContainerRef::of(running))));
        for new in new.into_iter().skip(done) {
            let this = ContainerRef::named(&new.name);
            steps.push(Step::CreateContainer(Box::new(new)));
            steps.push(Step::Start(this.clone()));
            steps.extend(finish(this));
        }
        steps
    }

    /// Whether a container runs what `new` would run.
    fn is_run_of(&self, found: &Container, new: &NewContainer) -> bool {
        let unknown = ImageConfig::default();
        let image = self.observed.images.get(&new.spec.image);
        let image = image.map_or(&unknown, |image| &image.config);
        let engine = &self.observed.engine;
        let desired = effective(&new.spec, image, engine);
        found.name == new.name
            && found.state == State::Running
            && differences(&desired, &comparable(found, &new.spec, engine)).is_empty()
    }

    /// Removes what is left of hooks that are not run any more. One that failed stays until its
    /// service starts, so that it can be looked at.
    pub(super) fn hook_leftovers(&mut self) {
        for found in &self.observed.hooks {
            let service = &found.slot.service;
            let steps = self.plan.changes.iter().flat_map(|change| &change.steps);
            let is_planned = |step: &Step| match step {
                Step::Remove(other) | Step::Finish { container: other, .. } => {
                    other.key == found.id.0
                }
                _ => false,
            };
            let is_handled = steps.into_iter().any(is_planned);
            if is_handled || self.blocked.contains(service) || found.state == State::Removing {
                continue;
            }
            let field = format!("services.{service}.{}", HookKind::PreStart);
            let is = format!("container {}", found.name);
            let reason = self.reason(field, "none".to_owned(), is);
            self.push(removal(found, reason));
        }
    }
}

/// Takes a container of a hook away. Its volumes may be another one's, and stay.
pub(super) fn removal(found: &Container, reason: super::Reason) -> Change {
    Change {
        object: Object::Hook(found.name.clone()),
        action: Action::Remove,
        reasons: vec![reason],
        after: Vec::new(),
        steps: vec![Step::Remove(ContainerRef::of(found))],
        undo: Vec::new(),
    }
}

fn finish(container: ContainerRef) -> [Step; 2] {
    [Step::Finish { container: container.clone(), bound: JOB_BOUND }, Step::Discard(container)]
}

fn hook_container(
    draft: &Draft<'_>,
    wanted: &Wanted<'_>,
    index: usize,
    hook: &Hook,
    container: &ContainerRef,
) -> NewContainer {
    let name = format!("{}-{}-{index}", wanted.final_name, HookKind::PreStart);
    let mut all = draft.stack_labels();
    let texts = [
        (labels::SERVICE, wanted.name.to_string()),
        (labels::ONEOFF, "True".to_owned()),
        (labels::HOOK, HookKind::PreStart.to_string()),
        (labels::SLOT, wanted.slot.to_string()),
        (labels::NAME, name.clone()),
        (labels::WORKING_DIR, draft.desired.working_dir.clone()),
        (labels::CONFIG_FILES, draft.desired.config_files.join(",")),
    ];
    all.extend(texts.map(|(key, value)| (key.to_owned(), value)));
    let spec = hook_spec(wanted.service, hook, container);
    NewContainer { name, spec, labels: all, keep_volumes: BTreeMap::new() }
}

/// What a hook's container is made from: the service's, with its volumes and on its networks, but for
/// what leads others to a container of the service or makes it one.
fn hook_spec(service: &Service, hook: &Hook, container: &ContainerRef) -> ContainerSpec {
    let mut spec = (*service.container).clone();
    if let Some(image) = hook.image.clone().filter(|image| *image != spec.image) {
        spec.image = image;
        spec.platform = None;
        spec.user = None;
    }
    spec.entrypoint = None;
    spec.command = (!hook.command.is_empty()).then(|| hook.command.clone());
    spec.environment.extend(hook.environment.clone());
    spec.user = hook.user.clone().or(spec.user);
    spec.working_dir = hook.working_dir.clone().or(spec.working_dir);
    spec.privileged = hook.privileged;
    spec.labels = BTreeMap::new();
    spec.hostname = None;
    spec.domainname = None;
    spec.ports.clear();
    spec.expose.clear();
    spec.mounts = BTreeMap::new();
    // By its id where it is there, since it may be renamed before.
    spec.volumes_from = vec![all_of(&container.key)];
    if let Networking::Networks(networks) = &mut spec.networking {
        for endpoint in networks.values_mut() {
            **endpoint = without_identity(endpoint);
        }
    }
    spec.restart = RestartPolicy::No;
    let none = Some(vec!["NONE".to_owned()]);
    spec.healthcheck = Some(Healthcheck { test: none, ..Healthcheck::default() });
    spec.tty = false;
    spec.stdin_open = false;
    spec.contents = BTreeMap::new();
    spec
}

fn all_of(container: &str) -> VolumesFrom {
    VolumesFrom { container: container.to_owned(), read_only: false }
}

/// A place on a network where nobody finds it.
fn without_identity(endpoint: &Endpoint) -> Endpoint {
    Endpoint {
        aliases: [].into(),
        ipv4_address: None,
        ipv6_address: None,
        link_local_ips: [].into(),
        mac_address: None,
        ..endpoint.clone()
    }
}
