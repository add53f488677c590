//! Takes a container out of its names on a network while it runs. The engine can change names only by
//! leaving and joining anew; with the address of before, connections outlast that.

use super::client::{Call, Client};
use super::perform::{connect, disconnect};
use crate::engine::{EngineError, Progress, Word};
use crate::model::Endpoint;
use crate::plan::ContainerRef;
use bollard::models::EndpointSettings;
use bollard::query_parameters::InspectContainerOptions;

/// Leaves `network` and joins it again as `endpoint` says, at the address of before. If that is not
/// to be had any more, at another one.
pub(super) async fn withdraw(
    client: &Client,
    container: &ContainerRef,
    network: &str,
    endpoint: &Endpoint,
    progress: Progress<'_>,
) -> Result<(), EngineError> {
    let Some(place) = place(client, container, network).await? else { return Ok(()) };
    let knows_mac = client.host().await?.facts.speaks(44);
    let Some(same) = at_the_same_address(endpoint, &place, knows_mac) else { return Ok(()) };
    disconnect(client, container, network).await?;
    let Err(refusal) = connect(client, container, network, &same).await else { return Ok(()) };
    // What the container must still do before it is stopped may need the network.
    connect(client, container, network, endpoint).await?;
    progress(Word::Warning(&format!("its connections on {network} are cut: {refusal}")));
    Ok(())
}

/// The container's place on the network now.
async fn place(
    client: &Client,
    container: &ContainerRef,
    network: &str,
) -> Result<Option<EndpointSettings>, EngineError> {
    let api = client.api().await?;
    let object = format!("container {}", container.name);
    let request = api.inspect_container(&container.key, None::<InspectContainerOptions>);
    let inspected = client.request(Call::short("look at", &object), request).await?;
    let networks = inspected.network_settings.and_then(|settings| settings.networks);
    Ok(networks.and_then(|mut networks| networks.remove(network)))
}

/// `endpoint` at the addresses of `place`; none if it has none, since the container does not run.
fn at_the_same_address(
    endpoint: &Endpoint,
    place: &EndpointSettings,
    knows_mac: bool,
) -> Option<Endpoint> {
    let v4 = place.ip_address.as_ref().and_then(|address| address.parse().ok());
    let v6 = place.global_ipv6_address.as_ref().and_then(|address| address.parse().ok());
    let mac = place.mac_address.clone().filter(|mac| knows_mac && !mac.is_empty());
    (v4.is_some() || v6.is_some()).then(|| Endpoint {
        ipv4_address: v4,
        ipv6_address: v6,
        mac_address: endpoint.mac_address.clone().or(mac),
        ..endpoint.clone()
    })
}
