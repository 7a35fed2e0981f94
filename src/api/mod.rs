//! What users write and read: the two custom resources of the group `mlservicerole.io`, their
//! CustomResourceDefinitions, and the names (annotations, finalizers, conditions) that are part of
//! the interface. Knows nothing of AWS calls, planning or the controller.

pub mod class;
pub mod condition;
pub mod crd;
pub mod role;
pub mod text;

pub use class::{MlServiceRoleClass, MlServiceRoleClassSpec, MlServiceRoleClassStatus};
pub use role::{MlServiceRole, MlServiceRoleSpec, MlServiceRoleStatus};

/// API group of both resources.
pub const GROUP: &str = "mlservicerole.io";
/// The one served version.
pub const VERSION: &str = "v1alpha1";
/// Field manager of every server-side apply, and reporting controller of every Event.
pub const FIELD_MANAGER: &str = "mlservicerole-operator";

/// Finalizer on an MlServiceRole: a role may exist in AWS.
pub const ROLE_FINALIZER: &str = "mlservicerole.io/role";
/// Finalizer on an MlServiceRoleClass: a placement names it.
pub const CLASS_FINALIZER: &str = "mlservicerole.io/class";
/// Annotation on an MlServiceRole: where its role lives (class and role ARN), as JSON.
pub const PLACEMENT_ANNOTATION: &str = "mlservicerole.io/placement";
/// Annotation on the MlServiceRoleClass that serves objects without `className`.
pub const DEFAULT_CLASS_ANNOTATION: &str = "mlservicerole.io/is-default-class";

/// Annotation that the EKS pod identity webhook reads.
pub const ROLE_ARN_ANNOTATION: &str = "eks.amazonaws.com/role-arn";
/// Annotation with the token audience, for audiences other than `sts.amazonaws.com`.
pub const AUDIENCE_ANNOTATION: &str = "eks.amazonaws.com/audience";
/// Annotation on a ServiceAccount: name and uid of the MlServiceRole that bound it.
pub const BOUND_BY_ANNOTATION: &str = "mlservicerole.io/bound-by";
/// Annotation on a ServiceAccount that was created by the operator, written only by the POST that created it.
pub const CREATED_BY_ANNOTATION: &str = "mlservicerole.io/created-by";
/// Annotation on a ServiceAccount: the `role-arn` that was replaced, put back when the ServiceAccount is let go.
pub const PREVIOUS_ROLE_ARN_ANNOTATION: &str = "mlservicerole.io/previous-role-arn";
/// Annotation on a ServiceAccount: the `audience` that was there before, put back together with everything else.
pub const PREVIOUS_AUDIENCE_ANNOTATION: &str = "mlservicerole.io/previous-audience";

/// Audience of a web identity token for AWS STS, the same in every AWS partition.
pub const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";
