//! Classes of AWS errors by code, and messages without anything volatile.

use super::*;
use proptest::prelude::*;

const UUID: &str = "7a62c49f-347e-4fc4-9331-6e8eEXAMPLE0";
const REAL_UUID: &str = "7a62c49f-347e-4fc4-9331-6e8e12345678";

fn class(code: &str, status: u16) -> ErrorClass {
    classify("CreateRole", Some(code), "said IAM", Some(status)).class
}

fn message(text: &str) -> String {
    classify("CreateRole", Some("AccessDenied"), text, Some(403)).message
}

#[test]
fn every_code_has_its_class() {
    use ErrorClass::*;
    for (code, status, expected) in [
        ("Throttling", 400, Throttled),
        ("ThrottlingException", 400, Throttled),
        ("ThrottledException", 400, Throttled),
        ("RequestLimitExceeded", 503, Throttled),
        ("TooManyRequestsException", 429, Throttled),
        ("ServiceFailure", 500, Transient),
        ("ServiceUnavailable", 503, Transient),
        ("InternalFailure", 500, Transient),
        ("RequestTimeout", 400, Transient),
        ("ConcurrentModification", 409, Conflict),
        ("ConcurrentModificationException", 409, Conflict),
        ("EntityTemporarilyUnmodifiable", 409, Conflict),
        ("DeleteConflict", 409, Conflict),
        ("EntityAlreadyExists", 409, Conflict),
        ("AccessDenied", 403, Denied),
        ("AccessDeniedException", 400, Denied),
        ("UnauthorizedOperation", 403, Denied),
        ("ExpiredToken", 403, Denied),
        ("ExpiredTokenException", 400, Denied),
        ("InvalidClientTokenId", 403, Denied),
        ("SignatureDoesNotMatch", 403, Denied),
        ("NoSuchEntity", 404, Invalid),
        ("MalformedPolicyDocument", 400, Invalid),
        ("LimitExceeded", 409, Invalid),
        ("ValidationError", 400, Invalid),
        ("InvalidInput", 400, Invalid),
        ("UnmodifiableEntity", 400, Invalid),
        ("NeverHeardOf", 400, Invalid),
        ("NeverHeardOf", 500, Transient),
        ("NeverHeardOf", 302, Transient),
    ] {
        assert_eq!(class(code, status), expected, "{code} with HTTP {status}");
    }
}

#[test]
fn an_unknown_principal_may_become_known_but_other_malformed_documents_stay_malformed() {
    let with = |text| classify("CreateRole", Some("MalformedPolicyDocument"), text, Some(400)).class;
    assert_eq!(
        with(r#"Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:role/new""#),
        ErrorClass::NotYetConsistent
    );
    assert_eq!(
        with("Federated principals must be valid domain names or SAML metadata ARNs"),
        ErrorClass::Invalid
    );
}

#[test]
fn a_server_error_leaves_open_what_happened_and_a_refusal_does_not() {
    let ambiguous = |code, status| classify("CreateRole", code, "", status).ambiguous;
    assert!(ambiguous(Some("ServiceFailure"), Some(500)));
    assert!(ambiguous(None, Some(502)));
    assert!(ambiguous(None, Some(200)), "an answer that was cut short");
    assert!(ambiguous(None, None), "no answer");
    assert!(!ambiguous(Some("Throttling"), Some(400)));
    assert!(!ambiguous(Some("Throttling"), Some(503)));
    assert!(!ambiguous(Some("AccessDenied"), Some(403)));
    assert!(!ambiguous(Some("EntityAlreadyExists"), Some(409)));
    assert!(!ambiguous(None, Some(403)), "a proxy's refusal");
}

#[test]
fn an_answer_without_a_code_gets_one_of_ours_and_says_its_status() {
    let error = classify("GetRole", None, "", Some(502));
    assert_eq!(
        error.to_string(),
        "GetRole: UnreadableAnswer: HTTP 502 without a complete answer of AWS"
    );
    assert_eq!(classify("GetRole", None, "", None).code, code::CONNECTION_FAULT);
    assert_eq!(
        classify("GetRole", None, "", Some(429)).class,
        ErrorClass::Throttled
    );
}

#[test]
fn an_error_reads_as_operation_code_and_message() {
    let error = classify("AttachRolePolicy", Some("NoSuchEntity"), "no x", Some(404));
    assert_eq!(error.to_string(), "AttachRolePolicy: NoSuchEntity: no x");
    assert!(error.is_no_such_entity());
    assert!(!error.is_entity_already_exists());
    assert!(!error.is_delete_conflict());
}

#[test]
fn request_ids_are_taken_out_in_every_form() {
    for text in [
        format!("Refused. (Service: AmazonIdentityManagement; Status Code: 403; Error Code: AccessDenied; Request ID: {UUID}; Proxy: null)"),
        format!("Refused. (Service: Iam, Status Code: 409, Request ID: {UUID})"),
        format!("Refused. (Service: Iam, Status Code: 409, Request ID: {UUID}) (SDK Attempt Count: 3, RequestId: {UUID})")
            .replace("SDK Attempt Count: 3, ", ""),
        format!("Refused., request id: {UUID}"),
        format!("Refused.; RequestId: {UUID}"),
        format!("Refused. requestID={UUID}"),
        format!("Refused. x-amzn-RequestId: {UUID}"),
        format!("Refused. [request_id=\"{UUID}\"]"),
        format!("Refused. Request-Id {UUID}"),
        format!("Refused.\n\tRequest ID:\n{UUID}\r\n"),
        format!("Refused. Encoded authorization failure message: {}", "x4Fd".repeat(900)),
    ] {
        let cleaned = message(&text);
        assert!(
            cleaned.trim_end_matches([']', ';', ' ']) == "Refused.",
            "{text:?} became {cleaned:?}"
        );
    }
}

#[test]
fn text_after_a_request_id_stays() {
    assert_eq!(
        message(&format!("denied (request id: {UUID}) by the boundary")),
        "denied by the boundary"
    );
    assert_eq!(
        message(&format!("request id: {UUID}, because no policy allows it")),
        "because no policy allows it"
    );
}

#[test]
fn what_only_looks_like_a_request_id_stays() {
    for text in [
        "The request id is missing.",
        "the request was refused (see the boundary)",
        "User: arn:aws:sts::111122223333:assumed-role/op/s is not authorized to perform: \
         iam:CreateRole on resource: arn:aws:iam::111122223333:role/a/b because no \
         identity-based policy allows the iam:CreateRole action",
        "Cannot exceed quota for ACLSizePerRole: 2048",
    ] {
        assert_eq!(message(text), text);
    }
}

#[test]
fn times_and_ids_that_change_at_each_attempt_are_masked() {
    assert_eq!(
        message(
            "Signature expired: 20261124T154233Z is now earlier than 20261124T154733Z \
             (20261124T160233Z - 15 min.)"
        ),
        "Signature expired: <time> is now earlier than <time> (<time> - 15 min.)"
    );
    assert_eq!(message(&format!("see {REAL_UUID}.")), "see <id>.");
}

#[test]
fn line_breaks_and_control_characters_become_single_spaces() {
    assert_eq!(message("a\r\n\tb\u{0}\u{1b}[31mc\u{85}d"), "a b [31mc d");
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let cleaned = message(&"ü".repeat(5000));
    assert_eq!(cleaned.chars().count(), MAX_MESSAGE_CHARACTERS);
    assert!(cleaned.ends_with("ü…"));
}

proptest! {
    #[test]
    fn any_message_becomes_one_bounded_line_that_stays_as_it_is(text in any::<String>()) {
        let cleaned = message(&text);
        prop_assert!(cleaned.chars().count() <= MAX_MESSAGE_CHARACTERS);
        prop_assert!(!cleaned.chars().any(char::is_control));
        prop_assert_eq!(message(&cleaned), cleaned);
    }

    #[test]
    fn no_request_id_survives_in_any_surroundings(
        before in "[a-zA-Z(;,. ü\\[]{0,12}",
        label in "(request ?id|Request-ID|RequestId|x-amz-request-id)[:=] ?",
        after in "[a-zA-Z();,. \\]]{0,12}",
    ) {
        // A word boundary after the id, since an id has no end of its own.
        let text = format!("{before}{label}{REAL_UUID} {after}");
        prop_assert!(!message(&text).contains("347e"), "{}", message(&text));
    }
}
