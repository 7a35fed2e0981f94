//! Documents are written in few characters, and mean the same.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::iam::equivalence::equivalent;
use crate::iam::quota;

#[test]
fn what_stands_twice_in_a_list_is_written_once() {
    let document = read(&with(json!({
        "Effect": "Allow", "Action": ["s3:GetObject", "S3:getobject"], "Resource": ["b", "a", "b"],
        "Condition": {"StringEquals": {"aws:a": ["x", "x"]}},
    })));
    assert_eq!(
        document.to_json(),
        "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\
         \"Resource\":[\"a\",\"b\"],\"Condition\":{\"StringEquals\":{\"aws:a\":\"x\"}}}}"
    );
}

#[test]
fn statements_are_never_merged() {
    let statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"});
    let twice = read(&json!({"Statement": [statement, statement]}));
    assert_eq!(
        read(&serde_json::from_str(&twice.to_json()).unwrap())
            .statements()
            .len(),
        2
    );
}

#[test]
fn labels_can_be_left_out_and_nothing_else_is() {
    let labelled = read(&json!({"Id": "i", "Statement": [
        {"Sid": "A", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"},
    ]}));
    let bare = labelled.without_labels();
    assert_eq!(
        bare.to_json(),
        "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"*\"}}"
    );
    assert!(equivalent(&labelled, &bare));
}

proptest! {
    #[test]
    fn the_written_form_means_the_same_and_is_never_longer(document in any_document(), seed in any::<u64>()) {
        let other = reworded(&document, &mut Dice::new(seed));
        let written = read(&other).to_json();
        let again = PolicyDocument::parse(&written).unwrap();
        prop_assert!(equivalent(&document, &again));
        prop_assert!(quota::size(&written) <= quota::size(&other.to_string()) + literals(&other));
        prop_assert_eq!(again.to_json(), written, "written again it is the same");
    }
}

/// Quotes that numbers and booleans get when they are written as text, as everything in a condition is.
fn literals(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(literals).sum(),
        Value::Object(entries) => entries.values().map(literals).sum(),
        Value::Bool(_) | Value::Number(_) => 2,
        _ => 0,
    }
}
