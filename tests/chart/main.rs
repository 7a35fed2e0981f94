//! The charts, as far as they can be judged without Helm: what they copy is the same, every value has its word in the
//! README and its rule in the schema. What Helm makes of them is checked by `tests/chart/check`.

#![allow(clippy::unwrap_used)] // All of this is test code.

mod alerts;
mod rbac;
mod readme;
mod schema;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

const OPERATOR: &str = "mlservicerole-operator";
const CRDS: &str = "mlservicerole-operator-crds";

/// Set, the files that are generated are written and not compared.
const WRITE: &str = "MLSERVICEROLE_WRITE_CHARTS";

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn chart(chart: &str, file: &str) -> PathBuf {
    checkout("deploy/charts").join(chart).join(file)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn yaml(path: &Path) -> Value {
    yaml_serde::from_str(&read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Compares a file with what it should be, or writes it.
fn is_generated(path: &Path, text: &str) {
    if std::env::var_os(WRITE).is_some() {
        fs::write(path, text).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == text,
        "{} is out of date: run `make charts` and commit",
        path.display()
    );
}

#[test]
fn the_definitions_in_the_chart_are_those_of_crds() {
    is_generated(
        &chart(CRDS, "files/crds.yaml"),
        &read(&checkout("crds/mlservicerole.io.yaml")),
    );
}

#[test]
fn the_charts_have_the_version_of_the_operator() {
    for name in [OPERATOR, CRDS] {
        let about = yaml(&chart(name, "Chart.yaml"));
        assert_eq!(about["version"], env!("CARGO_PKG_VERSION"), "{name}");
        assert_eq!(about["appVersion"], env!("CARGO_PKG_VERSION"), "{name}");
    }
}

/// Alerts and panels that ask for a metric which isn't there stay silent for ever.
#[test]
fn alerts_and_dashboard_ask_for_metrics_that_exist() {
    let document = read(&checkout("docs/metrics.md"));
    let known: Vec<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    for file in ["files/alerts.yaml", "files/dashboard.json"] {
        let text = read(&chart(OPERATOR, file));
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("mlservicerole_")) {
            let name = word.strip_suffix("_bucket").unwrap_or(word);
            assert!(
                known.contains(&name),
                "{file}: {word} isn't in docs/metrics.md: {known:?}"
            );
        }
    }
}

/// A line `metadata:` at the margin is where the chart puts in annotations and labels.
#[test]
fn every_definition_has_one_place_for_annotations_and_labels() {
    let text = read(&chart(CRDS, "files/crds.yaml"));
    let definitions = text
        .lines()
        .filter(|line| *line == "kind: CustomResourceDefinition")
        .count();
    assert_eq!(
        text.lines().filter(|line| *line == "metadata:").count(),
        definitions
    );
    assert!(!text.contains("\n  annotations:\n  "));
}
