//! How the changes of one service's containers are paced: numbers for the rollout, and which
//! container of a slot runs first.

use super::{Action, Aim, ContainerRef, Draft, Problem};
use crate::model::{
    Canary, Container, ContainerSpec, FailureAction, Health, HostPorts, Networking, Order, Ratio,
    RollbackPolicy, Service, ServiceName, Slot, State, UpdatePolicy,
};
use jiff::Timestamp;
use std::time::Duration;

/// The numbers that the rollout of one service keeps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// How many slots are exchanged at once; 0: all.
    pub parallelism: usize,
    /// How long a slot keeps its place once it is up.
    pub delay: Duration,
    /// How long a slot is watched once it is up.
    pub monitor: Duration,
    /// The share of the slots that may fail.
    pub max_failure_ratio: Ratio,
    /// What more failures lead to.
    pub failure_action: FailureAction,
    /// Which container of a slot runs first.
    pub order: Order,
    /// How many slots come first, and how long they are watched before the others.
    pub canary: Option<(usize, Duration)>,
}

/// The changes of one service that follow a pace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paced {
    /// The service.
    pub service: ServiceName,
    /// Its pace.
    pub pace: Pace,
    /// The changes, in the order in which they are begun.
    pub changes: Vec<Turn>,
    /// Containers that are as they should be and may still be watched.
    pub standing: Vec<Standing>,
    /// How long a container may take to be up once it was started; of a job, for how long it is seen
    /// whether it ends well.
    pub bound: Duration,
    /// Whether it is to run to its end.
    pub is_job: bool,
    /// Whether it leads to something that is not known to hold, rather than repairs what is.
    pub is_update: bool,
    /// The first slots, where more is asked about them than their health.
    pub canary: Option<Canary>,
}

/// One of these changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Its index in [`Plan::changes`](super::Plan::changes).
    pub change: usize,
    /// Its place.
    pub slot: Slot,
    /// What runs there once it is done.
    pub container: ContainerRef,
    /// Whether it takes something out of service, and ends only when the container is up.
    pub exchanges: bool,
}

/// A container that needs no change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its place.
    pub slot: Slot,
    /// Which.
    pub container: ContainerRef,
    /// When it was started.
    pub started: Timestamp,
    /// Whether its health check has not come to a verdict yet.
    pub is_coming_up: bool,
}

impl Action {
    /// Whether it takes a container that serves out of service, so that it needs a place.
    pub fn exchanges(self) -> bool {
        matches!(self, Self::Replace | Self::Restart)
    }
}

impl Draft<'_> {
    /// Notes at which pace `changes` are made.
    pub(super) fn pace(
        &mut self,
        name: &ServiceName,
        service: &Service,
        aim: Aim,
        changes: Vec<Turn>,
        standing: Vec<Standing>,
    ) {
        if self.is_job(name) {
            self.pace_job(name, service, aim, changes);
            return;
        }
        if changes.is_empty() && standing.is_empty() {
            return;
        }
        let rolling = &service.rolling;
        let policy = match aim {
            Aim::Hold | Aim::Update => &rolling.update,
            Aim::Rollback => &rolling.rollback,
        };
        let order = self.order_of(name, service);
        let pace = match aim {
            // What is known to hold is repaired: nothing is watched, and a failure ends it.
            Aim::Hold => Pace {
                delay: Duration::ZERO,
                monitor: Duration::ZERO,
                max_failure_ratio: Ratio::default(),
                failure_action: FailureAction::Pause,
                canary: None,
                ..self.numbers(aim, policy, order)
            },
            Aim::Update => Pace {
                canary: rolling.canary.as_ref().map(|canary| {
                    (usize::try_from(canary.slots).unwrap_or(usize::MAX), canary.hold)
                }),
                ..self.numbers(aim, policy, order)
            },
            Aim::Rollback => self.numbers(aim, policy, order),
        };
        let bound = self.up_bound(name);
        let is_update = aim != Aim::Hold;
        let is_checked = |canary: &&Canary| aim == Aim::Update && !canary.checks.is_empty();
        let canary = rolling.canary.as_ref().filter(is_checked).cloned();
        let (service, is_job) = (name.clone(), false);
        let paced = Paced { service, pace, changes, standing, bound, is_job, is_update, canary };
        self.plan.paced.push(paced);
    }

    /// A job of an update has all its containers run at once, each until it ends; what is only kept or gone
    /// back to judges no definition.
    fn pace_job(&mut self, name: &ServiceName, service: &Service, aim: Aim, changes: Vec<Turn>) {
        if aim != Aim::Update || changes.is_empty() {
            return;
        }
        let numbers = self.numbers(aim, &service.rolling.update, Order::StopFirst);
        let (delay, monitor) = (Duration::ZERO, Duration::ZERO);
        let pace = Pace { parallelism: 0, delay, monitor, ..numbers };
        let turns = changes.into_iter().map(|turn| Turn { exchanges: false, ..turn });
        self.plan.paced.push(Paced {
            service: name.clone(),
            pace,
            changes: turns.collect(),
            standing: Vec::new(),
            bound: self.up_bound(name),
            is_job: true,
            is_update: true,
            canary: None,
        });
    }

    /// What the plan is for as far as a service is concerned: another image under the name with which it
    /// is known to hold makes an update of it.
    pub(super) fn aim_for(&self, name: &ServiceName, service: &Service) -> Aim {
        let aim = match self.around.aim {
            _ if self.around.kept.contains(name) => Aim::Hold,
            Aim::Rollback if !self.goes_back(name) => Aim::Update,
            aim => aim,
        };
        let held_with = self.around.held_with.get(name).filter(|_| aim == Aim::Hold);
        let now = self.image_of(service).map(|image| &image.id);
        let moved = held_with.is_some_and(|held_with| now.is_some_and(|now| now != held_with));
        if moved { Aim::Update } else { aim }
    }

    /// Whether going back concerns a service.
    fn goes_back(&self, name: &ServiceName) -> bool {
        let back = &self.around.back;
        back.is_empty() || back.contains(name)
    }

    fn numbers(&self, aim: Aim, policy: &UpdatePolicy, order: Order) -> Pace {
        Pace {
            parallelism: usize::try_from(policy.parallelism).unwrap_or(usize::MAX),
            delay: policy.delay,
            monitor: policy.monitor.unwrap_or(self.around.monitor),
            max_failure_ratio: policy.max_failure_ratio,
            failure_action: policy.failure_action.unwrap_or_else(|| self.default_action(aim)),
            order,
            canary: None,
        }
    }

    /// What a failure leads to where the service does not say.
    fn default_action(&self, aim: Aim) -> FailureAction {
        match (aim, self.desired.policy.rollback) {
            (Aim::Update, RollbackPolicy::Auto) => FailureAction::Rollback,
            _ => FailureAction::Pause,
        }
    }

    /// Which container of a slot runs first, given what is possible.
    pub(super) fn order_of(&self, name: &ServiceName, service: &Service) -> Order {
        match (self.asked_order(name, service), start_first_obstacle(service)) {
            (Order::StartFirst, None) => Order::StartFirst,
            (Order::StartFirst, Some(_)) | (Order::StopFirst, _) => Order::StopFirst,
        }
    }

    fn asked_order(&self, name: &ServiceName, service: &Service) -> Order {
        match self.aim_for(name, service) {
            Aim::Hold | Aim::Update => service.rolling.update.order,
            Aim::Rollback => service.rolling.rollback.order,
        }
    }

    /// Says why the order asked for is not kept, where something is replaced.
    pub(super) fn note_order(&self, name: &ServiceName, service: &Service) -> Option<Problem> {
        if self.asked_order(name, service) == Order::StopFirst {
            return None;
        }
        let obstacle = start_first_obstacle(service)?;
        let section = match self.aim_for(name, service) {
            Aim::Hold | Aim::Update => "update_config",
            Aim::Rollback => "rollback_config",
        };
        let field = format!("services.{name}.deploy.{section}.order");
        let message = format!(
            "start-first is not possible with {obstacle}: each container is stopped before the next one starts"
        );
        Some(self.problem(field, message))
    }
}

/// A container that stays as it is, if it runs.
pub(super) fn standing(slot: &Slot, container: &Container) -> Option<Standing> {
    let started = container.started.filter(|_| container.state == State::Running)?;
    Some(Standing {
        slot: slot.clone(),
        container: ContainerRef::of(container),
        started,
        is_coming_up: container.health == Health::Starting,
    })
}

/// Why two containers of a service cannot run beside each other.
fn start_first_obstacle(service: &Service) -> Option<String> {
    let spec: &ContainerSpec = &service.container;
    if service.container_name.is_some() {
        return Some("a `container_name`".to_owned());
    }
    // One more than the replicas must find a port.
    let is_scarce = |ports: &HostPorts| u32::from(ports.last - ports.first) < service.replicas;
    if let Some(ports) = spec.ports.iter().filter_map(|port| port.host).find(is_scarce) {
        let kind = if ports.first == ports.last { "port" } else { "ports" };
        return Some(format!("the host {kind} {ports}"));
    }
    match &spec.networking {
        Networking::Host => Some("the host's network".to_owned()),
        Networking::Container(_) => Some("the network of another container".to_owned()),
        Networking::None | Networking::DefaultBridge => None,
        Networking::Networks(networks) => {
            let fixed = networks.iter().find(|(_, endpoint)| {
                endpoint.ipv4_address.is_some()
                    || endpoint.ipv6_address.is_some()
                    || endpoint.mac_address.is_some()
            });
            fixed.map(|(name, _)| format!("a fixed address on the network {name}"))
        }
    }
}
