//! Which issuers' tokens the roles of a class trust. It reads no token and asks no cluster.

use std::collections::BTreeSet;

use super::{ClassRules, Refusal};
use crate::api::condition::reasons;
use crate::iam::arn::Issuer;

/// The issuers that a class's roles trust.
///
/// `own` is this cluster's issuer as it is now, `recorded` the one that the class's status holds from when the
/// class first relied on it. A cluster whose issuer
/// changes must not silently move every role's trust, so a recorded issuer stays until the class names another.
/// The second value says so where it happened.
pub fn issuers_in_force(
    rules: &ClassRules,
    own: &Issuer,
    recorded: Option<&str>,
) -> Result<(BTreeSet<Issuer>, Option<Refusal>), Refusal> {
    if !rules.issuers.is_empty() {
        let strangers: Vec<&str> = rules
            .issuers
            .iter()
            .filter(|(issuer, trusted)| issuer != own && !trusted)
            .map(|(i, _)| i.url())
            .collect();
        if strangers.is_empty() {
            return Ok((
                rules.issuers.iter().map(|(issuer, _)| issuer.clone()).collect(),
                None,
            ));
        }
        return Err(Refusal::new(
            reasons::INVALID_SPEC,
            format!(
                "class {:?}: oidc.issuers names {}, which isn't this cluster's issuer ({}); its ServiceAccounts of the \
                 same namespace and name would get the roles too: write trustSameNamespaces: true beside it if that is \
                 meant, or remove it",
                rules.name,
                strangers.join(", "),
                own.url()
            ),
        ));
    }
    let recorded = recorded
        .and_then(|url| url.parse::<Issuer>().ok())
        .filter(|recorded| recorded != own);
    let Some(recorded) = recorded else {
        return Ok((BTreeSet::from([own.clone()]), None));
    };
    let notice = Refusal::new(
        reasons::ISSUER_CHANGED,
        format!(
            "class {:?}: this cluster's issuer is now {}, but the roles trust {}, which is kept; write the issuers that \
             are meant into oidc.issuers",
            rules.name,
            own.url(),
            recorded.url()
        ),
    );
    Ok((BTreeSet::from([recorded]), Some(notice)))
}
