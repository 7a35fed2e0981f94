//! An object that observes: the same plan as in `Manage`, told and left undone.

use serde_json::json;

use super::fixtures::*;
use crate::iam::tags;
use crate::plan::{Depth, Pending, RoleIntent, RoleKnowledge, observed_departure, plan, plan_observed};

#[test]
fn a_role_is_looked_up_before_it_is_said_to_be_created() {
    let intent = intent(json!({}));
    let unknown = RoleKnowledge::default();
    let around = around(&[], &[]);
    let managed = plan(&intent, false, &unknown, around, &clock(0, 0));
    assert_eq!(Pending::of(&steps(managed)).role, 2);
    let next = plan_observed(&intent, false, &unknown, around, &clock(0, 0));
    expect_read(&next, Depth::Full);
    let next = plan_observed(&intent, false, &read_absent(0), around, &clock(0, 0));
    assert_eq!(
        show(&steps(next)),
        show(&steps(plan(&intent, false, &unknown, around, &clock(0, 0))))
    );
}

#[test]
fn where_the_role_is_known_the_plan_is_that_of_manage() {
    let intent = intent(json!({"role": {"description": "new"}}));
    let mut header = header(&intent);
    header.description.clear();
    let known = read(header, Some(content(&intent)), 5);
    let around = around(&[], &[]);
    let observed = steps(plan_observed(&intent, true, &known, around, &clock(5, 5)));
    assert!(!observed.is_empty());
    assert_eq!(
        show(&observed),
        show(&steps(plan(&intent, true, &known, around, &clock(5, 5))))
    );
}

#[test]
fn steps_are_counted_by_what_they_are_done_to() {
    let intent = intent(json!({}));
    let around = around(&[], &[]);
    let pending = Pending::of(&steps(plan_observed(
        &intent,
        false,
        &read_absent(0),
        around,
        &clock(0, 0),
    )));
    // AddFinalizer and CreateRole; CreateServiceAccount.
    assert_eq!((pending.role, pending.service_accounts, pending.all()), (2, 1, 3));
    let known = read(header(&intent), Some(content(&intent)), 5);
    let pending = Pending::of(&steps(plan_observed(&intent, true, &known, around, &clock(5, 5))));
    assert_eq!((pending.role, pending.service_accounts), (0, 1));
}

#[test]
fn an_object_that_goes_says_what_stays_and_how_to_have_it_taken_away() {
    let intent = intent(json!({}));
    let notice = observed_departure(Some(&intent.placement));
    assert!(
        notice.message.contains(&intent.arn().to_string()),
        "{}",
        notice.message
    );
    for said in [notice, observed_departure(None)] {
        assert!(
            said.message
                .contains("create this object again with mode: Manage"),
            "{}",
            said.message
        );
    }
}

/// What is told of an object whose role was taken over and lacks a policy.
fn told_of_an_adopted_role(intent: &RoleIntent) -> String {
    let mut header = header(intent);
    header.tags.insert(tags::ADOPTED.to_owned(), "record".to_owned());
    let mut held = content(intent);
    held.attached.clear();
    let known = read(header, Some(held), 5);
    let around = around(&[], &[]);
    show(&steps(plan_observed(intent, true, &known, around, &clock(5, 5))))
}

#[test]
fn what_becomes_of_a_service_account_is_told_once() {
    let class = json!({"allow": {"adopt": [{
        "arn": "arn:aws:iam::111122223333:role/theirs/their-role", "namespaces": ["team-a"],
    }]}});
    let spec = json!({
        "adoptionPolicy": "Adopt", "role": {"name": "their-role"}, "managedPolicyArns": [READ_ONLY],
    });
    let intent = intent_under(&class, spec);
    let told = told_of_an_adopted_role(&intent);
    assert_eq!(told.matches("CreateServiceAccount").count(), 1, "{told}");
    // Also where the role is an earlier object's, so that one plan does it all.
    let mut header = header(&intent);
    header.tags.insert(tags::UID.to_owned(), "uid-before".to_owned());
    let known = read(header, Some(content(&intent)), 5);
    let around = around(&[], &[]);
    let told = show(&steps(plan_observed(&intent, true, &known, around, &clock(5, 5))));
    assert_eq!(told.matches("CreateServiceAccount").count(), 1, "{told}");
}

#[test]
fn all_is_told_of_an_adopted_role_also_where_nobody_may_adopt_it_any_more() {
    let told = told_of_an_adopted_role(&intent(json!({"managedPolicyArns": [READ_ONLY]})));
    assert!(
        told.contains("Attach") && told.contains("CreateServiceAccount"),
        "{told}"
    );
}
