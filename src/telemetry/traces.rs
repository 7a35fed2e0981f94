//! Traces, sent to an OpenTelemetry collector by OTLP over HTTP. Only in builds with the feature `otel`, and only where the
//! environment names an endpoint. It knows where spans go and not what is in them.
//!
//! The variables are OpenTelemetry's own: <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>
//! and <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use std::env;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

/// Name of the service, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` says another.
const SERVICE: &str = "mlservicerole-operator";
/// Variables that name an endpoint: without any, nothing is sent.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];
/// How long the last spans may take to be sent when the process stops.
const FLUSH: Duration = Duration::from_secs(2);
/// How long one request may take, whatever is asked for: OTLP's own default.
const REQUEST: Duration = Duration::from_secs(10);
/// A collector's answer is a few bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Spans that are on their way; what is left is sent when dropped, within [`FLUSH`].
pub struct Sending(SdkTracerProvider);

impl Drop for Sending {
    fn drop(&mut self) {
        // Whoever doesn't hear of the last spans is no reason to hold up the end.
        let _ = self.0.shutdown_with_timeout(FLUSH);
    }
}

/// Where spans go; `None` where nobody asks for them. Requests are made on this runtime. Errors are for people.
pub fn layer<S>(runtime: Handle) -> Result<Option<(impl Layer<S>, Sending)>, String>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let given = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_off = env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"))
        || env::var("OTEL_TRACES_EXPORTER").is_ok_and(|value| value == "none");
    if is_off || !ENDPOINTS.iter().any(given) {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector::new(runtime)?)
        .with_protocol(Protocol::HttpBinary)
        .build()
        .map_err(|e| format!("failed to prepare the export of traces: {e}"))?;
    let named = given(&"OTEL_SERVICE_NAME")
        || env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|value| value.contains("service.name="));
    let resource = Resource::builder();
    let resource = match named {
        true => resource,
        false => resource.with_service_name(SERVICE),
    };
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SERVICE))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        // This crate's spans; its log is another matter, and other crates' spans tell nothing of roles.
        .with_filter(
            filter_fn(|metadata| {
                metadata.is_span() && metadata.target().starts_with("mlservicerole_operator")
            })
            .with_max_level_hint(LevelFilter::DEBUG),
        );
    Ok(Some((layer, Sending(provider))))
}

/// The way to the collector. The exporter waits in a thread of its own, which has no runtime.
#[derive(Debug)]
struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

impl Collector {
    fn new(runtime: Handle) -> Result<Self, String> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|e| format!("failed to read the root certificates for the export of traces: {e}"))?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            runtime,
        })
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = self.client.request(request.map(Full::new));
        let sent = self.runtime.spawn(async {
            let answer = async {
                let (head, body) = sending.await?.into_parts();
                let body = Limited::new(body, LONGEST_ANSWER).collect().await?.to_bytes();
                Ok::<_, HttpError>(Response::from_parts(head, body))
            };
            // Made in here, since a timer needs the runtime from its beginning.
            tokio::time::timeout(REQUEST, answer).await
        });
        sent.await??
    }
}
