//! Everything that a later release brings is refused by name, on objects and on classes.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::guard::{check_supported, understand};

#[track_caller]
fn refused_object(spec: Value, part: &str) {
    let refusal = check_supported(&object(spec)).unwrap_err();
    assert_eq!(refusal.reason, "NotYetSupported");
    assert!(refusal.final_);
    assert!(refusal.message.contains(part), "{}", refusal.message);
    assert!(refusal.message.contains("remove it"), "{}", refusal.message);
}

#[test]
fn an_object_without_later_fields_is_supported() {
    check_supported(&object(json!({}))).unwrap();
}

#[test]
fn what_this_release_can_do_is_supported() {
    let spec = json!({
        "adoptionPolicy": "Never",
        "mode": "Manage",
        "deletionPolicy": "Retain",
        "access": [],
        "serviceAccounts": [
            {"name": "a", "conflictPolicy": "Refuse", "creationPolicy": "Never"},
            {"name": "b", "conflictPolicy": "Replace"},
        ],
    });
    check_supported(&object(spec)).unwrap();
}

#[test]
fn presets_come_later() {
    refused_object(
        json!({"access": [{"preset": "sagemaker-invoke-endpoint"}]}),
        "spec.access",
    );
}

#[test]
fn observing_is_supported() {
    check_supported(&object(json!({"mode": "Observe"}))).unwrap();
}

#[test]
fn all_of_it_is_named_at_once() {
    let spec = object(json!({
        "access": [{"preset": "p"}],
    }));
    insta::assert_snapshot!(check_supported(&spec).unwrap_err().message.replace("; ", "\n"), @r#"
    spec.access is not supported by this release of the operator
    remove it, and list managedPolicyArns or inlinePolicies instead
    "#);
}

#[track_caller]
fn refused_class(patch: Value, field: &str, remedy: &str) {
    let refusal = class_refusal(&least_class(&patch));
    assert_eq!(refusal.reason, "NotYetSupported", "{}", refusal.message);
    assert!(refusal.final_);
    assert!(refusal.message.contains(field), "{}", refusal.message);
    assert!(refusal.message.contains(remedy), "{}", refusal.message);
}

#[test]
fn revoking_comes_later() {
    refused_class(
        json!({"onViolation": "Revoke"}),
        "onViolation Revoke",
        "write Keep",
    );
    understand("ml", &least_class(&json!({"onViolation": "Keep"}))).unwrap();
}

#[test]
fn lists_that_no_release_reads_yet_are_refused() {
    for (field, value) in [
        ("presets", json!([{"name": "p"}])),
        ("passRoleArns", json!(["arn:aws:iam::111122223333:role/r"])),
        ("escalatingActions", json!(["iam:PassRole"])),
    ] {
        refused_class(
            json!({"allow": {field: value}}),
            &format!("allow.{field} is not supported"),
            "remove it",
        );
    }
}

#[test]
fn patterns_are_refused_wherever_values_are_listed() {
    for field in ["managedPolicyArns", "trustedServices", "roleNames", "tagKeys"] {
        for pattern in [
            "*",
            "ml-*",
            "a?",
            "{namespace}-role",
            "a}",
            "arn:aws:iam::aws:policy/*",
        ] {
            refused_class(
                json!({"allow": {field: [pattern]}}),
                &format!("the pattern {pattern:?} in allow.{field}"),
                "write each value out",
            );
        }
    }
}

#[test]
fn inline_rules_narrower_than_everything_come_later() {
    for rule in [
        json!({"actions": ["s3:GetObject"], "resources": ["*"]}),
        json!({"actions": ["*"], "resources": ["arn:aws:s3:::b"]}),
        json!({"actions": ["*", "s3:*"], "resources": ["*"]}),
        json!({"actions": [], "resources": ["*"]}),
        json!({"actions": ["*"], "resources": []}),
        json!({"actions": ["*"], "resources": ["*"], "conditions": {"StringEquals": {"a": ["b"]}}}),
    ] {
        refused_class(
            json!({"allow": {"inline": [rule]}}),
            "an inline rule narrower than",
            "permissionsBoundary",
        );
    }
}

#[test]
fn one_wide_inline_rule_does_not_excuse_a_narrow_one() {
    refused_class(
        json!({"allow": {"inline": [
            {"actions": ["*"], "resources": ["*"]},
            {"actions": ["s3:GetObject"], "resources": ["*"]},
        ]}}),
        "an inline rule narrower than",
        "remove it",
    );
}
