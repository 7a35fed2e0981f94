//! The gate that a request passes just before it is sent: open while this process holds the Lease, shut for good once
//! it may have lost it. It compares a clock with a deadline and knows neither Lease nor request.
//!
//! AWS knows no fencing token, so nothing on the other side would stop a process that slept through the end of its
//! Lease. The clock is CLOCK_BOOTTIME, which goes on while the machine sleeps (`clock_gettime(2)`); the clock behind
//! `std::time::Instant` and tokio's timers stands still meanwhile.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Tells the time since some fixed moment, the same for all who share it.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The time since the machine started, sleep included.
pub fn boot_clock() -> Clock {
    Arc::new(|| {
        // Where there is no such clock, CLOCK_MONOTONIC is it: it counts sleep on macOS, say.
        #[cfg(target_os = "linux")]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let id = rustix::time::ClockId::Monotonic;
        let now = rustix::time::clock_gettime(id);
        let (seconds, nanoseconds) = (now.tv_sec.try_into(), now.tv_nsec.try_into());
        Duration::new(seconds.unwrap_or_default(), nanoseconds.unwrap_or_default())
    })
}

/// Why a request wasn't sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Closed {
    /// This process doesn't lead yet.
    #[error("not sent, since this process doesn't lead yet")]
    NotYet,
    /// This process led and, as far as it knows, doesn't any more.
    #[error("not sent, since this process may lead no longer")]
    Over,
}

#[derive(Clone, Copy)]
enum State {
    Always,
    NotYet,
    Between { from: Duration, until: Duration },
    Over { since: Duration },
}

/// See the module.
pub struct Gate {
    clock: Clock,
    state: Mutex<State>,
}

impl Gate {
    /// Open for ever, for a process that shares its work with nobody.
    pub fn always_open() -> Self {
        Self::new(boot_clock(), State::Always)
    }

    /// Shut until it is opened; the clock is the one that its bounds are times of.
    pub fn shut(clock: Clock) -> Self {
        Self::new(clock, State::NotYet)
    }

    fn new(clock: Clock, state: State) -> Self {
        Self {
            clock,
            state: Mutex::new(state),
        }
    }

    /// The time by the gate's clock.
    pub fn now(&self) -> Duration {
        (self.clock)()
    }

    /// Opens it from one time until another, instead of what it was told before. Once shut, it stays shut.
    pub fn open(&self, from: Duration, until: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::NotYet | State::Between { .. }) {
            *state = State::Between { from, until };
        }
    }

    /// Shuts it for good.
    pub fn shut_for_good(&self) {
        let since = self.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Over { .. }) {
            *state = State::Over { since };
        }
    }

    /// Lets a request through, or not. The clock is read last, so that a process that stands still in here sees on
    /// going on how late it is.
    pub fn pass(&self) -> Result<(), Closed> {
        let state = self.state();
        let now = self.now();
        match state {
            State::Always => Ok(()),
            State::NotYet => Err(Closed::NotYet),
            State::Between { until, .. } if now >= until => Err(Closed::Over),
            State::Between { from, .. } if now < from => Err(Closed::NotYet),
            State::Between { .. } => Ok(()),
            State::Over { .. } => Err(Closed::Over),
        }
    }

    /// For how long its time has been over: a process that goes on for long after that hangs.
    pub fn overdue(&self) -> Duration {
        let state = self.state();
        match state {
            State::Between { until: end, .. } | State::Over { since: end } => self.now().saturating_sub(end),
            State::Always | State::NotYet => Duration::ZERO,
        }
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("pass", &self.pass()).finish()
    }
}
