//! Joining statements: it saves room and changes no meaning.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::super::merge::{Conditions, Statement, merge};
use crate::iam::document::PolicyDocument;

fn set(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn statement(actions: &[&str], resources: &[&str], condition: &[(&str, &str, &[&str])]) -> Statement {
    let mut conditions = Conditions::new();
    for (operator, key, values) in condition {
        conditions
            .entry((*operator).to_owned())
            .or_default()
            .insert((*key).to_owned(), set(values));
    }
    Statement {
        actions: set(actions),
        resources: set(resources),
        conditions,
    }
}

#[test]
fn statements_with_the_same_actions_or_the_same_resources_become_one() {
    let a = statement(&["s:Get"], &["r1"], &[]);
    let b = statement(&["s:Get"], &["r2"], &[]);
    assert_eq!(
        merge(vec![a.clone(), b]),
        [statement(&["s:Get"], &["r1", "r2"], &[])]
    );
    let c = statement(&["s:Put"], &["r1"], &[]);
    assert_eq!(merge(vec![a, c]), [statement(&["s:Get", "s:Put"], &["r1"], &[])]);
}

#[test]
fn statements_that_differ_in_both_stay_apart() {
    let apart = vec![
        statement(&["s:Get"], &["r1"], &[]),
        statement(&["s:Put"], &["r2"], &[]),
    ];
    assert_eq!(merge(apart.clone()), apart);
}

#[test]
fn a_statement_within_another_goes() {
    let wide = statement(&["s:Get", "s:Put"], &["r1", "r2"], &[]);
    assert_eq!(
        merge(vec![statement(&["s:Put"], &["r2"], &[]), wide.clone()]),
        [wide]
    );
}

#[test]
fn values_of_one_condition_key_are_joined_where_they_are_alternatives() {
    let a = statement(
        &["s:Get"],
        &["r"],
        &[("StringLike", "k", &["p/*"]), ("Bool", "b", &["true"])],
    );
    let b = statement(
        &["s:Get"],
        &["r"],
        &[("StringLike", "k", &["q/*"]), ("Bool", "b", &["true"])],
    );
    assert_eq!(
        merge(vec![a, b]),
        [statement(
            &["s:Get"],
            &["r"],
            &[("StringLike", "k", &["p/*", "q/*"]), ("Bool", "b", &["true"])]
        )]
    );
}

#[test]
fn conditions_that_differ_in_two_keys_or_in_their_operators_stay_apart() {
    let one = |operator, a: &'static str, b: &'static str| {
        statement(
            &["s:Get"],
            &["r"],
            &[(operator, "a", &[a]), (operator, "b", &[b])],
        )
    };
    let table = [
        (one("StringEquals", "1", "1"), one("StringEquals", "2", "2")),
        (one("StringEquals", "1", "1"), one("StringLike", "1", "1")),
        (one("StringNotEquals", "1", "1"), one("StringNotEquals", "1", "2")),
        (
            one("ForAllValues:StringEquals", "1", "1"),
            one("ForAllValues:StringEquals", "1", "2"),
        ),
        (one("Null", "true", "1"), one("Null", "false", "1")),
        (one("StringEquals", "1", "1"), statement(&["s:Get"], &["r"], &[])),
    ];
    for (a, b) in table {
        assert_eq!(merge(vec![a, b]).len(), 2);
    }
}

/// What a list of statements allows: each action, resource and condition that holds in one statement together. The
/// values of the one key are written out.
fn meaning(statements: &[Statement]) -> BTreeSet<(String, String, String)> {
    let mut allowed = BTreeSet::new();
    for statement in statements {
        let values: Vec<String> = match statement
            .conditions
            .get("StringEquals")
            .and_then(|keys| keys.get("k"))
        {
            Some(values) => values.iter().cloned().collect(),
            None => ["a", "b", "c"].map(str::to_owned).to_vec(),
        };
        for action in &statement.actions {
            for resource in &statement.resources {
                for value in &values {
                    allowed.insert((action.clone(), resource.clone(), value.clone()));
                }
            }
        }
    }
    allowed
}

/// The statements as IAM is given them.
fn written(statements: &[Statement]) -> String {
    let json = |statement: &Statement| {
        let mut json =
            json!({"Effect": "Allow", "Action": statement.actions, "Resource": statement.resources});
        if !statement.conditions.is_empty() {
            json["Condition"] = json!(statement.conditions);
        }
        json
    };
    let statements: Vec<_> = statements.iter().map(json).collect();
    let document = json!({"Version": "2012-10-17", "Statement": statements});
    PolicyDocument::from_value(&document).unwrap().to_json()
}

fn some_of(names: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<String>> {
    prop::sample::subsequence(names, 1..=names.len())
        .prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn any_statement() -> impl Strategy<Value = Statement> {
    let condition = prop::option::of(some_of(&["a", "b", "c"]));
    (
        some_of(&["s:A", "s:B", "s:C"]),
        some_of(&["r1", "r2", "r3"]),
        condition,
    )
        .prop_map(|(actions, resources, values)| Statement {
            actions,
            resources,
            conditions: values.map_or_else(BTreeMap::new, |values| {
                BTreeMap::from([(
                    "StringEquals".to_owned(),
                    BTreeMap::from([("k".to_owned(), values)]),
                )])
            }),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn joining_changes_no_meaning_and_no_order_matters(
        (statements, shuffled) in prop::collection::vec(any_statement(), 0..8)
            .prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle()))
    ) {
        let merged = merge(statements.clone());
        prop_assert_eq!(meaning(&merged), meaning(&statements));
        prop_assert!(merged.len() <= statements.len());
        if !statements.is_empty() {
            let (joined, apart) = (written(&merged), written(&statements));
            prop_assert!(joined.len() <= apart.len(), "{} {}", joined, apart);
        }
        prop_assert_eq!(merge(shuffled), merged.clone());
        prop_assert_eq!(merge(merged.clone()), merged);
    }
}
