//! The steps of a plan. A step is data and needs no other step's result: the role's ARN is known before the
//! role exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{FormerState, Placement};
use crate::api::{
    AUDIENCE_ANNOTATION, BOUND_BY_ANNOTATION, PREVIOUS_AUDIENCE_ANNOTATION, PREVIOUS_ROLE_ARN_ANNOTATION,
    ROLE_ARN_ANNOTATION,
};
use crate::iam::arn::{PolicyArn, RoleArn};
use crate::iam::role::NewRole;

/// One step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Put the finalizer and the placement on the object, in one write.
    AddFinalizer(Placement),
    /// Keep what a role was before it is taken over.
    KeepFormerState(Box<FormerState>),
    /// Create the role with trust policy, tags, boundary, description and session duration at once.
    CreateRole(Box<NewRole>),
    /// Set the permissions boundary. There is no step that removes one.
    SetBoundary(PolicyArn),
    /// Replace the trust policy.
    UpdateTrust {
        /// The whole document.
        document: String,
    },
    /// Set tags.
    Tag(BTreeMap<String, String>),
    /// Remove tags.
    Untag(BTreeSet<String>),
    /// Set description and session duration.
    UpdateRole {
        /// Description; empty means none.
        description: String,
        /// Seconds.
        max_session_duration_seconds: u32,
    },
    /// Create or replace an inline policy.
    PutInline {
        /// Its name.
        name: String,
        /// The whole document.
        document: String,
    },
    /// Delete an inline policy.
    DeleteInline(String),
    /// Attach a managed policy.
    Attach(PolicyArn),
    /// Detach a managed policy.
    Detach(PolicyArn),
    /// Take the role out of an instance profile, which stays.
    LeaveInstanceProfile(String),
    /// Create a ServiceAccount that carries the annotations from its first moment on.
    CreateServiceAccount(ServiceAccountBinding),
    /// Annotate an existing ServiceAccount.
    BindServiceAccount {
        /// What is written.
        binding: ServiceAccountBinding,
        /// Uid of the ServiceAccount that was seen.
        uid: String,
        /// Overrule other managers of our own annotations, if the ServiceAccount is still at this version.
        force_at: Option<String>,
    },
    /// Take our annotations off a ServiceAccount.
    UnbindServiceAccount {
        /// Name of the ServiceAccount.
        name: String,
        /// Uid of the ServiceAccount that was seen.
        uid: String,
        /// The annotations to remove, each only while it has this value.
        annotations: BTreeMap<String, String>,
        /// What takes the place of those of them that were something else before us.
        restored: BTreeMap<String, String>,
    },
    /// Delete a ServiceAccount that we created, if nobody else has an interest in it; else unbind it.
    DeleteServiceAccount {
        /// Name of the ServiceAccount.
        name: String,
        /// Uid of the ServiceAccount that was seen.
        uid: String,
        /// The annotations to remove where it must stay, each only while it has this value.
        annotations: BTreeMap<String, String>,
        /// What takes the place of those of them that were something else before us, where it must stay.
        restored: BTreeMap<String, String>,
    },
    /// Delete the role.
    DeleteRole,
    /// Let the object go.
    RemoveFinalizer,
}

/// What a bound ServiceAccount carries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceAccountBinding {
    /// Name of the ServiceAccount.
    pub name: String,
    /// The role.
    pub role_arn: RoleArn,
    /// Audience, where it isn't the usual one.
    pub audience: Option<String>,
    /// The object that binds it.
    pub bound_by: BoundBy,
    /// What was there before us.
    pub previous: Previous,
}

/// What a ServiceAccount carried before it was bound, kept on it so that it can be put back.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Previous {
    /// The `role-arn` that was replaced.
    pub role_arn: Option<String>,
    /// The `audience`, whether or not it was another one.
    pub audience: Option<String>,
}

impl ServiceAccountBinding {
    /// The annotations that say all this. All of them are written in one request, so that no cut leaves a value
    /// without the record of what it replaced.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let given = |key: &str, value: &Option<String>| Some((key.to_owned(), value.clone()?));
        [
            Some((ROLE_ARN_ANNOTATION.to_owned(), self.role_arn.to_string())),
            Some((BOUND_BY_ANNOTATION.to_owned(), self.bound_by.to_string())),
            given(AUDIENCE_ANNOTATION, &self.audience),
            given(PREVIOUS_ROLE_ARN_ANNOTATION, &self.previous.role_arn),
            given(PREVIOUS_AUDIENCE_ANNOTATION, &self.previous.audience),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The value of the annotations `bound-by` and `created-by`: name and uid of an MlServiceRole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BoundBy {
    /// Name of the object.
    pub name: String,
    /// Uid of the object.
    pub uid: String,
}

impl BoundBy {
    /// Reads the annotation's value; anything else than `<name>/<uid>` is nobody's.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, uid) = text.split_once('/')?;
        Some(Self {
            name: name.to_owned(),
            uid: uid.to_owned(),
        })
    }
}

impl fmt::Display for BoundBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.uid)
    }
}

impl Step {
    /// What is done, in the words of the API that does it.
    pub fn action(&self) -> &'static str {
        match self {
            Step::AddFinalizer(_) => "AddFinalizer",
            Step::KeepFormerState(_) => "KeepFormerState",
            Step::CreateRole(_) => "CreateRole",
            Step::SetBoundary(_) => "PutRolePermissionsBoundary",
            Step::UpdateTrust { .. } => "UpdateAssumeRolePolicy",
            Step::Tag(_) => "TagRole",
            Step::Untag(_) => "UntagRole",
            Step::UpdateRole { .. } => "UpdateRole",
            Step::PutInline { .. } => "PutRolePolicy",
            Step::DeleteInline(_) => "DeleteRolePolicy",
            Step::Attach(_) => "AttachRolePolicy",
            Step::Detach(_) => "DetachRolePolicy",
            Step::LeaveInstanceProfile(_) => "RemoveRoleFromInstanceProfile",
            Step::CreateServiceAccount(_) => "CreateServiceAccount",
            Step::BindServiceAccount { .. } => "BindServiceAccount",
            Step::UnbindServiceAccount { .. } => "UnbindServiceAccount",
            Step::DeleteServiceAccount { .. } => "DeleteServiceAccount",
            Step::DeleteRole => "DeleteRole",
            Step::RemoveFinalizer => "RemoveFinalizer",
        }
    }

    /// What it is done to, beside the role itself.
    pub fn target(&self) -> String {
        match self {
            Step::AddFinalizer(placement) => placement.role_arn.to_string(),
            Step::CreateRole(role) => role.arn.to_string(),
            Step::SetBoundary(arn) | Step::Attach(arn) | Step::Detach(arn) => arn.to_string(),
            Step::Tag(tags) => tags.keys().cloned().collect::<Vec<_>>().join(", "),
            Step::Untag(keys) => keys.iter().cloned().collect::<Vec<_>>().join(", "),
            Step::PutInline { name, .. } | Step::DeleteInline(name) | Step::LeaveInstanceProfile(name) => {
                name.clone()
            }
            Step::KeepFormerState(state) => state.name(),
            Step::CreateServiceAccount(binding) | Step::BindServiceAccount { binding, .. } => {
                binding.name.clone()
            }
            Step::UnbindServiceAccount { name, .. } | Step::DeleteServiceAccount { name, .. } => name.clone(),
            Step::UpdateTrust { .. } | Step::UpdateRole { .. } | Step::DeleteRole | Step::RemoveFinalizer => {
                String::new()
            }
        }
    }

    /// Whether it writes to the role in AWS.
    pub fn writes_role(&self) -> bool {
        match self {
            Step::CreateRole(_)
            | Step::SetBoundary(_)
            | Step::UpdateTrust { .. }
            | Step::Tag(_)
            | Step::Untag(_)
            | Step::UpdateRole { .. }
            | Step::PutInline { .. }
            | Step::DeleteInline(_)
            | Step::Attach(_)
            | Step::Detach(_)
            | Step::LeaveInstanceProfile(_)
            | Step::DeleteRole => true,
            Step::AddFinalizer(_)
            | Step::KeepFormerState(_)
            | Step::CreateServiceAccount(_)
            | Step::BindServiceAccount { .. }
            | Step::UnbindServiceAccount { .. }
            | Step::DeleteServiceAccount { .. }
            | Step::RemoveFinalizer => false,
        }
    }
}
