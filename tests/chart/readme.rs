//! The README of the operator's chart, whose table of values is made of the comments in `values.yaml`.

use std::fmt::Write;

use serde_json::Value;

use super::values::{Entry, entries};
use super::{CRDS, OPERATOR, chart, checkout, is_generated, read};

const BEGIN: &str = "<!-- values: made of values.yaml by `make charts` -->";
const END: &str = "<!-- end of values -->";

#[test]
fn the_table_of_values_is_made_of_their_comments() {
    let path = chart(OPERATOR, "README.md");
    let readme = read(&path);
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let table = table(&entries(&read(&chart(OPERATOR, "values.yaml"))));
    is_generated(&path, &format!("{before}{BEGIN}\n\n{table}\n{END}{after}"));
}

/// `tests/chart/life` runs what README.md says of an install, and what the chart's README says of an upgrade.
#[test]
fn both_readmes_install_by_the_same_commands_and_definitions_come_first() {
    let of_the_chart = read(&chart(OPERATOR, "README.md"));
    let installs = commands(&of_the_chart, "install");
    assert_eq!(commands(&read(&checkout("README.md")), "install"), installs);
    for lines in [installs, commands(&of_the_chart, "upgrade")] {
        let names: Vec<_> = lines.iter().filter_map(|line| line.split(' ').nth(3)).collect();
        assert_eq!(names, [CRDS, OPERATOR], "{lines:?}");
    }
}

/// The lines `$ helm VERB …` of a chart of ours, each in one line with single spaces.
fn commands(document: &str, verb: &str) -> Vec<String> {
    document
        .replace("\\\n", " ")
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| line.starts_with(&format!("$ helm {verb} mlservicerole-operator")))
        .collect()
}

#[test]
fn every_value_says_what_it_is() {
    let all = entries(&read(&chart(OPERATOR, "values.yaml")));
    let silent: Vec<_> = all
        .iter()
        .filter(|entry| entry.about.is_empty() && !is_told_above(entry, &all))
        .map(|entry| &entry.path)
        .collect();
    assert!(silent.is_empty(), "no comment in values.yaml: {silent:?}");
}

/// Whether it belongs to a value that is told of as a whole, as a part of `resources` does.
fn is_told_above(entry: &Entry, all: &[Entry]) -> bool {
    all.iter()
        .any(|other| other.holds(entry) && !other.about.is_empty() && is_one_value(other, all))
}

fn is_one_value(entry: &Entry, all: &[Entry]) -> bool {
    !all.iter()
        .any(|other| entry.holds(other) && !other.about.is_empty())
}

fn table(all: &[Entry]) -> String {
    let mut text = "| Value | Default | |\n|---|---|---|\n".to_owned();
    for entry in all.iter().filter(|entry| !entry.about.is_empty()) {
        let (path, about) = (&entry.path, entry.about.replace('|', "\\|"));
        if is_one_value(entry, all) {
            let default = shown(&entry.default);
            writeln!(text, "| `{path}` | {default} | {about} |").unwrap();
        } else {
            writeln!(text, "| **`{path}`** | | {about} |").unwrap();
        }
    }
    text
}

fn shown(default: &Value) -> String {
    match default {
        Value::String(text) if text.is_empty() => String::new(),
        Value::String(text) => format!("`{text}`"),
        Value::Array(items) if items.len() > 3 => format!("{} of them", items.len()),
        other => format!("`{other}`"),
    }
}
