//! What the agent writes to the log: every action with its stack, revision and reasons.

use super::Views;
use crate::execute::{Notice, Onlooker};
use crate::model::{Revision, StackName};
use crate::status::{PassResult, Report};
use std::sync::Arc;

/// An onlooker that logs what is done to one stack, and shows how far its update is.
pub(super) fn showing(views: Views, name: &StackName, revision: Option<&Revision>) -> Onlooker {
    let (name, stack) = (name.clone(), name.to_string());
    let revision = revision.map(|revision| revision.short().to_owned()).unwrap_or_default();
    Arc::new(move |notice| match notice {
        Notice::Began(change) => {
            let action = change.action.word();
            for reason in &change.reasons {
                tracing::info!(
                    stack, revision, action, object = %change.object, field = reason.field,
                    desired = reason.desired, actual = reason.actual, "{change}: {reason}"
                );
            }
        }
        Notice::Doing(change, what) => {
            tracing::debug!(stack, revision, object = %change.object, "{what}");
        }
        Notice::Warned(change, error) => {
            tracing::warn!(stack, revision, object = %change.object, "{error}");
        }
        Notice::Slot(notice) => {
            let (slot, phase) = (notice.slot, notice.phase.word());
            tracing::debug!(stack, revision, slot = %slot, phase, "{slot}: {phase}");
            views.note_slot(&name, &notice);
        }
        Notice::Unjudged(slot, why) => {
            tracing::warn!(stack, revision, slot = %slot, "{slot}: {why}");
        }
        Notice::Ended(change, result, took) => {
            let (action, millis) = (change.action.word(), took.as_millis());
            match result {
                Ok(()) => tracing::info!(
                    stack, revision, action, object = %change.object, millis,
                    "{change}: done"
                ),
                Err(error) => tracing::error!(
                    stack, revision, action, object = %change.object, millis,
                    "{change}: failed: {error}"
                ),
            }
        }
    })
}

/// Logs how a pass ended, unless it found nothing to do. That files are still in error, that a
/// stack still differs and is left so, or still waits, is not `repeated` with every pass.
pub(super) fn ended(report: &Report, repeated: bool) {
    let stack = report.stack.as_str();
    let revision = report.revision.as_ref().map(Revision::short).unwrap_or_default();
    let (result, millis) = (report.result.word(), report.took.as_millis());
    let at = if revision.is_empty() { String::new() } else { format!(" at {revision}") };
    let told_once = [
        PassResult::Invalid,
        PassResult::Paused,
        PassResult::RolledBack,
        PassResult::Drifted,
        PassResult::Waiting,
    ];
    if told_once.contains(&report.result) && repeated {
        tracing::debug!(stack, revision, result, millis, "pass {result}{at}: {}", report.message);
    } else if report.result == PassResult::Waiting {
        tracing::info!(stack, revision, result, millis, "pass {result}{at}: {}", report.message);
    } else if report.result == PassResult::Drifted {
        tracing::warn!(stack, revision, result, millis, "pass {result}{at}: {}", report.message);
    } else if !report.result.is_success() {
        tracing::error!(stack, revision, result, millis, "pass {result}{at}: {}", report.message);
    } else if report.actions.is_empty() {
        tracing::debug!(stack, revision, result, millis, "pass {result}{at}");
    } else {
        let (changes, seconds) = (report.actions.len(), report.took.as_secs_f64());
        tracing::info!(
            stack,
            revision,
            result,
            millis,
            "pass {result}{at}: as desired; changes: {changes}, in {seconds:.1} s"
        );
    }
}
