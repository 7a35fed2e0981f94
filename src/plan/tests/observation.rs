//! An object that observes: the same plan as in `Manage`, told and left undone.

use serde_json::json;

use super::fixtures::*;
use crate::plan::{Depth, Pending, RoleKnowledge, observed_departure, plan, plan_observed};

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
