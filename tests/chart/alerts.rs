//! The alerts and the dashboard: that each alert has its runbook and its test, and that what both ask for exists, down to
//! labels and their values. What the expressions come to is tested by promtool, with `alerts.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{OPERATOR, chart, checkout, read, yaml};

fn alerts() -> Vec<Value> {
    let file = yaml(&chart(OPERATOR, "files/alerts.yaml"));
    let groups = file["groups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

fn names() -> BTreeSet<String> {
    alerts()
        .iter()
        .map(|alert| alert["alert"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_alert_has_a_section_in_the_runbooks_and_every_section_an_alert() {
    let text = read(&checkout("docs/runbooks.md"));
    let sections: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(str::to_owned)
        .collect();
    assert_eq!(sections, names());
    for section in text.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap();
        let parts = [
            "**What it means.**",
            "**First.**",
            "**Causes and remedies.**",
            "**Silence it**",
        ];
        for part in parts {
            assert!(section.contains(part), "{name} lacks {part}");
        }
        let commands = section
            .split("```console")
            .nth(1)
            .and_then(|rest| rest.split("```").next());
        let commands = commands.unwrap_or_default().lines();
        assert_eq!(
            commands.filter(|line| line.starts_with("$ ")).count(),
            3,
            "{name}: three first commands"
        );
    }
}

#[test]
fn every_alert_leads_to_its_runbook() {
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let url = format!("docs/runbooks.md#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook_url"], url, "{name}");
    }
}

#[test]
fn every_alert_is_seen_to_fire_and_not_to_fire() {
    let tests = yaml(&checkout("tests/chart/alerts.yaml"));
    let mut seen: BTreeMap<String, [bool; 2]> = BTreeMap::new();
    for test in tests["tests"].as_array().unwrap() {
        for case in test["alert_rule_test"].as_array().unwrap() {
            let name = case["alertname"].as_str().unwrap();
            let fires = !case["exp_alerts"].as_array().unwrap().is_empty();
            seen.entry(name.to_owned()).or_default()[usize::from(fires)] = true;
        }
    }
    let both: BTreeSet<_> = seen
        .into_iter()
        .filter(|(_, cases)| *cases == [true, true])
        .map(|(name, _)| name)
        .collect();
    assert_eq!(both, names());
}

/// Labels by which Prometheus itself tells targets apart.
const OF_THE_TARGET: [&str; 4] = ["job", "namespace", "pod", "le"];

/// The metrics and their labels with the values that are written out, from the table of docs/metrics.md.
fn metrics() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut found = BTreeMap::new();
    for row in read(&checkout("docs/metrics.md")).lines() {
        let Some((name, rest)) = row.strip_prefix("| `").and_then(|rest| rest.split_once('`')) else {
            continue;
        };
        let Some(labels) = rest.split(" | ").nth(2) else {
            continue;
        };
        let labels = labels
            .split("<br>")
            .filter_map(|label| label.strip_prefix('`')?.split_once("`: "));
        let labels = labels.map(|(label, values)| (label.to_owned(), quoted(values, '`')));
        found.insert(name.to_owned(), labels.collect());
    }
    assert!(found.len() > 10, "docs/metrics.md has another shape");
    found
}

fn quoted(text: &str, mark: char) -> BTreeSet<String> {
    text.split(mark).skip(1).step_by(2).map(str::to_owned).collect()
}

/// Each expression with where it stands.
fn expressions() -> Vec<(String, String)> {
    let mut found: Vec<_> = alerts()
        .iter()
        .map(|alert| (alert["alert"].to_string(), alert["expr"].to_string()))
        .collect();
    let dashboard: Value = serde_json::from_str(&read(&chart(OPERATOR, "files/dashboard.json"))).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            found.push((
                panel["title"].to_string(),
                target["expr"].as_str().unwrap().to_owned(),
            ));
        }
    }
    found
}

/// A label that a metric doesn't have matches nothing, and a value that it never has neither: the panel stays empty and the
/// alert silent.
#[test]
fn alerts_and_panels_select_by_labels_and_values_that_exist() {
    let metrics = metrics();
    for (place, expression) in expressions() {
        let expression = expression.replace("\\\"", "\"");
        for (at, _) in expression.match_indices("mlservicerole_") {
            let name: String = expression[at..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            let rest = &expression[at + name.len()..];
            let labels = &metrics[name.strip_suffix("_bucket").unwrap_or(&name)];
            let Some(selected) = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()) else {
                continue;
            };
            for matcher in selected.split(',') {
                let label = matcher.trim().split(['=', '!', '~']).next().unwrap_or_default();
                let known = labels.get(label);
                assert!(known.is_some(), "{place}: {name} has no label {label:?}");
                for value in quoted(matcher, '"').iter().flat_map(|value| value.split('|')) {
                    let known = known.unwrap();
                    assert!(
                        known.contains(value),
                        "{place}: {label} of {name} is never {value:?}: {known:?}"
                    );
                }
            }
        }
        for by in expression.split("by (").skip(1) {
            for label in by.split(')').next().unwrap_or_default().split(',') {
                let label = label.trim();
                let known = metrics.values().any(|labels| labels.contains_key(label));
                assert!(
                    known || OF_THE_TARGET.contains(&label),
                    "{place}: no metric has the label {label:?}"
                );
            }
        }
    }
}
