//! The table that people read. Knows no terminal: plain text, columns two blanks apart.

use super::fold::changing;
use super::{HealthStatus, SourceStatus, StackStatus, SuspendedStatus, SyncStatus};
use jiff::Timestamp;
use std::fmt;

const HEAD: [&str; 8] =
    ["STACK", "SOURCE", "REVISION", "SYNC", "HEALTH", "DRIFT", "AGE", "MESSAGE"];
const WIDE_HEAD: [&str; 13] = [
    "STACK", "SOURCE", "REVISION", "SYNC", "HEALTH", "READY", "DRIFT", "AGE", "PASS", "CHANGED",
    "NEXT", "HOLD", "MESSAGE",
];
/// Longer messages are cut; JSON has them in full.
const MESSAGE_CHARS: usize = 80;

/// Cells under headings; each row has as many as there are headings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The headings.
    pub head: &'static [&'static str],
    /// The cells.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// How wide each column is, in characters.
    pub fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.head.iter().map(|title| title.chars().count()).collect();
        for cells in &self.rows {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        line(self.head, &widths, f)?;
        self.rows.iter().try_for_each(|cells| line(cells, &widths, f))
    }
}

/// One row a stack. AGE is the time since the last pass ended, DRIFT how many fields differed when it
/// began.
pub fn table(stacks: &[StackStatus], now: Timestamp) -> Table {
    Table { head: &HEAD, rows: stacks.iter().map(|stack| row(stack, now).into()).collect() }
}

/// The same with more columns, and messages that are not cut. READY is how many of the containers asked
/// for are up, PASS how the last pass ended, CHANGED how long ago something was changed, NEXT in how long
/// the source is fetched by itself, HOLD what keeps the newest commit, or the stack, as it is.
pub fn wide_table(stacks: &[StackStatus], sources: &[SourceStatus], now: Timestamp) -> Table {
    let rows = stacks.iter().map(|stack| wide_row(stack, sources, now).into()).collect();
    Table { head: &WIDE_HEAD, rows }
}

/// What of a stack's row changes only with the stack, not with the time alone.
pub fn essence(stack: &StackStatus) -> Vec<String> {
    let row = wide_row(stack, &[], Timestamp::UNIX_EPOCH);
    let titled = WIDE_HEAD.iter().zip(row);
    titled.filter(|(title, _)| **title != "PASS").map(|(_, cell)| cell).collect()
}

fn wide_row(
    stack: &StackStatus,
    sources: &[SourceStatus],
    now: Timestamp,
) -> [String; WIDE_HEAD.len()] {
    let dash = || "-".to_owned();
    let [name, source, revision, sync, health, drift, age, _] = row(stack, now);
    let known = stack.workload.filter(|_| changing(stack).is_none());
    let ready = known.map(|it| format!("{}/{}", it.up, it.desired));
    let pass = stack.last_pass.as_ref().map(|pass| pass.result.word().to_owned());
    let changed = stack.last_change.map(|at| elapsed(now.duration_since(at).as_secs_f64()));
    let fetched = sources.iter().find(|source| stack.source.as_ref() == Some(&source.name));
    let next = fetched.and_then(|source| source.next_fetch);
    let next = next.map(|at| elapsed(at.duration_since(now).as_secs_f64()));
    [
        name,
        source,
        revision,
        sync,
        health,
        ready.unwrap_or_else(dash),
        drift,
        age,
        pass.unwrap_or_else(dash),
        changed.unwrap_or_else(dash),
        next.unwrap_or_else(dash),
        hold(stack, now),
        one_line(&told(stack, now)),
    ]
}

/// What keeps things as they are, and for how long yet or since when.
fn hold(stack: &StackStatus, now: Timestamp) -> String {
    let since = |since: Timestamp| elapsed(now.duration_since(since).as_secs_f64());
    let until = |at: Timestamp| elapsed(at.duration_since(now).as_secs_f64());
    let window = stack.window.as_ref().map(|window| match window.opens {
        Some(opens) => format!("window in {}", until(opens)),
        None => "window".to_owned(),
    });
    let held = stack.held_back.as_ref().map(|held| format!("held back {}", since(held.since)));
    let paused = stack.paused.as_ref().map(|paused| format!("paused {}", since(paused.since)));
    let suspended = stack.suspended.as_ref();
    let suspended = suspended.map(|suspended| format!("suspended {}", since(suspended.since)));
    let departure = stack.departure.as_ref().map(|departure| {
        let word = if departure.held.is_some() { "left" } else { "leaving" };
        format!("{word} {}", since(departure.since))
    });
    let holds: Vec<String> =
        [window, held, paused, suspended, departure].into_iter().flatten().collect();
    if holds.is_empty() { "-".to_owned() } else { holds.join(", ") }
}

fn row(stack: &StackStatus, now: Timestamp) -> [String; HEAD.len()] {
    [
        stack.name.to_string(),
        stack.source.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        revision(stack),
        stack.sync.word().to_owned(),
        health(stack).word().to_owned(),
        drift(stack),
        age(stack, now),
        message(&told(stack, now)),
    ]
}

/// How it was after the last pass; while one changes something that is not known.
fn health(stack: &StackStatus) -> HealthStatus {
    if changing(stack).is_some() { HealthStatus::Progressing } else { stack.health }
}

/// The commit that git asks for; behind the one that runs, where that is another.
pub(super) fn revision(stack: &StackStatus) -> String {
    let Some(wanted) = &stack.revision else { return "-".to_owned() };
    let held_back = || stack.held_back.as_ref().and_then(|held| held.instead.as_ref());
    let window = || stack.window.as_ref().and_then(|window| window.instead.as_ref());
    let instead = held_back().or_else(window);
    match instead.or(stack.applied_revision.as_ref()) {
        Some(runs) if runs != wanted => format!("{} -> {}", runs.short(), wanted.short()),
        _ => wanted.short().to_owned(),
    }
}

fn drift(stack: &StackStatus) -> String {
    let fields: usize = stack.drift.values().sum();
    match stack.sync {
        SyncStatus::Synced if fields > 0 => format!("{fields} repaired"),
        SyncStatus::Synced | SyncStatus::OutOfSync => fields.to_string(),
        SyncStatus::Unknown if fields > 0 => fields.to_string(),
        SyncStatus::Unknown => "-".to_owned(),
    }
}

/// The message, or what is more urgent: what becomes of a stack that left its source, how far an
/// update is, what is being changed, and what is held back or rests.
fn told(stack: &StackStatus, now: Timestamp) -> String {
    let since = |since: Timestamp| elapsed(now.duration_since(since).as_secs_f64());
    if let Some(departure) = &stack.departure {
        let length = since(departure.since);
        return match &departure.held {
            Some(why) => format!("held for {length}: {why}"),
            None => format!("being removed for {length}: {}", stack.message),
        };
    }
    if let Some(rollout) = stack.rollout.as_ref().filter(|rollout| rollout.phase.is_under_way()) {
        return format!("{}: {}", rollout.phase.word(), rollout.summary());
    }
    if let Some(changing) = changing(stack) {
        return changing.message.clone();
    }
    if let Some(suspended) = &stack.suspended {
        return format!("Suspended for {}, by {}", since(suspended.since), why(suspended));
    }
    if let Some(held) = &stack.held_back {
        return format!("held back for {}: {}", since(held.since), held.reason);
    }
    if let Some(paused) = &stack.paused {
        return format!("paused for {}: {}", since(paused.since), paused.reason);
    }
    stack.message.clone()
}

/// Who said that nothing is to be done, and why.
fn why(suspended: &SuspendedStatus) -> String {
    let reason = suspended.reason.as_ref().map(|reason| format!(": {reason}"));
    format!("{}{}", suspended.by, reason.unwrap_or_default())
}

fn age(stack: &StackStatus, now: Timestamp) -> String {
    let Some(pass) = &stack.last_pass else { return "-".to_owned() };
    elapsed(now.duration_since(pass.started).as_secs_f64() - pass.took_seconds)
}

/// A length of time in its largest unit, cut.
pub fn elapsed(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped to what fits.
    let seconds = seconds.clamp(0.0, 1e15) as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The first line, fit for one cell: without control characters, cut at a bound.
pub(super) fn message(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let more = text.lines().nth(1).is_some() || line.chars().count() > MESSAGE_CHARS;
    let shown = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    if more {
        let cut: String = shown.take(MESSAGE_CHARS - 1).collect();
        format!("{cut}…")
    } else {
        shown.collect()
    }
}

/// All of it on one line, without control characters.
pub(super) fn one_line(text: &str) -> String {
    let line = text.trim_end().replace('\n', "; ");
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn line(cells: &[impl AsRef<str>], widths: &[usize], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{:<width$}", cell.as_ref()))
        .collect();
    writeln!(f, "{}", padded.join("  ").trim_end())
}
