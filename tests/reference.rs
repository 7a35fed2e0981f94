//! `docs/reference.md` is made of the CustomResourceDefinitions in `crds/`: every field with its type, its limits and
//! its meaning. `UPDATE_DOCS=1` writes it anew. What the fields do is tested elsewhere.

#![allow(clippy::unwrap_used)] // All of this is test code.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

const PAGE: &str = "docs/reference.md";
const INTRO: &str = "# Reference

<!-- Made of crds/ by UPDATE_DOCS=1 cargo test --test reference. -->

Every field of the two kinds, as the API server knows them: the same that `kubectl explain mlservicerole.spec` prints.
What the fields are for, and how they work together, is told in [concepts](concepts.md) and [classes](classes.md).

- A field may be left out unless it says *required*. Where a word such as `Keep` takes its place, its meaning says so
  after \"When absent\". `null` means the same as absent.
- A list without duplicates, or with one entry for each name, is merged entry by entry when several managers apply it
  (server-side apply). A list or object that is *applied as a whole* belongs to one manager.
- Patterns are regular expressions of RE2. Lengths are counted in characters.
- Rules are CEL expressions. A write that breaks one is refused by the API server with the message shown here; `oldSelf`
  in a rule is the object before the change, so that the rule speaks of changes only.
- Each field can be linked to: `reference.md#mlservicerole.spec.role.name`.

";

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn definitions() -> Vec<Value> {
    let text = fs::read_to_string(path("crds/mlservicerole.io.yaml")).unwrap();
    let documents = text.split("---\n").filter(|document| !document.is_empty());
    let mut all: Vec<Value> = documents
        .map(|document| yaml_serde::from_str(document).unwrap())
        .collect();
    // What tenants read comes first.
    all.sort_by_key(|definition| definition["spec"]["scope"] == "Cluster");
    all
}

fn word<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

/// In a cell of a table, outside and inside of backticks.
fn in_cell(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(at, part)| match at % 2 {
        0 => part
            .replace('<', "&lt;")
            .replace('|', "\\|")
            .replace('*', "\\*")
            .replace("\n\n", "<br>")
            .replace('\n', " "),
        _ => part.replace('|', "\\|"),
    });
    parts.collect::<Vec<_>>().join("`")
}

fn code(text: &str) -> String {
    // A pattern could hold a backtick; none does, and this one would not be readable.
    assert!(!text.contains('`'), "{text}");
    format!("`{}`", text.replace('|', "\\|"))
}

fn page() -> String {
    let mut out = INTRO.to_owned();
    for definition in definitions() {
        kind(&mut out, &definition);
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

fn kind(out: &mut String, definition: &Value) {
    let (spec, version) = (&definition["spec"], &definition["spec"]["versions"][0]);
    let schema = &version["schema"]["openAPIV3Schema"];
    let (names, group) = (&spec["names"], word(spec, "group"));
    let kind = word(names, "kind");
    let list = |key: &str| -> String {
        let all = names[key].as_array().unwrap().iter();
        all.map(|name| code(name.as_str().unwrap()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    writeln!(out, "## {kind}\n\n{}\n", word(schema, "description")).unwrap();
    let versioned = format!("{group}/{}", word(version, "name"));
    writeln!(out, "- `apiVersion: {versioned}`, `kind: {kind}`").unwrap();
    let scope = match word(spec, "scope") {
        "Namespaced" => "in a namespace",
        _ => "of the whole cluster",
    };
    writeln!(
        out,
        "- {scope}; for kubectl `{}`, {}; in the categories {}",
        word(names, "plural"),
        list("shortNames"),
        list("categories")
    )
    .unwrap();
    let columns = version["additionalPrinterColumns"].as_array().unwrap().iter();
    let columns: Vec<String> = columns
        .map(|column| {
            let wide = column["priority"].as_i64().unwrap_or(0) > 0;
            let wide = if wide { " (with `-o wide`)" } else { "" };
            format!(
                "{} {}{wide}",
                word(column, "name"),
                code(word(column, "jsonPath"))
            )
        })
        .collect();
    writeln!(out, "- columns of `kubectl get`: {}\n", columns.join(", ")).unwrap();
    for part in ["spec", "status"] {
        object(out, &format!("{kind}.{part}"), &schema["properties"][part]);
    }
}

/// A heading, the fields of one object, the rules on it, and the objects in it.
fn object(out: &mut String, name: &str, schema: &Value) {
    writeln!(out, "### {name}\n\n{}\n", word(schema, "description")).unwrap();
    if let Some(default) = schema.get("default") {
        writeln!(out, "Until something is written: `{default}`.\n").unwrap();
    }
    let required: BTreeSet<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut fields: Vec<(&String, &Value)> = schema["properties"].as_object().unwrap().iter().collect();
    fields.sort_by_key(|(field, _)| (!required.contains(field.as_str()), *field));
    writeln!(out, "| Field | Type and limits | Meaning |\n|---|---|---|").unwrap();
    for (field, schema) in &fields {
        let anchor = format!("{name}.{field}").replace("[]", "").to_lowercase();
        let mut limits = limits(schema);
        if required.contains(field.as_str()) {
            limits.insert(0, "*required*".to_owned());
        }
        limits.insert(0, type_of(name, field, schema));
        writeln!(
            out,
            "| <a id=\"{anchor}\"></a>`{field}` | {} | {} |",
            limits.join("<br>"),
            in_cell(word(schema, "description"))
        )
        .unwrap();
    }
    let mut rules: Vec<String> = rules(schema).collect();
    for (field, schema) in &fields {
        if schema.get("properties").is_none() {
            rules.extend(self::rules(schema).map(|rule| format!("`{field}`: {rule}")));
        }
    }
    if !rules.is_empty() {
        writeln!(out, "\nRules:\n").unwrap();
        for rule in rules {
            writeln!(out, "- {rule}").unwrap();
        }
    }
    writeln!(out).unwrap();
    for (field, schema) in fields {
        if let Some((inner, many)) = fields_within(schema) {
            let many = if many { "[]" } else { "" };
            object(out, &format!("{name}.{field}{many}"), inner);
        }
    }
}

fn rules(schema: &Value) -> impl Iterator<Item = String> {
    let all = schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten();
    all.map(|rule| {
        let (message, rule) = (word(rule, "message"), word(rule, "rule"));
        format!("{}<br>`{rule}`", message.replace('<', "&lt;"))
    })
}

/// The object with fields of its own that a field holds, and whether it holds several.
fn fields_within(schema: &Value) -> Option<(&Value, bool)> {
    let has_fields = |schema: &Value| schema.get("properties").is_some();
    match schema {
        one if has_fields(one) => Some((one, false)),
        list if has_fields(&list["items"]) => Some((&list["items"], true)),
        _ => None,
    }
}

fn type_of(name: &str, field: &str, schema: &Value) -> String {
    if let Some((_, many)) = fields_within(schema) {
        let section: String = format!("{name}{field}").to_lowercase();
        let section: String = section.chars().filter(char::is_ascii_alphanumeric).collect();
        let words = if many { "list of objects" } else { "object" };
        return format!("[{words}](#{section})");
    }
    simple_type(schema)
}

fn simple_type(schema: &Value) -> String {
    match word(schema, "type") {
        "array" => format!("list of {}", plural(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map of names to {}", plural(&schema["additionalProperties"]))
        }
        "object" if schema["x-kubernetes-preserve-unknown-fields"] == true => "any object".to_owned(),
        "object" => "empty object, `{}`".to_owned(),
        "string" if word(schema, "format") == "date-time" => "time (RFC 3339)".to_owned(),
        simple => simple.to_owned(),
    }
}

fn plural(schema: &Value) -> String {
    match simple_type(schema) {
        list if list.starts_with("list of ") => list.replacen("list", "lists", 1),
        map if map.starts_with("map of ") => map.replacen("map", "maps", 1),
        simple => simple + "s",
    }
}

fn limits(schema: &Value) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|value| code(value.as_str().unwrap())).collect();
        all.push(values.join(", "));
    }
    let number = |key: &str| schema[key].as_f64();
    let range = |least: &str, most: &str, of: &str| match (number(least), number(most)) {
        (Some(least), Some(most)) if least == most => Some(format!("{least}{of}")),
        (Some(least), Some(most)) => Some(format!("{least} to {most}{of}")),
        (None, Some(most)) => Some(format!("up to {most}{of}")),
        (Some(least), None) => Some(format!("at least {least}{of}")),
        (None, None) => None,
    };
    all.extend(range("minimum", "maximum", ""));
    all.extend(range("minLength", "maxLength", " characters"));
    all.extend(range("minItems", "maxItems", " entries"));
    all.extend(range("minProperties", "maxProperties", " entries"));
    all.extend(schema["pattern"].as_str().map(code));
    all.extend(match word(schema, "x-kubernetes-list-type") {
        "set" => Some("no duplicates".to_owned()),
        "map" => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array().unwrap().iter();
            let keys: Vec<String> = keys.map(|key| code(key.as_str().unwrap())).collect();
            Some(format!("one entry for each {}", keys.join(" and ")))
        }
        "atomic" => Some("applied as a whole".to_owned()),
        _ => None,
    });
    if word(schema, "x-kubernetes-map-type") == "atomic" {
        all.push("applied as a whole".to_owned());
    }
    if fields_within(schema).is_none() {
        let inner = [&schema["items"], &schema["additionalProperties"]];
        let inner = inner
            .into_iter()
            .filter(|inner| inner.is_object())
            .flat_map(limits);
        all.extend(inner.map(|limit| match limit.strip_prefix("each: ") {
            Some(deeper) => format!("each of theirs: {deeper}"),
            None => format!("each: {limit}"),
        }));
    }
    all
}

#[test]
fn the_page_shows_the_fields_as_they_are() {
    let made = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path(PAGE), made).unwrap();
        return;
    }
    assert!(
        fs::read_to_string(path(PAGE)).is_ok_and(|kept| kept == made),
        "{PAGE} is not up to date; run UPDATE_DOCS=1 cargo test --test reference"
    );
}

/// Every object of a schema, with its path.
fn walk(name: &str, schema: &Value, see: &mut impl FnMut(&str, &Value)) {
    see(name, schema);
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{name}.{field}"), schema, see);
    }
    for key in ["items", "additionalProperties"] {
        if schema[key].is_object() {
            walk(&format!("{name}[]"), &schema[key], see);
        }
    }
}

fn walk_all(see: &mut impl FnMut(&str, &Value)) {
    for definition in definitions() {
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let kind = word(&definition["spec"]["names"], "kind");
        for part in ["spec", "status"] {
            walk(&format!("{kind}.{part}"), &schema["properties"][part], see);
        }
    }
}

#[test]
fn every_field_says_what_it_means_and_every_rule_what_it_refuses() {
    let mut silent = BTreeSet::new();
    let mut rules = 0;
    walk_all(&mut |name, schema| {
        if !name.ends_with("[]") && word(schema, "description").is_empty() {
            silent.insert(name.to_owned());
        }
        for rule in schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            rules += 1;
            if word(rule, "message").is_empty() {
                silent.insert(format!("a rule of {name}"));
            }
        }
    });
    assert!(silent.is_empty(), "{silent:?}");
    assert!(rules > 0);
}

#[test]
fn a_field_of_few_words_says_what_each_means_and_which_is_meant_when_absent() {
    let mut found = 0;
    walk_all(&mut |name, schema| {
        for value in schema["enum"].as_array().into_iter().flatten() {
            found += 1;
            let meaning = format!("`{}`: ", value.as_str().unwrap());
            let description = word(schema, "description").replace('\n', " ");
            assert!(description.contains(&meaning), "{name}: {meaning}");
            assert!(description.contains("When absent: `"), "{name}");
        }
    });
    assert!(found > 0);
}

#[test]
fn every_field_of_the_crds_is_on_the_page_once() {
    let made = page();
    let mut fields = 0;
    walk_all(&mut |name, _| {
        if name.matches('.').count() > 1 && !name.ends_with("[]") {
            let anchor = format!("<a id=\"{}\"></a>", name.replace("[]", "").to_lowercase());
            assert_eq!(made.matches(&anchor).count(), 1, "{name}");
            fields += 1;
        }
    });
    assert!(fields > 50, "{fields}");
}
