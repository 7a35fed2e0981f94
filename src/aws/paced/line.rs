//! Who goes next: the more urgent first, and among equals one of each namespace in turn.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::Urgency;

/// Those who wait.
pub(super) struct Line<T>(BTreeMap<Urgency, Ring<T>>);

/// Namespaces in the order of their turns, each with those who wait in it. None is empty.
struct Ring<T> {
    turns: VecDeque<String>,
    waiting: HashMap<String, VecDeque<T>>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Line<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, urgency: Urgency, namespace: &str, who: T) {
        let ring = self.0.entry(urgency).or_insert_with(|| Ring {
            turns: VecDeque::new(),
            waiting: HashMap::new(),
        });
        match ring.waiting.get_mut(namespace) {
            Some(others) => others.push_back(who),
            None => {
                ring.turns.push_back(namespace.to_owned());
                ring.waiting.insert(namespace.to_owned(), VecDeque::from([who]));
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let mut most_urgent = self.0.first_entry()?;
        let ring = most_urgent.get_mut();
        let namespace = ring.turns.pop_front()?;
        let others = ring.waiting.get_mut(&namespace)?;
        let who = others.pop_front();
        if others.is_empty() {
            ring.waiting.remove(&namespace);
        } else {
            ring.turns.push_back(namespace);
        }
        if ring.turns.is_empty() {
            most_urgent.remove();
        }
        who
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_urgent_goes_first_and_namespaces_take_turns() {
        let mut line = Line::default();
        for (urgency, namespace, who) in [
            (Urgency::Routine, "a", "look at a"),
            (Urgency::Urgent, "a", "a1"),
            (Urgency::Urgent, "a", "a2"),
            (Urgency::Urgent, "a", "a3"),
            (Urgency::Urgent, "b", "b1"),
            (Urgency::Routine, "c", "look at c"),
        ] {
            line.push(urgency, namespace, who);
        }
        let mut order = Vec::new();
        while let Some(who) = line.pop() {
            order.push(who);
        }
        assert_eq!(order, ["a1", "b1", "a2", "a3", "look at a", "look at c"]);
        assert!(line.is_empty());
    }

    #[test]
    fn one_behind_a_thousand_of_another_namespace_is_the_second() {
        let mut line = Line::default();
        for _ in 0..1000 {
            line.push(Urgency::Urgent, "a", "a");
        }
        line.push(Urgency::Urgent, "b", "b");
        assert_eq!([line.pop(), line.pop()], [Some("a"), Some("b")]);
    }
}
