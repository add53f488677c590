//! What `x-bowline` asks for, on the simulated engine, and with `BOWLINE_TEST_ENGINE=docker` on the
//! real one.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use bowline::engine::sim::{Behaviour, Sim};
use bowline::engine::{Engine, InMemory, Notes};
use bowline::manifest::{DigestKey, Request, load};
use bowline::model::{
    Container, ImageConfig, ImageRef, Limits, Query, RestartPolicy, Stack, State,
};
use bowline::pass::{Moment, Subject, preview};
use bowline::plan::{Action, ContainerRef, Step};
use bowline::source::{digest_mounted, read};
use bowline::status::PassResult;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::docker::{docker, import_busybox};
use support::passes::{means, pass};
use support::stacks::Stacks;
use support::wait::until;

const STACK: &str = "t-policy";
const IMAGE: &str = "t-policy-busybox:1";
const WEB: &str = "t-policy-web-1";

/// Notes each `HUP` in a file.
const PROGRAM: &str = "[busybox, sh, -c, \"trap 'echo heard >> /log' HUP; trap 'exit 0' TERM; \
                       while :; do busybox sleep 0.1; done\"]";

/// A directory with a stack of one service `web`, which `more` says more of.
struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // As a checkout does it: another file takes its place.
        fs::write(path.with_extension("new"), text).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
        self
    }

    fn web(&self, policy: &str, more: &str, rest: &str) -> &Self {
        self.write(
            "compose.yaml",
            &format!(
                "name: {STACK}\nservices:\n  web:\n    image: {IMAGE}\n    pull_policy: never\n    \
                 network_mode: none\n    command: {PROGRAM}\n    x-bowline: {policy}\n{more}\n{rest}\n"
            ),
        )
    }

    fn stack(&self) -> Stack {
        let key = DigestKey::new([7; 32]);
        let request = Request::new(vec![self.0.path().join("compose.yaml")], key.clone());
        let loaded = load(&request, &|path: &Path| read(path));
        let mut stack = loaded.unwrap_or_else(|problems| panic!("{problems}")).stack;
        assert_eq!(digest_mounted(&mut stack, &[], &key), []);
        stack
    }
}

fn sim() -> Arc<dyn Engine> {
    let sim = Sim::new();
    let config = ImageConfig { command: vec!["busybox".into()], ..ImageConfig::default() };
    sim.image_add(IMAGE, config, Behaviour { stops_with: Some(0), ..Behaviour::default() });
    Arc::new(sim)
}

async fn web(engine: &Arc<dyn Engine>) -> Container {
    let query = Query::owned_by(bowline::model::StackName::new(STACK).unwrap());
    let mut found = engine.observe(&query).await.unwrap().containers;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// One pass does exactly what the plan says, and then there is nothing to do. Gives the plan.
async fn settles(engine: &Arc<dyn Engine>, directory: &Directory) -> String {
    let stack = directory.stack();
    let plan = preview(&**engine, &stack, None).await.unwrap().to_string();
    let report = pass(engine, &stack).await;
    assert!(report.result.is_success(), "{}", report.message);
    let left = preview(&**engine, &stack, None).await.unwrap();
    assert!(left.is_empty(), "{left}");
    plan
}

fn config(content: &str) -> String {
    format!("configs: {{ app: {{ content: {content} }} }}")
}

const GRANT: &str = "    configs: [{ source: app, target: /etc/app.conf }]";

async fn a_new_config_is_told_by_a_signal(engine: Arc<dyn Engine>) -> Container {
    let directory = Directory::new();
    directory.web("{ on_content_change: signal SIGHUP }", GRANT, &config("one"));
    settles(&engine, &directory).await;
    let before = web(&engine).await;
    directory.web("{ on_content_change: signal SIGHUP }", GRANT, &config("two"));
    let plan = settles(&engine, &directory).await;
    assert!(plan.starts_with("signal    container web/1\n"), "{plan}");
    assert!(plan.contains("services.web.configs./etc/app.conf: want content "), "{plan}");
    let after = web(&engine).await;
    assert_eq!(after.id, before.id);
    after
}

/// A proxy that asks replicas for another page does so once they have it.
#[tokio::test]
async fn a_signal_comes_after_the_update_of_what_the_service_depends_on() {
    let (engine, directory) = (sim(), Directory::new());
    let write = |version: &str| {
        let more = format!(
            "{GRANT}\n    depends_on: [db]\n  db: {{ image: '{IMAGE}', pull_policy: never, \
             network_mode: none, environment: {{ V: {version} }} }}"
        );
        directory.web("{ on_content_change: signal SIGHUP }", &more, &config(version));
    };
    write("one");
    settles(&engine, &directory).await;
    write("two");
    let plan = preview(&*engine, &directory.stack(), None).await.unwrap();
    let at = |action| plan.changes.iter().position(|change| change.action == action).unwrap();
    assert_eq!(plan.changes[at(Action::Signal)].after, [at(Action::Replace)], "{plan}");
    settles(&engine, &directory).await;
}

async fn a_mounted_file_is_read_after_a_restart(engine: Arc<dyn Engine>) -> Directory {
    let directory = Directory::new();
    let mounts = "    stop_signal: SIGTERM\n    \
                  volumes: ['./conf:/conf:ro', './one.conf:/one.conf:ro', './data:/data']";
    directory.write("conf/a", "one").write("one.conf", "one").write("data/x", "one");
    directory.web("{ on_content_change: restart }", mounts, "");
    settles(&engine, &directory).await;
    let before = web(&engine).await;
    directory.write("data/x", "two");
    assert_eq!(settles(&engine, &directory).await, "", "what it may write is its own");
    for file in ["conf/a", "one.conf"] {
        directory.write(file, "two");
        let plan = settles(&engine, &directory).await;
        assert!(plan.starts_with("restart   container web/1\n"), "{plan}");
        let field = if file == "one.conf" { "/one.conf" } else { "/conf" };
        assert!(plan.contains(&format!("services.web.volumes.{field}.content: want")), "{plan}");
    }
    let after = web(&engine).await;
    assert_eq!((after.id.clone(), after.state), (before.id, State::Running));
    // A signal cannot show it a file that is mounted by itself; a directory it can.
    directory.web("{ on_content_change: signal SIGHUP }", mounts, "");
    assert_eq!(settles(&engine, &directory).await, "");
    directory.write("conf/a", "three");
    assert!(settles(&engine, &directory).await.starts_with("signal "));
    directory.write("one.conf", "three");
    assert!(settles(&engine, &directory).await.starts_with("restart "));
    directory
}

async fn without_a_word_a_new_content_makes_a_new_container(engine: Arc<dyn Engine>) -> Directory {
    let directory = Directory::new();
    let more = format!("{GRANT}\n    volumes: ['./conf:/conf:ro']");
    directory.write("conf/a", "one").web("{}", &more, &config("one"));
    settles(&engine, &directory).await;
    let before = web(&engine).await;
    directory.web("{}", &more, &config("two"));
    assert!(settles(&engine, &directory).await.starts_with("replace "));
    directory.write("conf/a", "two");
    assert!(settles(&engine, &directory).await.starts_with("replace "));
    assert_ne!(web(&engine).await.id, before.id);
    directory
}

async fn what_does_not_run_gets_a_new_content_when_it_is_started(engine: Arc<dyn Engine>) {
    let directory = Directory::new();
    directory.web("{ on_content_change: restart }", GRANT, &config("one"));
    settles(&engine, &directory).await;
    let before = web(&engine).await;
    let stop = Step::Stop { container: ContainerRef::named(WEB), grace: Some(Duration::ZERO) };
    engine.perform(&stop, &|_| {}).await.unwrap();
    directory.web("{ on_content_change: restart }", GRANT, &config("two"));
    let plan = settles(&engine, &directory).await;
    assert!(plan.starts_with("start     container web/1\n"), "{plan}");
    assert_eq!(web(&engine).await.id, before.id);
}

/// The engine takes a signal for a stop by hand where no stop signal is set.
async fn what_has_no_stop_signal_is_restarted_instead(engine: Arc<dyn Engine>) {
    let directory = Directory::new();
    directory.web("{}", GRANT, &config("one"));
    settles(&engine, &directory).await;
    directory.web("{ on_content_change: signal SIGHUP }", GRANT, &config("two"));
    assert!(settles(&engine, &directory).await.starts_with("restart "));
}

/// What is mounted to be read by one and written by another is nobody's configuration.
async fn what_another_service_writes_is_not_followed(engine: Arc<dyn Engine>) {
    let directory = Directory::new();
    let ship = format!(
        "  ship: {{ image: {IMAGE}, pull_policy: never, network_mode: none, command: {PROGRAM}, \
         volumes: ['./logs:/logs:ro', './logs/sub:/sub:ro'] }}"
    );
    directory.write("logs/sub/a", "one").web("{}", "    volumes: ['./logs:/logs']", &ship);
    let stack = directory.stack();
    assert!(pass(&engine, &stack).await.result.is_success());
    directory.write("logs/sub/a", "two");
    assert_eq!(settles(&engine, &directory).await, "");
}

/// What is ignored stays as it is whatever else changes.
async fn ignored_fields_stay_as_they_are(engine: Arc<dyn Engine>) {
    let directory = Directory::new();
    let limits = |pids: u32| format!("    mem_limit: 64m\n    pids_limit: {pids}");
    directory.web("{}", &limits(10), "");
    settles(&engine, &directory).await;
    let before = web(&engine).await;
    let by_hand = [
        Step::Rename { container: ContainerRef::of(&before), to: "t-policy-other".to_owned() },
        Step::Update {
            container: ContainerRef::of(&before),
            limits: Limits {
                memory: Some(64 << 20),
                memory_swap: Some(100 << 20),
                ..Limits::default()
            },
            restart: RestartPolicy::No,
        },
    ];
    for step in by_hand {
        engine.perform(&step, &|_| {}).await.unwrap();
    }
    directory.web("{ ignore: [container_name, memswap_limit] }", &limits(20), "");
    settles(&engine, &directory).await;
    let after = web(&engine).await;
    assert_eq!((after.id, after.name.as_str()), (before.id, "t-policy-other"));
    assert_eq!(after.spec.limits.pids, Some(20));
    if after.spec.limits.memory_swap != Some(-1) {
        assert_eq!(after.spec.limits.memory_swap, Some(100 << 20));
    }
    let back =
        Step::Rename { container: ContainerRef::named("t-policy-other"), to: WEB.to_owned() };
    engine.perform(&back, &|_| {}).await.unwrap();
}

/// What differs is told, and nothing is done.
async fn drift_can_be_reported_only(engine: Arc<dyn Engine>) {
    let directory = Directory::new();
    directory.web("{}", "    mem_limit: 32m", "x-bowline: { drift: report }");
    settles(&engine, &directory).await;
    directory.web("{}", "    mem_limit: 48m", "x-bowline: { drift: report }");
    let stack = directory.stack();
    let subject = Subject { stack: &stack, source: None, revision: None };
    let moment = Moment { only_report: true, ..Moment::by_hand(Duration::ZERO) };
    let report = means(Arc::clone(&engine)).reconcile(&subject, &moment).await;
    assert_eq!((report.result, report.actions.len()), (PassResult::Drifted, 0));
    assert!(report.message.contains("services.web.mem_limit: want 48m, is 32m"), "{report:?}");
    assert_eq!(web(&engine).await.spec.limits.memory, Some(32 << 20));
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_is_due_is_no_drift() {
    let sim = Sim::new();
    let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    sim.registry_add("web:1", config, Behaviour::default());
    let engine: Arc<dyn Engine> = Arc::new(sim);
    let services = "services: { web: { image: web:1, pull_policy: always } }";
    let stack = support::passes::stack(&format!("x-bowline: {{ drift: report }}\n{services}\n"));
    assert!(pass(&engine, &stack).await.result.is_success());
    let subject = Subject { stack: &stack, source: None, revision: None };
    let moment = Moment { only_report: true, ..Moment::by_hand(Duration::ZERO) };
    let report = means(Arc::clone(&engine)).reconcile(&subject, &moment).await;
    assert_eq!((report.result, report.reasons), (PassResult::Unchanged, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn simulated() {
    a_new_config_is_told_by_a_signal(sim()).await;
    a_mounted_file_is_read_after_a_restart(sim()).await;
    without_a_word_a_new_content_makes_a_new_container(sim()).await;
    what_does_not_run_gets_a_new_content_when_it_is_started(sim()).await;
    drift_can_be_reported_only(sim()).await;
    what_has_no_stop_signal_is_restarted_instead(sim()).await;
    what_another_service_writes_is_not_followed(sim()).await;
    ignored_fields_stay_as_they_are(sim()).await;
}

fn in_web(command: &[&str]) -> String {
    docker(&[&["exec", WEB, "busybox"], command].concat())
}

#[tokio::test]
async fn on_docker() {
    let Some(engine) = support::engine() else { return };
    let _stacks = Stacks::named(&[STACK]);
    import_busybox(&ImageRef::new(IMAGE).unwrap());
    let notes: Arc<dyn Notes> = Arc::new(InMemory::default());
    let engine: Arc<dyn Engine> = Arc::new(engine.with_notes(notes));
    let clear = || drop(docker(&["rm", "-f", WEB]));

    let told = a_new_config_is_told_by_a_signal(Arc::clone(&engine)).await;
    assert_eq!(in_web(&["cat", "/etc/app.conf"]), "two");
    until("the signal to be heard", || in_web(&["cat", "/log"]).contains("heard").then_some(()));
    // Without its notes it is told once more, not replaced.
    let forgetful: Arc<dyn Engine> = Arc::new(support::engine().unwrap());
    assert_ne!(web(&forgetful).await.spec.contents, told.spec.contents);
    clear();

    let mounted = a_mounted_file_is_read_after_a_restart(Arc::clone(&engine)).await;
    assert_eq!(in_web(&["cat", "/one.conf"]), "three");
    assert_eq!(in_web(&["cat", "/conf/a"]), "three");
    clear();
    drop(mounted);
    let mounted = without_a_word_a_new_content_makes_a_new_container(Arc::clone(&engine)).await;
    assert_eq!(in_web(&["cat", "/conf/a"]), "two");
    clear();
    drop(mounted);
    what_does_not_run_gets_a_new_content_when_it_is_started(Arc::clone(&engine)).await;
    assert_eq!(in_web(&["cat", "/etc/app.conf"]), "two");
    clear();
    drift_can_be_reported_only(Arc::clone(&engine)).await;
    clear();
    what_has_no_stop_signal_is_restarted_instead(Arc::clone(&engine)).await;
    clear();
    ignored_fields_stay_as_they_are(Arc::clone(&engine)).await;
    clear();
    docker(&["rmi", IMAGE]);
}

/// The engine takes a signal for a stop by hand where no stop signal is set.
#[tokio::test]
async fn a_restart_policy_outlives_a_signal_on_docker() {
    const IMAGE: &str = "t-policy-signal-busybox:1";
    const NAME: &str = "t-policy-signal-web-1";
    let Some(engine) = support::engine() else { return };
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let _stacks = Stacks::named(&["t-policy-signal"]);
    import_busybox(&ImageRef::new(IMAGE).unwrap());
    let stack = |content: &str| {
        support::passes::stack(&format!(
            "name: t-policy-signal\nservices:\n  web: {{ image: '{IMAGE}', network_mode: none, \
             command: {PROGRAM}, restart: always, configs: [app], \
             x-bowline: {{ on_content_change: signal SIGHUP }} }}\n{}\n",
            config(content)
        ))
    };
    for content in ["one", "two"] {
        let report = pass(&engine, &stack(content)).await;
        assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    }
    let restarts = || docker(&["inspect", "-f", "{{.RestartCount}} {{.State.Running}}", NAME]);
    assert_eq!(restarts().trim(), "0 true");
    docker(&["exec", NAME, "busybox", "kill", "1"]);
    until("the restart policy to act", || (restarts().trim() == "1 true").then_some(()));
    docker(&["rm", "-f", NAME]);
    docker(&["rmi", IMAGE]);
}
