//! Random documents, and random other ways to write one.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::super::{Condition, Effect, PolicyDocument, Principal, PrincipalType, Scope, Statement, Version};

/// Documents without Sid and Id, and with lists that hold nothing twice.
pub(crate) fn any_document() -> impl Strategy<Value = PolicyDocument> {
    let version = option::of(select(vec![Version::V2008, Version::V2012]));
    (version, vec(any_statement(), 1..4)).prop_map(|(version, statements)| PolicyDocument {
        version,
        id: None,
        statements,
    })
}

fn any_statement() -> impl Strategy<Value = Statement> {
    let texts = |pattern| btree_set(pattern, 1..4).prop_map(|texts| texts.into_iter().collect());
    (
        select(vec![Effect::Allow, Effect::Deny]),
        option::of(scope(any_principal())),
        scope(texts("(s3|sts):[A-Z][a-z*]{0,3}")),
        option::of(scope(texts("arn:aws:s3:::[a-zA-Z%+é\"]{1,3}"))),
        any_condition(),
    )
        .prop_map(|(effect, principal, action, resource, condition)| Statement {
            sid: None,
            effect,
            misspelt_effect: None,
            principal,
            action,
            resource,
            condition,
        })
}

fn scope<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Scope<T>> {
    (any::<bool>(), value).prop_map(|(only, value)| {
        if only {
            Scope::Only(value)
        } else {
            Scope::AllExcept(value)
        }
    })
}

fn any_principal() -> impl Strategy<Value = Principal> {
    let accounts = btree_set("[0-9]{12}", 1..3).prop_map(|set| set.into_iter().collect::<Vec<_>>());
    let services = btree_set("[a-z]{1,3}\\.com", 1..3).prop_map(|set| set.into_iter().collect());
    prop_oneof![
        1 => Just(Principal::Everyone),
        4 => (option::of(accounts), services).prop_map(|(accounts, services)| {
            let accounts = accounts.map(|accounts| (PrincipalType::Aws, accounts));
            let services = (PrincipalType::Service, services);
            Principal::Of(accounts.into_iter().chain([services]).collect())
        }),
    ]
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let values = btree_set("[a-zA-Z]{1,2}|[1-9][0-9]?|true|false", 1..3);
    let keys = btree_map(
        select(vec!["aws:SourceAccount", "aws:PrincipalTag/team", "s3:prefix"]).prop_map(str::to_owned),
        values.prop_map(|set| set.into_iter().collect()),
        1..3,
    );
    let operators = vec!["StringEquals", "ForAnyValue:StringLike", "Bool"];
    btree_map(select(operators).prop_map(str::to_owned), keys, 0..3)
}

/// A source of choices that proptest can shrink, as it is one number.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// Less than the number of sides, of which there is at least one.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        // The constants of Knuth's MMIX; the low bits are poor.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn flip(&mut self) -> bool {
        self.roll(2) == 0
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.roll(last + 1));
        }
    }

    fn recase(&mut self, text: &str) -> String {
        match self.roll(3) {
            0 => text.to_ascii_uppercase(),
            1 => text.to_ascii_lowercase(),
            _ => text.to_owned(),
        }
    }
}

/// The document in other words of the same meaning: statements and lists in another order, some
/// values twice, scalars or lists of one, letters in another case where case means nothing, and so
/// on.
pub(crate) fn reworded(document: &PolicyDocument, dice: &mut Dice) -> Value {
    let mut statements: Vec<Value> = document
        .statements
        .iter()
        .enumerate()
        .map(|(index, statement)| reworded_statement(index, statement, dice))
        .collect();
    dice.shuffle(&mut statements);
    let mut value = Map::new();
    match document.version {
        Some(Version::V2008) if dice.flip() => {}
        None if dice.flip() => {}
        version => {
            let version = version.unwrap_or(Version::V2008);
            value.insert("Version".to_owned(), json!(version.as_str()));
        }
    }
    if dice.flip() {
        value.insert("Id".to_owned(), json!("some-id"));
    }
    let single = statements.len() == 1 && dice.flip();
    let statements = if single {
        statements.swap_remove(0)
    } else {
        Value::Array(statements)
    };
    value.insert("Statement".to_owned(), statements);
    Value::Object(value)
}

fn reworded_statement(index: usize, statement: &Statement, dice: &mut Dice) -> Value {
    let mut value = Map::new();
    if dice.flip() {
        value.insert("Sid".to_owned(), json!(format!("S{index}")));
    }
    value.insert("Effect".to_owned(), json!(dice.recase(statement.effect.as_str())));
    if let Some(scope) = &statement.principal {
        let principal = match scope.value() {
            Principal::Everyone
                if statement.effect == Effect::Allow && matches!(scope, Scope::Only(_)) && dice.flip() =>
            {
                json!({"AWS": list(&["*".to_owned()], dice)})
            }
            Principal::Everyone => json!("*"),
            Principal::Of(principals) => principals
                .iter()
                .map(|(kind, values)| {
                    let values: Vec<_> = values
                        .iter()
                        .map(|value| reworded_principal(*kind, value, dice))
                        .collect();
                    (kind.as_str().to_owned(), list(&values, dice))
                })
                .collect(),
        };
        value.insert(scope.element("Principal", "NotPrincipal").to_owned(), principal);
    }
    let actions: Vec<_> = statement.action.value().iter().map(|a| dice.recase(a)).collect();
    value.insert(
        statement.action.element("Action", "NotAction").to_owned(),
        list(&actions, dice),
    );
    if let Some(scope) = &statement.resource {
        let element = scope.element("Resource", "NotResource").to_owned();
        value.insert(element, list(scope.value(), dice));
    }
    if !statement.condition.is_empty() || dice.flip() {
        let mut condition = Map::new();
        for (operator, keys) in &statement.condition {
            let keys: Map<_, _> = keys
                .iter()
                .map(|(key, values)| (dice.recase(key), typed_list(values, dice)))
                .collect();
            condition.insert(dice.recase(operator), Value::Object(keys));
        }
        value.insert("Condition".to_owned(), Value::Object(condition));
    }
    Value::Object(value)
}

fn reworded_principal(kind: PrincipalType, value: &str, dice: &mut Dice) -> String {
    match kind {
        PrincipalType::Aws if dice.flip() => {
            let partition = ["aws", "aws-cn"][dice.roll(2)];
            format!("arn:{partition}:iam::{value}:root")
        }
        _ => value.to_owned(),
    }
}

fn list(values: &[String], dice: &mut Dice) -> Value {
    if values.len() == 1 && dice.flip() {
        return json!(values[0]);
    }
    let mut values = values.to_vec();
    if dice.flip() {
        values.push(values[dice.roll(values.len())].clone());
    }
    dice.shuffle(&mut values);
    json!(values)
}

/// Numbers and booleans, some of them as such.
fn typed_list(values: &[String], dice: &mut Dice) -> Value {
    let typed = |value: Value, dice: &mut Dice| match value.as_str().map(serde_json::from_str) {
        Some(Ok(typed @ (Value::Bool(_) | Value::Number(_)))) if dice.flip() => typed,
        _ => value,
    };
    match list(values, dice) {
        Value::Array(values) => values.into_iter().map(|value| typed(value, dice)).collect(),
        scalar => typed(scalar, dice),
    }
}
