//! Wiring: caches, watches and the two controllers, and the order in which they begin and end.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Controller;
use kube::runtime::reflector::{self, Store};
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::context::{Caches, Context, GuardedClass, GuardedRole, Timing};
use super::{class, gauges, sweep, watch, workers};
use crate::api::MlServiceRole;
use crate::aws::Accounts;
use crate::cluster::{Account, Events};
use crate::iam::arn::Issuer;
use crate::metrics::Metrics;
use crate::plan::ClusterIdentity;

/// What the controller is told at its start.
pub struct Settings {
    /// The Kubernetes client.
    pub client: Client,
    /// The operator's own namespace.
    pub namespace: String,
    /// AWS accounts.
    pub accounts: Arc<dyn Accounts>,
    /// Who this cluster is.
    pub cluster: ClusterIdentity,
    /// This cluster's issuer.
    pub issuer: Issuer,
    /// Names this process in Events.
    pub instance: String,
    /// How often drift is looked for.
    pub sweep_interval: Duration,
    /// How long IAM may contradict itself.
    pub consistency_window: Duration,
    /// Longest wait between attempts.
    pub max_backoff: Duration,
    /// Objects worked on at once.
    pub concurrency: usize,
    /// How long a stop may take.
    pub shutdown_grace: Duration,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Runs until `stop`, then lets steps under way finish, at most for the grace; true if nothing is under way any more.
/// `ready` is called once all caches are filled; nothing is changed before `begin`.
///
/// The caches are filled here and not before this process leads: a list that was read since then can't be older than
/// what the leader before did, whereas a watch that had stood idle might have ended unnoticed, as after sleep.
pub async fn start(
    settings: Settings,
    stop: CancellationToken,
    ready: impl FnOnce(),
    begin: impl Future<Output = ()>,
) -> bool {
    let Settings { client, .. } = &settings;
    let (roles, role_writer) = reflector::store::<GuardedRole>();
    let (class_reader, class_writer) = reflector::store::<GuardedClass>();
    let (account_reader, account_writer) = reflector::store();
    let (namespace_reader, namespace_writer) = reflector::store();
    let context = Arc::new(Context::new(
        client.clone(),
        &settings.namespace,
        Events::new(client.clone(), settings.instance.clone()),
        Caches {
            roles: roles.clone(),
            classes: class_reader.clone(),
            service_accounts: account_reader.clone(),
            namespaces: namespace_reader.clone(),
        },
        Arc::clone(&settings.accounts),
        settings.cluster.clone(),
        settings.issuer.clone(),
        Timing {
            sweep_interval: settings.sweep_interval,
            consistency_window: settings.consistency_window,
            max_backoff: settings.max_backoff,
        },
        Arc::clone(&settings.metrics),
    ));
    gauges::show(&context);
    let wake_role: watch::Wake = {
        let context = Arc::clone(&context);
        Arc::new(move |role| workers::wake(&context, role))
    };

    let mut watches = JoinSet::new();
    let forget = {
        let context = Arc::clone(&context);
        move |role: Option<&GuardedRole>| match role.and_then(ResourceExt::uid) {
            Some(uid) => context.forget(&uid),
            None => context.forget_missing(),
        }
    };
    let note_cached = {
        let context = Arc::clone(&context);
        move |role: &GuardedRole| context.note_cached(role)
    };
    watches.spawn(watch::keep(
        Api::all(client.clone()),
        role_writer,
        watch::slim_role,
        watch::of_role(
            roles.clone(),
            Arc::clone(&context.index),
            wake_role.clone(),
            note_cached,
            forget,
        ),
    ));
    let hurry = {
        let context = Arc::clone(&context);
        move |role: &MlServiceRole| context.hurry(role.metadata.uid.as_deref().unwrap_or_default())
    };
    let forget_classes = {
        let context = Arc::clone(&context);
        move || context.forget_missing_classes()
    };
    let of_class = watch::of_class(roles.clone(), wake_role.clone(), hurry);
    let class_itself = watch::classes(class_reader.clone(), Arc::clone(&context.woken_classes));
    watches.spawn(watch::keep(
        Api::all(client.clone()),
        class_writer,
        watch::slim,
        move |class: Option<&GuardedClass>| {
            of_class(class);
            class_itself(class);
            forget_classes();
        },
    ));
    watches.spawn(watch::keep(
        Api::all(client.clone()),
        account_writer,
        |account: PartialObjectMeta<ServiceAccount>| Account::from(account),
        watch::of_service_account(
            roles.clone(),
            account_reader.clone(),
            Arc::clone(&context.index),
            wake_role.clone(),
        ),
    ));
    watches.spawn(watch::keep(
        Api::all(client.clone()),
        namespace_writer,
        watch::slim_namespace,
        watch::of_namespace(roles.clone(), wake_role),
    ));

    let halted = {
        let (stop, context) = (stop.clone(), Arc::clone(&context));
        async move {
            stop.cancelled().await;
            context.stop();
            // After it, so that whoever is turned away knows why.
            context.accounts.stop();
        }
    };
    let filled = async {
        tokio::join!(
            is_filled(roles.clone()),
            is_filled(class_reader.clone()),
            is_filled(account_reader),
            is_filled(namespace_reader),
            context.index.filled(),
        )
    };
    let filled = async {
        filled.await;
        info!("caches are filled");
        ready();
    };
    tokio::select! {
        _ = async { tokio::join!(filled, begin) } => {}
        () = stop.cancelled() => return true,
    }
    let role_workers = workers::run(Arc::clone(&context), settings.concurrency, stop.clone());
    let class_controller = class_controller(&context, &class_reader, &stop);
    let work = async {
        tokio::join!(role_workers, class_controller);
    };
    let sweep = async {
        tokio::select! {
            () = sweep::run(Arc::clone(&context)) => {}
            () = stop.cancelled() => std::future::pending().await,
        }
    };
    let bounded = async {
        stop.cancelled().await;
        tokio::time::sleep(settings.shutdown_grace).await;
        info!("the grace is over; what is under way is left to the next process");
    };
    let drained = tokio::select! {
        () = work => true,
        () = sweep => true,
        () = bounded => false,
        () = async { halted.await; std::future::pending::<()>().await } => false,
    };
    watches.shutdown().await;
    drained
}

async fn class_controller(context: &Arc<Context>, classes: &Store<GuardedClass>, stop: &CancellationToken) {
    let woken = stream::unfold(Arc::clone(&context.woken_classes), |woken| async move {
        let name = woken.next().await;
        Some((reflector::ObjectRef::new(&name), woken))
    });
    Controller::for_stream(stream::pending(), classes.clone())
        .reconcile_on(woken)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(class::reconcile, never, Arc::clone(context))
        .for_each(|result| async move {
            if let Err(error) = result {
                debug!(%error, "the queue of MlServiceRoleClasses");
            }
        })
        .await;
}

async fn is_filled<K>(store: Store<K>)
where
    K: reflector::Lookup + Clone + 'static,
    K::DynamicType: std::hash::Hash + Eq + Clone,
{
    if store.wait_until_ready().await.is_err() {
        // A dropped writer means that the process is stopping.
        std::future::pending::<()>().await;
    }
}

/// A reconcile never fails: its errors are conditions.
fn never<K>(
    _: Arc<K>,
    error: &std::convert::Infallible,
    _: Arc<Context>,
) -> kube::runtime::controller::Action {
    match *error {}
}
