//! What happens in the demo, step by step.

mod update;

use super::repository::{Git, STACK};
use super::visitors::get;
use super::{Stage, say};
use crate::agent::{AgentError, Views};
use crate::config::Config;
use crate::execute::Bounds;
use crate::http;
use crate::model::{Container, Limits, Query, RestartPolicy, StackName, State};
use crate::pass::Means;
use crate::plan::{ContainerRef, Step};
use crate::status::StackStatus;
use anyhow::{Context, bail};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long any step of the demo may take.
const BOUND: Duration = Duration::from_secs(60);
/// Between two looks at the engine.
const LOOK: Duration = Duration::from_millis(50);
/// 128 MiB: what the demo sets by hand where the manifest says 64.
const WRONG_MEMORY: u64 = 128 << 20;
/// 64 MiB.
const RIGHT_MEMORY: u64 = 64 << 20;

/// A running agent on a temporary repository.
pub(super) struct Scene {
    views: Views,
    stage: Stage,
    directory: TempDir,
    git: Git,
    first_commit: String,
    page: SocketAddr,
    agent: JoinHandle<Result<(), AgentError>>,
    stop_agent: CancellationToken,
}

impl Scene {
    pub(super) async fn open(stage: Stage, stop: CancellationToken) -> anyhow::Result<Self> {
        let directory = TempDir::with_prefix("bowline-demo-")?;
        let root = directory.path().join("repository");
        let (git, first_commit) = Git::init(&root)?;
        say(&format!("a git repository with one stack, from manifests/hello: {}", root.display()));
        let config = configuration(directory.path(), &root)?;
        let views = Views::default();
        let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let page = listener.local_addr()?;
        let stop_agent = stop.child_token();
        say(&format!("the agent starts; its metrics are at http://{page}/metrics"));
        tokio::spawn(http::serve(listener, Arc::clone(&views.shared), stop_agent.clone()));
        let agent = tokio::spawn(crate::agent::run(
            config,
            stage.engine(),
            views.clone(),
            stop_agent.clone(),
        ));
        Ok(Self { views, stage, directory, git, first_commit, page, agent, stop_agent })
    }

    pub(super) async fn play(&mut self) -> anyhow::Result<()> {
        self.applied(&self.first_commit).await?;
        let web = self.wait("the container to run", |containers| running(containers, 1)).await?;
        say("converged: the engine runs what git says");

        say(&format!("by hand: docker kill {}", web.name));
        let container = ContainerRef::of(&web);
        let killed = Timestamp::now();
        self.by_hand(Step::Signal { container: container.clone(), signal: "SIGKILL".into() })
            .await?;
        self.pass_after(killed).await?;
        self.wait("the killed container to run again", |containers| running(containers, 1)).await?;
        say("repaired: it runs again");

        say(&format!("by hand: docker update --memory 128m {}", web.name));
        let limits = Limits {
            memory: Some(WRONG_MEMORY),
            memory_swap: i64::try_from(WRONG_MEMORY * 2).ok(),
            ..Limits::default()
        };
        let restart = RestartPolicy::UnlessStopped;
        self.by_hand(Step::Update { container, limits, restart }).await?;
        let again = self.wait("the memory limit to be 64m again", right_memory).await?;
        let same =
            if again.id == web.id { "the same container, not restarted" } else { "a new one" };
        say(&format!("repaired: the limit is 64m again; {same}"));

        self.update_under_load().await?;

        say(&format!("some of the metrics at http://{}/metrics", self.page));
        self.show_metrics().await
    }

    /// Ends the agent and, unless it shall be kept, takes away what the demo made.
    pub(super) async fn close(self, keep: bool) -> anyhow::Result<()> {
        self.stop_agent.cancel();
        self.agent.await.context("the agent ended by a defect of Bowline")??;
        if keep {
            let directory = self.directory.keep();
            say(&format!(
                "kept: the containers of the stack {STACK}, the image, and {}; `bowline remove {STACK}` removes the first",
                directory.display()
            ));
            return Ok(());
        }
        let means = Means {
            engine: self.stage.engine(),
            bounds: Bounds::new(NonZeroUsize::MIN.saturating_add(3), NonZeroUsize::MIN),
            onlooker: Arc::new(|_| {}),
            snapshots: Arc::default(),
            stop: CancellationToken::new(),
            brake: CancellationToken::new(),
        };
        let report = means.remove(&Query::owned_by(StackName::new(STACK)?), None, true).await;
        if !report.result.is_success() {
            bail!("cannot clean up: {}", report.message);
        }
        Ok(())
    }

    async fn by_hand(&self, step: Step) -> anyhow::Result<()> {
        Ok(self.stage.engine().perform(&step, &|_| {}).await?)
    }

    /// Looks until `there` finds the container that it waits for.
    async fn wait(
        &self,
        what: &str,
        there: impl Fn(&[Container]) -> Option<Container>,
    ) -> anyhow::Result<Container> {
        let query = Query::owned_by(StackName::new(STACK)?);
        let deadline = Instant::now() + BOUND;
        loop {
            let observed = self.stage.engine().observe(&query).await?;
            if let Some(container) = there(&observed.containers) {
                return Ok(container);
            }
            if Instant::now() > deadline {
                bail!("waited {} s for {what}", BOUND.as_secs());
            }
            sleep(LOOK).await;
        }
    }

    /// Waits for a pass that began after `moment`, so that it has seen what happened then.
    async fn pass_after(&self, moment: Timestamp) -> anyhow::Result<()> {
        let name = StackName::new(STACK)?;
        let deadline = Instant::now() + BOUND;
        while Instant::now() < deadline {
            if self.last_pass(&name).is_some_and(|started| started > moment) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        bail!("waited {} s for the agent to notice", BOUND.as_secs());
    }

    /// Waits for the agent to say that it is done with `commit`.
    async fn applied(&self, commit: &str) -> anyhow::Result<()> {
        let name = StackName::new(STACK)?;
        let deadline = Instant::now() + BOUND;
        while Instant::now() < deadline {
            if self.views.shared.board().stack(&name).is_some_and(|stack| is_at(stack, commit)) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        bail!("waited {} s for {commit} to be applied", BOUND.as_secs());
    }

    fn last_pass(&self, name: &StackName) -> Option<Timestamp> {
        let board = self.views.shared.board();
        board.stack(name).and_then(|stack| Some(stack.last_pass.as_ref()?.started))
    }

    async fn show_metrics(&self) -> anyhow::Result<()> {
        let answer = get(self.page, "/metrics").await?;
        let told = [
            "bowline_stack_info",
            "bowline_actions_total",
            "bowline_reconcile_total",
            "bowline_rollouts_total",
            "bowline_stack_held_back",
        ];
        let is_told =
            |line: &&str| told.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0");
        for line in answer.lines().filter(is_told) {
            anstream::println!("{line}");
        }
        Ok(())
    }
}

fn configuration(directory: &Path, repository: &Path) -> anyhow::Result<Config> {
    let text = format!(
        "sources: [{{ name: demo, url: {:?} }}]\nstate_dir: {:?}\nsocket: off\n",
        repository.display().to_string(),
        directory.join("state").display().to_string()
    );
    Ok(Config::parse(&text, Path::new("demo.yaml"))?)
}

/// Whether the last pass that succeeded was one for `commit`.
fn is_at(stack: &StackStatus, commit: &str) -> bool {
    stack.applied_revision.as_ref().is_some_and(|revision| revision.0 == commit)
}

/// The first container, if there are exactly `count` and all run.
fn running(containers: &[Container], count: usize) -> Option<Container> {
    let all = containers.len() == count && containers.iter().all(|c| c.state == State::Running);
    containers.first().filter(|_| all).cloned()
}

fn right_memory(containers: &[Container]) -> Option<Container> {
    running(containers, 1).filter(|container| container.spec.limits.memory == Some(RIGHT_MEMORY))
}
