//! Starting and stopping the operator process.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::aws::transport::Limits;
use crate::aws::{SdkAccounts, own_region};
use crate::cli::RunArgs;
use crate::cluster::election::Terms;
use crate::cluster::{self, Clients, Elector, End, Leader};
use crate::controller::{self, Settings};
use crate::gate::{Gate, boot_clock};
use crate::metrics::Metrics;
use crate::plan::ClusterIdentity;
use crate::server::{Health, Phase};
use crate::{server, telemetry};

/// Threads at most, however many cores the node has: work is waiting for answers, and each thread keeps memory of its own.
const THREADS: usize = 4;
/// Between two attempts to learn who this cluster is.
const RETRY_IDENTITY: Duration = Duration::from_secs(2);

/// Runs until SIGTERM or SIGINT. Errors are for people.
pub fn run(args: RunArgs) -> Result<(), String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(THREADS))
        .enable_all()
        .build()
        .map_err(|e| format!("failed to start: {e}"))?;
    // Ends before the runtime does.
    let _telemetry = telemetry::install(args.log_format, &args.log, runtime.handle())?;
    runtime.block_on(operate(args))
}

async fn operate(args: RunArgs) -> Result<(), String> {
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let terms = terms(&args);
    let gate = match args.leader_election.leader_elect {
        true => {
            terms.check()?;
            Arc::new(Gate::shut(boot_clock()))
        }
        false => Arc::new(Gate::always_open()),
    };
    let metrics = Arc::new(Metrics::new(Arc::clone(&gate)));
    let health = Arc::new(Health::new(Arc::clone(&gate), terms.lease_duration));
    let listener = TcpListener::bind(args.http_addr)
        .await
        .map_err(|e| format!("failed to listen on --http-addr {}: {e}", args.http_addr))?;
    // The server outlives the controller, so that the kubelet sees a stopping process as alive.
    let served = CancellationToken::new();
    let serving = server::serve(
        listener,
        Arc::clone(&health),
        Arc::clone(&metrics),
        served.clone(),
    );
    let server = tokio::spawn(serving);
    let outcome = control(args, terms, gate, stop, health, metrics).await;
    served.cancel();
    match server.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the HTTP server failed"),
        Err(error) => warn!(%error, "the HTTP server ended early"),
    }
    info!("stopped");
    outcome
}

fn terms(args: &RunArgs) -> Terms {
    Terms {
        lease_duration: args.leader_election.leader_elect_lease_duration,
        renew_deadline: args.leader_election.leader_elect_renew_deadline,
        retry_period: args.leader_election.leader_elect_retry_period,
        request_timeout: args.request_timeout,
    }
}

async fn control(
    args: RunArgs,
    terms: Terms,
    gate: Arc<Gate>,
    stop: CancellationToken,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
) -> Result<(), String> {
    let no_cluster = |e: &dyn std::fmt::Display| format!("failed to find a Kubernetes cluster: {e}");
    let config = kube::Config::infer().await.map_err(|e| no_cluster(&e))?;
    let clients = cluster::clients(config, Arc::clone(&gate), args.request_timeout);
    let Clients { gated, free } = clients.map_err(|e| no_cluster(&e))?;
    let identity = tokio::select! {
        identity = identity(&gated) => identity,
        () = stop.cancelled() => return Ok(()),
    };
    let (uid, issuer) = identity;
    info!(
        cluster = args.cluster_name,
        cluster_uid = uid,
        issuer = issuer.url(),
        "starting"
    );
    let namespace = cluster::own_namespace().await;
    let pod = std::env::var("HOSTNAME").unwrap_or_else(|_| "mlservicerole-operator".to_owned());
    let limits = Limits::of_attempt(args.request_timeout);
    let settings = Settings {
        namespace: namespace.clone(),
        client: gated,
        accounts: Arc::new(
            SdkAccounts::gated_from_environment(Arc::clone(&gate), &limits, Arc::clone(&metrics)).await,
        ),
        cluster: ClusterIdentity {
            name: args.cluster_name,
            uid,
            region: own_region().await,
        },
        issuer,
        instance: pod.clone(),
        sweep_interval: args.sweep_interval,
        consistency_window: args.consistency_window,
        max_backoff: args.max_backoff,
        concurrency: args.concurrency.get(),
        shutdown_grace: args.shutdown_grace,
        metrics,
    };
    if !args.leader_election.leader_elect {
        health.enter(Phase::Filling);
        controller::start(settings, stop, working(&health), std::future::ready(())).await;
        return Ok(());
    }
    let name = &args.leader_election.leader_elect_resource_name;
    let me = cluster::identity(&pod)?;
    let elector = Elector::new(free, &namespace, name, me, terms, Arc::clone(&gate));
    let standing_by = |could_lead| {
        health.enter(if could_lead {
            Phase::StandingBy
        } else {
            Phase::Starting
        });
    };
    let leader = tokio::select! {
        leader = elector.lead(standing_by) => leader,
        () = stop.cancelled() => return Ok(()),
    };
    health.enter(Phase::Filling);
    lead(leader, gate, settings, stop, working(&health)).await
}

/// Works until asked to stop, or until the Lease is lost.
///
/// A process that lost it ends, as client-go's do: what it remembers of the roles is no longer true once another one
/// has worked on them, and a new process remembers nothing.
async fn lead(
    leader: Leader,
    gate: Arc<Gate>,
    settings: Settings,
    stop: CancellationToken,
    ready: impl FnOnce(),
) -> Result<(), String> {
    let begins = leader.begins();
    let begun = async {
        while let Some(left) = begins.checked_sub(gate.now()).filter(|left| !left.is_zero()) {
            info!(
                seconds = left.as_secs(),
                "the leader before may have a request under way; waiting for its end"
            );
            tokio::time::sleep(left).await;
        }
    };
    let release = CancellationToken::new();
    // A task of its own: nothing that the work does may hold up a renewal.
    let mut keeping = tokio::spawn(leader.keep(release.clone()));
    let why = |end: Result<End, tokio::task::JoinError>| match end {
        Ok(End::Lost(why)) => why,
        Ok(End::Released) => "the lease was let go".to_owned(),
        Err(error) => format!("the lease isn't kept any more: {error}"),
    };
    let drained = tokio::select! {
        biased;
        end = &mut keeping => {
            gate.shut_for_good();
            let why = format!("stopped leading: {}", why(end));
            error!("{why}");
            return Err(why);
        }
        drained = controller::start(settings, stop, ready, begun) => drained,
    };
    if drained {
        release.cancel();
        if let Err(error) = keeping.await {
            warn!(%error, "the lease wasn't let go");
        }
    } else {
        // A request may be under way: the next process waits until the Lease has expired.
        gate.shut_for_good();
        keeping.abort();
    }
    Ok(())
}

fn working(health: &Arc<Health>) -> impl FnOnce() + use<> {
    let health = Arc::clone(health);
    move || health.enter(Phase::Working)
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
