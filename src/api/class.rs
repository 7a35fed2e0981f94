//! `MlServiceRoleClass`: what a platform admin writes to say where roles live and what tenants may ask for.
//! Made so that a mistyped class fails closed: whatever widens is required and must be written out.

#![allow(
    clippy::duplicated_attributes,
    reason = "every printer column has a type and a path"
)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelectorRequirement};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Says in which account, under which path and with which permissions boundary the roles of MlServiceRoles
/// live, and what tenants may ask for.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "mlservicerole.io",
    version = "v1alpha1",
    kind = "MlServiceRoleClass",
    plural = "mlserviceroleclasses",
    shortname = "mlsrc",
    category = "aws",
    status = "MlServiceRoleClassStatus",
    derive = "PartialEq",
    doc = "Where the IAM roles of MlServiceRoles live, and what tenants may ask for.",
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
    printcolumn(name = "Account", type_ = "string", json_path = ".status.accountId"),
    printcolumn(
        name = "Default",
        type_ = "string",
        json_path = r".metadata.annotations.mlservicerole\.io/is-default-class"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.aws) && has(self.aws.accountId)) == (has(oldSelf.aws) && has(oldSelf.aws.accountId)) && (!has(self.aws) || !has(self.aws.accountId) || self.aws.accountId == oldSelf.aws.accountId)")
        .message("aws.accountId can't be added, changed or removed: roles can't move to another account; create another class"),
    validation = Rule::new("has(self.roles.path) == has(oldSelf.roles.path) && (!has(self.roles.path) || self.roles.path == oldSelf.roles.path)")
        .message("roles.path can't be added, changed or removed: IAM can't move a role; create another class"),
    validation = Rule::new("has(self.roles.namePrefix) == has(oldSelf.roles.namePrefix) && (!has(self.roles.namePrefix) || self.roles.namePrefix == oldSelf.roles.namePrefix)")
        .message("roles.namePrefix can't be added, changed or removed: IAM can't rename a role; create another class")
)]
pub struct MlServiceRoleClassSpec {
    /// The AWS account that the roles live in. When absent: the account of the operator's own credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsAccount>,
    /// Whose tokens the roles trust. When absent: this cluster's own issuer, audience `sts.amazonaws.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
    /// Where roles live and what each of them carries.
    pub roles: RoleRules,
    /// What tenants may ask for. Nothing that isn't written here is allowed.
    pub allow: Allow,
    /// What becomes of live roles that this class no longer allows. When absent: `Keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_violation: Option<OnViolation>,
}

/// The AWS account of a class.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsAccount {
    /// Twelve digits. STS must report this account, else no other call is made. Can't be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 12, max = 12), regex(pattern = r"^[0-9]{12}$"))]
    pub account_id: Option<String>,
    /// The role to assume to reach that account. When absent: the operator's own credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AssumeRole>,
}

/// A role that the operator assumes.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssumeRole {
    /// ARN of the role.
    #[schemars(
        length(min = 20, max = 2048),
        regex(pattern = r"^arn:aws(-[a-z0-9]+)*:iam::[0-9]{12}:role/[!-~]+$")
    )]
    pub arn: String,
    /// External id that the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224), regex(pattern = r"^[A-Za-z0-9_+=,.@:/-]+$"))]
    pub external_id: Option<String>,
}

/// Whose tokens the roles trust.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Oidc {
    /// OIDC issuers. When absent: this cluster's own. In each, a namespace's name must mean the same tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["url".into()]))]
    pub issuers: Vec<OidcIssuer>,
    /// Audience of the tokens. When absent: `sts.amazonaws.com`, which is right in every AWS partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[!-~]+$"))]
    pub audience: Option<String>,
}

/// One OIDC issuer.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OidcIssuer {
    /// The issuer's URL, exactly as in the tokens' `iss` claim.
    #[schemars(length(min = 9, max = 255), regex(pattern = r"^https://[A-Za-z0-9._~:/-]+$"))]
    pub url: String,
    /// Must be `true` for every issuer but this cluster's own: a ServiceAccount of the same namespace and name
    /// over there gets the role too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_same_namespaces: Option<bool>,
}

/// Where roles live and what each of them carries.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleRules {
    /// IAM path; `{cluster}` and `{namespace}` are filled in. When absent:
    /// `/mlservicerole/{cluster}/{namespace}/`. Can't be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^/([!-~]+/)?$"))]
    pub path: Option<String>,
    /// Put before every derived role name. Can't be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[A-Za-z0-9_+=,.@-]+$"))]
    pub name_prefix: Option<String>,
    /// Longest session that roles may allow, in seconds, and what they get when the object doesn't say.
    /// When absent: 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 3600, max = 43200))]
    pub max_session_duration_seconds: Option<i32>,
    /// Tags on every role of this class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::api::crd::role_tags")]
    #[x_kube(
        validation = Rule::new("self.all(key, size(key) >= 1 && size(key) <= 128)").message("a tag key has 1 to 128 characters; shorten it"),
        validation = Rule::new("self.all(key, !key.matches('^(?i)(aws:|mlservicerole[.]io/)'))").message("tag keys that begin with aws: or mlservicerole.io/ are reserved (in upper and lower case); choose another key"),
    )]
    pub tags: BTreeMap<String, String>,
    /// Uids of `kube-system` in former clusters of this name (rebuilt or restored ones), whose roles this
    /// cluster inherits.
    #[serde(default, rename = "formerClusterUIDs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 10),
        inner(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9-]+$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub former_cluster_uids: Vec<String>,
    /// The permissions boundary of every role: an ARN, or `none: {}` written out.
    pub permissions_boundary: PermissionsBoundary,
}

/// A permissions boundary, or the written-out decision to have none.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.arn) != has(self.none)").message("permissionsBoundary needs exactly one of arn (the policy that bounds every role) or none: {} (no boundary at all)"))]
pub struct PermissionsBoundary {
    /// ARN of the managed policy that bounds every role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 20, max = 2048),
        regex(pattern = r"^arn:aws(-[a-z0-9]+)*:iam::(aws|[0-9]{12}):policy/[!-~]+$")
    )]
    pub arn: Option<String>,
    /// Roles have no permissions boundary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none: Option<NoBoundary>,
}

/// The empty object of `permissionsBoundary.none`.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct NoBoundary {}

/// What tenants may ask for.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Allow {
    /// Namespaces that may use this class, by their labels. `{}` means all and must be written.
    #[schemars(schema_with = "crate::api::crd::namespace_selector")]
    pub namespaces: NamespaceSelector,
    /// Presets that may be used, and with which values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub presets: Vec<AllowedPreset>,
    /// Managed policies that may be attached: AWS's own by exact ARN, those of an account by ARN or by a pattern with
    /// `*`, `?` (neither stands for `/`), `{namespace}` and `{cluster}`, partition and account in full.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 200),
        inner(length(min = 1, max = 2048), regex(pattern = r"^[!-~]+$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub managed_policy_arns: Vec<String>,
    /// Rules for inline policies: each action on each resource of an Allow statement must be covered by one rule, and
    /// the statement must carry that rule's conditions. Deny statements are always allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub inline: Vec<InlineRule>,
    /// AWS services that `role.trustedServices` may name, exactly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub trusted_services: Vec<String>,
    /// ARNs of roles that inline policies may let tenants pass (`iam:PassRole`), exactly. A rule of `inline` must cover
    /// it too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 2048)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub pass_role_arns: Vec<String>,
    /// Consents to what could raise a principal's own rights, exactly: actions such as `kms:CreateGrant`, which a rule
    /// of `inline` must cover too, and ARNs of AWS-managed policies that hold such actions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub escalating_actions: Vec<String>,
    /// Values that `role.name` may have: with `*`, `?`, `{namespace}` and `{cluster}`, but not wildcards alone. Here and
    /// in the lists beside, no text may be of two namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub role_names: Vec<String>,
    /// Keys that `role.tags` may have, compared without regard to case, as IAM does: with `*`, `?`, `{namespace}` and
    /// `{cluster}`, but not wildcards alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub tag_keys: Vec<String>,
    /// Existing roles that may be adopted, and by which namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["arn".into()]))]
    pub adopt: Vec<AllowedAdoption>,
    /// Whether `deletionPolicy: Retain` may be asked for. When absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain: Option<bool>,
    /// Whether the ServiceAccount `default`, which every pod uses that names none, may be bound. When absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_service_account: Option<bool>,
}

/// A label selector that remembers what it doesn't understand. The API server would prune a mistyped
/// `matchLabel`, and what is left, `{}`, would mean every namespace.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that a namespace must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements that a namespace's labels must meet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelSelectorRequirement>,
    /// Fields that a label selector doesn't have; a class with any is refused.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

/// A preset that may be used.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedPreset {
    /// Name of the preset.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// For each parameter, the values that may be given. A parameter that names a resource and has no entry
    /// here takes no value at all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), schema_with = "crate::api::crd::string_lists")]
    pub with: BTreeMap<String, Vec<String>>,
}

/// What inline policies may say.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InlineRule {
    /// Actions such as `s3:Get*`: the service in full, `*` and `?` in the name.
    #[schemars(length(min = 1, max = 200), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub actions: Vec<String>,
    /// Resources: `*`, or ARNs with partition and service in full; `*`, `?`, `{namespace}`, `{cluster}` and policy
    /// variables, which stand for the same variable only. No text may be of two namespaces, also not by two rules.
    #[schemars(length(min = 1, max = 200), inner(length(min = 1, max = 2048)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub resources: Vec<String>,
    /// Conditions that the statement must carry: operator, key, values. The statement's values must be as narrow or
    /// narrower.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::api::crd::condition_block")]
    pub conditions: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// Roles that may be adopted.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedAdoption {
    /// ARN of the role, exactly: with a role its trust and its policies are taken over, so no pattern is allowed.
    #[schemars(length(min = 20, max = 2048))]
    pub arn: String,
    /// Namespaces whose objects may adopt it.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub namespaces: Vec<String>,
}

/// What becomes of live roles that this class no longer allows. `Keep`: they keep what they have. `Revoke`: what they
/// have and the class doesn't allow is taken from them, whatever else is wrong with their objects; those of objects
/// that observe keep it. When absent: `Keep`.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum OnViolation {
    /// They keep what they have.
    #[default]
    Keep,
    /// What they have and the class doesn't allow is taken from them, whatever else is wrong with their objects;
    /// those of objects that observe keep it.
    Revoke,
}

/// What the operator found about a class.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MlServiceRoleClassStatus {
    /// The `metadata.generation` that this status speaks of; -1 until the operator has seen the class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted` (the class is valid), `Ready` (its account, issuers and boundary are as it says), and `Stalled` while it is
    /// true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::api::crd::conditions")]
    pub conditions: Vec<Condition>,
    /// The account that STS reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The AWS partition of that account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// This cluster's issuer as it was when a class without `oidc.issuers` began to rely on it. Never swapped
    /// silently: a cluster whose issuer changes keeps trusting this one until the class names the issuers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_issuer: Option<String>,
    /// How the roles of this class's account are looked at to find drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepStatus>,
    /// Roles under this class's path that carry this cluster's tags and belong to no MlServiceRole any more. They are
    /// left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphans: Option<OrphanedRoles>,
    /// The issuers in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub issuers: Vec<String>,
    /// While roles of this class carry another permissions boundary than the class says, or none: how far the
    /// change has come. Absent once every role carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary_change: Option<BoundaryChange>,
}

/// A change of the permissions boundary that is under way.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BoundaryChange {
    /// What the roles are to carry; absent where the class has no boundary any more, which leaves them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What some of them carry still. The operator's own IAM policy must allow these too until then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub from: Vec<String>,
    /// How many roles don't carry it yet.
    pub pending_roles: i32,
}

/// How drift is looked for.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepStatus {
    /// `AccountLists`: by two lists of the whole account. `EachRole`: each role is read for itself.
    #[serde(default)]
    pub method: String,
    /// Why it is `EachRole`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Roles that belong to no object.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrphanedRoles {
    /// How many there are.
    #[serde(default)]
    pub count: i64,
    /// Names of the first ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub names: Vec<String>,
}
