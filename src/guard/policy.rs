//! The inline policies of an object: each read, held against IAM's own grammar, against the built-in floor and against the
//! rules of the class.

use super::{ClassRules, Names, Refusal, floor, inline};
use crate::api::condition::reasons;
use crate::api::role::InlinePolicy;
use crate::iam::document::{self, Kind, PolicyDocument};

/// The longest text of all documents together that is judged, in bytes. All inline policies of a role together may
/// have 10,240 characters without white space (IAM user guide, "IAM and AWS STS quotas"), and the quota says so in
/// better words where they are somewhat longer. What it takes to judge them grows with their length and with that of
/// the class, and an object can be as long as the API server takes it.
const LONGEST: usize = 65_536;

/// All that is wrong with policies, each with its name.
pub(super) fn check_all(
    policies: &[InlinePolicy],
    rules: &ClassRules,
    names: Names<'_>,
) -> Vec<(String, Refusal)> {
    let length: usize = policies
        .iter()
        .map(|policy| policy.document.to_string().len())
        .sum();
    let found = policies.iter().flat_map(|policy| {
        let refusals = match length > LONGEST {
            true => vec![too_long(policy, length)],
            false => check(policy, rules, names),
        };
        refusals.into_iter().map(|refusal| (policy.name.clone(), refusal))
    });
    found.collect()
}

fn too_long(policy: &InlinePolicy, length: usize) -> Refusal {
    let name = &policy.name;
    Refusal::new(
        reasons::QUOTA_EXCEEDED,
        format!(
            "inlinePolicies {name:?}: all inline policies together have {length} bytes, of which IAM takes no more than \
             10,240 characters; shorten it or another one"
        ),
    )
}

fn check(policy: &InlinePolicy, rules: &ClassRules, names: Names<'_>) -> Vec<Refusal> {
    let name = &policy.name;
    let read = PolicyDocument::from_value(&policy.document)
        .and_then(|parsed| document::check(&parsed, Kind::Identity).map(|()| parsed));
    let document = match read {
        Ok(document) => document,
        Err(e) => {
            return vec![Refusal::new(
                reasons::INVALID_SPEC,
                format!("inlinePolicies {name:?}: {e}"),
            )];
        }
    };
    // The floor comes first, since what it keeps back matters more than what no rule happens to name.
    let of_floor = floor::check(&document, &rules.consents);
    let of_rules = inline::check(&document, &rules.inline, names);
    of_floor
        .iter()
        .chain(&of_rules)
        .map(|violation| {
            Refusal::new(
                violation.reason,
                format!(
                    "class {:?} doesn't allow the inline policy {name:?}: {violation}",
                    rules.name
                ),
            )
        })
        .collect()
}
