//! Networks, their addresses, and who is on them.

use super::catalogue::Key;
use super::state::{Attachment, SimContainer, SimNetwork, World, not_found, refused};
use crate::engine::EngineError;
use crate::model::{Endpoint, Ipam, IpamPool, NetworkSpec, State};
use crate::plan::ContainerRef;
use ipnet::{IpNet, Ipv4Net};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// The networks that every engine has; none of them can be removed.
const BUILT_IN: [&str; 3] = ["bridge", "host", "none"];

impl Attachment {
    /// A place that was asked for.
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        let endpoint = Endpoint { priority: 0, ..endpoint.clone() };
        Self { endpoint, ..Self::default() }
    }
}

impl World {
    /// The networks that come with an engine.
    pub(super) fn make_default_networks(&mut self) {
        for name in BUILT_IN {
            let id = self.next_id();
            let driver = if name == "none" { "null" } else { name };
            let pools = if name == "bridge" { vec![pool(net(17))] } else { Vec::new() };
            let spec = NetworkSpec {
                name: name.to_owned(),
                driver: Some(driver.to_owned()),
                enable_ipv4: Some(true),
                enable_ipv6: Some(false),
                ipam: Some(Ipam { pools, ..Ipam::default() }),
                ..NetworkSpec::default()
            };
            self.networks.insert(id.clone(), SimNetwork { id, spec, chosen_subnet: false });
        }
    }

    /// The network that `key`, an id or a name, stands for.
    pub(super) fn network(&self, key: &str) -> Option<&SimNetwork> {
        let named = || self.networks.having(&Key::Name(key.to_owned())).next();
        self.networks.get(key).or_else(named)
    }

    /// Makes a network; a second one of the same name is refused.
    pub(super) fn create_network(
        &mut self,
        spec: &NetworkSpec,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), EngineError> {
        let object = format!("network {}", spec.name);
        if BUILT_IN.contains(&spec.name.as_str()) {
            let message = format!("operation is not permitted on predefined {} network", spec.name);
            return Err(refused("create", object, 403, message));
        }
        if self.network(&spec.name).is_some() {
            let message = format!("network with name {} already exists", spec.name);
            return Err(refused("create", object, 409, message));
        }
        let asked = spec.ipam.clone().unwrap_or_default();
        let chosen_subnet = asked.pools.iter().any(|pool| pool.subnet.is_some());
        let pools = self.pools(&asked).map_err(|why| refused("create", &object, 403, why))?;
        let id = self.next_id();
        let spec = NetworkSpec {
            external: false,
            driver: Some(spec.driver.clone().unwrap_or_else(|| "bridge".to_owned())),
            enable_ipv4: Some(spec.enable_ipv4.unwrap_or(true)),
            enable_ipv6: Some(spec.enable_ipv6.unwrap_or(false)),
            ipam: Some(Ipam {
                driver: asked.driver.filter(|driver| driver != "default"),
                options: asked.options,
                pools,
            }),
            labels: labels.clone(),
            ..spec.clone()
        };
        self.networks.insert(id.clone(), SimNetwork { id, spec, chosen_subnet });
        self.tell("create", labels);
        Ok(())
    }

    fn pools(&self, asked: &Ipam) -> Result<Vec<IpamPool>, String> {
        let taken: Vec<IpNet> = self.networks.values().flat_map(subnets).collect();
        let overlaps = |subnet: &IpNet| {
            taken.iter().any(|other| other.contains(subnet) || subnet.contains(other))
        };
        if asked.pools.iter().filter_map(|pool| pool.subnet).any(|subnet| overlaps(&subnet)) {
            return Err("Pool overlaps with other one on this address space".to_owned());
        }
        if !asked.pools.is_empty() {
            let mut pools = asked.pools.clone();
            pools.sort_by_key(|pool| matches!(pool.subnet, Some(IpNet::V6(_))));
            return Ok(pools);
        }
        let free = (18..=31).map(net).find(|subnet| !overlaps(subnet));
        free.map(|subnet| vec![pool(subnet)]).ok_or_else(|| {
            "could not find an available, non-overlapping IPv4 address pool".to_owned()
        })
    }

    /// Removes a network without endpoints; one that is gone is removed.
    pub(super) fn remove_network(&mut self, name: &str, id: &str) -> Result<(), EngineError> {
        let Some(network) = self.network(id) else { return Ok(()) };
        let (id, spec) = (network.id.clone(), network.spec.clone());
        let object = format!("network {name}");
        if BUILT_IN.contains(&spec.name.as_str()) {
            let message = format!("{name} is a pre-defined network and cannot be removed");
            return Err(refused("remove", object, 403, message));
        }
        let active = self.containers.having(&Key::Network(id.clone())).any(SimContainer::is_up);
        if active {
            let message = format!(
                "error while removing network: network {name} id {id} has active endpoints"
            );
            return Err(refused("remove", object, 403, message));
        }
        self.networks.remove(&id);
        self.tell("destroy", &spec.labels);
        Ok(())
    }

    /// Joins a container to a network, at once if it runs.
    pub(super) fn connect(
        &mut self,
        wanted: &ContainerRef,
        network: &str,
        endpoint: &Endpoint,
    ) -> Result<(), EngineError> {
        let object = format!("container {} to network {network}", wanted.name);
        let missing = || not_found("connect", object.clone());
        let name = self.network(network).ok_or_else(missing)?.spec.name.clone();
        let id = self.find(&wanted.key).ok_or_else(missing)?;
        let container = &self.containers[&id];
        if ["host", "none"].iter().any(|mode| container.attached.contains_key(*mode)) {
            let message = "container sharing network namespace with another container or host cannot be connected to any other network";
            return Err(refused("connect", object, 403, message));
        }
        let (up, there) = (container.is_up(), container.attached.contains_key(&name));
        if up && there {
            return Ok(());
        }
        let place = Attachment::of(endpoint);
        let place = if up { self.join("connect", &object, &name, place)? } else { place };
        self.containers.change(&id, |container| container.attached.insert(name.clone(), place));
        if up {
            self.tell_of_network(&name, "connect");
        }
        Ok(())
    }

    /// Takes a container off a network.
    pub(super) fn disconnect(
        &mut self,
        wanted: &ContainerRef,
        network: &str,
    ) -> Result<(), EngineError> {
        let object = format!("container {} from network {network}", wanted.name);
        let missing = || not_found("disconnect", object.clone());
        let name = self.network(network).ok_or_else(missing)?.spec.name.clone();
        let id = self.find(&wanted.key).ok_or_else(missing)?;
        let left = self.containers.change(&id, |container| {
            container.attached.remove(&name).is_some() && container.is_up()
        });
        if left == Some(true) {
            self.tell_of_network(&name, "disconnect");
        }
        Ok(())
    }

    /// Gives a container its addresses on all its networks.
    pub(super) fn join_all(&mut self, id: &str, object: &str) -> Result<(), EngineError> {
        let places = self.containers[id].attached.clone();
        for (name, place) in places {
            let place = self.join("start", object, &name, place)?;
            self.containers.change(id, |container| container.attached.insert(name.clone(), place));
            self.tell_of_network(&name, "connect");
        }
        Ok(())
    }

    /// Frees the addresses of a container that no longer runs.
    pub(super) fn leave_all(&mut self, id: &str) {
        let left = self.containers.change(id, |container| {
            let was_there = container.state != State::Created;
            let places = container.attached.iter_mut().filter_map(|(name, place)| {
                let had_address = !std::mem::take(&mut place.addresses).is_empty();
                (had_address || was_there).then(|| name.clone())
            });
            places.collect::<Vec<_>>()
        });
        for name in left.into_iter().flatten() {
            self.tell_of_network(&name, "disconnect");
        }
    }

    fn join(
        &self,
        operation: &'static str,
        object: &str,
        name: &str,
        mut place: Attachment,
    ) -> Result<Attachment, EngineError> {
        let network = self.network(name).ok_or_else(|| not_found(operation, object))?;
        place.network_id.clone_from(&network.id);
        let wanted = place.endpoint.ipv4_address;
        if let Some(wanted) = wanted {
            self.check_static(network, IpAddr::V4(wanted))
                .map_err(|(status, why)| refused(operation, object, status, why))?;
        }
        let address = wanted.map(IpAddr::V4).or_else(|| self.free_address(network));
        place.addresses = address.into_iter().collect();
        Ok(place)
    }

    fn check_static(&self, network: &SimNetwork, wanted: IpAddr) -> Result<(), (u16, String)> {
        if !network.chosen_subnet {
            let message = "user specified IP address is supported only when connecting to networks with user configured subnets";
            return Err((400, message.to_owned()));
        }
        if !subnets(network).iter().any(|subnet| subnet.contains(&wanted)) {
            let message = format!(
                "Invalid address {wanted}: It does not belong to any of this network's subnets"
            );
            return Err((400, message));
        }
        if self.taken(network).contains(&wanted) {
            return Err((403, "Address already in use".to_owned()));
        }
        Ok(())
    }

    fn taken(&self, network: &SimNetwork) -> BTreeSet<IpAddr> {
        let here = self.containers.having(&Key::Network(network.id.clone()));
        let places = here.flat_map(|container| container.attached.values());
        let here = places.filter(|place| place.network_id == network.id);
        let gateways = network.spec.ipam.iter().flat_map(|ipam| &ipam.pools);
        let gateways = gateways.filter_map(|pool| pool.gateway);
        here.flat_map(|place| place.addresses.iter().copied()).chain(gateways).collect()
    }

    fn free_address(&self, network: &SimNetwork) -> Option<IpAddr> {
        let taken = self.taken(network);
        let first = subnets(network).into_iter().find(|net| matches!(net, IpNet::V4(_)))?;
        first.hosts().skip(1).find(|address| !taken.contains(address))
    }

    fn tell_of_network(&mut self, name: &str, action: &str) {
        let labels = self.network(name).map(|network| network.spec.labels.clone());
        self.tell(action, &labels.unwrap_or_default());
    }
}

fn subnets(network: &SimNetwork) -> Vec<IpNet> {
    let pools = network.spec.ipam.iter().flat_map(|ipam| &ipam.pools);
    pools.filter_map(|pool| pool.subnet).collect()
}

fn net(second: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(172, second, 0, 0), 16))
}

fn pool(subnet: IpNet) -> IpamPool {
    IpamPool { subnet: Some(subnet), gateway: subnet.hosts().next(), ..IpamPool::default() }
}
