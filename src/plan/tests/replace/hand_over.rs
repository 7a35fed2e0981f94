//! From one object to the next: what was replaced survives, and the ARN of a role that is deleted never comes back.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::plan::{Departure, Retention, plan_departure};

#[test]
fn what_was_replaced_survives_the_hand_over_from_one_object_to_another() {
    // The first object replaced OTHER and goes; the second waits.
    let first = bound_by_first(&[(PREVIOUS_ROLE_ARN_ANNOTATION, OTHER)]);
    let mut going = rival("first", "uid-0", 1, &["trainer"]);
    going.deleting = true;
    assert_eq!(
        told(&judged(&object(), &first, std::slice::from_ref(&going))),
        "ServiceAccountClaimed"
    );
    // It lets go, and the second finds what was there before.
    let put_back = account(&[(ROLE_ARN_ANNOTATION, OTHER)]);
    let step = the_step(&put_back);
    let (left, _) = released(&object(), &after(&put_back, &step), &[]);
    assert_eq!(left, put_back);
    // It went without letting go: its own ARN is never what was there before.
    let step = the_step(&first);
    let (left, _) = released(&object(), &after(&first, &step), &[]);
    assert_eq!(left, put_back);
    let (left, _) = released(
        &object(),
        &after(&bound_by_first(&[]), &the_step(&bound_by_first(&[]))),
        &[],
    );
    assert_eq!(left, account(&[]));
}

fn bound_by_first(more: &[(&str, &str)]) -> ServiceAccountState {
    let mut sa = account(&[(ROLE_ARN_ANNOTATION, THIRD), (BOUND_BY_ANNOTATION, "first/uid-0")]);
    sa.annotations.extend(labels(more));
    sa
}

#[test]
fn the_arn_of_a_role_that_is_deleted_is_nobodys_former_arn() {
    // Somebody took our marker off, and another object took our ARN for what was there before.
    let object = object();
    let arn = object.arn().to_string();
    let found = [service_account(
        "trainer",
        &[
            (ROLE_ARN_ANNOTATION, OTHER),
            (BOUND_BY_ANNOTATION, "second/uid-2"),
            (PREVIOUS_ROLE_ARN_ANNOTATION, &arn),
        ],
    )];
    let departure = Departure {
        owner: object.owner.clone(),
        role_arn: object.arn().clone(),
        former_cluster_uids: BTreeSet::new(),
        retain: Retention::Delete,
        attached: BTreeSet::new(),
        inline: BTreeSet::new(),
        lets_go: true,
    };
    let known = read(header(&object), None, 10);
    let rivals = [rival("second", "uid-2", 9, &["trainer"])];
    let next = plan_departure(&departure, &known, around(&found, &rivals), &clock(10, 10));
    insta::assert_snapshot!(show(&steps(next)), @r"
    UnbindServiceAccount trainer (mlservicerole.io/previous-role-arn)

    DeleteRole

    RemoveFinalizer
    ");
    // And where the marker alone was taken off, what was there before comes back.
    let unmarked = [account(&[
        (ROLE_ARN_ANNOTATION, &arn),
        (PREVIOUS_ROLE_ARN_ANNOTATION, OTHER),
    ])];
    let next = plan_departure(&departure, &known, around(&unmarked, &[]), &clock(10, 10));
    let plan = steps(next);
    let left = after(&unmarked[0], plan.steps().next().unwrap());
    assert_eq!(
        left.annotations,
        BTreeMap::from([(ROLE_ARN_ANNOTATION.to_owned(), OTHER.to_owned())])
    );
}
