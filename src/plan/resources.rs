//! Networks and volumes: what is missing, what differs, what is in the way.

use super::removal::key;
use super::{Action, Change, ContainerRef, Draft, Object, Reason, Step, show};
use crate::model::{
    Container, Endpoint, Ipam, IpamPool, NetworkSpec, Networking, ObservedNetwork, ObservedVolume,
    Service, StackName, VolumeSpec, labels,
};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// What is to be done about an object of another owner.
const USE_IT: &str = "set `external: true` to use it, or give another `name`";

impl<'a> Draft<'a> {
    /// Makes what is missing and replaces what differs.
    pub(super) fn networks(&mut self) {
        let desired = self.desired;
        for (key, network) in &desired.networks {
            let field = format!("networks.{key}");
            let found = self.find_network(&network.name);
            let namesakes = self.namesakes(&network.name);
            if namesakes.len() > 1 {
                let message = format!(
                    "there are several networks named {} ({}), and the engine cannot tell them apart; remove all but one by id",
                    network.name,
                    namesakes.join(", ")
                );
                self.refuse(field, message, &self.users(|s| is_on(s, &network.name)));
            } else if network.external {
                if found.is_none() {
                    let message = format!(
                        "external network {} does not exist; create it, or drop `external`",
                        network.name
                    );
                    self.refuse(field, message, &self.users(|s| is_on(s, &network.name)));
                }
            } else if let Some((option, message)) = self.network_needs(network) {
                let users = self.users(|s| is_on(s, &network.name));
                self.refuse(format!("{field}.{option}"), message, &users);
            } else if let Some(found) = found {
                self.existing_network(&field, key, network, found);
            } else if self.has_free_subnets(&field, network) {
                let step = self.create_network(key, network);
                self.make(
                    Object::Network(network.name.clone()),
                    self.reason(field, format!("network {}", network.name), "none".into()),
                    step,
                );
            }
        }
    }

    /// Makes what is missing; reports what differs, since a volume holds data.
    pub(super) fn volumes(&mut self) {
        let desired = self.desired;
        for (key, volume) in &desired.volumes {
            let field = format!("volumes.{key}");
            let found = self.observed.volumes.iter().find(|v| v.spec.name == volume.name);
            let mounts_it = |service: &Service| mounts(service, &volume.name);
            match found {
                None if volume.external => {
                    let message = format!(
                        "external volume {} does not exist; create it, or drop `external`",
                        volume.name
                    );
                    self.refuse(field, message, &self.users(mounts_it));
                }
                None => {
                    let step = self.create_volume(key, volume);
                    self.make(
                        Object::Volume(volume.name.clone()),
                        self.reason(field, format!("volume {}", volume.name), "none".into()),
                        step,
                    );
                }
                Some(_) if volume.external => {}
                Some(found) if !self.may_use_volume(found) => {
                    let message = format!(
                        "volume {} exists and is not of this stack; set `external: true` to use it, or give another `name`",
                        volume.name
                    );
                    self.refuse(field, message, &self.users(mounts_it));
                }
                Some(found) => {
                    let found = volume_differences(volume, &found.spec);
                    for (option, want, is) in self.without_ignored(&field, found) {
                        let message = format!(
                            "want {want}, is {is}; a volume is never replaced, since its data would be lost: move the data and remove the volume by hand"
                        );
                        self.plan.notes.push(self.problem(format!("{field}.{option}"), message));
                    }
                }
            }
        }
    }

    /// Whether no other network has addresses that `network` asks for; if one does, that is refused.
    fn has_free_subnets(&mut self, field: &str, network: &NetworkSpec) -> bool {
        let mut others =
            self.observed.networks.iter().filter(|other| other.spec.name != network.name);
        let taken = others.find_map(|other| {
            let subnet = network.subnets().find(|subnet| other.spec.overlaps(subnet))?;
            Some((subnet, other))
        });
        let Some((subnet, other)) = taken else { return true };
        let has: Vec<_> = other.spec.subnets().map(|subnet| subnet.to_string()).collect();
        let message = format!(
            "the subnet {subnet} overlaps with {} of the network {}; choose another one, or remove that network",
            has.join(", "),
            other.spec.name
        );
        let users = self.users(|s| is_on(s, &network.name));
        self.refuse(format!("{field}.ipam.config"), message, &users);
        false
    }

    /// Removes our networks that the stack no longer has, after the containers on them.
    pub(super) fn unused_networks(&mut self) {
        let users: Vec<usize> = (0..self.plan.changes.len())
            .filter(|index| matches!(self.plan.changes[*index].object, Object::Container(_)))
            .collect();
        for network in &self.observed.networks {
            let wanted = self.desired.networks.values().any(|n| n.name == network.spec.name);
            // What Compose made may be meant for others as well.
            let ours = network.spec.labels.contains_key(labels::STACK);
            if wanted || !ours || !self.owns(network.stack.as_ref()) {
                continue;
            }
            if self.is_held(&network.spec.name) {
                continue;
            }
            let name = network.spec.name.clone();
            let field = format!("networks.{}", key(&network.spec.labels, labels::NETWORK, &name));
            if !network.foreign_containers.is_empty() {
                let message =
                    attached_message(network, "is no longer in the stack, but cannot be removed");
                self.plan.notes.push(self.problem(field, message));
                continue;
            }
            let reason = self.reason(field, "none".into(), format!("network {name}"));
            self.push(Change {
                object: Object::Network(name.clone()),
                action: Action::Remove,
                reasons: vec![reason],
                after: users.clone(),
                steps: vec![Step::RemoveNetwork { name, id: network.id.clone() }],
                undo: Vec::new(),
            });
        }
    }

    /// Whether a container that is left alone because of a problem is on a network.
    fn is_held(&self, network: &str) -> bool {
        self.observed.containers.iter().any(|container| {
            let networking = &container.spec.networking;
            let on = matches!(networking, Networking::Networks(n) if n.contains_key(network));
            on && self.blocked.contains(&container.slot.service)
        })
    }

    /// The network that a name means: ours before others', then the first by id.
    pub(super) fn find_network(&self, name: &str) -> Option<&'a ObservedNetwork> {
        self.observed
            .networks
            .iter()
            .filter(|network| network.spec.name == name)
            .min_by_key(|network| (!self.owns(network.stack.as_ref()), &network.id))
    }

    /// The ids of all networks of that name; there can be several before API 1.44.
    fn namesakes(&self, name: &str) -> Vec<&'a str> {
        let networks = self.observed.networks.iter();
        networks.filter(|n| n.spec.name == name).map(|n| n.id.get(..12).unwrap_or(&n.id)).collect()
    }

    fn owns(&self, stack: Option<&StackName>) -> bool {
        stack == Some(&self.desired.name)
    }

    fn may_use_volume(&self, volume: &ObservedVolume) -> bool {
        let project = volume.spec.labels.get(labels::PROJECT);
        self.owns(volume.stack.as_ref())
            || project.map(String::as_str) == Some(self.desired.name.as_str())
    }

    fn make(&mut self, object: Object, reason: Reason, step: Step) {
        let index = self.push(Change {
            object: object.clone(),
            action: Action::Create,
            reasons: vec![reason],
            after: Vec::new(),
            steps: vec![step],
            undo: Vec::new(),
        });
        self.made.insert(object, index);
    }

    fn existing_network(
        &mut self,
        field: &str,
        key: &str,
        desired: &NetworkSpec,
        found: &ObservedNetwork,
    ) {
        let mut actual = found.spec.clone();
        if !actual.labels.contains_key(labels::STACK) {
            // The first generation of Compose made all that it made attachable.
            actual.attachable = desired.attachable;
        }
        let differences = network_differences(desired, &actual);
        let differences = self.without_ignored(field, differences);
        let is_user = |service: &Service| is_on(service, &desired.name);
        let name = &desired.name;
        if !self.owns(found.stack.as_ref()) {
            let project = found.spec.labels.get(labels::PROJECT).map(String::as_str);
            let is_its_project = project == Some(self.desired.name.as_str());
            let message = match &found.stack {
                Some(stack) => {
                    format!("network {name} exists and belongs to the stack {stack}; {USE_IT}")
                }
                None if is_its_project => format!(
                    "network {name} exists and Docker Compose made it for this project; take the project \
                     over with `bowline adopt` or `x-bowline: {{ adopt: true }}`"
                ),
                None => format!("network {name} exists and is not Bowline's; {USE_IT}"),
            };
            self.refuse(field.to_owned(), message, &self.users(is_user));
            return;
        }
        if differences.is_empty() {
            return;
        }
        if !self.has_free_subnets(field, desired) {
            return;
        }
        if !found.foreign_containers.is_empty() {
            let message =
                attached_message(found, "differs from the stack's and cannot be replaced");
            self.refuse(field.to_owned(), message, &self.users(is_user));
            return;
        }
        let reasons = differences
            .into_iter()
            .map(|(option, want, is)| self.reason(format!("{field}.{option}"), want, is))
            .collect();
        let steps = self.replace_network(key, desired, found);
        let object = Object::Network(name.clone());
        let index = self.push(Change {
            object: object.clone(),
            action: Action::Replace,
            reasons,
            after: Vec::new(),
            steps,
            undo: Vec::new(),
        });
        self.made.insert(object, index);
    }

    /// Notes the differences of `field` that are left alone; gives the others.
    fn without_ignored(&mut self, field: &str, found: Differences) -> Differences {
        let policy = &self.desired.policy;
        let ignores = |(option, ..): &(String, _, _)| policy.ignores(&format!("{field}.{option}"));
        let (ignored, others): (Differences, Differences) = found.into_iter().partition(ignores);
        for (option, want, is) in ignored {
            let reason = self.reason(format!("{field}.{option}"), want, is);
            self.plan.ignored.push(reason);
        }
        others
    }

    /// Moves the stack's containers off the old network and onto the new one.
    fn replace_network(
        &self,
        key: &str,
        desired: &NetworkSpec,
        found: &ObservedNetwork,
    ) -> Vec<Step> {
        let name = &desired.name;
        let attached: Vec<_> = self
            .observed
            .containers
            .iter()
            .filter_map(|container| match &container.spec.networking {
                Networking::Networks(networks) => {
                    let observed = networks.get(name)?;
                    Some((ContainerRef::of(container), self.endpoint_on(container, name, observed)))
                }
                _ => None,
            })
            .collect();
        let leave = attached.iter().map(|(container, _)| Step::Disconnect {
            container: container.clone(),
            network: name.clone(),
        });
        let join = attached.iter().map(|(container, endpoint)| Step::Connect {
            container: container.clone(),
            network: name.clone(),
            endpoint: endpoint.clone(),
        });
        let remove = Step::RemoveNetwork { name: name.clone(), id: found.id.clone() };
        leave.chain([remove, self.create_network(key, desired)]).chain(join).collect()
    }

    /// How a container joins the new network: as its service wants it. One that goes or is replaced
    /// anyway joins without the address that it had, which may not exist on the new network.
    fn endpoint_on(&self, container: &Container, name: &str, observed: &Endpoint) -> Endpoint {
        let service = self.desired.services.get(&container.slot.service);
        let wanted = service.and_then(|service| match &service.container.networking {
            Networking::Networks(networks) => {
                networks.get(name).map(|endpoint| (**endpoint).clone())
            }
            _ => None,
        });
        wanted.unwrap_or_else(|| Endpoint {
            ipv4_address: None,
            ipv6_address: None,
            link_local_ips: BTreeSet::new(),
            ..observed.clone()
        })
    }

    fn create_network(&self, key: &str, spec: &NetworkSpec) -> Step {
        let mut labels = self.resource_labels(&spec.labels, labels::NETWORK, key);
        if spec.ipam.as_ref().is_some_and(|ipam| !ipam.pools.is_empty()) {
            labels.insert(labels::POOLS.to_owned(), "given".to_owned());
        }
        Step::CreateNetwork { spec: spec.clone(), labels }
    }

    fn create_volume(&self, key: &str, spec: &VolumeSpec) -> Step {
        let labels = self.resource_labels(&spec.labels, labels::VOLUME, key);
        Step::CreateVolume { spec: spec.clone(), labels }
    }

    fn resource_labels(
        &self,
        own: &BTreeMap<String, String>,
        kind: &str,
        key: &str,
    ) -> BTreeMap<String, String> {
        let mut all = own.clone();
        all.extend(self.stack_labels());
        all.insert(kind.to_owned(), key.to_owned());
        all
    }

    /// The labels that every object of the stack carries.
    pub(super) fn stack_labels(&self) -> BTreeMap<String, String> {
        let name = self.desired.name.to_string();
        let source = self.around.source.as_ref();
        [(labels::PROJECT.to_owned(), name.clone()), (labels::STACK.to_owned(), name)]
            .into_iter()
            .chain(source.map(|source| (labels::SOURCE.to_owned(), source.to_string())))
            .collect()
    }
}

fn attached_message(network: &ObservedNetwork, what: &str) -> String {
    let others: Vec<_> = network.foreign_containers.iter().cloned().collect();
    format!(
        "network {} {what} while containers of others are attached: {}; disconnect them",
        network.spec.name,
        others.join(", ")
    )
}

fn is_on(service: &Service, network: &str) -> bool {
    matches!(&service.container.networking, Networking::Networks(n) if n.contains_key(network))
}

fn mounts(service: &Service, volume: &str) -> bool {
    service.container.mounts.values().any(|mount| {
        matches!(&mount.source, crate::model::MountSource::Volume { name, .. } if name == volume)
    })
}

type Differences = Vec<(String, String, String)>;

fn network_differences(desired: &NetworkSpec, actual: &NetworkSpec) -> Differences {
    let mut found = Vec::new();
    let driver = |spec: &NetworkSpec| spec.driver.clone().unwrap_or_else(|| "bridge".into());
    note(&mut found, "driver", &driver(desired), &driver(actual));
    note(&mut found, "internal", &desired.internal, &actual.internal);
    note(&mut found, "attachable", &desired.attachable, &actual.attachable);
    let ipv6 = |spec: &NetworkSpec| spec.enable_ipv6.unwrap_or(false);
    let ipv4 = |spec: &NetworkSpec| spec.enable_ipv4.unwrap_or(true);
    note(&mut found, "enable_ipv4", &ipv4(desired), &ipv4(actual));
    note(&mut found, "enable_ipv6", &ipv6(desired), &ipv6(actual));
    maps(&mut found, "driver_opts", &desired.driver_opts, &actual.driver_opts);
    maps(&mut found, "labels", &users(&desired.labels), &users(&actual.labels));
    ipam_differences(&mut found, desired, actual);
    found
}

fn ipam_differences(found: &mut Differences, desired: &NetworkSpec, actual: &NetworkSpec) {
    let none = Ipam::default();
    let want = desired.ipam.as_ref().unwrap_or(&none);
    let is = actual.ipam.as_ref().unwrap_or(&none);
    let driver = |ipam: &Ipam| ipam.driver.clone().unwrap_or_else(|| "default".into());
    note(found, "ipam.driver", &driver(want), &driver(is));
    maps(found, "ipam.options", &want.options, &is.options);
    if want.pools.is_empty() {
        if actual.labels.contains_key(labels::POOLS) {
            found.push(("ipam.config".into(), "the engine's choice".into(), pools(&is.pools)));
        }
        return;
    }
    let (want, is) = (by_family(&want.pools), by_family(&is.pools));
    let filled: Vec<_> = want
        .iter()
        .enumerate()
        .map(|(index, pool)| pool_with_engine_choices(pool, is.get(index)))
        .collect();
    note(found, "ipam.config", &pools(&filled), &pools(&is));
}

/// The engine keeps pools of IPv4 before those of IPv6, each in the order given.
fn by_family(pools: &[IpamPool]) -> Vec<IpamPool> {
    let mut pools = pools.to_vec();
    pools.sort_by_key(|pool| matches!(pool.subnet, Some(IpNet::V6(_))));
    pools
}

/// The engine picks a gateway where none is asked for, and a subnet for a pool without one.
fn pool_with_engine_choices(desired: &IpamPool, actual: Option<&IpamPool>) -> IpamPool {
    let subnet = desired.subnet.or_else(|| actual.and_then(|pool| pool.subnet));
    let bare = |subnet: Option<IpNet>| subnet.map(|subnet| subnet.trunc());
    let same = actual.filter(|pool| bare(pool.subnet) == bare(subnet));
    IpamPool {
        subnet,
        gateway: desired.gateway.or_else(|| same.and_then(|pool| pool.gateway)),
        ip_range: desired.ip_range,
        aux_addresses: desired.aux_addresses.clone(),
    }
}

fn pools(pools: &[IpamPool]) -> String {
    let show = |pool: &IpamPool| {
        let subnet = pool.subnet.map(|net| format!("subnet {}", net.trunc()));
        let range = pool.ip_range.map(|net| format!("ip_range {}", net.trunc()));
        let gateway = pool.gateway.map(|ip| format!("gateway {ip}"));
        let aux = pool.aux_addresses.iter().map(|(host, ip)| format!("{host}={ip}"));
        let parts: Vec<_> = subnet.into_iter().chain(range).chain(gateway).chain(aux).collect();
        parts.join(" ")
    };
    pools.iter().map(show).collect::<Vec<_>>().join("; ")
}

fn volume_differences(desired: &VolumeSpec, actual: &VolumeSpec) -> Differences {
    let mut found = Vec::new();
    let driver = |spec: &VolumeSpec| spec.driver.clone().unwrap_or_else(|| "local".into());
    note(&mut found, "driver", &driver(desired), &driver(actual));
    maps(&mut found, "driver_opts", &desired.driver_opts, &actual.driver_opts);
    maps(&mut found, "labels", &users(&desired.labels), &users(&actual.labels));
    found
}

fn users(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels
        .iter()
        .filter(|(key, _)| !labels::is_bookkeeping(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn note<T: PartialEq + std::fmt::Display>(found: &mut Differences, field: &str, want: &T, is: &T) {
    if want != is {
        found.push((field.to_owned(), want.to_string(), is.to_string()));
    }
}

fn maps(
    found: &mut Differences,
    field: &str,
    want: &BTreeMap<String, String>,
    is: &BTreeMap<String, String>,
) {
    let keys: std::collections::BTreeSet<_> = want.keys().chain(is.keys()).collect();
    for key in keys {
        let text = |map: &BTreeMap<String, String>| map.get(key).cloned();
        if text(want) != text(is) {
            let path = format!("{field}.{key}");
            let show = |text: Option<String>| show::value(&path, text.as_deref());
            found.push((path.clone(), show(text(want)), show(text(is))));
        }
    }
}
