//! From the model to JSON.
//!
//! IAM's quotas count characters, so the text is as short as the language allows: no whitespace, a
//! scalar for a list of one, nothing for an empty element. The order of elements is fixed and the
//! order of lists is the model's, so equal documents have equal texts.

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
        map.serialize_entry("Statement", &ScalarOrList(statements))?;
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
        serialize_list(&mut map, action, "Action", "NotAction")?;
        if let Some(resource) = resource {
            serialize_list(&mut map, resource, "Resource", "NotResource")?;
        }
        if !condition.is_empty() {
            let condition: Vec<_> = condition
                .iter()
                .map(|(operator, keys)| {
                    let keys: Vec<_> = keys
                        .iter()
                        .map(|(key, values)| (key, ScalarOrList(values)))
                        .collect();
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
    map.serialize_entry(scope.element(only, all_except), &ScalarOrList(scope.value()))
}

impl Serialize for Principal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Principal::Everyone => serializer.serialize_str("*"),
            Principal::Of(principals) => serializer.collect_map(
                principals
                    .iter()
                    .map(|(kind, values)| (kind.as_str(), ScalarOrList(values))),
            ),
        }
    }
}

struct ScalarOrList<'a, T>(&'a [T]);

impl<T: Serialize> Serialize for ScalarOrList<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [single] => single.serialize(serializer),
            list => list.serialize(serializer),
        }
    }
}

struct Entries<K, V>(Vec<(K, V)>);

impl<K: Serialize, V: Serialize> Serialize for Entries<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}
