//! Which class serves an object, and the record of where its role lives.

use super::fixtures::account;
use crate::guard::Refusal;
use crate::plan::{Placement, departing_class, departure_targets, placement_in_force, select_class};

const ARN: &str = "arn:aws:iam::111122223333:role/ml/r";

fn placed(class: &str) -> Placement {
    Placement {
        class: class.to_owned(),
        role_arn: ARN.parse().unwrap(),
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn the_named_class_serves() {
    assert_eq!(select_class(Some("a"), None, &names(&["b"])), Ok("a"));
    assert_eq!(select_class(Some("a"), Some(&placed("a")), &[]), Ok("a"));
}

#[test]
fn the_recorded_class_stays_whatever_the_default_is_now() {
    assert_eq!(select_class(None, Some(&placed("a")), &names(&["b"])), Ok("a"));
    assert_eq!(
        select_class(None, Some(&placed("a")), &names(&["b", "c"])),
        Ok("a")
    );
    assert_eq!(select_class(None, Some(&placed("a")), &[]), Ok("a"));
}

#[test]
fn the_one_default_class_serves_a_new_object() {
    assert_eq!(select_class(None, None, &names(&["b"])), Ok("b"));
}

#[test]
fn no_default_class_is_said_with_the_way_out() {
    let refusal = select_class(None, None, &[]).unwrap_err();
    assert_eq!(refusal.reason, "NoDefaultClass");
    assert!(refusal.final_);
    for part in ["className", "is-default-class", "ask the platform admin"] {
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
}

#[test]
fn several_default_classes_are_named() {
    let refusal = select_class(None, None, &names(&["b", "c"])).unwrap_err();
    assert_eq!(refusal.reason, "AmbiguousDefaultClass");
    assert!(refusal.message.contains("(b, c)"), "{}", refusal.message);
    assert!(refusal.message.contains("leave one"), "{}", refusal.message);
}

#[test]
fn a_placement_by_another_class_is_refused() {
    let refusal = select_class(Some("a"), Some(&placed("b")), &names(&["a"])).unwrap_err();
    assert_eq!(refusal.reason, "PlacementChanged");
    assert!(refusal.final_);
    for part in ["\"a\"", "\"b\"", "mlservicerole.io/placement", "create another"] {
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
}

#[test]
fn a_placement_is_read_as_it_was_written() {
    let text = placed("a").to_annotation();
    assert_eq!(text, format!(r#"{{"class":"a","roleArn":"{ARN}"}}"#));
    assert_eq!(Placement::parse(&text), Ok(placed("a")));
}

#[test]
fn a_placement_that_cannot_be_read_is_refused_with_the_way_out() {
    for text in [
        "",
        "{}",
        "null",
        r#"{"class":"a"}"#,
        r#"{"class":"a","roleArn":"arn:aws:iam::1:role/r"}"#,
        r#"{"class":1,"roleArn":"arn:aws:iam::111122223333:role/r"}"#,
    ] {
        let refusal = Placement::parse(text).unwrap_err();
        assert_eq!(refusal.reason, "PlacementChanged", "{text}");
        assert!(refusal.message.contains("remove it"), "{}", refusal.message);
    }
}

fn at(arn: &str) -> Placement {
    Placement {
        class: "a".to_owned(),
        role_arn: arn.parse().unwrap(),
    }
}

fn unknown() -> Refusal {
    Refusal::new("InvalidSpec", "the class can't be understood")
}

#[test]
fn a_placement_out_of_reach_keeps_the_object() {
    let computed = at("arn:aws:iam::111122223333:role/ml/r");
    for elsewhere in [
        "arn:aws:iam::444455556666:role/ml/r",
        "arn:aws-cn:iam::111122223333:role/ml/r",
    ] {
        for computed in [Ok(computed.clone()), Err(unknown())] {
            let refusal = departure_targets(Some(&at(elsewhere)), computed, &account()).unwrap_err();
            assert_eq!(refusal.reason, "PlacementChanged");
            for part in [
                elsewhere,
                "111122223333",
                "ask the platform admin",
                "correct the annotation",
            ] {
                assert!(refusal.message.contains(part), "{}", refusal.message);
            }
        }
    }
}

#[test]
fn a_role_is_looked_for_where_it_was_placed_and_where_it_would_be_now() {
    let (recorded, computed) = (
        at("arn:aws:iam::111122223333:role/ml/r"),
        at("arn:aws:iam::111122223333:role/ml/s"),
    );
    let targets = |recorded, computed| departure_targets(recorded, computed, &account());
    assert_eq!(
        targets(Some(&recorded), Ok(computed.clone())),
        Ok(vec![recorded.clone(), computed.clone()])
    );
    assert_eq!(
        targets(Some(&recorded), Ok(recorded.clone())),
        Ok(vec![recorded.clone()])
    );
    assert_eq!(
        targets(Some(&recorded), Err(unknown())),
        Ok(vec![recorded.clone()])
    );
    assert_eq!(targets(None, Ok(computed.clone())), Ok(vec![computed]));
    assert_eq!(targets(None, Err(unknown())), Err(unknown()));
}

#[test]
fn an_object_goes_by_the_class_it_names_whatever_the_annotation_says() {
    let forged = placed("b");
    assert_eq!(departing_class(Some("a"), Some(&forged), &[]), Ok("a"));
    assert_eq!(departing_class(None, Some(&placed("a")), &names(&["b"])), Ok("a"));
    assert_eq!(departing_class(None, None, &names(&["b"])), Ok("b"));
    assert!(departing_class(None, None, &[]).is_err());
}

#[test]
fn a_changed_annotation_is_refused_and_a_lost_one_is_written_again() {
    let known = placed("a");
    let in_force = |annotated, known| placement_in_force(annotated, known);
    assert_eq!(in_force(Ok(None), Some(&known)), Ok(Some(known.clone())));
    assert_eq!(
        in_force(Ok(Some(known.clone())), Some(&known)),
        Ok(Some(known.clone()))
    );
    assert_eq!(in_force(Ok(Some(known.clone())), None), Ok(Some(known.clone())));
    assert_eq!(in_force(Ok(None), None), Ok(None));
    assert_eq!(in_force(Err(unknown()), Some(&known)), Err(unknown()));
    let refusal = in_force(Ok(Some(placed("b"))), Some(&known)).unwrap_err();
    assert_eq!(refusal.reason, "PlacementChanged");
    for part in [ARN, "class \"a\"", "remove the annotation"] {
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
}
