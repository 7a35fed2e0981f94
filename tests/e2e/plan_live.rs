//! `plan --live`: the same plan as `mode: Observe`, from the cluster and the account as they are, and nothing is
//! written.

use std::process::{Output, Stdio};

use mlservicerole_operator::api::condition::{reasons, types};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::aws::{READ_ONLY, statement};
use crate::support::space::placed_name;
use crate::support::{Space, base_class_name};

crate::trials![
    what_is_printed_is_what_observe_tells,
    what_differs_from_the_account_is_told_and_nothing_is_written,
    a_change_that_the_api_server_would_not_take_is_refused,
    a_role_of_somebody_else_is_refused_without_a_word_about_it,
];

fn manifest(space: &Space, spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["className"] = json!(base_class_name(space.bed));
    json!({
        "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole",
        "metadata": {"name": "trainer", "namespace": space.name}, "spec": spec,
    })
}

fn spec() -> Value {
    json!({
        "managedPolicyArns": [READ_ONLY],
        "inlinePolicies": [{"name": "data", "document": statement("s3:GetObject", "arn:aws:s3:::data/*")}],
    })
}

/// Exit code and report.
async fn plan(space: &Space, manifest: &Value) -> (i32, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mlservicerole-operator"))
        .args(["plan", "--live", "-o", "json", "-f", "-"])
        .args(["--cluster-name", &space.bed.launcher.cluster_name])
        .env("AWS_ENDPOINT_URL", &space.bed.proxy.endpoint)
        .envs(space.bed.aws.environment.clone())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(manifest.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().await.unwrap();
    let report = serde_json::from_slice(&stdout);
    let report = report.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&stderr)));
    (status.code().unwrap(), report)
}

async fn what_is_printed_is_what_observe_tells() {
    let space = Space::new("printed").await;
    let mut observed = spec();
    observed["mode"] = json!("Observe");
    space.create("trainer", observed.clone()).await;
    space.reported("trainer", types::READY, reasons::OBSERVING).await;
    let told = space.roles().get("trainer").await.unwrap().status.unwrap().plan;
    let (code, report) = plan(&space, &manifest(&space, &observed)).await;
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["live"], true);
    assert_eq!(report["roles"][0]["steps"], json!(told), "{report:#}");
}

async fn what_differs_from_the_account_is_told_and_nothing_is_written() {
    let space = Space::new("compared").await;
    space.create("trainer", spec()).await;
    let object = space.ready("trainer").await;
    let before = space.role("trainer").await;
    let mark = space.bed.proxy.mark();
    let (code, report) = plan(&space, &manifest(&space, &spec())).await;
    assert_eq!(
        (code, &report["roles"][0]["steps"]),
        (0, &json!([])),
        "{report:#}"
    );

    let mut changed = spec();
    changed["role"] = json!({"description": "new"});
    changed["managedPolicyArns"] = json!([]);
    let (code, report) = plan(&space, &manifest(&space, &changed)).await;
    let expected = json!([
        {"action": "UpdateRole", "target": "", "difference": "description: (none) → new"},
        {"action": "DetachRolePolicy", "target": READ_ONLY},
    ]);
    assert_eq!((code, &report["roles"][0]["steps"]), (0, &expected), "{report:#}");
    assert_eq!(space.bed.proxy.writes_since(mark, &space.prefix()), [""; 0]);
    assert_eq!(space.role("trainer").await, before);
    let after = space.roles().get("trainer").await.unwrap();
    assert_eq!(after.metadata.resource_version, object.metadata.resource_version);
}

async fn a_change_that_the_api_server_would_not_take_is_refused() {
    let space = Space::new("immutable").await;
    space.create("trainer", spec()).await;
    space.ready("trainer").await;
    let mut moved = manifest(&space, &spec());
    moved["spec"]["className"] = json!("another");
    let (code, report) = plan(&space, &moved).await;
    assert_eq!(code, 1, "{report:#}");
    let message = report["roles"][0]["refusals"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("className can't be added, changed or removed"),
        "{message}"
    );
}

async fn a_role_of_somebody_else_is_refused_without_a_word_about_it() {
    let space = Space::new("theirs").await;
    let (_, report) = plan(&space, &manifest(&space, &spec())).await;
    let name = report["roles"][0]["role"]["name"].as_str().unwrap().to_owned();
    space.bed.declare(&name);
    let path = format!("{}{}/", space.bed.path(), space.name);
    space.bed.aws.make_role(&name, &path, &Default::default()).await;
    let (code, report) = plan(&space, &manifest(&space, &spec())).await;
    assert_eq!(
        (code, &report["roles"][0]["refusals"][0]["reason"]),
        (1, &json!(reasons::ROLE_CONFLICT))
    );
    for secret in ["theirs", "ec2.amazonaws.com", "AmazonS3ReadOnlyAccess", "AROA"] {
        assert!(
            !report.to_string().replace(&space.name, "").contains(secret),
            "{secret}: {report:#}"
        );
    }
    assert!(
        space
            .roles()
            .get_opt("trainer")
            .await
            .unwrap()
            .as_ref()
            .and_then(placed_name)
            .is_none()
    );
}
