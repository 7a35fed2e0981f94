//! A namespace of a test's own, and the objects in it.

use std::collections::BTreeMap;
use std::future::Future;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use mlservicerole_operator::api::condition::types;
use mlservicerole_operator::api::{
    BOUND_BY_ANNOTATION, MlServiceRole, PLACEMENT_ANNOTATION, ROLE_ARN_ANNOTATION,
};
use serde_json::{Value, json};

use super::aws::RoleSnapshot;
use super::bed::{Bed, RUN_LABEL, bed};
use super::wait::eventually;

/// See the module. Deletes its namespace when dropped, without waiting for it.
pub struct Space {
    pub bed: &'static Bed,
    pub name: String,
}

impl Space {
    /// A namespace in which the operator works.
    pub async fn new(short: &str) -> Space {
        bed().operator().await;
        Space::without_operator(short).await
    }

    /// A namespace for tests of the API server alone.
    pub async fn without_operator(short: &str) -> Space {
        let bed = bed();
        // No namespace's name may begin another's: faults and calls are told apart by it.
        let name = format!("e2e-{}-{short}-ns", bed.run);
        make_namespace(bed, &name).await;
        Space { bed, name }
    }

    pub fn roles(&self) -> Api<MlServiceRole> {
        Api::namespaced(self.bed.client.clone(), &self.name)
    }

    pub fn accounts(&self) -> Api<ServiceAccount> {
        Api::namespaced(self.bed.client.clone(), &self.name)
    }

    /// What the names of this namespace's derived roles begin with.
    pub fn prefix(&self) -> String {
        format!("{}-", self.name)
    }

    /// Creates an MlServiceRole, of the run's own class unless the spec names one.
    pub async fn create(&self, name: &str, spec: Value) -> MlServiceRole {
        let created = self.try_create(name, spec).await;
        created.unwrap_or_else(|e| panic!("failed to create {name}: {e}"))
    }

    /// The same, for when the API server may refuse it.
    pub async fn try_create(&self, name: &str, spec: Value) -> kube::Result<MlServiceRole> {
        let mut spec = spec;
        if spec.get("className").is_none() {
            spec["className"] = json!(super::fixtures::base_class_name(self.bed));
        }
        self.try_create_exactly(name, spec).await
    }

    /// Creates an MlServiceRole with just this spec.
    pub async fn create_exactly(&self, name: &str, spec: Value) -> MlServiceRole {
        let created = self.try_create_exactly(name, spec).await;
        created.unwrap_or_else(|e| panic!("failed to create {name}: {e}"))
    }

    async fn try_create_exactly(&self, name: &str, spec: Value) -> kube::Result<MlServiceRole> {
        let object = json!({
            "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole",
            "metadata": {"name": name}, "spec": spec,
        });
        let object = serde_json::from_value(object).expect("an MlServiceRole");
        self.roles().create(&PostParams::default(), &object).await
    }

    /// Merges `patch` into the object.
    pub async fn patch(&self, name: &str, patch: Value) -> MlServiceRole {
        let patched = self
            .roles()
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        patched.unwrap_or_else(|e| panic!("failed to patch {name}: {e}"))
    }

    /// Merges `spec` into the object's spec.
    pub async fn patch_spec(&self, name: &str, spec: Value) -> MlServiceRole {
        self.patch(name, json!({"spec": spec})).await
    }

    /// Gives the operator a reason to look at the object again.
    pub async fn touch(&self, name: &str, value: &str) {
        self.patch(
            name,
            json!({"metadata": {"annotations": {"e2e.example/touched": value}}}),
        )
        .await;
    }

    /// Waits until `check` finds something in the object.
    pub async fn until<T>(&self, name: &str, what: &str, check: impl Fn(&MlServiceRole) -> Option<T>) -> T {
        let what = format!("{name}: {what}");
        eventually(&what, || async {
            let object = self.roles().get(name).await.map_err(|e| e.to_string())?;
            check(&object).ok_or_else(|| self.describe(&object))
        })
        .await
    }

    /// Waits until the object is ready as it now stands.
    pub async fn ready(&self, name: &str) -> MlServiceRole {
        self.until(name, "is ready", |object| {
            is_ready(object).then(|| object.clone())
        })
        .await
    }

    /// Waits until the object's condition of this type has this reason.
    pub async fn reported(&self, name: &str, kind: &str, reason: &str) -> Condition {
        self.until(name, &format!("has {kind} with reason {reason}"), |object| {
            condition(object, kind)
                .filter(|found| {
                    found.reason == reason && found.observed_generation == object.metadata.generation
                })
                .cloned()
        })
        .await
    }

    /// Waits until the object isn't accepted for this reason; the message.
    pub async fn refused(&self, name: &str, reason: &str) -> String {
        let refusal = self.reported(name, types::ACCEPTED, reason).await;
        assert_eq!(refusal.status, "False", "{name}: Accepted {refusal:?}");
        refusal.message
    }

    pub async fn delete(&self, name: &str) {
        let deleted = self.roles().delete(name, &DeleteParams::default()).await;
        deleted.unwrap_or_else(|e| panic!("failed to delete {name}: {e}"));
    }

    /// Waits until the object is gone.
    pub async fn gone(&self, name: &str) {
        eventually(&format!("{name} is gone"), || async {
            match self.roles().get_opt(name).await.map_err(|e| e.to_string())? {
                None => Ok(()),
                Some(object) => Err(self.describe(&object)),
            }
        })
        .await;
    }

    pub async fn delete_and_wait(&self, name: &str) {
        self.delete(name).await;
        self.gone(name).await;
    }

    pub async fn account(&self, name: &str) -> Option<ServiceAccount> {
        self.accounts()
            .get_opt(name)
            .await
            .expect("a ServiceAccount can be read")
    }

    pub async fn create_account(&self, account: Value) {
        let account: ServiceAccount = serde_json::from_value(account).expect("a ServiceAccount");
        let created = self.accounts().create(&PostParams::default(), &account).await;
        created.expect("a ServiceAccount can be created");
    }

    pub async fn patch_account(&self, name: &str, patch: Value) {
        let patched = self
            .accounts()
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        patched.expect("a ServiceAccount can be patched");
    }

    /// Waits until the ServiceAccount is as `check` wants it.
    pub async fn account_until<T>(
        &self,
        name: &str,
        what: &str,
        check: impl Fn(Option<&ServiceAccount>) -> Option<T>,
    ) -> T {
        eventually(&format!("ServiceAccount {name} {what}"), || async {
            let account = self.account(name).await;
            let metadata = account.as_ref().map(|account| account.metadata.clone());
            check(account.as_ref()).ok_or_else(|| format!("{metadata:?}\n{}", self.log()))
        })
        .await
    }

    /// Waits until the ServiceAccount carries this ARN.
    pub async fn bound(&self, account: &str, arn: &str) -> ServiceAccount {
        self.account_until(account, "is bound", |found| {
            found.filter(|found| role_arn(found) == Some(arn)).cloned()
        })
        .await
    }

    /// The object's role in AWS, by its placement.
    pub async fn role(&self, name: &str) -> Option<RoleSnapshot> {
        let object = self.roles().get(name).await.expect("the object can be read");
        self.bed.aws.snapshot(&placed_name(&object)?).await
    }

    /// Waits until the object's role is as `check` wants it.
    pub async fn role_until(
        &self,
        name: &str,
        what: &str,
        check: impl Fn(&RoleSnapshot) -> bool,
    ) -> RoleSnapshot {
        let object = self.placed(name).await;
        let role = placed_name(&object).unwrap_or_default();
        eventually(&format!("role {role} {what}"), || async {
            match self.bed.aws.snapshot(&role).await {
                Some(found) if check(&found) => Ok(found),
                found => Err(format!("{found:#?}\n{}", self.log())),
            }
        })
        .await
    }

    /// Waits until the object has its placement.
    pub async fn placed(&self, name: &str) -> MlServiceRole {
        self.until(name, "has a placement", |object| {
            placed_name(object).map(|_| object.clone())
        })
        .await
    }

    /// Waits until `check` holds of the messages of the object's Events, each as `Type Reason message`.
    pub async fn event(&self, object: &str, what: &str, check: impl Fn(&str) -> bool) -> String {
        let events: Api<k8s_openapi::api::events::v1::Event> =
            Api::namespaced(self.bed.client.clone(), &self.name);
        eventually(&format!("an Event of {object}: {what}"), || async {
            let events = events
                .list(&Default::default())
                .await
                .map_err(|e| e.to_string())?;
            let lines: Vec<String> = events
                .iter()
                .filter(|event| {
                    let regarding = event
                        .regarding
                        .as_ref()
                        .and_then(|regarding| regarding.name.as_deref());
                    regarding == Some(object)
                })
                .map(|event| {
                    let of = |text: &Option<String>| text.clone().unwrap_or_default();
                    format!("{} {} {}", of(&event.type_), of(&event.reason), of(&event.note))
                })
                .collect();
            lines
                .iter()
                .find(|line| check(line))
                .cloned()
                .ok_or_else(|| format!("{lines:#?}"))
        })
        .await
    }

    /// The end of the operator's log, as far as it concerns this namespace.
    pub fn log(&self) -> String {
        let lines = self.bed.launcher.log_tail(&self.name, 12);
        format!("the operator's log of {}:\n{lines}", self.name)
    }

    fn describe(&self, object: &MlServiceRole) -> String {
        let shown = json!({"metadata": object.metadata, "status": object.status});
        let yaml = yaml_serde::to_string(&shown).unwrap_or_default();
        format!("\n{yaml}\n{}", self.log())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let namespaces: Api<Namespace> = Api::all(self.bed.client.clone());
        let name = self.name.clone();
        // Best effort: the end of the run deletes again and waits.
        self.bed.runtime.spawn(async move {
            let _ = namespaces.delete(&name, &DeleteParams::background()).await;
        });
    }
}

async fn make_namespace(bed: &Bed, name: &str) {
    bed.goes_on();
    let namespace = json!({"metadata": {"name": name, "labels": {RUN_LABEL: bed.run}}});
    let namespace: Namespace = serde_json::from_value(namespace).expect("a Namespace");
    let namespaces: Api<Namespace> = Api::all(bed.client.clone());
    let created = namespaces.create(&PostParams::default(), &namespace).await;
    created.unwrap_or_else(|e| panic!("failed to create namespace {name}: {e}"));
}

pub async fn namespace_uid(bed: &Bed, name: &str) -> String {
    let namespaces: Api<Namespace> = Api::all(bed.client.clone());
    let namespace = namespaces.get(name).await.expect("the namespace exists");
    namespace.uid().expect("a namespace has a uid")
}

pub fn condition<'a>(object: &'a MlServiceRole, kind: &str) -> Option<&'a Condition> {
    let conditions = &object.status.as_ref()?.conditions;
    conditions.iter().find(|condition| condition.type_ == kind)
}

pub fn is_ready(object: &MlServiceRole) -> bool {
    let observed = object
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    observed == object.metadata.generation
        && condition(object, types::READY)
            .is_some_and(|ready| ready.status == "True" && ready.observed_generation == observed)
}

/// Name of the role in the object's placement.
pub fn placed_name(object: &MlServiceRole) -> Option<String> {
    let arn = placed_arn(object)?;
    arn.rsplit('/').next().map(str::to_owned)
}

pub fn placed_arn(object: &MlServiceRole) -> Option<String> {
    let placement: Value = serde_json::from_str(object.annotations().get(PLACEMENT_ANNOTATION)?).ok()?;
    placement["roleArn"].as_str().map(str::to_owned)
}

pub fn role_arn(account: &ServiceAccount) -> Option<&str> {
    account.annotations().get(ROLE_ARN_ANNOTATION).map(String::as_str)
}

pub fn bound_by(account: &ServiceAccount) -> Option<&str> {
    account.annotations().get(BOUND_BY_ANNOTATION).map(String::as_str)
}

/// The ownership tags of an object's role.
pub fn ownership_tags(bed: &Bed, object: &MlServiceRole, namespace_uid: &str) -> BTreeMap<String, String> {
    [
        ("cluster", bed.launcher.cluster_name.clone()),
        ("cluster-uid", bed.cluster_uid.clone()),
        ("namespace", object.namespace().unwrap_or_default()),
        ("namespace-uid", namespace_uid.to_owned()),
        ("name", object.name_any()),
        ("uid", object.meta().uid.clone().unwrap_or_default()),
    ]
    .into_iter()
    .map(|(key, value)| (format!("mlservicerole.io/{key}"), value))
    .collect()
}

/// Runs one test after another of a trial's futures to the end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    bed().runtime.block_on(future)
}
