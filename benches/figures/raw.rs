//! The engine's API without anything around it: the floor that Bowline is measured against.

use crate::IMAGE;
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptions,
    RemoveContainerOptionsBuilder, StartContainerOptions,
};
use bowline::model::ImageRef;
use futures_util::stream::{self, StreamExt};
use std::time::{Duration, Instant};

/// What the containers run.
pub(crate) const COMMAND: [&str; 3] = ["/bin/busybox", "sleep", "1000000"];

pub(crate) fn connect() -> Docker {
    Docker::connect_with_unix_defaults().unwrap()
}

/// An image with nothing but busybox (Debian's busybox-static).
pub(crate) async fn make_image() {
    let program = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    archive.append_data(&mut header, "bin/busybox", program.as_slice()).unwrap();
    let docker = bowline::engine::docker::Docker::connect(None).unwrap();
    let name = ImageRef::new(IMAGE).unwrap();
    docker
        .import_image(&name, archive.into_inner().unwrap(), "CMD [\"/bin/busybox\"]")
        .await
        .unwrap();
}

pub(crate) async fn make_network(docker: &Docker, name: &str) {
    let request = NetworkCreateRequest { name: name.to_owned(), ..NetworkCreateRequest::default() };
    docker.create_network(request).await.unwrap();
}

/// Creates and starts one container.
pub(crate) async fn run(docker: &Docker, name: &str, network: Option<&str>) {
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(COMMAND.map(str::to_owned).to_vec()),
        host_config: network.map(|network| HostConfig {
            network_mode: Some(network.to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    docker.create_container(Some(options), body).await.unwrap();
    start(docker, name).await;
}

pub(crate) async fn start(docker: &Docker, name: &str) {
    docker.start_container(name, None::<StartContainerOptions>).await.unwrap();
}

pub(crate) async fn kill(docker: &Docker, name: &str) {
    docker.kill_container(name, None::<KillContainerOptions>).await.unwrap();
}

pub(crate) async fn remove(docker: &Docker, name: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    docker.remove_container(name, Some(options)).await.unwrap();
}

/// Creates and starts `count` containers, `parallel` at a time.
pub(crate) async fn run_many(
    docker: &Docker,
    prefix: &str,
    network: &str,
    count: usize,
    parallel: usize,
) -> Duration {
    let began = Instant::now();
    stream::iter(0..count)
        .for_each_concurrent(parallel, |number| async move {
            run(docker, &format!("{prefix}-{number}"), Some(network)).await;
        })
        .await;
    began.elapsed()
}

/// When the container called `name` started, if it runs.
pub(crate) async fn started(docker: &Docker, name: &str) -> Option<String> {
    let told = docker.inspect_container(name, None::<InspectContainerOptions>).await.ok()?;
    let state = told.state?;
    (state.running == Some(true)).then_some(state.started_at)?
}

/// Waits until the container called `name` runs, with another start than `former`.
pub(crate) async fn runs_again(docker: &Docker, name: &str, former: Option<&str>) {
    let bound = Instant::now() + Duration::from_secs(30);
    while Instant::now() < bound {
        match started(docker, name).await {
            Some(now) if Some(now.as_str()) != former => return,
            _ => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
    panic!("{name} does not run");
}
