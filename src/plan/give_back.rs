//! Giving back a role that was there before its object: it ends as it was when it was taken over, the operator's own
//! tags aside, which say from then on that it is nobody's (they are never taken off, so that no fault of the operator
//! can make a role look as if it had never been its own). Its own permissions come back while only those are let in
//! who had it before and have it now, and its former trust policy last.

use super::Step;
use super::departure::{Departure, given_back};
use super::difference::{former_content, former_properties};
use super::former::FormerState;
use super::knowledge::{Clock, RoleKnowledge};
use super::planner::{Next, Notice, Plan, not_yet_certain};
use crate::api::condition::events;
use crate::iam::arn::PolicyArn;
use crate::iam::equivalence::same_text;
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::tags;
use crate::iam::trust::trusted_by_both;

/// Plans for an adopted role whose object is being deleted and says nothing else.
pub(super) fn give_back(
    departure: &Departure,
    knowledge: &RoleKnowledge,
    header: &RoleHeader,
    content: &RoleContent,
    clock: &Clock,
) -> Next {
    // What isn't shown isn't taken away, and no DeleteConflict tells of it.
    if let Some(wait) = not_yet_certain(knowledge, departure.role_arn.name(), clock) {
        return wait;
    }
    let name = tags::get(&header.tags, tags::ADOPTED).unwrap_or_default();
    let former = if FormerState::is_name(name) {
        match knowledge.recalled(name, clock) {
            None => return Next::Recall(name.to_owned()),
            Some(recalled) => recalled.state.as_deref(),
        }
    } else {
        None
    };
    let mut plan = Plan::default();
    let former = former.filter(|former| former.role_arn == header.arn && former.role_id == header.id);
    match former {
        Some(former) => restore(former, header, content, &mut plan),
        None => plan.notices.push(Notice {
            reason: events::ROLE_LEFT_AS_IT_IS,
            message: format!(
                "what role {} was before it was taken over can't be found (ConfigMap {name:?} of the operator's namespace), \
                 so it stays as this object made it and belongs to nobody; look who can use it",
                departure.role_arn
            ),
            warning: true,
        }),
    }
    let mut tags = former.map_or_else(|| header.tags.clone(), |former| former.tags.clone());
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
