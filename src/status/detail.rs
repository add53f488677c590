//! One stack for people, with all that is known of it: what a line of the table has no room for.

use super::fold::under_way;
use super::said::{Hold, Holds};
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
    if let Some(doing) = under_way(stack) {
        let _ = writeln!(text, "{} for {}", doing.message, since(doing.since));
    }
    let holds = Holds {
        stack: &stack.name,
        revision: stack.revision.as_ref(),
        suspended: stack.suspended.as_ref(),
        window: stack.window.as_ref(),
        paused: stack.paused.as_ref(),
        held_back: stack.held_back.as_ref(),
    };
    for Hold { sentence, why, end } in holds.told(now) {
        let _ = writeln!(text, "{sentence}");
        indented(&mut text, why);
        indented(&mut text, &end);
    }
    // Of one that an earlier agent began nothing more is known.
    let rollout = stack.rollout.as_ref();
    if let Some(rollout) = rollout.filter(|it| !it.services.is_empty()) {
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
