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
/// The name of a role that the class lets the object's namespace take over.
const SHARED: &str = "shared-trainer";
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
        3 => json!("s3:Get*"),
        4 => json!(["bedrock:InvokeModel"]),
        5 => json!(format!("s3:Get{}", "a".repeat(3_000))),
        6 => json!(format!("s3:Get{}", "b".repeat(5_000))),
        _ => json!(format!("s3:Get{}", "c".repeat(8_000))),
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

/// Random presets, where they have room beside the inline policies.
fn access(dice: &mut Dice, inline: &[(String, Value)]) -> Value {
    const ROOM: usize = 1_000;
    let used: usize = inline
        .iter()
        .map(|(_, document)| quota::size(&document.to_string()))
        .sum();
    if used + ROOM > INLINE_QUOTA || dice.one_in(2) {
        return json!([]);
    }
    let read = json!({"preset": "s3-prefix-read", "with": {"bucket": ["data"], "prefix": [*dice.pick(&["a", "b"])]}});
    match dice.roll(3) {
        0 => json!([{"preset": "polly-synthesize"}]),
        1 => json!([read]),
        _ => json!([read, {"preset": "polly-synthesize", "version": 1}]),
    }
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

/// Who says that a role which is there already may be taken over.
#[derive(Clone, Copy, PartialEq)]
enum Consent {
    Nobody,
    /// The class, and the object is another's in every other way: it asks for a role of this very name and place.
    ClassAlone,
    Both {
        replaces_trust: bool,
        /// The role is where the object's own would be, so that it is created where it is missing.
        own_place: bool,
    },
}

fn consent(dice: &mut Dice) -> Consent {
    match dice.roll(12) {
        0..=6 => Consent::Nobody,
        7 => Consent::ClassAlone,
        _ => Consent::Both {
            replaces_trust: dice.one_in(2),
            own_place: dice.one_in(2),
        },
    }
}

pub fn desired(dice: &mut Dice) -> Desired {
    let consent = consent(dice);
    let class = class(dice, consent);
    let spec: MlServiceRoleSpec = serde_json::from_value(spec(dice, consent)).unwrap();
    let issuers = if dice.one_in(3) {
        &ISSUERS[..]
    } else {
        &ISSUERS[..1]
    };
    let issuers: BTreeSet<Issuer> = issuers.iter().map(|url| url.parse().unwrap()).collect();
    let resolve_by = |class: &ClassRules| {
        resolve(Resolution {
            name: NAME,
            uid: UID,
            spec: &spec,
            placement: None,
            namespace: &NamespaceState {
                name: NAMESPACE.to_owned(),
                uid: NAMESPACE_UID.to_owned(),
                ..Default::default()
            },
            class,
            issuers: &issuers,
            account: &Account {
                id: ACCOUNT.parse().unwrap(),
                partition: "aws".parse().unwrap(),
                quotas: AccountQuotas::default(),
            },
            cluster: &ClusterIdentity {
                name: "prod".to_owned(),
                uid: CLUSTER_UID.to_owned(),
                region: Some("eu-west-1".to_owned()),
            },
        })
    };
    let intent = resolve_by(&class).unwrap();
    if intent.adoption.is_some() {
        let mut unwilling = class.clone();
        unwilling.adopt.clear();
        assert!(
            resolve_by(&unwilling).is_err(),
            "taken over without the class's consent"
        );
    }
    let departure = dice.one_in(4).then(|| Departure {
        owner: intent.owner.clone(),
        role_arn: intent.arn().clone(),
        former_cluster_uids: class.former_cluster_uids.clone(),
        retain: match dice.roll(6) {
            0 => Retention::Retain,
            1 => Retention::Refused("ml".to_owned()),
            2..=3 => Retention::Unsaid,
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

fn class(dice: &mut Dice, consent: Consent) -> ClassRules {
    let (adopt, names) = match consent {
        Consent::Nobody => (json!([]), json!([])),
        Consent::Both { own_place: false, .. } => (adoptable("/shared/"), json!([])),
        Consent::ClassAlone | Consent::Both { .. } => {
            (adoptable("/mlservicerole/prod/team-a/"), json!([SHARED]))
        }
    };
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
            "namespaces": {}, "managedPolicyArns": policies(), "inline": [{"actions": ["s3:Get*", "s3:PutObject", "bedrock:InvokeModel"], "resources": ["*"]}],
            "presets": [{"name": "polly-synthesize"}, {"name": "s3-prefix-read", "with": {"bucket": ["*"], "prefix": ["*"]}}],
            "adopt": adopt, "roleNames": names,
            "trustedServices": SERVICES, "tagKeys": ["Team", "cost-center", "x", "y"],
        },
    }))
    .unwrap();
    understand("ml", &class).unwrap()
}

fn adoptable(path: &str) -> Value {
    json!([{"arn": format!("arn:aws:iam::{ACCOUNT}:role{path}{SHARED}"), "namespaces": [NAMESPACE]}])
}

fn spec(dice: &mut Dice, consent: Consent) -> Value {
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
    let inline = inline(dice);
    let access = access(dice, &inline);
    let inline: Vec<Value> = inline
        .into_iter()
        .map(|(name, document)| json!({"name": name, "document": document}))
        .collect();
    let description = *dice.pick(&["", "trains", "serves"]);
    let (name, adoption) = match consent {
        Consent::Nobody => (Value::Null, "Never"),
        Consent::ClassAlone => (json!(SHARED), "Never"),
        Consent::Both {
            replaces_trust: false,
            ..
        } => (json!(SHARED), "Adopt"),
        Consent::Both { .. } => (json!(SHARED), "AdoptAndReplaceTrust"),
    };
    json!({
        "adoptionPolicy": adoption,
        "serviceAccounts": accounts,
        "managedPolicyArns": attached(dice),
        "inlinePolicies": inline,
        "access": access,
        "role": {
            "name": name, "description": description, "maxSessionDurationSeconds": *dice.pick(&[3600, 7200]),
            "tags": tags(dice), "trustedServices": services,
        },
    })
}
