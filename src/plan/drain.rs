//! How a container comes into service and how it leaves: with the hooks around its start and its
//! stop, and, where that is asked for, led nobody to before it is stopped.

use super::containers::serves;
use super::effective::DEFAULT_GRACE;
use super::recipe::{is_up, stop};
use super::slots::Wanted;
use super::{ContainerRef, Draft, Object, Step};
use crate::model::{
    Container, Endpoint, HookKind, Hooks, NetworkSpec, Networking, Order, Service, ServiceName,
    State, labels,
};
use ipnet::IpNet;
use std::time::Duration;

/// How long the hooks after a start may take all together, where the service does not say how long a
/// start may take.
const POST_START_BOUND: Duration = Duration::from_secs(5 * 60);
/// How long a container is left running whose successor is up, where the service does not say: those
/// who look a name up now and then have found the successor by then.
const START_FIRST_DRAIN: Duration = Duration::from_secs(2);

impl Draft<'_> {
    /// Starts a container, and runs the hooks that follow. That they are still to be run is noted
    /// first: after a crash, and after a hook that failed, the next plan runs them.
    pub(super) fn start_steps(&self, name: &ServiceName, container: &ContainerRef) -> Vec<Step> {
        let service = &self.desired.services[name];
        let start = Step::Start(container.clone());
        let Some(hooks) = after_start(service, container) else { return vec![start] };
        let (owe, done) = (Step::OweHooks(container.clone()), Step::HooksDone(container.clone()));
        vec![owe, start, hooks, done]
    }

    /// Stops a container that stays, if it is up.
    pub(super) fn halt_steps(&self, container: &Container) -> Vec<Step> {
        if !is_up(container) {
            return Vec::new();
        }
        self.before_stop(container).into_iter().chain([stop(container)]).collect()
    }

    /// Takes a container away that nobody is led to.
    pub(super) fn take_away(&self, container: &Container) -> Vec<Step> {
        let mut steps = self.halt_steps(container);
        steps.push(Step::Remove(ContainerRef::of(container)));
        steps
    }

    /// Stops a container that goes, if it is up: its hooks are run, it is found under its names no
    /// more, what it is doing gets time to end, and then it gets its stop signal. `order` says whether
    /// its successor is up by then; otherwise it keeps its names unless other replicas serve.
    pub(super) fn leave_steps(&self, container: &Container, order: Order) -> Vec<Step> {
        let mut steps = self.halt_steps(container);
        let Some(stop) = steps.pop() else { return steps };
        let drain = self.drain(container, order);
        if !drain.is_zero() && self.serves(container) {
            if order == Order::StartFirst || self.others_serve(container) {
                steps.extend(self.withdrawals(container));
            }
            steps.push(Step::Linger(drain));
        }
        steps.push(stop);
        steps
    }

    /// How long a container that goes is left running.
    fn drain(&self, container: &Container, order: Order) -> Duration {
        let name = &container.slot.service;
        let service = self.desired.services.get(name).filter(|_| !self.is_job(name));
        service.map_or(Duration::ZERO, |service| match (service.drain, order) {
            (Some(drain), _) => drain,
            (None, Order::StartFirst) => START_FIRST_DRAIN,
            (None, Order::StopFirst) => Duration::ZERO,
        })
    }

    /// Whether a container runs, and no earlier change of this plan stops it.
    fn serves(&self, container: &Container) -> bool {
        let stops = |step: &Step| match step {
            Step::Stop { container: other, .. } => other.key == container.id.0,
            _ => false,
        };
        let mut steps = self.plan.changes.iter().flat_map(|change| &change.steps);
        container.state == State::Running && !steps.any(stops)
    }

    /// Brings a container back that was stopped by `leave` on its way out: under its names, and started.
    pub(super) fn return_steps(&self, container: &Container, leave: &[Step]) -> Vec<Step> {
        let start = self.start_steps(&container.slot.service, &ContainerRef::of(container));
        self.names_again(container, leave).into_iter().chain(start).collect()
    }

    /// Leads others to a container again where the steps of `leave`, or a pass before, took it out of its
    /// names. It loses the connections that it still has there.
    pub(super) fn names_again(&self, container: &Container, leave: &[Step]) -> Vec<Step> {
        let this = ContainerRef::of(container);
        let withdraws =
            |step: &Step| matches!(step, Step::Withdraw { container: it, .. } if *it == this);
        let leaves = leave.iter().any(withdraws);
        let places = self.places_to_return(container, leaves).into_iter();
        let back = places.flat_map(|(network, endpoint)| {
            let (container, network) = (this.clone(), network.to_owned());
            let leave = Step::Disconnect { container: container.clone(), network: network.clone() };
            [leave, Step::Connect { container, network, endpoint }]
        });
        let absent = self.places_missed(container).into_iter().map(|(network, endpoint)| {
            let (container, network) = (this.clone(), network.to_owned());
            Step::Connect { container, network, endpoint: endpoint.clone() }
        });
        back.chain(absent).collect()
    }

    /// The hooks before the stop of a container that runs. Those of the definition that it was made
    /// of are not known any more: they are the service's of now.
    fn before_stop(&self, container: &Container) -> Option<Step> {
        let service = self.desired.services.get(&container.slot.service)?;
        if service.hooks.pre_stop.is_empty() || !self.serves(container) {
            return None;
        }
        let bound = container.spec.stop_grace_period.unwrap_or(DEFAULT_GRACE);
        let required = false;
        let container = ContainerRef::of(container);
        run(&service.hooks, HookKind::PreStop, &container, bound, required)
    }

    /// Whether other containers of its service serve as well.
    fn others_serve(&self, container: &Container) -> bool {
        self.observed.containers.iter().any(|other| {
            other.slot.service == container.slot.service
                && other.slot != container.slot
                && serves(other)
        })
    }

    fn withdrawals(&self, container: &Container) -> Vec<Step> {
        let this = ContainerRef::of(container);
        let withdraw = |(network, endpoint): (&str, &Endpoint)| Step::Withdraw {
            container: this.clone(),
            network: network.to_owned(),
            endpoint: Box::new(Endpoint { aliases: [].into(), ..endpoint.clone() }),
        };
        self.places_to_leave(container).into_iter().map(withdraw).collect()
    }

    /// The networks that a container can leave and join again without losing its connections: with
    /// ports on the host it would lose those, and only in a subnet that was chosen it can have its
    /// address again.
    fn places_to_leave<'c>(&self, container: &'c Container) -> Vec<(&'c str, &'c Endpoint)> {
        let mut places = self.places(container);
        places.retain(|(_, endpoint)| !endpoint.aliases.is_empty());
        places
    }

    /// The same, with how it is to be found there; unless it `leaves` now only those where nobody finds it.
    /// Of a container that a pass before has withdrawn that is not known any more: it is as the service is
    /// now.
    fn places_to_return<'c>(
        &self,
        container: &'c Container,
        leaves: bool,
    ) -> Vec<(&'c str, Endpoint)> {
        let name = &container.slot.service;
        let now = self.desired.services.get(name).map(|service| &service.container.networking);
        let as_wanted = |network: &str| match now {
            Some(Networking::Networks(networks)) => networks.get(network).map(|it| (**it).clone()),
            _ => None,
        };
        let named = |(network, endpoint): (&'c str, &Endpoint)| {
            if !endpoint.aliases.is_empty() {
                return (network, endpoint.clone());
            }
            let aliases = [name.to_string()].into_iter().collect();
            let by_name = || Endpoint { aliases, ..Endpoint::default() };
            (network, as_wanted(network).unwrap_or_else(by_name))
        };
        let places = self.places(container).into_iter();
        places.filter(|(_, endpoint)| leaves || endpoint.aliases.is_empty()).map(named).collect()
    }

    /// Those of the service's networks from which a container was cut off while it was led to again: that
    /// it was made on, or all if it is on none. It is not joined to those that only its successor has.
    fn places_missed(&self, container: &Container) -> Vec<(&str, &Endpoint)> {
        let service = self.desired.services.get(&container.slot.service);
        let wanted = service.map(|service| &service.container.networking);
        let (Some(Networking::Networks(wanted)), Networking::Networks(there)) =
            (wanted, &container.spec.networking)
        else {
            return Vec::new();
        };
        let made_on = container.spec.labels.get(labels::NETWORKS).map_or("", String::as_str);
        let is_missed = |network: &str| {
            let had = there.is_empty() || made_on.split(',').any(|name| name == network);
            had && !there.contains_key(network)
        };
        let missed = wanted.iter().filter(|(network, _)| is_missed(network));
        missed.map(|(network, endpoint)| (network.as_str(), &**endpoint)).collect()
    }

    fn places<'c>(&self, container: &'c Container) -> Vec<(&'c str, &'c Endpoint)> {
        let Networking::Networks(networks) = &container.spec.networking else { return Vec::new() };
        let stays = |network: &str| {
            let anew = self.made.contains_key(&Object::Network(network.to_owned()));
            let found = self.find_network(network).filter(|_| !anew);
            found.is_some_and(|found| has_chosen_subnets(&found.spec))
        };
        networks
            .iter()
            .filter(|_| container.spec.ports.is_empty())
            .filter(|(network, _)| stays(network))
            .map(|(network, endpoint)| (network.as_str(), &**endpoint))
            .collect()
    }
}

/// Stops a new container that did not come up.
pub(super) fn give_up_steps(wanted: &Wanted<'_>, new: &ContainerRef) -> Vec<Step> {
    let grace = wanted.effective.stop_grace_period;
    let (bound, required) = (grace.unwrap_or(DEFAULT_GRACE), false);
    let hooks = run(&wanted.service.hooks, HookKind::PreStop, new, bound, required);
    hooks.into_iter().chain([Step::Stop { container: new.clone(), grace }]).collect()
}

fn after_start(service: &Service, container: &ContainerRef) -> Option<Step> {
    let bound = service.rolling.start_timeout.unwrap_or(POST_START_BOUND);
    let required = true;
    run(&service.hooks, HookKind::PostStart, container, bound, required)
}

/// Whether a container runs whose hooks after the start have not succeeded yet.
pub(super) fn owes_hooks(service: &Service, container: &Container) -> bool {
    let has_some = !service.hooks.post_start.is_empty();
    has_some && container.owes_hooks && container.state == State::Running
}

/// Goes on with a container that a pass before has started: of its hooks those are run that have not
/// succeeded.
pub(super) fn go_on_steps(service: &Service, container: &Container) -> Vec<Step> {
    let this = ContainerRef::of(container);
    let mut steps = vec![Step::Start(this.clone())];
    if owes_hooks(service, container) {
        steps.extend(after_start(service, &this));
        steps.push(Step::HooksDone(this));
    }
    steps
}

fn run(
    hooks: &Hooks,
    kind: HookKind,
    container: &ContainerRef,
    bound: Duration,
    required: bool,
) -> Option<Step> {
    let hooks = hooks.of(kind);
    (!hooks.is_empty()).then(|| Step::RunHooks {
        container: container.clone(),
        kind,
        hooks: hooks.to_vec(),
        bound,
        required,
    })
}

/// Whether all of a network's subnets were chosen when it was made, as far as we know.
fn has_chosen_subnets(network: &NetworkSpec) -> bool {
    let has_v6 = network.subnets().any(|subnet| matches!(subnet, IpNet::V6(_)));
    let wants_v6 = network.enable_ipv6 == Some(true);
    network.labels.contains_key(labels::POOLS) && (has_v6 || !wants_v6)
}
