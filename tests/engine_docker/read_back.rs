//! What is read back from the engine is what was asked for.

use super::specs::{host_port, map, mount, network, port, set, texts};
use super::support::docker::{Corner, docker};
use bowline::engine::Engine;
use bowline::model::{
    Bind, ContainerSpec, ContentDigest, CopiedFile, Device, Endpoint, Healthcheck, HostPorts,
    ImageRef, Limits, Logging, Mount, MountSource, Networking, PortBinding, Protocol, Query,
    RestartPolicy, Sensitive, State, Tmpfs, Ulimit, VolumeSpec,
};
use bowline::plan::Step;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Equal, or the lines that differ.
fn assert_same(found: &ContainerSpec, expected: &ContainerSpec) {
    let lines = |spec: &ContainerSpec| format!("{spec:#?}");
    let (found_text, expected_text) = (lines(found), lines(expected));
    let differing = |a: &str, b: &str| -> Vec<String> {
        a.lines().filter(|line| !b.lines().any(|other| other == *line)).map(str::to_owned).collect()
    };
    assert!(
        found == expected,
        "found {:#?}\nexpected {:#?}",
        differing(&found_text, &expected_text),
        differing(&expected_text, &found_text)
    );
}

async fn assert_round_trip(corner: &Corner, spec: ContainerSpec) {
    let mut expected = spec.clone();
    corner.create("web", spec).await;
    let observed = corner.only().await;
    for (key, value) in &expected.labels {
        assert_eq!(observed.spec.labels.get(key), Some(value));
    }
    expected.labels.clone_from(&observed.spec.labels);
    expected.files.clear();
    if let Networking::Networks(networks) = &mut expected.networking {
        for endpoint in networks.values_mut() {
            endpoint.priority = 0;
        }
    }
    assert_same(&observed.spec, &expected);
    assert_eq!(observed.state, State::Created);
}

fn rich_mounts(corner: &Corner) -> BTreeMap<String, Mount> {
    let bind = |create_host_path, propagation: Option<&str>, selinux| {
        mount(MountSource::Bind(Bind {
            path: "/tmp".to_owned(),
            create_host_path,
            is_file: false,
            propagation: propagation.map(str::to_owned),
            selinux,
            recursive: None,
        }))
    };
    let volume =
        |nocopy| mount(MountSource::Volume { name: corner.name("data"), nocopy, subpath: None });
    let memory = Tmpfs { size: Some(1 << 20), mode: Some(0o1770), options: BTreeSet::new() };
    let special = Tmpfs { options: set(&["noexec", "uid=7"]), ..memory.clone() };
    let read_only = |mount| Mount { read_only: true, ..mount };
    [
        ("/bind", bind(true, None, None)),
        ("/bind-read-only", read_only(bind(true, None, Some('z')))),
        ("/bind-shared", bind(true, Some("rshared"), None)),
        ("/bind-strict", read_only(bind(false, None, None))),
        ("/bind-strict-slave", bind(false, Some("rslave"), None)),
        ("/volume", volume(false)),
        ("/volume-read-only", read_only(volume(false))),
        ("/volume-nocopy", volume(true)),
        ("/anonymous", mount(MountSource::Anonymous)),
        ("/memory", mount(MountSource::Tmpfs(memory))),
        ("/memory-special", mount(MountSource::Tmpfs(special))),
    ]
    .into_iter()
    .map(|(target, mount)| (target.to_owned(), mount))
    .collect()
}

fn rich_spec(corner: &Corner) -> ContainerSpec {
    let endpoint = |address: &str, priority| Endpoint {
        aliases: set(&["web", "www"]),
        ipv4_address: Some(address.parse().unwrap()),
        priority,
        ..Endpoint::default()
    };
    ContainerSpec {
        entrypoint: Some(texts(&["/bin/busybox"])),
        command: Some(texts(&["sleep", "600"])),
        environment: [
            ("GONE".to_owned(), None),
            ("A".to_owned(), Some("1=2".to_owned())),
            ("E".to_owned(), Some(String::new())),
        ]
        .into(),
        labels: map(&[("com.example.team", "shop")]),
        user: Some("7:8".to_owned()),
        working_dir: Some("/work".to_owned()),
        hostname: Some("web".to_owned()),
        domainname: Some("example.org".to_owned()),
        ports: [
            PortBinding {
                container: port(80, Protocol::Tcp),
                host_ip: Some([127, 0, 0, 1].into()),
                host: Some(host_port(38080)),
            },
            PortBinding {
                container: port(81, Protocol::Udp),
                host_ip: None,
                host: Some(HostPorts { first: 38090, last: 38099 }),
            },
            PortBinding { container: port(82, Protocol::Tcp), host_ip: None, host: None },
        ]
        .into(),
        expose: [port(90, Protocol::Sctp)].into(),
        mounts: rich_mounts(corner),
        networking: Networking::Networks(BTreeMap::from([
            (corner.name("back"), Box::new(endpoint("10.231.17.5", 0))),
            (corner.name("front"), Box::new(endpoint("10.231.18.5", 9))),
        ])),
        restart: RestartPolicy::OnFailure { max_retries: 3 },
        healthcheck: Some(Healthcheck {
            test: Some(texts(&["CMD", "/bin/busybox", "true"])),
            interval: Some(Duration::from_secs(5)),
            timeout: Some(Duration::from_millis(1500)),
            retries: Some(4),
            start_period: Some(Duration::from_secs(6)),
            start_interval: None,
        }),
        limits: Limits {
            nano_cpus: Some(500_000_000),
            cpu_shares: Some(512),
            cpuset: Some("0".to_owned()),
            cpu_period: None,
            cpu_quota: None,
            memory: Some(64 << 20),
            memory_reservation: Some(32 << 20),
            memory_swap: None,
            pids: Some(50),
        },
        shm_size: Some(32 << 20),
        ulimits: [("nofile".to_owned(), Ulimit { soft: 1000, hard: 2000 })].into(),
        cap_add: set(&["NET_ADMIN"]),
        cap_drop: set(&["MKNOD"]),
        init: Some(true),
        tty: true,
        stdin_open: true,
        security_opt: set(&["no-new-privileges:true"]),
        sysctls: map(&[("net.core.somaxconn", "512")]),
        devices: [(
            "/dev/nothing".to_owned(),
            Device { source: "/dev/null".to_owned(), permissions: "r".to_owned() },
        )]
        .into(),
        group_add: set(&["9"]),
        dns: texts(&["10.0.0.2", "10.0.0.1"]),
        dns_search: texts(&["b.example", "a.example"]),
        dns_opt: texts(&["ndots:2"]),
        extra_hosts: set(&["db:10.0.0.3"]),
        stop_signal: Some("SIGINT".to_owned()),
        stop_grace_period: Some(Duration::from_secs(3)),
        logging: Some(Logging { driver: None, options: map(&[("max-size", "1m")]) }),
        files: vec![CopiedFile {
            target: "/run/secrets/token".to_owned(),
            content: Sensitive::new(b"s3cret".to_vec()),
            uid: 7,
            gid: 8,
            mode: 0o400,
        }],
        contents: [("secrets./run/secrets/token".to_owned(), ContentDigest("d1".to_owned()))]
            .into(),
        ..ContainerSpec::new(corner.image())
    }
}

#[tokio::test]
async fn a_container_with_everything_set_reads_back_as_it_was_asked_for() {
    let corner = corner!("t-docker-rich");
    network(&corner, "back", "10.231.17.0/28").await;
    network(&corner, "front", "10.231.18.0/28").await;
    let volume = VolumeSpec { name: corner.name("data"), ..VolumeSpec::default() };
    corner.perform(Step::CreateVolume { spec: volume, labels: corner.labels() }).await;
    let mut spec = rich_spec(&corner);
    let engine = corner.engine.observe(&Query::owned_by(corner.stack())).await.unwrap().engine;
    if engine.keeps_start_interval() {
        let check = spec.healthcheck.as_mut().unwrap();
        check.start_interval = Some(Duration::from_millis(700));
    }
    assert_round_trip(&corner, spec).await;
}

#[tokio::test]
async fn a_container_with_everything_of_the_host_reads_back_as_it_was_asked_for() {
    let corner = corner!("t-docker-host");
    let spec = ContainerSpec {
        networking: Networking::Host,
        restart: RestartPolicy::UnlessStopped,
        limits: Limits { memory: Some(8 << 20), memory_swap: Some(24 << 20), ..Limits::default() },
        privileged: true,
        read_only: true,
        init: Some(false),
        healthcheck: Some(Healthcheck { test: Some(texts(&["NONE"])), ..Healthcheck::default() }),
        logging: Some(Logging { driver: Some("none".to_owned()), options: BTreeMap::new() }),
        pid: Some("host".to_owned()),
        ipc: Some("host".to_owned()),
        ..corner.sleeper()
    };
    assert_round_trip(&corner, spec).await;
}

#[tokio::test]
async fn an_emptied_entrypoint_is_told_apart_from_the_image_s() {
    let corner = corner!("t-docker-empty");
    let image = corner.name("entry:1");
    docker(&["create", "--name", &corner.name("made"), corner.image().as_str(), "sh"]);
    let change = "ENTRYPOINT [\"/bin/sh\"]";
    docker(&["commit", "--change", change, &corner.name("made"), &image]);
    docker(&["rm", &corner.name("made")]);
    let inherited =
        ContainerSpec { image: ImageRef::new(image.clone()).unwrap(), ..corner.sleeper() };
    let emptied = ContainerSpec { entrypoint: Some(Vec::new()), ..inherited.clone() };
    corner.create("a", inherited).await;
    corner.create("b", emptied).await;
    let observed = corner.observe().await;
    docker(&["rm", "-f", &corner.name("a"), &corner.name("b")]);
    docker(&["rmi", "-f", &image]);
    let seen: Vec<_> = observed.containers.iter().map(|c| c.spec.entrypoint.clone()).collect();
    assert_eq!(seen[0], Some(texts(&["/bin/sh"])));
    assert_ne!(seen[1], seen[0]);
    assert!(seen[1].as_ref().is_none_or(Vec::is_empty), "{seen:?}");
}

#[tokio::test]
async fn what_the_engine_chooses_reads_back_as_nothing_said() {
    let corner = corner!("t-docker-plain");
    let spec = ContainerSpec { networking: Networking::DefaultBridge, ..corner.sleeper() };
    let container = corner.create("web", spec.clone()).await;
    corner.perform(Step::Start(container)).await;
    let observed = corner.only().await;
    let expected = ContainerSpec { labels: observed.spec.labels.clone(), ..spec };
    assert_same(&observed.spec, &expected);
}

#[tokio::test]
async fn a_container_in_another_s_network_reads_back_as_it_was_asked_for() {
    let corner = corner!("t-docker-shared");
    docker(&["create", "--name", &corner.name("host"), corner.image().as_str(), "sh"]);
    let networking = Networking::Container(corner.name("host"));
    assert_round_trip(&corner, ContainerSpec { networking, ..corner.sleeper() }).await;
}

#[tokio::test]
async fn a_container_whose_network_s_owner_was_replaced_does_not_read_back_its_name() {
    let corner = corner!("t-docker-orphan");
    let host = corner.name("host");
    docker(&["create", "--name", &host, corner.image().as_str(), "sh"]);
    let networking = Networking::Container(host.clone());
    corner.create("web", ContainerSpec { networking, ..corner.sleeper() }).await;
    docker(&["rm", &host]);
    docker(&["create", "--name", &host, corner.image().as_str(), "sh"]);
    let found = corner.only().await.spec.networking;
    assert!(matches!(&found, Networking::Container(id) if *id != host), "{found:?}");
}
