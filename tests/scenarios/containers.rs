//! Containers and volumes as objects: names, images, ports, ownership.

use super::support::images::{INHERITED, INHERITED_STACK, SLEEPER};
use super::world::{PATIENCE, World, of};
use bowline::engine::EngineError;
use bowline::model::{
    ContainerPort, ContainerSpec, HostPorts, Limits, Mount, MountSource, PortBinding, Protocol,
    Query, RestartPolicy, StackName, State, VolumeSpec,
};
use bowline::plan::{ContainerRef, Step};
use std::time::Duration;

pub async fn a_name_is_given_once(world: &World) {
    world.create("web", of(SLEEPER)).await;
    let again = Step::CreateContainer(Box::new(world.new_container("web", of(SLEEPER))));
    let error = world.attempt(again).await.unwrap_err();
    assert!(matches!(error, EngineError::NameTaken { operation: "create", .. }), "{error}");
    let other = world.create("other", of(SLEEPER)).await;
    let error = world.attempt(Step::Rename { container: other, to: world.name("web") }).await;
    let error = error.unwrap_err();
    assert!(matches!(error, EngineError::NameTaken { operation: "rename", .. }), "{error}");
}

pub async fn a_bad_name_is_refused(world: &World) {
    let new = world.new_container("we b", of(SLEEPER));
    let error = world.attempt(Step::CreateContainer(Box::new(new))).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused { status: 400, .. }), "{error}");
}

pub async fn a_missing_image_is_named(world: &World) {
    let new = world.new_container("web", of("t-scn-absent:1"));
    let error = world.attempt(Step::CreateContainer(Box::new(new))).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot use image t-scn-absent:1: it does not exist");
}

pub async fn a_renamed_container_stays_itself(world: &World) {
    let old = world.run("web", of(SLEEPER)).await;
    let before = world.only().await;
    world.perform(Step::Rename { container: old.clone(), to: world.name("new") }).await;
    let after = world.only().await;
    assert_eq!((after.name.as_str(), &after.id), (world.name("new").as_str(), &before.id));
    assert_eq!(after.state, State::Running);
    let error = world.engine.watch(&old).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");
}

pub async fn limits_change_while_it_runs(world: &World) {
    let container = world.run("web", of(SLEEPER)).await;
    let limits = Limits { memory: Some(64 << 20), cpu_shares: Some(256), ..Limits::default() };
    let restart = RestartPolicy::Always;
    for _ in 0..2 {
        let limits = limits.clone();
        world.perform(Step::Update { container: container.clone(), limits, restart }).await;
    }
    let found = world.only().await;
    assert_eq!((found.spec.limits, found.spec.restart), (limits.clone(), restart));
    assert_eq!(found.state, State::Running);
    let keep = Limits::default();
    world.perform(Step::Update { container, limits: keep, restart }).await;
    assert_eq!(world.only().await.spec.limits, limits, "an absent limit is left as it is");
}

pub async fn what_is_missing_is_not_found(world: &World) {
    let nobody = ContainerRef::named(world.name("nobody"));
    for step in [Step::Start(nobody.clone()), Step::Unpause(nobody.clone())] {
        let error = world.attempt(step).await.unwrap_err();
        assert!(matches!(error, EngineError::NotFound { .. }), "{error}");
    }
    let error = world.engine.watch(&nobody).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot look at container t-scn-"), "{error}");
}

pub async fn removing_what_is_gone_succeeds(world: &World) {
    let nobody = ContainerRef::named(world.name("nobody"));
    world.perform(Step::Remove(nobody.clone())).await;
    world.perform(Step::Stop { container: nobody, grace: None }).await;
    world.perform(Step::RemoveVolume(world.name("none"))).await;
    let id = "0".repeat(64);
    world.perform(Step::RemoveNetwork { name: world.name("none"), id }).await;
}

pub async fn a_container_without_the_mark_is_a_stranger(world: &World) {
    world.foreign("guest", SLEEPER);
    let names = [world.name("guest")].into();
    let query = Query { container_names: names, ..Query::owned_by(world.stack()) };
    let found = world.engine.observe(&query).await.unwrap();
    assert!(found.containers.is_empty());
    let guest = found.strangers.iter().find(|s| s.name == world.name("guest")).unwrap();
    assert_eq!((&guest.stack, &guest.project), (&None, &None));
}

pub async fn strangers_with_a_name_or_port_that_is_asked_about_are_told(world: &World) {
    let publishing = |first| {
        let container = ContainerPort { port: 80, protocol: Protocol::Tcp };
        let host = Some(HostPorts { first, last: first });
        let ports = [PortBinding { container, host_ip: None, host }].into();
        ContainerSpec { ports, ..of(SLEEPER) }
    };
    let running = world.run("a", publishing(38282)).await;
    world.create("b", publishing(38283)).await;
    world.run("c", publishing(38284)).await;
    world.foreign("guest", SLEEPER);
    let asked = Query {
        container_names: [world.name("guest"), world.name("nobody")].into(),
        host_ports: [38282, 38283].into(),
        ..Query::owned_by(StackName::new("t-scn-nobody").unwrap())
    };
    let told = async |query: &Query| -> Vec<_> {
        let found = world.engine.observe(query).await.unwrap().strangers;
        found.into_iter().map(|stranger| (stranger.name, stranger.stack)).collect()
    };
    let (a, guest) = (world.name("a"), world.name("guest"));
    let expected = [(a, Some(world.stack())), (guest.clone(), None)];
    assert_eq!(told(&asked).await, expected, "one that does not run holds no port");
    world.perform(Step::Stop { container: running, grace: None }).await;
    // Engine 26 answers the stop a moment before its list shows it.
    let shown = tokio::time::timeout(PATIENCE, async {
        while told(&asked).await.len() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    shown.await.expect("the list shows soon that it was stopped");
    assert_eq!(told(&asked).await, [(guest, None)]);
    let nothing = Query::owned_by(asked.stack.clone());
    assert_eq!(told(&nothing).await, []);
    let own = Query { host_ports: [38284].into(), ..Query::owned_by(world.stack()) };
    assert_eq!(told(&own).await, [], "what is the stack's own is no stranger");
}

pub async fn a_port_is_taken_at_the_start(world: &World) {
    let mut spec = of(SLEEPER);
    let container = ContainerPort { port: 80, protocol: Protocol::Tcp };
    let host = Some(HostPorts { first: 38281, last: 38281 });
    spec.ports = [PortBinding { container, host_ip: None, host }].into();
    let first = world.run("a", spec.clone()).await;
    let second = world.create("b", spec).await;
    let error = world.attempt(Step::Start(second.clone())).await.unwrap_err();
    assert!(matches!(&error, EngineError::PortTaken { port, .. } if port == "38281"), "{error}");
    assert_eq!(world.state(&second).await, State::Created);
    world.perform(Step::Remove(first)).await;
    world.perform(Step::Start(second.clone())).await;
    assert_eq!(world.state(&second).await, State::Running);
}

pub async fn a_volume_in_use_stays(world: &World) {
    let name = world.name("data");
    let mut spec = of(SLEEPER);
    let source = MountSource::Volume { name: name.clone(), nocopy: false, subpath: None };
    spec.mounts = [("/data".to_owned(), Mount::of(source))].into();
    let user = world.create("web", spec).await;
    let error = world.attempt(Step::RemoveVolume(name.clone())).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused { status: 409, .. }), "{error}");
    world.perform(Step::Remove(user)).await;
    world.perform(Step::RemoveVolume(name)).await;
}

pub async fn a_volume_is_made_once(world: &World) {
    let spec = VolumeSpec { name: world.name("data"), ..VolumeSpec::default() };
    let labels = world.labels();
    for _ in 0..2 {
        let step = Step::CreateVolume { spec: spec.clone(), labels: labels.clone() };
        world.perform(step).await;
    }
    let volumes = world.observe().await.volumes;
    assert_eq!(volumes.len(), 1);
    assert_eq!(volumes[0].spec.driver.as_deref(), Some("local"));
    assert_eq!(volumes[0].spec.labels, labels);
    assert_eq!(volumes[0].stack, Some(world.stack()));
}

pub async fn labels_that_came_with_the_image_make_a_stranger(world: &World) {
    world.foreign("guest", INHERITED);
    let stack = StackName::new(INHERITED_STACK).unwrap();
    let names = [world.name("guest")].into();
    let query = Query { container_names: names, ..Query::owned_by(stack.clone()) };
    let found = world.engine.observe(&query).await.unwrap();
    assert!(found.containers.is_empty(), "{:#?}", found.containers);
    assert!(found.strangers.iter().any(|stranger| stranger.name == world.name("guest")));
    assert!(!world.engine.stacks().await.unwrap().contains_key(&stack));
}
