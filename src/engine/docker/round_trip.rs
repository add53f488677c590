//! What is written for the engine is what is read back, also for options that only newer engines
//! than the one at hand know: the engine tells most of a request as it was made.

use super::client::Host;
use super::{read_container, write_container, write_networking};
use crate::model::{
    ApiVersion, Bind, Blkio, ContainerSpec, Device, DeviceRequest, Endpoint, EngineFacts, ImageRef,
    Mount, MountSource, Networking, Recursive, VolumesFrom, labels,
};
use crate::plan::NewContainer;
use bollard::models::{
    ContainerConfig, ContainerInspectResponse, ContainerState, ContainerStateStatusEnum,
    NetworkSettings,
};
use std::collections::BTreeMap;

fn text(text: &str) -> String {
    text.to_owned()
}

fn host() -> Host {
    let facts = EngineFacts {
        api: ApiVersion { major: 1, minor: 51 },
        limits_swap: true,
        ..EngineFacts::default()
    };
    Host { facts, ..Host::default() }
}

/// `spec` as it comes back from an engine that tells all as it was asked for.
fn told(spec: &ContainerSpec) -> ContainerSpec {
    let host = host();
    let new = NewContainer {
        name: text("s-web-1"),
        spec: spec.clone(),
        labels: BTreeMap::from([(text(labels::SLOT), text("web/1"))]),
        keep_volumes: BTreeMap::new(),
    };
    let joining = write_networking::write(&spec.networking, &host.facts);
    let body = write_container::write(&new, &host.facts, "1f", joining.at_create, joining.mode);
    // The wire is JSON: what is not said there does not arrive.
    let wire = serde_json::to_value(&body).unwrap();
    let host_config = serde_json::from_value(wire["HostConfig"].clone()).unwrap();
    let networks = serde_json::from_value(wire["NetworkingConfig"]["EndpointsConfig"].clone());
    let answer = ContainerInspectResponse {
        id: Some("0a".repeat(32)),
        name: Some(text("/s-web-1")),
        created: Some(text("2026-11-21T08:00:00.123456789Z")),
        state: Some(ContainerState {
            status: Some(ContainerStateStatusEnum::CREATED),
            ..ContainerState::default()
        }),
        config: Some(ContainerConfig {
            image: body.image,
            labels: body.labels,
            ..ContainerConfig::default()
        }),
        host_config: Some(host_config),
        network_settings: Some(NetworkSettings {
            networks: Some(networks.unwrap_or_default()),
            ..NetworkSettings::default()
        }),
        ..ContainerInspectResponse::default()
    };
    let names = BTreeMap::from([(text("c0ffee"), text("s-db-1"))]);
    let mut spec = read_container::read(&host, &names, answer).unwrap().spec;
    spec.labels.retain(|key, _| !labels::is_bookkeeping(key));
    spec
}

fn plain() -> ContainerSpec {
    ContainerSpec {
        networking: Networking::None,
        ..ContainerSpec::new(ImageRef::new("app:1").unwrap())
    }
}

fn comes_back(spec: &ContainerSpec) {
    let found = told(spec);
    assert!(found == *spec, "found {found:#?}\nexpected {spec:#?}");
}

#[test]
fn resources_and_devices_come_back() {
    let rate = || BTreeMap::from([(text("/dev/sda"), 1 << 20)]);
    let mut spec = plain();
    spec.blkio = Blkio {
        weight: Some(300),
        weight_device: [(text("/dev/sda"), 200)].into(),
        device_read_bps: rate(),
        device_write_bps: rate(),
        device_read_iops: rate(),
        device_write_iops: rate(),
    };
    (spec.limits.cpu_period, spec.limits.cpu_quota) = (Some(50_000), Some(25_000));
    (spec.cpu_rt_period, spec.cpu_rt_runtime) = (Some(1000), Some(500));
    (spec.limits.memory, spec.limits.memory_swap) = (Some(64 << 20), Some(-1));
    (spec.mem_swappiness, spec.oom_kill_disable, spec.oom_score_adj) = (Some(0), true, -7);
    let device = Device { source: text("/dev/null"), permissions: text("r") };
    spec.devices = [(text("/dev/x"), device)].into();
    spec.device_cgroup_rules = [text("c 1:3 mr")].into();
    spec.device_requests = vec![
        DeviceRequest { count: -1, capabilities: [text("gpu")].into(), ..DeviceRequest::default() },
        DeviceRequest {
            driver: Some(text("nvidia")),
            count: 0,
            device_ids: [text("0"), text("1")].into(),
            capabilities: [text("gpu"), text("video")].into(),
            options: [(text("a"), text("b"))].into(),
        },
    ];
    comes_back(&spec);
}

#[test]
fn namespaces_annotations_and_storage_options_come_back() {
    let mut spec = plain();
    spec.annotations = [(text("a"), text("b"))].into();
    spec.storage_opt = [(text("size"), text("1g"))].into();
    (spec.uts, spec.userns_mode) = (Some(text("host")), Some(text("host")));
    (spec.cgroup, spec.cgroup_parent) = (Some(text("private")), Some(text("/a")));
    (spec.ipc, spec.pid) = (Some(text("shareable")), Some(text("host")));
    comes_back(&spec);
}

#[test]
fn what_is_shared_by_id_is_told_by_name() {
    let mut spec = plain();
    spec.networking = Networking::Container(text("c0ffee"));
    (spec.ipc, spec.pid) = (Some(text("container:c0ffee")), Some(text("container:beef")));
    spec.volumes_from = vec![VolumesFrom { container: text("c0ffee"), read_only: true }];
    let found = told(&spec);
    assert_eq!(found.networking, Networking::Container(text("s-db-1")));
    assert_eq!(found.ipc.as_deref(), Some("container:s-db-1"));
    assert_eq!(found.pid.as_deref(), Some("container:beef"), "one that is gone stays an id");
    assert_eq!(found.volumes_from, [VolumesFrom { container: text("s-db-1"), read_only: true }]);
}

#[test]
fn endpoints_come_back() {
    let endpoint = Endpoint {
        aliases: [text("web")].into(),
        ipv4_address: Some([10, 0, 0, 5].into()),
        link_local_ips: ["169.254.1.1".parse().unwrap()].into(),
        mac_address: Some(text("02:42:0a:00:00:05")),
        interface_name: Some(text("in0")),
        gw_priority: 2,
        links: [text("db:database")].into(),
        driver_opts: [(text("o"), text("v"))].into(),
        ..Endpoint::default()
    };
    let other = Endpoint { aliases: [text("web")].into(), ..Endpoint::default() };
    let networks = [(text("back"), Box::new(endpoint)), (text("front"), Box::new(other))];
    comes_back(&ContainerSpec { networking: Networking::Networks(networks.into()), ..plain() });
}

#[test]
fn mounts_come_back() {
    let bind = |recursive| {
        let bind =
            Bind { path: text("/srv"), create_host_path: true, recursive, ..Bind::default() };
        Mount { read_only: true, ..Mount::of(MountSource::Bind(bind)) }
    };
    let volume = |subpath: Option<&str>| {
        let subpath = subpath.map(text);
        Mount::of(MountSource::Volume { name: text("s_data"), nocopy: true, subpath })
    };
    let image = |subpath: Option<&str>| {
        let image = ImageRef::new("files:1").unwrap();
        Mount::of(MountSource::Image { image, subpath: subpath.map(text) })
    };
    let labelled =
        Mount { labels: [(text("a"), text("b"))].into(), ..Mount::of(MountSource::Anonymous) };
    let mounts = [
        ("/a", bind(None)),
        ("/b", bind(Some(Recursive::Disabled))),
        ("/c", bind(Some(Recursive::Writable))),
        ("/d", bind(Some(Recursive::ReadOnly))),
        ("/e", volume(None)),
        ("/f", volume(Some("x/y"))),
        ("/g", image(None)),
        ("/h", image(Some("x"))),
        ("/i", labelled),
    ];
    let mounts = mounts.into_iter().map(|(target, mount)| (text(target), mount)).collect();
    comes_back(&ContainerSpec { mounts, ..plain() });
}
