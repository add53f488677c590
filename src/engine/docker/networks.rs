//! Networks: listed into the model, made and removed.

use super::client::{Call, Client};
use super::error::unreadable;
use super::observe::name_of;
use crate::engine::EngineError;
use crate::model::{Ipam, IpamPool, NetworkSpec, ObservedNetwork, Query, StackName, labels};
use bollard::models::{self, ContainerSummary, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptions;
use std::collections::{BTreeMap, BTreeSet};

/// All networks, without their containers.
pub(super) async fn list(client: &Client) -> Result<Vec<ObservedNetwork>, EngineError> {
    let api = client.api().await?;
    let call = Call::short("list", "networks");
    let listed = client.request(call, api.list_networks(None::<ListNetworksOptions>)).await?;
    listed
        .into_iter()
        .map(|network| {
            let name = network.name.clone().unwrap_or_default();
            let ours = network.labels.as_ref().is_some_and(|all| all.contains_key(labels::STACK));
            // Of the networks of others nothing but name and id matters.
            let of_another = (!ours).then(|| models::Network { ipam: None, ..network.clone() });
            read(network)
                .or_else(|message| of_another.map_or(Err(message), read))
                .map_err(|message| unreadable(call, format!("network {name}: {message}")))
        })
        .collect()
}

/// The stack's networks and those that `query` names, with the containers of `others` on them.
pub(super) fn select(
    all: &[ObservedNetwork],
    others: &[&ContainerSummary],
    query: &Query,
) -> Vec<ObservedNetwork> {
    let mut selected = all.to_vec();
    for network in &mut selected {
        network.stack = query.owner(network.stack.as_ref(), &network.spec.labels);
    }
    selected.retain(|network| {
        let owned = network.stack.as_ref() == Some(&query.stack);
        owned || query.names(&network.spec)
    });
    for network in &mut selected {
        network.foreign_containers = others
            .iter()
            .filter(|container| is_on(container, network))
            .map(|container| name_of(container))
            .collect();
    }
    // Of several with one name the stack's own comes first.
    selected.sort_by(|a, b| {
        let order = |network: &ObservedNetwork| {
            let foreign = network.stack.as_ref() != Some(&query.stack);
            (network.spec.name.clone(), foreign, network.id.clone())
        };
        order(a).cmp(&order(b))
    });
    selected
}

/// Makes a network. A second of its name is refused, also by engines that would make it.
pub(super) async fn create(
    client: &Client,
    spec: &NetworkSpec,
    labels: &BTreeMap<String, String>,
) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = format!("network {}", spec.name);
    if is_taken(client, &spec.name).await? {
        return Err(EngineError::Refused {
            operation: "create",
            object,
            status: 409,
            message: format!("network with name {} already exists", spec.name),
        });
    }
    let request = api.create_network(body(spec, labels));
    client.request(Call::long("create", &object), request).await.map(drop)
}

/// Whether there is a network of this name that a new one would stand beside. From API 1.44 on the
/// engine sees to it itself; before, containers on such a network cannot be started any more.
async fn is_taken(client: &Client, name: &str) -> Result<bool, EngineError> {
    if client.host().await?.facts.keeps_network_names_unique() {
        return Ok(false);
    }
    Ok(list(client).await?.iter().any(|network| network.spec.name == name))
}

/// Removes a network; one that is gone is removed.
pub(super) async fn remove(client: &Client, name: &str, id: &str) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = format!("network {name}");
    match client.request(Call::long("remove", &object), api.remove_network(id)).await {
        Err(EngineError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

/// A container that never ran is on its networks by name only.
fn is_on(container: &ContainerSummary, network: &ObservedNetwork) -> bool {
    let Some(settings) = &container.network_settings else { return false };
    settings.networks.iter().flatten().any(|(name, endpoint)| {
        match endpoint.network_id.as_deref().unwrap_or_default() {
            "" => *name == network.spec.name || *name == network.id,
            id => id == network.id,
        }
    })
}

fn read(network: models::Network) -> Result<ObservedNetwork, String> {
    let labels: BTreeMap<_, _> = network.labels.unwrap_or_default().into_iter().collect();
    let stack = labels.get(labels::STACK).and_then(|name| StackName::new(name).ok());
    Ok(ObservedNetwork {
        id: network.id.ok_or("no id")?,
        spec: NetworkSpec {
            name: network.name.ok_or("no name")?,
            external: false,
            driver: network.driver.filter(|driver| !driver.is_empty()),
            driver_opts: network.options.unwrap_or_default().into_iter().collect(),
            internal: network.internal.unwrap_or_default(),
            attachable: network.attachable.unwrap_or_default(),
            enable_ipv4: network.enable_ipv4,
            enable_ipv6: network.enable_ipv6,
            ipam: network.ipam.map(read_ipam).transpose()?,
            labels,
        },
        stack,
        foreign_containers: BTreeSet::new(),
    })
}

fn read_ipam(ipam: models::Ipam) -> Result<Ipam, String> {
    let pools = ipam.config.unwrap_or_default().into_iter().map(read_pool);
    Ok(Ipam {
        driver: ipam.driver.filter(|driver| !driver.is_empty() && driver != "default"),
        options: ipam.options.unwrap_or_default().into_iter().collect(),
        pools: pools.collect::<Result<_, _>>()?,
    })
}

fn read_pool(pool: models::IpamConfig) -> Result<IpamPool, String> {
    let addresses = pool.auxiliary_addresses.unwrap_or_default();
    Ok(IpamPool {
        subnet: parsed(pool.subnet)?,
        ip_range: parsed(pool.ip_range)?,
        // Engines have answered with the router's address in the form `10.0.0.1/24`.
        gateway: parsed(pool.gateway.map(|text| match text.split_once('/') {
            Some((address, _)) => address.to_owned(),
            None => text,
        }))?,
        aux_addresses: addresses
            .into_iter()
            .filter_map(|(name, address)| {
                Some(parsed(Some(address)).transpose()?.map(|a| (name, a)))
            })
            .collect::<Result<_, _>>()?,
    })
}

fn parsed<T: std::str::FromStr>(text: Option<String>) -> Result<Option<T>, String> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| format!("`{text}` is no address")),
    }
}

fn body(spec: &NetworkSpec, labels: &BTreeMap<String, String>) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name: spec.name.clone(),
        driver: spec.driver.clone(),
        internal: Some(spec.internal),
        attachable: Some(spec.attachable),
        enable_ipv4: spec.enable_ipv4,
        enable_ipv6: spec.enable_ipv6,
        options: Some(spec.driver_opts.clone().into_iter().collect()),
        labels: Some(labels.clone().into_iter().collect()),
        ipam: spec.ipam.as_ref().map(write_ipam),
        ..NetworkCreateRequest::default()
    }
}

fn write_ipam(ipam: &Ipam) -> models::Ipam {
    models::Ipam {
        driver: Some(ipam.driver.clone().unwrap_or_else(|| "default".to_owned())),
        options: Some(ipam.options.clone().into_iter().collect()),
        config: Some(ipam.pools.iter().map(write_pool).collect()),
    }
}

fn write_pool(pool: &IpamPool) -> models::IpamConfig {
    models::IpamConfig {
        subnet: pool.subnet.map(|subnet| subnet.to_string()),
        ip_range: pool.ip_range.map(|range| range.to_string()),
        gateway: pool.gateway.map(|gateway| gateway.to_string()),
        auxiliary_addresses: Some(
            pool.aux_addresses
                .iter()
                .map(|(name, address)| (name.clone(), address.to_string()))
                .collect(),
        ),
    }
}
