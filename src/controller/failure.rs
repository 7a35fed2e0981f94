//! From errors of AWS and of the Kubernetes API to what the object's people read. IAM's own text about a denial
//! names principals and policies that are none of a tenant's business: it goes to the log.

use std::time::Duration;

use tracing::Level;

use crate::api::ROLE_FINALIZER;
use crate::api::condition::reasons;
use crate::aws::{AwsError, ErrorClass, SessionError};
use crate::cluster::{ClusterError, ClusterErrorClass};
use crate::guard::Refusal;
use crate::iam::arn::{PolicyArn, RoleArn};
use crate::iam::name::RoleName;
use crate::plan::{Failure, Outcome, Step};

#[cfg(test)]
mod tests;

/// What only a person can mend is still looked at now and then, since AWS tells us nothing.
pub const SLOW_RETRY: Duration = Duration::from_secs(300);

/// A call to AWS about a role failed; `target` says more about what it was about.
pub fn of_aws(error: &AwsError, role: &RoleName, target: &str) -> Failure {
    let operation = error.operation;
    let of = if target.is_empty() {
        String::new()
    } else {
        format!(" ({target})")
    };
    let refusal = match error.class {
        ErrorClass::Throttled => Refusal::passing(
            reasons::THROTTLED,
            format!("AWS throttles IAM calls of this account; {operation}{of} on role {role} is tried again"),
        ),
        ErrorClass::Transient => Refusal::passing(
            reasons::AWS_UNAVAILABLE,
            format!(
                "AWS didn't answer {operation}{of} on role {role} properly ({}); it is tried again",
                error.code
            ),
        ),
        ErrorClass::NotYetConsistent => Refusal::passing(
            reasons::NOT_YET_CONSISTENT,
            format!(
                "IAM doesn't know everything yet that {operation}{of} on role {role} needs; it is tried again"
            ),
        ),
        ErrorClass::Conflict => Refusal::passing(
            reasons::CONFLICT,
            format!(
                "IAM refuses {operation}{of} on role {role} for now: {}: {}",
                error.code, error.message
            ),
        ),
        ErrorClass::Denied if !denies_the_action(error) => Refusal::new(
            reasons::ACCESS_DENIED,
            format!(
                "AWS refuses the operator's own credentials ({operation}: {}), so nothing can be done on role {role}; ask the \
                 platform admin to correct them (the operator's log has AWS's own words)",
                error.code
            ),
        ),
        ErrorClass::Denied if operation == "RemoveRoleFromInstanceProfile" => Refusal::new(
            reasons::ACCESS_DENIED,
            format!(
                "role {role} sits in an instance profile, and AWS denies the operator iam:{operation}{of}; ask the platform \
                 admin to take it out (aws iam remove-role-from-instance-profile --role-name {role}), or to allow that in \
                 the operator's IAM policy (iam-policy --leave-instance-profiles)"
            ),
        ),
        ErrorClass::Denied => Refusal::new(
            reasons::ACCESS_DENIED,
            format!(
                "AWS denies the operator iam:{operation}{of} on role {role}; ask the platform admin to allow it in the \
                 operator's IAM policy (the operator's log has AWS's own words)"
            ),
        ),
        ErrorClass::Invalid if error.is_limit_exceeded() => Refusal::new(
            reasons::QUOTA_EXCEEDED,
            format!(
                "a quota of AWS refuses {operation}{of} on role {role}: {}; ask for less in this object, or ask the platform \
                 admin to have the account's quota raised",
                error.message
            ),
        ),
        ErrorClass::Invalid => Refusal::new(
            reasons::REFUSED_BY_AWS,
            format!(
                "IAM refuses {operation}{of} on role {role}: {}: {}; change this object accordingly",
                error.code, error.message
            ),
        ),
    };
    Failure {
        refusal,
        service_account: None,
    }
}

/// IAM doesn't know the boundary that a role is to have, which it answers as NoSuchEntity.
pub fn of_boundary(error: &AwsError, role: &RoleName, boundary: &PolicyArn) -> Failure {
    Failure {
        refusal: Refusal::new(
            reasons::BOUNDARY_MISSING,
            format!(
                "the permissions boundary {boundary} that role {role} is to have doesn't exist, or can't be attached ({}: {}); \
                 ask the platform admin to create this policy",
                error.operation, error.code
            ),
        ),
        service_account: None,
    }
}

/// A boundary that is missing is the class's, unless the role is being given back.
pub fn lay_to_class(outcome: &mut Outcome, class: &str) {
    if let Outcome::Failed(failure) = outcome
        && failure.refusal.reason == reasons::BOUNDARY_MISSING
    {
        let words = format!(", or to correct it in class {class:?}; nothing in this object needs changing");
        failure.refusal.message.push_str(&words);
    }
}

/// How loud a failed call is in the log: what passes by itself is no warning, unless AWS can't be reached at all.
pub fn level(class: ErrorClass) -> Level {
    match class {
        ErrorClass::Throttled | ErrorClass::NotYetConsistent | ErrorClass::Conflict => Level::INFO,
        ErrorClass::Transient | ErrorClass::Denied | ErrorClass::Invalid => Level::WARN,
    }
}

/// How long to wait after a failure, given the growing pause that is its turn: what only a person can mend is tried
/// again slowly, since AWS doesn't tell when it was mended.
pub fn pause(refusal: &Refusal, growing: Duration, longest: Duration) -> Duration {
    if refusal.final_ {
        growing.max(SLOW_RETRY.min(longest))
    } else {
        growing
    }
}

/// Whether it is the action on the role that is denied. Credentials that expired, or a role of the class that can't
/// be assumed any more, deny every action, and are found out at any call.
fn denies_the_action(error: &AwsError) -> bool {
    let code = error.code.strip_suffix("Exception").unwrap_or(&error.code);
    matches!(code, "AccessDenied" | "UnauthorizedOperation" | "NotAuthorized")
        && !error.operation.starts_with("AssumeRole")
}

/// A request to the Kubernetes API failed.
pub fn of_cluster(error: &ClusterError, step: &Step) -> Failure {
    let service_account = match step {
        Step::CreateServiceAccount(binding) | Step::BindServiceAccount { binding, .. } => {
            Some(binding.name.clone())
        }
        Step::UnbindServiceAccount { name, .. } | Step::DeleteServiceAccount { name, .. } => {
            Some(name.clone())
        }
        _ => None,
    };
    if let Step::KeepFormerState(state) = step {
        return of_keeping(error, &state.role_arn);
    }
    let (action, target) = (step.action(), step.target());
    let message = format!("{action} {target:?}: {}", error.message);
    let refusal = match error.class {
        ClusterErrorClass::Conflict | ClusterErrorClass::NotFound => {
            Refusal::passing(reasons::CONFLICT, message)
        }
        ClusterErrorClass::Transient => Refusal::passing(reasons::KUBERNETES_API_ERROR, message),
        ClusterErrorClass::Denied => Refusal::passing(
            reasons::KUBERNETES_API_ERROR,
            format!(
                "{message}; where the namespace stays, ask the platform admin to check the operator's RBAC"
            ),
        ),
        ClusterErrorClass::Invalid => Refusal::new(reasons::KUBERNETES_API_ERROR, message),
    };
    Failure {
        refusal,
        service_account,
    }
}

/// What a role was can't be kept, so that it isn't taken over.
fn of_keeping(error: &ClusterError, role: &RoleArn) -> Failure {
    let message = format!(
        "what role {role} is before it is taken over can't be kept ({}), so nothing was changed on it; it is tried again; \
         if this lasts, ask the platform admin to let the operator create ConfigMaps in its own namespace, and to check \
         that this is the one that POD_NAMESPACE names",
        error.message
    );
    let refusal = match error.class {
        ClusterErrorClass::Invalid => Refusal::new(reasons::KUBERNETES_API_ERROR, message),
        _ => Refusal::passing(reasons::KUBERNETES_API_ERROR, message),
    };
    Failure {
        refusal,
        service_account: None,
    }
}

/// What an adopted role was before can't be looked up.
pub fn of_recall(error: &ClusterError, role: &RoleName) -> Failure {
    Failure {
        refusal: Refusal::passing(
            reasons::KUBERNETES_API_ERROR,
            format!(
                "what role {role} was before it was taken over can't be read ({}); it is tried again; if this lasts, ask the \
                 platform admin to let the operator get and list ConfigMaps of its own namespace",
                error.message
            ),
        ),
        service_account: None,
    }
}

/// A class's account can't be worked with; the class says more, to people who may know more.
pub fn of_session(error: &SessionError, class: &str) -> Refusal {
    let message =
        |what: &str| format!("class {class:?} can't be used: {what}; the class's own conditions say more");
    match error {
        SessionError::WrongAccount { .. } => Refusal::new(
            reasons::CLASS_NOT_READY,
            message("its credentials belong to another AWS account"),
        ),
        SessionError::CredentialsInvalid(_) => {
            Refusal::new(reasons::CLASS_NOT_READY, message("AWS refuses its credentials"))
        }
        SessionError::Unavailable(_) => Refusal::passing(
            reasons::CLASS_NOT_READY,
            message("AWS can't be asked whose its credentials are"),
        ),
    }
}

/// The same, for an object that is being deleted: what keeps it, and how it goes.
pub fn of_session_of_departing(error: &SessionError, class: &str) -> Refusal {
    let refusal = of_session(error, class);
    Refusal {
        message: format!(
            "{}; this object stays until its role can be reached: ask the platform admin to mend the class, or, where the \
             account is lost for good, remove the finalizer {ROLE_FINALIZER} from this object by hand",
            refusal.message
        ),
        ..refusal
    }
}

/// Of a role that can't be given back as it was: it can be left as it is.
pub fn offer_to_retain(failure: &mut Failure) {
    let final_ = [
        reasons::ACCESS_DENIED,
        reasons::REFUSED_BY_AWS,
        reasons::BOUNDARY_MISSING,
    ];
    if final_.contains(&failure.refusal.reason) {
        failure.refusal.message.push_str(
            "; the role is being given back as it was before it was taken over: write deletionPolicy: Retain to leave it \
             as it is",
        );
    }
}

/// The same, for the class itself.
pub fn of_session_for_class(error: &SessionError) -> Refusal {
    match error {
        SessionError::WrongAccount { expected, found } => Refusal::new(
            reasons::WRONG_ACCOUNT,
            format!(
                "STS reports account {found}, but aws.accountId is {expected}, so no other call is made; correct the \
                 credentials or aws.assumeRole"
            ),
        ),
        SessionError::CredentialsInvalid(e) => Refusal::new(
            reasons::CREDENTIALS_INVALID,
            format!(
                "the credentials don't work: {}: {}; correct them or aws.assumeRole",
                e.code, e.message
            ),
        ),
        SessionError::Unavailable(e) => Refusal::passing(
            reasons::AWS_UNAVAILABLE,
            format!(
                "STS can't be asked whose the credentials are ({}); it is tried again",
                e.code
            ),
        ),
    }
}
