//! What a pass tells of itself.

use super::Subject;
use crate::engine::{Engine, Secrets};
use crate::execute::{Clock, last_words};
use crate::model::{Health, Observed, Revision, ServiceName, SourceName, Stack, StackName};
use crate::plan::{Completed, ContainerRef, Plan};
use crate::rollout::Progress;
use crate::status::{DriftKind, PassResult, Report, RolloutReport, Seen, Workload, is_from_hand};
use jiff::Timestamp;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// How many of the fields that keep differing are told.
const TOLD_FIELDS: usize = 5;

/// A report in the making.
pub(super) struct Notes {
    pub(super) report: Report,
    began: Instant,
    pub(super) clock: Clock,
    /// How far services came, in passes before and in this one.
    pub(super) progress: BTreeMap<ServiceName, Progress>,
    /// What it must not tell.
    pub(super) secrets: Secrets,
}

impl Notes {
    pub(super) fn new(subject: &Subject<'_>, now: Timestamp) -> Self {
        let name = subject.stack.name.clone();
        Self::blank(name, subject.source.clone(), subject.revision.clone(), now)
    }

    pub(super) fn blank(
        stack: StackName,
        source: Option<SourceName>,
        revision: Option<Revision>,
        now: Timestamp,
    ) -> Self {
        let report = Report { source, revision, ..Report::begun(stack, now) };
        let (progress, secrets) = (BTreeMap::new(), Secrets::default());
        Self { report, began: Instant::now(), clock: Clock::set(now), progress, secrets }
    }

    /// Takes in how updates ended; the last round says how that of a service did.
    pub(super) fn note_rollouts(&mut self, rollouts: impl Iterator<Item = RolloutReport>) {
        for rollout in rollouts {
            self.report.rollouts.retain(|former| former.service != rollout.service);
            self.report.rollouts.push(rollout);
        }
    }

    pub(super) fn first_plan(&mut self, plan: &Plan) {
        self.report.plan = plan.to_string();
        for change in &plan.changes {
            let kind = DriftKind::of(&change.object);
            *self.report.drift.entry(kind).or_default() += change.reasons.len();
            self.report.reasons.extend(change.reasons.iter().cloned());
        }
    }

    pub(super) fn look(&mut self, stack: &Stack, observed: &Observed, plan: &Plan, round: usize) {
        if round == 0 {
            self.report.from_hand =
                self.report.source.is_some() && is_from_hand(&stack.name, observed);
            self.first_plan(plan);
        }
        self.report.problems.clone_from(&plan.problems);
        self.see(stack, observed, plan.completed.clone());
    }

    pub(super) fn see(&mut self, stack: &Stack, observed: &Observed, completed: Completed) {
        self.report.workload = Some(Workload::of(stack, observed, &completed));
        self.report.seen = Some(Seen::of(&stack.name, observed, completed));
    }

    pub(super) async fn settled(
        &mut self,
        plan: &Plan,
        observed: &Observed,
        engine: &dyn Engine,
    ) -> PassResult {
        let mut lines: Vec<_> = plan.problems.iter().map(ToString::to_string).collect();
        for resting in &plan.resting {
            let last_words = last_words(engine, &resting.container).await;
            lines.push(format!("{resting}{last_words}"));
        }
        for container in observed.containers.iter().filter(|c| c.health == Health::Unhealthy) {
            let slot = &container.slot;
            // What its check said is an extra; that it cannot be asked must not hide the verdict.
            let said = engine.watch(&ContainerRef::of(container)).await.ok();
            let output = said.and_then(|sighting| sighting.health_output).unwrap_or_default();
            let output = output.trim().replace('\n', " ");
            let output = if output.is_empty() { output } else { format!(": {output}") };
            lines.push(format!("{slot} is unhealthy{output}"));
        }
        self.report.message = lines.join("\n");
        if !plan.problems.is_empty() {
            return PassResult::Failed;
        }
        if !plan.resting.is_empty() {
            return PassResult::Crashing;
        }
        if self.report.actions.is_empty() { PassResult::Unchanged } else { PassResult::Changed }
    }

    pub(super) fn stalled(&mut self, plan: &Plan) -> PassResult {
        self.report.message = format!("keeps differing whatever is done: {}", some_reasons(plan));
        PassResult::Stalled
    }

    pub(super) fn drifted(&mut self, plan: &Plan) -> PassResult {
        let reasons = some_reasons(plan);
        self.report.message =
            format!("differs, and is left so since `drift` is `report`: {reasons}");
        PassResult::Drifted
    }

    pub(super) fn waiting(&mut self, why: &str) -> PassResult {
        why.clone_into(&mut self.report.message);
        PassResult::Waiting
    }

    pub(super) fn finish(mut self) -> Report {
        self.report.took = self.began.elapsed();
        self.report
    }
}

/// The first of the fields that differ.
fn some_reasons(plan: &Plan) -> String {
    let reasons = || plan.changes.iter().flat_map(|change| &change.reasons);
    let mut fields: Vec<_> = reasons().take(TOLD_FIELDS).map(ToString::to_string).collect();
    let more = reasons().count().saturating_sub(TOLD_FIELDS);
    fields.extend((more > 0).then(|| format!("and {more} more")));
    fields.join("; ")
}
