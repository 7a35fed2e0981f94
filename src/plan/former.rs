//! What a role was before it was taken over: the record from which it is given back.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Owner;
use crate::iam::arn::{PolicyArn, RoleArn};
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::tags;

/// What the name of a record begins with.
const NAME_PREFIX: &str = "mlservicerole-former-";
/// SHA-256 in base 32, without padding.
const HASH_LENGTH: usize = 52;

/// A role as it was found, and who found it. Written once and never changed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FormerState {
    /// The role.
    pub role_arn: RoleArn,
    /// IAM's unique id of it: a role that was created again isn't this one.
    pub role_id: String,
    /// The object that took it over.
    pub adopted_by: Adopter,
    /// Its trust policy, as IAM answered it.
    pub trust_policy: String,
    /// Its description; empty means none.
    pub description: String,
    /// Seconds.
    pub max_session_duration_seconds: u32,
    /// ARN of its permissions boundary.
    pub permissions_boundary: Option<String>,
    /// Its tags, the operator's own aside.
    pub tags: BTreeMap<String, String>,
    /// Its inline policies, as IAM answered them.
    pub inline_policies: BTreeMap<String, String>,
    /// Its managed policies.
    pub attached_policies: BTreeSet<PolicyArn>,
}

/// A role whose record is looked up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sought {
    /// Name of the record, where the role carries one in a tag. Others can write and remove tags, so that the role itself
    /// decides where there is no such record.
    pub name: Option<String>,
    /// The role.
    pub role_arn: RoleArn,
    /// IAM's unique id of it.
    pub role_id: String,
}

impl Sought {
    /// What to look up for a role as it was read.
    pub fn of(role: &RoleHeader) -> Self {
        let name = tags::get(&role.tags, tags::ADOPTED).filter(|name| FormerState::is_name(name));
        Self {
            name: name.map(str::to_owned),
            role_arn: role.arn.clone(),
            role_id: role.id.clone(),
        }
    }

    /// Whether a record is this role's.
    pub fn is_told_by(&self, record: &FormerState) -> bool {
        record.role_arn == self.role_arn && record.role_id == self.role_id
    }
}

/// Who took a role over.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Adopter {
    /// Name of the cluster.
    pub cluster: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// Uid of the object.
    pub uid: String,
}

impl FormerState {
    /// The record of a role that `owner` is about to take over.
    pub fn of(owner: &Owner, header: &RoleHeader, content: &RoleContent) -> Self {
        let tags = header.tags.iter().filter(|(key, _)| !tags::is_own(key));
        Self {
            role_arn: header.arn.clone(),
            role_id: header.id.clone(),
            adopted_by: Adopter {
                cluster: owner.cluster.clone(),
                namespace: owner.namespace.clone(),
                name: owner.name.clone(),
                uid: owner.uid.clone(),
            },
            trust_policy: header.trust.clone(),
            description: header.description.clone(),
            max_session_duration_seconds: header.max_session_duration_seconds,
            permissions_boundary: header.permissions_boundary.clone(),
            tags: tags.map(|(key, value)| (key.clone(), value.clone())).collect(),
            inline_policies: content.inline.clone(),
            attached_policies: content.attached.clone(),
        }
    }

    /// The record as text. The same record always has the same text.
    pub fn to_json(&self) -> String {
        // No value of this type fails to be written: all keys are strings.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The record's name, made from all that it says: nobody can give another record this name, and a record that is
    /// written twice is one.
    pub fn name(&self) -> String {
        name_of(&self.to_json())
    }

    /// Reads a record that was found under a name; `None` if it isn't what was written under it.
    pub fn read(name: &str, text: &str) -> Option<Self> {
        (name_of(text) == name)
            .then(|| serde_json::from_str(text).ok())
            .flatten()
    }

    /// Whether a text, read from a tag that others can write, can be the name of a record.
    pub fn is_name(text: &str) -> bool {
        text.strip_prefix(NAME_PREFIX).is_some_and(|hash| {
            hash.len() == HASH_LENGTH && hash.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
    }
}

fn name_of(text: &str) -> String {
    let hash = BASE32_NOPAD.encode(&Sha256::digest(text.as_bytes()));
    format!("{NAME_PREFIX}{}", hash.to_ascii_lowercase())
}
