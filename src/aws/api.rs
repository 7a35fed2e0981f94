//! What the operator asks of IAM, as a trait: one method a call, so that each keeps the pace of its own and a test can count calls and
//! fail any of them. `SdkIam` performs them; the fake in `tests/support` behaves like IAM.
//!
//! No method decides, retries or interprets: an error is handed on as IAM gave it, and a delete of
//! something that is gone is an error like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use super::error::AwsError;
use crate::iam::arn::{OidcProviderArn, PolicyArn};
use crate::iam::name::RoleName;
use crate::iam::quota::AccountQuotas;
use crate::iam::role::{NewRole, RoleContent, RoleDetails, RoleHeader, RoleSettings};

/// A part of a list. IAM may answer fewer items than it was asked for, also none, with more to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<Listed<T>>,
    /// Where the next one begins; none after the last.
    pub next: Option<String>,
}

/// An item of a list of roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The role's name.
    pub name: RoleName,
    /// What is told of it; none where that can't be understood, which is no reason to lose the rest of the list.
    pub role: Option<T>,
}

/// IAM in one account.
///
/// Every error carries IAM's code; what each operation may answer stands in the IAM API reference
/// under its name. What was written can be missing from a read for some seconds, since IAM's reads
/// are eventually consistent.
#[async_trait::async_trait]
pub trait IamApi: Send + Sync + Debug {
    /// CreateRole, with everything that it takes in one request. A name that is taken, whatever the
    /// path and case, is `EntityAlreadyExists`.
    async fn create_role(&self, role: &NewRole) -> Result<RoleHeader, AwsError>;

    /// GetRole. A missing role is `NoSuchEntity`.
    async fn get_role(&self, name: &RoleName) -> Result<RoleHeader, AwsError>;

    /// DeleteRole. `DeleteConflict` while anything is attached, inline or in an instance profile.
    async fn delete_role(&self, name: &RoleName) -> Result<(), AwsError>;

    /// UpdateAssumeRolePolicy: replaces the trust policy.
    async fn update_assume_role_policy(&self, name: &RoleName, document: &str) -> Result<(), AwsError>;

    /// UpdateRole. It sets both values, and an empty description takes the old one away.
    async fn update_role(
        &self,
        name: &RoleName,
        description: &str,
        max_session_duration_seconds: u32,
    ) -> Result<(), AwsError>;

    /// PutRolePermissionsBoundary: sets or replaces. There is no call that removes one.
    async fn put_role_permissions_boundary(
        &self,
        name: &RoleName,
        boundary: &PolicyArn,
    ) -> Result<(), AwsError>;

    /// TagRole: adds tags, or replaces their values; other tags stay. No tags, no call.
    async fn tag_role(&self, name: &RoleName, tags: &BTreeMap<String, String>) -> Result<(), AwsError>;

    /// UntagRole. A key that the role doesn't have is no error. No keys, no call.
    async fn untag_role(&self, name: &RoleName, keys: &BTreeSet<String>) -> Result<(), AwsError>;

    /// PutRolePolicy: adds or replaces an inline policy.
    async fn put_role_policy(&self, name: &RoleName, policy: &str, document: &str) -> Result<(), AwsError>;

    /// DeleteRolePolicy. `NoSuchEntity` for a missing role and for a missing policy.
    async fn delete_role_policy(&self, name: &RoleName, policy: &str) -> Result<(), AwsError>;

    /// AttachRolePolicy. Attaching twice is no error.
    async fn attach_role_policy(&self, name: &RoleName, policy: &PolicyArn) -> Result<(), AwsError>;

    /// DetachRolePolicy. `NoSuchEntity` for a missing role and for a policy that isn't attached.
    async fn detach_role_policy(&self, name: &RoleName, policy: &PolicyArn) -> Result<(), AwsError>;

    /// All pages of ListAttachedRolePolicies: the managed policies that are attached.
    async fn attached_policies(&self, name: &RoleName) -> Result<BTreeSet<PolicyArn>, AwsError>;

    /// All pages of ListRolePolicies: the names of the inline policies.
    async fn inline_policies(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError>;

    /// GetRolePolicy: the document of an inline policy as JSON text, percent-decoded. `NoSuchEntity` for a missing role and
    /// for a missing policy.
    async fn inline_policy(&self, name: &RoleName, policy: &str) -> Result<String, AwsError>;

    /// The three above, with one call for each inline policy. A policy that vanishes in between is left out.
    async fn role_content(&self, name: &RoleName) -> Result<RoleContent, AwsError> {
        let attached = self.attached_policies(name).await?;
        let mut inline = BTreeMap::new();
        for policy in self.inline_policies(name).await? {
            match self.inline_policy(name, &policy).await {
                Ok(document) => {
                    inline.insert(policy, document);
                }
                Err(error) if error.is_no_such_entity() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(RoleContent { inline, attached })
    }

    /// All pages of ListInstanceProfilesForRole: the names of the instance profiles that the role is in.
    async fn instance_profiles(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError>;

    /// RemoveRoleFromInstanceProfile; the profile stays. `NoSuchEntity` for a missing role or profile,
    /// and for a role that isn't in it.
    async fn remove_role_from_instance_profile(&self, name: &RoleName, profile: &str)
    -> Result<(), AwsError>;

    /// GetOpenIDConnectProvider's `ClientIDList`: the audiences whose tokens the provider accepts.
    async fn open_id_connect_provider_audiences(
        &self,
        provider: &OidcProviderArn,
    ) -> Result<BTreeSet<String>, AwsError>;

    /// GetPolicy, where `NoSuchEntity` is the answer "no".
    async fn policy_exists(&self, policy: &PolicyArn) -> Result<bool, AwsError>;

    /// GetAccountSummary: the account's own quotas.
    async fn account_quotas(&self) -> Result<AccountQuotas, AwsError>;

    /// GetAccountSummary: how many roles the account has, where it says so.
    async fn account_role_count(&self) -> Result<Option<usize>, AwsError>;

    /// One page of GetAccountAuthorizationDetails for roles: every role of the account, since it takes no path. `marker`
    /// is the former page's [`Page::next`].
    async fn role_details_page(&self, marker: Option<&str>) -> Result<Page<RoleDetails>, AwsError>;

    /// One page of ListRoles: the roles whose path begins with `path_prefix`, which begins with `/`.
    async fn role_settings_page(
        &self,
        path_prefix: &str,
        marker: Option<&str>,
    ) -> Result<Page<RoleSettings>, AwsError>;
}
