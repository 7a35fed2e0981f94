//! From the model to JSON.
//!
//! IAM's quotas count characters, so the text is as short as the language allows without another
//! meaning: no whitespace, a scalar for a list of one, nothing for an empty element, nothing twice
//! in a list. Statements are never merged. The order of elements is fixed and that of lists
//! alphabetical, since lists are sets; statements stand as in the model.

use std::collections::BTreeSet;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{PolicyDocument, Principal, Scope, Statement};

impl PolicyDocument {
    /// The document as JSON, for a request to IAM. An Effect in the wrong case is written in the
    /// right one.
    pub fn to_json(&self) -> String {
        // Maps with string keys, written to memory: there is no way for this to fail. If there
        // were, IAM would refuse an empty document.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The same without Id and Sids, which mean nothing to IAM and count all the same.
    pub fn without_labels(&self) -> PolicyDocument {
        let mut bare = self.clone();
        bare.id = None;
        for statement in &mut bare.statements {
            statement.sid = None;
        }
        bare
    }
}

impl Serialize for PolicyDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let PolicyDocument {
            version,
            id,
            statements,
        } = self;
        let mut map = serializer.serialize_map(None)?;
        if let Some(version) = version {
            map.serialize_entry("Version", version.as_str())?;
        }
        if let Some(id) = id {
            map.serialize_entry("Id", id)?;
        }
        match statements.as_slice() {
            [only] => map.serialize_entry("Statement", only)?,
            several => map.serialize_entry("Statement", several)?,
        }
        map.end()
    }
}

impl Serialize for Statement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Statement {
            sid,
            effect,
            misspelt_effect: _,
            principal,
            action,
            resource,
            condition,
        } = self;
        let mut map = serializer.serialize_map(None)?;
        if let Some(sid) = sid {
            map.serialize_entry("Sid", sid)?;
        }
        map.serialize_entry("Effect", effect.as_str())?;
        if let Some(principal) = principal {
            map.serialize_entry(principal.element("Principal", "NotPrincipal"), principal.value())?;
        }
        let actions = action.map(|actions| once_each(actions));
        serialize_list(&mut map, &actions, "Action", "NotAction")?;
        if let Some(resource) = resource {
            serialize_list(&mut map, resource, "Resource", "NotResource")?;
        }
        if !condition.is_empty() {
            let condition: Vec<_> = condition
                .iter()
                .map(|(operator, keys)| {
                    let keys: Vec<_> = keys.iter().map(|(key, values)| (key, Set(values))).collect();
                    (operator, Entries(keys))
                })
                .collect();
            map.serialize_entry("Condition", &Entries(condition))?;
        }
        map.end()
    }
}

fn serialize_list<M: SerializeMap>(
    map: &mut M,
    scope: &Scope<Vec<String>>,
    only: &'static str,
    all_except: &'static str,
) -> Result<(), M::Error> {
    map.serialize_entry(scope.element(only, all_except), &Set(scope.value()))
}

impl Serialize for Principal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Principal::Everyone => serializer.serialize_str("*"),
            Principal::Of(principals) => serializer.collect_map(
                principals
                    .iter()
                    .map(|(kind, values)| (kind.as_str(), Set(values))),
            ),
        }
    }
}

/// Actions are compared without case: of two spellings of one, the first is written.
fn once_each(actions: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut once = actions.to_vec();
    once.retain(|action| seen.insert(action.to_ascii_lowercase()));
    once
}

/// A list whose order and repetitions mean nothing.
struct Set<'a>(&'a [String]);

impl Serialize for Set<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values: BTreeSet<&String> = self.0.iter().collect();
        match values.first() {
            Some(single) if values.len() == 1 => single.serialize(serializer),
            _ => values.serialize(serializer),
        }
    }
}

struct Entries<K, V>(Vec<(K, V)>);

impl<K: Serialize, V: Serialize> Serialize for Entries<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}
