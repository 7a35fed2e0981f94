//! Whether what an object asks for fits into what IAM and its account allow: found out before any call, told with the
//! numbers.

use std::collections::BTreeMap;

use super::RoleIntent;
use crate::api::MlServiceRoleSpec;
use crate::api::condition::reasons;
use crate::guard::Refusal;
use crate::iam::document::PolicyDocument;
use crate::iam::name::MAX_ROLE_NAME_LENGTH;
use crate::iam::quota::{self, RoleUsage, Used};

impl RoleIntent {
    /// The same, where it fits into its account's quotas.
    ///
    /// # Errors
    ///
    /// It needs more than there is.
    pub fn fitting(self) -> Result<Self, Refusal> {
        check(&self).map(|()| self)
    }

    /// What the role needs of its account's quotas.
    pub fn usage(&self) -> RoleUsage {
        RoleUsage {
            trust_policy: Used {
                used: quota::size(&self.trust.document().to_json()),
                limit: self.quotas.trust_policy_size,
            },
            inline_policies: Used {
                used: inline_size(&self.inline),
                limit: self.quotas.inline_policies_size,
            },
            managed_policies: Used {
                used: self.attached.len(),
                limit: self.quotas.managed_policies_per_role,
            },
        }
    }
}

/// Characters of inline policies together.
pub(super) fn inline_size(documents: &BTreeMap<String, PolicyDocument>) -> usize {
    documents
        .values()
        .map(|document| quota::size(&document.to_json()))
        .sum()
}

/// Holds a role against its account's quotas; everything that is too much is named. Quotas that were not read, and
/// may be higher than their defaults, refuse nothing.
fn check(intent: &RoleIntent) -> Result<(), Refusal> {
    let usage = intent.usage();
    let account = intent.arn().account();
    let mut refusals = Vec::new();
    let Used { used, limit } = usage.trust_policy;
    if usage.trust_policy.exceeds() && intent.quotas.known {
        refusals.push(exceeded(format!(
            "the trust policy would have {used} characters (white space aside) for {} ServiceAccounts and {} issuers, \
             account {account} allows {limit} on a role; spread serviceAccounts over several MlServiceRoles, or ask the \
             platform admin to have the quota L-C07B4B0D (role trust policy length) raised",
            intent.trust.service_accounts.len(),
            intent.trust.issuers.len()
        )));
    }
    let Used { used, limit } = usage.inline_policies;
    if usage.inline_policies.exceeds() {
        refusals.push(exceeded(format!(
            "inlinePolicies have {used} characters together (white space, Sid and Id aside), IAM allows {limit} on a role; \
             shorten them, or move some into a customer-managed policy"
        )));
    }
    let Used { used, limit } = usage.managed_policies;
    if usage.managed_policies.exceeds() && intent.quotas.known {
        refusals.push(exceeded(format!(
            "managedPolicyArns has {used} policies, account {account} allows {limit} on a role; leave some out, or ask \
             the platform admin to join some into one policy or to have the quota L-0DA4ABF3 (managed policies per role) \
             raised"
        )));
    }
    Refusal::joined(refusals).map_or(Ok(()), Err)
}

/// Holds the role's own texts against IAM's lengths.
pub(super) fn check_texts(spec: &MlServiceRoleSpec) -> Result<(), Refusal> {
    let Some(role) = &spec.role else { return Ok(()) };
    for (field, text, limit) in [
        ("role.name", &role.name, MAX_ROLE_NAME_LENGTH),
        ("role.description", &role.description, quota::DESCRIPTION_LENGTH),
    ] {
        let length = text.as_ref().map_or(0, |text| text.chars().count());
        if length > limit {
            return Err(exceeded(format!(
                "{field} has {length} characters, IAM allows {limit}; shorten it"
            )));
        }
    }
    Ok(())
}

/// Holds the number of all tags of a role against IAM's.
pub(super) fn check_tags(count: usize) -> Result<(), Refusal> {
    if count <= quota::TAGS_PER_ROLE {
        return Ok(());
    }
    Err(exceeded(format!(
        "role.tags: the role would have {count} tags (with those of the class and of the operator), IAM allows {}; remove some",
        quota::TAGS_PER_ROLE
    )))
}

fn exceeded(message: String) -> Refusal {
    Refusal::new(reasons::QUOTA_EXCEEDED, message)
}
