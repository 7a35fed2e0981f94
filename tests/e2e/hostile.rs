//! Objects made to harm: too deep, too large, full of odd characters. Each is refused for itself, and others are served.

use kube::api::Api;
use mlservicerole_operator::api::MlServiceRole;
use mlservicerole_operator::api::condition::{reasons, types};
use serde_json::{Value, json};

use crate::support::aws::statement;
use crate::support::eventually;
use crate::support::fixtures::base_class_name;
use crate::support::{Fault, Space};

crate::trials![
    an_object_nested_too_deeply_is_told_so_and_hides_no_other,
    an_object_that_becomes_nested_too_deeply_keeps_its_role_until_it_is_mended,
    an_object_of_a_megabyte_is_refused_for_its_size_and_delays_no_other,
    odd_characters_reach_neither_conditions_nor_the_log_as_they_are,
    odd_characters_of_awss_answers_reach_neither_events_nor_the_log_as_they_are,
    an_object_that_was_refused_is_left_alone_until_it_changes,
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
    let text = object(&space, "large", &statement_of(&resources).to_string());
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
    assert!(!message.contains(ODD), "{message:?}");
}

/// A new line, and a character that turns the text that follows around.
const ODD: [char; 2] = ['\n', '\u{202e}'];

async fn odd_characters_of_awss_answers_reach_neither_events_nor_the_log_as_they_are() {
    let space = Space::new("odd-answer").await;
    let odd = Fault::Refuse {
        status: 400,
        code: "ValidationError",
        message: "x\n2026-01-01T00:00:00Z  INFO all is fine there\u{202e}",
    };
    let injected = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), odd, usize::MAX);
    space.create("trainer", json!({})).await;
    let told = |event: &str| event.contains("all is fine there");
    let event = space.event("trainer", "has AWS's words", told).await;
    assert!(!event.contains(ODD), "{event:?}");
    let ready = space
        .reported("trainer", types::READY, reasons::REFUSED_BY_AWS)
        .await;
    assert!(told(&ready.message) && !ready.message.contains(ODD), "{ready:?}");
    let log = eventually("the log has AWS's words", || async {
        let log = space.bed.launcher.log_tail("all is fine there", 50);
        told(&log).then_some(log).ok_or("nothing".to_owned())
    })
    .await;
    assert!(!log.contains('\u{202e}'), "{log:?}");
    for line in log.lines() {
        assert!(!line.starts_with("2026-01-01T00:00:00Z"), "{line}");
    }
    drop(injected);
    space.ready("trainer").await;
}

async fn an_object_that_was_refused_is_left_alone_until_it_changes() {
    let space = Space::new("left-alone").await;
    let resources: Vec<String> = (0..12_000)
        .map(|i| format!("arn:aws:s3:::bucket/{i:0>60}"))
        .collect();
    let large = statement_of(&resources).to_string();
    for (name, document) in [("large", large), ("deep", deep(1000))] {
        send(
            &space,
            "POST",
            "",
            "application/json",
            object(&space, name, &document),
        )
        .await
        .unwrap();
    }
    space.refused("large", reasons::QUOTA_EXCEEDED).await;
    says(&space, "deep", "recursion limit").await;
    // Only where there are roles are there sweeps.
    space.create("fine", json!({})).await;
    space.ready("fine").await;
    let written = || {
        space
            .bed
            .audit
            .as_ref()
            .map_or(vec![], |audit| audit.writes(&space.name))
    };
    let (mark, before) = (space.bed.proxy.mark(), written().len());
    space.bed.proxy.swept(mark, 3).await;
    let since = written().split_off(before);
    assert!(since.is_empty(), "{} writes", since.len());
    assert!(space.bed.proxy.since(mark, &space.prefix()).is_empty());
}

fn statement_of(resources: &[String]) -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resources}
    ]})
}
