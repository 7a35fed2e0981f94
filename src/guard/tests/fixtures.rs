//! A class and objects to vary, written as people write them: JSON, merged over a base.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::{MlServiceRoleClassSpec, MlServiceRoleSpec};
use crate::guard::{ClassRules, Names, Refusal, Request, check, understand};

/// Where the objects are.
pub(crate) const NAMES: Names<'static> = Names {
    cluster: "prod",
    namespace: "team-a",
};
/// Managed policies that the base class allows.
pub(crate) const READ_ONLY: &str = "arn:aws:iam::aws:policy/AmazonSageMakerReadOnly";
/// Another one.
pub(crate) const S3_READ: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
/// A managed policy that it doesn't allow.
pub(crate) const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
/// A policy that may be a boundary.
pub(crate) const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/boundary";

/// `patch` merged over `base` as in RFC 7396: `null` takes a field away.
pub(crate) fn merged<T: DeserializeOwned>(mut base: Value, patch: &Value) -> T {
    json_patch::merge(&mut base, patch);
    serde_json::from_value(base).unwrap()
}

/// A class that says no more than it must.
pub(crate) fn least_class(patch: &Value) -> MlServiceRoleClassSpec {
    let base = json!({
        "roles": {"permissionsBoundary": {"none": {}}},
        "allow": {"namespaces": {}},
    });
    merged(base, patch)
}

/// A class that allows something of everything.
pub(crate) fn wide_class(patch: &Value) -> MlServiceRoleClassSpec {
    let base = json!({
        "roles": {"permissionsBoundary": {"none": {}}, "maxSessionDurationSeconds": 7200},
        "allow": {
            "namespaces": {},
            "managedPolicyArns": [READ_ONLY, S3_READ],
            "inline": [{"actions": ["s3:Get*", "s3:List*", "s3:PutObject", "sqs:SendMessage"], "resources": ["*"]}],
            "trustedServices": ["sagemaker.amazonaws.com"],
            "roleNames": ["trainer-role"],
            "tagKeys": ["Team", "cost-center"],
            "retain": true,
            "defaultServiceAccount": true,
        },
    });
    merged(base, patch)
}

/// The class `ml`, understood.
pub(crate) fn rules(spec: &MlServiceRoleClassSpec) -> ClassRules {
    understand("ml", spec).unwrap()
}

/// Why a class is refused.
pub(crate) fn class_refusal(spec: &MlServiceRoleClassSpec) -> Refusal {
    understand("ml", spec).unwrap_err()
}

/// The spec of an MlServiceRole.
pub(crate) fn object(spec: Value) -> MlServiceRoleSpec {
    serde_json::from_value(spec).unwrap()
}

/// Holds an object `trainer` in namespace `team-a` against the class `ml`.
pub(crate) fn ask(class: &MlServiceRoleClassSpec, spec: &MlServiceRoleSpec) -> Result<(), Refusal> {
    ask_as("trainer", class, spec)
}

/// The same under another name.
pub(crate) fn ask_as(
    name: &str,
    class: &MlServiceRoleClassSpec,
    spec: &MlServiceRoleSpec,
) -> Result<(), Refusal> {
    let request = Request {
        account: None,
        cluster: "prod",
        namespace: "team-a",
        namespace_labels: &labels(&[("team", "a")]),
        name,
        spec,
    };
    check(&rules(class), request)
}

/// Labels, tags or annotations.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}
