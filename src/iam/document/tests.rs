//! Policy documents, with generators of random ones that other tests use too.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod checking;
mod generators;
mod reading;
mod writing;

pub(crate) use generators::{Dice, any_document, reworded};

/// A document of one statement with these elements.
fn with(statement: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn read(value: &Value) -> PolicyDocument {
    PolicyDocument::from_value(value).unwrap()
}

#[test]
fn a_document_is_written_as_short_as_possible() {
    let document = read(&json!({
        "Version": "2012-10-17",
        "Id": "x",
        "Statement": [{
            "Condition": {"StringEquals": {"aws:b": ["2", "1"], "aws:a": ["1"]}, "Bool": {"aws:c": true}},
            "Resource": ["*"],
            "Action": ["s3:PutObject", "s3:GetObject"],
            "Principal": {"Service": ["x.amazonaws.com"], "AWS": ["123456789012"]},
            "Effect": "allow",
            "Sid": "A",
        }],
    }));
    assert_eq!(
        document.to_json(),
        "{\"Version\":\"2012-10-17\",\"Id\":\"x\",\"Statement\":{\"Sid\":\"A\",\"Effect\":\"Allow\",\
         \"Principal\":{\"AWS\":\"123456789012\",\"Service\":\"x.amazonaws.com\"},\
         \"Action\":[\"s3:GetObject\",\"s3:PutObject\"],\"Resource\":\"*\",\
         \"Condition\":{\"Bool\":{\"aws:c\":\"true\"},\
         \"StringEquals\":{\"aws:a\":\"1\",\"aws:b\":[\"1\",\"2\"]}}}}"
    );
}

#[test]
fn negated_elements_are_written_as_such_and_empty_ones_not_at_all() {
    let document = read(&json!({"Statement": [
        {"Sid": "", "Effect": "Deny", "NotPrincipal": "*", "NotAction": "s3:*", "NotResource": "*", "Condition": {}},
        {"Effect": "Deny", "Action": "s3:*"},
    ]}));
    assert_eq!(
        document.to_json(),
        "{\"Statement\":[{\"Effect\":\"Deny\",\"NotPrincipal\":\"*\",\"NotAction\":\"s3:*\",\
         \"NotResource\":\"*\"},{\"Effect\":\"Deny\",\"Action\":\"s3:*\"}]}"
    );
}

#[test]
fn what_iam_returns_is_percent_decoded() {
    assert_eq!(
        decode("%7B%22a%22%3A%20%22b%2Fc%C3%A9%22%7D"),
        "{\"a\": \"b/cé\"}"
    );
    assert_eq!(decode("%7b%22a%22%3a1%7d"), "{\"a\":1}");
}

#[test]
fn a_plus_stays_a_plus() {
    assert_eq!(decode("%7B%22a%22:%22b+c%22%7D"), "{\"a\":\"b+c\"}");
}

#[test]
fn a_percent_sign_survives_in_both_forms() {
    assert_eq!(decode("%7B%22a%22:%22100%2525%22%7D"), "{\"a\":\"100%25\"}");
    for plain in ["{\"a\":\"100%25\"}", " \n{\"a\":\"%7B\"}"] {
        assert_eq!(decode(plain), plain);
    }
}

#[test]
fn what_does_not_decode_is_left_as_it_is() {
    for text in ["%FF%FE", "", "%", "%zz", "not a document"] {
        assert_eq!(decode(text), text);
    }
}

proptest! {
    #[test]
    fn a_document_that_was_written_and_read_is_the_same(document in any_document()) {
        prop_assert_eq!(PolicyDocument::parse(&document.to_json()).unwrap(), document.clone());
        let value: Value = serde_json::from_str(&document.to_json()).unwrap();
        prop_assert_eq!(PolicyDocument::from_value(&value).unwrap(), document);
    }

    #[test]
    fn text_and_value_are_read_alike(document in any_document(), seed in any::<u64>()) {
        let value = reworded(&document, &mut Dice::new(seed));
        prop_assert_eq!(
            PolicyDocument::parse(&value.to_string()).unwrap(),
            PolicyDocument::from_value(&value).unwrap()
        );
    }

    #[test]
    fn encoding_is_undone_whatever_the_document(document in any_document()) {
        let json = document.to_json();
        let encoded = percent_encoding::utf8_percent_encode(&json, percent_encoding::NON_ALPHANUMERIC)
            .to_string();
        prop_assert_eq!(decode(&encoded), json.as_str());
        prop_assert_eq!(decode(&json), json.as_str());
    }

    #[test]
    fn nothing_makes_reading_panic(text in any::<String>()) {
        let _ = PolicyDocument::parse(&text).map_err(|error| error.to_string());
        let _ = decode(&text);
    }

    #[test]
    fn no_damage_to_a_document_makes_reading_or_checking_panic(
        document in any_document(), seed in any::<u64>(), insert in ".{0,3}",
    ) {
        let mut dice = Dice::new(seed);
        let mut text: Vec<char> = reworded(&document, &mut dice).to_string().chars().collect();
        let start = dice.roll(text.len());
        let end = (start + dice.roll(8)).min(text.len());
        text.splice(start..end, insert.chars());
        let text: String = text.into_iter().collect();
        if let Ok(document) = PolicyDocument::parse(&text) {
            for kind in [Kind::Identity, Kind::Trust] {
                let _ = check(&document, kind).map_err(|error| error.to_string());
            }
        }
    }
}
