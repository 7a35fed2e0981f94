//! The documents name what the code has: every condition type, reason and setting, and none besides.
//! What they say about each is not checked here.

// clippy.toml allows it in test functions only, not in what test functions share.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The values of the string constants in `pub mod <module>` of condition.rs. Rust can't list a module's
/// constants, so its text is read.
fn constants(module: &str) -> BTreeSet<String> {
    let source = read("src/api/condition.rs");
    let body = source
        .split_once(&format!("pub mod {module} {{"))
        .and_then(|(_, rest)| rest.split_once("\n}"))
        .unwrap_or_else(|| panic!("condition.rs has no module {module}"))
        .0;
    let declared = body.matches("pub const ").count();
    let values: BTreeSet<_> = body
        .split("pub const ")
        .skip(1)
        .filter_map(|constant| constant.split('"').nth(1))
        .map(str::to_owned)
        .collect();
    assert!(declared > 0, "module {module} has no constants");
    assert_eq!(
        values.len(),
        declared,
        "each constant of {module} has a value of its own"
    );
    values
}

/// What stands in backticks in the first column of the tables under a heading of level two.
fn first_column(document: &str, heading: &str) -> Vec<String> {
    read(document)
        .split("\n## ")
        .find(|section| section.lines().next() == Some(heading))
        .unwrap_or_else(|| panic!("{document} has no section {heading:?}"))
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| row.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|e| panic!("failed to read {path}: {e}"))
}

fn assert_lists_exactly(documented: &[String], declared: &BTreeSet<String>) {
    let unique: BTreeSet<_> = documented.iter().cloned().collect();
    let missing: Vec<_> = declared.difference(&unique).collect();
    let invented: Vec<_> = unique.difference(declared).collect();
    assert!(
        missing.is_empty(),
        "condition.rs has, the document lacks: {missing:?}"
    );
    assert!(
        invented.is_empty(),
        "the document has, condition.rs lacks: {invented:?}"
    );
    assert_eq!(
        documented.len(),
        unique.len(),
        "something is listed twice: {documented:?}"
    );
}

#[test]
fn conditions_md_lists_exactly_the_types_of_condition_rs() {
    assert_lists_exactly(&first_column("docs/conditions.md", "Types"), &constants("types"));
}

#[test]
fn conditions_md_lists_exactly_the_reasons_of_condition_rs() {
    assert_lists_exactly(
        &first_column("docs/conditions.md", "Reasons"),
        &constants("reasons"),
    );
}

/// Reasons of Events that are literals where the Event is made, not constants of condition.rs.
#[test]
fn conditions_md_lists_exactly_the_events_that_have_reasons_of_their_own() {
    let mut own = BTreeSet::new();
    for directory in ["src/plan", "src/controller"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                let literals = source.split(" reason: \"").skip(1);
                own.extend(
                    literals
                        .filter_map(|rest| rest.split('"').next())
                        .map(str::to_owned),
                );
            }
        }
    }
    assert_lists_exactly(&first_column("docs/conditions.md", "Events of their own"), &own);
}

#[test]
fn the_readme_names_only_reasons_that_exist() {
    let reasons = constants("reasons");
    let named = first_column("README.md", "When something is wrong");
    assert!(!named.is_empty());
    for reason in named {
        assert!(reasons.contains(&reason), "{reason} isn't in condition.rs");
    }
}

#[test]
fn the_readme_lists_exactly_the_flags_and_variables_of_run() {
    let source = read("src/cli.rs");
    let variables: BTreeSet<_> = source
        .split("env = \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let flags: BTreeSet<_> = variables
        .iter()
        .map(|name| name.trim_start_matches("MLSERVICEROLE_"))
        .map(|name| format!("--{}", name.to_lowercase().replace('_', "-")))
        .collect();
    assert!(!variables.is_empty());
    assert_lists_exactly(&first_column("README.md", "Settings"), &flags);
    let readme = read("README.md");
    for variable in variables {
        assert!(
            readme.contains(&format!("`{variable}`")),
            "README.md lacks {variable}"
        );
    }
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    for document in [
        "README.md",
        "CHANGELOG.md",
        "docs/availability.md",
        "docs/classes.md",
        "docs/concepts.md",
        "docs/conditions.md",
        "docs/contributing.md",
        "docs/lifecycle.md",
        "docs/metrics.md",
        "docs/operator-permissions.md",
        "docs/plan.md",
        "docs/security.md",
        "docs/sweep.md",
        "docs/tracing.md",
        "docs/troubleshooting.md",
    ] {
        let directory = Path::new(document).parent().unwrap();
        for target in read(document)
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if target.starts_with("https://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let text = read(directory.join(file).to_str().unwrap());
            assert!(
                anchor.is_empty() || text.lines().any(|line| anchor_of(line) == anchor),
                "{document} links to {target}, which has no such heading"
            );
        }
    }
}

/// The anchor that GitHub gives a heading, for headings of words and punctuation.
fn anchor_of(line: &str) -> String {
    line.strip_prefix('#')
        .map(|heading| heading.trim_start_matches('#').trim())
        .unwrap_or_default()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

/// The rows of the tables of lifecycle.md, without the heads: each a list of its cells.
fn situations() -> Vec<Vec<String>> {
    let cells = |row: &str| {
        let inner = row.trim_start_matches("| ").trim_end_matches(" |");
        inner.split(" | ").map(str::to_owned).collect()
    };
    read("docs/lifecycle.md")
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| Situation |"))
        .map(cells)
        .collect()
}

fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Files of tests: those in `tests/`, and those in `src/` that hold any.
fn test_files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::from("tests"), PathBuf::from("src")];
    while let Some(path) = left.pop() {
        let absolute = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        if absolute.is_dir() {
            let entries = fs::read_dir(absolute).unwrap();
            left.extend(entries.map(|entry| path.join(entry.unwrap().file_name())));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(absolute).unwrap();
            found.push((path.with_extension("").display().to_string(), text));
        }
    }
    found
}

/// Whether `module::function` is a test: one with an attribute, or one that a list of trials names.
fn is_test(named: &str, files: &[(String, String)]) -> bool {
    let Some((module, function)) = named.rsplit_once("::") else {
        return false;
    };
    let path = format!("/{}", module.replace("::", "/"));
    files
        .iter()
        .filter(|(file, _)| file.ends_with(&path))
        .any(|(_, text)| {
            let declared = text.find(&format!("fn {function}("));
            declared.is_some_and(|at| {
                let before = text[..at].rsplit("\n\n").next().unwrap_or_default();
                let mut lists = text.split("trials![").skip(1);
                let listed = lists.any(|rest| {
                    let list = rest.split(']').next().unwrap_or_default();
                    list.split([',', '\n']).any(|name| name.trim() == function)
                });
                before.contains("#[test]") || before.contains("#[tokio::test") || listed
            })
        })
}

#[test]
fn every_situation_of_lifecycle_md_names_a_test_that_exists() {
    let (rows, files) = (situations(), test_files());
    assert!(!rows.is_empty());
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(in_backticks(&row[3]).next().is_some(), "no test: {row:?}");
        for test in in_backticks(&row[3]) {
            assert!(is_test(test, &files), "there is no test {test}: {row:?}");
        }
    }
    for nonsense in [
        "life::no_such_test",
        "life::strip",
        "no_such_file::strip",
        "strip",
    ] {
        assert!(!is_test(nonsense, &files), "{nonsense} is no test");
    }
}

#[test]
fn every_situation_of_lifecycle_md_says_what_people_see() {
    let mut words = constants("types");
    words.extend(constants("reasons"));
    words.extend(first_column("docs/conditions.md", "Events of their own"));
    for row in situations() {
        assert!(
            in_backticks(&row[2]).next().is_some() || row[2].starts_with("none: "),
            "nothing is said: {row:?}"
        );
        for word in in_backticks(&row[2]) {
            assert!(
                words.contains(word),
                "{word} is no condition, reason or Event: {row:?}"
            );
        }
    }
}

/// The rows under "Threats" in security.md: threat, what stops it, tests, what remains.
#[test]
fn every_threat_of_security_md_that_something_stops_names_a_test_that_exists() {
    let (text, files) = (read("docs/security.md"), test_files());
    let threats = text.split("\n## Threats\n").nth(1).unwrap();
    let threats = threats.split("\n## ").next().unwrap();
    let is_threat = |line: &&str| line.starts_with("| ") && !line.starts_with("| Threat |");
    let rows: Vec<&str> = threats.lines().filter(is_threat).collect();
    assert!(rows.len() > 20);
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        assert!(
            cells[2] != "none" || cells[1].starts_with("not the operator") && !cells[3].is_empty(),
            "neither a test nor what is left to others: {row}"
        );
        for test in in_backticks(cells[2]) {
            assert!(is_test(test, &files), "there is no test {test}: {row}");
        }
    }
}
