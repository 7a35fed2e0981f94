//! Who goes next where more wait than are served: what is urgent before what is a routine look, and in both the
//! namespaces one after the other, so that a namespace with a thousand new objects doesn't keep another one's single
//! object waiting. Says the order only; it waits for nothing.

use std::collections::{HashMap, VecDeque};

/// Of so many turns one goes to a routine look if one waits, so that a namespace that never ceases to have urgent work
/// doesn't keep drift from being found everywhere.
const ROUTINE_SHARE: u32 = 8;

/// How soon something is to be worked on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Urgency {
    /// Somebody waits for it: a new or changed object or class, or one that is being deleted.
    Urgent,
    /// A look at something that is believed to be as it should.
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

    fn remove(&mut self, namespace: &str, is: impl Fn(&T) -> bool) -> Option<T> {
        let queue = self.waiting.get_mut(namespace)?;
        let item = queue.remove(queue.iter().position(is)?);
        if queue.is_empty() {
            self.waiting.remove(namespace);
            self.ring.retain(|there| there != namespace);
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

    /// Takes something out that was added with this namespace and urgency: it takes nobody's turn.
    pub fn remove(&mut self, namespace: &str, urgency: Urgency, is: impl Fn(&T) -> bool) -> Option<T> {
        match urgency {
            Urgency::Urgent => self.urgent.remove(namespace, is),
            Urgency::Routine => self.routine.remove(namespace, is),
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.urgent.ring.is_empty() && self.routine.ring.is_empty()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        let waiting = |lane: &Lane<T>| lane.waiting.values().map(VecDeque::len).sum::<usize>();
        waiting(&self.urgent) + waiting(&self.routine)
    }

    /// All that waits with this urgency, in no order.
    pub fn waiting(&self, urgency: Urgency) -> impl Iterator<Item = &T> {
        let lane = match urgency {
            Urgency::Urgent => &self.urgent,
            Urgency::Routine => &self.routine,
        };
        lane.waiting.values().flatten()
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

#[cfg(test)]
mod tests {
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
    fn what_is_taken_out_is_gone_and_the_others_keep_their_order() {
        let mut queue = Queue::default();
        for (namespace, i) in [("a", 0), ("b", 1), ("a", 2), ("c", 3)] {
            queue.push(namespace, Urgency::Routine, i);
        }
        assert_eq!(queue.remove("a", Urgency::Urgent, |i| *i == 2), None);
        assert_eq!(queue.remove("a", Urgency::Routine, |i| *i == 2), Some(2));
        assert_eq!(queue.remove("b", Urgency::Routine, |i| *i == 1), Some(1));
        assert_eq!(queue.remove("b", Urgency::Routine, |i| *i == 1), None);
        assert_eq!(drained(&mut queue), [0, 3]);
        assert!(queue.routine.waiting.is_empty() && queue.routine.ring.is_empty());
    }

    #[test]
    fn nothing_is_kept_of_a_namespace_that_waits_for_nothing() {
        let mut queue = Queue::default();
        queue.push("a", Urgency::Routine, 1);
        assert_eq!(queue.pop(), Some(1));
        assert_eq!(queue.pop(), None);
        assert!(queue.is_empty() && queue.routine.waiting.is_empty());
    }
}
