//! The schema of the values: it knows every value and nothing else, and a class in it is what the CRD says.

use serde_json::{Map, Value, json};

use super::values::entries;
use super::{CRDS, OPERATOR, chart, checkout, is_generated, read, yaml};

fn schema(of: &str) -> Value {
    serde_json::from_str(&read(&chart(of, "values.schema.json"))).unwrap()
}

#[test]
fn a_value_that_is_mistyped_or_misplaced_is_refused_wherever_it_stands() {
    for name in [OPERATOR, CRDS] {
        closed(&schema(name), name);
    }
}

fn closed(schema: &Value, at: &str) {
    if let Some(members) = schema.as_object() {
        // Free are only maps, whose values have a rule, and what the charts don't read.
        let is_free = at.ends_with("/properties/global")
            || members.get("additionalProperties").is_some_and(Value::is_object);
        if members.get("type") == Some(&json!("object")) && !is_free {
            assert_eq!(members.get("additionalProperties"), Some(&json!(false)), "{at}");
        }
        for (name, member) in members {
            closed(member, &format!("{at}/{name}"));
        }
    }
    for (n, item) in schema.as_array().into_iter().flatten().enumerate() {
        closed(item, &format!("{at}/{n}"));
    }
}

#[test]
fn every_value_has_its_rule_and_every_rule_its_value() {
    for name in [OPERATOR, CRDS] {
        let schema = schema(name);
        let values = yaml(&chart(name, "values.yaml"));
        for (path, rule) in rules(&schema, "") {
            if path != "global" {
                let value = path.split('.').try_fold(&values, |at, key| at.get(key));
                assert!(
                    value.is_some(),
                    "{name}: {path} has a rule, and isn't in values.yaml: {rule}"
                );
            }
        }
    }
    let known: Vec<String> = rules(&schema(OPERATOR), "")
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    for entry in entries(&read(&chart(OPERATOR, "values.yaml"))) {
        let told = |path: &str| {
            let mut rest = known.iter().filter_map(|rule| rule.strip_prefix(path));
            rest.any(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut path = entry.path.as_str();
        // Below a value whose members are free, such as labels, only the value has a rule.
        while !told(path) {
            path = path
                .rsplit_once('.')
                .unwrap_or_else(|| panic!("{}", entry.path))
                .0;
        }
    }
}

/// The paths of properties that are written out, and not by way of a definition.
fn rules(schema: &Value, at: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, rule) in schema["properties"].as_object().into_iter().flatten() {
        let path = if at.is_empty() {
            name.clone()
        } else {
            format!("{at}.{name}")
        };
        if rule["properties"].is_object() && name != "affinity" {
            found.extend(rules(rule, &path));
        } else {
            found.push((path.clone(), rule.clone()));
        }
    }
    found
}

#[test]
fn the_spec_of_an_extra_class_is_what_the_definition_says() {
    let text = read(&checkout("crds/mlservicerole.io.yaml"));
    let class = yaml_serde::Deserializer::from_str(&text)
        .map(|document| <Value as serde::Deserialize>::deserialize(document).unwrap())
        .find(|definition| definition["spec"]["names"]["kind"] == "MlServiceRoleClass")
        .unwrap();
    let spec = &class["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut schema = schema(OPERATOR);
    schema["$defs"]["classSpec"] = plain(spec);
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    is_generated(&chart(OPERATOR, "values.schema.json"), &text);
}

/// A structural schema as a JSON Schema that refuses what it doesn't know. The API server checks the rest: rules in CEL,
/// and lists whose entries have keys.
fn plain(structural: &Value) -> Value {
    let mut plain = Map::new();
    for (name, value) in structural.as_object().into_iter().flatten() {
        let kept = match name.as_str() {
            "properties" => value
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, property)| (name.clone(), self::plain(property)))
                .collect::<Map<_, _>>()
                .into(),
            "items" => self::plain(value),
            "additionalProperties" if value.is_object() => self::plain(value),
            "additionalProperties" | "default" | "description" | "format" | "nullable" => continue,
            name if name.starts_with("x-") => continue,
            _ => value.clone(),
        };
        plain.insert(name.clone(), kept);
    }
    if plain.get("type") == Some(&json!("object")) && !plain.contains_key("additionalProperties") {
        plain.insert("additionalProperties".to_owned(), json!(false));
    }
    Value::Object(plain)
}
