//! From what came of a reconcile to conditions. Nothing here may change from one reconcile to the next while
//! nothing has changed: no times, no counts, no request ids.

use std::iter;

use super::{BindingVerdict, Pending};
use crate::api::condition::{NewCondition, Verdict, reasons, types};
use crate::guard::Refusal;

/// How a reconcile ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Spec or class refuse; nothing was done.
    Refused(Refusal),
    /// Spec or class refuse, and what the role has and the class doesn't allow any more is being taken away.
    Revoked {
        /// Why the object is refused.
        why: Refusal,
        /// How cutting back ended.
        cut: Box<Outcome>,
    },
    /// The class can't be worked with for now; nothing was done.
    ClassNotReady(Refusal),
    /// The role can't be touched until somebody changes something.
    Blocked(Refusal),
    /// Something is waited for.
    Waiting(Refusal),
    /// A step or a read failed.
    Failed(Failure),
    /// The role is as it should be.
    Synced,
    /// The object only observes, and so much is left undone.
    Observed(Pending),
}

impl Outcome {
    /// The failure after which the same is tried again with ever longer pauses.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Outcome::Failed(failure) => Some(failure),
            Outcome::Revoked { cut, .. } => cut.failure(),
            _ => None,
        }
    }

    /// Whether nothing can be done about the role until somebody changes something.
    pub fn is_blocked(&self) -> bool {
        match self {
            Outcome::Revoked { cut, .. } => cut.is_blocked(),
            outcome => matches!(outcome, Outcome::Blocked(_)),
        }
    }

    /// Which one it is, for those who count.
    pub fn label(&self) -> &'static str {
        match self {
            Outcome::Refused(_) => "refused",
            Outcome::Revoked { .. } => "revoked",
            Outcome::ClassNotReady(_) => "class_not_ready",
            Outcome::Blocked(_) => "blocked",
            Outcome::Waiting(_) => "waiting",
            Outcome::Failed(_) => "failed",
            Outcome::Synced => "synced",
            Outcome::Observed(_) => "observed",
        }
    }
}

/// A step or a read that failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// Reason, message and whether only a person can mend it.
    pub refusal: Refusal,
    /// Whether it was about a ServiceAccount, not the role.
    pub service_account: Option<String>,
}

/// What the conditions of an object are made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// How the reconcile ended.
    pub outcome: Outcome,
    /// How the wanted ServiceAccounts stand.
    pub bindings: Vec<BindingVerdict>,
    /// Newer versions of the object's presets, for people.
    pub updates: Vec<String>,
    /// Whether the object is being deleted.
    pub deleting: bool,
}

/// The reason of the condition `Ready` of an MlServiceRole.
pub fn reason(report: &Report) -> &'static str {
    let ready = conditions(report)
        .into_iter()
        .find(|condition| condition.r#type == types::READY);
    ready.map_or(reasons::PROGRESSING, |ready| ready.reason)
}

/// The conditions of an MlServiceRole.
pub fn conditions(report: &Report) -> Vec<NewCondition> {
    let accepted = match &report.outcome {
        Outcome::Refused(why) | Outcome::Revoked { why, .. } => from_refusal(types::ACCEPTED, why),
        Outcome::ClassNotReady(refusal) => new(
            types::ACCEPTED,
            Verdict::Unknown,
            refusal.reason,
            &refusal.message,
        ),
        _ => new(
            types::ACCEPTED,
            Verdict::True,
            reasons::ALLOWED,
            &iter::once("the class allows this object")
                .chain(report.updates.iter().map(String::as_str))
                .collect::<Vec<_>>()
                .join("; "),
        ),
    };
    let waiting = |r#type| {
        new(
            r#type,
            Verdict::Unknown,
            reasons::WAITING,
            "something before this must be mended first",
        )
    };
    let role = match &report.outcome {
        Outcome::Refused(_) | Outcome::ClassNotReady(_) => waiting(types::ROLE_SYNCED),
        Outcome::Revoked { why, cut } => cut_back(why, cut),
        Outcome::Waiting(why) => new(types::ROLE_SYNCED, Verdict::Unknown, why.reason, &why.message),
        Outcome::Blocked(refusal) => from_refusal(types::ROLE_SYNCED, refusal),
        Outcome::Failed(failure) if failure.service_account.is_none() => {
            from_refusal(types::ROLE_SYNCED, &failure.refusal)
        }
        Outcome::Observed(pending) if pending.role > 0 => observing(types::ROLE_SYNCED, *pending),
        Outcome::Failed(_) | Outcome::Synced | Outcome::Observed(_) => new(
            types::ROLE_SYNCED,
            Verdict::True,
            reasons::SYNCED,
            "the role is as this object says",
        ),
    };
    let bound = bound(report);
    let ready = ready([&accepted, &role, &bound]);
    let stalled = stalled(report);
    let mut all = vec![accepted, role, bound, ready];
    all.extend(stalled);
    all
}

/// How a role stands that is cut back: never in sync, since the object asks for more.
fn cut_back(why: &Refusal, cut: &Outcome) -> NewCondition {
    let r#type = types::ROLE_SYNCED;
    match cut {
        Outcome::Failed(Failure { refusal, .. }) | Outcome::Blocked(refusal) | Outcome::Waiting(refusal) => {
            from_refusal(
                r#type,
                &Refusal {
                    message: format!(
                        "the role isn't cut back yet to what the class allows: {}",
                        refusal.message
                    ),
                    ..refusal.clone()
                },
            )
        }
        _ => new(
            r#type,
            Verdict::False,
            why.reason,
            "the role is cut back to what the class allows (onViolation: Revoke), and gets nothing new meanwhile",
        ),
    }
}

fn bound(report: &Report) -> NewCondition {
    let r#type = types::SERVICE_ACCOUNTS_BOUND;
    if let Outcome::Failed(Failure {
        refusal,
        service_account: Some(_),
    }) = &report.outcome
    {
        return from_refusal(r#type, refusal);
    }
    if report.deleting {
        return new(
            r#type,
            Verdict::Unknown,
            reasons::DELETING,
            "this object is being deleted",
        );
    }
    let problems = report
        .bindings
        .iter()
        .filter_map(|binding| binding.problem.clone())
        .collect();
    if let Some(problem) = Refusal::joined(problems) {
        return from_refusal(r#type, &problem);
    }
    if matches!(
        report.outcome,
        Outcome::Refused(_) | Outcome::Revoked { .. } | Outcome::ClassNotReady(_)
    ) {
        return new(
            r#type,
            Verdict::Unknown,
            reasons::WAITING,
            "something before this must be mended first",
        );
    }
    if let Outcome::Observed(pending) = &report.outcome
        && pending.service_accounts > 0
    {
        return observing(r#type, *pending);
    }
    if report.bindings.iter().all(|binding| binding.bound) {
        return new(
            r#type,
            Verdict::True,
            reasons::BOUND,
            "every ServiceAccount carries the role's ARN",
        );
    }
    new(
        r#type,
        Verdict::Unknown,
        reasons::PROGRESSING,
        "not every ServiceAccount carries the role's ARN yet",
    )
}

/// `True` when all others are; else the first that isn't, which is the one to mend first.
fn ready(parts: [&NewCondition; 3]) -> NewCondition {
    let unmet = parts.into_iter().find(|part| part.verdict != Verdict::True);
    match unmet {
        Some(part) => new(types::READY, part.verdict, part.reason, &part.message),
        None => new(
            types::READY,
            Verdict::True,
            reasons::SYNCED,
            "the role is ready for use",
        ),
    }
}

fn stalled(report: &Report) -> Option<NewCondition> {
    let final_ = match &report.outcome {
        Outcome::Refused(refusal)
        | Outcome::Revoked { why: refusal, .. }
        | Outcome::ClassNotReady(refusal)
        | Outcome::Blocked(refusal) => Some(refusal),
        Outcome::Failed(failure) => Some(&failure.refusal),
        Outcome::Waiting(_) | Outcome::Synced | Outcome::Observed(_) => None,
    }
    .filter(|refusal| refusal.final_)
    .cloned()
    .or_else(|| {
        let problems = report
            .bindings
            .iter()
            .filter_map(|binding| binding.problem.clone());
        Refusal::joined(problems.filter(|problem| problem.final_).collect())
    })?;
    Some(new(types::STALLED, Verdict::True, final_.reason, &final_.message))
}

/// The conditions of an MlServiceRoleClass: whether it is valid, whether its account is as it says, and where either
/// isn't so and waiting doesn't mend it, that it is stalled.
pub fn class_conditions(accepted: Result<(), Refusal>, ready: Result<(), Refusal>) -> Vec<NewCondition> {
    let unmet = [&accepted, &ready]
        .into_iter()
        .find_map(|part| part.as_ref().err());
    let stalled = unmet
        .filter(|refusal| refusal.final_)
        .map(|refusal| new(types::STALLED, Verdict::True, refusal.reason, &refusal.message));
    let (accepted, ready) = match (accepted, ready) {
        (Err(refusal), _) => (
            from_refusal(types::ACCEPTED, &refusal),
            new(types::READY, Verdict::False, refusal.reason, &refusal.message),
        ),
        (Ok(()), Err(refusal)) => (
            new(
                types::ACCEPTED,
                Verdict::True,
                reasons::ALLOWED,
                "the class is valid",
            ),
            new(types::READY, Verdict::False, refusal.reason, &refusal.message),
        ),
        (Ok(()), Ok(())) => (
            new(
                types::ACCEPTED,
                Verdict::True,
                reasons::ALLOWED,
                "the class is valid",
            ),
            new(
                types::READY,
                Verdict::True,
                reasons::SYNCED,
                "account, issuers and boundary are as the class says",
            ),
        ),
    };
    [accepted, ready].into_iter().chain(stalled).collect()
}

/// What is to be said of a class whose annotation `mlservicerole.io/is-default-class` has this value. Only `true` makes
/// a default class, and an admin who wrote `True` or `yes` would wait for it in vain.
pub fn default_class_remark(value: &str) -> Option<String> {
    (!matches!(value, "true" | "false")).then(|| {
        format!(
            "the annotation mlservicerole.io/is-default-class is {value:?}, which makes no default class; write \"true\", or \
             remove it"
        )
    })
}

/// What `Manage` would do is told, not done. That isn't stalled: it is what was asked for.
fn observing(r#type: &'static str, pending: Pending) -> NewCondition {
    let would = match pending.all() {
        1 => "1 step would be taken".to_owned(),
        steps => format!("{steps} steps would be taken"),
    };
    let message = format!("mode is Observe: {would}, see status.plan; set mode: Manage to take them");
    new(r#type, Verdict::False, reasons::OBSERVING, &message)
}

fn from_refusal(r#type: &'static str, refusal: &Refusal) -> NewCondition {
    new(r#type, Verdict::False, refusal.reason, &refusal.message)
}

fn new(r#type: &'static str, verdict: Verdict, reason: &'static str, message: &str) -> NewCondition {
    NewCondition {
        r#type,
        verdict,
        reason,
        message: message.to_owned(),
    }
}
