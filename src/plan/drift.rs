//! Telling what somebody else changed from what the operator had yet to do.

use std::collections::BTreeSet;

use super::{Notice, Step};
use crate::api::condition::events;

/// What to say of the steps that an object took that had been in sync under the same spec and class, where
/// `bound` ServiceAccounts carried its ARN then. One that came since, or that another object let go, is news and
/// no damage.
pub fn drift_repaired(done: &[Step], bound: &BTreeSet<String>) -> Option<Notice> {
    let mut actions: Vec<&str> = repairs(done, bound).map(Step::action).collect();
    actions.dedup();
    (!actions.is_empty()).then(|| Notice {
        reason: events::DRIFT_REPAIRED,
        message: format!(
            "something was changed by somebody else and was put back: {}",
            actions.join(", ")
        ),
        warning: true,
    })
}

/// Kinds of drift, for those who count it.
pub const DRIFT_KINDS: [&str; 9] = [
    "role",
    "trust",
    "boundary",
    "inline_policies",
    "managed_policies",
    "tags",
    "settings",
    "service_account",
    "other",
];

/// What such steps mended, each kind once.
pub fn drift_kinds(done: &[Step], bound: &BTreeSet<String>) -> BTreeSet<&'static str> {
    repairs(done, bound).map(kind).collect()
}

fn repairs<'a>(done: &'a [Step], bound: &'a BTreeSet<String>) -> impl Iterator<Item = &'a Step> {
    done.iter().filter(|step| match step {
        Step::CreateServiceAccount(binding) | Step::BindServiceAccount { binding, .. } => {
            bound.contains(&binding.name)
        }
        _ => true,
    })
}

/// One of [`DRIFT_KINDS`].
fn kind(step: &Step) -> &'static str {
    match step {
        Step::CreateRole(_) => "role",
        Step::UpdateTrust { .. } => "trust",
        Step::SetBoundary(_) => "boundary",
        Step::PutInline { .. } | Step::DeleteInline(_) => "inline_policies",
        Step::Attach(_) | Step::Detach(_) => "managed_policies",
        Step::Tag(_) | Step::Untag(_) => "tags",
        Step::UpdateRole { .. } => "settings",
        Step::CreateServiceAccount(_)
        | Step::BindServiceAccount { .. }
        | Step::UnbindServiceAccount { .. }
        | Step::DeleteServiceAccount { .. } => "service_account",
        Step::AddFinalizer(_)
        | Step::KeepFormerState(_)
        | Step::LeaveInstanceProfile(_)
        | Step::DeleteRole
        | Step::RemoveFinalizer => "other",
    }
}
