//! Looking for drift in whole accounts at once, and waking the objects that it concerns.
//!
//! One round each interval: which accounts hold roles of ours, how each is looked at (`plan::sweep::choose`), and a pass
//! over the lists of each. Where lists can't be had, or cost more, the objects are woken one by one, spread over the
//! interval, to read their roles themselves. Writes nothing to AWS.

mod account;
pub mod method;
pub mod pass;
mod state;
pub mod strays;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

pub use self::state::{Findings, Report, Sweeps};

use self::account::{Accounting, Memory, Ours};
use self::pass::Target;
use super::context::{Context, GuardedClass, GuardedRole};
use super::marks::{carries_finalizer, placement};
use super::reach::account_ref;
use super::workers;
use crate::api::condition::events;
use crate::aws::Session;
use crate::aws::paced::Paced;
use crate::cluster::Event;
use crate::fair_queue::Urgency;
use crate::guard::ClassRules;
use crate::iam::arn::{AccountId, RoleArn};
use crate::plan::sweep::{Method, Noted, Why};

/// Accounts that are gone through at the same time.
const ACCOUNTS_AT_ONCE: usize = 8;
/// Objects that are woken in a second after a start without lists.
const WOKEN_A_SECOND: u32 = 50;

/// A class, as far as a sweep needs it.
struct SweptClass {
    rules: Arc<ClassRules>,
    session: Arc<Session>,
}

impl SweptClass {
    fn iam(&self) -> Paced {
        self.session.iam_for("", Urgency::Routine)
    }
}

/// Goes round until the future is dropped.
pub async fn run(context: Arc<Context>) {
    let mut memories: HashMap<AccountId, Memory> = HashMap::new();
    let mut first = true;
    loop {
        let began = Instant::now();
        let each = round(&context, &mut memories).await;
        context.sweeps.open();
        if first {
            wake_forgotten(&context, &each);
        }
        let next = began + jittered(context.timing.sweep_interval, chance());
        let over = if first {
            Duration::from_secs(1) * u32::try_from(each.len()).unwrap_or(u32::MAX) / WOKEN_A_SECOND
        } else {
            next.saturating_duration_since(Instant::now())
        };
        // Whoever is the last has a turn too: the next round doesn't begin before.
        tokio::join!(take_turns(&context, each, over), sleep_until(next));
        first = false;
    }
}

/// One round. Answers whose roles are to be read one by one.
async fn round(context: &Arc<Context>, memories: &mut HashMap<AccountId, Memory>) -> Vec<Arc<Ours>> {
    let mut ours = ours(context);
    context
        .sweeps
        .keep(&ours.keys().cloned().collect(), &reached_before(context));
    let classes = classes(context).await;
    let mut accounts: BTreeMap<AccountId, Vec<SweptClass>> = BTreeMap::new();
    for class in classes {
        accounts
            .entry(class.session.account.clone())
            .or_default()
            .push(class);
    }
    let mut each = Vec::new();
    let mut jobs = Vec::new();
    for (id, classes) in accounts {
        let targets = ours.remove(&id).unwrap_or_default();
        let memory = memories.remove(&id).unwrap_or_default();
        jobs.push(Accounting::new(id, classes, targets, memory));
    }
    memories.clear();
    let mut done = futures::stream::iter(jobs.into_iter().map(|job| job.look(context)))
        .buffer_unordered(ACCOUNTS_AT_ONCE);
    while let Some(looked) = done.next().await {
        each.extend(looked.each);
        memories.insert(looked.account, looked.memory);
    }
    // Of accounts that no class reaches now; the objects themselves say why.
    each.extend(ours.into_values().flatten());
    each
}

/// The objects whose roles are to be looked at, by account.
fn ours(context: &Context) -> HashMap<AccountId, Vec<Arc<Ours>>> {
    let mut ours: HashMap<AccountId, Vec<Arc<Ours>>> = HashMap::new();
    for cached in context.caches.roles.state() {
        if !cached.is_readable() || cached.meta().deletion_timestamp.is_some() {
            continue;
        }
        let uid = cached.uid().unwrap_or_default();
        let known = context.known_record(&uid);
        let known = known.as_ref().and_then(|record| record.try_lock().ok());
        let found = known.and_then(|record| record.target().cloned());
        // The cheap question first: the annotation is unpacked.
        let placed = || {
            let placed = carries_finalizer(&*cached).then(|| placement(&*cached));
            placed?.ok().flatten().map(Arc::new)
        };
        let Some(placement) = found.or_else(placed) else {
            continue;
        };
        let account = placement.role_arn.account().clone();
        ours.entry(account).or_default().push(Arc::new(Ours {
            object: cached,
            placement,
        }));
    }
    ours
}

/// The accounts that classes reached, as they say. Whether they are reached now remains to be seen.
fn reached_before(context: &Context) -> HashSet<AccountId> {
    let classes = context.caches.classes.state();
    let told = classes
        .iter()
        .filter_map(|class| class.read().ok()?.status?.account_id);
    told.filter_map(|account| account.parse().ok()).collect()
}

/// The classes whose account can be reached, in the order of their names.
async fn classes(context: &Context) -> Vec<SweptClass> {
    let mut cached = context.caches.classes.state();
    cached.sort_by_key(|class| class.name_any());
    // One whose account doesn't answer holds up no other.
    let reached = cached.iter().map(|class| reach(class, context));
    futures::future::join_all(reached)
        .await
        .into_iter()
        .flatten()
        .collect()
}

async fn reach(class: &Arc<GuardedClass>, context: &Context) -> Option<SweptClass> {
    // One that is being deleted serves only deletions, which look for themselves.
    if class.meta().deletion_timestamp.is_some() {
        return None;
    }
    let known = context.known_classes.of(class).ok()?;
    let rules = known.rules.clone().ok()?;
    match context.accounts.session(&account_ref(&rules)).await {
        Ok(session) => Some(SweptClass { rules, session }),
        Err(error) => {
            debug!(class = rules.name, %error, "the account of a class can't be reached by its credentials");
            let findings = Findings::of(&Method::Each(Why::Unreachable), None);
            context.sweeps.note_class(&rules.name, findings);
            None
        }
    }
}

/// Wakes those that waited for the first round and that it didn't show: they look for themselves.
fn wake_forgotten(context: &Context, each: &[Arc<Ours>]) {
    let later: HashSet<&str> = each.iter().map(|ours| ours.uid()).collect();
    for cached in context.caches.roles.state() {
        let uid = cached.uid().unwrap_or_default();
        let record = context.known_record(&uid);
        // One that is held may be about to begin to wait.
        let waits = record.is_some_and(|record| record.try_lock().map_or(true, |record| record.awaits_sweep));
        if waits && !later.contains(uid.as_str()) {
            wake(context, &cached);
        }
    }
}

/// Wakes objects one by one, so that each reads its role for itself once in a while.
async fn take_turns(context: &Context, mut each: Vec<Arc<Ours>>, over: Duration) {
    let Ok(count) = u32::try_from(each.len()) else {
        return;
    };
    if count == 0 {
        return;
    }
    let (began, noticed) = (Instant::now(), context.now());
    let half = context.timing.sweep_interval / 2;
    // Uids are random, so that no namespace has all its turns together, and the order is the same each time.
    each.sort_by(|a, b| a.uid().cmp(b.uid()));
    for (ours, turn) in each.iter().zip(1..=count) {
        // The last one too has time to read before it is asked whether roles are read.
        sleep_until(began + over * turn / count.saturating_add(1)).await;
        let Some(record) = context.known_record(ours.uid()) else {
            continue;
        };
        let noted = match record.try_lock() {
            Ok(mut record) => {
                // Each turn by its own time: the one before it is an interval ago.
                let recently = context.now().saturating_sub(half);
                let noted = record.knowledge_mut(ours.arn().name()).note_turn(recently);
                record.rest();
                noted
            }
            // Somebody looks at it just now.
            Err(_) => Noted::Ignored,
        };
        if noted == Noted::Differs {
            wake(context, &ours.object);
        }
    }
    sleep_until(began + over).await;
    note_reads(context, &each, noticed.saturating_sub(half));
}

/// Notes of which accounts roles were read since then. One role is enough: an account that answers is looked at, and of
/// roles that can't be read their objects tell.
fn note_reads(context: &Context, each: &[Arc<Ours>], since: Duration) {
    let is_read = |ours: &&Arc<Ours>| {
        let record = context.known_record(ours.uid());
        // Whoever holds it reads or writes the role at this moment, which may fail.
        let known = record.as_ref().and_then(|record| record.try_lock().ok());
        known.is_some_and(|record| record.is_known_since(ours.arn().name(), since))
    };
    let read: HashSet<&AccountId> = each
        .iter()
        .filter(is_read)
        .map(|ours| ours.arn().account())
        .collect();
    for account in read {
        context.sweeps.note_reads(account, SystemTime::now());
    }
}

fn wake(context: &Context, object: &GuardedRole) {
    workers::wake(context, ObjectRef::from_obj(object));
}

/// Operators of several clusters that were started together shouldn't ask together for ever: from nine tenths of the
/// interval to the whole, as `chance` has it.
fn jittered(interval: Duration, chance: u64) -> Duration {
    let thousandths = u32::try_from(chance % 1_000).unwrap_or(0);
    interval.mul_f64(0.9 + f64::from(thousandths) / 10_000.0)
}

fn chance() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

fn orphaned(message: String) -> Event {
    Event {
        warning: true,
        reason: events::ORPHANED_ROLES.to_owned(),
        note: message,
        action: "Sweep",
    }
}

fn target(ours: Arc<Ours>, outside: bool, bounded: bool) -> Target<Arc<Ours>> {
    Target {
        name: ours.arn().name().clone(),
        outside,
        bounded,
        of: ours,
    }
}

fn is_under(arn: &RoleArn, prefixes: &[String]) -> bool {
    let path = arn.path().as_str();
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_begin_between_nine_tenths_of_the_interval_and_the_whole_apart() {
        let interval = Duration::from_secs(300);
        assert_eq!(jittered(interval, 0), interval.mul_f64(0.9));
        for chance in (0..5_000).chain([u64::MAX]) {
            let next = jittered(interval, chance);
            assert!(
                next >= interval.mul_f64(0.9) && next < interval,
                "{chance}: {next:?}"
            );
        }
        let all: HashSet<Duration> = (0..1_000).map(|chance| jittered(interval, chance)).collect();
        assert_eq!(all.len(), 1_000, "spread evenly");
    }

    #[test]
    fn two_operators_that_begin_together_do_not_go_on_together() {
        let chances: HashSet<u64> = (0..16).map(|_| chance() % 1_000).collect();
        assert!(chances.len() > 1);
    }
}
