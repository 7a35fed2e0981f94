//! What keeps a class that is being deleted.

use crate::guard::Refusal;
use crate::plan::{Keepers, Placement, Tenure};

fn tenure(class_name: Option<&str>, placed: Option<&str>, has_finalizer: bool) -> Tenure {
    Tenure {
        object: "team-a/trainer".to_owned(),
        class_name: Ok(class_name.map(str::to_owned)),
        placement: placed.map(|class| {
            Ok(Placement {
                class: class.to_owned(),
                role_arn: "arn:aws:iam::111122223333:role/ml/r".parse().unwrap(),
            })
        }),
        has_finalizer,
    }
}

fn garbled(class_name: Option<&str>, has_finalizer: bool) -> Tenure {
    Tenure {
        placement: Some(Err(Refusal::new("PlacementChanged", "garbled"))),
        ..tenure(class_name, None, has_finalizer)
    }
}

fn kept(class: &str, tenures: &[Tenure]) -> Option<Refusal> {
    let mut keepers = Keepers::new(class);
    for tenure in tenures {
        keepers.note(tenure);
    }
    keepers.refusal()
}

fn keeps(tenure: &Tenure) -> bool {
    kept("a", std::slice::from_ref(tenure)).is_some()
}

#[test]
fn an_object_that_was_placed_by_the_class_keeps_it() {
    for class_name in [None, Some("a"), Some("b")] {
        for has_finalizer in [true, false] {
            assert!(keeps(&tenure(class_name, Some("a"), has_finalizer)));
        }
    }
}

#[test]
fn an_object_that_may_have_a_role_there_keeps_it_whatever_became_of_its_annotation() {
    assert!(keeps(&tenure(Some("a"), None, true)));
    assert!(keeps(&tenure(Some("a"), Some("b"), true)));
    assert!(keeps(&tenure(None, None, true)));
    assert!(keeps(&garbled(Some("a"), true)));
    assert!(keeps(&garbled(None, true)));
    let unreadable = Tenure {
        class_name: Err(()),
        ..tenure(None, None, true)
    };
    assert!(keeps(&unreadable));
}

#[test]
fn an_object_of_another_class_or_without_a_role_does_not() {
    assert!(!keeps(&tenure(Some("b"), Some("b"), true)));
    assert!(!keeps(&tenure(None, Some("b"), true)));
    assert!(!keeps(&tenure(Some("a"), None, false)));
    // One tenant's garbled annotation must not keep every class of the cluster.
    assert!(!keeps(&garbled(Some("b"), true)));
    assert!(!keeps(&garbled(None, false)));
    assert_eq!(kept("a", &[]), None);
}

#[test]
fn the_objects_that_keep_it_are_named_in_a_stable_order() {
    let mut tenures: Vec<Tenure> = (0..7)
        .rev()
        .map(|i| Tenure {
            object: format!("team-a/t{i}"),
            ..tenure(None, Some("a"), true)
        })
        .collect();
    let refusal = kept("a", &tenures).unwrap();
    assert_eq!(refusal.reason, "ClassTerminating");
    let named = "delete team-a/t0, team-a/t1, team-a/t2, team-a/t3, team-a/t4 and 2 more;";
    assert!(refusal.message.contains(named), "{}", refusal.message);
    tenures.truncate(1);
    let message = kept("a", &tenures).unwrap().message;
    assert!(message.contains("delete team-a/t6; until"), "{message}");
}

/// Whoever deleted it by mistake must not delete the objects as well.
#[test]
fn a_class_that_was_deleted_by_mistake_is_saved_before_anything_is_deleted() {
    let of_class = kept("a", &[tenure(None, Some("a"), true)]).unwrap().message;
    let of_object = Refusal::class_terminating("a").message;
    for message in [of_class, of_object] {
        let saved = message.find("mistake").unwrap();
        assert!(message.contains("finalizer mlservicerole.io/class"), "{message}");
        assert!(
            saved
                < message
                    .find("delete team-a/trainer")
                    .or(message.find("delete this"))
                    .unwrap(),
            "{message}"
        );
    }
}
