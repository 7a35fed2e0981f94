//! The policies of the sample classes are committed, so that a change of what the operator needs is seen in a review.
//! `UPDATE_IAM=1 cargo test --test iam_policy` writes them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mlservicerole_operator::iam::document::{Kind, PolicyDocument, check};
use mlservicerole_operator::iam::quota;
use serde_json::Value;

use crate::command::iam_policy;

const DIRECTORY: &str = "deploy/samples/iam";
const OPERATOR: &str = "arn:aws:iam::111122223333:role/mlservicerole-operator";
const ISSUER: &str = "https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE";

/// File, sample class, further arguments.
const SAMPLES: [(&str, &str, &[&str]); 11] = [
    ("default", "deploy/kubectl/20-class.yaml", &[]),
    (
        "default-boundary",
        "deploy/kubectl/20-class.yaml",
        &["--boundary"],
    ),
    ("default-rcp", "deploy/kubectl/20-class.yaml", &["--rcp"]),
    ("default-scp", "deploy/kubectl/20-class.yaml", &["--scp"]),
    ("full-access", "deploy/samples/full-access.yaml", &[]),
    ("inline-policy", "deploy/samples/inline-policy.yaml", &[]),
    (
        "inline-policy-boundary",
        "deploy/samples/inline-policy.yaml",
        &["--boundary"],
    ),
    ("many-teams", "deploy/samples/many-teams.yaml", &[]),
    ("other-account", "deploy/samples/other-account.yaml", &[]),
    ("presets", "deploy/samples/presets.yaml", &[]),
    ("two-clusters", "deploy/samples/two-clusters.yaml", &[]),
];

fn printed(class: &str, more: &[&str]) -> Value {
    let issuer = match class.contains("two-clusters") {
        true => "https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLEBLUE",
        false => ISSUER,
    };
    let mut arguments = vec!["--class", class, "--cluster-name", "prod"];
    arguments.extend(["--operator-role-arn", OPERATOR, "--issuer", issuer]);
    arguments.extend(more);
    let outcome = iam_policy(&arguments, "");
    assert_eq!(outcome.code, 0, "{class}: {outcome:#?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn file(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join(DIRECTORY).join(format!("{name}.json"))
}

/// The documents of an output, by name where it has several.
fn documents(printed: &Value) -> BTreeMap<String, Value> {
    match printed.get("Statement") {
        Some(_) => BTreeMap::from([("the policy".to_owned(), printed.clone())]),
        None => serde_json::from_value(printed.clone()).unwrap(),
    }
}

#[test]
fn the_policies_of_every_sample_are_the_committed_ones() {
    let update = std::env::var_os("UPDATE_IAM").is_some();
    for (name, class, more) in SAMPLES {
        let pretty = serde_json::to_string_pretty(&printed(class, more)).unwrap() + "\n";
        let file = file(name);
        if update {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &pretty).unwrap();
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            pretty,
            committed,
            "{}: run `UPDATE_IAM=1 cargo test --test iam_policy` and commit",
            file.display()
        );
    }
}

#[test]
fn no_policy_is_left_of_a_sample_that_is_gone() {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(DIRECTORY)).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut found: Vec<String> = entries.map(|entry| stem(entry.unwrap().path())).collect();
    found.sort();
    assert_eq!(found, SAMPLES.map(|(name, ..)| name));
}

#[test]
fn each_document_of_the_samples_is_within_its_limit_and_one_that_iam_takes() {
    for (name, class, more) in SAMPLES {
        for (document, text) in documents(&printed(class, more)) {
            let compact = text.to_string();
            let (size, limit) = match (name, document.ends_with("-trust")) {
                ("default-scp" | "default-rcp", _) => (compact.chars().count(), 5_120),
                (_, true) => (quota::size(&compact), quota::DEFAULT_TRUST_POLICY_SIZE),
                _ => (quota::size(&compact), quota::MANAGED_POLICY_SIZE),
            };
            println!("{name}: {document}: {size} of {limit} characters");
            assert!(size <= limit, "{name}: {document}: {size}");
            if name.ends_with("-rcp") {
                continue; // Only there a policy with resources has principals.
            }
            let kind = match document.ends_with("-trust") {
                true => Kind::Trust,
                false => Kind::Identity,
            };
            let parsed = PolicyDocument::parse(&compact).unwrap();
            check(&parsed, kind).unwrap_or_else(|e| panic!("{name}: {document}: {e}"));
        }
    }
}

#[test]
fn the_policy_of_each_sample_fits_one_managed_policy_for_each_identity() {
    for (name, class, more) in SAMPLES {
        let documents = documents(&printed(class, more));
        let names: Vec<&str> = documents.keys().map(String::as_str).collect();
        let expected: &[&str] = match name {
            "other-account" => &[
                "222233334444-mlservicerole-operator",
                "222233334444-mlservicerole-operator-trust",
                "operator",
            ],
            _ => &["the policy"],
        };
        assert_eq!(names, expected, "{name}");
    }
}
