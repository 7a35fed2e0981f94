//! One inline policy of an object: read, held against IAM's own grammar, against the built-in floor and against the
//! rules of the class.

use super::{ClassRules, Names, Refusal, floor, inline};
use crate::api::condition::reasons;
use crate::api::role::InlinePolicy;
use crate::iam::document::{self, Kind, PolicyDocument};

/// The longest text of a document that is judged, in bytes. All inline policies of a role together may have 10,240
/// characters without white space (IAM user guide, "IAM and AWS STS quotas"), and the quota says so in better words
/// where a document is somewhat longer.
const LONGEST: usize = 65_536;

/// All that is wrong with a policy.
pub(super) fn check(policy: &InlinePolicy, rules: &ClassRules, names: Names<'_>) -> Vec<Refusal> {
    let name = &policy.name;
    let length = policy.document.to_string().len();
    if length > LONGEST {
        return vec![Refusal::new(
            reasons::QUOTA_EXCEEDED,
            format!(
                "inlinePolicies {name:?} has {length} bytes, of which IAM takes no more than 10,240 characters; shorten it"
            ),
        )];
    }
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
