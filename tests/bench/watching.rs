//! The objects as a watch shows them: when each became ready, when it went, and what it complained of meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use mlservicerole_operator::api::MlServiceRole;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::objects::{Key, LABEL};

/// The watch of one scenario's objects, until it is dropped.
pub struct Watching {
    seen: Arc<Seen>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    state: Mutex<State>,
    changed: watch::Sender<usize>,
}

/// What was seen.
#[derive(Default)]
pub struct State {
    /// When an object was first ready as it was asked for.
    pub ready: HashMap<Key, Instant>,
    /// When an object went.
    pub gone: HashMap<Key, Instant>,
    /// The last reason for which an object said that it isn't ready.
    pub unready: BTreeMap<Key, String>,
    /// Objects that ever said that an attempt failed, with the reason.
    pub failed: BTreeMap<Key, String>,
    events: usize,
}

impl Watching {
    pub fn start(client: &Client, scenario: &str) -> Watching {
        let roles: Api<MlServiceRole> = Api::all(client.clone());
        let config = watcher::Config::default().labels(&format!("{LABEL}={scenario}"));
        let seen: Arc<Seen> = Arc::default();
        let keeping = seen.clone();
        let task = tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher(roles, config).default_backoff());
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(object) | Event::InitApply(object)) => keeping.note(&object),
                    Ok(Event::Delete(object)) => keeping.went(&object),
                    Ok(Event::Init | Event::InitDone) => {}
                    Err(error) => eprintln!("the watch of the objects is taken up again: {error}"),
                }
            }
        });
        Watching { seen, task }
    }

    /// Waits until `check` holds, at most until `deadline`; whether it holds.
    pub async fn until(&self, deadline: Instant, check: impl Fn(&State) -> bool) -> bool {
        let mut changed = self.seen.changed.subscribe();
        loop {
            if self.look(&check) {
                return true;
            }
            if timeout_at(deadline, changed.changed()).await.is_err() {
                return self.look(&check);
            }
        }
    }

    pub fn look<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.seen.state.lock().unwrap())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn note(&self, object: &MlServiceRole) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap();
        let key = key(object);
        let status = object.status.as_ref();
        let current = status.and_then(|status| status.observed_generation) == object.metadata.generation;
        let condition = status
            .into_iter()
            .flat_map(|status| &status.conditions)
            .find(|condition| condition.type_ == "Ready");
        match condition {
            Some(condition) if current && condition.status == "True" => {
                state.unready.remove(&key);
                state.ready.entry(key).or_insert(now);
            }
            Some(condition) => {
                let said = format!("{}: {}", condition.reason, condition.message);
                if condition.status == "False" {
                    state.failed.insert(key.clone(), said.clone());
                }
                state.unready.insert(key, said);
            }
            None => {
                state
                    .unready
                    .insert(key, "the operator hasn't written a status".into());
            }
        }
        self.tell(state);
    }

    fn went(&self, object: &MlServiceRole) {
        let mut state = self.state.lock().unwrap();
        state.unready.remove(&key(object));
        state.gone.insert(key(object), Instant::now());
        self.tell(state);
    }

    fn tell(&self, mut state: std::sync::MutexGuard<'_, State>) {
        state.events += 1;
        let events = state.events;
        drop(state);
        self.changed.send_replace(events);
    }
}

fn key(object: &MlServiceRole) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}
