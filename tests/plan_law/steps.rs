//! What a single step of ours may do, told from the state before it and the state after it. Written without the
//! crate's own rules of ownership.

use std::collections::{BTreeMap, BTreeSet};

use mlservicerole_operator::api::role::ConflictPolicy;
use mlservicerole_operator::api::{
    BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION, PREVIOUS_ROLE_ARN_ANNOTATION, ROLE_ARN_ANNOTATION,
};
use mlservicerole_operator::iam::tags;
use mlservicerole_operator::plan::FormerState;

use crate::desired::{CLUSTER_UID, FORMER_CLUSTER_UID, NAME, NAMESPACE, NAMESPACE_UID};
use crate::invariants::{gained, holds_only_wanted};
use crate::support::fake_cluster::FakeServiceAccount;
use crate::support::fake_iam::FakeRole;
use crate::takeover::{
    Records, changes_only_marks, claim, ended_as_it_was, former, holds_exactly, holds_former, is_adopted,
    is_nobodys, marks_stay, may_claim,
};
use crate::trusted::subjects;
use crate::world::World;

/// How things stand.
pub struct Moment {
    roles: BTreeMap<String, FakeRole>,
    accounts: BTreeMap<String, FakeServiceAccount>,
    /// How often the role's content had been read when others last changed it.
    reads_at_change: usize,
    /// The same of its header.
    looks_at_change: usize,
    /// How often the content had been read when we last changed it.
    reads_at_own_write: usize,
    /// How often both have been read by now.
    reads: usize,
    looks: usize,
    /// Records of what roles were, also those that others have taken away.
    records: Records,
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
        && !is_nobodys(role)
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
            looks_at_change: usize::MAX,
            reads_at_own_write: 0,
            reads: content_reads(world),
            looks: world.iam.count("GetRole"),
            records: world.cluster.former_states(),
        }
    }

    /// The moment after a step of ours.
    pub fn after(mut self, before: &Moment) -> Self {
        self.remember(before);
        let changed = self.roles.iter().any(|(name, role)| {
            let earlier = before.roles.get(name);
            earlier.is_none_or(|earlier| earlier.attached != role.attached || earlier.inline != role.inline)
        });
        Moment {
            reads_at_own_write: if changed {
                before.reads
            } else {
                before.reads_at_own_write
            },
            reads_at_change: before.reads_at_change,
            looks_at_change: before.looks_at_change,
            ..self
        }
    }

    /// How things stand once others have acted, or not.
    pub fn after_others(world: &World<'_>, before: &Moment) -> Self {
        let mut now = Moment::of(world);
        now.remember(before);
        let (reads_at_change, looks_at_change) = if now.roles == before.roles {
            (before.reads_at_change, before.looks_at_change)
        } else {
            (now.reads, now.looks)
        };
        Moment {
            reads_at_change,
            looks_at_change,
            reads_at_own_write: before.reads_at_own_write,
            ..now
        }
    }

    fn remember(&mut self, before: &Moment) {
        for (name, record) in &before.records {
            self.records.entry(name.clone()).or_insert_with(|| record.clone());
        }
    }

    /// Whether we had looked at the role's content since others last changed something.
    fn is_seen(&self) -> bool {
        self.reads > self.reads_at_change || self.reads_at_change == usize::MAX
    }

    /// Whether we had looked at the role at all.
    fn is_looked_at(&self) -> bool {
        self.looks > self.looks_at_change || self.looks_at_change == usize::MAX
    }

    /// The role of the object's name.
    pub fn role_of<'m>(&'m self, world: &World<'_>) -> Option<&'m FakeRole> {
        self.roles.get(world.case.arn().name().as_str())
    }

    /// What this role was before it was taken over, where it is given back.
    pub fn former<'m>(&'m self, world: &World<'_>, role: &FakeRole) -> Option<&'m FormerState> {
        former(world, role, &self.records)
    }

    /// That nothing but the time is another.
    pub fn is_same(&self, now: &Moment) -> bool {
        self.roles == now.roles && self.accounts == now.accounts
    }

    /// What of the step that led from here to `now` is against the rules.
    pub fn violations(&self, now: &Moment, world: &World<'_>) -> Vec<String> {
        let mut found = Vec::new();
        let ours = world.case.arn().name().as_str();
        for (name, before) in &self.roles {
            let after = now.roles.get(name);
            let own = name == ours && is_own(world, before);
            // IAM knows no conditional writes: what others have done to the role since our last look can't stop a write
            // that the operator's policy lets through.
            if name == ours && !own && !self.is_looked_at() {
                continue;
            }
            if name == ours && may_claim(world, before) {
                match after {
                    Some(after) => {
                        let mut records = now.records.clone();
                        records.extend(self.records.clone());
                        claim(before, after, &records, self.is_seen(), &mut found);
                        if !changes_only_marks(before, after) {
                            found.push("a role was changed before it was marked".to_owned());
                        }
                    }
                    None => found.push(format!("role {name}, which was nobody's, was deleted")),
                }
                continue;
            }
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
                Some(after) => {
                    account(name, before, after, world, &mut found);
                    self.binding(name, after, now, world, &mut found);
                }
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

    /// A role that was there before the object is in sync when a ServiceAccount gets its ARN.
    fn binding(
        &self,
        name: &str,
        after: &FakeServiceAccount,
        now: &Moment,
        world: &World<'_>,
        found: &mut Vec<String>,
    ) {
        let arn = world.case.arn().to_string();
        let is_bound = |account: &FakeServiceAccount| {
            is_marked(account) && account.annotation(ROLE_ARN_ANNOTATION) == Some(&arn)
        };
        let was_bound = self.accounts.get(name).is_some_and(is_bound);
        let Some(role) = now.role_of(world).filter(|role| is_adopted(role)) else {
            return;
        };
        let intent = &world.case.desired.intent;
        let wanted = subjects(&intent.trust.document().to_json());
        let in_sync = holds_exactly(role, intent) && subjects(&role.trust) == wanted;
        if is_bound(after) && !was_bound && self.is_seen() && !in_sync {
            found.push(format!(
                "ServiceAccount {name} was bound before the role that is taken over was in sync"
            ));
        }
    }

    fn role(&self, before: &FakeRole, after: &FakeRole, world: &World<'_>, found: &mut Vec<String>) {
        let intent = &world.case.desired.intent;
        if before.permissions_boundary.is_some() && after.permissions_boundary.is_none() {
            found.push("the boundary was removed".to_owned());
        }
        if !marks_stay(before, after) {
            found.push("a tag that says whose the role is was taken off".to_owned());
        }
        let leaves = world.case.desired.departure.is_some();
        if !leaves && before.instance_profiles != after.instance_profiles {
            found.push("the role was taken out of an instance profile".to_owned());
        }
        let former = self.former(world, before);
        // A record that others have taken away may not have been read before.
        let is_kept = former.is_some_and(|former| world.cluster.former_states().contains_key(&former.name()));
        if is_kept
            && self.is_seen()
            && is_nobodys(after)
            && let Err(wrong) = ended_as_it_was(before, former, after)
        {
            found.push(wrong);
        }
        // A role that is given back, and whose record others have just taken off it.
        let may_be_former = leaves && former.is_none() && !self.is_seen();
        let is_wanted = match former {
            Some(former) => new_policies_were_there(before, after, former),
            None => new_policies_are_wanted(before, after, world),
        };
        if gained(before, after) && !is_wanted && !may_be_former {
            found.push("a policy that nobody wants was added".to_owned());
        }
        // What others added since our last look at the policies can't be known.
        let seen = self.is_seen();
        let (trusted, newly) = (subjects(&before.trust), subjects(&after.trust));
        let newcomers: BTreeSet<_> = newly.difference(&trusted).collect();
        let holds_what_it_should = match former {
            Some(former) => holds_former(former, after),
            None if is_adopted(before) => holds_exactly(after, intent),
            None => holds_only_wanted(after, intent),
        };
        if !newcomers.is_empty() && seen && !holds_what_it_should {
            found.push(format!(
                "newly trusted {newcomers:?} beside policies that nobody wants them to have"
            ));
        }
        let is_read = self.reads > self.reads_at_own_write;
        if !newcomers.is_empty() && is_adopted(before) && former.is_none() && !leaves && seen && !is_read {
            found.push("somebody new gets in before what was written was read".to_owned());
        }
        let wanted = match former {
            Some(former) => subjects(&former.trust_policy),
            None => subjects(&intent.trust.document().to_json()),
        };
        let strange: Vec<_> = newcomers
            .iter()
            .filter(|subject| !wanted.contains(**subject))
            .collect();
        if !strange.is_empty() && !may_be_former {
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

fn new_policies_were_there(before: &FakeRole, after: &FakeRole, former: &FormerState) -> bool {
    let mut attached = after.attached.difference(&before.attached);
    let mut inline = after
        .inline
        .iter()
        .filter(|(name, text)| before.inline.get(*name) != Some(*text));
    attached.all(|arn| former.attached_policies.contains(arn))
        && inline.all(|(name, text)| former.inline_policies.get(name) == Some(text))
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
