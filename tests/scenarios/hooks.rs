//! Commands around the life of containers, alone and in passes, and the way out of a name.

use super::support::images::{SLEEPER, pause, say};
use super::support::passes::{pass, stack};
use super::support::recorder::Recorder;
use super::world::{World, of};
use bowline::engine::{Ended, Engine, EngineError};
use bowline::model::{
    Container, Endpoint, Hook, Ipam, IpamPool, NetworkSpec, Networking, Query, State,
};
use bowline::plan::{ContainerRef, Step};
use bowline::status::{PassResult, Report};
use std::sync::Arc;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

fn hook(command: &[&str]) -> Hook {
    Hook { command: command.iter().map(|&word| word.to_owned()).collect(), ..Hook::default() }
}

/// What a command that writes these words and ends with this code is to become.
fn ended(code: i64, output: &[&str]) -> Ended {
    let output = output.iter().map(|&line| line.to_owned()).collect();
    Ended { code: Some(code), output }
}

pub async fn a_command_in_a_container_tells_its_end_and_its_words(world: &World) {
    let container = world.run("web", of(SLEEPER)).await;
    let exec = async |hook: Hook| world.engine.exec(&container, &hook, LONG).await.unwrap();
    assert_eq!(exec(hook(&say("ready", 0))).await, ended(0, &["ready"]));
    assert_eq!(exec(hook(&say("broken", 3))).await, ended(3, &["broken"]));
    assert_eq!(exec(hook(&["true"])).await, ended(0, &[]));
}

pub async fn a_command_that_takes_longer_than_it_may_is_left(world: &World) {
    let container = world.run("web", of(SLEEPER)).await;
    let begun = tokio::time::Instant::now();
    let bound = Duration::from_secs(1);
    let left = world.engine.exec(&container, &hook(&pause("600")), bound).await.unwrap();
    assert_eq!(left.code, None);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(world.state(&container).await, State::Running);
}

pub async fn a_command_in_what_does_not_run_is_refused(world: &World) {
    let container = world.create("web", of(SLEEPER)).await;
    let run = async || world.engine.exec(&container, &hook(&["true"]), LONG).await.unwrap_err();
    let error = run().await;
    assert!(matches!(error, EngineError::Refused { status: 409, .. }), "{error}");
    assert!(error.to_string().contains("is not running"), "{error}");
    world.perform(Step::Start(container.clone())).await;
    world.pause(&container);
    let error = run().await;
    assert!(error.to_string().contains("is paused"), "{error}");
    world.perform(Step::Unpause(container)).await;
}

pub async fn hooks_are_owed_until_they_are_done(world: &World) {
    let container = world.create("web", of(SLEEPER)).await;
    assert!(!world.only().await.owes_hooks);
    world.perform(Step::OweHooks(container.clone())).await;
    world.perform(Step::Start(container.clone())).await;
    assert!(world.only().await.owes_hooks);
    let id = ContainerRef::of(&world.only().await);
    world.perform(Step::HooksDone(id)).await;
    assert!(!world.only().await.owes_hooks);
}

/// A container on a network, with its place there.
async fn on_a_network(world: &World, ipam: Option<Ipam>) -> (ContainerRef, String) {
    let network = world.network("net", NetworkSpec { ipam, ..NetworkSpec::default() }).await;
    let endpoint = Endpoint { aliases: ["web".to_owned()].into(), ..Endpoint::default() };
    let mut spec = of(SLEEPER);
    spec.networking = Networking::Networks([(network.clone(), Box::new(endpoint))].into());
    (world.run("web", spec).await, network)
}

fn place(container: &Container, network: &str) -> Endpoint {
    let Networking::Networks(networks) = &container.spec.networking else { panic!("no networks") };
    (*networks[network]).clone()
}

pub async fn a_container_leaves_its_names_and_keeps_its_address(world: &World) {
    let pool = IpamPool { subnet: Some("10.241.7.0/24".parse().unwrap()), ..IpamPool::default() };
    let ipam = Ipam { pools: vec![pool], ..Ipam::default() };
    // Its address is not the lowest that is free, which the engine would give.
    let (container, network) = on_a_network(world, Some(ipam)).await;
    let fixed = Endpoint { ipv4_address: Some([10, 241, 7, 9].into()), ..Endpoint::default() };
    let named = Endpoint { aliases: ["web".to_owned()].into(), ..fixed.clone() };
    let step = |endpoint| Step::Connect {
        container: container.clone(),
        network: network.clone(),
        endpoint,
    };
    let leave = Step::Disconnect { container: container.clone(), network: network.clone() };
    world.perform(leave).await;
    world.perform(step(named)).await;
    for _ in 0..2 {
        let endpoint = Box::default();
        let (container, network) = (container.clone(), network.clone());
        world.perform(Step::Withdraw { container, network, endpoint }).await;
        let found = world.only().await;
        assert_eq!(place(&found, &network_of(&found)), fixed);
        assert_eq!(found.state, State::Running);
    }
}

fn network_of(container: &Container) -> String {
    container.network_ids.keys().next().cloned().unwrap()
}

pub async fn without_a_chosen_subnet_it_is_told_that_connections_are_cut(world: &World) {
    let (container, network) = on_a_network(world, None).await;
    let told = std::sync::Mutex::new(String::new());
    let endpoint = Box::default();
    let step = Step::Withdraw { container, network: network.clone(), endpoint };
    let note = |word: bowline::engine::Word<'_>| *told.lock().unwrap() = format!("{word:?}");
    world.engine.perform(&step, &note).await.unwrap();
    let told = told.into_inner().unwrap();
    assert!(told.contains("its connections on") && told.contains("are cut"), "{told}");
    assert!(place(&world.only().await, &network).aliases.is_empty());
}

/// Passes over one service of the scenario's own stack, whose calls are written down.
struct Passes<'a> {
    world: &'a World,
    recorder: Arc<Recorder>,
    engine: Arc<dyn Engine>,
}

impl<'a> Passes<'a> {
    fn of(world: &'a World) -> Self {
        let (engine, recorder) = Recorder::over(Arc::clone(&world.engine));
        Self { world, recorder, engine }
    }

    /// A pass over the service `a` with these attributes; its report, and what was done.
    async fn pass(&self, attributes: &str) -> (Report, Vec<String>) {
        let name = &self.world.prefix;
        let text =
            format!("name: {name}\nservices: {{ a: {{ image: {SLEEPER}, {attributes} }} }}\n");
        let report = pass(&self.engine, &stack(&text)).await;
        let of_ours = |line: String| line.replace(&format!("{name}-"), "");
        (report, self.recorder.take().into_iter().map(of_ours).collect())
    }

    /// A pass that does all that is to be done.
    async fn done(&self, attributes: &str) -> Vec<String> {
        let (report, done) = self.pass(attributes).await;
        assert!(report.result.is_success(), "{attributes}: {}", report.message);
        done
    }

    async fn hooks(&self) -> Vec<(String, State)> {
        let found = self.engine.observe(&Query::owned_by(self.world.stack())).await.unwrap();
        let name = |it: &Container| it.name.replace(&format!("{}-", self.world.prefix), "");
        found.hooks.iter().map(|hook| (name(hook), hook.state)).collect()
    }
}

fn words(command: &[&str]) -> String {
    format!("{command:?}")
}

pub async fn hooks_run_around_each_start_and_stop(world: &World) {
    let passes = Passes::of(world);
    let (one, two) = (say("one", 0), say("two", 0));
    let hooks = format!(
        "post_start: [{{ command: {} }}, {{ command: {} }}], pre_stop: [{{ command: {} }}]",
        words(&one),
        words(&two),
        words(&one)
    );
    let of = |mode: &str| format!("environment: {{ MODE: {mode} }}, {hooks}");
    let (one, two) = (one.join(" "), two.join(" "));
    let started = |name: &str| {
        [format!("start {name}"), format!("exec {name} {one}"), format!("exec {name} {two}")]
    };
    let created = [vec!["create a-1".to_owned()], started("a-1").to_vec()].concat();
    assert_eq!(passes.done(&of("first")).await, created);
    let replaced = [
        vec!["create a-1.next".to_owned(), format!("exec a-1 {one}"), "stop a-1".to_owned()],
        started("a-1.next").to_vec(),
        vec!["remove a-1".to_owned(), "rename a-1.next a-1".to_owned()],
    ];
    assert_eq!(passes.done(&of("second")).await, replaced.concat());
    let stop = Step::Stop {
        container: ContainerRef::named(world.name("a-1")),
        grace: Some(Duration::ZERO),
    };
    world.perform(stop).await;
    assert_eq!(passes.done(&of("second")).await, started("a-1"));
    assert_eq!(passes.done(&of("second")).await, [""; 0]);
    let gone = [format!("exec a-1 {one}"), "stop a-1".to_owned(), "remove a-1".to_owned()];
    assert_eq!(passes.done(&format!("scale: 0, {hooks}")).await, gone);
}

pub async fn a_hook_after_the_start_that_fails_is_run_again(world: &World) {
    let passes = Passes::of(world);
    let of = |command: &[&str]| {
        format!("post_start: [{{ command: {}, environment: {{ TOLD: nobody }} }}]", words(command))
    };
    let (fails, works) = (say("no such table", 3), say("ready", 0));
    for _ in 0..2 {
        let (report, done) = passes.pass(&of(&fails)).await;
        assert_eq!(report.result, PassResult::Failed);
        let told = format!(
            "hook post_start.0 (sh) of container {} ended with exit code 3; its last output: no such table",
            world.name("a-1")
        );
        assert!(report.message.contains(&told), "{}", report.message);
        assert!(!report.message.contains("nobody"), "{}", report.message);
        assert_eq!(done.last(), Some(&format!("exec a-1 {}", fails.join(" "))));
    }
    let found = world.observe().await.containers;
    assert_eq!((found.len(), found[0].state), (1, State::Running), "it runs on");
    let done = passes.done(&of(&works)).await;
    assert_eq!(done, ["start a-1".to_owned(), format!("exec a-1 {}", works.join(" "))]);
    assert_eq!(passes.done(&of(&works)).await, [""; 0]);
}

pub async fn a_hook_before_the_stop_that_fails_holds_nothing_up(world: &World) {
    let passes = Passes::of(world);
    let of = |mode: &str| {
        let (fails, never) = (words(&say("broken", 3)), words(&pause("600")));
        format!(
            "environment: {{ MODE: {mode} }}, stop_grace_period: 1s, pre_stop: [{{ command: {} }}]",
            if mode == "first" { fails } else { never }
        )
    };
    passes.done(&of("first")).await;
    let done = passes.done(&of("second")).await;
    assert_eq!(done[1..3], [format!("exec a-1 {}", pause("600").join(" ")), "stop a-1".into()]);
    let done = passes.done(&of("first")).await;
    assert_eq!(done[1..3], [format!("exec a-1 {}", say("broken", 3).join(" ")), "stop a-1".into()]);
}

pub async fn a_service_is_prepared_once_before_its_first_start(world: &World) {
    let passes = Passes::of(world);
    let of = |mode: &str, scale: u32| {
        format!(
            "environment: {{ MODE: {mode} }}, scale: {scale}, pre_start: [{{ command: {} }}, {{ command: {}, per_replica: true }}]",
            words(&say("migrated", 0)),
            words(&say("warm", 0))
        )
    };
    let prepared = |replica: &str, index: u32| {
        let name = format!("{replica}-pre_start-{index}");
        [format!("create {name}"), format!("start {name}"), format!("discard {name}")]
    };
    let first = [
        vec!["create a-1".to_owned()],
        prepared("a-1", 0).to_vec(),
        prepared("a-1", 1).to_vec(),
        vec!["start a-1".to_owned()],
    ];
    assert_eq!(passes.done(&of("first", 1)).await, first.concat());
    let second =
        [vec!["create a-2".to_owned()], prepared("a-2", 1).to_vec(), vec!["start a-2".to_owned()]];
    assert_eq!(passes.done(&of("first", 2)).await, second.concat());
    let done = passes.done(&of("second", 2)).await;
    let made = |name: &&String| name.starts_with("create") && name.contains("pre_start");
    let made: Vec<_> = done.iter().filter(made).collect();
    assert_eq!(
        made,
        ["create a-1-pre_start-0", "create a-1-pre_start-1", "create a-2-pre_start-1"]
    );
    let position = |line: &str| done.iter().position(|done| done == line).unwrap();
    assert!(position("discard a-1-pre_start-1") < position("stop a-1"), "{done:#?}");
    assert_eq!(passes.hooks().await, []);
    assert_eq!(passes.done(&of("second", 2)).await, [""; 0]);
}

pub async fn a_preparation_that_fails_is_kept_to_be_read_and_done_anew(world: &World) {
    let passes = Passes::of(world);
    let of = |command: &[&str]| format!("pre_start: [{{ command: {} }}]", words(command));
    let (fails, works) = (say("no such table", 3), say("migrated", 0));
    for _ in 0..2 {
        let (report, done) = passes.pass(&of(&fails)).await;
        assert_eq!(report.result, PassResult::Failed);
        let name = world.name("a-1-pre_start-0");
        let told = format!(
            "container {name} is exited (3), but should end with exit code 0; its last output: no such table"
        );
        assert!(report.message.contains(&told), "{}", report.message);
        assert!(!done.contains(&"start a-1".to_owned()), "{done:#?}");
        assert_eq!(passes.hooks().await, [("a-1-pre_start-0".into(), State::Exited { code: 3 })]);
        assert_eq!(world.observe().await.containers[0].state, State::Created);
    }
    let done = passes.done(&of(&works)).await;
    assert_eq!(done[0], "remove a-1-pre_start-0");
    assert_eq!(done.last().unwrap(), "start a-1");
    assert_eq!(passes.hooks().await, []);
}

pub async fn what_is_left_of_a_preparation_goes_when_nothing_is_to_be_prepared(world: &World) {
    let passes = Passes::of(world);
    let fails = format!("pre_start: [{{ command: {} }}]", words(&say("no", 3)));
    passes.done("mem_limit: 64m").await;
    let (report, _) = passes.pass(&format!("environment: {{ NEW: one }}, {fails}")).await;
    assert_eq!(report.result, PassResult::Failed);
    let running = world.observe().await.containers.into_iter().find(|it| it.name.ends_with("-1"));
    assert_eq!(running.unwrap().state, State::Running, "the old one serves on");
    let done = passes.done("mem_limit: 64m").await;
    assert!(done.contains(&"remove a-1-pre_start-0".to_owned()), "{done:#?}");
    assert_eq!(passes.hooks().await, []);
}

pub async fn a_preparation_has_the_volumes_of_its_container(world: &World) {
    let passes = Passes::of(world);
    let write = ["sh", "-c", "echo prepared > /data/state"];
    let read = ["sh", "-c", "read state < /data/state && test \"$$state\" = prepared"];
    let attributes = format!(
        "volumes: [/data], pre_start: [{{ command: {}, user: '0', environment: {{ A: b }} }}], post_start: [{{ command: {} }}]",
        words(&write),
        words(&read)
    );
    passes.done(&attributes).await;
    assert_eq!(passes.hooks().await, []);
}
