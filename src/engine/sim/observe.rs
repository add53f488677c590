//! What is seen of a simulated engine.

use super::catalogue::Key;
use super::health::{passes, told};
use super::state::{Attachment, SimContainer, SimNetwork, World};
use crate::engine::{EngineError, Sighting};
use crate::model::{
    Container, ContainerId, Endpoint, Health, Image, Networking, Observed, ObservedNetwork,
    ObservedVolume, Query, Slot, SourceName, StackName, Stranger, labels, recall,
};
use crate::plan::ContainerRef;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// A hardware address that nobody asked for.
const MADE_UP: &str = "02:42:ac:11:00:02";

impl World {
    /// A snapshot.
    pub(super) fn observe(&self, query: &Query) -> Result<Observed, EngineError> {
        let claimed = self.containers.having(&claim(query));
        let ours: Ours<'_> = claimed
            .filter(|found| self.is_asked_for(found, query))
            .map(|found| (found.id.as_str(), found))
            .collect();
        let mut containers =
            ours.values().map(|found| self.read(found)).collect::<Result<Vec<_>, _>>()?;
        containers.sort_by(|a, b| (&a.slot, &a.name).cmp(&(&b.slot, &b.name)));
        let images = query.images.iter().filter_map(|reference| {
            let image = self.image(reference.as_str())?.image.clone();
            let tags = self.tags_of(&image.id);
            Some((reference.clone(), Image { tags, ..image }))
        });
        let (hooks, containers) =
            containers.into_iter().partition(|found| labels::is_hook(&found.spec.labels));
        let mut observed = Observed {
            engine: self.facts.clone(),
            containers,
            hooks,
            networks: self.observed_networks(query, &ours),
            volumes: self.observed_volumes(query),
            images: images.collect(),
            strangers: self.strangers(query, &ours),
        };
        let by_id = |id: &str| self.images.get(id).map(|found| found.image.clone());
        observed.note_nameless(&query.images, by_id);
        Ok(observed)
    }

    /// The stacks that own a container or a network here.
    pub(super) fn stacks(&self) -> BTreeMap<StackName, Option<SourceName>> {
        let mut stacks = BTreeMap::new();
        let containers = self.containers.values().filter(|found| self.owner(found).is_some());
        let of_containers = containers.map(|found| &found.spec.labels);
        let of_networks = self.networks.values().map(|network| &network.spec.labels);
        for labels in of_containers.chain(of_networks) {
            let Some(stack) = stack_of(labels) else { continue };
            let source = labels.get(labels::SOURCE).and_then(|name| SourceName::new(name).ok());
            let known = stacks.entry(stack).or_insert(None);
            *known = known.take().or(source);
        }
        stacks
    }

    /// What one container does.
    pub(super) fn watch(&mut self, wanted: &ContainerRef) -> Result<Sighting, EngineError> {
        let found = self.container("look at", wanted)?.clone();
        let behaviour = self.behaviour(&found);
        let age = found.started.map(|started| self.now - started).unwrap_or_default();
        let asked = found.health != Health::Unchecked && found.failed_probes > 0;
        let health_output = behaviour.health_output.clone();
        let (address, health) = (reached_at(&found), told(&found));
        Ok(Sighting {
            address,
            id: ContainerId(found.id),
            state: found.state,
            started: found.started_at,
            restarts: found.restarts,
            health,
            health_output: health_output.filter(|_| asked && !passes(&behaviour, age)),
        })
    }

    /// The last lines of what a container wrote.
    pub(super) fn tail(
        &mut self,
        wanted: &ContainerRef,
        lines: usize,
    ) -> Result<Vec<String>, EngineError> {
        let found = self.container("read the output of", wanted)?.clone();
        if found.started.is_none() {
            return Ok(Vec::new());
        }
        let output = self.behaviour(&found).output;
        Ok(output[output.len().saturating_sub(lines)..].to_vec())
    }

    /// Reads a container; those that it shares something with are told by name while they are there.
    pub(super) fn read(&self, found: &SimContainer) -> Result<Container, EngineError> {
        let mut container = read(found)?;
        let name = |id: &str| self.containers.get(id).map(|shared| shared.name.clone());
        let spec = &mut container.spec;
        if let Networking::Container(other) = &mut spec.networking {
            *other = name(other).unwrap_or_else(|| other.clone());
        }
        for from in &mut spec.volumes_from {
            from.container = name(&from.container).unwrap_or_else(|| from.container.clone());
        }
        for mode in [&mut spec.pid, &mut spec.ipc].into_iter().flatten() {
            if let Some(name) = mode.strip_prefix("container:").and_then(name) {
                *mode = format!("container:{name}");
            }
        }
        Ok(container)
    }

    /// Whether a container is the stack's.
    fn is_asked_for(&self, found: &SimContainer, query: &Query) -> bool {
        let adopts = || query.adopt && self.project(found).as_ref() == Some(&query.stack);
        self.owner(found).as_ref() == Some(&query.stack) || adopts()
    }

    fn owner(&self, found: &SimContainer) -> Option<StackName> {
        let image = self.images.get(&found.image_id).map(|image| &image.image.config.labels);
        labels::owning_stack(&found.name, &found.spec.labels, image)
            .and_then(|name| StackName::new(name).ok())
    }

    /// The Compose project of a container that Compose made.
    fn project(&self, found: &SimContainer) -> Option<StackName> {
        let image = self.images.get(&found.image_id).map(|image| &image.image.config.labels);
        let (project, _) = labels::of_compose(&found.spec.labels, image)?;
        StackName::new(project).ok()
    }

    fn strangers(&self, query: &Query, ours: &Ours<'_>) -> Vec<Stranger> {
        let names = query.container_names.iter().cloned().map(Key::Name);
        let holders = names.chain(query.host_ports.iter().copied().map(Key::HostPort));
        let strangers: BTreeMap<&str, Stranger> = holders
            .flat_map(|key| self.containers.having(&key))
            .filter(|found| !ours.contains_key(found.id.as_str()))
            .map(|found| (found.name.as_str(), self.stranger(found)))
            .collect();
        strangers.into_values().collect()
    }

    fn stranger(&self, found: &SimContainer) -> Stranger {
        Stranger {
            name: found.name.clone(),
            stack: self.owner(found),
            project: found.spec.labels.get(labels::PROJECT).cloned(),
            ports: found.ports.clone(),
        }
    }

    fn observed_networks(&self, query: &Query, ours: &Ours<'_>) -> Vec<ObservedNetwork> {
        let names = query.networks.iter().cloned().map(Key::Name);
        let all = self.networks.values().filter(|_| !query.subnets.is_empty());
        let mut selected: Vec<_> = names
            .chain([claim(query)])
            .flat_map(|key| self.networks.having(&key))
            .chain(all)
            .map(|network| ObservedNetwork {
                id: network.id.clone(),
                spec: network.spec.clone(),
                stack: query.owner(stack_of(&network.spec.labels).as_ref(), &network.spec.labels),
                foreign_containers: self.foreign_containers(network, ours),
            })
            .filter(|network| {
                network.stack.as_ref() == Some(&query.stack) || query.names(&network.spec)
            })
            .collect();
        selected.sort_by_key(|network| {
            let foreign = network.stack.as_ref() != Some(&query.stack);
            (network.spec.name.clone(), foreign, network.id.clone())
        });
        selected.dedup_by(|one, other| one.id == other.id);
        selected
    }

    fn foreign_containers(&self, network: &SimNetwork, ours: &Ours<'_>) -> BTreeSet<String> {
        [&network.id, &network.spec.name]
            .into_iter()
            .flat_map(|key| self.containers.having(&Key::Network(key.clone())))
            .filter(|found| is_on(found, network) && !ours.contains_key(found.id.as_str()))
            .map(|found| found.name.clone())
            .collect()
    }

    fn observed_volumes(&self, query: &Query) -> Vec<ObservedVolume> {
        let named = query.volumes.iter().filter_map(|name| self.volumes.get(name));
        let selected: BTreeMap<String, ObservedVolume> = self
            .volumes
            .having(&claim(query))
            .chain(named)
            .map(|spec| ObservedVolume {
                spec: spec.clone(),
                stack: query.owner(stack_of(&spec.labels).as_ref(), &spec.labels),
            })
            .filter(|volume| {
                volume.stack.as_ref() == Some(&query.stack)
                    || query.volumes.contains(&volume.spec.name)
            })
            .map(|volume| (volume.spec.name.clone(), volume))
            .collect();
        selected.into_values().collect()
    }
}

/// The stack's containers by id.
type Ours<'a> = BTreeMap<&'a str, &'a SimContainer>;

/// What all that is the stack's has, and perhaps more.
fn claim(query: &Query) -> Key {
    Key::Claim(query.stack.to_string())
}

fn read(found: &SimContainer) -> Result<Container, EngineError> {
    let of_compose = labels::of_compose(&found.spec.labels, None);
    let adopted = of_compose.is_some();
    let slot = of_compose.map_or_else(|| slot(&found.spec.labels), |(_, slot)| Ok(slot));
    let slot = slot.map_err(|message| EngineError::Unreadable {
        operation: "look at",
        object: format!("container {}", found.name),
        message,
    })?;
    let mut spec = found.spec.clone();
    spec.networking = networking(found);
    if !adopted {
        recall(&mut spec);
    }
    if let Some(logging) = &mut spec.logging {
        // The engine adds its own defaults and does not tell which.
        let asked = spec.labels.get(labels::LOG_OPTIONS);
        let is_asked = |key: &str| asked.is_none_or(|asked| asked.split(',').any(|one| one == key));
        logging.options.retain(|key, _| is_asked(key));
    }
    let ids = found.attached.iter().map(|(name, place)| (name.clone(), place.network_id.clone()));
    Ok(Container {
        id: ContainerId(found.id.clone()),
        name: found.name.clone(),
        slot,
        adopted,
        contents_known: !adopted || found.contents_noted,
        owes_hooks: found.owes_hooks,
        image_id: found.image_id.clone(),
        spec,
        created: found.created_at,
        started: found.started_at,
        state: found.state,
        health: told(found),
        network_ids: ids.collect(),
        anonymous_volumes: found.anonymous_volumes.clone(),
    })
}

/// Where its host would reach a container.
fn reached_at(found: &SimContainer) -> Option<IpAddr> {
    if found.spec.networking == Networking::Host {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let addresses = || found.attached.values().flat_map(|place| place.addresses.iter().copied());
    addresses().find(IpAddr::is_ipv4).or_else(|| addresses().next())
}

fn networking(found: &SimContainer) -> Networking {
    let only = |name: &str| found.attached.keys().all(|network| network == name);
    match &found.spec.networking {
        Networking::Host => Networking::Host,
        Networking::Container(other) => Networking::Container(other.clone()),
        Networking::None if only("none") => Networking::None,
        Networking::DefaultBridge if only("bridge") => Networking::DefaultBridge,
        _ => Networking::Networks(
            found
                .attached
                .iter()
                .map(|(name, place)| (name.clone(), Box::new(endpoint(found, place))))
                .collect(),
        ),
    }
}

/// A place as the engine tells it: where a container runs, it has a hardware address.
fn endpoint(found: &SimContainer, place: &Attachment) -> Endpoint {
    let mut endpoint = place.endpoint.clone();
    if found.is_up() {
        endpoint.mac_address.get_or_insert_with(|| MADE_UP.to_owned());
    }
    endpoint
}

fn is_on(found: &SimContainer, network: &SimNetwork) -> bool {
    found.attached.iter().any(|(name, place)| {
        place.network_id == network.id
            || (place.network_id.is_empty() && *name == network.spec.name)
    })
}

fn stack_of(labels: &BTreeMap<String, String>) -> Option<StackName> {
    labels.get(labels::STACK).and_then(|name| StackName::new(name).ok())
}

fn slot(labels: &BTreeMap<String, String>) -> Result<Slot, String> {
    let label = labels.get(labels::SLOT).ok_or("no slot among its labels")?;
    let wrong = || format!("`{label}` is no slot");
    let (service, number) = label.rsplit_once('/').ok_or_else(wrong)?;
    Ok(Slot {
        service: service.to_owned().try_into().map_err(|_| wrong())?,
        number: number.parse().map_err(|_| wrong())?,
    })
}
