//! Telling what somebody else changed from what the operator had yet to do.

use std::collections::BTreeSet;

use super::{Notice, Step};

/// What to say of the steps that an object took that had been in sync under the same spec and class, where
/// `bound` ServiceAccounts carried its ARN then. One that came since, or that another object let go, is news and
/// no damage.
pub fn drift_repaired(done: &[Step], bound: &BTreeSet<String>) -> Option<Notice> {
    let mut actions: Vec<&str> = done
        .iter()
        .filter(|step| match step {
            Step::CreateServiceAccount(binding) | Step::BindServiceAccount { binding, .. } => {
                bound.contains(&binding.name)
            }
            _ => true,
        })
        .map(Step::action)
        .collect();
    actions.dedup();
    (!actions.is_empty()).then(|| Notice {
        reason: "DriftRepaired",
        message: format!(
            "something was changed by somebody else and was put back: {}",
            actions.join(", ")
        ),
        warning: true,
    })
}
