//! Tells on the terminal what is being done: a live line per slot that is updated and per other
//! running change where there is a terminal, plain lines otherwise.

use super::rows::Rows;
use crate::execute::{Notice, Onlooker};
use crate::plan::{Change, Object};
use crate::status::{RolloutPhase, RolloutStatus, SlotNotice};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often a live line moves.
const TICK: Duration = Duration::from_millis(100);

/// An onlooker for standard error.
pub(super) fn terminal() -> Onlooker {
    Screen::of_terminal().onlooker()
}

/// What is shown of one pass on standard error.
pub(super) struct Screen(Option<Arc<Mutex<Live>>>);

impl Screen {
    pub(super) fn of_terminal() -> Self {
        Self(std::io::stderr().is_terminal().then(|| Arc::new(Mutex::new(Live::new()))))
    }

    pub(super) fn onlooker(&self) -> Onlooker {
        self.0.as_ref().map_or_else(plain, |live| heard_by(Arc::clone(live)))
    }

    /// Takes the live lines away, whoever still has the onlooker, and leaves their last words: what is
    /// printed from now on comes below those.
    pub(super) fn end(self) {
        if let Some(live) = self.0 {
            live.lock().unwrap_or_else(PoisonError::into_inner).slots.rows.end();
        }
    }
}

fn plain() -> Onlooker {
    let slots = Mutex::new(Slots::shown_in(Rows::plain()));
    Arc::new(move |notice| match notice {
        Notice::Began(_) | Notice::Doing(..) => {}
        Notice::Slot(notice) => {
            slots.lock().unwrap_or_else(PoisonError::into_inner).note(&notice);
        }
        Notice::Warned(change, error) => anstream::eprintln!("warning: {change}: {error}"),
        Notice::Unjudged(slot, why) => anstream::eprintln!("warning: {slot}: {why}"),
        Notice::Ended(change, result, took) => {
            anstream::eprintln!("{}", ended(change, result.err().map(ToString::to_string), took));
        }
    })
}

/// The live lines.
pub(super) struct Live {
    lines: MultiProgress,
    slots: Slots,
    /// Of changes that are no slot's.
    bars: BTreeMap<String, ProgressBar>,
}

fn heard_by(live: Arc<Mutex<Live>>) -> Onlooker {
    Arc::new(move |notice| {
        let mut live = live.lock().unwrap_or_else(PoisonError::into_inner);
        match notice {
            Notice::Began(change) => live.begin(change),
            Notice::Doing(change, what) => {
                if let Some(bar) = live.bars.get(&change.to_string()) {
                    bar.set_message(format!("{change}: {what}"));
                }
            }
            Notice::Slot(notice) => live.slots.note(&notice),
            // Writing beside the live lines can fail only with the terminal itself.
            Notice::Warned(change, error) => {
                let _ = live.lines.println(format!("warning: {change}: {error}"));
            }
            Notice::Unjudged(slot, why) => {
                let _ = live.lines.println(format!("warning: {slot}: {why}"));
            }
            Notice::Ended(change, result, took) => {
                if let Some(bar) = live.bars.remove(&change.to_string()) {
                    bar.finish_and_clear();
                }
                let error = result.err().map(ToString::to_string);
                let _ = live.lines.println(ended(change, error, took));
            }
        }
    })
}

impl Live {
    fn new() -> Self {
        let lines = MultiProgress::new();
        let slots = Slots::shown_in(Rows::among(lines.clone()));
        Self { lines, slots, bars: BTreeMap::new() }
    }

    /// A line of its own, unless the slot has one.
    fn begin(&mut self, change: &Change) {
        if let Object::Container(slot) = &change.object
            && self.slots.rows.has(slot)
        {
            return;
        }
        let bar = self.lines.add(ProgressBar::new_spinner().with_style(style()));
        bar.set_message(change.to_string());
        bar.enable_steady_tick(TICK);
        self.bars.insert(change.to_string(), bar);
    }
}

/// The slots that are updated, and their lines.
struct Slots {
    rollout: RolloutStatus,
    rows: Rows,
}

impl Slots {
    fn shown_in(rows: Rows) -> Self {
        let rollout = RolloutStatus::new(RolloutPhase::Progressing, Timestamp::now());
        Self { rollout, rows }
    }

    fn note(&mut self, notice: &SlotNotice<'_>) {
        self.rollout.note(notice, Timestamp::now());
        self.rows.show(&self.rollout);
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn ended(change: &Change, error: Option<String>, took: Duration) -> String {
    let reasons: String =
        change.reasons.iter().fold(String::new(), |text, reason| format!("{text}\n    {reason}"));
    match error {
        None => format!("{change} ({:.1} s){reasons}", took.as_secs_f64()),
        Some(error) => format!("failed: {change}{reasons}\n    {error}"),
    }
}
