//! The table that people read. Knows no terminal: plain text, columns two blanks apart.

use super::fold::changing;
use super::{StackStatus, SuspendedStatus, SyncStatus};
use jiff::Timestamp;

const HEAD: [&str; 8] =
    ["STACK", "SOURCE", "REVISION", "SYNC", "HEALTH", "DRIFT", "AGE", "MESSAGE"];
/// Longer messages are cut; JSON has them in full.
const MESSAGE_CHARS: usize = 80;

/// One line a stack under a line of headings. AGE is the time since the last pass ended, DRIFT how
/// many fields differed when it began.
pub fn table(stacks: &[StackStatus], now: Timestamp) -> String {
    aligned(HEAD, stacks.iter().map(|stack| row(stack, now)))
}

/// Rows under a line of headings.
pub(super) fn aligned<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; N];
    for cells in &rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter().map(|cells| line(cells, &widths)).collect()
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
        message(&told(stack, now)),
    ]
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

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<_> =
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    format!("{}\n", padded.join("  ").trim_end())
}
