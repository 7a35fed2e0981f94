//! Objects as the API server holds them, whatever is in them: one that can't be read stands for itself alone.
//!
//! kube's own guard builds a tree of the whole answer first and fails with it where one object is nested more deeply
//! than serde_json goes (128 levels). A field that takes any JSON, as a policy document is, would let one tenant blind
//! the operator to everybody's objects. Here each object is passed over as text first, which has no such limit.

use std::borrow::Cow;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// An object, or why it can't be read.
///
/// Only its metadata is kept as it is; the rest is text, and read by whoever needs it: thousands of objects lie in the
/// caches, most of them for hours, and as maps and lists each takes three times the room.
#[derive(Clone, Debug)]
pub struct Guarded<K> {
    metadata: ObjectMeta,
    rest: Result<Box<str>, Box<Unreadable>>,
    kind: PhantomData<fn() -> K>,
}

/// What is known of an object that can't be read, besides its metadata.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Why.
    pub error: String,
    /// The conditions in its status, as far as they can be read.
    pub conditions: Vec<Condition>,
}

impl<K: Resource + DeserializeOwned> Guarded<K> {
    /// The object. Each time it is read anew from text of a few KiB.
    pub fn read(&self) -> Result<K, Unreadable> {
        let text = self.rest.as_ref().map_err(|unreadable| (**unreadable).clone())?;
        let mut object: K = serde_json::from_str(text).map_err(|error| Unreadable {
            error: error.to_string(),
            conditions: vec![],
        })?;
        *object.meta_mut() = self.metadata.clone();
        Ok(object)
    }

    /// A part of the object: of one that can be read, what `P` has of its spec and status.
    pub fn read_part<P: DeserializeOwned>(&self) -> Option<P> {
        let text = self.rest.as_ref().ok()?;
        serde_json::from_str(text).ok()
    }

    /// Whether it can be read.
    pub fn is_readable(&self) -> bool {
        self.rest.is_ok()
    }
}

/// An object as it comes.
#[derive(Deserialize)]
struct Outline<'a> {
    metadata: ObjectMeta,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

/// What is kept of it as text. The metadata is put in when it is read.
#[derive(Serialize)]
struct Rest<'a> {
    metadata: ObjectMeta,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
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
        // Metadata comes from the API server itself: nothing that a person writes makes it unreadable.
        let Outline {
            metadata,
            spec,
            status,
        } = serde_json::from_str(text.get()).map_err(serde::de::Error::custom)?;
        let rest = Rest {
            metadata: ObjectMeta::default(),
            spec,
            status,
        };
        let rest = serde_json::to_string(&rest).map_err(serde::de::Error::custom)?;
        let rest = match serde_json::from_str::<K>(&rest) {
            Ok(_) => Ok(rest.into_boxed_str()),
            Err(error) => {
                let status = status.and_then(|status| serde_json::from_str(status.get()).ok());
                Err(Box::new(Unreadable {
                    error: error.to_string(),
                    conditions: status.unwrap_or_else(Status::default).conditions,
                }))
            }
        };
        Ok(Guarded {
            metadata,
            rest,
            kind: PhantomData,
        })
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
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
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
        let flat = flat.read().unwrap();
        assert_eq!(flat.spec.inline_policies[0].name, "p");
        assert_eq!(
            (flat.name_any().as_str(), flat.status.unwrap().conditions.len()),
            ("flat", 1)
        );
        assert_eq!(
            (deep.name_any().as_str(), deep.uid().unwrap().as_str()),
            ("deep", "uid-deep")
        );
        let unreadable = deep.read().unwrap_err();
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
            WatchEvent::Modified(object) => {
                assert_eq!(
                    (object.name_any().as_str(), object.is_readable()),
                    ("deep", false)
                );
            }
            event => panic!("{event:?}"),
        }
    }

    #[test]
    fn an_object_of_another_shape_stands_for_itself() {
        let text = r#"{"metadata":{"name":"odd"},"spec":{"mode":"Sometimes"},"status":"nonsense"}"#;
        let odd: Guarded<MlServiceRole> = serde_json::from_str(text).unwrap();
        let unreadable = odd.read().unwrap_err();
        assert!(unreadable.error.contains("Sometimes"), "{}", unreadable.error);
        assert!(unreadable.conditions.is_empty());
    }
}
