//! Managed policies that a class lets objects attach: AWS's own by exact ARN, those of an account also by pattern. What
//! such a policy says isn't looked at: AWS changes its own, and an account's owner the others.

use super::template::{Names, Template};
use super::violation::quoted;
use crate::iam::arn::{AccountId, Partition, PolicyArn};

/// An entry of `allow.managedPolicyArns`, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagedPolicies {
    /// This policy, of AWS or of an account.
    Exact(PolicyArn),
    /// Policies of one account; the account and the partition are literal.
    Pattern(Template),
}

impl ManagedPolicies {
    /// Whether a policy is one of these. `*` and `?` stand for no `/` and no `:`.
    pub fn contains(&self, policy: &PolicyArn, names: Names<'_>) -> bool {
        match self {
            ManagedPolicies::Exact(arn) => arn == policy,
            ManagedPolicies::Pattern(template) => {
                !policy.is_aws_managed() && template.fill(names).matches_between(policy.as_str(), &['/', ':'])
            }
        }
    }

    /// As it would be written for this namespace and cluster: an ARN in which `*` and `?` are wildcards.
    pub fn shown(&self, names: Names<'_>) -> String {
        match self {
            ManagedPolicies::Exact(arn) => arn.to_string(),
            ManagedPolicies::Pattern(template) => template.fill_text(names),
        }
    }
}

/// Reads an entry, or says what is wrong with it.
pub(super) fn understand(text: &str) -> Result<ManagedPolicies, String> {
    if !text.contains(['*', '?', '{', '}']) {
        return match text.parse() {
            Ok(arn) => Ok(ManagedPolicies::Exact(arn)),
            Err(e) => Err(format!("{e}")),
        };
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let &["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
        return Err(format!(
            "the pattern {} isn't an ARN of policies; write one such as arn:aws:iam::123456789012:policy/ml/*",
            quoted(text)
        ));
    };
    if account == "aws" {
        return Err(format!(
            "{} is a pattern of AWS's own policies, which would take in whatever AWS adds; write the ARN of each policy",
            quoted(text)
        ));
    }
    let literal = partition.parse::<Partition>().is_ok() && account.parse::<AccountId>().is_ok();
    let name = resource
        .strip_prefix("policy/")
        .filter(|name| !name.contains(':'));
    if !literal || name.is_none_or(str::is_empty) {
        return Err(format!(
            "the pattern {} must name the partition and the account in full, and begin with policy/ after them, such as \
             arn:aws:iam::123456789012:policy/ml/*",
            quoted(text)
        ));
    }
    Template::parse(text)
        .map(ManagedPolicies::Pattern)
        .map_err(|e| e.to_string())
}
