//! Who is worked on next, where more objects wait than are worked on at once: what is urgent before what is a routine
//! look, and in both the namespaces one after the other, so that a namespace with a thousand new objects doesn't keep
//! another one's single object waiting.
//!
//! What waits is small: the queue's entry and a future that holds nothing but its place in it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Of so many turns one goes to a routine look if one waits, so that a namespace that never ceases to have urgent work
/// doesn't keep drift from being found everywhere.
const ROUTINE_SHARE: u32 = 8;

/// How soon something is to be worked on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Urgency {
    /// Somebody waits for it: a deletion, a change of a spec or a class.
    Urgent,
    /// A look whether all is as it should be.
    Routine,
}

/// Queues, one for each namespace, that are served in turn.
#[derive(Debug)]
struct Lane<T> {
    /// Namespaces that have something waiting; the first is next.
    ring: VecDeque<String>,
    waiting: HashMap<String, VecDeque<T>>,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            ring: VecDeque::new(),
            waiting: HashMap::new(),
        }
    }
}

impl<T> Lane<T> {
    fn push(&mut self, namespace: &str, item: T) {
        if let Some(queue) = self.waiting.get_mut(namespace) {
            queue.push_back(item);
            return;
        }
        self.ring.push_back(namespace.to_owned());
        self.waiting.insert(namespace.to_owned(), VecDeque::from([item]));
    }

    fn pop(&mut self) -> Option<T> {
        let namespace = self.ring.pop_front()?;
        let queue = self.waiting.get_mut(&namespace)?;
        let item = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.ring.push_back(namespace);
        }
        item
    }
}

/// What waits, in the order in which it is served.
#[derive(Debug)]
pub struct Queue<T> {
    urgent: Lane<T>,
    routine: Lane<T>,
    urgent_in_a_row: u32,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            urgent: Lane::default(),
            routine: Lane::default(),
            urgent_in_a_row: 0,
        }
    }
}

impl<T> Queue<T> {
    /// Adds something, behind what its namespace has waiting.
    pub fn push(&mut self, namespace: &str, urgency: Urgency, item: T) {
        match urgency {
            Urgency::Urgent => self.urgent.push(namespace, item),
            Urgency::Routine => self.routine.push(namespace, item),
        }
    }

    /// What is next.
    pub fn pop(&mut self) -> Option<T> {
        let routine_first = self.urgent_in_a_row + 1 >= ROUTINE_SHARE;
        if routine_first && let Some(item) = self.routine.pop() {
            self.urgent_in_a_row = 0;
            return Some(item);
        }
        if let Some(item) = self.urgent.pop() {
            self.urgent_in_a_row = self.urgent_in_a_row.saturating_add(1);
            return Some(item);
        }
        self.urgent_in_a_row = 0;
        self.routine.pop()
    }
}

/// Turns: at most so many are had at once.
pub struct Turns(Arc<Mutex<State>>);

struct State {
    free: usize,
    queue: Queue<oneshot::Sender<Turn>>,
}

/// A turn, until dropped.
pub struct Turn(Option<Arc<Mutex<State>>>);

impl Turns {
    /// So many at once; at least one.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: at_once.max(1),
            queue: Queue::default(),
        })))
    }

    /// Waits for a turn. Whoever stops waiting leaves nothing behind that others would wait for.
    pub async fn take(&self, namespace: &str, urgency: Urgency) -> Turn {
        let promised = {
            let mut state = lock(&self.0);
            if state.free > 0 {
                // Nobody waits while a turn is free.
                state.free -= 1;
                return Turn(Some(Arc::clone(&self.0)));
            }
            let (promise, promised) = oneshot::channel();
            state.queue.push(namespace, urgency, promise);
            promised
        };
        match promised.await {
            Ok(turn) => turn,
            // The queue is gone, which outlives everybody who waits in it: nobody counts any more.
            Err(_) => Turn(None),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else { return };
        loop {
            let next = {
                let mut state = lock(&shared);
                match state.queue.pop() {
                    Some(next) => next,
                    None => {
                        state.free += 1;
                        return;
                    }
                }
            };
            // Handed on directly, so that nobody comes in between; back if whoever waited is gone.
            match next.send(Turn(Some(Arc::clone(&shared)))) {
                Ok(()) => return,
                Err(mut refused) => refused.0 = None,
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // No code that holds the lock can panic half-way through a change.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::time::timeout;

    use super::*;

    fn drained<T>(queue: &mut Queue<T>) -> Vec<T> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn one_object_of_a_namespace_does_not_wait_for_a_thousand_of_another() {
        let mut queue = Queue::default();
        for i in 0..1_000 {
            queue.push("a", Urgency::Urgent, ("a", i));
        }
        queue.push("b", Urgency::Urgent, ("b", 0));
        let order = drained(&mut queue);
        assert_eq!(order.iter().position(|(namespace, _)| *namespace == "b"), Some(1));
        assert_eq!(order.len(), 1_001);
    }

    #[test]
    fn within_a_namespace_the_first_is_served_first() {
        let mut queue = Queue::default();
        for (namespace, i) in [("a", 0), ("b", 1), ("a", 2), ("c", 3), ("a", 4), ("b", 5)] {
            queue.push(namespace, Urgency::Routine, i);
        }
        assert_eq!(drained(&mut queue), [0, 1, 3, 2, 5, 4]);
    }

    #[test]
    fn urgent_work_goes_before_routine_looks() {
        let mut queue = Queue::default();
        queue.push("a", Urgency::Routine, "look");
        queue.push("a", Urgency::Urgent, "delete");
        assert_eq!(drained(&mut queue), ["delete", "look"]);
    }

    #[test]
    fn urgent_work_without_end_leaves_turns_for_routine_looks() {
        let mut queue = Queue::default();
        for _ in 0..10 {
            queue.push("b", Urgency::Routine, false);
        }
        let mut looks = 0;
        for _ in 0..80 {
            queue.push("a", Urgency::Urgent, true);
            looks += usize::from(queue.pop() == Some(false));
        }
        assert_eq!(looks, 10);
    }

    #[test]
    fn nothing_is_kept_of_a_namespace_that_waits_for_nothing() {
        let mut queue = Queue::default();
        queue.push("a", Urgency::Routine, 1);
        assert_eq!(queue.pop(), Some(1));
        assert_eq!(queue.pop(), None);
        assert!(queue.routine.ring.is_empty() && queue.routine.waiting.is_empty());
    }

    #[tokio::test]
    async fn so_many_have_a_turn_at_once_and_no_more() {
        let turns = Turns::new(2);
        let first = turns.take("a", Urgency::Routine).await;
        let _second = turns.take("a", Urgency::Routine).await;
        let mut third = Box::pin(turns.take("a", Urgency::Routine));
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        timeout(Duration::from_secs(1), third).await.unwrap();
    }

    #[tokio::test]
    async fn who_stops_waiting_or_goes_with_a_turn_in_hand_holds_nobody_up() {
        let turns = Turns::new(1);
        let first = turns.take("a", Urgency::Routine).await;
        let mut gone: Vec<_> = (0..10_000)
            .map(|_| Box::pin(turns.take("a", Urgency::Routine)))
            .collect();
        for waiting in &mut gone {
            assert!(waiting.now_or_never().is_none());
        }
        let mut stays = Box::pin(turns.take("b", Urgency::Routine));
        assert!((&mut stays).now_or_never().is_none());
        let promised = gone.remove(0);
        drop(gone);
        // The turn is promised to one that is never polled again.
        drop(first);
        drop(promised);
        timeout(Duration::from_secs(1), stays).await.unwrap();
        assert!(turns.take("a", Urgency::Routine).now_or_never().is_some());
    }
}
