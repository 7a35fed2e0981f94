//! The shape of the house: decisions are made without IO, dependencies point one way, and no file grows beyond
//! what a reader takes in.

#![allow(clippy::unwrap_used)] // All of this is test code.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories whose code decides: no client, no runtime, no clock, no chance.
const PURE: [&str; 8] = [
    "src/iam",
    "src/access",
    "src/guard",
    "src/permissions",
    "src/plan",
    "src/aws/pacing.rs",
    "src/cluster/election.rs",
    "src/packed.rs",
];

/// What none of them may name outside its tests.
const IMPURE: [&str; 16] = [
    "kube::Client",
    "kube::Api",
    "kube::api",
    "kube::client",
    "kube::runtime",
    "kube::{",
    "aws_sdk",
    "aws_config",
    "aws_smithy",
    "tokio",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "std::fs",
    "std::env",
    "rand::",
];

/// For each directory, what of the crate it may not know.
const ONE_WAY: [(&str, &[&str]); 10] = [
    (
        "src/iam",
        &[
            "api",
            "access",
            "guard",
            "permissions",
            "plan",
            "aws",
            "cluster",
            "controller",
        ],
    ),
    (
        "src/api",
        &[
            "iam",
            "access",
            "guard",
            "permissions",
            "plan",
            "aws",
            "cluster",
            "controller",
        ],
    ),
    (
        "src/access",
        &[
            "api",
            "guard",
            "permissions",
            "plan",
            "aws",
            "cluster",
            "controller",
        ],
    ),
    (
        "src/guard",
        &["permissions", "plan", "aws", "cluster", "controller"],
    ),
    ("src/permissions", &["plan", "aws", "cluster", "controller"]),
    ("src/plan", &["permissions", "aws", "cluster", "controller"]),
    (
        "src/aws",
        &[
            "api",
            "access",
            "guard",
            "permissions",
            "plan",
            "cluster",
            "controller",
        ],
    ),
    (
        "src/metrics.rs",
        &[
            "iam",
            "access",
            "guard",
            "permissions",
            "plan",
            "aws",
            "cluster",
            "controller",
        ],
    ),
    (
        "src/metrics",
        &[
            "api",
            "iam",
            "access",
            "guard",
            "permissions",
            "plan",
            "aws",
            "cluster",
            "controller",
        ],
    ),
    ("src/cluster", &["guard", "permissions", "aws", "controller"]),
];

const MAX_LINES: usize = 500;

fn files(directory: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    assert!(!found.is_empty(), "{directory} has no Rust files");
    found
}

fn is_test(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

/// Lines of code, comments aside.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

#[test]
fn modules_that_decide_have_no_client_no_runtime_and_no_clock() {
    for (path, text) in PURE
        .into_iter()
        .flat_map(files)
        .filter(|(path, _)| !is_test(path))
    {
        for line in code(&text) {
            for impure in IMPURE {
                assert!(!line.contains(impure), "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn dependencies_point_one_way() {
    for (directory, unknown) in ONE_WAY {
        for (path, text) in files(directory).into_iter().filter(|(path, _)| !is_test(path)) {
            for line in code(&text) {
                for module in unknown {
                    assert!(
                        !line.contains(&format!("crate::{module}::")),
                        "{}: {line}",
                        path.display()
                    );
                }
            }
        }
    }
}

#[test]
fn every_module_says_what_it_is_and_none_is_too_long() {
    for (path, text) in ["src", "tests"].into_iter().flat_map(files) {
        assert!(
            text.starts_with("//!"),
            "{} doesn't open with //!",
            path.display()
        );
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
    }
}
