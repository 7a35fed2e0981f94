//! Errors as IAM answers them, to compare with or to have the fake answer.

use mlservicerole_operator::aws::AwsError;
use mlservicerole_operator::aws::error::{classify, code};

/// An error as IAM would answer it, with the HTTP status that IAM gives the code.
pub fn iam_error(operation: &'static str, code: &str, message: &str) -> AwsError {
    let status = match code {
        "NoSuchEntity" => 404,
        "AccessDenied" | "ExpiredToken" | "InvalidClientTokenId" => 403,
        "ServiceFailure" | "InternalFailure" => 500,
        "ServiceUnavailable" => 503,
        "EntityAlreadyExists"
        | "DeleteConflict"
        | "LimitExceeded"
        | "ConcurrentModification"
        | "EntityTemporarilyUnmodifiable" => 409,
        _ => 400,
    };
    classify(operation, Some(code), message, Some(status))
}

/// IAM's answer to too many requests.
pub fn throttled(operation: &'static str) -> AwsError {
    iam_error(operation, "Throttling", "Rate exceeded")
}

/// No answer in time: what was asked may have been done.
pub fn lost_answer(operation: &'static str) -> AwsError {
    classify(
        operation,
        Some(code::TIMEOUT),
        "no answer within the time limit",
        None,
    )
}
