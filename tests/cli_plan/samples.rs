//! The plan of every sample is committed beside it, so that a change of what comes of it is seen in a review.
//! `make plans` writes them anew.

use std::fs;
use std::path::Path;

use crate::command::plan;

const SAMPLES: &str = "deploy/samples";

/// Names of the samples that ask for a role.
fn samples() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = fs::read_dir(root.join(SAMPLES))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter(|path| {
            fs::read_to_string(path)
                .unwrap()
                .contains("kind: MlServiceRole\n")
        })
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

#[test]
fn the_plan_of_every_sample_is_the_committed_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in samples() {
        let sample = format!("{SAMPLES}/{name}.yaml");
        let outcome = plan(
            &[
                "--cluster-name",
                "prod",
                "-f",
                "deploy/kubectl/20-class.yaml",
                "-f",
                &sample,
            ],
            "",
        );
        assert_eq!(outcome.code, 0, "{sample}: {outcome:#?}");
        let file = root.join(SAMPLES).join("plans").join(format!("{name}.txt"));
        if std::env::var_os("MLSERVICEROLE_WRITE_PLANS").is_some() {
            fs::write(&file, &outcome.stdout).unwrap();
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            outcome.stdout,
            committed,
            "{}: run `make plans` and commit",
            file.display()
        );
    }
}

#[test]
fn no_plan_is_left_of_a_sample_that_is_gone() {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join(SAMPLES).join("plans");
    let mut found: Vec<String> = fs::read_dir(plans)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    found.sort();
    assert_eq!(found, samples());
}
