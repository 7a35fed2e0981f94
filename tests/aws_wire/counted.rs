//! Every request that was sent is counted, once, under its operation and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mlservicerole_operator::aws::requests::{OPERATIONS, OUTCOMES};
use mlservicerole_operator::aws::transport::Limits;
use mlservicerole_operator::aws::{AccountRef, Accounts, AssumeRole, SdkAccounts};
use mlservicerole_operator::gate::Gate;
use mlservicerole_operator::metrics::Metrics;

use crate::openmetrics;
use crate::server::{Call, Reply, Server, caller, config, error, iam_only, ok, short_limits};

type Counts = BTreeMap<(String, String), usize>;

fn own() -> AccountRef {
    AccountRef {
        account: None,
        assume_role: None,
    }
}

/// By operation and outcome; the histogram must have as many by operation.
fn counted(metrics: &Metrics) -> Counts {
    let families = openmetrics::parse(&metrics.open_metrics().unwrap()).unwrap();
    let mut counts = Counts::new();
    for sample in families.iter().flat_map(|family| &family.samples) {
        if sample.name != "mlservicerole_aws_requests_total" {
            continue;
        }
        let label = |name: &str| sample.labels[name].clone();
        let (service, operation, outcome) = (label("service"), label("operation"), label("outcome"));
        assert!(OUTCOMES.contains(&outcome.as_str()), "{outcome}");
        assert!(
            OPERATIONS.contains(&(&service, &operation)),
            "{service} {operation}"
        );
        let named = [("operation", operation.as_str())];
        let requests = openmetrics::sum(&families, "mlservicerole_aws_requests_total", &named);
        let durations = "mlservicerole_aws_request_duration_seconds_count";
        assert_eq!(openmetrics::sum(&families, durations, &named), requests);
        counts.insert((operation, outcome), sample.value as usize);
    }
    counts
}

fn counts(expected: &[(&str, &str, usize)]) -> Counts {
    let owned = |(operation, outcome, count): &(&str, &str, usize)| {
        (((*operation).to_owned(), (*outcome).to_owned()), *count)
    };
    expected.iter().map(owned).collect()
}

/// What is counted where DeleteRole is answered by these replies in turn.
async fn delete(replies: Vec<Reply>, limits: &Limits) -> (Counts, usize) {
    let next = AtomicUsize::new(0);
    let server = Server::start(iam_only(move |_| {
        let index = next.fetch_add(1, Ordering::SeqCst);
        replies[index.min(replies.len() - 1)].clone()
    }))
    .await;
    let metrics = Arc::new(Metrics::default());
    let gate = Arc::new(Gate::always_open());
    let accounts = SdkAccounts::gated(&config(server.url()).await, limits, gate, Arc::clone(&metrics));
    let session = accounts.session(&own()).await.unwrap();
    let _ = session.iam.delete_role(&"trainer".parse().unwrap()).await;
    let mut found = counted(&metrics);
    let who = ("GetCallerIdentity".to_owned(), "ok".to_owned());
    assert_eq!(found.remove(&who), Some(1));
    (found, server.count("DeleteRole"))
}

#[tokio::test]
async fn answers_are_told_apart() {
    for (reply, outcome) in [
        (ok("DeleteRole", ""), "ok"),
        (error(400, "Throttling", "Rate exceeded"), "throttled"),
        (error(503, "ServiceUnavailable", "later"), "transient"),
        (error(404, "NoSuchEntity", "no such role"), "not_found"),
        (error(409, "DeleteConflict", "detach first"), "conflict"),
        (error(403, "AccessDenied", "no"), "denied"),
        (error(400, "ValidationError", "bad"), "invalid"),
        (
            error(400, "MalformedPolicyDocument", "Invalid principal in policy: x"),
            "not_yet_consistent",
        ),
        (Reply::Http(502, "<html>bad gateway</html>".into()), "transient"),
        (Reply::Http(200, "<DeleteRoleResponse>".into()), "transient"),
    ] {
        let (found, sent) = delete(vec![reply.clone()], &short_limits()).await;
        assert_eq!(found, counts(&[("DeleteRole", outcome, 1)]), "{reply:?}");
        assert_eq!(sent, 1);
    }
}

#[tokio::test]
async fn each_repetition_counts() {
    let replies = vec![Reply::Reset, Reply::Reset, ok("DeleteRole", "")];
    let (found, sent) = delete(replies, &short_limits()).await;
    assert_eq!(sent, 3);
    assert_eq!(
        found,
        counts(&[("DeleteRole", "transient", 2), ("DeleteRole", "ok", 1)])
    );
}

#[tokio::test]
async fn a_request_that_is_given_up_counts() {
    let attempt = Limits {
        attempt: Duration::from_millis(200),
        ..short_limits()
    };
    let operation = Limits {
        operation: Duration::from_millis(200),
        ..short_limits()
    };
    for limits in [attempt, operation] {
        let (found, sent) = delete(vec![Reply::Hang], &limits).await;
        assert_eq!((found, sent), (counts(&[("DeleteRole", "transient", 1)]), 1));
    }
}

fn with_credentials(call: &Call) -> Reply {
    match call.action() {
        "GetCallerIdentity" => caller("111122223333"),
        "AssumeRole" => ok(
            "AssumeRole",
            "<Credentials><AccessKeyId>AKIAX</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>",
        ),
        action => ok(action, ""),
    }
}

fn through_a_role() -> AccountRef {
    AccountRef {
        account: None,
        assume_role: Some(AssumeRole {
            arn: "arn:aws:iam::111122223333:role/reader".to_owned(),
            external_id: None,
        }),
    }
}

#[tokio::test]
async fn requests_for_credentials_count_too_and_their_answers_arrive_whole() {
    let denied = |call: &Call| match call.action() {
        "AssumeRole" => error(403, "AccessDenied", "not authorized to perform: sts:AssumeRole"),
        _ => with_credentials(call),
    };
    let throttled = |call: &Call| match call.action() {
        "AssumeRole" => error(400, "Throttling", "Rate exceeded"),
        _ => with_credentials(call),
    };
    type Case<'a> = (fn(&Call) -> Reply, &'a [(&'a str, &'a str, usize)]);
    let cases: [Case<'_>; 3] = [
        (
            with_credentials,
            &[("AssumeRole", "ok", 1), ("GetCallerIdentity", "ok", 1)],
        ),
        (denied, &[("AssumeRole", "denied", 1)]),
        (throttled, &[("AssumeRole", "throttled", 1)]),
    ];
    for (responder, expected) in cases {
        let server = Server::start(responder).await;
        let metrics = Arc::new(Metrics::default());
        let gate = Arc::new(Gate::always_open());
        let config = config(server.url()).await;
        let accounts = SdkAccounts::gated(&config, &short_limits(), gate, Arc::clone(&metrics));
        let session = accounts.session(&through_a_role()).await;
        assert_eq!(session.is_ok(), expected.len() == 2, "{session:?}");
        if let Err(error) = session {
            let code = expected[0].1;
            let text = error.to_string();
            assert!(
                text.contains("AccessDenied") || (code == "throttled" && text.contains("Throttling")),
                "{text}"
            );
        }
        assert_eq!(counted(&metrics), counts(expected));
    }
}

#[tokio::test]
async fn what_the_gate_held_back_was_not_sent_and_does_not_count() {
    let server = Server::start(with_credentials).await;
    let metrics = Arc::new(Metrics::default());
    let shut = Arc::new(Gate::shut(Arc::new(|| Duration::ZERO)));
    let accounts = SdkAccounts::gated(
        &config(server.url()).await,
        &short_limits(),
        shut,
        Arc::clone(&metrics),
    );
    for account in [own(), through_a_role()] {
        accounts.session(&account).await.unwrap_err();
    }
    assert_eq!(counted(&metrics), counts(&[]));
}
