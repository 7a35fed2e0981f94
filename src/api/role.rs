//! `MlServiceRole`: what a tenant writes to give ServiceAccounts of a namespace an IAM role.

#![allow(
    clippy::duplicated_attributes,
    reason = "every printer column has a type and a path"
)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Asks for one IAM role that the named ServiceAccounts of this namespace can use without stored keys.
///
/// The operator creates the role with a trust policy pinned to this cluster's OIDC issuer and to these
/// ServiceAccounts, gives it the policies listed here as far as the MlServiceRoleClass allows, and
/// annotates the ServiceAccounts with the role's ARN. Deleting the object takes everything away again.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "mlservicerole.io",
    version = "v1alpha1",
    kind = "MlServiceRole",
    plural = "mlserviceroles",
    shortname = "mlsr",
    category = "all",
    category = "aws",
    namespaced,
    status = "MlServiceRoleStatus",
    derive = "PartialEq",
    doc = "Gives ServiceAccounts of this namespace an AWS IAM role (IRSA).",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Role", type_ = "string", json_path = ".status.roleName"),
    printcolumn(name = "Class", type_ = "string", json_path = ".status.className"),
    printcolumn(
        name = "ServiceAccounts",
        type_ = "string",
        json_path = ".status.serviceAccountsBound",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)")
        .message("className can't be added, changed or removed after creation: the role lives where its class put it; create another MlServiceRole instead"),
    validation = Rule::new("(has(self.role) && has(self.role.name)) == (has(oldSelf.role) && has(oldSelf.role.name)) && (!has(self.role) || !has(self.role.name) || self.role.name == oldSelf.role.name)")
        .message("role.name can't be added, changed or removed after creation: IAM can't rename a role; create another MlServiceRole instead"),
    validation = Rule::new("!has(self.serviceAccounts) || size(self.serviceAccounts) > 0 || (has(self.role) && has(self.role.trustedServices) && size(self.role.trustedServices) > 0)")
        .message("serviceAccounts may be empty only where role.trustedServices names a service: else nobody could use the role; leave serviceAccounts out to use the ServiceAccount named as this object"),
    validation = Rule::new("!has(self.adoptionPolicy) || self.adoptionPolicy == 'Never' || (has(self.role) && has(self.role.name))")
        .message("adoptionPolicy needs role.name: write the exact name of the role to adopt")
)]
pub struct MlServiceRoleSpec {
    /// Name of the MlServiceRoleClass that says where the role lives and what it may hold. When absent,
    /// the class annotated `mlservicerole.io/is-default-class: "true"` at creation is used and kept.
    /// Can't be added, changed or removed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub class_name: Option<String>,

    /// The ServiceAccounts of this namespace that may use the role, and that are annotated with its ARN.
    /// When absent: one, named as this object. Empty only together with `role.trustedServices`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub service_accounts: Option<Vec<ServiceAccountReference>>,

    /// Least-privilege presets for ML services, expanded by the operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub access: Vec<AccessPreset>,

    /// AWS-managed or customer-managed policies to attach, by ARN. The class must allow each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 25),
        inner(
            length(min = 20, max = 2048),
            regex(pattern = r"^arn:aws(-[a-z0-9]+)*:iam::(aws|[0-9]{12}):policy/[!-~]+$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub managed_policy_arns: Vec<String>,

    /// Policies that live inside the role, written as objects. The class must allow what they say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 25))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub inline_policies: Vec<InlinePolicy>,

    /// Properties of the IAM role itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleProperties>,

    /// What becomes of the AWS role when this object is deleted. When absent: a role that the operator created is
    /// deleted, an adopted one is given back as it was. `Retain` needs the class's consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// Whether an existing role of exactly `role.name` may be taken over; the class must allow it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption_policy: Option<AdoptionPolicy>,

    /// `Manage` keeps AWS as this object says. `Observe` changes nothing and writes to `status.plan` what
    /// `Manage` would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

/// One ServiceAccount of the object's namespace.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountReference {
    /// Name of the ServiceAccount.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Whether the operator creates the ServiceAccount when it is missing. When absent: `IfMissing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_policy: Option<CreationPolicy>,
    /// What happens when the ServiceAccount already carries another role's ARN. When absent: `Refuse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict_policy: Option<ConflictPolicy>,
}

/// What is done about a ServiceAccount that doesn't exist. `IfMissing`: the operator creates it, with the annotation
/// from its first moment on. `Never`: it waits until somebody else does. When absent: `IfMissing`.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum CreationPolicy {
    /// Create it, with the annotation from its first moment on.
    #[default]
    IfMissing,
    /// Wait until somebody else creates it.
    Never,
}

/// What is done about a ServiceAccount that already carries another role's ARN. `Refuse`: it is left alone, and the
/// object says so. `Replace`: the ARN is replaced once the new role is in sync, and put back on delete. When
/// absent: `Refuse`.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum ConflictPolicy {
    /// Leave it alone and say so.
    #[default]
    Refuse,
    /// Replace it once the new role is in sync, and put it back on delete.
    Replace,
}

/// One use of a least-privilege preset.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessPreset {
    /// Name of the preset, for example `sagemaker-invoke-endpoint`.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub preset: String,
    /// Version of the preset; it changes only when this field does. When absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub version: Option<i32>,
    /// Values of the preset's parameters, by parameter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), schema_with = "crate::api::crd::string_lists")]
    pub with: BTreeMap<String, Vec<String>>,
}

/// One inline policy.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InlinePolicy {
    /// Name of the policy inside the role.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_+=,.@-]+$"))]
    pub name: String,
    /// The policy document, written as an object (`Version`, `Statement`). Applied as a whole: two appliers
    /// can't mix half statements.
    #[schemars(schema_with = "crate::api::crd::policy_document")]
    pub document: Value,
}

/// Properties of the IAM role.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleProperties {
    /// Name of the role in IAM. The class must list it. When absent the operator derives a unique name from
    /// class, namespace and object. Can't be added, changed or removed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_+=,.@-]+$"))]
    pub name: Option<String>,
    /// Description of the role in IAM. When absent: empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), regex(pattern = r"^[\x09\x0A\x0D\x20-\x7E\xA1-\xFF]*$"))]
    pub description: Option<String>,
    /// Longest session that may be asked for, in seconds. When absent: what the class says, else 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 3600, max = 43200))]
    pub max_session_duration_seconds: Option<i32>,
    /// Tags on the role. The class must allow each key; `aws:` and `mlservicerole.io/` are reserved.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::api::crd::role_tags")]
    #[x_kube(
        validation = Rule::new("self.all(key, size(key) >= 1 && size(key) <= 128)").message("a tag key has 1 to 128 characters; shorten it"),
        validation = Rule::new("self.all(key, !key.matches('^(?i)(aws:|mlservicerole[.]io/)'))").message("tag keys that begin with aws: or mlservicerole.io/ are reserved (in upper and lower case); choose another key"),
    )]
    pub tags: BTreeMap<String, String>,
    /// AWS services that may take the role too, such as `sagemaker.amazonaws.com` for training jobs that a pod
    /// starts; always only on behalf of the role's own account. The class must allow each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 10),
        inner(
            length(min = 1, max = 128),
            regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\.amazonaws\.com(\.cn)?$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub trusted_services: Vec<String>,
}

/// What becomes of the AWS role when this object is deleted. `Delete`: it goes with the object. `Retain`: the role and
/// the ServiceAccounts' annotations stay as they are and are nobody's from then on; the class must allow it. When
/// absent: `Delete` for a role that the operator created; one that it took over is given back as it was.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// The role goes with the object.
    Delete,
    /// The role and the ServiceAccounts' annotations stay as they are and are nobody's from then on.
    Retain,
}

/// Whether an existing role of exactly `role.name` may be taken over; the class must allow it too. `Never`: a role that
/// isn't this object's is a conflict. `Adopt`: it is taken over, unless its trust policy names principals that this
/// object can't express. `AdoptAndReplaceTrust`: it is taken over, and its trust policy is replaced. When absent:
/// `Never`.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum AdoptionPolicy {
    /// An existing role that isn't this object's is a conflict.
    #[default]
    Never,
    /// Take it over, unless its trust policy names principals that this object can't express.
    Adopt,
    /// Take it over and replace its trust policy.
    AdoptAndReplaceTrust,
}

/// Whether the operator acts. `Manage`: it keeps AWS and the ServiceAccounts as this object says. `Observe`: it changes
/// nothing and writes to `status.plan` what `Manage` would do. When absent: `Manage`.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Mode {
    /// Keep AWS and the ServiceAccounts as the object says.
    #[default]
    Manage,
    /// Change nothing; write what would be done to `status.plan`.
    Observe,
}

/// What the operator found and did. Output only: nothing is ever decided from it.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MlServiceRoleStatus {
    /// The `metadata.generation` that this status speaks of; -1 until the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `RoleSynced`, `ServiceAccountsBound`, `Ready`, and `Stalled` while it is true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::api::crd::conditions")]
    pub conditions: Vec<Condition>,
    /// Name of the class in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// ARN of the role, once it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// Name of the role, once it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_name: Option<String>,
    /// IAM's unique id of the role (`AROA…`); another id under the same ARN is another role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_id: Option<String>,
    /// The ServiceAccounts of the object and whether each carries the role's ARN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub service_accounts: Vec<ServiceAccountStatus>,
    /// How many of them are bound, for people: `1/2` is one of two.
    // A column of kubectl shows the first match of a path only, so it can't list their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_accounts_bound: Option<String>,
    /// How much of IAM's quotas the role uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// In mode `Observe`: what `Manage` would do, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub plan: Vec<PlannedStep>,
}

/// One ServiceAccount and whether it is bound.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountStatus {
    /// Name of the ServiceAccount.
    pub name: String,
    /// Whether it carries this role's ARN, written by this object.
    pub bound: bool,
}

impl ServiceAccountStatus {
    /// How many of `all` are bound, as `1/2`; none where there are none to bind.
    pub fn count(all: &[Self]) -> Option<String> {
        let bound = all.iter().filter(|one| one.bound).count();
        (!all.is_empty()).then(|| format!("{bound}/{}", all.len()))
    }
}

/// What of IAM's quotas a role uses.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Characters of the trust policy, without white space.
    pub trust_policy: QuotaUsage,
    /// Characters of all inline policies together, without white space.
    pub inline_policies: QuotaUsage,
    /// Number of managed policies attached.
    pub managed_policies: QuotaUsage,
}

/// Use of one quota.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaUsage {
    /// How much the object needs.
    pub used: i64,
    /// How much the account allows.
    pub limit: i64,
}

/// One step that `mode: Manage` would take.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStep {
    /// What would be done, for example `AttachRolePolicy`.
    pub action: String,
    /// To what.
    pub target: String,
    /// How the target would differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<String>,
}

impl MlServiceRoleSpec {
    /// The ServiceAccounts of the object: the listed ones, or the one named as the object.
    pub fn service_account_references(&self, object_name: &str) -> Vec<ServiceAccountReference> {
        match &self.service_accounts {
            Some(listed) => listed.clone(),
            None => vec![ServiceAccountReference {
                name: object_name.to_owned(),
                ..Default::default()
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_service_accounts_says_how_many_are_bound() {
        let account = |bound| ServiceAccountStatus {
            name: "trainer".to_owned(),
            bound,
        };
        let count = |bound: &[bool]| {
            let all: Vec<_> = bound.iter().copied().map(account).collect();
            ServiceAccountStatus::count(&all)
        };
        assert_eq!(count(&[true, false]).as_deref(), Some("1/2"));
        assert_eq!(count(&[true]).as_deref(), Some("1/1"));
        assert_eq!(count(&[]), None);
    }
}
