//! Conditions: whether a statement carries those that a rule of a class demands. A statement with more conditions than
//! that is narrower, and fine.

use std::collections::BTreeSet;

use super::pattern::Pattern;
use super::resource;
use super::template::{Names, Template};
use crate::iam::document::Condition;

/// One operator on one key, with the values that the class allows.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    pub(super) operator: String,
    pub(super) key: String,
    pub(super) values: Vec<Template>,
}

/// How the values of a statement must stand to those of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    /// Some of the rule's values, as they are written: what holds for fewer values holds for more.
    Some,
    /// Each within one of the rule's patterns.
    Within { arns: bool },
    /// All of the rule's values, and perhaps more: an operator with "not" forbids each of its values.
    All,
    /// The rule's values and no other.
    Same,
}

/// What a statement's operator does with several values (IAM user guide, "IAM JSON policy elements: Condition
/// operators" and "Set operators for multi-valued context keys").
fn comparison(operator: &str) -> Comparison {
    let operator = operator.to_ascii_lowercase();
    let plain = operator
        .trim_start_matches("forallvalues:")
        .trim_start_matches("foranyvalue:");
    let plain = plain.strip_suffix("ifexists").unwrap_or(plain);
    match plain {
        "stringequals" | "stringequalsignorecase" | "binaryequals" => Comparison::Some,
        "stringlike" => Comparison::Within { arns: false },
        "arnequals" | "arnlike" => Comparison::Within { arns: true },
        "stringnotequals"
        | "stringnotequalsignorecase"
        | "stringnotlike"
        | "arnnotequals"
        | "arnnotlike"
        | "notipaddress"
        | "numericnotequals"
        | "datenotequals" => Comparison::All,
        _ => Comparison::Same,
    }
}

impl Demand {
    /// Whether these conditions have this one among them, with values as narrow or narrower. Operators and keys are
    /// compared without regard to case, as IAM does; the operator must be this one and no variant of it, since
    /// `…IfExists` and `ForAllValues:` also hold where the key isn't there.
    pub(super) fn is_met_by(&self, conditions: &Condition, names: Names<'_>) -> bool {
        let found = conditions
            .iter()
            .filter(|(operator, _)| operator.eq_ignore_ascii_case(&self.operator))
            .flat_map(|(_, keys)| keys)
            .find(|(key, _)| key.eq_ignore_ascii_case(&self.key));
        let Some((_, values)) = found.filter(|(_, values)| !values.is_empty()) else {
            return false;
        };
        let allowed: BTreeSet<String> = self.values.iter().map(|value| value.fill_text(names)).collect();
        let written: BTreeSet<String> = values.iter().cloned().collect();
        match comparison(&self.operator) {
            Comparison::Some => written.is_subset(&allowed),
            Comparison::All => written.is_superset(&allowed),
            Comparison::Same => written == allowed,
            Comparison::Within { arns } => written.iter().all(|value| {
                Pattern::policy_text(value).is_ok_and(|value| {
                    let includes = match arns {
                        true => resource::includes,
                        false => Pattern::includes,
                    };
                    self.values
                        .iter()
                        .any(|allowed| includes(&allowed.fill(names), &value))
                })
            }),
        }
    }

    /// For people: `StringLike s3:prefix ["team-a/*"]`.
    pub(super) fn shown(&self, names: Names<'_>) -> String {
        let values: Vec<String> = self.values.iter().map(|value| value.fill_text(names)).collect();
        format!("{} {} {values:?}", self.operator, self.key)
    }
}
