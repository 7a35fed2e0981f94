//! What is known of an object's role, how well and since when. Kept in memory for each object, corrected by
//! every read and by every write of our own, so that an unchanged object costs no call to AWS.

use std::collections::BTreeSet;
use std::time::Duration;

use super::adoption::is_adopted;
use super::{Failure, FormerState, Retention, Sought, Step};
use crate::api::condition::reasons;
use crate::guard::Refusal;
use crate::iam::role::{RoleContent, RoleHeader};

/// Times are durations since the process started, on a clock that never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// When this reconcile began: what was learnt since then is fresh.
    pub started: Duration,
    /// Now.
    pub now: Duration,
    /// How long IAM may contradict itself.
    pub consistency_window: Duration,
    /// After how long without a look a role is read again to find drift.
    pub drift_interval: Duration,
}

/// A role as last seen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum RoleState {
    /// Nothing is known.
    #[default]
    Unknown,
    /// There is no role of that name.
    Absent,
    /// There is one; its content (inline policies and attachments) may not have been read.
    Present {
        /// What GetRole answers.
        header: Box<RoleHeader>,
        /// What the role holds, once known.
        content: Option<RoleContent>,
    },
}

/// What is known of a role.
#[derive(Clone, Debug, Default)]
pub struct RoleKnowledge {
    /// The role as last seen.
    pub state: RoleState,
    /// When it was seen, or written by us.
    pub as_of: Duration,
    /// When we last wrote to it; a read soon after may be older than the write.
    pub last_write: Option<Duration>,
    /// When the last read was, and when the write of ours before it.
    pub read_after_write: Option<(Duration, Duration)>,
    /// When we last set tags of it, with its creation or later.
    pub tagged: Option<Duration>,
    /// When IAM said that the name is taken, while no read has shown the role.
    pub exists_since: Option<Duration>,
    /// When we last didn't learn whether a write was carried out.
    pub doubted: Option<Duration>,
    /// When it became known that the role is to be read again, though what is known of it isn't old: a list of the account
    /// didn't show it, or it is its turn.
    pub look_again: Option<Duration>,
    /// Since when reads contradict what we believe; believed once two, far enough apart, agree.
    pub disputed_since: Option<Duration>,
    /// Whether our ownership tags were seen on it.
    pub was_ours: bool,
    /// Instance profiles that it is in, once that kept it from being deleted.
    pub instance_profiles: Option<BTreeSet<String>>,
    /// What it was before it was taken over, once that was looked up.
    pub recalled: Option<Box<Recalled>>,
}

/// The record of a role's former state, as it was found.
#[derive(Clone, Debug)]
pub struct Recalled {
    /// The role that it was looked up for.
    pub sought: Sought,
    /// What it says; `None` where there is none, or none that can be believed.
    pub state: Option<Box<FormerState>>,
    /// When it was looked up.
    pub as_of: Duration,
}

impl RoleKnowledge {
    /// Whether this was learnt in the reconcile at hand.
    pub fn is_fresh(&self, clock: &Clock) -> bool {
        self.state != RoleState::Unknown && self.as_of >= clock.started
    }

    /// Whether it is time to look for drift.
    pub fn is_due(&self, clock: &Clock) -> bool {
        clock.now.saturating_sub(self.as_of) >= clock.drift_interval
            || self.look_again.is_some_and(|asked| asked >= self.as_of)
            || self.settles_at(clock).is_some_and(|at| clock.now >= at)
    }

    /// When the role can be read for certain, where the last read may have been older than the write before it: a
    /// change that was made and taken back at once would else pass for one that was never made.
    pub fn settles_at(&self, clock: &Clock) -> Option<Duration> {
        let (read, written) = self.read_after_write?;
        let settled = written + clock.consistency_window;
        (read < settled).then_some(settled)
    }

    /// Whether a read may still be older than our last write.
    pub fn may_be_stale(&self, clock: &Clock) -> bool {
        self.last_write
            .is_some_and(|written| clock.now.saturating_sub(written) < clock.consistency_window)
    }

    /// When the role can be read for certain, where what is known of it may be older than a write of ours, or than one of
    /// the process before this one, which may have written until this one began.
    pub fn certain_at(&self, clock: &Clock) -> Option<Duration> {
        let certain = self.last_sign().unwrap_or_default() + clock.consistency_window;
        (self.as_of < certain).then_some(certain)
    }

    /// A failure as it is told. The operator's own IAM policy may go by the role's tags, and IAM knows these a little
    /// later than the role itself: a denial soon after they were set passes by itself.
    pub fn told(&self, failure: Failure, clock: &Clock) -> Failure {
        let denied = failure.refusal.reason == reasons::ACCESS_DENIED && failure.service_account.is_none();
        let soon = |tagged| clock.now.saturating_sub(tagged) < clock.consistency_window;
        if !denied || !self.tagged.is_some_and(soon) {
            return failure;
        }
        let refusal = Refusal::passing(
            reasons::NOT_YET_CONSISTENT,
            format!(
                "{}; the role was tagged a moment ago and IAM may not know that yet, while that policy may go by tags: it is \
                 tried again",
                failure.refusal.message
            ),
        );
        Failure { refusal, ..failure }
    }

    /// Whether the last read came after the last write of ours, so that what is known of the role was seen and is no
    /// mere belief.
    pub fn is_seen(&self) -> bool {
        match (self.last_write, self.read_after_write) {
            (None, _) => true,
            (Some(written), Some((read, after))) => written == after && read == self.as_of,
            (Some(_), None) => false,
        }
    }

    /// Whether the role was there before its object and, by what is said of it, is given back.
    pub fn is_given_back(&self, retain: &Retention) -> bool {
        let RoleState::Present { header, .. } = &self.state else {
            return false;
        };
        let sought = Sought::of(header);
        let recorded = self
            .recalled
            .as_ref()
            .is_some_and(|recalled| recalled.sought == sought && recalled.state.is_some());
        (is_adopted(header) || recorded) && *retain == Retention::Unsaid
    }

    /// What was found of a role's record, where that was looked up in the reconcile at hand. One that wasn't found may
    /// have come since, and one that was may be gone.
    pub fn recalled(&self, sought: &Sought, clock: &Clock) -> Option<&Recalled> {
        self.recalled
            .as_deref()
            .filter(|recalled| recalled.sought == *sought && recalled.as_of >= clock.started)
    }

    /// Notes the answer of a read; `None` means that IAM knows no role of that name.
    pub fn note_read(&mut self, read: Option<(RoleHeader, Option<RoleContent>)>, now: Duration) {
        self.as_of = now;
        self.look_again = None;
        self.instance_profiles = None;
        self.read_after_write = self.last_write.map(|written| (now, written));
        let contradicts_itself = match &self.state {
            RoleState::Unknown => false,
            RoleState::Absent => read.is_some(),
            RoleState::Present { .. } => read.is_none(),
        };
        if contradicts_itself {
            // Another dispute: what is to be confirmed was not seen before.
            self.disputed_since = None;
        }
        self.state = match read {
            None => RoleState::Absent,
            Some((header, content)) => {
                self.exists_since = None;
                RoleState::Present {
                    header: Box::new(header),
                    content,
                }
            }
        };
    }

    /// Notes that IAM refused a creation because the name is taken. Each time the wait for the role begins anew, so
    /// that a role that is never shown doesn't cost a creation at every attempt.
    pub fn note_exists(&mut self, now: Duration) {
        self.exists_since = Some(now);
        self.state = RoleState::Unknown;
    }

    /// Notes that a write may or may not have been carried out.
    pub fn note_doubt(&mut self, now: Duration) {
        self.state = RoleState::Unknown;
        self.doubted = Some(now);
    }

    /// When the role was last made or changed by us, as far as we know: until long after, IAM may not show it.
    pub fn last_sign(&self) -> Option<Duration> {
        self.last_write.max(self.exists_since).max(self.doubted)
    }

    /// Notes a creation with IAM's answer.
    pub fn note_created(&mut self, header: RoleHeader, now: Duration) {
        self.note_read(Some((header, Some(RoleContent::default()))), now);
        self.tagged = Some(now);
        self.last_write = Some(now);
        self.read_after_write = None;
        self.disputed_since = None;
        self.was_ours = true;
    }

    /// Notes that a step of our own proved to be done already: no write, so that nothing is waited for after it.
    pub fn note_already_so(&mut self, step: &Step, now: Duration) {
        let last_write = self.last_write;
        self.note_done(step, now);
        self.last_write = last_write;
    }

    /// Notes a step of our own that was carried out.
    pub fn note_done(&mut self, step: &Step, now: Duration) {
        if !step.writes_role() {
            return;
        }
        if matches!(step, Step::Tag(_)) {
            self.tagged = Some(now);
        }
        self.last_write = Some(now);
        self.as_of = now;
        if matches!(step, Step::DeleteRole) {
            self.state = RoleState::Absent;
            self.disputed_since = None;
            return;
        }
        let RoleState::Present { header, content } = &mut self.state else {
            return;
        };
        match step {
            Step::SetBoundary(boundary) => header.permissions_boundary = Some(boundary.to_string()),
            Step::UpdateTrust { document } => header.trust.clone_from(document),
            Step::Tag(tags) => {
                self.was_ours |= tags.contains_key(crate::iam::tags::CLUSTER_UID);
                for (key, value) in tags {
                    header
                        .tags
                        .retain(|existing, _| !crate::iam::tags::same_key(existing, key));
                    header.tags.insert(key.clone(), value.clone());
                }
            }
            Step::Untag(keys) => header.tags.retain(|key, _| !keys.contains(key)),
            Step::UpdateRole {
                description,
                max_session_duration_seconds,
            } => {
                header.description.clone_from(description);
                header.max_session_duration_seconds = *max_session_duration_seconds;
            }
            Step::PutInline { name, document } => {
                if let Some(content) = content {
                    content.inline.insert(name.clone(), document.clone());
                }
            }
            Step::DeleteInline(name) => {
                if let Some(content) = content {
                    content.inline.remove(name);
                }
            }
            Step::Attach(arn) => {
                if let Some(content) = content {
                    content.attached.insert(arn.clone());
                }
            }
            Step::Detach(arn) => {
                if let Some(content) = content {
                    content.attached.remove(arn);
                }
            }
            Step::LeaveInstanceProfile(name) => {
                if let Some(profiles) = &mut self.instance_profiles {
                    profiles.remove(name);
                }
            }
            Step::CreateRole(_)
            | Step::DeleteRole
            | Step::KeepFormerState(_)
            | Step::AddFinalizer(_)
            | Step::RemoveFinalizer
            | Step::CreateServiceAccount(_)
            | Step::BindServiceAccount { .. }
            | Step::UnbindServiceAccount { .. }
            | Step::DeleteServiceAccount { .. } => {}
        }
    }
}

impl RoleKnowledge {
    /// The content, where it is known.
    pub fn content(&self) -> Option<&RoleContent> {
        match &self.state {
            RoleState::Present { content, .. } => content.as_ref(),
            RoleState::Unknown | RoleState::Absent => None,
        }
    }

    /// Notes everything that keeps a role whose header is known from being deleted.
    pub fn note_obstacles(&mut self, read: RoleContent, instance_profiles: BTreeSet<String>) {
        if let RoleState::Present { content, .. } = &mut self.state {
            *content = Some(read);
            self.instance_profiles = Some(instance_profiles);
        }
    }
}
