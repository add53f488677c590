//! The real engine, on a real engine. Runs with `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::engine::{Engine, EngineError};
use bowline::model::{
    Bind, ContainerPort, ContainerSpec, ContentDigest, CopiedFile, Device, Endpoint, Health,
    Healthcheck, HostPorts, ImageRef, Ipam, IpamPool, Limits, Logging, Mount, MountSource,
    NetworkSpec, Networking, PortBinding, Protocol, Query, RestartPolicy, Sensitive, State, Tmpfs,
    Ulimit, VolumeSpec, labels,
};
use bowline::plan::{ContainerRef, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use support::docker::{Corner, PATIENCE, docker};
use tokio_stream::StreamExt;

macro_rules! corner {
    ($prefix:literal) => {
        match support::engine() {
            Some(engine) => Corner::new(engine, $prefix),
            None => return,
        }
    };
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn set(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn mount(source: MountSource) -> Mount {
    Mount::of(source)
}

fn port(port: u16, protocol: Protocol) -> ContainerPort {
    ContainerPort { port, protocol }
}

fn host_port(port: u16) -> HostPorts {
    HostPorts { first: port, last: port }
}

async fn network(corner: &Corner, name: &str, subnet: &str) -> NetworkSpec {
    let pool = IpamPool { subnet: Some(subnet.parse().unwrap()), ..IpamPool::default() };
    let spec = NetworkSpec {
        name: corner.name(name),
        ipam: Some(Ipam { pools: vec![pool], ..Ipam::default() }),
        ..NetworkSpec::default()
    };
    corner.perform(Step::CreateNetwork { spec: spec.clone(), labels: corner.labels() }).await;
    spec
}

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

/// What is read back is what was asked for, apart from what the engine keeps no record of.
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
async fn configs_and_secrets_are_in_place_with_owner_and_mode_before_the_start() {
    let corner = corner!("t-docker-files");
    let file = |target: &str, uid, mode| CopiedFile {
        target: target.to_owned(),
        content: Sensitive::new(b"s3cret\n".to_vec()),
        uid,
        gid: 8,
        mode,
    };
    let script = "busybox stat -c '%u:%g %a %n' /run/secrets/token /etc/app/app.conf; \
                  busybox cat /run/secrets/token; echo oops >&2";
    let spec = ContainerSpec {
        command: Some(texts(&["sh", "-c", script])),
        files: vec![file("/run/secrets/token", 7, 0o400), file("/etc/app/app.conf", 0, 0o644)],
        ..corner.sleeper()
    };
    let read_only = ContainerSpec { read_only: true, ..spec.clone() };
    let container = corner.create("web", spec).await;
    corner.perform(Step::Start(container.clone())).await;
    corner.until(&container, |state| state == State::Exited { code: 0 }).await;
    let mut lines = corner.engine.tail(&container, 10).await.unwrap();
    lines.sort();
    let expected = ["0:8 644 /etc/app/app.conf", "7:8 400 /run/secrets/token", "oops", "s3cret"];
    assert_eq!(lines, expected);
    assert_eq!(corner.engine.tail(&container, 1).await.unwrap().len(), 1);

    let step = Step::CreateContainer(Box::new(corner.container("strict", read_only)));
    let refused = corner.engine.perform(&step, &|_| {}).await.unwrap_err();
    assert!(refused.to_string().contains("`read_only` forbids"), "{refused}");
}

#[tokio::test]
async fn a_container_whose_labels_came_with_its_image_is_a_stranger() {
    let corner = corner!("t-docker-heir");
    let original = corner.create("web", corner.sleeper()).await;
    let image = corner.name("heir:1");
    docker(&["commit", &original.key, &image]);
    let heir = corner.name("heir");
    docker(&["create", "--name", &heir, &image]);

    let query = Query { container_names: [heir.clone()].into(), ..Query::owned_by(corner.stack()) };
    let observed = corner.engine.observe(&query).await.unwrap();
    let stacks = corner.engine.stacks().await.unwrap();
    docker(&["rm", "-f", &heir]);
    docker(&["rmi", "-f", &image]);
    let names: Vec<_> = observed.containers.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["t-docker-heir-web"]);
    let stranger = observed.strangers.iter().find(|s| s.name == heir).unwrap();
    assert_eq!(stranger.stack, None);
    assert_eq!(stranger.project.as_deref(), Some("t-docker-heir"));
    assert!(stacks.contains_key(&corner.stack()));
}

#[tokio::test]
async fn names_and_ports_in_use_are_told_apart() {
    let corner = corner!("t-docker-taken");
    let published = |host| ContainerSpec {
        ports: [PortBinding { container: port(80, Protocol::Tcp), host_ip: None, host }].into(),
        ..corner.sleeper()
    };
    let first = corner.create("a", published(Some(host_port(38181)))).await;
    corner.perform(Step::Start(first.clone())).await;

    let again = Step::CreateContainer(Box::new(corner.container("a", corner.sleeper())));
    let taken = corner.engine.perform(&again, &|_| {}).await.unwrap_err();
    assert!(matches!(taken, EngineError::NameTaken { .. }), "{taken}");

    let other = corner.create("other", corner.sleeper()).await;
    let again = Step::Rename { container: other, to: first.name.clone() };
    let taken = corner.engine.perform(&again, &|_| {}).await.unwrap_err();
    assert!(matches!(taken, EngineError::NameTaken { .. }), "{taken}");

    let second = corner.create("b", published(Some(host_port(38181)))).await;
    let taken = corner.engine.perform(&Step::Start(second), &|_| {}).await.unwrap_err();
    assert!(matches!(&taken, EngineError::PortTaken { port, .. } if port == "38181"), "{taken}");

    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let bound = listener.local_addr().unwrap().port();
    let third = corner.create("c", published(Some(host_port(bound)))).await;
    let taken = corner.engine.perform(&Step::Start(third), &|_| {}).await.unwrap_err();
    let named = matches!(&taken, EngineError::PortTaken { port, .. } if *port == bound.to_string());
    assert!(named, "{taken}");

    let nobody = Query::owned_by(bowline::model::StackName::new("t-docker-nobody").unwrap());
    let other = Query { host_ports: [38181].into(), ..nobody };
    let strangers = corner.engine.observe(&other).await.unwrap().strangers;
    let names: Vec<_> = strangers.iter().map(|stranger| &stranger.name).collect();
    assert_eq!(names, [&first.name]);
    let stranger = &strangers[0];
    assert_eq!(stranger.ports[0].host, Some(host_port(38181)));
    assert_eq!(stranger.stack, Some(corner.stack()));
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let corner = corner!("t-docker-missing");
    let image = ImageRef::new("t-docker-absent:1").unwrap();
    let spec = ContainerSpec { image, ..corner.sleeper() };
    let step = Step::CreateContainer(Box::new(corner.container("web", spec)));
    let error = corner.engine.perform(&step, &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot use image t-docker-absent:1: it does not exist");

    let nobody = ContainerRef::named(corner.name("nobody"));
    let error = corner.engine.perform(&Step::Start(nobody.clone()), &|_| {}).await.unwrap_err();
    let expected = "cannot start container t-docker-missing-nobody: it does not exist";
    assert_eq!(error.to_string(), expected);
    let error = corner.engine.watch(&nobody).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");

    let spec = ContainerSpec { command: Some(texts(&["/no/such"])), ..corner.sleeper() };
    let web = corner.create("web", spec).await;
    let error = corner.engine.perform(&Step::Start(web), &|_| {}).await.unwrap_err();
    assert!(matches!(&error, EngineError::Refused { message, .. } if message.contains("/no/such")));
    assert!(!error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_health_check_s_verdict_and_last_words_are_seen() {
    let corner = corner!("t-docker-health");
    let check = |script: &str| {
        Some(Healthcheck {
            test: Some(texts(&["CMD-SHELL", script])),
            interval: Some(Duration::from_millis(100)),
            retries: Some(1),
            ..Healthcheck::default()
        })
    };
    let well = ContainerSpec { healthcheck: check("true"), ..corner.sleeper() };
    let ill = ContainerSpec { healthcheck: check("echo no db; false"), ..corner.sleeper() };
    for (name, spec, health) in [("a", well, Health::Healthy), ("b", ill, Health::Unhealthy)] {
        let container = corner.create(name, spec).await;
        corner.perform(Step::Start(container.clone())).await;
        let seen = tokio::time::timeout(PATIENCE, async {
            loop {
                let sighting = corner.engine.watch(&container).await.unwrap();
                if sighting.health == health {
                    break sighting;
                }
            }
        });
        let output = seen.await.expect("a verdict in time").health_output;
        assert_eq!(output.as_deref(), (name == "b").then_some("no db"));
    }
    let seen: Vec<_> = corner.observe().await.containers.iter().map(|c| c.health).collect();
    assert_eq!(seen, [Health::Healthy, Health::Unhealthy]);
}

#[tokio::test]
async fn every_step_may_be_carried_out_twice() {
    let corner = corner!("t-docker-twice");
    let spec = network(&corner, "front", "10.231.19.0/28").await;
    let web = corner.create("web", corner.sleeper()).await;
    let endpoint = Endpoint { aliases: set(&["www"]), ..Endpoint::default() };
    let to = corner.name("other");
    let renamed = ContainerRef::named(to.clone());
    let grace = Some(Duration::from_millis(1));
    let limits = Limits { memory: Some(128 << 20), pids: Some(9), ..Limits::default() };
    let id = corner.observe().await.networks[0].id.clone();
    let join = |container: &ContainerRef| Step::Connect {
        container: container.clone(),
        network: spec.name.clone(),
        endpoint: endpoint.clone(),
    };
    let steps = [
        join(&web),
        Step::Start(web.clone()),
        Step::Update { container: web.clone(), limits, restart: RestartPolicy::Always },
        Step::Disconnect { container: web.clone(), network: spec.name.clone() },
    ];
    for step in steps {
        corner.perform(step.clone()).await;
        corner.perform(step).await;
    }
    let updated = corner.only().await;
    assert_eq!(updated.spec.limits.memory, Some(128 << 20));
    assert_eq!(updated.spec.restart, RestartPolicy::Always);

    corner.perform(join(&web)).await;
    let Networking::Networks(networks) = corner.only().await.spec.networking else {
        panic!("it is on a network of its own");
    };
    assert_eq!(*networks[&spec.name], endpoint);

    docker(&["pause", &web.name]);
    corner.until(&web, |state| state == State::Paused).await;
    let steps = [Step::Unpause(web.clone()), Step::Stop { container: web.clone(), grace }];
    for step in steps {
        corner.perform(step.clone()).await;
        corner.perform(step).await;
    }
    corner.perform(Step::Rename { container: web.clone(), to: to.clone() }).await;
    corner.perform(Step::Rename { container: renamed.clone(), to }).await;
    let steps = [
        Step::Stop { container: web, grace: None },
        Step::Remove(renamed),
        Step::RemoveNetwork { name: spec.name.clone(), id },
        Step::RemoveVolume(corner.name("gone")),
    ];
    for step in steps {
        corner.perform(step.clone()).await;
        corner.perform(step).await;
    }
    let observed = corner.observe().await;
    assert!(observed.containers.is_empty() && observed.networks.is_empty());
}

#[tokio::test]
async fn a_container_that_cannot_be_completed_is_not_left_behind() {
    let corner = corner!("t-docker-half");
    let below_a_file = CopiedFile {
        target: "/bin/busybox/token".to_owned(),
        content: Sensitive::new(Vec::new()),
        uid: 0,
        gid: 0,
        mode: 0o444,
    };
    let spec = ContainerSpec { files: vec![below_a_file], ..corner.sleeper() };
    let step = Step::CreateContainer(Box::new(corner.container("web", spec)));
    let error = corner.engine.perform(&step, &|_| {}).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot copy files into container"), "{error}");
    let query =
        Query { container_names: [corner.name("web")].into(), ..Query::owned_by(corner.stack()) };
    let observed = corner.engine.observe(&query).await.unwrap();
    assert!(observed.containers.is_empty());
    assert!(observed.strangers.is_empty(), "{:#?}", observed.strangers);
}

#[tokio::test]
async fn networks_volumes_and_images_are_found_by_name_whoever_owns_them() {
    let corner = corner!("t-docker-found");
    network(&corner, "ours", "10.231.21.0/28").await;
    let (net, vol) = (corner.name("theirs"), corner.name("theirs"));
    docker(&["network", "create", "--label", "team=x", &net]);
    docker(&["volume", "create", "--label", "team=x", &vol]);
    let guest = corner.name("guest");
    docker(&["create", "--name", &guest, "--network", &net, corner.image().as_str(), "sh"]);
    let absent = ImageRef::new("t-docker-absent:1").unwrap();
    let query = Query {
        images: [corner.image(), absent].into(),
        networks: [net.clone(), corner.name("missing")].into(),
        volumes: [vol.clone()].into(),
        ..Query::owned_by(corner.stack())
    };
    let observed = corner.engine.observe(&query).await.unwrap();
    let networks: Vec<_> = observed.networks.iter().map(|n| (&n.spec.name, &n.stack)).collect();
    assert_eq!(networks, [(&corner.name("ours"), &Some(corner.stack())), (&net, &None)]);
    assert_eq!(observed.networks[1].foreign_containers, [guest].into());
    assert_eq!(observed.networks[1].spec.labels, map(&[("team", "x")]));
    assert_eq!(observed.volumes.len(), 1);
    assert_eq!(observed.volumes[0].spec.driver.as_deref(), Some("local"));
    assert_eq!(observed.images.keys().collect::<Vec<_>>(), [&corner.image()]);
    assert!(observed.images[&corner.image()].id.starts_with("sha256:"));
}

#[tokio::test]
async fn events_name_the_stack_of_containers_networks_and_volumes() {
    let corner = corner!("t-docker-events");
    let mut events = corner.engine.events().await.unwrap();
    let spec = network(&corner, "front", "10.231.22.0/28").await;
    corner.observe().await;
    let web = corner.create("web", corner.sleeper()).await;
    corner.perform(Step::Start(web.clone())).await;
    corner
        .perform(Step::Connect {
            container: web.clone(),
            network: spec.name,
            endpoint: Endpoint::default(),
        })
        .await;
    corner.perform(Step::Remove(web)).await;

    let mut missing = vec!["create", "start", "connect", "die", "destroy"];
    let all_heard = tokio::time::timeout(PATIENCE, async {
        while !missing.is_empty() {
            let event = events.next().await.unwrap().unwrap();
            assert!(!event.action.starts_with("exec"), "{event:?}");
            if event.stack == Some(corner.stack()) {
                missing.retain(|action| *action != event.action);
            }
        }
    })
    .await;
    assert!(all_heard.is_ok(), "not heard: {missing:?}");
}

#[tokio::test]
async fn a_volume_kept_from_an_older_container_is_mounted_again() {
    let corner = corner!("t-docker-kept");
    let mounts = [("/data".to_owned(), mount(MountSource::Anonymous))];
    let spec = ContainerSpec { mounts: mounts.into(), ..corner.sleeper() };
    let old = corner.create("old", spec.clone()).await;
    let kept = corner.only().await.anonymous_volumes;
    assert!(kept.contains_key("/data"), "{kept:?}");
    corner.perform(Step::Remove(old)).await;

    let mut new = corner.container("new", spec);
    new.keep_volumes.clone_from(&kept);
    corner.perform(Step::CreateContainer(Box::new(new))).await;
    let observed = corner.only().await;
    assert_eq!(observed.anonymous_volumes, kept);
    assert_eq!(observed.spec.mounts["/data"].source, MountSource::Anonymous);
}

#[tokio::test]
async fn our_labels_are_told_back_with_a_mark_of_the_container_s_own() {
    let corner = corner!("t-docker-mark");
    corner.create("a", corner.sleeper()).await;
    corner.create("b", corner.sleeper()).await;
    let observed = corner.observe().await;
    let marks: BTreeSet<_> =
        observed.containers.iter().map(|c| c.spec.labels[labels::MARK].clone()).collect();
    assert_eq!(marks.len(), 2);
}

#[tokio::test]
async fn a_container_of_a_committed_image_is_a_stranger_also_when_the_image_is_gone() {
    let corner = corner!("t-docker-commit");
    corner.create("web", corner.sleeper()).await;
    let (ours, image) = (corner.name("web"), corner.name("image:1"));
    docker(&["commit", &ours, &image]);
    docker(&["create", "--name", &corner.name("other"), &image]);
    assert_eq!(corner.only().await.name, ours);
    docker(&["rmi", "-f", &image]);
    assert_eq!(docker(&["images", "-q", &image]), "", "the image is gone");
    let names = [corner.name("other")].into();
    let query = Query { container_names: names, ..Query::owned_by(corner.stack()) };
    let found = corner.engine.observe(&query).await.unwrap();
    assert_eq!(found.containers.len(), 1, "{:#?}", found.containers);
    assert_eq!(found.containers[0].name, ours);
    assert!(found.strangers.iter().any(|stranger| stranger.name == corner.name("other")));
}

#[tokio::test]
async fn a_terminal_s_output_is_told_line_by_line() {
    let corner = corner!("t-docker-tty");
    let script = "busybox printf 'one\\ntwo\\nthree'";
    let spec = ContainerSpec {
        command: Some(texts(&["sh", "-c", script])),
        tty: true,
        ..corner.sleeper()
    };
    let container = corner.create("web", spec).await;
    corner.perform(Step::Start(container.clone())).await;
    corner.until(&container, |state| state == State::Exited { code: 0 }).await;
    let lines = corner.engine.tail(&container, 3).await.unwrap();
    assert_eq!(lines[..2], ["one", "two"]);
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

#[tokio::test]
async fn of_two_networks_with_one_name_the_stack_s_own_comes_first() {
    let corner = corner!("t-docker-double");
    let spec = network(&corner, "front", "10.231.23.0/28").await;
    let step = Step::CreateNetwork { spec: spec.clone(), labels: corner.labels() };
    let refused = corner.engine.perform(&step, &|_| {}).await.unwrap_err();
    assert!(refused.to_string().contains("already exists"), "{refused}");
    let ours = corner.observe().await.networks[0].id.clone();
    if corner.engine.facts().await.unwrap().keeps_network_names_unique() {
        return;
    }
    make_second_network(&spec.name);

    let mut query = Query::owned_by(corner.stack());
    query.networks.insert(spec.name.clone());
    let seen = corner.engine.observe(&query).await.unwrap().networks;
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].id, ours);
}

/// Docker's command line asks the engine to refuse it, so the engine is asked without it.
fn make_second_network(name: &str) {
    use std::io::{Read, Write};
    let mut engine = std::os::unix::net::UnixStream::connect("/var/run/docker.sock").unwrap();
    let body = format!(r#"{{"Name":"{name}","CheckDuplicate":false}}"#);
    let length = body.len();
    write!(
        engine,
        "POST /v1.41/networks/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    engine.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}
