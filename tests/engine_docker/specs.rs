//! Parts of definitions, short to write.

use super::support::docker::Corner;
use bowline::model::{
    ContainerPort, HostPorts, Ipam, IpamPool, Mount, MountSource, NetworkSpec, Protocol,
};
use bowline::plan::Step;
use std::collections::{BTreeMap, BTreeSet};

pub fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

pub fn set(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

pub fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

pub fn mount(source: MountSource) -> Mount {
    Mount::of(source)
}

pub fn port(port: u16, protocol: Protocol) -> ContainerPort {
    ContainerPort { port, protocol }
}

pub fn host_port(port: u16) -> HostPorts {
    HostPorts { first: port, last: port }
}

pub async fn network(corner: &Corner, name: &str, subnet: &str) -> NetworkSpec {
    let pool = IpamPool { subnet: Some(subnet.parse().unwrap()), ..IpamPool::default() };
    let spec = NetworkSpec {
        name: corner.name(name),
        ipam: Some(Ipam { pools: vec![pool], ..Ipam::default() }),
        ..NetworkSpec::default()
    };
    corner.perform(Step::CreateNetwork { spec: spec.clone(), labels: corner.labels() }).await;
    spec
}
