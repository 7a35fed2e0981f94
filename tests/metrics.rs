//! What is served is what `docs/metrics.md` says, in both directions: names, types, labels and meaning.
//! `UPDATE_DOCS=1` writes the table anew.

#![allow(clippy::unwrap_used)] // All of this is test code.

#[path = "support/openmetrics.rs"]
mod openmetrics;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mlservicerole_operator::api::condition::REASONS;
use mlservicerole_operator::metrics::catalogue::{ALL, Definition, Kind, PREFIX};
use mlservicerole_operator::metrics::{AccountPace, Metrics, Snapshot, Source, Sweep, Waiting};

const SECOND: Duration = Duration::from_secs(1);

struct Busy;

impl Source for Busy {
    fn look(&self) -> Snapshot {
        Snapshot {
            queues: vec![Waiting {
                urgency: "urgent",
                depth: 2,
                oldest: SECOND,
            }],
            roles: BTreeMap::from([(("a\"b\\c\nd".to_owned(), "ready"), 3)]),
            classes: BTreeMap::from([("standard".to_owned(), true)]),
            paces: vec![AccountPace {
                account: "111122223333".to_owned(),
                rates: BTreeMap::from([("GetRole", 4.5)]),
                waiting: BTreeMap::from([("GetRole", 7)]),
            }],
            sweeps: vec![Sweep {
                account: "111122223333".to_owned(),
                succeeded: Some(SystemTime::now()),
                took: SECOND,
                calls: 2,
                roles: 10,
                ours: 5,
                differing: 1,
                methods: [("AccountLists", true), ("EachRole", false)],
                orphans: 0,
            }],
            accounts: BTreeMap::from([("111122223333".to_owned(), SystemTime::now())]),
        }
    }
}

/// Metrics of which there is something to tell of each.
fn busy() -> (Metrics, Arc<dyn Source>) {
    let metrics = Metrics::default();
    metrics.reconciled("synced", "Synced", SECOND);
    metrics.requested("IAM", "GetRole", "ok", SECOND);
    metrics.drift_found("tags", 1);
    let source: Arc<dyn Source> = Arc::new(Busy);
    metrics.watch(Arc::downgrade(&source));
    (metrics, source)
}

fn served() -> Vec<openmetrics::Family> {
    let (metrics, _source) = busy();
    let text = metrics.open_metrics().unwrap();
    openmetrics::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")
}

fn row(of: &Definition) -> String {
    let labels: Vec<String> = of
        .labels
        .iter()
        .map(|(name, values)| format!("`{name}`: {values}"))
        .collect();
    let labels = match labels.is_empty() {
        true => "none".to_owned(),
        false => labels.join("<br>"),
    };
    let (name, kind, meaning) = (of.exported(), of.kind.as_str(), of.meaning);
    format!("| `{name}` | {kind} | {labels} | {meaning}. |")
}

#[test]
fn the_table_lists_exactly_what_there_is() {
    let text = std::fs::read_to_string(path()).unwrap();
    let is_row = |line: &&str| line.starts_with(&format!("| `{PREFIX}_"));
    let wanted: Vec<String> = ALL.iter().map(|definition| row(definition)).collect();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let (mut lines, mut written) = (Vec::new(), false);
        for line in text.lines() {
            if !is_row(&line) {
                lines.push(line.to_owned());
            }
            if line == "|---|---|---|---|" && !written {
                lines.extend(wanted.iter().cloned());
                written = true;
            }
        }
        std::fs::write(path(), lines.join("\n") + "\n").unwrap();
        return;
    }
    let found: Vec<&str> = text.lines().filter(is_row).collect();
    assert_eq!(
        found, wanted,
        "run `UPDATE_DOCS=1 cargo test --test metrics` and commit"
    );
}

#[test]
fn what_is_served_is_exactly_what_the_catalogue_has() {
    let described = |of: &&Definition| {
        let labels: BTreeSet<String> = of.labels.iter().map(|(name, _)| (*name).to_owned()).collect();
        let family = format!("{PREFIX}_{}", of.name);
        (
            family,
            of.kind.as_str().to_owned(),
            format!("{}.", of.meaning),
            labels,
        )
    };
    let wanted: BTreeSet<_> = ALL.iter().map(described).collect();
    let found: BTreeSet<_> = served()
        .into_iter()
        .map(|family| {
            let mut labels = BTreeSet::new();
            for sample in &family.samples {
                let own = sample.labels.keys().filter(|name| *name != "le");
                let own: BTreeSet<String> = own.cloned().collect();
                assert!(labels.is_empty() || labels == own, "{}", family.name);
                labels = own;
            }
            (family.name, family.kind, family.help, labels)
        })
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    let mut names = BTreeSet::new();
    for definition in ALL {
        let name = definition.exported();
        assert!(names.insert(name.clone()), "{name} twice");
        assert!(
            name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{name} isn't snake case"
        );
        assert_eq!(
            name.ends_with("_total"),
            definition.kind == Kind::Counter,
            "{name}: counters, and nothing else, end in _total"
        );
        let timed = ["duration", "age", "timestamp"];
        if timed.iter().any(|word| name.split('_').any(|part| part == *word)) {
            assert!(name.ends_with("_seconds"), "{name}: times are in seconds");
        }
        for (label, _) in definition.labels {
            assert!(
                !["namespace", "name", "object", "role", "uid"].contains(label),
                "{name}: tenants could choose values of {label}"
            );
        }
    }
}

#[test]
fn a_reason_that_nobody_knows_is_no_label() {
    let metrics = Metrics::default();
    for reason in REASONS.into_iter().chain(["team-a", ""]) {
        metrics.reconciled("failed", reason, SECOND);
    }
    let families = openmetrics::parse(&metrics.open_metrics().unwrap()).unwrap();
    let reconciles = families
        .iter()
        .find(|f| f.name == "mlservicerole_reconciles")
        .unwrap();
    let found: BTreeSet<&str> = reconciles
        .samples
        .iter()
        .map(|s| s.labels["reason"].as_str())
        .collect();
    assert_eq!(found, REASONS.into_iter().chain(["Other"]).collect());
    let other = [("outcome", "failed"), ("reason", "Other")];
    assert_eq!(
        openmetrics::sum(&families, "mlservicerole_reconciles_total", &other),
        2.0
    );
}

#[test]
fn nobody_can_write_a_line_of_their_own_by_a_name() {
    let roles = served()
        .into_iter()
        .find(|f| f.name == "mlservicerole_roles")
        .unwrap();
    assert_eq!(roles.samples.len(), 1);
    assert_eq!(roles.samples[0].labels["class"], "a\"b\\c\nd");
}

/// The text around the table, with its queries.
#[test]
fn the_document_names_only_what_there_is() {
    let text = std::fs::read_to_string(path()).unwrap();
    let names: BTreeSet<String> = ALL
        .iter()
        .flat_map(|definition| {
            let name = definition.exported();
            match definition.kind {
                Kind::Histogram => ["_bucket", "_sum", "_count", ""]
                    .map(|ending| format!("{name}{ending}"))
                    .to_vec(),
                _ => vec![name],
            }
        })
        .collect();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let unknown: BTreeSet<&str> = words
        .filter(|word| word.starts_with("mlservicerole_") && !names.contains(*word))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_older_format_has_the_same_series() {
    let (metrics, _source) = busy();
    let plain = metrics.plain().unwrap();
    for definition in ALL {
        assert!(plain.contains(&definition.exported()), "{}", definition.name);
    }
    assert!(!plain.contains("# EOF"));
}

#[test]
fn only_who_may_work_is_the_leader() {
    use mlservicerole_operator::gate::Gate;
    let gate = Arc::new(Gate::shut(Arc::new(|| SECOND)));
    let metrics = Metrics::new(Arc::clone(&gate));
    let leads = || {
        let families = openmetrics::parse(&metrics.open_metrics().unwrap()).unwrap();
        openmetrics::sum(&families, "mlservicerole_leader", &[])
    };
    assert_eq!(leads(), 0.0);
    gate.open(Duration::ZERO, 2 * SECOND);
    assert_eq!(leads(), 1.0);
    gate.shut_for_good();
    assert_eq!(leads(), 0.0);
}
