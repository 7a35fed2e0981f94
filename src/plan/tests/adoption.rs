//! Taking over a role that was there before: only with both consents, only what is nobody's, and in an order in which
//! nobody new gets in before the role holds what it should and nothing else.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::tags;
use crate::plan::{Depth, FormerState, Next, Plan, RoleIntent, RoleKnowledge, Step, plan};

mod elsewhere;
mod stale;

const NAME: &str = "their-role";
const ELSEWHERE: &str = "arn:aws:iam::111122223333:role/theirs/their-role";
/// Where a new role of this name would be.
const OWN_PLACE: &str = "arn:aws:iam::111122223333:role/mlservicerole/prod/team-a/their-role";

fn class(arn: &str, namespaces: &[&str], more: &Value) -> Value {
    let mut class = json!({"allow": {"adopt": [{"arn": arn, "namespaces": namespaces}]}});
    json_patch::merge(&mut class, more);
    class
}

fn asking(policy: &str) -> Value {
    json!({"adoptionPolicy": policy, "role": {"name": NAME}, "managedPolicyArns": [READ_ONLY]})
}

fn adopting(policy: &str) -> RoleIntent {
    intent_under(&class(ELSEWHERE, &["team-a"], &json!({})), asking(policy))
}

/// A role as somebody made it, that trusts the account.
fn theirs(intent: &RoleIntent) -> (RoleHeader, RoleContent) {
    let header = RoleHeader {
        arn: intent.arn().clone(),
        id: "AROATHEIRS".to_owned(),
        trust: root_trust(),
        description: "theirs".to_owned(),
        max_session_duration_seconds: 7200,
        permissions_boundary: None,
        tags: labels(&[("owner", "them")]),
    };
    let content = RoleContent {
        inline: [("theirs".to_owned(), document("s3:GetObject").to_string())].into(),
        attached: [policy(S3_READ)].into(),
    };
    (header, content)
}

fn root_trust() -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sts:AssumeRole",
    }]})
    .to_string()
}

fn next_at(intent: &RoleIntent, knowledge: &RoleKnowledge, started: u64, now: u64) -> Next {
    plan(intent, true, knowledge, around(&[], &[]), &clock(started, now))
}

/// In a reconcile that began at second 100.
fn next(intent: &RoleIntent, knowledge: &RoleKnowledge) -> Next {
    next_at(intent, knowledge, 100, 100)
}

fn found(intent: &RoleIntent, change: impl FnOnce(&mut RoleHeader, &mut RoleContent)) -> RoleKnowledge {
    let (mut header, mut content) = theirs(intent);
    change(&mut header, &mut content);
    read(header, Some(content), 100)
}

/// The actions of a plan, a line for each stage.
fn actions(plan: &Plan) -> String {
    let stage = |stage: &Vec<Step>| stage.iter().map(Step::action).collect::<Vec<_>>().join(" ");
    plan.stages.iter().map(stage).collect::<Vec<_>>().join("\n")
}

/// All role steps of a plan were carried out at second `now`.
fn done(knowledge: &mut RoleKnowledge, plan: &Plan, now: u64) {
    for step in plan.steps() {
        knowledge.note_done(step, seconds(now));
    }
}

/// What is known is read once more.
fn seen(knowledge: &mut RoleKnowledge, now: u64) {
    let read = (header_of(knowledge).clone(), Some(content_of(knowledge).clone()));
    knowledge.note_read(Some(read), seconds(now));
}

#[test]
fn without_both_consents_nothing_is_taken_over_in_any_combination() {
    let policies = [None, Some("Never"), Some("Adopt"), Some("AdoptAndReplaceTrust")];
    let listed_arns = [
        None,
        Some(ELSEWHERE),
        Some(OWN_PLACE),
        Some("arn:aws:iam::111122223333:role/their-role"),
        Some("arn:aws:iam::111122223333:role/theirs/Their-Role"),
        Some("arn:aws:iam::111122223333:role/theirs/another"),
        Some("arn:aws:iam::444455556666:role/theirs/their-role"),
        Some("arn:aws-cn:iam::111122223333:role/theirs/their-role"),
    ];
    let namespaces: [&[&str]; 4] = [
        &["team-a"],
        &["team-b", "team-a"],
        &["team-b"],
        &["team", "team-a-2"],
    ];
    let role_names: [&[&str]; 2] = [&[], &[NAME]];
    let found_at = [
        ELSEWHERE,
        OWN_PLACE,
        "arn:aws:iam::111122223333:role/their-role",
        "arn:aws:iam::111122223333:role/theirs/Their-Role",
    ];
    let marks: [(&[(&str, &str)], bool); 9] = [
        (&[], true),
        (&[("owner", "them")], true),
        (
            &[(tags::CLUSTER_UID, "cluster-9"), (tags::CLUSTER, "other")],
            false,
        ),
        (
            &[(tags::CLUSTER_UID, "cluster-9"), (tags::CLUSTER, "prod")],
            false,
        ),
        (
            &[
                (tags::CLUSTER_UID, "cluster-1"),
                (tags::NAMESPACE, "team-b"),
                (tags::NAME, "trainer"),
            ],
            false,
        ),
        (
            &[
                (tags::CLUSTER_UID, "cluster-1"),
                (tags::NAMESPACE, "team-a"),
                (tags::NAME, "other"),
            ],
            false,
        ),
        (&[("MLSERVICEROLE.IO/NAME", "other")], false),
        (&[(tags::ADOPTED, "mlservicerole-former-x")], false),
        (
            &[(tags::CLUSTER_UID, "cluster-9"), (tags::RETAINED, "true")],
            true,
        ),
    ];
    let (mut taken, mut left) = (0, 0);
    for policy in policies {
        for listed in listed_arns {
            for namespaces in namespaces {
                for role_names in role_names {
                    let adopt: Vec<Value> = listed
                        .iter()
                        .map(|arn| json!({"arn": arn, "namespaces": namespaces}))
                        .collect();
                    let class = json!({"allow": {"adopt": adopt, "roleNames": role_names}});
                    let resolved = try_resolve(
                        &class,
                        json!({"adoptionPolicy": policy, "role": {"name": NAME}}),
                        None,
                    );
                    for at in found_at {
                        for (marks, nobodys) in marks {
                            let consents = policy.is_some_and(|policy| policy != "Never")
                                && namespaces.contains(&"team-a")
                                && listed == Some(at)
                                && at.ends_with(NAME);
                            let what =
                                format!("{policy:?} {listed:?} {namespaces:?} {role_names:?} {at} {marks:?}");
                            let acts = match &resolved {
                                Err(_) => false,
                                Ok(intent) => {
                                    let knowledge = found(intent, |header, _| {
                                        header.arn = at.parse().unwrap();
                                        header.tags = labels(marks);
                                        // Nobody would be shut out.
                                        header.trust = intent.trust.document().to_json();
                                    });
                                    // Also where it was looked at for long enough.
                                    let mut again = knowledge.clone();
                                    again.disputed_since = Some(seconds(50));
                                    let plans = [next(intent, &knowledge), next(intent, &again)];
                                    plans
                                        .iter()
                                        .any(|next| matches!(next, Next::Do(plan) if !plan.is_empty()))
                                }
                            };
                            assert_eq!(acts, consents && nobodys, "{what}");
                            taken += usize::from(acts);
                            left += usize::from(!acts);
                        }
                    }
                }
            }
        }
    }
    assert!(taken > 20 && left > 1000, "{taken} {left}");
}

#[test]
fn what_the_role_was_is_kept_before_anything_is_changed() {
    let intent = adopting("AdoptAndReplaceTrust");
    let knowledge = found(&intent, |_, _| ());
    let plan = steps(next(&intent, &knowledge));
    assert_eq!(
        actions(&plan),
        "KeepFormerState\nTagRole\nUntagRole UpdateRole AttachRolePolicy DeleteRolePolicy DetachRolePolicy"
    );
    let (header, content) = theirs(&intent);
    let former = FormerState::of(&intent.owner, &header, &content);
    let mut marks = intent.owner.tags();
    marks.insert(tags::ADOPTED.to_owned(), former.name());
    let steps: Vec<&Step> = plan.steps().take(2).collect();
    assert_eq!(
        steps,
        [&Step::KeepFormerState(Box::new(former)), &Step::Tag(marks)]
    );
}

#[test]
fn a_boundary_is_set_before_policies_are() {
    let mut class = class(ELSEWHERE, &["team-a"], &json!({}));
    class["roles"] = json!({"permissionsBoundary": {"none": null, "arn": BOUNDARY}});
    let intent = intent_under(&class, asking("AdoptAndReplaceTrust"));
    let plan = steps(next(&intent, &found(&intent, |_, _| ())));
    let order = actions(&plan);
    assert!(
        order.contains("TagRole\nPutRolePermissionsBoundary\nUntagRole"),
        "{order}"
    );
}

#[test]
fn trust_and_binding_come_only_after_a_read_shows_the_permissions() {
    let intent = adopting("AdoptAndReplaceTrust");
    let mut knowledge = found(&intent, |_, _| ());
    let plan = steps(next(&intent, &knowledge));
    done(&mut knowledge, &plan, 101);
    // All that is believed is right, but it wasn't seen.
    expect_read(&next_at(&intent, &knowledge, 100, 101), Depth::Full);
    seen(&mut knowledge, 102);
    let plan = steps(next_at(&intent, &knowledge, 100, 102));
    assert_eq!(actions(&plan), "UpdateAssumeRolePolicy\nCreateServiceAccount");
    done(&mut knowledge, &plan, 103);
    let bound = [bound("trainer", &intent)];
    let at_rest = crate::plan::plan(&intent, true, &knowledge, around(&bound, &[]), &clock(100, 103));
    assert!(steps(at_rest).is_empty());
}

#[test]
fn a_read_that_is_older_than_our_writes_lets_nobody_in_and_writes_nothing_again() {
    let intent = adopting("AdoptAndReplaceTrust");
    let mut knowledge = found(&intent, |_, _| ());
    let plan = steps(next(&intent, &knowledge));
    done(&mut knowledge, &plan, 101);
    let (_, old) = theirs(&intent);
    let header = header_of(&knowledge).clone();
    knowledge.note_read(Some((header.clone(), Some(old.clone()))), seconds(102));
    let (why, until) = waits(next_at(&intent, &knowledge, 100, 102));
    assert_eq!((why.reason, why.final_), ("NotYetConsistent", false));
    assert!(until > 102 && until <= 102 + WINDOW, "{until}");
    // Later it is no old read, but what somebody did.
    knowledge.note_read(Some((header, Some(old))), seconds(101 + WINDOW));
    let plan = steps(next_at(&intent, &knowledge, 101 + WINDOW, 101 + WINDOW));
    assert_eq!(
        actions(&plan),
        "AttachRolePolicy DeleteRolePolicy DetachRolePolicy"
    );
}

#[test]
fn a_new_service_account_of_an_adopted_role_is_bound_once_the_role_is_seen_in_line() {
    let intent = adopting("Adopt");
    let mut header = header(&intent);
    header
        .tags
        .insert(tags::ADOPTED.to_owned(), "mlservicerole-former-x".to_owned());
    let mut knowledge = read(header.clone(), Some(content(&intent)), 90);
    assert_eq!(actions(&steps(next(&intent, &knowledge))), "CreateServiceAccount");
    knowledge.last_write = Some(seconds(95));
    expect_read(&next(&intent, &knowledge), Depth::Full);
    // What it should not hold is taken away first, whoever is let in already.
    let mut more = content(&intent);
    more.attached.insert(policy(ADMIN));
    let knowledge = read(header, Some(more), 100);
    assert_eq!(actions(&steps(next(&intent, &knowledge))), "DetachRolePolicy");
}

#[test]
fn the_tag_that_names_the_record_stays() {
    let intent = adopting("Adopt");
    let mut header = header(&intent);
    header.tags.insert(
        "MLSERVICEROLE.IO/ADOPTED".to_owned(),
        "mlservicerole-former-x".to_owned(),
    );
    let found = [bound("trainer", &intent)];
    for heir in [false, true] {
        let mut header = header.clone();
        if heir {
            header.tags.insert(tags::UID.to_owned(), "uid-0".to_owned());
        }
        let knowledge = read(header, Some(content(&intent)), 100);
        let plan = steps(plan(
            &intent,
            true,
            &knowledge,
            around(&found, &[]),
            &clock(100, 100),
        ));
        let expected = if heir {
            vec![vec![Step::Tag(intent.owner.tags())]]
        } else {
            vec![]
        };
        assert_eq!(plan.stages, expected);
    }
}

#[test]
fn a_retained_role_is_taken_back_and_its_mark_goes_at_once() {
    let intent = adopting("AdoptAndReplaceTrust");
    let knowledge = found(&intent, |header, _| {
        header.tags = labels(&[
            (tags::CLUSTER_UID, "cluster-9"),
            (tags::UID, "uid-9"),
            (tags::RETAINED, "true"),
        ]);
    });
    let plan = steps(next(&intent, &knowledge));
    let order = actions(&plan);
    assert!(
        order.starts_with("KeepFormerState\nTagRole\nUntagRole\nUpdateRole"),
        "{order}"
    );
    let retained = Step::Untag([tags::RETAINED.to_owned()].into());
    assert_eq!(
        plan.steps()
            .filter(|step| matches!(step, Step::Untag(_)))
            .collect::<Vec<_>>(),
        [&retained]
    );

    // Cut before the mark went, the same record is kept again, and no other.
    let kept = |plan: &Plan| plan.steps().next().unwrap().clone();
    let mut cut = knowledge.clone();
    cut.note_done(plan.steps().nth(1).unwrap(), seconds(100));
    let later = 100 + WINDOW;
    seen(&mut cut, later);
    assert_eq!(kept(&steps(next_at(&intent, &cut, later, later))), kept(&plan));
}

#[test]
fn nobody_is_shut_out_without_being_named_and_consented_to() {
    let intent = adopting("Adopt");
    let refusal = blocked(next(&intent, &found(&intent, |_, _| ())));
    assert_eq!(refusal.reason, "TrustWouldNarrow");
    assert!(refusal.final_);
    for word in [
        "AWS arn:aws:iam::111122223333:root",
        "AdoptAndReplaceTrust",
        "serviceAccounts",
        NAME,
    ] {
        assert!(refusal.message.contains(word), "{}", refusal.message);
    }
    let other = intent_under(
        &class(ELSEWHERE, &["team-a"], &json!({})),
        json!({"serviceAccounts": [{"name": "other"}], "role": {"name": NAME}, "adoptionPolicy": "Adopt"}),
    );
    let lets_other_in = other.trust.document().to_json();
    let refusal = blocked(next(
        &intent,
        &found(&intent, |header, _| header.trust = lets_other_in),
    ));
    assert!(
        refusal.message.contains("system:serviceaccount:team-a:other"),
        "{}",
        refusal.message
    );
}

#[test]
fn whoever_is_let_in_already_and_whoever_comes_to_that_is_no_obstacle() {
    let intent = adopting("Adopt");
    let closed = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}"#;
    for trust in [intent.trust.document().to_json(), closed.to_owned()] {
        let plan = steps(next(&intent, &found(&intent, |header, _| header.trust = trust)));
        assert!(
            actions(&plan).starts_with("KeepFormerState"),
            "{}",
            actions(&plan)
        );
    }
}

#[test]
fn an_obstacle_is_found_before_the_role_is_marked() {
    let intent = adopting("AdoptAndReplaceTrust");
    let bounded = found(&intent, |header, _| {
        header.permissions_boundary = Some(BOUNDARY.to_owned())
    });
    assert_eq!(blocked(next(&intent, &bounded)).reason, "BoundaryRemovalRefused");

    let tagged = |count: usize| {
        found(&intent, move |header, _| {
            header.tags = (0..count).map(|i| (format!("t{i}"), String::new())).collect();
        })
    };
    let refusal = blocked(next(&intent, &tagged(45)));
    assert_eq!(refusal.reason, "QuotaExceeded");
    for word in ["has 45 tags", "needs 7 more", "IAM allows 50", "remove 2"] {
        assert!(refusal.message.contains(word), "{}", refusal.message);
    }
    steps(next(&intent, &tagged(43)));
}

#[test]
fn nothing_is_decided_on_a_role_that_was_read_earlier() {
    for policy in ["Adopt", "AdoptAndReplaceTrust"] {
        let intent = adopting(policy);
        expect_read(
            &next_at(&intent, &found(&intent, |_, _| ()), 101, 101),
            Depth::Full,
        );
        let (header, _) = theirs(&intent);
        expect_read(&next(&intent, &read(header, None, 100)), Depth::Full);
        for has_finalizer in [false, true] {
            let unknown = RoleKnowledge::default();
            let next = plan(
                &intent,
                has_finalizer,
                &unknown,
                around(&[], &[]),
                &clock(100, 100),
            );
            expect_read(&next, Depth::Full);
        }
    }
}

#[test]
fn a_role_that_lost_our_tags_is_not_taken_over_a_second_time() {
    let intent = adopting("AdoptAndReplaceTrust");
    let mut knowledge = found(&intent, |_, _| ());
    knowledge.was_ours = true;
    knowledge.disputed_since = Some(seconds(50));
    assert_eq!(blocked(next(&intent, &knowledge)).reason, "OwnershipLost");
}

#[test]
fn a_missing_role_is_created_where_a_new_one_of_this_object_would_be() {
    let names = json!({"allow": {"roleNames": [NAME]}});
    let intent = |arn, more: &Value| intent_under(&class(arn, &["team-a"], more), asking("Adopt"));
    let own = intent(OWN_PLACE, &names);
    let plan = steps(next(&own, &read_absent(100)));
    assert!(actions(&plan).starts_with("CreateRole\n"), "{}", actions(&plan));
    // Another place, or a name that may only be taken over, is no consent to create.
    for intent in [
        intent(ELSEWHERE, &names),
        intent(OWN_PLACE, &json!({"allow": {"roleNames": []}})),
    ] {
        waits(next(&intent, &read_absent(100)));
    }
}

#[test]
fn a_withdrawn_consent_is_refused_and_the_placement_stays() {
    let placed = adopting("Adopt").placement;
    let refused = |class: Value, spec: Value| try_resolve(&class, spec, Some(&placed)).unwrap_err().reason;
    let class_as_before = class(ELSEWHERE, &["team-a"], &json!({}));
    assert_eq!(refused(json!({}), asking("Adopt")), "AdoptionNotAllowed");
    assert_eq!(
        refused(class(ELSEWHERE, &["team-b"], &json!({})), asking("Adopt")),
        "AdoptionNotAllowed"
    );
    assert_eq!(refused(class_as_before, asking("Never")), "AdoptionNotAllowed");
    // Where the name may be given to a new role, the object would now have another place.
    let names = class(ELSEWHERE, &["team-a"], &json!({"allow": {"roleNames": [NAME]}}));
    assert_eq!(refused(names, asking("Never")), "PlacementChanged");
}
