//! What a boundary for tenants denies of the guard's floor, put shortly, and what of it matters least where a policy has no
//! room for all. What the floor is, and why, is the guard's business.

use std::collections::BTreeSet;

use super::reach::matches;
use super::services::{ELSEWHERE, MACHINE_LEARNING, SHORTER, SUPPORT};
use crate::guard::floor_actions;

/// How much depends on an action's being denied, the most first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Weight {
    /// It gives rights, takes credentials or opens a session.
    Gains,
    /// It runs as another role, or changes what does: that role must be there first, and its own policies limit it.
    RunsAsAnother,
    /// It is of a service that only a class's rules for inline policies open.
    OfInlineRules,
    /// It takes rights away, or a Deny of a resource's own policy.
    TakesAway,
}

/// The floor's kinds of actions that weigh less than the others.
const OF_ANOTHER_ROLE: [&str; 2] = [
    "changes code or settings that run as another role",
    "runs as a role that a resource has",
];
/// What the names of actions begin with that take rights away.
const TAKING_AWAY: [&str; 5] = ["Delete", "Dissociate", "Remove", "Retire", "Revoke"];

/// One action or pattern of actions to deny.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Denial {
    pub(super) weight: Weight,
    pub(super) pattern: String,
}

/// What is denied.
#[derive(Debug, Default)]
pub(super) struct Denials {
    pub(super) denials: BTreeSet<Denial>,
    /// Of what is consented to, the actions that would be denied otherwise.
    pub(super) consented: BTreeSet<String>,
}

/// What of the floor is within reach of the ML services, of what they need beside, and of `rules`, the actions of rules
/// for inline policies; IAM aside. A rule for all actions opens nothing here: what is denied of other services then is
/// [`ELSEWHERE`].
pub(super) fn denials(rules: &BTreeSet<String>, consented: &BTreeSet<String>) -> Denials {
    let is =
        |pattern: &str, action: &str| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase());
    let is_consented = |action: &str| consented.iter().any(|pattern| is(pattern, action));
    let mut made = Denials::default();
    let mut exact: BTreeSet<Denial> = BTreeSet::new();
    for (action, kind) in floor_actions() {
        let (service, name) = action.split_once(':').unwrap_or_default();
        let is_base =
            MACHINE_LEARNING.contains(&service) || SUPPORT.iter().any(|pattern| is(pattern, action));
        let is_ruled = rules.iter().any(|rule| {
            let of_one_service = rule
                .split_once(':')
                .is_some_and(|(service, _)| !service.contains(['*', '?']));
            of_one_service && is(rule, action)
        });
        if service == "iam" || !(is_base || is_ruled) {
            continue;
        }
        if is_consented(action) {
            made.consented.insert(action.to_owned());
            continue;
        }
        let weight = if TAKING_AWAY.iter().any(|verb| name.starts_with(verb)) {
            Weight::TakesAway
        } else if !is_base {
            Weight::OfInlineRules
        } else if OF_ANOTHER_ROLE.contains(&kind) {
            Weight::RunsAsAnother
        } else {
            Weight::Gains
        };
        exact.insert(Denial {
            weight,
            pattern: action.to_owned(),
        });
    }
    for pattern in SHORTER {
        let (said, others): (BTreeSet<Denial>, BTreeSet<Denial>) = exact
            .iter()
            .cloned()
            .partition(|denial| is(pattern, &denial.pattern));
        let hits_consented = made.consented.iter().any(|action| is(pattern, action));
        let Some(weight) = said.iter().map(|denial| denial.weight).min() else {
            continue;
        };
        if said.len() > 1 && !hits_consented {
            exact = others;
            made.denials.insert(Denial {
                weight,
                pattern: pattern.to_owned(),
            });
        }
    }
    made.denials.extend(exact);
    for pattern in ELSEWHERE {
        let overlapping: Vec<&String> = consented
            .iter()
            .filter(|action| is(pattern, action) || is(action, pattern))
            .collect();
        if overlapping.is_empty() {
            made.denials.insert(Denial {
                weight: Weight::Gains,
                pattern: pattern.to_owned(),
            });
        } else {
            // What else a pattern says is denied one by one.
            let others = floor_actions().filter(|(action, _)| is(pattern, action) && !is_consented(action));
            made.denials.extend(others.map(|(action, _)| Denial {
                weight: Weight::Gains,
                pattern: action.to_owned(),
            }));
            made.consented.extend(overlapping.into_iter().cloned());
        }
    }
    made
}
