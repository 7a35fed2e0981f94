//! The calls.

use std::collections::{BTreeMap, BTreeSet};

use mlservicerole_operator::aws::{AwsError, IamApi, Page};
use mlservicerole_operator::iam::arn::{OidcProviderArn, PolicyArn, RoleArn};
use mlservicerole_operator::iam::name::RoleName;
use mlservicerole_operator::iam::quota::AccountQuotas;
use mlservicerole_operator::iam::role::{NewRole, RoleDetails, RoleHeader, RoleSettings};

use super::{FakeIam, FakeRole, State, documents, iam_error, rules};

#[async_trait::async_trait]
impl IamApi for FakeIam {
    async fn create_role(&self, role: &NewRole) -> Result<RoleHeader, AwsError> {
        self.call("CreateRole", role.arn.name().as_str(), |state| {
            state.create(role).map(RoleHeader::from)
        })
    }

    async fn get_role(&self, name: &RoleName) -> Result<RoleHeader, AwsError> {
        const OPERATION: &str = "GetRole";
        self.call(OPERATION, name.as_str(), |state| {
            state.read_role(OPERATION, name).map(RoleHeader::from)
        })
    }

    async fn delete_role(&self, name: &RoleName) -> Result<(), AwsError> {
        const OPERATION: &str = "DeleteRole";
        self.call(OPERATION, name.as_str(), |state| {
            let role = state.modifiable_role(OPERATION, name)?;
            rules::deletable(OPERATION, role)?;
            state.roles.remove(&name.as_str().to_ascii_lowercase());
            Ok(())
        })
    }

    async fn update_assume_role_policy(&self, name: &RoleName, document: &str) -> Result<(), AwsError> {
        const OPERATION: &str = "UpdateAssumeRolePolicy";
        self.call(OPERATION, name.as_str(), |state| {
            state.modifiable_role(OPERATION, name)?;
            state.check_trust(OPERATION, document)?;
            state.role_mut(OPERATION, name)?.trust = document.to_owned();
            Ok(())
        })
    }

    async fn update_role(
        &self,
        name: &RoleName,
        description: &str,
        max_session_duration_seconds: u32,
    ) -> Result<(), AwsError> {
        const OPERATION: &str = "UpdateRole";
        self.call(OPERATION, name.as_str(), |state| {
            rules::settings(OPERATION, description, max_session_duration_seconds)?;
            let role = state.modifiable_role(OPERATION, name)?;
            role.description = description.to_owned();
            role.max_session_duration_seconds = max_session_duration_seconds;
            Ok(())
        })
    }

    async fn put_role_permissions_boundary(
        &self,
        name: &RoleName,
        boundary: &PolicyArn,
    ) -> Result<(), AwsError> {
        const OPERATION: &str = "PutRolePermissionsBoundary";
        self.call(OPERATION, name.as_str(), |state| {
            state.modifiable_role(OPERATION, name)?;
            state.check_boundary(OPERATION, boundary)?;
            let role = state.role_mut(OPERATION, name)?;
            role.permissions_boundary = Some(boundary.to_string());
            Ok(())
        })
    }

    async fn tag_role(&self, name: &RoleName, tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
        const OPERATION: &str = "TagRole";
        if tags.is_empty() {
            return Ok(());
        }
        self.call(OPERATION, name.as_str(), |state| {
            state.check_claim(OPERATION, name, tags)?;
            let role = state.modifiable_role(OPERATION, name)?;
            rules::add_tags(OPERATION, &mut role.tags, tags)
        })
    }

    async fn untag_role(&self, name: &RoleName, keys: &BTreeSet<String>) -> Result<(), AwsError> {
        const OPERATION: &str = "UntagRole";
        if keys.is_empty() {
            return Ok(());
        }
        self.call(OPERATION, name.as_str(), |state| {
            let role = state.modifiable_role(OPERATION, name)?;
            rules::remove_tags(&mut role.tags, keys);
            Ok(())
        })
    }

    async fn put_role_policy(&self, name: &RoleName, policy: &str, document: &str) -> Result<(), AwsError> {
        const OPERATION: &str = "PutRolePolicy";
        self.call(OPERATION, name.as_str(), |state| {
            rules::policy_name(OPERATION, policy)?;
            documents::check_inline(OPERATION, document)?;
            let quota = state.quotas.inline_policies_size;
            let role = state.modifiable_role(OPERATION, name)?;
            rules::inline_size(OPERATION, quota, role, policy, document)?;
            role.inline.insert(policy.to_owned(), document.to_owned());
            Ok(())
        })
    }

    async fn delete_role_policy(&self, name: &RoleName, policy: &str) -> Result<(), AwsError> {
        const OPERATION: &str = "DeleteRolePolicy";
        self.call(OPERATION, name.as_str(), |state| {
            let role = state.modifiable_role(OPERATION, name)?;
            match role.inline.remove(policy) {
                Some(_) => Ok(()),
                None => Err(no_such_inline_policy(OPERATION, policy)),
            }
        })
    }

    async fn attach_role_policy(&self, name: &RoleName, policy: &PolicyArn) -> Result<(), AwsError> {
        const OPERATION: &str = "AttachRolePolicy";
        self.call(OPERATION, name.as_str(), |state| {
            let known = state.policies.contains(policy);
            let quota = state.quotas.managed_policies_per_role;
            let role = state.modifiable_role(OPERATION, name)?;
            if !known {
                let message = format!("Policy {policy} does not exist or is not attachable.");
                return Err(iam_error(OPERATION, "NoSuchEntity", &message));
            }
            if !role.attached.contains(policy) {
                rules::attachments(OPERATION, quota, role.attached.len() + 1)?;
                role.attached.insert(policy.clone());
            }
            Ok(())
        })
    }

    async fn detach_role_policy(&self, name: &RoleName, policy: &PolicyArn) -> Result<(), AwsError> {
        const OPERATION: &str = "DetachRolePolicy";
        self.call(OPERATION, name.as_str(), |state| {
            let role = state.modifiable_role(OPERATION, name)?;
            if role.attached.remove(policy) {
                return Ok(());
            }
            let message = format!("Policy {policy} was not found.");
            Err(iam_error(OPERATION, "NoSuchEntity", &message))
        })
    }

    async fn attached_policies(&self, name: &RoleName) -> Result<BTreeSet<PolicyArn>, AwsError> {
        const OPERATION: &str = "ListAttachedRolePolicies";
        self.call(OPERATION, name.as_str(), |state| {
            Ok(state.read_role(OPERATION, name)?.attached)
        })
    }

    async fn inline_policies(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError> {
        const OPERATION: &str = "ListRolePolicies";
        self.call(OPERATION, name.as_str(), |state| {
            Ok(state.read_role(OPERATION, name)?.inline.into_keys().collect())
        })
    }

    async fn inline_policy(&self, name: &RoleName, policy: &str) -> Result<String, AwsError> {
        const OPERATION: &str = "GetRolePolicy";
        self.call(OPERATION, name.as_str(), |state| {
            let mut role = state.read_role(OPERATION, name)?;
            let document = role.inline.remove(policy);
            document.ok_or_else(|| no_such_inline_policy(OPERATION, policy))
        })
    }

    async fn instance_profiles(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError> {
        const OPERATION: &str = "ListInstanceProfilesForRole";
        self.call(OPERATION, name.as_str(), |state| {
            Ok(state.read_role(OPERATION, name)?.instance_profiles)
        })
    }

    async fn remove_role_from_instance_profile(
        &self,
        name: &RoleName,
        profile: &str,
    ) -> Result<(), AwsError> {
        const OPERATION: &str = "RemoveRoleFromInstanceProfile";
        self.call(OPERATION, name.as_str(), |state| {
            // Without a role in it a profile isn't kept here: nobody asks for it.
            let role = state.modifiable_role(OPERATION, name)?;
            if role.instance_profiles.remove(profile) {
                return Ok(());
            }
            let message = format!("Instance Profile {profile} cannot be found.");
            Err(iam_error(OPERATION, "NoSuchEntity", &message))
        })
    }

    async fn open_id_connect_provider_audiences(
        &self,
        provider: &OidcProviderArn,
    ) -> Result<BTreeSet<String>, AwsError> {
        const OPERATION: &str = "GetOpenIDConnectProvider";
        self.call(OPERATION, "", |state| {
            state.providers.get(provider).cloned().ok_or_else(|| {
                let message = format!("OpenIDConnect Provider not found for arn {provider}");
                iam_error(OPERATION, "NoSuchEntity", &message)
            })
        })
    }

    async fn policy_exists(&self, policy: &PolicyArn) -> Result<bool, AwsError> {
        self.call("GetPolicy", "", |state| Ok(state.policies.contains(policy)))
    }

    async fn account_quotas(&self) -> Result<AccountQuotas, AwsError> {
        self.call("GetAccountSummary", "", |state| Ok(state.quotas))
    }

    async fn account_role_count(&self) -> Result<Option<usize>, AwsError> {
        self.call("GetAccountSummary", "", |state| Ok(Some(state.roles.len())))
    }

    async fn role_details_page(&self, marker: Option<&str>) -> Result<Page<RoleDetails>, AwsError> {
        self.call("GetAccountAuthorizationDetails", "", |state| {
            Ok(state.details_page(marker))
        })
    }

    async fn role_settings_page(
        &self,
        path_prefix: &str,
        marker: Option<&str>,
    ) -> Result<Page<RoleSettings>, AwsError> {
        self.call("ListRoles", "", |state| {
            Ok(state.settings_page(path_prefix, marker))
        })
    }
}

impl State {
    fn create(&mut self, role: &NewRole) -> Result<FakeRole, AwsError> {
        const OPERATION: &str = "CreateRole";
        let NewRole {
            arn,
            trust,
            description,
            max_session_duration_seconds,
            permissions_boundary,
            tags: wanted_tags,
        } = role;
        rules::settings(OPERATION, description, *max_session_duration_seconds)?;
        let mut tags = BTreeMap::new();
        rules::add_tags(OPERATION, &mut tags, wanted_tags)?;
        self.check_trust(OPERATION, trust)?;
        if let Some(boundary) = permissions_boundary {
            self.check_boundary(OPERATION, boundary)?;
        }
        let key = arn.name().as_str().to_ascii_lowercase();
        if self.roles.contains_key(&key) {
            let message = format!("Role with name {} already exists.", arn.name());
            return Err(iam_error(OPERATION, "EntityAlreadyExists", &message));
        }
        if self.roles.len() >= self.role_quota {
            let message = format!("Cannot exceed quota for RolesPerAccount: {}", self.role_quota);
            return Err(iam_error(OPERATION, "LimitExceeded", &message));
        }
        let created = FakeRole {
            // IAM knows its own account and builds the ARN itself.
            arn: RoleArn::new(&self.partition, &self.account, arn.path(), arn.name()),
            id: self.new_id(),
            trust: trust.clone(),
            description: description.clone(),
            max_session_duration_seconds: *max_session_duration_seconds,
            permissions_boundary: permissions_boundary.as_ref().map(ToString::to_string),
            tags,
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
            instance_profiles: BTreeSet::new(),
        };
        self.invisible.insert(key.clone(), self.invisible_reads);
        self.roles.insert(key, created.clone());
        Ok(created)
    }

    fn modifiable_role(
        &mut self,
        operation: &'static str,
        name: &RoleName,
    ) -> Result<&mut FakeRole, AwsError> {
        let role = self.role_mut(operation, name)?;
        rules::modifiable(operation, role)?;
        Ok(role)
    }

    fn check_trust(&self, operation: &'static str, document: &str) -> Result<(), AwsError> {
        let own_roles = format!("arn:{}:iam::{}:role/", self.partition, self.account);
        let known = |arn: &str| {
            !arn.starts_with(&own_roles) || self.roles.values().any(|role| role.arn.to_string() == arn)
        };
        documents::check_trust(operation, document, &known)?;
        rules::trust_size(operation, self.quotas.trust_policy_size, document)
    }

    fn check_boundary(&self, operation: &'static str, boundary: &PolicyArn) -> Result<(), AwsError> {
        if self.policies.contains(boundary) {
            return Ok(());
        }
        let message = format!("Scope ARN: {boundary} does not exist or is not attachable.");
        Err(iam_error(operation, "NoSuchEntity", &message))
    }
}

fn no_such_inline_policy(operation: &'static str, policy: &str) -> AwsError {
    let message = format!("The role policy with name {policy} cannot be found.");
    iam_error(operation, "NoSuchEntity", &message)
}
