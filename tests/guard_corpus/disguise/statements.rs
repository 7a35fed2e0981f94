//! Other ways to write the statements of inline policies.

use serde_json::{Map, Value, json};

use super::mixed;

/// How a statement is written in another way; none where that can't be done or changes nothing.
pub(super) type Rewrite = fn(&Map<String, Value>) -> Option<Vec<Value>>;

/// By name, with what [`Disguised`] says.
pub(super) const WAYS: [(&str, bool, bool, Rewrite); 19] = [
    ("actions in lower case", true, true, |s| {
        actions(s, str::to_ascii_lowercase)
    }),
    ("actions in upper case", true, true, |s| {
        actions(s, str::to_ascii_uppercase)
    }),
    ("actions in mixed case", true, true, |s| actions(s, mixed)),
    ("? for the last letter of actions", true, false, |s| {
        actions(s, last_letter_open)
    }),
    ("* for the last letters of actions", true, false, |s| {
        actions(s, end_open)
    }),
    ("* inside actions", true, false, |s| actions(s, middle_open)),
    ("? and * together inside actions", true, false, |s| {
        actions(s, both_open)
    }),
    (
        "a list where one was written, or one where there was a list of one",
        true,
        true,
        list_or_one,
    ),
    ("a harmless action before it", true, false, harmless_before),
    ("each action in a statement of its own", true, true, split_actions),
    (
        "each resource in a statement of its own",
        true,
        true,
        split_resources,
    ),
    ("NotAction", false, false, not_action),
    ("NotResource", false, false, not_resource),
    ("a policy variable in the resource", true, false, variable),
    ("a condition that always holds", true, true, |s| {
        condition(s, "StringLike", "aws:PrincipalArn", "*")
    }),
    (
        "a condition that holds where its key is missing",
        true,
        true,
        |s| condition(s, "StringEqualsIfExists", "aws:PrincipalTag/none", "x"),
    ),
    ("a condition on all values of none", true, true, |s| {
        condition(s, "ForAllValues:StringEquals", "aws:TagKeys", "team")
    }),
    ("a Sid that sounds harmless", true, true, harmless_sid),
    ("a Deny of something else beside it", true, true, deny_beside),
];

pub(super) fn rewrite(spec: &Value, rewrite: Rewrite) -> Option<Value> {
    let mut spec = spec.clone();
    let mut changed = false;
    for policy in spec.get_mut("inlinePolicies")?.as_array_mut()? {
        let Some(statements) = policy.pointer_mut("/document/Statement") else {
            continue;
        };
        let old = match &*statements {
            Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        };
        let mut new = Vec::new();
        for statement in old {
            let rewritten = statement
                .as_object()
                .filter(|statement| statement.get("Effect") != Some(&json!("Deny")))
                .and_then(rewrite);
            changed |= rewritten.is_some();
            new.extend(rewritten.unwrap_or_else(|| vec![statement]));
        }
        // What stands beside a statement comes last and once, so that the others keep their numbers.
        let is_beside = |statement: &Value| statement.get("Sid") == Some(&json!("Beside"));
        new.sort_by_key(is_beside);
        new.dedup_by(|a, b| is_beside(a) && is_beside(b));
        for (index, statement) in new.iter_mut().enumerate() {
            if statement.get("Sid") == Some(&json!("ReadOnly")) {
                statement["Sid"] = json!(format!("ReadOnly{index}"));
            }
        }
        *statements = Value::Array(new);
    }
    changed.then_some(spec)
}

fn with(statement: &Map<String, Value>, element: &str, value: Value) -> Value {
    let mut statement = statement.clone();
    statement.insert(element.to_owned(), value);
    Value::Object(statement)
}

/// The element's values, if it has any and all are texts.
fn texts(statement: &Map<String, Value>, element: &str) -> Option<Vec<String>> {
    match statement.get(element)? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(list) if !list.is_empty() => {
            list.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        }
        _ => None,
    }
}

fn actions(statement: &Map<String, Value>, change: impl Fn(&str) -> String) -> Option<Vec<Value>> {
    let old = texts(statement, "Action")?;
    let new: Vec<String> = old.iter().map(|action| change(action)).collect();
    (old != new).then(|| vec![with(statement, "Action", json!(new))])
}

/// The action with its name, where that has no wildcard yet, changed.
fn opened(action: &str, change: impl Fn(&[char]) -> Option<String>) -> String {
    let Some((service, name)) = action
        .split_once(':')
        .filter(|(_, name)| !name.contains(['*', '?', '$', ':']))
    else {
        return action.to_owned();
    };
    let letters: Vec<char> = name.chars().collect();
    change(&letters).map_or_else(|| action.to_owned(), |name| format!("{service}:{name}"))
}

fn last_letter_open(action: &str) -> String {
    opened(action, |letters| {
        letters
            .split_last()
            .map(|(_, rest)| rest.iter().collect::<String>() + "?")
    })
}

fn end_open(action: &str) -> String {
    opened(action, |letters| {
        let kept = letters.len().checked_sub(2)?;
        Some(letters.iter().take(kept).collect::<String>() + "*")
    })
}

fn middle_open(action: &str) -> String {
    opened(action, |letters| {
        let last = letters.last()?;
        let half: String = letters.iter().take(letters.len() / 2).collect();
        (letters.len() > 2).then(|| format!("{half}*{last}"))
    })
}

fn both_open(action: &str) -> String {
    opened(action, |letters| {
        let half: String = letters.iter().skip(1).take(letters.len() / 2).collect();
        (letters.len() > 2).then(|| format!("?{half}*"))
    })
}

fn list_or_one(statement: &Map<String, Value>) -> Option<Vec<Value>> {
    let mut changed = statement.clone();
    for element in ["Action", "Resource", "NotAction", "NotResource"] {
        let other = match statement.get(element) {
            Some(Value::String(one)) => json!([one]),
            Some(Value::Array(list)) if list.len() == 1 && list[0].is_string() => list[0].clone(),
            _ => continue,
        };
        changed.insert(element.to_owned(), other);
    }
    Some(vec![Value::Object(changed)])
}

fn harmless_before(statement: &Map<String, Value>) -> Option<Vec<Value>> {
    let mut new = vec!["s3:GetObject".to_owned()];
    new.extend(texts(statement, "Action")?);
    Some(vec![with(statement, "Action", json!(new))])
}

fn split(statement: &Map<String, Value>, element: &str) -> Option<Vec<Value>> {
    let values = texts(statement, element).filter(|values| values.len() > 1)?;
    Some(
        values
            .iter()
            .map(|value| with(statement, element, json!(value)))
            .collect(),
    )
}

fn split_actions(statement: &Map<String, Value>) -> Option<Vec<Value>> {
    split(statement, "Action")
}

fn split_resources(statement: &Map<String, Value>) -> Option<Vec<Value>> {
    split(statement, "Resource")
}

/// Every action but one that nobody asks for.
fn not_action(statement: &Map<String, Value>) -> Option<Vec<Value>> {
    let mut statement = statement.clone();
    statement.remove("Action")?;
    Some(vec![with(
        &statement,
        "NotAction",
        json!("support:DescribeCases"),
    )])
}

fn not_resource(statement: &Map<String, Value>) -> Option<Vec<Value>> {
    let mut statement = statement.clone();
    statement.remove("Resource")?;
    Some(vec![with(
        &statement,
        "NotResource",
        json!("arn:aws:s3:::nobodys-bucket"),
    )])
}

/// A variable where a wildcard was: it can become anything that the principal or the request says.
fn variable(statement: &Map<String, Value>) -> Option<Vec<Value>> {
    let old = texts(statement, "Resource")?;
    let change = |resource: &String| match resource.strip_suffix('*') {
        Some("") => "arn:aws:iam::111122223333:${aws:PrincipalTag/what}".to_owned(),
        Some(start) => format!("{start}${{aws:PrincipalTag/what}}"),
        None => resource.clone(),
    };
    let new: Vec<String> = old.iter().map(change).collect();
    (old != new).then(|| vec![with(statement, "Resource", json!(new))])
}

fn condition(statement: &Map<String, Value>, operator: &str, key: &str, value: &str) -> Option<Vec<Value>> {
    let mut all = match statement.get("Condition") {
        None => Map::new(),
        Some(old) => old.as_object()?.clone(),
    };
    let there = all
        .keys()
        .find(|there| there.eq_ignore_ascii_case(operator))
        .cloned();
    let operator = there.unwrap_or_else(|| operator.to_owned());
    let keys = all.entry(operator).or_insert_with(|| json!({})).as_object_mut()?;
    keys.insert(key.to_owned(), json!(value));
    Some(vec![with(statement, "Condition", Value::Object(all))])
}

fn harmless_sid(statement: &Map<String, Value>) -> Option<Vec<Value>> {
    let is_free = !statement.contains_key("Sid");
    is_free.then(|| vec![with(statement, "Sid", json!("ReadOnly"))])
}

fn deny_beside(statement: &Map<String, Value>) -> Option<Vec<Value>> {
    let deny = json!({"Sid": "Beside", "Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"});
    Some(vec![Value::Object(statement.clone()), deny])
}
