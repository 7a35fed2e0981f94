//! What a scenario's measurements have in common: an emptied AWS behind a proxy of its own, a watch of its objects, and
//! counting from one moment to another.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Bench;
use crate::audit::Requests;
use crate::objects::{self, Key};
use crate::operator::Operator;
use crate::processes::{Sample, Usage};
use crate::proxy::{Call, Conditions, Outcome, Proxy, by_action};
use crate::shared::audit::Request;
use crate::watching::Watching;

/// An interval so long that nothing is looked at again while something else is measured.
pub const NEVER: Duration = Duration::from_secs(24 * 3600);
/// No call for so long means that the operator has nothing left to do.
pub const QUIET: Duration = Duration::from_secs(5);
/// What every object is made ready by.
pub const MADE_READY: (&str, &str) = ("update", "mlserviceroles/status");
/// What every object is let go by.
pub const LET_GO: (&str, &str) = ("patch", "mlserviceroles");
/// Longer than a line of the audit log can take to be there.
const WRITTEN: Duration = Duration::from_secs(10);

/// See the module.
pub struct Stage<'a> {
    pub bench: &'a Bench,
    pub name: String,
    pub keys: Vec<Key>,
    pub proxy: Proxy,
    pub watching: Watching,
}

/// A moment from which on things are counted.
pub struct Start {
    pub at: Instant,
    pub calls: usize,
    audit: u64,
    operator: Usage,
    bystanders: Sample,
}

/// What was counted.
pub struct Count {
    pub calls: Vec<Call>,
    pub api_writes: usize,
    pub events: usize,
    /// All of it, for the results.
    pub shown: Value,
}

impl<'a> Stage<'a> {
    /// Empties AWS and makes class, namespaces and watch for `keys`, which are still to be created.
    pub async fn set(bench: &'a Bench, name: &str, keys: Vec<Key>) -> Result<Stage<'a>, String> {
        bench.aws.prepare(&bench.issuer).await?;
        objects::class(&bench.client, &crate::aws::boundary()).await?;
        objects::namespaces(&bench.client, name, &keys).await?;
        Ok(Stage {
            bench,
            name: name.to_owned(),
            keys,
            proxy: Proxy::start(bench.aws.endpoint(), Conditions::default()).await?,
            watching: Watching::start(&bench.client, name),
        })
    }

    /// Starts an operator and waits until it has nothing left to do.
    pub async fn operator(&self, interval: Duration) -> Result<Operator, String> {
        let bench = self.bench;
        let operator = bench
            .launcher
            .start(&bench.client, &self.proxy.endpoint, interval)
            .await?;
        objects::class_ready(&bench.client)
            .await
            .map_err(|e| format!("{e}\n{}", operator.log_tail(30)))?;
        self.proxy.record.quiet(QUIET, Duration::from_secs(60)).await;
        Ok(operator)
    }

    pub fn start(&self, operator: &Operator) -> Result<Start, String> {
        Ok(Start {
            at: Instant::now(),
            calls: self.proxy.record.mark(),
            audit: self.bench.audit.mark()?,
            operator: operator.usage()?,
            bystanders: self.bench.bystanders.sample(),
        })
    }

    /// What happened since `start`, for which the operator may have been started anew.
    pub async fn count(&self, start: &Start, operator: &Operator) -> Result<Count, String> {
        let requests = self.bench.audit.requests(start.audit).await?;
        self.sum_up(start, operator, &requests)
    }

    /// The same, after a watch showed something of every object that the operator can only have brought about by a
    /// request of this kind to it. The watch may be ahead of the line in the audit log, for which this waits.
    pub async fn count_each(
        &self,
        start: &Start,
        operator: &Operator,
        (verb, resource): (&str, &str),
    ) -> Result<Count, String> {
        let wanted = self.keys.len();
        let written = |requests: &[Request]| {
            let done = requests
                .iter()
                .filter(|request| request.verb == verb && request.resource == resource && request.code < 400);
            let objects: HashSet<_> = done.map(|request| (&request.namespace, &request.name)).collect();
            match objects.len() {
                found if found >= wanted => Ok(()),
                found => Err(format!("{verb} {resource} for {found} of {wanted} objects")),
            }
        };
        let requests = self.bench.audit.until(start.audit, WRITTEN, written).await?;
        self.sum_up(start, operator, &requests)
    }

    fn sum_up(&self, start: &Start, operator: &Operator, requests: &[Request]) -> Result<Count, String> {
        let operator = operator.usage()?;
        let cpu = self.bench.bystanders.since(&start.bystanders);
        let calls = self.proxy.record.since(start.calls);
        let asked = Requests::of(requests);
        let api_writes = asked.write_count();
        let per_role = |count: usize| round(count as f64 / self.keys.len().max(1) as f64);
        let of_roles = calls.iter().filter(|call| !call.role.is_empty()).count();
        let outcome = |wanted: Outcome| calls.iter().filter(|call| call.outcome == wanted).count();
        let bytes = |of: fn(&Call) -> usize| calls.iter().map(of).sum::<usize>();
        let shown = json!({
            "aws_calls": {
                "total": calls.len(),
                "of_roles": of_roles,
                "per_role": per_role(of_roles),
                "writes": calls.iter().filter(|call| call.writes()).count(),
                "throttled": outcome(Outcome::Throttled),
                "failed": outcome(Outcome::Failed),
                "by_action": by_action(calls.iter()),
                "throttled_by_action":
                    by_action(calls.iter().filter(|call| call.outcome == Outcome::Throttled)),
                "bytes_sent": bytes(|call| call.bytes.0),
                "bytes_received": bytes(|call| call.bytes.1),
                "mean_milliseconds": round(mean_milliseconds(&calls)),
            },
            "api_server": {
                "writes": api_writes,
                "writes_per_role": per_role(api_writes),
                "by_request": asked.writes,
                "refused": asked.refused,
                "events": asked.events,
                "leases": asked.leases,
                "reads": asked.reads,
            },
            "operator": {
                "cpu_seconds": round(operator.cpu_seconds - start.operator.cpu_seconds),
                "resident_mib": round(operator.resident_mib),
                "peak_mib": round(operator.peak_mib),
            },
            "cpu_seconds_of_others": cpu,
        });
        Ok(Count {
            calls,
            api_writes,
            events: asked.events,
            shown,
        })
    }

    /// Waits until all roles are complete and all objects ready; how many seconds after `start` each was so.
    pub async fn converge(
        &self,
        operator: &Operator,
        start: Instant,
        longest: Duration,
    ) -> Result<(f64, f64), String> {
        let (wanted, deadline) = (self.keys.len(), start + longest);
        let complete = self
            .proxy
            .record
            .until(deadline, |state| state.complete >= wanted)
            .await;
        let ready = self
            .watching
            .until(deadline, |state| state.ready.len() >= wanted)
            .await;
        if !complete || !ready {
            return Err(format!("not converged after {longest:?}: {}", self.why(operator)));
        }
        let (_, completed) = self.proxy.record.complete();
        let last_ready = self.watching.look(|state| state.ready.values().max().copied());
        let seconds = |at: Option<Instant>| at.unwrap_or(start).duration_since(start).as_secs_f64();
        // What the proxy counted must be so in the emulator.
        match self.bench.aws.whole_roles().await? {
            found if found == wanted => Ok((seconds(completed), seconds(last_ready))),
            found => Err(format!("the emulator has {found} roles, not {wanted}")),
        }
    }

    /// Waits until all objects are gone; how many seconds after `start`.
    pub async fn gone(&self, operator: &Operator, start: Instant, longest: Duration) -> Result<f64, String> {
        let wanted = self.keys.len();
        let gone = self
            .watching
            .until(start + longest, |state| state.gone.len() >= wanted)
            .await;
        if !gone {
            let left = wanted - self.watching.look(|state| state.gone.len());
            return Err(format!(
                "{left} objects aren't gone after {longest:?}: {}",
                self.why(operator)
            ));
        }
        let last = self.watching.look(|state| state.gone.values().max().copied());
        let left = self.bench.aws.role_names().await?.len();
        match left {
            0 => Ok(last.unwrap_or(start).duration_since(start).as_secs_f64()),
            left => Err(format!("all objects are gone, but {left} roles are still in AWS")),
        }
    }

    /// What the objects that aren't where they should be say, and how far AWS is.
    pub fn why(&self, operator: &Operator) -> String {
        let (complete, _) = self.proxy.record.complete();
        let (ready, reasons) = self.watching.look(|state| {
            // By reason, each with one of the messages: those name the role, so that no two are the same.
            let mut reasons: BTreeMap<String, (usize, String)> = BTreeMap::new();
            for said in state.unready.values() {
                let reason = said.split(':').next().unwrap_or_default().to_owned();
                reasons.entry(reason).or_insert((0, said.clone())).0 += 1;
            }
            (state.ready.len(), reasons)
        });
        let reasons: Vec<String> = reasons
            .values()
            .map(|(count, said)| format!("  {count} objects, as in {said}"))
            .collect();
        let usage = match operator.usage() {
            Ok(usage) => format!("{usage:?}"),
            Err(error) => error,
        };
        format!(
            "of {} objects {complete} have a complete role and {ready} are ready\n{}\nthe operator: {usage}\n{}",
            self.keys.len(),
            reasons.join("\n"),
            operator.log_tail(15),
        )
    }

    /// Objects that ever said that an attempt failed, with how often each reason was given.
    pub fn failures(&self) -> (usize, BTreeMap<String, usize>) {
        self.watching.look(|state| {
            let mut reasons = BTreeMap::new();
            for said in state.failed.values() {
                let reason = said.split(':').next().unwrap_or_default().to_owned();
                *reasons.entry(reason).or_default() += 1;
            }
            (state.failed.len(), reasons)
        })
    }
}

fn mean_milliseconds(calls: &[Call]) -> f64 {
    let sum: f64 = calls.iter().map(|call| call.took.as_secs_f64()).sum();
    sum * 1000.0 / calls.len().max(1) as f64
}

/// To three digits after the point: results are for people too.
pub fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Longer than anything takes that works, for so many objects.
pub fn patience(count: usize) -> Duration {
    Duration::from_secs(120) + Duration::from_millis(200) * u32::try_from(count).unwrap_or(u32::MAX)
}
