//! Every attribute alone: applied, nothing is left to do; changed in the file, the plan names that
//! field and no other. The same table on the simulated engine, old and new, and with
//! `BOWLINE_TEST_ENGINE=docker` on the real one.

// Only tests are here; the lint sees that of functions that are marked as one.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod support;
#[path = "attributes/table.rs"]
mod table;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::manifest::{DigestKey, Request, load};
use bowline::model::{ImageConfig, ImageRef, ServiceName, Stack};
use bowline::pass::preview;
use bowline::plan::{Action, Object, Plan};
use bowline::status::PassResult;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::docker::{docker, import_busybox};
use support::passes::pass;
use support::stacks::{Stacks, container};
use table::{Form, Resource, forms, resources};

const STACK: &str = "t-attributes";
const IMAGE: &str = "t-att-busybox:1";

/// A block device of this host.
fn device() -> &'static str {
    let known = ["/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/xvda", "/dev/mmcblk0"];
    known.into_iter().find(|path| Path::new(path).exists()).unwrap_or("/dev/loop0")
}

fn filled(text: &str) -> String {
    text.replace("DEVICE", device()).replace("STACK", STACK).replace("IMAGE", IMAGE)
}

/// The service with `snippet` alone, beside what lets it run quickly.
fn service(snippet: &str) -> String {
    let mut text = format!("image: {IMAGE}, pull_policy: never");
    for (key, rest) in [
        ("command", "command: [busybox, sleep, '600']"),
        ("stop_grace_period", "stop_grace_period: 0s"),
        ("network_mode", "network_mode: none"),
    ] {
        let joins = key == "network_mode" && snippet.contains("networks:");
        if !joins && !snippet.contains(&format!("{key}:")) {
            write!(text, ", {rest}").unwrap();
        }
    }
    if !snippet.is_empty() {
        write!(text, ", {}", filled(snippet)).unwrap();
    }
    format!("{{ {text} }}")
}

/// A stack with one service a form, and one resource a form of those.
fn manifest(
    forms: &[(String, &Form, &str)],
    resources: &[(String, &Resource)],
    of_resource: fn(&Resource) -> &'static str,
) -> String {
    let mut text = format!("name: {STACK}\nservices:\n");
    let shared = service("ipc: shareable, networks: [n], volumes: ['vol:/shared']");
    writeln!(text, "  base: {shared}\n  other: {shared}").unwrap();
    for (name, _, written) in forms {
        writeln!(text, "  {name}: {}", service(written)).unwrap();
    }
    for (name, resource) in resources {
        let uses = match resource.kind {
            "networks" => format!("networks: [{name}], scale: 0"),
            _ => format!("volumes: ['{name}:/t'], scale: 0"),
        };
        writeln!(text, "  use-{name}: {}", service(&uses)).unwrap();
    }
    text += "networks:\n  n: { enable_ipv6: true, ipam: { config: [{ subnet: 10.217.7.0/24 }, { subnet: 'fd07:217::/64' }] } }\n  m: {}\n";
    let declare = |kind: &str| {
        resources
            .iter()
            .filter(|(_, resource)| resource.kind == kind)
            .fold(String::new(), |text, (name, resource)| {
                text + &format!("  {name}: {{ {} }}\n", of_resource(resource))
            })
    };
    text += &declare("networks");
    text += "volumes:\n  vol: {}\n  vow: {}\n";
    text += &declare("volumes");
    text += "configs: { c: { content: one }, d: { content: two } }\n\
             secrets: { s: { environment: S }, t: { environment: T } }\n";
    text
}

fn read(text: &str) -> Stack {
    let entry = PathBuf::from("/stack/compose.yaml");
    let request = Request {
        variables: [("S", "one"), ("T", "two")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..Request::new(vec![entry], DigestKey::new([7; 32]))
    };
    let files = |path: &Path| match path.to_str().unwrap() {
        "/stack/compose.yaml" => Ok(text.as_bytes().to_vec()),
        "/stack/a.env" => Ok(b"FROM=a\n".to_vec()),
        "/stack/b.env" => Ok(b"FROM=b\n".to_vec()),
        "/stack/a.labels" => Ok(b"a=1\n".to_vec()),
        "/stack/b.labels" => Ok(b"a=2\n".to_vec()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    load(&request, &files).unwrap_or_else(|problems| panic!("{problems}\n{text}")).stack
}

/// The fields that a plan names for one service's containers and its image.
fn named(plan: &Plan, service: &str) -> Vec<String> {
    let mut fields = BTreeSet::new();
    let prefix = format!("services.{service}");
    let objects = plan.changes.iter().filter(|one| !matches!(one.object, Object::Network(_)));
    let reasons = objects.flat_map(|change| &change.reasons).map(|reason| &reason.field);
    for field in reasons.chain(plan.problems.iter().map(|problem| &problem.field)) {
        let rest = field.strip_prefix(&prefix);
        if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('.')) {
            fields.insert(rest.trim_start_matches('.').to_owned());
        }
    }
    fields.into_iter().collect()
}

/// Whether a plan makes a container of a service anew: slow on a real engine.
fn is_replaced(plan: &Plan, service: &str) -> bool {
    plan.changes.iter().any(|change| {
        let of_service = change.object.service().is_some_and(|name| name.as_str() == service);
        of_service && change.action == Action::Replace
    })
}

/// What is wrong about each form; nothing if all is as it should be.
struct Findings(Vec<String>);

impl Findings {
    fn check(&mut self, what: &str, found: &impl std::fmt::Debug, is_right: bool) {
        if !is_right {
            self.0.push(format!("{what}: {found:?}"));
        }
    }
}

async fn play(engine: Arc<dyn Engine>, inspect: Option<fn(&str) -> Option<Value>>) {
    let api = engine.facts().await.unwrap().api.minor;
    let mut findings = Findings(Vec::new());
    let (all, all_resources) = (forms(), resources());
    // What this engine is too old for, or its host cannot do.
    let apart = |form: &&Form| form.needs > api || (form.hosts_say.is_some() && inspect.is_some());
    for form in all.iter().filter(apart) {
        stands_apart(&engine, form, api, &mut findings).await;
    }
    for resource in all_resources.iter().filter(|resource| resource.needs > api) {
        let name = vec![("old".to_owned(), resource)];
        let text = manifest(&[], &name, |resource| resource.before);
        let plan = preview(&*engine, &read(&text), None).await.unwrap();
        let told = format!("needs engine API 1.{}", resource.needs);
        findings.check(resource.path, &plan.problems, plan.to_string().contains(&told));
    }
    let forms: Vec<_> = all
        .iter()
        .filter(|form| !apart(form))
        .enumerate()
        .map(|(index, form)| (format!("c{index}"), form))
        .collect();
    let resources: Vec<_> = all_resources
        .iter()
        .filter(|resource| resource.needs <= api)
        .enumerate()
        .map(|(index, resource)| (format!("r{index}"), resource))
        .collect();
    let written = |of: fn(&Form) -> &'static str| -> Vec<(String, &Form, &str)> {
        forms.iter().map(|(name, form)| (name.clone(), *form, of(form))).collect()
    };
    let before = read(&manifest(&written(|form| form.before), &resources, |one| one.before));
    let after = read(&manifest(&written(|form| form.after), &resources, |one| one.after));

    let report = pass(&engine, &before).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let left = preview(&*engine, &before, None).await.unwrap();
    assert!(left.is_empty(), "still to do:\n{left}");
    if let Some(inspect) = inspect {
        for (name, form) in &forms {
            let Some((pointer, value)) = &form.shown else { continue };
            let service = ServiceName::new(name.as_str()).unwrap();
            let slot = before.slots(&service).next().unwrap();
            let container = before.container_name(&slot);
            let told = inspect(&container.unwrap()).unwrap_or_default();
            let found = told.pointer(&filled(pointer)).cloned();
            let wanted = value.as_str().map_or(value.clone(), |text| Value::String(filled(text)));
            findings.check(&format!("{} {pointer}", form.before), &found, found == Some(wanted));
        }
    }
    let plan = preview(&*engine, &after, None).await.unwrap();
    for (name, form) in &forms {
        let wanted: Vec<String> = form.fields.iter().map(|field| filled(field)).collect();
        let found = named(&plan, name);
        findings.check(&format!("{} -> {}", form.before, form.after), &found, found == wanted);
    }
    for (name, resource) in &resources {
        let field = format!("{}.{name}.{}", resource.kind, resource.path);
        let changes =
            plan.changes.iter().flat_map(|change| &change.reasons).map(|reason| &reason.field);
        let notes = plan.notes.iter().map(|note| &note.field);
        let prefix = format!("{}.{name}", resource.kind);
        let found: Vec<_> =
            changes.chain(notes).filter(|field| field.starts_with(&format!("{prefix}."))).collect();
        findings.check(resource.before, &found, found == [&field]);
    }
    let here: Vec<_> = forms
        .into_iter()
        .map(|(name, form)| {
            let stays = inspect.is_some() && is_replaced(&plan, &name);
            (name, form, if stays || form.path == "platform" { form.before } else { form.after })
        })
        .collect();
    let after = read(&manifest(&here, &[], |one| one.before));
    let report = pass(&engine, &after).await;
    findings.check("the change", &report.message, report.result == PassResult::Changed);
    let left = preview(&*engine, &after, None).await.unwrap();
    findings.check("after the change", &left.to_string(), left.is_empty());
    assert!(findings.0.is_empty(), "{}", findings.0.join("\n"));
}

/// A form that is refused, with the reason.
async fn stands_apart(engine: &Arc<dyn Engine>, form: &Form, api: u16, findings: &mut Findings) {
    let forms = vec![("c".to_owned(), form, form.before)];
    let mut stack = read(&manifest(&forms, &[], |one| one.before));
    stack.services.retain(|name, _| name.as_str() == "c");
    let report = pass(engine, &stack).await;
    if form.needs > api {
        let told = format!("needs engine API 1.{}; this engine has 1.{api}", form.needs);
        let right = report.message.contains(&told)
            && report.actions.iter().all(|a| a.object.service().is_none());
        findings.check(form.before, &report.message, right && report.result == PassResult::Failed);
    } else if !report.result.is_success() {
        let errors: Vec<_> =
            report.actions.iter().filter_map(|action| action.error.clone()).collect();
        let mut texts = form.hosts_say.unwrap_or_default().split('|');
        let told = texts.any(|text| errors.iter().any(|error| error.contains(text)));
        findings.check(form.before, &errors, told);
    }
}

fn simulated(minor: u16) -> Arc<dyn Engine> {
    let sim = Sim::with_api(minor);
    let config = ImageConfig { command: vec!["busybox".into()], ..ImageConfig::default() };
    sim.image_add(IMAGE, config, Behaviour::default());
    Arc::new(sim)
}

#[tokio::test(start_paused = true)]
async fn every_form_on_an_old_simulated_engine() {
    play(simulated(41), None).await;
}

#[tokio::test(start_paused = true)]
async fn every_form_on_a_new_simulated_engine() {
    play(simulated(51), None).await;
}

#[tokio::test]
async fn every_form_on_docker() {
    let Some(engine) = support::engine() else { return };
    let stacks = Stacks::named(&[STACK]);
    import_busybox(&ImageRef::new(IMAGE).unwrap());
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let played = tokio::spawn(async move { play(engine, Some(container)).await }).await;
    leave_networks();
    drop(stacks);
    // Made by the engine for a bind; not there if it came to nothing.
    let _ = std::fs::remove_dir("/tmp/t-att-z");
    docker(&["rmi", "-f", IMAGE]);
    played.unwrap();
}

/// Takes the containers off their networks one after the other: an engine that removes many at once
/// has been seen to count endpoints that are gone, and then keeps the network for ever.
fn leave_networks() {
    for network in ["n", "m"] {
        let filter = format!("network={STACK}_{network}");
        for id in docker(&["ps", "-aq", "--filter", &filter]).split_whitespace() {
            docker(&["rm", "-f", "-v", id]);
        }
    }
}

#[test]
fn a_device_is_named_where_the_table_names_one() {
    let named: BTreeMap<_, _> =
        forms().iter().map(|form| (form.path, filled(form.before))).collect();
    assert!(named["blkio_config.weight_device"].contains("/dev/"));
}
