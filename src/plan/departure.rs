//! Taking everything away again. The annotation goes first, then the role, then the finalizer; what isn't ours
//! stays, and what was never confirmed gone keeps the object.

use std::collections::BTreeSet;
use std::time::Duration;

use super::adoption::is_adopted;
use super::binding::Surroundings;
use super::give_back::{Past, give_back, past};
use super::knowledge::{Clock, RoleKnowledge, RoleState};
use super::ownership::{Ownership, judge};
use super::planner::{Depth, Next, Notice, Plan, WINDOWS_UNTIL_READABLE, confirm};
use super::release::{OwnArn, release, release_notices, unpoint};
use super::{Owner, Step};
use crate::api::condition::{events, reasons};
use crate::guard::Refusal;
use crate::iam::arn::{PolicyArn, RoleArn};
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::tags;

/// An object that is being deleted.
#[derive(Clone, Debug)]
pub struct Departure {
    /// Whose the role is.
    pub owner: Owner,
    /// Where its role was placed.
    pub role_arn: RoleArn,
    /// Clusters whose roles are inherited.
    pub former_cluster_uids: BTreeSet<String>,
    /// Whether the role is to stay, and whether the class allows that.
    pub retain: Retention,
    /// Attachments that the role should have, for when its content isn't known.
    pub attached: BTreeSet<PolicyArn>,
    /// Names of inline policies that it should have.
    pub inline: BTreeSet<String>,
    /// Whether the object goes once this role is gone; false where another role is looked for after it.
    pub lets_go: bool,
}

/// What becomes of the role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Retention {
    /// Nothing is said: a role that the operator created goes, one that was there before is given back.
    Unsaid,
    /// It goes.
    Delete,
    /// It stays.
    Retain,
    /// It should stay, but the class of this name doesn't allow that.
    Refused(String),
}

impl Retention {
    /// What becomes of the role's ARN on ServiceAccounts, as far as it can be said without a look at the role.
    pub fn own_arn(&self) -> OwnArn {
        match self {
            Retention::Unsaid => OwnArn::Undecided,
            Retention::Retain => OwnArn::Stays,
            Retention::Delete | Retention::Refused(_) => OwnArn::Goes,
        }
    }
}

impl Departure {
    pub(super) fn let_go(&self) -> Vec<Step> {
        if self.lets_go {
            vec![Step::RemoveFinalizer]
        } else {
            vec![]
        }
    }
}

/// Steps that need nothing of AWS: what the ServiceAccounts carry.
pub fn release_all(owner: &Owner, role_arn: Option<&RoleArn>, around: Surroundings<'_>, own: OwnArn) -> Plan {
    let mut plan = Plan::default();
    plan.stage(release(owner, role_arn, &[], around, own));
    plan.notices = release_notices(owner, role_arn, &[], around, own);
    plan
}

/// Plans for an object that is being deleted and still carries the finalizer.
pub fn plan_departure(
    departure: &Departure,
    knowledge: &RoleKnowledge,
    around: Surroundings<'_>,
    clock: &Clock,
) -> Next {
    let Departure { owner, role_arn, .. } = departure;
    let retain = departure.retain == Retention::Retain;
    let own = match (departure.retain.own_arn(), &knowledge.state) {
        (OwnArn::Undecided, RoleState::Present { header, .. }) if knowledge.is_fresh(clock) => {
            undecided_arn(departure, header, knowledge, clock)
        }
        (own, _) => own,
    };
    // A refused Retain keeps the annotation, so that pods keep working until somebody decides.
    let undecided = matches!(departure.retain, Retention::Refused(_));
    let unbind = if undecided {
        Plan::default()
    } else {
        release_all(owner, Some(role_arn), around, own)
    };
    if !unbind.is_empty() {
        return Next::Do(unbind);
    }
    let mut plan = Plan::default();
    let (header, content) = match &knowledge.state {
        RoleState::Unknown => return Next::Read(Depth::Header),
        RoleState::Absent => return gone(departure, knowledge, around, clock),
        RoleState::Present { header, content } => (header, content),
    };
    if (retain || departure.retain == Retention::Unsaid) && is_retained_by(departure, header) {
        plan.notices.push(match departure.retain {
            Retention::Retain => retained(role_arn),
            _ => given_back(role_arn),
        });
        plan.stage(release(
            owner,
            Some(role_arn),
            &[],
            around,
            own.of_anothers_role(),
        ));
        plan.stage(departure.let_go());
        return Next::Do(plan);
    }
    match judge(
        owner,
        role_arn,
        header,
        &departure.former_cluster_uids,
        knowledge.was_ours,
    ) {
        Ownership::Ours | Ownership::Inherited => {}
        Ownership::Foreign(refusal) => {
            let confirmed = confirm(refusal, knowledge, clock);
            let Next::Blocked(refusal) = confirmed else {
                return confirmed;
            };
            if !knowledge.is_fresh(clock) {
                // What was found while the object lived may have been mended since.
                return Next::Read(Depth::Header);
            }
            plan.notices.push(Notice {
                reason: events::ROLE_LEFT_ALONE,
                message: format!("{}; this object goes without it", refusal.message),
                warning: true,
            });
            plan.stage(release(
                owner,
                Some(role_arn),
                &[],
                around,
                own.of_anothers_role(),
            ));
            plan.stage(departure.let_go());
            return Next::Do(plan);
        }
    }
    if !knowledge.is_fresh(clock) {
        return Next::Read(Depth::Header);
    }
    match &departure.retain {
        Retention::Refused(class) => {
            return Next::Blocked(Refusal::new(
                reasons::RETAIN_NOT_ALLOWED,
                format!(
                    "deletionPolicy is Retain but class {class:?} doesn't allow it, so role {} is neither kept nor \
                     deleted; write deletionPolicy: Delete, or ask the platform admin to set allow.retain",
                    role_arn.name()
                ),
            ));
        }
        Retention::Retain => {
            plan.stage(vec![Step::Tag(tags::retained_mark(&header.tags))]);
            plan.notices.push(retained(role_arn));
        }
        Retention::Unsaid => match past(knowledge, header, clock) {
            Past::Unknown(sought) => return Next::Recall(sought),
            Past::Lost(refusal) => return Next::Blocked(refusal),
            Past::Was(former) => {
                let Some(content) = content else {
                    return Next::Read(Depth::Full);
                };
                return give_back(departure, knowledge, header, content, former, clock);
            }
            Past::None => delete(departure, knowledge, content.as_ref(), around, &mut plan),
        },
        Retention::Delete => delete(departure, knowledge, content.as_ref(), around, &mut plan),
    }
    plan.stage(departure.let_go());
    Next::Do(plan)
}

fn delete(
    departure: &Departure,
    knowledge: &RoleKnowledge,
    content: Option<&RoleContent>,
    around: Surroundings<'_>,
    plan: &mut Plan,
) {
    plan.stage(unpoint(&departure.role_arn, around));
    // Taking away what isn't there is harmless: what should be there is tried where nothing is known, and a
    // DeleteConflict brings a full read.
    let (attached, inline): (BTreeSet<_>, BTreeSet<_>) = match content {
        Some(content) => (content.attached.clone(), content.inline.keys().cloned().collect()),
        None => (departure.attached.clone(), departure.inline.clone()),
    };
    let mut empty: Vec<Step> = attached.into_iter().map(Step::Detach).collect();
    empty.extend(inline.into_iter().map(Step::DeleteInline));
    let profiles = knowledge.instance_profiles.iter().flatten().cloned();
    empty.extend(profiles.map(Step::LeaveInstanceProfile));
    plan.stage(empty);
    plan.stage(vec![Step::DeleteRole]);
}

/// What becomes of the ARN of a role of which nothing is said: it goes with a role that is deleted.
fn undecided_arn(
    departure: &Departure,
    header: &RoleHeader,
    knowledge: &RoleKnowledge,
    clock: &Clock,
) -> OwnArn {
    if is_adopted(header) {
        return OwnArn::StaysWhereItWas;
    }
    let Departure { owner, role_arn, .. } = departure;
    let former = &departure.former_cluster_uids;
    match judge(owner, role_arn, header, former, knowledge.was_ours) {
        Ownership::Ours | Ownership::Inherited => match past(knowledge, header, clock) {
            Past::Unknown(_) => OwnArn::Undecided,
            Past::Was(_) | Past::Lost(_) => OwnArn::StaysWhereItWas,
            Past::None => OwnArn::Goes,
        },
        Ownership::Foreign(_) => OwnArn::Undecided,
    }
}

/// Whether a role carries the mark that this very object put on it before its run was cut.
fn is_retained_by(departure: &Departure, header: &RoleHeader) -> bool {
    let Departure { owner, role_arn, .. } = departure;
    let mut unmarked = header.clone();
    unmarked
        .tags
        .retain(|key, _| !tags::same_key(key, tags::RETAINED));
    // Where there was no room for the mark, it stands in the place of the uid.
    if tags::is_retained(&unmarked.tags) {
        unmarked.tags.insert(tags::UID.to_owned(), owner.uid.clone());
    }
    tags::is_retained(&header.tags)
        && judge(owner, role_arn, &unmarked, &BTreeSet::new(), false) == Ownership::Ours
}

fn retained(role_arn: &RoleArn) -> Notice {
    Notice {
        reason: events::ROLE_RETAINED,
        message: format!("role {role_arn} stays and belongs to nobody from now on"),
        warning: false,
    }
}

pub(super) fn given_back(role_arn: &RoleArn) -> Notice {
    Notice {
        reason: events::ROLE_GIVEN_BACK,
        message: format!("role {role_arn} is as it was before it was taken over, and belongs to nobody"),
        warning: false,
    }
}

/// There is no role: believed at once after our own DeleteRole, else once two reads agree. IAM may not show a role
/// for some time after it was made, so one that we know to have written to lately is looked for longer.
fn gone(departure: &Departure, knowledge: &RoleKnowledge, around: Surroundings<'_>, clock: &Clock) -> Next {
    let deleted_by_us = knowledge.last_write == Some(knowledge.as_of);
    if !deleted_by_us {
        if !knowledge.is_fresh(clock) && knowledge.disputed_since.is_none() {
            return Next::Read(Depth::Header);
        }
        let since = knowledge.disputed_since.unwrap_or(knowledge.as_of);
        let patience = clock.consistency_window * WINDOWS_UNTIL_READABLE;
        let until = (since + clock.consistency_window).max(
            knowledge
                .last_sign()
                .map_or(Duration::ZERO, |sign| sign + patience),
        );
        if knowledge.as_of < until || !knowledge.is_fresh(clock) {
            if clock.now >= until {
                return Next::Read(Depth::Header);
            }
            let why = Refusal::passing(
                reasons::NOT_YET_CONSISTENT,
                format!(
                    "IAM shows no role {}; it is read once more before this object goes",
                    departure.role_arn.name()
                ),
            );
            return Next::Wait {
                why,
                until,
                disputed: true,
            };
        }
    }
    let mut plan = Plan::default();
    plan.stage(release(
        &departure.owner,
        Some(&departure.role_arn),
        &[],
        around,
        departure.retain.own_arn().of_anothers_role(),
    ));
    plan.stage(departure.let_go());
    Next::Do(plan)
}
