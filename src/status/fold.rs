//! How one report changes what is known of a stack or source.

use super::{
    Condition, ConditionKind, Conditions, HealthStatus, LastFetch, LastPass, PassResult, Report,
    SourceReport, SourceStatus, StackStatus, SyncStatus, Unverified, Verdict, Workload, progress,
};
use crate::model::{Revision, StackName};
use jiff::Timestamp;
use std::time::Duration;

/// A stack of which nothing is known but its name.
pub(super) fn unseen(name: StackName) -> StackStatus {
    StackStatus {
        name,
        source: None,
        revision: None,
        applied_revision: None,
        sync: SyncStatus::Unknown,
        health: HealthStatus::Unknown,
        workload: None,
        conditions: Conditions::default(),
        drift: std::collections::BTreeMap::new(),
        last_pass: None,
        last_success: None,
        last_change: None,
        message: String::new(),
        problems: Vec::new(),
        rollout: None,
        held_back: None,
        paused: None,
        suspended: None,
        window: None,
        departure: None,
    }
}

/// A pass over the stack begins.
pub(super) fn begin(status: &mut StackStatus, revision: Option<&Revision>, now: Timestamp) {
    if revision.is_some() {
        status.revision = revision.cloned();
    }
    let first = status.last_pass.is_none();
    let mut state = |kind, verdict, reason| {
        status.conditions.set(condition(kind, verdict, reason, "", now));
    };
    if first {
        state(ConditionKind::Ready, Verdict::Unknown, "FirstPass");
    }
    state(ConditionKind::Reconciling, Verdict::True, "PassUnderWay");
    progress::begin(status);
}

/// The reason of a pass that changes what runs.
const PROGRESSING: &str = "Progressing";

/// The pass under way changes what runs: what the last one found holds no longer.
pub(super) fn change(status: &mut StackStatus, now: Timestamp) {
    let message = aim(status);
    status.sync = SyncStatus::OutOfSync;
    for (kind, verdict) in
        [(ConditionKind::Ready, Verdict::False), (ConditionKind::Reconciling, Verdict::True)]
    {
        status.conditions.set(condition(kind, verdict, PROGRESSING, &message, now));
    }
}

/// What the changes of a pass lead to, for people.
fn aim(status: &StackStatus) -> String {
    let is_exchanged = status.rollout.as_ref().is_some_and(|it| it.phase.is_under_way());
    if status.paused.is_some() && !is_exchanged {
        return "repairing what runs".to_owned();
    }
    let instead = status.held_back.as_ref().and_then(|held| held.instead.as_ref());
    let was_reached =
        status.last_pass.as_ref().is_some_and(|it| it.result == PassResult::RolledBack);
    let (what, to) = match (instead, &status.revision) {
        (Some(instead), _) if was_reached => ("restoring", Some(instead)),
        (Some(instead), _) => ("rolling back to", Some(instead)),
        (None, wanted) if *wanted == status.applied_revision => ("restoring", wanted.as_ref()),
        (None, wanted) => ("rolling out", wanted.as_ref()),
    };
    format!("{what} {}", to.map_or("the definition", Revision::short))
}

/// What the pass under way is changing, if it does.
pub(super) fn changing(status: &StackStatus) -> Option<&Condition> {
    let condition = status.conditions.get(ConditionKind::Reconciling)?;
    (condition.status == Verdict::True && condition.reason == PROGRESSING).then_some(condition)
}

/// A pass over the stack has ended.
pub(super) fn pass(status: &mut StackStatus, report: &Report) {
    let ended = end(report.started, report.took);
    status.source.clone_from(&report.source);
    status.revision = report.asked().cloned();
    status.sync = sync(report);
    status.health = report.workload.map_or(HealthStatus::Unknown, health);
    status.workload = report.workload;
    if report.actions.iter().any(|action| action.error.is_none()) {
        status.last_change = Some(ended);
    }
    status.drift =
        report.drift.iter().filter(|(_, fields)| **fields > 0).map(|(k, n)| (*k, *n)).collect();
    status.last_pass = Some(LastPass {
        result: report.told(),
        started: report.started,
        took_seconds: report.took.as_secs_f64(),
    });
    status.message.clone_from(&report.message);
    status.departure.clone_from(&report.departure);
    status.held_back.clone_from(&report.held_back);
    status.paused.clone_from(&report.paused);
    status.suspended.clone_from(&report.suspended);
    status.window.clone_from(&report.window);
    progress::pass(status, report, ended);
    status.problems = report.problems.iter().map(Into::into).collect();
    if report.result.is_success() {
        status.last_success = Some(ended);
        status.applied_revision.clone_from(&report.revision);
    }
    for (kind, verdict, reason) in [
        ready(report, status.health),
        (ConditionKind::Reconciling, Verdict::False, "PassEnded"),
        stalled(report),
        drifted(status.sync),
    ] {
        status.conditions.set(condition(kind, verdict, reason, &report.message, ended));
    }
}

/// A fetch has ended.
pub(super) fn fetch(former: Option<SourceStatus>, report: &SourceReport) -> SourceStatus {
    let ended = end(report.started, report.took);
    let last_fetch = LastFetch {
        ok: report.outcome.is_ok(),
        started: report.started,
        took_seconds: report.took.as_secs_f64(),
    };
    let mut status = former.unwrap_or_else(|| SourceStatus {
        name: report.source.clone(),
        revision: None,
        commit: None,
        verified: None,
        conditions: Conditions::default(),
        last_fetch: last_fetch.clone(),
        failures: 0,
        next_fetch: None,
        last_success: None,
        message: String::new(),
    });
    (status.last_fetch, status.next_fetch) = (last_fetch, report.next);
    match &report.outcome {
        Ok(revision) => {
            status.revision = Some(revision.clone());
            status.verified = report.verification.clone().and_then(Result::ok);
            (status.last_success, status.failures) = (Some(ended), 0);
            status.message = String::new();
        }
        Err(message) => {
            status.failures = status.failures.saturating_add(1);
            status.message.clone_from(message);
        }
    }
    if let Some((revision, commit)) = report.shown.clone() {
        (status.revision, status.commit) = (Some(revision), Some(commit));
    }
    let reason = match (&report.outcome, &report.verification) {
        (Ok(_), _) => "Fetched",
        (Err(_), Some(Err(Unverified))) => "VerificationFailed",
        (Err(_), _) => "FetchFailed",
    };
    let verdict = report.outcome.is_ok().into();
    let message = &status.message;
    status.conditions.set(condition(ConditionKind::Ready, verdict, reason, message, ended));
    status
}

fn condition(
    kind: ConditionKind,
    status: Verdict,
    reason: &str,
    message: &str,
    since: Timestamp,
) -> Condition {
    Condition { kind, status, reason: reason.to_owned(), message: message.to_owned(), since }
}

fn end(started: Timestamp, took: Duration) -> Timestamp {
    started.checked_add(took).unwrap_or(started)
}

/// A failed pass tells something about the stack only if it came as far as a comparison.
fn sync(report: &Report) -> SyncStatus {
    let compared = report.drift.values().any(|fields| *fields > 0)
        || !report.actions.is_empty()
        || !report.problems.is_empty();
    match report.told() {
        PassResult::Unchanged | PassResult::Changed | PassResult::Removed => SyncStatus::Synced,
        PassResult::Stalled
        | PassResult::Crashing
        | PassResult::Paused
        | PassResult::RolledBack
        | PassResult::Drifted
        | PassResult::Waiting => SyncStatus::OutOfSync,
        PassResult::Failed | PassResult::Suspended if compared => SyncStatus::OutOfSync,
        PassResult::Suspended if report.workload.is_some() => SyncStatus::Synced,
        PassResult::Suspended | PassResult::Failed | PassResult::Invalid => SyncStatus::Unknown,
    }
}

fn health(workload: Workload) -> HealthStatus {
    if workload.unhealthy > 0 || workload.up + workload.starting < workload.desired {
        HealthStatus::Degraded
    } else if workload.starting > 0 {
        HealthStatus::Progressing
    } else {
        HealthStatus::Healthy
    }
}

type Statement = (ConditionKind, Verdict, &'static str);

fn ready(report: &Report, health: HealthStatus) -> Statement {
    let (verdict, reason) = match (report.told(), health) {
        (PassResult::Failed, _) => (Verdict::False, "Failed"),
        (PassResult::Invalid, _) => (Verdict::False, "Invalid"),
        (PassResult::Crashing, _) => (Verdict::False, "CrashLoop"),
        (PassResult::Stalled, _) => (Verdict::False, "DoesNotSettle"),
        (PassResult::Paused, _) => (Verdict::False, "Paused"),
        (PassResult::RolledBack, _) => (Verdict::False, "RolledBack"),
        (PassResult::Drifted, _) => (Verdict::False, "Drifted"),
        (PassResult::Waiting, _) => (Verdict::False, "Waiting"),
        (PassResult::Suspended, _) => (Verdict::False, "Suspended"),
        (PassResult::Removed, _) => (Verdict::False, "Removed"),
        (PassResult::Unchanged | PassResult::Changed, health) => match health {
            HealthStatus::Healthy => (Verdict::True, "Healthy"),
            HealthStatus::Progressing => (Verdict::False, PROGRESSING),
            HealthStatus::Degraded => (Verdict::False, "Degraded"),
            HealthStatus::Unknown => (Verdict::Unknown, "HealthUnknown"),
        },
    };
    (ConditionKind::Ready, verdict, reason)
}

fn stalled(report: &Report) -> Statement {
    let (verdict, reason) = match report.told() {
        PassResult::Invalid => (Verdict::True, "Invalid"),
        PassResult::Stalled => (Verdict::True, "DoesNotSettle"),
        PassResult::Paused => (Verdict::True, "Paused"),
        PassResult::RolledBack => (Verdict::True, "HeldBack"),
        PassResult::Drifted => (Verdict::True, "ReportOnly"),
        PassResult::Suspended => (Verdict::True, "Suspended"),
        PassResult::Failed if !report.problems.is_empty() => (Verdict::True, "Blocked"),
        PassResult::Failed | PassResult::Crashing => (Verdict::False, "WillRetry"),
        PassResult::Waiting => (Verdict::False, "Waiting"),
        PassResult::Unchanged | PassResult::Changed | PassResult::Removed => {
            (Verdict::False, "AsDesired")
        }
    };
    (ConditionKind::Stalled, verdict, reason)
}

fn drifted(sync: SyncStatus) -> Statement {
    let (verdict, reason) = match sync {
        SyncStatus::Synced => (Verdict::False, "AsDesired"),
        SyncStatus::OutOfSync => (Verdict::True, "Differs"),
        SyncStatus::Unknown => (Verdict::Unknown, "NotCompared"),
    };
    (ConditionKind::Drifted, verdict, reason)
}
