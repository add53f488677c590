//! The table that people read. Knows no terminal: plain text, columns two blanks apart.

use super::said::{Said, said};
use super::{ConditionKind, SourceStatus, StackStatus, Verdict};
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
/// So much is left of one beside the command that ends it.
const SHORTEST_REASON: usize = 40;

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
    let ready = stack.workload.map(|it| format!("{}/{}", it.up, it.desired));
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
        whole(&said(stack, now)),
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
        stack.health.word().to_owned(),
        drift(stack),
        age(stack, now),
        in_short(&said(stack, now)),
    ]
}

/// The commit that git asks for; behind the one that runs, where that is another.
pub(super) fn revision(stack: &StackStatus) -> String {
    let Some(wanted) = &stack.revision else { return "-".to_owned() };
    let kept = || stack.window.as_ref().and_then(|window| window.instead.as_ref());
    match stack.applied_revision.as_ref().or_else(kept) {
        Some(runs) if runs != wanted => format!("{} -> {}", runs.short(), wanted.short()),
        _ => wanted.short().to_owned(),
    }
}

/// The fields that differed when the last pass began, and whether they do not any more.
fn drift(stack: &StackStatus) -> String {
    let fields: usize = stack.drift.values().sum();
    match stack.conditions.get(ConditionKind::Drifted).map(|drifted| drifted.status) {
        Some(Verdict::False) if fields > 0 => format!("{fields} repaired"),
        Some(Verdict::False | Verdict::True) => fields.to_string(),
        Some(Verdict::Unknown) | None if fields > 0 => fields.to_string(),
        Some(Verdict::Unknown) | None => "-".to_owned(),
    }
}

/// The first line of each, cut, with the command that ends the first.
fn in_short(all: &[Said]) -> String {
    let texts: Vec<_> = all.iter().map(|said| first_line(&said.text)).collect();
    let command = all.first().and_then(|first| first.command.as_ref());
    let command = command.map(|command| format!(" ({command})")).unwrap_or_default();
    let most = MESSAGE_CHARS.saturating_sub(command.chars().count()).max(SHORTEST_REASON);
    cut(&texts.join("; "), most) + &command
}

/// All of it, with the commands.
fn whole(all: &[Said]) -> String {
    let texts = all.iter().map(|said| match &said.command {
        None => one_line(&said.text),
        Some(command) => format!("{} ({command})", one_line(&said.text)),
    });
    texts.collect::<Vec<_>>().join("; ")
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

/// The first line, fit for one cell.
pub(super) fn message(text: &str) -> String {
    cut(&first_line(text), MESSAGE_CHARS)
}

/// The first line, with a sign where there are more.
fn first_line(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some() { format!("{first}…") } else { first.to_owned() }
}

/// A line without control characters, cut where it has more characters than `most`.
fn cut(line: &str, most: usize) -> String {
    let shown = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    if line.chars().count() <= most {
        return shown.collect();
    }
    let cut: String = shown.take(most - 1).collect();
    format!("{cut}…")
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
