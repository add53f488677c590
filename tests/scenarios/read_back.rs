//! What is asked for is what is read back.

use super::support::images::{RICH, SLEEPER};
use super::world::{World, of};
use bowline::model::{
    Bind, ContainerPort, ContainerSpec, Healthcheck, HostPorts, Limits, Logging, Mount,
    MountSource, Networking, PortBinding, Protocol, RestartPolicy, Tmpfs, Ulimit,
};
use std::collections::BTreeMap;
use std::time::Duration;

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn mount(source: MountSource) -> Mount {
    Mount::of(source)
}

fn rich(world: &World) -> ContainerSpec {
    let bind = Bind { path: "/tmp".to_owned(), create_host_path: true, ..Bind::default() };
    let container = ContainerPort { port: 80, protocol: Protocol::Tcp };
    let mut spec = of(SLEEPER);
    spec.entrypoint = Some(texts(&["sh"]));
    spec.command = Some(texts(&["-c", "true"]));
    spec.environment = BTreeMap::from([("A".to_owned(), Some("1=2".to_owned()))]);
    spec.labels = BTreeMap::from([("who".to_owned(), "me".to_owned())]);
    spec.user = Some("3:4".to_owned());
    spec.working_dir = Some("/tmp".to_owned());
    spec.hostname = Some("box".to_owned());
    spec.ports = [PortBinding {
        container,
        host_ip: None,
        host: Some(HostPorts { first: 38280, last: 38280 }),
    }]
    .into();
    spec.expose = [ContainerPort { port: 81, protocol: Protocol::Udp }].into();
    spec.mounts = [
        ("/bind".to_owned(), mount(MountSource::Bind(bind))),
        (
            "/data".to_owned(),
            mount(MountSource::Volume { name: world.name("data"), nocopy: false, subpath: None }),
        ),
        (
            "/memory".to_owned(),
            mount(MountSource::Tmpfs(Tmpfs { size: Some(1 << 20), ..Tmpfs::default() })),
        ),
    ]
    .into();
    spec.restart = RestartPolicy::OnFailure { max_retries: 4 };
    spec.healthcheck = Some(Healthcheck {
        test: Some(texts(&["CMD", "true"])),
        interval: Some(Duration::from_secs(5)),
        ..Healthcheck::default()
    });
    spec.limits = Limits {
        memory: Some(64 << 20),
        memory_swap: Some(128 << 20),
        cpu_shares: Some(512),
        ..Limits::default()
    };
    spec.shm_size = Some(64 << 20);
    spec.ulimits = [("nofile".to_owned(), Ulimit { soft: 100, hard: 200 })].into();
    spec.cap_add = ["NET_ADMIN".to_owned()].into();
    spec.cap_drop = ["ALL".to_owned()].into();
    spec.init = Some(true);
    spec.dns = texts(&["127.0.0.1"]);
    spec.extra_hosts = ["db:127.0.0.1".to_owned()].into();
    spec.stop_signal = Some("SIGINT".to_owned());
    spec.stop_grace_period = Some(Duration::from_millis(1500));
    spec.logging = Some(Logging {
        driver: Some("json-file".to_owned()),
        options: [("max-size".to_owned(), "1m".to_owned())].into(),
    });
    spec
}

pub async fn a_rich_spec_is_read_back_as_it_was_asked_for(world: &World) {
    let asked = rich(world);
    world.create("web", asked.clone()).await;
    let found = world.only().await.spec;
    let mut expected = asked;
    expected.environment.clone_from(&found.environment);
    assert_eq!(found.environment.get("A"), Some(&Some("1=2".to_owned())));
    assert_eq!(found.labels.get("who").map(String::as_str), Some("me"));
    expected.labels.clone_from(&found.labels);
    expected.limits.memory_swap = None;
    expected.shm_size = None;
    expected.stop_grace_period = Some(Duration::from_secs(2));
    expected.logging.as_mut().unwrap().driver = None;
    assert_same(&found, &expected);
}

pub async fn what_nobody_said_is_not_there(world: &World) {
    world.create("web", of(SLEEPER)).await;
    let found = world.only().await;
    let mut expected = of(SLEEPER);
    expected.command.clone_from(&found.spec.command);
    expected.environment.clone_from(&found.spec.environment);
    expected.labels.clone_from(&found.spec.labels);
    assert!(found.spec.command.is_some());
    assert_same(&found.spec, &expected);
    assert_eq!(found.id.0.len(), 64);
}

pub async fn an_image_s_share_is_in_what_is_read(world: &World) {
    world.create("web", of(RICH)).await;
    let found = world.only().await;
    let spec = found.spec;
    assert_eq!(spec.entrypoint, Some(texts(&["sh", "-c"])));
    assert_eq!(spec.command, Some(texts(&["sleep 600"])));
    assert_eq!(spec.environment["A"].as_deref(), Some("image"));
    assert_eq!(spec.labels["kind"], "rich");
    assert_eq!((spec.user.as_deref(), spec.working_dir.as_deref()), (Some("7"), Some("/tmp")));
    assert_eq!(spec.mounts["/data"].source, MountSource::Anonymous);
    assert_eq!(found.anonymous_volumes["/data"].len(), 64);
    assert_eq!(spec.expose.len(), 1);
}

pub async fn what_is_said_goes_before_the_image_s_share(world: &World) {
    let mut asked = of(RICH);
    asked.entrypoint = Some(texts(&["sleep"]));
    asked.environment = [("A".to_owned(), Some("own".to_owned())), ("B".to_owned(), None)].into();
    asked.user = Some("8".to_owned());
    asked.networking = Networking::None;
    asked.labels = [("kind".to_owned(), "own".to_owned())].into();
    world.create("web", asked).await;
    let spec = world.only().await.spec;
    assert_eq!(spec.entrypoint, Some(texts(&["sleep"])));
    assert_eq!(spec.command, None, "an entrypoint clears the image's command");
    assert_eq!(spec.environment["A"].as_deref(), Some("own"));
    assert_eq!(spec.environment["B"], None);
    assert_eq!(spec.user.as_deref(), Some("8"));
    assert_eq!(spec.labels["kind"], "own");
    assert_eq!(spec.networking, Networking::None);
}

fn assert_same(found: &ContainerSpec, expected: &ContainerSpec) {
    assert!(found == expected, "found {found:#?}\nexpected {expected:#?}");
}
