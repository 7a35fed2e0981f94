//! Which class serves an object, and the record of where its role lives.

use crate::plan::{Placement, select_class};

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
