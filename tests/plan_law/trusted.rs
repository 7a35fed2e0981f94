//! Whom a trust policy lets in, read without the crate's own rules.

use std::collections::BTreeSet;

use serde_json::Value;

/// Each principal of each Allow statement with each combination of what its conditions ask for. What can't be read
/// is one subject of its own.
pub fn subjects(document: &str) -> BTreeSet<String> {
    let Ok(document) = serde_json::from_str::<Value>(document) else {
        return BTreeSet::from(["whoever an unreadable document lets in".to_owned()]);
    };
    let allows = list(&document["Statement"])
        .into_iter()
        .filter(|statement| statement["Effect"] == "Allow");
    allows.flat_map(|statement| of_statement(&statement)).collect()
}

fn of_statement(statement: &Value) -> BTreeSet<String> {
    let mut subjects = BTreeSet::new();
    match &statement["Principal"] {
        Value::Object(kinds) => {
            for (kind, principals) in kinds {
                subjects.extend(
                    texts(principals)
                        .iter()
                        .map(|principal| format!("{kind} {principal}")),
                );
            }
        }
        other => {
            subjects.insert(other.to_string());
        }
    }
    let conditions = statement["Condition"].as_object().into_iter().flatten();
    for (operator, keys) in conditions {
        for (key, values) in keys.as_object().into_iter().flatten() {
            subjects = subjects
                .iter()
                .flat_map(|subject| {
                    let values = texts(values).into_iter();
                    values.map(move |value| format!("{subject} {operator} {key} {value}"))
                })
                .collect();
        }
    }
    subjects
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(several) => several.clone(),
        one => vec![one.clone()],
    }
}

fn texts(value: &Value) -> Vec<String> {
    list(value).iter().map(Value::to_string).collect()
}
