//! Networks and a service's place on them. It never looks at a container.

use super::{At, flag, pairs, section, text, texts};
use crate::manifest::node::Node;
use crate::model::{Endpoint, Ipam, IpamPool, NetworkSpec, Networking};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn network(node: &Node, at: &mut At<'_>) -> NetworkSpec {
    NetworkSpec {
        name: text(node, "name").unwrap_or_default(),
        external: flag(node, "external"),
        driver: text(node, "driver"),
        driver_opts: pairs(node, "driver_opts"),
        internal: flag(node, "internal"),
        attachable: flag(node, "attachable"),
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
            Some(ip) => drop(aux_addresses.insert(host.clone(), ip)),
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
pub(crate) fn networking(root: &Node, key: &str, service: &Node, at: &mut At<'_>) -> Networking {
    if let Some(mode) = service.get("network_mode") {
        let text = mode.as_str().unwrap_or_default();
        return match text {
            "host" => Networking::Host,
            "none" => Networking::None,
            "bridge" => Networking::DefaultBridge,
            _ => {
                if let Some(name) = text.strip_prefix("container:").filter(|name| !name.is_empty())
                {
                    Networking::Container(name.to_owned())
                } else {
                    let message = format!(
                        "`{text}` is not supported yet; write host, none, bridge or container:NAME"
                    );
                    at.fail(mode.mark, "network_mode", message);
                    Networking::None
                }
            }
        };
    }
    let mut joined = BTreeMap::new();
    for (network, node) in section(service, "networks") {
        let declared = root.get("networks").and_then(|all| all.get(network));
        let Some(name) = declared.and_then(|spec| text(spec, "name")) else { continue };
        let mut aliases: BTreeSet<String> = texts(node, "aliases");
        aliases.insert(key.to_owned());
        let endpoint = Endpoint {
            aliases,
            ipv4_address: at.parsed(node, "ipv4_address", "IPv4 address"),
            ipv6_address: at.parsed(node, "ipv6_address", "IPv6 address"),
            driver_opts: pairs(node, "driver_opts"),
            priority: at.number(node, "priority").unwrap_or(0),
        };
        joined.insert(name, endpoint);
    }
    Networking::Networks(joined)
}
