//! Which ServiceAccounts to create, annotate or let go. An annotation that somebody else wrote is never
//! replaced, and only what the operator wrote is taken away.

use std::collections::BTreeMap;

use super::resolve::ServiceAccountIntent;
use super::step::{BoundBy, ServiceAccountBinding, Step};
use super::{Owner, RoleIntent};
use crate::api::condition::reasons;
use crate::api::role::CreationPolicy;
use crate::api::{
    AUDIENCE_ANNOTATION, BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION, DEFAULT_AUDIENCE, FIELD_MANAGER,
    ROLE_ARN_ANNOTATION,
};
use crate::guard::Refusal;
use crate::iam::arn::RoleArn;

/// A ServiceAccount of the object's namespace, as far as it matters.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceAccountState {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// All its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The manager that keeps writing another ARN over ours, again and again.
    pub contested_by: Option<String>,
}

impl ServiceAccountState {
    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    fn marker(&self, key: &str) -> Option<BoundBy> {
        self.annotation(key).and_then(BoundBy::parse)
    }
}

/// Another MlServiceRole of the same namespace.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rival {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// When it was created, in a form that sorts by time.
    pub created: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// ServiceAccounts that it asks for.
    pub service_accounts: Vec<String>,
}

/// How a ServiceAccount of an object stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BindingVerdict {
    /// Its name.
    pub name: String,
    /// Whether it carries the role's ARN by this object's hand.
    pub bound: bool,
    /// What keeps it from being bound, beside steps not yet taken.
    pub problem: Option<Refusal>,
}

/// The namespace's ServiceAccounts and MlServiceRoles, around one object.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// ServiceAccounts of the namespace: at least the wanted ones and those that carry our markers.
    pub service_accounts: &'a [ServiceAccountState],
    /// The other MlServiceRoles of the namespace.
    pub rivals: &'a [Rival],
    /// When the object at hand was created.
    pub created: &'a str,
}

/// Verdicts on the wanted ServiceAccounts, and the steps that bind them.
pub fn bind(intent: &RoleIntent, around: Surroundings<'_>) -> (Vec<BindingVerdict>, Vec<Step>) {
    let mut verdicts = Vec::new();
    let mut steps = Vec::new();
    for wanted in &intent.service_accounts {
        let found = around.service_accounts.iter().find(|sa| sa.name == wanted.name);
        let (bound, problem, step) = match judge(intent, wanted, found, around) {
            Judgement::Bound => (true, None, None),
            Judgement::Do(step) => (false, None, Some(step)),
            Judgement::Problem(refusal) => (false, Some(refusal), None),
        };
        verdicts.push(BindingVerdict {
            name: wanted.name.clone(),
            bound,
            problem,
        });
        steps.extend(step);
    }
    (verdicts, steps)
}

enum Judgement {
    Bound,
    Do(Step),
    Problem(Refusal),
}

fn judge(
    intent: &RoleIntent,
    wanted: &ServiceAccountIntent,
    found: Option<&ServiceAccountState>,
    around: Surroundings<'_>,
) -> Judgement {
    let owner = &intent.owner;
    let name = &wanted.name;
    let bound_by = found.and_then(|sa| sa.marker(BOUND_BY_ANNOTATION));
    if let Some(rival) = claimant(owner, name, bound_by.as_ref(), around) {
        return Judgement::Problem(Refusal::new(
            reasons::SERVICE_ACCOUNT_CLAIMED,
            format!(
                "ServiceAccount {name:?} is taken by MlServiceRole {:?} of this namespace: a ServiceAccount has one role; \
                 remove it from one of the two",
                rival.name
            ),
        ));
    }
    // What the token is made out to is `sts.amazonaws.com` where nothing is said; an annotation that says otherwise,
    // such as one from before the class's audience changed, is overwritten, since an apply can't be relied on to
    // take it away.
    let audience = intent.audience.as_deref().unwrap_or(DEFAULT_AUDIENCE);
    let said = found.and_then(|sa| sa.annotation(AUDIENCE_ANNOTATION));
    let audience_right = said.unwrap_or(DEFAULT_AUDIENCE) == audience;
    let binding = ServiceAccountBinding {
        name: name.clone(),
        role_arn: intent.arn().clone(),
        audience: (intent.audience.is_some() || said.is_some()).then(|| audience.to_owned()),
        bound_by: BoundBy {
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        },
    };
    let Some(sa) = found else {
        return match wanted.creation_policy {
            CreationPolicy::IfMissing => Judgement::Do(Step::CreateServiceAccount(binding)),
            CreationPolicy::Never => Judgement::Problem(Refusal::passing(
                reasons::SERVICE_ACCOUNT_MISSING,
                format!(
                    "ServiceAccount {name:?} doesn't exist, and its creationPolicy is Never: create it, or write \
                     creationPolicy: IfMissing"
                ),
            )),
        };
    };
    if sa.deleting {
        return Judgement::Problem(Refusal::passing(
            reasons::SERVICE_ACCOUNT_MISSING,
            format!("ServiceAccount {name:?} is being deleted; it is bound again once it is gone"),
        ));
    }
    // Our own name under a uid that no live object has: the object was deleted and restored, or re-created.
    let by_us = bound_by.as_ref().is_some_and(|by| by.name == owner.name);
    let bind = |force: bool| {
        Judgement::Do(Step::BindServiceAccount {
            binding: binding.clone(),
            uid: sa.uid.clone(),
            force_at: force.then(|| sa.resource_version.clone()),
        })
    };
    let arn = intent.arn().to_string();
    match sa.annotation(ROLE_ARN_ANNOTATION) {
        Some(value) if value == arn => {
            let marked = bound_by.as_ref().is_some_and(|by| *by == binding.bound_by);
            if audience_right && marked {
                Judgement::Bound
            } else {
                bind(bound_by.is_some())
            }
        }
        gone_or_ours if by_us || gone_or_ours.is_none_or(str::is_empty) => match &sa.contested_by {
            None => bind(bound_by.is_some()),
            Some(manager) => Judgement::Problem(Refusal::passing(
                reasons::ANNOTATION_CONTESTED,
                format!(
                    "{manager} keeps removing or rewriting the annotation {ROLE_ARN_ANNOTATION} of ServiceAccount \
                     {name:?}; take the ServiceAccount's annotations out of what {manager} applies, or take the \
                     ServiceAccount off this object (it is written again now and then)"
                ),
            )),
        },
        _ => Judgement::Problem(Refusal::new(
            reasons::SERVICE_ACCOUNT_CONFLICT,
            format!(
                "ServiceAccount {name:?} carries another role's ARN in the annotation {ROLE_ARN_ANNOTATION}, which this \
                 object didn't write and leaves alone; remove the annotation, or take the ServiceAccount off this object"
            ),
        )),
    }
}

/// The other object that has the better claim: the one that bound the ServiceAccount, then the older one, then
/// the smaller uid. A uid that no object has any more is that of an object since restored or created again, so
/// that the one of its name stands in for it: in a restored cluster all uids are new, and who had what must not
/// depend on which object was restored first.
fn claimant<'a>(
    owner: &Owner,
    service_account: &str,
    bound_by: Option<&BoundBy>,
    around: Surroundings<'a>,
) -> Option<&'a Rival> {
    if let Some(by) = bound_by {
        if by.uid == owner.uid {
            return None;
        }
        // Also one that is going: it takes its annotation away first.
        let holder = |is_holder: &dyn Fn(&Rival) -> bool| around.rivals.iter().find(|rival| is_holder(rival));
        if let Some(holder) = holder(&|rival| rival.uid == by.uid) {
            return Some(holder);
        }
        if by.name == owner.name {
            return None;
        }
        if let Some(heir) = holder(&|rival| rival.name == by.name) {
            return Some(heir);
        }
    }
    around
        .rivals
        .iter()
        .filter(|rival| !rival.deleting && rival.service_accounts.iter().any(|name| name == service_account))
        .filter(|rival| (rival.created.as_str(), rival.uid.as_str()) < (around.created, owner.uid.as_str()))
        .min_by(|a, b| (&a.created, &a.uid).cmp(&(&b.created, &b.uid)))
}

/// Steps that let go of every ServiceAccount that this object bound, `kept` ones aside.
///
/// `retain` leaves the annotation that pods need and takes only our markers.
pub fn release(
    owner: &Owner,
    arn: Option<&RoleArn>,
    kept: &[ServiceAccountIntent],
    around: Surroundings<'_>,
    retain: bool,
) -> Vec<Step> {
    let us = BoundBy {
        name: owner.name.clone(),
        uid: owner.uid.clone(),
    };
    let arn = arn.map(RoleArn::to_string);
    let mut steps = Vec::new();
    for sa in around.service_accounts {
        if sa.deleting || kept.iter().any(|intent| intent.name == sa.name) {
            continue;
        }
        let bound_by = sa.marker(BOUND_BY_ANNOTATION);
        let somebody_elses = bound_by.as_ref().is_some_and(|by| {
            *by != us && (by.name != us.name || around.rivals.iter().any(|rival| rival.uid == by.uid))
        });
        if somebody_elses || bound_by.is_none() {
            continue;
        }
        let role_arn = sa.annotation(ROLE_ARN_ANNOTATION);
        let points_at_role = arn.is_some() && role_arn == arn.as_deref();
        let mut annotations = BTreeMap::new();
        let mut take = |key: &str| {
            if let Some(value) = sa.annotation(key) {
                annotations.insert(key.to_owned(), value.to_owned());
            }
        };
        take(BOUND_BY_ANNOTATION);
        take(CREATED_BY_ANNOTATION);
        if points_at_role && !retain {
            take(ROLE_ARN_ANNOTATION);
            take(AUDIENCE_ANNOTATION);
        }
        let created_by_us = sa.marker(CREATED_BY_ANNOTATION).is_some_and(|by| by == us);
        let (name, uid) = (sa.name.clone(), sa.uid.clone());
        if created_by_us && points_at_role && !retain {
            steps.push(Step::DeleteServiceAccount {
                name,
                uid,
                annotations,
            });
        } else if !annotations.is_empty() {
            steps.push(Step::UnbindServiceAccount {
                name,
                uid,
                annotations,
            });
        }
    }
    steps
}

/// Steps that take the ARN of a role that is about to be deleted off ServiceAccounts that nobody has marked: no pod
/// may start with a role that isn't there. Only where the role is known to be this object's; a foreign role's ARN
/// is not ours to take away.
pub fn unpoint(arn: &RoleArn, around: Surroundings<'_>) -> Vec<Step> {
    let arn = arn.to_string();
    around
        .service_accounts
        .iter()
        .filter(|sa| !sa.deleting && sa.marker(BOUND_BY_ANNOTATION).is_none())
        .filter(|sa| sa.annotation(ROLE_ARN_ANNOTATION) == Some(arn.as_str()))
        .map(|sa| Step::UnbindServiceAccount {
            name: sa.name.clone(),
            uid: sa.uid.clone(),
            annotations: BTreeMap::from([(ROLE_ARN_ANNOTATION.to_owned(), arn.clone())]),
        })
        .collect()
}

/// Whether a ServiceAccount that carries our `created-by` may be deleted, from a live read: its field managers
/// and how many secrets it names. The error says why it stays.
pub fn may_delete<'a>(managers: impl IntoIterator<Item = &'a str>, secrets: usize) -> Result<(), String> {
    if let Some(other) = managers.into_iter().find(|manager| *manager != FIELD_MANAGER) {
        return Err(format!("{other} has written to it too"));
    }
    if secrets > 0 {
        return Err("it names secrets".to_owned());
    }
    Ok(())
}
