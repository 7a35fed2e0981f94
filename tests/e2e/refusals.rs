//! What a class doesn't allow, and what a later release brings: refused with the reason and the remedy, without
//! a call to AWS, and deleted without one.

use mlservicerole_operator::api::condition::{reasons, types};
use serde_json::{Value, json};

use crate::support::aws::{READ_ONLY, statement};
use crate::support::space::condition;
use crate::support::{Class, Space};

crate::trials![
    what_the_class_does_not_allow_is_refused_with_a_remedy,
    presets_that_do_not_exist_or_are_not_allowed_are_refused_with_a_remedy,
    all_refusals_are_named_at_once,
    consents_are_exact,
    an_invalid_document_is_refused,
];

/// Each object is refused for its reason with words that help, costs AWS nothing, and can be deleted.
async fn refused(space: &Space, cases: &[(&str, Value, &str, &[&str])]) {
    let mark = space.bed.proxy.mark();
    for (name, spec, _, _) in cases {
        space.create(name, spec.clone()).await;
    }
    for (name, _, reason, words) in cases {
        let message = space.refused(name, reason).await;
        for word in *words {
            assert!(message.contains(word), "{name}: no {word:?} in {message:?}");
        }
        let object = space.roles().get(name).await.unwrap();
        let of = |kind: &str| condition(&object, kind).map(|c| (c.status.clone(), c.reason.clone()));
        let expected = |status: &str| Some((status.to_owned(), (*reason).to_owned()));
        assert_eq!(of(types::READY), expected("False"), "{name}");
        assert_eq!(of(types::STALLED), expected("True"), "{name}");
    }
    for (name, _, _, _) in cases {
        space.delete_and_wait(name).await;
    }
    assert!(space.bed.proxy.since(mark, &space.prefix()).is_empty());
}

async fn what_the_class_does_not_allow_is_refused_with_a_remedy() {
    let space = Space::new("not-allowed").await;
    let spec = json!({"roles": {"permissionsBoundary": {"none": {}}}, "allow": {"namespaces": {}}});
    let class = Class::new("allows-nothing", spec).await;
    let of_class = |mut spec: Value| {
        spec["className"] = json!(class.name);
        spec
    };
    let inline = json!({"inlinePolicies": [{"name": "data", "document": statement("s3:GetObject", "*")}]});
    let name = class.name.as_str();
    let cases: Vec<(&str, Value, &str, Vec<&str>)> = vec![
        (
            "managed",
            json!({"managedPolicyArns": [READ_ONLY]}),
            reasons::MANAGED_POLICY_NOT_ALLOWED,
            vec![READ_ONLY, "allow.managedPolicyArns"],
        ),
        (
            "inline",
            inline,
            reasons::INLINE_POLICY_NOT_ALLOWED,
            vec!["data", "allow.inline"],
        ),
        (
            "named",
            json!({"role": {"name": "my-role"}}),
            reasons::ROLE_NAME_NOT_ALLOWED,
            vec!["my-role", "allow.roleNames"],
        ),
        (
            "tagged",
            json!({"role": {"tags": {"team": "a"}}}),
            reasons::TAG_KEY_NOT_ALLOWED,
            vec!["team", "allow.tagKeys"],
        ),
        (
            "service",
            json!({"role": {"trustedServices": ["sagemaker.amazonaws.com"]}}),
            reasons::TRUSTED_SERVICE_NOT_ALLOWED,
            vec!["sagemaker.amazonaws.com", "allow.trustedServices"],
        ),
        (
            "long",
            json!({"role": {"maxSessionDurationSeconds": 3601}}),
            reasons::SESSION_DURATION_NOT_ALLOWED,
            vec!["3601", "roles.maxSessionDurationSeconds"],
        ),
        (
            "retain",
            json!({"deletionPolicy": "Retain"}),
            reasons::RETAIN_NOT_ALLOWED,
            vec!["allow.retain"],
        ),
        (
            "account",
            json!({"serviceAccounts": [{"name": "default"}]}),
            reasons::DEFAULT_SERVICE_ACCOUNT_NOT_ALLOWED,
            vec!["default", "allow.defaultServiceAccount"],
        ),
        (
            "default",
            json!({}),
            reasons::DEFAULT_SERVICE_ACCOUNT_NOT_ALLOWED,
            vec!["default", "allow.defaultServiceAccount"],
        ),
    ];
    let cases: Vec<_> = cases
        .into_iter()
        .map(|(object, spec, reason, mut words)| {
            words.push(name);
            (object, of_class(spec), reason, words)
        })
        .collect();
    let cases: Vec<_> = cases
        .iter()
        .map(|(o, s, r, w)| (*o, s.clone(), *r, w.as_slice()))
        .collect();
    refused(&space, &cases).await;
    space.create("modest", json!({"className": class.name})).await;
    space.ready("modest").await;
    assert_eq!(space.role("modest").await.unwrap().max_session, 3600);
}

async fn presets_that_do_not_exist_or_are_not_allowed_are_refused_with_a_remedy() {
    let space = Space::new("no-preset").await;
    let value = json!({"preset": "s3-prefix-read", "with": {"bucket": ["ml-data"], "prefix": ["p"]}});
    refused(
        &space,
        &[
            (
                "unknown",
                json!({"access": [{"preset": "s3-prefix-reed"}]}),
                reasons::INVALID_SPEC,
                &["there is no preset", "did you mean s3-prefix-read"],
            ),
            (
                "not-allowed",
                json!({"access": [value]}),
                reasons::PRESET_NOT_ALLOWED,
                &["s3-prefix-read", "allow.presets"],
            ),
        ],
    )
    .await;
}

async fn all_refusals_are_named_at_once() {
    let space = Space::new("at-once").await;
    let admin = "arn:aws:iam::aws:policy/AdministratorAccess";
    let role = json!({"tags": {"secret": "a"}, "trustedServices": ["ec2.amazonaws.com"]});
    space
        .create("trainer", json!({"managedPolicyArns": [admin], "role": role}))
        .await;
    let message = space
        .refused("trainer", reasons::MANAGED_POLICY_NOT_ALLOWED)
        .await;
    for word in [admin, "secret", "ec2.amazonaws.com"] {
        assert!(message.contains(word), "no {word} in {message}");
    }
}

async fn consents_are_exact() {
    let space = Space::new("exact").await;
    let name = format!("{}-mine", space.name);
    let allow = json!({"roleNames": [name], "tagKeys": ["Team"], "defaultServiceAccount": true});
    let class = Class::like_base("exact", json!({ "allow": allow })).await;
    let other = json!({"className": class.name, "role": {"name": format!("{name}-too")}});
    space.create("other", other).await;
    space.refused("other", reasons::ROLE_NAME_NOT_ALLOWED).await;
    // IAM takes tag keys for the same without regard to case.
    let role = json!({"name": name, "tags": {"team": "a"}});
    let accounts = json!([{"name": "default"}]);
    space
        .create(
            "mine",
            json!({"className": class.name, "role": role, "serviceAccounts": accounts}),
        )
        .await;
    space.ready("mine").await;
    let role = space.role("mine").await.unwrap();
    assert!(role.arn.ends_with(&format!("/{name}")), "{}", role.arn);
    assert_eq!(role.tags.get("team").map(String::as_str), Some("a"));
    space.bound("default", &role.arn).await;
}

async fn an_invalid_document_is_refused() {
    let space = Space::new("invalid").await;
    let inline = |document: Value| json!({"inlinePolicies": [{"name": "data", "document": document}]});
    let reason = reasons::INVALID_SPEC;
    let principal = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    ]});
    refused(
        &space,
        &[
            ("empty", inline(json!({})), reason, &["data"]),
            (
                "effect",
                inline(json!({"Statement": [{"Effect": "Maybe", "Action": "s3:*", "Resource": "*"}]})),
                reason,
                &["data"],
            ),
            ("principal", inline(principal), reason, &["data", "Principal"]),
        ],
    )
    .await;
}
