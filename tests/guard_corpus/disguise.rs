//! Disguises: other ways to write the same attempt, or one that reaches at least as much where it matters. Each is made
//! from the plain spec by rule, so that every attempt of the corpus is made in all that fit it.

use serde_json::{Map, Value, json};

#[path = "disguise/statements.rs"]
mod statements;

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
            entry.entry("version").or_insert(json!(1));
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
    for (name, keeps_reason, means_the_same, rewrite) in statements::WAYS {
        if let Some(rewritten) = statements::rewrite(spec, rewrite) {
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

fn mixed(text: &str) -> String {
    let change = |(i, c): (usize, char)| match i % 2 {
        0 => c.to_ascii_uppercase(),
        _ => c.to_ascii_lowercase(),
    };
    text.chars().enumerate().map(change).collect()
}
