//! Compares what the loader makes of documents that nobody here wrote with what Docker Compose
//! makes of them. Reads the fixtures where they lie beside the project, or where the variable
//! `COMPOSE_FIXTURES` says, and tells if they are not there.

#![allow(clippy::unwrap_used)] // A record that is not as described must end the test.

#[path = "manifest_fixtures/exceptions.rs"]
mod exceptions;

use bowline::manifest::{Diagnostics, DigestKey, Request, Resolved, resolve};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Fewer matches than these are a regression.
const DOCUMENTS: usize = 430;
const TRIPLES: usize = 57;
const SINGLE: usize = 740;

fn fixtures() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/compose-fixtures");
    let root = std::env::var_os("COMPOSE_FIXTURES").map_or(beside, PathBuf::from);
    let root = root.canonicalize().ok().filter(|root| root.is_dir());
    if root.is_none() {
        println!("0 of 0: no fixtures beside the project");
    }
    root
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

fn request(files: Vec<PathBuf>) -> Request {
    Request::new(files, DigestKey::new([0; 32]))
}

fn run(record: &Value, root: &Path) -> Result<Resolved, Diagnostics> {
    let root = root.to_string_lossy();
    let args = record["args"].as_array().unwrap().iter();
    let args: Vec<String> =
        args.map(|arg| arg.as_str().unwrap().replace("@ROOT@", &root)).collect();
    let mut request = request(vec![]);
    request.variables.insert("HOME".to_owned(), "/root".to_owned());
    for pair in args.chunks(2) {
        match pair[0].as_str() {
            "-f" => request.files.push(PathBuf::from(&pair[1])),
            "--project-directory" => request.project_directory = Some(PathBuf::from(&pair[1])),
            "-p" | "--project-name" => request.project_name = Some(pair[1].clone()),
            "--profile" => drop(request.profiles.insert(pair[1].clone())),
            other => panic!("unknown argument {other}"),
        }
    }
    resolve(&request, &|path| std::fs::read(path))
}

fn with_root(value: &Value, root: &Path) -> Value {
    let text = value.to_string().replace("@ROOT@", &root.to_string_lossy());
    serde_json::from_str(&text).unwrap()
}

/// The first two keys of the path that a message is about: `services.web`.
fn place(message: &str) -> Option<String> {
    let sections = ["services", "networks", "volumes", "configs", "secrets"];
    let is_key = |c: char| c.is_alphanumeric() || "_.-".contains(c);
    let word = message.split(|c: char| !is_key(c)).find(|word| {
        word.split_once('.').is_some_and(|(section, _)| sections.contains(&section))
    })?;
    let mut keys = word.split('.');
    Some(format!("{}.{}", keys.next()?, keys.next()?))
}

#[test]
fn documents_give_what_docker_compose_gives() {
    let Some(root) = fixtures() else { return };
    let mut paths = vec![];
    records(&root.join("expected"), &mut paths);
    let (mut matched, mut excepted, mut refused, mut placed) = (0, 0, 0, 0);
    for path in &paths {
        let record: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let expected = record.get("config").filter(|config| config.is_object());
        let outcome = run(&record, &root);
        let same = match (expected, &outcome) {
            (Some(expected), Ok(resolved)) => with_root(expected, &root) == resolved.config,
            (None, Err(_)) => true,
            _ => false,
        };
        let name = path.strip_prefix(root.join("expected")).unwrap().display().to_string();
        if let (None, Err(problems)) = (expected, &outcome)
            && let Some(wanted) = place(&record["error"].to_string())
        {
            refused += 1;
            let found = problems.0.iter().any(|problem| problem.field.starts_with(&wanted));
            placed += usize::from(found);
            if !found {
                println!("PLACE {name}: want {wanted}, have {}\n  {problems}", record["error"]);
            }
        }
        matched += usize::from(same);
        if same {
            continue;
        }
        if exceptions::DOCUMENTS.iter().any(|(excepted, _)| *excepted == name) {
            excepted += 1;
            continue;
        }
        match (&outcome, expected) {
            (Err(problems), _) => println!("REFUSED {name}: {problems}"),
            (Ok(_), None) => println!("ACCEPTED {name}: {}", record["error"]),
            (Ok(resolved), Some(expected)) => {
                println!("DIFFERS {name}");
                difference("", &with_root(expected, &root), &resolved.config);
            }
        }
    }
    println!("{matched} of {} documents, {excepted} are exceptions", paths.len());
    println!("{placed} of {refused} refusals name the same place");
    assert!(matched >= DOCUMENTS, "{matched} matches; there were {DOCUMENTS} before");
}

fn difference(path: &str, want: &Value, have: &Value) {
    match (want, have) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let missing = Value::String("(nothing)".to_owned());
                let (want, have) = (a.get(key).unwrap_or(&missing), b.get(key).unwrap_or(&missing));
                difference(&format!("{path}.{key}"), want, have);
            }
        }
        (want, have) if want != have => println!("  {path}: want {want}, have {have}"),
        _ => {}
    }
}

#[test]
fn merged_files_give_what_their_authors_wanted() {
    let Some(root) = fixtures() else { return };
    let mut wants = vec![];
    records(&root.join("compose-go-inline/override"), &mut wants);
    wants.retain(|path| path.ends_with("want.yaml"));
    let mut matched = 0;
    for want in &wants {
        let model = |files: Vec<PathBuf>| {
            let request = Request {
                project_name: Some("p".to_owned()),
                consistency: false,
                ..request(files)
            };
            // The env files that some name are not there.
            let read = |path: &Path| {
                let is_env = path.extension().is_none_or(|extension| extension != "yaml");
                if is_env { Ok(vec![]) } else { std::fs::read(path) }
            };
            resolve(&request, &read).map(|resolved| resolved.config)
        };
        let merged =
            model(vec![want.with_file_name("base.yaml"), want.with_file_name("override.yaml")]);
        let wanted = model(vec![want.clone()]);
        let same = merged.is_ok() && merged == wanted;
        matched += usize::from(same);
        let name = want.parent().unwrap().display().to_string();
        let excepted = exceptions::MERGES_OF_INVALID.iter().any(|(one, _)| name.ends_with(one));
        if !same && !excepted {
            println!("TRIPLE {}\n  {merged:?}\n  {wanted:?}", want.display());
        }
    }
    println!("{matched} of {} merges", wants.len());
    assert!(matched >= TRIPLES, "{matched} matches; there were {TRIPLES} before");
}

/// Files in memory, by their whole path; all else is not there.
fn resolve_in_memory(files: &[(&str, String)]) -> Result<Value, String> {
    let variables = [("HOSTV", "hv"), ("HOME", "/home/u")];
    let request = Request {
        variables: variables.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        env_files: Some(vec![]),
        ..request(vec![PathBuf::from("/tmp/d/compose.yaml")])
    };
    resolve_with(&request, files)
}

fn resolve_with(request: &Request, files: &[(&str, String)]) -> Result<Value, String> {
    let read = |path: &Path| {
        let found = files.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| text.clone().into_bytes()).ok_or(std::io::ErrorKind::NotFound.into())
    };
    resolve(request, &read).map(|resolved| resolved.config).map_err(|problems| problems.to_string())
}

/// A case: what it is, what was recorded, and what we have.
struct Case {
    name: String,
    want: Option<Value>,
    have: Result<Value, String>,
}

fn cases(root: &Path, file: &str) -> Vec<Value> {
    let text = std::fs::read(root.join("micro").join(file)).unwrap();
    let read: Value = serde_json::from_slice(&text).unwrap();
    read.as_array().or_else(|| read["cases"].as_array()).unwrap().clone()
}

/// What was recorded; absent where it was refused.
fn recorded(case: &Value) -> Option<Value> {
    if case.get("error").is_some() {
        return None;
    }
    let value = case.get("value").or_else(|| case.get("ok")).unwrap_or(&Value::Null);
    let text = value.to_string().replace("@DIR@", "/tmp/d");
    Some(serde_json::from_str(&text).unwrap())
}

/// One attribute of a service.
fn attribute(root: &Path, file: &str, attribute: &str) -> Vec<Case> {
    let listed = ["ports", "volumes", "devices"].contains(&attribute);
    let case = |case: &Value| {
        let value =
            if listed && !case["in"].is_array() { json!([case["in"]]) } else { case["in"].clone() };
        let document = json!({
            "name": "t",
            "services": {
                "a": {"image": "i", attribute: value},
                "b": {"image": "i"}, "c": {"image": "i"},
                "dis": {"image": "i", "profiles": ["off"]},
            },
            "volumes": {"named": {}, "na.me_1-x": {}},
        });
        let have = resolve_in_memory(&[("/tmp/d/compose.yaml", document.to_string())]);
        let have = have.map(|config| config["services"]["a"][attribute].clone());
        Case { name: format!("{file} {}", case["in"]), want: recorded(case), have }
    };
    cases(root, file).iter().map(case).collect()
}

/// One thing at the top of a file, used by a service.
fn top(root: &Path, file: &str, section: &str, key: &str, using: &Value) -> Vec<Case> {
    let case = |case: &Value| {
        let document = json!({
            "name": "t",
            "services": {"a": {"image": "i", section: using}},
            section: {key: case["in"]},
        });
        let have = resolve_in_memory(&[("/tmp/d/compose.yaml", document.to_string())]);
        let have = have.map(|config| {
            let own = config[section][key].clone();
            if section == "configs" {
                json!([own, config["services"]["a"]["configs"]])
            } else {
                own
            }
        });
        Case { name: format!("{file} {}", case["in"]), want: recorded(case), have }
    };
    cases(root, file).iter().map(case).collect()
}

fn names(root: &Path) -> Vec<Case> {
    let file = "project_name_in_file.json";
    let case = |case: &Value| {
        let document = json!({"name": case["in"], "services": {"a": {"image": "i"}}});
        let have = resolve_in_memory(&[("/tmp/d/compose.yaml", document.to_string())]);
        let have = have.map(|config| config["name"].clone());
        Case { name: format!("{file} {}", case["in"]), want: recorded(case), have }
    };
    cases(root, file).iter().map(case).collect()
}

fn scalars(root: &Path) -> Vec<Case> {
    let file = "yaml_scalars_in_environment.json";
    let case = |case: &Value| {
        let scalar = case["scalar"].as_str().unwrap();
        let document = format!(
            "name: t\nservices:\n  a:\n    image: i\n    environment:\n      V: {scalar}\n"
        );
        let have = resolve_in_memory(&[("/tmp/d/compose.yaml", document)]);
        let have = have.map(|config| config["services"]["a"]["environment"]["V"].clone());
        Case { name: format!("{file} {}", case["scalar"]), want: recorded(case), have }
    };
    cases(root, file).iter().map(case).collect()
}

fn interpolations(root: &Path) -> Vec<Case> {
    let file = "interpolation.json";
    let text = std::fs::read(root.join("micro").join(file)).unwrap();
    let read: Value = serde_json::from_slice(&text).unwrap();
    let variables: BTreeMap<String, String> = serde_json::from_value(read["env"].clone()).unwrap();
    let case = |case: &Value| {
        let document = json!({
            "name": "t",
            "services": {"a": {"image": "i", "labels": {"v": case["template"]}}},
        });
        let path = "/tmp/d/compose.yaml";
        let request = Request {
            variables: variables.clone(),
            env_files: Some(vec![]),
            ..request(vec![PathBuf::from(path)])
        };
        let have = resolve_with(&request, &[(path, document.to_string())]);
        let have = have.map(|config| config["services"]["a"]["labels"]["v"].clone());
        let want = case.get("ok").cloned();
        Case { name: format!("{file} {}", case["template"]), want, have }
    };
    cases(root, file).iter().map(case).collect()
}

fn env_files(root: &Path, file: &str, format: &Value) -> Vec<Case> {
    let case = |case: &Value| {
        let mut entry = json!({"path": "e.env"});
        if format.is_string() {
            entry["format"] = format.clone();
        }
        let document = json!({"name": "t", "services": {"a": {"image": "i", "env_file": [entry]}}});
        let have = resolve_in_memory(&[
            ("/tmp/d/compose.yaml", document.to_string()),
            ("/tmp/d/e.env", case["in"].as_str().unwrap().to_owned()),
        ]);
        let have = have.map(|config| {
            let environment = config["services"]["a"]["environment"].clone();
            if environment.is_null() { json!({}) } else { environment }
        });
        let want = recorded(case).map(|want| if want.is_null() { json!({}) } else { want });
        Case { name: format!("{file} {}", case["in"]), want, have }
    };
    cases(root, file).iter().map(case).collect()
}

#[test]
fn single_attributes_give_what_docker_compose_gives() {
    let Some(root) = fixtures() else { return };
    let mut all = vec![];
    for (file, key) in [
        ("bytes_mem_limit.json", "mem_limit"),
        ("command_forms.json", "command"),
        ("command_string.json", "command"),
        ("cpus.json", "cpus"),
        ("depends_on.json", "depends_on"),
        ("devices.json", "devices"),
        ("duration_stop_grace_period.json", "stop_grace_period"),
        ("entrypoint_forms.json", "entrypoint"),
        ("environment.json", "environment"),
        ("extra_hosts.json", "extra_hosts"),
        ("gpus.json", "gpus"),
        ("healthcheck.json", "healthcheck"),
        ("labels.json", "labels"),
        ("ports.json", "ports"),
        ("pull_policy.json", "pull_policy"),
        ("restart.json", "restart"),
        ("volumes.json", "volumes"),
    ] {
        all.extend(attribute(&root, file, key));
    }
    all.extend(top(&root, "top_configs.json", "configs", "n", &json!(["n"])));
    all.extend(top(&root, "top_networks.json", "networks", "n", &json!(["n"])));
    all.extend(top(&root, "top_volumes.json", "volumes", "vol", &json!(["vol:/d"])));
    all.extend(names(&root));
    all.extend(scalars(&root));
    all.extend(interpolations(&root));
    all.extend(env_files(&root, "env_file_default.json", &Value::Null));
    all.extend(env_files(&root, "env_file_raw.json", &json!("raw")));
    let (mut matched, mut excepted) = (0, 0);
    for case in &all {
        let same = match (&case.want, &case.have) {
            (None, Err(_)) => true,
            (Some(want), Ok(have)) => want == have,
            _ => false,
        };
        matched += usize::from(same);
        if same {
            continue;
        }
        if exceptions::SINGLE.iter().any(|(name, _)| *name == case.name) {
            excepted += 1;
        } else {
            println!("MICRO {}\n  want {:?}\n  have {:?}", case.name, case.want, case.have);
        }
    }
    println!("{matched} of {} single attributes, {excepted} are exceptions", all.len());
    assert!(matched >= SINGLE, "{matched} matches; there were {SINGLE} before");
}
