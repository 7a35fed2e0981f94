//! What the proxy saw: every call, how far each role has come, and the connections.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::objects::{INLINE, MANAGED};
use crate::shared::forward::is_write;

/// One call, when it was answered.
#[derive(Clone, Debug)]
pub struct Call {
    pub at: Instant,
    pub took: Duration,
    pub action: String,
    /// Empty where the call isn't about one role.
    pub role: String,
    /// The policy that it is about, if any.
    pub subject: String,
    pub boundary: Option<String>,
    /// Of a list: whether it is its first page.
    pub first_page: bool,
    pub outcome: Outcome,
    /// Sent and received.
    pub bytes: (usize, usize),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    Done,
    Throttled,
    Failed,
}

/// Connections that the client made.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    pub total: usize,
    /// The most that were open at once.
    pub at_once: usize,
}

/// See the module. Shared by all connections.
pub struct Record {
    state: Mutex<State>,
    changed: watch::Sender<usize>,
    open: Arc<AtomicUsize>,
    most_open: AtomicUsize,
    connections: AtomicUsize,
}

/// What the calls so far have come to.
#[derive(Default)]
pub struct State {
    pub calls: Vec<Call>,
    roles: HashMap<String, Role>,
    /// How many roles have all that an object of the benchmark asks for.
    pub complete: usize,
    /// When that number last grew.
    pub completed: Option<Instant>,
}

#[derive(Default)]
struct Role {
    exists: bool,
    inline: BTreeSet<String>,
    attached: BTreeSet<String>,
    boundary: Option<String>,
}

/// Counts a connection as open until it is dropped.
pub struct Open(Arc<AtomicUsize>);

impl Outcome {
    pub fn of(status: u16, body: &[u8]) -> Outcome {
        if (200..300).contains(&status) {
            Outcome::Done
        } else if String::from_utf8_lossy(body).contains("<Code>Throttling</Code>") {
            Outcome::Throttled
        } else {
            Outcome::Failed
        }
    }
}

impl Call {
    /// Whether it can change anything in AWS.
    pub fn writes(&self) -> bool {
        is_write(&self.action)
    }
}

impl Default for Record {
    fn default() -> Self {
        Record {
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            open: Arc::default(),
            most_open: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        }
    }
}

impl Record {
    pub fn add(&self, call: Call) {
        let mut state = self.state.lock().unwrap();
        if call.outcome == Outcome::Done {
            state.note(&call);
        }
        state.calls.push(call);
        let count = state.calls.len();
        drop(state);
        self.changed.send_replace(count);
    }

    /// A place in the record; see [`Record::since`].
    pub fn mark(&self) -> usize {
        self.state.lock().unwrap().calls.len()
    }

    /// The calls after `mark`.
    pub fn since(&self, mark: usize) -> Vec<Call> {
        self.state.lock().unwrap().calls[mark..].to_vec()
    }

    /// The permissions boundary that a role was last given.
    pub fn boundary(&self, role: &str) -> Option<String> {
        self.state.lock().unwrap().roles.get(role)?.boundary.clone()
    }

    /// How many roles are complete, and since when.
    pub fn complete(&self) -> (usize, Option<Instant>) {
        let state = self.state.lock().unwrap();
        (state.complete, state.completed)
    }

    /// Waits until `check` holds, at most until `deadline`; whether it holds.
    pub async fn until(&self, deadline: Instant, check: impl Fn(&State) -> bool) -> bool {
        let mut changed = self.changed.subscribe();
        loop {
            if check(&self.state.lock().unwrap()) {
                return true;
            }
            if timeout_at(deadline, changed.changed()).await.is_err() {
                return check(&self.state.lock().unwrap());
            }
        }
    }

    /// Waits until no call came for `period`; false if that isn't so within `longest`.
    pub async fn quiet(&self, period: Duration, longest: Duration) -> bool {
        let end = Instant::now() + longest;
        let mut changed = self.changed.subscribe();
        changed.mark_unchanged();
        while Instant::now() < end {
            if timeout(period, changed.changed()).await.is_err() {
                return true;
            }
        }
        false
    }

    pub fn connections(&self) -> Connections {
        Connections {
            total: self.connections.load(Ordering::SeqCst),
            at_once: self.most_open.load(Ordering::SeqCst),
        }
    }

    pub fn connected(&self) -> Open {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_open.fetch_max(open, Ordering::SeqCst);
        Open(self.open.clone())
    }
}

impl State {
    fn note(&mut self, call: &Call) {
        if call.role.is_empty() {
            return;
        }
        let role = self.roles.entry(call.role.clone()).or_default();
        let before = role.is_complete();
        match call.action.as_str() {
            "CreateRole" => {
                role.exists = true;
                role.boundary = call.boundary.clone();
            }
            "DeleteRole" => *role = Role::default(),
            "PutRolePermissionsBoundary" => role.boundary = call.boundary.clone(),
            "DeleteRolePermissionsBoundary" => role.boundary = None,
            "PutRolePolicy" => {
                role.inline.insert(call.subject.clone());
            }
            "DeleteRolePolicy" => {
                role.inline.remove(&call.subject);
            }
            "AttachRolePolicy" => {
                role.attached.insert(call.subject.clone());
            }
            "DetachRolePolicy" => {
                role.attached.remove(&call.subject);
            }
            _ => {}
        }
        match (before, role.is_complete()) {
            (false, true) => {
                self.complete += 1;
                self.completed = Some(call.at);
            }
            (true, false) => self.complete -= 1,
            _ => {}
        }
    }
}

impl Role {
    fn is_complete(&self) -> bool {
        self.exists && self.inline.len() == INLINE && self.attached.len() == MANAGED.len()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How many calls of each action, by what counts them in.
pub fn by_action<'a>(calls: impl Iterator<Item = &'a Call>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call.action.clone()).or_default() += 1;
    }
    counts
}
