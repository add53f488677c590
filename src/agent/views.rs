//! What the agent shows of itself: one place where reports become status, metrics and a word to
//! systemd.

use super::Clock;
use crate::http::{Liveness, Shared};
use crate::metrics::Metrics;
use crate::model::{Revision, SourceName, StackName};
use crate::status::{
    Board, Remembered, Report, SlotNotice, SourceReport, SyncStatus, Towards, Workload,
};
use crate::systemd;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The longest time between two beats of a living loop.
const LIVENESS_BOUND: Duration = Duration::from_secs(10);

/// Status, metrics and their pages, and the time that the agent goes by.
#[derive(Clone)]
pub struct Views {
    /// What the HTTP pages read.
    pub shared: Arc<Shared>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// What windows are judged by.
    pub clock: Clock,
}

impl Default for Views {
    fn default() -> Self {
        let metrics = Arc::new(Metrics::new());
        let page = Arc::clone(&metrics);
        let shared = Shared::new(Liveness::new(LIVENESS_BOUND), move || page.render());
        Self { shared: Arc::new(shared), metrics, clock: Clock::default() }
    }
}

impl Views {
    pub(super) fn begin(&self, stack: &StackName, revision: Option<&Revision>) {
        self.shared.board_mut().begin(stack, revision, Timestamp::now());
    }

    /// The pass under way begins to change something.
    pub(super) fn note_change(&self, stack: &StackName) {
        let mut board = self.shared.board_mut();
        board.note_change(stack, Timestamp::now());
        self.show(&board, stack);
    }

    /// A slot came to another phase.
    pub(super) fn note_slot(&self, stack: &StackName, notice: &SlotNotice<'_>) {
        let mut board = self.shared.board_mut();
        board.note_slot(stack, notice, Timestamp::now());
        self.show(&board, stack);
    }

    /// The pass under way works towards something else than the commit that it began at.
    pub(super) fn note_towards(&self, stack: &StackName, towards: Towards) {
        self.shared.board_mut().note_towards(stack, towards);
    }

    /// The pass under way begins to pull an image.
    pub(super) fn note_pull(&self, stack: &StackName, image: &str) {
        self.shared.board_mut().note_pull(stack, image);
    }

    /// Whether the pass under way changes something.
    pub(super) fn is_changing(&self, stack: &StackName) -> bool {
        self.shared.board().is_changing(stack)
    }

    /// How containers are in the middle of a pass.
    pub(super) fn note_workload(&self, stack: &StackName, workload: Workload) {
        let mut board = self.shared.board_mut();
        board.note_workload(stack, workload);
        self.show(&board, stack);
    }

    /// What is known before a pass tells.
    pub(super) fn note_remembered(&self, stack: &StackName, known: Remembered) {
        let mut board = self.shared.board_mut();
        board.note_remembered(stack, known);
        self.show(&board, stack);
    }

    pub(super) fn note(&self, report: &Report) {
        self.metrics.observe(report);
        let mut board = self.shared.board_mut();
        board.note(report);
        self.show(&board, &report.stack);
    }

    fn show(&self, board: &Board, stack: &StackName) {
        if let Some(status) = board.stack(stack) {
            self.metrics.set_status(status);
        }
    }

    pub(super) fn note_source(&self, report: &SourceReport) {
        self.metrics.observe_source(report);
        let mut board = self.shared.board_mut();
        board.note_source(report);
        if let Some(status) = board.sources().find(|status| status.name == report.source) {
            self.metrics.set_source_status(status);
        }
    }

    pub(super) fn forget(&self, stack: &StackName) {
        self.shared.board_mut().forget(stack);
        self.metrics.forget(stack);
    }

    pub(super) fn forget_source(&self, source: &SourceName) {
        self.shared.board_mut().forget_source(source);
        self.metrics.forget_source(source);
    }

    pub(super) fn ready(&self) {
        self.shared.readiness.ready();
        self.metrics.ready();
        systemd::ready();
    }

    /// The loop turns, with so many stacks waiting, and so many passes under way; `trouble` is what else an
    /// operator should know.
    pub(super) fn beat(&self, waiting: usize, running: usize, trouble: Option<&str>) {
        self.shared.liveness.tick();
        self.metrics.queue_depth(waiting);
        self.metrics.passes_running(running);
        self.tell_summary(trouble);
        systemd::alive();
    }

    /// A line for `systemctl status`.
    pub(super) fn tell_summary(&self, trouble: Option<&str>) {
        let board = self.shared.board();
        let synced = board.stacks().filter(|stack| stack.sync == SyncStatus::Synced).count();
        let all = board.stacks().count();
        drop(board);
        let trouble = trouble.map(|trouble| format!("; {trouble}")).unwrap_or_default();
        systemd::status(&format!("{synced} of {all} stacks synced{trouble}"));
    }
}
