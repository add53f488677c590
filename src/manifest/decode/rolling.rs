//! How the containers of one service are exchanged. What Swarm refuses is refused.

use super::{At, duration, text};
use crate::manifest::node::Node;
use crate::manifest::settings::OfRolling;
use crate::manifest::shape::suggestion;
use crate::model::{
    CanaryCheck, ContainerSpec, FailureAction, MountSource, Networking, Order, Ratio, Rolling,
    UpdatePolicy,
};
use std::time::Duration;

pub(super) fn rolling(
    service: &Node,
    settings: &OfRolling,
    container: &ContainerSpec,
    replicas: u32,
    at: &mut At<'_>,
) -> Rolling {
    // Two containers that write to the same files at once are for their owner to allow.
    let shares_data = replicas <= 1 && writes(container);
    let order = if shares_data { Order::StopFirst } else { settings.order };
    check_canary(service, settings, container, at);
    let deploy = service.get("deploy");
    let mut read = |section: &str, actions: &[&str]| {
        deploy.and_then(|deploy| deploy.get(section)).map_or_else(
            || UpdatePolicy { order, ..UpdatePolicy::default() },
            |node| policy(node, section, actions, order, at),
        )
    };
    Rolling {
        update: read("update_config", &["pause", "continue", "rollback"]),
        rollback: read("rollback_config", &["pause", "continue"]),
        start_timeout: settings.start_timeout,
        canary: settings.canary.clone(),
    }
}

/// A page can be asked for only where the host reaches the container.
fn check_canary(service: &Node, settings: &OfRolling, container: &ContainerSpec, at: &mut At<'_>) {
    let mut checks = settings.canary.iter().flat_map(|canary| &canary.checks);
    let asks_for_a_page = checks.any(|check| matches!(check, CanaryCheck::Http { .. }));
    let has_no_address =
        matches!(container.networking, Networking::None | Networking::Container(_));
    if asks_for_a_page && has_no_address {
        let mark = service.get("network_mode").map_or(service.mark, Node::place);
        let message =
            "asks each container at its own address, and with this `network_mode` it has none";
        at.fail(mark, "x-bowline.canary.http", message);
    }
}

/// Whether a container writes to what outlives it.
fn writes(container: &ContainerSpec) -> bool {
    container.mounts.values().any(|mount| {
        let stays = matches!(mount.source, MountSource::Volume { .. } | MountSource::Bind(_));
        stays && !mount.read_only
    })
}

fn policy(
    node: &Node,
    section: &str,
    actions: &[&str],
    order: Order,
    at: &mut At<'_>,
) -> UpdatePolicy {
    let key = |key: &str| format!("deploy.{section}.{key}");
    let number = |name: &str, default: u32| {
        let found = node.get(name).and_then(Node::as_int);
        found.map_or(default, |number| u32::try_from(number).unwrap_or(u32::MAX))
    };
    let parallelism = number("parallelism", 1);
    let failure_action = text(node, "failure_action").and_then(|word| {
        let action = match word.as_str() {
            "pause" => Some(FailureAction::Pause),
            "continue" => Some(FailureAction::Continue),
            "rollback" => Some(FailureAction::Rollback),
            _ => None,
        };
        if !actions.contains(&word.as_str()) {
            let mark = node.get("failure_action").map_or(node.mark, Node::place);
            let message = format!("must be {}, not `{word}`", actions.join(" or "));
            let help = suggestion(&word, actions.iter().copied());
            at.fail_with_help(mark, &key("failure_action"), message, help);
        }
        action
    });
    let share = node.get("max_failure_ratio").and_then(Node::text);
    let ratio = share.and_then(|text| text.parse().ok()).map(Ratio::new);
    if ratio == Some(None) {
        let mark = node.get("max_failure_ratio").map_or(node.mark, Node::place);
        at.fail(mark, &key("max_failure_ratio"), "must be from 0 to 1".to_owned());
    }
    UpdatePolicy {
        parallelism,
        delay: duration(node, "delay").unwrap_or_default(),
        // Swarm takes 0 for "not said".
        monitor: duration(node, "monitor").filter(|monitor| *monitor > Duration::ZERO),
        max_failure_ratio: ratio.flatten().unwrap_or_default(),
        failure_action,
        order: match text(node, "order").as_deref() {
            Some("start-first") => Order::StartFirst,
            Some("stop-first") => Order::StopFirst,
            _ => order,
        },
    }
}
