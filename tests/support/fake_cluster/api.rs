//! The calls.

use std::collections::BTreeMap;

use mlservicerole_operator::api::{MlServiceRole, PLACEMENT_ANNOTATION, ROLE_FINALIZER};
use mlservicerole_operator::cluster::{ClusterApi, ClusterError, Kept, Removal};
use mlservicerole_operator::plan::{
    FormerState, Placement, ServiceAccountBinding, ServiceAccountState, Sought,
};

use super::FakeCluster;

#[async_trait::async_trait]
impl ClusterApi for FakeCluster {
    async fn add_finalizer(
        &self,
        object: &MlServiceRole,
        placement: &Placement,
    ) -> Result<MlServiceRole, ClusterError> {
        self.call("add_finalizer", |state| {
            let version = state.version();
            let found = state.current(object)?;
            let finalizers = found.metadata.finalizers.get_or_insert_default();
            if !finalizers.iter().any(|finalizer| finalizer == ROLE_FINALIZER) {
                finalizers.push(ROLE_FINALIZER.to_owned());
            }
            let annotations = found.metadata.annotations.get_or_insert_default();
            annotations.insert(PLACEMENT_ANNOTATION.to_owned(), placement.to_annotation());
            found.metadata.resource_version = Some(version.to_string());
            Ok(found.clone())
        })
    }

    async fn remove_finalizer(&self, object: &MlServiceRole) -> Result<(), ClusterError> {
        self.call("remove_finalizer", |state| {
            match state.current(object) {
                Ok(_) => state.object = None,
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
            Ok(())
        })
    }

    async fn keep_former_state(&self, kept: &FormerState) -> Result<Kept, ClusterError> {
        self.call("keep_former_state", |state| {
            let name = kept.name();
            let place = format!("ConfigMap operator/{name}");
            let is_new = state.former_states.insert(name, kept.clone()).is_none();
            Ok(Kept { place, is_new })
        })
    }

    async fn former_state(&self, sought: &Sought) -> Result<Option<FormerState>, ClusterError> {
        self.call("former_state", |state| {
            let records = &state.former_states;
            let named = sought.name.as_ref().and_then(|name| records.get(name));
            let mut all = named.into_iter().chain(records.values());
            Ok(all.find(|record| sought.is_told_by(record)).cloned())
        })
    }

    async fn create_service_account(
        &self,
        _namespace: &str,
        binding: &ServiceAccountBinding,
    ) -> Result<ServiceAccountState, ClusterError> {
        self.call("create_service_account", |state| state.create(binding))
    }

    async fn bind_service_account(
        &self,
        _namespace: &str,
        binding: &ServiceAccountBinding,
        uid: &str,
        force_at: Option<&str>,
    ) -> Result<ServiceAccountState, ClusterError> {
        self.call("bind_service_account", |state| {
            state.apply(binding, uid, force_at)
        })
    }

    async fn unbind_service_account(
        &self,
        _namespace: &str,
        name: &str,
        uid: &str,
        annotations: &BTreeMap<String, String>,
        restored: &BTreeMap<String, String>,
    ) -> Result<ServiceAccountState, ClusterError> {
        self.call("unbind_service_account", |state| {
            state.take_away(name, uid, annotations, restored)
        })
    }

    async fn delete_service_account(
        &self,
        _namespace: &str,
        name: &str,
        uid: &str,
        annotations: &BTreeMap<String, String>,
        restored: &BTreeMap<String, String>,
    ) -> Result<Removal, ClusterError> {
        self.call("delete_service_account", |state| {
            state.delete(name, uid, annotations, restored)
        })
    }
}
