//! One reconcile of one object: observe, resolve, plan, execute, report.

use std::sync::Arc;
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tracing::{Instrument, debug, info_span, warn};

use super::context::{Context, GuardedRole};
use super::drive::Conclusion;
use super::failure::{self, SLOW_RETRY};
use super::marks::{has_finalizer, placement};
use super::observe;
use super::record::{Pause, Record};
use super::report::{self, Facts};
use super::{depart, maintain, unreadable, watch, workers};
use crate::api::condition::reasons;
use crate::api::{MlServiceRole, ROLE_FINALIZER};
use crate::fair_queue::Urgency;
use crate::plan::{Failure, Outcome};

/// Writes that came too late are tried again so often before anybody hears of it.
const QUIET_RETRIES: u32 = 4;
/// How soon they are tried again.
const RETRY_OUTDATED: Duration = Duration::from_millis(200);

/// What somebody waits for goes before a look at what was in order. The status can be forged; more than a place in the
/// queue can't be got by that.
///
/// `read` is none where it can't be read. `hurried`: its class says something else than before.
pub fn urgency(object: &GuardedRole, read: Option<&MlServiceRole>, hurried: bool) -> Urgency {
    let seen = |object: &MlServiceRole| {
        let status = object.status.as_ref();
        status.and_then(|status| status.observed_generation) == object.metadata.generation
    };
    let settled = object.meta().deletion_timestamp.is_none() && read.is_some_and(seen);
    if settled && !hurried {
        Urgency::Routine
    } else {
        Urgency::Urgent
    }
}

/// One reconcile. Answers after how long to look again, if nothing happens before. Never fails: every error becomes a
/// condition and a later attempt.
pub async fn reconcile(object: Arc<GuardedRole>, context: Arc<Context>) -> Option<Duration> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let cached = match object.read() {
        Ok(cached) => cached,
        Err(invalid) => {
            unreadable::tell(&context, &object, &invalid).await;
            return None;
        }
    };
    let span = info_span!("reconcile", namespace, object = name);
    one(&ObjectRef::from_obj(&*object), &cached, &context)
        .instrument(span)
        .await
}

async fn one(
    key: &ObjectRef<GuardedRole>,
    cached: &MlServiceRole,
    context: &Arc<Context>,
) -> Option<Duration> {
    let uid = cached.uid().unwrap_or_default();
    if context.is_released(&uid) {
        return None;
    }
    let record = context.record(&uid);
    let mut record = record.lock().await;
    let action = with(&mut record, cached, &uid, context).await;
    record.rest();
    // Of what came meanwhile the watch couldn't tell it.
    if let Some(cached) = context.caches.roles.get(key) {
        record.object_cached(cached.resource_version());
    }
    action
}

async fn with(
    record: &mut Record,
    cached: &MlServiceRole,
    uid: &str,
    context: &Arc<Context>,
) -> Option<Duration> {
    let object = record.newest_object(cached);
    let started = context.now();
    let deleting = object.metadata.deletion_timestamp.is_some();
    if deleting
        && !object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == ROLE_FINALIZER)
    {
        context.forget(uid);
        return None;
    }
    record.awaits_sweep = !deleting && awaits_sweep(context, record, &object);
    if record.awaits_sweep {
        debug!("the first sweep shows the role; it is waited for");
        return None;
    }
    let key = attempt_key(context, &object);
    if let Some(pause) = record.pause.clone() {
        let versions = || observe::service_account_versions(context, record, &object, started);
        if pause.holds(&key, started, versions) {
            return Some(pause.until - started);
        }
    }
    record.begin(&key, started);
    let conclusion = if deleting {
        depart::depart(context, record, object, started).await
    } else {
        maintain::maintain(context, record, object, started).await
    };
    if conclusion.drive.released {
        context
            .metrics
            .reconciled("released", reasons::DELETING, took(context, started));
        // The status goes with the object; Events stay.
        report::announce(context, &conclusion.object, &conclusion.drive.notices).await;
        context.release(uid);
        wake_class(context, conclusion.class.as_deref());
        let roles = &context.caches.roles;
        let wake = |role| workers::wake(context, role);
        watch::wake_rivals(roles, &context.index, &wake, &conclusion.object);
        return None;
    }
    conclude(context, record, conclusion, key, started).await
}

fn took(context: &Context, started: Duration) -> Duration {
    context.now().saturating_sub(started)
}

/// After a start nothing is known of any role, and a sweep tells of all at once what would cost some calls for each. It
/// wakes the object. Whoever waits for something is served at once.
fn awaits_sweep(context: &Context, record: &Record, object: &MlServiceRole) -> bool {
    let status = object.status.as_ref();
    let is_settled = status.and_then(|status| status.observed_generation) == object.metadata.generation;
    if !is_settled || !has_finalizer(object) {
        return false;
    }
    let placed = placement(object).ok().flatten();
    placed.is_some_and(|placed| {
        context.sweeps.awaits(placed.role_arn.account()) && record.knows_nothing_of(placed.role_arn.name())
    })
}

async fn conclude(
    context: &Arc<Context>,
    record: &mut Record,
    conclusion: Conclusion,
    key: String,
    started: Duration,
) -> Option<Duration> {
    let Conclusion {
        object,
        drive,
        class,
        facts,
    } = conclusion;
    let now = context.now();
    record.end(&key, drive.outcome.is_blocked());
    if let (Some(uid), Some(placement)) = (object.uid(), &facts.placement) {
        context.note_boundary(&uid, record.boundary(placement.role_arn.name()));
    }
    record.note_target(facts.placement.as_ref());
    if drive.abandoned {
        return None;
    }
    if drive.outdated && record.outdated_retries < QUIET_RETRIES {
        record.outdated_retries += 1;
        let reason = drive
            .outcome
            .failure()
            .map_or(reasons::CONFLICT, |failure| failure.refusal.reason);
        context
            .metrics
            .reconciled("outdated", reason, took(context, started));
        return Some(RETRY_OUTDATED * record.outdated_retries);
    }
    let wait = match (drive.outcome.failure(), &drive.outcome) {
        (
            Some(Failure {
                refusal,
                service_account,
            }),
            _,
        ) => {
            let wait = record.next_backoff(context.timing.max_backoff);
            let wait = failure::pause(refusal, wait, context.timing.max_backoff);
            let about_one = service_account.is_some();
            record.pause = Some(Box::new(Pause {
                key,
                service_accounts: about_one
                    .then(|| observe::service_account_versions(context, record, &object, now)),
                until: now + wait,
            }));
            Some(wait)
        }
        (None, Outcome::ClassNotReady(_)) => Some(record.next_backoff(context.timing.max_backoff)),
        _ => {
            record.pause = None;
            None
        }
    };
    let succeeded = wait.is_none();
    let deleting = object.metadata.deletion_timestamp.is_some();
    let report = crate::plan::Report {
        outcome: drive.outcome,
        bindings: facts.bindings,
        updates: facts.updates,
        deleting,
    };
    let at = |at: Duration| at.saturating_sub(now).max(Duration::from_millis(50));
    let next = match (wait, &report.outcome, drive.again_at) {
        (Some(wait), ..) => Some(wait),
        (None, Outcome::Refused(_), _) => Some(SLOW_RETRY),
        (None, _, Some(again)) => Some(at(again)),
        // The sweeps wake it when there is something to do.
        (None, Outcome::Synced | Outcome::Observed(_), None) if record.target().is_some() => None,
        (None, ..) => Some(jittered(context.timing.sweep_interval, &object)),
    };
    let (outcome, reason) = (report.outcome.label(), crate::plan::reason(&report));
    let published = report::publish(
        context,
        record,
        &object,
        Facts {
            report,
            placement: facts.placement.as_ref(),
            knowledge: facts.knowledge.as_ref(),
            usage: facts.usage,
            class: class.as_deref(),
            planned: drive.planned,
            notices: drive.notices,
        },
    )
    .await;
    context
        .metrics
        .reconciled(outcome, reason, took(context, started));
    let error = match published {
        Ok(()) => {
            record.outdated_retries = 0;
            if succeeded {
                record.reset_backoff();
            }
            return next;
        }
        Err(error) if error.is_gone() => return None,
        Err(error) => error,
    };
    // Nobody has heard yet of what is paused for, so that the next attempt must say it.
    record.pause = None;
    if error.is_surprise() && record.outdated_retries < QUIET_RETRIES {
        debug!(%error, "the status was written over something newer; looking again");
        record.outdated_retries += 1;
        return Some(RETRY_OUTDATED * record.outdated_retries);
    }
    warn!(%error, "failed to write the status");
    Some(record.next_backoff(context.timing.max_backoff))
}

/// Objects look for drift at different moments, each always at its own.
fn jittered(interval: Duration, object: &MlServiceRole) -> Duration {
    let spread = object
        .uid()
        .unwrap_or_default()
        .bytes()
        .fold(0u32, |sum, byte| sum.wrapping_add(byte.into()))
        % 100;
    interval.mul_f64(1.0 + f64::from(spread) / 1000.0)
}

/// After a failure nothing is tried again before its time unless one of these changes, or one of the ServiceAccounts
/// that it was about.
fn attempt_key(context: &Context, object: &MlServiceRole) -> String {
    let class = object
        .spec
        .class_name
        .as_deref()
        .or(object.status.as_ref().and_then(|s| s.class_name.as_deref()));
    let class_version = class
        .and_then(|name| observe::cached_class(context, name))
        .map(|class| (class.uid(), class.meta().generation));
    format!(
        "{:?} {:?} {:?} {class_version:?}",
        object.metadata.generation, object.metadata.deletion_timestamp, object.metadata.finalizers
    )
}

/// A class that is being deleted may have waited for this object; any other needn't ask AWS how it stands.
fn wake_class(context: &Context, class: Option<&str>) {
    let deleting = |name: &str| {
        observe::cached_class(context, name).is_some_and(|class| class.meta().deletion_timestamp.is_some())
    };
    if let Some(name) = class.filter(|name| deleting(name)) {
        context.woken_classes.wake(name);
    }
}
