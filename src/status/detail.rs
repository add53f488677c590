//! One stack for people, with all that is known of it: what a line of the table has no room for.

use super::fold::changing;
use super::table::{elapsed, revision};
use super::{RolloutStatus, ServiceRollout, SlotPhase, SlotStatus, StackStatus};
use jiff::Timestamp;
use std::fmt::Write;

/// What is known of a stack, in a few lines.
pub fn detail(stack: &StackStatus, now: Timestamp) -> String {
    let mut text = format!("{}: {}, {}", stack.name, stack.sync.word(), stack.health.word());
    let source = stack.source.as_ref().map(|source| format!(" from {source}"));
    let _ = writeln!(text, ", {}{}", revision(stack), source.unwrap_or_default());
    let since = |since: Timestamp| elapsed(now.duration_since(since).as_secs_f64());
    if let Some(changing) = changing(stack) {
        let _ = writeln!(text, "{} for {}", changing.message, since(changing.since));
    }
    if let Some(suspended) = &stack.suspended {
        let length = since(suspended.since);
        let _ =
            writeln!(text, "suspended for {length}, by {}; nothing is done to it", suspended.by);
        suspended.reason.iter().for_each(|reason| indented(&mut text, reason));
    }
    if let Some(held) = &stack.held_back {
        let named = held.revision.as_ref().map_or("what git asks for", |it| it.short());
        let instead = held.instead.as_ref().map(|it| format!("; {} runs instead", it.short()));
        let instead = instead.unwrap_or_default();
        let _ = writeln!(text, "{named} is held back for {}{instead}", since(held.since));
        indented(&mut text, &held.reason);
    }
    if let Some(paused) = &stack.paused {
        let _ = writeln!(text, "paused for {}", since(paused.since));
        indented(&mut text, &paused.reason);
    }
    if let Some(rollout) = &stack.rollout {
        let _ = writeln!(text, "update: {} for {}", rollout.phase.word(), since(rollout.since));
        for row in rollout.rows() {
            let _ = writeln!(text, "  {row}");
        }
    }
    if !stack.message.is_empty() {
        let _ = writeln!(text, "last pass:");
        indented(&mut text, &stack.message);
    }
    text
}

fn indented(text: &mut String, lines: &str) {
    for line in lines.lines() {
        let _ = writeln!(text, "  {line}");
    }
}

impl RolloutStatus {
    /// A line a slot that changes.
    pub fn rows(&self) -> Vec<String> {
        let rows = self.services.iter().flat_map(|service| {
            service
                .slots
                .iter()
                .map(|slot| format!("{}/{}: {}", service.service, slot.number, service.word(slot)))
        });
        rows.collect()
    }

    /// How many slots of each service are up, in one line.
    pub fn summary(&self) -> String {
        let counts = self.services.iter().map(|service| {
            let (up, all) = service.count();
            format!("{} {up} of {all}", service.service)
        });
        counts.collect::<Vec<_>>().join(", ")
    }
}

impl ServiceRollout {
    /// How far one of its slots is.
    pub fn word(&self, slot: &SlotStatus) -> String {
        match (slot.phase, &slot.why) {
            (SlotPhase::Watching, _) => {
                let (up, all) = self.count();
                format!("up, being watched ({up} of {all})")
            }
            (SlotPhase::Failed, Some(why)) => format!("failed: {}", why.replace('\n', " ")),
            (phase, _) => phase.word().to_owned(),
        }
    }
}
