//! IAM that asks the operator's policy before each call, with the condition keys that IAM would give. The fake behind
//! it keeps the roles; what it is asked and what was denied is kept for the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use mlservicerole_operator::aws::{AwsError, IamApi, Page};
use mlservicerole_operator::iam::arn::{OidcProviderArn, PolicyArn};
use mlservicerole_operator::iam::name::RoleName;
use mlservicerole_operator::iam::quota::AccountQuotas;
use mlservicerole_operator::iam::role::{NewRole, RoleDetails, RoleHeader, RoleSettings};
use serde_json::Value;

use crate::evaluator::{Decision, Request, decide};
use crate::support::fake_iam::{ACCOUNT, FakeIam, iam_error};

/// What IAM says of a request to an existing role: its tags and its boundary.
pub fn on_role(action: &str, arn: &str, tags: &BTreeMap<String, String>, boundary: Option<&str>) -> Request {
    let mut request = Request::new(action, arn);
    for (key, value) in tags {
        request = request.with(&format!("aws:ResourceTag/{key}"), value);
    }
    match boundary {
        Some(boundary) => request.with("iam:PermissionsBoundary", boundary),
        None => request,
    }
}

/// The tags that a request writes.
pub fn writing(request: Request, tags: &BTreeMap<String, String>) -> Request {
    tags.iter().fold(request, |request, (key, value)| {
        request
            .with(&format!("aws:RequestTag/{key}"), value)
            .with("aws:TagKeys", key)
    })
}

/// Requests asked about, and those of them that were denied.
#[derive(Debug, Default)]
pub struct Log {
    pub asked: BTreeSet<String>,
    pub denied: Vec<(Request, Decision)>,
}

#[derive(Clone, Debug)]
pub struct PolicedIam {
    pub fake: FakeIam,
    pub policies: Vec<Value>,
    pub log: Arc<Mutex<Log>>,
}

impl PolicedIam {
    pub fn new(fake: FakeIam, policies: Vec<Value>) -> Self {
        PolicedIam {
            fake,
            policies,
            log: Arc::default(),
        }
    }

    fn ask(&self, request: Request) -> Result<(), AwsError> {
        let mut log = self.log.lock().unwrap();
        log.asked.insert(request.action.clone());
        let operation: &'static str = Box::leak(request.action.replace("iam:", "").into_boxed_str());
        match decide(&self.policies, &request) {
            Decision::Allowed => Ok(()),
            decision => {
                log.denied.push((request, decision));
                Err(iam_error(
                    operation,
                    "AccessDenied",
                    "no identity-based policy allows it",
                ))
            }
        }
    }

    /// A write to a role; IAM knows no path of one that isn't there.
    fn request(&self, action: &str, name: &RoleName) -> Request {
        match self.fake.role(name.as_str()) {
            Some(role) => on_role(
                action,
                &role.arn.to_string(),
                &role.tags,
                role.permissions_boundary.as_deref(),
            ),
            None => Request::new(action, &format!("arn:aws:iam::{ACCOUNT}:role/{name}")),
        }
    }

    fn read(&self, action: &str, name: &RoleName) -> Result<(), AwsError> {
        self.ask(self.request(action, name))
    }
}

#[async_trait::async_trait]
impl IamApi for PolicedIam {
    async fn create_role(&self, role: &NewRole) -> Result<RoleHeader, AwsError> {
        let arn = role.arn.to_string();
        let create = writing(Request::new("iam:CreateRole", &arn), &role.tags);
        self.ask(match &role.permissions_boundary {
            Some(boundary) => create.with("iam:PermissionsBoundary", boundary.as_str()),
            None => create,
        })?;
        // IAM asks for both where a role is created with tags (IAM user guide, "Tag IAM roles").
        self.ask(writing(Request::new("iam:TagRole", &arn), &role.tags))?;
        self.fake.create_role(role).await
    }

    async fn get_role(&self, name: &RoleName) -> Result<RoleHeader, AwsError> {
        self.read("iam:GetRole", name)?;
        self.fake.get_role(name).await
    }

    async fn delete_role(&self, name: &RoleName) -> Result<(), AwsError> {
        self.ask(self.request("iam:DeleteRole", name))?;
        self.fake.delete_role(name).await
    }

    async fn update_assume_role_policy(&self, name: &RoleName, document: &str) -> Result<(), AwsError> {
        self.ask(self.request("iam:UpdateAssumeRolePolicy", name))?;
        // Sources disagree whether the boundary is told of here.
        let mut silent = self.request("iam:UpdateAssumeRolePolicy", name);
        silent.context.remove("iam:permissionsboundary");
        self.ask(silent)?;
        self.fake.update_assume_role_policy(name, document).await
    }

    async fn update_role(&self, name: &RoleName, description: &str, seconds: u32) -> Result<(), AwsError> {
        self.ask(self.request("iam:UpdateRole", name))?;
        self.fake.update_role(name, description, seconds).await
    }

    async fn put_role_permissions_boundary(
        &self,
        name: &RoleName,
        boundary: &PolicyArn,
    ) -> Result<(), AwsError> {
        let mut request = self.request("iam:PutRolePermissionsBoundary", name);
        // Here the key tells of the boundary that is set (IAM user guide, "Delegating responsibility to others
        // using permissions boundaries").
        request.context.remove("iam:permissionsboundary");
        self.ask(request.with("iam:PermissionsBoundary", boundary.as_str()))?;
        self.fake.put_role_permissions_boundary(name, boundary).await
    }

    async fn tag_role(&self, name: &RoleName, tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
        let mut request = self.request("iam:TagRole", name);
        request.context.remove("iam:permissionsboundary");
        self.ask(writing(request, tags))?;
        self.fake.tag_role(name, tags).await
    }

    async fn untag_role(&self, name: &RoleName, keys: &BTreeSet<String>) -> Result<(), AwsError> {
        let request = self.request("iam:UntagRole", name);
        let request = keys
            .iter()
            .fold(request, |request, key| request.with("aws:TagKeys", key));
        self.ask(request)?;
        self.fake.untag_role(name, keys).await
    }

    async fn put_role_policy(&self, name: &RoleName, policy: &str, document: &str) -> Result<(), AwsError> {
        self.ask(self.request("iam:PutRolePolicy", name))?;
        self.fake.put_role_policy(name, policy, document).await
    }

    async fn delete_role_policy(&self, name: &RoleName, policy: &str) -> Result<(), AwsError> {
        self.ask(self.request("iam:DeleteRolePolicy", name))?;
        self.fake.delete_role_policy(name, policy).await
    }

    async fn attach_role_policy(&self, name: &RoleName, policy: &PolicyArn) -> Result<(), AwsError> {
        let request = self.request("iam:AttachRolePolicy", name);
        self.ask(request.with("iam:PolicyARN", policy.as_str()))?;
        self.fake.attach_role_policy(name, policy).await
    }

    async fn detach_role_policy(&self, name: &RoleName, policy: &PolicyArn) -> Result<(), AwsError> {
        let request = self.request("iam:DetachRolePolicy", name);
        self.ask(request.with("iam:PolicyARN", policy.as_str()))?;
        self.fake.detach_role_policy(name, policy).await
    }

    async fn attached_policies(&self, name: &RoleName) -> Result<BTreeSet<PolicyArn>, AwsError> {
        self.read("iam:ListAttachedRolePolicies", name)?;
        self.fake.attached_policies(name).await
    }

    async fn inline_policies(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError> {
        self.read("iam:ListRolePolicies", name)?;
        self.fake.inline_policies(name).await
    }

    async fn inline_policy(&self, name: &RoleName, policy: &str) -> Result<String, AwsError> {
        self.read("iam:GetRolePolicy", name)?;
        self.fake.inline_policy(name, policy).await
    }

    async fn instance_profiles(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError> {
        self.read("iam:ListInstanceProfilesForRole", name)?;
        self.fake.instance_profiles(name).await
    }

    async fn remove_role_from_instance_profile(
        &self,
        name: &RoleName,
        profile: &str,
    ) -> Result<(), AwsError> {
        let arn = format!("arn:aws:iam::{ACCOUNT}:instance-profile/{profile}");
        self.ask(Request::new("iam:RemoveRoleFromInstanceProfile", &arn))?;
        self.fake.remove_role_from_instance_profile(name, profile).await
    }

    async fn open_id_connect_provider_audiences(
        &self,
        provider: &OidcProviderArn,
    ) -> Result<BTreeSet<String>, AwsError> {
        self.ask(Request::new(
            "iam:GetOpenIDConnectProvider",
            &provider.to_string(),
        ))?;
        self.fake.open_id_connect_provider_audiences(provider).await
    }

    async fn policy_exists(&self, policy: &PolicyArn) -> Result<bool, AwsError> {
        self.ask(Request::new("iam:GetPolicy", policy.as_str()))?;
        self.fake.policy_exists(policy).await
    }

    async fn account_quotas(&self) -> Result<AccountQuotas, AwsError> {
        self.ask(Request::new("iam:GetAccountSummary", "*"))?;
        self.fake.account_quotas().await
    }

    async fn account_role_count(&self) -> Result<Option<usize>, AwsError> {
        self.ask(Request::new("iam:GetAccountSummary", "*"))?;
        self.fake.account_role_count().await
    }

    async fn role_details_page(&self, marker: Option<&str>) -> Result<Page<RoleDetails>, AwsError> {
        self.ask(Request::new("iam:GetAccountAuthorizationDetails", "*"))?;
        self.fake.role_details_page(marker).await
    }

    async fn role_settings_page(
        &self,
        path_prefix: &str,
        marker: Option<&str>,
    ) -> Result<Page<RoleSettings>, AwsError> {
        // Its resource is the path: IAM has no other for a list (Service Authorization Reference).
        let listed = format!("arn:aws:iam::{ACCOUNT}:role{path_prefix}");
        self.ask(Request::new("iam:ListRoles", &listed))?;
        self.fake.role_settings_page(path_prefix, marker).await
    }
}
