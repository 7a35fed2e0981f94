//! Giving back a role that was there before its object: it ends as it was when it was taken over, the operator's own
//! tags aside, which say from then on that it is nobody's (they are never taken off, so that no fault of the operator
//! can make a role look as if it had never been its own). Its own permissions come back while only those are let in
//! who had it before and have it now, and its former trust policy last.

use super::Step;
use super::adoption::is_adopted;
use super::departure::{Departure, given_back};
use super::difference::{former_content, former_properties};
use super::former::{FormerState, Sought};
use super::knowledge::{Clock, RoleKnowledge};
use super::planner::{Next, Notice, Plan, not_yet_certain};
use crate::api::condition::events;
use crate::api::condition::reasons;
use crate::guard::Refusal;
use crate::iam::arn::PolicyArn;
use crate::iam::equivalence::same_text;
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::tags;
use crate::iam::trust::trusted_by_both;

/// Whether a role was there before it came to this operator.
pub(super) enum Past<'a> {
    /// Its record isn't looked up yet.
    Unknown(Sought),
    /// It was, and this is what it was.
    Was(&'a FormerState),
    /// It was, and what it was can't be found.
    Lost(Refusal),
    /// It was made for its object.
    None,
}

/// What is known of a role's past. The operator's own record decides: a tag on the role, which says the same, is within the
/// reach of whoever may tag roles. A role without either was made for its object, so that both would have to be lost for
/// an adopted role to pass for one that the operator made.
pub(super) fn past<'a>(knowledge: &'a RoleKnowledge, header: &RoleHeader, clock: &Clock) -> Past<'a> {
    let sought = Sought::of(header);
    let Some(recalled) = knowledge.recalled(&sought, clock) else {
        return Past::Unknown(sought);
    };
    match recalled
        .state
        .as_deref()
        .filter(|former| sought.is_told_by(former))
    {
        Some(former) => Past::Was(former),
        None if is_adopted(header) => Past::Lost(lost(header)),
        None => Past::None,
    }
}

/// The object stays: a role that nobody gives back keeps the permissions and the users that a gone object gave it, and an
/// Event is forgotten within the hour.
fn lost(header: &RoleHeader) -> Refusal {
    let record = match tags::get(&header.tags, tags::ADOPTED) {
        Some(name) if FormerState::is_name(name) => format!("ConfigMap {name} of the operator's namespace"),
        _ => "a ConfigMap of the operator's namespace".to_owned(),
    };
    Refusal::new(
        reasons::FORMER_STATE_LOST,
        format!(
            "role {} was there before this object, but the record of what it was is gone ({record}), so it can't be given \
             back; restore the record from a backup, or write deletionPolicy: Retain to leave the role as it is (the class \
             must set allow.retain), or Delete to delete it",
            header.arn
        ),
    )
}

/// Plans for an adopted role whose object is being deleted and says nothing else.
pub(super) fn give_back(
    departure: &Departure,
    knowledge: &RoleKnowledge,
    header: &RoleHeader,
    content: &RoleContent,
    former: &FormerState,
    clock: &Clock,
) -> Next {
    // What isn't shown isn't taken away, and no DeleteConflict tells of it.
    if let Some(wait) = not_yet_certain(knowledge, departure.role_arn.name(), clock) {
        return wait;
    }
    let mut plan = Plan::default();
    restore(former, header, content, &mut plan);
    let mut tags = former.tags.clone();
    tags.extend(
        header
            .tags
            .clone()
            .into_iter()
            .filter(|(key, _)| tags::is_mark(key)),
    );
    plan.stage(vec![Step::Tag(tags::retained_mark(&tags))]);
    plan.stage(departure.let_go());
    Next::Do(plan)
}

fn restore(former: &FormerState, header: &RoleHeader, content: &RoleContent, plan: &mut Plan) {
    let differs = |document: &str| !same_text(document, &header.trust);
    let update = |document: String| vec![Step::UpdateTrust { document }];
    let (boundary, kept) = boundary(former, header);
    let content = former_content(former, content);
    let is_former = !differs(&former.trust_policy);
    let both = trusted_by_both(&former.trust_policy, &header.trust).to_json();
    let changes = !content.is_empty() || !boundary.is_empty();
    if changes && !is_former && differs(&both) {
        plan.stage(update(both));
    }
    plan.stage(boundary);
    let mut stage = former_properties(former, header);
    stage.extend(content);
    plan.stage(stage);
    if !is_former {
        plan.stage(update(former.trust_policy.clone()));
    }
    plan.notices.extend(kept);
    plan.notices.push(given_back(&header.arn));
}

/// The step that sets the former boundary; or why the present one stays, since no boundary is ever removed.
fn boundary(former: &FormerState, header: &RoleHeader) -> (Vec<Step>, Option<Notice>) {
    if former.permissions_boundary == header.permissions_boundary {
        return (vec![], None);
    }
    let before: Option<PolicyArn> = former
        .permissions_boundary
        .as_ref()
        .and_then(|arn| arn.parse().ok());
    if let Some(before) = before {
        return (vec![Step::SetBoundary(before)], None);
    }
    let present = header.permissions_boundary.as_deref().unwrap_or_default();
    let notice = Notice {
        reason: events::BOUNDARY_KEPT,
        message: format!(
            "role {} keeps the permissions boundary {present}, which it didn't have before it was taken over: the operator \
             never removes one; remove it by hand if the role needs more",
            header.arn
        ),
        warning: true,
    };
    (vec![], Some(notice))
}
