//! What a single step of ours may do, told from the state before it and the state after it. Written without the
//! crate's own rules of ownership.

use std::collections::{BTreeMap, BTreeSet};

use mlservicerole_operator::api::role::ConflictPolicy;
use mlservicerole_operator::api::{
    BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION, PREVIOUS_ROLE_ARN_ANNOTATION, ROLE_ARN_ANNOTATION,
};
use mlservicerole_operator::iam::tags;

use crate::desired::{CLUSTER_UID, FORMER_CLUSTER_UID, NAME, NAMESPACE, NAMESPACE_UID};
use crate::invariants::{gained, holds_only_wanted};
use crate::support::fake_cluster::FakeServiceAccount;
use crate::support::fake_iam::FakeRole;
use crate::trusted::subjects;
use crate::world::World;

/// How things stand.
pub struct Moment {
    roles: BTreeMap<String, FakeRole>,
    accounts: BTreeMap<String, FakeServiceAccount>,
    /// How often the role's content had been read when others last changed it.
    reads_at_change: usize,
}

/// Whether a role belongs to the object, by its tags and its ARN.
pub fn is_own(world: &World<'_>, role: &FakeRole) -> bool {
    let tag = |key: &str| role.tags.get(key).map(String::as_str);
    let of_cluster = match tag(tags::CLUSTER_UID) {
        Some(CLUSTER_UID) => tag(tags::NAMESPACE_UID) == Some(NAMESPACE_UID),
        Some(FORMER_CLUSTER_UID) => tag(tags::CLUSTER) == Some("prod"),
        _ => false,
    };
    of_cluster
        && role.arn == *world.case.arn()
        && tag(tags::NAMESPACE) == Some(NAMESPACE)
        && tag(tags::NAME) == Some(NAME)
        && tag(tags::RETAINED).is_none()
}

fn content_reads(world: &World<'_>) -> usize {
    world.iam.count("ListAttachedRolePolicies")
}

impl Moment {
    pub fn of(world: &World<'_>) -> Self {
        Moment {
            roles: world.iam.snapshot(),
            accounts: world.cluster.service_accounts(),
            reads_at_change: usize::MAX,
        }
    }

    /// The moment after a step of ours.
    pub fn after(self, before: &Moment) -> Self {
        Moment {
            reads_at_change: before.reads_at_change,
            ..self
        }
    }

    /// How things stand once others have acted, or not.
    pub fn after_others(world: &World<'_>, before: &Moment) -> Self {
        let now = Moment::of(world);
        let reads_at_change = if now.roles == before.roles {
            before.reads_at_change
        } else {
            content_reads(world)
        };
        Moment {
            reads_at_change,
            ..now
        }
    }

    /// What of the step that led from here to `now` is against the rules.
    pub fn violations(&self, now: &Moment, world: &World<'_>) -> Vec<String> {
        let mut found = Vec::new();
        let ours = world.case.arn().name().as_str();
        for (name, before) in &self.roles {
            let after = now.roles.get(name);
            let own = name == ours && is_own(world, before);
            if !own && after != Some(before) {
                found.push(format!("role {name}, which isn't ours, was changed"));
            }
            if let Some(after) = after.filter(|_| own) {
                self.role(before, after, world, &mut found);
            }
        }
        for name in now.roles.keys().filter(|name| !self.roles.contains_key(*name)) {
            if name != ours || world.case.desired.departure.is_some() {
                found.push(format!("role {name} was created"));
            }
        }
        let role_went = self.roles.contains_key(ours) && !now.roles.contains_key(ours);
        let arn = world.case.arn().to_string();
        for (name, before) in &self.accounts {
            match now.accounts.get(name) {
                Some(after) => account(name, before, after, world, &mut found),
                None if before.annotation(CREATED_BY_ANNOTATION).is_none() => {
                    found.push(format!(
                        "ServiceAccount {name}, which we didn't create, was deleted"
                    ));
                }
                None => {}
            }
        }
        if role_went {
            let pointing = now.accounts.iter().filter(|(_, account)| {
                !account.deleting
                    && is_marked(account)
                    && account.annotation(ROLE_ARN_ANNOTATION) == Some(&arn)
            });
            found.extend(
                pointing.map(|(name, _)| format!("ServiceAccount {name} points at a role that we deleted")),
            );
        }
        found
    }

    fn role(&self, before: &FakeRole, after: &FakeRole, world: &World<'_>, found: &mut Vec<String>) {
        let intent = &world.case.desired.intent;
        if before.permissions_boundary.is_some() && after.permissions_boundary.is_none() {
            found.push("the boundary was removed".to_owned());
        }
        if gained(before, after) && !new_policies_are_wanted(before, after, world) {
            found.push("a policy that nobody wants was added".to_owned());
        }
        // What others added since our last look at the policies can't be known.
        let seen = content_reads(world) > self.reads_at_change || self.reads_at_change == usize::MAX;
        let (trusted, newly) = (subjects(&before.trust), subjects(&after.trust));
        let newcomers: BTreeSet<_> = newly.difference(&trusted).collect();
        if !newcomers.is_empty() && seen && !holds_only_wanted(after, intent) {
            found.push(format!(
                "newly trusted {newcomers:?} beside policies that nobody wants them to have"
            ));
        }
        let wanted = subjects(&intent.trust.document().to_json());
        let strange: Vec<_> = newcomers
            .iter()
            .filter(|subject| !wanted.contains(**subject))
            .collect();
        if !strange.is_empty() {
            found.push(format!("{strange:?} were never wanted"));
        }
    }
}

fn new_policies_are_wanted(before: &FakeRole, after: &FakeRole, world: &World<'_>) -> bool {
    let intent = &world.case.desired.intent;
    let mut added = after.clone();
    added.permissions_boundary = intent.permissions_boundary.as_ref().map(ToString::to_string);
    added.attached.retain(|arn| !before.attached.contains(arn));
    added
        .inline
        .retain(|name, document| before.inline.get(name) != Some(document));
    holds_only_wanted(&added, intent)
}

fn is_marked(account: &FakeServiceAccount) -> bool {
    let by = account.annotation(BOUND_BY_ANNOTATION);
    by.is_some_and(|by| by.split('/').next() == Some(NAME))
}

fn account(
    name: &str,
    before: &FakeServiceAccount,
    after: &FakeServiceAccount,
    world: &World<'_>,
    found: &mut Vec<String>,
) {
    if before.uid != after.uid {
        found.push(format!("ServiceAccount {name} was replaced"));
    }
    if before.annotation("team") != after.annotation("team") {
        found.push(format!(
            "an annotation of others on ServiceAccount {name} was changed"
        ));
    }
    let arn = world.case.arn().to_string();
    let value = before.annotation(ROLE_ARN_ANNOTATION);
    let theirs = value.is_some_and(|value| value != arn && !value.is_empty()) && !is_marked(before);
    if !theirs && !before.deleting || before.annotations == after.annotations {
        return;
    }
    let replaced = !before.deleting
        && replaces(world, name)
        && after.annotation(ROLE_ARN_ANNOTATION) == Some(&arn)
        && is_marked(after);
    // Under another's marker stands what an object wrote, and nobody's former ARN.
    let remembered = before.annotation(BOUND_BY_ANNOTATION).is_some()
        || after.annotation(PREVIOUS_ROLE_ARN_ANNOTATION) == value;
    let only_a_record_of_ours_went = {
        let mut without = before.clone();
        without.annotations.remove(PREVIOUS_ROLE_ARN_ANNOTATION);
        before.annotation(PREVIOUS_ROLE_ARN_ANNOTATION) == Some(&arn)
            && without.annotations == after.annotations
    };
    let in_order = replaced && remembered;
    if !in_order && !only_a_record_of_ours_went {
        found.push(format!("ServiceAccount {name}, which isn't ours, was changed"));
    }
}

/// Whether the object may replace an ARN on this ServiceAccount.
fn replaces(world: &World<'_>, name: &str) -> bool {
    let mut wanted = world.case.desired.intent.service_accounts.iter();
    wanted.any(|intent| intent.name == name && intent.conflict_policy == ConflictPolicy::Replace)
}
