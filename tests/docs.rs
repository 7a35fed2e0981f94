//! The documents name what the code has: every condition type, reason, Event and setting, and none besides. The tables of
//! docs/conditions.md are made of the code; `UPDATE_DOCS=1` writes them anew. Links are looked at in links.rs.

// clippy.toml allows it in test functions only, not in what test functions share.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mlservicerole_operator::api::condition::{REASONS, events, reasons, types};

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
        "the code has, the document lacks: {missing:?}"
    );
    assert!(
        invented.is_empty(),
        "the document has, the code lacks: {invented:?}"
    );
    assert_eq!(
        documented.len(),
        unique.len(),
        "something is listed twice: {documented:?}"
    );
}

/// The tables of docs/conditions.md, by the name between their marks.
fn tables() -> [(&'static str, String); 3] {
    let row = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let mut all = row(&["Type", "On", "Means when `True`"]) + "|---|---|---|\n";
    for one in types::ALL {
        all += &row(&[&in_code(one.name), one.on, one.meaning]);
    }
    let mut of_reasons = String::new();
    for group in reasons::Group::ALL {
        of_reasons += &format!("### {}\n\n", group.title());
        if let Some(note) = group.note() {
            of_reasons += &format!("{note}\n\n");
        }
        of_reasons += &(row(&["Reason", "Meaning", "What to do"]) + "|---|---|---|\n");
        for reason in reasons::ALL.iter().filter(|reason| reason.group == group) {
            let more = reason.page.map(|page| {
                let title = page.split(".md").next().unwrap_or_default();
                format!(" See [{title}]({page}).")
            });
            let remedy = format!("{}{}", reason.remedy, more.unwrap_or_default());
            of_reasons += &row(&[&in_code(reason.name), reason.meaning, &remedy]);
        }
        of_reasons += "\n";
    }
    let mut of_events = row(&["Event", "Meaning"]) + "|---|---|\n";
    for event in events::ALL {
        of_events += &row(&[&in_code(event.name), event.meaning]);
    }
    let of_reasons = of_reasons.trim_end().to_owned() + "\n";
    [("types", all), ("reasons", of_reasons), ("events", of_events)]
}

fn in_code(name: &str) -> String {
    format!("`{name}`")
}

#[test]
fn the_tables_of_conditions_md_are_made_of_the_code() {
    let document = "docs/conditions.md";
    let before = read(document);
    let mut after = before.clone();
    for (name, table) in tables() {
        let start = format!(
            "<!-- {name}: made of src/api/condition/{name}.rs by UPDATE_DOCS=1 cargo test --test docs -->\n"
        );
        let end = format!("<!-- end of {name} -->");
        let whole = after
            .split_once(&start)
            .and_then(|(head, rest)| rest.split_once(&end).map(|(_, tail)| (head, tail)))
            .map(|(head, tail)| format!("{head}{start}\n{table}\n{end}{tail}"));
        after = whole.unwrap_or_else(|| panic!("{document} has no {start} before an {end}"));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(document), after).unwrap();
        return;
    }
    assert!(
        before == after,
        "{document} is not up to date; run UPDATE_DOCS=1 cargo test --test docs"
    );
}

/// Else it would be in no table.
#[test]
fn no_event_has_a_reason_that_is_written_where_the_event_is_made() {
    for directory in ["src/plan", "src/controller"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                assert!(!source.contains(" reason: \""), "{}", path.display());
            }
        }
    }
}

#[test]
fn the_readme_names_only_reasons_that_exist() {
    let named = first_column("README.md", "When something is wrong");
    assert!(!named.is_empty());
    for reason in named {
        assert!(reasons::find(&reason).is_some(), "{reason} is no reason");
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
    let mut words = BTreeSet::from(REASONS);
    words.extend(types::ALL.iter().map(|one| one.name));
    words.extend(events::ALL.iter().map(|event| event.name));
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
        let tests: Vec<&str> = in_backticks(cells[2]).collect();
        assert!(
            !tests.is_empty() || cells[2] == "none",
            "no name of a test: {row}"
        );
        for test in tests {
            let is_script = test.starts_with("tests/") && Path::new(test).is_file();
            assert!(
                is_script || is_test(test, &files),
                "there is no test {test}: {row}"
            );
        }
    }
}

#[test]
fn the_comparison_of_charts_names_every_value_of_the_chart() {
    let values = read("deploy/charts/mlservicerole-operator/values.yaml");
    let keys: Vec<&str> = values
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()))
        .filter_map(|line| line.split_once(':'))
        .map(|(key, _)| key)
        .collect();
    assert!(keys.len() > 20, "{keys:?}");
    // The second column is the chart's own; what it has in backticks is a value, whole or in part.
    let document = read("docs/chart-comparison.md");
    let named: BTreeSet<&str> = document
        .lines()
        .filter_map(|row| row.strip_prefix("| ")?.split(" | ").nth(1))
        .flat_map(in_backticks)
        .filter_map(|value| value.split('.').next())
        .collect();
    let missing: Vec<_> = keys.into_iter().filter(|key| !named.contains(key)).collect();
    assert!(missing.is_empty(), "docs/chart-comparison.md lacks {missing:?}");
}
