//! How requests travel: how long one may take, when the SDK itself tries again, and which answers
//! count as answers.
//!
//! The division of labour: the SDK repeats a request only where no answer came because the
//! connection failed. Whatever AWS answered goes to the controller, which alone knows whether the
//! object still wants it and how long the account should be left in peace. Were both to retry, one
//! throttled request would become nine.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_iam::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use aws_smithy_types::retry::RetryConfig;

#[cfg(test)]
mod tests;

/// How often one request is sent at most, the first time included.
pub const MAX_ATTEMPTS: u32 = 3;

/// How long things may take. They are explicit because the SDK bounds only connecting (3.1 s); a
/// request that is never answered would hold its reconcile for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From name resolution to the end of the TLS handshake.
    pub connect: Duration,
    /// One attempt from connecting to the last byte of the answer. It is the read timeout too: the
    /// SDK's own ends at the answer's head and reports itself as it would a failed connection.
    pub attempt: Duration,
    /// All attempts and the pauses between them.
    pub operation: Duration,
    /// The upper bound of the random pause before the second attempt; it doubles for the third.
    pub first_pause: Duration,
}

impl Default for Limits {
    /// 10 s an attempt: IAM answers within one, CreateRole sometimes within a few, and an answer that comes too late
    /// is found out by the next read. A longer one would need a longer Lease (see `crate::cluster::election`), so
    /// that others would wait longer after a crash.
    fn default() -> Self {
        Self::of_attempt(Duration::from_secs(10))
    }
}

impl Limits {
    /// Those that go with an attempt of this length: half of it to connect, twice as long in all, 1 s before the
    /// second attempt.
    pub fn of_attempt(attempt: Duration) -> Self {
        Limits {
            connect: attempt / 2,
            attempt,
            operation: attempt * 2,
            first_pause: Duration::from_secs(1),
        }
    }
}

impl Limits {
    pub(super) fn timeouts(&self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .disable_read_timeout()
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.operation)
            .build()
    }

    pub(super) fn retries(&self) -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(MAX_ATTEMPTS)
            .with_initial_backoff(self.first_pause)
    }
}

/// Forbids the SDK to send a request again, unless the connection failed before any answer.
///
/// The SDK asks all classifiers, and one that forbids has the last word: nothing overrides it
/// (`run_classifiers_on_ctx` in aws-smithy-runtime). That is why this forbids instead of replacing
/// the default classifiers, which each operation adds for itself.
#[derive(Debug)]
pub(super) struct ConnectionFaultsOnly;

impl ClassifyRetry for ConnectionFaultsOnly {
    fn classify_retry(&self, ctx: &InterceptorContext) -> RetryAction {
        let answered = ctx.response().is_some();
        // A request that hung for a whole attempt would hang again, and may have been carried out.
        let timed_out = matches!(
            ctx.output_or_error(),
            Some(Err(error)) if error.is_timeout_error()
        );
        if answered || timed_out {
            RetryAction::RetryForbidden
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "connection faults only"
    }

    fn priority(&self) -> RetryClassifierPriority {
        // Runs last, so that what it forbids is seen to forbid something in the SDK's trace log.
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// Refuses an answer that isn't one whole XML document of IAM's or STS's.
///
/// The SDK doesn't: its XML reader takes a document that breaks off for one that ends, so that half
/// a list of policies would pass for the list, and for operations without output (DeleteRole) it
/// doesn't look at the body at all, so that a proxy's login page with status 200 would pass for
/// success.
#[derive(Debug)]
pub(super) struct WholeAnswers;

#[dyn_dispatch_hint]
impl Intercept for WholeAnswers {
    fn name(&self) -> &'static str {
        "whole answers"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        // None when reading the body failed; that error is already on its way.
        let Some(body) = response.body().bytes() else {
            return Ok(());
        };
        if is_whole_answer(body, response.status().is_success()) {
            Ok(())
        } else {
            Err("the answer is not a complete XML document of AWS".into())
        }
    }
}

/// Whether the body is `<…Response …> … </…Response>`, which all answers of the AWS Query protocol
/// are; those to failed requests are an `ErrorResponse`.
fn is_whole_answer(body: &[u8], success: bool) -> bool {
    let Ok(text) = std::str::from_utf8(body) else {
        return false;
    };
    let mut text = text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    while let Some(end) = text.strip_prefix("<?").and_then(|rest| rest.find("?>")) {
        text = text[2 + end + 2..].trim_start();
    }
    let Some(inside) = text.strip_prefix('<') else {
        return false;
    };
    let name_end = inside
        .find(|c: char| c.is_whitespace() || c == '>' || c == '/')
        .unwrap_or(inside.len());
    let root = &inside[..name_end];
    if !root.ends_with("Response") || (success && root == "ErrorResponse") {
        return false;
    }
    let closed = text
        .strip_suffix('>')
        .map(str::trim_end)
        .and_then(|text| text.strip_suffix(root))
        .is_some_and(|text| text.ends_with("</"));
    let empty_element = text.ends_with("/>") && text.matches('<').count() == 1;
    closed || empty_element
}
