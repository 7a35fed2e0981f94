//! Liveness and readiness over HTTP, for the kubelet.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves `/livez` (the process answers) and `/readyz` (its caches are filled) until `stop`.
pub async fn serve(
    listener: TcpListener,
    ready: CancellationToken,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let readiness = move || {
        let ready = ready.is_cancelled();
        async move {
            if ready {
                (StatusCode::OK, "ok\n")
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "the caches are being filled\n")
            }
        }
    };
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness));
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}
