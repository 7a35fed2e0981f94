//! Policies of classes written as JSON, for the tests.

use mlservicerole_operator::api::MlServiceRoleClassSpec;
use mlservicerole_operator::guard::{ClassRules, understand};
use mlservicerole_operator::permissions::{
    Class, FormerBoundary, Options, Output, Problems, operator_policies,
};
use serde_json::{Value, json};

pub const CLUSTER: &str = "prod";
pub const CLUSTER_UID: &str = "uid-of-prod";
pub const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/ml-workload-boundary";
pub const FORMER_BOUNDARY: &str = "arn:aws:iam::111122223333:policy/former-boundary";
pub const READ_ONLY: &str = "arn:aws:iam::aws:policy/AmazonSageMakerReadOnly";
pub const BEDROCK: &str = "arn:aws:iam::aws:policy/AmazonBedrockReadOnly";
pub const S3_READ: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
pub const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
pub const ISSUER: &str = "https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE";
pub const LEGACY: &str = "arn:aws:iam::111122223333:role/legacy/trainer";

/// A class with a boundary that lets one role be adopted.
pub fn bounded() -> Value {
    json!({
        "roles": {"permissionsBoundary": {"arn": BOUNDARY}},
        "allow": {
            "namespaces": {},
            "managedPolicyArns": [READ_ONLY, BEDROCK],
            "inline": [{"actions": ["s3:Get*", "s3:List*"], "resources": ["*"]}],
            "adopt": [{"arn": LEGACY, "namespaces": ["team-a"]}],
            "retain": true,
        },
    })
}

/// The same without a boundary.
pub fn unbounded() -> Value {
    let mut class = bounded();
    class["roles"]["permissionsBoundary"] = json!({"none": {}});
    class
}

pub fn spec(class: &Value) -> MlServiceRoleClassSpec {
    serde_json::from_value(class.clone()).unwrap()
}

pub fn rules(name: &str, class: &Value) -> ClassRules {
    understand(name, &spec(class)).unwrap()
}

pub fn options() -> Options {
    Options {
        cluster_name: CLUSTER.to_owned(),
        cluster_uid: None,
        account: Some("111122223333".parse().unwrap()),
        partition: "aws".parse().unwrap(),
        issuer: Some(ISSUER.parse().unwrap()),
        former_boundaries: vec![],
        former_policies: vec![],
        operator_roles: vec![],
        leave_instance_profiles: false,
        account_sweep: true,
    }
}

/// A boundary from before, as by the flag.
pub fn former(class: Option<&str>, arn: &str) -> FormerBoundary {
    FormerBoundary {
        class: class.map(str::to_owned),
        arn: arn.parse().unwrap(),
        in_creation: true,
    }
}

/// What is made of classes that are given with their names.
pub type Maker = fn(&[Class<'_>], &Options) -> Result<Output, Problems>;

pub fn make(maker: Maker, classes: &[(&str, Value)], options: &Options) -> Result<Output, Problems> {
    let read: Vec<_> = classes
        .iter()
        .map(|(name, class)| (spec(class), rules(name, class)))
        .collect();
    let classes: Vec<Class<'_>> = read.iter().map(|(spec, rules)| Class { rules, spec }).collect();
    maker(&classes, options)
}

/// The documents of the operator's policy for one class.
pub fn policies(class: &Value, options: &Options) -> Vec<Value> {
    let output = make(operator_policies, &[("ml", class.clone())], options).unwrap();
    output.policies.iter().map(|policy| policy.document()).collect()
}
