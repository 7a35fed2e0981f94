//! The watches: roles, classes, ServiceAccounts and Namespaces. Each feeds its cache and then wakes the objects that
//! it concerns, in this order, so that a reconcile never sees less than what woke it. That holds for new lists
//! too, as after an outage of the API server: kube's own trigger wakes while the list is read, and the cache shows
//! it only once it is complete.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store, reflector};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tracing::warn;

use super::context::{GuardedClass, GuardedRole};
use super::index::Index;
use super::marks::placement;
use super::observe::service_account_names;
use super::woken::Woken;
use crate::api::{BOUND_BY_ANNOTATION, MlServiceRole};
use crate::cluster::Account;
use crate::plan::BoundBy;

/// Wakes an object up.
pub type Wake = Arc<dyn Fn(ObjectRef<GuardedRole>) + Send + Sync>;

/// Objects that a list is asked for at once. A page is in memory several times over while it is read.
pub const PAGE: u32 = 100;

/// Keeps a cache and reports what was touched, until the task is dropped. `None` is a whole new list. Of what comes only
/// what `slim` makes of it is cached.
pub async fn keep<K, C>(api: Api<K>, writer: Writer<C>, slim: impl Fn(K) -> C, touched: impl Fn(Option<&C>))
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
    K::DynamicType: Default + Eq + Hash + Clone + Send + Sync,
    C: reflector::Lookup + Clone,
    C::DynamicType: Eq + Hash + Clone,
{
    let stream = watch(api, watcher::Config::default().page_size(PAGE))
        .default_backoff()
        .map_ok(|event| match event {
            Event::Apply(object) => Event::Apply(slim(object)),
            Event::Delete(object) => Event::Delete(slim(object)),
            Event::InitApply(object) => Event::InitApply(slim(object)),
            Event::Init => Event::Init,
            Event::InitDone => Event::InitDone,
        });
    let mut stream = std::pin::pin!(reflector(writer, stream).map_ok(|event| match event {
        Event::Apply(object) | Event::Delete(object) => Some(Some(object)),
        // A new list is swapped in when it is complete; what it changed isn't told, so everybody looks.
        Event::InitDone => Some(None),
        Event::Init | Event::InitApply(_) => None,
    }));
    while let Some(event) = stream.next().await {
        match event {
            Ok(Some(object)) => touched(object.as_ref()),
            Ok(None) => {}
            Err(error) => {
                warn!(%error, kind = std::any::type_name::<K>(), "a watch failed and is taken up again")
            }
        }
    }
}

/// Wakes a role that came or changed, and the rivals of one that went. `noted` hears of the former; `gone` hears of the
/// latter, and of `None` where a new list tells what there is.
pub fn of_role(
    roles: Store<GuardedRole>,
    index: Arc<Index>,
    wake: Wake,
    noted: impl Fn(&GuardedRole),
    gone: impl Fn(Option<&GuardedRole>),
) -> impl Fn(Option<&GuardedRole>) {
    move |role| {
        let Some(role) = role else {
            gone(None);
            let all = roles.state();
            index.note_roles(all.iter().map(AsRef::as_ref));
            for role in all {
                wake(ObjectRef::from_obj(&*role));
            }
            return;
        };
        let key = ObjectRef::from_obj(role);
        let cached = roles.get(&key);
        index.note_role(
            key.namespace.as_deref().unwrap_or_default(),
            &key.name,
            cached.as_deref(),
        );
        if let Some(cached) = cached.filter(|cached| cached.meta().uid == role.meta().uid) {
            noted(&cached);
            wake(key);
            return;
        }
        gone(Some(role));
        if let Ok(role) = role.read() {
            wake_rivals(&roles, &index, &*wake, &role);
        }
    }
}

/// Wakes a class that came, changed or went; of a new list, all.
pub fn classes(classes: Store<GuardedClass>, woken: Arc<Woken>) -> impl Fn(Option<&GuardedClass>) {
    move |class| match class {
        Some(class) => {
            woken.wake(&class.name_any());
        }
        None => {
            for class in classes.state() {
                woken.wake(&class.name_any());
            }
        }
    }
}

/// Wakes the objects that a ServiceAccount concerns.
pub fn of_service_account(
    roles: Store<GuardedRole>,
    accounts: Store<Account>,
    index: Arc<Index>,
    wake: Wake,
) -> impl Fn(Option<&Account>) {
    move |account| {
        let Some(account) = account else {
            let all = accounts.state();
            index.note_accounts(all.iter().map(AsRef::as_ref));
            return wake_if(&roles, &wake, |_| true);
        };
        let key = account.reference();
        let (namespace, name) = (key.namespace.as_deref().unwrap_or_default(), &key.name);
        index.note_account(namespace, name, accounts.get(&key).as_deref());
        let mut concerned = index.asking_for(namespace, name);
        let annotations = account.annotations();
        let bound_by = annotations.get(BOUND_BY_ANNOTATION);
        concerned.extend(bound_by.and_then(|text| BoundBy::parse(text)).map(|by| by.name));
        wake_named(&roles, &*wake, namespace, concerned);
    }
}

/// Wakes the objects of a namespace.
pub fn of_namespace(roles: Store<GuardedRole>, wake: Wake) -> impl Fn(Option<&PartialObjectMeta<Namespace>>) {
    move |namespace| {
        let name = namespace.map(ResourceExt::name_any);
        wake_if(&roles, &wake, |role| {
            name.is_none() || role.meta().namespace == name
        });
    }
}

/// Wakes the objects of a class, and those that may come to be: the ones without any. `hurry` hears of those whose class
/// says something else than before; a class whose status changes is nothing that somebody waits for.
pub fn of_class(
    roles: Store<GuardedRole>,
    wake: Wake,
    hurry: impl Fn(&MlServiceRole),
) -> impl Fn(Option<&GuardedClass>) {
    let generations: RefCell<HashMap<String, Option<i64>>> = RefCell::default();
    move |class| {
        let name = class.map(ResourceExt::name_any);
        let is_news = class.is_some_and(|class| {
            let generation = class.meta().generation;
            let before = generations.borrow_mut().insert(class.name_any(), generation);
            before != Some(generation)
        });
        wake_if(&roles, &wake, |role| {
            let Some(name) = &name else { return true };
            let Ok(role) = role.read() else { return false };
            let placed = placement(&role).ok().flatten().map(|placement| placement.class);
            let is_concerned = match role.spec.class_name.as_ref().or(placed.as_ref()) {
                Some(theirs) => theirs == name || placed.as_ref() == Some(name),
                None => true,
            };
            if is_concerned && is_news {
                hurry(&role);
            }
            is_concerned
        });
    }
}

fn wake_if(roles: &Store<GuardedRole>, wake: &Wake, concerned: impl Fn(&GuardedRole) -> bool) {
    for role in roles.state() {
        if role.is_readable() && concerned(&role) {
            wake(ObjectRef::from_obj(&*role));
        }
    }
}

/// Keeps what matters of an object that is cached for its metadata.
pub fn slim<K: Resource>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object
}

/// Of an MlServiceRole's metadata, its finalizers matter.
pub fn slim_role(role: GuardedRole) -> GuardedRole {
    let mut role = slim(role);
    let meta = role.meta_mut();
    meta.labels = None;
    meta.owner_references = None;
    role
}

/// Of a Namespace, its labels decide, and its uid.
pub fn slim_namespace(namespace: PartialObjectMeta<Namespace>) -> PartialObjectMeta<Namespace> {
    let mut namespace = slim(namespace);
    namespace.metadata.annotations = None;
    namespace.metadata.finalizers = None;
    namespace
}

/// Wakes the other MlServiceRoles of a namespace that may have waited for a ServiceAccount of one that goes.
pub fn wake_rivals(
    roles: &Store<GuardedRole>,
    index: &Index,
    wake: &dyn Fn(ObjectRef<GuardedRole>),
    gone: &MlServiceRole,
) {
    let namespace = gone.namespace().unwrap_or_default();
    let held = service_account_names(gone);
    let rivals = held
        .iter()
        .flat_map(|account| index.asking_for(&namespace, account));
    let mut rivals: Vec<String> = rivals.collect();
    // One of its own name has come in its place and is woken by that.
    rivals.retain(|name| gone.metadata.name.as_ref() != Some(name));
    wake_named(roles, wake, &namespace, rivals);
}

fn wake_named(
    roles: &Store<GuardedRole>,
    wake: &dyn Fn(ObjectRef<GuardedRole>),
    namespace: &str,
    mut names: Vec<String>,
) {
    names.sort();
    names.dedup();
    let keys = names.iter().map(|name| ObjectRef::new(name).within(namespace));
    for key in keys.filter(|key| roles.get(key).is_some_and(|role| role.is_readable())) {
        wake(key);
    }
}

#[cfg(test)]
mod tests;
