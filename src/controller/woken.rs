//! Names that wait to be looked at, each once however often it is woken: so many events may come while nobody looks that
//! a queue of them would have no bound.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// See the module. For one who looks.
#[derive(Debug, Default)]
pub struct Woken {
    names: Mutex<BTreeSet<String>>,
    news: Notify,
}

impl Woken {
    /// Something happened to the one of this name.
    pub fn wake(&self, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.to_owned());
        drop(names);
        self.news.notify_one();
    }

    /// Waits for a name.
    pub async fn next(&self) -> String {
        loop {
            if let Some(name) = self.take() {
                return name;
            }
            self.news.notified().await;
        }
    }

    fn take(&self) -> Option<String> {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_first()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn who_is_woken_often_is_looked_at_once() {
        let woken = Woken::default();
        for name in ["b", "a", "b", "b"] {
            woken.wake(name);
        }
        assert_eq!([woken.next().await, woken.next().await], ["a", "b"]);
        assert_eq!(woken.take(), None);
    }

    #[tokio::test]
    async fn one_that_is_woken_while_somebody_waits_is_told_at_once() {
        let woken = Arc::new(Woken::default());
        let waits = tokio::spawn({
            let woken = Arc::clone(&woken);
            async move { woken.next().await }
        });
        tokio::task::yield_now().await;
        woken.wake("a");
        assert_eq!(waits.await.unwrap(), "a");
    }
}
