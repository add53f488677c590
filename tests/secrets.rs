//! Files that sops encrypted, in a stack: their values reach containers and are seen nowhere else. What
//! needs a real engine runs with `BOWLINE_TEST_ENGINE=docker`.

// Only tests are here; the lint sees that of functions that are marked as one.
#![allow(clippy::unwrap_used)]

mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Deed, Sim};
use bowline::execute::Notice;
use bowline::model::{Container, ImageConfig, Query, Stack, StackName};
use bowline::pass::{Means, Moment, Subject, preview};
use bowline::status::{PassResult, StackStatus};
use proptest::prelude::*;
use proptest::sample::subsequence;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use support::agent::Settings;
use support::docker::docker;
use support::packed::Image;
use support::passes::{means, pass};
use support::program::{command, run};
use support::repository::Git;
use support::site::{Agent, Site, until};
use support::stacks::Stacks;
use tracing::field::Field;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// What the plain values of the fixtures have in them, and nothing else has.
const MARKER: &str = "marker-4711";
const ENV: &str = include_str!("sops/env.sops");
const AGAIN: &str = include_str!("sops/env.again.sops");
const ROTATED: &str = include_str!("sops/env.rotated.sops");
const OTHERS: &str = include_str!("sops/env.others.sops");
const BYTES: &str = include_str!("sops/bytes.sops");
const YAML: &str = include_str!("sops/tree.sops.yaml");

const STACK: &str = "name: s
services:
  app:
    image: app:1
    env_file: db.env
    environment: { COPY: 'x-${DB_PASSWORD}', PLAIN: '1' }
    secrets: [cert]
    configs: [{ source: tree, target: /etc/tree.yaml }]
secrets: { cert: { file: cert.bin } }
configs: { tree: { file: tree.yaml } }
";

/// The key of the fixtures in `dir`, for its owner alone.
fn key_in(dir: &Path) -> PathBuf {
    let path = dir.join("host.key");
    fs::write(&path, include_str!("sops/host.key")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

fn site() -> Site {
    let site = Site::new("sops: { age_key_file: host.key }");
    key_in(site.dir.path());
    site.image("app:1");
    site.git.write("s/compose.yaml", STACK).write("s/.env", ENV).write("s/db.env", ENV);
    site.git.write("s/cert.bin", BYTES).write("s/tree.yaml", YAML);
    site
}

async fn container(site: &Site) -> Option<Container> {
    let query = Query::owned_by(StackName::new("s").unwrap());
    site.sim.observe(&query).await.unwrap().containers.pop()
}

fn variable<'c>(container: &'c Container, name: &str) -> &'c str {
    container.spec.environment[name].as_deref().unwrap()
}

async fn applied(agent: &Agent, commit: &str) -> StackStatus {
    let is = |status: &StackStatus| {
        status.applied_revision.as_ref().is_some_and(|revision| revision.0 == commit)
    };
    until("the commit to be applied", async || agent.stack("s").is_some_and(|it| is(&it))).await;
    agent.stack("s").unwrap()
}

/// All that is told of the stacks.
fn told(agent: &Agent) -> String {
    format!("{:?} {}", agent.stack("s"), agent.views.metrics.render())
}

/// The files below `dir` that have `text` in them.
fn files_with(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path).is_ok_and(|bytes| has(&bytes, text)) {
            found.push(path);
        }
    }
    found
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_reach_the_container_and_neither_disk_nor_status() {
    let site = site();
    let commit = site.git.push("Begin");
    let agent = site.start();
    applied(&agent, &commit).await;
    let found = container(&site).await.unwrap();
    assert_eq!(variable(&found, "DB_PASSWORD"), "marker-4711-password");
    assert_eq!(variable(&found, "QUOTED"), "two words # and a sign");
    assert_eq!(variable(&found, "COPY"), "x-marker-4711-password");
    // A mount would show what is encrypted.
    assert!(found.spec.mounts.is_empty(), "{:?}", found.spec.mounts);
    assert!(found.spec.contents.contains_key("secrets./run/secrets/cert"));
    assert!(found.spec.contents.contains_key("configs./etc/tree.yaml"));
    let told = told(&agent);
    assert!(!told.contains(MARKER) && !told.contains("471147"), "{told}");
    agent.end().await;
    assert_eq!(files_with(site.dir.path(), MARKER), Vec::<PathBuf>::new());
    // The search finds what is there.
    assert!(!files_with(site.dir.path(), "ENC[AES256_GCM,").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_value_is_a_change_and_the_same_one_encrypted_anew_is_none() {
    let site = site();
    let commit = site.git.push("Begin");
    let agent = site.start();
    applied(&agent, &commit).await;
    let first = container(&site).await.unwrap();

    let commit = site.git.write("s/db.env", AGAIN).write("s/.env", AGAIN).push("Encrypt anew");
    let status = applied(&agent, &commit).await;
    assert_eq!(status.last_pass.unwrap().result, PassResult::Unchanged);
    assert_eq!(container(&site).await.unwrap().id, first.id);

    let commit = site.git.write("s/db.env", ROTATED).push("Rotate");
    applied(&agent, &commit).await;
    let rotated = container(&site).await.unwrap();
    assert_ne!(rotated.id, first.id);
    assert_eq!(variable(&rotated, "DB_PASSWORD"), "marker-4711-rotated");
    let told = told(&agent);
    assert!(!told.contains("47114") && !told.contains(MARKER), "{told}");
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_does_not_open_leaves_what_runs_alone_and_is_told() {
    let site = site();
    let commit = site.git.push("Begin");
    let agent = site.start();
    applied(&agent, &commit).await;
    let first = container(&site).await.unwrap();
    let cut = ENV.split("sops_").next().unwrap();
    let edited = ENV.replace("EMPTY=", "EMPTY=edited");
    let moved = ENV.replace("PIN=", "PAN=");
    for (file, text, expected) in [
        ("s/db.env", OTHERS, "cannot open s/db.env: it is encrypted for age1fd8c79z"),
        ("s/db.env", cut, "cannot open s/db.env: it has values that sops encrypted and no"),
        ("s/db.env", edited.as_str(), "cannot open s/db.env: it `EMPTY` is not encrypted"),
        ("s/db.env", moved.as_str(), "cannot open s/db.env: it `PAN` cannot be decrypted"),
        ("s/cert.bin", &BYTES[..500], "cannot open s/cert.bin: it is no whole JSON file"),
    ] {
        let good = fs::read_to_string(site.git.root().join(file)).unwrap();
        let bad = site.git.write(file, text).push("Break it");
        until("the commit to be refused", async || {
            agent.stack("s").is_some_and(|status| {
                status.revision.as_ref().is_some_and(|revision| revision.0 == bad)
                    && status.message.contains(expected)
            })
        })
        .await;
        assert!(agent.stack("s").unwrap().message.contains("s/compose.yaml:"));
        assert_eq!(container(&site).await.unwrap().id, first.id);
        let mended = site.git.write(file, &good).push("Mend it");
        applied(&agent, &mended).await;
    }
    agent.end().await;
}

/// `bowline` with `arguments` on the stack of `dir`, with these variables; all that it writes.
fn by_hand(dir: &Path, arguments: &[&str], variables: &[(&str, &str)], code: i32) -> String {
    let mut command: Command = command(&dir.join("state"), arguments);
    command.arg(dir.join("s")).args(["--engine", "sim"]);
    for name in ["SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "XDG_CONFIG_HOME"] {
        command.env_remove(name);
    }
    command.env("HOME", dir).envs(variables.iter().copied());
    run(&mut command).expect(code).all()
}

#[test]
fn commands_by_hand_open_files_with_the_keys_of_sops_and_show_no_value() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("s")).unwrap();
    let files = [("db.env", ENV), (".env", ENV), ("cert.bin", BYTES), ("tree.yaml", YAML)];
    for (name, text) in files.into_iter().chain([("compose.yaml", STACK)]) {
        fs::write(dir.join("s").join(name), text).unwrap();
    }
    let key = key_in(dir);
    let file = [("SOPS_AGE_KEY_FILE", key.to_str().unwrap())];
    let text = [("SOPS_AGE_KEY", include_str!("sops/host.key"))];
    for (arguments, code) in [
        (&["validate"][..], 0),
        (&["plan"], 2),
        (&["plan", "-o", "json"], 2),
        (&["config"], 0),
        (&["config", "--format", "yaml"], 0),
    ] {
        for variables in [&file, &text] {
            let told = by_hand(dir, arguments, variables, code);
            assert!(!told.contains(MARKER) && !told.contains("471147"), "{told}");
            let hides = arguments[0] != "config" || told.contains("x-(hidden)");
            assert!(hides, "{told}");
        }
    }
    let usual = dir.join(".config/sops/age");
    fs::create_dir_all(&usual).unwrap();
    fs::copy(&key, usual.join("keys.txt")).unwrap();
    by_hand(dir, &["validate"], &[], 0);
    fs::remove_dir_all(dir.join(".config")).unwrap();

    let told = by_hand(dir, &["validate"], &[], 1);
    assert!(told.contains("cannot open .env: it is encrypted with sops"), "{told}");
    assert!(told.contains("in the variable SOPS_AGE_KEY_FILE"), "{told}");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let told = by_hand(dir, &["validate"], &file, 1);
    assert!(told.contains("every user may read") && told.contains("chmod 600"), "{told}");
}

#[test]
fn a_value_in_a_message_is_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("s")).unwrap();
    fs::write(dir.join("s/.env"), ENV).unwrap();
    let text = "services: { app: { image: 'app:1', ports: ['${DB_PASSWORD}:80'], \
                mem_limit: '${URL}', restart: '${PIN}' } }\n";
    fs::write(dir.join("s/compose.yaml"), text).unwrap();
    let told = by_hand(dir, &["validate"], &[("SOPS_AGE_KEY", include_str!("sops/host.key"))], 1);
    assert!(told.contains("(hidden)"), "{told}");
    assert!(!told.contains(MARKER) && !told.contains("471147"), "{told}");
}

#[test]
fn a_container_on_a_real_engine_has_the_plain_values() {
    if support::engine().is_none() {
        return;
    }
    let name = "e2e-secrets";
    let _image = Image::of_busybox("e2e-secrets-busybox:1");
    let _stacks = Stacks::named(&[name]);
    let git = Git::new();
    let stack = STACK.replace("name: s", "name: e2e-secrets").replace(
        "image: app:1",
        "image: e2e-secrets-busybox:1\n    command: [busybox, sleep, '600']\n    \
         stop_signal: SIGKILL\n    network_mode: none",
    );
    git.write("s/compose.yaml", &stack).write("s/.env", ENV).write("s/db.env", ENV);
    let commit = git.write("s/cert.bin", BYTES).write("s/tree.yaml", YAML).push("Begin");
    let settings = Settings::new(name, &git.url(), "sops: { age_key_file: host.key }");
    let key = key_in(settings.dir.path());
    let agent = support::agent::Agent::start(&settings);
    agent.until_stack(name, |status| status["applied_revision"] == *commit);
    let container = format!("{name}-app-1");
    let said = |script: &str| docker(&["exec", &container, "busybox", "sh", "-c", script]);
    assert_eq!(
        said("echo $DB_PASSWORD $PIN $COPY").trim(),
        "marker-4711-password 471147 x-marker-4711-password"
    );
    let plain = fs::read("tests/sops/bytes.plain").unwrap();
    let seen = said("busybox hexdump -v -e '1/1 \"%02x\"' /run/secrets/cert");
    assert_eq!(seen.trim(), hex::encode(plain));
    assert!(said("busybox cat /etc/tree.yaml").contains("password: \"hunter2-marker\""));

    let rotated = git.write("s/db.env", ROTATED).push("Rotate");
    agent.until_stack(name, |status| status["applied_revision"] == *rotated);
    assert!(said("echo $DB_PASSWORD").contains("rotated"));
    let told = format!("{}{}{}", agent.log(), agent.status(), agent.metrics());
    assert!(told.contains("environment.PIN: want (hidden)"), "{told}");
    for secret in [MARKER, "47114", "hunter2"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    assert!(agent.terminate().success());
    fs::remove_file(key).unwrap();
    assert_eq!(files_with(settings.dir.path(), MARKER), Vec::<PathBuf>::new());
}

/// Where a value may stand in a service, each a line of it.
const PLACES: [&str; 20] = [
    "command: [run, '--password=${DB_PASSWORD}', '${PIN}']",
    "entrypoint: [run, '${QUOTED}']",
    "environment: { A: '${PIN}', B: 'x-${DB_PASSWORD}' }",
    "labels: { a: '${PIN}', b: 'x ${QUOTED}' }",
    "annotations: { a: '${DB_PASSWORD}' }",
    "user: '${PIN}'",
    "working_dir: '/srv/${DB_PASSWORD}'",
    "hostname: '${DB_PASSWORD}'",
    "domainname: '${DB_PASSWORD}'",
    "extra_hosts: ['${DB_PASSWORD}:10.0.0.1']",
    "dns_search: ['${DB_PASSWORD}']",
    "group_add: ['${PIN}']",
    "healthcheck: { test: [CMD, curl, '${URL}'] }",
    "logging: { driver: json-file, options: { tag: '${DB_PASSWORD}', n: '${PIN}' } }",
    "sysctls: { kernel.domainname: '${DB_PASSWORD}' }",
    "security_opt: ['label=user:${DB_PASSWORD}']",
    "volumes: ['/srv/${DB_PASSWORD}:/data/${DB_PASSWORD}', 'data:/d']",
    "networks: { front: { driver_opts: { a: '${DB_PASSWORD}' } } }",
    "secrets: [s, cert]",
    "post_start: [{ command: [up, '${DB_PASSWORD}'], environment: { X: '${PIN}' } }]",
];

/// What of the plain values nobody is to see, in the ways in which programs write them.
const UNSEEN: [&str; 8] = [
    MARKER,
    "471147",
    "words # and",
    "bWFya2VyLTQ3MTEtcGFzc3dvcmQ",
    "words%20%23",
    "hunter2",
    "deep: ",
    "x\\\"y",
];

/// A compose file with values of encrypted files in these places.
fn with_values(places: &[&str]) -> String {
    let lines: String = places.iter().flat_map(|line| ["    ", line, "\n"]).collect();
    format!(
        "name: s\nservices:\n  app:\n    image: app:1\n    configs: [c, tree]\n{lines}\
         networks: {{ front: {{ driver_opts: {{ o: '${{DB_PASSWORD}}' }} }} }}\n\
         volumes: {{ data: {{ driver_opts: {{ o: '${{DB_PASSWORD}}', n: '${{PIN}}' }} }} }}\n\
         configs: {{ c: {{ content: 'a ${{DB_PASSWORD}} b' }}, tree: {{ file: tree.yaml }} }}\n\
         secrets: {{ s: {{ environment: PIN }}, cert: {{ file: cert.bin }} }}\n"
    )
}

fn stack_with_values(places: &[&str]) -> Stack {
    let files: [(&str, &str); 3] =
        [("/stack/.env", ENV), ("/stack/tree.yaml", YAML), ("/stack/cert.bin", BYTES)];
    support::passes::stack_opened(&with_values(places), &files, include_str!("sops/host.key"))
}

/// All that the fixtures hold, as a program that is in trouble may print it.
fn blurted() -> Vec<String> {
    let password = "marker-4711-password";
    vec![
        format!("cannot log in with {password:?} as 471147"),
        "auth bWFya2VyLTQ3MTEtcGFzc3dvcmQ= q=two%20words%20%23%20and%20a%20sign".to_owned(),
        "{\"dsn\": \"postgres://app:marker-4711-url@db/app?x=1\"}".to_owned(),
        "tree: hunter2-marker, two words # and a sign, x\\\"y\\\\z".to_owned(),
    ]
}

fn shows_none(told: &str) {
    for unseen in UNSEEN {
        assert!(!told.contains(unseen), "{unseen} in {told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Wherever values of encrypted files stand, neither a plan nor what is told of a pass that fails has
    /// one, whatever containers and the engine print.
    #[test]
    fn no_value_leaves_wherever_it_stands(
        before in subsequence(PLACES.to_vec(), 0..=3),
        after in subsequence(PLACES.to_vec(), 1..=PLACES.len()),
        trouble in 0..4,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let sim = Sim::with_api(45);
            let output = blurted();
            let well = Behaviour { output: output.clone(), ..Behaviour::default() };
            let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
            sim.image_add("app:1", config, well.clone());
            let engine: Arc<dyn Engine> = Arc::new(sim.clone());
            let first = pass(&engine, &stack_with_values(&before)).await;
            let ill = match trouble {
                0 => Behaviour { fails_to_start: Some(output.join("\n")), ..well },
                1 => Behaviour { exits: Some((Duration::from_millis(1), 3)), ..well },
                2 => Behaviour {
                    healthy_after: None,
                    unhealthy_after: Some(Duration::ZERO),
                    health_output: Some(output.join("\n")),
                    ..well
                },
                _ => Behaviour {
                    commands: [(
                        vec!["up".to_owned(), "marker-4711-password".to_owned()],
                        Deed { code: 3, output, ..Deed::default() },
                    )].into(),
                    ..well
                },
            };
            for name in ["s-app-1", "s-app-1.next"] {
                sim.behave(name, ill.clone());
            }
            let stack = stack_with_values(&after);
            let plan = preview(&*engine, &stack, None).await.unwrap().to_string();
            let heard = Arc::new(Mutex::new(String::new()));
            let hears = Arc::clone(&heard);
            let means = Means {
                onlooker: Arc::new(move |notice| {
                    let told = match notice {
                        Notice::Doing(_, text) | Notice::Warned(_, text) => text.to_owned(),
                        Notice::Unjudged(_, why) => why.to_string(),
                        Notice::Ended(change, Err(error), _) => format!("{change}: {error}"),
                        Notice::Began(change) => change.to_string(),
                        Notice::Slot(slot) => format!("{:?}", slot.why),
                        Notice::Ended(..) => String::new(),
                    };
                    *hears.lock().unwrap() += &told;
                }),
                ..means(Arc::clone(&engine))
            };
            let subject = Subject { stack: &stack, source: None, revision: None };
            let second = means.reconcile(&subject, &Moment::by_hand(Duration::from_secs(2))).await;
            let heard = heard.lock().unwrap().clone();
            shows_none(&format!("{first:?}\n{plan}\n{second:?}\n{heard}"));
        });
    }
}

/// All that the tests of this program write to the log.
fn heard() -> Arc<Mutex<String>> {
    static HEARD: OnceLock<Arc<Mutex<String>>> = OnceLock::new();
    let begin = || {
        let heard = Arc::<Mutex<String>>::default();
        let subscriber = tracing_subscriber::registry().with(Ear(Arc::clone(&heard)));
        tracing::subscriber::set_global_default(subscriber).unwrap();
        heard
    };
    Arc::clone(HEARD.get_or_init(begin))
}

struct Ear(Arc<Mutex<String>>);

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("bowline") {
            let mut heard = self.0.lock().unwrap();
            event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
                let told = format!("{field}={value:?} ");
                heard.push_str(&told);
            });
            heard.push('\n');
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_stack_is_in_trouble_tells_no_value_anywhere() {
    let heard = heard();
    let mut site = Site::new("sops: { age_key_file: host.key }");
    site.sim = Sim::with_api(45);
    key_in(site.dir.path());
    let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    let hook = vec!["up".to_owned(), "marker-4711-password".to_owned()];
    let fails = Deed { code: 3, output: blurted(), ..Deed::default() };
    let ill = Behaviour { commands: [(hook, fails)].into(), ..Behaviour::default() };
    site.sim.image_add("app:1", config, ill);
    site.git.write("s/compose.yaml", &with_values(&PLACES)).write("s/.env", ENV);
    site.git.write("s/tree.yaml", YAML).write("s/cert.bin", BYTES).push("Begin");
    let agent = site.start();
    until("the failure to be told", async || {
        agent.stack("s").is_some_and(|status| !status.message.is_empty())
    })
    .await;
    let message = agent.stack("s").unwrap().message;
    assert!(message.contains("(hidden)"), "{message}");
    let commit = site.git.write("s/compose.yaml", &with_values(&[])).push("Without any");
    until("the next commit to be seen", async || {
        let revision = agent.stack("s").and_then(|status| status.revision);
        revision.is_some_and(|revision| revision.0 == commit)
    })
    .await;
    for arguments in [
        &["status", "s"][..],
        &["status", "--output", "json"],
        &["explain", "s"],
        &["explain", "s", "--output", "json"],
        &["history", "s"],
        &["history", "s", "--output", "json"],
        &["plan", "--stack", "s"],
    ] {
        let told = site.run(arguments).await.all();
        assert!(!told.contains("unexpected argument"), "{told}");
        shows_none(&told);
    }
    shows_none(&told(&agent));
    agent.end().await;
    let heard = heard.lock().unwrap().clone();
    assert!(heard.contains("(hidden)"), "{heard}");
    shows_none(&heard);
    assert_eq!(files_with(&site.dir.path().join("state"), MARKER), Vec::<PathBuf>::new());
}
