//! Fields of an MlServiceRole that this release doesn't act on yet. They are refused, never ignored: a tenant
//! must not believe in a preset or a conflict policy that nobody carries out.

use super::Refusal;
use crate::api::MlServiceRoleSpec;
use crate::api::role::{ConflictPolicy, Mode};

/// Refuses what a later release brings.
pub fn check(spec: &MlServiceRoleSpec) -> Result<(), Refusal> {
    let mut refusals = Vec::new();
    if !spec.access.is_empty() {
        refusals.push(Refusal::not_yet_supported(
            "spec.access",
            "remove it, and list managedPolicyArns or inlinePolicies instead",
        ));
    }
    if spec.mode == Some(Mode::Observe) {
        refusals.push(Refusal::not_yet_supported(
            "spec.mode Observe",
            "remove it, or delete the object",
        ));
    }
    let replacing = spec.service_accounts.iter().flatten();
    for account in replacing.filter(|a| a.conflict_policy == Some(ConflictPolicy::Replace)) {
        refusals.push(Refusal::not_yet_supported(
            &format!("conflictPolicy Replace of ServiceAccount {:?}", account.name),
            "remove it, and take the other role's annotation off the ServiceAccount yourself",
        ));
    }
    match Refusal::joined(refusals) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}
