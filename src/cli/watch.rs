//! Watches what is done about an order, until it is over.

use super::apply::duration;
use super::doer::Doer;
use super::rows::Rows;
use crate::status::{Done, HealthStatus, PassResult, RolloutStatus, StackStatus, first_line};
use clap::Args;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct Patience {
    /// Wait until it is done; this is the default.
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Return as soon as the agent has taken the order; where no agent answers, note it for the next
    /// one.
    #[arg(long)]
    no_wait: bool,
    /// How long to wait; an agent goes on in any case.
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = duration)]
    timeout: Duration,
}

impl Patience {
    /// How long to wait, if at all.
    pub(super) fn bound(&self) -> Option<Duration> {
        (!self.no_wait).then_some(self.timeout)
    }
}

/// Shows how far the stack is until a pass that began after the order is over. Success only if it
/// ended as was wished.
pub(super) async fn watch(doer: &Doer, done: &Done, bound: Duration) -> anyhow::Result<ExitCode> {
    let end = Instant::now() + bound;
    let mut rows = Rows::for_terminal();
    let mut how_far = String::new();
    let stack = &done.stack;
    loop {
        // Nothing is known yet of a stack that is new.
        if let Some(status) = doer.status(stack).await? {
            let rollout = status.rollout.as_ref();
            let under_way = rollout.filter(|rollout| rollout.phase.is_under_way());
            let is_of_order = |rollout: &&RolloutStatus| rollout.since >= done.at;
            if let Some(shown) = under_way.or(rollout.filter(is_of_order)) {
                rows.show(shown);
            }
            let pass = status.last_pass.as_ref().filter(|pass| pass.started >= done.at);
            // What waits for other stacks goes on when those are ready; a window may be days off.
            let is_waiting = pass.is_some_and(|pass| pass.result == PassResult::Waiting);
            let waits = is_waiting && status.window.is_none() && doer.sees_to_all();
            if let (Some(pass), None, false) = (pass, under_way, waits) {
                rows.end();
                return Ok(told(&status, pass.result, done.goes_back));
            }
            how_far = match under_way {
                Some(rollout) => format!(" ({})", rollout.summary()),
                None if waits => format!(" ({})", first_line(&status.message)),
                None => String::new(),
            };
        }
        if Instant::now() >= end {
            rows.end();
            let (seconds, outlook) = (bound.as_secs_f64(), doer.outlook(stack));
            anstream::eprintln!("error: {stack}: not over after {seconds} s{how_far}; {outlook}");
            return Ok(ExitCode::FAILURE);
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = doer.interrupted() => {
                rows.end();
                anstream::eprintln!("error: {stack}: interrupted{how_far}");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
}

/// Says how it ended; the exit code tells whether as was wished.
fn told(status: &StackStatus, result: PassResult, goes_back: bool) -> ExitCode {
    let name = &status.name;
    let instead = status.held_back.as_ref().and_then(|held| held.instead.as_ref());
    let health = match status.health {
        HealthStatus::Healthy => "",
        HealthStatus::Progressing => "; some containers are still starting",
        HealthStatus::Degraded => "; not all containers are well",
        HealthStatus::Unknown => "; how its containers are is not known",
    };
    let at = status.revision.as_ref().map(|at| format!(" at {}", at.short())).unwrap_or_default();
    let ended_well = match result {
        PassResult::RolledBack if goes_back => {
            let to = instead.map(|to| format!(" to {}", to.short())).unwrap_or_default();
            println!("{name}: rolled back{to}{health}");
            true
        }
        PassResult::Unchanged | PassResult::Changed if !goes_back => {
            println!("{name}: as desired{at}{health}");
            true
        }
        PassResult::Removed => {
            println!("{name}: removed");
            true
        }
        PassResult::RolledBack => {
            let runs = instead.map(|to| format!("; {} runs instead", to.short()));
            println!("{name}: failed again{at}, and is held back{}", runs.unwrap_or_default());
            false
        }
        PassResult::Unchanged
        | PassResult::Changed
        | PassResult::Failed
        | PassResult::Invalid
        | PassResult::Crashing
        | PassResult::Stalled
        | PassResult::Waiting
        | PassResult::Suspended
        | PassResult::Paused
        | PassResult::Drifted => {
            println!("{name}: {}{at}", result.word());
            false
        }
    };
    if !ended_well {
        let held = status.held_back.as_ref().map(|held| held.reason.as_str());
        let rests = status.paused.as_ref().map(|paused| paused.reason.as_str());
        let told = Some(status.message.as_str()).filter(|message| !message.is_empty());
        for line in told.or(rests).or(held).unwrap_or_default().lines() {
            // A file in error says so itself.
            let line = line.strip_prefix("error: ").unwrap_or(line);
            anstream::eprintln!("error: {name}: {line}");
        }
    }
    let is_well = ended_well && status.health != HealthStatus::Degraded;
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
