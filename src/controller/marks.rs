//! What the operator wrote on an MlServiceRole to remember: its placement and its finalizer. Read only.

use kube::ResourceExt;

use crate::api::{PLACEMENT_ANNOTATION, ROLE_FINALIZER};
use crate::guard::Refusal;
use crate::plan::Placement;

/// The recorded placement.
pub fn placement(object: &impl ResourceExt) -> Result<Option<Placement>, Refusal> {
    object
        .annotations()
        .get(PLACEMENT_ANNOTATION)
        .map(|text| Placement::parse(text))
        .transpose()
}

/// Whether a role may exist already.
pub fn has_finalizer(object: &impl ResourceExt) -> bool {
    object.annotations().contains_key(PLACEMENT_ANNOTATION)
        && object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == ROLE_FINALIZER)
}
