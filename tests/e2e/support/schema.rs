//! Asking the API server whether it would take an object: every request is a dry run.

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::bed::bed;

/// A kind that objects are checked against.
pub struct Kind {
    api: Api<DynamicObject>,
    kind: &'static str,
}

/// What is to be checked, and a part of the refusal; nothing where the object is good.
pub type Case = (&'static str, Value, Option<&'static str>);

impl Kind {
    pub fn roles(namespace: &str) -> Kind {
        let resource = resource("MlServiceRole", "mlserviceroles");
        Kind {
            api: Api::namespaced_with(bed().client.clone(), namespace, &resource),
            kind: "MlServiceRole",
        }
    }

    pub fn classes() -> Kind {
        let resource = resource("MlServiceRoleClass", "mlserviceroleclasses");
        Kind {
            api: Api::all_with(bed().client.clone(), &resource),
            kind: "MlServiceRoleClass",
        }
    }

    /// The refusal of a new object, if it is refused.
    pub async fn create(&self, spec: &Value) -> Option<String> {
        let object = self.object("checked", spec);
        let parameters = PostParams {
            dry_run: true,
            ..Default::default()
        };
        self.api
            .create(&parameters, &object)
            .await
            .err()
            .map(|e| e.to_string())
    }

    /// The refusal of a merge patch on an existing object, if it is refused.
    pub async fn patch(&self, name: &str, spec: &Value) -> Option<String> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let parameters = PatchParams {
            dry_run: true,
            ..Default::default()
        };
        let patched = self.api.patch(name, &parameters, &patch).await;
        patched.err().map(|e| e.to_string())
    }

    /// The object as the API server would store it.
    pub async fn stored(&self, spec: &Value) -> Value {
        let parameters = PostParams {
            dry_run: true,
            ..Default::default()
        };
        let stored = self.api.create(&parameters, &self.object("checked", spec)).await;
        serde_json::to_value(stored.expect("a good object")).expect("JSON")
    }

    /// Checks each case as a new object.
    pub async fn check_new(&self, cases: Vec<Case>) {
        let mut wrong = Vec::new();
        for (what, spec, expected) in cases {
            wrong.extend(complaint(what, self.create(&spec).await, expected));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Checks each case as a change of the object `name`.
    pub async fn check_change(&self, name: &str, cases: Vec<Case>) {
        let mut wrong = Vec::new();
        for (what, spec, expected) in cases {
            wrong.extend(complaint(what, self.patch(name, &spec).await, expected));
        }
        assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
    }

    fn object(&self, name: &str, spec: &Value) -> DynamicObject {
        let object = json!({
            "apiVersion": "mlservicerole.io/v1alpha1", "kind": self.kind,
            "metadata": {"name": name}, "spec": spec,
        });
        serde_json::from_value(object).expect("an object")
    }
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "mlservicerole.io".into(),
        version: "v1alpha1".into(),
        api_version: "mlservicerole.io/v1alpha1".into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

fn complaint(what: &str, refusal: Option<String>, expected: Option<&str>) -> Option<String> {
    match (refusal, expected) {
        (None, None) => None,
        (Some(refusal), Some(part)) if refusal.contains(part) => None,
        (Some(refusal), Some(part)) => Some(format!("{what}: refused without {part:?}: {refusal}")),
        (Some(refusal), None) => Some(format!("{what}: refused: {refusal}")),
        (None, Some(part)) => Some(format!("{what}: taken; expected a refusal with {part:?}")),
    }
}
