//! What roles had before: boundaries that a class has moved away from or that adopted roles bring along, and policies that
//! adopted roles get back. Each former boundary is of one class, so that no other class's roles may have it.

use super::reach::{Limits, Reach};
use super::{Class, Options};
use crate::iam::arn::PolicyArn;

/// A boundary that roles of a class may have beside the class's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FormerBoundary {
    /// Name of the class; none where there is only one.
    pub class: Option<String>,
    /// The boundary.
    pub arn: PolicyArn,
    /// Whether roles may still be made with it, as before a changed class is applied. Where a live class's status names it,
    /// the class is applied already, and new roles have the new boundary.
    pub in_creation: bool,
}

/// Says of former boundaries what fits none of the classes, by the flag.
pub(super) fn of_no_class(classes: &[Class<'_>], options: &Options) -> Vec<String> {
    let mut problems = Vec::new();
    for FormerBoundary { class, arn, .. } in &options.former_boundaries {
        match class {
            Some(name) if !classes.iter().any(|class| class.rules.name == *name) => problems.push(format!(
                "--former-boundary {name}={arn}: there is no class {name:?} in the input; correct the name"
            )),
            None if classes.len() > 1 => problems.push(format!(
                "--former-boundary {arn} doesn't say of which class, and the input has several: write CLASS={arn}, so that no \
                 other class's roles may have it"
            )),
            _ => {}
        }
    }
    problems
}

/// Adds the former boundaries of a class to what its roles may have. A boundary is of the roles' own account.
pub(super) fn add_boundaries(
    class: &Class<'_>,
    reach: &mut Reach,
    options: &Options,
    problems: &mut Vec<String>,
) {
    let name = &class.rules.name;
    let of_class = options
        .former_boundaries
        .iter()
        .filter(|former| former.class.as_ref().is_none_or(|of| of == name));
    for FormerBoundary { arn, in_creation, .. } in of_class {
        if !is_usable(arn, reach) {
            problems.push(format!(
                "--former-boundary {arn} isn't a policy of account {}, which the roles of class {name:?} live in",
                reach.account
            ));
        }
        let all = reach.places.values_mut().chain(reach.adoptable.values_mut());
        for limits in all {
            limits.boundaries.insert(arn.to_string());
            if *in_creation {
                limits.made_with.insert(arn.to_string());
            }
        }
    }
}

/// Policies of adopted roles from before.
pub(super) fn add_policies(reaches: &mut [Reach], options: &Options, problems: &mut Vec<String>) {
    for policy in &options.former_policies {
        let mut taken = false;
        for reach in reaches.iter_mut().filter(|reach| is_usable(policy, reach)) {
            for Limits { policies, .. } in reach.adoptable.values_mut() {
                taken = true;
                policies.insert(policy.to_string());
            }
        }
        if !taken {
            problems.push(format!(
                "--former-policy {policy} isn't a policy of an account in which any of these classes lets roles be adopted \
                 (allow.adopt)"
            ));
        }
    }
}

fn is_usable(policy: &PolicyArn, reach: &Reach) -> bool {
    policy.partition() == &reach.partition && policy.account().is_none_or(|account| *account == reach.account)
}
