//! What the operator wrote on an MlServiceRole to remember: its placement and its finalizer. Read only.

use kube::ResourceExt;

use super::context::GuardedRole;
use crate::api::{MlServiceRole, PLACEMENT_ANNOTATION, ROLE_FINALIZER};
use crate::guard::Refusal;
use crate::plan::Placement;

/// An MlServiceRole, as it is or as it is cached: the metadata of a cached one has no annotations.
pub trait Marked: ResourceExt {
    /// The annotation that records the placement.
    fn placement_annotation(&self) -> Option<String>;
}

impl Marked for MlServiceRole {
    fn placement_annotation(&self) -> Option<String> {
        self.annotations().get(PLACEMENT_ANNOTATION).cloned()
    }
}

impl Marked for GuardedRole {
    fn placement_annotation(&self) -> Option<String> {
        self.annotations().remove(PLACEMENT_ANNOTATION)
    }
}

/// The recorded placement.
pub fn placement(object: &impl Marked) -> Result<Option<Placement>, Refusal> {
    object
        .placement_annotation()
        .map(|text| Placement::parse(&text))
        .transpose()
}

/// Whether the object carries our finalizer, with a placement or without.
pub fn carries_finalizer(object: &impl Marked) -> bool {
    object
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == ROLE_FINALIZER)
}

/// Whether a role may exist already.
pub fn has_finalizer(object: &impl Marked) -> bool {
    carries_finalizer(object) && object.placement_annotation().is_some()
}
