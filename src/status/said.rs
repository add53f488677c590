//! What is said of a stack in few words, the most urgent first, and the sentences about what holds it: what,
//! for how long, what runs meanwhile, and what ends it.

use super::fold::under_way;
use super::table::elapsed;
use super::{HeldBackStatus, PassResult, PausedStatus, StackStatus, SuspendedStatus, WindowStatus};
use crate::model::{Revision, ServiceName, StackName};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// One thing that is said of a stack.
#[derive(Clone)]
pub(super) struct Said {
    /// In one or more lines.
    pub(super) text: String,
    /// The command that ends it, if one does.
    pub(super) command: Option<String>,
}

/// All that is to be said of a stack: what becomes of one that left its source; or what is being done, or
/// why it could not be, and what holds it.
pub(super) fn said(stack: &StackStatus, now: Timestamp) -> Vec<Said> {
    if let Some(departure) = &stack.departure {
        let length = length(departure.since, now);
        return vec![plain(match &departure.held {
            Some(why) => format!("held for {length}: {why}"),
            None => format!("being removed for {length}: {}", stack.message),
        })];
    }
    let holds = holds(stack, now);
    if let Some(doing) = doing(stack) {
        return [vec![plain(doing)], holds].concat();
    }
    let news: Vec<&str> = stack.message.lines().filter(|line| !is_told(stack, line)).collect();
    let news = if news.is_empty() { vec![] } else { vec![plain(news.join("\n"))] };
    let result = stack.last_pass.as_ref().map(|pass| pass.result);
    match result {
        Some(PassResult::RolledBack | PassResult::Paused | PassResult::Suspended) => {
            [holds, news].concat()
        }
        _ => [news, holds].concat(),
    }
}

/// What the pass under way does, if that is more than a look at what was seen before.
fn doing(stack: &StackStatus) -> Option<String> {
    let rollout = stack.rollout.as_ref().filter(|rollout| rollout.phase.is_under_way());
    let rollout = rollout.map(|rollout| match rollout.summary() {
        none if none.is_empty() => rollout.phase.word().to_owned(),
        summary => format!("{}: {summary}", rollout.phase.word()),
    });
    rollout.or_else(|| under_way(stack).map(|condition| condition.message.clone()))
}

fn holds(stack: &StackStatus, now: Timestamp) -> Vec<Said> {
    let name = &stack.name;
    let suspended = stack.suspended.as_ref().map(|suspended| {
        let why = suspended.reason.as_ref().map(|reason| format!(": {reason}"));
        let (length, why) = (length(suspended.since, now), why.unwrap_or_default());
        Said {
            text: format!("suspended for {length}, by {}{why}", suspended.by),
            command: Some(format!("bowline resume {name}")),
        }
    });
    let paused = stack.paused.as_ref().map(|paused| {
        let or_back = if paused.by_hand { "" } else { " or rollback" };
        Said {
            text: format!("paused for {}: {}", length(paused.since, now), paused.reason),
            command: Some(format!("bowline resume{or_back} {name}")),
        }
    });
    let held_back = stack.held_back.as_ref();
    let held_back = held_back
        .map(|held| plain(format!("held back for {}: {}", length(held.since, now), held.reason)));
    [suspended, paused, held_back].into_iter().flatten().collect()
}

/// Whether a line of the last pass's message says what is said of a hold. Further lines of a reason may be
/// any output of a program.
fn is_told(stack: &StackStatus, line: &str) -> bool {
    let held_back = stack.held_back.iter().map(|held| held.reason.clone());
    let paused = stack.paused.iter().map(|paused| paused.reason.clone());
    let suspended = stack.suspended.iter().map(ToString::to_string);
    let mut reasons = held_back.chain(paused).chain(suspended);
    reasons.any(|reason| {
        let mut lines = reason.lines();
        let first = lines.next().is_some_and(|first| line.contains(first));
        let is_further = |further| {
            line.strip_prefix(further).is_some_and(|rest| rest.is_empty() || rest.starts_with(';'))
        };
        first || lines.any(is_further)
    })
}

fn plain(text: String) -> Said {
    Said { text, command: None }
}

fn length(since: Timestamp, now: Timestamp) -> String {
    elapsed(now.duration_since(since).as_secs_f64())
}

/// Services after `word`; nothing where there are none.
fn services(word: &str, names: &BTreeSet<ServiceName>) -> String {
    if names.is_empty() {
        return String::new();
    }
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    format!("{word} {}", names.join(", "))
}

impl HeldBackStatus {
    /// The services that go back, after a blank; nothing where all do.
    pub(super) fn whose(&self) -> String {
        services("", &self.services)
    }
}

/// What holds a stack.
pub(super) struct Holds<'a> {
    pub(super) stack: &'a StackName,
    /// The commit that git asks for.
    pub(super) revision: Option<&'a Revision>,
    pub(super) suspended: Option<&'a SuspendedStatus>,
    pub(super) window: Option<&'a WindowStatus>,
    pub(super) paused: Option<&'a PausedStatus>,
    pub(super) held_back: Option<&'a HeldBackStatus>,
}

/// One of the things that hold a stack, in full.
pub(super) struct Hold<'a> {
    /// What is so, and for how long.
    pub(super) sentence: String,
    /// Why, in lines; may be empty.
    pub(super) why: &'a str,
    /// What ends it.
    pub(super) end: String,
}

impl<'a> Holds<'a> {
    /// What somebody said first, then what is newest.
    pub(super) fn told(&self, now: Timestamp) -> Vec<Hold<'a>> {
        let suspended = self.suspended.map(|it| self.suspended(it, now));
        let window = self.window.map(|it| self.window(it, now));
        let paused = self.paused.map(|it| self.paused(it, now));
        let held_back = self.held_back.map(|it| self.held_back(it, now));
        [suspended, window, paused, held_back].into_iter().flatten().collect()
    }

    fn suspended(&self, suspended: &'a SuspendedStatus, now: Timestamp) -> Hold<'a> {
        let length = length(suspended.since, now);
        Hold {
            sentence: format!("suspended for {length}, by {}; nothing is done to it", suspended.by),
            why: suspended.reason.as_deref().unwrap_or_default(),
            end: format!("until `bowline resume {}`", self.stack),
        }
    }

    fn window(&self, window: &WindowStatus, now: Timestamp) -> Hold<'a> {
        let what = self.revision.map_or("what git asks for", Revision::short);
        let opens = match window.opens {
            Some(at) => format!("opens in {}", length(now, at)),
            None => "does not open".to_owned(),
        };
        let kept = window.instead.as_ref().map(|it| format!("; until then {} is kept", it.short()));
        let kept = kept.unwrap_or_default();
        Hold {
            sentence: format!("{what} waits for its window, which {opens}{kept}"),
            why: "",
            end: format!("`bowline retry {}` begins it now", self.stack),
        }
    }

    fn paused(&self, paused: &'a PausedStatus, now: Timestamp) -> Hold<'a> {
        let (stack, whose) = (self.stack, services(" of", &paused.services));
        let end = if paused.by_hand {
            format!("until `bowline resume {stack}`")
        } else {
            format!(
                "until git asks for something else, or `bowline resume {stack}`; \
                 `bowline rollback {stack}` goes back"
            )
        };
        let length = length(paused.since, now);
        Hold {
            sentence: format!("paused for {length}: no container{whose} is exchanged"),
            why: &paused.reason,
            end,
        }
    }

    fn held_back(&self, held: &'a HeldBackStatus, now: Timestamp) -> Hold<'a> {
        let what = held.revision.as_ref().map_or("what git asks for", Revision::short);
        let services = services(" in", &held.services);
        let verb = if held.reached { "runs" } else { "is to run" };
        let instead = held.instead.as_ref().map(|it| format!("; {} {verb} instead", it.short()));
        let (length, instead) = (length(held.since, now), instead.unwrap_or_default());
        Hold {
            sentence: format!("{what} is held back{services} for {length}{instead}"),
            why: &held.reason,
            end: format!("until git asks for something else, or `bowline retry {}`", self.stack),
        }
    }
}

#[cfg(test)]
mod tests;
