//! Things on a real engine that go away with the test that made them.

use bowline::engine::Engine;
use bowline::engine::docker::Docker;
use bowline::model::{
    Container, ContainerSpec, ImageRef, Observed, Query, StackName, State, labels,
};
use bowline::plan::{ContainerRef, NewContainer, Step};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a test waits for a state.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One test's own corner of the engine: everything in it has a name that begins with `prefix`.
pub struct Corner {
    pub engine: Docker,
    pub prefix: String,
}

impl Corner {
    pub fn new(engine: Docker, prefix: &str) -> Self {
        let corner = Self { engine, prefix: prefix.to_owned() };
        corner.clear();
        import_busybox(&corner.image());
        corner
    }

    pub fn stack(&self) -> StackName {
        StackName::new(self.prefix.clone()).unwrap()
    }

    pub fn image(&self) -> ImageRef {
        ImageRef::new(format!("{}-busybox:1", self.prefix)).unwrap()
    }

    pub fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// A container that sleeps.
    pub fn sleeper(&self) -> ContainerSpec {
        let mut spec = ContainerSpec::new(self.image());
        spec.command = Some(vec!["busybox".into(), "sleep".into(), "600".into()]);
        spec.stop_signal = Some("SIGKILL".to_owned());
        spec
    }

    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (labels::STACK.to_owned(), self.prefix.clone()),
            (labels::PROJECT.to_owned(), self.prefix.clone()),
        ])
    }

    pub fn container(&self, name: &str, spec: ContainerSpec) -> NewContainer {
        let mut labels = self.labels();
        labels.insert(labels::SLOT.to_owned(), format!("{name}/1"));
        labels.insert(labels::NAME.to_owned(), self.name(name));
        NewContainer { name: self.name(name), spec, labels, keep_volumes: BTreeMap::new() }
    }

    pub async fn perform(&self, step: Step) {
        self.engine
            .perform(&step, &|_| {})
            .await
            .unwrap_or_else(|error| panic!("{step:?}: {error}"));
    }

    pub async fn create(&self, name: &str, spec: ContainerSpec) -> ContainerRef {
        let new = self.container(name, spec);
        let made = ContainerRef::named(new.name.clone());
        self.perform(Step::CreateContainer(Box::new(new))).await;
        made
    }

    pub async fn observe(&self) -> Observed {
        self.engine.observe(&Query::owned_by(self.stack())).await.unwrap()
    }

    /// The only container of the stack.
    pub async fn only(&self) -> Container {
        let mut containers = self.observe().await.containers;
        assert_eq!(containers.len(), 1, "{containers:?}");
        containers.remove(0)
    }

    pub async fn until(&self, container: &ContainerRef, wanted: impl Fn(State) -> bool) {
        let reached = tokio::time::timeout(PATIENCE, async {
            while !wanted(self.engine.watch(container).await.unwrap().state) {
                tokio::task::yield_now().await;
            }
        });
        reached.await.expect("the state is reached in time");
    }

    fn clear(&self) {
        let filter = format!("name={}-", self.prefix);
        for (list, remove) in [
            (vec!["ps", "-aq"], vec!["rm", "-f", "-v"]),
            (vec!["network", "ls", "-q"], vec!["network", "rm"]),
            (vec!["volume", "ls", "-q"], vec!["volume", "rm"]),
        ] {
            let found = docker(&[&list[..], &["--filter", &filter]].concat());
            for id in found.split_whitespace() {
                docker(&[&remove[..], &[id]].concat());
            }
        }
    }
}

impl Drop for Corner {
    fn drop(&mut self) {
        self.clear();
        docker(&["rmi", "-f", self.image().as_str()]);
    }
}

/// Runs Docker's own command line and returns what it prints; its failure is an empty answer.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).stderr(Stdio::null()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Makes an image of busybox alone.
pub fn import_busybox(image: &ImageRef) {
    let busybox = std::fs::read("/bin/busybox").expect("a static busybox is installed");
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(busybox.len() as u64);
    header.set_mode(0o755);
    for path in ["bin/busybox", "bin/sh"] {
        archive.append_data(&mut header.clone(), path, busybox.as_slice()).unwrap();
    }
    let mut import = Command::new("docker")
        .args(["import", "-", image.as_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    import.stdin.take().unwrap().write_all(&archive.into_inner().unwrap()).unwrap();
    assert!(import.wait().unwrap().success());
}
