//! A stack in the repository of a site, with good images and bad ones, and what is to be seen of it.

use super::support::site::{Agent, Site, until};
use bowline::engine::Engine;
use bowline::engine::sim::Behaviour;
use bowline::model::{Container, Health, ImageConfig, Query, StackName, State};
use bowline::status::{PassResult, StackStatus};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::sleep;

/// How long a container that is up is watched.
const MONITOR: &str = "monitor: 1s";
/// In which whoever is to do nothing would do something.
const QUIET: Duration = Duration::from_millis(2500);

pub const CHECK: &str =
    "healthcheck: { test: [CMD, check], interval: 100ms, start_interval: 100ms, retries: 2 }";

/// A stack of two replicas of an image behind a health check.
pub fn web(image: &str, more: &str) -> String {
    format!("services:\n  web: {{ image: '{image}', scale: 2, {CHECK}{more} }}\n")
}

pub fn config() -> ImageConfig {
    ImageConfig { command: vec!["serve".into()], ..ImageConfig::default() }
}

/// A site with good images `web:1` and `web:2`, and bad ones.
pub fn site() -> Site {
    let site = Site::new(MONITOR);
    let after = |millis| Some(Duration::from_millis(millis));
    let well = Behaviour { healthy_after: after(150), ..Behaviour::default() };
    for (image, behaviour) in [
        ("web:1", well.clone()),
        ("web:2", well.clone()),
        (
            "web:ends",
            Behaviour {
                exits: Some((Duration::from_millis(50), 3)),
                output: vec!["no such flag".into()],
                ..well.clone()
            },
        ),
        (
            "web:ill",
            Behaviour {
                healthy_after: None,
                health_output: Some("no database".into()),
                ..well.clone()
            },
        ),
        ("web:sickens", Behaviour { unhealthy_after: after(700), ..well.clone() }),
        (
            "web:no-file",
            Behaviour {
                fails_to_start: Some("error mounting \"/conf\": no such file or directory".into()),
                ..well
            },
        ),
    ] {
        site.sim.image_add(image, config(), behaviour);
    }
    site
}

/// A stack of a site.
#[derive(Clone, Copy)]
pub struct Of<'s> {
    pub site: &'s Site,
    pub stack: &'static str,
}

impl Of<'_> {
    pub async fn containers(&self) -> Vec<Container> {
        let query = Query::owned_by(StackName::new(self.stack).unwrap());
        self.site.sim.observe(&query).await.unwrap().containers
    }

    /// Ids and starts of those that run: what must not change where nothing is to be done.
    pub async fn lives(&self) -> BTreeSet<String> {
        let all = self.containers().await.into_iter();
        let running = all.filter(|it| it.state == State::Running);
        running.map(|it| format!("{} {:?}", it.id.0, it.started)).collect()
    }

    /// Whether exactly these images serve, one a slot, and nothing else is there.
    pub async fn serves(&self, images: &[&str]) -> bool {
        let all = self.containers().await;
        let mut serving: Vec<_> = all
            .iter()
            .filter(|it| it.state == State::Running && it.health != Health::Unhealthy)
            .filter(|it| {
                it.health != Health::Starting
                    && !it.name.ends_with(bowline::model::labels::TEMPORARY)
            })
            .map(|it| it.spec.image.as_str())
            .collect();
        serving.sort_unstable();
        serving == images && all.len() == images.len()
    }

    pub async fn until_serves(&self, images: &[&str]) {
        until(&format!("{images:?} to serve"), async || self.serves(images).await).await;
    }

    pub fn status(&self, agent: &Agent) -> StackStatus {
        agent.stack(self.stack).unwrap()
    }

    pub async fn until_status(
        &self,
        agent: &Agent,
        fits: impl Fn(&StackStatus) -> bool,
    ) -> StackStatus {
        let fits = async || agent.stack(self.stack).is_some_and(|status| fits(&status));
        let reached = tokio::time::timeout(Duration::from_secs(15), until("the status", fits));
        let reached = reached.await.is_ok();
        assert!(reached, "{:#?}\n{:#?}", agent.stack(self.stack), self.containers().await);
        self.status(agent)
    }

    pub async fn ended(&self, agent: &Agent, result: PassResult) -> StackStatus {
        self.until_status(agent, |status| {
            status.last_pass.as_ref().is_some_and(|pass| pass.result == result)
        })
        .await
    }

    /// Whether a commit is the one that was brought about.
    pub async fn applied(&self, agent: &Agent, commit: &str) -> StackStatus {
        self.until_status(agent, |status| {
            status.applied_revision.as_ref().is_some_and(|at| at.0 == commit)
        })
        .await
    }

    pub fn commit(&self, file: &str) -> String {
        self.site.git.write(&format!("{}/compose.yaml", self.stack), file).push("Next")
    }

    /// What was made on the engine so far.
    pub fn made(&self) -> u64 {
        self.site.sim.calls().get("create").copied().unwrap_or_default()
    }

    /// That nothing is made for a while.
    pub async fn is_quiet(&self) {
        let (made, lives) = (self.made(), self.lives().await);
        sleep(QUIET).await;
        assert_eq!((self.made(), self.lives().await), (made, lives), "something was done");
    }
}
