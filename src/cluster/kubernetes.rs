//! [`ClusterApi`] over the Kubernetes client.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};

use super::{ClusterApi, ClusterError, ClusterErrorClass, FormerStates, Kept, Removal};
use crate::api::{CREATED_BY_ANNOTATION, FIELD_MANAGER, MlServiceRole, PLACEMENT_ANNOTATION, ROLE_FINALIZER};
use crate::plan::{FormerState, Placement, ServiceAccountBinding, ServiceAccountState, Sought, may_delete};

/// The cluster behind a client.
#[derive(Clone)]
pub struct Kubernetes {
    client: Client,
    former_states: FormerStates,
}

impl Kubernetes {
    /// The cluster behind `client`; the operator keeps what it must remember in `operator_namespace`.
    pub fn new(client: Client, operator_namespace: &str) -> Self {
        Self {
            former_states: FormerStates::new(client.clone(), operator_namespace),
            client,
        }
    }

    fn objects(&self, object: &MlServiceRole) -> Api<MlServiceRole> {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    fn service_accounts(&self, namespace: &str) -> Api<ServiceAccount> {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn patch_finalizers(
        &self,
        object: &MlServiceRole,
        finalizers: Vec<&str>,
        annotations: Value,
    ) -> Result<MlServiceRole, ClusterError> {
        let patch = json!({ "metadata": {
            "uid": object.metadata.uid,
            "resourceVersion": object.metadata.resource_version,
            "finalizers": finalizers,
            "annotations": annotations,
        }});
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..Default::default()
        };
        Ok(self
            .objects(object)
            .patch(&object.name_any(), &params, &Patch::Merge(patch))
            .await?)
    }
}

#[async_trait]
impl ClusterApi for Kubernetes {
    async fn add_finalizer(
        &self,
        object: &MlServiceRole,
        placement: &Placement,
    ) -> Result<MlServiceRole, ClusterError> {
        let mut finalizers: Vec<&str> = object.finalizers().iter().map(String::as_str).collect();
        if !finalizers.contains(&ROLE_FINALIZER) {
            finalizers.push(ROLE_FINALIZER);
        }
        self.patch_finalizers(
            object,
            finalizers,
            json!({ PLACEMENT_ANNOTATION: placement.to_annotation() }),
        )
        .await
    }

    async fn remove_finalizer(&self, object: &MlServiceRole) -> Result<(), ClusterError> {
        let finalizers: Vec<&str> = object
            .finalizers()
            .iter()
            .map(String::as_str)
            .filter(|f| *f != ROLE_FINALIZER)
            .collect();
        match self.patch_finalizers(object, finalizers, json!({})).await {
            Ok(_) => Ok(()),
            Err(e) if e.class == ClusterErrorClass::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }

    async fn keep_former_state(&self, state: &FormerState) -> Result<Kept, ClusterError> {
        self.former_states.keep(state).await
    }

    async fn former_state(&self, sought: &Sought) -> Result<Option<FormerState>, ClusterError> {
        self.former_states.find(sought).await
    }

    async fn create_service_account(
        &self,
        namespace: &str,
        binding: &ServiceAccountBinding,
    ) -> Result<ServiceAccountState, ClusterError> {
        let mut account = ServiceAccount::default();
        let metadata = account.meta_mut();
        metadata.name = Some(binding.name.clone());
        let mut annotations = binding.annotations();
        annotations.insert(CREATED_BY_ANNOTATION.to_owned(), binding.bound_by.to_string());
        metadata.annotations = Some(annotations);
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..Default::default()
        };
        Ok(state_of(
            &self.service_accounts(namespace).create(&params, &account).await?,
        ))
    }

    async fn bind_service_account(
        &self,
        namespace: &str,
        binding: &ServiceAccountBinding,
        uid: &str,
        force_at: Option<&str>,
    ) -> Result<ServiceAccountState, ClusterError> {
        let mut metadata = json!({
            "name": binding.name,
            "namespace": namespace,
            // With a uid, an apply never creates and never hits a namesake.
            "uid": uid,
            "annotations": binding.annotations(),
        });
        let mut params = PatchParams::apply(FIELD_MANAGER);
        if let Some(version) = force_at {
            metadata["resourceVersion"] = json!(version);
            params = params.force();
        }
        let patch = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata });
        let api = self.service_accounts(namespace);
        Ok(state_of(
            &api.patch_metadata(&binding.name, &params, &Patch::Apply(patch))
                .await?,
        ))
    }

    async fn unbind_service_account(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        annotations: &BTreeMap<String, String>,
        restored: &BTreeMap<String, String>,
    ) -> Result<ServiceAccountState, ClusterError> {
        let mut operations = vec![json!({ "op": "test", "path": "/metadata/uid", "value": uid })];
        for (key, value) in annotations {
            let path = format!(
                "/metadata/annotations/{}",
                key.replace('~', "~0").replace('/', "~1")
            );
            operations.push(json!({ "op": "test", "path": path, "value": value }));
            operations.push(match restored.get(key) {
                Some(former) => json!({ "op": "replace", "path": path, "value": former }),
                None => json!({ "op": "remove", "path": path }),
            });
        }
        let patch: json_patch::Patch =
            serde_json::from_value(Value::Array(operations)).map_err(|e| ClusterError {
                class: ClusterErrorClass::Invalid,
                message: format!("failed to build a patch: {e}"),
            })?;
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..Default::default()
        };
        let api = self.service_accounts(namespace);
        match api.patch_metadata(name, &params, &Patch::Json::<()>(patch)).await {
            Ok(account) => Ok(state_of(&account)),
            Err(e) => Err(failed_test_is_conflict(e.into())),
        }
    }

    async fn delete_service_account(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        annotations: &BTreeMap<String, String>,
        restored: &BTreeMap<String, String>,
    ) -> Result<Removal, ClusterError> {
        let api = self.service_accounts(namespace);
        let live = api.get(name).await?;
        if live.uid().as_deref() != Some(uid) {
            return Err(ClusterError {
                class: ClusterErrorClass::Conflict,
                message: format!("ServiceAccount {name:?} is another one by now"),
            });
        }
        let managers = live
            .managed_fields()
            .iter()
            .filter_map(|entry| entry.manager.as_deref());
        if let Err(why) = may_delete(managers, live.secrets.as_ref().map_or(0, Vec::len)) {
            let state = self
                .unbind_service_account(namespace, name, uid, annotations, restored)
                .await?;
            return Ok(Removal::Kept { state, why });
        }
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: live.resource_version(),
            }),
            ..Default::default()
        };
        match api.delete(name, &params).await {
            Ok(_) => Ok(Removal::Deleted),
            Err(e) => Err(e.into()),
        }
    }
}

/// The API server answers 422 to a JSON patch whose tests fail: what was seen is no longer so.
fn failed_test_is_conflict(error: ClusterError) -> ClusterError {
    match error.class {
        ClusterErrorClass::Invalid => ClusterError {
            class: ClusterErrorClass::Conflict,
            ..error
        },
        _ => error,
    }
}

/// What matters of a ServiceAccount that was read or watched by its metadata.
pub fn service_account_state(account: &PartialObjectMeta<ServiceAccount>) -> ServiceAccountState {
    state_of(account)
}

/// Managers other than us that own an annotation.
pub fn annotation_managers(managed_fields: &[ManagedFieldsEntry], annotation: &str) -> BTreeSet<String> {
    let field = format!("f:{annotation}");
    managed_fields
        .iter()
        .filter(|entry| {
            entry
                .fields_v1
                .as_ref()
                .is_some_and(|fields| !fields.0["f:metadata"]["f:annotations"][&field].is_null())
        })
        .filter_map(|entry| entry.manager.clone())
        .filter(|manager| manager != FIELD_MANAGER)
        .collect()
}

fn state_of(account: &impl ResourceExt) -> ServiceAccountState {
    ServiceAccountState {
        name: account.name_any(),
        uid: account.uid().unwrap_or_default(),
        resource_version: account.resource_version().unwrap_or_default(),
        deleting: account.meta().deletion_timestamp.is_some(),
        annotations: account.annotations().clone(),
        contested_by: None,
        holders: BTreeMap::new(),
    }
}
