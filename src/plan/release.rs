//! Which ServiceAccounts to let go, and what they look like afterwards: what the operator wrote is taken away, what
//! was there before it is put back, and what somebody else wrote meanwhile stays.

use std::collections::BTreeMap;

use super::Owner;
use super::binding::{Rival, ServiceAccountState, Surroundings};
use super::planner::Notice;
use super::resolve::ServiceAccountIntent;
use super::step::Step;
use crate::api::condition::events;
use crate::api::{
    AUDIENCE_ANNOTATION, BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION, FIELD_MANAGER,
    PREVIOUS_AUDIENCE_ANNOTATION, PREVIOUS_ROLE_ARN_ANNOTATION, ROLE_ARN_ANNOTATION,
};
use crate::iam::arn::RoleArn;

/// What becomes of the role's own ARN on ServiceAccounts that are let go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OwnArn {
    /// It goes, as with a role that is deleted.
    Goes,
    /// It stays where it was before the object bound the ServiceAccount, as with a role that is given back.
    StaysWhereItWas,
    /// It stays everywhere, as with a role that is retained: pods go on working.
    Stays,
    /// It isn't known yet whether the role goes or is given back: a ServiceAccount whose ARN was there before waits.
    Undecided,
}

impl OwnArn {
    /// The same, once it is known that the role isn't this object's to delete, or was deleted by somebody else: what a
    /// ServiceAccount carried before the object stays.
    pub fn of_anothers_role(self) -> Self {
        match self {
            OwnArn::Undecided => OwnArn::StaysWhereItWas,
            own => own,
        }
    }
}

/// Steps that let go of every ServiceAccount that this object bound, `kept` ones aside. What was recorded as the former ARN is
/// put back only while the ServiceAccount still carries ours, and only if it is a role's ARN: the record stands where
/// others can write too, and an annotation gives nobody a permission that the role's trust policy doesn't.
pub fn release(
    owner: &Owner,
    arn: Option<&RoleArn>,
    kept: &[ServiceAccountIntent],
    around: Surroundings<'_>,
    own: OwnArn,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for sa in bound_here(owner, kept, around).filter(|sa| !waits(sa, arn, own)) {
        let takes_arn = points_at(sa, arn) && own != OwnArn::Stays;
        let mut change = Change::of(sa);
        for marker in MARKERS {
            change.take(marker);
        }
        if takes_arn {
            let former = previous_role_arn(sa).filter(|_| own == OwnArn::StaysWhereItWas || !is_circular(sa));
            change.put_back(ROLE_ARN_ANNOTATION, former);
            change.put_back(AUDIENCE_ANNOTATION, sa.annotation(PREVIOUS_AUDIENCE_ANNOTATION));
        }
        if takes_arn && is_created_by(owner, sa) && heir(sa, around).is_none() {
            steps.push(change.delete());
        } else {
            steps.extend(change.unbind());
        }
    }
    steps
}

/// What people should hear about the ServiceAccounts that [`release`] lets go: a record that is no role's ARN, and one
/// that was created and isn't deleted.
pub fn release_notices(
    owner: &Owner,
    arn: Option<&RoleArn>,
    kept: &[ServiceAccountIntent],
    around: Surroundings<'_>,
    own: OwnArn,
) -> Vec<Notice> {
    let mut notices = Vec::new();
    let cleared = |sa: &&ServiceAccountState| own != OwnArn::Stays && points_at(sa, arn);
    for sa in bound_here(owner, kept, around).filter(cleared) {
        let name = &sa.name;
        if sa.annotation(PREVIOUS_ROLE_ARN_ANNOTATION).is_some() && previous_role_arn(sa).is_none() {
            notices.push(Notice {
                reason: events::PREVIOUS_ROLE_ARN_DROPPED,
                message: format!(
                    "ServiceAccount {name:?} is left without {ROLE_ARN_ANNOTATION}: what its annotation \
                     {PREVIOUS_ROLE_ARN_ANNOTATION} said is no role's ARN and isn't put back; annotate the ServiceAccount \
                     yourself if its pods need another role"
                ),
                warning: true,
            });
        }
        let handed_over = is_created_by(owner, sa) && !waits(sa, arn, own);
        if let Some(heir) = heir(sa, around).filter(|_| handed_over) {
            notices.push(Notice {
                reason: events::SERVICE_ACCOUNT_KEPT,
                message: format!(
                    "ServiceAccount {name:?} was created by the operator but stays, since MlServiceRole {:?} lists it too; \
                     from now on it is yours, and the operator deletes it no more",
                    heir.name
                ),
                warning: false,
            });
        }
    }
    notices
}

/// Steps that take the ARN of a role that is about to be deleted off ServiceAccounts that nobody has marked: no pod
/// may start with a role that isn't there. Nor may it be put back later, by whichever object found it on a
/// ServiceAccount. Only where the role is known to be this object's; a foreign role's ARN is not ours to take away.
pub fn unpoint(arn: &RoleArn, around: Surroundings<'_>) -> Vec<Step> {
    let text = arn.to_string();
    let mut steps = Vec::new();
    for sa in around.service_accounts.iter().filter(|sa| !sa.deleting) {
        let mut change = Change::of(sa);
        let former = previous_role_arn(sa).filter(|former| *former != text);
        if sa.marker(BOUND_BY_ANNOTATION).is_none() && points_at(sa, Some(arn)) {
            change.put_back(ROLE_ARN_ANNOTATION, former);
            change.take(PREVIOUS_ROLE_ARN_ANNOTATION);
        } else if sa.annotation(PREVIOUS_ROLE_ARN_ANNOTATION) == Some(text.as_str()) {
            change.take(PREVIOUS_ROLE_ARN_ANNOTATION);
        }
        steps.extend(change.unbind());
    }
    steps
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

/// What the operator writes beside the annotations that pods need.
const MARKERS: [&str; 4] = [
    BOUND_BY_ANNOTATION,
    CREATED_BY_ANNOTATION,
    PREVIOUS_ROLE_ARN_ANNOTATION,
    PREVIOUS_AUDIENCE_ANNOTATION,
];

/// The ServiceAccounts that this object bound, `kept` ones and those that go by themselves aside.
fn bound_here<'a>(
    owner: &'a Owner,
    kept: &'a [ServiceAccountIntent],
    around: Surroundings<'a>,
) -> impl Iterator<Item = &'a ServiceAccountState> {
    around
        .service_accounts
        .iter()
        .filter(|sa| !sa.deleting)
        .filter(|sa| !kept.iter().any(|intent| intent.name == sa.name))
        .filter(move |sa| {
            sa.marker(BOUND_BY_ANNOTATION).is_some_and(|by| {
                let lives = around.rivals.iter().any(|rival| rival.uid == by.uid);
                by.name == owner.name && (by.uid == owner.uid || !lives)
            })
        })
}

/// Whether this very object had the ServiceAccount created.
fn is_created_by(owner: &Owner, sa: &ServiceAccountState) -> bool {
    sa.marker(CREATED_BY_ANNOTATION)
        .is_some_and(|by| by.name == owner.name && by.uid == owner.uid)
}

/// Another object that lists the ServiceAccount. Created anew it would have another uid, and the tokens of pods that
/// run would belong to one that is gone. It carries no mark of its creation any more, so that it is never deleted.
fn heir<'a>(sa: &ServiceAccountState, around: Surroundings<'a>) -> Option<&'a Rival> {
    around.rivals.iter().find(|rival| rival.waits_for(&sa.name))
}

/// Whether it can't be said yet what becomes of the ARN on it.
fn waits(sa: &ServiceAccountState, arn: Option<&RoleArn>, own: OwnArn) -> bool {
    own == OwnArn::Undecided && points_at(sa, arn) && is_circular(sa)
}

fn points_at(sa: &ServiceAccountState, arn: Option<&RoleArn>) -> bool {
    arn.is_some_and(|arn| sa.annotation(ROLE_ARN_ANNOTATION) == Some(arn.to_string().as_str()))
}

/// Whether the ARN is recorded as its own predecessor.
fn is_circular(sa: &ServiceAccountState) -> bool {
    sa.annotation(PREVIOUS_ROLE_ARN_ANNOTATION) == sa.annotation(ROLE_ARN_ANNOTATION)
}

/// The recorded ARN, if it is one.
fn previous_role_arn(sa: &ServiceAccountState) -> Option<&str> {
    sa.annotation(PREVIOUS_ROLE_ARN_ANNOTATION)
        .filter(|text| text.parse::<RoleArn>().is_ok())
}

/// What is changed on a ServiceAccount, each annotation only while it has the value that was seen.
struct Change<'a> {
    sa: &'a ServiceAccountState,
    annotations: BTreeMap<String, String>,
    restored: BTreeMap<String, String>,
}

impl<'a> Change<'a> {
    fn of(sa: &'a ServiceAccountState) -> Self {
        Change {
            sa,
            annotations: BTreeMap::new(),
            restored: BTreeMap::new(),
        }
    }

    fn take(&mut self, key: &str) {
        if let Some(value) = self.sa.annotation(key) {
            self.annotations.insert(key.to_owned(), value.to_owned());
        }
    }

    /// Takes an annotation away, or sets it to what it was before.
    fn put_back(&mut self, key: &str, former: Option<&str>) {
        self.take(key);
        if let Some(former) = former.filter(|_| self.annotations.contains_key(key)) {
            self.restored.insert(key.to_owned(), former.to_owned());
        }
    }

    fn unbind(self) -> Option<Step> {
        (!self.annotations.is_empty()).then(|| Step::UnbindServiceAccount {
            name: self.sa.name.clone(),
            uid: self.sa.uid.clone(),
            annotations: self.annotations,
            restored: self.restored,
        })
    }

    fn delete(self) -> Step {
        Step::DeleteServiceAccount {
            name: self.sa.name.clone(),
            uid: self.sa.uid.clone(),
            annotations: self.annotations,
            restored: self.restored,
        }
    }
}
