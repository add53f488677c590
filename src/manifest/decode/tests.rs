use crate::manifest::{DigestKey, Loaded, Request, load};
use crate::model::{
    Condition, ContainerSpec, DeviceRequest, MountSource, Networking, Recursive, Service,
    ServiceName, VolumesFrom,
};
use std::path::PathBuf;

fn loaded(text: &str) -> Result<Loaded, String> {
    let request = Request::new(vec![PathBuf::from("/s/compose.yaml")], DigestKey::new([7; 32]));
    let read = |path: &std::path::Path| {
        if path.ends_with("compose.yaml") {
            Ok(text.as_bytes().to_vec())
        } else {
            Err(std::io::ErrorKind::NotFound.into())
        }
    };
    load(&request, &read).map_err(|problems| problems.to_string())
}

/// The service `a` with `attributes`, beside a service `db`.
fn service(attributes: &str) -> Result<Service, String> {
    let text = format!(
        "name: s\nservices:\n  a: {{ image: i:1, {attributes} }}\n  db: {{ image: i:1 }}\n  \
         named: {{ image: i:1, container_name: own }}\nnetworks: {{ b: {{}}, f: {{}} }}\nvolumes: {{ data: {{}} }}\n"
    );
    let mut stack = loaded(&text)?.stack;
    Ok(stack.services.remove(&ServiceName::new("a").unwrap()).unwrap())
}

fn spec(attributes: &str) -> ContainerSpec {
    *service(attributes).unwrap().container
}

#[track_caller]
fn refused(attributes: &str, told: &str) {
    let problems = service(attributes).err().unwrap_or_default();
    assert!(problems.contains(told), "{attributes}: {problems}");
}

#[test]
fn what_is_shared_with_a_service_is_shared_with_its_first_container_after_it_is_up() {
    let found =
        service("network_mode: 'service:db', pid: 'service:named', ipc: 'container:x'").unwrap();
    assert_eq!(found.container.networking, Networking::Container("s-db-1".to_owned()));
    assert_eq!(found.container.pid.as_deref(), Some("container:own"));
    assert_eq!(found.container.ipc.as_deref(), Some("container:x"));
    let needs: Vec<_> =
        found.depends_on.iter().map(|(name, need)| (name.as_str(), need.condition)).collect();
    assert_eq!(needs, [("db", Condition::Started), ("named", Condition::Started)]);
}

#[test]
fn volumes_come_from_services_and_containers_with_their_mode() {
    let from =
        |container: &str, read_only| VolumesFrom { container: container.to_owned(), read_only };
    let found = spec("volumes_from: [db, 'named:ro', 'container:x:rw']").volumes_from;
    assert_eq!(found, [from("s-db-1", false), from("own", true), from("x", false)]);
    refused("volumes_from: ['container:x:z']", "is no SERVICE[:ro]");
}

#[test]
fn links_with_another_name_are_found_under_it_on_every_network() {
    let found = spec("networks: [b, f], links: [db, 'db:database'], external_links: ['x:y']");
    let Networking::Networks(networks) = found.networking else { panic!("no networks") };
    assert_eq!(networks.len(), 2);
    for endpoint in networks.values() {
        let links: Vec<_> = endpoint.links.iter().map(String::as_str).collect();
        assert_eq!(links, ["db:database", "x:y"]);
    }
    refused("network_mode: host, links: ['db:x']", "excludes `network_mode`");
}

#[test]
fn a_hardware_address_is_that_on_the_network_joined_first() {
    let text = "networks: { b: {}, f: { priority: 1 } }, mac_address: 02-42-AC-11-00-03";
    let Networking::Networks(networks) = spec(text).networking else { panic!("no networks") };
    assert_eq!(networks["s_f"].mac_address.as_deref(), Some("02:42:ac:11:00:03"));
    assert_eq!(networks["s_b"].mac_address, None);
    refused("mac_address: '02:42'", "is no hardware address");
    refused("mac_address: '02:42:ac:11:00:0g'", "is no hardware address");
    refused("network_mode: bridge, mac_address: '02:42:ac:11:00:03'", "excludes `network_mode`");
    let both =
        "networks: { b: { mac_address: '02:42:ac:11:00:04' } }, mac_address: '02:42:ac:11:00:03'";
    refused(both, "differs from that of the service's first network");
}

#[test]
fn devices_are_asked_for_by_path_by_kind_and_by_what_they_can_do() {
    let gpu = |count| DeviceRequest {
        count,
        capabilities: ["gpu".to_owned()].into(),
        ..DeviceRequest::default()
    };
    assert_eq!(spec("gpus: all").device_requests, [gpu(-1)]);
    assert_eq!(spec("gpus: [{ count: 2 }]").device_requests, [gpu(2)]);
    assert_eq!(spec("gpus: [{ driver: d }]").device_requests[0].count, -1);
    let found = spec("devices: ['/dev/null', 'v.example/k=one']");
    assert_eq!(found.devices.len(), 1);
    assert_eq!(found.device_requests[0].driver.as_deref(), Some("cdi"));
    refused("gpus: [{ count: 1, device_ids: [a] }]", "exclude each other");
}

#[test]
fn limits_that_say_the_same_twice_or_make_no_sense_are_refused() {
    refused("cpus: 1, cpu_quota: 1000", "`cpus`");
    refused("mem_swappiness: 101", "from 0 to 100");
    refused("oom_score_adj: 1001", "1000");
    refused("blkio_config: { device_read_bps: [{ path: /dev/x, rate: fast }] }", "fast");
    let found = spec("cpu_period: 50000, cpu_quota: '25000', mem_swappiness: 0");
    assert_eq!((found.limits.cpu_period, found.limits.cpu_quota), (Some(50_000), Some(25_000)));
    assert_eq!(found.mem_swappiness, Some(0));
}

#[test]
fn namespaces_are_those_that_an_engine_knows() {
    for (key, mode) in [
        ("uts", "private"),
        ("uts", "'service:db'"),
        ("userns_mode", "x"),
        ("pid", "x"),
        ("ipc", "'container:'"),
    ] {
        refused(&format!("{key}: {mode}"), "is none of");
    }
    refused("cgroup: x", "host, private");
    refused("network_mode: 'container:'", "names nothing");
}

#[test]
fn mounts_have_the_options_of_their_kind() {
    let mount = |options: &str| {
        spec(&format!("volumes: [{{ target: /t, {options} }}]")).mounts.remove("/t").unwrap()
    };
    let found = mount("type: bind, source: /x, bind: { recursive: disabled }");
    let MountSource::Bind(bind) = found.source else { panic!("{found:?}") };
    assert_eq!(bind.recursive, Some(Recursive::Disabled));
    let found = mount("type: volume, source: data, volume: { subpath: a/b, labels: [x=1] }");
    let subpath = Some("a/b".to_owned());
    let volume = MountSource::Volume { name: "s_data".to_owned(), nocopy: false, subpath };
    assert_eq!((found.source, found.labels["x"].as_str()), (volume, "1"));
    let found = mount("type: image, source: 'files:1', image: { subpath: x }");
    let MountSource::Image { image, subpath } = found.source else { panic!("{found:?}") };
    assert_eq!((image.as_str(), subpath.as_deref()), ("files:1", Some("x")));
    refused(
        "volumes: [{ type: bind, source: /x, target: /t, bind: { recursive: readonly } }]",
        "needs `read_only: true`",
    );
    refused("volumes: [{ type: volume, target: /t, volume: { subpath: x } }]", "needs a volume");
    refused("volumes: [{ type: cluster, source: x, target: /t }]", "is for Swarm");
}

#[test]
fn owner_and_mode_of_what_is_copied_are_part_of_its_note() {
    let digest = |grant: &str| {
        let text = format!(
            "name: s\nservices: {{ a: {{ image: i:1, configs: [{grant}] }} }}\nconfigs: {{ c: {{ content: x }} }}\n"
        );
        let stack = loaded(&text).unwrap().stack;
        stack.services.into_values().next().unwrap().container.contents["configs./c"].clone()
    };
    let plain = digest("c");
    assert_eq!(digest("{ source: c, mode: 0o444, uid: '0' }"), plain);
    assert_ne!(digest("{ source: c, mode: 0o400 }"), plain);
    assert_ne!(digest("{ source: c, uid: '7' }"), digest("{ source: c, gid: '7' }"));
}

#[test]
fn hooks_are_decoded_in_their_order() {
    let attributes = "pre_start: [{ command: [a, b], image: 'i:2', user: '7', per_replica: true }, {}], \
                      post_start: [{ command: sh -c 'x y', environment: [A=1] }], \
                      pre_stop: [{ command: [c], privileged: true, working_dir: /w }, { command: [d] }]";
    let hooks = service(attributes).unwrap().hooks;
    let programs = |hooks: &[crate::model::Hook]| -> Vec<String> {
        hooks.iter().map(|hook| hook.command.join("|")).collect()
    };
    assert_eq!(programs(&hooks.pre_start), ["a|b", ""]);
    assert_eq!(programs(&hooks.post_start), ["sh|-c|x y"]);
    assert_eq!(programs(&hooks.pre_stop), ["c", "d"]);
    let [first, second] = &hooks.pre_start[..] else { panic!("{hooks:?}") };
    assert_eq!((first.user.as_deref(), first.per_replica), (Some("7"), true));
    assert_eq!(first.image.as_ref().unwrap().as_str(), "i:2");
    assert_eq!(second.image.as_ref().unwrap().as_str(), "i:1", "the service's own");
    assert_eq!(hooks.post_start[0].environment["A"].as_deref(), Some("1"));
    assert_eq!(hooks.pre_stop[0].working_dir.as_deref(), Some("/w"));
    assert!(hooks.pre_stop[0].privileged && !hooks.pre_stop[1].privileged);
}

#[test]
fn a_hook_in_a_container_that_runs_names_its_program() {
    refused("post_start: [{ command: [] }]", "post_start.0.command: must name a program");
    refused("pre_stop: [{ command: [a] }, { command: '' }]", "pre_stop.1.command");
    refused("pre_start: [{ image: 'i 2' }]", "pre_start.0.image");
}

#[test]
fn updates_have_swarms_defaults_and_what_the_file_says() {
    use crate::model::{FailureAction, Order, Ratio, UpdatePolicy};
    use std::time::Duration;
    let rolling = service("labels: []").unwrap().rolling;
    assert_eq!((rolling.update.clone(), rolling.rollback), <_>::default());
    assert_eq!((rolling.update.parallelism, rolling.update.order), (1, Order::StopFirst));
    let update = "parallelism: 0, delay: 3s, monitor: 1m, max_failure_ratio: 0.25, \
                  failure_action: continue, order: start-first";
    let rolling = service(&format!("deploy: {{ update_config: {{ {update} }} }}")).unwrap().rolling;
    let expected = UpdatePolicy {
        parallelism: 0,
        delay: Duration::from_secs(3),
        monitor: Some(Duration::from_secs(60)),
        max_failure_ratio: Ratio::new(0.25).unwrap(),
        failure_action: Some(FailureAction::Continue),
        order: Order::StartFirst,
    };
    assert_eq!(rolling.update, expected);
    assert_eq!(rolling.rollback, UpdatePolicy::default());
    let unsaid = service("deploy: { update_config: { monitor: 0s } }").unwrap().rolling;
    assert_eq!(unsaid.update.monitor, None, "Swarm takes 0 for not said");
    refused(
        "deploy: { update_config: { failure_action: retry } }",
        "pause or continue or rollback",
    );
    refused(
        "deploy: { rollback_config: { failure_action: rollback } }",
        "must be pause or continue",
    );
    refused("deploy: { update_config: { max_failure_ratio: 1.5 } }", "from 0 to 1");
}

#[test]
fn an_image_that_no_engine_takes_is_refused_at_its_place() {
    let rule = "is no image reference: the name of a repository has lower-case letters";
    let refused = |text: &str, place: &str| {
        let problems = loaded(text).err().unwrap_or_default();
        assert!(problems.contains(place) && problems.contains(rule), "{text}: {problems}");
    };
    refused("services:\n  a:\n    image: Trial:2\n", "compose.yaml:3:12: services.a.image:");
    refused(
        "services:\n  a:\n    image: a:1\n    pre_start:\n      - image: Trial:2\n",
        "compose.yaml:5:9: services.a.pre_start.0.image:",
    );
    refused(
        "services:\n  a:\n    image: a:1\n    volumes: [{ type: image, source: Trial:2, target: /d }]\n",
        "services.a.volumes:",
    );
    assert_eq!(spec("labels: {}").image.as_str(), "i:1");
    assert!(loaded("services: { a: { image: 'Registry:5000/a/b__c:V1' } }\n").is_ok());
}

#[test]
fn a_time_without_its_unit_is_told_with_one() {
    for attributes in [
        "deploy: { update_config: { monitor: 10 } }",
        "healthcheck: { test: x, interval: 10 }",
        "stop_grace_period: 10",
    ] {
        refused(attributes, "a time has a unit; write for example `10s`");
    }
}

#[test]
fn a_failure_action_that_is_nearly_one_is_told() {
    for section in ["update_config", "rollback_config"] {
        let attributes = format!("deploy: {{ {section}: {{ failure_action: puase }} }}");
        refused(&attributes, "not `puase`; did you mean `pause`?");
    }
}

#[test]
fn a_volume_named_like_a_drive_is_told_to_be_renamed() {
    for mount in ["d:/data", "d:/data:ro"] {
        let help = "rename it, or write `{ type: volume, source: d, target: /data }`";
        refused(&format!("volumes: ['{mount}']"), help);
    }
}
