//! Counts passes, and shows how the last one over each stack ended and what it found running.

use super::families::Page;
use super::{gauge, gone};
use crate::status::{PassResult, Report, StackStatus, Workload};
use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};

/// From a look that finds nothing to a rollout of half an hour.
const PASS_SECONDS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0];
/// How a container that a stack asks for may be.
const STATES: [&str; 4] = ["up", "starting", "unhealthy", "down"];

/// The families about passes.
#[derive(Debug)]
pub(super) struct Passes {
    reconciles: IntCounterVec,
    seconds: HistogramVec,
    last_result: IntGaugeVec,
    last_end: GaugeVec,
    last_success: GaugeVec,
    containers: IntGaugeVec,
    exits: IntCounterVec,
}

impl Passes {
    pub(super) fn register(page: &Page<'_>) -> Self {
        Self {
            reconciles: page.counters(
                "reconcile_total",
                "Passes over a stack by how they ended.",
                &["stack", "result"],
            ),
            seconds: page.histograms(
                "reconcile_duration_seconds",
                "How long passes over a stack took.",
                &["stack"],
                PASS_SECONDS,
            ),
            last_result: page.gauges(
                "last_reconcile_result",
                "1 for how the last pass over a stack ended, 0 for the others.",
                &["stack", "result"],
            ),
            last_end: page.times(
                "last_reconcile_timestamp_seconds",
                "When the last pass over a stack ended, unix time.",
                &["stack"],
            ),
            last_success: page.times(
                "last_success_timestamp_seconds",
                "When a pass last succeeded, unix time.",
                &["stack"],
            ),
            containers: page.gauges(
                "stack_containers",
                "Containers that a stack asks for by how they are; absent while that is not known.",
                &["stack", "state"],
            ),
            exits: page.counters(
                "container_exits_total",
                "Containers of a stack that ended, those that were told to included.",
                &["stack"],
            ),
        }
    }

    /// Takes in a pass. Every series of a stack begins with its first one, so that a rate sees the
    /// first failure.
    pub(super) fn observe(&self, report: &Report) {
        let stack = report.stack.as_str();
        for result in shown_results() {
            let so = result == report.told();
            let labels = [stack, result.word()];
            self.reconciles.with_label_values(&labels).inc_by(u64::from(so));
            self.last_result.with_label_values(&labels).set(i64::from(so));
        }
        self.seconds.with_label_values(&[stack]).observe(report.took.as_secs_f64());
        let ended = report.started.as_duration().as_secs_f64() + report.took.as_secs_f64();
        self.last_end.with_label_values(&[stack]).set(ended);
        if report.result.is_success() {
            self.last_success.with_label_values(&[stack]).set(ended);
        }
        self.exits.with_label_values(&[stack]).inc_by(0);
    }

    /// Shows how a stack's containers are.
    pub(super) fn show(&self, status: &StackStatus) {
        let stack = status.name.as_str();
        match status.workload {
            Some(workload) => {
                for (state, count) in STATES.into_iter().zip(counts(workload)) {
                    self.containers.with_label_values(&[stack, state]).set(gauge(count));
                }
            }
            None => self.forget_containers(stack),
        }
    }

    /// Counts that a container ended.
    pub(super) fn exited(&self, stack: &str) {
        self.exits.with_label_values(&[stack]).inc();
    }

    /// Removes the series of a stack.
    pub(super) fn forget(&self, stack: &str) {
        for result in shown_results() {
            gone(self.reconciles.remove_label_values(&[stack, result.word()]));
            gone(self.last_result.remove_label_values(&[stack, result.word()]));
        }
        gone(self.seconds.remove_label_values(&[stack]));
        gone(self.last_end.remove_label_values(&[stack]));
        gone(self.last_success.remove_label_values(&[stack]));
        gone(self.exits.remove_label_values(&[stack]));
        self.forget_containers(stack);
    }

    fn forget_containers(&self, stack: &str) {
        for state in STATES {
            gone(self.containers.remove_label_values(&[stack, state]));
        }
    }
}

/// A stack that is gone has no series left to tell so.
fn shown_results() -> impl Iterator<Item = PassResult> {
    PassResult::ALL.into_iter().filter(|result| *result != PassResult::Removed)
}

/// In the order of [`STATES`]; their sum is what the stack asks for.
fn counts(workload: Workload) -> [usize; 4] {
    let Workload { desired, up, starting, unhealthy } = workload;
    [up, starting, unhealthy, desired.saturating_sub(up + starting + unhealthy)]
}
