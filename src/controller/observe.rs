//! Step one: what is known of the world, as data. Reads caches, and IAM where the plan asks for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt};
use tracing::warn;

use super::context::{Context, GuardedClass, GuardedRole};
use super::known_classes::KnownClass;
use super::record::{Record, ServiceAccountVersions};
use crate::api::role::Mode;
use crate::api::{BOUND_BY_ANNOTATION, DEFAULT_CLASS_ANNOTATION, MlServiceRole, ROLE_ARN_ANNOTATION};
use crate::aws::{AwsError, IamApi};
use crate::cluster::{ClusterError, annotation_managers};
use crate::iam::name::RoleName;
use crate::plan::{BoundBy, Depth, NamespaceState, Rival, RoleKnowledge, ServiceAccountState};

/// The ServiceAccounts and other MlServiceRoles of the namespace that concern an object.
pub struct Neighbourhood {
    /// ServiceAccounts that are wanted or carry a marker.
    pub service_accounts: Vec<ServiceAccountState>,
    /// Other MlServiceRoles.
    pub rivals: Vec<Rival>,
    /// When the object was created.
    pub created: String,
    /// When a contested annotation may be written again.
    pub contested_until: Option<Duration>,
    /// When the cache is believed again, where what we wrote was believed over it.
    pub believed_until: Option<Duration>,
}

/// A namespace, from the cache.
pub fn namespace(context: &Context, name: &str) -> Option<NamespaceState> {
    let found = context.caches.namespaces.get(&ObjectRef::new(name))?;
    Some(NamespaceState {
        name: name.to_owned(),
        uid: found.uid()?,
        labels: found.labels().clone(),
    })
}

/// The uid of a namespace, from the API server: where a namespace was created anew, its watch may tell that later
/// than another tells of an object in it.
pub async fn namespace_uid(context: &Context, name: &str) -> Result<Option<String>, ClusterError> {
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    let found = namespaces.get_metadata_opt(name).await?;
    Ok(found.and_then(|namespace| namespace.uid()))
}

/// A class, from the cache; `Err` is one that can't be read.
pub fn class(context: &Context, name: &str) -> Option<Result<Arc<KnownClass>, String>> {
    let found = cached_class(context, name)?;
    Some(context.known_classes.of(&found))
}

/// A class, from the cache, of which nothing but its metadata matters.
pub fn cached_class(context: &Context, name: &str) -> Option<Arc<GuardedClass>> {
    context.caches.classes.get(&ObjectRef::<GuardedClass>::new(name))
}

/// Names of the classes that are annotated as default, in order.
pub fn default_classes(context: &Context) -> Vec<String> {
    let mut names: Vec<String> = context
        .caches
        .classes
        .state()
        .iter()
        .filter(|class| {
            class
                .annotations()
                .get(DEFAULT_CLASS_ANNOTATION)
                .is_some_and(|value| value == "true")
        })
        .filter(|class| class.meta().deletion_timestamp.is_none())
        .map(|class| class.name_any())
        .collect();
    names.sort();
    names
}

/// What is around an object in its namespace.
pub async fn neighbourhood(
    context: &Context,
    record: &mut Record,
    object: &MlServiceRole,
    now: Duration,
) -> Neighbourhood {
    let namespace = object.namespace().unwrap_or_default();
    let wanted: Vec<String> = service_account_names(object);
    let mut service_accounts = service_accounts(context, record, object, now);
    let believed_until = wanted.iter().filter_map(|name| record.believed_until(name)).max();
    let mut contested_until = None;
    for account in service_accounts.iter_mut().filter(|sa| wanted.contains(&sa.name)) {
        if let Some(until) = record.contested_until(&account.name, now) {
            let managers = managers(context, &namespace, &account.name, ROLE_ARN_ANNOTATION).await;
            account.contested_by = Some(contestant(managers.unwrap_or_default()));
            contested_until = contested_until.max(Some(until));
        }
        for annotation in account.may_be_held() {
            let managers = managers(context, &namespace, &account.name, annotation).await;
            let known = managers.map(|managers| (annotation.to_owned(), managers));
            account.holders.extend(known);
        }
    }
    let rivals = rivals(context, object, &namespace, &wanted, &service_accounts);
    Neighbourhood {
        service_accounts,
        rivals,
        created: created(object),
        contested_until,
        believed_until,
    }
}

/// The other MlServiceRoles that ask for the same ServiceAccounts or for one that the object has bound, or by whom one of
/// these says it is bound. The others of the namespace have nothing to do with the object.
fn rivals(
    context: &Context,
    object: &MlServiceRole,
    namespace: &str,
    wanted: &[String],
    service_accounts: &[ServiceAccountState],
) -> Vec<Rival> {
    let roles = &context.caches.roles;
    let own_name = object.name_any();
    let marks = || {
        service_accounts.iter().filter_map(|account| {
            let mark = account.annotations.get(BOUND_BY_ANNOTATION)?;
            Some((&account.name, BoundBy::parse(mark)?))
        })
    };
    let bound = marks()
        .filter(|(_, by)| by.name == own_name)
        .map(|(name, _)| name);
    let asking = wanted
        .iter()
        .chain(bound)
        .flat_map(|name| context.index.asking_for(namespace, name));
    let mut names: BTreeSet<String> = asking.collect();
    let others = marks()
        .map(|(_, by)| by)
        .filter(|by| Some(&by.uid) != object.metadata.uid.as_ref());
    for by in others {
        let named = roles.get(&ObjectRef::new(&by.name).within(namespace));
        let is_of_that_uid = |role: &GuardedRole| {
            role.meta().uid.as_ref() == Some(&by.uid) && role.meta().namespace.as_deref() == Some(namespace)
        };
        if !named.is_some_and(|role| is_of_that_uid(&role)) {
            // The mark is of an object that is gone, or was written by hand: rare enough for a look at everybody.
            names.extend(roles.find(is_of_that_uid).map(|role| role.name_any()));
        }
        names.insert(by.name);
    }
    let of_name = |name: &String| roles.get(&ObjectRef::new(name).within(namespace));
    names
        .iter()
        .filter_map(of_name)
        .filter(|role| role.meta().uid != object.metadata.uid)
        .filter_map(|role| Some(rival(&role.read().ok()?)))
        .collect()
}

fn rival(role: &MlServiceRole) -> Rival {
    Rival {
        name: role.name_any(),
        uid: role.uid().unwrap_or_default(),
        created: created(role),
        deleting: role.metadata.deletion_timestamp.is_some(),
        observes: role.spec.mode == Some(Mode::Observe),
        service_accounts: service_account_names(role),
    }
}

/// The ServiceAccounts of an object: the wanted ones, and those that carry a marker that may be its own.
fn service_accounts(
    context: &Context,
    record: &mut Record,
    object: &MlServiceRole,
    now: Duration,
) -> Vec<ServiceAccountState> {
    let namespace = object.namespace().unwrap_or_default();
    let wanted: Vec<String> = service_account_names(object);
    let marked = context.index.marked_for(&namespace, &object.name_any());
    let is_kept = |name: &str| wanted.iter().any(|wanted| wanted == name) || marked.contains(name);
    record.retain_service_accounts(is_kept, now);
    let mut service_accounts = Vec::new();
    for name in &wanted {
        let key = ObjectRef::new(name).within(&namespace);
        let cached = context
            .caches
            .service_accounts
            .get(&key)
            .map(|account| account.state());
        service_accounts.extend(record.newest_service_account(name, cached, now));
    }
    for name in marked {
        let key = ObjectRef::new(&name).within(&namespace);
        let Some(account) = context.caches.service_accounts.get(&key) else {
            continue;
        };
        let state = account.state();
        if wanted.contains(&name) || !state.annotations.contains_key(BOUND_BY_ANNOTATION) {
            continue;
        }
        service_accounts.extend(record.newest_service_account(&name, Some(state), now));
    }
    service_accounts
}

/// What an object's ServiceAccounts are at: this changes with each write to one of them. A write of our own counts
/// from the moment that it was answered and not once more when the cache shows it, so that a failure beside it
/// doesn't end its own pause.
pub fn service_account_versions(
    context: &Context,
    record: &mut Record,
    object: &MlServiceRole,
    now: Duration,
) -> ServiceAccountVersions {
    service_accounts(context, record, object, now)
        .into_iter()
        .map(|account| (account.name, account.uid, account.resource_version))
        .collect()
}

/// Who else writes to an annotation. The cache has no managed fields, and this is asked rarely.
async fn managers(
    context: &Context,
    namespace: &str,
    name: &str,
    annotation: &str,
) -> Option<BTreeSet<String>> {
    let api: Api<ServiceAccount> = Api::namespaced(context.client.clone(), namespace);
    match api.get_metadata(name).await {
        Ok(live) => Some(annotation_managers(live.managed_fields(), annotation)),
        Err(error) => {
            warn!(namespace, name, %error, "failed to read who else writes to a ServiceAccount");
            None
        }
    }
}

fn contestant(managers: BTreeSet<String>) -> String {
    if managers.is_empty() {
        "another manager".to_owned()
    } else {
        managers.into_iter().collect::<Vec<_>>().join(", ")
    }
}

/// Names of the ServiceAccounts that an object asks for.
pub fn service_account_names(object: &MlServiceRole) -> Vec<String> {
    object
        .spec
        .service_account_references(&object.name_any())
        .into_iter()
        .map(|reference| reference.name)
        .collect()
}

/// RFC 3339 in UTC, as the API server writes it, sorts by time.
pub fn created(object: &MlServiceRole) -> String {
    object
        .creation_timestamp()
        .map(|time| time.0.to_string())
        .unwrap_or_default()
}

/// Reads a role from IAM and notes what was found.
pub async fn role(
    iam: &dyn IamApi,
    name: &RoleName,
    depth: Depth,
    knowledge: &mut RoleKnowledge,
    now: &(dyn Fn() -> Duration + Sync),
) -> Result<(), AwsError> {
    let header = match iam.get_role(name).await {
        Ok(header) => header,
        Err(error) if error.is_no_such_entity() => {
            knowledge.note_read(None, now());
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let content = match depth {
        Depth::Header => None,
        Depth::Full => match iam.role_content(name).await {
            Ok(content) => Some(content),
            Err(error) if error.is_no_such_entity() => {
                knowledge.note_read(None, now());
                return Ok(());
            }
            Err(error) => return Err(error),
        },
    };
    knowledge.note_read(Some((header, content)), now());
    Ok(())
}
