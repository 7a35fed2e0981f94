//! What the executor may ask of the cluster.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::ClusterError;
use crate::api::MlServiceRole;
use crate::plan::{FormerState, Placement, ServiceAccountBinding, ServiceAccountState, Sought};

/// What became of a ServiceAccount that was to be deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Removal {
    /// It is gone.
    Deleted,
    /// Somebody else has an interest in it: it lost our annotations and stays.
    Kept {
        /// As it is now.
        state: ServiceAccountState,
        /// Why it stays.
        why: String,
    },
}

/// A record of what a role was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    /// Where it is, in words for people.
    pub place: String,
    /// Whether it was written just now.
    pub is_new: bool,
}

/// Writes to the cluster. Each carries the uid or the version of what was seen, so that it fails with a
/// conflict rather than hit something else.
#[async_trait]
pub trait ClusterApi: Send + Sync {
    /// Puts finalizer and placement on an object, in one write, if it is still at the version that was seen.
    async fn add_finalizer(
        &self,
        object: &MlServiceRole,
        placement: &Placement,
    ) -> Result<MlServiceRole, ClusterError>;

    /// Lets an object go. One that is gone already is no error.
    async fn remove_finalizer(&self, object: &MlServiceRole) -> Result<(), ClusterError>;

    /// Keeps what a role was in the operator's own namespace. A record that is there already, and says the same, is
    /// no error.
    async fn keep_former_state(&self, state: &FormerState) -> Result<Kept, ClusterError>;

    /// What a role was, by the name of its record, else by the role itself; `None` where there is none, or none that can be
    /// believed.
    async fn former_state(&self, sought: &Sought) -> Result<Option<FormerState>, ClusterError>;

    /// Creates a ServiceAccount with all its annotations. One that exists is a conflict.
    async fn create_service_account(
        &self,
        namespace: &str,
        binding: &ServiceAccountBinding,
    ) -> Result<ServiceAccountState, ClusterError>;

    /// Annotates the ServiceAccount of this uid by server-side apply. A field that another manager holds with
    /// another value is a conflict, unless `force_at` is the ServiceAccount's present version.
    async fn bind_service_account(
        &self,
        namespace: &str,
        binding: &ServiceAccountBinding,
        uid: &str,
        force_at: Option<&str>,
    ) -> Result<ServiceAccountState, ClusterError>;

    /// Takes annotations off the ServiceAccount of this uid, or sets them to what they were before, whoever co-owns
    /// them, if each still has its value.
    async fn unbind_service_account(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        annotations: &BTreeMap<String, String>,
        restored: &BTreeMap<String, String>,
    ) -> Result<ServiceAccountState, ClusterError>;

    /// Deletes the ServiceAccount of this uid if nobody else has an interest in it, from a live read; else
    /// unbinds it.
    async fn delete_service_account(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        annotations: &BTreeMap<String, String>,
        restored: &BTreeMap<String, String>,
    ) -> Result<Removal, ClusterError>;
}
