//! Counts fetches of git sources, and shows whether what they bring is signed.

use super::families::Page;
use super::{gone, result};
use crate::model::SourceName;
use crate::status::SourceReport;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

/// From a look at a local repository to a clone over a slow line.
const FETCH_SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// The families about sources.
#[derive(Debug)]
pub(super) struct Sources {
    fetches: IntCounterVec,
    fetch_seconds: HistogramVec,
    verified: IntGaugeVec,
}

impl Sources {
    pub(super) fn register(page: &Page<'_>) -> Self {
        Self {
            fetches: page.counters(
                "source_fetch_total",
                "Fetches of a git source by how they ended.",
                &["source", "result"],
            ),
            fetch_seconds: page.histograms(
                "source_fetch_duration_seconds",
                "How long fetches of a git source took.",
                &["source"],
                FETCH_SECONDS,
            ),
            verified: page.gauges(
                "source_verified",
                "1 while the newest revision of a source that is verified is signed as it should be, else 0.",
                &["source"],
            ),
        }
    }

    /// Counts a fetch. One that came to no verdict about signatures leaves the former one.
    pub(super) fn observe(&self, report: &SourceReport) {
        let source = report.source.as_str();
        for ok in [true, false] {
            self.fetches
                .with_label_values(&[source, result(ok)])
                .inc_by(u64::from(ok == report.outcome.is_ok()));
        }
        if let Some(verification) = &report.verification {
            self.verified.with_label_values(&[source]).set(verification.is_ok().into());
        }
        let took = report.took.as_secs_f64();
        self.fetch_seconds.with_label_values(&[source]).observe(took);
    }

    /// Removes every series of a source.
    pub(super) fn forget(&self, source: &SourceName) {
        for ok in [true, false] {
            gone(self.fetches.remove_label_values(&[source.as_str(), result(ok)]));
        }
        gone(self.fetch_seconds.remove_label_values(&[source.as_str()]));
        gone(self.verified.remove_label_values(&[source.as_str()]));
    }
}
