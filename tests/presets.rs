//! The presets from outside: the page that is made of them, what the command line prints, and what all of them become.

#![allow(clippy::unwrap_used)] // All of this is test code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mlservicerole_operator::access::{Checked, Place, Request, catalogue, check, expand, markdown};
use mlservicerole_operator::iam::arn::{AccountId, Partition, RoleArn};

const PAGE: &str = "docs/presets.md";
const MARK: &str =
    "<!-- From here on made of src/access/presets by UPDATE_DOCS=1 cargo test --test presets. -->\n\n";

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

#[test]
fn the_page_shows_the_presets_as_they_are() {
    let page = fs::read_to_string(path(PAGE)).unwrap();
    let (intro, shown) = page
        .split_once(MARK)
        .unwrap_or_else(|| panic!("{PAGE} has no line {MARK}"));
    let presets = markdown(catalogue());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path(PAGE), format!("{intro}{MARK}{presets}")).unwrap();
        return;
    }
    assert!(
        shown == presets,
        "{PAGE} is not up to date; run UPDATE_DOCS=1 cargo test --test presets"
    );
}

/// All presets with their examples, in one document for each partition, with the number of its characters.
#[test]
fn all_presets_at_once_become_this() {
    let values: Vec<BTreeMap<String, Vec<String>>> = catalogue()
        .iter()
        .map(|preset| {
            let parameters = preset.versions[0].parameters.iter();
            parameters
                .map(|parameter| (parameter.name.clone(), parameter.example.clone()))
                .collect()
        })
        .collect();
    let checked: Vec<Checked<'_>> = catalogue()
        .iter()
        .zip(&values)
        .map(|(preset, with)| {
            check(Request {
                preset: &preset.name,
                version: None,
                with,
            })
            .unwrap()
        })
        .collect();
    let mut found = String::new();
    for (partition, region) in [
        ("aws", "eu-west-1"),
        ("aws-cn", "cn-north-1"),
        ("aws-us-gov", "us-gov-west-1"),
    ] {
        let account: AccountId = "111122223333".parse().unwrap();
        let role: RoleArn = format!("arn:{partition}:iam::{account}:role/ml/prod/team-a-trainer")
            .parse()
            .unwrap();
        let partition: Partition = partition.parse().unwrap();
        let place = Place {
            partition: &partition,
            region: Some(region),
            account: &account,
            role: &role,
        };
        let size = |checked: &[Checked<'_>]| expand(checked, &place).unwrap().unwrap().to_json().len();
        writeln!(
            found,
            "{partition}: {} characters for all presets in one policy",
            size(&checked)
        )
        .unwrap();
        for one in &checked {
            writeln!(
                found,
                "{:>6}  {}",
                size(std::slice::from_ref(one)),
                one.preset().name
            )
            .unwrap();
        }
        let document = expand(&checked, &place).unwrap().unwrap();
        writeln!(found, "{}\n", serde_json::to_string_pretty(&document).unwrap()).unwrap();
    }
    insta::assert_snapshot!("all_presets", found);
}

fn operator(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mlservicerole-operator"))
        .args(arguments)
        .output()
        .unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = operator(arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_list_has_a_line_for_each_preset() {
    let list = stdout(&["presets", "list"]);
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let expected: Vec<&str> = catalogue().iter().map(|preset| preset.name.as_str()).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_preset_is_shown_in_full() {
    insta::assert_snapshot!("show", stdout(&["presets", "show", "s3-prefix-read"]));
    assert_eq!(
        stdout(&["presets", "show", "s3-prefix-read", "--version", "1"]),
        stdout(&["presets", "show", "s3-prefix-read"])
    );
}

#[test]
fn programs_read_json() {
    let list: serde_json::Value = serde_json::from_str(&stdout(&["presets", "list", "-o", "json"])).unwrap();
    assert_eq!(list.as_array().unwrap().len(), catalogue().len());
    let shown: serde_json::Value =
        serde_json::from_str(&stdout(&["presets", "show", "ecr-pull", "-o", "json"])).unwrap();
    assert_eq!(shown["versions"][0]["parameters"][0]["name"], "repository");
    assert!(list.as_array().unwrap().contains(&shown));
}

#[test]
fn what_does_not_exist_is_an_error_that_says_what_does() {
    let output = operator(&["presets", "show", "s3-prefix-reed"]);
    assert!(!output.status.success());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: there is no preset \"s3-prefix-reed\"; did you mean s3-prefix-read?\n"
    );
    let output = operator(&["presets", "show", "s3-prefix-read", "--version", "7"]);
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: the preset s3-prefix-read has no version 7; its newest is 1\n"
    );
}
