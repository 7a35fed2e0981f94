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
fn presets_of_a_class_come_later() {
    refused_class(
        json!({"allow": {"presets": [{"name": "p"}]}}),
        "allow.presets is not supported",
        "remove it",
    );
}
