//! Fitting statements into policies of limited size: at the borders of statements where that is enough, within a
//! statement's lists where one alone is too large.
//!
//! Policies that are attached to one role count as one, so that it doesn't matter which of them a statement is in.

use std::collections::BTreeSet;

use super::Output;
use super::policy::{Conditions, Limit, Policy, Resources, Statement};
use crate::iam::document::Effect;
use crate::iam::quota::DEFAULT_MANAGED_POLICIES_PER_ROLE;

/// Under these operators a list of values means any of them, so that in an Allow statement each part of the list
/// allows a part of the whole. (IAM user guide, "Evaluation logic for multiple context keys or values".)
const ANY_OF: [&str; 6] = [
    "ArnEquals",
    "ArnEqualsIfExists",
    "ArnLike",
    "StringEquals",
    "StringEqualsIfExists",
    "StringLike",
];

/// Puts statements into as few policies as fit in order. Given back are the statements that are too large in
/// themselves and can't be taken apart: they are in none of the policies.
#[must_use]
pub(super) fn pack(
    name: &str,
    purpose: &str,
    limit: Limit,
    statements: Vec<Statement>,
    into: &mut Output,
) -> Vec<Statement> {
    let mut policies: Vec<(usize, Policy)> = Vec::new();
    let mut too_large = Vec::new();
    let bare = of(name, purpose, limit, vec![]);
    let frame = bare.size();
    for statement in statements {
        let Some(parts) = parts(&statement, limit) else {
            too_large.push(statement);
            continue;
        };
        for part in parts {
            let needed = part.size(limit);
            let room = policies
                .iter_mut()
                .find(|(taken, _)| *taken + needed <= limit.characters());
            match room {
                Some((taken, policy)) => {
                    *taken += needed;
                    policy.statements.push(part);
                }
                None => policies.push((frame + needed, of(name, purpose, limit, vec![part]))),
            }
        }
    }
    let count = policies.len();
    if count > 1 {
        for (index, (_, policy)) in policies.iter_mut().enumerate() {
            policy.name = format!("{name}-{}", index + 1);
        }
        into.notes.push(format!(
            "{name} doesn't fit into one policy of {} characters and is divided into {count}: attach all of them",
            limit.characters()
        ));
    }
    if limit == Limit::ManagedPolicy && count > DEFAULT_MANAGED_POLICIES_PER_ROLE {
        into.notes.push(format!(
            "{name} takes {count} policies, but a role may have {DEFAULT_MANAGED_POLICIES_PER_ROLE} unless its account's \
             quota L-0DA4ABF3 was raised: divide the classes among several operators, or list fewer policies and roles"
        ));
    }
    into.policies
        .extend(policies.into_iter().map(|(_, policy)| policy));
    too_large
}

fn of(name: &str, purpose: &str, limit: Limit, statements: Vec<Statement>) -> Policy {
    Policy {
        name: name.to_owned(),
        purpose: purpose.to_owned(),
        limit,
        statements,
    }
}

/// The statement as it is, or as several that mean the same together and fit each.
fn parts(statement: &Statement, limit: Limit) -> Option<Vec<Statement>> {
    let frame = of("", "", limit, vec![]).size();
    if frame + statement.size(limit) <= limit.characters() {
        return Some(vec![statement.clone()]);
    }
    let (first, second) = halves(statement)?;
    let mut all = parts(&first, limit)?;
    all.extend(parts(&second, limit)?);
    Some(all)
}

fn halves(statement: &Statement) -> Option<(Statement, Statement)> {
    let length = |values: &BTreeSet<String>| match values.len() {
        0 | 1 => 0,
        _ => values.iter().map(String::len).sum::<usize>(),
    };
    let of_resources = match &statement.resources {
        Resources::Only(arns) => length(arns),
        Resources::Holder | Resources::AllExcept(_) => 0,
    };
    let longest = longest_condition(statement, length);
    if of_resources == 0 && longest.is_none() {
        return None;
    }
    let (mut first, mut second) = (statement.clone(), statement.clone());
    match longest {
        Some((operator, key, size)) if size > of_resources => {
            let values = statement.conditions.get(operator)?.get(&key)?;
            let (left, right) = halve(values);
            replace(&mut first.conditions, operator, &key, left);
            replace(&mut second.conditions, operator, &key, right);
        }
        _ => {
            let Resources::Only(arns) = &statement.resources else {
                return None;
            };
            let (left, right) = halve(arns);
            first.resources = Resources::Only(left);
            second.resources = Resources::Only(right);
        }
    }
    Some((first, second))
}

fn longest_condition(
    statement: &Statement,
    length: impl Fn(&BTreeSet<String>) -> usize,
) -> Option<(&'static str, String, usize)> {
    if statement.effect == Effect::Deny {
        return None;
    }
    let lists = statement
        .conditions
        .iter()
        .filter(|(operator, _)| ANY_OF.contains(operator));
    let sized = lists.flat_map(|(operator, keys)| {
        keys.iter()
            .map(|(key, values)| (*operator, key.clone(), length(values)))
    });
    sized
        .filter(|(_, _, size)| *size > 0)
        .max_by_key(|(_, _, size)| *size)
}

fn replace(conditions: &mut Conditions, operator: &'static str, key: &str, values: BTreeSet<String>) {
    conditions
        .entry(operator)
        .or_default()
        .insert(key.to_owned(), values);
}

fn halve(values: &BTreeSet<String>) -> (BTreeSet<String>, BTreeSet<String>) {
    let middle = values.len() / 2;
    (
        values.iter().take(middle).cloned().collect(),
        values.iter().skip(middle).cloned().collect(),
    )
}
