//! Objects as the API server holds them, whatever is in them: one that can't be read stands for itself alone.
//!
//! kube's own guard builds a tree of the whole answer first and fails with it where one object is nested more deeply
//! than serde_json goes (128 levels). A field that takes any JSON, as a policy document is, would let one tenant blind
//! the operator to everybody's objects. Here each object is passed over as text first, which has no such limit.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An object, or why it can't be read.
#[derive(Clone, Debug)]
pub struct Guarded<K>(pub Result<K, Unreadable>);

/// What is known of an object that can't be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Why.
    pub error: String,
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// The conditions in its status, as far as they can be read.
    pub conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Outline<'a> {
    metadata: ObjectMeta,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let error = match serde_json::from_str(text.get()) {
            Ok(object) => return Ok(Guarded(Ok(object))),
            Err(error) => error,
        };
        // Metadata comes from the API server itself: nothing that a person writes makes it unreadable.
        let Outline { metadata, status } =
            serde_json::from_str(text.get()).map_err(serde::de::Error::custom)?;
        let status = status
            .and_then(|status| serde_json::from_str(status.get()).ok())
            .unwrap_or_else(Status::default);
        Ok(Guarded(Err(Unreadable {
            error: error.to_string(),
            metadata,
            conditions: status.conditions,
        })))
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(unreadable) => &unreadable.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(unreadable) => &mut unreadable.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;
    use kube::core::{ObjectList, WatchEvent};

    use super::*;
    use crate::api::MlServiceRole;

    /// An object whose policy document is nested so deeply.
    fn nested(name: &str, depth: usize) -> String {
        format!(
            r#"{{"apiVersion":"mlservicerole.io/v1alpha1","kind":"MlServiceRole",
            "metadata":{{"name":"{name}","namespace":"team-a","uid":"uid-{name}"}},
            "spec":{{"inlinePolicies":[{{"name":"p","document":{}{}}}]}},
            "status":{{"conditions":[{{"type":"Ready","status":"False","reason":"InvalidSpec","message":"m",
            "lastTransitionTime":"2026-01-01T00:00:00Z"}}]}}}}"#,
            r#"{"a":["#.repeat(depth / 2),
            "]}".repeat(depth / 2)
        )
    }

    #[test]
    fn one_deeply_nested_object_in_a_list_hides_no_other() {
        let list = format!(
            r#"{{"apiVersion":"mlservicerole.io/v1alpha1","kind":"MlServiceRoleList","metadata":{{}},"items":[{},{}]}}"#,
            nested("deep", 9000),
            nested("flat", 10)
        );
        let list: ObjectList<Guarded<MlServiceRole>> = serde_json::from_str(&list).unwrap();
        let [deep, flat] = &list.items[..] else { panic!() };
        assert_eq!(flat.0.as_ref().unwrap().spec.inline_policies[0].name, "p");
        assert_eq!(
            (deep.name_any().as_str(), deep.uid().unwrap().as_str()),
            ("deep", "uid-deep")
        );
        let unreadable = deep.0.as_ref().unwrap_err();
        assert!(
            unreadable.error.contains("recursion limit"),
            "{}",
            unreadable.error
        );
        assert_eq!(unreadable.conditions[0].reason, "InvalidSpec");
    }

    #[test]
    fn one_deeply_nested_object_does_not_break_a_watch() {
        let line = format!(r#"{{"type":"MODIFIED","object":{}}}"#, nested("deep", 5000));
        match serde_json::from_str::<WatchEvent<Guarded<MlServiceRole>>>(&line).unwrap() {
            WatchEvent::Modified(Guarded(Err(unreadable))) => {
                assert_eq!(unreadable.metadata.name.as_deref(), Some("deep"));
            }
            event => panic!("{event:?}"),
        }
    }

    #[test]
    fn an_object_of_another_shape_stands_for_itself() {
        let text = r#"{"metadata":{"name":"odd"},"spec":{"mode":"Sometimes"},"status":"nonsense"}"#;
        let Guarded(read) = serde_json::from_str::<Guarded<MlServiceRole>>(text).unwrap();
        let unreadable = read.unwrap_err();
        assert!(unreadable.error.contains("Sometimes"), "{}", unreadable.error);
        assert!(unreadable.conditions.is_empty());
    }
}
