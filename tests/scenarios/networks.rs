//! Networks and who is on them.

use super::support::images::SLEEPER;
use super::world::{World, of};
use bowline::engine::EngineError;
use bowline::model::{ContainerSpec, Endpoint, Ipam, IpamPool, NetworkSpec, Networking};
use bowline::plan::Step;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

fn with_subnet(subnet: &str) -> NetworkSpec {
    let pool = IpamPool { subnet: Some(subnet.parse().unwrap()), ..IpamPool::default() };
    let ipam = Some(Ipam { pools: vec![pool], ..Ipam::default() });
    NetworkSpec { ipam, ..NetworkSpec::default() }
}

fn on(network: &str, address: Option<Ipv4Addr>) -> ContainerSpec {
    let endpoint = Endpoint { ipv4_address: address, ..Endpoint::default() };
    let mut spec = of(SLEEPER);
    spec.networking =
        Networking::Networks(BTreeMap::from([(network.to_owned(), Box::new(endpoint))]));
    spec
}

pub async fn a_network_is_read_back(world: &World) {
    let asked = NetworkSpec { internal: true, ..with_subnet("10.213.1.0/24") };
    let name = world.network("net", asked.clone()).await;
    let networks = world.observe().await.networks;
    assert_eq!(networks.len(), 1);
    let found = &networks[0].spec;
    assert_eq!((found.name.as_str(), found.driver.as_deref()), (name.as_str(), Some("bridge")));
    assert_eq!(found.ipam, asked.ipam);
    assert_eq!(found.labels, world.labels());
    assert!(found.internal && !found.attachable && found.enable_ipv6 == Some(false));
}

pub async fn a_container_joins_and_leaves(world: &World) {
    let name = world.network("net", with_subnet("10.213.2.0/24")).await;
    let container = world.run("web", on(&name, None)).await;
    let found = world.only().await;
    let id = world.observe().await.networks[0].id.clone();
    assert_eq!(found.network_ids, BTreeMap::from([(name.clone(), id)]));
    for _ in 0..2 {
        let network = name.clone();
        world.perform(Step::Disconnect { container: container.clone(), network }).await;
    }
    assert_eq!(world.only().await.spec.networking, Networking::Networks(BTreeMap::new()));
    let endpoint = Endpoint { aliases: ["db".to_owned()].into(), ..Endpoint::default() };
    for _ in 0..2 {
        let (network, endpoint) = (name.clone(), endpoint.clone());
        world.perform(Step::Connect { container: container.clone(), network, endpoint }).await;
    }
    let joined = Networking::Networks(BTreeMap::from([(name, Box::new(endpoint))]));
    assert_eq!(world.only().await.spec.networking, joined);
}

pub async fn a_network_with_active_endpoints_stays(world: &World) {
    let name = world.network("net", with_subnet("10.213.3.0/24")).await;
    let container = world.run("web", on(&name, None)).await;
    let id = world.observe().await.networks[0].id.clone();
    let step = Step::RemoveNetwork { name, id };
    let error = world.attempt(step.clone()).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused { status: 403, .. }), "{error}");
    world.perform(Step::Remove(container)).await;
    world.perform(step).await;
    assert!(world.observe().await.networks.is_empty());
}

pub async fn a_static_address_needs_a_chosen_subnet(world: &World) {
    let name = world.network("net", NetworkSpec::default()).await;
    let error = world.refused("web", on(&name, Some(Ipv4Addr::new(10, 9, 9, 9)))).await;
    assert!(matches!(error, EngineError::Refused { status: 400, .. }), "{error:?}");
    assert!(error.to_string().contains("user configured subnets"), "{error}");
}

pub async fn a_static_address_must_be_of_the_subnet(world: &World) {
    let name = world.network("net", with_subnet("10.213.4.0/24")).await;
    let good = Ipv4Addr::new(10, 213, 4, 9);
    let error = world.refused("a", on(&name, Some(Ipv4Addr::new(10, 9, 9, 9)))).await;
    assert!(matches!(error, EngineError::Refused { .. }), "{error:?}");
    world.run("b", on(&name, Some(good))).await;
    assert_eq!(world.only().await.spec.networking, on(&name, Some(good)).networking);
}

pub async fn joining_a_missing_network_fails(world: &World) {
    let container = world.run("web", of(SLEEPER)).await;
    let (network, endpoint) = (world.name("none"), Endpoint::default());
    let error = world.attempt(Step::Connect { container, network, endpoint }).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { operation: "connect", .. }), "{error:?}");
}

pub async fn several_networks_are_joined_at_once(world: &World) {
    let a = world.network("a", with_subnet("10.213.5.0/24")).await;
    let b = world.network("b", with_subnet("10.213.6.0/24")).await;
    let endpoint = Endpoint { aliases: ["web".to_owned()].into(), ..Endpoint::default() };
    let endpoint = Box::new(endpoint);
    let both = BTreeMap::from([(a, endpoint.clone()), (b, endpoint)]);
    let mut spec = of(SLEEPER);
    spec.networking = Networking::Networks(both.clone());
    let container = world.create("web", spec).await;
    assert_eq!(world.only().await.spec.networking, Networking::Networks(both.clone()));
    world.perform(Step::Start(container)).await;
    assert_eq!(world.only().await.spec.networking, Networking::Networks(both));
}

pub async fn a_taken_static_address_is_refused(world: &World) {
    let name = world.network("net", with_subnet("10.213.71.0/24")).await;
    let address = Some(Ipv4Addr::new(10, 213, 71, 9));
    world.run("a", on(&name, address)).await;
    let second = world.create("b", on(&name, address)).await;
    let error = world.attempt(Step::Start(second)).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused { status: 403, .. }), "{error:?}");
}

pub async fn a_network_s_name_is_given_once(world: &World) {
    let name = world.network("net", with_subnet("10.213.8.0/24")).await;
    let spec = NetworkSpec { name, ..with_subnet("10.213.9.0/24") };
    let error = world.attempt(Step::CreateNetwork { spec, labels: world.labels() }).await;
    let error = error.unwrap_err();
    assert!(matches!(error, EngineError::Refused { status: 409, .. }), "{error:?}");
}

pub async fn a_shared_network_is_told_by_name_while_its_container_lives(world: &World) {
    let base = world.run("base", of(SLEEPER)).await;
    let id = world.only().await.id.0;
    let mut spec = of(SLEEPER);
    spec.networking = Networking::Container(base.name.clone());
    world.create("side", spec).await;
    let side =
        |found: bowline::model::Observed| found.containers.last().unwrap().spec.networking.clone();
    assert_eq!(side(world.observe().await), Networking::Container(base.name.clone()));
    world.perform(Step::Remove(base)).await;
    assert_eq!(side(world.observe().await), Networking::Container(id));
}
