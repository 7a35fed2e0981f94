//! What the tests need of the cluster: manifests applied, the issuer, this cluster's uid.

use std::path::Path;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::discovery::pinned_kind;
use kube::{Client, Resource, ResourceExt};
use mlservicerole_operator::api::{MlServiceRole, MlServiceRoleClass};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wait::eventually;

/// Applies every document of a file, as `kubectl apply` would.
pub async fn apply_file(client: &Client, path: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    for document in yaml_serde::Deserializer::from_str(&text) {
        let document = Value::deserialize(document).map_err(|e| format!("{}: {e}", path.display()))?;
        if !document.is_null() {
            apply(client, document).await?;
        }
    }
    Ok(())
}

async fn apply(client: &Client, document: Value) -> Result<(), String> {
    let object: DynamicObject = serde_json::from_value(document).map_err(|e| e.to_string())?;
    let types = object.types.clone().unwrap_or_default();
    let what = format!("{} {}", types.kind, object.name_any());
    let kind = types.try_into().map_err(|e| format!("{what}: {e}"))?;
    let (resource, _) = pinned_kind(client, &kind)
        .await
        .map_err(|e| format!("{what}: {e}"))?;
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    api.patch(
        &object.name_any(),
        &PatchParams::apply("mlservicerole-e2e").force(),
        &Patch::Apply(&object),
    )
    .await
    .map(|_| ())
    .map_err(|e| format!("failed to apply {what}: {e}"))
}

/// Waits until both custom resources are served.
pub async fn served(client: &Client) {
    listable::<MlServiceRoleClass>(client).await;
    listable::<MlServiceRole>(client).await;
}

async fn listable<K>(client: &Client)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::all(client.clone());
    let what = format!("the API server serves {}", K::plural(&()));
    eventually(&what, || async {
        api.list(&ListParams::default().limit(1))
            .await
            .map_err(|e| e.to_string())
    })
    .await;
}

/// The issuer of this cluster's ServiceAccount tokens.
pub async fn issuer(client: &Client) -> Result<String, String> {
    let request = http_get("/.well-known/openid-configuration");
    let document: Value = client.request(request).await.map_err(|e| e.to_string())?;
    let issuer = document["issuer"].as_str();
    issuer
        .map(str::to_owned)
        .ok_or_else(|| "the cluster doesn't name its issuer".into())
}

/// What identifies this cluster.
pub async fn uid(client: &Client) -> Result<String, String> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let system = namespaces.get("kube-system").await.map_err(|e| e.to_string())?;
    system.uid().ok_or_else(|| "kube-system has no uid".into())
}

/// A GET of a path.
pub fn http_get(path: &str) -> hyper::Request<Vec<u8>> {
    hyper::Request::get(path)
        .body(Vec::new())
        .expect("a path makes a request")
}
