//! The charts that are shipped, each rendered, checked, planned and brought up on the simulated engine; and
//! stacks that are made of charts, by hand and in the agent: bad input is told at its place and changes
//! nothing, and a stack goes back to its chart of a former commit.

#![allow(clippy::unwrap_used)]

#[path = "charts/engine.rs"]
mod engine;
mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::manifest::{DigestKey, FILE_NAMES, Request, Template, load, resolve, template};
use bowline::model::{ImageConfig, Query, ServiceName, Stack, StackName};
use bowline::pass::preview;
use bowline::source::{self, discover};
use bowline::status::StackStatus;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use support::passes::pass;
use support::program::{Ended, bowline};
use support::prometheus::present;
use support::site::{Agent, Site, until};
use tempfile::TempDir;

const CHARTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts");

/// Where Debian's `haproxy` lies.
const HAPROXY: &str = "/usr/sbin/haproxy";

/// A directory beside a copy of the shipped charts.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        copy(Path::new(CHARTS), &place.0.path().join("charts"));
        place
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// A stack of each chart, with what it must be given.
    fn shipped() -> Self {
        let place = Self::new();
        place
            .write("web/stack.yaml", "chart: ../charts/web\n")
            .write(
                "db/stack.yaml",
                "chart: ../charts/postgres\nset: { passwordFile: password.txt, settings: { max_connections: 50 } }\n",
            )
            .write("db/password.txt", "hush\n")
            .write("monitoring/stack.yaml", "chart: ../charts/monitoring\n")
            .write(
                "watched/stack.yaml",
                "chart: ../charts/monitoring\nset:\n  alertmanagers: ['127.0.0.1:9093']\n  \
                 grafana: { passwordFile: ../db/password.txt }\n",
            );
        place
    }

    fn request(&self, stack: &str) -> Request {
        let root = self.0.path().canonicalize().unwrap();
        Request {
            display_root: Some(root.clone()),
            roots: vec![root.clone()],
            ..Request::new(vec![root.join(stack).join("stack.yaml")], DigestKey::new([7; 32]))
        }
    }

    fn stack(&self, stack: &str) -> Stack {
        let request = self.request(stack);
        let loaded = load(&request, &|path| source::read_within(&request.roots, path));
        let mut loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        assert!(loaded.warnings.0.is_empty(), "{}", loaded.warnings);
        assert!(loaded.lints.0.is_empty(), "{}", loaded.lints);
        source::digest_mounted(&mut loaded.stack, &request.roots, &request.digest_key);
        loaded.stack
    }

    fn template(&self, stack: &str) -> Template {
        let request = self.request(stack);
        template(&request, &|path| source::read_within(&request.roots, path)).unwrap()
    }

    /// What a config of a stack holds.
    fn content(&self, stack: &str, config: &str) -> String {
        let request = self.request(stack);
        let read = |path: &Path| source::read_within(&request.roots, path);
        let resolved = resolve(&request, &read).unwrap().config;
        resolved["configs"][config]["content"].as_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        bowline(&self.0.path().join("state"), arguments)
    }

    fn path(&self, path: &str) -> String {
        self.0.path().join(path).to_str().unwrap().to_owned()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn every_shipped_chart_has_a_stack_here() {
    let charts = fs::read_dir(CHARTS).unwrap().map(|entry| entry.unwrap().path());
    let charts: BTreeSet<_> = charts.filter(|path| path.is_dir()).collect();
    let tested = ["monitoring", "postgres", "web"].map(|name| Path::new(CHARTS).join(name));
    assert_eq!(charts, BTreeSet::from(tested));
    let place = Place::shipped();
    let found = discover(place.0.path(), &FILE_NAMES);
    let found: Vec<_> = found.stacks.iter().map(|it| it.dir.file_name().unwrap()).collect();
    assert_eq!(found, ["db", "monitoring", "watched", "web"]);
}

#[tokio::test(start_paused = true)]
async fn every_shipped_chart_is_planned_comes_up_and_is_as_desired_then() {
    let place = Place::shipped();
    for (name, expected) in [
        ("web", &["create    container app/2", "create    container proxy/1"][..]),
        ("db", &["create    volume", "create    container database/1"]),
        ("monitoring", &["create    container prometheus/1", "create    container grafana/1"]),
        ("watched", &["create    container grafana/1"]),
    ] {
        let stack = place.stack(name);
        assert_eq!(stack.name.as_str(), name);
        let sim = Sim::with_api(44);
        for service in stack.services.values() {
            let image = service.container.image.as_str();
            let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
            sim.image_add(image, config, Behaviour::default());
        }
        let engine: Arc<dyn Engine> = Arc::new(sim);
        let plan = preview(&*engine, &stack, None).await.unwrap().to_string();
        for line in expected {
            assert!(plan.contains(line), "{name}: no `{line}` in\n{plan}");
        }
        let report = pass(&engine, &stack).await;
        assert!(report.result.is_success(), "{name}: {}", report.message);
        let left = preview(&*engine, &stack, None).await.unwrap().to_string();
        assert_eq!(left, "", "{name}");
    }
}

#[test]
fn what_charts_put_out_is_the_same_each_time_and_takes_in_values() {
    let place = Place::shipped();
    place.write(
        "web/stack.yaml",
        "chart: ../charts/web\nset: { replicas: 5, proxy: { maxReplicas: 7 } }\n",
    );
    for stack in ["web", "db", "watched"] {
        assert_eq!(place.template(stack).text, place.template(stack).text);
    }
    let web = place.template("web").text;
    assert!(web.contains("replicas: 5") && web.contains("server-template app 7 app:80"), "{web}");
    let db = place.template("db").text;
    assert!(db.contains("- \"max_connections=50\"") && db.contains("database.db"), "{db}");
}

#[test]
fn prometheus_reads_the_configuration_and_the_rules_of_the_monitoring_chart() {
    if !present("promtool") {
        return;
    }
    let place = Place::shipped();
    for stack in ["monitoring", "watched"] {
        let text = place.content(stack, "prometheus");
        assert!(text.contains("127.0.0.1:9184"), "{text}");
        // The rules ask for the agents by this name of their job.
        assert!(text.contains("job_name: bowline\n"), "{text}");
        // Where they are mounted nothing lies here.
        assert!(text.contains("- /etc/prometheus/rules/*.yaml\n"), "{text}");
        let text = text.replace("/etc/prometheus/rules", &place.path("charts/monitoring/rules"));
        place.write("prometheus.yml", &text);
        let said = checked("promtool", &["check", "config", &place.path("prometheus.yml")]);
        assert!(said.contains("rules/bowline.yaml") && said.contains("rules found"), "{said}");
    }
}

/// The files that docs/metrics.md tells to copy are those that run, each the only one of its kind there.
#[test]
fn the_monitoring_chart_mounts_the_rules_and_the_dashboard_themselves() {
    let place = Place::shipped();
    let stack = place.stack("monitoring");
    for (service, directory, target, file) in [
        ("prometheus", "rules", "/etc/prometheus/rules", "bowline.yaml"),
        ("grafana", "dashboards", "/etc/grafana/dashboards", "bowline.json"),
    ] {
        let service = &stack.services[&ServiceName::new(service).unwrap()];
        let source =
            place.0.path().canonicalize().unwrap().join("charts/monitoring").join(directory);
        let mounts = format!("{:?}", service.container.mounts);
        for expected in [source.to_str().unwrap(), target] {
            assert!(mounts.contains(&format!("{expected:?}")), "no {expected} in {mounts}");
        }
        let files = fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(files.collect::<Vec<_>>(), [file]);
    }
    let provider = place.content("monitoring", "dashboards");
    assert!(provider.contains("path: /etc/grafana/dashboards\n"), "{provider}");
    let docs = fs::read_to_string(Path::new(CHARTS).join("../docs/metrics.md")).unwrap();
    for file in ["rules/bowline.yaml", "dashboards/bowline.json"] {
        assert!(docs.contains(&format!("(../charts/monitoring/{file})")), "{file}");
    }
}

#[test]
fn haproxy_reads_the_configuration_of_the_web_chart() {
    if !Path::new(HAPROXY).exists() {
        let required = std::env::var("BOWLINE_TEST_BALANCERS").as_deref() == Ok("required");
        assert!(!required, "{HAPROXY} is not installed, and CI requires it");
        return support::did_not_run("a configuration is not checked: haproxy is not installed");
    }
    let place = Place::shipped();
    place.write("haproxy.cfg", &place.content("web", "haproxy"));
    checked(HAPROXY, &["-c", "-f", &place.path("haproxy.cfg")]);
}

fn checked(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

#[test]
fn commands_take_stacks_of_charts_and_charts() {
    let place = Place::shipped();
    place.run(&["validate", &place.path("web")]).expect(0);
    let demo = "chart: ../charts/postgres\nset: { image: 'bowline-demo:1', passwordFile: ../db/password.txt }\n";
    place.write("demo/stack.yaml", demo);
    let plan = place.run(&["plan", &place.path("demo"), "--engine", "sim"]).expect(2).out;
    assert!(plan.contains("database/1"), "{plan}");
    let hand = ["--set", "image=page:3"];
    let shown = place.run(&[&["template", &place.path("web")], &hand[..]].concat()).expect(0).out;
    assert!(shown.contains("image: page:3") && !shown.contains("{{"), "{shown}");
    place.write("values.yaml", "image: page:4\n");
    let chart = place.path("charts/web");
    let shown = place.run(&["template", &chart, "-f", &place.path("values.yaml")]).expect(0).out;
    assert!(shown.contains("image: page:4"), "{shown}");

    place.run(&["lint", &chart, &place.path("charts/monitoring")]).expect(0);
    let postgres = place.path("charts/postgres");
    let told = place.run(&["lint", &postgres]).expect(1);
    let told = told.says(&["`Values.passwordFile` has no value", "templates/compose.yaml:"]);
    assert!(told.out.is_empty(), "{}", told.out);
    place.run(&["lint", &postgres, "--set", "passwordFile=Chart.yaml"]).expect(0);
    place.run(&["lint", &place.path("web")]).expect(1).says(&["Chart.yaml", "bowline validate"]);
    place.run(&["lint", &chart, "--set", "replicas"]).expect(1).says(&["NAME=VALUE"]);
    place
        .run(&["lint", &chart, "--set", "proxy.prot=1"])
        .expect(1)
        .says(&["Values.proxy", "the chart has no value `prot`"]);
    place.write("plain/compose.yaml", "services: { a: { image: x:1 } }\n");
    place.run(&["template", &place.path("plain")]).expect(1).says(&["names no chart"]);
}

const CHART: &str = "apiVersion: bowline/v1\nname: app\nversion: 1.0.0\n";
const VALUES: &str = "tag: '1'\npassword: null\n";
const TEMPLATE: &str = "services:\n  app:\n    image: app:{{ Values.tag }}\n";

/// A repository with a stack of a chart, and one beside it that has nothing to do with it.
fn site() -> Site {
    let site = Site::new("sops: { age_key_file: host.key }");
    let key = site.dir.path().join("host.key");
    fs::write(&key, include_str!("sops/host.key")).unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    site.write("beside", "app:1");
    site.image("app:2");
    site.git
        .write("charts/app/Chart.yaml", CHART)
        .write("charts/app/values.yaml", VALUES)
        .write("charts/app/templates/compose.yaml", TEMPLATE)
        .write("made/stack.yaml", "chart: ../charts/app\nvalues: values.yaml\n")
        .write("made/values.yaml", "tag: '1'\n");
    site
}

async fn container(site: &Site, stack: &str) -> bowline::model::Container {
    let query = Query::owned_by(StackName::new(stack).unwrap());
    site.sim.observe(&query).await.unwrap().containers.pop().unwrap()
}

async fn status_at(
    agent: &Agent,
    stack: &str,
    holds: impl Fn(&StackStatus) -> bool,
) -> StackStatus {
    until(&format!("{stack} to be so"), async || agent.stack(stack).is_some_and(|it| holds(&it)))
        .await;
    agent.stack(stack).unwrap()
}

fn is_applied(status: &StackStatus, commit: &str) -> bool {
    status.applied_revision.as_ref().is_some_and(|revision| revision.0 == commit)
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_at_its_place_and_changes_nothing_and_the_next_good_commit_is_applied() {
    let site = site();
    let commit = site.git.push("Begin");
    let agent = site.start();
    status_at(&agent, "made", |status| is_applied(status, &commit)).await;
    let first = container(&site, "made").await;
    assert_eq!(first.spec.image.as_str(), "app:1");
    for (number, (file, text, expected)) in [
        (
            "charts/app/templates/compose.yaml",
            "services:\n  app:\n    image: {{ Values.tga }}\n",
            "charts/app/templates/compose.yaml:3:15: `Values.tga` is undefined",
        ),
        (
            "charts/app/templates/compose.yaml",
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}\n",
            "charts/app/templates/compose.yaml:1:",
        ),
        ("made/values.yaml", "tag: [1]\n", "made/values.yaml:1:1: Values.tag: is a text"),
        ("made/values.yaml", "- tag\n", "made/values.yaml:1:1: the top of this file"),
        (
            "made/stack.yaml",
            "chart: ../../../charts/app\n",
            "made/stack.yaml:1:1: chart: cannot read",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let path = site.git.root().join(file);
        let good = fs::read_to_string(&path).unwrap();
        site.git.write(file, text);
        let bad = site.git.write("beside/.env", &format!("N={number}\n")).push("Break it");
        let told = |status: &StackStatus| {
            let is_new = status.revision.as_ref().is_some_and(|revision| revision.0 == bad);
            is_new && status.message.contains(expected)
        };
        status_at(&agent, "made", told).await;
        assert_eq!(container(&site, "made").await.id, first.id);
        status_at(&agent, "beside", |status| is_applied(status, &bad)).await;
        site.git.write(file, &good);
    }
    let mended = site.git.write("made/values.yaml", "tag: '2'\n").push("Mend it");
    status_at(&agent, "made", |status| is_applied(status, &mended)).await;
    assert_eq!(container(&site, "made").await.spec.image.as_str(), "app:2");
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_goes_back_to_the_chart_and_the_values_of_a_former_commit() {
    let site = site();
    let commit = site.git.push("Begin");
    let agent = site.start();
    status_at(&agent, "made", |status| is_applied(status, &commit)).await;
    let moved = TEMPLATE.replace("image:", "labels: { new: '1' }\n    image:");
    let second = site
        .git
        .write("charts/app/templates/compose.yaml", &moved)
        .write("made/values.yaml", "tag: '2'\n")
        .push("Another chart, another value");
    status_at(&agent, "made", |status| is_applied(status, &second)).await;
    assert!(container(&site, "made").await.spec.labels.contains_key("new"));

    site.run(&["rollback", "made"]).await.expect(0);
    let back = container(&site, "made").await;
    assert_eq!(back.spec.image.as_str(), "app:1");
    assert!(!back.spec.labels.contains_key("new"));
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_from_an_encrypted_file_reach_the_container_and_are_told_nowhere() {
    let site = site();
    let template = format!(
        "{TEMPLATE}    environment: {{ PASSWORD: {{{{ Values.db.password | quote }}}} }}\n"
    );
    // The chart has the keys of the file; what they are is left open.
    let keys = ["db", "list", "words", "name_unencrypted", "num_unencrypted", "flag_unencrypted"];
    let more = ["words_unencrypted", "date_unencrypted", "nothing_unencrypted", "nested"];
    let rest = ["quote\"key", "empty_map", "empty_list"];
    let open: Vec<String> =
        keys.iter().chain(&more).chain(&rest).map(|key| format!("{key:?}:\n")).collect();
    site.git
        .write("charts/app/values.yaml", &format!("{VALUES}{}", open.concat()))
        .write("charts/app/templates/compose.yaml", &template)
        .write("made/stack.yaml", "chart: ../charts/app\nvalues: [values.yaml, secret.yaml]\n")
        .write("made/secret.yaml", include_str!("sops/tree.sops.yaml"));
    let commit = site.git.push("Begin");
    let agent = site.start();
    status_at(&agent, "made", |status| is_applied(status, &commit)).await;
    let found = container(&site, "made").await;
    assert_eq!(found.spec.environment["PASSWORD"].as_deref(), Some("hunter2-marker"));

    let key = site.dir.path().join("host.key");
    let by_hand = |verb: &'static str| {
        let mut command = support::program::command(
            &site.dir.path().join("by-hand"),
            &[verb, site.git.root().join("made").to_str().unwrap(), "--engine", "sim"],
        );
        command.env("SOPS_AGE_KEY_FILE", &key);
        support::program::run(&mut command)
    };
    for verb in ["template", "config", "validate", "plan"] {
        let told = by_hand(verb).all();
        assert!(!told.contains("hunter2"), "{verb}: {told}");
    }
    assert!(by_hand("template").expect(0).out.contains("PASSWORD: \"(hidden)\""));

    // A message about it shows neither.
    let broken = template.replace("| quote", "| int");
    let bad = site.git.write("charts/app/templates/compose.yaml", &broken).push("Break it");
    let status = status_at(&agent, "made", |status| {
        status.revision.as_ref().is_some_and(|revision| revision.0 == bad)
            && status.message.contains("compose.yaml:4")
    })
    .await;
    assert!(!format!("{status:?}").contains("hunter2"), "{status:?}");
    agent.end().await;
}

/// `bowline validate` of a chart with this template, with no more memory than a defect may take.
fn malicious(template: &str) -> Ended {
    let place = Place::new();
    place
        .write("charts/bad/Chart.yaml", "apiVersion: bowline/v1\nname: bad\nversion: 1.0.0\n")
        .write("charts/bad/values.yaml", "{}\n")
        .write("charts/bad/templates/compose.yaml", template)
        .write("bad/stack.yaml", "chart: ../charts/bad\n");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c 0; ulimit -v 4000000; exec \"$@\"", "sh"]);
    command.args([support::program::PROGRAM, "validate", &place.path("bad")]);
    support::program::run(&mut command)
}

#[test]
fn a_template_that_doubles_what_it_has_is_an_error_at_its_file_and_harms_nobody() {
    let loops = |each: &str, last: &str| {
        format!(
            "services: {{}}\n{{% set ns = namespace(x='ab', y='') %}}{{% for i in range(60) %}}{{% set ns.x = {each} %}}{{% endfor %}}\n# {last}\n"
        )
    };
    for template in [
        loops("ns.x ~ ns.x", ""),
        loops("ns.x * 1000", ""),
        loops("[ns.x, ns.x]", "{{ ns.x ~ '' }}"),
    ] {
        let told = malicious(&template).expect(1).all();
        let place = told.contains("charts/bad/templates/compose.yaml:");
        assert!(place && !told.contains("panicked"), "{template}: {told}");
    }
    // What is put out is bounded on the way, and told where it stands.
    let told = malicious(&loops("[ns.x, ns.x]", "{{ ns.x }}")).expect(1).all();
    assert!(told.contains("compose.yaml:3:") && told.contains("put out more than"), "{told}");
}

#[test]
fn who_may_take_less_than_a_chart_is_given_renders_within_that() {
    let place = Place::shipped();
    let mut command = Command::new("sh");
    // Root could raise the limit again, so it gives that up.
    let script = r#"
        ulimit -t 4
        [ "$(id -u)" -ne 0 ] || exec setpriv --bounding-set -sys_resource "$@"
        exec "$@"
    "#;
    command.args(["-euc", script, "sh"]);
    command.args([support::program::PROGRAM, "validate", &place.path("web")]);
    support::program::run(&mut command).expect(0);
}
