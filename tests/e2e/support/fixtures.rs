//! Classes for tests, and the end of a run: everything that it made is deleted.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use mlservicerole_operator::api::MlServiceRoleClass;
use serde_json::{Value, json};

use super::aws::{BEDROCK, READ_ONLY, S3_READ_ONLY};
use super::bed::{Bed, RUN_LABEL, bed};
use super::wait::{eventually, within};

/// Name of the class that tests use when they have no need of another.
pub fn base_class_name(bed: &Bed) -> String {
    format!("e2e-{}", bed.run)
}

/// A class with all consents, for the namespaces of this run.
pub fn class_spec(bed: &Bed) -> Value {
    json!({
        "roles": {"permissionsBoundary": {"none": {}}, "maxSessionDurationSeconds": 7200},
        "allow": {
            "namespaces": {"matchLabels": {RUN_LABEL: bed.run}},
            "managedPolicyArns": [READ_ONLY, S3_READ_ONLY, BEDROCK],
            "inline": [{
                "actions": ["s3:Get*", "s3:List*", "s3:PutObject", "s3:DeleteObject", "sqs:SendMessage"],
                "resources": ["*"],
            }],
            "trustedServices": ["sagemaker.amazonaws.com", "bedrock.amazonaws.com"],
            "tagKeys": ["team", "cost-center", "stage"],
            "retain": true,
        },
    })
}

/// Creates the run's own class.
pub async fn base_class(bed: &Bed) -> Result<(), String> {
    let name = base_class_name(bed);
    create_class(bed, &name, class_spec(bed), json!({})).await;
    let classes: Api<MlServiceRoleClass> = Api::all(bed.client.clone());
    within(Duration::from_secs(20), || async {
        let class = classes.get(&name).await.map_err(|e| e.to_string())?;
        match class_is(&class, "Ready", "True") {
            true => Ok(()),
            false => Err(format!("class {name} isn't ready: {:?}", class.status)),
        }
    })
    .await
    .map_err(|last| format!("{last}\n{}", bed.launcher.log_tail("", 20)))
}

async fn create_class(bed: &Bed, name: &str, spec: Value, annotations: Value) {
    bed.goes_on();
    let class = json!({
        "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRoleClass",
        "metadata": {"name": name, "labels": {RUN_LABEL: bed.run}, "annotations": annotations},
        "spec": spec,
    });
    let class = serde_json::from_value(class).expect("a class");
    let classes: Api<MlServiceRoleClass> = Api::all(bed.client.clone());
    let created = classes.create(&PostParams::default(), &class).await;
    created.unwrap_or_else(|e| panic!("failed to create class {name}: {e}"));
}

pub fn class_is(class: &MlServiceRoleClass, kind: &str, status: &str) -> bool {
    class.status.as_ref().is_some_and(|found| {
        found.observed_generation == class.metadata.generation
            && found
                .conditions
                .iter()
                .any(|condition| condition.type_ == kind && condition.status == status)
    })
}

/// A class of a test's own. Deleted when dropped, without waiting for it.
pub struct Class {
    pub name: String,
}

impl Class {
    /// A class like the run's own, with `changes` merged in.
    pub async fn like_base(short: &str, changes: Value) -> Class {
        let mut spec = class_spec(bed());
        merge(&mut spec, &changes);
        Class::new(short, spec).await
    }

    pub async fn new(short: &str, spec: Value) -> Class {
        Class::annotated(short, spec, json!({})).await
    }

    pub async fn annotated(short: &str, spec: Value, annotations: Value) -> Class {
        let name = Class::name(short);
        create_class(bed(), &name, spec, annotations).await;
        Class { name }
    }

    /// The name that a class of this run has, existing or not.
    pub fn name(short: &str) -> String {
        format!("e2e-{}-{short}", bed().run)
    }

    pub fn api() -> Api<MlServiceRoleClass> {
        Api::all(bed().client.clone())
    }

    pub async fn patch(&self, patch: Value) {
        let patched = Class::api()
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        patched.unwrap_or_else(|e| panic!("failed to patch class {}: {e}", self.name));
    }

    pub async fn delete(&self) {
        let deleted = Class::api().delete(&self.name, &DeleteParams::default()).await;
        deleted.unwrap_or_else(|e| panic!("failed to delete class {}: {e}", self.name));
    }

    /// Waits until `check` holds of the class.
    pub async fn until(&self, what: &str, check: impl Fn(Option<&MlServiceRoleClass>) -> bool) {
        eventually(&format!("class {} {what}", self.name), || async {
            let class = Class::api()
                .get_opt(&self.name)
                .await
                .map_err(|e| e.to_string())?;
            let log = || bed().launcher.log_tail(&self.name, 12);
            match check(class.as_ref()) {
                true => Ok(()),
                false => Err(format!("{class:#?}\n{}", log())),
            }
        })
        .await;
    }

    /// Waits until a condition of the class has this status and reason; its message.
    pub async fn reported(&self, kind: &str, status: &str, reason: &str) -> String {
        self.reported_saying(kind, status, reason, "").await
    }

    /// Waits until a condition of the class has this status and reason and says `text`; its message. For what a class
    /// counts or lists, which may be told first as it was before.
    pub async fn reported_saying(&self, kind: &str, status: &str, reason: &str, text: &str) -> String {
        let what = format!("class {} has {kind}={status}, {reason}: {text}", self.name);
        eventually(&what, || async {
            let class = Class::api().get(&self.name).await.map_err(|e| e.to_string())?;
            let mut found = class.status.iter().flat_map(|status| &status.conditions);
            let told = found.find(|c| c.type_ == kind && c.status == status && c.reason == reason);
            let log = || bed().launcher.log_tail(&self.name, 12);
            told.map(|condition| condition.message.clone())
                .filter(|message| message.contains(text))
                .ok_or_else(|| format!("{:#?}\n{}", class.status, log()))
        })
        .await
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        let name = self.name.clone();
        // Best effort: the end of the run deletes again and waits.
        bed().runtime.spawn(async move {
            let _ = Class::api().delete(&name, &DeleteParams::default()).await;
        });
    }
}

fn merge(into: &mut Value, changes: &Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(into.entry(key).or_insert(Value::Null), change);
            }
        }
        (into, changes) => *into = changes.clone(),
    }
}

fn of_this_run() -> ListParams {
    ListParams::default().labels(&format!("{RUN_LABEL}={}", bed().run))
}

/// Deletes all that the run made in the cluster, and waits until it is gone: the operator must let go of all.
pub async fn delete_all() -> Result<(), String> {
    let namespaces: Api<Namespace> = Api::all(bed().client.clone());
    for namespace in names(&namespaces).await? {
        let _ = namespaces.delete(&namespace, &DeleteParams::background()).await;
    }
    nothing_left(&namespaces, "namespaces").await?;
    let classes = Class::api();
    for class in names(&classes).await? {
        let _ = classes.delete(&class, &DeleteParams::default()).await;
    }
    nothing_left(&classes, "classes").await?;
    delete_records().await?;
    delete_permissions().await
}

/// What people were allowed, cluster-wide.
async fn delete_permissions() -> Result<(), String> {
    let client = &bed().client;
    let (delete, ours) = (DeleteParams::default(), of_this_run());
    let bindings = Api::<ClusterRoleBinding>::all(client.clone());
    let roles = Api::<ClusterRole>::all(client.clone());
    let deleted = bindings.delete_collection(&delete, &ours).await.map(|_| ());
    let deleted = deleted.and(roles.delete_collection(&delete, &ours).await.map(|_| ()));
    deleted.map_err(|e| format!("failed to delete ClusterRoles: {e}"))
}

/// The operator keeps what roles were before it took them over.
async fn delete_records() -> Result<(), String> {
    let records: Api<ConfigMap> = Api::namespaced(bed().client.clone(), super::process::NAMESPACE);
    let all = ListParams::default().labels("mlservicerole.io/former-state=true");
    let ours = format!("e2e-{}-", bed().run);
    for record in records.list_metadata(&all).await.map_err(|e| e.to_string())? {
        let namespace = record.labels().get("mlservicerole.io/namespace");
        if namespace.is_some_and(|namespace| namespace.starts_with(&ours)) {
            let _ = records.delete(&record.name_any(), &DeleteParams::default()).await;
        }
    }
    Ok(())
}

async fn names<K>(api: &Api<K>) -> Result<Vec<String>, String>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let list = api
        .list_metadata(&of_this_run())
        .await
        .map_err(|e| e.to_string())?;
    Ok(list.iter().map(ResourceExt::name_any).collect())
}

async fn nothing_left<K>(api: &Api<K>, what: &str) -> Result<(), String>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    within(Duration::from_secs(120), || async {
        match names(api).await? {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{what} that don't go: {left:?}")),
        }
    })
    .await
}

/// Deletes what the operator didn't let go of, by taking off the finalizers.
pub async fn delete_by_force() {
    use mlservicerole_operator::api::MlServiceRole;
    let bare = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    let namespaces: Api<Namespace> = Api::all(bed().client.clone());
    for namespace in names(&namespaces).await.unwrap_or_default() {
        let roles: Api<MlServiceRole> = Api::namespaced(bed().client.clone(), &namespace);
        let left = roles.list_metadata(&ListParams::default()).await;
        for role in left.into_iter().flatten() {
            let _ = roles
                .patch(&role.name_any(), &PatchParams::default(), &bare)
                .await;
        }
        let _ = namespaces.delete(&namespace, &DeleteParams::background()).await;
    }
    for class in names(&Class::api()).await.unwrap_or_default() {
        let _ = Class::api().delete(&class, &DeleteParams::default()).await;
        let _ = Class::api().patch(&class, &PatchParams::default(), &bare).await;
    }
}
