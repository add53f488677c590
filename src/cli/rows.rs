//! Shows how far each slot of an update is: a live line a slot on a terminal, elsewhere a plain line
//! when a slot is up or has failed.

use crate::model::Slot;
use crate::status::{RolloutStatus, ServiceRollout, SlotPhase, SlotStatus};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;

/// The slots that were shown.
pub(super) struct Rows {
    /// Where live lines go; absent: plain lines.
    lines: Option<MultiProgress>,
    shown: BTreeMap<Slot, Shown>,
}

struct Shown {
    told: Option<Told>,
    text: String,
    bar: Option<ProgressBar>,
}

/// What is worth a plain line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Up,
    Failed,
}

impl Rows {
    /// Rows on standard error.
    pub(super) fn for_terminal() -> Self {
        let lines = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { lines, shown: BTreeMap::new() }
    }

    /// Rows among other live lines.
    pub(super) fn among(lines: MultiProgress) -> Self {
        Self { lines: Some(lines), shown: BTreeMap::new() }
    }

    /// Plain lines, whatever standard error is.
    pub(super) fn plain() -> Self {
        Self { lines: None, shown: BTreeMap::new() }
    }

    /// Whether a slot has a row.
    pub(super) fn has(&self, slot: &Slot) -> bool {
        self.shown.contains_key(slot)
    }

    /// Brings the rows to where the update is.
    pub(super) fn show(&mut self, rollout: &RolloutStatus) {
        for service in &rollout.services {
            for row in &service.slots {
                let slot = Slot { service: service.service.clone(), number: row.number };
                let fresh = || {
                    let bar = self.lines.as_ref().map(bar);
                    Shown { told: None, text: String::new(), bar }
                };
                let shown = self.shown.entry(slot.clone()).or_insert_with(fresh);
                shown.text = format!("{slot}: {}", service.word(row));
                match &shown.bar {
                    Some(bar) => bar.set_message(shown.text.clone()),
                    None => shown.tell(&slot, service, row),
                }
            }
        }
    }

    /// Takes the live lines away, and leaves their last words.
    pub(super) fn end(&mut self) {
        let Some(lines) = &self.lines else { return };
        // Both fail only with the terminal itself.
        let _ = lines.clear();
        lines.set_draw_target(ProgressDrawTarget::hidden());
        for shown in std::mem::take(&mut self.shown).into_values() {
            anstream::eprintln!("{}", shown.text);
        }
    }
}

impl Shown {
    fn tell(&mut self, slot: &Slot, service: &ServiceRollout, row: &SlotStatus) {
        let told = if row.phase == SlotPhase::Failed {
            Some(Told::Failed)
        } else {
            row.is_up().then_some(Told::Up)
        };
        if told == self.told {
            return;
        }
        self.told = told;
        if let Some(line) = told.map(|told| line(told, slot, service, row)) {
            anstream::eprintln!("{line}");
        }
    }
}

fn line(told: Told, slot: &Slot, service: &ServiceRollout, row: &SlotStatus) -> String {
    match told {
        Told::Failed => format!("{slot}: {}", service.word(row)),
        Told::Up => {
            let (up, all) = service.count();
            let took = row.took().map(|took| format!("after {:.1} s", took.as_secs_f64()));
            format!("{slot}: up {} ({up} of {all})", took.as_deref().unwrap_or("as before"))
        }
    }
}

fn bar(lines: &MultiProgress) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = lines.add(ProgressBar::new_spinner().with_style(style));
    bar.tick();
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceName;
    use crate::status::{RolloutPhase, SlotNotice};
    use jiff::Timestamp;

    #[test]
    fn a_plain_line_says_how_long_a_slot_took_and_how_many_are_up() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut rollout = RolloutStatus::new(RolloutPhase::Progressing, at(0));
        let slot = |number| Slot { service: ServiceName::new("web").unwrap(), number };
        for (second, number, phase) in [
            (0, 1, SlotPhase::Waiting),
            (0, 2, SlotPhase::Waiting),
            (1, 1, SlotPhase::Creating),
            (3, 1, SlotPhase::Watching),
            (4, 2, SlotPhase::Failed),
        ] {
            let slot = slot(number);
            let why = (phase == SlotPhase::Failed).then_some("port 80 is taken");
            rollout.note(&SlotNotice { slot: &slot, phase, why, is_update: true }, at(second));
        }
        let service = &rollout.services[0];
        let told = |told, index: usize| {
            line(told, &slot(service.slots[index].number), service, &service.slots[index])
        };
        assert_eq!(told(Told::Up, 0), "web/1: up after 2.0 s (1 of 2)");
        assert_eq!(told(Told::Failed, 1), "web/2: failed: port 80 is taken");
    }

    #[test]
    fn a_container_that_was_only_watched_is_not_said_to_have_come_up() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut rollout = RolloutStatus::new(RolloutPhase::Progressing, at(0));
        let slot = Slot { service: ServiceName::new("web").unwrap(), number: 1 };
        for (second, phase) in [(1, SlotPhase::Watching), (4, SlotPhase::Done)] {
            let notice = SlotNotice { slot: &slot, phase, why: None, is_update: true };
            rollout.note(&notice, at(second));
        }
        let service = &rollout.services[0];
        let told = line(Told::Up, &slot, service, &service.slots[0]);
        assert_eq!(told, "web/1: up as before (1 of 1)");
    }

    #[test]
    fn what_was_told_of_a_slot_is_not_told_again_until_it_changes() {
        let mut rows = Rows::plain();
        let slot = Slot { service: ServiceName::new("web").unwrap(), number: 1 };
        let mut rollout = RolloutStatus::new(RolloutPhase::Progressing, Timestamp::UNIX_EPOCH);
        let mut told = |phase| {
            let notice = SlotNotice { slot: &slot, phase, why: None, is_update: true };
            rollout.note(&notice, Timestamp::UNIX_EPOCH);
            rows.show(&rollout);
            rows.shown[&slot].told
        };
        assert!(told(SlotPhase::Starting).is_none());
        assert!(told(SlotPhase::Watching) == Some(Told::Up));
        assert!(told(SlotPhase::Done) == Some(Told::Up));
        assert!(told(SlotPhase::Failed) == Some(Told::Failed));
    }
}
