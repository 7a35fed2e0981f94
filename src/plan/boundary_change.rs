//! How far a change of a class's permissions boundary has come: which of its roles still carry another one. Said in
//! the class's status while there are any, so that the operator's own IAM policy can allow both until then.

use std::collections::BTreeSet;

use crate::api::class::BoundaryChange;
use crate::iam::arn::PolicyArn;

/// So many former boundaries are named; a class that has more roles of many boundaries has adopted them.
const NAMED: usize = 10;

/// The boundary of a role of the class, as far as it is known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum KnownBoundary {
    /// The role wasn't looked at since the operator started.
    #[default]
    Unknown,
    /// It has none.
    None,
    /// It has this one.
    Arn(String),
}

/// What is still to be done; none where every role carries what the class wants.
///
/// As long as some roles weren't looked at, what was said before stands: a restart is no news. A role without a
/// boundary under a class that has none needs nothing; one that has a boundary there is never freed from it, and is
/// counted, since the operator's policy must go on allowing it.
pub fn boundary_change(
    wanted: Option<&PolicyArn>,
    roles: &[KnownBoundary],
    before: Option<&BoundaryChange>,
) -> Option<BoundaryChange> {
    if roles.contains(&KnownBoundary::Unknown) && before.is_some_and(|before| before.to == text(wanted)) {
        return before.cloned();
    }
    let wanted_arn = wanted.map(PolicyArn::as_str);
    let others = roles.iter().filter(|role| match role {
        KnownBoundary::Unknown => false,
        KnownBoundary::None => wanted_arn.is_some(),
        KnownBoundary::Arn(arn) => wanted_arn != Some(arn),
    });
    let pending = others.clone().count();
    let from: BTreeSet<&str> = others
        .filter_map(|role| match role {
            KnownBoundary::Arn(arn) => Some(arn.as_str()),
            KnownBoundary::Unknown | KnownBoundary::None => None,
        })
        .collect();
    (pending > 0).then(|| BoundaryChange {
        to: text(wanted),
        from: from.into_iter().take(NAMED).map(str::to_owned).collect(),
        pending_roles: i32::try_from(pending).unwrap_or(i32::MAX),
    })
}

fn text(arn: Option<&PolicyArn>) -> Option<String> {
    arn.map(ToString::to_string)
}
