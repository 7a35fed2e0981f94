//! What the operator tells Prometheus. Counts what it is told of and asks a [`Source`] for the rest; it decides nothing and
//! keeps nothing of a single object. What there is, is in [`catalogue`].

pub mod catalogue;
mod snapshot;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

pub use self::snapshot::{AccountPace, Snapshot, Source, Sweep, Waiting};

use self::catalogue::{Definition, Kind};
use self::snapshot::{Live, LiveCollector};
use crate::api::condition::REASONS;
use crate::gate::Gate;

/// `Content-Type` of [`Metrics::open_metrics`].
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// `Content-Type` of [`Metrics::plain`].
pub const PLAIN: &str = prometheus_text::CONTENT_TYPE;

/// What stands for anything that isn't known.
const OTHER: &str = "Other";

/// Bounds of durations of reconciles, in seconds: from one without a call to one that waits for AWS's pace.
const RECONCILE_SECONDS: [f64; 12] = [
    0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
];
/// Bounds of durations of requests, in seconds. The last one is the usual limit of an attempt.
const REQUEST_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Reconciled {
    outcome: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByKind {
    kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByOperation {
    service: &'static str,
    operation: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Requested {
    service: &'static str,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// See the module.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<Reconciled, Counter>,
    reconcile_durations: Family<ByOutcome, Histogram, Buckets>,
    requests: Family<Requested, Counter>,
    request_durations: Family<ByOperation, Histogram, Buckets>,
    drift: Family<ByKind, Counter>,
    live: Arc<Live>,
}

impl Metrics {
    /// Nothing has happened yet. The gate tells whether this process leads.
    pub fn new(gate: Arc<Gate>) -> Self {
        let mut registry = Registry::with_prefix(catalogue::PREFIX);
        let live = Arc::new(Live::new(gate));
        registry.register_collector(Box::new(LiveCollector(Arc::clone(&live))));
        let build = Info::new([
            ("version", env!("CARGO_PKG_VERSION")),
            (
                "revision",
                option_env!("MLSERVICEROLE_REVISION").unwrap_or("unknown"),
            ),
        ]);
        registry.register(catalogue::BUILD.name, catalogue::BUILD.meaning, build);
        let reconcile_durations = Family::new_with_constructor(Buckets(&RECONCILE_SECONDS));
        let request_durations = Family::new_with_constructor(Buckets(&REQUEST_SECONDS));
        Self {
            reconciles: register(&mut registry, &catalogue::RECONCILES, Family::default()),
            reconcile_durations: register(&mut registry, &catalogue::RECONCILE_DURATION, reconcile_durations),
            requests: register(&mut registry, &catalogue::AWS_REQUESTS, Family::default()),
            request_durations: register(&mut registry, &catalogue::AWS_REQUEST_DURATION, request_durations),
            drift: register(&mut registry, &catalogue::DRIFT_FOUND, Family::default()),
            live,
            registry,
        }
    }

    /// From now on this one is asked at every scrape, as long as it is there.
    pub fn watch(&self, source: Weak<dyn Source>) {
        self.live.watch(source);
    }

    /// A reconcile came to an end. A reason that isn't in the table is told as `Other`.
    pub fn reconciled(&self, outcome: &'static str, reason: &str, took: Duration) {
        let known = REASONS.iter().find(|known| **known == reason);
        let reason = known.copied().unwrap_or(OTHER);
        self.reconciles
            .get_or_create(&Reconciled { outcome, reason })
            .inc();
        self.reconcile_durations
            .get_or_create(&ByOutcome { outcome })
            .observe(took.as_secs_f64());
    }

    /// A request to AWS was sent, and this came of it.
    pub fn requested(
        &self,
        service: &'static str,
        operation: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        let requested = Requested {
            service,
            operation,
            outcome,
        };
        self.requests.get_or_create(&requested).inc();
        self.request_durations
            .get_or_create(&ByOperation { service, operation })
            .observe(took.as_secs_f64());
    }

    /// So many things of a kind were found changed; none makes the kind known, so that its first one is seen as a rise.
    pub fn drift_found(&self, kind: &'static str, count: u64) {
        self.drift.get_or_create(&ByKind { kind }).inc_by(count);
    }

    /// As OpenMetrics text.
    pub fn open_metrics(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// In Prometheus's older text format.
    pub fn plain(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    /// For whom nobody asks.
    fn default() -> Self {
        Self::new(Arc::new(Gate::always_open()))
    }
}

/// Registers a metric of this type under its name. Its labels are held against the definition by `tests/metrics.rs`.
fn register<M: Metric + Clone>(registry: &mut Registry, of: &Definition, metric: M) -> M {
    debug_assert!(of.kind != Kind::Gauge, "gauges are looked at when somebody asks");
    registry.register(of.name, of.meaning, metric.clone());
    metric
}
