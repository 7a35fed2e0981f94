//! What AWS must let the operator do, as policies: from understood classes to the operator's own IAM policy, a
//! permissions boundary for its tenants, and policies of an organization that keep everybody else away.
//!
//! Pure. It asks no account and no cluster: what neither a class nor the command line says is asked for by the name
//! of the flag. It doesn't decide what a tenant may have (`guard`), and makes no call.
//!
//! What each IAM action tests stands in the service authorization reference, "Actions, resources, and condition
//! keys for AWS Identity and Access Management"; where sources disagree, docs/operator-permissions.md says so.

mod boundary;
mod escalation;
mod former;
mod operator;
mod organization;
mod pack;
mod policy;
mod reach;
mod services;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::api::MlServiceRoleClassSpec;
use crate::guard::ClassRules;
use crate::iam::arn::{AccountId, Issuer, Partition, PolicyArn, RoleArn};

pub use boundary::boundary_policies;
pub use former::FormerBoundary;
pub use operator::operator_policies;
pub use organization::{resource_control_policies, service_control_policies};
pub use policy::{Limit, Policy, Resources, Statement, Who};

/// A class, as written and as understood.
#[derive(Clone, Copy, Debug)]
pub struct Class<'a> {
    /// What the guard made of it.
    pub rules: &'a ClassRules,
    /// What the admin wrote.
    pub spec: &'a MlServiceRoleClassSpec,
}

/// What no class says.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the cluster, as the operator is given it.
    pub cluster_name: String,
    /// Uid of the cluster's `kube-system` namespace: where given, roles of another cluster of the same name are out
    /// of reach too.
    pub cluster_uid: Option<String>,
    /// Account of the operator's own credentials, for classes that neither name an account nor assume a role.
    pub account: Option<AccountId>,
    /// Partition of that account.
    pub partition: Partition,
    /// The cluster's own issuer, for classes that list none.
    pub issuer: Option<Issuer>,
    /// Boundaries that roles may have beside those of their classes: while a class changes its boundary, or since
    /// roles that can be adopted had them before.
    pub former_boundaries: Vec<FormerBoundary>,
    /// Policies that roles which can be adopted had before, to be attached again when they are given back.
    pub former_policies: Vec<PolicyArn>,
    /// The roles that the operator runs as.
    pub operator_roles: Vec<RoleArn>,
    /// Whether roles may be taken out of instance profiles, of which IAM can't say whose roles are in them.
    pub leave_instance_profiles: bool,
    /// Whether whole accounts may be read in one go (`iam:GetAccountAuthorizationDetails`).
    pub account_sweep: bool,
}

/// Policies, and what is to be known of them.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The policies, in the order in which they are installed.
    pub policies: Vec<Policy>,
    /// For whoever installs them: how they were split, what they can't keep apart.
    pub notes: Vec<String>,
}

/// What is missing or contradicts itself, in words that name the class or the flag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Problems {}
