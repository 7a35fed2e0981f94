//! How often a request is sent: again where the connection failed, once where AWS answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mlservicerole_operator::aws::error::code;
use mlservicerole_operator::aws::transport::Limits;
use mlservicerole_operator::aws::{AccountRef, Accounts, AwsError, ErrorClass, SdkAccounts, SessionError};
use tokio::net::TcpListener;

use crate::server::{Reply, Server, config, error, iam_only, ok, short_limits};

const DELETE: &str = "DeleteRole";

/// Deletes a role on a server that gives these replies in turn, the last one for ever after. Says
/// how many requests came.
async fn delete(replies: Vec<Reply>) -> (Result<(), AwsError>, usize) {
    let next = AtomicUsize::new(0);
    let server = Server::start(iam_only(move |_| {
        let index = next.fetch_add(1, Ordering::SeqCst);
        replies[index.min(replies.len() - 1)].clone()
    }))
    .await;
    let iam = server.iam().await;
    let result = iam.delete_role(&"trainer".parse().unwrap()).await;
    (result, server.count(DELETE))
}

#[tokio::test]
async fn a_broken_connection_is_tried_again() {
    let (result, requests) = delete(vec![Reply::Reset, Reply::Reset, ok(DELETE, "")]).await;
    assert_eq!(result, Ok(()));
    assert_eq!(requests, 3);
}

#[tokio::test]
async fn a_connection_that_breaks_every_time_is_given_up_after_three_attempts() {
    let (result, requests) = delete(vec![Reply::Reset]).await;
    assert_eq!(result.unwrap_err().code, code::CONNECTION_FAULT);
    assert_eq!(requests, 3);
}

#[tokio::test]
async fn whatever_is_answered_is_not_asked_again() {
    for reply in [
        error(400, "Throttling", "Rate exceeded"),
        error(503, "RequestLimitExceeded", "slow down"),
        error(500, "ServiceFailure", "failed"),
        error(500, "InternalFailure", "failed"),
        error(503, "ServiceUnavailable", "later"),
        error(400, "RequestTimeout", "too slow"),
        error(409, "ConcurrentModification", "busy"),
        error(409, "DeleteConflict", "detach first"),
        Reply::Http(502, "<html>bad gateway</html>".into()),
        Reply::Http(504, String::new()),
        Reply::CutShort(200, "<DeleteRoleResponse></DeleteRoleResponse>".into()),
        Reply::Http(200, "<DeleteRoleResponse>".into()),
    ] {
        let (result, requests) = delete(vec![reply.clone()]).await;
        assert!(result.is_err(), "{reply:?}");
        assert_eq!(requests, 1, "{reply:?}");
    }
}

/// Sent again, it would hang again, and a reconcile would take minutes.
#[tokio::test]
async fn a_request_that_hangs_is_not_sent_again() {
    let (result, requests) = delete(vec![Reply::Hang]).await;
    assert_eq!(result.unwrap_err().code, code::TIMEOUT);
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn an_answer_to_the_second_attempt_ends_the_attempts() {
    let throttled = error(400, "Throttling", "Rate exceeded");
    let (result, requests) = delete(vec![Reply::Reset, throttled, ok(DELETE, "")]).await;
    assert_eq!(result.unwrap_err().class, ErrorClass::Throttled);
    assert_eq!(requests, 2);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_a_failed_connection_and_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&accepted);
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            open.push(stream);
        }
    });
    let limits = Limits {
        connect: Duration::from_millis(200),
        ..short_limits()
    };
    let accounts = SdkAccounts::from_config(&config(&url).await, &limits);
    let own = AccountRef {
        account: None,
        assume_role: None,
    };
    let SessionError::Unavailable(error) = accounts.session(&own).await.unwrap_err() else {
        panic!()
    };
    assert_eq!(
        error.to_string(),
        "GetCallerIdentity: ConnectionFault: no connection within the time limit"
    );
    assert!(!error.ambiguous, "no request was sent");
    assert_eq!(accepted.load(Ordering::SeqCst), 3);
}
