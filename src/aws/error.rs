//! What AWS answered instead of doing what was asked, reduced to what a controller decides by.
//!
//! Pure: text and numbers in, an [`AwsError`] out. It knows neither the SDK's types (`sdk_error`
//! takes an SDK error apart and calls [`classify`]) nor what to do about an error. It matches on
//! IAM's error codes and never on the SDK's variants: an operation answers codes that its model
//! does not list (AttachRolePolicy has answered `ConcurrentModification`), and those all end up in
//! one catch-all variant.

mod text;

#[cfg(test)]
mod tests;

pub use text::MAX_MESSAGE_CHARACTERS;

/// What kind of failure it is: it picks the backoff, the condition and the log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Too many requests. Nothing was done; the whole account should slow down.
    Throttled,
    /// No answer, or one that says nothing about the request: the network, a proxy, an outage.
    Transient,
    /// IAM's replicas have not all heard of something that was just created.
    NotYetConsistent,
    /// The present state of the role forbids it: it exists, is being changed, or is still in use.
    Conflict,
    /// The credentials are missing or bad, or may not do this.
    Denied,
    /// IAM will refuse the same request again: a malformed value, a quota, something missing.
    Invalid,
}

/// A call to AWS that failed.
///
/// Nothing in it changes from one attempt to the next while the cause is the same, so it can be
/// shown in a status: request ids and times are taken out of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {code}: {message}")]
pub struct AwsError {
    pub class: ErrorClass,
    /// The API operation, as in IAM's documentation: `AttachRolePolicy`.
    pub operation: &'static str,
    /// The code that AWS answered, or one of [`code`] where it answered none.
    pub code: String,
    /// AWS's own words on one line, at most [`MAX_MESSAGE_CHARACTERS`]. May be empty.
    pub message: String,
    /// The request may have been carried out: no answer came to a request that may have been sent,
    /// or the answer was cut short, or it was a server error.
    pub ambiguous: bool,
}

/// Codes of this crate, for failures that AWS gave none for.
pub mod code {
    /// No answer within the time that one attempt may take.
    pub const TIMEOUT: &str = "Timeout";
    /// No connection, or it broke before an answer came.
    pub const CONNECTION_FAULT: &str = "ConnectionFault";
    /// An answer that isn't AWS's, or only a part of one: a proxy's error page, XML that breaks off.
    pub const UNREADABLE_ANSWER: &str = "UnreadableAnswer";
    /// No credentials were found, or the ones that were configured can't be used.
    pub const CREDENTIALS_UNAVAILABLE: &str = "CredentialsUnavailable";
    /// The request could not be built or sent for a reason of this process's configuration.
    pub const NOT_SENT: &str = "NotSent";
    /// The request was held back, since this process may not act: see `crate::gate`.
    pub const NOT_LEADING: &str = "NotLeading";
    /// IAM gave the id of a new role or user where its ARN belongs.
    pub const ARN_NOT_YET_KNOWN: &str = "ArnNotYetKnown";
}

impl AwsError {
    /// What was named does not exist. After a delete or detach that means: done.
    pub fn is_no_such_entity(&self) -> bool {
        // The error shape is called NoSuchEntityException; on the wire IAM sends NoSuchEntity.
        matches!(self.code.as_str(), "NoSuchEntity" | "NoSuchEntityException")
    }

    /// The name is taken, by whomever: IAM compares it without regard to path and case.
    pub fn is_entity_already_exists(&self) -> bool {
        matches!(
            self.code.as_str(),
            "EntityAlreadyExists" | "EntityAlreadyExistsException"
        )
    }

    /// A quota of the role or of the account is used up.
    pub fn is_limit_exceeded(&self) -> bool {
        matches!(self.code.as_str(), "LimitExceeded" | "LimitExceededException")
    }

    /// It wasn't AWS: this process may not act (any more), and what it knows no longer counts.
    pub fn is_not_leading(&self) -> bool {
        self.code == code::NOT_LEADING
    }

    /// The action is denied, which IAM also says of a role that doesn't exist, where a policy allows the action on a
    /// path only: without the role, IAM can't know the path.
    pub fn is_access_denied(&self) -> bool {
        matches!(self.code.as_str(), "AccessDenied" | "AccessDeniedException")
    }

    /// The role still has policies, or is in an instance profile.
    pub fn is_delete_conflict(&self) -> bool {
        matches!(self.code.as_str(), "DeleteConflict" | "DeleteConflictException")
    }
}

/// Makes an [`AwsError`] of what came over the wire.
///
/// `code` is none where the answer had none that could be read, `http_status` where no answer came
/// at all; such an error counts as ambiguous, and a caller who knows that nothing was sent says so.
///
/// Sources: IAM API reference, "Common Errors" and each operation's "Errors"; for throttling codes,
/// `THROTTLING_ERRORS` of the crate aws-runtime.
pub fn classify(
    operation: &'static str,
    code: Option<&str>,
    message: &str,
    http_status: Option<u16>,
) -> AwsError {
    let code = code.map(str::trim).filter(|code| !code.is_empty());
    let class = match code {
        Some(code) => class_of_code(code, message, http_status),
        None => class_of_status(http_status),
    };
    let refused = http_status.is_some_and(|status| (400..500).contains(&status));
    let message = match code {
        None if message.trim().is_empty() => text::describe_unreadable(http_status),
        _ => text::clean(message),
    };
    AwsError {
        class,
        operation,
        code: text::clean(code.unwrap_or(match http_status {
            Some(_) => code::UNREADABLE_ANSWER,
            None => code::CONNECTION_FAULT,
        })),
        message,
        ambiguous: class == ErrorClass::Transient && !refused,
    }
}

fn class_of_code(code: &str, message: &str, http_status: Option<u16>) -> ErrorClass {
    // Protocols differ in whether the suffix is sent: IAM says AccessDenied, STS's newer endpoints
    // and other services AccessDeniedException.
    match code.strip_suffix("Exception").unwrap_or(code) {
        "Throttling"
        | "Throttled"
        | "ThrottledRequest"
        | "RequestThrottled"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "BandwidthLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete" => ErrorClass::Throttled,

        "ServiceFailure"
        | "ServiceUnavailable"
        | "ServiceNotAvailable"
        | "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "RequestTimeout"
        // STS could not reach the issuer of a web identity token; it asks for a retry.
        | "IDPCommunicationError" => ErrorClass::Transient,

        "MalformedPolicyDocument" if names_an_unknown_principal(message) => {
            ErrorClass::NotYetConsistent
        }

        "ConcurrentModification"
        | "EntityTemporarilyUnmodifiable"
        | "DeleteConflict"
        | "EntityAlreadyExists" => ErrorClass::Conflict,

        "AccessDenied"
        | "UnauthorizedOperation"
        | "NotAuthorized"
        | "OptInRequired"
        | "ExpiredToken"
        | "RequestExpired"
        | "TokenRefreshRequired"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "UnrecognizedClient"
        | "AuthFailure"
        | "MissingAuthenticationToken"
        | "IncompleteSignature"
        | "InvalidSignature"
        | "SignatureDoesNotMatch"
        | "InvalidIdentityToken"
        | "IDPRejectedClaim"
        | "RegionDisabled" => ErrorClass::Denied,

        "NoSuchEntity" | "MalformedPolicyDocument" | "LimitExceeded" | "ValidationError"
        | "InvalidInput" | "UnmodifiableEntity" => ErrorClass::Invalid,

        _ => match http_status {
            Some(429) => ErrorClass::Throttled,
            Some(400..=499) => ErrorClass::Invalid,
            _ => ErrorClass::Transient,
        },
    }
}

/// An answer without a code isn't IAM's but that of something in between, so that a 4xx says
/// nothing about the request itself.
fn class_of_status(http_status: Option<u16>) -> ErrorClass {
    match http_status {
        Some(429) => ErrorClass::Throttled,
        _ => ErrorClass::Transient,
    }
}

/// IAM refuses a trust policy that names a principal which it does not know *yet*; the role or user
/// may have been created a moment ago. Every other malformed document stays malformed.
fn names_an_unknown_principal(message: &str) -> bool {
    message
        .to_ascii_lowercase()
        .contains("invalid principal in policy")
}
