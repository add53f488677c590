//! A container's place on networks, read into the model.

use super::write_networking::INTERFACE_NAME;
use crate::model::{Endpoint, Networking};
use bollard::models::{EndpointSettings, HostConfig};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

/// The name of the engine's default network.
const BRIDGE: &str = "bridge";

/// How the container `id`, called `name`, is joined to `networks`.
pub(super) fn read(
    config: &HostConfig,
    networks: &HashMap<String, EndpointSettings>,
    id: &str,
    name: &str,
) -> Result<Networking, String> {
    let mode = config.network_mode.as_deref().unwrap_or_default();
    let only_bridge = networks.keys().all(|network| network == BRIDGE);
    match mode {
        "host" => return Ok(Networking::Host),
        "none" if networks.keys().all(|network| network == "none") => return Ok(Networking::None),
        "" | "default" | BRIDGE if only_bridge => return Ok(Networking::DefaultBridge),
        _ => {}
    }
    if let Some(other) = mode.strip_prefix("container:") {
        return Ok(Networking::Container(other.to_owned()));
    }
    let mut joined = BTreeMap::new();
    for (network, settings) in networks {
        let endpoint = endpoint(settings, id, name).map_err(|why| format!("{network}: {why}"))?;
        joined.insert(network.clone(), Box::new(endpoint));
    }
    Ok(Networking::Networks(joined))
}

/// Where the host reaches a container of this network mode.
pub(super) fn reached_at(
    mode: &str,
    networks: &HashMap<String, EndpointSettings>,
) -> Option<IpAddr> {
    if mode == "host" {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let networks: BTreeMap<_, _> = networks.iter().collect();
    let parsed = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
    let v4 = networks.values().find_map(|endpoint| parsed(&endpoint.ip_address));
    v4.or_else(|| networks.values().find_map(|endpoint| parsed(&endpoint.global_ipv6_address)))
}

/// Leaves out the networks that a running container is not on: when joining one fails, the engine
/// keeps what was asked for, but there is no endpoint.
pub(super) fn drop_unreached(networks: &mut HashMap<String, EndpointSettings>) {
    networks.retain(|_, settings| settings.endpoint_id.as_deref().is_some_and(|id| !id.is_empty()));
}

fn endpoint(settings: &EndpointSettings, id: &str, name: &str) -> Result<Endpoint, String> {
    let given = settings.ipam_config.clone().unwrap_or_default();
    let mut driver_opts: BTreeMap<_, _> =
        settings.driver_opts.clone().unwrap_or_default().into_iter().collect();
    let local = given.link_local_ips.unwrap_or_default().into_iter();
    Ok(Endpoint {
        aliases: settings
            .aliases
            .iter()
            .flatten()
            .filter(|alias| *alias != name && !is_short_id(alias, id))
            .cloned()
            .collect(),
        ipv4_address: address(given.ipv4_address)?,
        ipv6_address: address(given.ipv6_address)?,
        link_local_ips: local
            .filter_map(|text| address(Some(text)).transpose())
            .collect::<Result<_, _>>()?,
        mac_address: settings.mac_address.clone().filter(|mac| !mac.is_empty()),
        interface_name: driver_opts.remove(INTERFACE_NAME),
        gw_priority: settings.gw_priority.unwrap_or_default(),
        links: settings.links.iter().flatten().cloned().collect(),
        driver_opts,
        priority: 0,
    })
}

fn is_short_id(alias: &str, id: &str) -> bool {
    id.get(..12) == Some(alias)
}

fn address<T: std::str::FromStr>(text: Option<String>) -> Result<Option<T>, String> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| format!("`{text}` is no address")),
    }
}
