//! From what a role must be and what is known of it to the steps between.
//!
//! The law: for one generation and no foreign actor, from any observed state, after the plan was carried out the
//! next plan is empty, also when the run was cut after any step; and at no cut does a subject that isn't yet
//! trusted get a policy that the class doesn't allow.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::binding::{BindingVerdict, Bindings, Surroundings, bind};
use super::knowledge::{Clock, RoleKnowledge, RoleState};
use super::ownership::{Ownership, judge};
use super::release::{OwnArn, release, release_notices};
use super::{RoleIntent, Step};
use crate::api::condition::reasons;
use crate::guard::Refusal;
use crate::iam::equivalence::equivalent_text;
use crate::iam::quota;
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::tags;
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
    let notices = release_notices(owner, arn, kept, around, own);
    // A working ARN is replaced only by one that was seen to work, not by one remembered to.
    let replaces = !once_synced.is_empty();
    let mut last = once_synced;
    last.extend(release(owner, arn, kept, around, own));
    if !has_finalizer {
        plan.stage(vec![Step::AddFinalizer(intent.placement.clone())]);
    }
    match &knowledge.state {
        RoleState::Unknown if knowledge.exists_since.is_none() && !has_finalizer => {
            create(intent, early, last, &mut plan);
        }
        RoleState::Unknown => return Next::Read(Depth::Full),
        RoleState::Absent => {
            if !knowledge.is_fresh(clock) {
                return Next::Read(Depth::Full);
            }
            if let Some(wait) = not_yet_readable(intent, knowledge, clock) {
                return wait;
            }
            create(intent, early, last, &mut plan);
        }
        RoleState::Present { header, content } => {
            if knowledge.is_due(clock) {
                return Next::Read(Depth::Full);
            }
            let inherited = match judge(
                &intent.owner,
                intent.arn(),
                header,
                &intent.former_cluster_uids,
                knowledge.was_ours,
            ) {
                Ownership::Ours => false,
                Ownership::Inherited => true,
                Ownership::Foreign(refusal) => return confirm(refusal, knowledge, clock),
            };
            if intent.permissions_boundary.is_none() && header.permissions_boundary.is_some() {
                return fresh_or(knowledge, clock, || Next::Blocked(boundary_removal(intent)));
            }
            let Some(content) = content else {
                return Next::Read(Depth::Full);
            };
            repair(intent, header, content, inherited, &mut plan);
            plan.stage(early);
            plan.stage(last);
        }
    }
    // What is remembered may be old: before an existing role is changed, it is read once more.
    let creates = plan.steps().any(|step| matches!(step, Step::CreateRole(_)));
    if !creates && (replaces || plan.steps().any(Step::writes_role)) && !knowledge.is_fresh(clock) {
        return Next::Read(Depth::Full);
    }
    plan.notices.extend(notices);
    Next::Do(plan)
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

fn repair(intent: &RoleIntent, header: &RoleHeader, content: &RoleContent, inherited: bool, plan: &mut Plan) {
    if let Some(boundary) = &intent.permissions_boundary
        && header.permissions_boundary.as_deref() != Some(boundary.as_str())
    {
        plan.stage(vec![Step::SetBoundary(boundary.clone())]);
    }
    if inherited {
        plan.stage(vec![Step::Tag(intent.owner.tags())]);
        plan.notices.push(Notice {
            reason: "RoleTakenOver",
            message: format!(
                "role {} of an earlier object of this name is this object's now",
                intent.arn().name()
            ),
            warning: false,
        });
    }
    let mut properties = properties(intent, header, inherited);
    let content = self::content(intent, content);
    let update = |document| vec![Step::UpdateTrust { document }];
    let desired = || intent.trust.document().to_json();
    let transition = intent.trust.transition_from(&header.trust);
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
    plan.stage(properties);
    plan.stage(after);
}

/// Tags, description and session duration.
fn properties(intent: &RoleIntent, header: &RoleHeader, inherited: bool) -> Vec<Step> {
    let tagged_already = if inherited {
        intent.owner.tags()
    } else {
        BTreeMap::new()
    };
    let mut steps = Vec::new();
    let unwanted: BTreeSet<String> = header
        .tags
        .keys()
        .filter(|key| !tags::is_system(key) && tags::get(&intent.tags, key).is_none())
        .cloned()
        .collect();
    if !unwanted.is_empty() {
        steps.push(Step::Untag(unwanted));
    }
    let missing: BTreeMap<String, String> = intent
        .tags
        .iter()
        .filter(|(key, value)| tags::get(&header.tags, key) != Some(value.as_str()))
        .filter(|(key, _)| !tagged_already.contains_key(*key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !missing.is_empty() {
        steps.push(Step::Tag(missing));
    }
    if header.description != intent.description
        || header.max_session_duration_seconds != intent.max_session_duration_seconds
    {
        steps.push(Step::UpdateRole {
            description: intent.description.clone(),
            max_session_duration_seconds: intent.max_session_duration_seconds,
        });
    }
    steps
}

/// Inline policies and attachments: what is wanted first, unless a quota needs the room.
fn content(intent: &RoleIntent, content: &RoleContent) -> Vec<Step> {
    let mut puts = Vec::new();
    let mut wordy = Vec::new();
    let mut inline_after = 0;
    for (name, document) in &intent.inline {
        let found = content.inline.get(name);
        let same = found.is_some_and(|found| equivalent_text(document, found));
        let document = document.to_json();
        let (before, after) = (
            found.map_or(0, |found| quota::size(found)),
            quota::size(&document),
        );
        let shrinks_by = before.saturating_sub(after);
        let name = name.clone();
        let put = (shrinks_by, Step::PutInline { name, document });
        inline_after += if same { before } else { after };
        if !same {
            puts.push(put);
        } else if shrinks_by > 0 {
            wordy.push(put);
        }
    }
    // What means the same in more words stays, unless the words are needed for the rest.
    if inline_after > intent.quotas.inline_policies_size {
        puts.append(&mut wordy);
    }
    // Those that shrink make room, in a quota that all share, for those that grow.
    puts.sort_by_key(|(shrinks_by, _)| Reverse(*shrinks_by));
    let mut wanted: Vec<Step> = puts.into_iter().map(|(_, step)| step).collect();
    wanted.extend(
        intent
            .attached
            .difference(&content.attached)
            .cloned()
            .map(Step::Attach),
    );
    let mut unwanted: Vec<Step> = content
        .inline
        .keys()
        .filter(|name| !intent.inline.contains_key(*name))
        .cloned()
        .map(Step::DeleteInline)
        .collect();
    unwanted.extend(
        content
            .attached
            .difference(&intent.attached)
            .cloned()
            .map(Step::Detach),
    );

    let attached_meanwhile = content.attached.union(&intent.attached).count();
    let inline_meanwhile: usize = content
        .inline
        .values()
        .map(|text| quota::size(text))
        .sum::<usize>()
        + intent
            .inline
            .values()
            .map(|document| quota::size(&document.to_json()))
            .sum::<usize>();
    let needs_room = attached_meanwhile > intent.quotas.managed_policies_per_role
        || inline_meanwhile > intent.quotas.inline_policies_size;
    if needs_room {
        unwanted.extend(wanted);
        unwanted
    } else {
        wanted.extend(unwanted);
        wanted
    }
}

/// A role that seems to be somebody else's: believed once two reads, a consistency window apart, agree.
pub(super) fn confirm(refusal: Refusal, knowledge: &RoleKnowledge, clock: &Clock) -> Next {
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
    let why = Refusal::passing(
        reasons::VERIFYING_OWNERSHIP,
        "a role of this name exists; whether it belongs to this object is being read again",
    );
    Next::Wait {
        why,
        until,
        disputed: true,
    }
}

/// A role that IAM says exists, or that we wrote to a moment ago, and that a read doesn't show.
fn not_yet_readable(intent: &RoleIntent, knowledge: &RoleKnowledge, clock: &Clock) -> Option<Next> {
    let patience = clock.consistency_window * WINDOWS_UNTIL_READABLE;
    let exists = knowledge
        .exists_since
        .is_some_and(|since| clock.now.saturating_sub(since) < patience);
    (exists || knowledge.may_be_stale(clock)).then(|| Next::Wait {
        why: Refusal::passing(
            reasons::NOT_YET_CONSISTENT,
            format!(
                "IAM doesn't show role {} yet, though it exists; it is read again (if this lasts for minutes, look for a \
                 role whose name differs in upper and lower case only)",
                intent.arn().name()
            ),
        ),
        until: clock.now + clock.consistency_window / 4,
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
