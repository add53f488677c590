//! The history of a stack for people. Knows no terminal: plain text.

use super::table::{Table, elapsed, message};
use super::{DeployedReason, Deployment, DeploymentCause, GivenOrder, HistoryEntry};
use crate::model::{Revision, StackName};
use jiff::Timestamp;
use std::fmt::{self, Write};

/// That something was changed beside git.
pub(super) const REPAIRS: &str = "to repair drift";
const HEAD: [&str; 8] = ["ID", "WHEN", "REVISION", "AUTHOR", "CAUSE", "RESULT", "TOOK", "WHAT"];

/// One line a deployment under a line of headings. WHEN is how long ago it came so last, AUTHOR who
/// made the commit or gave the order.
pub fn history(entries: &[HistoryEntry], now: Timestamp) -> String {
    let rows = entries.iter().map(|entry| row(entry, now).into()).collect();
    Table { head: &HEAD, rows }.to_string()
}

fn row(entry: &HistoryEntry, now: Timestamp) -> [String; HEAD.len()] {
    let dash = || "-".to_owned();
    let what = match entry.times {
        0 | 1 => entry.what(),
        times => format!("{times} times: {}", entry.what()),
    };
    [
        entry.id.to_string(),
        ago(entry.last, now),
        entry.revision.as_ref().map_or_else(dash, |revision| revision.short().to_owned()),
        entry.who().map_or_else(dash, message),
        entry.cause_text(),
        entry.result.word().to_owned(),
        took(entry.took_seconds),
        message(&what),
    ]
}

/// That a stack has no deployment of this number; `known` are the smallest and the largest that it has.
pub fn no_deployment(stack: &StackName, id: u64, known: Option<(u64, u64)>) -> String {
    match known {
        Some((oldest, newest)) => {
            format!("{stack} has no deployment {id}; its history goes from {oldest} to {newest}")
        }
        None => format!("{stack} has no deployment {id}; its history is empty"),
    }
}

/// One deployment with all that is known of it.
pub fn told_in_full(deployment: &Deployment, now: Timestamp) -> String {
    let entry = &deployment.entry;
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{:<10} {value}", format!("{name}:"));
        }
    };
    let source = entry.source.as_ref().map(|source| format!(" from {source}"));
    field("stack", &format!("{}{}", entry.stack, source.unwrap_or_default()));
    field("id", &entry.id.to_string());
    field("revision", entry.revision.as_ref().map_or("", |revision| &revision.0));
    if let Some(commit) = &entry.commit {
        field("commit", &format!("{} ({})", commit.subject, commit.author));
    }
    field("instead of", entry.instead_of.as_ref().map_or("", |revision| &revision.0));
    let by = entry.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    field("cause", &format!("{}{by}", entry.cause_text()));
    let begun = entry.begun.strftime("%F %T UTC");
    field(
        "begun",
        &format!("{begun}, {} ago, took {}", ago(entry.begun, now), took(entry.took_seconds)),
    );
    if entry.times > 1 {
        let last = entry.last.strftime("%F %T UTC");
        field("times", &format!("{}, last {last}, {} ago", entry.times, ago(entry.last, now)));
    }
    field("result", entry.result.word());
    block(
        &mut text,
        "orders",
        entry.orders.iter().map(|given| {
            let GivenOrder { order, by, at, did } = given;
            let did = if did.is_empty() { String::new() } else { format!(": {did}") };
            format!("{} {order} by {by}{did}", at.strftime("%F %T UTC"))
        }),
    );
    block(&mut text, "message", entry.message.lines().map(str::to_owned));
    block(&mut text, "plan", deployment.plan.lines().map(str::to_owned));
    block(
        &mut text,
        "actions",
        deployment.actions.iter().flat_map(|action| {
            let ended = match &action.error {
                None => format!("done in {}", took(action.took_seconds)),
                Some(error) => {
                    format!("failed after {}: {}", took(action.took_seconds), one_line(error))
                }
            };
            let reasons = action.reasons.iter().map(|reason| format!("    {reason}"));
            let first = format!("{:<9} {}: {ended}", action.action, action.object);
            std::iter::once(first).chain(reasons).collect::<Vec<_>>()
        }),
    );
    block(
        &mut text,
        "images",
        deployment.images.iter().flat_map(|(service, images)| {
            images.iter().map(move |image| format!("{service}: {} {}", image.reference, image.id))
        }),
    );
    text
}

fn block(text: &mut String, name: &str, lines: impl Iterator<Item = String>) {
    for (index, line) in lines.enumerate() {
        if index == 0 {
            let _ = writeln!(text, "{name}:");
        }
        let _ = writeln!(text, "  {line}");
    }
}

/// How an entry came about, for a sentence: `commit 1f6a52ea1d2e (Anna Adams: Bump web)`.
pub(super) fn origin(entry: &HistoryEntry) -> String {
    let revision = entry.revision.as_ref().map(Revision::short);
    let by = entry.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    match (entry.cause, revision) {
        (DeploymentCause::ByHand, _) if entry.orders.is_empty() => {
            format!("by hand ({}{by})", entry.cause_text())
        }
        (DeploymentCause::ByHand, _) => {
            let each = entry.orders.iter().map(|it| format!("{} by {}", it.order, it.by));
            format!("by hand ({})", each.collect::<Vec<_>>().join(", "))
        }
        (DeploymentCause::Commit, Some(revision)) => {
            let commit = entry.commit.as_ref();
            let said = commit.map(|commit| format!(" ({}: {})", commit.author, commit.subject));
            format!("by commit {revision}{}", said.unwrap_or_default())
        }
        (DeploymentCause::Commit, None) => "by its definition".to_owned(),
        (DeploymentCause::Drift, _) => REPAIRS.to_owned(),
        (DeploymentCause::Image, _) => "for another image under its name".to_owned(),
        (DeploymentCause::Retry, _) => "by another try".to_owned(),
        (DeploymentCause::Start, _) => "as the agent started".to_owned(),
        (DeploymentCause::Rollback, revision) => {
            format!("by going back to {}", revision.unwrap_or("what held before"))
        }
        (DeploymentCause::Removal, _) => "since the stack left its source".to_owned(),
    }
}

pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    elapsed(now.duration_since(then).as_secs_f64())
}

fn took(seconds: f64) -> String {
    if seconds < 60.0 { format!("{seconds:.1}s") } else { elapsed(seconds) }
}

pub(super) fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}

impl fmt::Display for DeployedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: want {}, was {}", self.field, self.desired, self.actual)
    }
}
