//! How fast calls of one kind may follow each other, learnt from what AWS throttles. Decides from times and answers
//! that it is told; who waits, and where, is [`super::paced`]'s.
//!
//! AWS doesn't publish IAM's limits, and others in the account use them up, too. So there is no limit to begin with.
//! The first throttled call sets one, at a little less than what went through during the last second; from there it is
//! raised by a tenth a window towards the rate that was throttled, from there by steps that begin at a fiftieth and grow to
//! a third, and doubled where throttling has turned out to be noise. That is a token bucket whose rate is multiplied both
//! ways, one for each action, since AWS counts by action.
//!
//! Not all throttling comes from the rate: an overloaded service turns away some share of the calls whatever their
//! rate. To slow down then only makes things worse, each time by that share. So where calls at a rate well below one
//! that has gone through are throttled again and again, that share is taken for noise, and only more than that lowers
//! the rate.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// What is counted together: so long at least, with so many answers at least, unless they take too long to come.
const WINDOW: Duration = Duration::from_secs(1);
const ENOUGH: f64 = 8.0;
const LONGEST_WINDOW: Duration = Duration::from_secs(5);
/// Calls per second: slower is no use, and faster is no limit.
const SLOWEST: f64 = 2.0;
const FASTEST: f64 = 2000.0;
/// No first limit is lower: in the first moments little has gone through yet, whatever AWS would let through.
const FIRST: f64 = 10.0;
/// Of what went through: less than all, so that AWS's bucket fills again.
const BACK_OFF: f64 = 0.85;
/// A limit that nobody has met for so long is forgotten.
const FORGET: Duration = Duration::from_secs(30);
/// Calls that may go at once after a pause, in seconds of the rate.
const BURST: f64 = 0.1;
/// Windows in a row that are throttled well below a rate that went through, until that is taken for noise.
const STRIKES: u32 = 2;
/// Throttled calls in them, at least.
const EVIDENT: f64 = 4.0;

/// What came of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// AWS looked at it: it succeeded, or failed for a reason of its own.
    Heard,
    /// AWS turned it away for its rate.
    Throttled,
}

/// A call that was let go, to be told about with its answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Ticket {
    epoch: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    began: Duration,
    heard: f64,
    throttled: f64,
    /// Somebody had to wait, so that the limit decided the rate.
    held: bool,
}

/// The pace of one kind of call.
#[derive(Clone, Debug, Default)]
pub struct Pacer {
    /// Calls per second; none while there is no limit.
    rate: Option<f64>,
    tokens: f64,
    filled: Duration,
    /// Grows with each decrease: answers to calls from before it say nothing about the new rate.
    epoch: u32,
    window: Window,
    /// What the window before let through, per second.
    before: f64,
    /// The rate at which throttling began.
    ceiling: f64,
    /// The greatest rate that went through lately.
    proven: f64,
    /// The share that is throttled whatever the rate.
    noise: f64,
    strikes: u32,
    /// Throttled and all calls during the strikes.
    struck: (f64, f64),
    calm: Duration,
    /// Windows in a row that were raised beyond the ceiling without throttling.
    beyond: i32,
}

impl Pacer {
    /// The limit, in calls per second, if there is one.
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// How long the next call must wait.
    pub fn wait(&mut self, now: Duration) -> Duration {
        self.close_window(now);
        let Some(rate) = self.rate else {
            return Duration::ZERO;
        };
        let gained = now.saturating_sub(self.filled).as_secs_f64() * rate;
        self.tokens = (self.tokens + gained).min((rate * BURST).max(1.0));
        self.filled = self.filled.max(now);
        if self.tokens >= 1.0 {
            return Duration::ZERO;
        }
        self.window.held = true;
        // Rounded up, so that the token is there when the time is.
        Duration::from_secs_f64((1.0 - self.tokens) / rate) + Duration::from_micros(1)
    }

    /// A call goes now.
    pub fn go(&mut self, now: Duration) -> Ticket {
        self.close_window(now);
        if self.rate.is_some() {
            self.tokens -= 1.0;
        }
        Ticket { epoch: self.epoch }
    }

    /// A call was answered.
    pub fn note(&mut self, ticket: Ticket, answer: Answer, now: Duration) {
        self.close_window(now);
        if ticket.epoch != self.epoch {
            return;
        }
        match answer {
            Answer::Heard => self.window.heard += 1.0,
            Answer::Throttled => {
                self.window.throttled += 1.0;
                if self.rate.is_none() && self.noise == 0.0 {
                    let achieved = self.achieved(now).max(FIRST);
                    self.limit(achieved, achieved * BACK_OFF, now);
                }
            }
        }
    }

    /// What went through during the last second, more or less.
    fn achieved(&self, now: Duration) -> f64 {
        let elapsed = now.saturating_sub(self.window.began).as_secs_f64();
        if elapsed >= 1.0 {
            self.window.heard / elapsed
        } else {
            self.window.heard + self.before * (1.0 - elapsed)
        }
    }

    fn limit(&mut self, throttled_at: f64, rate: f64, now: Duration) {
        self.proven = self.proven.max(self.achieved(now));
        self.ceiling = throttled_at.max(SLOWEST);
        self.rate = Some(rate.max(SLOWEST));
        self.tokens = 0.0;
        self.filled = now;
        self.epoch = self.epoch.wrapping_add(1);
        self.calm = Duration::ZERO;
        self.beyond = 0;
        self.begin_window(now);
    }

    fn begin_window(&mut self, now: Duration) {
        self.window = Window {
            began: now,
            ..Window::default()
        };
    }

    fn close_window(&mut self, now: Duration) {
        let window = self.window;
        let elapsed = now.saturating_sub(window.began);
        let answers = window.heard + window.throttled;
        if elapsed < WINDOW || (answers < ENOUGH && elapsed < LONGEST_WINDOW) {
            return;
        }
        let passed = window.heard / elapsed.as_secs_f64();
        if answers > 0.0 {
            self.judge(window, passed, answers, now);
        }
        self.before = passed;
        if window.throttled > 0.0 || window.held {
            self.calm = Duration::ZERO;
        } else {
            self.calm += elapsed;
            if self.calm >= FORGET {
                self.rate = None;
                (self.noise, self.proven, self.strikes) = (0.0, 0.0, 0);
            }
        }
        if self.window.began == window.began {
            self.begin_window(now);
        }
    }

    fn judge(&mut self, window: Window, passed: f64, answers: f64, now: Duration) {
        let share = window.throttled / answers;
        let chance = 2.0 * (self.noise * (1.0 - self.noise) / answers).sqrt();
        let excess = match self.noise > 0.0 {
            true => share > self.noise + chance + 0.05,
            false => share > 0.0,
        };
        if self.noise > 0.0 && !excess {
            self.noise = 0.8 * self.noise + 0.2 * share;
            if self.noise < 0.02 {
                self.noise = 0.0;
            }
        }
        match self.rate {
            None if excess => self.limit(passed, passed * BACK_OFF / (1.0 - self.noise), now),
            None => {}
            Some(rate) if excess => self.lower(rate, window, passed, answers, now),
            Some(rate) => self.raise(rate, window.held),
        }
        self.proven = self.proven.max(passed);
    }

    fn lower(&mut self, rate: f64, window: Window, passed: f64, answers: f64, now: Duration) {
        let well_below = rate <= 0.9 * self.proven || rate <= SLOWEST;
        if well_below {
            self.strikes += 1;
            self.struck.0 += window.throttled;
            self.struck.1 += answers;
        } else {
            (self.strikes, self.struck) = (0, (0.0, 0.0));
            // What went through once need not go through for ever.
            self.proven = passed;
        }
        let evident = self.struck.0 >= EVIDENT && self.struck.0 >= 0.1 * self.struck.1;
        if self.strikes >= STRIKES && evident {
            self.noise = (self.struck.0 / self.struck.1).min(0.9);
            (self.strikes, self.struck) = (0, (0.0, 0.0));
            let proven = self.proven.max(FIRST);
            self.limit(proven, proven, now);
            self.ceiling = FASTEST;
            return;
        }
        self.limit(rate, passed * BACK_OFF / (1.0 - self.noise), now);
    }

    fn raise(&mut self, rate: f64, held: bool) {
        (self.strikes, self.struck) = (0, (0.0, 0.0));
        if !held {
            return;
        }
        let step = if self.noise > 0.0 {
            2.0
        } else if rate < 0.95 * self.ceiling {
            1.1
        } else {
            // The limit may be far away: AWS's bucket may have been small when it was met.
            self.beyond = (self.beyond + 1).min(5);
            1.0 + 0.01 * 2.0_f64.powi(self.beyond)
        };
        let raised = rate * step;
        self.rate = (raised < FASTEST).then_some(raised);
    }
}
