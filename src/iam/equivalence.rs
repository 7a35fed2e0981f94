//! Whether two policy documents mean the same.
//!
//! IAM doesn't return the text that it was given: it reorders condition keys and principals, turns
//! lists of one into scalars and accounts into root ARNs. A comparison of texts would see drift for
//! ever. This one is a comparison of canonical forms. It is careful rather than clever: it never
//! asks what a wildcard covers and never merges statements, so two documents with one meaning may
//! differ here (the cost is a needless write), but two with different meanings are never the same.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Effect, PolicyDocument, Principal, PrincipalType, Scope, Statement, Version, decode};

#[cfg(test)]
mod tests;

/// Whether the documents mean the same.
///
/// - The order of statements doesn't count, how often each occurs does. Sid and Id mean nothing.
/// - A missing Version is 2008-10-17, which differs from 2012-10-17 (policy variables).
/// - Lists are sets; a scalar is a list of one.
/// - Effect, actions, operators and condition keys are compared without case (IAM user guide, "IAM
///   JSON policy elements: Action" and "… Condition"); resources, principals and values with it.
/// - An empty Condition is none. Numbers and booleans are strings.
/// - Of AWS principals, an account ID is the account's root ARN in whatever partition (an account
///   is in one only).
/// - In the Principal of an Allow statement, `"*"` is `{"AWS": "*"}`.
pub fn equivalent(a: &PolicyDocument, b: &PolicyDocument) -> bool {
    CanonicalDocument::of(a) == CanonicalDocument::of(b)
}

/// Whether a document that IAM returned (percent-encoded or not) means what is desired. One that
/// can't be read doesn't.
pub fn equivalent_text(desired: &PolicyDocument, found: &str) -> bool {
    PolicyDocument::parse(&decode(found)).is_ok_and(|found| equivalent(desired, &found))
}

/// Whether two documents as IAM answers them (percent-encoded or not) mean the same. Where one can't be read, only
/// the same text is the same.
pub fn same_text(a: &str, b: &str) -> bool {
    match PolicyDocument::parse(&decode(a)) {
        Ok(a) => equivalent_text(&a, b),
        Err(_) => decode(a) == decode(b),
    }
}

#[derive(PartialEq)]
struct CanonicalDocument {
    version: Version,
    /// Sorted: a multiset.
    statements: Vec<CanonicalStatement>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct CanonicalStatement {
    effect: Effect,
    principal: Option<Scope<CanonicalPrincipal>>,
    action: Scope<BTreeSet<String>>,
    resource: Option<Scope<BTreeSet<String>>>,
    condition: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum CanonicalPrincipal {
    Everyone,
    Of(BTreeMap<PrincipalType, BTreeSet<String>>),
}

impl CanonicalDocument {
    fn of(document: &PolicyDocument) -> Self {
        let mut statements: Vec<_> = document.statements.iter().map(CanonicalStatement::of).collect();
        statements.sort();
        CanonicalDocument {
            version: document.version.unwrap_or(Version::V2008),
            statements,
        }
    }
}

impl CanonicalStatement {
    fn of(statement: &Statement) -> Self {
        let Statement {
            sid: _,
            effect,
            misspelt_effect: _,
            principal,
            action,
            resource,
            condition,
        } = statement;
        CanonicalStatement {
            effect: *effect,
            principal: principal.as_ref().map(|scope| {
                let star_is_everyone = *effect == Effect::Allow && matches!(scope, Scope::Only(_));
                scope.map(|principal| CanonicalPrincipal::of(principal, star_is_everyone))
            }),
            action: action.map(|actions| actions.iter().map(|a| a.to_ascii_lowercase()).collect()),
            resource: resource
                .as_ref()
                .map(|scope| scope.map(|resources| resources.iter().cloned().collect())),
            condition: condition
                .iter()
                .map(|(operator, keys)| (operator.to_ascii_lowercase(), canonical_keys(keys)))
                .collect(),
        }
    }
}

/// No two keys become one: the reader refuses keys that differ only in case.
fn canonical_keys(keys: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, BTreeSet<String>> {
    keys.iter()
        .map(|(key, values)| (key.to_ascii_lowercase(), values.iter().cloned().collect()))
        .collect()
}

impl CanonicalPrincipal {
    fn of(principal: &Principal, star_is_everyone: bool) -> Self {
        let Principal::Of(principals) = principal else {
            return CanonicalPrincipal::Everyone;
        };
        if let [(PrincipalType::Aws, values)] = *principals.iter().collect::<Vec<_>>()
            && star_is_everyone
            && values.iter().all(|value| value == "*")
        {
            return CanonicalPrincipal::Everyone;
        }
        let canonical = |kind: PrincipalType, value: &String| match kind {
            PrincipalType::Aws => account_of_root(value).unwrap_or(value).to_owned(),
            _ => value.clone(),
        };
        CanonicalPrincipal::Of(
            principals
                .iter()
                .map(|(&kind, values)| (kind, values.iter().map(|v| canonical(kind, v)).collect()))
                .collect(),
        )
    }
}

/// The account of `arn:P:iam::ACCOUNT:root`.
fn account_of_root(arn: &str) -> Option<&str> {
    match *arn.split(':').collect::<Vec<_>>() {
        ["arn", partition, "iam", "", account, "root"]
            if partition.parse::<super::arn::Partition>().is_ok()
                && account.parse::<super::arn::AccountId>().is_ok() =>
        {
            Some(account)
        }
        _ => None,
    }
}
