//! One reconcile of one object: observe, resolve, plan, execute, report.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use tracing::{Instrument, debug, info_span, warn};

use super::context::{Context, GuardedRole};
use super::execute::{Hands, run};
use super::observe::{self, Neighbourhood};
use super::record::{Pause, Record};
use super::report::{self, Facts};
use super::{depart, failure, maintain, watch};
use crate::api::condition::reasons;
use crate::api::{MlServiceRole, ROLE_FINALIZER};
use crate::aws::IamApi;
use crate::guard::Refusal;
use crate::iam::arn::RoleArn;
use crate::plan::{Clock, Failure, Next, Notice, Outcome, RoleKnowledge, RoleState, Step, Surroundings};

/// A plan that surprises more often than this is left for a later reconcile.
const MAX_ROUNDS: usize = 8;
/// Writes that came too late are tried again so often before anybody hears of it.
const QUIET_RETRIES: u32 = 4;
/// How soon they are tried again.
const RETRY_OUTDATED: Duration = Duration::from_millis(200);
/// What only a person can mend is still looked at now and then, since AWS tells us nothing.
const SLOW_RETRY: Duration = Duration::from_secs(300);

/// What a drive came to.
pub struct Drive {
    /// How it ended.
    pub outcome: Outcome,
    /// When to come back, where the outcome doesn't say.
    pub again_at: Option<Duration>,
    /// Things worth an Event.
    pub notices: Vec<Notice>,
    /// Steps carried out.
    pub done: Vec<Step>,
    /// Whether the object was let go.
    pub released: bool,
    /// A write came too late.
    pub outdated: bool,
    /// The process is stopping: whatever came of it is left for the next one to find.
    pub abandoned: bool,
}

impl Drive {
    /// Ended before anything was done.
    pub fn ended(outcome: Outcome) -> Self {
        Self {
            outcome,
            again_at: None,
            notices: vec![],
            done: vec![],
            released: false,
            outdated: false,
            abandoned: false,
        }
    }
}

/// The entry point for the controller's queue. Never fails: every error becomes a condition and a later attempt.
pub async fn reconcile(object: Arc<GuardedRole>, context: Arc<Context>) -> Result<Action, Infallible> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let cached = match &object.0 {
        Ok(cached) => cached,
        Err(invalid) => {
            report::unreadable(&namespace, &name, &invalid.error);
            return Ok(Action::await_change());
        }
    };
    let span = info_span!("reconcile", namespace, object = name);
    Ok(one(cached, &context).instrument(span).await)
}

async fn one(cached: &MlServiceRole, context: &Arc<Context>) -> Action {
    let uid = cached.uid().unwrap_or_default();
    if context.is_released(&uid) {
        return Action::await_change();
    }
    let record = context.record(&uid);
    let mut record = record.lock().await;
    let object = record.newest_object(cached);
    let started = context.now();
    let deleting = object.metadata.deletion_timestamp.is_some();
    if deleting
        && !object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == ROLE_FINALIZER)
    {
        context.forget(&uid);
        return Action::await_change();
    }
    let key = attempt_key(context, &object);
    if let Some(pause) = record
        .pause
        .clone()
        .filter(|pause| pause.key == key && pause.until > started)
    {
        return Action::requeue(pause.until - started);
    }
    let conclusion = if deleting {
        depart::depart(context, &mut record, object, started).await
    } else {
        maintain::maintain(context, &mut record, object, started).await
    };
    if conclusion.drive.released {
        // The status goes with the object; Events stay.
        report::announce(context, &conclusion.object, &conclusion.drive.notices).await;
        context.release(&uid);
        wake_class(context, conclusion.class.as_deref());
        watch::wake_rivals(&context.caches.roles, &context.wake_role, &conclusion.object);
        return Action::await_change();
    }
    conclude(context, &mut record, conclusion, key).await
}

/// What a reconcile came to, before it is reported.
pub struct Conclusion {
    /// The object as last written.
    pub object: MlServiceRole,
    /// How it went.
    pub drive: Drive,
    /// Its class, once known.
    pub class: Option<String>,
    /// Its status.
    pub facts: ConclusionFacts,
}

/// Owned parts of [`Facts`].
#[derive(Default)]
pub struct ConclusionFacts {
    /// Where the role lives.
    pub placement: Option<crate::plan::Placement>,
    /// What is known of it, if it is ours.
    pub knowledge: Option<RoleKnowledge>,
    /// How the ServiceAccounts stand.
    pub bindings: Vec<crate::plan::BindingVerdict>,
}

async fn conclude(
    context: &Arc<Context>,
    record: &mut Record,
    conclusion: Conclusion,
    key: String,
) -> Action {
    let Conclusion {
        object,
        drive,
        class,
        facts,
    } = conclusion;
    let now = context.now();
    if drive.abandoned {
        return Action::await_change();
    }
    if drive.outdated && record.outdated_retries < QUIET_RETRIES {
        record.outdated_retries += 1;
        return Action::requeue(RETRY_OUTDATED * record.outdated_retries);
    }
    let wait = match &drive.outcome {
        Outcome::Failed(Failure { refusal, .. }) => {
            let wait = record.next_backoff(context.timing.max_backoff);
            let wait = if refusal.final_ {
                wait.max(SLOW_RETRY.min(context.timing.max_backoff))
            } else {
                wait
            };
            record.pause = Some(Pause {
                key,
                until: now + wait,
            });
            Some(wait)
        }
        Outcome::ClassNotReady(_) => Some(record.next_backoff(context.timing.max_backoff)),
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
        deleting,
    };
    let next = wait.unwrap_or_else(|| match &report.outcome {
        Outcome::Refused(_) => SLOW_RETRY,
        _ => drive
            .again_at
            .unwrap_or(now + jittered(context.timing.drift_interval, &object))
            .saturating_sub(now)
            .max(Duration::from_millis(50)),
    });
    let published = report::publish(
        context,
        record,
        &object,
        Facts {
            report,
            placement: facts.placement.as_ref(),
            knowledge: facts.knowledge.as_ref(),
            class: class.as_deref(),
            notices: drive.notices,
        },
    )
    .await;
    let error = match published {
        Ok(()) => {
            record.outdated_retries = 0;
            if succeeded {
                record.reset_backoff();
            }
            return Action::requeue(next);
        }
        Err(error) if error.is_gone() => return Action::await_change(),
        Err(error) => error,
    };
    // Nobody has heard yet of what is paused for, so that the next attempt must say it.
    record.pause = None;
    if error.is_surprise() && record.outdated_retries < QUIET_RETRIES {
        debug!(%error, "the status was written over something newer; looking again");
        record.outdated_retries += 1;
        return Action::requeue(RETRY_OUTDATED * record.outdated_retries);
    }
    warn!(%error, "failed to write the status");
    Action::requeue(record.next_backoff(context.timing.max_backoff))
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

/// After a failure nothing is tried again before its time unless one of these changes.
fn attempt_key(context: &Context, object: &MlServiceRole) -> String {
    let class = object
        .spec
        .class_name
        .as_deref()
        .or(object.status.as_ref().and_then(|s| s.class_name.as_deref()));
    let class_version = class
        .and_then(|name| observe::class(context, name))
        .and_then(Result::ok)
        .map(|class| (class.uid(), class.metadata.generation));
    format!(
        "{:?} {:?} {:?} {class_version:?}",
        object.metadata.generation, object.metadata.deletion_timestamp, object.metadata.finalizers
    )
}

/// Plans and executes until there is nothing left to do, or no more can be done now.
pub async fn drive(
    context: &Arc<Context>,
    record: &mut Record,
    object: &mut MlServiceRole,
    arn: &RoleArn,
    iam: Option<&dyn IamApi>,
    started: Duration,
    plan: impl Fn(&MlServiceRole, &RoleKnowledge, Surroundings<'_>, &Clock) -> Next,
) -> Drive {
    let now = || context.now();
    let namespace = object.namespace().unwrap_or_default();
    let mut drive = Drive::ended(Outcome::Synced);
    for _ in 0..MAX_ROUNDS {
        let around = observe::neighbourhood(context, record, object, context.now()).await;
        let knowledge = record.knowledge(arn.name());
        drive.again_at = around
            .contested_until
            .into_iter()
            .chain(around.believed_until)
            .min();
        let next = plan(object, &knowledge, surroundings(&around), &context.clock(started));
        let knowledge = record.knowledge_mut(arn.name());
        match next {
            Next::Read(depth) => {
                let Some(iam) = iam else { return drive };
                if let Err(error) = observe::role(iam, arn.name(), depth, knowledge, &now).await {
                    warn!(role = %arn.name(), %error, "failed to read the role");
                    drive.outcome = Outcome::Failed(failure::of_aws(&error, arn.name(), ""));
                    return drive;
                }
            }
            Next::Wait { why, until, disputed } => {
                if disputed {
                    knowledge.disputed_since.get_or_insert(knowledge.as_of);
                }
                drive.again_at = Some(until);
                drive.outcome = Outcome::Waiting(why);
                return drive;
            }
            Next::Blocked(refusal) => {
                drive.outcome = Outcome::Blocked(refusal);
                return drive;
            }
            Next::Do(plan) => {
                if plan.is_empty() {
                    if iam.is_some() {
                        let settled = knowledge.settles_at(&context.clock(started));
                        drive.again_at = drive.again_at.into_iter().chain(settled).min();
                        knowledge.disputed_since = None;
                        knowledge.was_ours |= matches!(knowledge.state, RoleState::Present { .. });
                    }
                    return drive;
                }
                let hands = Hands {
                    iam,
                    cluster: &context.kubernetes,
                    namespace: &namespace,
                    role: arn.name(),
                    now: &now,
                };
                let run = run(&plan, &hands, record, object, &|| context.is_stopping()).await;
                drive.notices.extend(run.notices);
                drive.done.extend(run.done);
                drive.released |= run.released;
                if let Some(failure) = run.failure.or(run.outdated.clone()) {
                    drive.outdated = run.outdated.as_ref() == Some(&failure);
                    drive.outcome = Outcome::Failed(failure);
                    return drive;
                }
                if drive.released {
                    return drive;
                }
                if context.is_stopping() {
                    drive.abandoned = true;
                    return drive;
                }
            }
        }
    }
    // A failure, so that it is tried again with ever longer pauses: every round may have cost calls to AWS.
    drive.outcome = Outcome::Failed(Failure {
        refusal: Refusal::passing(
            reasons::PROGRESSING,
            "the role keeps changing while it is worked on; it is looked at again",
        ),
        service_account: None,
    });
    drive
}

/// What is around, as the plan takes it.
pub fn surroundings(around: &Neighbourhood) -> Surroundings<'_> {
    Surroundings {
        service_accounts: &around.service_accounts,
        rivals: &around.rivals,
        created: &around.created,
    }
}

/// A class that is being deleted may have waited for this object; any other needn't ask AWS how it stands.
fn wake_class(context: &Context, class: Option<&str>) {
    let deleting = |name: &str| {
        observe::class(context, name)
            .and_then(Result::ok)
            .is_some_and(|class| class.metadata.deletion_timestamp.is_some())
    };
    if let Some(name) = class.filter(|name| deleting(name)) {
        // A closed channel means that the process is stopping.
        let _ = context.wake_class.unbounded_send(ObjectRef::new(name));
    }
}
