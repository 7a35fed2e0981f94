//! Letting ServiceAccounts go: everything that we wrote is taken away, and nothing else.

use std::collections::BTreeMap;

use serde_json::json;

use super::fixtures::*;
use crate::api::{AUDIENCE_ANNOTATION, BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION, ROLE_ARN_ANNOTATION};
use crate::plan::{OwnArn, Rival, RoleIntent, ServiceAccountState, Step, release_all};

const OTHER_ARN: &str = "arn:aws:iam::111122223333:role/other";

fn object() -> RoleIntent {
    intent(json!({}))
}

fn released(found: &[ServiceAccountState], rivals: &[Rival], retain: bool) -> Vec<Step> {
    let intent = object();
    let own = if retain { OwnArn::Stays } else { OwnArn::Goes };
    let plan = release_all(&intent.owner, Some(intent.arn()), around(found, rivals), own);
    assert!(plan.stages.len() <= 1);
    plan.steps().cloned().collect()
}

fn shown(steps: &[Step]) -> Vec<String> {
    steps.iter().map(show_step).collect()
}

#[test]
fn what_we_bound_is_unbound_under_its_uid_and_values() {
    let sa = bound("a", &object());
    let steps = released(std::slice::from_ref(&sa), &[], false);
    assert_eq!(
        steps,
        [Step::UnbindServiceAccount {
            name: "a".to_owned(),
            uid: "sa-a".to_owned(),
            annotations: sa.annotations,
            restored: BTreeMap::new(),
        }]
    );
}

#[test]
fn what_we_created_is_deleted() {
    let sa = created("a", &object());
    let steps = released(std::slice::from_ref(&sa), &[], false);
    assert_eq!(
        steps,
        [Step::DeleteServiceAccount {
            name: "a".to_owned(),
            uid: "sa-a".to_owned(),
            annotations: sa.annotations,
            restored: BTreeMap::new(),
        }]
    );
}

#[test]
fn what_we_created_is_handed_over_where_another_object_lists_it() {
    let found = [created("shared", &object()), created("own", &object())];
    let rivals = [rival("second", "uid-2", 9, &["x", "shared"])];
    let all = "eks.amazonaws.com/role-arn, mlservicerole.io/bound-by, mlservicerole.io/created-by";
    assert_eq!(
        shown(&released(&found, &rivals, false)),
        [
            format!("UnbindServiceAccount shared ({all})"),
            format!("DeleteServiceAccount own ({all})"),
        ]
    );
    let intent = object();
    let plan = release_all(
        &intent.owner,
        Some(intent.arn()),
        around(&found, &rivals),
        OwnArn::Goes,
    );
    let [notice] = plan.notices.as_slice() else {
        panic!("{:?}", plan.notices)
    };
    assert_eq!((notice.reason, notice.warning), ("ServiceAccountKept", false));
    for part in ["\"shared\"", "\"second\""] {
        assert!(notice.message.contains(part), "{}", notice.message);
    }
}

#[test]
fn what_we_created_is_handed_over_to_one_that_only_observes_for_now() {
    let found = [created("shared", &object())];
    let mut observing = rival("second", "uid-2", 9, &["shared"]);
    observing.observes = true;
    let steps = shown(&released(&found, &[observing], false));
    assert!(steps[0].starts_with("UnbindServiceAccount shared"), "{steps:?}");
}

#[test]
fn what_we_created_is_deleted_where_whoever_lists_it_is_going_too() {
    let found = [created("shared", &object())];
    let mut going = rival("second", "uid-2", 9, &["shared"]);
    going.deleting = true;
    let steps = shown(&released(&found, &[going], false));
    assert!(steps[0].starts_with("DeleteServiceAccount shared"), "{steps:?}");
}

#[test]
fn what_was_handed_over_is_nobodys_to_delete() {
    // The mark of its creation went with the hand-over, and none comes with the next binding.
    let sa = bound("shared", &object());
    let steps = shown(&released(&[sa], &[], false));
    assert!(steps[0].starts_with("UnbindServiceAccount shared"), "{steps:?}");
}

#[test]
fn other_annotations_stay() {
    let mut sa = bound("a", &object());
    sa.annotations.insert("team".to_owned(), "a".to_owned());
    assert_eq!(
        shown(&released(&[sa], &[], false)),
        ["UnbindServiceAccount a (eks.amazonaws.com/role-arn, mlservicerole.io/bound-by)"]
    );
}

#[test]
fn the_audience_that_we_wrote_goes_too() {
    let mut sa = bound("a", &object());
    sa.annotations
        .insert(AUDIENCE_ANNOTATION.to_owned(), "custom".to_owned());
    assert_eq!(
        shown(&released(&[sa], &[], false)),
        [
            "UnbindServiceAccount a (eks.amazonaws.com/audience, eks.amazonaws.com/role-arn, mlservicerole.io/bound-by)"
        ]
    );
}

#[test]
fn an_annotation_that_was_edited_stays_and_only_our_marker_goes() {
    let mut sa = created("a", &object());
    sa.annotations
        .insert(ROLE_ARN_ANNOTATION.to_owned(), OTHER_ARN.to_owned());
    assert_eq!(
        shown(&released(&[sa], &[], false)),
        ["UnbindServiceAccount a (mlservicerole.io/bound-by, mlservicerole.io/created-by)"]
    );
}

#[test]
fn an_annotation_with_the_roles_arn_that_we_never_marked_stays() {
    // As where somebody else made role and annotation, and this object never got the role.
    let arn = object().arn().to_string();
    let sa = service_account(
        "a",
        &[(ROLE_ARN_ANNOTATION, &arn), (AUDIENCE_ANNOTATION, "theirs")],
    );
    assert_eq!(released(&[sa], &[], false), []);
}

#[test]
fn what_has_nothing_to_do_with_us_stays() {
    let found = [
        service_account("a", &[]),
        service_account("b", &[(ROLE_ARN_ANNOTATION, OTHER_ARN)]),
        service_account(
            "c",
            &[
                (ROLE_ARN_ANNOTATION, OTHER_ARN),
                (BOUND_BY_ANNOTATION, "other/uid-9"),
            ],
        ),
        service_account("d", &[(BOUND_BY_ANNOTATION, "nonsense")]),
        service_account("e", &[(CREATED_BY_ANNOTATION, "other/uid-9")]),
    ];
    assert_eq!(shown(&released(&found, &[], false)), Vec::<String>::new());
}

#[test]
fn what_is_marked_by_another_object_stays_even_where_it_carries_our_arn() {
    let arn = object().arn().to_string();
    let sa = service_account(
        "a",
        &[(ROLE_ARN_ANNOTATION, &arn), (BOUND_BY_ANNOTATION, "other/uid-9")],
    );
    assert_eq!(released(&[sa], &[], false), []);
}

#[test]
fn what_our_former_self_bound_is_released_unless_that_uid_lives() {
    let arn = object().arn().to_string();
    let sa = service_account(
        "a",
        &[
            (ROLE_ARN_ANNOTATION, &arn),
            (BOUND_BY_ANNOTATION, "trainer/uid-0"),
        ],
    );
    assert_eq!(
        shown(&released(std::slice::from_ref(&sa), &[], false)),
        ["UnbindServiceAccount a (eks.amazonaws.com/role-arn, mlservicerole.io/bound-by)"]
    );
    // A marker with somebody's uid and our name is forged: in doubt it stays.
    assert_eq!(released(&[sa], &[rival("other", "uid-0", 1, &[])], false), []);
}

#[test]
fn what_our_former_self_created_is_unbound_and_not_deleted() {
    let mut sa = created("a", &object());
    for key in [BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION] {
        sa.annotations.insert(key.to_owned(), "trainer/uid-0".to_owned());
    }
    assert_eq!(
        shown(&released(&[sa], &[], false)),
        [
            "UnbindServiceAccount a (eks.amazonaws.com/role-arn, mlservicerole.io/bound-by, mlservicerole.io/created-by)"
        ]
    );
}

#[test]
fn one_that_is_being_deleted_goes_by_itself() {
    let mut sa = created("a", &object());
    sa.deleting = true;
    assert_eq!(released(&[sa], &[], false), []);
}

#[test]
fn retaining_takes_only_our_markers() {
    let found = [created("a", &object()), bound("b", &object())];
    assert_eq!(
        shown(&released(&found, &[], true)),
        [
            "UnbindServiceAccount a (mlservicerole.io/bound-by, mlservicerole.io/created-by)",
            "UnbindServiceAccount b (mlservicerole.io/bound-by)"
        ]
    );
    let arn = object().arn().to_string();
    let unmarked = service_account("c", &[(ROLE_ARN_ANNOTATION, &arn)]);
    assert_eq!(released(&[unmarked], &[], true), []);
}

#[test]
fn without_a_known_arn_only_the_markers_speak() {
    let intent = object();
    let found = [
        bound("a", &intent),
        service_account("b", &[(ROLE_ARN_ANNOTATION, "")]),
    ];
    let plan = release_all(&intent.owner, None, around(&found, &[]), OwnArn::Goes);
    insta::assert_snapshot!(show(&plan), @"UnbindServiceAccount a (mlservicerole.io/bound-by)");
}
