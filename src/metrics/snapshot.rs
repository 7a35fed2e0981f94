//! What isn't counted as it happens but looked at when somebody asks: queues, objects, rates, sweeps. Nothing is kept for
//! it between two scrapes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::catalogue::{self, Definition};
use crate::gate::Gate;

/// Who can be asked how things stand.
pub trait Source: Send + Sync {
    /// How things stand now. Called at every scrape.
    fn look(&self) -> Snapshot;
}

/// How things stand.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What waits.
    pub queues: Vec<Waiting>,
    /// Objects, by class and state.
    pub roles: BTreeMap<(String, &'static str), usize>,
    /// Whether classes are ready.
    pub classes: BTreeMap<String, bool>,
    /// How fast accounts take calls.
    pub paces: Vec<AccountPace>,
    /// The last look at each account.
    pub sweeps: Vec<Sweep>,
    /// Accounts that hold roles of ours, and since when this process has known that.
    pub accounts: BTreeMap<String, SystemTime>,
}

/// What waits to be worked on.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// `urgent` or `routine`.
    pub urgency: &'static str,
    /// How many.
    pub depth: usize,
    /// For how long the first of them has waited.
    pub oldest: Duration,
}

/// How fast an account takes calls.
#[derive(Clone, Debug, Default)]
pub struct AccountPace {
    /// Its id.
    pub account: String,
    /// Limits found, by operation, in calls per second.
    pub rates: BTreeMap<&'static str, f64>,
    /// Calls held back, by operation.
    pub waiting: BTreeMap<&'static str, usize>,
}

/// The last look at an account.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Its id.
    pub account: String,
    /// When a look last succeeded.
    pub succeeded: Option<SystemTime>,
    /// How long it took.
    pub took: Duration,
    /// Calls to AWS.
    pub calls: usize,
    /// Roles seen.
    pub roles: usize,
    /// Roles of ours.
    pub ours: usize,
    /// Those that differed.
    pub differing: usize,
    /// Ways of looking, and which of them was taken.
    pub methods: [(&'static str, bool); 2],
    /// Roles without an object.
    pub orphans: usize,
}

/// The part of the registry that asks.
pub(super) struct Live {
    gate: Arc<Gate>,
    source: Mutex<Option<Weak<dyn Source>>>,
}

impl Live {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self {
            gate,
            source: Mutex::new(None),
        }
    }

    pub(super) fn watch(&self, source: Weak<dyn Source>) {
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    fn look(&self) -> Snapshot {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let source = source.and_then(|source| source.upgrade());
        source.map(|source| source.look()).unwrap_or_default()
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

/// Names and values of labels, and a value.
type Series<'a> = (Vec<(&'static str, &'a str)>, f64);

#[derive(Debug)]
pub(super) struct LiveCollector(pub(super) Arc<Live>);

impl Collector for LiveCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let now = self.0.look();
        let encoder = &mut encoder;
        let leads = f64::from(u8::from(self.0.gate.pass().is_ok()));
        gauge(encoder, &catalogue::LEADER, [(vec![], leads)])?;
        let of_queues = |value: fn(&Waiting) -> f64| {
            let queues = now.queues.iter();
            queues.map(move |queue| (vec![("urgency", queue.urgency)], value(queue)))
        };
        gauge(
            encoder,
            &catalogue::QUEUE_DEPTH,
            of_queues(|queue| number(queue.depth)),
        )?;
        gauge(
            encoder,
            &catalogue::QUEUE_OLDEST_AGE,
            of_queues(|queue| queue.oldest.as_secs_f64()),
        )?;
        let roles = now.roles.iter().map(|((class, state), count)| {
            let labels = vec![("class", class.as_str()), ("state", *state)];
            (labels, number(*count))
        });
        gauge(encoder, &catalogue::ROLES, roles)?;
        let classes = now.classes.iter();
        let classes =
            classes.map(|(class, ready)| (vec![("class", class.as_str())], f64::from(u8::from(*ready))));
        gauge(encoder, &catalogue::CLASS_READY, classes)?;
        paces(encoder, &now.paces)?;
        let accounts = now
            .accounts
            .iter()
            .filter_map(|(account, since)| Some((vec![("account", account.as_str())], unix(*since)?)));
        gauge(encoder, &catalogue::SWEEP_KNOWN_SINCE, accounts)?;
        sweeps(encoder, &now.sweeps)
    }
}

fn paces(encoder: &mut DescriptorEncoder<'_>, paces: &[AccountPace]) -> fmt::Result {
    fn of<'a>(pace: &'a AccountPace, operation: &'static str, value: f64) -> Series<'a> {
        let labels = vec![("account", pace.account.as_str()), ("operation", operation)];
        (labels, value)
    }
    let rates = paces.iter().flat_map(|pace| {
        let rates = pace.rates.iter();
        rates.map(move |(operation, rate)| of(pace, operation, *rate))
    });
    gauge(encoder, &catalogue::AWS_RATE_LIMIT, rates)?;
    let waiting = paces.iter().flat_map(|pace| {
        let waiting = pace.waiting.iter();
        waiting.map(move |(operation, count)| of(pace, operation, number(*count)))
    });
    gauge(encoder, &catalogue::AWS_WAITING, waiting)
}

fn sweeps(encoder: &mut DescriptorEncoder<'_>, sweeps: &[Sweep]) -> fmt::Result {
    type Value = fn(&Sweep) -> Option<f64>;
    let values: [(&Definition, Value); 7] = [
        (&catalogue::SWEEP_LAST_SUCCESS, |sweep| unix(sweep.succeeded?)),
        (&catalogue::SWEEP_DURATION, |sweep| Some(sweep.took.as_secs_f64())),
        (&catalogue::SWEEP_CALLS, |sweep| Some(number(sweep.calls))),
        (&catalogue::SWEEP_ROLES, |sweep| Some(number(sweep.roles))),
        (&catalogue::SWEEP_OWN_ROLES, |sweep| Some(number(sweep.ours))),
        (&catalogue::SWEEP_DIFFERING, |sweep| Some(number(sweep.differing))),
        (&catalogue::ORPHANED_ROLES, |sweep| Some(number(sweep.orphans))),
    ];
    for (definition, value) in values {
        let series = sweeps.iter().filter_map(|sweep| {
            let value = value(sweep)?;
            Some((vec![("account", sweep.account.as_str())], value))
        });
        gauge(encoder, definition, series)?;
    }
    let methods = sweeps.iter().flat_map(|sweep| {
        sweep.methods.iter().map(|(method, taken)| {
            let labels = vec![("account", sweep.account.as_str()), ("method", *method)];
            (labels, f64::from(u8::from(*taken)))
        })
    });
    gauge(encoder, &catalogue::SWEEP_METHOD, methods)
}

fn unix(time: SystemTime) -> Option<f64> {
    let since = time.duration_since(UNIX_EPOCH);
    since.ok().map(|since| since.as_secs_f64())
}

fn gauge<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    of: &Definition,
    series: impl IntoIterator<Item = Series<'a>>,
) -> fmt::Result {
    let mut series = series.into_iter().peekable();
    if series.peek().is_none() {
        return Ok(());
    }
    let help = format!("{}.", of.meaning);
    let mut family = encoder.encode_descriptor(of.name, &help, None, MetricType::Gauge)?;
    for (labels, value) in series {
        if labels.is_empty() {
            family.encode_gauge(&value)?;
        } else {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
    }
    Ok(())
}

/// Gauges are floating point numbers, exact up to 2^53.
#[allow(
    clippy::cast_precision_loss,
    reason = "nothing that is counted comes near 2^53"
)]
fn number(count: usize) -> f64 {
    count as f64
}
