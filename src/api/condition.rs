//! Condition types and reasons: the words by which the operator tells people how an object stands.
//! The words themselves, with what they mean, are in `types`, `reasons` and `events`, and nowhere else.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::text::one_line;

pub mod events;
pub mod reasons;
pub mod types;

#[cfg(test)]
mod tests;

/// The names of all [`reasons`], for whoever must not tell anything else.
pub const REASONS: [&str; reasons::ALL.len()] = {
    let mut names = [""; reasons::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = reasons::ALL[at].name;
        at += 1;
    }
    names
};

/// `status` of a condition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It holds.
    True,
    /// It doesn't.
    False,
    /// Not decided yet.
    Unknown,
}

impl Verdict {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::True => "True",
            Verdict::False => "False",
            Verdict::Unknown => "Unknown",
        }
    }
}

/// A condition before it has a transition time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewCondition {
    /// One of [`types`].
    pub r#type: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
    /// One of [`reasons`].
    pub reason: &'static str,
    /// For people: the object, the rule and the remedy.
    pub message: String,
}

/// The Kubernetes API bounds a condition's message at 32,768 bytes.
const MAX_MESSAGE: usize = 4096;

/// Merges `new` into conditions as they stand: `lastTransitionTime` moves only where the status flips, and
/// types that `new` doesn't have are dropped.
pub fn merge(
    old: &[Condition],
    new: &[NewCondition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    new.iter()
        .map(|condition| {
            let status = condition.verdict.as_str();
            let since = old
                .iter()
                .find(|o| o.type_ == condition.r#type && o.status == status)
                .map(|o| o.last_transition_time.clone())
                .unwrap_or(Time(now));
            Condition {
                type_: condition.r#type.to_owned(),
                status: status.to_owned(),
                reason: condition.reason.to_owned(),
                message: bounded(&condition.message),
                observed_generation: generation,
                last_transition_time: since,
            }
        })
        .collect()
}

fn bounded(message: &str) -> String {
    let clean = one_line(message);
    match clean.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}
