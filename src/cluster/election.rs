//! Who leads: what a candidate may do with the Lease as it was read, and how long a leader may go on. Decides from
//! data and times that it is given; reading and writing the Lease is [`super::lease`]'s.
//!
//! The protocol is that of client-go's `leaderelection`, so that Leases and settings mean what they mean for other
//! controllers. No clock but the candidate's own counts: a Lease is expired when it was *seen* unchanged for its
//! duration, whatever times somebody wrote into it. Clocks may differ as they like, as long as they run at about the
//! same speed.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;

#[cfg(test)]
mod tests;

/// A longer Lease keeps everybody waiting after a crash, and is taken for a mistake.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long things take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// After how long without a renewal others take over.
    pub lease_duration: Duration,
    /// For how long after its last renewal a leader works. Shorter, so that it has ended when others begin.
    pub renew_deadline: Duration,
    /// How often the leader renews and the others look.
    pub retry_period: Duration,
    /// How long a request may take that was sent while leading.
    pub request_timeout: Duration,
}

impl Terms {
    /// Whether they fit together. Errors are for people.
    pub fn check(&self) -> Result<(), String> {
        let Self {
            lease_duration,
            renew_deadline,
            retry_period,
            request_timeout,
        } = *self;
        let rest = lease_duration.saturating_sub(renew_deadline);
        let problem = if lease_duration > LONGEST {
            format!(
                "--leader-elect-lease-duration is {} s; it may be {} s at most",
                lease_duration.as_secs(),
                LONGEST.as_secs()
            )
        } else if renew_deadline >= lease_duration {
            format!(
                "--leader-elect-renew-deadline ({} s) must be less than --leader-elect-lease-duration ({} s)",
                renew_deadline.as_secs(),
                lease_duration.as_secs()
            )
        } else if retry_period >= renew_deadline {
            format!(
                "--leader-elect-retry-period ({} s) must be less than --leader-elect-renew-deadline ({} s)",
                retry_period.as_secs(),
                renew_deadline.as_secs()
            )
        } else if request_timeout >= rest {
            format!(
                "--request-timeout ({} s) must be less than --leader-elect-lease-duration minus \
                 --leader-elect-renew-deadline ({} s): a request that was sent just before the deadline must be over \
                 when another process may lead",
                request_timeout.as_secs(),
                rest.as_secs()
            )
        } else {
            return Ok(());
        };
        Err(problem)
    }

    /// How long one request about the Lease may take: several fit into the renew deadline.
    pub fn attempt(&self) -> Duration {
        self.renew_deadline / 3
    }
}

/// How the time of the leader before ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum After {
    /// It said so itself, or there was none: nothing of it is under way.
    Release,
    /// It wasn't heard of any more. It may be asleep with a request in its hands.
    Expiry,
}

/// What a candidate does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Write its own name into the Lease, if it is still as it was read.
    Take(After),
    /// Look again after so long at the latest.
    Wait(Duration),
}

/// A process that would lead.
#[derive(Clone, Debug)]
pub struct Candidate {
    identity: String,
    terms: Terms,
    /// The Lease as last read while another held it, and when it was first read so.
    seen: Option<(LeaseSpec, Duration)>,
}

impl Candidate {
    /// `identity` must be nobody else's, also no former process's of the same pod.
    pub fn new(identity: String, terms: Terms) -> Self {
        Self {
            identity,
            terms,
            seen: None,
        }
    }

    /// Its name in the Lease.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Its terms.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// What to do now that the Lease was read, `None` where there is none; `now` is when the answer came.
    pub fn decide(&mut self, lease: Option<&LeaseSpec>, now: Duration) -> Decision {
        let holder = lease.and_then(holder);
        match (lease, holder) {
            // Somebody deleted it. Its holder finds out at its next renewal, and may work until then.
            (None, _) => match &self.seen {
                Some((spec, at)) => self.expired(spec, *at, now),
                None => Decision::Take(After::Release),
            },
            (Some(_), None) => Decision::Take(After::Release),
            // A write of ours whose answer was lost. Whom it followed isn't known any more.
            (Some(_), Some(holder)) if holder == self.identity => Decision::Take(After::Expiry),
            (Some(spec), Some(_)) => {
                if self.seen.as_ref().is_none_or(|(known, _)| known != spec) {
                    self.seen = Some((spec.clone(), now));
                }
                let since = self.seen.as_ref().map_or(now, |(_, at)| *at);
                self.expired(spec, since, now)
            }
        }
    }

    fn expired(&self, spec: &LeaseSpec, since: Duration, now: Duration) -> Decision {
        // The holder's own setting is what it keeps to; it may differ from ours while settings change.
        let duration = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0)
            .map_or(self.terms.lease_duration, Duration::from_secs)
            .min(LONGEST);
        match (since + duration).checked_sub(now) {
            Some(left) if !left.is_zero() => Decision::Wait(left.min(self.terms.retry_period)),
            _ => Decision::Take(After::Expiry),
        }
    }
}

/// Who holds a Lease; an empty name is nobody, as client-go leaves it on release.
pub fn holder(spec: &LeaseSpec) -> Option<&str> {
    spec.holder_identity.as_deref().filter(|name| !name.is_empty())
}

/// What a leader does next about its Lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Duty {
    /// Renew after so long.
    Renew(Duration),
    /// Stop working: others may take over soon.
    Stop,
}

/// The time of a leader. All times are of its own clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tenure {
    terms: Terms,
    /// When the last renewal that succeeded was *sent*: others may have seen it at any moment after that.
    renewed: Duration,
    tried: Duration,
    begins: Duration,
}

impl Tenure {
    /// Of a leader whose request for the Lease was sent and answered at these times.
    ///
    /// After an expiry it waits for a request timeout: what the one before had begun to send before its own deadline
    /// is over by then.
    pub fn begin(terms: Terms, after: After, sent: Duration, answered: Duration) -> Self {
        let pause = match after {
            After::Release => Duration::ZERO,
            After::Expiry => terms.request_timeout,
        };
        Self {
            terms,
            renewed: sent,
            tried: sent,
            begins: answered + pause,
        }
    }

    /// A renewal that was sent then succeeded.
    pub fn note_renewed(&mut self, sent: Duration) {
        self.renewed = self.renewed.max(sent);
        self.tried = self.tried.max(sent);
    }

    /// A renewal that was sent then failed, or nobody knows what came of it.
    pub fn note_failed(&mut self, sent: Duration) {
        self.tried = self.tried.max(sent);
    }

    /// From when on it may work.
    pub fn begins(&self) -> Duration {
        self.begins
    }

    /// From when on it may send nothing more.
    pub fn deadline(&self) -> Duration {
        self.renewed + self.terms.renew_deadline
    }

    /// What to do about the Lease.
    pub fn duty(&self, now: Duration) -> Duty {
        if now >= self.deadline() {
            return Duty::Stop;
        }
        let next = (self.tried + self.terms.retry_period).min(self.deadline());
        Duty::Renew(next.saturating_sub(now))
    }
}
