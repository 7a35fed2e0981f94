//! Objects made to harm: too deep, too large, full of odd characters. Each is refused for itself, and others are served.

use kube::api::Api;
use mlservicerole_operator::api::MlServiceRole;
use mlservicerole_operator::api::condition::reasons;
use serde_json::{Value, json};

use crate::support::Space;
use crate::support::aws::statement;
use crate::support::eventually;
use crate::support::fixtures::base_class_name;

crate::trials![
    an_object_nested_too_deeply_is_told_so_and_hides_no_other,
    an_object_that_becomes_nested_too_deeply_keeps_its_role_until_it_is_mended,
    an_object_of_a_megabyte_is_refused_for_its_size_and_delays_no_other,
    odd_characters_reach_neither_conditions_nor_the_log_as_they_are,
];

/// A policy document with an element that many levels deep, which serde_json reads no more.
fn deep(levels: usize) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{}1{}}}]}}"#,
        r#"{"x":"#.repeat(levels),
        "}".repeat(levels)
    )
}

/// Sends an object as text, since no client library reads such an answer.
async fn send(
    space: &Space,
    method: &str,
    path: &str,
    kind: &str,
    body: String,
) -> Result<String, kube::Error> {
    let request = http::Request::builder()
        .method(method)
        .uri(format!(
            "/apis/mlservicerole.io/v1alpha1/namespaces/{}/mlserviceroles{path}",
            space.name
        ))
        .header("content-type", kind)
        .body(body.into_bytes())
        .unwrap();
    space.bed.client.request_text(request).await
}

fn object(space: &Space, name: &str, document: &str) -> String {
    format!(
        r#"{{"apiVersion":"mlservicerole.io/v1alpha1","kind":"MlServiceRole","metadata":{{"name":"{name}"}},
        "spec":{{"className":"{}","inlinePolicies":[{{"name":"p","document":{document}}}]}}}}"#,
        base_class_name(space.bed)
    )
}

/// The conditions as text, since the object can't be read.
async fn says(space: &Space, name: &str, words: &str) {
    eventually(&format!("{name} says {words:?}"), || async {
        let path = format!("/{name}");
        let text = send(space, "GET", &path, "application/json", String::new())
            .await
            .map_err(|e| e.to_string())?;
        let status = text
            .rsplit_once(r#""status":{"#)
            .map(|(_, status)| status.to_owned());
        match status {
            Some(status) if status.contains(words) => Ok(()),
            status => Err(format!("{status:?}")),
        }
    })
    .await;
}

async fn an_object_nested_too_deeply_is_told_so_and_hides_no_other() {
    let space = Space::new("deep").await;
    let text = object(&space, "deep", &deep(1000));
    send(&space, "POST", "", "application/json", text).await.unwrap();
    says(&space, "deep", "recursion limit").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    // Read once more from the beginning, as after a restart or an outage.
    let roles: Api<MlServiceRole> = space.roles();
    roles.list(&Default::default()).await.unwrap_err();
    let path = "/deep";
    send(&space, "DELETE", path, "application/json", String::new())
        .await
        .unwrap();
    eventually("the deep object goes", || async {
        match send(&space, "GET", path, "application/json", String::new()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            answer => Err(format!("{answer:?}")),
        }
    })
    .await;
    space.delete_and_wait("trainer").await;
}

async fn an_object_that_becomes_nested_too_deeply_keeps_its_role_until_it_is_mended() {
    let space = Space::new("deepened").await;
    space
        .create(
            "trainer",
            json!({"inlinePolicies": [{"name": "p", "document": statement("s3:GetObject", "*")}]}),
        )
        .await;
    space.ready("trainer").await;
    let before = space.role("trainer").await;
    let patch =
        |document: &str| format!(r#"{{"spec":{{"inlinePolicies":[{{"name":"p","document":{document}}}]}}}}"#);
    let merge = "application/merge-patch+json";
    send(&space, "PATCH", "/trainer", merge, patch(&deep(1000)))
        .await
        .unwrap();
    says(&space, "trainer", "recursion limit").await;
    let flat = statement("s3:GetObject", "*").to_string();
    send(&space, "PATCH", "/trainer", merge, patch(&flat))
        .await
        .unwrap();
    space.ready("trainer").await;
    assert_eq!(space.role("trainer").await, before);
}

async fn an_object_of_a_megabyte_is_refused_for_its_size_and_delays_no_other() {
    let space = Space::new("megabyte").await;
    let resources: Vec<String> = (0..12_000)
        .map(|i| format!("arn:aws:s3:::bucket/{i:0>60}"))
        .collect();
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resources}
    ]});
    let text = object(&space, "large", &document.to_string());
    assert!((900_000..1_200_000).contains(&text.len()), "{}", text.len());
    send(&space, "POST", "", "application/json", text).await.unwrap();
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let message = space.refused("large", reasons::QUOTA_EXCEEDED).await;
    assert!(message.len() < 4200 && message.contains("10,240"), "{message}");
}

async fn odd_characters_reach_neither_conditions_nor_the_log_as_they_are() {
    let space = Space::new("odd").await;
    let hostile = "x\n2026-01-01T00:00:00Z  INFO everything is fine\u{202e}";
    let document: Value = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": hostile, "Effect": "Allow", "Action": hostile, "Resource": "*"}
    ]});
    space
        .create(
            "trainer",
            json!({"inlinePolicies": [{"name": "p", "document": document}]}),
        )
        .await;
    let message = space.refused("trainer", reasons::INVALID_SPEC).await;
    assert!(!message.contains(['\n', '\u{202e}']), "{message:?}");
    let log = space.bed.launcher.log_tail("everything is fine", 50);
    for line in log.lines() {
        assert!(!line.starts_with("2026-01-01T00:00:00Z"), "{line}");
    }
}
