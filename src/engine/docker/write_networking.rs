//! A container's place on networks, written for the engine.

use crate::model::{Endpoint, EngineFacts, Networking};
use bollard::models::{EndpointIpamConfig, EndpointSettings, NetworkingConfig};
use std::collections::HashMap;

/// How a container's networks are said to the engine.
#[derive(Debug)]
pub(super) struct Joining<'a> {
    /// What its network mode is; absent: the engine's choice, its default bridge.
    pub mode: Option<String>,
    /// What is said when it is made.
    pub at_create: Option<NetworkingConfig>,
    /// What is joined after it is made and before it starts.
    pub after: Vec<(&'a str, &'a Endpoint)>,
}

/// Engines before API 1.44 take one network when a container is made. No network at all leaves the
/// choice to the engine, as [`Networking::None`] does not.
pub(super) fn write<'a>(networking: &'a Networking, facts: &EngineFacts) -> Joining<'a> {
    let joined = networking.joined();
    let mode = match networking {
        Networking::Networks(_) => joined.first().map(|(name, _)| (*name).to_owned()),
        Networking::DefaultBridge => Some("bridge".to_owned()),
        Networking::Host => Some("host".to_owned()),
        Networking::None => Some("none".to_owned()),
        Networking::Container(other) => Some(format!("container:{other}")),
    };
    let many = facts.joins_several_networks_at_create();
    let at_once = if many { joined.len() } else { joined.len().min(1) };
    let (now, after) = joined.split_at(at_once);
    let endpoints = now.iter().map(|(name, place)| ((*name).to_owned(), endpoint(place)));
    let at_create =
        (!now.is_empty()).then(|| NetworkingConfig { endpoints_config: Some(endpoints.collect()) });
    Joining { mode, at_create, after: after.to_vec() }
}

/// The option of an endpoint that names its interface.
pub(super) const INTERFACE_NAME: &str = "com.docker.network.endpoint.ifname";

/// One place on one network.
pub(super) fn endpoint(endpoint: &Endpoint) -> EndpointSettings {
    let local: Vec<String> = endpoint.link_local_ips.iter().map(ToString::to_string).collect();
    let fixed = endpoint.ipv4_address.is_some() || endpoint.ipv6_address.is_some();
    let interface = endpoint.interface_name.clone().map(|name| (INTERFACE_NAME.to_owned(), name));
    let options = endpoint.driver_opts.clone().into_iter().chain(interface);
    EndpointSettings {
        aliases: Some(endpoint.aliases.iter().cloned().collect()),
        ipam_config: (fixed || !local.is_empty()).then(|| EndpointIpamConfig {
            ipv4_address: endpoint.ipv4_address.map(|address| address.to_string()),
            ipv6_address: endpoint.ipv6_address.map(|address| address.to_string()),
            link_local_ips: (!local.is_empty()).then_some(local),
        }),
        links: (!endpoint.links.is_empty()).then(|| endpoint.links.iter().cloned().collect()),
        mac_address: endpoint.mac_address.clone(),
        gw_priority: (endpoint.gw_priority != 0).then_some(endpoint.gw_priority),
        driver_opts: Some(options.collect::<HashMap<_, _>>()).filter(|options| !options.is_empty()),
        ..EndpointSettings::default()
    }
}
