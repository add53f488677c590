//! The acts under load: an update, and a commit that fails and is taken back.

use super::super::counter::Counter;
use super::super::image;
use super::super::repository::{REPLICAS, STACK};
use super::super::visitors::{Visitors, get};
use super::{BOUND, LOOK, Scene, is_at, say};
use crate::model::{StackName, labels};
use crate::status::{RolloutPhase, StackStatus, detail};
use anyhow::{Context, bail};
use jiff::Timestamp;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long to wait for the door's first answer.
const DOOR_BOUND: Duration = Duration::from_secs(5);

impl Scene {
    pub(super) async fn update_under_load(&self) -> anyhow::Result<()> {
        let door = free_address()?;
        say("a commit: three replicas, and a door before them that leads to those that are well");
        let commit = self.git.spread(door.port())?;
        self.applied(&commit).await?;
        say(&format!("followed: three replicas and the door at http://{door}"));
        let visitors = self.visitors(door).await;
        let mut counter = Counter::of(visitors.as_ref(), self.status()?.rollout.as_ref());

        say("a commit: VERSION becomes 2, one replica after the other");
        let commit = self.git.next()?;
        let is_done =
            |stack: &StackStatus| is_at(stack, &commit) && is_in(stack, RolloutPhase::Completed);
        self.follow("the update", &mut counter, is_done).await?;
        say(&format!("updated: three replicas of version 2, as in {}", &commit[..12]));

        say("a commit: version 3, whose health check never passes as it listens on another port");
        let temporary = labels::TEMPORARY;
        let next = (1..=REPLICAS).map(|number| format!("{STACK}-web-{number}{temporary}"));
        image::spoil(&self.stage, next);
        let commit = self.git.broken()?;
        let is_back = |stack: &StackStatus| {
            let held = stack.held_back.as_ref().and_then(|held| held.revision.as_ref());
            held.is_some_and(|revision| revision.0 == commit)
                && is_in(stack, RolloutPhase::RolledBack)
        };
        let status = self.follow("the way back", &mut counter, is_back).await?;
        say(&format!("gone back: version 2 serves on; `bowline status {STACK}` would tell:"));
        anstream::print!("{}", detail(&status, Timestamp::now()));
        if let Some(visitors) = visitors {
            say(&format!("in the end: {}", visitors.end().await));
        }
        Ok(())
    }

    /// A load on the door, where it can be reached.
    async fn visitors(&self, door: SocketAddr) -> Option<Visitors> {
        if !self.stage.serves() {
            say("nothing really serves on the simulated engine: the steps come without a count");
            return None;
        }
        let deadline = Instant::now() + DOOR_BOUND;
        while Instant::now() < deadline {
            if get(door, "/").await.is_ok_and(|answer| !answer.is_empty()) {
                return Some(Visitors::send(door));
            }
            sleep(LOOK).await;
        }
        say("the door cannot be reached from here: the steps come without a count");
        None
    }

    fn status(&self) -> anyhow::Result<StackStatus> {
        let known = self.views.shared.board().stack(&StackName::new(STACK)?).cloned();
        known.context("the agent lost the demo's stack")
    }

    /// Shows the stack's update until it is `over`.
    async fn follow(
        &self,
        what: &str,
        counter: &mut Counter<'_>,
        over: impl Fn(&StackStatus) -> bool,
    ) -> anyhow::Result<StackStatus> {
        let deadline = Instant::now() + BOUND;
        while Instant::now() < deadline {
            let stack = self.status()?;
            counter.show(stack.rollout.as_ref());
            if over(&stack) {
                return Ok(stack);
            }
            sleep(LOOK).await;
        }
        bail!("waited {} s for {what}", BOUND.as_secs());
    }
}

fn is_in(stack: &StackStatus, phase: RolloutPhase) -> bool {
    stack.rollout.as_ref().is_some_and(|rollout| rollout.phase == phase)
}

/// An address that nobody listens at.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?)
}
