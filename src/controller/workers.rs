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
use super::reconcile;

/// Works until `stop`, and then ends what is under way.
pub async fn run(context: Arc<Context>, at_once: usize, stop: CancellationToken) {
    let agenda = &context.agenda;
    let mut work = JoinSet::new();
    let mut keys = HashMap::new();
    loop {
        while work.len() < at_once.max(1)
            && let Some(key) = agenda.next()
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

async fn one(context: Arc<Context>, key: Key) -> Option<std::time::Duration> {
    let object = context.caches.roles.get(&reference(&key))?;
    reconcile::reconcile(object, context).await
}

/// Puts an object on the agenda, straight away: who is woken often waits once, also while nobody works yet.
pub fn wake(context: &Context, object: ObjectRef<GuardedRole>) {
    wake_key(context, of(object));
}

fn wake_key(context: &Context, key: Key) {
    match context.caches.roles.get(&reference(&key)) {
        Some(object) => {
            let hurried = context.was_hurried(object.meta().uid.as_deref().unwrap_or_default());
            let urgency = reconcile::urgency(&object, hurried);
            context.agenda.wake(key, urgency, Instant::now());
            context.news.notify_one();
        }
        // It had no finalizer of ours, or was let go.
        None => context.agenda.forget(&key),
    }
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
