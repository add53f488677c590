//! The table of sources that people read.

use super::table::{Table, elapsed, one_line};
use super::{ConditionKind, SourceStatus, Verdict};
use jiff::Timestamp;

const HEAD: [&str; 6] = ["SOURCE", "REVISION", "READY", "FETCHED", "NEXT", "MESSAGE"];

/// One row a source. FETCHED is how long ago it was last fetched, NEXT in how
/// long it is fetched by itself.
pub fn sources(sources: &[SourceStatus], now: Timestamp) -> Table {
    Table { head: &HEAD, rows: sources.iter().map(|source| row(source, now).into()).collect() }
}

/// That a source cannot be fetched, so that what is known of its stacks is of an older commit; `None`: it
/// can, or that is not known yet.
pub fn not_fetched(source: &SourceStatus, now: Timestamp) -> Option<String> {
    let ready = source.conditions.get(ConditionKind::Ready)?;
    if ready.status != Verdict::False {
        return None;
    }
    let since = |at: Timestamp| elapsed(now.duration_since(at).as_secs_f64());
    let last = source.last_success.map(|at| format!(", last fetched {} ago", since(at)));
    let (name, last) = (&source.name, last.unwrap_or_default());
    Some(format!(
        "source {name} is not fetched for {}{last}: {}",
        since(ready.since),
        message(source)
    ))
}

fn row(source: &SourceStatus, now: Timestamp) -> [String; HEAD.len()] {
    let dash = || "-".to_owned();
    let ready = source.conditions.get(ConditionKind::Ready);
    let ready = ready.map_or(Verdict::Unknown, |ready| ready.status);
    let since = |at: Timestamp| elapsed(now.duration_since(at).as_secs_f64());
    let until = |at: Timestamp| elapsed(at.duration_since(now).as_secs_f64());
    [
        source.name.to_string(),
        source.revision.as_ref().map_or_else(dash, |revision| revision.short().to_owned()),
        ready.word().to_owned(),
        source.last_success.map_or_else(dash, since),
        source.next_fetch.map_or_else(dash, until),
        message(source),
    ]
}

/// Why the last fetch failed, or else what the commit says of itself.
fn message(source: &SourceStatus) -> String {
    if !source.message.is_empty() {
        let times = if source.failures > 1 {
            format!("failed {} times: ", source.failures)
        } else {
            String::new()
        };
        return times + &one_line(&source.message);
    }
    let commit = source.commit.as_ref();
    let commit = commit.map(|commit| format!("{} ({})", commit.subject, commit.author));
    let told: Vec<_> = commit.into_iter().chain(source.verified.clone()).collect();
    told.join(", ")
}
