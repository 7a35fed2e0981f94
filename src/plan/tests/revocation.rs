//! What is taken from the role of a refused object when its class narrows and says `onViolation: Revoke`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fixtures::*;
use crate::guard::Refusal;
use crate::iam::arn::Issuer;
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::tags;
use crate::plan::{
    ClusterIdentity, FormerState, Next, Outcome, Recalled, Resolution, RoleIntent, RoleKnowledge, RoleState,
    ServiceAccountState, Sought, Step, Withdrawal, plan_withdrawal, revoked,
};

const LATE: u64 = 5_000;

/// What an object asked for while the class was wide.
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

/// Allows a part of it; merged over the wide class.
fn narrower() -> Value {
    json!({
        "roles": {"maxSessionDurationSeconds": 3600},
        "allow": {
            "managedPolicyArns": [READ_ONLY],
            "inline": [{"actions": ["s3:GetObject"], "resources": ["*"]}],
            "tagKeys": ["Team"], "trustedServices": [],
        },
    })
}

fn withdrawal_in(cluster: &ClusterIdentity, class: &Value, live: &RoleIntent, now_asks: Value) -> Withdrawal {
    Withdrawal::of(Resolution {
        name: "trainer",
        uid: "uid-1",
        spec: &object(now_asks),
        placement: Some(&live.placement),
        namespace: &namespace(),
        class: &rules(&wide_class(class)),
        issuers: &BTreeSet::from([ISSUER.parse::<Issuer>().unwrap()]),
        account: &account(),
        cluster,
    })
    .unwrap()
}

fn withdrawal(class: &Value, live: &RoleIntent, now_asks: Value) -> Withdrawal {
    withdrawal_in(&cluster(), class, live, now_asks)
}

fn live(intent: &RoleIntent) -> RoleKnowledge {
    made(header(intent), content(intent))
}

/// A role of which no record says that it was there before its object.
fn made(header: RoleHeader, content: RoleContent) -> RoleKnowledge {
    recalled(read(header, Some(content), LATE), None)
}

fn recalled(mut knowledge: RoleKnowledge, state: Option<FormerState>) -> RoleKnowledge {
    knowledge.recalled = Some(Box::new(Recalled {
        sought: Sought::of(header_of(&knowledge)),
        state: state.map(Box::new),
        as_of: seconds(LATE),
    }));
    knowledge
}

fn planned(from: &Withdrawal, knowledge: &RoleKnowledge, found: &[ServiceAccountState]) -> Next {
    plan_withdrawal(from, knowledge, around(found, &[]), &clock(LATE, LATE))
}

/// The role after the steps, from which nothing more is taken.
fn after(from: &Withdrawal, mut knowledge: RoleKnowledge) -> RoleKnowledge {
    for step in steps(planned(from, &knowledge, &[])).steps() {
        knowledge.note_done(step, seconds(LATE));
    }
    let again = steps(planned(from, &knowledge, &[]));
    assert!(again.is_empty(), "{}", show(&again));
    knowledge
}

/// What is left of the live role of a wish.
fn left(class: &Value, was: Value, now_asks: Value) -> RoleKnowledge {
    let intent = intent(was);
    after(&withdrawal(class, &intent, now_asks), live(&intent))
}

fn held(knowledge: &RoleKnowledge) -> (Vec<String>, Vec<&str>) {
    let content = content_of(knowledge);
    (
        content.attached.iter().map(ToString::to_string).collect(),
        content.inline.keys().map(String::as_str).collect(),
    )
}

#[track_caller]
fn assert_closed(knowledge: &RoleKnowledge) {
    let (attached, inline) = held(knowledge);
    assert!(
        attached.is_empty() && inline.is_empty(),
        "{attached:?} {inline:?}"
    );
    let trust = &header_of(knowledge).trust;
    assert!(trust.contains("Deny") && !trust.contains("Allow"), "{trust}");
}

#[test]
fn nothing_is_taken_where_the_class_allows_all_that_the_role_has() {
    let intent = intent(wish());
    let plan = steps(planned(
        &withdrawal(&json!({}), &intent, wish()),
        &live(&intent),
        &[],
    ));
    assert!(plan.is_empty(), "{}", show(&plan));
}

#[test]
fn each_item_that_is_not_allowed_goes_and_everything_else_stays() {
    let left = left(&narrower(), wish(), wish());
    assert_eq!(held(&left), (vec![READ_ONLY.to_owned()], vec!["stays"]));
    let header = header_of(&left);
    assert!(
        !header.trust.contains("sagemaker.amazonaws.com"),
        "{}",
        header.trust
    );
    assert!(header.trust.contains("system:serviceaccount:team-a:trainer"));
    assert_eq!(header.max_session_duration_seconds, 3600);
    assert!(header.tags.contains_key("Team") && !header.tags.contains_key("cost-center"));
    assert_eq!(header.tags.len(), tags::OWNERSHIP.len() + 1);
}

#[test]
fn what_the_object_no_longer_asks_for_goes_whatever_its_mistake() {
    let mistakes = [
        // A tag that is there twice.
        json!({"role": {"name": "trainer-role", "tags": {"Team": "a", "team": "b"}}}),
        // More than IAM has room for.
        json!({"role": {"name": "trainer-role", "description": "d".repeat(2_000)}}),
        // A role that isn't the object's own to take over.
        json!({"role": {"name": "trainer-role"}, "adoptionPolicy": "Adopt"}),
        // A preset that there isn't.
        json!({"role": {"name": "trainer-role"}, "access": [{"preset": "no-such-preset"}]}),
        // The policy of presets under the name that is kept for it.
        json!({"role": {"name": "trainer-role"}, "inlinePolicies": [
            {"name": "mlservicerole-access", "document": document("s3:GetObject")}]}),
    ];
    for asks in mistakes {
        let left = left(&narrower(), wish(), asks.clone());
        assert_eq!(held(&left), (vec![READ_ONLY.to_owned()], vec!["stays"]), "{asks}");
        let trust = &header_of(&left).trust;
        assert!(!trust.contains("sagemaker.amazonaws.com"), "{asks}: {trust}");
    }
}

#[test]
fn a_refused_object_gets_nothing_new() {
    let intent = intent(json!({"managedPolicyArns": [S3_READ]}));
    let class = json!({"allow": {"managedPolicyArns": [READ_ONLY]}});
    let asks = json!({"managedPolicyArns": [READ_ONLY, S3_READ], "serviceAccounts": [{"name": "other"}]});
    let plan = steps(planned(&withdrawal(&class, &intent, asks), &live(&intent), &[]));
    assert_eq!(show(&plan), format!("DetachRolePolicy {S3_READ}\n"));
}

#[test]
fn what_somebody_put_on_the_role_by_hand_goes_too() {
    let intent = intent(json!({}));
    let mut header = header(&intent);
    header.trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
    ]})
    .to_string();
    let mut content = content(&intent);
    content.attached.insert(policy(ADMIN));
    content
        .inline
        .insert("broken".to_owned(), "{not a document".to_owned());
    let from = withdrawal(&json!({}), &intent, json!({}));
    assert_closed(&after(&from, made(header, content)));
}

#[test]
fn a_boundary_is_put_back_before_anything_is_taken() {
    let class = json!({
        "roles": {"permissionsBoundary": {"none": null, "arn": BOUNDARY}},
        "allow": {"managedPolicyArns": []},
    });
    let intent = intent(json!({"managedPolicyArns": [READ_ONLY]}));
    let plan = steps(planned(
        &withdrawal(&class, &intent, json!({})),
        &live(&intent),
        &[],
    ));
    insta::assert_snapshot!(show(&plan), @r"
    PutRolePermissionsBoundary arn:aws:iam::111122223333:policy/boundary

    DetachRolePolicy arn:aws:iam::aws:policy/AmazonSageMakerReadOnly
    ");
}

#[test]
fn the_default_service_account_is_let_go_and_no_longer_trusted() {
    let class = json!({"allow": {"defaultServiceAccount": false}});
    let asks = json!({"serviceAccounts": [{"name": "default"}, {"name": "other"}]});
    let intent = intent(asks.clone());
    let from = withdrawal(&class, &intent, asks);
    let found = [bound("default", &intent), bound("other", &intent)];
    let plan = steps(planned(&from, &live(&intent), &found));
    let text = show(&plan);
    assert!(text.contains("UnbindServiceAccount default"), "{text}");
    assert!(!text.contains("UnbindServiceAccount other"), "{text}");
    let trust = header_of(&after(&from, live(&intent))).trust.clone();
    assert!(
        trust.contains("team-a:other") && !trust.contains("team-a:default"),
        "{trust}"
    );
}

#[test]
fn where_only_the_default_service_account_was_trusted_nobody_is() {
    let class = json!({"allow": {"defaultServiceAccount": false}});
    let asks = json!({"serviceAccounts": [{"name": "default"}]});
    assert_closed(&left(&class, asks.clone(), asks));
}

#[test]
fn of_a_namespace_or_a_name_that_is_not_allowed_nothing_is_left() {
    let not_this_namespace = json!({"allow": {"namespaces": {"matchLabels": {"team": "b"}}}});
    let not_this_name = json!({"allow": {"roleNames": []}});
    for class in [not_this_namespace, not_this_name] {
        let intent = intent(wish());
        let from = withdrawal(&class, &intent, wish());
        let left = after(&from, live(&intent));
        assert_closed(&left);
        assert_eq!(header_of(&left).tags, intent.owner.tags(), "{class}");
        let found = [bound("trainer", &intent)];
        let plan = show(&steps(planned(&from, &live(&intent), &found)));
        assert!(
            !plan.contains("ServiceAccount"),
            "it keeps the ARN for the day that the class widens: {plan}"
        );
    }
}

#[test]
fn of_the_presets_stay_those_that_the_object_asks_for_and_the_class_allows() {
    let (stays, goes) = ("translate-text", "polly-synthesize");
    let wide = json!({"allow": {"presets": [{"name": stays}, {"name": goes}]}});
    let narrow = json!({"allow": {"presets": [{"name": stays}]}});
    let of = |presets: &[&str]| {
        let entries: Vec<_> = presets.iter().map(|preset| json!({"preset": preset})).collect();
        json!({ "access": entries })
    };
    let both = intent_under(&wide, of(&[stays, goes]));
    let one = intent_under(&wide, of(&[stays]));
    let mut with_a_mistake = of(&[stays]);
    with_a_mistake["role"] = json!({"tags": {"Team": "a", "team": "b"}});
    for asks in [of(&[stays, goes]), with_a_mistake] {
        let left = after(&withdrawal(&narrow, &both, asks), live(&both));
        assert_eq!(content_of(&left).inline, content(&one).inline);
        assert_eq!(header_of(&left).tags, one.tags);
    }
    let none = after(&withdrawal(&narrow, &both, of(&[goes])), live(&both));
    assert!(content_of(&none).inline.is_empty());
}

#[test]
fn presets_stay_where_only_the_operator_does_not_know_its_region() {
    let class = json!({"allow": {"presets": [{"name": "polly-synthesize"}, {"name": "bedrock-invoke-model",
        "with": {"model": ["*"]}}]}});
    let asks = json!({"access": [{"preset": "bedrock-invoke-model", "with": {"model": ["amazon.titan-text-lite-v1"]}}]});
    let live_intent = intent_under(&class, asks.clone());
    let policies: String = content(&live_intent).inline.into_values().collect();
    assert!(policies.contains("eu-west-1"), "{policies}");
    let nowhere = ClusterIdentity {
        region: None,
        ..cluster()
    };
    let from = withdrawal_in(&nowhere, &class, &live_intent, asks);
    let plan = steps(planned(&from, &live(&live_intent), &[]));
    assert!(plan.is_empty(), "{}", show(&plan));
}

#[test]
fn nothing_is_taken_while_the_cluster_goes_by_another_name() {
    let intent = intent(json!({"managedPolicyArns": [READ_ONLY]}));
    let renamed = ClusterIdentity {
        name: "prdo".to_owned(),
        ..cluster()
    };
    let class = json!({"allow": {"managedPolicyArns": []}});
    let from = withdrawal_in(&renamed, &class, &intent, json!({}));
    let refusal = blocked(planned(&from, &live(&intent), &[]));
    assert_eq!(refusal.reason, "PlacementChanged");
    assert!(refusal.message.contains("--cluster-name"), "{}", refusal.message);
}

#[test]
fn a_role_that_was_adopted_is_left_as_it_is_where_that_is_not_allowed_any_more() {
    let adopts = json!({"allow": {"adopt": [
        {"arn": "arn:aws:iam::111122223333:role/elsewhere", "namespaces": ["team-a"]}]}});
    let asks = json!({"adoptionPolicy": "Adopt", "role": {"name": "elsewhere"}, "managedPolicyArns": [READ_ONLY, S3_READ]});
    let intent = intent_under(&adopts, asks.clone());
    let mut header = header(&intent);
    header.tags.insert(tags::ADOPTED.to_owned(), "record".to_owned());
    let knowledge = read(header, Some(content(&intent)), LATE);
    let refusal = blocked(planned(
        &withdrawal(&json!({}), &intent, asks.clone()),
        &knowledge,
        &[],
    ));
    assert_eq!(refusal.reason, "AdoptionNotAllowed");
    assert!(refusal.message.contains("allow.adopt"), "{}", refusal.message);
    // While it may have the role, it may not have more of it than any other object.
    let mut narrow = adopts;
    narrow["allow"]["managedPolicyArns"] = json!([READ_ONLY]);
    let left = after(&withdrawal(&narrow, &intent, asks), knowledge);
    assert_eq!(held(&left).0, [READ_ONLY]);
}

#[test]
fn a_role_that_lost_the_mark_of_its_adoption_is_left_as_it_is_all_the_same() {
    let adopts = json!({"allow": {"adopt": [
        {"arn": "arn:aws:iam::111122223333:role/elsewhere", "namespaces": ["team-a"]}]}});
    let asks = json!({"adoptionPolicy": "Adopt", "role": {"name": "elsewhere"}, "managedPolicyArns": [READ_ONLY, S3_READ]});
    let intent = intent_under(&adopts, asks.clone());
    // The tags of an object's own role, and no word of where it comes from.
    let header = header(&intent);
    let unknown = read(header.clone(), Some(content(&intent)), LATE);
    let mut narrow = json!({"allow": {"managedPolicyArns": [READ_ONLY]}});
    let from = withdrawal(&narrow, &intent, asks.clone());
    let Next::Recall(sought) = planned(&from, &unknown, &[]) else {
        panic!("the operator's own record is asked before anything is taken")
    };
    assert_eq!(sought, Sought::of(&header));
    let record = FormerState::of(&intent.owner, &header, &content(&intent));
    let known = recalled(unknown, Some(record));
    assert_eq!(blocked(planned(&from, &known, &[])).reason, "AdoptionNotAllowed");
    // While it may have the role, it may not have more of it than any other object.
    narrow["allow"]["adopt"] = adopts["allow"]["adopt"].clone();
    let left = after(&withdrawal(&narrow, &intent, asks), known);
    assert_eq!(held(&left).0, [READ_ONLY]);
}

#[test]
fn no_record_is_looked_for_where_nothing_goes() {
    let intent = intent(wish());
    let unknown = read(header(&intent), Some(content(&intent)), LATE);
    let from = withdrawal(&json!({}), &intent, wish());
    assert!(steps(planned(&from, &unknown, &[])).is_empty());
}

#[test]
fn a_role_of_somebody_else_is_left_alone() {
    let intent = intent(json!({"managedPolicyArns": [READ_ONLY]}));
    let mut foreign = header(&intent);
    foreign.tags.insert(tags::NAME.to_owned(), "another".to_owned());
    let mut knowledge = read(foreign, Some(content(&intent)), LATE);
    knowledge.disputed_since = Some(seconds(LATE - WINDOW));
    let class = json!({"allow": {"managedPolicyArns": []}});
    let refusal = blocked(planned(&withdrawal(&class, &intent, json!({})), &knowledge, &[]));
    assert_eq!(refusal.reason, "RoleConflict");
}

#[test]
fn a_role_that_is_gone_is_not_created_to_be_cut_back() {
    let intent = intent(wish());
    let from = withdrawal(&json!({"allow": {"inline": []}}), &intent, wish());
    assert!(steps(planned(&from, &read_absent(LATE), &[])).is_empty());
}

#[test]
fn what_is_remembered_of_a_role_is_read_again_before_anything_is_taken() {
    let intent = intent(wish());
    let from = withdrawal(&json!({"allow": {"inline": []}}), &intent, wish());
    let remembered = read(header(&intent), Some(content(&intent)), LATE - 1);
    for knowledge in [
        RoleKnowledge::default(),
        remembered,
        read(header(&intent), None, LATE),
    ] {
        expect_read(&planned(&from, &knowledge, &[]), crate::plan::Depth::Full);
    }
}

#[test]
fn an_object_that_was_never_placed_has_no_role_to_cut_back() {
    let spec = object(json!({}));
    let from = Withdrawal::of(Resolution {
        name: "trainer",
        uid: "uid-1",
        spec: &spec,
        placement: None,
        namespace: &namespace(),
        class: &rules(&wide_class(&json!({}))),
        issuers: &BTreeSet::new(),
        account: &account(),
        cluster: &cluster(),
    });
    assert!(from.is_none());
}

#[test]
fn what_is_left_is_within_what_was_there_and_within_the_class() {
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
        let before = live(&intent(wish()));
        let left = left(&class, wish(), wish());
        assert_ne!(left.state, before.state, "{class}");
        let RoleState::Present { .. } = left.state else {
            panic!("{left:?}")
        };
        let (was, is) = (content_of(&before), content_of(&left));
        assert!(is.attached.is_subset(&was.attached), "{class}");
        assert!(
            is.inline
                .iter()
                .all(|(name, text)| was.inline.get(name) == Some(text))
        );
        let (was, is) = (header_of(&before), header_of(&left));
        assert!(
            is.tags
                .iter()
                .all(|(key, value)| was.tags.get(key) == Some(value))
        );
        assert_eq!(is.permissions_boundary, was.permissions_boundary);
    }
}

#[test]
fn people_are_told_what_was_taken_and_why_the_object_is_refused() {
    let why = Refusal::new("InlinePolicyNotAllowed", "not this");
    assert_eq!(revoked(&why, &[]), None);
    let notice = revoked(&why, &[Step::DeleteInline("goes".to_owned())]).unwrap();
    assert_eq!((notice.reason, notice.warning), ("PermissionsRevoked", true));
    for part in ["not this", "DeleteRolePolicy goes", "onViolation: Revoke"] {
        assert!(notice.message.contains(part), "{}", notice.message);
    }
    let many: Vec<Step> = (0..50).map(|n| Step::DeleteInline(format!("p{n}"))).collect();
    let message = revoked(&why, &many).unwrap().message;
    assert!(
        message.contains("and 40 more") && message.len() < 1000,
        "{message}"
    );
}

#[test]
fn a_failure_to_cut_back_is_tried_again_like_any_other() {
    let failure = crate::plan::Failure {
        refusal: Refusal::passing("Throttled", "later"),
        service_account: None,
    };
    let outcome = Outcome::Revoked {
        why: Refusal::new("InlinePolicyNotAllowed", "not this"),
        cut: Box::new(Outcome::Failed(failure.clone())),
    };
    assert_eq!(outcome.failure(), Some(&failure));
}
