//! Fields of an MlServiceRole that this release doesn't act on yet. They are refused, never ignored: a tenant
//! must not believe in a preset that nobody expands.

use super::Refusal;
use crate::api::MlServiceRoleSpec;

/// Refuses what a later release brings.
pub fn check(spec: &MlServiceRoleSpec) -> Result<(), Refusal> {
    let mut refusals = Vec::new();
    if !spec.access.is_empty() {
        refusals.push(Refusal::not_yet_supported(
            "spec.access",
            "remove it, and list managedPolicyArns or inlinePolicies instead",
        ));
    }
    match Refusal::joined(refusals) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}
