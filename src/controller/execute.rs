//! Carrying out a plan. Decides nothing: what a step means, whether it is due and what follows from its result
//! is planned anew from what is then known.

use std::time::Duration;

use tracing::{Instrument, Level, debug_span, info, warn};

use super::failure;
use super::record::Record;
use crate::api::MlServiceRole;
use crate::api::condition::events;
use crate::aws::{AwsError, IamApi};
use crate::cluster::{ClusterApi, ClusterError, Removal};
use crate::iam::arn::PolicyArn;
use crate::iam::name::RoleName;
use crate::iam::role::RoleHeader;
use crate::plan::{Failure, Notice, Plan, RoleKnowledge, Step};

/// The hands that carry out steps for one object.
pub struct Hands<'a> {
    /// IAM of the account that the role lives in; absent for plans that don't touch the role.
    pub iam: Option<&'a dyn IamApi>,
    /// The cluster.
    pub cluster: &'a dyn ClusterApi,
    /// Namespace of the object.
    pub namespace: &'a str,
    /// Name of the role.
    pub role: &'a RoleName,
    /// The time, since the process started.
    pub now: &'a (dyn Fn() -> Duration + Sync),
}

/// What came of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StepResult {
    /// It was carried out.
    Done,
    /// There was nothing left to do.
    AlreadySo,
    /// The world isn't as it was planned for: plan again.
    Surprise,
    /// What was seen in the cluster has changed meanwhile: look again in a moment.
    Outdated(Failure),
    /// It failed.
    Failed(Failure),
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The first failure.
    pub failure: Option<Failure>,
    /// The first write that came too late for what it was planned on.
    pub outdated: Option<Failure>,
    /// Whether to plan again at once.
    pub surprised: bool,
    /// Whether the object was let go.
    pub released: bool,
    /// Steps carried out.
    pub done: Vec<Step>,
    /// Things worth an Event.
    pub notices: Vec<Notice>,
}

/// Runs a plan's stages in order. All steps of a stage are tried; a failure or a surprise ends the run after its
/// stage. `stop` is asked before every step, so that a process that must end leaves after a whole step.
pub async fn run(
    plan: &Plan,
    hands: &Hands<'_>,
    record: &mut Record,
    object: &mut MlServiceRole,
    stop: &(dyn Fn() -> bool + Sync),
) -> Run {
    let mut run = Run::default();
    for stage in &plan.stages {
        for step in stage {
            if stop() {
                run.surprised = true;
                return run;
            }
            let span = debug_span!("step", otel.name = step.action(), on = step.target());
            let carried_out = carry_out(step, hands, record, object, &mut run.notices);
            match carried_out.instrument(span).await {
                StepResult::Done => {
                    info!(
                        namespace = hands.namespace,
                        role = %hands.role,
                        step = step.action(),
                        on = step.target(),
                        "done"
                    );
                    run.done.push(step.clone());
                    run.released |= matches!(step, Step::RemoveFinalizer);
                }
                StepResult::AlreadySo => {}
                StepResult::Surprise => run.surprised = true,
                StepResult::Outdated(failure) => run.outdated = run.outdated.or(Some(failure)),
                StepResult::Failed(failure) => run.failure = run.failure.or(Some(failure)),
            }
        }
        if run.failure.is_some() || run.outdated.is_some() || run.surprised {
            return run;
        }
    }
    run.notices.extend(plan.notices.iter().cloned());
    run
}

async fn carry_out(
    step: &Step,
    hands: &Hands<'_>,
    record: &mut Record,
    object: &mut MlServiceRole,
    notices: &mut Vec<Notice>,
) -> StepResult {
    if step.writes_role() {
        let knowledge = record.knowledge_mut(hands.role);
        return match hands.iam {
            Some(iam) => on_role(step, iam, hands, knowledge).await,
            None => StepResult::Surprise,
        };
    }
    match on_cluster(step, hands, record, object, notices).await {
        Ok(()) => StepResult::Done,
        Err(error) if error.is_surprise() => {
            info!(namespace = hands.namespace, step = step.action(), on = step.target(), %error, "outdated");
            StepResult::Outdated(failure::of_cluster(&error, step))
        }
        Err(error) => {
            warn!(namespace = hands.namespace, step = step.action(), on = step.target(), %error, "failed");
            StepResult::Failed(failure::of_cluster(&error, step))
        }
    }
}

async fn on_cluster(
    step: &Step,
    hands: &Hands<'_>,
    record: &mut Record,
    object: &mut MlServiceRole,
    notices: &mut Vec<Notice>,
) -> Result<(), ClusterError> {
    let Hands {
        cluster, namespace, ..
    } = hands;
    match step {
        Step::AddFinalizer(placement) => {
            let written = cluster.add_finalizer(object, placement).await?;
            record.object_written(object, written.clone());
            *object = written;
        }
        Step::KeepFormerState(state) => {
            let kept = cluster.keep_former_state(state).await?;
            let (place, role) = (&kept.place, &state.role_arn);
            info!(namespace, role = %role, record = %place, state = state.to_json(), "kept what the role was");
            if kept.is_new {
                notices.push(Notice {
                    reason: events::ROLE_ADOPTED,
                    message: format!(
                        "role {role} is being taken over; what it was before is kept in {place}, and it will be so again \
                         when this object is deleted without a deletionPolicy"
                    ),
                    warning: false,
                });
            }
        }
        Step::RemoveFinalizer => cluster.remove_finalizer(object).await?,
        Step::CreateServiceAccount(binding) => {
            let state = cluster.create_service_account(namespace, binding).await?;
            record.service_account_written(&binding.name, Some(state), (hands.now)());
        }
        Step::BindServiceAccount {
            binding,
            uid,
            force_at,
        } => {
            let state = cluster
                .bind_service_account(namespace, binding, uid, force_at.as_deref())
                .await?;
            record.note_rebind(&binding.name, (hands.now)());
            record.service_account_written(&binding.name, Some(state), (hands.now)());
        }
        Step::UnbindServiceAccount {
            name,
            uid,
            annotations,
            restored,
        } => {
            let state = cluster
                .unbind_service_account(namespace, name, uid, annotations, restored)
                .await;
            match state {
                Ok(state) => record.service_account_written(name, Some(state), (hands.now)()),
                Err(e) if e.is_gone() => record.service_account_written(name, None, (hands.now)()),
                Err(e) => return Err(e),
            }
        }
        Step::DeleteServiceAccount {
            name,
            uid,
            annotations,
            restored,
        } => {
            match cluster
                .delete_service_account(namespace, name, uid, annotations, restored)
                .await
            {
                Ok(Removal::Deleted) => record.service_account_written(name, None, (hands.now)()),
                Ok(Removal::Kept { state, why }) => {
                    record.service_account_written(name, Some(state), (hands.now)());
                    notices.push(Notice {
                        reason: events::SERVICE_ACCOUNT_KEPT,
                        message: format!(
                            "ServiceAccount {name:?} was created by the operator but stays without its annotations: {why}"
                        ),
                        warning: false,
                    });
                }
                Err(e) if e.is_gone() => record.service_account_written(name, None, (hands.now)()),
                Err(e) => return Err(e),
            }
        }
        Step::CreateRole(_)
        | Step::SetBoundary(_)
        | Step::UpdateTrust { .. }
        | Step::Tag(_)
        | Step::Untag(_)
        | Step::UpdateRole { .. }
        | Step::PutInline { .. }
        | Step::DeleteInline(_)
        | Step::Attach(_)
        | Step::Detach(_)
        | Step::LeaveInstanceProfile(_)
        | Step::DeleteRole => {}
    }
    Ok(())
}

async fn on_role(
    step: &Step,
    iam: &dyn IamApi,
    hands: &Hands<'_>,
    knowledge: &mut RoleKnowledge,
) -> StepResult {
    let now = hands.now;
    if let Step::CreateRole(role) = step {
        return match iam.create_role(role).await {
            Ok(answer) => {
                // IAM's answer leaves out some of what was asked for, such as the description.
                let header = RoleHeader {
                    arn: answer.arn,
                    id: answer.id,
                    trust: role.trust.clone(),
                    description: role.description.clone(),
                    max_session_duration_seconds: role.max_session_duration_seconds,
                    permissions_boundary: role.permissions_boundary.as_ref().map(ToString::to_string),
                    tags: role.tags.clone(),
                };
                knowledge.note_created(header, now());
                StepResult::Done
            }
            Err(error) if error.is_entity_already_exists() => {
                knowledge.note_exists(now());
                StepResult::Surprise
            }
            Err(error) => failed(&error, step, hands, knowledge),
        };
    }
    match call(step, iam, hands.role).await {
        Ok(()) => {
            knowledge.note_done(step, now());
            StepResult::Done
        }
        Err(error) if error.is_no_such_entity() && matches!(step, Step::DeleteRole) => {
            // It was read a moment ago: whether it is gone, or IAM contradicts itself, a later read tells.
            knowledge.note_read(None, now());
            StepResult::Surprise
        }
        Err(error) if error.is_no_such_entity() && takes_away(step) => {
            knowledge.note_already_so(step, now());
            StepResult::AlreadySo
        }
        Err(error) if error.is_no_such_entity() || error.is_access_denied() => {
            missing(&error, step, iam, hands, knowledge).await
        }
        Err(error) if error.is_delete_conflict() => in_the_way(&error, step, iam, hands, knowledge).await,
        Err(error) => failed(&error, step, hands, knowledge),
    }
}

/// The role holds something, or is in an instance profile, that wasn't known of: all of it is read, and a new plan
/// takes it away. Where all was known and taken away, IAM doesn't know it yet, and it is tried again later.
async fn in_the_way(
    error: &AwsError,
    step: &Step,
    iam: &dyn IamApi,
    hands: &Hands<'_>,
    knowledge: &mut RoleKnowledge,
) -> StepResult {
    let all_was_known = knowledge.content().is_some() && knowledge.instance_profiles.is_some();
    let content = match iam.role_content(hands.role).await {
        Ok(content) => content,
        Err(error) => return failed(&error, step, hands, knowledge),
    };
    let profiles = match iam.instance_profiles(hands.role).await {
        Ok(profiles) => profiles,
        Err(error) => return failed(&error, step, hands, knowledge),
    };
    let is_empty = content.inline.is_empty() && content.attached.is_empty() && profiles.is_empty();
    knowledge.note_obstacles(content, profiles);
    if all_was_known || is_empty {
        failed(error, step, hands, knowledge)
    } else {
        StepResult::Surprise
    }
}

/// IAM says NoSuchEntity of the role and of the policy alike, and AccessDenied of a role that went where the operator
/// may write under a path only: whether the role went is read, not guessed from the words.
async fn missing(
    error: &AwsError,
    step: &Step,
    iam: &dyn IamApi,
    hands: &Hands<'_>,
    knowledge: &mut RoleKnowledge,
) -> StepResult {
    match iam.get_role(hands.role).await {
        Ok(_) => failed(error, step, hands, knowledge),
        Err(e) if e.is_no_such_entity() => {
            knowledge.note_read(None, (hands.now)());
            StepResult::Surprise
        }
        Err(e) if error.is_no_such_entity() => failed(&e, step, hands, knowledge),
        Err(_) => failed(error, step, hands, knowledge),
    }
}

fn failed(error: &AwsError, step: &Step, hands: &Hands<'_>, knowledge: &mut RoleKnowledge) -> StepResult {
    let (namespace, role, step_, on) = (hands.namespace, hands.role, step.action(), step.target());
    match failure::level(error.class) {
        Level::INFO => info!(namespace, %role, step = step_, on, %error, "failed, and is tried again"),
        _ => warn!(namespace, %role, step = step_, on, %error, "failed"),
    }
    if error.ambiguous {
        knowledge.note_doubt((hands.now)());
    }
    StepResult::Failed(match boundary(step) {
        Some(boundary) if error.is_no_such_entity() => failure::of_boundary(error, hands.role, boundary),
        _ => failure::of_aws(error, hands.role, &failing_target(step)),
    })
}

/// The boundary that a step sets: what else it needs is there by then, so that IAM misses nothing else.
fn boundary(step: &Step) -> Option<&PolicyArn> {
    match step {
        Step::CreateRole(role) => role.permissions_boundary.as_ref(),
        Step::SetBoundary(arn) => Some(arn),
        _ => None,
    }
}

/// The step's target where the message needs it: the role's own ARN says nothing more than its name.
fn failing_target(step: &Step) -> String {
    match step {
        Step::CreateRole(_) => String::new(),
        _ => step.target(),
    }
}

fn takes_away(step: &Step) -> bool {
    matches!(
        step,
        Step::Detach(_) | Step::DeleteInline(_) | Step::LeaveInstanceProfile(_)
    )
}

async fn call(step: &Step, iam: &dyn IamApi, role: &RoleName) -> Result<(), AwsError> {
    match step {
        Step::SetBoundary(boundary) => iam.put_role_permissions_boundary(role, boundary).await,
        Step::UpdateTrust { document } => iam.update_assume_role_policy(role, document).await,
        Step::Tag(tags) => iam.tag_role(role, tags).await,
        Step::Untag(keys) => iam.untag_role(role, keys).await,
        Step::UpdateRole {
            description,
            max_session_duration_seconds,
        } => {
            iam.update_role(role, description, *max_session_duration_seconds)
                .await
        }
        Step::PutInline { name, document } => iam.put_role_policy(role, name, document).await,
        Step::DeleteInline(name) => iam.delete_role_policy(role, name).await,
        Step::Attach(arn) => iam.attach_role_policy(role, arn).await,
        Step::Detach(arn) => iam.detach_role_policy(role, arn).await,
        Step::LeaveInstanceProfile(profile) => iam.remove_role_from_instance_profile(role, profile).await,
        Step::DeleteRole => iam.delete_role(role).await,
        Step::CreateRole(_)
        | Step::KeepFormerState(_)
        | Step::AddFinalizer(_)
        | Step::CreateServiceAccount(_)
        | Step::BindServiceAccount { .. }
        | Step::UnbindServiceAccount { .. }
        | Step::DeleteServiceAccount { .. }
        | Step::RemoveFinalizer => Ok(()),
    }
}
