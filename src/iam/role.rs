//! What a role is made of, as plain data.
//!
//! Records cut along IAM's calls: what CreateRole takes, what GetRole answers, the policies that take
//! further calls to read, and the two halves in which the lists of a whole account tell of a role. They
//! say nothing about who owns a role or whether it is as it should be.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::arn::{PolicyArn, RoleArn};

/// A role that is to be created: what one CreateRole request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRole {
    /// Partition, account, path and name; IAM builds the same ARN from them.
    pub arn: RoleArn,
    /// The trust policy as JSON text (IAM: `AssumeRolePolicyDocument`).
    pub trust: String,
    /// At most 1,000 characters.
    pub description: String,
    /// Between 3,600 and 43,200 seconds.
    pub max_session_duration_seconds: u32,
    pub permissions_boundary: Option<PolicyArn>,
    /// At most 50.
    pub tags: BTreeMap<String, String>,
}

/// A role as GetRole answers it: everything but its policies.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct RoleHeader {
    pub arn: RoleArn,
    /// IAM's unique id (`AROA…`). A role that is deleted and created again has another one.
    pub id: String,
    /// The trust policy as JSON text, already percent-decoded.
    pub trust: String,
    /// Empty when the role has none.
    pub description: String,
    /// In seconds.
    pub max_session_duration_seconds: u32,
    /// The ARN as IAM gave it. Text, since IAM goes on naming a policy that is gone or that this
    /// crate would not accept, and reading a role must not fail for it.
    pub permissions_boundary: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// The policies of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct RoleContent {
    /// Inline policies: name to JSON text, already percent-decoded.
    pub inline: BTreeMap<String, String>,
    /// Managed policies that are attached.
    pub attached: BTreeSet<PolicyArn>,
}

/// A role as GetAccountAuthorizationDetails answers it: all but what [`RoleSettings`] has (IAM API reference,
/// `RoleDetail`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDetails {
    pub arn: RoleArn,
    /// IAM's unique id (`AROA…`).
    pub id: String,
    /// The trust policy as JSON text, already percent-decoded.
    pub trust: String,
    /// The ARN as IAM gave it, as in [`RoleHeader`].
    pub permissions_boundary: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub content: RoleContent,
}

/// Of a role, what ListRoles answers and GetAccountAuthorizationDetails doesn't. (ListRoles answers the trust policy
/// too, but neither tags nor boundary nor policies.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSettings {
    /// IAM's unique id (`AROA…`): that of another role, where this one was created anew between the two lists.
    pub id: String,
    /// Empty when the role has none.
    pub description: String,
    /// In seconds.
    pub max_session_duration_seconds: u32,
}
