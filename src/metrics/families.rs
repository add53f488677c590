//! The metric families: names, labels, help and buckets. Puts no values into them.

use super::passes::Passes;
use super::sources::Sources;
use super::updates::Updates;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, core::Collector,
};

/// From a local call to a long pull.
const CALL_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0];

/// All families of one page.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) stack_info: IntGaugeVec,
    pub(super) stack_condition: IntGaugeVec,
    pub(super) drift_fields: IntGaugeVec,
    pub(super) drift_found: IntCounterVec,
    pub(super) passes: Passes,
    pub(super) actions: IntCounterVec,
    pub(super) updates: Updates,
    pub(super) engine_up: IntGauge,
    pub(super) engine_requests: IntCounterVec,
    pub(super) engine_seconds: HistogramVec,
    pub(super) engine_events: IntCounterVec,
    pub(super) reconnects: IntCounter,
    pub(super) sources: Sources,
    pub(super) webhooks: IntCounterVec,
    pub(super) queue_depth: IntGauge,
    pub(super) passes_running: IntGauge,
    pub(super) ready: IntGauge,
    pub(super) config_loaded: IntGauge,
    pub(super) config_loaded_at: Gauge,
    pub(super) departed: IntGaugeVec,
    pub(super) inventory_up: IntGauge,
    pub(super) history_up: IntGauge,
    pub(super) images_removed: IntCounter,
}

impl Families {
    pub(super) fn register(registry: &Registry) -> Self {
        let page = Page(registry);
        page.add(ProcessCollector::for_self());
        page.tell_version();
        Self {
            stack_info: page.gauges(
                "stack_info",
                "One series a stack with its current state as labels; always 1.",
                &["stack", "source", "revision", "sync_status", "health_status"],
            ),
            stack_condition: page.gauges(
                "stack_condition",
                "1 for the status that a condition of a stack has, 0 for the others.",
                &["stack", "type", "status"],
            ),
            drift_fields: page.gauges(
                "drift_fields",
                "Fields that differ from the desired state after the last pass.",
                &["stack", "kind"],
            ),
            drift_found: page.counters(
                "drift_fields_total",
                "Fields that differed when a pass began, by drift or by a new commit.",
                &["stack", "kind"],
            ),
            passes: Passes::register(&page),
            actions: page.counters(
                "actions_total",
                "Changes made to a stack's objects, those that failed included.",
                &["stack", "action"],
            ),
            updates: Updates::register(&page),
            engine_up: page.gauge("engine_up", "1 while the engine answers, else 0."),
            engine_requests: page.counters(
                "engine_requests_total",
                "Calls to the engine by how they ended.",
                &["operation", "result"],
            ),
            engine_seconds: page.histograms(
                "engine_request_duration_seconds",
                "How long calls to the engine took.",
                &["operation"],
                CALL_SECONDS,
            ),
            engine_events: page.counters(
                "engine_events_total",
                "Events heard from the engine.",
                &["action"],
            ),
            reconnects: page.keep(built(IntCounter::with_opts(named(
                "engine_event_stream_reconnects_total",
                "How often the engine's event stream was opened again.",
            )))),
            sources: Sources::register(&page),
            webhooks: page.counters(
                "webhook_requests_total",
                "Webhooks, by who they say they are from and how they were answered.",
                &["provider", "result"],
            ),
            queue_depth: page.gauge("queue_depth", "Stacks that wait for a pass."),
            passes_running: page.gauge("passes_running", "Passes that are under way."),
            ready: page.gauge(
                "ready",
                "1 once every source was tried and every stack had a pass, else 0.",
            ),
            config_loaded: page.gauge(
                "config_last_reload_successful",
                "1 while the configuration that was read last is in use, 0 if it was in error.",
            ),
            config_loaded_at: page.keep(built(Gauge::with_opts(named(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration in use was read, unix time.",
            )))),
            departed: page.gauges(
                "departed_stacks",
                "Stacks that left their source and are still there.",
                &["state"],
            ),
            inventory_up: page.gauge(
                "inventory_up",
                "1 while the inventory in the state directory can be written, else 0.",
            ),
            history_up: page.gauge(
                "history_up",
                "1 while the history in the state directory can be written, else 0.",
            ),
            images_removed: page.keep(built(IntCounter::with_opts(named(
                "images_removed_total",
                "Images removed since no container and no stack needs them any more.",
            )))),
        }
    }
}

pub(super) struct Page<'a>(&'a Registry);

impl Page<'_> {
    fn tell_version(&self) {
        self.gauges("build_info", "What this agent was built from; always 1.", &["version"])
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.keep(built(IntGauge::with_opts(named(name, help))))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.keep(built(IntGaugeVec::new(named(name, help), labels)))
    }

    pub(super) fn times(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.keep(built(GaugeVec::new(named(name, help), labels)))
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.keep(built(IntCounterVec::new(named(name, help), labels)))
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        bounds: &[f64],
    ) -> HistogramVec {
        let opts = HistogramOpts { common_opts: named(name, help), buckets: bounds.to_vec() };
        self.keep(built(HistogramVec::new(opts, labels)))
    }

    fn keep<C: Collector + Clone + 'static>(&self, family: C) -> C {
        self.add(family.clone());
        family
    }

    fn add(&self, family: impl Collector + 'static) {
        self.0.register(Box::new(family)).expect("each name is given once, above");
    }
}

fn named(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("bowline")
}

fn built<T>(family: prometheus::Result<T>) -> T {
    family.expect("names, labels and bounds are written above and are valid")
}
