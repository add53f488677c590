//! Networks, and a container's place on them.

use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network as a manifest asks for it, or as the engine has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    /// The name on the engine.
    pub name: String,
    /// Made by someone else: looked up, never made, changed or removed.
    pub external: bool,
    /// Absent: the engine's default, `bridge`.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Cut off from the outside.
    pub internal: bool,
    /// Containers may join by hand (swarm networks).
    pub attachable: bool,
    /// Absent: yes (API 1.48).
    pub enable_ipv4: Option<bool>,
    /// Absent: the engine's default.
    pub enable_ipv6: Option<bool>,
    /// Address management; absent: the engine picks a pool.
    pub ipam: Option<Ipam>,
    /// The user's labels; as observed, all labels.
    pub labels: BTreeMap<String, String>,
}

impl NetworkSpec {
    /// The subnets that it asks for, or has.
    pub fn subnets(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.ipam.iter().flat_map(|ipam| &ipam.pools).filter_map(|pool| pool.subnet)
    }

    /// Whether it has addresses of `subnet`.
    pub fn overlaps(&self, subnet: &IpNet) -> bool {
        let net = subnet.trunc();
        let meets = |own: IpNet| own.trunc().contains(&net) || net.contains(&own.trunc());
        self.subnets().any(meets)
    }
}

/// Address management of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ipam {
    /// Absent: `default`.
    pub driver: Option<String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Address pools, in the order written.
    pub pools: Vec<IpamPool>,
}

/// A pool of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct IpamPool {
    /// The subnet.
    pub subnet: Option<IpNet>,
    /// The part of it that containers get addresses from.
    pub ip_range: Option<IpNet>,
    /// The router's address.
    pub gateway: Option<IpAddr>,
    /// Addresses kept free, by host name.
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

/// How a container is joined to networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Networking {
    /// User-defined networks, by their name on the engine. In boxes, since most containers are on one
    /// network and a map has room for many.
    Networks(BTreeMap<String, Box<Endpoint>>),
    /// The engine's default bridge, where names do not resolve (`network_mode: bridge`).
    DefaultBridge,
    /// The host's own network (`network_mode: host`).
    Host,
    /// No network (`network_mode: none`).
    None,
    /// The network of another container, by its name or id (`network_mode: container:NAME`).
    Container(String),
}

/// A container's place on one network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Names under which others on the network find it; as observed, without the container's own
    /// name and short id, which the engine adds.
    pub aliases: BTreeSet<String>,
    /// A static address.
    pub ipv4_address: Option<Ipv4Addr>,
    /// A static address.
    pub ipv6_address: Option<Ipv6Addr>,
    /// Further addresses, of the link alone.
    pub link_local_ips: BTreeSet<IpAddr>,
    /// Its hardware address, lower case with colons (API 1.44). As observed only where our label
    /// says that it was asked for: the engine makes one up otherwise.
    pub mac_address: Option<String>,
    /// The name of its interface in the container (API 1.49).
    pub interface_name: Option<String>,
    /// The network with the highest gives the default route (API 1.48).
    pub gw_priority: i64,
    /// `NAME:ALIAS`: what this container alone finds under a further name.
    pub links: BTreeSet<String>,
    /// Options of the network's driver for this endpoint.
    pub driver_opts: BTreeMap<String, String>,
    /// The network with the highest is joined first. As observed always 0: the engine keeps no
    /// record of it.
    pub priority: i32,
}

impl Networking {
    /// The networks in the order in which they are joined: highest priority first, then by name.
    pub fn joined(&self) -> Vec<(&str, &Endpoint)> {
        let Self::Networks(networks) = self else {
            return Vec::new();
        };
        let mut joined: Vec<_> =
            networks.iter().map(|(name, endpoint)| (name.as_str(), &**endpoint)).collect();
        joined.sort_by_key(|(name, endpoint)| (-i64::from(endpoint.priority), *name));
        joined
    }
}
