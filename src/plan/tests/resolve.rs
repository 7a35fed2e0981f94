//! What an object comes to under its class, or why it comes to nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fixtures::*;
use crate::api::role::CreationPolicy;
use crate::plan::{Placement, Resolution, place};

#[track_caller]
fn refused(class: &Value, spec: Value, reason: &str, parts: &[&str]) {
    let refusal = try_resolve(class, spec, None).unwrap_err();
    assert_eq!(refusal.reason, reason, "{}", refusal.message);
    assert!(refusal.final_);
    for part in parts {
        assert!(refusal.message.contains(part), "{part}: {}", refusal.message);
    }
}

#[test]
fn an_object_that_says_nothing_gets_a_role_for_the_service_account_of_its_name() {
    let intent = intent(json!({}));
    assert_eq!(intent.service_accounts.len(), 1);
    assert_eq!(intent.service_accounts[0].name, "trainer");
    assert_eq!(
        intent.service_accounts[0].creation_policy,
        CreationPolicy::IfMissing
    );
    assert_eq!(
        intent.trust.service_accounts,
        BTreeSet::from(["trainer".to_owned()])
    );
    assert_eq!(intent.trust.namespace, "team-a");
    assert_eq!(intent.trust.audience, "sts.amazonaws.com");
    assert_eq!(intent.audience, None);
    assert_eq!(intent.description, "");
    assert_eq!(intent.max_session_duration_seconds, 7200);
    assert_eq!(intent.permissions_boundary, None);
    assert_eq!(intent.tags, intent.owner.tags());
    assert!(intent.inline.is_empty());
    assert!(intent.attached.is_empty());
    assert_eq!(intent.placement.class, "ml");
    let arn = intent.arn().to_string();
    let head = "arn:aws:iam::111122223333:role/mlservicerole/prod/team-a/team-a-trainer-";
    assert!(arn.starts_with(head), "{arn}");
}

#[test]
fn everything_that_an_object_says_is_in_the_intent() {
    let class = json!({
        "oidc": {"audience": "custom"},
        "roles": {
            "path": "/x/", "tags": {"owner": "platform"}, "formerClusterUIDs": ["cluster-0"],
            "permissionsBoundary": {"none": null, "arn": BOUNDARY},
        },
    });
    let intent = intent_under(
        &class,
        json!({
            "serviceAccounts": [{"name": "a", "creationPolicy": "Never"}, {"name": "b"}],
            "managedPolicyArns": [READ_ONLY, S3_READ],
            "inlinePolicies": [{"name": "p", "document": document("s3:GetObject")}],
            "role": {
                "name": "trainer-role", "description": "trains", "maxSessionDurationSeconds": 3600,
                "tags": {"Team": "a"}, "trustedServices": ["sagemaker.amazonaws.com"],
            },
        }),
    );
    assert_eq!(
        intent.arn().to_string(),
        "arn:aws:iam::111122223333:role/x/trainer-role"
    );
    assert_eq!(
        intent
            .service_accounts
            .iter()
            .map(|sa| (sa.name.as_str(), sa.creation_policy))
            .collect::<Vec<_>>(),
        [("a", CreationPolicy::Never), ("b", CreationPolicy::IfMissing)]
    );
    assert_eq!(intent.trust.audience, "custom");
    assert_eq!(intent.audience.as_deref(), Some("custom"));
    assert!(intent.trust.trusted_services.contains("sagemaker.amazonaws.com"));
    assert_eq!(intent.description, "trains");
    assert_eq!(intent.max_session_duration_seconds, 3600);
    assert_eq!(intent.permissions_boundary, Some(policy(BOUNDARY)));
    assert!(intent.former_cluster_uids.contains("cluster-0"));
    assert_eq!(intent.tags.len(), 8);
    assert_eq!(intent.tags["owner"], "platform");
    assert_eq!(intent.tags["Team"], "a");
    assert_eq!(intent.attached.len(), 2);
    assert_eq!(intent.inline.len(), 1);
    let new = intent.new_role();
    assert_eq!(new.arn, *intent.arn());
    assert_eq!(new.tags, intent.tags);
    assert_eq!(new.permissions_boundary, intent.permissions_boundary);
    assert_eq!(new.max_session_duration_seconds, 3600);
    assert_eq!(new.description, "trains");
    assert_eq!(new.trust, intent.trust.document().to_json());
}

#[test]
fn an_empty_list_of_service_accounts_is_none_and_not_the_default() {
    let intent = intent(json!({
        "serviceAccounts": [], "role": {"trustedServices": ["sagemaker.amazonaws.com"]},
    }));
    assert!(intent.service_accounts.is_empty());
    assert!(intent.trust.service_accounts.is_empty());
}

#[test]
fn what_the_class_does_not_allow_is_refused() {
    refused(
        &json!({}),
        json!({"managedPolicyArns": [ADMIN]}),
        "ManagedPolicyNotAllowed",
        &[ADMIN],
    );
}

#[test]
fn a_recorded_placement_that_agrees_is_kept() {
    let placement = intent(json!({})).placement;
    let again = try_resolve(&json!({}), json!({}), Some(&placement)).unwrap();
    assert_eq!(again.placement, placement);
}

#[test]
fn a_recorded_placement_that_disagrees_refuses_the_object() {
    let right = intent(json!({})).placement;
    let elsewhere = Placement {
        role_arn: "arn:aws:iam::111122223333:role/somebodys".parse().unwrap(),
        ..right.clone()
    };
    let other_class = Placement {
        class: "other".to_owned(),
        ..right.clone()
    };
    for forged in [elsewhere, other_class] {
        let refusal = try_resolve(&json!({}), json!({}), Some(&forged)).unwrap_err();
        assert_eq!(refusal.reason, "PlacementChanged");
        assert!(refusal.final_);
        let message = &refusal.message;
        for part in [
            &forged.role_arn.to_string(),
            &forged.class,
            &right.role_arn.to_string(),
            "put back what was changed",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}

#[test]
fn a_class_that_moves_its_roles_does_not_move_the_placed_ones() {
    let placement = intent(json!({})).placement;
    let moved = json!({"roles": {"path": "/elsewhere/"}});
    let refusal = try_resolve(&moved, json!({}), Some(&placement)).unwrap_err();
    assert_eq!(refusal.reason, "PlacementChanged");
}

#[test]
fn the_prefix_goes_before_derived_names_only() {
    let class = json!({"roles": {"namePrefix": "ml-"}});
    let derived = intent_under(&class, json!({}));
    assert!(derived.arn().name().as_str().starts_with("ml-team-a-trainer-"));
    let given = intent_under(&class, json!({"role": {"name": "trainer-role"}}));
    assert_eq!(given.arn().name().as_str(), "trainer-role");
}

#[test]
fn an_object_can_be_placed_without_asking_what_it_may_hold() {
    let class = rules(&least_class(&json!({})));
    let spec = object(json!({"managedPolicyArns": [ADMIN], "mode": "Observe"}));
    let placement = place(&Resolution {
        name: "trainer",
        uid: "uid-1",
        spec: &spec,
        placement: None,
        namespace: &namespace(),
        class: &class,
        issuers: &BTreeSet::new(),
        account: &account(),
        cluster: &cluster(),
    })
    .unwrap();
    assert_eq!(placement, intent(json!({})).placement);
}

#[test]
fn a_given_name_that_iam_would_not_take_is_refused() {
    let class = json!({"allow": {"roleNames": ["a*"]}});
    refused(
        &class,
        json!({"role": {"name": "a b"}}),
        "InvalidSpec",
        &["role.name"],
    );
}

#[test]
fn a_policy_document_that_iam_would_not_take_is_refused_by_name() {
    for document in [
        json!({}),
        json!("text"),
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "allow", "Action": "*"}]}),
        json!({"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Principal": "*"}]}),
    ] {
        refused(
            &json!({}),
            json!({"inlinePolicies": [{"name": "mine", "document": document}]}),
            "InvalidSpec",
            &["inlinePolicies \"mine\""],
        );
    }
}

#[test]
fn an_inline_policy_twice_is_refused() {
    let policy = json!({"name": "p", "document": document("s3:GetObject")});
    refused(
        &json!({}),
        json!({"inlinePolicies": [policy, policy]}),
        "InvalidSpec",
        &["\"p\" is there twice", "remove or rename one"],
    );
}

#[test]
fn tags_that_are_reserved_twice_or_malformed_are_refused_even_where_the_class_allows_the_key() {
    let keys = ["a*", "m*", "Team", "k*"];
    let class = json!({"allow": {"tagKeys": keys}});
    for key in ["aws:x", "AWS:X", "mlservicerole.io/uid", "MLSERVICEROLE.IO/UID"] {
        refused(
            &class,
            json!({"role": {"tags": {key: "v"}}}),
            "InvalidSpec",
            &["role.tags", key, "is reserved", "choose another"],
        );
    }
    refused(
        &class,
        json!({"role": {"tags": {"Team": "a", "team": "b"}}}),
        "InvalidSpec",
        &["\"Team\" is there twice", "remove one"],
    );
    refused(
        &class,
        json!({"role": {"tags": {"k!": "v"}}}),
        "InvalidSpec",
        &["role.tags", "'!'"],
    );
    refused(
        &class,
        json!({"role": {"tags": {"Team": "v".repeat(257)}}}),
        "QuotaExceeded",
        &["role.tags", "257", "256", "shorten it"],
    );
}

#[test]
fn fifty_tags_fit_and_the_operators_own_count() {
    let own: Vec<String> = (0..24).map(|i| format!("own{i}")).collect();
    let class_tags =
        |count: usize| -> Value { (0..count).map(|i| (format!("class{i}"), json!("v"))).collect() };
    let tags: Value = own.iter().map(|key| (key.clone(), json!("v"))).collect();
    let class = |count| json!({"allow": {"tagKeys": own}, "roles": {"tags": class_tags(count)}});
    let spec = json!({"role": {"tags": tags}});
    assert_eq!(intent_under(&class(20), spec.clone()).tags.len(), 50);
    refused(
        &class(21),
        spec,
        "QuotaExceeded",
        &["51 tags", "IAM allows 50", "remove some"],
    );
}
