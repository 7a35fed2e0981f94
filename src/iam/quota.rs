//! IAM's quotas that concern roles.
//!
//! Fixed ones hold in every account. Default ones can be raised: what an account really has, IAM
//! says in GetAccountSummary, under the name given at each ([`AccountQuotas`]); the defaults here
//! are for when that can't be read. Source: IAM user guide, "IAM and AWS STS quotas".

/// How many characters of a document IAM counts towards its quotas: all but whitespace.
///
/// Whitespace are the space, tab, line feed and carriage return, wherever they stand.
pub fn size(document: &str) -> usize {
    document
        .chars()
        .filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r'))
        .count()
}

/// Roles in an account. Default; quota L-FE177D64, `RolesQuota`.
pub const DEFAULT_ROLES_PER_ACCOUNT: usize = 1_000;
/// Managed policies attached to a role. Default; quota L-0DA4ABF3, `AttachedPoliciesPerRoleQuota`.
pub const DEFAULT_MANAGED_POLICIES_PER_ROLE: usize = 10;
/// Characters of a role's trust policy, see [`size`]. Default; quota L-C07B4B0D,
/// `AssumeRolePolicySizeQuota` (in IAM's error messages `ACLSizePerRole`).
pub const DEFAULT_TRUST_POLICY_SIZE: usize = 2_048;
/// Customer-managed policies in an account. Default; quota L-E95E4862, `PoliciesQuota`.
pub const DEFAULT_CUSTOMER_MANAGED_POLICIES_PER_ACCOUNT: usize = 1_500;
/// OIDC providers in an account. Default; quota L-858F3967, not in GetAccountSummary.
pub const DEFAULT_OIDC_PROVIDERS_PER_ACCOUNT: usize = 100;

/// Characters of all inline policies of a role together, see [`size`]. Fixed;
/// `RolePolicySizeQuota`.
pub const INLINE_POLICIES_SIZE_PER_ROLE: usize = 10_240;
/// Characters of a managed policy, see [`size`]. Fixed; `PolicySizeQuota`.
pub const MANAGED_POLICY_SIZE: usize = 6_144;
/// Versions of a managed policy. Fixed; `VersionsPerPolicyQuota`.
pub const VERSIONS_PER_MANAGED_POLICY: usize = 5;
/// Permissions boundaries of a role. Fixed.
pub const PERMISSIONS_BOUNDARIES_PER_ROLE: usize = 1;
/// Tags of a role. Fixed. For the size of each see [`tags`](super::tags).
pub const TAGS_PER_ROLE: usize = 50;
/// Characters of a role's description. Fixed (IAM API reference, CreateRole, `Description`).
pub const DESCRIPTION_LENGTH: usize = 1_000;
/// Characters of an inline policy's name. Fixed (IAM API reference, PutRolePolicy, `PolicyName`).
pub const INLINE_POLICY_NAME_LENGTH: usize = 128;
/// The least that a role's maximum session duration can be, in seconds. Fixed (IAM API reference,
/// CreateRole, `MaxSessionDuration`); it is also what a role has when nothing is said.
pub const MIN_MAX_SESSION_DURATION_SECONDS: u32 = 3_600;
/// The most that a role's maximum session duration can be, in seconds. Fixed.
pub const MAX_MAX_SESSION_DURATION_SECONDS: u32 = 43_200;

/// What an account allows of what can differ between accounts, and whether that was read there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AccountQuotas {
    /// Managed policies attached to a role.
    pub managed_policies_per_role: usize,
    /// Characters of a role's trust policy, see [`size`].
    pub trust_policy_size: usize,
    /// Characters of all inline policies of a role together, see [`size`].
    pub inline_policies_size: usize,
    /// Whether the account said so. Otherwise these are the documented defaults, which the account
    /// may exceed: nothing is refused by those of them that can be raised.
    pub known: bool,
}

impl Default for AccountQuotas {
    /// The documented defaults, as long as the account can't be asked.
    fn default() -> Self {
        AccountQuotas {
            managed_policies_per_role: DEFAULT_MANAGED_POLICIES_PER_ROLE,
            trust_policy_size: DEFAULT_TRUST_POLICY_SIZE,
            inline_policies_size: INLINE_POLICIES_SIZE_PER_ROLE,
            known: false,
        }
    }
}

impl AccountQuotas {
    /// From the `SummaryMap` of GetAccountSummary, looked up by IAM's own keys. A quota that isn't
    /// there, or isn't positive, is the default one.
    pub fn from_summary(summary: impl Fn(&str) -> Option<i32>) -> Self {
        let of = |key, default| {
            summary(key)
                .and_then(|quota| usize::try_from(quota).ok())
                .filter(|&quota| quota > 0)
                .unwrap_or(default)
        };
        AccountQuotas {
            managed_policies_per_role: of("AttachedPoliciesPerRoleQuota", DEFAULT_MANAGED_POLICIES_PER_ROLE),
            trust_policy_size: of("AssumeRolePolicySizeQuota", DEFAULT_TRUST_POLICY_SIZE),
            inline_policies_size: of("RolePolicySizeQuota", INLINE_POLICIES_SIZE_PER_ROLE),
            known: true,
        }
    }
}

/// How much of a quota is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Used {
    /// What is needed.
    pub used: usize,
    /// What there is.
    pub limit: usize,
}

impl Used {
    /// Whether more is needed than there is.
    pub fn exceeds(self) -> bool {
        self.used > self.limit
    }
}

/// What a role needs of its account's quotas.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RoleUsage {
    /// Characters of the trust policy.
    pub trust_policy: Used,
    /// Characters of all inline policies together.
    pub inline_policies: Used,
    /// Managed policies attached.
    pub managed_policies: Used,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_says_what_it_allows_and_defaults_fill_what_it_leaves_out() {
        let quotas = AccountQuotas::from_summary(|key| match key {
            "AttachedPoliciesPerRoleQuota" => Some(20),
            "AssumeRolePolicySizeQuota" => Some(4_096),
            "RolePolicySizeQuota" => Some(0),
            _ => None,
        });
        assert_eq!(
            quotas,
            AccountQuotas {
                managed_policies_per_role: 20,
                trust_policy_size: 4_096,
                inline_policies_size: 10_240,
                known: true,
            }
        );
        assert!(!AccountQuotas::default().known);
    }

    #[test]
    fn whitespace_does_not_count() {
        assert_eq!(size("{ \"a\":\t\"b c\"\r\n}"), size("{\"a\":\"bc\"}"));
        assert_eq!(size("{\"a\":\"bc\"}"), 10);
    }

    #[test]
    fn characters_count_and_not_bytes() {
        assert_eq!(size("é"), 1);
    }

    #[test]
    fn a_no_break_space_counts_since_it_is_not_one_of_jsons() {
        assert_eq!(size("\u{a0}"), 1);
    }
}
