//! `mode: Observe`: what would be done is planned as in `Manage`, told, and left undone.

use super::adoption::is_adopted;
use super::knowledge::{Clock, RoleKnowledge, RoleState};
use super::planner::{Depth, Next, Notice, Plan, plan};
use super::step::Step;
use super::{Placement, RoleIntent, Surroundings};
use crate::api::condition::events;

/// How much of a plan is left undone, by what it is done to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pending {
    /// Steps on the role, and on the object itself.
    pub role: usize,
    /// Steps on ServiceAccounts.
    pub service_accounts: usize,
}

impl Pending {
    /// What a plan leaves undone that isn't carried out.
    pub fn of(plan: &Plan) -> Self {
        let mut pending = Self::default();
        for step in plan.steps() {
            match step {
                Step::CreateServiceAccount(_)
                | Step::BindServiceAccount { .. }
                | Step::UnbindServiceAccount { .. }
                | Step::DeleteServiceAccount { .. } => pending.service_accounts += 1,
                _ => pending.role += 1,
            }
        }
        pending
    }

    /// All of it.
    pub fn all(self) -> usize {
        self.role + self.service_accounts
    }
}

/// As [`plan`], for an object whose plan is only told: whether there is a role is looked up before it is said that
/// one would be created, while in `Manage` the creation itself would show it.
pub fn plan_observed(
    intent: &RoleIntent,
    has_finalizer: bool,
    knowledge: &RoleKnowledge,
    around: Surroundings<'_>,
    clock: &Clock,
) -> Next {
    if knowledge.state == RoleState::Unknown {
        return Next::Read(Depth::Full);
    }
    let mut next = plan(intent, has_finalizer, knowledge, around, clock);
    let adopted = matches!(&knowledge.state, RoleState::Present { header, .. } if is_adopted(header));
    if intent.adoption.is_none() && !adopted {
        return next;
    }
    // Before anybody new gets in, a read must show what was done to a role that is taken over. Told is what comes after
    // that read too, as if it had shown just that.
    let Next::Do(whole) = &mut next else { return next };
    let mut imagined = knowledge.clone();
    let mut done = 0;
    for _ in 0..MAX_PARTS {
        for step in whole.steps().skip(done) {
            imagined.note_done(step, clock.now);
        }
        done = whole.steps().count();
        let RoleState::Present { header, content } = imagined.state.clone() else {
            break;
        };
        imagined.note_read(Some((*header, content)), clock.now);
        let Next::Do(more) = plan(intent, true, &imagined, around, clock) else {
            break;
        };
        // ServiceAccounts aren't imagined: what is told of them already isn't told again.
        let is_told: Vec<Step> = whole.steps().cloned().collect();
        for mut stage in more.stages {
            stage.retain(|step| step.writes_role() || !is_told.contains(step));
            whole.stage(stage);
        }
        if whole.steps().count() == done {
            break;
        }
        if whole.steps().skip(done).all(|step| !step.writes_role()) {
            break;
        }
    }
    next
}

/// Parts that the plan of a role which is taken over has at most: what it holds, and who gets in.
const MAX_PARTS: usize = 2;

/// What to say of an object that goes while it observes: nothing is taken away.
pub fn observed_departure(placement: Option<&Placement>) -> Notice {
    let role = placement.map_or_else(
        || "a role that this object may have had".to_owned(),
        |placement| format!("role {}, if it is this object's,", placement.role_arn),
    );
    Notice {
        reason: events::ROLE_LEFT_IN_PLACE,
        message: format!(
            "mode is Observe, so nothing is taken away: {role} and what ServiceAccounts carry stay as they are; to take \
             them away, create this object again with mode: Manage and delete it then"
        ),
        warning: true,
    }
}
