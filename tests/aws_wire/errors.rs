//! What is made of answers that say no, and of no answer.

use mlservicerole_operator::aws::error::code;
use mlservicerole_operator::aws::{AwsError, ErrorClass};

use crate::server::{Reply, Server, error, iam_only, ok, ok_body};

/// The error of an AttachRolePolicy that is answered so.
async fn attach(reply: Reply) -> AwsError {
    let server = Server::start(iam_only(move |_| reply.clone())).await;
    let iam = server.iam().await;
    iam.attach_role_policy(
        &"trainer".parse().unwrap(),
        &"arn:aws:iam::aws:policy/ReadOnly".parse().unwrap(),
    )
    .await
    .unwrap_err()
}

#[tokio::test]
async fn iams_errors_keep_code_and_message_and_get_their_class() {
    use ErrorClass::*;
    for (status, code, message, class, ambiguous) in [
        (400, "Throttling", "Rate exceeded", Throttled, false),
        (400, "ThrottlingException", "Rate exceeded", Throttled, false),
        (
            503,
            "RequestLimitExceeded",
            "Request limit exceeded.",
            Throttled,
            false,
        ),
        (429, "TooManyRequestsException", "slow down", Throttled, false),
        (500, "ServiceFailure", "failed", Transient, true),
        (503, "ServiceUnavailable", "later", Transient, true),
        (
            400,
            "MalformedPolicyDocument",
            "Invalid principal in policy: x",
            NotYetConsistent,
            false,
        ),
        (
            400,
            "MalformedPolicyDocument",
            "Syntax errors in policy.",
            Invalid,
            false,
        ),
        // AttachRolePolicy's model doesn't have this one.
        (409, "ConcurrentModification", "busy", Conflict, false),
        (409, "EntityTemporarilyUnmodifiable", "busy", Conflict, false),
        (409, "DeleteConflict", "detach first", Conflict, false),
        (409, "EntityAlreadyExists", "it exists", Conflict, false),
        (403, "AccessDenied", "not authorized", Denied, false),
        // What IAM says of a role that doesn't exist where the policy allows a path only.
        (
            403,
            "AccessDenied",
            "User: arn:aws:sts::1:assumed-role/o/s is not authorized to perform: iam:AttachRolePolicy on resource: role \
             trainer because no identity-based policy allows the iam:AttachRolePolicy action",
            Denied,
            false,
        ),
        (403, "ExpiredToken", "expired", Denied, false),
        (403, "InvalidClientTokenId", "unknown", Denied, false),
        (403, "SignatureDoesNotMatch", "no", Denied, false),
        (404, "NoSuchEntity", "Policy x does not exist", Invalid, false),
        (
            409,
            "LimitExceeded",
            "Cannot exceed quota for ACLSizePerRole: 2048",
            Invalid,
            false,
        ),
        (400, "ValidationError", "1 validation error", Invalid, false),
        (418, "BrandNew", "who knows", Invalid, false),
        (520, "BrandNew", "who knows", Transient, true),
    ] {
        let expected = AwsError {
            class,
            operation: "AttachRolePolicy",
            code: code.into(),
            message: message.into(),
            ambiguous,
        };
        assert_eq!(attach(error(status, code, message)).await, expected);
    }
}

#[tokio::test]
async fn the_error_page_of_a_proxy_is_transient() {
    let page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    let error = attach(Reply::Http(502, page.into())).await;
    assert_eq!(
        error.to_string(),
        "AttachRolePolicy: UnreadableAnswer: HTTP 502 without a complete answer of AWS"
    );
    assert_eq!((error.class, error.ambiguous), (ErrorClass::Transient, true));
}

#[tokio::test]
async fn an_answer_to_too_many_requests_without_a_code_is_throttling() {
    for (status, class) in [
        (429, ErrorClass::Throttled),
        (503, ErrorClass::Transient),
        (403, ErrorClass::Transient),
    ] {
        let error = attach(Reply::Http(status, "<html>no</html>".into())).await;
        assert_eq!(error.class, class, "{status}");
        assert_eq!(error.code, code::UNREADABLE_ANSWER);
    }
}

#[tokio::test]
async fn an_empty_body_is_transient_with_any_status() {
    for (status, ambiguous) in [(200, true), (403, false), (500, true), (503, true)] {
        let error = attach(Reply::Http(status, String::new())).await;
        assert_eq!(
            (error.class, error.ambiguous),
            (ErrorClass::Transient, ambiguous),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_login_page_is_not_taken_for_success() {
    let error = attach(Reply::Http(200, "<html>please log in</html>".into())).await;
    assert_eq!(error.code, code::UNREADABLE_ANSWER);
    assert!(error.ambiguous);
}

#[tokio::test]
async fn an_error_inside_an_answer_with_status_200_is_not_taken_for_success() {
    let Reply::Http(_, body) = error(400, "Throttling", "Rate exceeded") else {
        unreachable!()
    };
    assert_eq!(attach(Reply::Http(200, body)).await.class, ErrorClass::Transient);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_answer_however_it_breaks_off() {
    let whole = ok_body("AttachRolePolicy", "");
    let half = whole[..whole.len() / 2].to_owned();
    for reply in [Reply::CutShort(200, whole), Reply::Http(200, half)] {
        let error = attach(reply).await;
        assert_eq!(error.code, code::UNREADABLE_ANSWER);
        assert_eq!((error.class, error.ambiguous), (ErrorClass::Transient, true));
    }
}

#[tokio::test]
async fn half_an_error_is_not_taken_for_the_error_that_it_begins_with() {
    let Reply::Http(_, whole) = error(404, "NoSuchEntity", "gone") else {
        unreachable!()
    };
    let cut = whole.find("SuchEntity").unwrap();
    let error = attach(Reply::Http(404, whole[..cut].into())).await;
    assert_eq!(error.code, code::UNREADABLE_ANSWER);
    assert_eq!((error.class, error.ambiguous), (ErrorClass::Transient, false));
}

/// The half document holds the first policy whole, so that the SDK's reader is content with it.
#[tokio::test]
async fn half_a_list_of_policies_is_not_taken_for_the_list() {
    let member =
        |name: &str| format!("<member><PolicyArn>arn:aws:iam::aws:policy/{name}</PolicyArn></member>");
    let whole = ok_body(
        "ListAttachedRolePolicies",
        &format!(
            "<IsTruncated>false</IsTruncated><AttachedPolicies>{}{}</AttachedPolicies>",
            member("A"),
            member("B")
        ),
    );
    let cut = whole.rfind("<member>").unwrap();
    let server = Server::start(iam_only(move |call| match call.action() {
        "ListAttachedRolePolicies" => Reply::Http(200, whole[..cut].into()),
        action => ok(action, "<IsTruncated>false</IsTruncated>"),
    }))
    .await;
    let iam = server.iam().await;
    let error = iam.role_content(&"trainer".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.operation, "ListAttachedRolePolicies");
    assert_eq!(error.code, code::UNREADABLE_ANSWER);
}

#[tokio::test]
async fn a_reset_connection_leaves_open_whether_the_request_was_carried_out() {
    let error = attach(Reply::Reset).await;
    assert_eq!(error.code, code::CONNECTION_FAULT);
    assert_eq!((error.class, error.ambiguous), (ErrorClass::Transient, true));
}

#[tokio::test]
async fn a_request_that_is_never_answered_ends_at_its_limit() {
    let error = attach(Reply::Hang).await;
    assert_eq!(error.code, code::TIMEOUT);
    assert_eq!((error.class, error.ambiguous), (ErrorClass::Transient, true));
}

#[tokio::test]
async fn no_request_id_and_no_address_is_in_a_message() {
    let noisy = "no (Service: Iam, Status Code: 403, Request ID: 7a62c49f-347e-4fc4-9331-6e8e1)";
    for reply in [
        error(403, "AccessDenied", noisy),
        Reply::Reset,
        Reply::Hang,
        Reply::Http(502, "request id 7a62".into()),
    ] {
        let message = attach(reply).await.message;
        assert!(!message.contains("7a62"), "{message}");
        assert!(!message.contains("127.0.0.1"), "{message}");
    }
}
