//! An agent in this process on the simulated engine, with a real git repository, the real state
//! directory and the real socket.

use super::program::{Ended, command, run};
use super::repository::Git;
use bowline::agent::{self, AgentError, Clock, Views};
use bowline::config::Config;
use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::model::{ImageConfig, Query, StackName};
use bowline::status::StackStatus;
use bowline::store::Inventory;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long a state may take to come.
const BOUND: Duration = Duration::from_secs(20);

/// A repository, an engine and a state directory that outlive agents.
pub struct Site {
    pub git: Git,
    pub dir: TempDir,
    pub sim: Sim,
    /// The name of the source.
    pub name: &'static str,
    /// More keys of the source, such as `, tag: v1`.
    pub source: &'static str,
    more: &'static str,
}

/// An agent in this process.
pub struct Agent {
    pub views: Views,
    stop: CancellationToken,
    run: JoinHandle<Result<(), AgentError>>,
}

impl Site {
    pub fn new(more: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { git: Git::new(), dir, sim: Sim::new(), name: "infra", source: "", more }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("bowline.sock")
    }

    /// A stack of one service; its image is put on the engine.
    pub fn write(&self, directory: &str, image: &str) -> &Self {
        self.image(image);
        let text = format!("services: {{ app: {{ image: {image}, volumes: ['data:/d'] }} }}\n");
        self.git
            .write(&format!("{directory}/compose.yaml"), &format!("{text}volumes: {{ data: }}\n"));
        self
    }

    pub fn image(&self, image: &str) -> String {
        let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
        self.sim.image_add(image, config, Behaviour::default())
    }

    /// The agent's configuration, which is at [`Site::config_file`] from then on.
    pub fn config(&self) -> Config {
        // Most tests are not about how containers are watched.
        let monitor = if self.more.contains("monitor:") { "" } else { "monitor: 200ms" };
        let text = format!(
            "sources: [{{ name: {}, url: {:?}, interval: 1s{} }}]\nsocket: bowline.sock\n\
             state_dir: state\n{monitor}\n{}\n",
            self.name,
            self.git.url(),
            self.source,
            self.more
        );
        std::fs::write(self.config_file(), &text).unwrap();
        Config::parse(&text, &self.config_file()).unwrap()
    }

    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("config.yaml")
    }

    pub fn start(&self) -> Agent {
        self.start_at(Clock::default())
    }

    /// An agent that goes by another clock.
    pub fn start_at(&self, clock: Clock) -> Agent {
        let (views, stop) = (Views { clock, ..Views::default() }, CancellationToken::new());
        let engine = Arc::new(self.sim.clone());
        let run = tokio::spawn(agent::run(self.config(), engine, views.clone(), stop.clone()));
        Agent { views, stop, run }
    }

    /// Stacks of these names, each of one service, that an agent has brought up.
    pub async fn begin(&self, names: &[&str]) -> Agent {
        for name in names {
            self.write(name, &format!("{name}:1"));
        }
        self.git.push("Begin");
        let agent = self.start();
        for name in names {
            self.runs(name).await;
        }
        agent
    }

    /// The containers of a stack.
    pub async fn containers(&self, stack: &str) -> usize {
        let query = Query::owned_by(StackName::new(stack).unwrap());
        self.sim.observe(&query).await.unwrap().containers.len()
    }

    pub async fn runs(&self, stack: &str) {
        until(&format!("{stack} to run"), async || self.containers(stack).await == 1).await;
    }

    pub async fn is_gone(&self, stack: &str) {
        until(&format!("{stack} to be gone"), async || self.containers(stack).await == 0).await;
    }

    /// `bowline prune` with more arguments, as another process.
    pub async fn prune(&self, arguments: &[&str]) -> Ended {
        self.prune_at(&self.socket(), arguments).await
    }

    /// The same, asking at another socket.
    pub async fn prune_at(&self, socket: &Path, arguments: &[&str]) -> Ended {
        let fixed = ["prune", "--engine", "sim", "--socket", socket.to_str().unwrap()];
        let mut command = command(&self.dir.path().join("state"), &[&fixed, arguments].concat());
        tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap()
    }

    /// Any verb, on the socket, state and engine of this site, as another process.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = command(&self.dir.path().join("state"), arguments);
        command.args(["--engine", "sim", "--socket"]).arg(self.socket());
        tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap()
    }

    pub fn inventory(&self) -> Inventory {
        let (inventory, mishap) = Inventory::open(&self.dir.path().join("state"));
        assert_eq!(mishap, None);
        inventory
    }
}

impl Agent {
    pub fn stack(&self, name: &str) -> Option<StackStatus> {
        self.views.shared.board().stack(&StackName::new(name).unwrap()).cloned()
    }

    /// Why a stack is held, once it is.
    pub async fn held(&self, stack: &str) -> String {
        let why = || self.stack(stack)?.departure?.held;
        until(&format!("{stack} to be held"), async || why().is_some()).await;
        why().unwrap()
    }

    pub async fn end(self) {
        self.stop.cancel();
        self.run.await.unwrap().unwrap();
    }
}

pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + BOUND;
    while !holds().await {
        assert!(Instant::now() < end, "waited {BOUND:?} for {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
