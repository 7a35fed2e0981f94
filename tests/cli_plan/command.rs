//! Running the command.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }
}

/// Runs `plan` in the repository's directory with this on its standard input. It could reach neither a cluster nor
/// AWS.
pub fn plan(arguments: &[&str], stdin: &str) -> Outcome {
    run(arguments, stdin, true)
}

/// The same, with a standard output that is closed before anything is written, as by `head`.
pub fn plan_of_which_nobody_reads(stdin: &str) -> Outcome {
    run(&["-f", "-"], stdin, false)
}

fn run(arguments: &[&str], stdin: &str, is_read: bool) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mlservicerole-operator"))
        .arg("plan")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if !is_read {
        drop(child.stdout.take());
    }
    // A command that doesn't read its input may end before all of it is written.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// The plan of manifests given on standard input.
pub fn of(manifests: &str) -> Outcome {
    plan(&["-f", "-", "-o", "json"], manifests)
}

/// A class named `ml` that is the default, with this in `allow`.
pub fn class(allow: &str) -> String {
    format!(
        r#"
apiVersion: mlservicerole.io/v1alpha1
kind: MlServiceRoleClass
metadata:
  name: ml
  annotations: {{mlservicerole.io/is-default-class: "true"}}
spec:
  roles: {{permissionsBoundary: {{none: {{}}}}}}
  allow: {{namespaces: {{}}, {allow}}}
---
"#
    )
}

/// An object `trainer` in namespace `team-a`, with this spec.
pub fn role(spec: &str) -> String {
    role_named("trainer", spec)
}

pub fn role_named(name: &str, spec: &str) -> String {
    format!(
        "
apiVersion: mlservicerole.io/v1alpha1
kind: MlServiceRole
metadata: {{name: {name}, namespace: team-a}}
spec: {spec}
---
"
    )
}

/// Reason and message of every refusal, of classes and of roles.
pub fn refusals(outcome: &Outcome) -> Vec<(String, String)> {
    let report = outcome.json();
    let objects = ["classes", "roles"]
        .into_iter()
        .flat_map(|kind| report[kind].as_array().unwrap().clone());
    objects
        .flat_map(|object| object["refusals"].as_array().unwrap().clone())
        .map(|refusal| {
            let text = |key: &str| refusal[key].as_str().unwrap().to_owned();
            (text("reason"), text("message"))
        })
        .collect()
}
