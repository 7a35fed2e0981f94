//! How many objects are worked on at once, and whose turn it is where more wait.
//!
//! What waits is small: the queue's entry and a future that holds nothing but its place in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::fair_queue::{Queue, Urgency};

/// Turns: at most so many are had at once.
pub struct Turns(Arc<Mutex<State>>);

struct State {
    free: usize,
    queue: Queue<Waiting>,
}

struct Waiting {
    since: Instant,
    promise: oneshot::Sender<Turn>,
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
            let since = Instant::now();
            state.queue.push(namespace, urgency, Waiting { since, promise });
            promised
        };
        match promised.await {
            Ok(turn) => turn,
            // The queue is gone, which outlives everybody who waits in it: nobody counts any more.
            Err(_) => Turn(None),
        }
    }

    /// How many wait with this urgency, and for how long the first of them has.
    pub fn waiting(&self, urgency: Urgency) -> (usize, Duration) {
        let state = lock(&self.0);
        let waiting = || {
            let all = state.queue.waiting(urgency);
            all.filter(|waiting| !waiting.promise.is_closed())
        };
        let oldest = waiting().map(|waiting| waiting.since).min();
        (
            waiting().count(),
            oldest.map_or(Duration::ZERO, |since| since.elapsed()),
        )
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
            match next.promise.send(Turn(Some(Arc::clone(&shared)))) {
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
    async fn who_waits_is_counted_until_they_stop() {
        let turns = Turns::new(1);
        let _first = turns.take("a", Urgency::Routine).await;
        let mut second = Box::pin(turns.take("a", Urgency::Urgent));
        let mut third = Box::pin(turns.take("b", Urgency::Urgent));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        std::thread::sleep(Duration::from_millis(2));
        let (depth, oldest) = turns.waiting(Urgency::Urgent);
        assert!(
            depth == 2 && oldest >= Duration::from_millis(2),
            "{depth} {oldest:?}"
        );
        assert_eq!(turns.waiting(Urgency::Routine), (0, Duration::ZERO));
        drop(second);
        assert_eq!(turns.waiting(Urgency::Urgent).0, 1);
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
