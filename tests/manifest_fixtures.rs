//! Compares what the loader makes of documents that nobody here wrote with what Docker Compose
//! makes of them. Reads the fixtures where they lie beside the project, and says so if they do not.

#![allow(clippy::unwrap_used)] // A record that is not as described must end the test.

use bowline::manifest::{DigestKey, Request, Resolved, resolve};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Fewer matches than this are a regression.
const FLOOR: usize = 253;
/// The same for single attributes.
const MICRO_FLOOR: usize = 299;

fn fixtures() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/compose-fixtures");
    let root = std::env::var_os("COMPOSE_FIXTURES").map_or(beside, PathBuf::from);
    root.canonicalize().ok().filter(|root| root.is_dir())
}

fn records(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            records(&path, found);
        } else {
            found.push(path);
        }
    }
    found.sort();
}

fn run(record: &Value, root: &Path) -> Result<Resolved, String> {
    let root = root.to_string_lossy();
    let args: Vec<String> = record["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arg| arg.as_str().unwrap().replace("@ROOT@", &root))
        .collect();
    let mut request = Request {
        files: vec![],
        project_name: None,
        project_directory: None,
        variables: BTreeMap::new(),
        env_files: None,
        profiles: BTreeSet::new(),
        digest_key: DigestKey::new([0; 32]),
        display_root: None,
    };
    for pair in args.chunks(2) {
        match pair[0].as_str() {
            "-f" => request.files.push(PathBuf::from(&pair[1])),
            "--project-directory" => request.project_directory = Some(PathBuf::from(&pair[1])),
            "-p" | "--project-name" => request.project_name = Some(pair[1].clone()),
            "--profile" => drop(request.profiles.insert(pair[1].clone())),
            other => return Err(format!("unknown argument {other} is not supported yet")),
        }
    }
    resolve(&request, &|path| std::fs::read(path)).map_err(|diagnostics| diagnostics.to_string())
}

fn with_root(value: &Value, root: &Path) -> Value {
    let text = value.to_string().replace("@ROOT@", &root.to_string_lossy());
    serde_json::from_str(&text).unwrap()
}

#[test]
fn documents_give_what_docker_compose_gives() {
    let Some(root) = fixtures() else {
        println!("0 of 0: no fixtures beside the project");
        return;
    };
    let mut paths = vec![];
    records(&root.join("expected"), &mut paths);
    let (mut matched, mut within, mut within_matched) = (0, 0, 0);
    for path in &paths {
        let record: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let expected = record.get("config").filter(|config| config.is_object());
        let outcome = run(&record, &root);
        let unsupported = outcome.as_ref().is_err_and(|text| text.contains("not supported yet"));
        let same = match (expected, &outcome) {
            (Some(expected), Ok(loaded)) => with_root(expected, &root) == loaded.config,
            (None, Err(_)) => true,
            _ => false,
        };
        matched += usize::from(same);
        within += usize::from(!unsupported);
        within_matched += usize::from(same && !unsupported);
        if !same && !unsupported {
            let name = path.strip_prefix(&root).unwrap().display();
            match (&outcome, expected) {
                (Err(text), _) => println!("REFUSED {name}: {}", text.lines().next().unwrap()),
                (Ok(_), None) => println!("ACCEPTED {name}: {}", record["error"]),
                (Ok(loaded), Some(expected)) => println!(
                    "DIFFERS {name}\n  want {}\n  have {}",
                    with_root(expected, &root),
                    loaded.config
                ),
            }
        }
    }
    println!("{matched} of {} documents", paths.len());
    println!("{within_matched} of {within} documents within the supported keys");
    assert!(within_matched >= FLOOR, "{within_matched} matches; there were {FLOOR} before");
}

/// A service attribute's cases: what was written, and what Compose printed or that it refused.
fn micro(root: &Path, file: &str, attribute: &str) -> (usize, usize) {
    let text = std::fs::read(root.join("micro").join(file)).unwrap();
    let cases: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let mut matched = 0;
    for case in &cases {
        let document = serde_json::json!({
            "name": "t",
            "services": {"a": {"image": "i", attribute: case["in"]}},
            "volumes": {"named": {}, "na.me_1-x": {}},
        });
        let mut request = Request {
            files: vec![PathBuf::from("/tmp/d/compose.yaml")],
            project_name: None,
            project_directory: None,
            variables: BTreeMap::from([("HOSTV".to_owned(), "hv".to_owned())]),
            env_files: Some(vec![]),
            profiles: BTreeSet::new(),
            digest_key: DigestKey::new([0; 32]),
            display_root: None,
        };
        request.variables.insert("HOME".to_owned(), "/home/u".to_owned());
        let document =
            if ["ports", "volumes", "devices"].contains(&attribute) && !case["in"].is_array() {
                let mut listed = document.clone();
                listed["services"]["a"][attribute] = Value::Array(vec![case["in"].clone()]);
                listed
            } else {
                document
            };
        let outcome = resolve(&request, &|_| Ok(document.to_string().into_bytes()));
        let same = match (case.get("error"), &outcome) {
            (Some(_), Err(_)) => true,
            (None, Ok(loaded)) => {
                let wanted =
                    case["value"].to_string().replace("@DIR@", "/tmp/d").replace("$$", "$");
                let wanted: Value = serde_json::from_str(&wanted).unwrap();
                let have = loaded.config["services"]["a"].get(attribute).unwrap_or(&Value::Null);
                have == &wanted
            }
            _ => false,
        };
        matched += usize::from(same);
        if !same {
            println!(
                "MICRO {file} {case}\n  have {:?}",
                outcome
                    .map(|loaded| loaded.config["services"]["a"][attribute].clone())
                    .map_err(|error| error.to_string())
            );
        }
    }
    (matched, cases.len())
}

#[test]
fn single_attributes_give_what_docker_compose_gives() {
    let Some(root) = fixtures() else { return };
    let (mut matched, mut total) = (0, 0);
    for (file, attribute) in [
        ("bytes_mem_limit.json", "mem_limit"),
        ("command_forms.json", "command"),
        ("command_string.json", "command"),
        ("cpus.json", "cpus"),
        ("devices.json", "devices"),
        ("duration_stop_grace_period.json", "stop_grace_period"),
        ("entrypoint_forms.json", "entrypoint"),
        ("environment.json", "environment"),
        ("extra_hosts.json", "extra_hosts"),
        ("healthcheck.json", "healthcheck"),
        ("labels.json", "labels"),
        ("ports.json", "ports"),
        ("pull_policy.json", "pull_policy"),
        ("restart.json", "restart"),
        ("volumes.json", "volumes"),
    ] {
        let (same, cases) = micro(&root, file, attribute);
        matched += same;
        total += cases;
    }
    println!("{matched} of {total} single attributes");
    assert!(matched >= MICRO_FLOOR, "{matched} matches; there were {MICRO_FLOOR} before");
}
