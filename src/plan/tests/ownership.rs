//! Whose a role is: only the tags and the ARN together make it ours, and in every doubt it isn't.

use std::collections::BTreeSet;

use serde_json::json;

use super::fixtures::*;
use crate::iam::role::RoleHeader;
use crate::iam::tags;
use crate::plan::{Ownership, judge_ownership};

/// Judges the object's own role after `change`.
fn judge(change: impl FnOnce(&mut RoleHeader)) -> Ownership {
    judge_with(&[], false, change)
}

fn judge_with(former: &[&str], was_ours: bool, change: impl FnOnce(&mut RoleHeader)) -> Ownership {
    let intent = intent(json!({}));
    let mut role = header(&intent);
    change(&mut role);
    let former: BTreeSet<String> = former.iter().map(|&uid| uid.to_owned()).collect();
    judge_ownership(&intent.owner, intent.arn(), &role, &former, was_ours)
}

fn set(role: &mut RoleHeader, key: &str, value: &str) {
    role.tags.insert(key.to_owned(), value.to_owned());
}

#[track_caller]
fn foreign(judged: &Ownership, reason: &str) -> String {
    match judged {
        Ownership::Foreign(refusal) => {
            assert_eq!(refusal.reason, reason, "{}", refusal.message);
            assert!(refusal.final_);
            assert!(refusal.message.contains("left alone"), "{}", refusal.message);
            refusal.message.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn tags_and_arn_together_make_a_role_ours() {
    assert_eq!(judge(|_| ()), Ownership::Ours);
}

#[test]
fn other_properties_say_nothing_about_ownership() {
    let judged = judge(|role| {
        role.id = "AROA2".to_owned();
        role.trust = "x".to_owned();
        role.description = "mine!".to_owned();
        set(role, "owner", "somebody else");
    });
    assert_eq!(judged, Ownership::Ours);
}

#[test]
fn tag_keys_count_in_any_case_and_their_values_do_not() {
    let in_capitals = |role: &mut RoleHeader| {
        role.tags = std::mem::take(&mut role.tags)
            .into_iter()
            .map(|(key, value)| (key.to_uppercase(), value))
            .collect();
    };
    assert_eq!(judge(in_capitals), Ownership::Ours);
    foreign(
        &judge(|role| set(role, tags::NAMESPACE, "Team-A")),
        "RoleConflict",
    );
    foreign(&judge(|role| set(role, tags::NAME, "Trainer")), "RoleConflict");
}

#[test]
fn our_tags_on_another_arn_are_not_enough() {
    for arn in [
        "arn:aws:iam::111122223333:role/elsewhere/NAME",
        "arn:aws:iam::111122223333:role/NAME",
        "arn:aws:iam::444455556666:role/mlservicerole/prod/team-a/NAME",
        "arn:aws-cn:iam::111122223333:role/mlservicerole/prod/team-a/NAME",
        "arn:aws:iam::111122223333:role/mlservicerole/prod/team-b/NAME",
    ] {
        let judged = judge_with(&[], true, |role| {
            role.arn = arn.replace("NAME", role.arn.name().as_str()).parse().unwrap();
        });
        foreign(&judged, "RoleConflict");
    }
}

#[test]
fn a_name_that_differs_in_case_is_another_role() {
    let judged = judge(|role| {
        let text = role.arn.to_string().replace("/team-a-trainer", "/Team-A-Trainer");
        role.arn = text.parse().unwrap();
    });
    foreign(&judged, "RoleConflict");
}

#[test]
fn our_arn_without_tags_is_a_conflict_that_tells_nothing() {
    let message = foreign(
        &judge(|role| {
            role.tags = labels(&[("owner", "secret-team")]);
            role.description = "secret project".to_owned();
        }),
        "RoleConflict",
    );
    let name = header(&intent(json!({}))).arn.name().to_string();
    assert_eq!(
        message,
        format!(
            "a role named {name} exists in account 111122223333 and does not belong to this object; it is left alone: \
             have it removed, or create another MlServiceRole under another name"
        )
    );
}

#[test]
fn our_tags_gone_from_a_role_that_was_ours_is_said_as_such() {
    let message = foreign(&judge_with(&[], true, |role| role.tags.clear()), "OwnershipLost");
    assert!(message.contains("tags put back"), "{message}");
    assert!(message.contains("mlservicerole.io/cluster-uid"), "{message}");
}

#[test]
fn each_missing_tag_makes_it_foreign_whether_it_was_ours_or_not() {
    for key in [tags::NAMESPACE, tags::NAME] {
        for was_ours in [false, true] {
            let judged = judge_with(&[], was_ours, |role| {
                role.tags.remove(key);
            });
            foreign(&judged, "RoleConflict");
        }
    }
    let judged = judge(|role| {
        role.tags.remove(tags::NAMESPACE_UID);
    });
    foreign(&judged, "NamespaceRecreated");
}

#[test]
fn another_objects_role_is_a_conflict() {
    for (key, value) in [(tags::NAMESPACE, "team-b"), (tags::NAME, "somebodys")] {
        let message = foreign(&judge(|role| set(role, key, value)), "RoleConflict");
        assert!(!message.contains(value), "{message}");
    }
}

#[test]
fn an_earlier_object_of_the_same_name_is_inherited() {
    assert_eq!(judge(|role| set(role, tags::UID, "uid-0")), Ownership::Inherited);
    let without = judge(|role| {
        role.tags.remove(tags::UID);
    });
    assert_eq!(without, Ownership::Inherited);
}

#[test]
fn a_former_namespaces_role_is_not_inherited() {
    let message = foreign(
        &judge(|role| {
            set(role, tags::NAMESPACE_UID, "namespace-0");
            set(role, tags::UID, "uid-0");
        }),
        "NamespaceRecreated",
    );
    assert!(message.contains("former namespace \"team-a\""), "{message}");
    assert!(!message.contains("namespace-0"), "{message}");
}

#[test]
fn another_cluster_of_our_name_is_a_clash() {
    let message = foreign(
        &judge(|role| set(role, tags::CLUSTER_UID, "cluster-0")),
        "ClusterNameClash",
    );
    assert!(message.contains("roles.formerClusterUIDs"), "{message}");
    assert!(!message.contains("cluster-0"), "{message}");
}

#[test]
fn a_cluster_of_another_name_is_plainly_foreign() {
    let other = |role: &mut RoleHeader| {
        set(role, tags::CLUSTER_UID, "cluster-0");
        set(role, tags::CLUSTER, "staging");
    };
    foreign(&judge(other), "RoleConflict");
    // Listing its uid doesn't make its roles ours.
    foreign(&judge_with(&["cluster-0"], true, other), "RoleConflict");
}

#[test]
fn a_listed_former_clusters_role_is_inherited_whatever_its_uids() {
    let judged = judge_with(&["cluster-x", "cluster-0"], false, |role| {
        set(role, tags::CLUSTER_UID, "cluster-0");
        set(role, tags::NAMESPACE_UID, "namespace-0");
        set(role, tags::UID, "uid-0");
    });
    assert_eq!(judged, Ownership::Inherited);
    let same_uids = judge_with(&["cluster-0"], false, |role| {
        set(role, tags::CLUSTER_UID, "cluster-0");
    });
    assert_eq!(same_uids, Ownership::Inherited);
}

#[test]
fn a_listed_former_cluster_gives_only_the_object_of_the_same_name() {
    for (key, value) in [(tags::NAMESPACE, "team-b"), (tags::NAME, "other")] {
        let judged = judge_with(&["cluster-0"], false, |role| {
            set(role, tags::CLUSTER_UID, "cluster-0");
            set(role, key, value);
        });
        foreign(&judged, "RoleConflict");
    }
}

#[test]
fn a_retained_role_is_nobodys() {
    for key in [tags::RETAINED, "MLSERVICEROLE.IO/RETAINED"] {
        for value in ["true", "false", ""] {
            let judged = judge_with(&["cluster-1"], true, |role| set(role, key, value));
            foreign(&judged, "RoleConflict");
        }
    }
}

#[test]
fn the_ownership_tags_say_who_the_object_is() {
    let owner = intent(json!({})).owner;
    insta::assert_debug_snapshot!(owner.tags(), @r#"
    {
        "mlservicerole.io/cluster": "prod",
        "mlservicerole.io/cluster-uid": "cluster-1",
        "mlservicerole.io/name": "trainer",
        "mlservicerole.io/namespace": "team-a",
        "mlservicerole.io/namespace-uid": "namespace-1",
        "mlservicerole.io/uid": "uid-1",
    }
    "#);
}
