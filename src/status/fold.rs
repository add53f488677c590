//! How one report changes what is known of a stack or source.

use super::{
    Condition, ConditionKind, Conditions, HealthStatus, LastFetch, LastPass, PassResult, Report,
    SourceReport, SourceStatus, StackStatus, SyncStatus, Towards, Unverified, Verdict, Workload,
    progress,
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
    let is_another = revision.is_some_and(|it| status.revision.as_ref() != Some(it));
    if revision.is_some() {
        status.revision = revision.cloned();
    }
    if status.last_pass.is_none() {
        let unknown = condition(ConditionKind::Ready, Verdict::Unknown, "FirstPass", "", now);
        status.conditions.set(unknown);
    }
    // Nothing is said of it yet, or what was said is outdated.
    let is_untold = status.message.is_empty() && status.sync != SyncStatus::Synced;
    let (reason, message) = match &status.revision {
        Some(revision) if is_another || is_untold => {
            (LOOKING, format!("looking at {}", revision.short()))
        }
        _ => ("PassUnderWay", String::new()),
    };
    let begins = condition(ConditionKind::Reconciling, Verdict::True, reason, &message, now);
    status.conditions.renew(begins);
    progress::begin(status, is_another);
}

/// The reason of a pass over what no pass has told of yet.
const LOOKING: &str = "Looking";
/// The reason of a pass that changes what runs.
const PROGRESSING: &str = "Progressing";

/// The pass under way changes what runs: what the last one found holds no longer.
pub(super) fn change(status: &mut StackStatus, towards: Option<&Towards>, now: Timestamp) {
    let message = aim(status, towards);
    (status.sync, status.health) = (SyncStatus::OutOfSync, HealthStatus::Progressing);
    for (kind, verdict) in
        [(ConditionKind::Ready, Verdict::False), (ConditionKind::Reconciling, Verdict::True)]
    {
        status.conditions.set(condition(kind, verdict, PROGRESSING, &message, now));
    }
}

/// The pass under way begins to pull an image, for something new if so.
pub(super) fn pull(status: &mut StackStatus, image: &str) {
    let Some(looking) = status.conditions.get(ConditionKind::Reconciling) else { return };
    if looking.reason == LOOKING
        && let Some(revision) = &status.revision
    {
        let message = format!("pulling image {image} for {}", revision.short());
        let looking = Condition { message, ..looking.clone() };
        status.conditions.set(looking);
    }
}

/// What the changes of a pass lead to, for people.
fn aim(status: &StackStatus, towards: Option<&Towards>) -> String {
    let is_exchanged = status.rollout.as_ref().is_some_and(|it| it.phase.is_under_way());
    if status.paused.is_some() && !is_exchanged {
        return "repairing what runs".to_owned();
    }
    let wanted = match towards {
        Some(Towards::Nothing) => return "removing it".to_owned(),
        Some(Towards::Commit(revision)) => revision,
        None => &status.revision,
    };
    let (what, to) = match &status.held_back {
        Some(held) if held.reached => ("restoring".to_owned(), &held.instead),
        Some(held) => (format!("rolling back{} to", held.whose()), &held.instead),
        None if *wanted == status.applied_revision => ("restoring".to_owned(), wanted),
        None => ("rolling out".to_owned(), wanted),
    };
    format!("{what} {}", to.as_ref().map_or("what was begun last", Revision::short))
}

/// What the pass under way is about, while what the last one said is outdated.
pub(super) fn under_way(status: &StackStatus) -> Option<&Condition> {
    let condition = status.conditions.get(ConditionKind::Reconciling)?;
    let is_new = [LOOKING, PROGRESSING].contains(&condition.reason.as_str());
    (condition.status == Verdict::True && is_new).then_some(condition)
}

/// Whether the pass under way changes what runs.
pub(super) fn is_changing(status: &StackStatus) -> bool {
    under_way(status).is_some_and(|condition| condition.reason == PROGRESSING)
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
    }
    status.applied_revision = report.runs().cloned().or(status.applied_revision.take());
    for (kind, verdict, reason) in [
        ready(report, status.health),
        (ConditionKind::Reconciling, Verdict::False, "PassEnded"),
        stalled(report),
        drifted(report, status),
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

fn drifted(report: &Report, status: &StackStatus) -> Statement {
    let (verdict, reason) = match status.sync {
        _ if report.leaves_drift() && !status.drift.is_empty() => (Verdict::True, "Differs"),
        SyncStatus::Synced => (Verdict::False, "AsDesired"),
        // What is held back, or cannot be done, is no field that was changed beside git.
        SyncStatus::OutOfSync => (Verdict::False, "NoFieldDiffers"),
        SyncStatus::Unknown => (Verdict::Unknown, "NotCompared"),
    };
    (ConditionKind::Drifted, verdict, reason)
}
