//! Spells a container's change out as single engine calls. Each order of steps is such that a plan
//! made after a crash between any two of them goes on from there.

use super::containers::{Candidate, serves};
use super::drain::{give_up_steps, go_on_steps};
use super::effective::{default_swap, volumes_to_keep};
use super::fields::Difference;
use super::slots::Wanted;
use super::strangers::share_a_port;
use super::{Action, ContainerRef, Draft, Milestone, NewContainer, Step, Undo};
use crate::model::{
    Container, ContentDigest, CopiedFile, Limits, Networking, OnContentChange, Order, Service,
    State, labels,
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
/// How long to wait for the engine to end a removal that is under way.
const REMOVAL_BOUND: Duration = Duration::from_secs(30);

/// Where the new container of a replacement comes from.
#[derive(Clone, Copy)]
pub(super) enum New<'a> {
    /// It is made, and takes the anonymous volumes of this one.
    Made(&'a Candidate<'a>),
    /// It was made by an earlier, unfinished replacement.
    There(&'a Container),
}

/// The calls that a change consists of, and the way back.
pub(super) struct Recipe {
    pub(super) steps: Vec<Step>,
    pub(super) undo: Vec<Undo>,
}

impl Recipe {
    /// Without a way back.
    pub(super) fn plain(steps: Vec<Step>) -> Self {
        Self { steps, undo: Vec::new() }
    }
}

/// A container that stays and what it needs.
pub(super) struct Keep<'a> {
    pub(super) container: &'a Container,
    pub(super) actions: &'a BTreeSet<Action>,
    /// Networks to leave and join again.
    pub(super) stale: &'a [String],
    pub(super) differences: &'a [Difference],
    /// Fields that differ and are left alone.
    pub(super) ignored: &'a [Difference],
}

impl Keep<'_> {
    /// What the container has once it has all that it gets.
    fn contents(&self, wanted: &Wanted<'_>) -> BTreeMap<String, ContentDigest> {
        let mut contents = wanted.service.container.contents.clone();
        for ignored in self.ignored.iter().filter(|difference| difference.of_content) {
            contents.remove(&ignored.path);
            let has = self.container.spec.contents.get_key_value(&ignored.path);
            contents.extend(has.map(|(field, digest)| (field.clone(), digest.clone())));
        }
        contents
    }

    /// Whether a field differs and is left alone.
    fn ignores(&self, path: &str) -> bool {
        self.ignored.iter().any(|difference| difference.path == path)
    }
}

impl Draft<'_> {
    pub(super) fn create_steps(&self, wanted: &Wanted<'_>) -> Vec<Step> {
        let mut steps = self.await_removals(wanted);
        steps.extend(self.make_way(wanted, None));
        steps.push(self.new_container(wanted, wanted.final_name.clone(), BTreeMap::new()));
        let container = ContainerRef::named(&wanted.final_name);
        steps.extend(self.gates(wanted.name));
        steps.extend(self.before_start(wanted, &container));
        steps.extend(self.free_ports(wanted));
        steps.extend(self.start_steps(wanted.name, &container));
        steps
    }

    /// A container that somebody removes right now still has its name, ports and addresses.
    fn await_removals(&self, wanted: &Wanted<'_>) -> Vec<Step> {
        self.containers_in(&wanted.slot)
            .filter(|container| container.state == State::Removing)
            .map(|container| Step::Await {
                container: ContainerRef::of(container),
                until: Milestone::Gone,
                bound: REMOVAL_BOUND,
                required: true,
            })
            .collect()
    }

    /// New beside old; then, stop-first: old stopped, new started and seen to be up; start-first: new
    /// started and seen to be up, old stopped; then old removed, new renamed. If the new one does not
    /// come up, it is stopped, and the old one runs on or again.
    pub(super) fn replace_steps(
        &self,
        wanted: &Wanted<'_>,
        new: New<'_>,
        old: &[Candidate<'_>],
    ) -> Recipe {
        let temporary = format!("{}{}", wanted.final_name, labels::TEMPORARY);
        let mut steps = self.await_removals(wanted);
        let order = self.order_of(wanted.name, wanted.service);
        let mut old: Vec<_> = old.iter().map(|old| old.container).collect();
        let mut former = old.iter().copied().find(|old| old.name == wanted.final_name);
        let ran = match new {
            New::There(container) => Some(container).filter(|container| is_up(container)),
            New::Made(_) => None,
        };
        let (new, name) = match new {
            New::There(container) => (ContainerRef::of(container), container.name.clone()),
            New::Made(from) => {
                if let Some(stale) = old.iter().copied().find(|old| old.name == temporary) {
                    // Of a replacement that was not finished the one that serves is kept so long.
                    let goes = if serves(stale) && !former.is_some_and(serves) {
                        let goes = former.replace(stale);
                        steps.extend(goes.into_iter().flat_map(|goes| self.take_away(goes)));
                        let to = wanted.final_name.clone();
                        steps.push(Step::Rename { container: ContainerRef::of(stale), to });
                        goes
                    } else {
                        steps.extend(self.leave_steps(stale, order));
                        steps.push(Step::Remove(ContainerRef::of(stale)));
                        Some(stale)
                    };
                    old.retain(|old| goes.is_none_or(|goes| old.id != goes.id));
                }
                let keep = volumes_to_keep(wanted.effective, &from.container.anonymous_volumes);
                steps.push(self.new_container(wanted, temporary.clone(), keep));
                (ContainerRef::named(&temporary), temporary)
            }
        };
        steps.extend(self.gates(wanted.name));
        let leave = old.iter().flat_map(|old| self.leave_steps(old, order));
        let mut leave: Vec<Step> = leave.collect();
        let mut start = Vec::new();
        if let Some(former) = former.filter(|former| is_up(former))
            && order == Order::StartFirst
            && ran.is_none()
        {
            // Its successor may have come up once and ended again: it serves until there is another.
            steps.extend(self.names_again(former, &[]));
        }
        if ran.is_none() {
            start.extend(self.before_start(wanted, &new));
        }
        let first = start.len();
        start.extend(self.free_ports(wanted));
        start.extend(match ran {
            Some(container) => go_on_steps(wanted.service, container),
            None => self.start_steps(wanted.name, &new),
        });
        start.extend(self.await_up(wanted, new.clone()));
        let undo = self.undo(wanted, &new, &name, former, &leave);
        let mut late = None;
        // What prepares the start does so while the old container still serves.
        steps.extend(start.drain(..first));
        let after = steps.len();
        let before;
        match order {
            Order::StopFirst => {
                steps.extend(leave);
                steps.extend(start);
                before = steps.len();
            }
            Order::StartFirst => {
                steps.extend(start);
                before = steps.len();
                // What came up may have failed again while its predecessor was drained.
                let stop = leave.iter().position(|step| matches!(step, Step::Stop { .. }));
                let look = self.await_up(wanted, new.clone()).map(at_once);
                if let (Some(stop), Some(look)) = (stop, look) {
                    leave.insert(stop, look);
                    late = undo.as_ref().zip(former).map(|(undo, former)| Undo {
                        after: before + stop,
                        before: before + stop + 1,
                        steps: undo
                            .iter()
                            .cloned()
                            .chain(self.names_again(former, &leave))
                            .collect(),
                    });
                }
                steps.extend(leave);
            }
        }
        steps.extend(old.iter().map(|old| Step::Remove(ContainerRef::of(old))));
        if name != wanted.final_name {
            steps.push(Step::Rename { container: new, to: wanted.final_name.clone() });
        }
        let early = undo.map(|steps| Undo { after, before, steps });
        Recipe { steps, undo: early.into_iter().chain(late).collect() }
    }

    /// How the `former` container, which has the slot's name, serves again after its replacement failed
    /// while or after the steps of `leave` were done. The one that failed stays, stopped, to be looked at.
    fn undo(
        &self,
        wanted: &Wanted<'_>,
        new: &ContainerRef,
        name: &str,
        former: Option<&Container>,
        leave: &[Step],
    ) -> Option<Vec<Step>> {
        let former = former?;
        let ran = match former.state {
            State::Running | State::Paused | State::Restarting | State::Exited { .. } => true,
            State::Created | State::Removing | State::Dead => false,
        };
        if !ran || name == wanted.final_name || self.is_job(wanted.name) {
            return None;
        }
        let mut steps = give_up_steps(wanted, new);
        if self.order_of(wanted.name, wanted.service) == Order::StartFirst && is_up(former) {
            // It has not been stopped: it serves on.
            return Some(steps);
        }
        steps.extend(self.return_steps(former, leave));
        // The place of this slot is given to another one only when this one serves again.
        steps.push(Step::Await {
            container: ContainerRef::of(former),
            until: Milestone::Up,
            bound: self.up_bound(wanted.name),
            required: false,
        });
        Some(steps)
    }

    /// The gentle changes first, so that what is started is as it should be.
    pub(super) fn keep_steps(
        &self,
        wanted: &Wanted<'_>,
        keep: &Keep<'_>,
        old: &[Candidate<'_>],
    ) -> Recipe {
        let container = ContainerRef::of(keep.container);
        let mut steps = Vec::new();
        if keep.actions.contains(&Action::Update) {
            steps.push(Step::Update {
                container: container.clone(),
                limits: limits_to_set(&wanted.effective.limits, keep),
                restart: if keep.ignores("restart") {
                    keep.container.spec.restart
                } else {
                    wanted.effective.restart
                },
            });
        }
        steps.extend(reconnect_steps(wanted, keep));
        if keep.actions.contains(&Action::Unpause) {
            steps.push(Step::Unpause(container.clone()));
        }
        if keep.actions.contains(&Action::Replace) {
            let mut recipe = self.replace_steps(wanted, New::There(keep.container), old);
            let first = steps.len();
            steps.append(&mut recipe.steps);
            let undo = recipe.undo.into_iter().map(|undo| Undo {
                after: undo.after + first,
                before: undo.before + first,
                ..undo
            });
            return Recipe { steps, undo: undo.collect() };
        }
        if keep.actions.contains(&Action::Rename) {
            steps.extend(self.make_way(wanted, Some(keep.container)));
            let to = wanted.final_name.clone();
            steps.push(Step::Rename { container: container.clone(), to });
        }
        let files = fresh_files(wanted, keep);
        if !files.is_empty() {
            steps.push(Step::CopyFiles { container: container.clone(), files });
        }
        let restarts = keep.actions.contains(&Action::Restart);
        let starts = restarts || keep.actions.contains(&Action::Start);
        if starts {
            steps.extend(self.gates(wanted.name));
        }
        if starts && !is_up(keep.container) {
            steps.extend(self.before_start(wanted, &container));
        }
        if restarts {
            steps.extend(self.halt_steps(keep.container));
        } else if keep.actions.contains(&Action::Signal)
            && let OnContentChange::Signal(signal) = &wanted.service.on_content_change
        {
            steps.push(Step::Signal { container: container.clone(), signal: signal.clone() });
        }
        if starts {
            steps.extend(self.free_ports(wanted));
            steps.extend(self.start_steps(wanted.name, &container));
        }
        // Only now: what a crash has undone before is done again.
        let fresh = keep.differences.iter().any(|difference| difference.of_content);
        if fresh || !keep.container.contents_known {
            let contents = keep.contents(wanted);
            steps.push(Step::NoteContents { container: container.clone(), contents });
        }
        if restarts {
            steps.extend(self.await_up(wanted, container));
        }
        if keep.actions.contains(&Action::Remove) {
            // What stays serves already.
            for old in old.iter().map(|old| old.container) {
                steps.extend(self.leave_steps(old, Order::StartFirst));
                steps.push(Step::Remove(ContainerRef::of(old)));
            }
        }
        Recipe::plain(steps)
    }

    /// Frees the name that a container shall get, if another one of ours holds it and is renamed
    /// later.
    fn make_way(&self, wanted: &Wanted<'_>, container: Option<&Container>) -> Option<Step> {
        let holder = self.container_named(&wanted.final_name).filter(|other| {
            container.is_none_or(|container| other.id != container.id)
                && other.slot != wanted.slot
                && !self.is_planned(other)
        })?;
        Some(Step::Rename {
            container: ContainerRef::of(holder),
            to: format!("{}{}", self.desired.container_name(&holder.slot)?, labels::TEMPORARY),
        })
    }

    /// Stops the containers of ours that hold a host port which a container shall get, and are
    /// replaced later: their own replacements may be waiting for a port that this one gives up.
    fn free_ports(&self, wanted: &Wanted<'_>) -> Vec<Step> {
        self.containers_on_ports_of(wanted.service)
            .filter(|other| other.slot != wanted.slot && !self.is_planned(other))
            .filter(|other| share_a_port(wanted.service, other))
            .flat_map(|other| self.halt_steps(other))
            .collect()
    }

    fn is_planned(&self, other: &Container) -> bool {
        self.changes_of(&other.slot).next().is_some()
    }

    fn await_up(&self, wanted: &Wanted<'_>, container: ContainerRef) -> Option<Step> {
        if self.is_job(wanted.name) {
            return None;
        }
        let bound = self.up_bound(wanted.name);
        Some(Step::Await { container, until: Milestone::Up, bound, required: true })
    }

    fn new_container(
        &self,
        wanted: &Wanted<'_>,
        name: String,
        keep_volumes: BTreeMap<String, String>,
    ) -> Step {
        let mut spec = (*wanted.service.container).clone();
        if matches!(wanted.service.on_content_change, OnContentChange::Signal(_))
            && wanted.effective.stop_signal.is_none()
        {
            // Where none is set, the engine takes any signal for a stop by hand, after which no
            // restart policy applies.
            spec.stop_signal = Some("SIGTERM".to_owned());
        }
        let mut all = self.stack_labels();
        let texts = [
            (labels::SERVICE, wanted.name.to_string()),
            (labels::NUMBER, wanted.slot.number.to_string()),
            (labels::ONEOFF, "False".to_owned()),
            (labels::SLOT, wanted.slot.to_string()),
            (labels::NAME, wanted.final_name.clone()),
            (labels::DEPENDS_ON, dependencies(wanted.service)),
            (labels::WORKING_DIR, self.desired.working_dir.clone()),
            (labels::CONFIG_FILES, self.desired.config_files.join(",")),
            (labels::CONFIG_HASH, hex::encode(Sha256::digest(wanted.slot.to_string()))),
        ];
        all.extend(texts.map(|(key, value)| (key.to_owned(), value)));
        if let Networking::Networks(networks) = &spec.networking
            && networks.len() > 1
        {
            let names: Vec<&str> = networks.keys().map(String::as_str).collect();
            all.insert(labels::NETWORKS.to_owned(), names.join(","));
        }
        Step::CreateContainer(Box::new(NewContainer { name, spec, labels: all, keep_volumes }))
    }
}

/// The dependencies of a service as Compose notes them.
fn dependencies(service: &Service) -> String {
    let noted = service.depends_on.iter().map(|(name, dependency)| {
        format!("{name}:{}:{}", dependency.condition, dependency.restart)
    });
    noted.collect::<Vec<_>>().join(",")
}

/// The files to copy into a container that stays.
fn fresh_files(wanted: &Wanted<'_>, keep: &Keep<'_>) -> Vec<CopiedFile> {
    let is_fresh = |d: &&Difference| d.of_content && d.action != Action::Adopt;
    let fresh = keep.differences.iter().filter(is_fresh);
    let targets: BTreeSet<&str> =
        fresh.filter_map(|difference| Some(difference.path.split_once('.')?.1)).collect();
    let files = wanted.service.container.files.iter();
    files.filter(|file| targets.contains(file.target.as_str())).cloned().collect()
}

/// Leaves what is not wanted, joins what is; an endpoint that differs leaves and joins.
fn reconnect_steps(wanted: &Wanted<'_>, keep: &Keep<'_>) -> Vec<Step> {
    let (Networking::Networks(want), Networking::Networks(is)) =
        (&wanted.effective.networking, &keep.container.spec.networking)
    else {
        return Vec::new();
    };
    let container = ContainerRef::of(keep.container);
    let differs = |name: &String| {
        let path = format!("networks.{name}");
        let below = format!("{path}.");
        keep.stale.contains(name)
            || keep.differences.iter().any(|d| d.path == path || d.path.starts_with(&below))
    };
    let leave = is
        .keys()
        .filter(|name| differs(name))
        .map(|network| Step::Disconnect { container: container.clone(), network: network.clone() });
    let join = wanted
        .service
        .container
        .networking
        .joined()
        .into_iter()
        .filter(|(name, _)| want.contains_key(*name) && differs(&(*name).to_owned()))
        .map(|(network, endpoint)| Step::Connect {
            container: container.clone(),
            network: network.to_owned(),
            endpoint: endpoint.clone(),
        });
    leave.chain(join).collect()
}

/// The steps that take a container away.
pub(super) fn remove(container: &Container) -> Vec<Step> {
    let stop = is_up(container).then(|| stop(container));
    stop.into_iter().chain([Step::Remove(ContainerRef::of(container))]).collect()
}

/// The bare stop.
pub(super) fn stop(container: &Container) -> Step {
    Step::Stop { container: ContainerRef::of(container), grace: container.spec.stop_grace_period }
}

/// The same wait, which looks once.
fn at_once(step: Step) -> Step {
    match step {
        Step::Await { container, until, required, .. } => {
            Step::Await { container, until, bound: Duration::ZERO, required }
        }
        step => step,
    }
}

/// Whether there is something to stop.
pub(super) fn is_up(container: &Container) -> bool {
    match container.state {
        State::Running | State::Paused | State::Restarting => true,
        State::Created | State::Removing | State::Exited { .. } | State::Dead => false,
    }
}

/// The limits to hand to the engine: those wanted, with the swap that the engine would have chosen
/// at creation (it refuses a memory limit above the former swap), and with an explicit "no bound"
/// for a process limit that shall go. Ignored ones are left as they are.
fn limits_to_set(wanted: &Limits, keep: &Keep<'_>) -> Limits {
    let mut limits = wanted.clone();
    limits.memory_swap = limits.memory_swap.or_else(|| limits.memory.map(default_swap));
    if limits.pids.is_none() && keep.differences.iter().any(|d| d.path == "pids_limit") {
        limits.pids = Some(-1);
    }
    let actual = &keep.container.spec.limits;
    if keep.ignores("mem_limit") {
        (limits.memory, limits.memory_swap) = (actual.memory, actual.memory_swap);
    }
    if keep.ignores("memswap_limit") {
        limits.memory_swap = actual.memory_swap;
    }
    limits.memory_reservation.take_if(|_| keep.ignores("mem_reservation"));
    limits.nano_cpus.take_if(|_| keep.ignores("cpus"));
    limits.cpu_shares.take_if(|_| keep.ignores("cpu_shares"));
    limits.cpu_period.take_if(|_| keep.ignores("cpu_period"));
    limits.cpu_quota.take_if(|_| keep.ignores("cpu_quota"));
    limits.cpuset.take_if(|_| keep.ignores("cpuset"));
    limits.pids.take_if(|_| keep.ignores("pids_limit"));
    limits
}
