//! Documents that mean the same, and those that only look alike.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::document::tests::{Dice, any_document, reworded};
use super::*;

fn read(value: &Value) -> PolicyDocument {
    PolicyDocument::from_value(value).unwrap()
}

fn same(a: &Value, b: &Value) -> bool {
    equivalent(&read(a), &read(b))
}

fn document(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Compares a usual statement with itself when one element is written in two ways.
fn same_element(element: &str, one: Value, other: Value) -> bool {
    let with = |value: Value| {
        let mut statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"});
        match value {
            Value::Null => {}
            value => statement[element] = value,
        }
        document(json!([statement]))
    };
    same(&with(one), &with(other))
}

fn same_principal(effect: &str, element: &str, one: Value, other: Value) -> bool {
    let with = |value: Value| document(json!({"Effect": effect, element: value, "Action": "sts:AssumeRole"}));
    same(&with(one), &with(other))
}

#[test]
fn a_scalar_is_a_list_of_one() {
    assert!(same_element("Action", json!("s3:Get"), json!(["s3:Get"])));
    assert!(same_element("Resource", json!("a"), json!(["a"])));
    assert!(same_element(
        "Principal",
        json!({"AWS": "a"}),
        json!({"AWS": ["a"]})
    ));
    assert!(same_element(
        "Condition",
        json!({"Bool": {"a:b": "c"}}),
        json!({"Bool": {"a:b": ["c"]}})
    ));
}

#[test]
fn lists_are_sets() {
    assert!(same_element("Resource", json!(["a", "b"]), json!(["b", "a"])));
    assert!(same_element(
        "Resource",
        json!(["a", "b", "a"]),
        json!(["a", "b"])
    ));
    assert!(!same_element("Resource", json!(["a", "b"]), json!(["a"])));
    assert!(same_element(
        "Action",
        json!(["s3:A", "S3:a", "s3:B"]),
        json!(["s3:B", "s3:A"])
    ));
}

#[test]
fn actions_operators_and_condition_keys_have_no_case() {
    assert!(same_element(
        "Action",
        json!("s3:GetObject"),
        json!("S3:getobject")
    ));
    assert!(same_element(
        "Condition",
        json!({"StringEquals": {"aws:PrincipalTag/Team": "a"}}),
        json!({"stringequals": {"AWS:principaltag/team": "a"}}),
    ));
}

#[test]
fn effect_has_no_case() {
    assert!(same_element("Effect", json!("Allow"), json!("allow")));
    assert!(!same_element("Effect", json!("Allow"), json!("Deny")));
}

#[test]
fn resources_principals_and_values_have_case() {
    assert!(!same_element(
        "Resource",
        json!("arn:aws:s3:::a"),
        json!("arn:aws:s3:::A")
    ));
    assert!(!same_element(
        "Principal",
        json!({"Service": "a"}),
        json!({"Service": "A"})
    ));
    assert!(!same_element(
        "Condition",
        json!({"StringEquals": {"a:b": "c"}}),
        json!({"StringEquals": {"a:b": "C"}}),
    ));
}

#[test]
fn numbers_and_booleans_are_strings() {
    assert!(same_element(
        "Condition",
        json!({"Bool": {"a:b": true}, "NumericEquals": {"a:c": [1, 2.5]}}),
        json!({"Bool": {"a:b": "true"}, "NumericEquals": {"a:c": ["1", "2.5"]}}),
    ));
}

#[test]
fn an_empty_condition_is_none() {
    assert!(same_element("Condition", json!({}), Value::Null));
    assert!(!same_element(
        "Condition",
        json!({"Bool": {"a:b": "c"}}),
        Value::Null
    ));
}

#[test]
fn an_element_is_not_its_negation() {
    for (element, negation) in [
        ("Action", "NotAction"),
        ("Resource", "NotResource"),
        ("Principal", "NotPrincipal"),
    ] {
        let with = |element: &str| {
            let mut statement = json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Principal": "*"});
            let statement = statement.as_object_mut().unwrap();
            let value = statement.remove(element.trim_start_matches("Not")).unwrap();
            statement.insert(element.to_owned(), value);
            document(json!(statement))
        };
        assert!(!same(&with(element), &with(negation)), "{element}");
    }
}

#[test]
fn a_missing_version_is_the_old_one() {
    let versions = |one: Value, other: Value| {
        let statement = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
        let with = |version: Value| match version {
            Value::Null => json!({"Statement": statement}),
            version => json!({"Version": version, "Statement": statement}),
        };
        same(&with(one), &with(other))
    };
    assert!(versions(Value::Null, json!("2008-10-17")));
    assert!(!versions(Value::Null, json!("2012-10-17")));
    assert!(!versions(json!("2008-10-17"), json!("2012-10-17")));
}

#[test]
fn sid_and_id_mean_nothing() {
    assert!(same_element("Sid", json!("A"), json!("B")));
    assert!(same_element("Sid", json!("A"), Value::Null));
    let with = |id: &str| json!({"Id": id, "Statement": {"Effect": "Allow", "Action": "s3:*"}});
    assert!(same(&with("a"), &with("b")));
}

#[test]
fn an_account_is_its_root_arn_in_any_partition() {
    for effect in ["Allow", "Deny"] {
        for element in ["Principal", "NotPrincipal"] {
            for partition in ["aws", "aws-cn", "aws-us-gov"] {
                assert!(same_principal(
                    effect,
                    element,
                    json!({"AWS": "123456789012"}),
                    json!({"AWS": format!("arn:{partition}:iam::123456789012:root")}),
                ));
            }
        }
    }
}

#[test]
fn an_account_is_no_other_arn_and_only_an_aws_principal() {
    for other in [
        "arn:aws:iam::123456789013:root",
        "arn:aws:iam::123456789012:role/root",
        "arn:aws:iam::123456789012:user/root",
        "arn:aws:sts::123456789012:root",
        "arn:gcp:iam::123456789012:root",
        "arn:aws:iam:eu-west-1:123456789012:root",
        "arn:aws:iam::123456789012:root:x",
    ] {
        assert!(!same_principal(
            "Allow",
            "Principal",
            json!({"AWS": "123456789012"}),
            json!({"AWS": other})
        ));
    }
    assert!(!same_principal(
        "Allow",
        "Principal",
        json!({"Federated": "123456789012"}),
        json!({"Federated": "arn:aws:iam::123456789012:root"}),
    ));
    assert!(!same_element(
        "Resource",
        json!("123456789012"),
        json!("arn:aws:iam::123456789012:root")
    ));
}

#[test]
fn everyone_is_written_in_two_ways_where_trust_is_given() {
    assert!(same_principal(
        "Allow",
        "Principal",
        json!("*"),
        json!({"AWS": "*"})
    ));
    assert!(same_principal(
        "Allow",
        "Principal",
        json!("*"),
        json!({"AWS": ["*", "*"]})
    ));
    assert!(!same_principal(
        "Deny",
        "Principal",
        json!("*"),
        json!({"AWS": "*"})
    ));
    assert!(!same_principal(
        "Allow",
        "NotPrincipal",
        json!("*"),
        json!({"AWS": "*"})
    ));
}

#[test]
fn everyone_is_nothing_else() {
    for other in [
        json!({"AWS": "123456789012"}),
        json!({"AWS": ["*", "123456789012"]}),
        json!({"AWS": "*", "Service": "a.com"}),
        json!({"Service": "*"}),
        json!({"Federated": "*"}),
        Value::Null,
    ] {
        assert!(!same_element("Principal", json!("*"), other.clone()), "{other}");
    }
}

#[test]
fn statements_are_a_multiset() {
    let a = json!({"Effect": "Allow", "Action": "s3:A", "Resource": "*"});
    let b = json!({"Effect": "Allow", "Action": "s3:B", "Resource": "*"});
    assert!(same(&document(json!([a, b])), &document(json!([b, a]))));
    assert!(same(&document(json!([a])), &document(a.clone())));
    assert!(!same(&document(json!([a, a, b])), &document(json!([a, b, b]))));
    assert!(!same(&document(json!([a, a])), &document(json!([a]))));
    assert!(!same(&document(json!([a])), &document(json!([a, b]))));
}

#[test]
fn statements_are_never_merged() {
    let one = document(json!([
        {"Effect": "Allow", "Action": "s3:A", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:B", "Resource": "*"},
    ]));
    let other = document(json!({"Effect": "Allow", "Action": ["s3:A", "s3:B"], "Resource": "*"}));
    assert!(!same(&one, &other));
}

#[test]
fn values_of_another_key_or_operator_are_others() {
    let conditions = [
        json!({"StringEquals": {"a:x": "1", "a:y": "2"}}),
        json!({"StringEquals": {"a:x": "2", "a:y": "1"}}),
        json!({"StringEquals": {"a:x": ["1", "2"]}}),
        json!({"StringLike": {"a:x": "1", "a:y": "2"}}),
        json!({"StringEquals": {"a:x": "1"}, "StringLike": {"a:y": "2"}}),
    ];
    for (i, one) in conditions.iter().enumerate() {
        for (j, other) in conditions.iter().enumerate() {
            assert_eq!(
                same_element("Condition", one.clone(), other.clone()),
                i == j,
                "{one} {other}"
            );
        }
    }
}

#[test]
fn a_text_is_compared_encoded_or_not_and_is_different_when_it_can_not_be_read() {
    let desired = read(&document(
        json!({"Effect": "Allow", "Action": "s3:A", "Resource": "a+b%20c"}),
    ));
    let plain = desired.to_json();
    let encoded =
        percent_encoding::utf8_percent_encode(&plain, percent_encoding::NON_ALPHANUMERIC).to_string();
    assert!(equivalent_text(&desired, &plain));
    assert!(equivalent_text(&desired, &encoded));
    for text in [
        "",
        "{",
        "null",
        &plain[1..],
        &encoded[3..],
        &plain.replace("a+b", "a b"),
    ] {
        assert!(!equivalent_text(&desired, text), "{text}");
    }
}

proptest! {
    #[test]
    fn every_document_is_equivalent_to_itself_in_other_words(
        document in any_document(), seed in any::<u64>(),
    ) {
        let other = read(&reworded(&document, &mut Dice::new(seed)));
        prop_assert!(equivalent(&document, &document));
        prop_assert!(equivalent(&document, &other));
        prop_assert!(equivalent(&other, &document));
        prop_assert!(equivalent_text(&document, &other.to_json()));
    }

    #[test]
    fn equivalence_has_no_direction(a in any_document(), b in any_document()) {
        prop_assert_eq!(equivalent(&a, &b), equivalent(&b, &a));
    }

    #[test]
    fn any_change_of_one_value_is_noticed(document in any_document(), seed in any::<u64>()) {
        let mut dice = Dice::new(seed);
        let mut value: Value = serde_json::from_str(&document.to_json()).unwrap();
        let mut leaves = Vec::new();
        collect_values(&mut value, &mut leaves);
        let leaf = dice.roll(leaves.len());
        *leaves.swap_remove(leaf) = "zzz:changed".to_owned();
        let changed = read(&reworded(&read(&value), &mut dice));
        prop_assert!(!equivalent(&document, &changed), "{}", value);
    }

    #[test]
    fn a_statement_more_is_noticed(document in any_document(), seed in any::<u64>()) {
        let mut longer = document.clone();
        longer.statements.push(document.statements[Dice::new(seed).roll(document.statements.len())].clone());
        prop_assert!(!equivalent(&document, &longer));
    }

    #[test]
    fn an_effect_turned_round_is_noticed(document in any_document()) {
        let mut other = document.clone();
        for statement in &mut other.statements {
            statement.effect = match statement.effect {
                Effect::Allow => Effect::Deny,
                Effect::Deny => Effect::Allow,
            };
        }
        let denies = |document: &PolicyDocument| {
            document.statements.iter().filter(|s| s.effect == Effect::Deny).count()
        };
        prop_assume!(denies(&document) != denies(&other));
        prop_assert!(!equivalent(&document, &other));
    }
}

/// Everything that may be changed without leaving the grammar: actions, resources, principals by
/// kind, and values of conditions.
fn collect_values<'a>(value: &'a mut Value, leaves: &mut Vec<&'a mut String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let fixed = match key.as_str() {
                    "Version" | "Effect" => true,
                    "Principal" | "NotPrincipal" => value.is_string(),
                    _ => false,
                };
                if !fixed {
                    collect_values(value, leaves);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| collect_values(item, leaves)),
        Value::String(text) => leaves.push(text),
        _ => {}
    }
}
