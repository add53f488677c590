//! What Compose lets pass and an engine would refuse: checked before a stack is run. It never
//! changes anything.

use super::check::{replicas, services};
use super::node::Node;
use super::notes::Notes;
use super::trail::Trail;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The most containers of one service.
const MAX_REPLICAS: i128 = 10_000;

/// Checks the long form of the services that are on.
pub(crate) fn check(root: &Node, notes: &mut Notes) {
    let services = services(root);
    for (name, service) in &services {
        let path = format!("services.{name}");
        check_host_network(&path, service, notes);
        check_addresses(root, &path, service, notes);
        check_container_name(&path, service, notes);
        check_ports(&path, service, notes);
        check_durations(&path, service, notes);
        check_replicas(&path, service, notes);
    }
    check_host_ports(&services, notes);
}

fn check_host_network(path: &str, service: &Node, notes: &mut Notes) {
    if service.get("network_mode").and_then(Node::as_str) == Some("host")
        && let Some(ports) = service.get("ports").filter(|ports| !ports.items().is_empty())
    {
        notes.error(ports.place(), path, "`ports` cannot be published with `network_mode: host`");
    }
}

/// Each replica is a container: what is meant for a host has a bound.
fn check_replicas(path: &str, service: &Node, notes: &mut Notes) {
    let count = replicas(service);
    if count > MAX_REPLICAS {
        let deploy = service.get("deploy").and_then(|deploy| deploy.get("replicas"));
        let place = deploy.or_else(|| service.get("scale")).map_or(service.mark, Node::place);
        notes.error(place, path, format!("has {count} replicas; at most {MAX_REPLICAS} are run"));
    }
}

fn check_container_name(path: &str, service: &Node, notes: &mut Notes) {
    let Some(written) = service.get("container_name") else { return };
    let name = written.as_str().unwrap_or_default();
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.len() < 2
        || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !name.chars().all(good)
    {
        let rule = "two or more letters, digits, `_`, `.` and `-`, the first a letter or digit";
        let path = format!("{path}.container_name");
        notes.error(written.mark, &path, format!("`{name}` is no container name: {rule}"));
    }
}

fn check_ports(path: &str, service: &Node, notes: &mut Notes) {
    for (index, port) in
        service.get("ports").map(Node::items).unwrap_or_default().iter().enumerate()
    {
        let path = Trail::Start(path);
        let path = path.key("ports");
        let path = path.item(index);
        let protocol = port.get("protocol").and_then(Node::as_str).unwrap_or_default();
        if !["tcp", "udp", "sctp"].contains(&protocol) {
            let message = format!("`{protocol}` is no protocol: tcp, udp or sctp");
            notes.error(port.mark, path, message);
        }
        if !matches!(port.get("target").and_then(Node::as_int), Some(1..=65535)) {
            notes.error(port.mark, path, "`target` is a port from 1 to 65535");
        }
    }
}

/// No duration is below zero; Compose reads such and no engine takes them.
fn check_durations(path: &str, service: &Node, notes: &mut Notes) {
    let health = service.get("healthcheck");
    let deploy = service.get("deploy");
    let mut refuse_below_zero = |node: Option<&Node>, keys: &[&str]| {
        for node in keys.iter().filter_map(|key| node?.get(key)) {
            if let Some(text) = node.as_str().filter(|text| text.starts_with('-')) {
                notes.error(node.place(), path, format!("`{text}` is below zero"));
            }
        }
    };
    refuse_below_zero(Some(service), &["stop_grace_period"]);
    refuse_below_zero(health, &["interval", "timeout", "start_period", "start_interval"]);
    for section in ["update_config", "rollback_config", "restart_policy"] {
        let section = deploy.and_then(|deploy| deploy.get(section));
        refuse_below_zero(section, &["delay", "monitor", "window"]);
    }
}

fn check_addresses(root: &Node, path: &str, service: &Node, notes: &mut Notes) {
    for (network, endpoint) in service.get("networks").into_iter().flat_map(Node::entries) {
        for key in ["ipv4_address", "ipv6_address"] {
            let Some(written) = endpoint.get(key) else { continue };
            let path = format!("{path}.networks.{network}.{key}");
            if replicas(service) > 1 {
                notes.error(written.mark, &path, "is one address, and there are several replicas");
            }
            let Some(address) = written.as_str().and_then(|text| text.parse::<IpAddr>().ok())
            else {
                continue;
            };
            let subnets = subnets(root, network);
            if !subnets.is_empty() && !subnets.iter().any(|subnet| subnet.contains(&address)) {
                let message = format!("{address} lies in no subnet of network `{network}`");
                notes.error(written.mark, &path, message);
            }
        }
    }
}

/// The subnets that a network declares.
fn subnets(root: &Node, network: &str) -> Vec<ipnet::IpNet> {
    let declared = root.get("networks").and_then(|all| all.get(network));
    let pools = declared.and_then(|spec| spec.get("ipam")?.get("config")).map(Node::items);
    let subnet = |pool: &Node| pool.get("subnet")?.as_str()?.parse().ok();
    pools.unwrap_or_default().iter().filter_map(subnet).collect()
}

fn check_host_ports(services: &BTreeMap<&str, &Node>, notes: &mut Notes) {
    let mut taken: BTreeMap<(String, String), Vec<(String, &str)>> = BTreeMap::new();
    for (service, node) in services {
        for port in node.get("ports").map(Node::items).unwrap_or_default() {
            let text = |key: &str| port.get(key).and_then(Node::text).unwrap_or_default();
            let published = text("published");
            if published.is_empty() || published == "0" || published.contains('-') {
                continue;
            }
            let path = format!("services.{service}.ports");
            if replicas(node) > 1 {
                let message =
                    format!("host port {published} is one, and there are several replicas");
                notes.error(port.place(), &path, message);
            }
            let holders = taken.entry((published.clone(), text("protocol"))).or_default();
            let ip = text("host_ip");
            let all = |ip: &str| ["", "0.0.0.0", "::"].contains(&ip);
            let clash = holders.iter().find(|(other, _)| *other == ip || all(other) || all(&ip));
            if let Some((_, other)) = clash {
                let message = if other == service {
                    format!("host port {published} is published twice")
                } else {
                    format!("host port {published} is published by `{other}` already")
                };
                notes.error(port.place(), &path, message);
            }
            holders.push((ip, service));
        }
    }
}
