//! Waiting for a condition: polled at a short interval up to a deadline, never slept for.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

const INTERVAL: Duration = Duration::from_millis(100);
/// Far above what anything takes on two busy cores: it is reached only by failures.
pub const DEADLINE: Duration = Duration::from_secs(45);

/// Polls `attempt` until it answers `Ok`; panics with its last answer at the deadline.
pub async fn eventually<T, F, Fut>(what: &str, attempt: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    match within(DEADLINE, attempt).await {
        Ok(value) => value,
        Err(last) => panic!("{what}: not within {DEADLINE:?}; at last: {last}"),
    }
}

/// Polls `attempt` until it answers `Ok`; its last answer at the deadline otherwise.
pub async fn within<T, F, Fut>(deadline: Duration, mut attempt: F) -> Result<T, String>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let end = Instant::now() + deadline;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(last) if Instant::now() >= end => return Err(last),
            Err(_) => {}
        }
    }
}
