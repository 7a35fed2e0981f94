//! Under which conditions AWS answers: how long it takes, how many calls it takes, and how many it turns away by chance.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// The default is an AWS that answers as fast as the emulator can.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Added to every call, throttled ones too.
    pub latency: Duration,
    pub limit: Option<Limit>,
    pub share: Option<Share>,
}

/// A token bucket for each action.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Tokens a second.
    pub rate: f64,
    /// Tokens that a bucket holds; it starts full.
    pub burst: f64,
}

/// Calls that are turned away by chance. The same seed turns away the same numbers of the sequence of calls.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// From 0 to 1.
    pub share: f64,
    pub seed: u64,
}

/// Conditions in force, and what they remember.
pub struct Throttle {
    state: Mutex<State>,
    held: watch::Sender<bool>,
}

/// What becomes of a call.
pub enum Verdict {
    Passes,
    Throttled,
}

struct State {
    conditions: Conditions,
    buckets: HashMap<String, Bucket>,
    dice: u64,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Throttle {
    pub fn new(conditions: Conditions) -> Throttle {
        Throttle {
            state: Mutex::new(State::new(conditions)),
            held: watch::Sender::new(false),
        }
    }

    pub fn set(&self, conditions: Conditions) {
        *self.state.lock().unwrap() = State::new(conditions);
    }

    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Lets a call wait as long as it has to; what becomes of it then.
    pub async fn meet(&self, action: &str) -> Verdict {
        let mut held = self.held.subscribe();
        // An error means that the proxy is gone, and with it the caller.
        let _ = held.wait_for(|held| !held).await;
        let (latency, throttled) = self.state.lock().unwrap().meet(action);
        if !latency.is_zero() {
            sleep(latency).await;
        }
        match throttled {
            true => Verdict::Throttled,
            false => Verdict::Passes,
        }
    }
}

impl State {
    fn new(conditions: Conditions) -> State {
        State {
            dice: conditions.share.map_or(0, |share| share.seed),
            conditions,
            buckets: HashMap::new(),
        }
    }

    fn meet(&mut self, action: &str) -> (Duration, bool) {
        let limited = self.conditions.limit.is_some_and(|limit| {
            let bucket = self.buckets.entry(action.to_owned()).or_insert_with(|| Bucket {
                tokens: limit.burst,
                filled: Instant::now(),
            });
            !bucket.take(limit)
        });
        let unlucky = self
            .conditions
            .share
            .is_some_and(|share| chance(&mut self.dice) < share.share);
        (self.conditions.latency, limited || unlucky)
    }
}

impl Bucket {
    fn take(&mut self, limit: Limit) -> bool {
        let now = Instant::now();
        let gained = now.duration_since(self.filled).as_secs_f64() * limit.rate;
        self.tokens = (self.tokens + gained).min(limit.burst);
        self.filled = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// The next number of SplitMix64 (Steele, Lea and Flood, 2014), from 0 to 1.
fn chance(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 53) as f64
}
