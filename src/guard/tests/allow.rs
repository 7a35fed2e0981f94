//! Holding objects against a class: everything that the class doesn't name is refused, with the way out.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::guard::{Refusal, Request, check};

fn reading() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"}],
    })
}

/// What a class without any consent says to a request.
#[track_caller]
fn refused(spec: Value, reason: &str, what: &str, field: &str) {
    let refusal = ask(&least_class(&json!({})), &object(spec)).unwrap_err();
    expect(&refusal, reason, what, field);
}

#[track_caller]
fn expect(refusal: &Refusal, reason: &str, what: &str, field: &str) {
    assert_eq!(refusal.reason, reason);
    assert!(refusal.final_);
    let remedy = format!("remove it, or ask the platform admin to add it to {field}");
    for part in ["class \"ml\" doesn't allow", what, &remedy] {
        assert!(refusal.message.contains(part), "{part}: {}", refusal.message);
    }
}

#[test]
fn an_object_that_asks_for_nothing_is_allowed_by_the_least_class() {
    ask(&least_class(&json!({})), &object(json!({}))).unwrap();
}

#[test]
fn everything_that_the_class_names_is_allowed() {
    let spec = object(json!({
        "managedPolicyArns": [READ_ONLY, S3_READ],
        "inlinePolicies": [{"name": "p", "document": reading()}],
        "role": {
            "name": "trainer-role", "maxSessionDurationSeconds": 7200,
            "tags": {"Team": "a", "cost-center": "1"}, "trustedServices": ["sagemaker.amazonaws.com"],
        },
        "deletionPolicy": "Retain",
        "serviceAccounts": [{"name": "default"}],
    }));
    ask(&wide_class(&json!({})), &spec).unwrap();
}

#[test]
fn a_namespace_that_is_not_served_learns_nothing_else() {
    let rules = rules(&least_class(
        &json!({"allow": {"namespaces": {"matchLabels": {"team": "b"}}}}),
    ));
    let spec = object(json!({"managedPolicyArns": [ADMIN], "role": {"name": "x"}}));
    let request = Request {
        cluster: "prod",
        account: None,
        namespace: "team-a",
        namespace_labels: &labels(&[("team", "a")]),
        name: "trainer",
        spec: &spec,
    };
    let refusal = check(&rules, request).unwrap_err();
    assert_eq!(refusal.reason, "NamespaceNotAllowed");
    assert!(refusal.final_);
    insta::assert_snapshot!(refusal.message, @r#"class "ml" doesn't serve namespace "team-a": its labels don't match allow.namespaces; choose another class in className, or ask the platform admin to label the namespace or to widen the class"#);
    let labels = labels(&[("team", "b")]);
    let served = Request {
        namespace_labels: &labels,
        spec: &object(json!({})),
        ..request
    };
    check(&rules, served).unwrap();
}

#[test]
fn managed_policies_need_consent_by_exact_arn() {
    refused(
        json!({"managedPolicyArns": [ADMIN]}),
        "ManagedPolicyNotAllowed",
        ADMIN,
        "allow.managedPolicyArns",
    );
    let class = wide_class(&json!({}));
    for arn in [
        ADMIN,
        "arn:aws-cn:iam::aws:policy/AmazonSageMakerReadOnly",
        "arn:aws:iam::111122223333:policy/AmazonSageMakerReadOnly",
        "arn:aws:iam::aws:policy/amazonsagemakerreadonly",
        "not an arn",
    ] {
        let refusal = ask(&class, &object(json!({"managedPolicyArns": [READ_ONLY, arn]}))).unwrap_err();
        expect(
            &refusal,
            "ManagedPolicyNotAllowed",
            arn,
            "allow.managedPolicyArns",
        );
        assert!(!refusal.message.contains(&format!("{READ_ONLY};")));
    }
}

#[test]
fn inline_policies_need_consent() {
    refused(
        json!({"inlinePolicies": [{"name": "p", "document": reading()}]}),
        "InlinePolicyNotAllowed",
        "the inline policy \"p\"",
        "allow.inline",
    );
}

#[test]
fn role_names_need_consent_by_exact_name() {
    refused(
        json!({"role": {"name": "mine"}}),
        "RoleNameNotAllowed",
        "the role name \"mine\"",
        "allow.roleNames",
    );
    for name in ["Trainer-Role", "trainer-role2", ""] {
        let refusal = ask(&wide_class(&json!({})), &object(json!({"role": {"name": name}}))).unwrap_err();
        assert_eq!(refusal.reason, "RoleNameNotAllowed");
    }
}

#[test]
fn tag_keys_need_consent_without_regard_to_case() {
    refused(
        json!({"role": {"tags": {"Team": "a"}}}),
        "TagKeyNotAllowed",
        "the tag key \"Team\"",
        "allow.tagKeys",
    );
    for key in ["Team", "team", "TEAM", "Cost-Center"] {
        ask(
            &wide_class(&json!({})),
            &object(json!({"role": {"tags": {key: "a"}}})),
        )
        .unwrap();
    }
    let refusal = ask(
        &wide_class(&json!({})),
        &object(json!({"role": {"tags": {"Teams": "a"}}})),
    )
    .unwrap_err();
    assert_eq!(refusal.reason, "TagKeyNotAllowed");
}

#[test]
fn a_tag_that_the_class_sets_itself_is_the_classs() {
    let class = wide_class(&json!({"roles": {"tags": {"team": "platform"}}}));
    let refusal = ask(&class, &object(json!({"role": {"tags": {"TEAM": "a"}}}))).unwrap_err();
    expect(
        &refusal,
        "TagKeyNotAllowed",
        "which the class itself sets on every role",
        "allow.tagKeys instead of roles.tags",
    );
}

#[test]
fn trusted_services_need_consent_by_exact_name() {
    refused(
        json!({"role": {"trustedServices": ["sagemaker.amazonaws.com"]}}),
        "TrustedServiceNotAllowed",
        "the trusted service sagemaker.amazonaws.com",
        "allow.trustedServices",
    );
    let spec = object(json!({"role": {"trustedServices": ["sagemaker.amazonaws.com", "ec2.amazonaws.com"]}}));
    let refusal = ask(&wide_class(&json!({})), &spec).unwrap_err();
    expect(
        &refusal,
        "TrustedServiceNotAllowed",
        "the trusted service ec2.amazonaws.com",
        "allow.trustedServices",
    );
    assert!(!refusal.message.contains("sagemaker"));
}

#[test]
fn sessions_are_no_longer_than_the_class_says() {
    refused(
        json!({"role": {"maxSessionDurationSeconds": 3601}}),
        "SessionDurationNotAllowed",
        "the most is 3600",
        "roles.maxSessionDurationSeconds",
    );
    ask(
        &least_class(&json!({})),
        &object(json!({"role": {"maxSessionDurationSeconds": 3600}})),
    )
    .unwrap();
}

#[test]
fn retaining_a_role_needs_consent() {
    refused(
        json!({"deletionPolicy": "Retain"}),
        "RetainNotAllowed",
        "deletionPolicy Retain",
        "allow.retain",
    );
    ask(
        &least_class(&json!({})),
        &object(json!({"deletionPolicy": "Delete"})),
    )
    .unwrap();
    let written_out = least_class(&json!({"allow": {"retain": false}}));
    ask(&written_out, &object(json!({"deletionPolicy": "Retain"}))).unwrap_err();
}

#[test]
fn the_default_service_account_needs_consent_by_whatever_name_it_comes() {
    refused(
        json!({"serviceAccounts": [{"name": "a"}, {"name": "default"}]}),
        "DefaultServiceAccountNotAllowed",
        "which every pod uses that names none",
        "allow.defaultServiceAccount",
    );
    // An object named `default` asks for it without a word.
    let refusal = ask_as("default", &least_class(&json!({})), &object(json!({}))).unwrap_err();
    assert_eq!(refusal.reason, "DefaultServiceAccountNotAllowed");
    ask_as("default", &wide_class(&json!({})), &object(json!({}))).unwrap();
    let others = object(json!({"serviceAccounts": [{"name": "a"}]}));
    ask_as("default", &least_class(&json!({})), &others).unwrap();
}

#[test]
fn everything_refused_is_named_at_once() {
    let spec = object(json!({
        "managedPolicyArns": [ADMIN, S3_READ],
        "inlinePolicies": [{"name": "p", "document": reading()}, {"name": "q", "document": reading()}],
        "role": {
            "name": "mine", "maxSessionDurationSeconds": 43200, "tags": {"Team": "a"},
            "trustedServices": ["sagemaker.amazonaws.com"],
        },
        "deletionPolicy": "Retain",
        "serviceAccounts": [{"name": "default"}],
    }));
    let refusal = ask(&least_class(&json!({})), &spec).unwrap_err();
    assert_eq!(refusal.reason, "ManagedPolicyNotAllowed");
    insta::assert_snapshot!(refusal.message.replace("; class", "\nclass"), @r#"
    class "ml" doesn't allow the managed policy arn:aws:iam::aws:policy/AdministratorAccess; remove it, or ask the platform admin to add it to allow.managedPolicyArns
    class "ml" doesn't allow the managed policy arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess; remove it, or ask the platform admin to add it to allow.managedPolicyArns
    class "ml" doesn't allow the inline policy "p": statement 1, Action: no rule of allow.inline covers "s3:GetObject"; remove it, or ask the platform admin to add it to allow.inline
    class "ml" doesn't allow the inline policy "q": statement 1, Action: no rule of allow.inline covers "s3:GetObject"; remove it, or ask the platform admin to add it to allow.inline
    class "ml" doesn't allow the role name "mine"; remove it, or ask the platform admin to add it to allow.roleNames
    class "ml" doesn't allow the tag key "Team"; remove it, or ask the platform admin to add it to allow.tagKeys
    class "ml" doesn't allow the trusted service sagemaker.amazonaws.com; remove it, or ask the platform admin to add it to allow.trustedServices
    class "ml" doesn't allow sessions of 43200 seconds (role.maxSessionDurationSeconds): the most is 3600; remove it, or ask the platform admin to add it to roles.maxSessionDurationSeconds
    class "ml" doesn't allow deletionPolicy Retain; remove it, or ask the platform admin to add it to allow.retain
    class "ml" doesn't allow binding the ServiceAccount "default", which every pod uses that names none; remove it, or ask the platform admin to add it to allow.defaultServiceAccount (as true)
    "#);
}
