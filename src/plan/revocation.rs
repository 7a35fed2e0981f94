//! What is left of a role under a class that has narrowed and says `onViolation: Revoke`: what the class still allows,
//! and nothing else. An item that isn't allowed goes as a whole: of an inline policy no half is kept, since half a
//! policy is nobody's intention.

use super::resolve::{Resolution, RoleIntent, assemble_allowed};
use super::{Clock, Next, Notice, Plan, RoleKnowledge, Step, Surroundings, plan};
use crate::api::MlServiceRoleSpec;
use crate::api::role::RoleProperties;
use crate::guard::{Item, Refusal, violations};

/// What an object's role is cut back to; none where the class allows all of it, or where nothing may be done to the
/// role: a role that the class doesn't let this object take over any more is left as it is.
///
/// What becomes of each violation: policies, presets, tags and trusted services that aren't allowed are taken away;
/// a session that may last too long is shortened; the ServiceAccount `default` is let go and no longer trusted. Where
/// the class doesn't serve the namespace any more, or doesn't allow the role's name, nothing of the role is allowed:
/// it keeps no policy, and nobody can take it. The same holds where what is left can't be put together.
pub fn cut_back(from: Resolution<'_>) -> Option<RoleIntent> {
    let violations = violations(from.class, from.request());
    if violations.is_empty() {
        return None;
    }
    let items: Vec<&Item> = violations.iter().map(|(item, _)| item).collect();
    let closed = items
        .iter()
        .any(|item| matches!(item, Item::Namespace | Item::RoleName));
    let mut spec = from.spec.clone();
    if closed {
        withdraw_everything(&mut spec);
    }
    withdraw(&mut spec, &items, &from);
    let assemble = |spec: &MlServiceRoleSpec| assemble_allowed(Resolution { spec, ..from }).ok();
    // What can't be put together for another reason, such as a tag that is there twice, is no way to keep the rest.
    let (mut intent, closed) = match assemble(&spec) {
        Some(intent) => (intent, closed),
        None => {
            withdraw_everything(&mut spec);
            (assemble(&spec)?, true)
        }
    };
    if closed {
        intent.trust.service_accounts.clear();
        intent.trust.trusted_services.clear();
    }
    intent.max_session_duration_seconds = intent
        .max_session_duration_seconds
        .min(from.class.max_session_duration_seconds);
    Some(intent)
}

/// ServiceAccounts keep the role's ARN, so that a class that serves the namespace again finds all as it was.
fn withdraw_everything(spec: &mut MlServiceRoleSpec) {
    spec.managed_policy_arns.clear();
    spec.inline_policies.clear();
    spec.access.clear();
    if let Some(role) = &mut spec.role {
        *role = RoleProperties {
            name: role.name.take(),
            description: role.description.take(),
            ..RoleProperties::default()
        };
    }
}

fn withdraw(spec: &mut MlServiceRoleSpec, items: &[&Item], from: &Resolution<'_>) {
    let gone = |item: Item| items.contains(&&item);
    spec.managed_policy_arns
        .retain(|arn| !gone(Item::ManagedPolicy(arn.clone())));
    spec.inline_policies
        .retain(|policy| !gone(Item::InlinePolicy(policy.name.clone())));
    let mut index = 0;
    spec.access.retain(|_| {
        index += 1;
        !gone(Item::Preset(index - 1))
    });
    if let Some(role) = &mut spec.role {
        role.tags.retain(|key, _| !gone(Item::TagKey(key.clone())));
        role.trusted_services
            .retain(|service| !gone(Item::TrustedService(service.clone())));
    }
    if gone(Item::DefaultServiceAccount) {
        let mut references = spec.service_account_references(from.name);
        references.retain(|reference| reference.name != "default");
        spec.service_accounts = Some(references);
    }
}

/// Plans for a role that is cut back. One that doesn't exist isn't created: the object was refused.
pub fn plan_cut_back(
    intent: &RoleIntent,
    has_finalizer: bool,
    knowledge: &RoleKnowledge,
    around: Surroundings<'_>,
    clock: &Clock,
) -> Next {
    match plan(intent, has_finalizer, knowledge, around, clock) {
        Next::Do(plan) if plan.steps().any(|step| matches!(step, Step::CreateRole(_))) => {
            Next::Do(Plan::default())
        }
        next => next,
    }
}

/// The Event for people whose role was cut back.
pub fn revoked(why: &Refusal, done: &[Step]) -> Option<Notice> {
    done.iter().any(Step::writes_role).then(|| Notice {
        reason: "PermissionsRevoked",
        message: format!(
            "the role was cut back to what the class allows (onViolation: Revoke); sessions that pods have already got \
             end by themselves: {}",
            why.message
        ),
        warning: true,
    })
}
