//! Hooks and draining in passes, where time, crashes and other services come in. What a hook is on an
//! engine is in tests/scenarios/hooks.rs.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Deed, Sim};
use bowline::model::{ImageConfig, Networking, Query, StackName, State};
use bowline::pass::{Moment, Subject, preview};
use bowline::plan::{ContainerRef, Step};
use bowline::status::{PassResult, Report};
use std::sync::Arc;
use std::time::Duration;
use support::passes::{means, pass, stack, stack_with};
use support::recorder::Recorder;
use tokio::time::Instant;

/// A simulated engine whose images know some commands, and what is done on it.
struct Site {
    sim: Sim,
    recorder: Arc<Recorder>,
    engine: Arc<dyn Engine>,
}

impl Site {
    fn new() -> Self {
        let sim = Sim::with_api(41);
        let deed = |word: &str, seconds, code, output: &[&str]| {
            let output = output.iter().map(|&line| line.to_owned()).collect();
            (vec![word.to_owned()], Deed { takes: Duration::from_secs(seconds), code, output })
        };
        let commands = [
            deed("quick", 0, 0, &[]),
            deed("slow", 60, 0, &[]),
            deed("never", 1 << 30, 0, &["waiting for the lock"]),
            deed("fails", 1, 3, &["PASSWORD=hunter2 in DATABASE=prod-7", "no such table"]),
        ];
        let behaviour = Behaviour { commands: commands.into(), ..Behaviour::default() };
        let config = || ImageConfig { command: vec!["serve".to_owned()], ..ImageConfig::default() };
        for image in ["app:1", "app:2"] {
            sim.image_add(image, config(), behaviour.clone());
        }
        sim.registry_add("tool:1", config(), behaviour);
        let (engine, recorder) = Recorder::over(Arc::new(sim.clone()));
        Self { sim, recorder, engine }
    }

    async fn pass(&self, text: &str) -> Report {
        pass(&self.engine, &stack(text)).await
    }

    /// What a pass that succeeds does.
    async fn done(&self, text: &str) -> Vec<String> {
        let report = self.pass(text).await;
        assert!(report.result.is_success(), "{}", report.message);
        self.recorder.take()
    }

    /// The names of the containers that were made for hooks, with their states.
    async fn hooks(&self) -> Vec<(String, State)> {
        let found = self.engine.observe(&Query::owned_by(name())).await.unwrap().hooks;
        found.into_iter().map(|hook| (hook.name, hook.state)).collect()
    }
}

fn name() -> StackName {
    StackName::new("s").unwrap()
}

/// The service `a` with these attributes.
fn a(attributes: &str) -> String {
    format!("name: s\nservices: {{ a: {{ image: app:1, {attributes} }} }}\n")
}

fn position(done: &[String], line: &str) -> usize {
    done.iter().position(|one| one == line).unwrap_or_else(|| panic!("no {line}: {done:#?}"))
}

#[tokio::test(start_paused = true)]
async fn a_restart_for_a_content_has_the_hooks_of_both_and_no_preparation() {
    let site = Site::new();
    let text = "name: s\nservices:\n  a:\n    image: app:1\n    configs: [c]\n    \
                x-bowline: { on_content_change: restart, drain: 5s }\n    \
                pre_start: [{ command: [quick] }]\n    post_start: [{ command: [up] }]\n    \
                pre_stop: [{ command: [down] }]\nconfigs: { c: { file: ./c } }\n";
    let with = |content: &'static str| stack_with(text, &[("/stack/c", content)]);
    assert!(pass(&site.engine, &with("one")).await.result.is_success());
    site.recorder.take();
    let report = pass(&site.engine, &with("two")).await;
    assert!(report.result.is_success(), "{}", report.message);
    let done = site.recorder.take();
    assert_eq!(done, ["exec s-a-1 down", "stop s-a-1", "start s-a-1", "exec s-a-1 up"]);
}

#[tokio::test(start_paused = true)]
async fn hooks_after_a_start_outlast_a_crash_and_nothing_is_run_twice_after_success() {
    let text = a("post_start: [{ command: [up] }]");
    // The steps are: network, container, note, start, hooks, note.
    for steps in 1..6 {
        let site = Site::new();
        site.sim.crash_after(steps);
        assert_eq!(site.pass(&text).await.result, PassResult::Failed, "{steps}");
        site.sim.come_back();
        let before = site.recorder.take();
        let after = site.done(&text).await;
        let runs = before.iter().chain(&after).filter(|line| *line == "exec s-a-1 up").count();
        // A crash between a hook's end and its note makes for another run.
        assert!(runs >= 1 && after.contains(&"exec s-a-1 up".to_owned()), "{steps}: {after:?}");
        assert_eq!(site.done(&text).await, [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_that_are_owed_are_a_difference_that_is_told() {
    let site = Site::new();
    let text = a("post_start: [{ command: [fails] }]");
    assert_eq!(site.pass(&text).await.result, PassResult::Failed);
    let plan = preview(&*site.engine, &stack(&text), None).await.unwrap();
    let told = "start     container a/1\n    services.a.post_start: want run after the start, is not all done\n";
    assert_eq!(plan.to_string(), told);
    site.recorder.take();
    assert_eq!(site.done(&a("scale: 1")).await, [""; 0], "without hooks nothing is owed");
}

#[tokio::test(start_paused = true)]
async fn a_failing_hook_ends_those_after_it_and_tells_no_secret() {
    let site = Site::new();
    let report = site
        .pass(&a(
            "post_start: [{ command: [up] }, { command: [fails], environment: { PASSWORD: hunter2, DATABASE: prod-7 } }, { command: [last] }]",
        ))
        .await;
    assert_eq!(report.result, PassResult::Failed);
    assert_eq!(
        report.message,
        "create container a/1: hook post_start.1 (fails) of container s-a-1 ended with exit code 3; \
         its last output: PASSWORD=(hidden) in DATABASE=(hidden) | no such table"
    );
    let done = site.recorder.take();
    assert_eq!(done[2..], ["exec s-a-1 up", "exec s-a-1 fails"]);
}

#[tokio::test(start_paused = true)]
async fn hooks_after_a_start_have_a_bound_which_a_service_may_set() {
    let site = Site::new();
    for (settings, seconds) in [("{}", 300), ("{ start_timeout: 7s }", 7)] {
        let begun = Instant::now();
        let text = a(&format!("x-bowline: {settings}, post_start: [{{ command: [never] }}]"));
        let report = site.pass(&text).await;
        assert_eq!(report.result, PassResult::Failed);
        let told =
            format!("has not ended after {seconds} s; its last output: waiting for the lock");
        assert!(report.message.contains(&told), "{}", report.message);
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_before_the_stop_has_the_time_that_the_stop_has() {
    let site = Site::new();
    let of = |version: u32, hook: &str| {
        a(&format!(
            "environment: {{ V: {version} }}, stop_grace_period: 4s, pre_stop: [{{ command: [{hook}] }}]"
        ))
    };
    site.done(&of(1, "never")).await;
    let begun = Instant::now();
    let done = site.done(&of(2, "never")).await;
    assert_eq!(begun.elapsed().as_secs(), 4);
    assert_eq!(done[1..3], ["exec s-a-1 never", "stop s-a-1"]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_run_is_stopped_without_hooks_and_an_orphan_as_well() {
    let site = Site::new();
    let hook = "pre_stop: [{ command: [down] }]";
    let both = format!(
        "name: s\nservices: {{ a: {{ image: app:1, {hook} }}, b: {{ image: app:1, {hook} }} }}\n"
    );
    site.done(&both).await;
    site.sim.pause("s-a-1").unwrap();
    let stop = Step::Stop { container: ContainerRef::named("s-b-1"), grace: None };
    site.sim.by_hand(&stop).unwrap();
    let done =
        site.done(&format!("name: s\nservices: {{ a: {{ image: app:2, {hook} }} }}\n")).await;
    assert!(done.iter().all(|line| !line.starts_with("exec")), "{done:#?}");
    assert!(done.contains(&"stop s-a-1".to_owned()));
    site.done(&both).await;
    let done = site.done("name: s\nservices: { a: { image: app:1 } }\n").await;
    let of_b: Vec<_> = done.iter().filter(|line| line.contains("s-b-1")).collect();
    assert_eq!(of_b, ["stop s-b-1", "remove s-b-1"]);
}

#[tokio::test(start_paused = true)]
async fn no_replica_starts_before_the_service_is_prepared() {
    let site = Site::new();
    let done =
        site.done(&a("scale: 3, pre_start: [{ command: [slow] }, { command: [quick] }]")).await;
    let prepared = position(&done, "discard s-a-1-pre_start-1");
    assert!(
        position(&done, "discard s-a-1-pre_start-0") < position(&done, "create s-a-1-pre_start-1")
    );
    for replica in 1..=3 {
        assert!(prepared < position(&done, &format!("start s-a-{replica}")), "{done:#?}");
    }
    assert_eq!(done.iter().filter(|line| line.contains("create s-a-2-pre")).count(), 0);
    // One replica runs, so the service is prepared.
    site.sim.crash("s-a-2", 1);
    assert_eq!(
        site.done(&a("scale: 3, pre_start: [{ command: [slow] }, { command: [quick] }]")).await,
        ["start s-a-2"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_preparation_leads_nobody_to_itself() {
    let site = Site::new();
    let text = "name: s\nservices:\n  a:\n    image: app:1\n    user: '7'\n    ports: ['8080:80']\n    \
                labels: { route: a }\n    environment: { A: a, B: a }\n    hostname: own\n    \
                networks: { n: { aliases: [www], ipv4_address: 10.9.0.5 } }\n    restart: always\n    \
                mem_limit: 64m\n    volumes: ['data:/data']\n    \
                pre_start: [{ command: [never], environment: { B: hook }, image: 'tool:1' }]\n\
                networks: { n: { ipam: { config: [{ subnet: 10.9.0.0/24 }] } } }\nvolumes: { data: {} }\n";
    let subject = stack(text);
    let running = pass(&site.engine, &subject);
    tokio::pin!(running);
    let soon = tokio::time::sleep(Duration::from_secs(60));
    tokio::select! { _ = &mut running => panic!("it never ends"), () = soon => {} }
    let found = site.engine.observe(&Query::owned_by(name())).await.unwrap().hooks.remove(0);
    let spec = &found.spec;
    assert_eq!((found.name.as_str(), found.state), ("s-a-1-pre_start-0", State::Running));
    assert_eq!((spec.image.as_str(), spec.user.as_deref()), ("tool:1", None));
    assert_eq!(spec.environment["A"].as_deref(), Some("a"));
    assert_eq!(spec.environment["B"].as_deref(), Some("hook"));
    assert_eq!((spec.ports.len(), spec.hostname.as_deref()), (0, None));
    assert_eq!(spec.limits.memory, Some(64 << 20));
    assert_eq!(spec.labels["com.docker.compose.oneoff"], "True");
    assert_eq!(spec.labels["com.docker.compose.hook"], "pre_start");
    let shown = ["route", "com.docker.compose.config-hash", "com.docker.compose.container-number"];
    assert!(shown.iter().all(|label| !spec.labels.contains_key(*label)), "{:?}", spec.labels);
    assert!(!format!("{:?}", spec.labels).contains("never"), "commands may hold secrets");
    assert_eq!(spec.volumes_from[0].container, "s-a-1");
    let Networking::Networks(networks) = &spec.networking else { panic!("no networks") };
    let place = &networks["s_n"];
    assert!(place.aliases.is_empty() && place.ipv4_address.is_none(), "{place:?}");
}

#[tokio::test(start_paused = true)]
async fn a_preparation_that_never_ends_is_killed_and_its_container_kept() {
    let site = Site::new();
    let begun = Instant::now();
    let report = site.pass(&a("pre_start: [{ command: [never] }]")).await;
    assert_eq!(report.result, PassResult::Failed);
    assert!(report.message.contains("still running after 1800 s"), "{}", report.message);
    assert_eq!(begun.elapsed().as_secs(), 1800);
    assert_eq!(site.hooks().await, [("s-a-1-pre_start-0".into(), State::Exited { code: 137 })]);
}

#[tokio::test(start_paused = true)]
async fn a_preparation_goes_on_while_bowline_is_away_and_another_one_takes_its_place() {
    let site = Site::new();
    let of = |second: &str| {
        a(&format!("pre_start: [{{ command: [quick] }}, {{ command: [{second}] }}]"))
    };
    let begin = async |text: &str| {
        let subject = stack(text);
        let subject = Subject { stack: &subject, source: None, revision: None };
        let means = means(Arc::clone(&site.engine));
        let moment = Moment::by_hand(Duration::ZERO);
        let stop = means.stop.clone();
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            stop.cancel();
        };
        tokio::join!(means.reconcile(&subject, &moment), stopping).0
    };
    let report = begin(&of("slow")).await;
    assert_eq!(report.result, PassResult::Failed);
    assert_eq!(site.hooks().await, [("s-a-1-pre_start-1".into(), State::Running)]);
    site.recorder.take();
    assert_eq!(site.done(&of("slow")).await, ["discard s-a-1-pre_start-1", "start s-a-1"]);

    let site = Site::new();
    let text = of("never");
    let hangs = site.pass(&text);
    let soon = tokio::time::sleep(Duration::from_secs(30));
    tokio::select! { _ = hangs => panic!("it never ends"), () = soon => {} }
    assert_eq!(site.hooks().await, [("s-a-1-pre_start-1".into(), State::Running)]);
    site.recorder.take();
    let done = site.done(&of("quick")).await;
    assert_eq!(done[0], "remove s-a-1-pre_start-1");
    assert_eq!(position(&done, "create s-a-1-pre_start-0"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_is_removed_takes_the_containers_of_its_hooks_with_it() {
    let site = Site::new();
    let report = site.pass(&a("pre_start: [{ command: [fails] }]")).await;
    assert_eq!(report.result, PassResult::Failed);
    let query = Query::owned_by(name());
    let report = means(Arc::clone(&site.engine)).remove(&query, None, false).await;
    assert_eq!(report.result, PassResult::Removed, "{}", report.message);
    let gone: Vec<_> = report.actions.iter().map(|action| action.object.to_string()).collect();
    assert_eq!(gone, ["container a/1", "hook container s-a-1-pre_start-0", "network s_default"]);
    assert_eq!(site.hooks().await, []);
}

#[tokio::test(start_paused = true)]
async fn the_image_of_a_hook_is_pulled_when_it_is_needed() {
    let site = Site::new();
    let text = a("pre_start: [{ command: [quick], image: 'tool:1' }]");
    assert!(site.pass(&text).await.result.is_success());
    assert_eq!(site.sim.calls()["pull"], 1);
    site.sim.untag("tool:1");
    assert_eq!(site.pass(&text).await.result, PassResult::Unchanged, "it is not needed");
    site.sim.crash("s-a-1", 1);
    assert_eq!(site.pass(&text).await.result, PassResult::Changed);
    assert_eq!(site.sim.calls()["pull"], 2);
}

const SUBNET: &str = "networks: { default: { ipam: { config: [{ subnet: 10.9.0.0/24 }] } } }\n";

/// What is done to container 2 of 2 when it is replaced, and how long it takes.
async fn replaced(attributes: &str, top: &str) -> (Vec<String>, Duration) {
    let site = Site::new();
    let of = |version: u32| {
        let text = a(&format!(
            "scale: 2, environment: {{ V: {version} }}, pre_stop: [{{ command: [down] }}], {attributes}"
        ));
        text + top
    };
    site.done(&of(1)).await;
    let begun = Instant::now();
    let done = site.done(&of(2)).await;
    let took = begun.elapsed();
    let of_old = |line: &String| line.ends_with("s-a-2") || line.contains("s-a-2 ");
    (done.into_iter().filter(of_old).collect(), took)
}

#[tokio::test(start_paused = true)]
async fn what_goes_is_led_nobody_to_and_gets_time_before_it_is_stopped() {
    let (done, took) = replaced("x-bowline: { drain: 5s }", SUBNET).await;
    let old = ["exec s-a-2 down", "withdraw s-a-2", "stop s-a-2", "remove s-a-2"];
    assert_eq!(done[..4], old);
    assert_eq!(took.as_secs(), 10, "5 s for each of the two");
}

#[tokio::test(start_paused = true)]
async fn a_name_is_kept_where_leaving_it_would_cut_connections() {
    let kept = ["exec s-a-2 down", "stop s-a-2", "remove s-a-2"];
    for (attributes, top, what) in [
        ("x-bowline: { drain: 5s }", "", "a subnet that the engine chose"),
        ("x-bowline: { drain: 5s }, ports: ['80']", SUBNET, "a port on the host"),
        ("x-bowline: { drain: 0s }", SUBNET, "no time to drain"),
    ] {
        let (done, took) = replaced(attributes, top).await;
        assert_eq!(done[..3], kept, "{what}");
        assert_eq!(took.as_secs() > 0, !attributes.contains("0s"), "{what}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_container_of_a_service_keeps_its_name_until_it_stops() {
    let site = Site::new();
    let of = |version: u32| {
        a(&format!("environment: {{ V: {version} }}, x-bowline: {{ drain: 5s }}")) + SUBNET
    };
    site.done(&of(1)).await;
    let done = site.done(&of(2)).await;
    assert!(done.iter().all(|line| !line.starts_with("withdraw")), "{done:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_replica_too_many_is_drained_as_well() {
    let site = Site::new();
    let of = |scale: u32| a(&format!("scale: {scale}, x-bowline: {{ drain: 5s }}")) + SUBNET;
    site.done(&of(3)).await;
    let begun = Instant::now();
    let done = site.done(&of(2)).await;
    assert_eq!(done, ["withdraw s-a-3", "stop s-a-3", "remove s-a-3"]);
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_stop_does_not_wait_for_a_drain() {
    let site = Site::new();
    let of = |scale: u32| a(&format!("scale: {scale}, x-bowline: {{ drain: 1h }}"));
    site.done(&of(2)).await;
    let subject = stack(&of(1));
    let subject = Subject { stack: &subject, source: None, revision: None };
    let means = means(Arc::clone(&site.engine));
    let moment = Moment::by_hand(Duration::ZERO);
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        means.stop.cancel();
    };
    let begun = Instant::now();
    tokio::join!(means.reconcile(&subject, &moment), stopping);
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert_eq!(site.recorder.take(), [""; 0], "it serves those on who found it before");
    let report =
        support::passes::means(Arc::clone(&site.engine)).reconcile(&subject, &moment).await;
    assert!(report.result.is_success(), "{}", report.message);
    assert_eq!(site.recorder.take(), ["stop s-a-2", "remove s-a-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_before_its_hooks_is_told_with_its_own_last_words() {
    let site = Site::new();
    let ends = Behaviour {
        exits: Some((Duration::ZERO, 3)),
        output: vec!["no config file".to_owned()],
        ..Behaviour::default()
    };
    site.sim.behave("s-a-1", ends);
    let report = site.pass(&a("post_start: [{ command: [up] }]")).await;
    assert_eq!(report.result, PassResult::Failed);
    assert_eq!(
        report.message,
        "create container a/1: container s-a-1 is exited (3), but should run; its last output: no config file"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_stopped_for_its_port_is_not_drained_once_more() {
    let site = Site::new();
    let of = |first: u32, second: u32| {
        let service = |port: u32| {
            format!(
                "{{ image: app:1, ports: ['{port}:80'], x-bowline: {{ drain: 5s }}, pre_stop: [{{ command: [down] }}] }}"
            )
        };
        format!("name: s\nservices: {{ a: {}, b: {} }}\n", service(first), service(second))
    };
    site.done(&of(8081, 8082)).await;
    let done = site.done(&of(8082, 8081)).await;
    let hooks: Vec<_> = done.iter().filter(|line| line.starts_with("exec")).collect();
    assert_eq!(hooks.len(), 2, "{done:#?}");
}

const AROUND: &str = "x-bowline: { drain: 5s }, healthcheck: { test: [CMD, check], interval: 1s, retries: 1 }, \
                      post_start: [{ command: [up] }], pre_stop: [{ command: [down] }]";

/// What is done when the first of two replicas does not come up, and the names of the old one then.
async fn fails_to_come_up(order: &str) -> (Vec<String>, Vec<String>) {
    let site = Site::new();
    let of = |version: u32| {
        let deploy = format!("deploy: {{ replicas: 2, update_config: {{ order: {order} }} }}");
        a(&format!("environment: {{ V: {version} }}, {deploy}, {AROUND}")) + SUBNET
    };
    site.done(&of(1)).await;
    // Both are healthy by then.
    tokio::time::advance(Duration::from_secs(5)).await;
    site.sim.behave("s-a-1.next", Behaviour { healthy_after: None, ..Behaviour::default() });
    assert!(!site.pass(&of(2)).await.result.is_success());
    let done = site.recorder.take();
    let found = site.engine.observe(&Query::owned_by(name())).await.unwrap().containers;
    let old = found.into_iter().find(|it| it.name == "s-a-1").unwrap();
    assert_eq!(old.state, State::Running);
    let Networking::Networks(networks) = old.spec.networking else { panic!("no networks") };
    (done, networks["s_default"].aliases.iter().cloned().collect())
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_has_its_names_and_its_hooks_again() {
    let (done, names) = fails_to_come_up("stop-first").await;
    let expected = [
        "create s-a-1.next",
        "exec s-a-1 down",
        "withdraw s-a-1",
        "stop s-a-1",
        "start s-a-1.next",
        "exec s-a-1.next up",
        "exec s-a-1.next down",
        "stop s-a-1.next",
        "connect s-a-1",
        "start s-a-1",
        "exec s-a-1 up",
    ];
    assert_eq!(done, expected);
    assert_eq!(names, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_stopped_is_not_touched_when_its_successor_fails() {
    let (done, names) = fails_to_come_up("start-first").await;
    let of_old: Vec<_> = done.iter().filter(|line| !line.contains(".next")).collect();
    assert_eq!(of_old, [""; 0], "{done:#?}");
    assert_eq!(done.last().unwrap(), "stop s-a-1.next");
    assert_eq!(names, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_preparation_that_fails_touches_nothing_that_serves() {
    let site = Site::new();
    let of = |version: u32, hook: &str| {
        let hook = format!("pre_start: [{{ command: [{hook}] }}]");
        a(&format!("scale: 2, environment: {{ V: {version} }}, {hook}, {AROUND}")) + SUBNET
    };
    site.done(&of(1, "quick")).await;
    assert!(!site.pass(&of(2, "fails")).await.result.is_success());
    let done = site.recorder.take();
    let hook = "s-a-1-pre_start-0";
    assert_eq!(
        done,
        ["create s-a-1.next".to_owned(), format!("create {hook}"), format!("start {hook}")]
    );
}

#[tokio::test(start_paused = true)]
async fn who_has_a_successor_is_drained_a_little_without_being_asked() {
    let site = Site::new();
    let of = |version: u32, settings: &str| {
        let order = "deploy: { update_config: { order: start-first } }";
        a(&format!("environment: {{ V: {version} }}, {order}, x-bowline: {settings}")) + SUBNET
    };
    site.done(&of(1, "{}")).await;
    let done = site.done(&of(2, "{}")).await;
    assert!(position(&done, "start s-a-1.next") < position(&done, "withdraw s-a-1"));
    let done = site.done(&of(3, "{ drain: 0s }")).await;
    assert!(!done.contains(&"withdraw s-a-1".to_owned()), "{done:#?}");
}
