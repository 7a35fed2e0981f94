//! Drift, found in lists of a whole account: what they tell of a role against what is known of it, and whether that is
//! a reason to look at the role. Never a reason to write: whoever is woken reads the role for itself first.
//!
//! Not here: the lists themselves, their pages, and who is woken.

mod choice;
mod orphans;

use std::time::Duration;

pub use choice::{Census, Method, Why, choose};
pub use orphans::{MAX_NAMES, Orphans, Suspects, claimed};

use super::knowledge::{RoleKnowledge, RoleState};
use crate::iam::equivalence::same_text;
use crate::iam::role::{RoleContent, RoleDetails, RoleHeader, RoleSettings};

/// What came of holding a list against what is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Noted {
    /// The role is as it is known.
    Same,
    /// It isn't, or that can't be said: the object is to look for itself.
    Differs,
    /// What is known is newer than the list, or may be: a write of our own is no drift.
    Ignored,
}

/// A role as both lists tell it; `None` where they tell of two roles, one created after the other was deleted.
pub fn joined(details: RoleDetails, settings: RoleSettings) -> Option<(RoleHeader, RoleContent)> {
    (details.id == settings.id).then(|| {
        let header = RoleHeader {
            arn: details.arn,
            id: details.id,
            trust: details.trust,
            description: settings.description,
            max_session_duration_seconds: settings.max_session_duration_seconds,
            permissions_boundary: details.permissions_boundary,
            tags: details.tags,
        };
        (header, details.content)
    })
}

/// What the paths of all roles of a class begin with: its template up to the namespace. With a placeholder that isn't
/// closed, up to there, so that the list is longer and never too short.
pub fn path_prefix(template: &str, cluster: &str) -> String {
    let filled = template.replace("{cluster}", cluster);
    match filled.find('{') {
        Some(at) => filled[..at].to_owned(),
        None => filled,
    }
}

/// The prefixes that lists are asked for: one whose roles another one brings too isn't asked for.
pub fn distinct_prefixes(mut prefixes: Vec<String>) -> Vec<String> {
    prefixes.sort();
    let mut distinct: Vec<String> = Vec::new();
    for prefix in prefixes {
        // In this order, what a prefix begins with comes before it.
        if !distinct.last().is_some_and(|last| prefix.starts_with(last)) {
            distinct.push(prefix);
        }
    }
    distinct
}

impl RoleKnowledge {
    /// Notes a role as the lists show it that were asked for at `as_of`. `window` is how long IAM may contradict itself.
    pub fn note_swept(
        &mut self,
        header: RoleHeader,
        content: RoleContent,
        as_of: Duration,
        window: Duration,
    ) -> Noted {
        if self.may_be_newer_than(as_of, window) {
            return Noted::Ignored;
        }
        let same = match &self.state {
            RoleState::Present {
                header: known,
                content: held,
            } => {
                is_same_header(known, &header)
                    && held.as_ref().is_none_or(|held| is_same_content(held, &content))
            }
            RoleState::Unknown | RoleState::Absent => false,
        };
        let instance_profiles = self.instance_profiles.take().filter(|_| same);
        // In the list's own words, so that the next one needs no comparison by meaning.
        self.note_read(Some((header, Some(content))), as_of);
        self.instance_profiles = instance_profiles;
        if same { Noted::Same } else { Noted::Differs }
    }

    /// Notes that complete lists, asked for at `as_of`, don't show the role. That is no proof: a read must confirm it.
    pub fn note_missed(&mut self, as_of: Duration, window: Duration) -> Noted {
        match self.state {
            RoleState::Absent => Noted::Same,
            RoleState::Unknown | RoleState::Present { .. } => self.note_unclear(as_of, window),
        }
    }

    /// Notes that what lists tell of the role can't be relied on.
    pub fn note_unclear(&mut self, as_of: Duration, window: Duration) -> Noted {
        if self.may_be_newer_than(as_of, window) {
            return Noted::Ignored;
        }
        self.look_again = Some(as_of.max(self.as_of));
        Noted::Differs
    }

    /// Notes that it is the role's turn to be read, unless it was read since `since`.
    pub fn note_turn(&mut self, since: Duration) -> Noted {
        if self.state != RoleState::Unknown && self.as_of > since {
            return Noted::Ignored;
        }
        self.look_again = Some(self.as_of);
        Noted::Differs
    }

    fn may_be_newer_than(&self, as_of: Duration, window: Duration) -> bool {
        let known_later = self.state != RoleState::Unknown && self.as_of > as_of;
        known_later || self.last_sign().is_some_and(|sign| as_of < sign + window)
    }
}

fn is_same_header(known: &RoleHeader, found: &RoleHeader) -> bool {
    // Whole, so that a field which is added to a role can't be forgotten here.
    let RoleHeader {
        arn,
        id,
        trust,
        description,
        max_session_duration_seconds,
        permissions_boundary,
        tags,
    } = known;
    *arn == found.arn
        && *id == found.id
        && *description == found.description
        && *max_session_duration_seconds == found.max_session_duration_seconds
        && *permissions_boundary == found.permissions_boundary
        && *tags == found.tags
        && means_the_same(trust, &found.trust)
}

fn is_same_content(known: &RoleContent, found: &RoleContent) -> bool {
    let RoleContent { inline, attached } = known;
    *attached == found.attached
        && inline.len() == found.inline.len()
        && inline.iter().all(|(name, document)| {
            let found = found.inline.get(name);
            found.is_some_and(|found| means_the_same(document, found))
        })
}

fn means_the_same(known: &str, found: &str) -> bool {
    known == found || same_text(known, found)
}
