//! Containers that share something with others, on the simulated engine, and with
//! `BOWLINE_TEST_ENGINE=docker` on the real one; and what people change past the file.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::model::{Endpoint, ImageConfig, ImageRef, Limits, Networking, Query, RestartPolicy};
use bowline::pass::preview;
use bowline::plan::{Action, ContainerRef, Step};
use bowline::status::PassResult;
use std::sync::Arc;
use support::docker::{docker, import_busybox};
use support::passes::{pass, stack};
use support::stacks::Stacks;

const STACK: &str = "t-share";
const IMAGE: &str = "t-share-busybox:1";

fn simulated() -> Arc<dyn Engine> {
    Arc::new(sim())
}

fn sim() -> Sim {
    let sim = Sim::new();
    let config = ImageConfig { command: vec!["busybox".into()], ..ImageConfig::default() };
    sim.image_add(IMAGE, config, Behaviour::default());
    sim
}

fn service(more: &str) -> String {
    format!(
        "{{ image: {IMAGE}, pull_policy: never, command: [busybox, sleep, '600'], \
         stop_grace_period: 0s, {more} }}"
    )
}

fn shared(mode: &str) -> String {
    let base =
        service(&format!("ipc: shareable, volumes: [/data], environment: {{ MODE: {mode} }}"));
    let lent = [
        ("by-ipc", "ipc: 'service:base', network_mode: none"),
        ("by-network", "network_mode: 'service:base'"),
        ("by-pid", "pid: 'service:base', network_mode: none"),
        ("by-volume", "volumes_from: [base], network_mode: none"),
    ];
    let lent = lent.map(|(name, more)| format!("  {name}: {}\n", service(more)));
    format!("name: {STACK}\nservices:\n  base: {base}\n{}", lent.concat())
}

fn dependents(mode: &str, restart: bool) -> String {
    let db = service(&format!("network_mode: none, environment: {{ MODE: {mode} }}"));
    let needs = |restart: bool| {
        service(&format!(
            "network_mode: none, depends_on: {{ db: {{ condition: service_started, restart: {restart} }} }}"
        ))
    };
    let (web, other) = (needs(restart), needs(false));
    format!("name: {STACK}\nservices:\n  db: {db}\n  other: {other}\n  web: {web}\n")
}

/// Who asked for it is restarted after what it depends on was made anew, in the same plan or, if
/// that came to nothing, in a later one.
async fn a_dependent_is_restarted_after_what_it_depends_on(engine: Arc<dyn Engine>) {
    let report = pass(&engine, &stack(&dependents("one", true))).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let second = stack(&dependents("two", true));
    let plan = preview(&*engine, &second, None).await.unwrap();
    let done: Vec<String> = plan.changes.iter().map(ToString::to_string).collect();
    assert_eq!(done, ["replace container db/1", "restart container web/1"], "{plan}");
    assert_eq!(plan.changes[1].after, [0], "{plan}");
    assert!(plan.to_string().contains("services.web.depends_on.db: want started after db"));
    let report = pass(&engine, &second).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let left = preview(&*engine, &second, None).await.unwrap();
    assert!(left.is_empty(), "{left}");

    let report = pass(&engine, &stack(&dependents("three", false))).await;
    assert_eq!(report.actions.len(), 1, "{report:?}");
    let third = stack(&dependents("three", true));
    let plan = preview(&*engine, &third, None).await.unwrap();
    let done: Vec<String> = plan.changes.iter().map(ToString::to_string).collect();
    assert_eq!(done, ["restart container web/1"], "{plan}");
    let report = pass(&engine, &third).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let left = preview(&*engine, &third, None).await.unwrap();
    assert!(left.is_empty(), "{left}");
}

/// Who shares with a container that is replaced is replaced after it, in the same plan.
async fn what_is_shared_is_replaced_together(engine: Arc<dyn Engine>) {
    let (before, after) = (stack(&shared("one")), stack(&shared("two")));
    let report = pass(&engine, &before).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let plan = preview(&*engine, &after, None).await.unwrap();
    let base =
        plan.changes.iter().position(|change| change.object.to_string() == "container base/1");
    for change in &plan.changes {
        assert_eq!(change.action, Action::Replace, "{plan}");
        let is_base = change.object.to_string() == "container base/1";
        assert!(is_base || change.after.contains(&base.unwrap()), "{plan}");
    }
    let text = plan.to_string();
    for (service, field) in
        [("ipc", "ipc"), ("network", "network_mode"), ("pid", "pid"), ("volume", "volumes_from")]
    {
        let reason =
            format!("services.by-{service}.{field}: want the container {STACK}-base-1 to be made");
        assert!(text.contains(&reason), "{text}");
    }
    assert_eq!(plan.changes.len(), 5, "{text}");
    let report = pass(&engine, &after).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    assert_eq!(report.actions.len(), 5, "{:?}", report.actions);
    let left = preview(&*engine, &after, None).await.unwrap();
    assert!(left.is_empty(), "{left}");
}

/// A quota that somebody set by hand is no quota of the file.
async fn a_quota_set_by_hand_is_seen(engine: Arc<dyn Engine>) {
    let wanted =
        stack(&format!("name: {STACK}\nservices:\n  base: {}\n", service("network_mode: none")));
    assert!(pass(&engine, &wanted).await.result.is_success());
    let by_hand = Step::Update {
        container: ContainerRef::named(format!("{STACK}-base-1")),
        limits: Limits { cpu_quota: Some(50_000), ..Limits::default() },
        restart: RestartPolicy::No,
    };
    engine.perform(&by_hand, &|_| {}).await.unwrap();
    let plan = preview(&*engine, &wanted, None).await.unwrap();
    assert!(plan.to_string().contains("services.base.cpu_quota: want none, is 50000"), "{plan}");
    assert_eq!(pass(&engine, &wanted).await.result, PassResult::Changed);
    let left = preview(&*engine, &wanted, None).await.unwrap();
    assert!(left.is_empty(), "{left}");
}

/// Who leaves a network by hand and joins it again has another hardware address.
async fn an_address_lost_by_hand_is_seen(engine: Arc<dyn Engine>) {
    let more = "mac_address: '02:42:0a:d9:00:07', networks: [default]";
    let text = format!("name: {STACK}\nservices:\n  base: {}\n", service(more));
    let wanted = stack(&text);
    assert!(pass(&engine, &wanted).await.result.is_success());
    let container = ContainerRef::named(format!("{STACK}-base-1"));
    let network = format!("{STACK}_default");
    let query = Query::owned_by(STACK.to_owned().try_into().unwrap());
    let before = engine.observe(&query).await.unwrap();
    let spec = &before.containers[0].spec;
    let Networking::Networks(networks) = &spec.networking else { panic!("no networks") };
    let endpoint = Endpoint { mac_address: None, ..(*networks[&network]).clone() };
    let leave = Step::Disconnect { container: container.clone(), network: network.clone() };
    engine.perform(&leave, &|_| {}).await.unwrap();
    engine.perform(&Step::Connect { container, network, endpoint }, &|_| {}).await.unwrap();
    let plan = preview(&*engine, &wanted, None).await.unwrap();
    let is_kept = plan.is_empty() && engine.facts().await.unwrap().api.minor < 44;
    let told = plan.to_string().contains("services.base.mac_address: want 02:42:0a:d9:00:07, is ");
    assert!(told || is_kept, "{plan}");
    assert!(pass(&engine, &wanted).await.result.is_success());
    assert!(preview(&*engine, &wanted, None).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn on_the_simulated_engine() {
    a_dependent_is_restarted_after_what_it_depends_on(simulated()).await;
    an_address_lost_by_hand_is_seen(simulated()).await;
    what_is_shared_is_replaced_together(simulated()).await;
    a_quota_set_by_hand_is_seen(simulated()).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_step_leaves_what_the_next_pass_goes_on_from() {
    for steps in 0..60 {
        let sim = sim();
        let engine: Arc<dyn Engine> = Arc::new(sim.clone());
        let (before, after) = (stack(&shared("one")), stack(&shared("two")));
        assert!(pass(&engine, &before).await.result.is_success());
        sim.crash_after(steps);
        pass(&engine, &after).await;
        sim.come_back();
        let report = pass(&engine, &after).await;
        assert!(report.result.is_success(), "after {steps} steps: {}", report.message);
        let left = preview(&*engine, &after, None).await.unwrap();
        assert!(left.is_empty(), "after {steps} steps: {left}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_is_only_renamed_stays_the_one_that_others_share_with() {
    let sim = sim();
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    let wanted = stack(&shared("one"));
    assert!(pass(&engine, &wanted).await.result.is_success());
    let container = ContainerRef::named(format!("{STACK}-base-1"));
    sim.by_hand(&Step::Rename { container, to: "odd".to_owned() }).unwrap();
    let plan = preview(&*engine, &wanted, None).await.unwrap();
    let actions: Vec<_> = plan.changes.iter().map(|change| change.action).collect();
    assert_eq!(actions, [Action::Rename], "{plan}");
}

#[tokio::test]
async fn on_docker() {
    let Some(engine) = support::engine() else { return };
    let stacks = Stacks::named(&[STACK]);
    import_busybox(&ImageRef::new(IMAGE).unwrap());
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let played = tokio::spawn(async move {
        what_is_shared_is_replaced_together(Arc::clone(&engine)).await;
        a_quota_set_by_hand_is_seen(Arc::clone(&engine)).await;
        an_address_lost_by_hand_is_seen(Arc::clone(&engine)).await;
        a_dependent_is_restarted_after_what_it_depends_on(engine).await;
    });
    let played = played.await;
    drop(stacks);
    docker(&["rmi", "-f", IMAGE]);
    played.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_there_may_be_the_mode() {
    let engine = simulated();
    let other = format!("name: other\nservices:\n  a: {}\n", service(""));
    assert!(pass(&engine, &stack(&other)).await.result.is_success());
    let text =
        format!("name: {STACK}\nservices:\n  a: {}\n", service("network_mode: other_default"));
    let report = pass(&engine, &stack(&text)).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let query = Query::owned_by(STACK.to_owned().try_into().unwrap());
    let found = engine.observe(&query).await.unwrap().containers.remove(0);
    let Networking::Networks(networks) = found.spec.networking else { panic!("no networks") };
    assert_eq!(networks.into_keys().collect::<Vec<_>>(), ["other_default"]);
    assert_eq!(pass(&engine, &stack(&text)).await.result, PassResult::Unchanged);
}

#[tokio::test(start_paused = true)]
async fn an_image_for_another_platform_is_pulled_and_one_that_is_not_offered_is_told() {
    let sim = Sim::new();
    let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    sim.image_add("app:1", config.clone(), Behaviour::default());
    sim.registry_add("app:1", config, Behaviour::default());
    let engine: Arc<dyn Engine> = Arc::new(sim);
    let text = |platform: &str| {
        stack(&format!("name: s\nservices: {{ a: {{ image: app:1, platform: {platform} }} }}\n"))
    };
    assert_eq!(pass(&engine, &text("linux/amd64")).await.result, PassResult::Changed);
    let plan = preview(&*engine, &text("linux/arm64"), None).await.unwrap();
    let reason = "services.a.platform: want app:1 for linux/arm64, is app:1 for linux/amd64";
    assert!(plan.to_string().contains(reason), "{plan}");
    let report = pass(&engine, &text("linux/arm64")).await;
    assert_eq!(report.result, PassResult::Failed);
    assert!(report.message.contains("app:1"), "{}", report.message);
    let two = "name: s\nservices:\n  a: { image: app:1, platform: linux/arm64 }\n  \
               b: { image: app:1, platform: linux/amd64 }\n  c: { image: app:1 }\n";
    let plan = preview(&*engine, &stack(two), None).await.unwrap().to_string();
    assert!(plan.contains("image app:1 is asked for on several platforms"), "{plan}");
    assert!(plan.contains("container c/1"), "who does not care is not held up: {plan}");
}
