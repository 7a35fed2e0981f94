//! Why something isn't done, in words for the person who can change it.

use crate::api::CLASS_FINALIZER;
use crate::api::condition::reasons;

/// A decision against a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// One of [`reasons`].
    pub reason: &'static str,
    /// Names the object, the rule and the remedy.
    pub message: String,
    /// Whether trying again is useless until a person changes something.
    pub final_: bool,
}

impl Refusal {
    /// A refusal that only a person can mend.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            final_: true,
        }
    }

    /// A refusal that passes by itself.
    pub fn passing(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            final_: false,
        }
    }

    /// The class that an object names isn't there.
    pub fn class_not_found(name: &str) -> Self {
        Self::new(
            reasons::CLASS_NOT_FOUND,
            format!(
                "there is no MlServiceRoleClass {name:?}; ask the platform admin to create it, or create this object \
                 again with another className"
            ),
        )
    }

    /// The class that an object names is being deleted.
    pub fn class_terminating(name: &str) -> Self {
        Self::new(
            reasons::CLASS_TERMINATING,
            format!(
                "class {name:?} is being deleted and serves only deletions; if that is a mistake, leave this object as it is: \
                 the platform admin takes the finalizer {CLASS_FINALIZER} off the class and applies the class again; if the \
                 class is to go, delete this object, and create it again with another className"
            ),
        )
    }

    /// The class that an object names serves nobody, for this reason.
    pub fn class_not_accepted(why: &Refusal) -> Self {
        Self::new(
            reasons::CLASS_NOT_ACCEPTED,
            format!("{}; ask the platform admin to mend the class", why.message),
        )
    }

    /// What the class doesn't allow of an object whose role is there already: a refusal takes nothing from it.
    pub fn of_live_role(mut self) -> Refusal {
        self.message
            .push_str("; the role keeps what it has until then (onViolation: Keep)");
        self
    }

    /// What the class doesn't allow of an object that observes and whose role is there already: nothing is done to it.
    pub fn of_observed_role(mut self) -> Refusal {
        // First, since an Event has no room for many words.
        self.message.insert_str(
            0,
            "mode is Observe, so the role keeps what it has, also where the class says onViolation: Revoke; ",
        );
        self
    }

    /// Several refusals as one: the first one's reason, and the words of the first ten, as far as 4 KiB go.
    pub fn joined(refusals: Vec<Refusal>) -> Option<Refusal> {
        const MOST: usize = 10;
        const LONGEST: usize = 4000;
        let first = refusals.first()?;
        let mut message = String::new();
        let mut left = refusals.len();
        for refusal in refusals.iter().take(MOST) {
            let room = LONGEST.saturating_sub(message.len());
            if !message.is_empty() {
                if refusal.message.len() + 2 > room {
                    break;
                }
                message.push_str("; ");
            }
            message.extend(refusal.message.chars().take(LONGEST));
            left -= 1;
        }
        if left > 0 {
            message.push_str(&format!("; and {left} more"));
        }
        Some(Refusal {
            reason: first.reason,
            final_: refusals.iter().any(|r| r.final_),
            message,
        })
    }
}
