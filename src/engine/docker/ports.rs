//! Ports between the engine's texts (`80/tcp`, `8000-9000`) and the model.

use crate::model::{ContainerPort, HostPorts, PortBinding, Protocol};
use bollard::models::{self, PortMap, PortSummary, PortSummaryTypeEnum};
use std::collections::{BTreeMap, BTreeSet};

/// Reads `80/tcp`.
pub(super) fn container_port(text: &str) -> Option<ContainerPort> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return None,
    };
    Some(ContainerPort { port: port.parse().ok()?, protocol })
}

/// The bindings of a container, or the text that is none.
pub(super) fn read_bindings(map: Option<&PortMap>) -> Result<BTreeSet<PortBinding>, String> {
    let mut bindings = BTreeSet::new();
    for (key, hosts) in map.into_iter().flatten() {
        let container = container_port(key).ok_or_else(|| key.clone())?;
        for host in hosts.iter().flatten() {
            bindings.insert(PortBinding {
                container,
                host_ip: match host.host_ip.as_deref().unwrap_or_default() {
                    "" => None,
                    ip => Some(ip.parse().map_err(|_| ip.to_owned())?),
                },
                host: host_ports(host.host_port.as_deref().unwrap_or_default())?,
            });
        }
    }
    Ok(bindings)
}

/// What the engine wants to hear about published ports.
pub(super) fn write_bindings(ports: &BTreeSet<PortBinding>) -> PortMap {
    let mut map: BTreeMap<String, Vec<models::PortBinding>> = BTreeMap::new();
    for port in ports {
        map.entry(port.container.to_string()).or_default().push(models::PortBinding {
            host_ip: Some(port.host_ip.map(|ip| ip.to_string()).unwrap_or_default()),
            host_port: Some(port.host.map(|host| host.to_string()).unwrap_or_default()),
        });
    }
    map.into_iter().map(|(key, hosts)| (key, Some(hosts))).collect()
}

/// The host ports that a container of the list holds now.
pub(super) fn held(ports: &[PortSummary]) -> Vec<PortBinding> {
    let mut held: Vec<_> = ports.iter().filter_map(held_port).collect();
    held.sort_unstable();
    // The same port on all IPv4 and on all IPv6 addresses is listed twice.
    held.dedup();
    held
}

fn held_port(port: &PortSummary) -> Option<PortBinding> {
    let public = port.public_port.filter(|&public| public != 0)?;
    let protocol = match port.typ {
        Some(PortSummaryTypeEnum::UDP) => Protocol::Udp,
        Some(PortSummaryTypeEnum::SCTP) => Protocol::Sctp,
        Some(PortSummaryTypeEnum::TCP | PortSummaryTypeEnum::EMPTY) | None => Protocol::Tcp,
    };
    Some(PortBinding {
        container: ContainerPort { port: port.private_port, protocol },
        host_ip: port
            .ip
            .as_deref()
            .and_then(|ip| ip.parse().ok())
            .filter(|ip: &std::net::IpAddr| !ip.is_unspecified()),
        host: Some(HostPorts { first: public, last: public }),
    })
}

fn host_ports(text: &str) -> Result<Option<HostPorts>, String> {
    let wrong = |_| text.to_owned();
    match text {
        "" | "0" => Ok(None),
        text => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let first = first.parse().map_err(wrong)?;
            let last = last.parse().map_err(wrong)?;
            Ok(Some(HostPorts { first, last }))
        }
    }
}
