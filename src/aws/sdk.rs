//! [`IamApi`] over the AWS SDK: one request a call, and its answer as this crate's types.
//!
//! Whose credentials sign a request is settled in [`super::accounts`], how long it may take and
//! when it is sent again in [`super::transport`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_sdk_iam::Client;
use aws_sdk_iam::types::Tag;

use super::api::{IamApi, Page};
use super::error::{AwsError, code};
use super::sdk_error::from_sdk;
use crate::iam::arn::{OidcProviderArn, PolicyArn};
use crate::iam::document::decode;
use crate::iam::name::RoleName;
use crate::iam::quota::AccountQuotas;
use crate::iam::role::{NewRole, RoleDetails, RoleHeader, RoleSettings};

mod convert;
mod lists;

use convert::{header, parse_attached, partial, to_seconds, to_tags};

/// IAM as one caller sees it.
pub(super) struct SdkIam {
    client: Client,
}

impl SdkIam {
    pub(super) fn new(client: Client) -> Self {
        SdkIam { client }
    }
}

impl fmt::Debug for SdkIam {
    /// Nothing of the client: it holds the credentials provider, and that the external id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkIam").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl IamApi for SdkIam {
    async fn create_role(&self, role: &NewRole) -> Result<RoleHeader, AwsError> {
        const OPERATION: &str = "CreateRole";
        // Whole, so that a field which is added to a role can't be forgotten here.
        let NewRole {
            arn,
            trust,
            description,
            max_session_duration_seconds,
            permissions_boundary,
            tags,
        } = role;
        let answer = self
            .client
            .create_role()
            .path(arn.path().as_str())
            .role_name(arn.name().as_str())
            .assume_role_policy_document(trust)
            .set_description((!description.is_empty()).then(|| description.clone()))
            .max_session_duration(to_seconds(OPERATION, *max_session_duration_seconds)?)
            .set_permissions_boundary(permissions_boundary.as_ref().map(ToString::to_string))
            .set_tags((!tags.is_empty()).then(|| to_tags(OPERATION, tags)).transpose()?)
            .send()
            .await
            .map_err(|error| from_sdk(OPERATION, &error))?;
        // The role exists now, whatever may be wrong with the answer.
        header(OPERATION, answer.role()).map_err(|error| AwsError {
            ambiguous: true,
            ..error
        })
    }

    async fn get_role(&self, name: &RoleName) -> Result<RoleHeader, AwsError> {
        const OPERATION: &str = "GetRole";
        let answer = self
            .client
            .get_role()
            .role_name(name.as_str())
            .send()
            .await
            .map_err(|error| from_sdk(OPERATION, &error))?;
        header(OPERATION, answer.role())
    }

    async fn delete_role(&self, name: &RoleName) -> Result<(), AwsError> {
        self.client
            .delete_role()
            .role_name(name.as_str())
            .send()
            .await
            .map(drop)
            .map_err(|error| from_sdk("DeleteRole", &error))
    }

    async fn update_assume_role_policy(&self, name: &RoleName, document: &str) -> Result<(), AwsError> {
        self.client
            .update_assume_role_policy()
            .role_name(name.as_str())
            .policy_document(document)
            .send()
            .await
            .map(drop)
            .map_err(|error| from_sdk("UpdateAssumeRolePolicy", &error))
    }

    async fn update_role(
        &self,
        name: &RoleName,
        description: &str,
        max_session_duration_seconds: u32,
    ) -> Result<(), AwsError> {
        const OPERATION: &str = "UpdateRole";
        self.client
            .update_role()
            .role_name(name.as_str())
            // Sent also when empty: what isn't sent, IAM leaves as it was.
            .description(description)
            .max_session_duration(to_seconds(OPERATION, max_session_duration_seconds)?)
            .send()
            .await
            .map(drop)
            .map_err(|error| from_sdk(OPERATION, &error))
    }

    async fn put_role_permissions_boundary(
        &self,
        name: &RoleName,
        boundary: &PolicyArn,
    ) -> Result<(), AwsError> {
        self.client
            .put_role_permissions_boundary()
            .role_name(name.as_str())
            .permissions_boundary(boundary.as_str())
            .send()
            .await
            .map(drop)
            .map_err(|error| from_sdk("PutRolePermissionsBoundary", &error))
    }

    async fn tag_role(&self, name: &RoleName, tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
        const OPERATION: &str = "TagRole";
        if tags.is_empty() {
            return Ok(());
        }
        let tags: Vec<Tag> = to_tags(OPERATION, tags)?;
        self.client
            .tag_role()
            .role_name(name.as_str())
            .set_tags(Some(tags))
            .send()
            .await
            .map(drop)
            .map_err(|error| from_sdk(OPERATION, &error))
    }

    async fn untag_role(&self, name: &RoleName, keys: &BTreeSet<String>) -> Result<(), AwsError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.client
            .untag_role()
            .role_name(name.as_str())
            .set_tag_keys(Some(keys.iter().cloned().collect()))
            .send()
            .await
            .map(drop)
            .map_err(|error| from_sdk("UntagRole", &error))
    }

    async fn put_role_policy(&self, name: &RoleName, policy: &str, document: &str) -> Result<(), AwsError> {
        self.client
            .put_role_policy()
            .role_name(name.as_str())
            .policy_name(policy)
            .policy_document(document)
            .send()
            .await
            .map(drop)
            .map_err(|error| from_sdk("PutRolePolicy", &error))
    }

    async fn delete_role_policy(&self, name: &RoleName, policy: &str) -> Result<(), AwsError> {
        self.client
            .delete_role_policy()
            .role_name(name.as_str())
            .policy_name(policy)
            .send()
            .await
            .map(drop)
            .map_err(|error| from_sdk("DeleteRolePolicy", &error))
    }

    async fn attach_role_policy(&self, name: &RoleName, policy: &PolicyArn) -> Result<(), AwsError> {
        self.client
            .attach_role_policy()
            .role_name(name.as_str())
            .policy_arn(policy.as_str())
            .send()
            .await
            .map(drop)
            .map_err(|error| from_sdk("AttachRolePolicy", &error))
    }

    async fn detach_role_policy(&self, name: &RoleName, policy: &PolicyArn) -> Result<(), AwsError> {
        self.client
            .detach_role_policy()
            .role_name(name.as_str())
            .policy_arn(policy.as_str())
            .send()
            .await
            .map(drop)
            .map_err(|error| from_sdk("DetachRolePolicy", &error))
    }

    async fn attached_policies(&self, name: &RoleName) -> Result<BTreeSet<PolicyArn>, AwsError> {
        const OPERATION: &str = "ListAttachedRolePolicies";
        let mut attached = BTreeSet::new();
        let mut pages = self
            .client
            .list_attached_role_policies()
            .role_name(name.as_str())
            .into_paginator()
            .send();
        let mut more = true;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| from_sdk(OPERATION, &error))?;
            more = page.is_truncated();
            for policy in page.attached_policies() {
                attached.insert(parse_attached(OPERATION, policy)?);
            }
        }
        // The paginator ends silently at a page that has no marker or repeats one.
        if more {
            return Err(partial(OPERATION));
        }
        Ok(attached)
    }

    async fn inline_policies(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError> {
        const OPERATION: &str = "ListRolePolicies";
        let mut names = BTreeSet::new();
        let mut pages = self
            .client
            .list_role_policies()
            .role_name(name.as_str())
            .into_paginator()
            .send();
        let mut more = true;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| from_sdk(OPERATION, &error))?;
            more = page.is_truncated();
            names.extend(page.policy_names);
        }
        if more {
            return Err(partial(OPERATION));
        }
        Ok(names)
    }

    async fn inline_policy(&self, name: &RoleName, policy: &str) -> Result<String, AwsError> {
        let answer = self
            .client
            .get_role_policy()
            .role_name(name.as_str())
            .policy_name(policy)
            .send()
            .await
            .map_err(|error| from_sdk("GetRolePolicy", &error))?;
        Ok(decode(answer.policy_document()).into_owned())
    }

    async fn instance_profiles(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError> {
        const OPERATION: &str = "ListInstanceProfilesForRole";
        let mut profiles = BTreeSet::new();
        let mut pages = self
            .client
            .list_instance_profiles_for_role()
            .role_name(name.as_str())
            .into_paginator()
            .send();
        let mut more = true;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| from_sdk(OPERATION, &error))?;
            more = page.is_truncated();
            let names = page.instance_profiles.into_iter();
            profiles.extend(names.map(|profile| profile.instance_profile_name));
        }
        if more {
            return Err(partial(OPERATION));
        }
        Ok(profiles)
    }

    async fn remove_role_from_instance_profile(
        &self,
        name: &RoleName,
        profile: &str,
    ) -> Result<(), AwsError> {
        self.client
            .remove_role_from_instance_profile()
            .role_name(name.as_str())
            .instance_profile_name(profile)
            .send()
            .await
            .map(drop)
            .map_err(|error| from_sdk("RemoveRoleFromInstanceProfile", &error))
    }

    async fn open_id_connect_provider_audiences(
        &self,
        provider: &OidcProviderArn,
    ) -> Result<BTreeSet<String>, AwsError> {
        self.client
            .get_open_id_connect_provider()
            .open_id_connect_provider_arn(provider.to_string())
            .send()
            .await
            .map(|answer| answer.client_id_list.into_iter().flatten().collect())
            .map_err(|error| from_sdk("GetOpenIDConnectProvider", &error))
    }

    async fn policy_exists(&self, policy: &PolicyArn) -> Result<bool, AwsError> {
        let answer = self
            .client
            .get_policy()
            .policy_arn(policy.as_str())
            .send()
            .await
            .map_err(|error| from_sdk("GetPolicy", &error));
        match answer {
            Ok(_) => Ok(true),
            Err(error) if error.is_no_such_entity() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn account_quotas(&self) -> Result<AccountQuotas, AwsError> {
        let summary = self.summary().await?;
        Ok(AccountQuotas::from_summary(|key| {
            summary.get(&key.into()).copied()
        }))
    }

    async fn account_role_count(&self) -> Result<Option<usize>, AwsError> {
        let roles = self.summary().await?.get(&"Roles".into()).copied();
        Ok(roles.and_then(|roles| usize::try_from(roles).ok()))
    }

    async fn role_details_page(&self, marker: Option<&str>) -> Result<Page<RoleDetails>, AwsError> {
        self.details_page(marker).await
    }

    async fn role_settings_page(
        &self,
        path_prefix: &str,
        marker: Option<&str>,
    ) -> Result<Page<RoleSettings>, AwsError> {
        self.settings_page(path_prefix, marker).await
    }
}

/// An error for an answer that came but says too little, or what it can't say.
fn unreadable(operation: &'static str, message: &str) -> AwsError {
    super::error::classify(operation, Some(code::UNREADABLE_ANSWER), message, None)
}
