//! The way from what a role is to what it must be: which steps, in which order, and when a read or a wait comes first.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::api::{BOUND_BY_ANNOTATION, ROLE_ARN_ANNOTATION};
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::tags;
use crate::plan::{Depth, Next, Plan, RoleIntent, RoleKnowledge, RoleState, ServiceAccountState, Step, plan};

mod changes;
mod reads;

/// The plan for an object with its finalizer, just read, whose ServiceAccount is bound.
fn next(intent: &RoleIntent, knowledge: &RoleKnowledge) -> Next {
    next_at(intent, knowledge, 100, 100)
}

fn next_at(intent: &RoleIntent, knowledge: &RoleKnowledge, started: u64, now: u64) -> Next {
    let found = all_bound(intent);
    plan(intent, true, knowledge, around(&found, &[]), &clock(started, now))
}

fn all_bound(intent: &RoleIntent) -> Vec<ServiceAccountState> {
    let names = intent.service_accounts.iter().map(|sa| sa.name.as_str());
    names.map(|name| bound(name, intent)).collect()
}

/// The plan for the role as wanted but for `change`, read a moment ago.
fn repair(intent: &RoleIntent, change: impl FnOnce(&mut RoleHeader, &mut RoleContent)) -> Plan {
    let (mut header, mut content) = (header(intent), content(intent));
    change(&mut header, &mut content);
    steps(next(intent, &read(header, Some(content), 100)))
}

/// A new object in a namespace with these ServiceAccounts.
fn plan_new(intent: &RoleIntent, found: &[ServiceAccountState]) -> Plan {
    steps(plan(
        intent,
        false,
        &RoleKnowledge::default(),
        around(found, &[]),
        &clock(100, 100),
    ))
}

fn two_policies() -> Value {
    json!({
        "managedPolicyArns": [READ_ONLY],
        "inlinePolicies": [{"name": "p", "document": document("s3:GetObject")}],
    })
}

#[test]
fn a_new_object_is_created_without_a_read_and_bound_before_its_policies() {
    let intent = intent(json!({
        "managedPolicyArns": [READ_ONLY, S3_READ],
        "inlinePolicies": [{"name": "p", "document": document("s3:GetObject")}],
        "role": {"name": "trainer-role"},
    }));
    insta::assert_snapshot!(show(&plan_new(&intent, &[])), @r"
    AddFinalizer arn:aws:iam::111122223333:role/mlservicerole/prod/team-a/trainer-role

    CreateRole arn:aws:iam::111122223333:role/mlservicerole/prod/team-a/trainer-role

    CreateServiceAccount trainer
    PutRolePolicy p
    AttachRolePolicy arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess
    AttachRolePolicy arn:aws:iam::aws:policy/AmazonSageMakerReadOnly
    ");
}

#[test]
fn a_new_role_is_created_as_the_intent_says() {
    let intent = intent(json!({}));
    let plan = plan_new(&intent, &[]);
    let created = plan.steps().find_map(|step| match step {
        Step::CreateRole(role) => Some(role.as_ref().clone()),
        _ => None,
    });
    assert_eq!(created, Some(intent.new_role()));
    assert_eq!(plan.stages[0], [Step::AddFinalizer(intent.placement)]);
}

#[test]
fn a_conflict_on_a_service_account_does_not_keep_the_role_from_being_made() {
    let intent = intent(json!({}));
    let sa = service_account(
        "trainer",
        &[(ROLE_ARN_ANNOTATION, "arn:aws:iam::111122223333:role/other")],
    );
    let plan = plan_new(&intent, &[sa]);
    assert!(plan.steps().any(|step| matches!(step, Step::CreateRole(_))));
    assert_eq!(
        plan.bindings[0].problem.as_ref().map(|p| p.reason),
        Some("ServiceAccountConflict")
    );
}

#[test]
fn nothing_is_planned_where_all_is_as_it_should_be() {
    let intent = intent(two_policies());
    let plan = repair(&intent, |_, _| ());
    assert!(plan.is_empty());
    assert_eq!(plan.steps().count(), 0);
    assert!(plan.bindings.iter().all(|binding| binding.bound));
    assert!(plan.notices.is_empty());
}

#[test]
fn nothing_is_planned_for_documents_that_only_look_different() {
    let intent = intent(json!({
        "serviceAccounts": [{"name": "a"}, {"name": "b"}],
        "inlinePolicies": [{"name": "p", "document": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*"}],
        }}],
    }));
    let plan = repair(&intent, |header, content| {
        header.trust = json!({
            "Statement": {
                "Action": ["sts:AssumeRoleWithWebIdentity"],
                "Condition": {"StringEquals": {
                    "oidc.example/own:sub": ["system:serviceaccount:team-a:b", "system:serviceaccount:team-a:a"],
                    "oidc.example/own:aud": ["sts.amazonaws.com"],
                }},
                "Principal": {"Federated": ["arn:aws:iam::111122223333:oidc-provider/oidc.example/own"]},
                "Effect": "Allow",
            },
            "Version": "2012-10-17",
        })
        .to_string();
        let same = json!({
            "Statement": [{"Resource": ["*"], "Action": ["s3:putobject", "s3:GetObject"], "Effect": "Allow"}],
            "Version": "2012-10-17",
        });
        content.inline.insert("p".to_owned(), same.to_string());
    });
    assert!(plan.is_empty(), "{}", show(&plan));
}

#[test]
fn nothing_is_planned_for_tags_of_aws_and_for_keys_in_another_case() {
    let intent = intent(json!({"role": {"tags": {"Team": "a"}}}));
    let plan = repair(&intent, |header, _| {
        header.tags.remove("Team");
        header.tags.insert("TEAM".to_owned(), "a".to_owned());
        header
            .tags
            .insert("aws:cloudformation:x".to_owned(), "y".to_owned());
        header.tags.insert("AWS:y".to_owned(), "y".to_owned());
    });
    assert!(plan.is_empty(), "{}", show(&plan));
}

#[test]
fn a_failed_finalizer_alone_is_put_back_without_a_write_to_the_role() {
    let intent = intent(json!({}));
    let knowledge = read(header(&intent), Some(content(&intent)), 50);
    let found = all_bound(&intent);
    let plan = steps(plan(
        &intent,
        false,
        &knowledge,
        around(&found, &[]),
        &clock(100, 100),
    ));
    assert_eq!(plan.stages, [vec![Step::AddFinalizer(intent.placement)]]);
}

#[test]
fn only_the_wanted_service_accounts_stay_bound() {
    let intent = intent(json!({}));
    let mut found = all_bound(&intent);
    found.push(bound("former", &intent));
    found.push(created("made", &intent));
    let knowledge = read(header(&intent), Some(content(&intent)), 50);
    let plan = steps(plan(
        &intent,
        true,
        &knowledge,
        around(&found, &[]),
        &clock(100, 100),
    ));
    // Nothing is written to the role, so no read is needed.
    insta::assert_snapshot!(show(&plan), @r"
    UnbindServiceAccount former (eks.amazonaws.com/role-arn, mlservicerole.io/bound-by)
    DeleteServiceAccount made (eks.amazonaws.com/role-arn, mlservicerole.io/bound-by, mlservicerole.io/created-by)
    ");
}

#[test]
fn no_step_of_any_plan_removes_a_boundary() {
    let bounded = json!({"roles": {"permissionsBoundary": {"none": null, "arn": BOUNDARY}}});
    let intent_with = intent_under(&bounded, json!({}));
    for found in [
        None,
        Some(S3_READ),
        Some("arn:aws:iam::111122223333:policy/other"),
    ] {
        let plan = repair(&intent_with, |header, _| {
            header.permissions_boundary = found.map(ToOwned::to_owned);
        });
        assert_eq!(plan.stages, [vec![Step::SetBoundary(policy(BOUNDARY))]]);
    }

    let intent_without = intent(json!({}));
    let mut bounded = header(&intent_without);
    bounded.permissions_boundary = Some(BOUNDARY.to_owned());
    bounded.description = "drift".to_owned();
    let knowledge = read(bounded, Some(content(&intent_without)), 100);
    let refusal = blocked(next(&intent_without, &knowledge));
    assert_eq!(refusal.reason, "BoundaryRemovalRefused");
    assert!(refusal.final_);
    for part in [
        "never removes a boundary",
        "roles.permissionsBoundary.arn",
        "by hand",
        "\"ml\"",
    ] {
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
}

#[test]
fn a_boundary_that_stands_in_the_way_is_read_again_before_it_is_said() {
    let intent = intent(json!({}));
    let mut bounded = header(&intent);
    bounded.permissions_boundary = Some(BOUNDARY.to_owned());
    let knowledge = read(bounded, Some(content(&intent)), 50);
    expect_read(&next(&intent, &knowledge), Depth::Full);
}

#[test]
fn a_service_account_without_an_arn_does_not_wait_for_policies_of_a_role_that_it_may_take() {
    let intent =
        intent(json!({"managedPolicyArns": [READ_ONLY], "serviceAccounts": [{"name": "a"}, {"name": "b"}]}));
    let lacking = |trust: String| {
        let mut found = content(&intent);
        found.attached.clear();
        let header = RoleHeader {
            trust,
            ..header(&intent)
        };
        read(header, Some(found), 100)
    };
    let old_arn = [
        (ROLE_ARN_ANNOTATION, "arn:aws:iam::111122223333:role/old"),
        (BOUND_BY_ANNOTATION, "trainer/uid-1"),
    ];
    let found = [service_account("a", &[]), service_account("b", &old_arn)];
    let stages = |knowledge: &RoleKnowledge| {
        let plan = steps(plan(
            &intent,
            true,
            knowledge,
            around(&found, &[]),
            &clock(100, 100),
        ));
        plan.stages
            .iter()
            .map(|stage| stage.iter().map(show_step).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let attach = format!("AttachRolePolicy {READ_ONLY}");
    let (a, b) = ("BindServiceAccount a", "BindServiceAccount b by force");
    let right = lacking(intent.trust.document().to_json());
    assert_eq!(stages(&right), [vec![attach.as_str(), a], vec![b]]);
    // Where nobody may take the role yet, being bound to it would be of no use.
    let mut nobody = intent.trust.clone();
    nobody.service_accounts.clear();
    let closed = stages(&lacking(nobody.document().to_json()));
    assert_eq!(closed[0], [attach]);
    assert_eq!(closed[2..], [vec![a], vec![b]]);
}
