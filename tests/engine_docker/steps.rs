//! What a step brings about, also when it is carried out twice or cannot be.

use super::specs::{mount, network, set, texts};
use super::support::docker::{Corner, docker};
use bowline::engine::{Engine, EngineError};
use bowline::model::{
    ContainerSpec, CopiedFile, Endpoint, ImageRef, Limits, MountSource, Networking, Query,
    RestartPolicy, Sensitive, State,
};
use bowline::plan::{ContainerRef, Step};
use std::time::Duration;

#[tokio::test]
async fn every_step_may_be_carried_out_twice() {
    let corner = corner!("t-docker-twice");
    let spec = network(&corner, "front", "10.231.19.0/28").await;
    let web = corner.create("web", corner.sleeper()).await;
    let endpoint = Endpoint { aliases: set(&["www"]), ..Endpoint::default() };
    let to = corner.name("other");
    let renamed = ContainerRef::named(to.clone());
    let grace = Some(Duration::from_millis(1));
    let limits = Limits { memory: Some(128 << 20), pids: Some(9), ..Limits::default() };
    let id = corner.observe().await.networks[0].id.clone();
    let join = |container: &ContainerRef| Step::Connect {
        container: container.clone(),
        network: spec.name.clone(),
        endpoint: endpoint.clone(),
    };
    let steps = [
        join(&web),
        Step::Start(web.clone()),
        Step::Update { container: web.clone(), limits, restart: RestartPolicy::Always },
        Step::Disconnect { container: web.clone(), network: spec.name.clone() },
    ];
    for step in steps {
        corner.perform(step.clone()).await;
        corner.perform(step).await;
    }
    let updated = corner.only().await;
    assert_eq!(updated.spec.limits.memory, Some(128 << 20));
    assert_eq!(updated.spec.restart, RestartPolicy::Always);

    corner.perform(join(&web)).await;
    let Networking::Networks(networks) = corner.only().await.spec.networking else {
        panic!("it is on a network of its own");
    };
    assert_eq!(*networks[&spec.name], endpoint);

    docker(&["pause", &web.name]);
    corner.until(&web, |state| state == State::Paused).await;
    let steps = [Step::Unpause(web.clone()), Step::Stop { container: web.clone(), grace }];
    for step in steps {
        corner.perform(step.clone()).await;
        corner.perform(step).await;
    }
    corner.perform(Step::Rename { container: web.clone(), to: to.clone() }).await;
    corner.perform(Step::Rename { container: renamed.clone(), to }).await;
    let steps = [
        Step::Stop { container: web, grace: None },
        Step::Remove(renamed),
        Step::RemoveNetwork { name: spec.name.clone(), id },
        Step::RemoveVolume(corner.name("gone")),
    ];
    for step in steps {
        corner.perform(step.clone()).await;
        corner.perform(step).await;
    }
    let observed = corner.observe().await;
    assert!(observed.containers.is_empty() && observed.networks.is_empty());
}

#[tokio::test]
async fn configs_and_secrets_are_in_place_with_owner_and_mode_before_the_start() {
    let corner = corner!("t-docker-files");
    let file = |target: &str, uid, mode| CopiedFile {
        target: target.to_owned(),
        content: Sensitive::new(b"s3cret\n".to_vec()),
        uid,
        gid: 8,
        mode,
    };
    let script = "busybox stat -c '%u:%g %a %n' /run/secrets/token /etc/app/app.conf; \
                  busybox cat /run/secrets/token; echo oops >&2";
    let spec = ContainerSpec {
        command: Some(texts(&["sh", "-c", script])),
        files: vec![file("/run/secrets/token", 7, 0o400), file("/etc/app/app.conf", 0, 0o644)],
        ..corner.sleeper()
    };
    let read_only = ContainerSpec { read_only: true, ..spec.clone() };
    let container = corner.create("web", spec).await;
    corner.perform(Step::Start(container.clone())).await;
    corner.until(&container, |state| state == State::Exited { code: 0 }).await;
    let mut lines = corner.engine.tail(&container, 10).await.unwrap();
    lines.sort();
    let expected = ["0:8 644 /etc/app/app.conf", "7:8 400 /run/secrets/token", "oops", "s3cret"];
    assert_eq!(lines, expected);
    assert_eq!(corner.engine.tail(&container, 1).await.unwrap().len(), 1);

    let step = Step::CreateContainer(Box::new(corner.container("strict", read_only)));
    let refused = corner.engine.perform(&step, &|_| {}).await.unwrap_err();
    assert!(refused.to_string().contains("`read_only` forbids"), "{refused}");
}

#[tokio::test]
async fn a_volume_kept_from_an_older_container_is_mounted_again() {
    let corner = corner!("t-docker-kept");
    let mounts = [("/data".to_owned(), mount(MountSource::Anonymous))];
    let spec = ContainerSpec { mounts: mounts.into(), ..corner.sleeper() };
    let old = corner.create("old", spec.clone()).await;
    let kept = corner.only().await.anonymous_volumes;
    assert!(kept.contains_key("/data"), "{kept:?}");
    corner.perform(Step::Remove(old)).await;

    let mut new = corner.container("new", spec);
    new.keep_volumes.clone_from(&kept);
    corner.perform(Step::CreateContainer(Box::new(new))).await;
    let observed = corner.only().await;
    assert_eq!(observed.anonymous_volumes, kept);
    assert_eq!(observed.spec.mounts["/data"].source, MountSource::Anonymous);
}

#[tokio::test]
async fn a_container_that_cannot_be_completed_is_not_left_behind() {
    let corner = corner!("t-docker-half");
    let below_a_file = CopiedFile {
        target: "/bin/busybox/token".to_owned(),
        content: Sensitive::new(Vec::new()),
        uid: 0,
        gid: 0,
        mode: 0o444,
    };
    let spec = ContainerSpec { files: vec![below_a_file], ..corner.sleeper() };
    let step = Step::CreateContainer(Box::new(corner.container("web", spec)));
    let error = corner.engine.perform(&step, &|_| {}).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot copy files into container"), "{error}");
    let query =
        Query { container_names: [corner.name("web")].into(), ..Query::owned_by(corner.stack()) };
    let observed = corner.engine.observe(&query).await.unwrap();
    assert!(observed.containers.is_empty());
    assert!(observed.strangers.is_empty(), "{:#?}", observed.strangers);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let corner = corner!("t-docker-missing");
    let image = ImageRef::new("t-docker-absent:1").unwrap();
    let spec = ContainerSpec { image, ..corner.sleeper() };
    let step = Step::CreateContainer(Box::new(corner.container("web", spec)));
    let error = corner.engine.perform(&step, &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot use image t-docker-absent:1: it does not exist");

    let nobody = ContainerRef::named(corner.name("nobody"));
    let error = corner.engine.perform(&Step::Start(nobody.clone()), &|_| {}).await.unwrap_err();
    let expected = "cannot start container t-docker-missing-nobody: it does not exist";
    assert_eq!(error.to_string(), expected);
    let error = corner.engine.watch(&nobody).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");

    let spec = ContainerSpec { command: Some(texts(&["/no/such"])), ..corner.sleeper() };
    let web = corner.create("web", spec).await;
    let error = corner.engine.perform(&Step::Start(web), &|_| {}).await.unwrap_err();
    assert!(matches!(&error, EngineError::Refused { message, .. } if message.contains("/no/such")));
    assert!(!error.is_transient(), "{error}");
}
