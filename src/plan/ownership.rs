//! Whose a role is. Tags and ARN together prove ownership; nothing else does, and in every doubt the answer is
//! that the role isn't ours.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::condition::reasons;
use crate::guard::Refusal;
use crate::iam::arn::RoleArn;
use crate::iam::role::RoleHeader;
use crate::iam::tags;

/// Who an object is, as written on its role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// Name of the cluster.
    pub cluster: String,
    /// Uid of the cluster's `kube-system` namespace.
    pub cluster_uid: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Uid of that namespace.
    pub namespace_uid: String,
    /// Name of the object.
    pub name: String,
    /// Uid of the object.
    pub uid: String,
}

impl Owner {
    /// The ownership tags.
    pub fn tags(&self) -> BTreeMap<String, String> {
        [
            (tags::CLUSTER, &self.cluster),
            (tags::CLUSTER_UID, &self.cluster_uid),
            (tags::NAMESPACE, &self.namespace),
            (tags::NAMESPACE_UID, &self.namespace_uid),
            (tags::NAME, &self.name),
            (tags::UID, &self.uid),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect()
    }
}

/// Whose a role is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ownership {
    /// This object's.
    Ours,
    /// An earlier object's of the same name in the same namespace, or one of a listed former cluster: taken over.
    Inherited,
    /// Not ours to touch.
    Foreign(Refusal),
}

/// Judges a role that was read under the intended ARN's name. `was_ours` says that this process has seen our
/// tags on it.
pub fn judge(
    owner: &Owner,
    intended: &RoleArn,
    role: &RoleHeader,
    former_cluster_uids: &BTreeSet<String>,
    was_ours: bool,
) -> Ownership {
    let name = intended.name();
    let tag = |key| tags::get(&role.tags, key);
    let foreign = |reason, message: String| Ownership::Foreign(Refusal::new(reason, message));
    let conflict = || {
        foreign(
            reasons::ROLE_CONFLICT,
            format!(
                "a role named {name} exists in account {} and does not belong to this object; it is left alone: have it \
                 removed, or create another MlServiceRole under another name",
                intended.account()
            ),
        )
    };
    if role.arn != *intended || tags::is_retained(&role.tags) {
        return conflict();
    }
    let Some(cluster_uid) = tag(tags::CLUSTER_UID) else {
        return if was_ours {
            foreign(
                reasons::OWNERSHIP_LOST,
                format!(
                    "the ownership tags are gone from role {name}, so it is left alone; have the tags put back \
                     ({}=… and the others), or the role removed",
                    tags::CLUSTER_UID
                ),
            )
        } else {
            conflict()
        };
    };
    let mut inherited = false;
    if cluster_uid != owner.cluster_uid {
        if tag(tags::CLUSTER) != Some(owner.cluster.as_str()) {
            return conflict();
        }
        if !former_cluster_uids.contains(cluster_uid) {
            return foreign(
                reasons::CLUSTER_NAME_CLASH,
                format!(
                    "role {name} is tagged by another cluster of the name {:?}, so it is left alone; if that cluster is \
                     gone for good, ask the platform admin to add its uid to roles.formerClusterUIDs of the class",
                    owner.cluster
                ),
            );
        }
        inherited = true;
    }
    if tag(tags::NAMESPACE) != Some(owner.namespace.as_str()) || tag(tags::NAME) != Some(owner.name.as_str())
    {
        return conflict();
    }
    if !inherited && tag(tags::NAMESPACE_UID) != Some(owner.namespace_uid.as_str()) {
        return foreign(
            reasons::NAMESPACE_RECREATED,
            format!(
                "role {name} belongs to a former namespace {:?}, so it is left alone; have the role removed, or create \
                 another MlServiceRole under another name",
                owner.namespace
            ),
        );
    }
    if inherited || tag(tags::UID) != Some(owner.uid.as_str()) {
        Ownership::Inherited
    } else {
        Ownership::Ours
    }
}
