//! Starting and stopping the operator process.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::aws::SdkAccounts;
use crate::cli::RunArgs;
use crate::cluster;
use crate::controller::{self, Settings};
use crate::plan::ClusterIdentity;
use crate::{server, telemetry};

/// Between two attempts to learn who this cluster is.
const RETRY_IDENTITY: Duration = Duration::from_secs(2);

/// Runs until SIGTERM or SIGINT. Errors are for people.
pub fn run(args: RunArgs) -> Result<(), String> {
    telemetry::install(args.log_format, &args.log)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("failed to start: {e}"))?
        .block_on(operate(args))
}

async fn operate(args: RunArgs) -> Result<(), String> {
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let ready = CancellationToken::new();
    let listener = TcpListener::bind(args.http_addr)
        .await
        .map_err(|e| format!("failed to listen on --http-addr {}: {e}", args.http_addr))?;
    // The server outlives the controller, so that the kubelet sees a stopping process as alive.
    let served = CancellationToken::new();
    let server = tokio::spawn(server::serve(listener, ready.clone(), served.clone()));
    let outcome = control(args, stop, ready).await;
    served.cancel();
    match server.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the HTTP server failed"),
        Err(error) => warn!(%error, "the HTTP server ended early"),
    }
    info!("stopped");
    outcome
}

async fn control(args: RunArgs, stop: CancellationToken, ready: CancellationToken) -> Result<(), String> {
    let client = Client::try_default()
        .await
        .map_err(|e| format!("failed to find a Kubernetes cluster: {e}"))?;
    let identity = tokio::select! {
        identity = identity(&client) => identity,
        () = stop.cancelled() => return Ok(()),
    };
    let (uid, issuer) = identity;
    info!(
        cluster = args.cluster_name,
        cluster_uid = uid,
        issuer = issuer.url(),
        "starting"
    );
    let settings = Settings {
        namespace: cluster::own_namespace().await,
        client,
        accounts: Arc::new(SdkAccounts::from_environment().await),
        cluster: ClusterIdentity {
            name: args.cluster_name,
            uid,
        },
        issuer,
        instance: std::env::var("HOSTNAME").unwrap_or_else(|_| "mlservicerole-operator".to_owned()),
        sweep_interval: args.sweep_interval,
        consistency_window: args.consistency_window,
        max_backoff: args.max_backoff,
        concurrency: args.concurrency.get(),
        shutdown_grace: args.shutdown_grace,
    };
    controller::start(settings, stop, ready).await;
    Ok(())
}

/// Who this cluster is. Tried until it is known: without it no role may be touched.
async fn identity(client: &Client) -> (String, crate::iam::arn::Issuer) {
    loop {
        let uid = cluster::cluster_uid(client).await.map_err(|e| e.to_string());
        let issuer = cluster::own_issuer(client).await;
        match (uid, issuer) {
            (Ok(uid), Ok(issuer)) if !uid.is_empty() => return (uid, issuer),
            (uid, issuer) => {
                let error = uid
                    .err()
                    .or(issuer.err())
                    .unwrap_or_else(|| "kube-system has no uid".to_owned());
                warn!(error, "failed to learn who this cluster is; trying again");
                tokio::time::sleep(RETRY_IDENTITY).await;
            }
        }
    }
}

fn stop_on_signals(stop: CancellationToken) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|e| format!("failed to listen for signals: {e}"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping");
        stop.cancel();
    });
    Ok(())
}
