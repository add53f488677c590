//! The shipped charts on the real engine, in a git repository that an agent follows, on images of this
//! machine's programs that stand for the charts' own. Runs with `BOWLINE_TEST_ENGINE=docker`.

use super::support;
use super::support::agent::{Agent, Settings, free_port};
use super::support::docker::docker;
use super::support::load::{Load, Traffic};
use super::support::packed::{Image, Piece};
use super::support::program::PROGRAM;
use super::support::prometheus::ask;
use super::support::repository::Git;
use super::support::stacks::{
    Stacks, VOLUMES, containers, id, ids, is_running, lives, networks, variable,
};
use super::support::wait::{until, until_within};
use super::{CHARTS, HAPROXY, copy};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How long one commit may take, also on a busy host.
const COMMIT_BOUND: Duration = Duration::from_secs(90);
/// Until the proxy has certainly asked a replica for its health, and DNS for the others.
const VERDICT: Duration = Duration::from_secs(2);

const BUSYBOX: &str = "/bin/busybox";

/// A repository with the charts, and a stack of one of them that an agent looks after.
struct Stage {
    agent: Agent,
    address: String,
    git: Git,
    stack: String,
    _settings: Settings,
    _stacks: Stacks,
    _images: Vec<Image>,
}

impl Stage {
    /// Brings the stack up, with `set` in its `stack.yaml` over `values` in a file beside it, over what
    /// all stacks of the repository have.
    fn begin(chart: &str, images: Vec<Image>, set: &str, values: &str) -> Self {
        let stack = format!("e2e-chart-{chart}");
        let (git, stacks) = (Git::new(), Stacks::named(&[&stack]));
        copy(Path::new(CHARTS), &git.root().join("charts"));
        let file = format!(
            "chart: ../charts/{chart}\nvalues: [../common.yaml, values.yaml]\nset: {set}\n"
        );
        git.write(&format!("{stack}/stack.yaml"), &file);
        git.write("common.yaml", COMMON[usize::from(chart == "monitoring")]);
        // What it is given from here on is over what is common.
        git.write(&format!("{stack}/values.yaml"), values);
        git.write(&format!("{stack}/password.txt"), "hush\n");
        let commit = git.push("Begin");
        let settings = Settings::new(&stack, &git.url(), "");
        let (agent, address) = (Agent::start(&settings), settings.address.clone());
        let stage = Self {
            agent,
            address,
            git,
            stack,
            _settings: settings,
            _stacks: stacks,
            _images: images,
        };
        stage.until_applied(&commit);
        stage
    }

    /// Commits other values, and waits until they are brought about.
    fn gets(&self, values: &str) {
        let commit = self.commit(values);
        self.until_applied(&commit);
    }

    fn commit(&self, values: &str) -> String {
        self.git.write(&format!("{}/values.yaml", self.stack), values);
        self.git.push(values)
    }

    fn until_applied(&self, commit: &str) {
        self.until(&format!("{commit} to be applied"), |status| {
            status["applied_revision"] == commit && status["health"] == "Healthy"
        });
    }

    fn until_held_back(&self, commit: &str) {
        self.until(&format!("{commit} to be held back"), |status| {
            status["held_back"]["revision"] == commit
                && status["last_pass"]["result"] == "rolled_back"
                && status["health"] == "Healthy"
        });
    }

    fn until(&self, what: &str, fits: impl Fn(&Value) -> bool) {
        let look = || self.agent.stack(&self.stack).filter(&fits).map(drop);
        let status = || self.agent.stack(&self.stack);
        until_within(COMMIT_BOUND, what, look)
            .unwrap_or_else(|| panic!("waited {COMMIT_BOUND:?} for {what}: {:#?}", status()));
    }

    /// What runs of it, by service.
    fn services(&self) -> BTreeMap<String, Vec<Value>> {
        let mut services: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for one in containers(&self.stack).into_values().filter(is_running) {
            let service = one["Config"]["Labels"]["com.docker.compose.service"].as_str().unwrap();
            services.entry(service.to_owned()).or_default().push(one);
        }
        services
    }

    fn end(self) {
        assert!(self.agent.terminate().success());
    }
}

/// What all stacks of a repository may share.
const COMMON: [&str; 2] = ["memory: 96m\n", "scrapeInterval: 1s\n"];

/// Which container each is, and since when it runs.
fn life(of: &[Value]) -> BTreeSet<(String, String)> {
    of.iter().map(|one| (id(one), one["State"]["StartedAt"].as_str().unwrap().to_owned())).collect()
}

fn proxy_image() -> Option<Image> {
    if !Path::new(HAPROXY).exists() {
        let required = std::env::var("BOWLINE_TEST_BALANCERS").as_deref() == Ok("required");
        assert!(!required, "{HAPROXY} is not installed, and CI requires it");
        support::did_not_run("the web chart did not run: haproxy is not installed");
        return None;
    }
    let pieces = [Piece::Program(HAPROXY, HAPROXY), Piece::Program(BUSYBOX, "/bin/wget")];
    // The number of its user in the image that the chart names.
    Some(Image::of("e2e-chart-haproxy:1", &pieces, &["USER 99:99"]))
}

#[test]
fn web_is_updated_scaled_led_elsewhere_and_rolled_back_and_no_request_is_lost() {
    if support::engine().is_none() {
        return;
    }
    let Some(proxy) = proxy_image() else { return };
    let pieces = [Piece::Program(PROGRAM, "/bowline"), Piece::Program(BUSYBOX, "/bin/wget")];
    let page = Image::of("e2e-chart-page:1", &pieces, &["ENTRYPOINT [\"/bowline\"]"]);
    let port = free_port();
    let set = format!(
        "\n  image: {}\n  command: [serve]\n  port: 8080\n  monitor: 3s\n  proxy: {{ image: {}, listen: '127.0.0.1:{port}' }}",
        page.0, proxy.0
    );
    let values = |version: &str, more: &str| {
        format!("healthPath: /healthz\nenvironment: {{ VERSION: '{version}' }}\n{more}")
    };
    let stage = Stage::begin("web", vec![page, proxy], &set, &values("1", ""));
    let began = stage.services();
    let versions = |services: &BTreeMap<String, Vec<Value>>| -> Vec<String> {
        services["app"].iter().map(|one| variable(one, "VERSION").unwrap().to_owned()).collect()
    };
    assert_eq!((versions(&began), began["proxy"].len()), (vec!["1".into(), "1".into()], 1));
    for app in &began["app"] {
        // From the values that are common.
        assert_eq!(app["HostConfig"]["Memory"], 96 << 20);
        assert_eq!(networks(app), BTreeSet::from(["e2e-chart-web_back".to_owned()]));
    }
    let proxy = life(&began["proxy"]);
    let address = ([127, 0, 0, 1], port).into();
    let load = Load::start(&Traffic { address, rate: 300, connections: 16, post_every: None });
    let pages = |count: usize| {
        let now = load.elapsed();
        until(&format!("answers of {count} pages"), || {
            (load.pages_since(now) >= count).then_some(())
        });
    };
    pages(2);

    stage.gets(&values("2", ""));
    let updated = stage.services();
    assert_eq!(versions(&updated), ["2", "2"]);
    assert!(life(&began["app"]).is_disjoint(&life(&updated["app"])));
    assert_eq!(life(&updated["proxy"]), proxy, "the proxy is as desired, and is left alone");
    pages(2);

    stage.gets(&values("2", "replicas: 3\n"));
    let scaled = stage.services();
    assert!(life(&scaled["app"]).is_superset(&life(&updated["app"])));
    assert_eq!(scaled["app"].len(), 3);
    pages(3);

    // The proxy reads its configuration again; nothing is replaced.
    stage.gets(&values("2", "replicas: 3\nproxy: { maxReplicas: 5 }\n"));
    let led = stage.services();
    assert_eq!((life(&led["app"]), life(&led["proxy"])), (life(&scaled["app"]), proxy.clone()));
    pages(3);

    // One that says that it is not well: nobody is led to it for long, and it goes again. And a page that
    // there is not is asked for its health: the proxy does not ask for it before the replicas are well.
    let more = "replicas: 3\nproxy: { maxReplicas: 5 }\n";
    let sick = values("3', UNHEALTHY_FILE: '/bowline", more);
    let lost = values("2", more).replace("/healthz", "/none");
    for bad in [sick, lost] {
        let commit = stage.commit(&bad);
        stage.until_held_back(&commit);
        let back = stage.services();
        assert_eq!(
            (life(&back["app"]), life(&back["proxy"])),
            (life(&scaled["app"]), proxy.clone())
        );
        pages(3);
    }
    let now = load.elapsed();
    until("some time after", || (load.elapsed() > now + VERDICT).then_some(()));
    let tally = load.end();
    println!("{tally}");
    let first: Vec<_> = tally.failures.iter().take(10).collect();
    assert!(tally.sent > 0 && tally.failures.is_empty(), "{tally}\n{first:#?}");
    assert!(!tally.versions().contains_key("3"), "{tally}");
    stage.end();
}

/// Stands for a server that must be alone on its files: it notes in them when it starts and ends, and
/// whether another one is there or was not let end. With no connections at all it does not start.
const POSTGRES: &str = r#"#!/bin/sh
case "$*" in *max_connections=0*) echo "invalid value for max_connections" >&2; exit 1;; esac
cd /var/lib/postgresql/data
mkdir running || { echo "not alone" >> log; exit 1; }
echo "start $POSTGRES_DB $POSTGRES_USER $(cat "$POSTGRES_PASSWORD_FILE") $*" >> log
trap 'echo end >> log; rmdir running; exit 0' INT
while :; do sleep 0.1; done
"#;

/// Asks it in the way in which the chart does; else it says no.
const PG_ISREADY: &str = r#"#!/bin/sh
[ "$*" = "-q -h 127.0.0.1 -U app -d shop" ] && [ -d /var/lib/postgresql/data/running ]
"#;

#[test]
fn postgres_keeps_its_volume_is_never_there_twice_and_goes_back_to_what_held() {
    if support::engine().is_none() {
        return;
    }
    let programs = ["sh", "sleep", "cat", "mkdir", "rmdir"].map(|name| format!("/bin/{name}"));
    let mut pieces = vec![
        Piece::Script(POSTGRES, "/bin/postgres"),
        Piece::Script(PG_ISREADY, "/bin/pg_isready"),
        Piece::Directory("/var/lib/postgresql/data", 0),
    ];
    pieces.extend(programs.iter().map(|inside| Piece::Program(BUSYBOX, inside)));
    let image = Image::of("e2e-chart-postgres:1", &pieces, &[]);
    let set = format!("{{ image: '{}', database: shop, passwordFile: password.txt }}", image.0);
    let connections = |count: u32| format!("settings: {{ max_connections: {count} }}\n");
    let stage = Stage::begin("postgres", vec![image], &set, &connections(50));
    let log = || docker(&["exec", "e2e-chart-postgres-database-1", "cat", LOG]);
    let started = |count: u32| format!("start shop app hush -c max_connections={count}\n");
    assert_eq!(log(), started(50));
    let volumes = BTreeSet::from(["e2e-chart-postgres_data".to_owned()]);
    assert_eq!(ids(&stage.stack, VOLUMES), volumes);

    stage.gets(&connections(60));
    let told = started(50) + "end\n" + &started(60);
    assert_eq!(log(), told, "the former one ended before the next one began, on the same volume");

    // A limit is changed while it runs.
    let before = lives(&stage.stack);
    stage.gets(&(connections(60) + "memory: 64m\n"));
    assert_eq!(lives(&stage.stack), before);
    assert_eq!(stage.services()["database"][0]["HostConfig"]["Memory"], 64 << 20);

    let bad = stage.commit(&(connections(0) + "memory: 64m\n"));
    stage.until_held_back(&bad);
    assert_eq!(log(), told + "end\n" + &started(60));
    assert_eq!(ids(&stage.stack, VOLUMES), volumes);
    for one in containers(&stage.stack).values() {
        assert!(!one["Config"].to_string().contains("hush"), "the password is in its file alone");
    }
    stage.end();
}

const LOG: &str = "/var/lib/postgresql/data/log";

#[test]
fn monitoring_scrapes_the_agent_and_reads_changed_rules_and_values_without_a_restart() {
    const PROGRAM: &str = "/usr/bin/prometheus";
    if support::engine().is_none() || !super::present("prometheus") {
        return;
    }
    let pieces = [
        Piece::Program(PROGRAM, PROGRAM),
        Piece::Program(BUSYBOX, "/bin/wget"),
        Piece::Directory("/prometheus", 65534),
    ];
    // As the image that the chart names has them.
    let changes =
        ["USER 65534:65534", "WORKDIR /prometheus", "ENTRYPOINT [\"/usr/bin/prometheus\"]"];
    let image = Image::of("e2e-chart-prometheus:1", &pieces, &changes);
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let set = format!(
        "{{ grafana: {{ enabled: false }}, prometheus: {{ image: '{}', listen: '{address}' }} }}",
        image.0
    );
    let stage = Stage::begin("monitoring", vec![image], &set, "");
    let targets = |list: &str| format!("targets: [{list}]\n");
    let agent = format!("'{}'", stage.address);
    stage.gets(&targets(&agent));
    let names: Vec<_> = stage.services().into_keys().collect();
    assert_eq!(names, ["prometheus"], "Grafana was not asked for");
    assert_eq!(ids(&stage.stack, VOLUMES), ["e2e-chart-monitoring_prometheus".to_owned()].into());
    until("the agent to be scraped", || {
        let up = ask(address, "query?query=up%7Bjob%3D%22bowline%22%7D")?;
        let up = up["data"]["result"][0].clone();
        (up["metric"]["instance"] == stage.address && up["value"][1] == "1").then_some(())
    });
    let rule = |name: &str| -> Option<Value> {
        let groups = ask(address, "rules")?["data"]["groups"].as_array()?.clone();
        let mut rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        assert!(rules.clone().all(|rule| rule["health"] != "err"), "{groups:?}");
        rules.find(|rule| rule["name"] == name).cloned()
    };
    until("the rules", || (rule("BowlineDown")?["duration"] == 300).then_some(()));

    let before = lives(&stage.stack);
    let file = "charts/monitoring/rules/bowline.yaml";
    let text = fs::read_to_string(stage.git.root().join(file)).unwrap();
    let other = text.replacen("for: 5m", "for: 7m", 1);
    assert!(text.find("BowlineDown").unwrap() < text.find("for: 5m").unwrap());
    stage.until_applied(&stage.git.write(file, &other).push("Wait longer"));
    until("the other rules", || (rule("BowlineDown")?["duration"] == 420).then_some(()));
    stage.gets(&targets(&format!("{agent}, '127.0.0.1:9'")));
    until("the other target", || {
        let targets = ask(address, "targets")?;
        targets.to_string().contains("127.0.0.1:9/").then_some(())
    });
    assert_eq!(lives(&stage.stack), before, "it was not restarted");
    stage.end();
}
