//! Reading a class: what it says is taken over exactly, and anything doubtful in it refuses the whole class.

use std::collections::BTreeMap;

use kube::core::SelectorExt;
use serde_json::{Value, json};

use super::fixtures::*;
use crate::api::MlServiceRoleClassSpec;

#[track_caller]
fn invalid(patch: &Value, parts: &[&str]) {
    let refusal = class_refusal(&least_class(patch));
    assert_eq!(refusal.reason, "InvalidSpec", "{}", refusal.message);
    assert!(refusal.final_);
    assert!(refusal.message.contains("class \"ml\""), "{}", refusal.message);
    for part in parts {
        assert!(refusal.message.contains(part), "{part}: {}", refusal.message);
    }
}

fn serves(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    rules(&least_class(&json!({"allow": {"namespaces": selector}})))
        .namespaces
        .matches(labels)
}

#[test]
fn a_class_that_says_nothing_allows_nothing() {
    let rules = rules(&least_class(&json!({})));
    assert_eq!(rules.name, "ml");
    assert_eq!(rules.account, None);
    assert_eq!(rules.assume_role, None);
    assert!(rules.issuers.is_empty());
    assert_eq!(rules.audience, "sts.amazonaws.com");
    assert_eq!(rules.path_template, "/mlservicerole/{cluster}/{namespace}/");
    assert_eq!(rules.name_prefix, "");
    assert_eq!(rules.max_session_duration_seconds, 3600);
    assert!(rules.tags.is_empty());
    assert!(rules.former_cluster_uids.is_empty());
    assert_eq!(rules.permissions_boundary, None);
    assert!(rules.managed_policies.is_empty());
    assert!(rules.inline.is_empty());
    assert!(rules.presets.is_empty());
    assert!(rules.trusted_services.is_empty());
    assert!(rules.role_names.is_empty());
    assert!(rules.tag_keys.is_empty());
    assert!(!rules.retain);
    assert!(!rules.default_service_account);
}

#[test]
fn a_class_is_taken_at_its_word() {
    let rules = rules(&wide_class(&json!({
        "aws": {
            "accountId": "111122223333",
            "assumeRole": {"arn": "arn:aws:iam::111122223333:role/op", "externalId": "xy"},
        },
        "oidc": {
            "issuers": [{"url": "https://a.example"}, {"url": "https://b.example", "trustSameNamespaces": true}],
            "audience": "other",
        },
        "roles": {
            "path": "/x/{namespace}/", "namePrefix": "ml-", "tags": {"owner": "platform"},
            "formerClusterUIDs": ["old"], "permissionsBoundary": {"none": null, "arn": BOUNDARY},
        },
    })));
    assert_eq!(rules.account.as_ref().unwrap().as_str(), "111122223333");
    assert_eq!(
        rules.assume_role.clone().unwrap(),
        (
            "arn:aws:iam::111122223333:role/op".to_owned(),
            Some("xy".to_owned())
        )
    );
    let issuers: Vec<_> = rules
        .issuers
        .iter()
        .map(|(issuer, same)| (issuer.url(), *same))
        .collect();
    assert_eq!(
        issuers,
        [("https://a.example", false), ("https://b.example", true)]
    );
    assert_eq!(rules.audience, "other");
    assert_eq!(rules.path_template, "/x/{namespace}/");
    assert_eq!(rules.name_prefix, "ml-");
    assert_eq!(rules.max_session_duration_seconds, 7200);
    assert_eq!(rules.tags, labels(&[("owner", "platform")]));
    assert!(rules.former_cluster_uids.contains("old"));
    assert_eq!(rules.permissions_boundary.as_ref().unwrap().as_str(), BOUNDARY);
    assert_eq!(rules.managed_policies.len(), 2);
    assert_eq!(rules.inline.len(), 1);
    assert!(rules.trusted_services.contains("sagemaker.amazonaws.com"));
    assert!(rules.allows_role_name("trainer-role", NAMES) && !rules.allows_role_name("trainer", NAMES));
    assert!(rules.allows_tag_key("TEAM", NAMES) && !rules.allows_tag_key("teams", NAMES));
    assert!(rules.retain);
    assert!(rules.default_service_account);
}

#[test]
fn what_widens_must_be_written_for_the_class_to_be_read_at_all() {
    for missing in [
        json!({"allow": {"namespaces": null}}),
        json!({"allow": null}),
        json!({"roles": {"permissionsBoundary": null}}),
        json!({"roles": null}),
    ] {
        let mut class = json!({
            "roles": {"permissionsBoundary": {"none": {}}},
            "allow": {"namespaces": {}},
        });
        json_patch::merge(&mut class, &missing);
        assert!(
            serde_json::from_value::<MlServiceRoleClassSpec>(class).is_err(),
            "{missing}"
        );
    }
}

#[test]
fn a_boundary_is_an_arn_or_none_and_never_both_or_neither() {
    let field = "roles.permissionsBoundary: exactly one of arn and none: {} must be there";
    invalid(
        &json!({"roles": {"permissionsBoundary": {"none": null}}}),
        &[field],
    );
    invalid(
        &json!({"roles": {"permissionsBoundary": {"arn": BOUNDARY}}}),
        &[field],
    );
    invalid(
        &json!({"roles": {"permissionsBoundary": {"none": null, "arn": "boundary"}}}),
        &["roles.permissionsBoundary.arn"],
    );
}

#[test]
fn an_empty_selector_serves_every_namespace() {
    assert!(serves(&json!({}), &labels(&[])));
    assert!(serves(&json!({"matchLabels": {}}), &labels(&[("a", "b")])));
}

#[test]
fn selectors_select_as_kubernetes_does() {
    let ml = labels(&[("team", "ml"), ("env", "prod")]);
    let other = labels(&[("team", "web")]);
    let none = labels(&[]);
    let label = json!({"matchLabels": {"team": "ml"}});
    let is_in = json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["ml", "ai"]}]});
    let not_in = json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["web"]}]});
    let exists = json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]});
    let absent = json!({"matchExpressions": [{"key": "env", "operator": "DoesNotExist", "values": []}]});
    for (selector, expected) in [
        (&label, [true, false, false]),
        (&is_in, [true, false, false]),
        (&not_in, [true, false, true]),
        (&exists, [true, true, false]),
        (&absent, [false, true, true]),
    ] {
        let served = [&ml, &other, &none].map(|labels| serves(selector, labels));
        assert_eq!(served, expected, "{selector}");
    }
    let both = json!({
        "matchLabels": {"team": "ml"},
        "matchExpressions": [{"key": "env", "operator": "In", "values": ["dev"]}],
    });
    assert!(!serves(&both, &ml));
}

#[test]
fn a_mistyped_selector_never_means_every_namespace() {
    for (selector, part) in [
        (
            json!({"matchLabel": {"team": "ml"}}),
            "unknown field \"matchLabel\"",
        ),
        (
            json!({"matchlabels": {"team": "ml"}}),
            "unknown field \"matchlabels\"",
        ),
        (json!({"team": "ml"}), "unknown field \"team\""),
        (
            json!({"matchLabels": {"team": "ml"}, "matchExpression": []}),
            "unknown field \"matchExpression\"",
        ),
    ] {
        invalid(
            &json!({"allow": {"namespaces": selector}}),
            &["allow.namespaces", part, "matchLabels and matchExpressions"],
        );
    }
}

#[test]
fn a_requirement_that_can_mean_nothing_is_refused() {
    for requirement in [
        json!({"key": "team", "operator": "In"}),
        json!({"key": "team", "operator": "In", "values": []}),
        json!({"key": "team", "operator": "NotIn"}),
        json!({"key": "team", "operator": "NotIn", "values": []}),
        // The values were mistyped.
        json!({"key": "team", "operator": "NotIn", "value": ["ml"]}),
        json!({"key": "team", "operator": "Exists", "values": ["ml"]}),
        json!({"key": "team", "operator": "DoesNotExist", "values": ["ml"]}),
        json!({"key": "team", "operator": "notin", "values": ["ml"]}),
        json!({"key": "team", "operator": "Is", "values": ["ml"]}),
    ] {
        let patch = json!({"allow": {"namespaces": {"matchExpressions": [requirement]}}});
        invalid(&patch, &["allow.namespaces", "\"team\""]);
    }
    for operator in ["notin", "Is", ""] {
        let requirement = json!({"key": "team", "operator": operator});
        let patch = json!({"allow": {"namespaces": {"matchExpressions": [requirement]}}});
        invalid(&patch, &["allow.namespaces"]);
    }
}

#[test]
fn names_that_aws_would_not_take_are_refused() {
    for (patch, field) in [
        (json!({"aws": {"accountId": "1234"}}), "aws.accountId"),
        (
            json!({"oidc": {"issuers": [{"url": "http://plain.example"}]}}),
            "oidc.issuers",
        ),
        (json!({"oidc": {"issuers": [{"url": ""}]}}), "oidc.issuers"),
        (
            json!({"allow": {"managedPolicyArns": ["AmazonSageMakerReadOnly"]}}),
            "allow.managedPolicyArns",
        ),
        (json!({"roles": {"path": "no-slashes"}}), "roles.path"),
        (json!({"roles": {"path": "/{namspace}/"}}), "roles.path"),
        (json!({"roles": {"path": "/*/"}}), "roles.path"),
        (json!({"roles": {"namePrefix": "a/b"}}), "roles.namePrefix"),
        (
            json!({"roles": {"namePrefix": "a".repeat(52)}}),
            "roles.namePrefix",
        ),
    ] {
        invalid(&patch, &[field]);
    }
}

#[test]
fn a_path_that_some_namespace_would_overflow_is_refused_now() {
    let long = format!("/{}/{{cluster}}/{{namespace}}/", "p".repeat(400));
    invalid(&json!({"roles": {"path": long}}), &["roles.path"]);
}

#[test]
fn tags_that_iam_or_the_operator_reserve_are_refused() {
    for key in [
        "aws:x",
        "AWS:x",
        "mlservicerole.io/uid",
        "MLServiceRole.IO/presets",
    ] {
        invalid(
            &json!({"roles": {"tags": {key: "v"}}}),
            &["roles.tags", key, "reserved"],
        );
    }
    invalid(&json!({"roles": {"tags": {"": "v"}}}), &["roles.tags"]);
    invalid(&json!({"roles": {"tags": {"k!": "v"}}}), &["roles.tags", "'!'"]);
    invalid(
        &json!({"roles": {"tags": {"k": "v".repeat(257)}}}),
        &["roles.tags", "256"],
    );
}

#[test]
fn tag_keys_that_differ_only_in_case_are_one_key() {
    invalid(
        &json!({"roles": {"tags": {"Team": "a", "other": "c", "team": "b"}}}),
        &["roles.tags", "\"Team\" is there twice", "ignores case"],
    );
}

#[test]
fn every_mistake_is_named_at_once() {
    let refusal = class_refusal(&least_class(&json!({
        "aws": {"accountId": "1"},
        "roles": {"path": "x", "permissionsBoundary": {"none": null}},
        "allow": {"namespaces": {"matchLabel": {}}, "managedPolicyArns": ["x"], "roleNames": ["*"]},
    })));
    assert_eq!(refusal.reason, "InvalidSpec");
    for part in [
        "allow.roleNames",
        "aws.accountId",
        "roles.path",
        "roles.permissionsBoundary",
        "allow.namespaces",
        "allow.managedPolicyArns",
    ] {
        assert!(refusal.message.contains(part), "{part}: {}", refusal.message);
    }
}
