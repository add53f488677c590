//! Counts fetches of git sources, and shows how each source is.

use super::families::Page;
use super::{gone, result};
use crate::model::SourceName;
use crate::status::{SourceReport, SourceStatus};
use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// From a look at a local repository to a clone over a slow line.
const FETCH_SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// The families about sources.
#[derive(Debug)]
pub(super) struct Sources {
    fetches: IntCounterVec,
    fetch_seconds: HistogramVec,
    verified: IntGaugeVec,
    info: IntGaugeVec,
    failures: IntGaugeVec,
    last_success: GaugeVec,
    next_fetch: GaugeVec,
    /// The revision in `info`.
    shown: Mutex<BTreeMap<SourceName, String>>,
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
            info: page.gauges(
                "source_info",
                "One series a source with the commit that is checked out; always 1.",
                &["source", "revision"],
            ),
            failures: page.gauges(
                "source_consecutive_failures",
                "How many fetches of a source failed since the last one that succeeded.",
                &["source"],
            ),
            last_success: page.times(
                "source_last_success_timestamp_seconds",
                "When a source was last fetched, unix time.",
                &["source"],
            ),
            next_fetch: page.times(
                "source_next_fetch_timestamp_seconds",
                "When a source is fetched next by itself, unix time.",
                &["source"],
            ),
            shown: Mutex::default(),
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

    /// Shows a source's state in place of its former one.
    pub(super) fn show(&self, status: &SourceStatus) {
        let source = status.name.as_str();
        let revision = status.revision.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = shown.insert(status.name.clone(), revision.clone())
            && former != revision
        {
            gone(self.info.remove_label_values(&[source, &former]));
        }
        self.info.with_label_values(&[source, &revision]).set(1);
        drop(shown);
        self.failures.with_label_values(&[source]).set(status.failures.into());
        for (family, at) in
            [(&self.last_success, status.last_success), (&self.next_fetch, status.next_fetch)]
        {
            match at {
                Some(at) => {
                    family.with_label_values(&[source]).set(at.as_duration().as_secs_f64());
                }
                None => gone(family.remove_label_values(&[source])),
            }
        }
    }

    /// Removes every series of a source.
    pub(super) fn forget(&self, source: &SourceName) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(revision) = shown.remove(source) {
            gone(self.info.remove_label_values(&[source.as_str(), &revision]));
        }
        drop(shown);
        gone(self.failures.remove_label_values(&[source.as_str()]));
        gone(self.last_success.remove_label_values(&[source.as_str()]));
        gone(self.next_fetch.remove_label_values(&[source.as_str()]));
        for ok in [true, false] {
            gone(self.fetches.remove_label_values(&[source.as_str(), result(ok)]));
        }
        gone(self.fetch_seconds.remove_label_values(&[source.as_str()]));
        gone(self.verified.remove_label_values(&[source.as_str()]));
    }
}
