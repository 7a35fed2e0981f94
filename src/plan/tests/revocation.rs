//! What a role is cut back to when its class narrows.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fixtures::*;
use crate::iam::arn::Issuer;
use crate::plan::{
    Clock, Next, Outcome, Resolution, RoleIntent, Step, Surroundings, cut_back, plan_cut_back, revoked,
};

/// The narrowed class is merged over the wide one.
fn cut(class: &Value, spec: Value) -> Option<RoleIntent> {
    let spec = object(spec);
    cut_back(Resolution {
        name: "trainer",
        uid: "uid-1",
        spec: &spec,
        placement: None,
        namespace: &namespace(),
        class: &rules(&wide_class(class)),
        issuers: &BTreeSet::from([ISSUER.parse::<Issuer>().unwrap()]),
        account: &account(),
        cluster: &cluster(),
    })
}

fn wish() -> Value {
    json!({
        "managedPolicyArns": [READ_ONLY, S3_READ],
        "inlinePolicies": [
            {"name": "stays", "document": document("s3:GetObject")},
            {"name": "goes", "document": document("sqs:SendMessage")},
        ],
        "role": {
            "name": "trainer-role", "tags": {"Team": "a", "cost-center": "1"},
            "trustedServices": ["sagemaker.amazonaws.com"], "maxSessionDurationSeconds": 7200,
        },
    })
}

#[test]
fn nothing_is_cut_back_where_the_class_allows_everything() {
    assert_eq!(cut(&json!({}), wish()), None);
}

#[test]
fn each_item_that_is_not_allowed_goes_and_everything_else_stays() {
    let class = json!({
        "roles": {"maxSessionDurationSeconds": 3600},
        "allow": {
            "managedPolicyArns": [READ_ONLY],
            "inline": [{"actions": ["s3:GetObject"], "resources": ["*"]}],
            "tagKeys": ["Team"], "trustedServices": [],
        },
    });
    let left = cut(&class, wish()).unwrap();
    assert_eq!(left.attached, BTreeSet::from([policy(READ_ONLY)]));
    assert_eq!(left.inline.keys().collect::<Vec<_>>(), ["stays"]);
    assert!(left.trust.trusted_services.is_empty());
    assert_eq!(
        left.trust.service_accounts,
        BTreeSet::from(["trainer".to_owned()])
    );
    assert_eq!(left.max_session_duration_seconds, 3600);
    assert!(left.tags.contains_key("Team") && !left.tags.contains_key("cost-center"));
    assert_eq!(left.tags.len(), left.owner.tags().len() + 1);
    assert_eq!(left.arn(), intent(wish()).arn(), "it is the same role");
}

#[test]
fn the_default_service_account_is_let_go_and_no_longer_trusted() {
    let class = json!({"allow": {"defaultServiceAccount": false}});
    let spec = json!({"serviceAccounts": [{"name": "default"}, {"name": "other"}]});
    let left = cut(&class, spec).unwrap();
    assert_eq!(left.trust.service_accounts, BTreeSet::from(["other".to_owned()]));
    let kept: Vec<_> = left.service_accounts.iter().map(|sa| sa.name.as_str()).collect();
    assert_eq!(kept, ["other"]);
}

#[test]
fn where_only_the_default_service_account_was_trusted_nobody_is() {
    let class = json!({"allow": {"defaultServiceAccount": false}});
    let left = cut(&class, json!({"serviceAccounts": [{"name": "default"}]})).unwrap();
    let trust = left.trust.document().to_json();
    assert!(trust.contains("Deny") && !trust.contains("Allow"), "{trust}");
}

#[test]
fn of_a_namespace_or_a_name_that_is_not_allowed_nothing_is_left() {
    let not_this_namespace = json!({"allow": {"namespaces": {"matchLabels": {"team": "b"}}}});
    let not_this_name = json!({"allow": {"roleNames": []}});
    for class in [not_this_namespace, not_this_name] {
        let left = cut(&class, wish()).unwrap();
        assert!(left.attached.is_empty() && left.inline.is_empty(), "{class}");
        assert_eq!(left.tags, left.owner.tags(), "{class}");
        let trust = left.trust.document().to_json();
        assert!(trust.contains("Deny") && !trust.contains("Allow"), "{trust}");
        let kept: Vec<_> = left.service_accounts.iter().map(|sa| sa.name.as_str()).collect();
        assert_eq!(
            kept,
            ["trainer"],
            "it keeps the ARN for the day that the class widens"
        );
        assert_eq!(left.arn(), intent(wish()).arn());
    }
}

#[test]
fn a_mistake_elsewhere_in_the_object_is_no_way_to_keep_what_is_not_allowed() {
    let mut spec = wish();
    spec["role"]["tags"] = json!({"Team": "a", "team": "b"});
    let left = cut(&json!({"allow": {"managedPolicyArns": [READ_ONLY]}}), spec).unwrap();
    assert!(left.attached.is_empty() && left.inline.is_empty());
    let trust = left.trust.document().to_json();
    assert!(trust.contains("Deny") && !trust.contains("Allow"), "{trust}");
}

#[test]
fn a_role_that_was_adopted_is_left_as_it_is_where_that_is_not_allowed_any_more() {
    let spec =
        json!({"adoptionPolicy": "Adopt", "role": {"name": "elsewhere"}, "managedPolicyArns": [READ_ONLY]});
    assert_eq!(cut(&json!({}), spec), None);
}

#[test]
fn a_retention_that_is_not_allowed_any_more_takes_nothing_from_the_role() {
    let spec = json!({"deletionPolicy": "Retain", "managedPolicyArns": [READ_ONLY]});
    let left = cut(&json!({"allow": {"retain": false}}), spec).unwrap();
    assert_eq!(left.attached, BTreeSet::from([policy(READ_ONLY)]));
}

#[test]
fn the_class_sees_no_violation_in_what_is_left() {
    // Each consent of the class taken away by itself.
    let narrowed = [
        json!({"managedPolicyArns": [S3_READ]}),
        json!({"inline": []}),
        json!({"tagKeys": []}),
        json!({"trustedServices": []}),
        json!({"roleNames": []}),
    ];
    for allow in narrowed {
        let class = json!({ "allow": allow });
        let left = cut(&class, wish()).unwrap();
        let before = intent(wish());
        assert_ne!(left, before, "{class}");
        assert!(left.attached.is_subset(&before.attached), "{class}");
        assert!(
            left.inline
                .iter()
                .all(|(name, document)| before.inline.get(name) == Some(document))
        );
        assert!(
            left.trust
                .service_accounts
                .is_subset(&before.trust.service_accounts)
        );
        assert!(
            left.trust
                .trusted_services
                .is_subset(&before.trust.trusted_services)
        );
        assert_eq!(left.permissions_boundary, before.permissions_boundary);
    }
}

fn planned(knowledge: &crate::plan::RoleKnowledge, left: &RoleIntent, clock: &Clock) -> Vec<Step> {
    let around = Surroundings {
        service_accounts: &[],
        rivals: &[],
        created: "",
    };
    match plan_cut_back(left, true, knowledge, around, clock) {
        Next::Do(plan) => plan.steps().cloned().collect(),
        next => panic!("{next:?}"),
    }
}

#[test]
fn a_role_that_is_gone_is_not_created_to_be_cut_back() {
    let left = cut(&json!({"allow": {"inline": []}}), wish()).unwrap();
    assert!(planned(&read_absent(100), &left, &clock(100, 100)).is_empty());
}

#[test]
fn a_role_is_told_to_be_cut_back_once_something_was_taken_from_it() {
    let why = crate::guard::Refusal::new("InlinePolicyNotAllowed", "not this");
    assert_eq!(revoked(&why, &[]), None);
    let notice = revoked(&why, &[Step::DeleteInline("goes".to_owned())]).unwrap();
    assert_eq!((notice.reason, notice.warning), ("PermissionsRevoked", true));
    assert!(notice.message.contains("not this"), "{}", notice.message);
}

#[test]
fn a_failure_to_cut_back_is_tried_again_like_any_other() {
    let failure = crate::plan::Failure {
        refusal: crate::guard::Refusal::passing("Throttled", "later"),
        service_account: None,
    };
    let outcome = Outcome::Revoked {
        why: crate::guard::Refusal::new("InlinePolicyNotAllowed", "not this"),
        cut: Box::new(Outcome::Failed(failure.clone())),
    };
    assert_eq!(outcome.failure(), Some(&failure));
}
