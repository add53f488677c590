//! Deployments: what passes did to a stack, or failed to do, with the reasons; the entries of its
//! history.
//!
//! The JSON form is stable, as that of `state.rs`, and it is also the form on disk.

use super::{ActionReport, PassResult, Report, RolloutVerdict, first_line};
use crate::model::{Commit, ContentDigest, Revision, ServiceName, SourceName, StackName};
use crate::plan::{Action, Object};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest plan that is kept, in bytes.
const LONGEST_PLAN: usize = 16 << 10;
/// The longest message that is kept, in bytes.
const LONGEST_MESSAGE: usize = 4 << 10;
/// The longest value of a field that is kept, in bytes.
const LONGEST_VALUE: usize = 512;
/// How many actions are kept of a deployment.
const MOST_ACTIONS: usize = 200;
/// How many reasons are kept of a deployment.
const MOST_REASONS: usize = 200;
/// How many objects a summary names for each kind of action.
const NAMED: usize = 3;
/// The same repair so long after the last one is told anew.
const SAME_REPAIR: SignedDuration = SignedDuration::from_hours(1);

/// Why a pass had something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentCause {
    /// The stack is defined otherwise than before.
    Commit,
    /// Something was changed beside git, or a container ended.
    Drift,
    /// An image was pulled again, and its name stands for another one.
    Image,
    /// Somebody gave an order.
    ByHand,
    /// The pass before failed.
    Retry,
    /// The agent was started, and found that something differs.
    Start,
    /// What git asks for did not hold, and what held before takes its place.
    Rollback,
    /// The stack left its source.
    Removal,
}

impl DeploymentCause {
    /// The word in JSON and for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Drift => "drift",
            Self::Image => "image",
            Self::ByHand => "by hand",
            Self::Retry => "retry",
            Self::Start => "start",
            Self::Rollback => "rollback",
            Self::Removal => "removal",
        }
    }
}

/// A deployment in short; an entry of `bowline history`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Counts up from 1 for each stack.
    pub id: u64,
    /// The stack.
    pub stack: StackName,
    /// Where it came from; absent for what was applied by hand.
    pub source: Option<SourceName>,
    /// The commit that was brought about, or was to be; absent where there is none.
    pub revision: Option<Revision>,
    /// Who made that commit, and what for, where that is known.
    pub commit: Option<Commit>,
    /// The commit in whose place `revision` was brought about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<Revision>,
    /// Why there was something to do.
    pub cause: DeploymentCause,
    /// The order, where the cause is one: `rollback`, `retry`, `apply`, ...; of several, all with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Who gave it: the name of a user of this host, where that is known; of several, all with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The orders themselves, in the order in which they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<GivenOrder>,
    /// When the pass began.
    pub begun: Timestamp,
    /// How long it took.
    pub took_seconds: f64,
    /// How it ended.
    pub result: PassResult,
    /// Why it ended so, in one or more lines; may be empty.
    pub message: String,
    /// What was done, in one line; may be empty.
    pub summary: String,
    /// How many changes were done.
    pub changes: usize,
    /// How many changes failed.
    pub failed: usize,
    /// How often it came so; more than once: only the first time, and the last, are told.
    pub times: u32,
    /// When it came so last.
    pub last: Timestamp,
}

/// A deployment in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// It in short.
    #[serde(flatten)]
    pub entry: HistoryEntry,
    /// The first plan of the pass, as `bowline plan` prints it.
    pub plan: String,
    /// What was done, in the order in which it ended.
    pub actions: Vec<DeployedAction>,
    /// The images that the services ran at the end.
    pub images: BTreeMap<ServiceName, Vec<DeployedImage>>,
    /// The keyed digest of the definition.
    pub definition: Option<ContentDigest>,
}

/// One change of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeployedAction {
    /// What was done: `create`, `replace`, ...
    pub action: String,
    /// To what: `container web/1`.
    pub object: String,
    /// The service whose container it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// Why.
    pub reasons: Vec<DeployedReason>,
    /// The error that ended it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took.
    pub took_seconds: f64,
}

/// A field that differed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedReason {
    /// In Compose's terms.
    pub field: String,
    /// What it should be, fit to be shown.
    pub desired: String,
    /// What it was, fit to be shown.
    pub actual: String,
}

/// An image that a service ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedImage {
    /// `sha256:...`.
    pub id: String,
    /// What it was asked for by.
    pub reference: String,
}

/// The history of a stack; the body of `/v1/stacks/NAME/history`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The stack.
    pub stack: StackName,
    /// The newest first.
    pub deployments: Vec<HistoryEntry>,
}

/// An order by hand, for the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenOrder {
    /// `rollback`, `retry`, `apply`, ...
    pub order: String,
    /// Who gave it: the name of a user of this host, where that is known.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What was done about it at once, for people; may be empty.
    pub did: String,
}

/// What surrounds a deployment beside the report of its pass.
#[derive(Debug, Clone)]
pub struct Occasion {
    /// Why there was something to do.
    pub cause: DeploymentCause,
    /// The orders that it follows from.
    pub orders: Vec<GivenOrder>,
    /// The commit that the pass worked towards.
    pub revision: Option<Revision>,
    /// What that commit says of itself.
    pub commit: Option<Commit>,
    /// The commit in whose place it did.
    pub instead_of: Option<Revision>,
    /// What it worked towards.
    pub definition: Option<ContentDigest>,
}

impl Report {
    /// Whether the pass changed something, failed to, or took over what `apply` had made. A pull that is due and brings what is there
    /// already changes nothing.
    pub fn is_deployment(&self) -> bool {
        // That it is kept is no doing.
        if self.departure.as_ref().is_some_and(|departure| departure.held.is_some()) {
            return false;
        }
        if self.from_hand {
            return true;
        }
        let acted = self.actions.iter().any(|it| it.action != Action::Pull || it.error.is_some());
        let gave_up = || self.rollouts.iter().any(|it| it.verdict == RolloutVerdict::Paused);
        match self.result {
            PassResult::Failed
            | PassResult::Invalid
            | PassResult::Crashing
            | PassResult::Stalled
            | PassResult::Removed => true,
            PassResult::Paused => acted || gave_up(),
            PassResult::Unchanged
            | PassResult::Changed
            | PassResult::RolledBack
            | PassResult::Drifted
            | PassResult::Waiting
            | PassResult::Suspended => acted,
        }
    }

    /// Whether what was done is only due to names that stand for other images than before.
    pub fn is_of_images_only(&self) -> bool {
        let pulled = |name: &str| {
            self.actions.iter().any(|it| match &it.object {
                Object::Image(image) => it.action == Action::Pull && image == name,
                Object::Network(_) | Object::Volume(_) | Object::Container(_) | Object::Hook(_) => {
                    false
                }
            })
        };
        let mut reasons =
            self.actions.iter().filter(|it| it.action != Action::Pull).flat_map(|it| &it.reasons);
        let is_image = |field: &str, desired: &str| {
            let name = desired.split(' ').next().unwrap_or_default();
            field.rsplit('.').next() == Some("image") && pulled(name)
        };
        let first = reasons.next().map(|it| is_image(&it.field, &it.desired));
        first.unwrap_or_default() && reasons.all(|it| is_image(&it.field, &it.desired))
    }
}

impl Deployment {
    /// That of a pass. It gets its id where it is kept.
    pub fn of(report: &Report, occasion: Occasion) -> Self {
        let Occasion { cause, orders, revision, commit, instead_of, definition } = occasion;
        let order = each_once(orders.iter().map(|given| given.order.as_str()));
        let by = each_once(orders.iter().map(|given| given.by.as_str()));
        let done = report.actions.iter().filter(|action| action.error.is_none()).count();
        let entry = HistoryEntry {
            id: 0,
            stack: report.stack.clone(),
            source: report.source.clone(),
            revision,
            commit,
            instead_of,
            cause,
            order,
            by,
            orders,
            begun: report.started,
            took_seconds: report.took.as_secs_f64(),
            result: report.result,
            message: cut(&report.message, LONGEST_MESSAGE),
            summary: cut(&summary(&report.actions), LONGEST_VALUE),
            changes: done,
            failed: report.actions.len() - done,
            times: 1,
            last: report.started,
        };
        let images = report.seen.iter().flat_map(|seen| &seen.images).map(|(service, images)| {
            let images = images.iter().map(|(id, reference)| DeployedImage {
                id: id.clone(),
                reference: cut(reference, LONGEST_VALUE),
            });
            (service.clone(), images.collect())
        });
        Self {
            entry,
            plan: cut(&report.plan, LONGEST_PLAN),
            actions: actions(&report.actions),
            images: images.collect(),
            definition,
        }
    }

    /// Whether `later` tells nothing but that it came so again.
    pub fn is_repeated_by(&self, later: &Self) -> bool {
        let (was, is) = (&self.entry, &later.entry);
        let same = was.result == is.result && self.definition == later.definition;
        let is_ordered = is.order.is_some();
        if !same || is_ordered {
            return false;
        }
        if self.is_repair() {
            let soon = is.begun.duration_since(was.last) < SAME_REPAIR;
            return soon && was.cause == is.cause && self.acts().eq(later.acts());
        }
        // What was done beside the failure is told.
        let did_no_more = is.changes == 0 || self.acts().eq(later.acts());
        did_no_more
            && gist(&was.message) == gist(&is.message)
            && (was.cause == DeploymentCause::Removal) == (is.cause == DeploymentCause::Removal)
    }

    /// Counts that it came so again.
    pub fn repeat(&mut self, later: Self) {
        let (was, is) = (&mut self.entry, later.entry);
        was.times = was.times.saturating_add(is.times);
        (was.last, was.took_seconds, was.message) = (is.last, is.took_seconds, is.message);
    }

    /// Adds this one to those of its stack, of which `last` are the last, the newest first. Returns
    /// the one that is new, or that was changed.
    #[must_use]
    pub fn among(mut self, last: impl IntoIterator<Item = Self>, next_id: u64) -> Self {
        for mut former in last {
            if former.is_repeated_by(&self) {
                former.repeat(self);
                return former;
            }
            // Failures may take turns; what was done between two of them parts them.
            if former.is_repair() || self.is_repair() {
                break;
            }
        }
        self.entry.id = next_id;
        self
    }

    /// Whether it came to its end.
    fn is_repair(&self) -> bool {
        let result = self.entry.result;
        result.is_success() || result == PassResult::RolledBack
    }

    fn acts(&self) -> impl Iterator<Item = (&str, &str, &[DeployedReason], bool)> {
        self.actions.iter().map(|it| {
            (it.action.as_str(), it.object.as_str(), it.reasons.as_slice(), it.error.is_some())
        })
    }
}

impl DeployedAction {
    /// Whether it is about a service: its container, or its image.
    pub fn concerns(&self, service: &ServiceName) -> bool {
        let prefix = format!("services.{service}.");
        self.service.as_ref() == Some(service)
            || self.reasons.iter().any(|reason| reason.field.starts_with(&prefix))
    }
}

impl From<Deployment> for HistoryEntry {
    fn from(deployment: Deployment) -> Self {
        deployment.entry
    }
}

impl HistoryEntry {
    /// What it was about, in one line: what its commit says, why it failed, or what was done.
    pub fn what(&self) -> String {
        let subject = self.commit.as_ref().map(|commit| commit.subject.clone());
        let subject = subject.filter(|_| self.cause == DeploymentCause::Commit);
        let message = || first_line(&self.message);
        if self.result.is_success() && (self.changes > 0 || self.message.is_empty()) {
            return subject.unwrap_or_else(|| self.summary.clone());
        }
        match message() {
            line if line.is_empty() => subject.unwrap_or_else(|| self.summary.clone()),
            line => line,
        }
    }

    /// What caused it, with the order.
    pub fn cause_text(&self) -> String {
        match &self.order {
            Some(order) => order.clone(),
            None => self.cause.word().to_owned(),
        }
    }

    /// Who stands behind it: who gave the order, or who made the commit.
    pub fn who(&self) -> Option<&str> {
        let author = self.commit.as_ref().map(|commit| commit.author.as_str());
        self.by.as_deref().or(author.filter(|_| self.order.is_none()))
    }
}

/// The words with commas, each only once; `None`: there is none.
fn each_once<'w>(words: impl Iterator<Item = &'w str>) -> Option<String> {
    let mut once: Vec<&str> = Vec::new();
    for word in words {
        if !once.contains(&word) {
            once.push(word);
        }
    }
    (!once.is_empty()).then(|| once.join(", "))
}

fn actions(reports: &[ActionReport]) -> Vec<DeployedAction> {
    let mut left = MOST_REASONS;
    let kept = reports.iter().take(MOST_ACTIONS).map(|report| {
        let action = action(report, left);
        left -= action.reasons.len();
        action
    });
    kept.collect()
}

/// An action with at most so many of its reasons.
fn action(report: &ActionReport, most: usize) -> DeployedAction {
    let reasons = report.reasons.iter().take(most).map(|reason| DeployedReason {
        field: cut(&reason.field, LONGEST_VALUE),
        desired: cut(&reason.desired, LONGEST_VALUE),
        actual: cut(&reason.actual, LONGEST_VALUE),
    });
    DeployedAction {
        action: report.action.word().to_owned(),
        object: report.object.to_string(),
        service: report.object.service().cloned(),
        reasons: reasons.collect(),
        error: report.error.as_ref().map(|error| cut(error, LONGEST_VALUE)),
        took_seconds: report.took.as_secs_f64(),
    }
}

/// `pull image web:2; replace container web/1, container web/2 and 3 more`.
fn summary(actions: &[ActionReport]) -> String {
    let mut kinds: Vec<(Action, Vec<String>)> = Vec::new();
    for report in actions {
        let object = report.object.to_string();
        match kinds.iter_mut().find(|(action, _)| *action == report.action) {
            Some((_, objects)) => objects.push(object),
            None => kinds.push((report.action, vec![object])),
        }
    }
    let kinds = kinds.into_iter().map(|(action, objects)| {
        let named = objects.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = match objects.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{} {named}{more}", action.word())
    });
    kinds.collect::<Vec<_>>().join("; ")
}

/// What stays the same when a failure comes again: not times, counts and ids.
fn gist(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let words = line.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

/// At most so many bytes, with a word about what is left out.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
    format!("{}… ({} bytes more)", &text[..end], text.len() - end)
}

#[cfg(test)]
mod tests;
