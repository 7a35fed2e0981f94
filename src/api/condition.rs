//! Condition types and reasons: the words by which the operator tells people how an object stands.
//! All of them are here, so that the documentation can be held against this file.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::text::one_line;

#[cfg(test)]
mod tests;

/// Types of conditions.
pub mod types {
    /// The spec is valid and the class allows it; says nothing about AWS.
    pub const ACCEPTED: &str = "Accepted";
    /// The role in AWS is as the spec says.
    pub const ROLE_SYNCED: &str = "RoleSynced";
    /// Every ServiceAccount carries the role's ARN.
    pub const SERVICE_ACCOUNTS_BOUND: &str = "ServiceAccountsBound";
    /// All of the above.
    pub const READY: &str = "Ready";
    /// Present only while true: trying again won't help until somebody changes something.
    pub const STALLED: &str = "Stalled";
}

/// Reasons of conditions, also used as reasons of Events.
pub mod reasons {
    /// The class allows the spec.
    pub const ALLOWED: &str = "Allowed";
    /// The thing is as it should be.
    pub const SYNCED: &str = "Synced";
    /// Every ServiceAccount is bound.
    pub const BOUND: &str = "Bound";
    /// Work is under way.
    pub const PROGRESSING: &str = "Progressing";
    /// Something before this must be mended first.
    pub const WAITING: &str = "Waiting";
    /// The object only observes, and there is something that `Manage` would do.
    pub const OBSERVING: &str = "Observing";
    /// The object is being deleted.
    pub const DELETING: &str = "Deleting";

    /// A field's value can't be used.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// No class of that name.
    pub const CLASS_NOT_FOUND: &str = "ClassNotFound";
    /// No className and no default class.
    pub const NO_DEFAULT_CLASS: &str = "NoDefaultClass";
    /// No className and more than one default class.
    pub const AMBIGUOUS_DEFAULT_CLASS: &str = "AmbiguousDefaultClass";
    /// The class itself isn't accepted.
    pub const CLASS_NOT_ACCEPTED: &str = "ClassNotAccepted";
    /// The class's account can't be reached as the class says.
    pub const CLASS_NOT_READY: &str = "ClassNotReady";
    /// The class is being deleted and serves only deletions.
    pub const CLASS_TERMINATING: &str = "ClassTerminating";
    /// The class doesn't serve this namespace.
    pub const NAMESPACE_NOT_ALLOWED: &str = "NamespaceNotAllowed";
    /// The class doesn't allow a managed policy.
    pub const MANAGED_POLICY_NOT_ALLOWED: &str = "ManagedPolicyNotAllowed";
    /// The class doesn't allow what an inline policy says.
    pub const INLINE_POLICY_NOT_ALLOWED: &str = "InlinePolicyNotAllowed";
    /// The class doesn't allow a preset, or a value for one.
    pub const PRESET_NOT_ALLOWED: &str = "PresetNotAllowed";
    /// A preset names resources of a region, and the operator isn't told which.
    pub const REGION_UNKNOWN: &str = "RegionUnknown";
    /// A newer version of a preset is there than the object uses.
    pub const PRESET_UPDATE_AVAILABLE: &str = "PresetUpdateAvailable";
    /// A policy holds actions by which a role could raise its own rights, without the class's consent to each.
    pub const ESCALATION_NOT_ALLOWED: &str = "EscalationNotAllowed";
    /// A policy would let the role pass a role that the class doesn't list.
    pub const PASS_ROLE_NOT_ALLOWED: &str = "PassRoleNotAllowed";
    /// The class doesn't allow this role name.
    pub const ROLE_NAME_NOT_ALLOWED: &str = "RoleNameNotAllowed";
    /// The class doesn't allow a tag key.
    pub const TAG_KEY_NOT_ALLOWED: &str = "TagKeyNotAllowed";
    /// The class doesn't allow a trusted service.
    pub const TRUSTED_SERVICE_NOT_ALLOWED: &str = "TrustedServiceNotAllowed";
    /// The class doesn't allow sessions that long.
    pub const SESSION_DURATION_NOT_ALLOWED: &str = "SessionDurationNotAllowed";
    /// The class doesn't allow retaining roles.
    pub const RETAIN_NOT_ALLOWED: &str = "RetainNotAllowed";
    /// The class doesn't allow binding the ServiceAccount `default`.
    pub const DEFAULT_SERVICE_ACCOUNT_NOT_ALLOWED: &str = "DefaultServiceAccountNotAllowed";
    /// The role needs more than IAM, or its account, allows.
    pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
    /// The class doesn't let the object take an existing role over.
    pub const ADOPTION_NOT_ALLOWED: &str = "AdoptionNotAllowed";
    /// The recorded placement disagrees with spec and class.
    pub const PLACEMENT_CHANGED: &str = "PlacementChanged";

    /// A role of this name exists and isn't this object's.
    pub const ROLE_CONFLICT: &str = "RoleConflict";
    /// The role is tagged by another cluster of the same name.
    pub const CLUSTER_NAME_CLASH: &str = "ClusterNameClash";
    /// The role belongs to a former namespace of the same name.
    pub const NAMESPACE_RECREATED: &str = "NamespaceRecreated";
    /// The ownership tags are gone from the role.
    pub const OWNERSHIP_LOST: &str = "OwnershipLost";
    /// The role that is to be taken over doesn't exist.
    pub const ROLE_TO_ADOPT_MISSING: &str = "RoleToAdoptMissing";
    /// What the role was before it was taken over can't be found.
    pub const FORMER_STATE_LOST: &str = "FormerStateLost";
    /// Taking the role over would shut somebody out who can use it now.
    pub const TRUST_WOULD_NARROW: &str = "TrustWouldNarrow";
    /// Whether the role is this object's is being read again.
    pub const VERIFYING_OWNERSHIP: &str = "VerifyingOwnership";
    /// The role has a permissions boundary and the class has none.
    pub const BOUNDARY_REMOVAL_REFUSED: &str = "BoundaryRemovalRefused";

    /// AWS throttles.
    pub const THROTTLED: &str = "Throttled";
    /// AWS couldn't be reached or failed.
    pub const AWS_UNAVAILABLE: &str = "AwsUnavailable";
    /// AWS contradicts itself for a moment.
    pub const NOT_YET_CONSISTENT: &str = "NotYetConsistent";
    /// Somebody else changes the same thing at the same time.
    pub const CONFLICT: &str = "Conflict";
    /// AWS denies the operator an action.
    pub const ACCESS_DENIED: &str = "AccessDenied";
    /// AWS refuses the request.
    pub const REFUSED_BY_AWS: &str = "RefusedByAws";
    /// The Kubernetes API refused or failed a request.
    pub const KUBERNETES_API_ERROR: &str = "KubernetesApiError";

    /// A ServiceAccount that must not be created is missing.
    pub const SERVICE_ACCOUNT_MISSING: &str = "ServiceAccountMissing";
    /// A ServiceAccount carries another role's ARN.
    pub const SERVICE_ACCOUNT_CONFLICT: &str = "ServiceAccountConflict";
    /// A ServiceAccount is bound by another MlServiceRole.
    pub const SERVICE_ACCOUNT_CLAIMED: &str = "ServiceAccountClaimed";
    /// Another manager keeps writing another ARN.
    pub const ANNOTATION_CONTESTED: &str = "AnnotationContested";

    /// Of a class: STS reports another account.
    pub const WRONG_ACCOUNT: &str = "WrongAccount";
    /// Of a class: its credentials don't work.
    pub const CREDENTIALS_INVALID: &str = "CredentialsInvalid";
    /// Of a class: the account has no OIDC provider for the issuer with this audience.
    pub const ISSUER_NOT_TRUSTED: &str = "IssuerNotTrusted";
    /// Of a class: this cluster's issuer is another one than the one recorded.
    pub const ISSUER_CHANGED: &str = "IssuerChanged";
    /// Of a class: the boundary policy doesn't exist.
    pub const BOUNDARY_MISSING: &str = "BoundaryMissing";
}

/// All of [`reasons`], for whoever must not tell anything else.
pub const REASONS: [&str; 56] = [
    reasons::ALLOWED,
    reasons::SYNCED,
    reasons::BOUND,
    reasons::PROGRESSING,
    reasons::WAITING,
    reasons::OBSERVING,
    reasons::DELETING,
    reasons::INVALID_SPEC,
    reasons::CLASS_NOT_FOUND,
    reasons::NO_DEFAULT_CLASS,
    reasons::AMBIGUOUS_DEFAULT_CLASS,
    reasons::CLASS_NOT_ACCEPTED,
    reasons::CLASS_NOT_READY,
    reasons::CLASS_TERMINATING,
    reasons::NAMESPACE_NOT_ALLOWED,
    reasons::MANAGED_POLICY_NOT_ALLOWED,
    reasons::INLINE_POLICY_NOT_ALLOWED,
    reasons::PRESET_NOT_ALLOWED,
    reasons::REGION_UNKNOWN,
    reasons::PRESET_UPDATE_AVAILABLE,
    reasons::ESCALATION_NOT_ALLOWED,
    reasons::PASS_ROLE_NOT_ALLOWED,
    reasons::ROLE_NAME_NOT_ALLOWED,
    reasons::TAG_KEY_NOT_ALLOWED,
    reasons::TRUSTED_SERVICE_NOT_ALLOWED,
    reasons::SESSION_DURATION_NOT_ALLOWED,
    reasons::RETAIN_NOT_ALLOWED,
    reasons::DEFAULT_SERVICE_ACCOUNT_NOT_ALLOWED,
    reasons::QUOTA_EXCEEDED,
    reasons::ADOPTION_NOT_ALLOWED,
    reasons::PLACEMENT_CHANGED,
    reasons::ROLE_CONFLICT,
    reasons::CLUSTER_NAME_CLASH,
    reasons::NAMESPACE_RECREATED,
    reasons::OWNERSHIP_LOST,
    reasons::ROLE_TO_ADOPT_MISSING,
    reasons::FORMER_STATE_LOST,
    reasons::TRUST_WOULD_NARROW,
    reasons::VERIFYING_OWNERSHIP,
    reasons::BOUNDARY_REMOVAL_REFUSED,
    reasons::THROTTLED,
    reasons::AWS_UNAVAILABLE,
    reasons::NOT_YET_CONSISTENT,
    reasons::CONFLICT,
    reasons::ACCESS_DENIED,
    reasons::REFUSED_BY_AWS,
    reasons::KUBERNETES_API_ERROR,
    reasons::SERVICE_ACCOUNT_MISSING,
    reasons::SERVICE_ACCOUNT_CONFLICT,
    reasons::SERVICE_ACCOUNT_CLAIMED,
    reasons::ANNOTATION_CONTESTED,
    reasons::WRONG_ACCOUNT,
    reasons::CREDENTIALS_INVALID,
    reasons::ISSUER_NOT_TRUSTED,
    reasons::ISSUER_CHANGED,
    reasons::BOUNDARY_MISSING,
];

/// `status` of a condition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It holds.
    True,
    /// It doesn't.
    False,
    /// Not decided yet.
    Unknown,
}

impl Verdict {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::True => "True",
            Verdict::False => "False",
            Verdict::Unknown => "Unknown",
        }
    }
}

/// A condition before it has a transition time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewCondition {
    /// One of [`types`].
    pub r#type: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
    /// One of [`reasons`].
    pub reason: &'static str,
    /// For people: the object, the rule and the remedy.
    pub message: String,
}

/// The Kubernetes API bounds a condition's message at 32,768 bytes.
const MAX_MESSAGE: usize = 4096;

/// Merges `new` into conditions as they stand: `lastTransitionTime` moves only where the status flips, and
/// types that `new` doesn't have are dropped.
pub fn merge(
    old: &[Condition],
    new: &[NewCondition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    new.iter()
        .map(|condition| {
            let status = condition.verdict.as_str();
            let since = old
                .iter()
                .find(|o| o.type_ == condition.r#type && o.status == status)
                .map(|o| o.last_transition_time.clone())
                .unwrap_or(Time(now));
            Condition {
                type_: condition.r#type.to_owned(),
                status: status.to_owned(),
                reason: condition.reason.to_owned(),
                message: bounded(&condition.message),
                observed_generation: generation,
                last_transition_time: since,
            }
        })
        .collect()
}

fn bounded(message: &str) -> String {
    let clean = one_line(message);
    match clean.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}
