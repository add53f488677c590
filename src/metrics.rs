//! Reports as Prometheus metrics. Owns its registry: there are no globals, and no other room counts.
//!
//! Label values are names of configured stacks and sources or words from fixed lists; an unknown
//! word becomes `other`, so nothing outside can make series without bound.

mod families;
mod passes;
mod sources;
mod updates;
mod words;

use crate::model::{SourceName, StackName};
use crate::plan::Action;
use crate::status::{
    ConditionKind, DriftKind, PassResult, Report, SourceReport, SourceStatus, StackStatus, Verdict,
};
use crate::webhook::{Answer, Provider};
use families::Families;
use jiff::Timestamp;
use prometheus::{Registry, TextEncoder};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The media type of [`Metrics::render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The labels of `bowline_stack_info`: stack, source, revision, sync and health.
type StackLabels = [String; 5];

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Families,
    shown: Mutex<BTreeMap<StackName, StackLabels>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A page on which nothing has happened yet.
    pub fn new() -> Self {
        let registry = Registry::new();
        let families = Families::register(&registry);
        Self { registry, families, shown: Mutex::default() }
    }

    /// Counts a pass. After [`PassResult::Removed`] the stack's series are gone.
    pub fn observe(&self, report: &Report) {
        if report.result == PassResult::Removed {
            return self.forget(&report.stack);
        }
        let stack = report.stack.as_str();
        let families = &self.families;
        families.passes.observe(report);
        for kind in DriftKind::ALL {
            let found = report.drift.get(&kind).copied().unwrap_or(0);
            let left = if report.leaves_drift() { found } else { 0 };
            let labels = [stack, kind.word()];
            families.drift_fields.with_label_values(&labels).set(gauge(left));
            families.drift_found.with_label_values(&labels).inc_by(found as u64);
        }
        for action in Action::ALL {
            let made = report.actions.iter().filter(|done| done.action == action).count();
            families.actions.with_label_values(&[stack, action.word()]).inc_by(made as u64);
        }
        families.updates.observe(report);
    }

    /// Shows a stack's state in place of its former one.
    pub fn set_status(&self, status: &StackStatus) {
        let labels = [
            status.name.to_string(),
            status.source.as_ref().map(ToString::to_string).unwrap_or_default(),
            status.revision.as_ref().map(ToString::to_string).unwrap_or_default(),
            status.sync.word().to_owned(),
            status.health.word().to_owned(),
        ];
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = shown.insert(status.name.clone(), labels.clone())
            && former != labels
        {
            gone(self.families.stack_info.remove_label_values(&former));
        }
        self.families.stack_info.with_label_values(&labels).set(1);
        drop(shown);
        self.families.passes.show(status);
        self.families.updates.show(status);
        for condition in &status.conditions {
            for verdict in Verdict::ALL {
                self.families
                    .stack_condition
                    .with_label_values(&[
                        status.name.as_str(),
                        condition.kind.word(),
                        verdict.word(),
                    ])
                    .set(i64::from(verdict == condition.status));
            }
        }
    }

    /// Counts that somebody had a stack go back.
    pub fn rolled_back_by_hand(&self, stack: &StackName) {
        self.families.updates.by_hand(stack);
    }

    /// Counts a fetch.
    pub fn observe_source(&self, report: &SourceReport) {
        self.families.sources.observe(report);
    }

    /// Shows how a source is.
    pub fn set_source_status(&self, status: &SourceStatus) {
        self.families.sources.show(status);
    }

    /// Counts a webhook; `provider`: absent where it says nothing of that.
    pub fn webhook(&self, provider: Option<Provider>, answer: Answer) {
        let provider = provider.map_or(words::OTHER, Provider::word);
        self.families.webhooks.with_label_values(&[provider, answer.word()]).inc();
    }

    /// Removes every series of a stack that is ours no more.
    pub fn forget(&self, stack: &StackName) {
        let families = &self.families;
        let labels = self.shown.lock().unwrap_or_else(PoisonError::into_inner).remove(stack);
        if let Some(labels) = labels {
            gone(families.stack_info.remove_label_values(&labels));
        }
        let stack = stack.as_str();
        for kind in ConditionKind::ALL {
            for verdict in Verdict::ALL {
                let labels = [stack, kind.word(), verdict.word()];
                gone(families.stack_condition.remove_label_values(&labels));
            }
        }
        for kind in DriftKind::ALL {
            gone(families.drift_fields.remove_label_values(&[stack, kind.word()]));
            gone(families.drift_found.remove_label_values(&[stack, kind.word()]));
        }
        for action in Action::ALL {
            gone(families.actions.remove_label_values(&[stack, action.word()]));
        }
        families.passes.forget(stack);
        families.updates.forget(stack);
    }

    /// Removes every series of a source that is watched no more.
    pub fn forget_source(&self, source: &SourceName) {
        self.families.sources.forget(source);
    }

    /// Counts that a container of a stack ended. `stack` is one that is asked for: anybody may write
    /// any name on a container.
    pub fn container_exited(&self, stack: &StackName) {
        self.families.passes.exited(stack.as_str());
    }

    /// Whether the engine answers.
    pub fn engine_up(&self, up: bool) {
        self.families.engine_up.set(i64::from(up));
    }

    /// Counts a call to the engine. One that no object can be at fault for also tells whether it answers.
    pub fn engine_request(&self, operation: &str, ok: bool, took: Duration) {
        let operation = words::known_operation(operation);
        if words::asks_for_all(operation) {
            self.engine_up(ok);
        }
        self.families.engine_requests.with_label_values(&[operation, result(ok)]).inc();
        let took = took.as_secs_f64();
        self.families.engine_seconds.with_label_values(&[operation]).observe(took);
    }

    /// Counts an event from the engine, by Docker's word for it.
    pub fn engine_event(&self, action: &str) {
        self.families.engine_events.with_label_values(&[words::known_event(action)]).inc();
    }

    /// Counts that the event stream was opened again.
    pub fn event_stream_reconnected(&self) {
        self.families.reconnects.inc();
    }

    /// How many stacks wait for a pass now.
    pub fn queue_depth(&self, waiting: usize) {
        self.families.queue_depth.set(gauge(waiting));
    }

    /// How many passes are under way.
    pub fn passes_running(&self, running: usize) {
        self.families.passes_running.set(gauge(running));
    }

    /// Every source was tried and every stack had a pass.
    pub fn ready(&self) {
        self.families.ready.set(1);
    }

    /// The configuration was read at `now`: it is in use, or (`!well`) in error and the former one stays.
    pub fn config_read(&self, well: bool, now: Timestamp) {
        self.families.config_loaded.set(i64::from(well));
        if well {
            self.families.config_loaded_at.set(now.as_duration().as_secs_f64());
        }
    }

    /// How many stacks that left their source are held, and how many are being taken away.
    pub fn departed(&self, held: usize, removing: usize) {
        for (state, count) in [("held", held), ("removing", removing)] {
            self.families.departed.with_label_values(&[state]).set(gauge(count));
        }
    }

    /// Whether the inventory can be written.
    pub fn inventory_up(&self, up: bool) {
        self.families.inventory_up.set(i64::from(up));
    }

    /// Whether the history of deployments can be written.
    pub fn history_up(&self, up: bool) {
        self.families.history_up.set(i64::from(up));
    }

    /// Counts that an image was removed for not being needed.
    pub fn image_removed(&self) {
        self.families.images_removed.inc();
    }

    /// The page in Prometheus' text format.
    pub fn render(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("a registry gathers only families with a name and series")
    }
}

fn result(ok: bool) -> &'static str {
    if ok { "success" } else { "error" }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Removing a series that was never made is no error to us.
fn gone(_: prometheus::Result<()>) {}
