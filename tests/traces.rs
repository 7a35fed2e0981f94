//! Spans reach a collector over HTTP, and none leaves where no collector is named.
//!
//! The environment decides, so that each case is a process of its own: this test, run again.

#![allow(clippy::unwrap_used)] // All of this is test code.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use mlservicerole_operator::aws::transport::Limits;
use mlservicerole_operator::aws::{AccountRef, Accounts, SdkAccounts};
use mlservicerole_operator::telemetry::{LogFormat, install};
use tracing::{Instrument, debug_span, info_span};

/// Where the child finds AWS.
const AWS: &str = "TRACES_TEST_AWS";

/// What came: the first line of each request, its headers and its body.
type Requests = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Answers everything that comes with this, and keeps it.
fn serve(answer: fn(&[u8]) -> Vec<u8>) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let kept = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || converse(stream.unwrap(), &kept, answer));
        }
    });
    (url, requests)
}

fn converse(stream: TcpStream, kept: &Requests, answer: fn(&[u8]) -> Vec<u8>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let lower = head.to_lowercase();
        let length = lower
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let reply = answer(&body);
        kept.lock().unwrap().push((head, body));
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", reply.len());
        let stream = reader.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&reply).unwrap();
    }
}

fn aws(body: &[u8]) -> Vec<u8> {
    let body = String::from_utf8_lossy(body);
    let action = body
        .split('&')
        .find_map(|field| field.strip_prefix("Action="))
        .unwrap();
    let result = "<Arn>arn:aws:sts::111122223333:assumed-role/o/s</Arn><UserId>A:s</UserId><Account>111122223333</Account>";
    format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>").into_bytes()
}

/// Runs the work of a reconcile in a process of its own with these variables.
fn work(variables: &[(&str, &str)]) {
    let (url, _) = serve(aws);
    let mut child = Command::new(std::env::current_exe().unwrap());
    for (name, _) in std::env::vars_os() {
        let own = name.to_string_lossy().into_owned();
        if own.starts_with("OTEL_") || own.starts_with("AWS_") {
            child.env_remove(name);
        }
    }
    child
        .args(["--exact", "the_work_of_a_reconcile", "--ignored", "--nocapture"])
        .env(AWS, url)
        .envs(variables.iter().copied());
    let output = child.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "the other tests run it, in an environment of their own"]
fn the_work_of_a_reconcile() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _telemetry = install(LogFormat::Text, "warn", runtime.handle()).unwrap();
    let url = std::env::var(AWS).unwrap();
    runtime.block_on(async {
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("us-east-1"))
            .endpoint_url(url)
            .credentials_provider(Credentials::new("AKIAOWN", "secret", None, None, "test"))
            .load()
            .await;
        let accounts = SdkAccounts::from_config(&config, &Limits::default());
        let own = AccountRef {
            account: None,
            assume_role: None,
        };
        let session = accounts.session(&own).await.unwrap();
        let name = "trainer".parse().unwrap();
        let step = async {
            let deleting = session.iam.delete_role(&name);
            let step = debug_span!(target: "mlservicerole_operator::controller::execute", "step", otel.name = "Remove");
            deleting.instrument(step).await.unwrap();
        };
        let reconcile = info_span!(target: "mlservicerole_operator::controller::reconcile", "reconcile");
        step.instrument(reconcile).await;
        info_span!(target: "somebody_else", "nobody's business").in_scope(|| {});
    });
}

/// A span's fields are text in protobuf as they are.
fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn spans_of_reconcile_step_and_call_reach_the_collector() {
    let (collector, requests) = serve(|_| vec![]);
    work(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector),
        ("OTEL_SERVICE_NAME", "operator-of-team-a"),
    ]);
    let requests = requests.lock().unwrap();
    assert!(!requests.is_empty(), "the last spans are sent before the end");
    let (head, _) = &requests[0];
    assert!(head.starts_with("POST /v1/traces "), "{head}");
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    let all: Vec<u8> = requests.iter().flat_map(|(_, body)| body).copied().collect();
    for text in [
        "operator-of-team-a",
        "reconcile",
        "Remove",
        "IAM/DeleteRole",
        "STS/GetCallerIdentity",
        "rpc.system",
        "aws-api",
        "rpc.method",
    ] {
        assert!(has(&all, text), "{text}");
    }
    assert!(!has(&all, "nobody's business"));
}

#[test]
fn the_service_has_a_name_of_its_own() {
    let (collector, requests) = serve(|_| vec![]);
    let endpoint = format!("{collector}/v1/traces");
    work(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)]);
    let requests = requests.lock().unwrap();
    assert!(
        requests
            .iter()
            .any(|(_, body)| has(body, "mlservicerole-operator"))
    );
}

#[test]
fn a_sampler_that_takes_nothing_sends_nothing() {
    let (collector, requests) = serve(|_| vec![]);
    work(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ]);
    assert!(requests.lock().unwrap().is_empty());
}

#[test]
fn a_collector_that_is_not_there_holds_nobody_up() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    work(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{free}"))]);
}

#[test]
fn without_an_endpoint_nothing_is_sent() {
    work(&[("OTEL_SERVICE_NAME", "operator-of-team-a")]);
}
