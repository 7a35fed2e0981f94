//! What people read of a plan: readable, complete, bounded, and the same each time.

use std::collections::BTreeSet;

use serde_json::json;

use super::fixtures::*;
use crate::api::role::PlannedStep;
use crate::plan::{Bounds, RoleIntent, RoleKnowledge, ServiceAccountState, Step, plan, preview, readable};

fn told(intent: &RoleIntent, known: &RoleKnowledge, accounts: &[ServiceAccountState]) -> Vec<PlannedStep> {
    let around = around(accounts, &[]);
    let plan = steps(plan(intent, true, known, around, &clock(5, 5)));
    preview(plan.steps(), known, around, Bounds::NONE)
}

fn difference<'a>(told: &'a [PlannedStep], action: &str) -> &'a str {
    let step = told.iter().find(|step| step.action == action);
    step.unwrap_or_else(|| panic!("no {action} in {told:#?}"))
        .difference
        .as_deref()
        .unwrap()
}

/// The role as wanted, but for what `change` does to it, read just now.
fn known(
    intent: &RoleIntent,
    change: impl FnOnce(&mut crate::iam::role::RoleHeader, &mut crate::iam::role::RoleContent),
) -> RoleKnowledge {
    let (mut header, mut content) = (header(intent), content(intent));
    change(&mut header, &mut content);
    read(header, Some(content), 5)
}

#[test]
fn a_document_differs_line_by_line_and_not_by_its_form() {
    let intent = intent(json!({"inlinePolicies": [{"name": "data", "document": document("s3:GetObject")}]}));
    let known = known(&intent, |_, content| {
        content.inline.insert(
            "data".to_owned(),
            r#"{"Statement":{"Resource":["*"],"Action":["s3:*"],"Effect":"Allow"},"Version":"2012-10-17"}"#
                .to_owned(),
        );
    });
    assert_eq!(
        difference(
            &told(&intent, &known, &[bound("trainer", &intent)]),
            "PutRolePolicy"
        ),
        r#"    "Version": "2012-10-17",
    "Statement": {
      "Effect": "Allow",
-     "Action": "s3:*",
+     "Action": "s3:GetObject",
      "Resource": "*"
    }
  }"#
    );
}

#[test]
fn the_order_of_lists_is_no_difference() {
    let one = r#"{"Statement":[{"Effect":"Allow","Action":["b:B","a:A"],"Resource":"*"}]}"#;
    let other = r#"{"Statement":{"Action":["a:A","b:B"],"Effect":"Allow","Resource":["*"]}}"#;
    assert_eq!(readable(one), readable(other));
}

#[test]
fn what_is_no_document_is_told_as_it_is() {
    assert_eq!(readable("nonsense"), "nonsense");
    assert_eq!(readable(r#"{"a":1}"#), "{\n  \"a\": 1\n}");
}

#[test]
fn values_are_told_as_old_and_new() {
    let intent = intent_under(
        &json!({"roles": {"permissionsBoundary": {"none": null, "arn": "arn:aws:iam::111122223333:policy/b"}}}),
        json!({"role": {"description": "new", "tags": {"team": "a"}}}),
    );
    let known = known(&intent, |header, content| {
        header.description = "old".to_owned();
        header.permissions_boundary = None;
        header.tags.insert("team".to_owned(), "b".to_owned());
        header.tags.insert("extra".to_owned(), "x".to_owned());
        content.attached = BTreeSet::from([policy("arn:aws:iam::aws:policy/Other")]);
    });
    let told = told(&intent, &known, &[bound("trainer", &intent)]);
    for (action, expected) in [
        (
            "PutRolePermissionsBoundary",
            "permissionsBoundary: (none) → arn:aws:iam::111122223333:policy/b",
        ),
        ("UntagRole", "extra: x → (none)"),
        ("TagRole", "team: b → a"),
        ("UpdateRole", "description: old → new"),
    ] {
        assert_eq!(difference(&told, action), expected);
    }
    let detach = told
        .iter()
        .find(|step| step.action == "DetachRolePolicy")
        .unwrap();
    assert_eq!(
        (detach.target.as_str(), &detach.difference),
        ("arn:aws:iam::aws:policy/Other", &None)
    );
}

#[test]
fn a_new_role_is_told_with_all_that_it_gets() {
    let intent = intent(json!({}));
    let told = told(&intent, &read_absent(5), &[]);
    let role = difference(&told, "CreateRole");
    assert!(role.lines().all(|line| line.starts_with("+ ")), "{role}");
    for part in [
        "maxSessionDurationSeconds: ",
        "permissionsBoundary: (none)",
        "tag mlservicerole.io/uid: uid-1",
        "trust policy:",
        "system:serviceaccount:team-a:trainer",
    ] {
        assert!(role.contains(part), "{part} isn't in {role}");
    }
    assert_eq!(
        difference(&told, "CreateServiceAccount"),
        format!(
            "eks.amazonaws.com/role-arn: (none) → {}\nmlservicerole.io/bound-by: (none) → trainer/uid-1\n\
             mlservicerole.io/created-by: (none) → trainer/uid-1",
            intent.arn()
        )
    );
}

#[test]
fn of_two_changes_to_one_thing_the_second_starts_from_the_first() {
    let intent = intent(json!({"inlinePolicies": [{"name": "data", "document": document("s3:GetObject")}]}));
    let known = known(&intent, |header, content| {
        header.trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}).to_string();
        content.inline.clear();
    });
    let told = told(&intent, &known, &[bound("trainer", &intent)]);
    let trust: Vec<&str> = told
        .iter()
        .filter(|step| step.action == "UpdateAssumeRolePolicy")
        .map(|step| step.difference.as_deref().unwrap())
        .collect();
    assert_eq!(trust.len(), 2, "{told:#?}");
    assert!(
        trust[0].contains("-       \"Service\": \"ec2.amazonaws.com\"")
            || trust[0].contains("ec2.amazonaws.com"),
        "{}",
        trust[0]
    );
    assert!(!trust[1].contains("ec2.amazonaws.com"), "{}", trust[1]);
}

#[test]
fn a_status_stays_small_however_much_there_is_to_do() {
    let intent = intent(json!({}));
    let long = format!(
        "{{\"Statement\": [{}]}}",
        vec![document("s3:GetObject")["Statement"][0].to_string(); 100].join(",")
    );
    let wide = "x".repeat(5000);
    let mut many: Vec<Step> = (0..300)
        .map(|i| Step::PutInline {
            name: format!("p{i}"),
            document: if i == 0 { wide.clone() } else { long.clone() },
        })
        .collect();
    many.push(Step::DeleteInline("last".to_owned()));
    let known = read(header(&intent), Some(content(&intent)), 5);
    let told = preview(many.iter(), &known, around(&[], &[]), Bounds::STATUS);
    assert_eq!(told.len(), 256);
    assert_eq!(
        (told[255].action.as_str(), told[255].target.as_str()),
        ("…", "46 more steps")
    );
    assert!(told[0].difference.as_deref().unwrap().chars().count() < 310);
    assert!(told[1].difference.as_deref().unwrap().ends_with("more lines"));
    assert!(told[254].difference.as_deref().unwrap().contains("plan --live"));
    let size = serde_json::to_string(&told).unwrap().len();
    assert!(size < 100_000, "{size}");
    let all = preview(many.iter(), &known, around(&[], &[]), Bounds::NONE);
    assert_eq!(all.len(), 301);
}

#[test]
fn just_as_many_steps_as_there_is_room_for_are_all_told() {
    let steps: Vec<Step> = (0..256).map(|i| Step::DeleteInline(format!("p{i}"))).collect();
    let told = preview(
        steps.iter(),
        &RoleKnowledge::default(),
        around(&[], &[]),
        Bounds::STATUS,
    );
    assert_eq!((told.len(), told[255].target.as_str()), (256, "p255"));
}
