//! What every reconcile shares: clients, caches, settings and the memory of each object.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use tokio::sync::Notify;

use super::agenda::Agenda;
use super::index::Index;
use super::known_classes::KnownClasses;
use super::reach::ClassAccounts;
use super::record::Record;
use super::sweep::Sweeps;
use super::woken::Woken;
use crate::api::{MlServiceRole, MlServiceRoleClass};
use crate::aws::Accounts;
use crate::cluster::{Account, Events, Guarded, Kubernetes};
use crate::iam::arn::Issuer;
use crate::metrics::Metrics;
use crate::plan::{Clock, ClusterIdentity, KnownBoundary};

/// A role as cached; one that can't be read is kept apart and stops nobody.
pub type GuardedRole = Guarded<MlServiceRole>;
/// A class as cached.
pub type GuardedClass = Guarded<MlServiceRoleClass>;

/// The caches.
#[derive(Clone)]
pub struct Caches {
    /// All MlServiceRoles.
    pub roles: Store<GuardedRole>,
    /// All MlServiceRoleClasses.
    pub classes: Store<GuardedClass>,
    /// All ServiceAccounts.
    pub service_accounts: Store<Account>,
    /// All Namespaces, metadata only.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
}

/// How the controller behaves in time.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often drift is looked for.
    pub sweep_interval: Duration,
    /// How long IAM may contradict itself.
    pub consistency_window: Duration,
    /// Longest wait between attempts.
    pub max_backoff: Duration,
}

/// What every reconcile shares.
pub struct Context {
    /// The Kubernetes client.
    pub client: Client,
    /// Writes to the cluster.
    pub kubernetes: Kubernetes,
    /// Events.
    pub events: Events,
    /// The caches.
    pub caches: Caches,
    /// AWS accounts.
    pub accounts: Arc<dyn Accounts>,
    /// Who this cluster is.
    pub cluster: ClusterIdentity,
    /// This cluster's issuer.
    pub issuer: Issuer,
    /// Timing.
    pub timing: Timing,
    /// Who has to do with whom.
    pub index: Arc<Index>,
    /// What the last sweeps found.
    pub sweeps: Sweeps,
    /// Who is worked on next.
    pub agenda: Agenda,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Told when there is something new on the agenda.
    pub news: Notify,
    /// What each class says.
    pub known_classes: KnownClasses,
    /// Which account each class is of.
    pub class_accounts: ClassAccounts,
    /// Classes that are to be looked at.
    pub woken_classes: Arc<Woken>,
    started: Instant,
    stopping: AtomicBool,
    objects: Mutex<HashMap<String, Remembered>>,
    released: Mutex<HashMap<String, Duration>>,
    in_use: Mutex<HashMap<String, usize>>,
    hurried: Mutex<HashSet<String>>,
}

/// What is remembered of an object, by its uid.
#[derive(Default)]
struct Remembered {
    record: Arc<tokio::sync::Mutex<Record>>,
    /// Beside the record, since it is asked for also while a reconcile holds that.
    boundary: KnownBoundary,
}

/// What no sweep has shown for so many intervals is old.
const SWEEPS_UNTIL_OLD: u32 = 3;
/// However short the interval is, nothing younger than this is old: a sweep takes its time, and may be late.
const OLD: Duration = Duration::from_secs(120);
/// How long an object that was let go may still be in the cache.
const CACHE_LAG: Duration = Duration::from_secs(60);

impl Context {
    /// A context whose clock begins now.
    #[allow(clippy::too_many_arguments, reason = "one constructor of a plain struct")]
    pub fn new(
        client: Client,
        operator_namespace: &str,
        events: Events,
        caches: Caches,
        accounts: Arc<dyn Accounts>,
        cluster: ClusterIdentity,
        issuer: Issuer,
        timing: Timing,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            kubernetes: Kubernetes::new(client.clone(), operator_namespace),
            client,
            events,
            caches,
            accounts,
            cluster,
            issuer,
            timing,
            index: Arc::default(),
            sweeps: Sweeps::default(),
            agenda: Agenda::default(),
            metrics,
            news: Notify::new(),
            known_classes: KnownClasses::default(),
            class_accounts: ClassAccounts::default(),
            woken_classes: Arc::default(),
            started: Instant::now(),
            stopping: AtomicBool::new(false),
            objects: Mutex::default(),
            released: Mutex::default(),
            in_use: Mutex::default(),
            hurried: Mutex::default(),
        }
    }

    /// Time since the process started.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The clock of a reconcile that began at `started`.
    pub fn clock(&self, started: Duration) -> Clock {
        Clock {
            started,
            now: self.now(),
            consistency_window: self.timing.consistency_window,
            // The sweeps see to it that this is never reached; where they don't, the next reconcile reads.
            drift_interval: (self.timing.sweep_interval * SWEEPS_UNTIL_OLD).max(OLD),
        }
    }

    /// The memory of an object.
    pub fn record(&self, uid: &str) -> Arc<tokio::sync::Mutex<Record>> {
        let mut objects = self.objects();
        if let Some(known) = objects.get(uid) {
            return Arc::clone(&known.record);
        }
        let new = objects.entry(uid.to_owned()).or_default();
        Arc::clone(&new.record)
    }

    /// The memory of an object, if there is any.
    pub fn known_record(&self, uid: &str) -> Option<Arc<tokio::sync::Mutex<Record>>> {
        self.objects().get(uid).map(|known| Arc::clone(&known.record))
    }

    /// Notes the permissions boundary of an object's role, where it is known.
    pub fn note_boundary(&self, uid: &str, boundary: KnownBoundary) {
        if boundary != KnownBoundary::Unknown
            && let Some(known) = self.objects().get_mut(uid)
        {
            known.boundary = boundary;
        }
    }

    /// The permissions boundary of an object's role as last seen, also while a reconcile is at work on it.
    pub fn boundary(&self, uid: &str) -> KnownBoundary {
        let known = self.objects().get(uid).map(|known| known.boundary.clone());
        known.unwrap_or_default()
    }

    /// Tells the memory of an object which version of it is cached. One that is being worked on finds out by itself.
    pub fn note_cached(&self, role: &GuardedRole) {
        let record = self.known_record(role.meta().uid.as_deref().unwrap_or_default());
        if let Some(mut record) = record.as_ref().and_then(|record| record.try_lock().ok()) {
            record.object_cached(role.resource_version());
        }
    }

    /// Forgets an object that was let go, and remembers that it was: the cache may still show it for a moment.
    pub fn release(&self, uid: &str) {
        self.forget(uid);
        let now = self.now();
        let mut released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        released.retain(|_, at| now.saturating_sub(*at) < CACHE_LAG);
        released.insert(uid.to_owned(), now);
    }

    /// Whether an object was let go by us.
    pub fn is_released(&self, uid: &str) -> bool {
        self.released
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(uid)
    }

    /// Lets the next reconcile of an object go before looks at others.
    pub fn hurry(&self, uid: &str) {
        self.hurried
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(uid.to_owned());
    }

    /// Whether an object is in a hurry; from now on it no longer is.
    pub fn was_hurried(&self, uid: &str) -> bool {
        self.hurried
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid)
    }

    /// Forgets an object.
    pub fn forget(&self, uid: &str) {
        self.was_hurried(uid);
        self.objects().remove(uid);
    }

    /// Forgets every object that the cache doesn't show.
    pub fn forget_missing(&self) {
        let present: HashSet<String> = self
            .caches
            .roles
            .state()
            .iter()
            .filter_map(|role| role.uid())
            .collect();
        self.objects().retain(|uid, _| present.contains(uid));
    }

    /// Forgets every class that the cache doesn't show, also one whose finalizer was torn away.
    pub fn forget_missing_classes(&self) {
        let is_there = |name: &str| self.caches.classes.get(&ObjectRef::new(name)).is_some();
        self.known_classes.retain(is_there);
        self.class_accounts.retain(is_there);
    }

    fn objects(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        // No code that holds the lock can panic half-way through a change.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No step is begun from now on.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether no step may be begun.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Marks a class as used by a reconcile under way: until it ends, the class isn't let go, since a placement
    /// that names it may be about to be written.
    pub fn use_class(self: &Arc<Self>, name: &str) -> ClassUse {
        *self
            .in_use
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name.to_owned())
            .or_default() += 1;
        ClassUse {
            context: Arc::clone(self),
            name: name.to_owned(),
        }
    }

    /// Whether a reconcile under way uses a class.
    pub fn is_class_in_use(&self, name: &str) -> bool {
        self.in_use
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(name)
    }
}

/// A class in use, until dropped.
pub struct ClassUse {
    context: Arc<Context>,
    name: String,
}

impl Drop for ClassUse {
    fn drop(&mut self) {
        let mut in_use = self.context.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = in_use.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                in_use.remove(&self.name);
            }
        }
    }
}
