//! The role's own ARN on a ServiceAccount that is recorded as having carried it before the object: only a look at the
//! role tells whether it stays.

use serde_json::json;

use super::fixtures::*;
use crate::api::{BOUND_BY_ANNOTATION, PREVIOUS_ROLE_ARN_ANNOTATION, ROLE_ARN_ANNOTATION};
use crate::iam::tags;
use crate::plan::{Departure, Depth, Next, Recalled, Retention, RoleKnowledge, Sought, Step, plan_departure};

fn next(knowledge: &RoleKnowledge) -> Next {
    let intent = intent(json!({}));
    let mut sa = bound("a", &intent);
    let arn = sa.annotations[ROLE_ARN_ANNOTATION].clone();
    sa.annotations
        .insert(PREVIOUS_ROLE_ARN_ANNOTATION.to_owned(), arn);
    assert!(sa.annotations.contains_key(BOUND_BY_ANNOTATION));
    let departure = Departure {
        owner: intent.owner.clone(),
        role_arn: intent.arn().clone(),
        former_cluster_uids: Default::default(),
        retain: Retention::Unsaid,
        attached: Default::default(),
        inline: Default::default(),
        lets_go: true,
    };
    plan_departure(&departure, knowledge, around(&[sa], &[]), &clock(100, 100))
}

/// What is known of the object's role when it carries this tag too.
fn tagged(key: &str, as_of: u64) -> RoleKnowledge {
    let intent = intent(json!({}));
    let mut header = header(&intent);
    header.tags.insert(key.to_owned(), "x".to_owned());
    let recalled = Recalled {
        sought: Sought::of(&header),
        state: None,
        as_of: seconds(as_of),
    };
    let mut knowledge = read(header, Some(content(&intent)), as_of);
    knowledge.recalled = Some(Box::new(recalled));
    knowledge
}

#[test]
fn it_waits_until_the_role_was_looked_at() {
    assert!(matches!(
        next(&RoleKnowledge::default()),
        Next::Read(Depth::Header)
    ));
    assert!(matches!(next(&tagged("Team", 99)), Next::Read(Depth::Header)));
    let mut unrecalled = tagged("Team", 100);
    unrecalled.recalled = None;
    assert!(matches!(next(&unrecalled), Next::Recall(_)));
}

/// The first step, with the ARN shortened.
fn first(knowledge: &RoleKnowledge) -> String {
    let plan = steps(next(knowledge));
    let arn = intent(json!({})).arn().to_string();
    plan.steps()
        .next()
        .map(show_step)
        .unwrap_or_default()
        .replace(&arn, "ARN")
}

const GOES: &str = "UnbindServiceAccount a (eks.amazonaws.com/role-arn, mlservicerole.io/bound-by, \
                    mlservicerole.io/previous-role-arn)";
const STAYS: &str = "UnbindServiceAccount a (eks.amazonaws.com/role-arn back to ARN, mlservicerole.io/bound-by, \
                     mlservicerole.io/previous-role-arn)";

#[test]
fn it_goes_with_a_role_that_is_deleted_and_stays_with_one_that_is_given_back() {
    assert_eq!(first(&tagged("Team", 100)), GOES);
    assert_eq!(first(&tagged(tags::ADOPTED, 100)), STAYS);
}

#[test]
fn the_marker_goes_before_the_object_does_where_the_role_was_left_behind_already() {
    let left = tagged(tags::RETAINED, 100);
    assert_eq!(first(&left), STAYS);
    assert_eq!(
        steps(next(&left)).steps().last(),
        Some(&Step::RemoveFinalizer),
        "in the same plan"
    );
}
