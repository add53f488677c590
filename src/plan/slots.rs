//! What each service's slots need: nothing, a gentle change, a new container.

use super::containers::{Candidate, Found, shared, works};
use super::drain::owes_hooks;
use super::fields::Difference;
use super::jobs::runs_again;
use super::pace::standing;
use super::pre_start::Opening;
use super::recipe::{Keep, New, Recipe, is_up};
use super::{
    Action, Aim, Change, ContainerRef, Draft, Object, Problem, Reason, Resting, Step, Turn,
};
use crate::model::{
    Container, ContainerSpec, Networking, Order, Service, ServiceName, Slot, State,
};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What a container is called, as a field.
const NAME: &str = "container_name";
/// The hooks after a start, as a field.
const POST_START: &str = "post_start";
/// What a container does, as a field.
pub(super) const STATE: &str = "state";

/// A slot with what belongs there.
pub(super) struct Wanted<'a> {
    pub(super) slot: Slot,
    pub(super) name: &'a ServiceName,
    pub(super) service: &'a Service,
    pub(super) effective: &'a ContainerSpec,
    /// The name that its container ends up with.
    pub(super) final_name: String,
    /// Which hooks come before its start, if its container is started.
    pub(super) opening: Opening,
}

impl Wanted<'_> {
    /// The full path of a field of its service.
    fn field(&self, path: &str) -> String {
        format!("services.{}.{path}", self.name)
    }
}

impl<'a> Draft<'a> {
    /// Plans all services, each after those that it depends on.
    pub(super) fn services(&mut self) {
        for name in self.ordered_services() {
            if let Some((name, service)) = self.desired.services.get_key_value(&name) {
                self.service(name, service);
            }
        }
    }

    fn service(&mut self, name: &'a ServiceName, service: &'a Service) {
        if self.is_blocked(name) {
            return;
        }
        if let Some(problem) = self.service_needs(name, service) {
            self.plan.problems.push(problem);
            self.blocked.insert(name.clone());
            return;
        }
        self.warn_of_unsupported(name, service);
        let effective = self.effective(service);
        let aim = self.aim_for(name, service);
        let (mut paced, mut still) = (Vec::new(), Vec::new());
        let mut opening = self.opening(name, service, &effective);
        let mut opener = None;
        for (slot, final_name, found) in self.slots_by_rank(name, service, &effective) {
            let wanted = Wanted { slot, name, service, effective: &effective, final_name, opening };
            if found.kept.is_none() && self.is_past(&wanted.slot, service, &wanted.final_name) {
                self.clear_past(&wanted, &found);
                continue;
            }
            let ended = found.kept.as_ref().and_then(|it| self.ended(name, it.container));
            self.plan.resting.extend(self.resting(&wanted, &found));
            let ignored = found.kept.iter().flat_map(|kept| self.ignored(&wanted, kept));
            let ignored: Vec<_> = ignored.collect();
            self.plan.ignored.extend(ignored);
            let stands = found.kept.as_ref().and_then(|it| standing(&wanted.slot, it.container));
            let kept = found.kept.as_ref().map(|it| ContainerRef::of(it.container));
            let change = self.slot(&wanted, found);
            let again = change.as_ref().is_some_and(|change| runs_again(change.action));
            self.note_end(&wanted.slot, ended.filter(|_| !again));
            let Some(mut change) = change else {
                still.extend(stands.filter(|_| aim != Aim::Hold));
                continue;
            };
            if let Some(problem) = self.in_the_way(&wanted, &change) {
                self.plan.problems.push(problem);
                self.blocked.insert(name.clone());
                continue;
            }
            if begins(change.action) && !service.hooks.pre_start.is_empty() {
                change.after.extend(opener);
            }
            let action = change.action;
            let index = self.push(change);
            if begins(action) && opening == Opening::Service {
                // The hooks of the service as a whole are run once, before any of it starts.
                (opening, opener) = (Opening::Replica, Some(index));
            }
            if is_paced(action, aim) {
                let anew = || ContainerRef::named(&wanted.final_name);
                let container = kept.filter(|_| action != Action::Replace).unwrap_or_else(anew);
                let exchanges = action.exchanges();
                paced.push(Turn { change: index, slot: wanted.slot, container, exchanges });
            }
            self.note_upset(name, action, index);
        }
        if paced.iter().any(|turn| self.plan.changes[turn.change].action == Action::Replace) {
            let note = self.note_order(name, service);
            self.plan.notes.extend(note);
        }
        self.pace(name, service, aim, paced, still);
    }

    /// The slots of a service with their containers' names and what is there, in the order of their
    /// turns: first those where nobody serves, so that nothing is lost; then those where two containers
    /// run or are already, so that there are never more of them than the pace allows.
    fn slots_by_rank(
        &self,
        name: &'a ServiceName,
        service: &Service,
        effective: &ContainerSpec,
    ) -> Vec<(Slot, String, Found<'a>)> {
        let find = |slot: Slot| {
            let final_name = self.desired.container_name(&slot)?;
            let found = self.found(&slot, service, effective, &final_name);
            Some((slot, final_name, found))
        };
        let mut slots: Vec<_> = self.desired.slots(name).filter_map(find).collect();
        let stops_first = self.order_of(name, service) == Order::StopFirst;
        slots.sort_by_key(|(_, _, found)| {
            let (serves, (there, running)) = (found.serves(), found.counts());
            (serves && stops_first, Reverse(running.max(1)), Reverse(there.max(1)), serves)
        });
        slots
    }

    /// Which hooks come before the start of the first container that is started: all of them, unless
    /// one runs as it should.
    fn opening(&self, name: &ServiceName, service: &Service, effective: &ContainerSpec) -> Opening {
        if service.hooks.pre_start.iter().all(|hook| hook.per_replica) {
            return Opening::Replica;
        }
        let runs = self.desired.slots(name).any(|slot| {
            let final_name = self.desired.container_name(&slot).unwrap_or_default();
            let found = self.found(&slot, service, effective, &final_name);
            found.kept.is_some_and(|kept| is_up(kept.container))
        });
        if runs { Opening::Replica } else { Opening::Service }
    }

    fn slot(&self, wanted: &Wanted<'_>, found: Found<'_>) -> Option<Change> {
        let (action, reasons, Recipe { steps, undo }) = match found {
            Found { kept: Some(kept), old } => self.keep(wanted, &kept, &old)?,
            Found { kept: None, old } if old.is_empty() => {
                let steps = self.create_steps(wanted);
                (Action::Create, vec![self.missing(wanted)], Recipe::plain(steps))
            }
            Found { kept: None, old } => {
                let reasons = self.reasons(wanted, &old[0]);
                let new = New::Made(&old[0]);
                (Action::Replace, reasons, self.replace_steps(wanted, new, &old))
            }
        };
        let after = self.after(wanted, action, &steps);
        Some(Change {
            object: Object::Container(wanted.slot.clone()),
            action,
            reasons,
            after,
            steps,
            undo,
        })
    }

    /// What a container that can stay still needs.
    fn keep(
        &self,
        wanted: &Wanted<'_>,
        kept: &Candidate<'_>,
        old: &[Candidate<'_>],
    ) -> Option<(Action, Vec<Reason>, Recipe)> {
        let container = kept.container;
        let mut reasons = self.reasons(wanted, kept);
        let mut actions: BTreeSet<Action> = kept.differences.iter().map(|d| d.action).collect();
        let mut stale = self.stale_networks(container);
        stale.retain(|network| !self.ignores(wanted.name, &format!("networks.{network}")));
        for network in &stale {
            actions.insert(Action::Reconnect);
            let path = self.written(wanted.name, &format!("networks.{network}"));
            let field = wanted.field(&path);
            reasons.push(self.reason(
                field,
                "the network of now".into(),
                "one that is gone".into(),
            ));
        }
        let is_named = container.name == wanted.final_name;
        if !is_named && !self.ignores(wanted.name, NAME) {
            actions.insert(Action::Rename);
            reasons.push(self.name_reason(wanted, container));
        }
        let rests = self.around.resting.contains(&wanted.slot);
        let state_change = self.state_change(wanted, container);
        let state_change = state_change.filter(|_| !self.ignores(wanted.name, STATE));
        if let Some((action, desired)) =
            state_change.filter(|(action, _)| !rests || *action != Action::Start)
        {
            actions.insert(action);
            reasons.push(self.state_reason(wanted, desired, container));
        }
        if owes_hooks(wanted.service, container) && !rests && !self.ignores(wanted.name, POST_START)
        {
            actions.insert(Action::Start);
            let (want, is) = ("run after the start".to_owned(), "not all done".to_owned());
            reasons.push(self.reason(wanted.field(POST_START), want, is));
        }
        if !old.is_empty() {
            // A replacement that was not finished: it is gone on with, unless what belongs there
            // serves already.
            let stands = is_named && works(container);
            actions.insert(if stands { Action::Remove } else { Action::Replace });
            let names: Vec<_> = old.iter().map(|old| old.container.name.as_str()).collect();
            let actual = format!("{} as well", names.join(", "));
            let only = format!("{} alone", container.name);
            reasons.push(self.reason(wanted.field("containers"), only, actual));
        }
        if !container.contents_known {
            actions.insert(Action::Adopt);
            let is = "made by Compose".to_owned();
            reasons.insert(0, self.reason(wanted.field("owner"), "Bowline".to_owned(), is));
        }
        for need in self.made_anew_since(wanted, container) {
            actions.insert(Action::Restart);
            let field = wanted.field(&format!("depends_on.{need}"));
            let (want, is) = (format!("started after {need}"), "started before it was made anew");
            reasons.push(self.reason(field, want, is.to_owned()));
        }
        let action = actions.last().copied()?;
        let keep = Keep {
            container,
            actions: &actions,
            stale: &stale,
            differences: &kept.differences,
            ignored: &kept.ignored,
        };
        let recipe = self.keep_steps(wanted, &keep, old);
        Some((action, reasons, recipe))
    }

    /// Whether a container must be started or unpaused.
    fn state_change(
        &self,
        wanted: &Wanted<'_>,
        container: &Container,
    ) -> Option<(Action, &'static str)> {
        let job = self.is_job(wanted.name);
        match container.state {
            State::Running | State::Restarting | State::Removing => None,
            State::Paused => Some((Action::Unpause, "running")),
            State::Exited { code: 0 } if job || on_failure_only(wanted.service) => None,
            State::Created | State::Exited { .. } | State::Dead if job => {
                Some((Action::Start, "run to its end"))
            }
            State::Created | State::Exited { .. } | State::Dead => Some((Action::Start, "running")),
        }
    }

    /// A container that would be started if its slot did not rest.
    fn resting(&self, wanted: &Wanted<'_>, found: &Found<'_>) -> Option<Resting> {
        let kept = found.kept.as_ref()?;
        let (action, desired) = self.state_change(wanted, kept.container)?;
        let rests = action == Action::Start && self.around.resting.contains(&wanted.slot);
        (rests && !self.ignores(wanted.name, STATE)).then(|| Resting {
            container: ContainerRef::of(kept.container),
            reason: self.state_reason(wanted, desired, kept.container),
        })
    }

    /// What differs in a container that stays, and is left alone.
    fn ignored(&self, wanted: &Wanted<'_>, kept: &Candidate<'_>) -> Vec<Reason> {
        let container = kept.container;
        let mut reasons = self.as_reasons(wanted, &kept.ignored);
        if container.name != wanted.final_name && self.ignores(wanted.name, NAME) {
            reasons.push(self.name_reason(wanted, container));
        }
        if let Some((_, desired)) = self.state_change(wanted, container)
            && self.ignores(wanted.name, STATE)
        {
            reasons.push(self.state_reason(wanted, desired, container));
        }
        reasons
    }

    fn name_reason(&self, wanted: &Wanted<'_>, container: &Container) -> Reason {
        let (want, is) = (wanted.final_name.clone(), container.name.clone());
        self.reason(wanted.field(NAME), want, is)
    }

    fn state_reason(&self, wanted: &Wanted<'_>, desired: &str, container: &Container) -> Reason {
        self.reason(wanted.field(STATE), desired.to_owned(), container.state.to_string())
    }

    /// Networks that a container believes to be on, but which were replaced behind its back.
    fn stale_networks(&self, container: &Container) -> Vec<String> {
        let Networking::Networks(networks) = &container.spec.networking else { return Vec::new() };
        networks
            .keys()
            .filter(|name| {
                let id = container.network_ids.get(*name).filter(|id| !id.is_empty());
                let replaced = self.made.contains_key(&Object::Network((*name).clone()));
                match (id, self.find_network(name)) {
                    (Some(id), Some(now)) => !replaced && *id != now.id,
                    (Some(_), None) => replaced,
                    (None, _) => false,
                }
            })
            .cloned()
            .collect()
    }

    fn reasons(&self, wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> Vec<Reason> {
        let mut reasons = self.as_reasons(wanted, &candidate.differences);
        if reasons.is_empty() && candidate.container.state == State::Dead {
            reasons.push(self.reason(wanted.field(STATE), "running".into(), "dead".into()));
        }
        reasons
    }

    fn as_reasons(&self, wanted: &Wanted<'_>, differences: &[Difference]) -> Vec<Reason> {
        let reason = |difference: &Difference| {
            let field = wanted.field(&self.written(wanted.name, &difference.path));
            self.reason(field, difference.desired.clone(), difference.actual.clone())
        };
        differences.iter().map(reason).collect()
    }

    fn missing(&self, wanted: &Wanted<'_>) -> Reason {
        let field = format!("services.{}", wanted.name);
        self.reason(field, format!("container {}", wanted.final_name), "none".into())
    }

    /// The changes that must have succeeded before a container of `wanted` is touched so.
    fn after(&self, wanted: &Wanted<'_>, action: Action, steps: &[Step]) -> Vec<usize> {
        let spec = &wanted.service.container;
        let mut after = BTreeSet::new();
        let made = |object: Object| self.made.get(&object).copied();
        if matches!(action, Action::Create | Action::Replace) {
            after.extend(
                wanted.service.images().filter_map(|image| made(Object::Image(image.to_string()))),
            );
        }
        if let Networking::Networks(networks) = &spec.networking {
            after.extend(networks.keys().filter_map(|name| made(Object::Network(name.clone()))));
        }
        for (_, other) in shared(wanted.service) {
            after.extend(self.changes_of_named(other));
        }
        for mount in spec.mounts.values() {
            if let crate::model::MountSource::Volume { name, .. } = &mount.source {
                after.extend(made(Object::Volume(name.clone())));
            }
        }
        if matches!(action, Action::Create | Action::Replace | Action::Start | Action::Restart) {
            after.extend(self.prerequisites(wanted.name));
            after.extend(self.holders_that_go(wanted));
        }
        if action == Action::Signal {
            // What it is told to read may be about what the others are only then.
            after.extend(self.prerequisites(wanted.name));
        }
        if action == Action::Restart {
            after.extend(self.restart_with(wanted.name).flat_map(|need| self.upsets(need)));
        }
        if takes_name(wanted, steps) {
            after.extend(self.holders_that_go(wanted));
        }
        after.into_iter().collect()
    }

    fn warn_of_unsupported(&mut self, name: &ServiceName, service: &Service) {
        let asks = service.container.healthcheck.as_ref().and_then(|check| check.start_interval);
        if asks.is_some() && !self.observed.engine.keeps_start_interval() {
            let message = format!(
                "needs engine API 1.44; this engine has {}, so the interval is used",
                self.observed.engine.api
            );
            let field = format!("services.{name}.healthcheck.start_interval");
            let note: Problem = self.problem(field, message);
            self.plan.notes.push(note);
        }
    }
}

/// Whether `steps` give a container the name that its slot shall have.
pub(super) fn takes_name(wanted: &Wanted<'_>, steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Rename { to, .. } => *to == wanted.final_name,
        _ => false,
    })
}

/// Whether an action starts a container that did not run.
fn begins(action: Action) -> bool {
    matches!(action, Action::Create | Action::Replace | Action::Start)
}

/// Whether changes of this kind follow the pace of their service. What is only repaired does so where it
/// takes something out of service. What goes on after a pause is as it was before.
fn is_paced(action: Action, aim: Aim) -> bool {
    let begins = matches!(action, Action::Create | Action::Start);
    action.exchanges() || (begins && aim != Aim::Hold)
}

fn on_failure_only(service: &Service) -> bool {
    matches!(service.container.restart, crate::model::RestartPolicy::OnFailure { .. })
}
