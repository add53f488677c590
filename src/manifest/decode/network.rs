//! Networks and a service's place on them. It never looks at a container.

use super::{At, Whole, flag, pairs, section, text, texts};
use crate::manifest::node::Node;
use crate::model::{Endpoint, Ipam, IpamPool, NetworkSpec, Networking};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub(crate) fn network(node: &Node, at: &mut At<'_>) -> NetworkSpec {
    NetworkSpec {
        name: text(node, "name").unwrap_or_default(),
        external: flag(node, "external"),
        driver: text(node, "driver"),
        driver_opts: pairs(node, "driver_opts"),
        internal: flag(node, "internal"),
        attachable: flag(node, "attachable"),
        enable_ipv4: node.get("enable_ipv4").and_then(Node::as_bool),
        enable_ipv6: node.get("enable_ipv6").and_then(Node::as_bool),
        ipam: node.get("ipam").and_then(|ipam| decode_ipam(ipam, at)),
        labels: pairs(node, "labels"),
    }
}

fn decode_ipam(node: &Node, at: &mut At<'_>) -> Option<Ipam> {
    let items = node.get("config").map(Node::items).unwrap_or_default();
    let ipam = Ipam {
        driver: text(node, "driver"),
        options: pairs(node, "options"),
        pools: items.iter().map(|item| pool(item, at)).collect(),
    };
    (ipam != Ipam::default()).then_some(ipam)
}

fn pool(node: &Node, at: &mut At<'_>) -> IpamPool {
    let mut aux_addresses = BTreeMap::new();
    for (host, address) in section(node, "aux_addresses") {
        match address.as_str().and_then(|text| text.parse().ok()) {
            Some(ip) => drop(aux_addresses.insert(host.to_string(), ip)),
            None => at.fail(address.mark, "ipam.config", "an auxiliary address is no IP address"),
        }
    }
    IpamPool {
        subnet: at.parsed(node, "subnet", "subnet, such as 10.0.0.0/24"),
        ip_range: at.parsed(node, "ip_range", "range, such as 10.0.0.0/25"),
        gateway: at.parsed(node, "gateway", "IP address"),
        aux_addresses,
    }
}

/// How the service `key` is joined.
pub(crate) fn networking(
    whole: &Whole<'_>,
    key: &str,
    service: &Node,
    at: &mut At<'_>,
) -> Networking {
    if let Some(mode) = service.get("network_mode") {
        let networking = shared(whole, mode, at);
        refuse_on_no_network(service, at);
        return networking;
    }
    let mut joined = BTreeMap::new();
    let links = links(service);
    for (network, node) in section(service, "networks") {
        let declared = whole.root.get("networks").and_then(|all| all.get(network));
        let Some(name) = declared.and_then(|spec| text(spec, "name")) else { continue };
        let mut aliases: BTreeSet<String> = texts(node, "aliases");
        aliases.insert(key.to_owned());
        let endpoint = Endpoint {
            aliases,
            ipv4_address: at.parsed(node, "ipv4_address", "IPv4 address"),
            ipv6_address: at.parsed(node, "ipv6_address", "IPv6 address"),
            link_local_ips: local_addresses(node, at),
            mac_address: mac_address(node, at),
            interface_name: text(node, "interface_name"),
            gw_priority: at.number(node, "gw_priority").unwrap_or(0),
            links: links.clone(),
            driver_opts: pairs(node, "driver_opts"),
            priority: at.number(node, "priority").unwrap_or(0),
        };
        joined.insert(name, Box::new(endpoint));
    }
    let mut networking = Networking::Networks(joined);
    if let Some(address) = mac_address(service, at) {
        give_to_first(&mut networking, address, service, at);
    }
    networking
}

fn shared(whole: &Whole<'_>, mode: &Node, at: &mut At<'_>) -> Networking {
    let text = mode.as_str().unwrap_or_default();
    match text {
        "host" => Networking::Host,
        "none" => Networking::None,
        "bridge" => Networking::DefaultBridge,
        _ => match whole.shared_container(text) {
            Some(container) if container.is_empty() => {
                let message = "names nothing; write service:NAME or container:NAME";
                at.fail(mode.mark, "network_mode", message);
                Networking::None
            }
            Some(container) => Networking::Container(container),
            // Some network that is there already; no name leads to the service on it.
            None => Networking::Networks([(text.to_owned(), Box::default())].into()),
        },
    }
}

/// What needs a network of the stack's own.
fn refuse_on_no_network(service: &Node, at: &mut At<'_>) {
    for key in ["links", "external_links", "mac_address"] {
        if let Some(node) =
            service.get(key).filter(|node| node.as_seq().is_none_or(|items| !items.is_empty()))
        {
            at.fail(node.place(), key, "excludes `network_mode`; take one of them out");
        }
    }
}

/// `NAME:ALIAS` for those that have another name here. Names are found on every network that both
/// sides are on, so a link without an alias has nothing to add.
fn links(service: &Node) -> BTreeSet<String> {
    let all: Vec<String> =
        ["links", "external_links"].iter().flat_map(|key| texts::<Vec<_>>(service, key)).collect();
    all.into_iter().filter(|link| link.contains(':')).collect()
}

fn local_addresses(node: &Node, at: &mut At<'_>) -> BTreeSet<IpAddr> {
    let mut addresses = BTreeSet::new();
    for item in node.get("link_local_ips").map(Node::items).unwrap_or_default() {
        let text = item.text().unwrap_or_default();
        match text.parse() {
            Ok(address) => drop(addresses.insert(address)),
            Err(_) => at.fail(item.mark, "link_local_ips", format!("`{text}` is no IP address")),
        }
    }
    addresses
}

fn mac_address(node: &Node, at: &mut At<'_>) -> Option<String> {
    let written = node.get("mac_address")?;
    let text = written.text().unwrap_or_default().to_ascii_lowercase().replace('-', ":");
    let pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() == 6 && parts.into_iter().all(pair) {
        return Some(text);
    }
    let message = format!("`{text}` is no hardware address, such as 02:42:ac:11:00:03");
    at.fail(written.mark, "mac_address", message);
    None
}

/// The address of a service is the one on the network that it joins first.
fn give_to_first(networking: &mut Networking, address: String, service: &Node, at: &mut At<'_>) {
    let first = networking.joined().first().map(|(name, _)| (*name).to_owned());
    let Networking::Networks(networks) = networking else { return };
    let Some(endpoint) = first.and_then(|name| networks.get_mut(&name)) else { return };
    match &endpoint.mac_address {
        Some(own) if *own != address => {
            let mark = service.get("mac_address").map(Node::place).unwrap_or_default();
            at.fail(mark, "mac_address", "differs from that of the service's first network");
        }
        _ => endpoint.mac_address = Some(address),
    }
}
