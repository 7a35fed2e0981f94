//! How tools judge an object's health, on objects as a cluster had them (`deploy/argocd/…/testdata`): the health checks for
//! Argo CD, run by the Lua that Argo CD embeds, and kstatus. The table in docs/gitops.md is what comes of it.

#![allow(clippy::unwrap_used)] // All of this is test code.

#[path = "e2e/support/kstatus.rs"]
mod kstatus;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use kstatus::{Status, kstatus, kubectl_wait};

const KINDS: [&str; 2] = ["MlServiceRole", "MlServiceRoleClass"];

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn yaml(path: &Path) -> Value {
    yaml_serde::from_str(&read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn directory(kind: &str) -> PathBuf {
    checkout("deploy/argocd/mlservicerole.io").join(kind)
}

/// The objects of a kind, by their file's name without its ending.
fn objects(kind: &str) -> BTreeMap<String, Value> {
    fs::read_dir(directory(kind).join("testdata"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                yaml(&path),
            )
        })
        .collect()
}

/// The interpreter; `None`, and a word on stderr, where it isn't there and can't be compiled.
fn lua() -> Option<PathBuf> {
    let go = Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !go.is_ok_and(|status| status.success()) {
        eprintln!("go is not installed: the health checks for Argo CD are not run");
        return None;
    }
    let found = Command::new(checkout("tests/testbed/program"))
        .arg("glua")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(found.status.success(), "there is no Lua");
    Some(PathBuf::from(String::from_utf8(found.stdout).unwrap().trim()))
}

/// An object as Argo CD hands it to a script: lists from 1, and no key for null.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(literal).collect();
            format!("{{{}}}", items.join(","))
        }
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, member)| format!("[{}]={}", quoted(name), literal(member)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

/// A string of Lua, byte by byte, so that nothing in it means anything.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for byte in text.bytes() {
        write!(quoted, "\\{byte:03}").unwrap();
    }
    quoted + "\""
}

/// What Argo CD says of an object: status and message. Objects that are being deleted it judges before it asks a script
/// (`gitops-engine/pkg/health`), and scripts have few libraries (`util/lua`).
fn argo_cd(lua: &Path, kind: &str, object: &Value) -> (String, String) {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return ("Progressing".to_owned(), "Pending deletion".to_owned());
    }
    let script = read(&directory(kind).join("health.lua"));
    let program = format!(
        "local out = io.write\nstring, math, io, debug, channel, coroutine = nil, nil, nil, nil, nil, nil\nobj = {}\n\
         local health = (function()\n{script}\nend)()\nout(health.status, \"\\n\", health.message, \"\\n\")\n",
        literal(object)
    );
    let file = tempfile::Builder::new().suffix(".lua").tempfile().unwrap();
    fs::write(file.path(), program).unwrap();
    let done = Command::new(lua).arg(file.path()).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let said = text.trim_end().split_once('\n');
    let (status, message) = said.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&done.stderr)));
    (status.to_owned(), message.to_owned())
}

#[test]
fn argo_cd_shows_each_state_as_its_own_tests_say() {
    let Some(lua) = lua() else { return };
    for kind in KINDS {
        let tests = yaml(&directory(kind).join("health_test.yaml"));
        let tests = tests["tests"].as_array().unwrap();
        assert_eq!(
            tests.len(),
            objects(kind).len(),
            "{kind}: every object has a test"
        );
        for test in tests {
            let path = test["inputPath"].as_str().unwrap();
            let (status, message) = argo_cd(&lua, kind, &yaml(&directory(kind).join(path)));
            let said = json!({"status": status, "message": message});
            assert_eq!(said, test["healthStatus"], "{kind}: {path}");
        }
    }
}

/// A script that fails makes a whole application Unknown.
#[test]
fn a_health_check_has_an_answer_for_an_object_that_nobody_has_looked_at() {
    let Some(lua) = lua() else { return };
    for kind in KINDS {
        for status in [
            Value::Null,
            json!({}),
            json!({"observedGeneration": -1}),
            json!({"observedGeneration": 1}),
            json!({"observedGeneration": 1, "conditions": []}),
            json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "Unknown"}]}),
        ] {
            let object = json!({"metadata": {"generation": 1}, "status": status});
            let (said, _) = argo_cd(&lua, kind, &object);
            assert_eq!(said, "Progressing", "{kind}: {object}");
        }
    }
}

/// The rows of the table of docs/gitops.md: the file that it links to, and what it says of it.
fn documented() -> BTreeMap<String, [String; 3]> {
    read(&checkout("docs/gitops.md"))
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let link = cells
                .first()?
                .split_once("](../deploy/argocd/mlservicerole.io/")?
                .1;
            let file = link.split_once(".yaml)")?.0.replace("/testdata/", ": ");
            let said = |n: usize| cells[n].trim_matches('`').to_owned();
            Some((file, [said(1), said(2), said(3)]))
        })
        .collect()
}

#[test]
fn gitops_md_says_of_each_state_what_the_tools_make_of_it() {
    let documented = documented();
    let lua = lua();
    let mut found = BTreeMap::new();
    for kind in KINDS {
        for (file, object) in objects(kind) {
            let name = format!("{kind}: {file}");
            let waits = if kubectl_wait(&object, "Ready") {
                "returns"
            } else {
                "waits"
            };
            let status = match kstatus(&object) {
                Status::InProgress => "InProgress",
                Status::Failed => "Failed",
                Status::Current => "Current",
                Status::Terminating => "Terminating",
            };
            let shown = match &lua {
                Some(lua) => argo_cd(lua, kind, &object).0,
                None => documented
                    .get(&name)
                    .map(|row| row[2].clone())
                    .unwrap_or_default(),
            };
            found.insert(name, [waits.to_owned(), status.to_owned(), shown]);
        }
    }
    assert_eq!(documented, found);
}
