//! What the API server checks before it takes an object, from the CustomResourceDefinition that it would check it
//! by: the structural schema, unknown fields (as `kubectl`'s strict validation), and the CEL rules.
//!
//! The words are the API server's. It knows the keywords that our own definitions use, which a test holds it to.

use kube_cel::{CompiledSchema, Validator, compile_schema};
use regex::Regex;
use serde_json::{Map, Value};

use crate::api::{GROUP, VERSION, crd};

/// Fields of `metadata` (Kubernetes API reference, ObjectMeta).
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// Longest value that is repeated in a message, in characters.
const QUOTED: usize = 100;

/// One of the two CustomResourceDefinitions, ready to check objects.
pub struct Definition {
    schema: Value,
    rules: CompiledSchema,
    validator: Validator,
    namespaced: bool,
}

impl Definition {
    /// The definition of a kind, if it is one of ours.
    pub fn of(kind: &str) -> Option<Self> {
        let definition = crd::definitions()
            .into_iter()
            .find(|definition| definition.spec.names.kind == kind)?;
        let namespaced = definition.spec.scope == "Namespaced";
        let served = definition.spec.versions.into_iter().find(|v| v.name == VERSION)?;
        let schema = served.schema?.open_api_v3_schema?;
        let mut schema = serde_json::to_value(schema).ok()?;
        // A status is the operator's to write: the API server drops it from what users apply.
        schema["properties"].as_object_mut()?.remove("status");
        let rules = compile_schema(&schema);
        Some(Self {
            schema,
            rules,
            validator: Validator::new(),
            namespaced,
        })
    }

    /// Why the API server wouldn't take the object; empty where it would. `live` is the object as it stands, by
    /// which changes are judged.
    pub fn check(&self, object: &Value, live: Option<&Value>) -> Vec<String> {
        let mut wrong = Vec::new();
        self.check_frame(object, &mut wrong);
        if let Some(spec) = object.get("spec") {
            structure(&self.schema["properties"]["spec"], spec, "spec", &mut wrong);
        } else {
            wrong.push("spec: Required value".to_owned());
        }
        if !wrong.is_empty() {
            // As the API server: rules are for what has the right shape.
            return wrong;
        }
        if let Err(errors) = self.validator.validate_compiled(&self.rules, object, live) {
            wrong.extend(errors.into_vec().into_iter().map(|error| error.to_string()));
        }
        wrong
    }

    /// Everything but the spec.
    fn check_frame(&self, object: &Value, wrong: &mut Vec<String>) {
        let served = format!("{GROUP}/{VERSION}");
        if object["apiVersion"] != served.as_str() {
            wrong.push(format!(
                "apiVersion {} isn't served; write {served}",
                quoted(&object["apiVersion"])
            ));
        }
        for key in keys(object) {
            if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&key) {
                wrong.push(format!("unknown field {key:?}"));
            }
        }
        let metadata = &object["metadata"];
        for key in keys(metadata).filter(|key| !METADATA.contains(key)) {
            wrong.push(format!("unknown field \"metadata.{key}\""));
        }
        for map in ["labels", "annotations"] {
            let values = metadata.get(map).filter(|values| !values.is_null());
            let all_text = values.is_none_or(|values| {
                values
                    .as_object()
                    .is_some_and(|values| values.values().all(Value::is_string))
            });
            if !all_text {
                wrong.push(format!(
                    "metadata.{map}: every value must be text; put numbers, true and false in quotes"
                ));
            }
        }
        check_name(metadata, "name", "[-a-z0-9.]", 253, wrong);
        if self.namespaced && metadata.get("namespace").is_some() {
            check_name(metadata, "namespace", "[-a-z0-9]", 63, wrong);
        } else if !self.namespaced && metadata["namespace"].is_string() {
            wrong.push("metadata.namespace: this kind has no namespace; remove it".to_owned());
        }
    }

    /// Whether objects of this kind live in namespaces.
    pub fn is_namespaced(&self) -> bool {
        self.namespaced
    }
}

/// RFC 1123, as Kubernetes takes it.
fn check_name(metadata: &Value, field: &str, inner: &str, longest: usize, wrong: &mut Vec<String>) {
    let Some(name) = metadata.get(field).and_then(Value::as_str) else {
        let message = if metadata.get("generateName").is_some() {
            "write a name: with generateName nobody can say what the role will be called"
        } else {
            "Required value"
        };
        wrong.push(format!("metadata.{field}: {message}"));
        return;
    };
    let shape = Regex::new(&format!("^[a-z0-9]({inner}*[a-z0-9])?$"));
    let dots = name
        .split('.')
        .all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
    if name.len() > longest || !dots || !shape.is_ok_and(|shape| shape.is_match(name)) {
        wrong.push(format!(
            "metadata.{field}: Invalid value: {}: lower case letters, digits, '-'{} only, beginning and ending with a \
             letter or digit, at most {longest} characters",
            quoted(&metadata[field]),
            if inner.contains('.') { " and '.'" } else { "" }
        ));
    }
}

/// Checks a value by a structural schema.
fn structure(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let Some(expected) = schema["type"].as_str() else {
        return;
    };
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let found = type_of(value);
    let fits = match expected {
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
        expected => expected == found,
    };
    if !fits {
        wrong.push(format!(
            "{path}: Invalid value: {found:?}: {path} in body must be of type {expected}: {found:?}"
        ));
        return;
    }
    if let Some(allowed) = schema["enum"]
        .as_array()
        .filter(|allowed| !allowed.contains(value))
    {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        wrong.push(format!(
            "{path}: Unsupported value: {}: supported values: {}",
            quoted(value),
            allowed.join(", ")
        ));
    }
    match value {
        Value::String(text) => string(schema, text, path, wrong),
        Value::Number(number) => range(schema, number.as_f64().unwrap_or_default(), path, wrong),
        Value::Array(items) => array(schema, items, path, wrong),
        Value::Object(fields) => object(schema, fields, path, wrong),
        Value::Null | Value::Bool(_) => {}
    }
}

fn string(schema: &Value, text: &str, path: &str, wrong: &mut Vec<String>) {
    let length = text.chars().count() as u64;
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        wrong.push(format!("{path}: Too long: may not be more than {most} bytes"));
    }
    let value = Value::String(text.to_owned());
    if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
        wrong.push(format!(
            "{path}: Invalid value: {}: {path} in body should be at least {least} chars long",
            quoted(&value)
        ));
    }
    // A pattern that can't be read is one of our own, and lets nothing pass.
    if let Some(pattern) = schema["pattern"].as_str()
        && !Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
    {
        wrong.push(format!(
            "{path}: Invalid value: {}: {path} in body should match '{pattern}'",
            quoted(&value)
        ));
    }
}

fn range(schema: &Value, number: f64, path: &str, wrong: &mut Vec<String>) {
    let mut refuse = |bound: f64, how: &str| {
        wrong.push(format!(
            "{path}: Invalid value: {number}: {path} in body should be {how} than or equal to {bound}"
        ));
    };
    if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least) {
        refuse(least, "greater");
    }
    if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most) {
        refuse(most, "less");
    }
}

fn array(schema: &Value, items: &[Value], path: &str, wrong: &mut Vec<String>) {
    let count = items.len() as u64;
    if too_many(schema, "maxItems", count, path, wrong) {
        // What is far too long needn't be told item by item.
        return;
    }
    if let Some(least) = schema["minItems"].as_u64().filter(|least| count < *least) {
        wrong.push(format!(
            "{path}: Invalid value: {count}: {path} in body should have at least {least} items"
        ));
    }
    let keys: Vec<&str> = match &schema["x-kubernetes-list-map-keys"] {
        Value::Array(keys) => keys.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let identity = |item: &Value| match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => Some(item.clone()),
        Some("map") => {
            let fields = keys.iter().map(|key| ((*key).to_owned(), item[*key].clone()));
            Some(Value::Object(fields.collect()))
        }
        _ => None,
    };
    let mut seen: Vec<Value> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let path = format!("{path}[{i}]");
        structure(&schema["items"], item, &path, wrong);
        let Some(identity) = identity(item) else { continue };
        if seen.contains(&identity) {
            wrong.push(format!("{path}: Duplicate value: {}", quoted(&identity)));
        } else {
            seen.push(identity);
        }
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, path: &str, wrong: &mut Vec<String>) {
    if too_many(schema, "maxProperties", fields.len() as u64, path, wrong) {
        return;
    }
    for required in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !fields.contains_key(required) {
            wrong.push(format!("{path}.{required}: Required value"));
        }
    }
    let keeps_unknown = schema["x-kubernetes-preserve-unknown-fields"] == true;
    for (name, value) in fields {
        let path = format!("{path}.{name}");
        if let Some(known) = schema["properties"].get(name) {
            structure(known, value, &path, wrong);
        } else if schema["additionalProperties"].is_object() {
            structure(&schema["additionalProperties"], value, &path, wrong);
        } else if !keeps_unknown {
            wrong.push(format!("unknown field {path:?}"));
        }
    }
}

fn too_many(schema: &Value, keyword: &str, count: u64, path: &str, wrong: &mut Vec<String>) -> bool {
    let limit = schema[keyword].as_u64().filter(|most| count > *most);
    if let Some(most) = limit {
        wrong.push(format!(
            "{path}: Too many: {count}: must have at most {most} items"
        ));
    }
    limit.is_some()
}

fn keys(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys().map(String::as_str))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn quoted(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keywords of our definitions that are checked above, or that say nothing about what is taken.
    const KNOWN: [&str; 22] = [
        "additionalProperties",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "nullable",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-preserve-unknown-fields",
    ];

    fn keywords(schema: &Value, seen: &mut Vec<String>) {
        for (keyword, value) in schema.as_object().unwrap() {
            match keyword.as_str() {
                "properties" => value
                    .as_object()
                    .unwrap()
                    .values()
                    .for_each(|schema| keywords(schema, seen)),
                "items" | "additionalProperties" => keywords(value, seen),
                "x-kubernetes-validations" | "x-kubernetes-map-type" => continue,
                _ => {}
            }
            seen.push(keyword.clone());
        }
    }

    #[test]
    fn every_keyword_and_every_rule_of_our_definitions_is_understood() {
        for kind in ["MlServiceRole", "MlServiceRoleClass"] {
            let definition = Definition::of(kind).unwrap();
            let mut seen = Vec::new();
            keywords(&definition.schema, &mut seen);
            for keyword in seen {
                assert!(KNOWN.contains(&keyword.as_str()), "{keyword}");
            }
            assert_eq!(definition.rules.compilation_errors().len(), 0);
            assert!(!definition.rules.has_errors());
        }
    }

    #[test]
    fn every_pattern_of_our_definitions_can_be_read() {
        fn patterns(value: &Value) {
            if let Some(pattern) = value["pattern"].as_str() {
                Regex::new(pattern).unwrap();
            }
            match value {
                Value::Object(fields) => fields.values().for_each(patterns),
                Value::Array(items) => items.iter().for_each(patterns),
                _ => {}
            }
        }
        for kind in ["MlServiceRole", "MlServiceRoleClass"] {
            patterns(&Definition::of(kind).unwrap().schema);
        }
    }
}
