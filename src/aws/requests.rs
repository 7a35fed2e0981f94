//! Counts the requests that were sent to AWS, each repetition for itself, by operation and by what came of them.
//!
//! Those of this crate's own clients are counted by an interceptor, which sees an answer as the SDK understood it. Those
//! by which the SDK gets credentials (STS AssumeRole, say) are made by clients of its own, which take no interceptor, and
//! so are counted by the HTTP client.

use std::sync::Arc;
use std::time::Instant;

use aws_sdk_iam::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, Metadata};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use tracing::field::Empty;
use tracing::{Span, debug_span};

use super::error::{AwsError, ErrorClass, classify};
use crate::gate::Closed;
use crate::metrics::Metrics;

const IAM: &str = "IAM";
const STS: &str = "STS";
/// An operation that isn't known.
const OTHER: &str = "Other";

/// All operations that this operator can call, those of the SDK's own accord included, by their service.
pub const OPERATIONS: [(&str, &str); 25] = [
    (IAM, "AttachRolePolicy"),
    (IAM, "CreateRole"),
    (IAM, "DeleteRole"),
    (IAM, "DeleteRolePolicy"),
    (IAM, "DetachRolePolicy"),
    (IAM, "GetAccountAuthorizationDetails"),
    (IAM, "GetAccountSummary"),
    (IAM, "GetOpenIDConnectProvider"),
    (IAM, "GetPolicy"),
    (IAM, "GetRole"),
    (IAM, "GetRolePolicy"),
    (IAM, "ListAttachedRolePolicies"),
    (IAM, "ListInstanceProfilesForRole"),
    (IAM, "ListRolePolicies"),
    (IAM, "ListRoles"),
    (IAM, "PutRolePermissionsBoundary"),
    (IAM, "PutRolePolicy"),
    (IAM, "RemoveRoleFromInstanceProfile"),
    (IAM, "TagRole"),
    (IAM, "UntagRole"),
    (IAM, "UpdateAssumeRolePolicy"),
    (IAM, "UpdateRole"),
    (STS, "AssumeRole"),
    (STS, "AssumeRoleWithWebIdentity"),
    (STS, "GetCallerIdentity"),
];

/// Values of the label `outcome`.
pub const OUTCOMES: [&str; 8] = [
    "ok",
    "throttled",
    "transient",
    "not_found",
    "conflict",
    "denied",
    "invalid",
    "not_yet_consistent",
];

fn outcome_of(error: &AwsError) -> &'static str {
    if error.is_no_such_entity() {
        return "not_found";
    }
    match error.class {
        ErrorClass::Throttled => "throttled",
        ErrorClass::Transient => "transient",
        ErrorClass::NotYetConsistent => "not_yet_consistent",
        ErrorClass::Conflict => "conflict",
        ErrorClass::Denied => "denied",
        ErrorClass::Invalid => "invalid",
    }
}

/// What an error answer comes to.
fn refused(status: u16, body: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(body);
    let of = |element: &str| {
        let (_, rest) = text.split_once(&format!("<{element}>"))?;
        Some(rest.split_once("</")?.0)
    };
    let message = of("Message").unwrap_or_default();
    outcome_of(&classify(OTHER, of("Code"), message, Some(status)))
}

fn known(service: &str, operation: &str) -> (&'static str, &'static str) {
    let of_both = OPERATIONS.iter().find(|known| **known == (service, operation));
    let service = || {
        OPERATIONS
            .iter()
            .map(|(known, _)| *known)
            .find(|known| *known == service)
    };
    of_both
        .copied()
        .unwrap_or_else(|| (service().unwrap_or(OTHER), OTHER))
}

/// Marks requests that the interceptor counts.
#[derive(Clone, Copy)]
struct Seen;

/// When the attempt under way was sent, and its span.
#[derive(Clone, Debug)]
struct Sent(Instant, Span);

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

/// Counts each attempt of one client's requests.
#[derive(Clone, Debug)]
pub(super) struct Counted(Arc<Metrics>);

impl Counted {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self(metrics)
    }

    fn count(&self, config: &mut ConfigBag, outcome: impl FnOnce() -> Option<&'static str>) {
        let Some(sent) = config.load::<Sent>().cloned() else {
            return;
        };
        config.interceptor_state().unset::<Sent>();
        let (Some(outcome), Some(called)) = (outcome(), config.load::<Metadata>()) else {
            return;
        };
        let (service, operation) = known(called.service(), called.name());
        self.0.requested(service, operation, outcome, sent.0.elapsed());
        sent.1.record("outcome", outcome);
        if !["ok", "not_found"].contains(&outcome) {
            sent.1.record("otel.status_code", "ERROR");
        }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Counted {
    fn name(&self) -> &'static str {
        "requests are counted"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().add_extension(Seen);
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let called = config.load::<Metadata>();
        let (service, operation) =
            called.map_or((OTHER, OTHER), |called| known(called.service(), called.name()));
        config
            .interceptor_state()
            .store_put(Sent(Instant::now(), span(service, operation)));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.count(config, || what_came(context));
        Ok(())
    }

    /// Where all attempts together took too long, the last one never came to an end of its own.
    fn read_after_execution(
        &self,
        _context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.count(config, || Some("transient"));
        Ok(())
    }
}

/// In the words of OpenTelemetry's conventions for AWS SDKs
/// (<https://opentelemetry.io/docs/specs/semconv/cloud-providers/aws-sdk/>).
fn span(service: &'static str, operation: &'static str) -> Span {
    debug_span!(
        "aws request",
        otel.name = %format_args!("{service}/{operation}"),
        otel.kind = "client",
        otel.status_code = Empty,
        rpc.system = "aws-api",
        rpc.service = service,
        rpc.method = operation,
        outcome = Empty,
    )
}

/// None if the request never left.
fn what_came(context: &FinalizerInterceptorContextRef<'_>) -> Option<&'static str> {
    let error = match context.output_or_error()? {
        Ok(_) => return Some("ok"),
        Err(error) => error,
    };
    if error.as_connector_error().is_some_and(was_held_back) {
        return None;
    }
    let answer = context.response().filter(|answer| !answer.status().is_success());
    Some(answer.map_or("transient", |answer| {
        refused(
            answer.status().as_u16(),
            answer.body().bytes().unwrap_or_default(),
        )
    }))
}

fn was_held_back(error: &ConnectorError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<Closed>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A request for credentials, which nobody else counts. One that is given up, since it takes too long, counts as without
/// an answer.
pub(super) struct ForCredentials {
    metrics: Arc<Metrics>,
    operation: &'static str,
    sent: Instant,
    outcome: &'static str,
}

impl ForCredentials {
    /// None for what the interceptor counts, and for what isn't a call to STS (metadata services of instances and
    /// containers, say).
    pub(super) fn of(request: &HttpRequest, metrics: Arc<Metrics>) -> Option<Self> {
        if request.extension::<Seen>().is_some() {
            return None;
        }
        let body = std::str::from_utf8(request.body().bytes()?).ok()?;
        let action = body.split('&').find_map(|field| field.strip_prefix("Action="))?;
        Some(Self {
            metrics,
            operation: known(STS, action).1,
            sent: Instant::now(),
            outcome: "transient",
        })
    }

    /// Sends it and looks at what comes back, which is handed on as it was.
    pub(super) async fn through(
        mut self,
        sending: HttpConnectorFuture,
    ) -> Result<HttpResponse, ConnectorError> {
        let mut answer = sending.await?;
        if answer.status().is_success() {
            self.outcome = "ok";
            return Ok(answer);
        }
        let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
        let body = ByteStream::new(body).collect().await;
        let body = body
            .map_err(|error| ConnectorError::io(error.into()))?
            .into_bytes();
        self.outcome = refused(answer.status().as_u16(), &body);
        *answer.body_mut() = SdkBody::from(body);
        Ok(answer)
    }
}

impl Drop for ForCredentials {
    fn drop(&mut self) {
        self.metrics
            .requested(STS, self.operation, self.outcome, self.sent.elapsed());
    }
}
