//! Takes the SDK's errors apart: finds code, message and HTTP status, and whether the request can
//! have reached AWS.
//!
//! It knows the SDK's types and nothing of what the codes mean; that is [`super::error`].

use std::error::Error;
use std::io;

use aws_config::imds::client::error::{ImdsError, TokenError};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::display::DisplayErrorContext;

use super::error::{AwsError, ErrorClass, classify, code};
use crate::gate::Closed;

/// What became of a call to the operation.
///
/// The whole chain of causes goes to the debug log. It can hold addresses, ports and request ids,
/// which change from one attempt to the next, so none of it is in the [`AwsError`].
pub(super) fn from_sdk<E>(operation: &'static str, error: &SdkError<E, Response>) -> AwsError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    tracing::debug!(operation, error = %DisplayErrorContext(error), "AWS call failed");
    if let Some(closed) = chain(error).find_map(|cause| cause.downcast_ref::<Closed>()) {
        // Ambiguous, as `classify` has it: an attempt before this one may have gone out.
        return classify(operation, Some(code::NOT_LEADING), &closed.to_string(), None);
    }
    match error {
        SdkError::ServiceError(answer) => classify(
            operation,
            answer.err().code(),
            answer.err().message().unwrap_or_default(),
            Some(answer.raw().status().as_u16()),
        ),
        SdkError::ResponseError(answer) => {
            classify(operation, None, "", Some(answer.raw().status().as_u16()))
        }
        SdkError::TimeoutError(_) => classify(
            operation,
            Some(code::TIMEOUT),
            "no answer within the time limit",
            None,
        ),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(fault) => not_dispatched(operation, fault),
            None => classify(operation, None, "", None),
        },
        SdkError::ConstructionFailure(_) => not_sent(operation, error),
        // The enum is open. What we don't know may have been sent.
        _ => classify(operation, None, "", None),
    }
}

fn not_dispatched(operation: &'static str, fault: &ConnectorError) -> AwsError {
    if let Some(error) = chain(fault).find_map(|cause| cause.downcast_ref::<CredentialsError>()) {
        return no_credentials(operation, error);
    }
    let io_kind = chain(fault)
        .find_map(|cause| cause.downcast_ref::<io::Error>())
        .map(io::Error::kind);
    // Only connecting has a timeout of its own here (see `Limits::attempt`).
    let never_connected = fault.is_timeout() || io_kind.is_some_and(only_when_connecting);
    let message = match io_kind {
        _ if fault.is_timeout() => String::from("no connection within the time limit"),
        Some(io::ErrorKind::Other) | None => String::from("the connection failed"),
        // `ErrorKind` and not the error: the error's text names addresses.
        Some(kind) => format!("the connection failed: {kind}"),
    };
    AwsError {
        ambiguous: !never_connected,
        ..classify(operation, None, &message, None)
    }
}

/// Failures that only a connection which isn't made yet can have.
fn only_when_connecting(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable
    )
}

/// The request wasn't signed, so it wasn't sent. Where STS refused the credentials, its own answer
/// is the error, under its own operation.
fn no_credentials(operation: &'static str, error: &CredentialsError) -> AwsError {
    for cause in chain(error) {
        if let Some(refused) = cause.downcast_ref::<SdkError<AssumeRoleError, Response>>() {
            return unsent(from_sdk("AssumeRole", refused));
        }
        type WebIdentityError = SdkError<AssumeRoleWithWebIdentityError, Response>;
        if let Some(refused) = cause.downcast_ref::<WebIdentityError>() {
            return unsent(from_sdk("AssumeRoleWithWebIdentity", refused));
        }
    }
    if let Some(error) = chain(error).find_map(|cause| cause.downcast_ref::<ImdsError>()) {
        return no_instance_credentials(operation, error);
    }
    let missing_file = chain(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            )
        });
    let (class, message) = match error {
        CredentialsError::CredentialsNotLoaded(_) => (
            ErrorClass::Denied,
            String::from("no AWS credentials were found in the environment"),
        ),
        CredentialsError::InvalidConfiguration(_) => (ErrorClass::Denied, causes(error)),
        _ if missing_file => (ErrorClass::Denied, causes(error)),
        _ => (ErrorClass::Transient, causes(error)),
    };
    AwsError {
        class,
        ambiguous: false,
        ..classify(operation, Some(code::CREDENTIALS_UNAVAILABLE), &message, None)
    }
}

/// A pod without a role of its own ends up at the instance metadata service, which usually is closed
/// to pods: that is a missing setting and no outage. The SDK's own text holds the whole answer with
/// its date.
fn no_instance_credentials(operation: &'static str, error: &ImdsError) -> AwsError {
    let forbidden = chain(error)
        .filter_map(|cause| cause.downcast_ref::<SdkError<TokenError, Response>>())
        .filter_map(SdkError::raw_response)
        .any(|answer| answer.status().is_client_error());
    let (class, message) = if forbidden {
        (
            ErrorClass::Denied,
            "no AWS credentials were found in the environment, and the instance metadata service \
             refuses to give any",
        )
    } else {
        (
            ErrorClass::Transient,
            "the instance metadata service gave no credentials",
        )
    };
    AwsError {
        class,
        ambiguous: false,
        ..classify(operation, Some(code::CREDENTIALS_UNAVAILABLE), message, None)
    }
}

fn unsent(error: AwsError) -> AwsError {
    AwsError {
        ambiguous: false,
        ..error
    }
}

fn not_sent(operation: &'static str, error: &(dyn Error + 'static)) -> AwsError {
    AwsError {
        class: ErrorClass::Invalid,
        ambiguous: false,
        ..classify(operation, Some(code::NOT_SENT), &causes(error), None)
    }
}

fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = chain(error).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
