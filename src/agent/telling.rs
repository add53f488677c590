//! What the agent writes to the log: every action with its stack, revision and reasons.

use super::Views;
use crate::execute::{Notice, Onlooker};
use crate::model::{Revision, StackName};
use crate::plan::{Action, Object};
use crate::status::{PassResult, Report, RolloutVerdict, first_line};
use std::sync::Arc;

/// An onlooker that logs what is done to one stack, and shows how far its update is.
pub(super) fn showing(views: Views, name: &StackName, revision: Option<&Revision>) -> Onlooker {
    let (name, stack) = (name.clone(), name.to_string());
    let revision = revision.map(|revision| revision.short().to_owned()).unwrap_or_default();
    Arc::new(move |notice| match notice {
        Notice::Began(change) => {
            // A pull changes nothing that runs.
            match &change.object {
                Object::Image(image) if change.action == Action::Pull => {
                    views.note_pull(&name, image);
                }
                _ => views.note_change(&name),
            }
            let action = change.action.word();
            for reason in &change.reasons {
                tracing::info!(
                    %stack, revision, action, object = %change.object, field = reason.field,
                    desired = reason.desired, actual = reason.actual, "{change}: {reason}"
                );
            }
        }
        Notice::Doing(change, what) => {
            tracing::debug!(%stack, revision, object = %change.object, "{what}");
        }
        Notice::Warned(change, error) => {
            tracing::warn!(%stack, revision, object = %change.object, "{error}");
        }
        Notice::Slot(notice) => {
            let (slot, phase) = (notice.slot, notice.phase.word());
            tracing::debug!(%stack, revision, slot = %slot, phase, "{slot}: {phase}");
            views.note_slot(&name, &notice);
        }
        Notice::Unjudged(slot, why) => {
            tracing::warn!(%stack, revision, slot = %slot, "{slot}: {why}");
        }
        Notice::Ended(change, result, took) => {
            let (action, millis) = (change.action.word(), took.as_millis());
            match result {
                Ok(()) => tracing::info!(
                    %stack, revision, action, object = %change.object, millis,
                    "{change}: done"
                ),
                // The end of the pass tells it as an error.
                Err(error) => tracing::info!(
                    %stack, revision, action, object = %change.object, millis,
                    "{change}: failed: {}", first_line(&error.to_string())
                ),
            }
        }
    })
}

/// Says of a pass that the stop came in the middle of it: no failure of the stack.
pub(super) fn broken_off(report: &Report) {
    let (stack, message) = (report.stack.as_str(), &report.message);
    tracing::info!(%stack, "broken off by the stop; the next start goes on from there: {message}");
}

/// Logs how a pass ended, unless it found nothing to do. A failure is told here alone as an error, with
/// all that is known of it. That files are still in error, that a stack still differs and is left so, or
/// still waits, is not `repeated` with every pass.
pub(super) fn ended(report: &Report, repeated: bool) {
    let stack = report.stack.as_str();
    let revision = report.asked().map(Revision::short).unwrap_or_default();
    let (word, millis) = (report.told().word(), report.took.as_millis());
    let at = if revision.is_empty() { String::new() } else { format!(" at {revision}") };
    let standing = [
        PassResult::Invalid,
        PassResult::Paused,
        PassResult::RolledBack,
        PassResult::Drifted,
        PassResult::Waiting,
        PassResult::Suspended,
    ];
    // An update that rests failed in the pass that tells so; later ones only say that it does.
    let gave_up = report.rollouts.iter().any(|it| it.verdict == RolloutVerdict::Paused);
    let message = &report.message;
    match report.told() {
        result if standing.contains(&result) && repeated => {
            tracing::debug!(%stack, revision, result = word, millis, "pass {word}{at}: {message}");
        }
        PassResult::Waiting | PassResult::Suspended => {
            tracing::info!(%stack, revision, result = word, millis, "pass {word}{at}: {message}");
        }
        PassResult::Paused if gave_up => {
            tracing::error!(%stack, revision, result = word, millis, "pass {word}{at}: {message}");
        }
        PassResult::Drifted | PassResult::Paused | PassResult::RolledBack => {
            tracing::warn!(%stack, revision, result = word, millis, "pass {word}{at}: {message}");
        }
        PassResult::Failed | PassResult::Invalid | PassResult::Crashing | PassResult::Stalled => {
            tracing::error!(%stack, revision, result = word, millis, "pass {word}{at}: {message}");
        }
        PassResult::Unchanged | PassResult::Changed | PassResult::Removed
            if report.actions.is_empty() =>
        {
            tracing::debug!(%stack, revision, result = word, millis, "pass {word}{at}");
        }
        PassResult::Unchanged | PassResult::Changed | PassResult::Removed => {
            let (changes, seconds) = (report.actions.len(), report.took.as_secs_f64());
            tracing::info!(
                %stack,
                revision,
                result = word,
                millis,
                "pass {word}{at}: as desired; changes: {changes}, in {seconds:.1} s"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceName;
    use crate::status::RolloutReport;
    use jiff::Timestamp;
    use std::sync::Mutex;
    use tracing::Level;
    use tracing::subscriber::with_default;
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    #[derive(Default, Clone)]
    struct Levels(Arc<Mutex<Vec<Level>>>);

    impl<S: tracing::Subscriber> Layer<S> for Levels {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(*event.metadata().level());
        }
    }

    fn level(report: &Report, repeated: bool) -> Level {
        let levels = Levels::default();
        let subscriber = tracing_subscriber::registry().with(levels.clone());
        with_default(subscriber, || ended(report, repeated));
        let told = levels.0.lock().unwrap().clone();
        assert_eq!(told.len(), 1);
        told[0]
    }

    #[test]
    fn a_failure_is_an_error_once_and_what_stays_so_is_not() {
        let report = |result| {
            let begun = Report::begun(StackName::new("shop").unwrap(), Timestamp::UNIX_EPOCH);
            Report { result, ..begun }
        };
        for (result, first, again) in [
            (PassResult::Failed, Level::ERROR, Level::ERROR),
            (PassResult::Crashing, Level::ERROR, Level::ERROR),
            (PassResult::Invalid, Level::ERROR, Level::DEBUG),
            (PassResult::Paused, Level::WARN, Level::DEBUG),
            (PassResult::RolledBack, Level::WARN, Level::DEBUG),
            (PassResult::Waiting, Level::INFO, Level::DEBUG),
            (PassResult::Unchanged, Level::DEBUG, Level::DEBUG),
        ] {
            let report = report(result);
            assert_eq!((level(&report, false), level(&report, true)), (first, again), "{result:?}");
        }
        let rests = RolloutReport {
            service: ServiceName::new("web").unwrap(),
            verdict: RolloutVerdict::Paused,
            updated: 0,
            failed: 1,
            why: None,
            cause: None,
        };
        let gave_up = Report { rollouts: vec![rests], ..report(PassResult::Paused) };
        assert_eq!(level(&gave_up, false), Level::ERROR);
    }
}
