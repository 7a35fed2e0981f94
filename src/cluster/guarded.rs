//! Objects as the API server holds them, whatever is in them: one that can't be read stands for itself alone.
//!
//! kube's own guard builds a tree of the whole answer first and fails with it where one object is nested more deeply
//! than serde_json goes (128 levels). A field that takes any JSON, as a policy document is, would let one tenant blind
//! the operator to everybody's objects. Here each object is passed over as text first, which has no such limit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::packed::Packed;

/// An object, or why it can't be read.
///
/// Only its metadata is kept as it is, without annotations; the rest is packed, and read by whoever needs it: thousands of
/// objects lie in the caches, most of them for hours, and as maps and lists each takes ten times the room.
#[derive(Clone, Debug)]
pub struct Guarded<K> {
    metadata: ObjectMeta,
    rest: Result<Packed, Box<Unreadable>>,
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
    /// The object. Each time it is read anew, from some hundred bytes that hold a few KiB.
    pub fn read(&self) -> Result<K, Unreadable> {
        let rest = self.rest.as_ref().map_err(|unreadable| (**unreadable).clone())?;
        let unreadable = |error: String| Unreadable {
            error,
            conditions: vec![],
        };
        let text = rest
            .text()
            .ok_or_else(|| unreadable("what the cache holds of it is damaged".to_owned()))?;
        let mut object: K = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        let annotations = object.meta_mut().annotations.take();
        *object.meta_mut() = ObjectMeta {
            annotations,
            ..self.metadata.clone()
        };
        Ok(object)
    }

    /// Its annotations. The [`meta`](Resource::meta) of one that can be read has none.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        #[derive(Deserialize)]
        struct Annotated {
            metadata: ObjectMeta,
        }
        let kept = || self.metadata.annotations.clone();
        let packed = |annotated: Annotated| annotated.metadata.annotations;
        self.read_part().map_or_else(kept, packed).unwrap_or_default()
    }

    /// A part of the object: of one that can be read, what `P` has of its spec and status.
    pub fn read_part<P: DeserializeOwned>(&self) -> Option<P> {
        let text = self.rest.as_ref().ok()?.text()?;
        serde_json::from_str(&text).ok()
    }

    /// Whether it can be read.
    pub fn is_readable(&self) -> bool {
        self.rest.is_ok()
    }
}

/// The whole object once more, by `kubectl apply` without `--server-side`.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as it comes.
#[derive(Deserialize)]
struct Outline<'a> {
    metadata: ObjectMeta,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

/// What is packed of it. The rest of the metadata is put in when it is read.
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
            mut metadata,
            spec,
            status,
        } = serde_json::from_str(text.get()).map_err(serde::de::Error::custom)?;
        if let Some(annotations) = &mut metadata.annotations {
            annotations.remove(LAST_APPLIED);
        }
        let rest = Rest {
            metadata: ObjectMeta {
                annotations: metadata.annotations.take(),
                ..Default::default()
            },
            spec,
            status,
        };
        let text = serde_json::to_string(&rest).map_err(serde::de::Error::custom)?;
        let rest = match serde_json::from_str::<K>(&text) {
            Ok(_) => Ok(Packed::new(&text)),
            Err(error) => {
                metadata.annotations = rest.metadata.annotations;
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
    use serde_json::json;

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
    fn what_is_kept_of_an_object_is_the_whole_object() {
        let text = json!({
            "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole",
            "metadata": {
                "name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "finalizers": ["f"], "generation": 2,
                "annotations": {"mlservicerole.io/placement": "{}", "note": "ü"},
            },
            "spec": {"className": "c", "managedPolicyArns": ["arn:aws:iam::aws:policy/x"]},
            "status": {"roleName": "r"},
        })
        .to_string();
        let guarded: Guarded<MlServiceRole> = serde_json::from_str(&text).unwrap();
        let whole: MlServiceRole = serde_json::from_str(&text).unwrap();
        assert_eq!(guarded.annotations(), *whole.annotations());
        let read = guarded.read().unwrap();
        assert_eq!(
            (&read.metadata, &read.spec, &read.status),
            (&whole.metadata, &whole.spec, &whole.status)
        );
    }

    #[test]
    fn the_annotations_of_an_object_can_be_had_whether_or_not_it_can_be_read() {
        for mode in ["Manage", "Sometimes"] {
            let text = json!({
                "metadata": {"name": "a", "annotations": {"note": "n", LAST_APPLIED: "{}"}},
                "spec": {"mode": mode},
            })
            .to_string();
            let object: Guarded<MlServiceRole> = serde_json::from_str(&text).unwrap();
            assert_eq!(object.is_readable(), mode == "Manage");
            assert_eq!(object.annotations(), [("note".to_owned(), "n".to_owned())].into());
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
