//! Works on objects: so many at once, each by one worker at a time, in the order of the agenda. Decides nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::agenda::Key;
use super::context::{Context, GuardedRole};
use super::failure::SLOW_RETRY;
use super::marks::placement;
use super::{observe, reconcile};
use crate::api::MlServiceRole;
use crate::iam::arn::AccountId;

/// Works until `stop`, and then ends what is under way.
pub async fn run(context: Arc<Context>, at_once: usize, stop: CancellationToken) {
    let agenda = &context.agenda;
    let mut work = JoinSet::new();
    let mut keys = HashMap::new();
    loop {
        while work.len() < at_once.max(1)
            && let Some(key) = agenda.next(at_once)
        {
            let task = work.spawn(one(Arc::clone(&context), key.clone()));
            keys.insert(task.id(), key);
        }
        let due = agenda.next_due();
        let alarm = async {
            match due {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = work.join_next_with_id() => {
                let (id, after) = match ended {
                    Ok((id, after)) => (id, after),
                    Err(failed) => {
                        error!(error = %failed, "a reconcile ended in a defect of the operator and is tried again");
                        (failed.id(), Some(SLOW_RETRY))
                    }
                };
                if let Some(key) = keys.remove(&id) {
                    agenda.done(key, after, Instant::now());
                }
            }
            () = context.news.notified() => {}
            () = alarm => {
                for key in agenda.due(Instant::now()) {
                    wake_key(&context, key);
                }
            }
        }
    }
    while work.join_next().await.is_some() {}
}

async fn one(context: Arc<Context>, key: Arc<Key>) -> Option<std::time::Duration> {
    let object = context.caches.roles.get(&reference(&key))?;
    reconcile::reconcile(object, context).await
}

/// Puts an object on the agenda, straight away: who is woken often waits once, also while nobody works yet.
pub fn wake(context: &Context, object: ObjectRef<GuardedRole>) {
    wake_key(context, Arc::new(of(object)));
}

fn wake_key(context: &Context, key: Arc<Key>) {
    match context.caches.roles.get(&reference(&key)) {
        Some(object) => {
            let uid = object.meta().uid.as_deref().unwrap_or_default();
            let (hurried, read) = (context.was_hurried(uid), object.read().ok());
            let urgency = reconcile::urgency(&object, read.as_ref(), hurried);
            let account = read.and_then(|object| account(context, uid, &object));
            context.agenda.wake(key, urgency, account, Instant::now());
            context.news.notify_one();
        }
        // It had no finalizer of ours, or was let go.
        None => context.agenda.forget(&key),
    }
}

/// The account of an object's role: where it is, or where its class would place it.
fn account(context: &Context, uid: &str, object: &MlServiceRole) -> Option<AccountId> {
    if !context.class_accounts.are_several() {
        return None;
    }
    let record = context.known_record(uid);
    let known = record.as_ref().and_then(|record| record.try_lock().ok());
    let target = known.and_then(|record| Some(record.target()?.role_arn.account().clone()));
    let placed = || placement(object).ok().flatten();
    let by_class = || {
        let defaults = || observe::default_classes(context).into_iter().next();
        let class = object.spec.class_name.clone().or_else(defaults)?;
        context.class_accounts.of(&class)
    };
    target
        .or_else(|| Some(placed()?.role_arn.account().clone()))
        .or_else(by_class)
}

fn of(reference: ObjectRef<GuardedRole>) -> Key {
    Key {
        namespace: reference.namespace.unwrap_or_default(),
        name: reference.name,
    }
}

fn reference(key: &Key) -> ObjectRef<GuardedRole> {
    ObjectRef::new(&key.name).within(&key.namespace)
}
