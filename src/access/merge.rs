//! Statements that say together what they said apart, in fewer characters.
//!
//! Only steps that keep the meaning exactly: IAM reads a statement as every action on every resource under its
//! conditions, and the values of one condition key as alternatives (IAM user guide, "Conditions with multiple context
//! keys or values"). A wider statement is never made, however many characters it would save.

use std::collections::{BTreeMap, BTreeSet};

/// An Allow statement as sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Statement {
    pub actions: BTreeSet<String>,
    pub resources: BTreeSet<String>,
    /// Operator, key, values.
    pub conditions: Conditions,
}

pub(super) type Conditions = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The operators whose values are alternatives. Not so with negated ones and with `ForAllValues`, so a name that isn't
/// here is left alone.
const ALTERNATIVES: [&str; 4] = ["StringEquals", "StringLike", "ArnEquals", "ArnLike"];

/// The statements, joined where two say the same in one, the pair that saves most first. Order in makes no difference
/// to order out.
pub(super) fn merge(statements: Vec<Statement>) -> Vec<Statement> {
    let once: BTreeSet<Statement> = statements.into_iter().collect();
    let mut statements: Vec<Statement> = once.into_iter().collect();
    while let Some((first, second, joined)) = best_pair(&statements) {
        statements.swap_remove(second.max(first));
        statements.swap_remove(first.min(second));
        statements.push(joined);
        statements.sort();
    }
    statements
}

fn best_pair(statements: &[Statement]) -> Option<(usize, usize, Statement)> {
    let mut best: Option<(usize, usize, usize, Statement)> = None;
    for (i, a) in statements.iter().enumerate() {
        for (j, b) in statements.iter().enumerate().skip(i + 1) {
            let Some(joined) = join(a, b) else { continue };
            let saved = (a.weight() + b.weight()).saturating_sub(joined.weight());
            if best.as_ref().is_none_or(|(most, ..)| saved > *most) {
                best = Some((saved, i, j, joined));
            }
        }
    }
    best.map(|(_, i, j, joined)| (i, j, joined))
}

/// One statement that means what the two mean.
fn join(a: &Statement, b: &Statement) -> Option<Statement> {
    if a.conditions == b.conditions {
        if a.covers_parts_of(b) {
            return Some(a.clone());
        }
        if b.covers_parts_of(a) {
            return Some(b.clone());
        }
        let same_actions = a.actions == b.actions;
        return (same_actions || a.resources == b.resources).then(|| Statement {
            actions: union(&a.actions, &b.actions),
            resources: union(&a.resources, &b.resources),
            conditions: a.conditions.clone(),
        });
    }
    if a.actions != b.actions || a.resources != b.resources {
        return None;
    }
    Some(Statement {
        conditions: join_conditions(&a.conditions, &b.conditions)?,
        ..a.clone()
    })
}

/// The conditions under which either holds, when they differ in the values of one key alone.
fn join_conditions(a: &Conditions, b: &Conditions) -> Option<Conditions> {
    let names = |conditions: &Conditions| -> Vec<(String, String)> {
        let pairs = conditions
            .iter()
            .flat_map(|(operator, keys)| keys.keys().map(move |key| (operator.clone(), key.clone())));
        pairs.collect()
    };
    let (names_a, names_b) = (names(a), names(b));
    if names_a != names_b {
        return None;
    }
    let values = |conditions: &Conditions, (operator, key): &(String, String)| {
        conditions.get(operator).and_then(|keys| keys.get(key)).cloned()
    };
    let mut differing = names_a.iter().filter(|name| values(a, name) != values(b, name));
    let (only, None) = (differing.next()?, differing.next()) else {
        return None;
    };
    if !ALTERNATIVES.contains(&only.0.as_str()) {
        return None;
    }
    let both = union(&values(a, only)?, &values(b, only)?);
    let mut joined = a.clone();
    joined.get_mut(&only.0)?.insert(only.1.clone(), both);
    Some(joined)
}

fn union(a: &BTreeSet<String>, b: &BTreeSet<String>) -> BTreeSet<String> {
    a.union(b).cloned().collect()
}

impl Statement {
    /// Whether every action and resource of the other is here too.
    fn covers_parts_of(&self, other: &Statement) -> bool {
        other.actions.is_subset(&self.actions) && other.resources.is_subset(&self.resources)
    }

    /// About as many characters as it has in JSON; enough to compare.
    fn weight(&self) -> usize {
        const KEYS_AND_BRACES: usize = 50;
        let list = |values: &BTreeSet<String>| values.iter().map(|value| value.len() + 3).sum::<usize>();
        let conditions: usize = self
            .conditions
            .iter()
            .map(|(operator, keys)| {
                let keys: usize = keys
                    .iter()
                    .map(|(key, values)| key.len() + 6 + list(values))
                    .sum();
                operator.len() + 6 + keys
            })
            .sum();
        KEYS_AND_BRACES + list(&self.actions) + list(&self.resources) + conditions
    }
}
