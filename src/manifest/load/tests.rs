//! What whole files give, read from memory.

use crate::manifest::{DigestKey, Loaded, Request, load, resolve};
use crate::model::{
    Condition, Endpoint, HostPorts, MountSource, Networking, RestartPolicy, ServiceName,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

fn request(files: &[&str]) -> Request {
    let files = files.iter().map(|name| PathBuf::from(format!("/src/shop/{name}"))).collect();
    Request {
        variables: BTreeMap::from([("TAG".to_owned(), "1.2".to_owned())]),
        display_root: Some(PathBuf::from("/src/shop")),
        ..Request::new(files, DigestKey::new([1; 32]))
    }
}

fn content(path: &Path, files: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
    let name = path.strip_prefix("/src/shop").unwrap().to_str().unwrap();
    let found = files.iter().find(|(file, _)| *file == name);
    found.map(|(_, text)| text.as_bytes().to_vec()).ok_or(Error::from(ErrorKind::NotFound))
}

fn load_files(request: &Request, files: &[(&str, &str)]) -> Result<Loaded, String> {
    load(request, &|path| content(path, files)).map_err(|diagnostics| diagnostics.to_string())
}

/// What `config` prints of the files, the first of which is the stack's.
fn config_of(files: &[(&str, &str)]) -> serde_json::Value {
    resolve(&request(&["compose.yaml"]), &|path| content(path, files)).unwrap().config
}

fn load_one(text: &str) -> Result<Loaded, String> {
    load_files(&request(&["compose.yaml"]), &[("compose.yaml", text)])
}

fn refused(services: &str) -> String {
    load_one(&format!("services:\n{services}")).unwrap_err()
}

const SHOP: &str = "\
services:
  web:
    image: nginx:${TAG}
    command: serve --port 80
    ports: ['127.0.0.1:8080:80']
    volumes: ['data:/data', './conf:/etc/conf:ro', /cache]
    networks: {front: {aliases: [www]}}
    depends_on: {db: {condition: service_healthy}}
    restart: unless-stopped
    mem_limit: 64m
    environment: [A=1, TAG, GONE]
    secrets: [password]
    configs: [{source: motd, target: /etc/motd}]
  db:
    image: postgres
    deploy: {replicas: 2, resources: {limits: {cpus: '0.5'}}}
networks: {front: {}, unused: {}}
volumes: {data: {}}
secrets: {password: {file: ./password}}
configs: {motd: {content: 'hi ${TAG}'}}
";

fn shop() -> Loaded {
    let files = [("compose.yaml", SHOP), ("password", "hunter2")];
    load_files(&request(&["compose.yaml"]), &files).unwrap()
}

#[test]
fn a_file_becomes_a_typed_stack() {
    let stack = shop().stack;
    assert_eq!(stack.name.as_str(), "shop");
    let web = &stack.services[&ServiceName::new("web").unwrap()];
    let spec = &web.container;
    assert_eq!(spec.image.as_str(), "nginx:1.2");
    assert_eq!(spec.command.as_deref().unwrap(), ["serve", "--port", "80"]);
    let port = spec.ports.first().unwrap();
    assert_eq!(port.host, Some(HostPorts { first: 8080, last: 8080 }));
    assert_eq!(port.host_ip, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(spec.limits.memory, Some(64 << 20));
    assert_eq!(spec.restart, RestartPolicy::UnlessStopped);
    assert_eq!(spec.environment["TAG"].as_deref(), Some("1.2"));
    assert_eq!(spec.environment["GONE"], None);
    let db = ServiceName::new("db").unwrap();
    assert_eq!(web.depends_on[&db].condition, Condition::Healthy);
    assert_eq!(stack.services[&db].replicas, 2);
    assert_eq!(stack.services[&db].container.limits.nano_cpus, Some(500_000_000));
}

#[test]
fn networks_and_volumes_carry_the_projects_name_and_unused_networks_are_left_out() {
    let stack = shop().stack;
    let keys: Vec<_> = stack.networks.keys().map(String::as_str).collect();
    assert_eq!(keys, ["default", "front"]);
    assert_eq!(stack.volumes["data"].name, "shop_data");
    let web = &stack.services[&ServiceName::new("web").unwrap()].container;
    let aliases = BTreeSet::from(["web".to_owned(), "www".to_owned()]);
    let endpoint = Endpoint { aliases, ..Endpoint::default() };
    let expected = BTreeMap::from([("shop_front".to_owned(), Box::new(endpoint))]);
    assert_eq!(web.networking, Networking::Networks(expected));
}

#[test]
fn mounts_have_absolute_sources_and_the_names_of_volumes() {
    let stack = shop().stack;
    let mounts = &stack.services[&ServiceName::new("web").unwrap()].container.mounts;
    let MountSource::Bind(bind) = &mounts["/etc/conf"].source else { panic!("no bind") };
    assert_eq!(bind.path, "/src/shop/conf");
    assert!(mounts["/etc/conf"].read_only && bind.create_host_path);
    let volume = MountSource::Volume { name: "shop_data".to_owned(), nocopy: false, subpath: None };
    assert_eq!(mounts["/data"].source, volume);
    assert_eq!(mounts["/cache"].source, MountSource::Anonymous);
}

#[test]
fn a_secret_file_is_mounted_a_config_is_copied_and_neither_is_shown() {
    let loaded = shop();
    let web = &loaded.stack.services[&ServiceName::new("web").unwrap()].container;
    let MountSource::Bind(bind) = &web.mounts["/run/secrets/password"].source else {
        panic!("no bind")
    };
    assert_eq!(bind.path, "/src/shop/password");
    assert_eq!(web.files[0].target, "/etc/motd");
    assert_eq!(web.files[0].content.expose(), b"hi 1.2");
    assert_eq!(web.files[0].mode, 0o444);
    let digest = DigestKey::new([1; 32]).digest(b"hunter2");
    assert_eq!(web.contents["secrets./run/secrets/password"], digest);
    assert!(!format!("{loaded:?}").contains("hunter2"));
    assert!(loaded.inputs.contains(Path::new("/src/shop/password")));
}

#[test]
fn every_field_knows_where_it_was_written() {
    let stack = shop().stack;
    let place = stack.places.of("services.web.mem_limit").unwrap();
    assert_eq!(place.to_string(), "compose.yaml:10:5");
}

#[test]
fn all_problems_are_told_with_their_places() {
    let text = refused("  web:\n    imgae: a\n    image: b\n    restart: 1\n    tty: maybe\n");
    let expected = "\
error: compose.yaml:3:5: services.web: unknown key `imgae`; did you mean `image`?
error: compose.yaml:5:14: services.web.restart: must be a string, not an integer
error: compose.yaml:6:10: services.web.tty: must be a boolean, not `maybe`";
    assert_eq!(text, expected);
}

#[test]
fn what_cannot_be_run_is_resolved_and_refused_only_when_it_is_to_run() {
    let text = "services:\n  a:\n    image: i\n    provider: {type: x}\n";
    let request = request(&["compose.yaml"]);
    let read = |_: &Path| Ok(text.as_bytes().to_vec());
    let resolved = resolve(&request, &read).unwrap();
    assert_eq!(resolved.config["services"]["a"]["provider"]["type"], "x");
    let refused = load(&request, &read).unwrap_err().to_string();
    assert!(
        refused.starts_with("error: compose.yaml:4:5: services.a: `provider` is not"),
        "{refused}"
    );
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    for (services, part) in [
        ("  a: {}\n", "needs `image`"),
        ("  a: {image: i, depends_on: [b]}\n", "undefined service `b`"),
        ("  a: {image: i, depends_on: [b]}\n  b: {image: i, depends_on: [a]}\n", "a -> b -> a"),
        ("  a: {image: i, networks: [n]}\n", "undefined network `n`"),
        ("  a: {image: i, volumes: ['v:/d/x', 'named:/d']}\n", "undefined volume `named`"),
        ("  a: {image: i, secrets: [s]}\n", "undefined secret `s`"),
        ("  a: {image: i, container_name: cc, scale: 2}\n", "several replicas"),
        ("  a: {image: i, ports: ['80:80'], scale: 2}\n", "several replicas"),
        ("  a: {image: i, scale: 2, deploy: {replicas: 3}}\n", "`deploy.replicas` differ"),
        ("  a: {image: i, network_mode: host, networks: [n]}\n", "exclude each other"),
        (
            "  a: {image: i, ports: ['80:80']}\n  b: {image: i, ports: ['1.1.1.1:80:80']}\n",
            "published by `a` already",
        ),
        (
            "  a: {image: i, container_name: cc}\n  b: {image: i, container_name: cc}\n",
            "container of `a` already",
        ),
        (
            "  a: {image: i, networks: {n: {ipv4_address: 10.1.0.2}}}\n\
             networks: {n: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}\n",
            "lies in no subnet",
        ),
        ("  a: {image: i, command: (a)}\n", "needs a shell"),
        ("  a: {image: i, volumes: ['vol:/d:rw:xx']}\n", "too many colons"),
    ] {
        let text = refused(services);
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn a_later_file_is_laid_over_the_first_and_env_files_stand_under_environment() {
    let files = [
        ("compose.yaml", "services: {a: {image: i, env_file: e.env, environment: {A: '1'}}}\n"),
        ("compose.override.yaml", "services: {a: {image: j}}\n"),
        ("e.env", "A=0\nB=$X\n"),
        (".env", "X=from-env\n"),
    ];
    let loaded = load_files(&request(&["compose.yaml", "compose.override.yaml"]), &files).unwrap();
    let container = &loaded.stack.services.values().next().unwrap().container;
    assert_eq!(container.image.as_str(), "j");
    let variables = [("A", "1"), ("B", "from-env")];
    let variables = variables.map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
    assert_eq!(container.environment, variables.into());
}

#[test]
fn a_service_whose_profile_is_off_is_left_out() {
    let text = "services: {a: {image: i}, b: {image: i, profiles: [debug]}}\n";
    assert_eq!(load_one(text).unwrap().stack.services.len(), 1);
    let mut request = request(&["compose.yaml"]);
    request.profiles.insert("debug".to_owned());
    let loaded = load_files(&request, &[("compose.yaml", text)]).unwrap();
    assert_eq!(loaded.stack.services.len(), 2);
}

#[test]
fn an_unreadable_file_an_empty_one_and_a_binary_one_are_diagnostics() {
    let missing = load_files(&request(&["compose.yaml"]), &[]).unwrap_err();
    assert!(missing.contains("cannot read compose.yaml"), "{missing}");
    assert!(load_one("").unwrap_err().contains("empty"));
    assert!(load_one("a\0b").unwrap_err().contains("NUL"));
}

#[test]
fn an_unset_variable_and_a_version_are_warnings() {
    let loaded = load_one("version: '3'\nservices: {a: {image: 'i$X'}}\n").unwrap();
    let text = loaded.warnings.to_string();
    assert!(text.contains("the variable `X` is not set"), "{text}");
    assert!(text.contains("compose.yaml:1:1: version: has no effect"), "{text}");
}

#[test]
fn what_is_included_sees_its_own_variables_and_keeps_its_own_paths() {
    let files = [
        (
            "compose.yaml",
            "include: [sub/c.yaml]\nservices: {m: {image: 'm:${B:-none}', secrets: [x]}}\n",
        ),
        (
            "sub/c.yaml",
            "services: {s: {image: 's:${A}', environment: [A, B], env_file: e.env, volumes: ['./d:/d']}}\n\
             secrets: {x: {environment: B}}\n",
        ),
        ("sub/.env", "A=sub\nB=own\n"),
        ("sub/e.env", "Z=$B-$A\n"),
        (".env", "A=outer\n"),
    ];
    let loaded = load_files(&request(&["compose.yaml"]), &files).unwrap();
    let config = config_of(&files);
    let services = &config["services"];
    assert_eq!(services["s"]["image"], "s:outer");
    let environment = serde_json::json!({"A": "outer", "B": "own", "Z": "own-outer"});
    assert_eq!(services["s"]["environment"], environment);
    assert_eq!(services["s"]["volumes"][0]["source"], "/src/shop/sub/d");
    assert_eq!(services["m"]["image"], "m:none");
    let spec = &loaded.stack.services[&ServiceName::new("m").unwrap()].container;
    assert!(spec.files.iter().any(|file| file.target == "/run/secrets/x"));
}

#[test]
fn what_includes_goes_over_what_is_included_also_by_its_tags() {
    let files = [
        (
            "compose.yaml",
            "include: [b.yaml]\nservices: {a: {ports: !override ['81:81'], user: !reset x, tty: true}}\n",
        ),
        ("b.yaml", "services: {a: {image: i, ports: ['80:80'], user: u, hostname: h}}\n"),
    ];
    let config = config_of(&files);
    let service = &config["services"]["a"];
    assert_eq!(service["ports"].as_array().unwrap().len(), 1);
    assert_eq!(service["ports"][0]["target"], 81);
    assert!(service.get("user").is_none());
    assert_eq!((&service["hostname"], &service["tty"]), (&"h".into(), &true.into()));
}

#[test]
fn a_service_extends_another_and_paths_stay_where_they_were_written() {
    let files = [
        (
            "compose.yaml",
            "services: {a: {extends: {file: sub/b.yaml, service: b}, labels: [x=1], \
             ports: ['81:81'], environment: !override {N: '1'}}}\n",
        ),
        (
            "sub/b.yaml",
            "services: {b: {extends: c, labels: {x: 0, y: 0}, volumes: ['./d:/d']}, \
             c: {image: i, ports: ['80:80'], environment: {M: '1'}}}\n",
        ),
    ];
    let config = config_of(&files);
    let service = &config["services"]["a"];
    assert_eq!(service["labels"], serde_json::json!({"x": "1", "y": "0"}));
    assert_eq!(service["volumes"][0]["source"], "/src/shop/sub/d");
    assert_eq!(service["environment"], serde_json::json!({"N": "1"}));
    assert_eq!(service["ports"].as_array().unwrap().len(), 2);
    assert!(service.get("extends").is_none());
}

#[test]
fn sharing_something_is_depending_on_it() {
    let text = "services:\n  a: {image: i, links: ['b:x'], pid: 'service:c', volumes_from: ['d:ro']}\n  \
                b: {image: i}\n  c: {image: i}\n  d: {image: i}\n";
    let request = request(&["compose.yaml"]);
    let config = resolve(&request, &|_| Ok(text.as_bytes().to_vec())).unwrap().config;
    let started = |restart: bool| {
        let mut entry = serde_json::json!({"condition": "service_started", "required": true});
        if restart {
            entry["restart"] = true.into();
        }
        entry
    };
    let expected = serde_json::json!({"b": started(true), "c": started(true), "d": started(false)});
    assert_eq!(config["services"]["a"]["depends_on"], expected);
}

#[test]
fn several_problems_of_a_file_are_told_in_the_order_of_their_places() {
    let text = "\
services:
  web:
    image: x:${TAG:?none}${NOPE:?needed}
    ports: ['80:80:80:80']
    restrat: always
    tty: maybe
";
    let told = load_one(text).unwrap_err();
    let places: Vec<_> = told.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    let expected =
        ["compose.yaml:3:12", "compose.yaml:4:13", "compose.yaml:5:5", "compose.yaml:6:10"];
    assert_eq!(places, expected, "{told}");
}

#[test]
fn a_value_that_is_replaced_need_not_be_a_good_one() {
    let files = [
        (
            "compose.yaml",
            "services: {a: {image: i, mem_limit: wrong, stop_grace_period: x, command: \"a 'b\"}}\n",
        ),
        (
            "compose.override.yaml",
            "services: {a: {mem_limit: 1m, stop_grace_period: 5s, command: a b}}\n",
        ),
    ];
    let request = request(&["compose.yaml", "compose.override.yaml"]);
    let config = resolve(&request, &|path| content(path, &files)).unwrap().config;
    let service = &config["services"]["a"];
    assert_eq!(
        (&service["mem_limit"], &service["stop_grace_period"]),
        (&"1048576".into(), &"5s".into())
    );
    let alone = load_files(&self::request(&["compose.yaml"]), &files).unwrap_err();
    assert_eq!(alone.matches("error: compose.yaml:1").count(), 3, "{alone}");
}

#[test]
fn a_profile_may_be_switched_on_by_a_variable_and_a_name_must_be_one() {
    let compose = "services: {a: {image: i}, b: {image: i, profiles: [debug]}}\n";
    let files = [("compose.yaml", compose), (".env", "COMPOSE_PROFILES=x, debug\n")];
    let loaded = load_files(&request(&["compose.yaml"]), &files).unwrap();
    assert_eq!(loaded.stack.services.len(), 2);
    for (name, kept) in [("My App", Some("myapp")), ("_x", Some("x")), ("\u{c9}", None)] {
        let text = format!("name: {name}\n{compose}");
        let loaded = load_one(&text).map(|loaded| loaded.stack.name.to_string());
        assert_eq!(loaded.ok().as_deref(), kept, "{name}");
    }
    let asked = Request { project_name: Some("My App".to_owned()), ..request(&["compose.yaml"]) };
    assert!(load_files(&asked, &files).unwrap_err().contains("is no project name"));
}
