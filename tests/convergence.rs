//! Whatever runs, and wherever an earlier pass was cut off, a pass reaches the desired state, and
//! the next plan is empty. The desired state is stated here without the planner.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Deed, Sim};
use bowline::model::{
    Container, Health, ImageConfig, Limits, Networking, Query, RestartPolicy, Stack, State,
};
use bowline::pass::preview;
use bowline::plan::{Action, ContainerRef, Step};
use bowline::status::PassResult;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use support::passes::{means, pass, stack};

/// One service of a generated stack.
#[derive(Debug, Clone)]
struct Wanted {
    replicas: u32,
    version: u8,
    memory: Option<u8>,
    checked: bool,
    volume: bool,
    both_networks: bool,
    depends: bool,
    hooks: bool,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn manifest(services: &[Wanted]) -> String {
    let mut text = "name: s\nservices:\n".to_owned();
    for (index, wanted) in services.iter().enumerate() {
        let name = NAMES[index];
        write!(
            text,
            "  {name}:\n    image: app:{}\n    scale: {}\n",
            wanted.version, wanted.replicas
        )
        .unwrap();
        writeln!(text, "    environment: {{ MODE: \"{}\" }}", wanted.version).unwrap();
        if let Some(memory) = wanted.memory {
            writeln!(text, "    mem_limit: {}m", 32 + u32::from(memory)).unwrap();
        }
        if wanted.checked {
            text += "    healthcheck: { test: [CMD, check], interval: 1s, timeout: 1s }\n";
        }
        if wanted.volume {
            text += "    volumes: [data:/data]\n";
        }
        if wanted.both_networks {
            text += "    networks: { default: {}, other: { aliases: [x] } }\n";
        }
        if wanted.hooks {
            text += "    pre_start: [{ command: [migrate] }, { command: [warm], per_replica: true }]\n    \
                     post_start: [{ command: [up] }]\n    pre_stop: [{ command: [down] }]\n";
        }
        if wanted.depends && index > 0 {
            writeln!(text, "    depends_on: [{}]", NAMES[index - 1]).unwrap();
        }
    }
    text + "networks: { other: {} }\nvolumes: { data: {} }\n"
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (0u32..4, 1u8..3, prop::option::of(0u8..3), flags).prop_map(
        |(replicas, version, memory, (checked, volume, both_networks, depends, hooks))| Wanted {
            replicas,
            version,
            memory,
            checked,
            volume,
            both_networks,
            depends,
            hooks,
        },
    )
}

/// What befalls a container between two passes.
#[derive(Debug, Clone, Copy)]
enum Act {
    Kill,
    Stop,
    Pause,
    Remove,
    Rename,
    Limit,
    Restart,
    Leave,
    Join,
}

fn act() -> impl Strategy<Value = (Act, usize)> {
    let acts = [
        Act::Kill,
        Act::Stop,
        Act::Pause,
        Act::Remove,
        Act::Rename,
        Act::Limit,
        Act::Restart,
        Act::Leave,
        Act::Join,
    ];
    (prop::sample::select(acts.to_vec()), 0usize..8)
}

async fn befall(sim: &Sim, act: Act, which: usize) {
    let found = containers(sim).await;
    let Some(container) = found.get(which % found.len().max(1)) else { return };
    let this = ContainerRef::of(container);
    let memory =
        Limits { memory: Some(99 << 20), memory_swap: Some(198 << 20), ..Limits::default() };
    // Some acts cannot be done to some states; then nothing befalls.
    let _ = match act {
        Act::Pause => sim.pause(&container.name),
        Act::Limit => sim.edit_limits(&container.name, &memory, container.spec.restart),
        Act::Restart => sim.edit_limits(&container.name, &Limits::default(), RestartPolicy::Always),
        Act::Kill => sim.by_hand(&Step::Signal { container: this, signal: "SIGKILL".into() }),
        Act::Stop => sim.by_hand(&Step::Stop { container: this, grace: Some(Duration::ZERO) }),
        Act::Remove => sim.by_hand(&Step::Remove(this)),
        Act::Rename => sim.by_hand(&Step::Rename { container: this, to: format!("odd-{which}") }),
        Act::Leave => {
            sim.by_hand(&Step::Disconnect { container: this, network: "s_default".into() })
        }
        Act::Join => sim.by_hand(&Step::Connect {
            container: this,
            network: "s_other".into(),
            endpoint: bowline::model::Endpoint::default(),
        }),
    };
}

async fn containers(sim: &Sim) -> Vec<Container> {
    let query = Query::owned_by("s".to_owned().try_into().unwrap());
    sim.observe(&query).await.unwrap().containers
}

/// The goal, by looking at the manifest's own words and at the engine.
async fn check(sim: &Sim, services: &[Wanted], stranger: &str) {
    let query = Query::owned_by("s".to_owned().try_into().unwrap());
    let left = sim.observe(&query).await.unwrap().hooks;
    assert!(left.is_empty(), "left of hooks: {left:#?}");
    let found = containers(sim).await;
    let names: BTreeSet<String> = found.iter().map(|container| container.name.clone()).collect();
    let expected: BTreeSet<String> = services
        .iter()
        .enumerate()
        .flat_map(|(index, wanted)| {
            (1..=wanted.replicas).map(move |number| format!("s-{}-{number}", NAMES[index]))
        })
        .collect();
    assert_eq!(names, expected);
    assert_eq!(found.len(), expected.len(), "two containers of one name");
    for container in &found {
        let index = NAMES.iter().position(|name| *name == container.slot.service.as_str()).unwrap();
        let wanted = &services[index];
        let spec = &container.spec;
        assert_eq!(container.state, State::Running, "{}", container.name);
        assert!(!(wanted.hooks && container.owes_hooks), "{} owes hooks", container.name);
        assert_eq!(spec.image.as_str(), format!("app:{}", wanted.version));
        assert_eq!(spec.environment["MODE"], Some(wanted.version.to_string()));
        assert_eq!(spec.limits.memory, wanted.memory.map(|m| u64::from(32 + u32::from(m)) << 20));
        assert_eq!(spec.restart, RestartPolicy::No);
        assert_eq!(spec.mounts.contains_key("/data"), wanted.volume);
        assert_eq!(container.health == Health::Unchecked, !wanted.checked);
        let Networking::Networks(networks) = &spec.networking else { panic!("no networks") };
        let joined: Vec<&str> = networks.keys().map(String::as_str).collect();
        let both = ["s_default", "s_other"];
        assert_eq!(joined, if wanted.both_networks { &both[..] } else { &both[..1] });
        let aliases = &networks["s_default"].aliases;
        assert!(aliases.contains(NAMES[index]), "{aliases:?}");
    }
    let left = sim.watch(&ContainerRef::named(stranger)).await.unwrap();
    assert_eq!(left.state, State::Running, "the stranger was touched");
}

fn engine() -> Sim {
    let sim = Sim::new();
    let ends_at_once = |word: &str| (vec![word.to_owned()], Deed::default());
    let commands = [ends_at_once("migrate"), ends_at_once("warm")];
    let behaviour = Behaviour { commands: commands.into(), ..Behaviour::default() };
    for version in 1..3 {
        let config = ImageConfig {
            command: vec!["serve".into()],
            environment: [("FROM".to_owned(), version.to_string())].into(),
            labels: [("made-by".to_owned(), format!("v{version}"))].into(),
            ..ImageConfig::default()
        };
        sim.image_add(&format!("app:{version}"), config, behaviour.clone());
    }
    sim
}

async fn stranger(sim: &Sim) -> &'static str {
    let text = "name: other\nservices: { x: { image: app:1, container_name: stranger } }\n";
    let other: Arc<dyn Engine> = Arc::new(sim.clone());
    assert_eq!(pass(&other, &stack(text)).await.result, PassResult::Changed);
    "stranger"
}

async fn reaches_the_goal(
    before: Vec<Wanted>,
    acts: Vec<(Act, usize)>,
    crash_after: Option<u64>,
    after: Vec<Wanted>,
) {
    let sim = engine();
    let bystander = stranger(&sim).await;
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    let (former, desired): (Stack, Stack) = (stack(&manifest(&before)), stack(&manifest(&after)));
    assert!(pass(&engine, &former).await.result.is_success());
    for (act, which) in acts {
        befall(&sim, act, which).await;
    }
    if let Some(steps) = crash_after {
        sim.crash_after(steps);
        pass(&engine, &desired).await;
        sim.come_back();
    }
    let report = pass(&engine, &desired).await;
    assert!(report.result.is_success(), "{:?}: {}", report.result, report.message);
    check(&sim, &after, bystander).await;
    let left = preview(&*engine, &desired, None).await.unwrap();
    assert!(left.is_empty(), "still to do:\n{left}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_pass_reaches_the_goal_from_any_state_and_after_any_crash(
        before in prop::collection::vec(wanted(), 1..4),
        acts in prop::collection::vec(act(), 0..6),
        crash_after in prop::option::of(0u64..60),
        after in prop::collection::vec(wanted(), 1..4),
    ) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(reaches_the_goal(before, acts, crash_after, after));
    }
}

const STEADY: &str = "name: s\nservices: { a: { image: app:1, ports: [\"8080:80\"] } }\n";
const BROKEN: &str =
    "name: s\nservices: { a: { image: broken:1, command: [run], ports: [\"8080:80\"] } }\n";

#[tokio::test(start_paused = true)]
async fn a_commit_that_cannot_run_is_undone_by_the_one_before() {
    let sim = engine();
    let broken = Behaviour { fails_to_start: Some("no such file".into()), ..Behaviour::default() };
    sim.image_add("broken:1", ImageConfig::default(), broken);
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    assert!(pass(&engine, &stack(STEADY)).await.result.is_success());
    let failed = pass(&engine, &stack(BROKEN)).await;
    assert_eq!(failed.result, PassResult::Failed);
    assert!(failed.message.contains("no such file"), "{}", failed.message);
    let report = pass(&engine, &stack(STEADY)).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let left = containers(&sim).await;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].name.as_str(), left[0].state), ("s-a-1", State::Running));
    assert_eq!(left[0].spec.image.as_str(), "app:1");
}

#[tokio::test(start_paused = true)]
async fn a_subnet_and_the_addresses_on_it_move_together() {
    let text = |third: u8| {
        format!(
            "name: s\nservices: {{ a: {{ image: app:1, networks: {{ n: {{ ipv4_address: 10.231.{third}.5 }} }} }} }}\n\
             networks: {{ n: {{ ipam: {{ config: [{{ subnet: 10.231.{third}.0/24 }}] }} }} }}\n"
        )
    };
    let sim = engine();
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    assert!(pass(&engine, &stack(&text(1))).await.result.is_success());
    let report = pass(&engine, &stack(&text(2))).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let left = containers(&sim).await;
    let Networking::Networks(networks) = &left[0].spec.networking else { panic!("no networks") };
    assert_eq!(networks["s_n"].ipv4_address, Some([10, 231, 2, 5].into()));
}

#[tokio::test(start_paused = true)]
async fn a_service_in_trouble_keeps_its_port_and_its_container() {
    let sim = engine();
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    let before =
        "name: s\nservices:\n  a: { image: app:1 }\n  b: { image: app:1, ports: [\"8080:80\"] }\n";
    let after = "name: s\nservices:\n  a: { image: app:1, ports: [\"8080:80\"] }\n  \
                 b: { image: gone:1, pull_policy: never, ports: [\"8082:80\"] }\n";
    assert!(pass(&engine, &stack(before)).await.result.is_success());
    assert_eq!(pass(&engine, &stack(after)).await.result, PassResult::Failed);
    for container in containers(&sim).await {
        assert_eq!(container.state, State::Running, "{}", container.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_subnet_that_another_network_has_is_told_before_anything_is_changed() {
    let sim = engine();
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    let text = |name: &str, subnet: &str| {
        format!(
            "name: {name}\nservices:\n  a: {{ image: app:1, networks: [n] }}\n  b: {{ image: app:1 }}\n\
             networks: {{ n: {{ ipam: {{ config: [{{ subnet: {subnet} }}] }} }} }}\n"
        )
    };
    let (other, ours) = (stack(&text("other", "10.9.0.0/16")), stack(&text("s", "10.9.8.0/24")));
    assert!(pass(&engine, &other).await.result.is_success());
    let report = pass(&engine, &ours).await;
    assert_eq!(report.result, PassResult::Failed);
    let told = "networks.n.ipam.config: the subnet 10.9.8.0/24 overlaps with 10.9.0.0/16 of the network other_n";
    assert!(report.message.contains(told), "{}", report.message);
    let found: Vec<_> = containers(&sim).await.into_iter().map(|found| found.name).collect();
    assert_eq!(found, ["s-b-1"], "what does not need it runs");
    let elsewhere = stack(&text("s", "10.10.0.0/24"));
    assert!(pass(&engine, &elsewhere).await.result.is_success());
    assert_eq!(pass(&engine, &ours).await.result, PassResult::Failed);
    assert_eq!(containers(&sim).await.len(), 2, "the network of before stays in use");
}

#[tokio::test(start_paused = true)]
async fn what_ends_at_once_is_started_once_a_pass_and_told_with_its_last_words() {
    let sim = engine();
    let ends = Behaviour {
        exits: Some((Duration::ZERO, 3)),
        output: vec!["no config file".into()],
        ..Behaviour::default()
    };
    sim.image_add("ends:1", ImageConfig::default(), ends);
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    let text =
        "name: s\nservices:\n  a: { image: app:1 }\n  bad: { image: ends:1, command: [run] }\n";
    for started in [Action::Create, Action::Start] {
        let report = pass(&engine, &stack(text)).await;
        assert_eq!(report.result, PassResult::Crashing);
        assert_eq!(
            report.message,
            "services.bad.state: container s-bad-1 is exited (3) soon after it was started; its \
             last output: no config file"
        );
        let starts: Vec<_> = report
            .actions
            .iter()
            .filter(|action| action.object.service().is_some_and(|name| name.as_str() == "bad"))
            .map(|action| action.action)
            .collect();
        assert_eq!(starts, [started]);
        sim.crash("s-a-1", 1);
    }
    pass(&engine, &stack(text)).await;
    let others = containers(&sim).await;
    assert_eq!(others.iter().find(|c| c.name == "s-a-1").unwrap().state, State::Running);
}

#[tokio::test(start_paused = true)]
async fn a_stack_goes_dependents_first() {
    let sim = engine();
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    let text = "name: s\nservices:\n  a: { image: app:1 }\n  \
                b: { image: app:1, depends_on: [z] }\n  z: { image: app:1, depends_on: [a] }\n";
    assert!(pass(&engine, &stack(text)).await.result.is_success());
    let report = means(engine)
        .remove(&Query::owned_by("s".to_owned().try_into().unwrap()), None, false)
        .await;
    assert_eq!(report.result, PassResult::Removed);
    let gone: Vec<_> = report.actions.iter().map(|action| action.object.to_string()).collect();
    assert_eq!(gone, ["container b/1", "container z/1", "container a/1", "network s_default"]);
}

#[tokio::test(start_paused = true)]
async fn pools_that_the_file_no_longer_gives_are_given_up() {
    let sim = engine();
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    let text = |network: &str| {
        format!(
            "name: s\nservices: {{ a: {{ image: app:1 }} }}\nnetworks: {{ default: {network} }}\n"
        )
    };
    let given = text("{ ipam: { config: [{ subnet: 10.231.7.0/24 }] } }");
    assert!(pass(&engine, &stack(&given)).await.result.is_success());
    assert_eq!(pass(&engine, &stack(&text("{}"))).await.result, PassResult::Changed);
    let query = Query::owned_by("s".to_owned().try_into().unwrap());
    let network = sim.observe(&query).await.unwrap().networks.remove(0);
    assert!(!format!("{:?}", network.spec.ipam).contains("10.231.7"), "{network:?}");
    assert_eq!(pass(&engine, &stack(&text("{}"))).await.result, PassResult::Unchanged);
}
