//! The Kubernetes clients: one whose writes pass the [`Gate`], and one for the Lease, which opens it.
//!
//! Reads pass always. They change nothing, and a process that waits for its turn must be able to look.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, Response};
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::buffer::BufferLayer;
use tower::retry::RetryLayer;
use tower::{BoxError, Layer, Service};

use crate::gate::Gate;

#[cfg(test)]
mod tests;

/// As many requests wait for a free connection as kube's own client lets wait.
const WAITING: usize = 1024;

/// The clients of one process.
pub struct Clients {
    /// For everything but the Lease.
    pub gated: Client,
    /// For the Lease.
    pub free: Client,
}

/// The clients for a configuration; a write takes `request_timeout` at most, from the gate to the answer.
///
/// # Errors
///
/// The configuration can't be used.
pub fn clients(
    mut config: Config,
    gate: Arc<Gate>,
    request_timeout: Duration,
) -> Result<Clients, kube::Error> {
    // The layers below repeat requests instead: kube's own repetitions would lie behind the gate.
    config.default_retry = false;
    let free = Client::try_from(config.clone())?;
    let gated = ClientBuilder::try_from(config)?
        .with_layer(&GateLayer {
            gate,
            limit: request_timeout,
        })
        .with_layer(&BufferLayer::new(WAITING))
        .with_layer(&RetryLayer::new(RetryPolicy::server_retry()))
        .build();
    Ok(Clients { gated, free })
}

struct GateLayer {
    gate: Arc<Gate>,
    limit: Duration,
}

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated {
            inner,
            gate: Arc::clone(&self.gate),
            limit: self.limit,
        }
    }
}

struct Gated<S> {
    inner: S,
    gate: Arc<Gate>,
    limit: Duration,
}

impl<S, B> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        // Nothing is sent before it is polled.
        let answer = self.inner.call(request);
        if reads {
            return Box::pin(answer);
        }
        let (gate, limit) = (Arc::clone(&self.gate), self.limit);
        Box::pin(async move {
            gate.pass()?;
            match tokio::time::timeout(limit, answer).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {} s", limit.as_secs()).into()),
            }
        })
    }
}
