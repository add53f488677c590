//! Tells on the terminal what is being done: a live line per running change where there is a
//! terminal, a plain line per ended change otherwise.

use crate::execute::{Notice, Onlooker};
use crate::plan::Change;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often a live line moves.
const TICK: Duration = Duration::from_millis(100);

/// An onlooker for standard error.
pub(super) fn terminal() -> Onlooker {
    if std::io::stderr().is_terminal() { live() } else { Arc::new(|notice| plain(&notice)) }
}

fn plain(notice: &Notice<'_>) {
    match notice {
        Notice::Began(_) | Notice::Doing(..) => {}
        Notice::Warned(change, error) => anstream::eprintln!("warning: {change}: {error}"),
        Notice::Ended(change, result, took) => {
            anstream::eprintln!("{}", ended(change, result.err().map(ToString::to_string), *took));
        }
    }
}

fn live() -> Onlooker {
    let lines = MultiProgress::new();
    let bars: Mutex<BTreeMap<String, ProgressBar>> = Mutex::default();
    Arc::new(move |notice| {
        let mut bars = bars.lock().unwrap_or_else(PoisonError::into_inner);
        match notice {
            Notice::Began(change) => {
                let bar = lines.add(ProgressBar::new_spinner().with_style(style()));
                bar.set_message(change.to_string());
                bar.enable_steady_tick(TICK);
                bars.insert(change.to_string(), bar);
            }
            Notice::Doing(change, what) => {
                if let Some(bar) = bars.get(&change.to_string()) {
                    bar.set_message(format!("{change}: {what}"));
                }
            }
            // Writing beside the live lines can fail only with the terminal itself.
            Notice::Warned(change, error) => {
                let _ = lines.println(format!("warning: {change}: {error}"));
            }
            Notice::Ended(change, result, took) => {
                if let Some(bar) = bars.remove(&change.to_string()) {
                    bar.finish_and_clear();
                }
                let _ = lines.println(ended(change, result.err().map(ToString::to_string), took));
            }
        }
    })
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
