//! The engine's API without anything around it: the floor that Bowline is measured against.

use crate::IMAGE;
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, EventsOptionsBuilder, KillContainerOptions,
    RemoveContainerOptionsBuilder, StartContainerOptions,
};
use bowline::model::ImageRef;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the containers run.
pub(crate) const COMMAND: [&str; 3] = ["/bin/busybox", "sleep", "1000000"];
/// What the containers may use, in bytes.
const MEMORY: i64 = 64 << 20;

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

/// Creates and starts one container like those of the stacks: the same image, limit and variables,
/// on a network that somebody made.
pub(crate) async fn run(docker: &Docker, name: &str, network: &str) {
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(COMMAND.map(str::to_owned).to_vec()),
        env: Some(vec!["A=one".to_owned(), "B=two".to_owned()]),
        host_config: Some(HostConfig {
            network_mode: Some(network.to_owned()),
            memory: Some(MEMORY),
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
            run(docker, &format!("{prefix}-{number}"), network).await;
        })
        .await;
    began.elapsed()
}

/// The starts of one container, told by the engine: looking again and again would slow down what is
/// measured.
pub(crate) struct Starts(BoxStream<'static, ()>);

/// The starts from now on of the container called `name`. What happens before the engine has taken
/// the call is told as well.
pub(crate) fn starts(docker: &Docker, name: &str) -> Starts {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let since = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
    let filters = HashMap::from([
        ("type", vec!["container".to_owned()]),
        ("event", vec!["start".to_owned()]),
        ("container", vec![name.to_owned()]),
    ]);
    let options = EventsOptionsBuilder::new().since(&since).filters(&filters).build();
    Starts(docker.events(Some(options)).map(|event| drop(event.unwrap())).boxed())
}

impl Starts {
    /// Waits for the next one.
    pub(crate) async fn next(mut self) {
        let bound = Duration::from_secs(60);
        tokio::time::timeout(bound, self.0.next()).await.expect("it starts").unwrap();
    }
}
