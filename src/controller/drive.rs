//! Planning and carrying out in turns until nothing is left to do, for one role of one object: what a reconcile of
//! a live object and one of a departing object have in common. What to plan is the caller's.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use tracing::warn;

use super::context::Context;
use super::execute::{Hands, run};
use super::failure;
use super::observe::{self, Neighbourhood};
use super::record::Record;
use crate::api::MlServiceRole;
use crate::api::condition::reasons;
use crate::api::role::{Mode, PlannedStep};
use crate::aws::IamApi;
use crate::cluster::ClusterApi;
use crate::guard::Refusal;
use crate::iam::arn::RoleArn;
use crate::iam::quota::RoleUsage;
use crate::plan::{
    BindingVerdict, Bounds, Clock, Failure, Next, Notice, Outcome, Pending, Placement, Recalled,
    RoleKnowledge, RoleState, Step, Surroundings, preview,
};

/// A plan that surprises more often than this is left for a later reconcile.
const MAX_ROUNDS: usize = 8;

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
    /// Steps left undone, since the object observes.
    pub planned: Vec<PlannedStep>,
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
            planned: vec![],
            released: false,
            outdated: false,
            abandoned: false,
        }
    }
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

/// Owned parts of [`Facts`](super::report::Facts).
#[derive(Default)]
pub struct ConclusionFacts {
    /// Where the role lives.
    pub placement: Option<Placement>,
    /// What is known of it, if it is ours.
    pub knowledge: Option<RoleKnowledge>,
    /// What the role needs of its account's quotas.
    pub usage: Option<RoleUsage>,
    /// How the ServiceAccounts stand.
    pub bindings: Vec<BindingVerdict>,
    /// Newer versions of its presets, for people.
    pub updates: Vec<String>,
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
                    if error.is_not_leading() {
                        drive.abandoned = true;
                        return drive;
                    }
                    warn!(role = %arn.name(), %error, "failed to read the role");
                    drive.outcome = Outcome::Failed(failure::of_aws(&error, arn.name(), ""));
                    return drive;
                }
            }
            Next::Recall(sought) => match context.kubernetes.former_state(&sought).await {
                Ok(state) => {
                    knowledge.recalled = Some(Box::new(Recalled {
                        sought,
                        state: state.map(Box::new),
                        as_of: now(),
                    }));
                }
                Err(error) => {
                    warn!(role = %arn.name(), %error, "failed to read what the role was");
                    drive.outcome = Outcome::Failed(failure::of_recall(&error, arn.name()));
                    return drive;
                }
            },
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
                    // Of a role that isn't this object's; it is told once, and not at every look.
                    let now = context.now();
                    let news = plan.notices.into_iter();
                    drive
                        .notices
                        .extend(news.filter(|notice| record.is_news(&notice.message, now)));
                    let knowledge = record.knowledge_mut(arn.name());
                    if iam.is_some() {
                        let settled = knowledge.settles_at(&context.clock(started));
                        drive.again_at = drive.again_at.into_iter().chain(settled).min();
                        knowledge.disputed_since = None;
                        knowledge.was_ours |= matches!(knowledge.state, RoleState::Present { .. });
                    }
                    return drive;
                }
                if object.spec.mode == Some(Mode::Observe) {
                    let around = surroundings(&around);
                    drive.planned = preview(plan.steps(), knowledge, around, Bounds::STATUS);
                    drive.outcome = Outcome::Observed(Pending::of(&plan));
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
                if run.failure.is_some() && context.is_stopping() {
                    drive.abandoned = true;
                    return drive;
                }
                if let Some(failure) = run.failure.or(run.outdated.clone()) {
                    drive.outdated = run.outdated.as_ref() == Some(&failure);
                    let knowledge = record.knowledge(arn.name());
                    drive.outcome = Outcome::Failed(knowledge.told(failure, &context.clock(started)));
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
