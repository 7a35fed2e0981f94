//! Random classes and objects: what is wanted.

use std::collections::BTreeSet;

use mlservicerole_operator::api::{MlServiceRoleClassSpec, MlServiceRoleSpec};
use mlservicerole_operator::guard::{ClassRules, understand};
use mlservicerole_operator::iam::arn::Issuer;
use mlservicerole_operator::iam::quota::{self, AccountQuotas};
use mlservicerole_operator::plan::{
    Account, ClusterIdentity, Departure, NamespaceState, Resolution, Retention, RoleIntent, resolve,
};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::support::fake_iam::ACCOUNT;

pub const NAME: &str = "trainer";
pub const NAMESPACE: &str = "team-a";
pub const UID: &str = "uid-1";
pub const CLUSTER_UID: &str = "cluster-1";
pub const FORMER_CLUSTER_UID: &str = "cluster-0";
pub const NAMESPACE_UID: &str = "namespace-1";
pub const ISSUERS: [&str; 2] = ["https://oidc.example/own", "https://oidc.example/other"];
pub const SERVICES: [&str; 2] = ["sagemaker.amazonaws.com", "bedrock.amazonaws.com"];
pub const ACCOUNTS: [&str; 4] = ["a", "b", "c", "trainer"];
pub const INLINE_NAMES: [&str; 3] = ["p", "q", "r"];
/// What IAM counts of a role's inline policies together.
pub const INLINE_QUOTA: usize = 10_240;

/// Managed policies that exist, more than fit on a role.
pub fn policies() -> Vec<String> {
    policies_up_to(14)
}

fn policies_up_to(count: usize) -> Vec<String> {
    (0..count)
        .map(|i| format!("arn:aws:iam::{ACCOUNT}:policy/p{i}"))
        .collect()
}

pub fn boundaries() -> Vec<String> {
    (0..2)
        .map(|i| format!("arn:aws:iam::{ACCOUNT}:policy/boundary{i}"))
        .collect()
}

/// Inline policies: small ones, ones that differ only a little, and ones that fill the quota.
fn document(dice: &mut Dice, heavy: bool) -> Value {
    let kinds = if heavy { 8 } else { 5 };
    let action = match dice.roll(kinds) {
        0 => json!("s3:GetObject"),
        1 => json!(["s3:GetObject", "s3:PutObject"]),
        2 => json!(["s3:PutObject", "s3:GetObject"]),
        3 => json!("s3:*"),
        4 => json!(["bedrock:InvokeModel"]),
        5 => json!(format!("s3:{}", "a".repeat(3_000))),
        6 => json!(format!("s3:{}", "b".repeat(5_000))),
        _ => json!(format!("s3:{}", "c".repeat(8_000))),
    };
    let resource = dice
        .pick(&[json!("*"), json!(["*"]), json!("arn:aws:s3:::bucket/*")])
        .clone();
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})
}

/// Random inline policies that fit on a role; now and then ones that nearly fill it.
pub fn inline(dice: &mut Dice) -> Vec<(String, Value)> {
    let mut left = INLINE_QUOTA;
    let heavy = dice.one_in(16);
    let mut policies = Vec::new();
    for name in dice.some(&INLINE_NAMES) {
        let document = document(dice, heavy);
        let size = quota::size(&document.to_string());
        if size <= left {
            left -= size;
            policies.push((name.to_owned(), document));
        }
    }
    policies
}

pub fn tags(dice: &mut Dice) -> Value {
    let keys = dice.some(&["Team", "cost-center", "x", "y"]);
    keys.into_iter()
        .map(|key| (key.to_owned(), json!(*dice.pick(&["", "1", "2"]))))
        .collect()
}

/// Random managed policies: mostly a few, now and then as many as a role can have.
pub fn attached(dice: &mut Dice) -> Vec<String> {
    let (limit, policies) = if dice.one_in(8) { (10, 14) } else { (3, 4) };
    dice.at_most(limit, &policies_up_to(policies))
}

/// What a case asks for.
pub struct Desired {
    pub spec: MlServiceRoleSpec,
    pub intent: RoleIntent,
    /// Set where the object is being deleted.
    pub departure: Option<Departure>,
}

pub fn desired(dice: &mut Dice) -> Desired {
    let class = class(dice);
    let spec: MlServiceRoleSpec = serde_json::from_value(spec(dice)).unwrap();
    let issuers = if dice.one_in(3) {
        &ISSUERS[..]
    } else {
        &ISSUERS[..1]
    };
    let issuers: BTreeSet<Issuer> = issuers.iter().map(|url| url.parse().unwrap()).collect();
    let intent = resolve(Resolution {
        name: NAME,
        uid: UID,
        spec: &spec,
        placement: None,
        namespace: &NamespaceState {
            name: NAMESPACE.to_owned(),
            uid: NAMESPACE_UID.to_owned(),
            ..Default::default()
        },
        class: &class,
        issuers: &issuers,
        account: &Account {
            id: ACCOUNT.parse().unwrap(),
            partition: "aws".parse().unwrap(),
            quotas: AccountQuotas::default(),
        },
        cluster: &ClusterIdentity {
            name: "prod".to_owned(),
            uid: CLUSTER_UID.to_owned(),
        },
    })
    .unwrap();
    let departure = dice.one_in(4).then(|| Departure {
        owner: intent.owner.clone(),
        role_arn: intent.arn().clone(),
        former_cluster_uids: class.former_cluster_uids.clone(),
        retain: match dice.roll(5) {
            0 => Retention::Retain,
            1 => Retention::Refused("ml".to_owned()),
            _ => Retention::Delete,
        },
        attached: intent.attached.clone(),
        inline: intent.inline.keys().cloned().collect(),
        lets_go: true,
    });
    Desired {
        spec,
        intent,
        departure,
    }
}

fn class(dice: &mut Dice) -> ClassRules {
    let boundary = match dice.roll(2) {
        0 => json!({"none": {}}),
        _ => json!({"arn": boundaries()[0]}),
    };
    let class_tags = if dice.one_in(2) {
        json!({"owner": "platform"})
    } else {
        json!({})
    };
    let audience = if dice.one_in(4) {
        json!("custom")
    } else {
        Value::Null
    };
    let class: MlServiceRoleClassSpec = serde_json::from_value(json!({
        "oidc": {"audience": audience},
        "roles": {
            "permissionsBoundary": boundary, "tags": class_tags, "maxSessionDurationSeconds": 7200,
            "formerClusterUIDs": [FORMER_CLUSTER_UID],
        },
        "allow": {
            "namespaces": {}, "managedPolicyArns": policies(), "inline": [{"actions": ["*"], "resources": ["*"]}],
            "trustedServices": SERVICES, "tagKeys": ["Team", "cost-center", "x", "y"],
        },
    }))
    .unwrap();
    understand("ml", &class).unwrap()
}

fn spec(dice: &mut Dice) -> Value {
    let mut services = dice.some(&SERVICES);
    let accounts: Vec<Value> = dice
        .some(&ACCOUNTS)
        .into_iter()
        .map(|name| {
            json!({
                "name": name, "creationPolicy": *dice.pick(&["IfMissing", "IfMissing", "Never"]),
                "conflictPolicy": *dice.pick(&["Refuse", "Replace"]),
            })
        })
        .collect();
    if accounts.is_empty() && services.is_empty() {
        services.push(SERVICES[0]);
    }
    let inline: Vec<Value> = inline(dice)
        .into_iter()
        .map(|(name, document)| json!({"name": name, "document": document}))
        .collect();
    let description = *dice.pick(&["", "trains", "serves"]);
    json!({
        "serviceAccounts": accounts,
        "managedPolicyArns": attached(dice),
        "inlinePolicies": inline,
        "role": {
            "description": description, "maxSessionDurationSeconds": *dice.pick(&[3600, 7200]),
            "tags": tags(dice), "trustedServices": services,
        },
    })
}
