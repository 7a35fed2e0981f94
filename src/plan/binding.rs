//! Which ServiceAccounts to create or annotate. What somebody else wrote is replaced only where the object says
//! so, once the new role is in sync, and with a record of what it was.

use std::collections::{BTreeMap, BTreeSet};

use super::resolve::ServiceAccountIntent;
use super::step::{BoundBy, Previous, ServiceAccountBinding, Step};
use super::{Owner, RoleIntent};
use crate::api::condition::reasons;
use crate::api::role::{ConflictPolicy, CreationPolicy};
use crate::api::{
    AUDIENCE_ANNOTATION, BOUND_BY_ANNOTATION, DEFAULT_AUDIENCE, PREVIOUS_AUDIENCE_ANNOTATION,
    PREVIOUS_ROLE_ARN_ANNOTATION, ROLE_ARN_ANNOTATION,
};
use crate::guard::Refusal;

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
    /// The other managers that hold an annotation, for those that [`may_be_held`](Self::may_be_held) asks for, as
    /// far as known.
    pub holders: BTreeMap<String, BTreeSet<String>>,
}

impl ServiceAccountState {
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    pub(super) fn marker(&self, key: &str) -> Option<BoundBy> {
        self.annotation(key).and_then(BoundBy::parse)
    }

    /// The ARN on it; an empty one is none.
    fn role_arn(&self) -> Option<&str> {
        self.annotation(ROLE_ARN_ANNOTATION)
            .filter(|value| !value.is_empty())
    }

    /// The annotations that are written over without a word, unless another manager holds them: an empty ARN and
    /// an audience, where no marker says that they are an object's.
    pub fn may_be_held(&self) -> Vec<&'static str> {
        let unmarked = self.marker(BOUND_BY_ANNOTATION).is_none();
        [
            (ROLE_ARN_ANNOTATION, self.role_arn().is_none()),
            (AUDIENCE_ANNOTATION, true),
        ]
        .into_iter()
        .filter(|(key, matters)| unmarked && *matters && self.annotations.contains_key(*key))
        .map(|(key, _)| key)
        .collect()
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
    /// Whether it only observes: it binds nothing, and must not keep another from it; what it has bound it keeps.
    pub observes: bool,
    /// ServiceAccounts that it asks for.
    pub service_accounts: Vec<String>,
}

impl Rival {
    /// Whether it lists a ServiceAccount and doesn't go itself.
    pub(super) fn waits_for(&self, service_account: &str) -> bool {
        !self.deleting && self.service_accounts.iter().any(|name| name == service_account)
    }
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

/// How the wanted ServiceAccounts stand, and the steps that bind them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bindings {
    /// One for each wanted ServiceAccount.
    pub verdicts: Vec<BindingVerdict>,
    /// Steps that can be taken as soon as the role exists: no pod loses anything by them.
    pub early: Vec<Step>,
    /// Steps that replace an ARN which may work. They wait until the role is in sync.
    pub once_synced: Vec<Step>,
}

/// Judges the wanted ServiceAccounts.
pub fn bind(intent: &RoleIntent, around: Surroundings<'_>) -> Bindings {
    let mut bindings = Bindings::default();
    for wanted in &intent.service_accounts {
        let found = around.service_accounts.iter().find(|sa| sa.name == wanted.name);
        let (bound, problem) = match judge(intent, wanted, found, around) {
            Judgement::Bound => (true, None),
            Judgement::Early(step) => {
                bindings.early.push(step);
                (false, None)
            }
            Judgement::OnceSynced(step) => {
                bindings.once_synced.push(step);
                (false, None)
            }
            Judgement::Problem(refusal) => (false, Some(refusal)),
        };
        bindings.verdicts.push(BindingVerdict {
            name: wanted.name.clone(),
            bound,
            problem,
        });
    }
    bindings
}

enum Judgement {
    Bound,
    Early(Step),
    OnceSynced(Step),
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
    let binding = binding(intent, name, found);
    let Some(sa) = found else {
        return match wanted.creation_policy {
            CreationPolicy::IfMissing => Judgement::Early(Step::CreateServiceAccount(binding)),
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
    let arn = intent.arn().to_string();
    let ours = sa.role_arn() == Some(arn.as_str());
    // Our own name under a uid that no live object has: the object was deleted and restored, or re-created.
    let by_us = bound_by.as_ref().is_some_and(|by| by.name == owner.name);
    let wanted_audience = intent.audience.as_deref().unwrap_or(DEFAULT_AUDIENCE);
    let audience_right = sa.annotation(AUDIENCE_ANNOTATION).unwrap_or(DEFAULT_AUDIENCE) == wanted_audience;
    if ours && audience_right && bound_by.as_ref() == Some(&binding.bound_by) {
        return Judgement::Bound;
    }
    let replaces = sa.role_arn().is_some() && !ours && !by_us;
    let may_replace = wanted.conflict_policy == ConflictPolicy::Replace;
    if replaces && !may_replace {
        return Judgement::Problem(Refusal::new(
            reasons::SERVICE_ACCOUNT_CONFLICT,
            format!(
                "ServiceAccount {name:?} carries another role's ARN in the annotation {ROLE_ARN_ANNOTATION}, which this \
                 object didn't write and leaves alone; remove the annotation, or take the ServiceAccount off this object, \
                 or write conflictPolicy: Replace to have it replaced, and put back when this object lets go"
            ),
        ));
    }
    if let Some(manager) = &sa.contested_by {
        return Judgement::Problem(Refusal::passing(
            reasons::ANNOTATION_CONTESTED,
            format!(
                "{manager} keeps removing or rewriting the annotation {ROLE_ARN_ANNOTATION} of ServiceAccount \
                 {name:?}, or the operator's annotations beside it; take the ServiceAccount's annotations out of what \
                 {manager} applies, or take the ServiceAccount off this object (it is written again now and then)"
            ),
        ));
    }
    let overwritten = overwritten(sa, &binding);
    let held = overwritten.iter().find(|(_, managers)| !managers.is_empty());
    if let Some((key, managers)) = held.filter(|_| !may_replace) {
        let managers = managers.iter().cloned().collect::<Vec<_>>().join(", ");
        let value = sa.annotation(key).unwrap_or_default();
        let which = if value.is_empty() {
            "an empty annotation"
        } else {
            "an annotation"
        };
        return Judgement::Problem(Refusal::new(
            reasons::SERVICE_ACCOUNT_CONFLICT,
            format!(
                "ServiceAccount {name:?} has {which} {key} that {managers} holds; take it out of what {managers} applies, \
                 or write conflictPolicy: Replace to have it replaced, and put back when this object lets go"
            ),
        ));
    }
    // What nobody holds, or only an earlier write of our own, is nobody's loss.
    let force = bound_by.is_some() || replaces || !overwritten.is_empty();
    let step = Step::BindServiceAccount {
        uid: sa.uid.clone(),
        force_at: force.then(|| sa.resource_version.clone()),
        binding,
    };
    if replaces {
        Judgement::OnceSynced(step)
    } else {
        Judgement::Early(step)
    }
}

/// What is to be written on a ServiceAccount.
fn binding(intent: &RoleIntent, name: &str, found: Option<&ServiceAccountState>) -> ServiceAccountBinding {
    let owner = &intent.owner;
    // What the token is made out to is `sts.amazonaws.com` where nothing is said; an annotation that says otherwise,
    // such as one from before the class's audience changed, is overwritten, since an apply can't be relied on to
    // take it away.
    let said = found.and_then(|sa| sa.annotation(AUDIENCE_ANNOTATION));
    let audience = intent.audience.as_deref().unwrap_or(DEFAULT_AUDIENCE);
    ServiceAccountBinding {
        name: name.to_owned(),
        role_arn: intent.arn().clone(),
        audience: (intent.audience.is_some() || said.is_some()).then(|| audience.to_owned()),
        bound_by: BoundBy {
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        },
        previous: found.map(|sa| previous(intent, sa)).unwrap_or_default(),
    }
}

/// What must be remembered of a ServiceAccount. A record that is there already is kept: an apply that leaves it out
/// would take it away. A value is recorded only where nobody's marker is beside it: under a marker it is what an
/// object wrote, and its role may be gone by the time that this one lets go.
fn previous(intent: &RoleIntent, sa: &ServiceAccountState) -> Previous {
    let recorded = |key: &str| sa.annotation(key).map(str::to_owned);
    let role_arn = recorded(PREVIOUS_ROLE_ARN_ANNOTATION);
    let audience = recorded(PREVIOUS_AUDIENCE_ANNOTATION);
    if sa.marker(BOUND_BY_ANNOTATION).is_some() {
        return Previous { role_arn, audience };
    }
    let arn = intent.arn().to_string();
    let found = sa.role_arn();
    let is_ours = found == Some(arn.as_str());
    Previous {
        role_arn: match found {
            // The marker was taken off beside it, or the ARN was written by hand: ours since it was written.
            Some(_) if is_ours && !intent.arn_predates_us => role_arn,
            Some(_) if is_ours => role_arn.or(Some(arn)),
            // Whatever was recorded before, this is what pods use now.
            Some(other) => Some(other.to_owned()),
            None => role_arn,
        },
        audience: match recorded(AUDIENCE_ANNOTATION) {
            Some(found) if !is_ours => Some(found),
            _ => audience,
        },
    }
}

/// The annotations of nobody's ServiceAccount that get another value, and the other managers that hold them.
fn overwritten<'a>(
    sa: &'a ServiceAccountState,
    binding: &ServiceAccountBinding,
) -> Vec<(&'a str, &'a BTreeSet<String>)> {
    let wanted = binding.annotations();
    let unmarked = sa.marker(BOUND_BY_ANNOTATION).is_none();
    sa.holders
        .iter()
        .filter(|(key, _)| {
            unmarked && wanted.contains_key(*key) && sa.annotations.get(*key) != wanted.get(*key)
        })
        .map(|(key, managers)| (key.as_str(), managers))
        .collect()
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
        .filter(|rival| !rival.observes && rival.waits_for(service_account))
        .filter(|rival| (rival.created.as_str(), rival.uid.as_str()) < (around.created, owner.uid.as_str()))
        .min_by(|a, b| (&a.created, &a.uid).cmp(&(&b.created, &b.uid)))
}
