//! Liveness and readiness over HTTP, for the kubelet, and metrics, for Prometheus.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;
use crate::metrics::{self, Metrics};

/// How this process stands.
#[derive(Debug)]
pub struct Health {
    gate: Arc<Gate>,
    patience: Duration,
    phase: Mutex<Phase>,
}

/// What a process is at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// It doesn't know yet whether it could lead, or couldn't find out at the last attempt.
    Starting,
    /// Another process leads, and this one can take over.
    StandingBy,
    /// It leads and fills its caches.
    Filling,
    /// It works.
    Working,
}

impl Health {
    /// Of a process that begins. `patience` is for how long its time to lead may have been over before it counts as
    /// hanging: it should have ended itself at once.
    pub fn new(gate: Arc<Gate>, patience: Duration) -> Self {
        Self {
            gate,
            patience,
            phase: Mutex::new(Phase::Starting),
        }
    }

    /// From now on it is at this.
    pub fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn ready(&self) -> (StatusCode, &'static str) {
        match *self.phase.lock().unwrap_or_else(PoisonError::into_inner) {
            Phase::Working => (StatusCode::OK, "ok\n"),
            Phase::StandingBy => (StatusCode::OK, "standing by\n"),
            Phase::Filling => (StatusCode::SERVICE_UNAVAILABLE, "the caches are being filled\n"),
            Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "the lease can't be read yet\n"),
        }
    }

    fn live(&self) -> (StatusCode, &'static str) {
        if self.gate.overdue() > self.patience {
            let message = "the lease is over, and this process still runs\n";
            (StatusCode::SERVICE_UNAVAILABLE, message)
        } else {
            (StatusCode::OK, "ok\n")
        }
    }
}

/// Serves `/livez` (the process answers and does what its Lease asks of it), `/readyz` (it works, or could at once) and
/// `/metrics` until `stop`.
pub async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let live = Arc::clone(&health);
    let router = Router::new()
        .route("/livez", get(async move || live.live()))
        .route("/readyz", get(async move || health.ready()))
        .route(
            "/metrics",
            get(async move |headers: HeaderMap| expose(&metrics, &headers)),
        );
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// In OpenMetrics' format, unless the reader asks for another and doesn't know that one.
fn expose(metrics: &Metrics, headers: &HeaderMap) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    let plain = accepted.is_some_and(|accepted| {
        accepted.contains("text/plain") && !accepted.contains("application/openmetrics-text")
    });
    let (content_type, text) = match plain {
        true => (metrics::PLAIN, metrics.plain()),
        false => (metrics::OPEN_METRICS, metrics.open_metrics()),
    };
    match text {
        Ok(text) => ([(CONTENT_TYPE, content_type)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_process_is_ready_when_it_works_or_could_at_once() {
        let health = Health::new(Arc::new(Gate::always_open()), Duration::from_secs(1));
        for (phase, ready) in [
            (Phase::Starting, false),
            (Phase::StandingBy, true),
            (Phase::Filling, false),
            (Phase::Working, true),
        ] {
            health.enter(phase);
            assert_eq!(health.ready().0.is_success(), ready, "{phase:?}");
        }
    }

    #[test]
    fn metrics_are_served_in_the_format_that_the_reader_knows() {
        let openmetrics = "application/openmetrics-text";
        for (accept, expected) in [
            ("", openmetrics),
            ("*/*", openmetrics),
            (
                "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                openmetrics,
            ),
            ("text/plain;version=0.0.4", "text/plain"),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            let response = expose(&Metrics::default(), &headers);
            let content_type = response.headers()[CONTENT_TYPE].to_str().unwrap();
            assert!(content_type.starts_with(expected), "{accept}: {content_type}");
        }
    }

    #[test]
    fn a_process_that_hangs_beyond_the_end_of_its_lease_is_dead() {
        let now = Arc::new(AtomicU64::new(0));
        let clock = {
            let now = Arc::clone(&now);
            Arc::new(move || Duration::from_secs(now.load(Ordering::Relaxed)))
        };
        let gate = Arc::new(Gate::shut(clock));
        let health = Health::new(Arc::clone(&gate), Duration::from_secs(30));
        for (time, live) in [(0, true), (15, true), (45, true), (46, false)] {
            gate.open(Duration::ZERO, Duration::from_secs(15));
            now.store(time, Ordering::Relaxed);
            assert_eq!(health.live().0.is_success(), live, "at {time} s");
        }
        gate.shut_for_good();
        assert!(health.live().0.is_success(), "it is ending by itself");
        now.store(77, Ordering::Relaxed);
        assert!(!health.live().0.is_success(), "it should have ended long ago");
    }
}
