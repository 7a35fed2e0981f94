//! From what a role must be and what is known of it to the steps between.
//!
//! The law: for one generation and no foreign actor, from any observed state, after the plan was carried out the
//! next plan is empty, also when the run was cut after any step; and at no cut does a subject that isn't yet
//! trusted get a policy that the class doesn't allow.

use std::collections::BTreeMap;
use std::time::Duration;

use super::adoption::{self, Takeover};
use super::binding::{BindingVerdict, Bindings, Surroundings, bind};
use super::difference::{content, properties};
use super::knowledge::{Clock, RoleKnowledge, RoleState};
use super::ownership::{Ownership, judge};
use super::release::{OwnArn, release, release_notices};
use super::{RoleIntent, Sought, Step};
use crate::api::ROLE_ARN_ANNOTATION;
use crate::api::condition::{events, reasons};
use crate::guard::Refusal;
use crate::iam::arn::PolicyArn;
use crate::iam::name::RoleName;
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::trust::TrustTransition;

/// IAM is believed to know a role that it can't show for so many consistency windows (two minutes by default).
pub(super) const WINDOWS_UNTIL_READABLE: u32 = 4;

/// How much of a role a read brings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Depth {
    /// GetRole alone.
    Header,
    /// Inline policies and attachments too.
    Full,
}

/// What comes next.
#[derive(Clone, Debug)]
pub enum Next {
    /// What is known isn't good enough: read the role, then ask again.
    Read(Depth),
    /// What a role was before it was taken over, if it was, is to be known: look its record up, then ask again.
    Recall(Sought),
    /// IAM may contradict itself; ask again at the given time.
    Wait {
        /// What is waited for.
        why: Refusal,
        /// When to ask again.
        until: Duration,
        /// Whether what was read contradicts what is believed, so that a second read must confirm it.
        disputed: bool,
    },
    /// Nothing may be done until somebody changes something.
    Blocked(Refusal),
    /// Steps to take; none where everything is as it should be.
    Do(Plan),
}

/// Steps, in stages. The steps of one stage don't depend on each other: all of them are tried. A failure in a
/// stage keeps the later stages from being run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The stages, none of them empty.
    pub stages: Vec<Vec<Step>>,
    /// How the wanted ServiceAccounts stand before the steps.
    pub bindings: Vec<BindingVerdict>,
    /// Things worth an Event of their own.
    pub notices: Vec<Notice>,
}

/// Something that happened and that the object's people should hear of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// Reason of the Event.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Whether it is a warning.
    pub warning: bool,
}

impl Plan {
    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flatten()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    pub(super) fn stage(&mut self, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.stages.push(steps);
        }
    }
}

/// Plans for an object that is to have a role. `has_finalizer` says whether the object carries finalizer and
/// placement already: an object without them has no role yet, so that its creation needs no read.
pub fn plan(
    intent: &RoleIntent,
    has_finalizer: bool,
    knowledge: &RoleKnowledge,
    around: Surroundings<'_>,
    clock: &Clock,
) -> Next {
    let mut plan = Plan::default();
    let Bindings {
        verdicts,
        early,
        once_synced,
    } = bind(intent, around);
    plan.bindings = verdicts;
    let (owner, arn, kept) = (&intent.owner, Some(intent.arn()), &intent.service_accounts);
    let own = if intent.arn_predates_us {
        OwnArn::StaysWhereItWas
    } else {
        OwnArn::Goes
    };
    plan.notices = release_notices(owner, arn, kept, around, own);
    // A working ARN is replaced only by one that was seen to work, not by one remembered to.
    let replaces = !once_synced.is_empty();
    let mut last = once_synced;
    last.extend(release(owner, arn, kept, around, own));
    if !has_finalizer {
        plan.stage(vec![Step::AddFinalizer(intent.placement.clone())]);
    }
    match &knowledge.state {
        RoleState::Unknown
            if knowledge.exists_since.is_none() && !has_finalizer && intent.adoption.is_none() =>
        {
            create(intent, early, last, &mut plan);
        }
        RoleState::Unknown => return Next::Read(Depth::Full),
        RoleState::Absent => {
            if !knowledge.is_fresh(clock) {
                return Next::Read(Depth::Full);
            }
            if let Some(wait) = not_yet_readable(intent.arn().name(), knowledge, clock) {
                return wait;
            }
            if let Some(missing) = adoption::missing(intent) {
                return confirm_as(missing.refusal, missing.meanwhile, knowledge, clock);
            }
            create(intent, early, last, &mut plan);
        }
        RoleState::Present { header, content } => {
            if knowledge.is_due(clock) {
                return Next::Read(Depth::Full);
            }
            let judged = judge(
                &intent.owner,
                intent.arn(),
                header,
                &intent.former_cluster_uids,
                knowledge.was_ours,
            );
            let takeover = match judged {
                Ownership::Ours => None,
                Ownership::Inherited => Some(Takeover::OfHeir),
                Ownership::Foreign(_) if adoption::is_claimable(intent, header, &judged) => {
                    Some(Takeover::OfStranger)
                }
                Ownership::Foreign(refusal) => {
                    let refusal = adoption::left_alone(intent, header, refusal);
                    return confirm(refusal, knowledge, clock);
                }
            };
            if intent.permissions_boundary.is_none() && header.permissions_boundary.is_some() {
                return fresh_or(knowledge, clock, || Next::Blocked(boundary_removal(intent)));
            }
            let Some(content) = content else {
                return Next::Read(Depth::Full);
            };
            if takeover == Some(Takeover::OfStranger) || adoption::is_adopted(header) {
                let found = adoption::Found {
                    header,
                    content,
                    knowledge,
                };
                let steps = adoption::Wanted {
                    binding: early,
                    last,
                    replaces,
                };
                return adoption::bring_into_line(intent, found, takeover, steps, plan, clock);
            }
            let (unannotated, others) = early
                .into_iter()
                .partition(|step| is_of_unannotated(step, around));
            repair(
                intent,
                header,
                content,
                takeover.is_some(),
                unannotated,
                &mut plan,
            );
            plan.stage(others);
            plan.stage(last);
        }
    }
    once_read(plan, replaces, knowledge, clock)
}

/// What is remembered may be old: before an existing role is changed, or a working ARN is replaced by its own, it is
/// read once more.
pub(super) fn once_read(plan: Plan, replaces: bool, knowledge: &RoleKnowledge, clock: &Clock) -> Next {
    let creates = plan.steps().any(|step| matches!(step, Step::CreateRole(_)));
    if !creates && (replaces || plan.steps().any(Step::writes_role)) && !knowledge.is_fresh(clock) {
        return Next::Read(Depth::Full);
    }
    Next::Do(plan)
}

/// Whether a step binds a ServiceAccount that carries no role's ARN, so that its pods have nothing to lose.
fn is_of_unannotated(step: &Step, around: Surroundings<'_>) -> bool {
    let name = match step {
        Step::CreateServiceAccount(_) => return true,
        Step::BindServiceAccount { binding, .. } => &binding.name,
        _ => return false,
    };
    let found = around.service_accounts.iter().find(|sa| sa.name == *name);
    found.is_some_and(|sa| {
        sa.annotations
            .get(ROLE_ARN_ANNOTATION)
            .is_none_or(String::is_empty)
    })
}

fn fresh_or(knowledge: &RoleKnowledge, clock: &Clock, otherwise: impl FnOnce() -> Next) -> Next {
    if knowledge.is_fresh(clock) {
        otherwise()
    } else {
        Next::Read(Depth::Full)
    }
}

fn create(intent: &RoleIntent, binding: Vec<Step>, last: Vec<Step>, plan: &mut Plan) {
    plan.stage(vec![Step::CreateRole(Box::new(intent.new_role()))]);
    // Bound before the policies are there: a pod that starts now has credentials, and soon permissions.
    let mut stage = binding;
    stage.extend(intent.inline.iter().map(|(name, document)| Step::PutInline {
        name: name.clone(),
        document: document.to_json(),
    }));
    stage.extend(intent.attached.iter().cloned().map(Step::Attach));
    plan.stage(stage);
    plan.stage(last);
}

/// `early` binds ServiceAccounts that carry no ARN.
fn repair(
    intent: &RoleIntent,
    header: &RoleHeader,
    found: &RoleContent,
    inherited: bool,
    early: Vec<Step>,
    plan: &mut Plan,
) {
    plan.stage(boundary(intent.permissions_boundary.as_ref(), header));
    let mut tagged = BTreeMap::new();
    if inherited {
        tagged = intent.owner.tags();
        plan.stage(vec![Step::Tag(tagged.clone())]);
        plan.notices.push(taken_over(intent));
    }
    let mut properties = properties(intent, header, &tagged);
    let content = content(intent, found);
    let update = |document| vec![Step::UpdateTrust { document }];
    let desired = || intent.trust.document().to_json();
    let transition = intent.trust.transition_from(&header.trust);
    // Where whoever is bound can take the role already, one policy that can't be attached keeps nobody waiting.
    let (meanwhile, afterwards) = match transition {
        TrustTransition::Same => (early, vec![]),
        _ => (vec![], early),
    };
    let (before, after) = match transition {
        TrustTransition::Same => (vec![], vec![]),
        TrustTransition::Narrows => (update(desired()), vec![]),
        TrustTransition::Widens => (vec![], update(desired())),
        TrustTransition::Replaces { meanwhile } if !content.is_empty() => {
            (update(meanwhile.to_json()), update(desired()))
        }
        TrustTransition::Replaces { .. } => (vec![], update(desired())),
    };
    plan.stage(before);
    properties.extend(content);
    properties.extend(meanwhile);
    plan.stage(properties);
    plan.stage(after);
    plan.stage(afterwards);
}

/// The step that sets the boundary, where it is another one.
pub(super) fn boundary(wanted: Option<&PolicyArn>, header: &RoleHeader) -> Vec<Step> {
    wanted
        .into_iter()
        .filter(|boundary| header.permissions_boundary.as_deref() != Some(boundary.as_str()))
        .map(|boundary| Step::SetBoundary(boundary.clone()))
        .collect()
}

pub(super) fn taken_over(intent: &RoleIntent) -> Notice {
    Notice {
        reason: events::ROLE_TAKEN_OVER,
        message: format!(
            "role {} of an earlier object of this name is this object's now",
            intent.arn().name()
        ),
        warning: false,
    }
}

/// A role that seems to be somebody else's: believed once two reads, a consistency window apart, agree.
pub(super) fn confirm(refusal: Refusal, knowledge: &RoleKnowledge, clock: &Clock) -> Next {
    let meanwhile = Refusal::passing(
        reasons::VERIFYING_OWNERSHIP,
        "a role of this name exists; whether it belongs to this object is being read again",
    );
    confirm_as(refusal, meanwhile, knowledge, clock)
}

/// The same for anything that keeps the role from being touched; `meanwhile` is said until the second read.
fn confirm_as(refusal: Refusal, meanwhile: Refusal, knowledge: &RoleKnowledge, clock: &Clock) -> Next {
    if !knowledge.is_fresh(clock) && knowledge.disputed_since.is_none() {
        return Next::Read(Depth::Header);
    }
    let since = knowledge.disputed_since.unwrap_or(knowledge.as_of);
    if knowledge.as_of.saturating_sub(since) >= clock.consistency_window {
        return Next::Blocked(refusal);
    }
    let until = since + clock.consistency_window;
    if clock.now >= until {
        return Next::Read(Depth::Header);
    }
    Next::Wait {
        why: meanwhile,
        until,
        disputed: true,
    }
}

/// A role that IAM says exists, or that we wrote to a moment ago, and that a read doesn't show.
pub(super) fn not_yet_readable(name: &RoleName, knowledge: &RoleKnowledge, clock: &Clock) -> Option<Next> {
    let patience = clock.consistency_window * WINDOWS_UNTIL_READABLE;
    let exists = knowledge
        .exists_since
        .is_some_and(|since| clock.now.saturating_sub(since) < patience);
    (exists || knowledge.may_be_stale(clock)).then(|| Next::Wait {
        why: Refusal::passing(
            reasons::NOT_YET_CONSISTENT,
            format!(
                "IAM doesn't show role {name} yet, though it exists; it is read again (if this lasts for minutes, look for \
                 a role whose name differs in upper and lower case only)"
            ),
        ),
        until: clock.now + clock.consistency_window / 4,
        disputed: false,
    })
}

/// What is known of a role and may be older than our own last write, where nothing would show the error later.
pub(super) fn not_yet_certain(knowledge: &RoleKnowledge, name: &RoleName, clock: &Clock) -> Option<Next> {
    let certain = knowledge.certain_at(clock)?;
    Some(Next::Wait {
        why: Refusal::passing(
            reasons::NOT_YET_CONSISTENT,
            format!(
                "IAM may not show yet what the operator wrote to role {name} a moment ago or before its last start; it is \
                 read again"
            ),
        ),
        until: certain.min(clock.now + clock.consistency_window / 4),
        disputed: false,
    })
}

fn boundary_removal(intent: &RoleIntent) -> Refusal {
    Refusal::new(
        reasons::BOUNDARY_REMOVAL_REFUSED,
        format!(
            "role {} has a permissions boundary and class {:?} has none; the operator never removes a boundary: ask the \
             platform admin to set roles.permissionsBoundary.arn in the class, or to remove the role's boundary by hand",
            intent.arn().name(),
            intent.placement.class
        ),
    )
}
