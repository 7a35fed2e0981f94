//! What is to be worked on: which objects wait and in which order they are served, which are being worked on, and which
//! have a time at which they are looked at again. Knows names only, works on nothing, and keeps nothing of an object that
//! is in order.
//!
//! Who works on an object holds its place while a call waits for the pace of its account. So an account has three quarters
//! of the places at most while objects of another one wait: one that lets two calls a second through doesn't hold up all.
//!
//! kube's own queue serves who came first and polls everything that is under way at each step; with a queue of thousands
//! the one is unfair and the other takes a core.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::fair_queue::{Queue, Urgency};
use crate::iam::arn::AccountId;

/// An object.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

/// See the module.
#[derive(Default)]
pub struct Agenda(Mutex<State>);

/// An object in a queue.
#[derive(Debug)]
struct Entry {
    key: Arc<Key>,
    ticket: u64,
}

#[derive(Default)]
struct State {
    queue: Queue<Entry>,
    /// Those whose turn came while their account had its share.
    held: BTreeMap<AccountId, Queue<Entry>>,
    /// Objects being worked on, by account.
    working: HashMap<AccountId, usize>,
    phases: HashMap<Arc<Key>, Phase>,
    later: BTreeSet<(Instant, Arc<Key>)>,
    tickets: u64,
}

enum Phase {
    Waiting(Waiting),
    Working {
        again: Option<Urgency>,
        account: Option<AccountId>,
    },
    Later(Instant),
}

struct Waiting {
    ticket: u64,
    urgency: Urgency,
    account: Option<AccountId>,
    since: Instant,
}

impl Agenda {
    /// Something happened to an object, or its time has come. `account` is where its role is, as far as that is known.
    pub fn wake(&self, key: Arc<Key>, urgency: Urgency, account: Option<AccountId>, now: Instant) {
        let mut state = self.lock();
        match state.phases.get_mut(&key) {
            Some(Phase::Working { again, .. }) => {
                let is_urgent = urgency == Urgency::Urgent || *again == Some(Urgency::Urgent);
                *again = Some(if is_urgent {
                    Urgency::Urgent
                } else {
                    Urgency::Routine
                });
                return;
            }
            Some(Phase::Waiting(before))
                if before.urgency == urgency || before.urgency == Urgency::Urgent =>
            {
                return;
            }
            Some(Phase::Waiting(_)) => state.withdraw(&key),
            Some(Phase::Later(at)) => {
                let entry = (*at, key.clone());
                state.later.remove(&entry);
            }
            None => {}
        }
        state.push(key, urgency, account, now);
    }

    /// Who is next, who from now on counts as being worked on. So many are worked on at once.
    pub fn next(&self, at_once: usize) -> Option<Arc<Key>> {
        let mut state = self.lock();
        let Entry { key, .. } = state.take((at_once * 3 / 4).max(1))?;
        let account = match state.phases.remove(&key) {
            Some(Phase::Waiting(waiting)) => waiting.account,
            _ => None,
        };
        if let Some(account) = &account {
            *state.working.entry(account.clone()).or_default() += 1;
        }
        let phase = Phase::Working { again: None, account };
        state.phases.insert(key.clone(), phase);
        Some(key)
    }

    /// An object was worked on and wants to be looked at again after this time, or when something happens to it.
    pub fn done(&self, key: Arc<Key>, again_after: Option<Duration>, now: Instant) {
        let mut state = self.lock();
        let (again, account) = match state.phases.remove(&key) {
            Some(Phase::Working { again, account }) => (again, account),
            _ => (None, None),
        };
        if let Some(account) = &account {
            state.gives_up_a_place(account);
        }
        if let Some(urgency) = again {
            state.push(key, urgency, account, now);
        } else if let Some(at) = again_after.and_then(|after| now.checked_add(after)) {
            state.later.insert((at, key.clone()));
            state.phases.insert(key, Phase::Later(at));
        }
    }

    /// Those whose time has come. Each is to be woken.
    pub fn due(&self, now: Instant) -> Vec<Arc<Key>> {
        let state = self.lock();
        let due = state.later.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, key)| key.clone()).collect()
    }

    /// When the time of the next one comes.
    pub fn next_due(&self) -> Option<Instant> {
        self.lock().later.first().map(|(at, _)| *at)
    }

    /// Forgets one that isn't there any more.
    pub fn forget(&self, key: &Key) {
        let mut state = self.lock();
        if let Some((known, Phase::Later(at))) = state.phases.get_key_value(key) {
            let entry = (*at, Arc::clone(known));
            state.later.remove(&entry);
            state.phases.remove(key);
        }
    }

    /// How many wait with this urgency, and for how long the first of them has.
    pub fn waiting(&self, wanted: Urgency) -> (usize, Duration) {
        let state = self.lock();
        let since = || {
            state.phases.values().filter_map(|phase| match phase {
                Phase::Waiting(waiting) if waiting.urgency == wanted => Some(waiting.since),
                _ => None,
            })
        };
        let oldest = since().min().map_or(Duration::ZERO, |since| since.elapsed());
        (since().count(), oldest)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, key: Arc<Key>, urgency: Urgency, account: Option<AccountId>, since: Instant) {
        self.tickets += 1;
        let ticket = self.tickets;
        let entry = Entry {
            key: key.clone(),
            ticket,
        };
        self.queue.push(&key.namespace, urgency, entry);
        let waiting = Waiting {
            ticket,
            urgency,
            account,
            since,
        };
        self.phases.insert(key, Phase::Waiting(waiting));
    }

    /// Takes one that waits out of its queue.
    fn withdraw(&mut self, key: &Key) {
        let Some(Phase::Waiting(waiting)) = self.phases.get(key) else {
            return;
        };
        let is = |entry: &Entry| entry.ticket == waiting.ticket;
        let (namespace, urgency) = (&key.namespace, waiting.urgency);
        if self.queue.remove(namespace, urgency, is).is_none()
            && let Some(account) = &waiting.account
            && let Some(held) = self.held.get_mut(account)
        {
            held.remove(namespace, urgency, is);
            if held.is_empty() {
                self.held.remove(&account.clone());
            }
        }
    }

    /// Whoever was held goes first as soon as its account has less than its share, and else where nobody else waits.
    fn take(&mut self, share: usize) -> Option<Entry> {
        let place = |working: &HashMap<AccountId, usize>, account: &AccountId| {
            working.get(account).is_none_or(|count| *count < share)
        };
        let free = self.held.keys().find(|account| place(&self.working, account));
        if let Some(account) = free.cloned() {
            return self.take_held(&account);
        }
        while let Some(entry) = self.queue.pop() {
            let Some(Phase::Waiting(waiting)) = self.phases.get(&entry.key) else {
                continue;
            };
            match &waiting.account {
                Some(account) if !place(&self.working, account) => {
                    let held = self.held.entry(account.clone()).or_default();
                    let namespace = entry.key.namespace.clone();
                    held.push(&namespace, waiting.urgency, entry);
                }
                _ => return Some(entry),
            }
        }
        let account = self.held.keys().next()?.clone();
        self.take_held(&account)
    }

    fn take_held(&mut self, account: &AccountId) -> Option<Entry> {
        let held = self.held.get_mut(account)?;
        let entry = held.pop();
        if held.is_empty() {
            self.held.remove(account);
        }
        entry
    }

    fn gives_up_a_place(&mut self, account: &AccountId) {
        if let Some(count) = self.working.get_mut(account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.working.remove(account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(5);

    fn key(namespace: &str, name: &str) -> Arc<Key> {
        Arc::new(Key {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    fn names(agenda: &Agenda) -> Vec<String> {
        std::iter::from_fn(|| agenda.next(32))
            .map(|key| key.name.clone())
            .collect()
    }

    #[test]
    fn who_is_woken_often_waits_once() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        for _ in 0..3 {
            agenda.wake(key("a", "one"), Urgency::Routine, None, now);
        }
        agenda.wake(key("a", "two"), Urgency::Routine, None, now);
        assert_eq!(agenda.waiting(Urgency::Routine).0, 2);
        assert_eq!(names(&agenda), ["one", "two"]);
        assert_eq!(agenda.waiting(Urgency::Routine).0, 0);
    }

    #[test]
    fn who_becomes_urgent_while_it_waits_goes_before_others_and_is_served_once() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        agenda.wake(key("a", "look"), Urgency::Routine, None, now);
        agenda.wake(key("a", "changed"), Urgency::Routine, None, now);
        agenda.wake(key("a", "changed"), Urgency::Urgent, None, now);
        agenda.wake(key("a", "changed"), Urgency::Routine, None, now);
        assert_eq!(agenda.waiting(Urgency::Urgent).0, 1);
        assert_eq!(names(&agenda), ["changed", "look"]);
    }

    #[test]
    fn nobody_is_worked_on_twice_at_once_and_nothing_that_happens_meanwhile_is_lost() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        agenda.wake(key("a", "one"), Urgency::Urgent, None, now);
        let one = agenda.next(32).unwrap();
        agenda.wake(one.clone(), Urgency::Urgent, None, now);
        agenda.wake(one.clone(), Urgency::Routine, None, now);
        assert_eq!(agenda.next(32), None);
        // What happened goes before the time that was asked for.
        agenda.done(one.clone(), Some(AFTER), now);
        assert_eq!(agenda.waiting(Urgency::Urgent).0, 1);
        assert_eq!(agenda.next(32), Some(one.clone()));
        agenda.done(one, None, now);
        assert_eq!((agenda.next(32), agenda.next_due()), (None, None));
        assert!(agenda.lock().phases.is_empty());
    }

    #[test]
    fn an_object_comes_again_at_its_time_or_before_it_when_something_happens() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        for name in ["one", "two"] {
            agenda.wake(key("a", name), Urgency::Urgent, None, now);
            let taken = agenda.next(32).unwrap();
            agenda.done(taken, Some(AFTER), now);
        }
        assert_eq!(agenda.next_due(), Some(now + AFTER));
        assert!(agenda.due(now).is_empty());
        agenda.wake(key("a", "two"), Urgency::Urgent, None, now);
        assert_eq!(names(&agenda), ["two"]);
        assert_eq!(agenda.due(now + AFTER), [key("a", "one")]);
        agenda.wake(key("a", "one"), Urgency::Routine, None, now + AFTER);
        assert_eq!(agenda.next_due(), None);
        assert_eq!(names(&agenda), ["one"]);
    }

    #[test]
    fn who_is_gone_has_no_time_any_more() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        agenda.wake(key("a", "one"), Urgency::Urgent, None, now);
        let one = agenda.next(32).unwrap();
        agenda.done(one.clone(), Some(AFTER), now);
        agenda.forget(&one);
        assert!(agenda.due(now + AFTER).is_empty() && agenda.lock().phases.is_empty());
    }

    #[test]
    fn one_object_does_not_wait_for_a_thousand_of_another_namespace() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        for i in 0..1_000 {
            agenda.wake(key("a", &i.to_string()), Urgency::Urgent, None, now);
        }
        agenda.wake(key("b", "single"), Urgency::Urgent, None, now);
        assert_eq!(names(&agenda).iter().position(|name| name == "single"), Some(1));
    }

    fn account(id: &str) -> Option<AccountId> {
        Some(id.parse().unwrap())
    }

    /// So many objects of an account, each in a namespace of its own.
    fn wait(agenda: &Agenda, id: &str, count: usize) {
        for i in 0..count {
            let key = key(&format!("{id}-{i}"), id);
            agenda.wake(key, Urgency::Urgent, account(id), Instant::now());
        }
    }

    const SLOW: &str = "111122223333";
    const OTHER: &str = "444455556666";

    #[test]
    fn an_account_whose_calls_wait_leaves_places_to_another_one() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        wait(&agenda, SLOW, 100);
        wait(&agenda, OTHER, 100);
        let working: Vec<Arc<Key>> = (0..32).filter_map(|_| agenda.next(32)).collect();
        let of = |id: &str| working.iter().filter(|key| key.name == id).count();
        assert_eq!((of(SLOW), of(OTHER)), (24, 8));
        // The other one's objects are soon done, and each place goes to the next of them.
        let mut done = working.iter().find(|key| key.name == OTHER).cloned().unwrap();
        for _ in 8..100 {
            agenda.done(done, None, now);
            done = agenda.next(32).unwrap();
            assert_eq!(done.name, OTHER);
        }
        // Nobody else waits for it.
        agenda.done(done, None, now);
        assert_eq!(agenda.next(32).unwrap().name, SLOW);
    }

    #[test]
    fn an_account_alone_has_all_the_places_and_gives_them_to_another_one_that_comes() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        wait(&agenda, SLOW, 100);
        let mut working: Vec<Arc<Key>> = (0..32).filter_map(|_| agenda.next(32)).collect();
        assert_eq!(working.len(), 32);
        wait(&agenda, OTHER, 1);
        agenda.done(working.pop().unwrap(), None, now);
        assert_eq!(agenda.next(32).unwrap().name, OTHER);
    }

    #[test]
    fn one_that_is_held_becomes_urgent_and_everybody_is_served_once() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        for i in 0..6 {
            agenda.wake(key("a", &i.to_string()), Urgency::Routine, account(SLOW), now);
        }
        let first = agenda.next(4).unwrap();
        // With a share of three, the others are held as soon as three are worked on.
        let (second, third) = (agenda.next(4).unwrap(), agenda.next(4).unwrap());
        let fourth = agenda.next(4).unwrap();
        agenda.wake(key("a", "5"), Urgency::Urgent, account(SLOW), now);
        assert_eq!(agenda.waiting(Urgency::Urgent).0, 1);
        let mut names: Vec<String> = [first, second, third, fourth].map(|key| key.name.clone()).into();
        names.extend((0..2).filter_map(|_| agenda.next(4)).map(|key| key.name.clone()));
        assert_eq!(names[..4], ["0", "1", "2", "3"]);
        names.sort();
        assert_eq!(names, ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(agenda.next(4), None);
        for name in names {
            agenda.done(key("a", &name), None, now);
        }
        let state = agenda.lock();
        assert!(state.working.is_empty() && state.held.is_empty() && state.phases.is_empty());
    }

    /// Each would take a turn of a look that somebody waits for.
    #[test]
    fn who_becomes_urgent_leaves_nothing_behind() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        for _ in 0..100 {
            agenda.wake(key("a", "one"), Urgency::Routine, None, now);
            agenda.wake(key("a", "one"), Urgency::Urgent, None, now);
            let one = agenda.next(32).unwrap();
            agenda.done(one, None, now);
            assert!(agenda.lock().queue.is_empty());
        }
    }
}
