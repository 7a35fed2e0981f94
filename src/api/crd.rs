//! The two CustomResourceDefinitions as they are installed, and the parts of their schemas that
//! Rust types alone can't express.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON as Json,
};
use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{MlServiceRole, MlServiceRoleClass};

/// Both definitions, in the order in which they should be applied.
pub fn definitions() -> [CustomResourceDefinition; 2] {
    [MlServiceRoleClass::crd(), MlServiceRole::crd()].map(with_status_default)
}

/// kstatus reads an object without any status as ready. The default makes a new object count as in
/// progress before the operator has written a word, without a write of its own.
fn with_status_default(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let status = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
            .and_then(|schema| schema.properties.as_mut())
            .and_then(|properties| properties.get_mut("status"));
        if let Some(status) = status {
            status.default = Some(Json(serde_json::json!({ "observedGeneration": -1 })));
        }
    }
    crd
}

/// A policy document: any object, applied as a whole so that two appliers can't mix half statements.
pub(super) fn policy_document(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-map-type": "atomic",
    })
}

/// Conditions merge by their type, as everywhere in Kubernetes.
pub(super) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut schema =
        generator.subschema_for::<Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>>();
    schema.insert("maxItems".into(), 16.into());
    schema.insert("x-kubernetes-list-type".into(), "map".into());
    schema.insert("x-kubernetes-list-map-keys".into(), serde_json::json!(["type"]));
    schema
}

/// Tags of a role: IAM allows 50 in all, of which six are the operator's own.
pub(super) fn role_tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 40,
        "additionalProperties": { "type": "string", "maxLength": 256 },
    })
}

/// Lists of strings by name.
pub(super) fn string_lists(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "type": "array",
            "maxItems": 50,
            "x-kubernetes-list-type": "atomic",
            "items": { "type": "string", "maxLength": 2048 },
        },
    })
}

/// A Condition block: operator, key, values.
pub(super) fn condition_block(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 20,
        "additionalProperties": {
            "type": "object",
            "maxProperties": 20,
            "additionalProperties": {
                "type": "array",
                "maxItems": 50,
                "x-kubernetes-list-type": "atomic",
                "items": { "type": "string", "maxLength": 2048 },
            },
        },
    })
}

/// A label selector. Unknown fields are kept, so that the operator sees a mistyped one and refuses the class.
pub(super) fn namespace_selector(generator: &mut SchemaGenerator) -> Schema {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
    let mut schema = generator.subschema_for::<LabelSelector>();
    schema.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
    schema
}
