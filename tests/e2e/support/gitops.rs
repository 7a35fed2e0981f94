//! What deployment tools send to the API server for a ServiceAccount of a chart, request by request and under the
//! field manager that each has. Read from their sources:
//!
//! - Helm 3 (`pkg/kube/client.go`): a POST, later a strategic merge patch of the last release's manifest, the new one
//!   and the live object, and no request where that patch is empty. Helm 4: server-side apply, without force unless
//!   `--force-conflicts` is given. Manager `helm` in both.
//! - Argo CD (gitops-engine, `pkg/utils/kube/resource_ops.go`): `kubectl apply` as manager `argocd-controller`; with
//!   `ServerSideApply=true` always with force; with `Replace=true` `kubectl replace` without a manager of its own, so
//!   that the API server takes the program's name.
//! - Velero (`pkg/restore`): a POST of the backup without uid, versions, times, owners and status, then a patch that
//!   sets the managed fields of the backup; into a ServiceAccount that exists, what it lacks of labels and annotations.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Map, Value, json};

use super::{Space, eventually};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The ServiceAccount of a chart, named `trainer`.
pub fn chart(annotations: &Value) -> Value {
    let mut metadata = json!({"name": "trainer", "labels": {"app": "trainer"}});
    if !annotations.is_null() {
        metadata["annotations"] = annotations.clone();
    }
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
}

/// A release: its manifests carry Helm's own label and annotations.
fn release(annotations: &Value) -> Value {
    let mut manifest = chart(annotations);
    manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
    manifest["metadata"]["annotations"]["meta.helm.sh/release-name"] = json!("trainer");
    manifest["metadata"]["annotations"]["meta.helm.sh/release-namespace"] = json!("team");
    manifest
}

/// An application's resource: tracked by an annotation, as Argo CD does by default.
fn tracked(annotations: &Value) -> Value {
    let mut manifest = chart(annotations);
    manifest["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] =
        json!("trainer:/ServiceAccount:team");
    manifest
}

fn managed_by(manager: &str) -> PatchParams {
    PatchParams {
        field_manager: Some(manager.to_owned()),
        ..Default::default()
    }
}

async fn post(space: &Space, manager: &str, manifest: &Value) {
    let params = PostParams {
        field_manager: Some(manager.to_owned()),
        ..Default::default()
    };
    let account: ServiceAccount = serde_json::from_value(manifest.clone()).expect("a ServiceAccount");
    let created = space.accounts().create(&params, &account).await;
    created.expect("the tool can create its ServiceAccount");
}

/// The annotations of a strategic merge patch: what of the new manifest isn't live, and what the old one had and the
/// new one hasn't.
fn three_way(old: &Value, new: &Value, live: &ServiceAccount) -> Map<String, Value> {
    let of = |manifest: &Value| {
        let annotations = &manifest["metadata"]["annotations"];
        annotations.as_object().cloned().unwrap_or_default()
    };
    let (old, new) = (of(old), of(new));
    let mut patch = Map::new();
    for (key, value) in &new {
        if live.annotations().get(key).map(String::as_str) != value.as_str() {
            patch.insert(key.clone(), value.clone());
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch
}

/// Sends a strategic merge patch unless it is empty; whether it was sent.
async fn patch(space: &Space, manager: &str, annotations: Map<String, Value>) -> bool {
    if annotations.is_empty() {
        return false;
    }
    let patch = json!({"metadata": {"annotations": annotations}});
    let patched = space
        .accounts()
        .patch("trainer", &managed_by(manager), &Patch::Strategic(patch))
        .await;
    patched.expect("the tool can patch its ServiceAccount");
    true
}

/// A release of Helm 3.
pub struct Helm3<'a> {
    space: &'a Space,
    manifest: Value,
}

impl<'a> Helm3<'a> {
    pub async fn install(space: &'a Space, annotations: Value) -> Self {
        let manifest = release(&annotations);
        post(space, "helm", &manifest).await;
        Helm3 { space, manifest }
    }

    /// Whether anything was sent.
    pub async fn upgrade(&mut self, annotations: Value) -> bool {
        let manifest = release(&annotations);
        let live = self.space.account("trainer").await.expect("the ServiceAccount");
        let changes = three_way(&self.manifest, &manifest, &live);
        self.manifest = manifest;
        patch(self.space, "helm", changes).await
    }
}

/// `helm install` and `helm upgrade` of Helm 4; the conflict, if there is one.
pub async fn helm4(space: &Space, annotations: Value, force_conflicts: bool) -> Result<(), String> {
    server_side_apply(space, "helm", &release(&annotations), force_conflicts).await
}

async fn server_side_apply(
    space: &Space,
    manager: &str,
    manifest: &Value,
    force: bool,
) -> Result<(), String> {
    let mut params = PatchParams::apply(manager);
    params.force = force;
    let accounts = space.accounts();
    let applied = accounts.patch("trainer", &params, &Patch::Apply(manifest)).await;
    applied.map(|_| ()).map_err(|error| error.to_string())
}

/// How an application of Argo CD is synced.
#[derive(Clone, Copy, Debug)]
pub enum ArgoCd {
    Apply,
    ServerSideApply,
    Replace,
}

impl ArgoCd {
    /// The field manager that the API server sees.
    pub fn manager(self) -> &'static str {
        match self {
            ArgoCd::Apply | ArgoCd::ServerSideApply => "argocd-controller",
            ArgoCd::Replace => "argocd-application-controller",
        }
    }

    /// A sync; whether anything was sent.
    pub async fn sync(self, space: &Space, annotations: &Value) -> bool {
        let manifest = tracked(annotations);
        let live = space.account("trainer").await;
        match (self, live) {
            (ArgoCd::ServerSideApply, _) => {
                let applied = server_side_apply(space, self.manager(), &manifest, true).await;
                applied.expect("an apply with force meets no conflict");
                true
            }
            (ArgoCd::Apply, None) => {
                post(space, self.manager(), &with_last_applied(&manifest)).await;
                true
            }
            (ArgoCd::Apply, Some(live)) => {
                let last = live.annotations().get(LAST_APPLIED);
                let last = last.and_then(|text| serde_json::from_str(text).ok());
                let changes = three_way(&last.unwrap_or_default(), &with_last_applied(&manifest), &live);
                patch(space, self.manager(), changes).await
            }
            (ArgoCd::Replace, None) => {
                post(space, self.manager(), &manifest).await;
                true
            }
            (ArgoCd::Replace, Some(_)) => {
                replace(space, self.manager(), &manifest).await;
                true
            }
        }
    }

    /// Self-heal: a sync where something of the manifest isn't live; what else is live is no difference.
    pub async fn self_heal(self, space: &Space, annotations: &Value) -> bool {
        let Some(live) = space.account("trainer").await else {
            return self.sync(space, annotations).await;
        };
        let differs = !three_way(&Value::Null, &tracked(annotations), &live).is_empty();
        differs && self.sync(space, annotations).await
    }
}

/// A PUT of the manifest over whatever version is live, as kubectl does it.
async fn replace(space: &Space, manager: &str, manifest: &Value) {
    let params = PostParams {
        field_manager: Some(manager.to_owned()),
        ..Default::default()
    };
    eventually("the ServiceAccount is replaced", || async {
        let live = space.account("trainer").await.ok_or("no ServiceAccount")?;
        let mut manifest = manifest.clone();
        manifest["metadata"]["resourceVersion"] = json!(live.resource_version());
        let account: ServiceAccount = serde_json::from_value(manifest).expect("a ServiceAccount");
        let replaced = space.accounts().replace("trainer", &params, &account).await;
        replaced.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
}

fn with_last_applied(manifest: &Value) -> Value {
    let mut applied = manifest.clone();
    applied["metadata"]["annotations"][LAST_APPLIED] = json!(manifest.to_string());
    applied
}

/// What a backup holds of an object or a ServiceAccount.
pub fn backup<K: serde::Serialize>(live: &K) -> Value {
    serde_json::to_value(live).expect("an object is JSON")
}

fn without_identity(backup: &Value) -> Value {
    let mut restored = backup.clone();
    let metadata = restored["metadata"].as_object_mut().expect("metadata");
    for key in [
        "generateName",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "ownerReferences",
    ] {
        metadata.remove(key);
    }
    let labels = metadata.entry("labels").or_insert(json!({}));
    labels["velero.io/backup-name"] = json!("nightly");
    labels["velero.io/restore-name"] = json!("nightly-1");
    restored.as_object_mut().expect("an object").remove("status");
    restored
}

/// `velero restore` of a ServiceAccount that is gone, or that lacks something.
pub async fn velero_restores_account(space: &Space, backup: &Value) {
    let restored = without_identity(backup);
    let Some(live) = space.account("trainer").await else {
        let mut created = restored.clone();
        created["metadata"]["managedFields"] = Value::Null;
        post(space, "velero-server", &created).await;
        let fields = json!({"metadata": {"managedFields": restored["metadata"]["managedFields"]}});
        let patched = space
            .accounts()
            .patch("trainer", &managed_by("velero-server"), &Patch::Merge(fields))
            .await;
        patched.expect("velero can set managed fields");
        return;
    };
    let present: BTreeSet<&String> = live.annotations().keys().collect();
    let mut missing = restored["metadata"]["annotations"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    missing.retain(|key, _| !present.contains(key));
    let merge = json!({"metadata": {"annotations": missing, "labels": restored["metadata"]["labels"]}});
    let patched = space
        .accounts()
        .patch("trainer", &managed_by("velero-server"), &Patch::Merge(merge))
        .await;
    patched.expect("velero can merge a ServiceAccount");
}

/// `velero restore` of an MlServiceRole.
pub async fn velero_restores_object(space: &Space, backup: &Value) {
    let mut restored = without_identity(backup);
    restored["metadata"]["managedFields"] = Value::Null;
    let object = serde_json::from_value(restored).expect("an MlServiceRole");
    let params = PostParams {
        field_manager: Some("velero-server".to_owned()),
        ..Default::default()
    };
    let created = space.roles().create(&params, &object).await;
    created.expect("velero can create the object");
}
