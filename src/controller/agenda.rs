//! What is to be worked on: which objects wait and in which order they are served, which are being worked on, and which
//! have a time at which they are looked at again. Knows names only, works on nothing, and keeps nothing of an object that
//! is in order.
//!
//! kube's own queue serves who came first and polls everything that is under way at each step; with a queue of thousands
//! the one is unfair and the other takes a core.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::fair_queue::{Queue, Urgency};

/// An object.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

/// See the module.
#[derive(Default)]
pub struct Agenda(Mutex<State>);

#[derive(Default)]
struct State {
    queue: Queue<(Key, u64)>,
    phases: HashMap<Key, Phase>,
    later: BTreeSet<(Instant, Key)>,
    tickets: u64,
}

enum Phase {
    /// Only the entry with this ticket counts: one that became urgent has a former one.
    Waiting {
        ticket: u64,
        urgency: Urgency,
        since: Instant,
    },
    Working {
        again: Option<Urgency>,
    },
    Later(Instant),
}

impl Agenda {
    /// Something happened to an object, or its time has come.
    pub fn wake(&self, key: Key, urgency: Urgency, now: Instant) {
        let mut state = self.lock();
        match state.phases.get_mut(&key) {
            Some(Phase::Working { again }) => {
                let is_urgent = urgency == Urgency::Urgent || *again == Some(Urgency::Urgent);
                *again = Some(if is_urgent {
                    Urgency::Urgent
                } else {
                    Urgency::Routine
                });
                return;
            }
            Some(Phase::Waiting { urgency: before, .. })
                if *before == urgency || *before == Urgency::Urgent =>
            {
                return;
            }
            Some(Phase::Later(at)) => {
                let entry = (*at, key.clone());
                state.later.remove(&entry);
            }
            Some(Phase::Waiting { .. }) | None => {}
        }
        state.push(key, urgency, now);
    }

    /// Who is next, who from now on counts as being worked on.
    pub fn next(&self) -> Option<Key> {
        let mut state = self.lock();
        loop {
            let (key, ticket) = state.queue.pop()?;
            match state.phases.get_mut(&key) {
                Some(phase @ Phase::Waiting { .. }) if phase.has(ticket) => {
                    *phase = Phase::Working { again: None };
                    return Some(key);
                }
                _ => {}
            }
        }
    }

    /// An object was worked on and wants to be looked at again after this time, or when something happens to it.
    pub fn done(&self, key: Key, again_after: Option<Duration>, now: Instant) {
        let mut state = self.lock();
        let again = match state.phases.remove(&key) {
            Some(Phase::Working { again }) => again,
            _ => None,
        };
        if let Some(urgency) = again {
            state.push(key, urgency, now);
        } else if let Some(at) = again_after.and_then(|after| now.checked_add(after)) {
            state.later.insert((at, key.clone()));
            state.phases.insert(key, Phase::Later(at));
        }
    }

    /// Those whose time has come. Each is to be woken.
    pub fn due(&self, now: Instant) -> Vec<Key> {
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
        if let Some(Phase::Later(at)) = state.phases.get(key) {
            let entry = (*at, key.clone());
            state.later.remove(&entry);
            state.phases.remove(key);
        }
    }

    /// How many wait with this urgency, and for how long the first of them has.
    pub fn waiting(&self, wanted: Urgency) -> (usize, Duration) {
        let state = self.lock();
        let since = || {
            state.phases.values().filter_map(|phase| match phase {
                Phase::Waiting { urgency, since, .. } if *urgency == wanted => Some(*since),
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
    fn push(&mut self, key: Key, urgency: Urgency, since: Instant) {
        self.tickets += 1;
        let ticket = self.tickets;
        let phase = Phase::Waiting {
            ticket,
            urgency,
            since,
        };
        self.queue.push(&key.namespace, urgency, (key.clone(), ticket));
        self.phases.insert(key, phase);
    }
}

impl Phase {
    fn has(&self, wanted: u64) -> bool {
        matches!(self, Phase::Waiting { ticket, .. } if *ticket == wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(5);

    fn key(namespace: &str, name: &str) -> Key {
        Key {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn names(agenda: &Agenda) -> Vec<String> {
        std::iter::from_fn(|| agenda.next()).map(|key| key.name).collect()
    }

    #[test]
    fn who_is_woken_often_waits_once() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        for _ in 0..3 {
            agenda.wake(key("a", "one"), Urgency::Routine, now);
        }
        agenda.wake(key("a", "two"), Urgency::Routine, now);
        assert_eq!(agenda.waiting(Urgency::Routine).0, 2);
        assert_eq!(names(&agenda), ["one", "two"]);
        assert_eq!(agenda.waiting(Urgency::Routine).0, 0);
    }

    #[test]
    fn who_becomes_urgent_while_it_waits_goes_before_others_and_is_served_once() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        agenda.wake(key("a", "look"), Urgency::Routine, now);
        agenda.wake(key("a", "changed"), Urgency::Routine, now);
        agenda.wake(key("a", "changed"), Urgency::Urgent, now);
        agenda.wake(key("a", "changed"), Urgency::Routine, now);
        assert_eq!(agenda.waiting(Urgency::Urgent).0, 1);
        assert_eq!(names(&agenda), ["changed", "look"]);
    }

    #[test]
    fn nobody_is_worked_on_twice_at_once_and_nothing_that_happens_meanwhile_is_lost() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        agenda.wake(key("a", "one"), Urgency::Urgent, now);
        let one = agenda.next().unwrap();
        agenda.wake(one.clone(), Urgency::Urgent, now);
        agenda.wake(one.clone(), Urgency::Routine, now);
        assert_eq!(agenda.next(), None);
        // What happened goes before the time that was asked for.
        agenda.done(one.clone(), Some(AFTER), now);
        assert_eq!(agenda.waiting(Urgency::Urgent).0, 1);
        assert_eq!(agenda.next(), Some(one.clone()));
        agenda.done(one, None, now);
        assert_eq!((agenda.next(), agenda.next_due()), (None, None));
        assert!(agenda.lock().phases.is_empty());
    }

    #[test]
    fn an_object_comes_again_at_its_time_or_before_it_when_something_happens() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        for name in ["one", "two"] {
            agenda.wake(key("a", name), Urgency::Urgent, now);
            let taken = agenda.next().unwrap();
            agenda.done(taken, Some(AFTER), now);
        }
        assert_eq!(agenda.next_due(), Some(now + AFTER));
        assert!(agenda.due(now).is_empty());
        agenda.wake(key("a", "two"), Urgency::Urgent, now);
        assert_eq!(names(&agenda), ["two"]);
        assert_eq!(agenda.due(now + AFTER), [key("a", "one")]);
        agenda.wake(key("a", "one"), Urgency::Routine, now + AFTER);
        assert_eq!(agenda.next_due(), None);
        assert_eq!(names(&agenda), ["one"]);
    }

    #[test]
    fn who_is_gone_has_no_time_any_more() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        agenda.wake(key("a", "one"), Urgency::Urgent, now);
        let one = agenda.next().unwrap();
        agenda.done(one.clone(), Some(AFTER), now);
        agenda.forget(&one);
        assert!(agenda.due(now + AFTER).is_empty() && agenda.lock().phases.is_empty());
    }

    #[test]
    fn one_object_does_not_wait_for_a_thousand_of_another_namespace() {
        let (agenda, now) = (Agenda::default(), Instant::now());
        for i in 0..1_000 {
            agenda.wake(key("a", &i.to_string()), Urgency::Urgent, now);
        }
        agenda.wake(key("b", "single"), Urgency::Urgent, now);
        assert_eq!(names(&agenda).iter().position(|name| name == "single"), Some(1));
    }
}
