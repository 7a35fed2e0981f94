//! Disguises: other ways to write the same attempt, or one that reaches at least as much where it matters. Each is made
//! from the plain spec by rule, so that every attempt of the corpus is made in all that fit it.

use serde_json::{Map, Value, json};

/// An attempt, written in another way.
pub struct Disguised {
    pub name: &'static str,
    pub spec: Value,
    /// Whether it must be refused for the reason of the plain attempt.
    pub keeps_reason: bool,
    /// Whether AWS takes it as it takes the plain one, so that what was allowed stays allowed.
    pub means_the_same: bool,
    /// Whether it writes in another way what is refused, and doesn't only put something beside it.
    pub rewrites: bool,
}

/// How a statement is written in another way; none where that can't be done or changes nothing.
type Rewrite = fn(&Map<String, Value>) -> Option<Vec<Value>>;

/// By name, with what [`Disguised`] says.
const OF_STATEMENTS: [(&str, bool, bool, Rewrite); 19] = [
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

/// How something is changed that isn't a statement of a policy: in place, where it is there.
type Change = fn(&mut Map<String, Value>);

/// By name, with whether it must be refused for the reason of the plain attempt. AWS or the operator may take any of these
/// for something else than the plain one.
const OF_THE_REST: [(&str, bool, Change); 25] = [
    ("ARNs in upper case", false, |spec| {
        texts_of(spec, &["managedPolicyArns"], str::to_ascii_uppercase)
    }),
    ("ARNs with a blank behind", false, |spec| {
        texts_of(spec, &["managedPolicyArns"], |arn| format!("{arn} "))
    }),
    ("ARNs with two slashes", false, |spec| {
        texts_of(spec, &["managedPolicyArns"], |arn| {
            arn.replace("policy/", "policy//")
        })
    }),
    ("presets' names with capitals", false, |spec| {
        of_presets(spec, |entry| change_text(entry, "preset", mixed))
    }),
    ("the presets' first version", false, |spec| {
        of_presets(spec, |entry| {
            entry.insert("version".to_owned(), json!(1));
        })
    }),
    ("presets twice", true, |spec| {
        if let Some(Value::Array(entries)) = spec.get_mut("access") {
            entries.extend(entries.clone());
        }
    }),
    ("presets' values each twice", false, |spec| {
        of_values(spec, |values| values.extend(values.clone()));
    }),
    ("presets' values in upper case", false, |spec| {
        of_values(spec, |values| each_text(values, str::to_ascii_uppercase));
    }),
    ("presets' values with a slash behind", false, |spec| {
        of_values(spec, |values| each_text(values, |value| format!("{value}/")));
    }),
    ("presets' values behind one that is fine", false, |spec| {
        of_values(spec, |values| values.insert(0, json!("team-a")));
    }),
    ("the role's name in mixed case", false, |spec| {
        of_role(spec, |role| change_text(role, "name", mixed))
    }),
    ("the role's name in upper case", false, |spec| {
        of_role(spec, |role| change_text(role, "name", str::to_ascii_uppercase));
    }),
    ("the role's name with a dot behind", false, |spec| {
        of_role(spec, |role| change_text(role, "name", |name| format!("{name}.")));
    }),
    ("the other way to adopt", true, |spec| {
        change_text(spec, "adoptionPolicy", |policy| match policy {
            "Adopt" => "AdoptAndReplaceTrust".to_owned(),
            _ => "Adopt".to_owned(),
        });
    }),
    ("services in upper case", false, |spec| {
        of_role(spec, |role| {
            texts_of(role, &["trustedServices"], str::to_ascii_uppercase)
        });
    }),
    ("services by the name of a region", false, |spec| {
        of_role(spec, |role| {
            texts_of(role, &["trustedServices"], |service| {
                service.replace(".amazonaws.com", ".eu-west-1.amazonaws.com")
            });
        });
    }),
    ("services of another partition", false, |spec| {
        of_role(spec, |role| {
            texts_of(role, &["trustedServices"], |service| {
                service.replace(".com", ".com.cn")
            });
        });
    }),
    ("tag keys in mixed case", false, |spec| of_tags(spec, mixed)),
    ("tag keys with a blank behind", false, |spec| {
        of_tags(spec, |key| format!("{key} "))
    }),
    ("tags without a value", false, |spec| {
        of_role(spec, |role| {
            if let Some(Value::Object(tags)) = role.get_mut("tags") {
                tags.values_mut().for_each(|value| *value = json!(""));
            }
        });
    }),
    ("a second longer", false, |spec| {
        of_role(spec, |role| longer(role, |seconds| seconds + 1))
    }),
    ("twice as long", false, |spec| {
        of_role(spec, |role| longer(role, |seconds| seconds * 2))
    }),
    ("a ServiceAccount that is there already", true, |spec| {
        of_service_accounts(spec, "creationPolicy", "Never");
    }),
    ("a ServiceAccount with another role's annotation", true, |spec| {
        of_service_accounts(spec, "conflictPolicy", "Replace");
    }),
    ("left behind afterwards", false, |spec| {
        if spec.contains_key("adoptionPolicy") {
            spec.insert("deletionPolicy".to_owned(), json!("Retain"));
        }
    }),
];

/// All that fit the spec. `fine` is a spec that the class allows.
pub fn all(spec: &Value, fine: &Value) -> Vec<Disguised> {
    let mut found: Vec<Disguised> = Vec::new();
    let mut add = |name, keeps_reason, means_the_same, rewrites, disguised: Value| {
        if disguised != *spec {
            found.push(Disguised {
                name,
                spec: disguised,
                keeps_reason,
                means_the_same,
                rewrites,
            });
        }
    };
    add(
        "beside what the class allows",
        true,
        true,
        false,
        beside(fine, spec),
    );
    add(
        "behind what the class allows",
        true,
        true,
        false,
        beside(spec, fine),
    );
    let mut observed = spec.clone();
    observed["mode"] = json!("Observe");
    add("only to look at", true, true, false, observed);
    let mut described = spec.clone();
    described["role"]["description"] = json!("approved by the platform team");
    add(
        "with a description that sounds harmless",
        true,
        true,
        false,
        described,
    );
    for (name, keeps_reason, change) in OF_THE_REST {
        let mut changed = spec.clone();
        if let Some(fields) = changed.as_object_mut() {
            change(fields);
        }
        add(name, keeps_reason, false, true, changed);
    }
    for (name, keeps_reason, means_the_same, rewrite) in OF_STATEMENTS {
        if let Some(rewritten) = rewrite_statements(spec, rewrite) {
            add(name, keeps_reason, means_the_same, true, rewritten);
        }
    }
    found
}

fn change_text(fields: &mut Map<String, Value>, field: &str, change: impl Fn(&str) -> String) {
    if let Some(Value::String(text)) = fields.get_mut(field) {
        *text = change(text);
    }
}

fn each_text(values: &mut [Value], change: impl Fn(&str) -> String) {
    for value in values {
        if let Value::String(text) = value {
            *text = change(text);
        }
    }
}

fn texts_of(fields: &mut Map<String, Value>, lists: &[&str], change: impl Fn(&str) -> String) {
    for list in lists {
        if let Some(Value::Array(values)) = fields.get_mut(*list) {
            each_text(values, &change);
        }
    }
}

fn of_role(spec: &mut Map<String, Value>, change: impl Fn(&mut Map<String, Value>)) {
    if let Some(Value::Object(role)) = spec.get_mut("role") {
        change(role);
    }
}

fn of_tags(spec: &mut Map<String, Value>, change: impl Fn(&str) -> String) {
    of_role(spec, |role| {
        if let Some(Value::Object(tags)) = role.get_mut("tags") {
            *tags = tags
                .iter()
                .map(|(key, value)| (change(key), value.clone()))
                .collect();
        }
    });
}

fn longer(role: &mut Map<String, Value>, change: impl Fn(u64) -> u64) {
    let field = "maxSessionDurationSeconds";
    if let Some(seconds) = role.get(field).and_then(Value::as_u64) {
        role.insert(field.to_owned(), json!(change(seconds)));
    }
}

fn of_presets(spec: &mut Map<String, Value>, change: impl Fn(&mut Map<String, Value>)) {
    if let Some(Value::Array(entries)) = spec.get_mut("access") {
        entries
            .iter_mut()
            .filter_map(Value::as_object_mut)
            .for_each(change);
    }
}

fn of_values(spec: &mut Map<String, Value>, change: impl Fn(&mut Vec<Value>)) {
    of_presets(spec, |entry| {
        if let Some(Value::Object(with)) = entry.get_mut("with") {
            with.values_mut()
                .filter_map(Value::as_array_mut)
                .for_each(&change);
        }
    });
}

fn of_service_accounts(spec: &mut Map<String, Value>, field: &str, value: &str) {
    if let Some(Value::Array(accounts)) = spec.get_mut("serviceAccounts") {
        for account in accounts.iter_mut().filter_map(Value::as_object_mut) {
            account.insert(field.to_owned(), json!(value));
        }
    }
}

/// Both specs in one: lists one after the other, and of anything else the second's. Inline policies of one name
/// aren't possible, and the corpus has none.
fn beside(first: &Value, second: &Value) -> Value {
    match (first, second) {
        (Value::Object(first), Value::Object(second)) => {
            let mut both = first.clone();
            for (key, value) in second {
                let value = first
                    .get(key)
                    .map_or_else(|| value.clone(), |own| beside(own, value));
                both.insert(key.clone(), value);
            }
            Value::Object(both)
        }
        (Value::Array(first), Value::Array(second)) => {
            let mut both = first.clone();
            both.extend(second.iter().filter(|item| !first.contains(item)).cloned());
            Value::Array(both)
        }
        _ => second.clone(),
    }
}

fn rewrite_statements(spec: &Value, rewrite: Rewrite) -> Option<Value> {
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

fn mixed(text: &str) -> String {
    let change = |(i, c): (usize, char)| match i % 2 {
        0 => c.to_ascii_uppercase(),
        _ => c.to_ascii_lowercase(),
    };
    text.chars().enumerate().map(change).collect()
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
