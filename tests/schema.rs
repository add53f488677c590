//! What `bowline schema` prints: held against what is read, by the validator of Debian's
//! `python3-jsonschema`, which knows nothing of Bowline.

#![allow(clippy::unwrap_used)] // A test that cannot read its own files fails.

use bowline::config::{reference, schema};
use bowline::manifest::{DigestKey, Request, SchemaKind, json_schema, resolve};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PAGE: &str = "docs/configuration-keys.md";
/// Set where the validator must be there.
const REQUIRED: &str = "BOWLINE_TEST_JSONSCHEMA";
/// Reads a schema and instances, tells of each what is wrong with it first, or nothing.
const JUDGE: &str = "
import json, sys
from jsonschema import Draft7Validator
asked = json.load(sys.stdin)
Draft7Validator.check_schema(asked['schema'])
judge = Draft7Validator(asked['schema'])
answers = []
for instance in asked['instances']:
    error = next(judge.iter_errors(instance), None)
    answers.append(None if error is None else '%s: %s' % (list(error.path), error.message[:200]))
json.dump(answers, sys.stdout)
";

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What is wrong with each of the instances; `None` where there is no validator and none is required.
fn judged(schema: &Value, instances: &[Value]) -> Option<Vec<Option<String>>> {
    let python = "/usr/bin/python3";
    let has = Command::new(python).args(["-c", "import jsonschema"]).output();
    if !has.is_ok_and(|has| has.status.success()) {
        let is_required = std::env::var(REQUIRED).is_ok_and(|value| value == "required");
        assert!(!is_required, "python3-jsonschema is required and not installed");
        println!("not run: python3-jsonschema is not installed");
        return None;
    }
    let mut judge = Command::new(python)
        .args(["-c", JUDGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = json!({ "schema": schema, "instances": instances }).to_string();
    judge.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let told = judge.wait_with_output().unwrap();
    assert!(told.status.success(), "the validator ended with {}", told.status);
    let answers: Vec<Option<String>> = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(answers.len(), instances.len());
    Some(answers)
}

/// A YAML text as its editor sees it; `None` for one that JSON cannot say, by its tags or keys.
fn seen(text: &str) -> Option<Value> {
    let mut value: serde_yaml::Value = serde_yaml::from_str(text).ok()?;
    value.apply_merge().ok()?;
    serde_json::to_value(&value).ok()
}

#[track_caller]
fn assert_accepts(schema: &Value, texts: &[(String, String)]) {
    let instances: Vec<_> = texts.iter().map(|(_, text)| seen(text).unwrap()).collect();
    let Some(answers) = judged(schema, &instances) else { return };
    let wrong: Vec<_> = texts
        .iter()
        .zip(answers)
        .filter_map(|((name, _), answer)| Some(format!("{name}: {}", answer?)))
        .collect();
    assert!(wrong.is_empty(), "refused though it is read:\n{}", wrong.join("\n"));
}

#[track_caller]
fn assert_refuses(schema: &Value, texts: &[&str]) {
    let instances: Vec<_> = texts.iter().map(|text| seen(text).unwrap()).collect();
    let Some(answers) = judged(schema, &instances) else { return };
    for (text, answer) in texts.iter().zip(answers) {
        assert!(answer.is_some(), "accepted: {text}");
    }
}

#[test]
fn the_page_of_keys_is_what_the_program_prints() {
    let printed = reference();
    if std::env::var_os("BOWLINE_WRITE_PAGES").is_some() {
        std::fs::write(project(PAGE), &printed).unwrap();
    }
    let page = std::fs::read_to_string(project(PAGE)).unwrap();
    assert!(page == printed, "{PAGE} is old; make it anew with BOWLINE_WRITE_PAGES=1");
}

#[test]
fn every_key_of_the_configuration_is_explained() {
    let schema = schema();
    let definitions = schema["definitions"].as_object().unwrap();
    let mappings = definitions.iter().map(|(name, one)| (name.as_str(), one));
    let mut count = 0;
    for (name, mapping) in mappings.chain([("the file", &schema)]) {
        for (key, property) in mapping["properties"].as_object().into_iter().flatten() {
            let said = property["description"].as_str().unwrap_or_default();
            assert!(said.ends_with('.'), "{key} of {name} is not explained");
            count += 1;
        }
    }
    assert!(count > 50, "only {count} keys were found");
}

#[test]
fn the_schema_of_the_configuration_accepts_what_is_read_and_refuses_what_is_not() {
    let page = std::fs::read_to_string(project("docs/configuration.md")).unwrap();
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    assert_accepts(
        &schema(),
        &[
            ("the example".to_owned(), example.to_owned()),
            ("short".to_owned(), "sources: [{ url: /srv/infra.git }]\nprune: false".to_owned()),
            (
                "sizes".to_owned(),
                "sources: [{ url: a, limits: { max_size: 5000 } }]\nprune: { confirm: [a] }"
                    .to_owned(),
            ),
        ],
    );
    assert_refuses(
        &schema(),
        &[
            "sources: [{ url: a }]\nsocket_path: /run/x",
            "sources: [{ name: a }]",
            "sources: [{ url: a, verify: { mode: tags } }]",
            "sources: [{ url: a }]\nparallel: 0",
            "sources: [{ url: a }]\nlog: { format: xml }",
        ],
    );
}

#[test]
fn the_schema_of_compose_files_accepts_every_file_that_is_read() {
    let mut files = Vec::new();
    for directory in ["manifests", "../shared/compose-fixtures"] {
        collect(&project(directory), &mut files);
    }
    let mut texts = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        if text.contains("\n---") || text.contains("!reset") || text.contains("!override") {
            continue;
        }
        let request = Request::new(vec![file.clone()], DigestKey::new([0; 32]));
        let is_read = resolve(&request, &|path| std::fs::read(path)).is_ok();
        if is_read && seen(&text).is_some_and(|value| value.is_object()) {
            texts.push((file.display().to_string(), text));
        }
    }
    assert!(texts.len() >= 4, "only {} files were found", texts.len());
    texts.push(("settings".to_owned(), SETTINGS.to_owned()));
    assert_accepts(&json_schema(SchemaKind::Compose), &texts);
}

const SETTINGS: &str = "
x-bowline:
  { adopt: true, drift: report, depends_on: [db], order: start-first, rollback: off, drain: 5s,
    schedule: { deny: [{ cron: 0 8 * * *, for: 10h, timezone: Europe/Berlin }] } }
x-mine: 1
services:
  web:
    image: web:${VERSION:-1}
    ports: [\"80:80\"]
    deploy: { replicas: \"${REPLICAS}\" }
    x-bowline:
      allow: [open-port]
      canary: { hold: 60s, slots: 2, http: { port: 8080, path: /healthz } }
";

#[test]
fn the_schema_of_compose_files_refuses_what_is_written_wrong() {
    assert_refuses(
        &json_schema(SchemaKind::Compose),
        &[
            "services: { web: { imgae: web } }",
            "services: { web: { image: web, healthcheck: { retries: -1 } } }",
            "services: { web: { image: web, cgroup: public } }",
            "services: { \"a b\": { image: web } }",
            "x-bowline: { drift: ignore }",
            "services: { web: { image: web, x-bowline: { canary: { slots: 1 } } } }",
            "volumes: { data: 5 }",
        ],
    );
}

#[test]
fn what_cannot_be_run_is_told_in_the_editor() {
    let schema = json_schema(SchemaKind::Compose);
    let service = &schema["properties"]["services"]["additionalProperties"]["properties"];
    assert_eq!(service["build"]["deprecated"], true);
    assert!(!service["build"]["description"].as_str().unwrap().is_empty());
    assert_eq!(service["attach"]["deprecated"], true);
    assert!(service["image"]["deprecated"].is_null());
}

#[test]
fn the_schemas_of_charts_accept_the_charts_that_come_with_bowline() {
    let mut charts = Vec::new();
    for name in ["web", "postgres", "monitoring"] {
        let path = format!("charts/{name}/Chart.yaml");
        charts.push((path.clone(), std::fs::read_to_string(project(&path)).unwrap()));
    }
    assert_accepts(&json_schema(SchemaKind::Chart), &charts);
    assert_refuses(&json_schema(SchemaKind::Chart), &["name: web\nversion: 1.0.0"]);
    let stack = json_schema(SchemaKind::Stack);
    let text = "name: shop\nchart: ../charts/web\nvalues: values.yaml\nset: { replicas: 3 }";
    assert_accepts(&stack, &[("a stack".to_owned(), text.to_owned())]);
    assert_refuses(&stack, &["name: shop\nvalues: values.yaml", "chart: [a]"]);
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            found.push(path);
        }
    }
    found.sort();
}
