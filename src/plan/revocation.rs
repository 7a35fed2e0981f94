//! What is taken from a role whose object is refused, under a class that says `onViolation: Revoke`: whatever the role
//! has and the class doesn't allow. It starts from what is on the role and not from what the object asks for, so that no
//! mistake in an object is a way to keep what its class has given up. A role that is only cut back gets nothing new.

use std::collections::{BTreeMap, BTreeSet};

use super::adoption::is_adopted;
use super::give_back::{Past, past};
use super::planner::{Depth, Next, Notice, Plan, boundary, confirm, not_yet_readable, once_read};
use super::release::{OwnArn, release};
use super::{
    Account, Clock, ClusterIdentity, NamespaceState, Owner, Ownership, Placement, Resolution, RoleKnowledge,
    RoleState, ServiceAccountIntent, Step, Surroundings, judge_ownership, presets,
};
use crate::access::{POLICY_NAME, VERSIONS_TAG};
use crate::api::MlServiceRoleSpec;
use crate::api::condition::{events, reasons};
use crate::api::role::{
    AdoptionPolicy, ConflictPolicy, CreationPolicy, InlinePolicy, RoleProperties, ServiceAccountReference,
};
use crate::guard::{ClassRules, Item, Refusal, Request, violations};
use crate::iam::arn::Issuer;
use crate::iam::document::{PolicyDocument, decode};
use crate::iam::equivalence::equivalent_text;
use crate::iam::quota;
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::tags;
use crate::iam::trust::{TrustPolicy, named_in, trusted_by_both};

/// Steps that an Event names one by one.
const NAMED: usize = 10;

/// All that says what may stay on the role of a refused object.
#[derive(Clone, Debug)]
pub struct Withdrawal {
    /// Where the role is.
    pub placement: Placement,
    owner: Owner,
    spec: MlServiceRoleSpec,
    namespace: NamespaceState,
    class: ClassRules,
    issuers: BTreeSet<Issuer>,
    account: Account,
    cluster: ClusterIdentity,
}

impl Withdrawal {
    /// None for an object that was never placed, and so has no role.
    pub fn of(from: Resolution<'_>) -> Option<Self> {
        let owner = Owner {
            cluster: from.cluster.name.clone(),
            cluster_uid: from.cluster.uid.clone(),
            namespace: from.namespace.name.clone(),
            namespace_uid: from.namespace.uid.clone(),
            name: from.name.to_owned(),
            uid: from.uid.to_owned(),
        };
        Some(Self {
            placement: from.placement?.clone(),
            owner,
            spec: from.spec.clone(),
            namespace: from.namespace.clone(),
            class: from.class.clone(),
            issuers: from.issuers.clone(),
            account: from.account.clone(),
            cluster: from.cluster.clone(),
        })
    }

    /// What the role has, as an object would ask for it. Of the presets only the object itself says what they are.
    fn as_asked(&self, header: &RoleHeader, held: &RoleContent, adopted: bool) -> MlServiceRoleSpec {
        let (service_accounts, trusted_services) = named_in(&header.trust, &self.namespace.name);
        let reference = |name: String| ServiceAccountReference {
            name,
            ..ServiceAccountReference::default()
        };
        let own_inline = held.inline.iter().filter(|(name, _)| *name != POLICY_NAME);
        let own_tag = |key: &str| {
            !tags::is_reserved(key) && !self.class.tags.keys().any(|theirs| tags::same_key(theirs, key))
        };
        MlServiceRoleSpec {
            service_accounts: Some(service_accounts.into_iter().map(reference).collect()),
            access: self.spec.access.clone(),
            managed_policy_arns: held.attached.iter().map(ToString::to_string).collect(),
            // What can't be read is no policy that a class could allow.
            inline_policies: own_inline
                .map(|(name, text)| InlinePolicy {
                    name: name.clone(),
                    document: serde_json::from_str(&decode(text)).unwrap_or_default(),
                })
                .collect(),
            role: Some(RoleProperties {
                name: self.spec.role.as_ref().and_then(|role| role.name.clone()),
                max_session_duration_seconds: i32::try_from(header.max_session_duration_seconds).ok(),
                tags: header
                    .tags
                    .iter()
                    .filter(|(key, _)| own_tag(key))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
                trusted_services: trusted_services.into_iter().collect(),
                ..RoleProperties::default()
            }),
            adoption_policy: adopted.then_some(AdoptionPolicy::Adopt),
            ..MlServiceRoleSpec::default()
        }
    }

    fn not_allowed(&self, asked: &MlServiceRoleSpec) -> BTreeSet<Item> {
        let request = Request {
            cluster: &self.cluster.name,
            account: Some((&self.account.partition, &self.account.id)),
            namespace: &self.namespace.name,
            namespace_labels: &self.namespace.labels,
            name: &self.owner.name,
            spec: asked,
        };
        let found = violations(&self.class, request).into_iter();
        found.map(|(item, _)| item).collect()
    }

    /// The trust policy, where somebody is to be let in no longer.
    fn trust(
        &self,
        header: &RoleHeader,
        service_accounts: BTreeSet<String>,
        trusted_services: BTreeSet<String>,
    ) -> Vec<Step> {
        let allowed = TrustPolicy {
            partition: self.account.partition.clone(),
            account: self.account.id.clone(),
            issuers: self.issuers.clone(),
            audience: self.class.audience.clone(),
            namespace: self.namespace.name.clone(),
            service_accounts,
            trusted_services,
        };
        let left = trusted_by_both(&allowed.document().to_json(), &header.trust);
        match equivalent_text(&left, &header.trust) {
            true => vec![],
            false => vec![Step::UpdateTrust {
                document: left.to_json(),
            }],
        }
    }

    /// What becomes of the policy of the presets: it holds what those come to that the object asks for and the class
    /// allows, or goes.
    fn presets(
        &self,
        header: &RoleHeader,
        held: &RoleContent,
        gone: &BTreeSet<Item>,
        room: usize,
    ) -> Vec<Step> {
        let Some(found) = held.inline.get(POLICY_NAME) else {
            return vec![];
        };
        let mut spec = MlServiceRoleSpec {
            access: self.spec.access.clone(),
            ..MlServiceRoleSpec::default()
        };
        let mut index = 0;
        spec.access.retain(|_| {
            index += 1;
            !gone.contains(&Item::Preset(index - 1))
        });
        let kept_all = spec.access.len() == self.spec.access.len();
        let expanded = presets::expand(&spec, &self.placement.role_arn, &self.account, &self.cluster);
        let left = match &expanded {
            Ok(expanded) => expanded.policy.as_ref().map(|(_, document)| document),
            // No mistake of the object's: the operator was started without a region.
            Err(why) if why.reason == reasons::REGION_UNKNOWN && kept_all => return vec![],
            Err(_) => None,
        };
        let fits = |document: &PolicyDocument| quota::size(&document.to_json()) <= room;
        match left.filter(|document| fits(document)) {
            Some(document) if equivalent_text(document, found) => vec![],
            Some(document) => {
                let put = Step::PutInline {
                    name: POLICY_NAME.to_owned(),
                    document: document.to_json(),
                };
                let tag = expanded.ok().and_then(|expanded| expanded.tag);
                let tag = tag.filter(|(key, value)| tags::get(&header.tags, key) != Some(value));
                let tagged = tag.map(|tag| Step::Tag(BTreeMap::from([tag])));
                std::iter::once(put).chain(tagged).collect()
            }
            None => {
                let noted = tags::get(&header.tags, VERSIONS_TAG)
                    .map(|_| Step::Untag(BTreeSet::from([VERSIONS_TAG.to_owned()])));
                let deleted = Step::DeleteInline(POLICY_NAME.to_owned());
                std::iter::once(deleted).chain(noted).collect()
            }
        }
    }

    /// The ServiceAccount `default`, where the object bound it and the class doesn't let it any more.
    fn default_service_account(&self, adopted: bool, around: Surroundings<'_>) -> Vec<Step> {
        if self.class.default_service_account {
            return vec![];
        }
        let others = around.service_accounts.iter().filter(|sa| sa.name != "default");
        let kept: Vec<ServiceAccountIntent> = others
            .map(|sa| ServiceAccountIntent {
                name: sa.name.clone(),
                creation_policy: CreationPolicy::Never,
                conflict_policy: ConflictPolicy::Refuse,
            })
            .collect();
        let own = match adopted {
            true => OwnArn::StaysWhereItWas,
            false => OwnArn::Goes,
        };
        release(&self.owner, Some(&self.placement.role_arn), &kept, around, own)
    }

    /// The steps that leave what the class allows of a role: `gone` is what it doesn't allow of `asked`.
    fn steps(
        &self,
        header: &RoleHeader,
        held: &RoleContent,
        adopted: bool,
        asked: MlServiceRoleSpec,
        gone: &BTreeSet<Item>,
        around: Surroundings<'_>,
    ) -> Plan {
        // Of a namespace that isn't served, or of a name that isn't allowed, nothing is.
        let closed = gone.contains(&Item::Namespace)
            || gone.contains(&Item::RoleName)
            || (gone.contains(&Item::Adoption) && !adopted);
        let goes = |item: Item| closed || gone.contains(&item);
        let role = asked.role.unwrap_or_default();
        let named = asked.service_accounts.unwrap_or_default().into_iter();
        let service_accounts = named
            .map(|reference| reference.name)
            .filter(|name| !closed && (name != "default" || !goes(Item::DefaultServiceAccount)));
        let services = role.trusted_services.into_iter();
        let services = services.filter(|service| !goes(Item::TrustedService(service.clone())));

        let mut plan = Plan::default();
        plan.stage(boundary(self.class.permissions_boundary.as_ref(), header));
        plan.stage(self.trust(header, service_accounts.collect(), services.collect()));
        let mut taken = Vec::new();
        let keys: BTreeSet<String> = role
            .tags
            .into_keys()
            .filter(|key| goes(Item::TagKey(key.clone())))
            .collect();
        if !keys.is_empty() {
            taken.push(Step::Untag(keys));
        }
        if header.max_session_duration_seconds > self.class.max_session_duration_seconds {
            taken.push(Step::UpdateRole {
                description: header.description.clone(),
                max_session_duration_seconds: self.class.max_session_duration_seconds,
            });
        }
        let detached = held.attached.iter();
        taken.extend(
            detached
                .filter(|arn| goes(Item::ManagedPolicy(arn.to_string())))
                .cloned()
                .map(Step::Detach),
        );
        let (deleted, kept): (Vec<_>, Vec<_>) = held
            .inline
            .iter()
            .partition(|(name, _)| closed || gone.contains(&Item::InlinePolicy((*name).clone())));
        taken.extend(
            deleted
                .into_iter()
                .map(|(name, _)| Step::DeleteInline(name.clone())),
        );
        plan.stage(taken);
        if !closed {
            let others = kept.into_iter().filter(|(name, _)| *name != POLICY_NAME);
            let used: usize = others.map(|(_, text)| quota::size(text)).sum();
            let room = self.account.quotas.inline_policies_size.saturating_sub(used);
            plan.stage(self.presets(header, held, gone, room));
            plan.stage(self.default_service_account(adopted, around));
        }
        plan
    }

    /// What keeps the role from being touched though it is this object's.
    fn obstacle(&self, header: &RoleHeader, adopted: bool, gone: &BTreeSet<Item>) -> Option<Refusal> {
        let name = self.placement.role_arn.name();
        let (class, cluster) = (&self.class.name, &self.cluster.name);
        // With `{cluster}` filled in as another name than the role was made under, nothing would seem to be allowed.
        if tags::get(&header.tags, tags::CLUSTER) != Some(cluster) {
            return Some(Refusal::new(
                reasons::PLACEMENT_CHANGED,
                format!(
                    "role {name} is left as it is, since it was made under another name of this cluster than {cluster:?}; \
                     start the operator with the former --cluster-name"
                ),
            ));
        }
        (adopted && gone.contains(&Item::Adoption)).then(|| {
            Refusal::new(
                reasons::ADOPTION_NOT_ALLOWED,
                format!(
                    "role {name} was there before this object, and class {class:?} doesn't let this object have it any \
                     more; it is left as it is: delete the object, or ask the platform admin to list the role in \
                     allow.adopt again"
                ),
            )
        })
    }
}

/// Plans for the role of an object that is refused. One that doesn't exist isn't created, and one that isn't this
/// object's is left alone.
pub fn plan_withdrawal(
    from: &Withdrawal,
    knowledge: &RoleKnowledge,
    around: Surroundings<'_>,
    clock: &Clock,
) -> Next {
    let arn = &from.placement.role_arn;
    let (header, held) = match &knowledge.state {
        RoleState::Absent if knowledge.is_fresh(clock) => {
            let wait = not_yet_readable(arn.name(), knowledge, clock);
            return wait.unwrap_or_else(|| Next::Do(Plan::default()));
        }
        RoleState::Present {
            header,
            content: Some(held),
        } if !knowledge.is_due(clock) => (header, held),
        _ => return Next::Read(Depth::Full),
    };
    let former = &from.class.former_cluster_uids;
    if let Ownership::Foreign(refusal) = judge_ownership(&from.owner, arn, header, former, knowledge.was_ours)
    {
        return confirm(refusal, knowledge, clock);
    }
    let cut = |adopted: bool| {
        let asked = from.as_asked(header, held, adopted);
        let gone = from.not_allowed(&asked);
        if let Some(refusal) = from.obstacle(header, adopted, &gone) {
            return Next::Blocked(refusal);
        }
        let plan = from.steps(header, held, adopted, asked, &gone, around);
        once_read(plan, false, knowledge, clock)
    };
    let marked = is_adopted(header);
    let next = cut(marked);
    // The mark can be taken off by whoever may tag roles. The record is asked for only where something would go.
    let takes = matches!(&next, Next::Do(plan) if !plan.is_empty());
    if marked || !takes {
        return next;
    }
    match past(knowledge, header, clock) {
        Past::Unknown(sought) => Next::Recall(sought),
        Past::Was(_) => cut(true),
        Past::Lost(_) | Past::None => next,
    }
}

/// The Event for people whose role was cut back.
pub fn revoked(why: &Refusal, done: &[Step]) -> Option<Notice> {
    let written: Vec<&Step> = done.iter().filter(|step| step.writes_role()).collect();
    if written.is_empty() {
        return None;
    }
    let named: Vec<String> = written
        .iter()
        .take(NAMED)
        .map(|step| {
            format!("{} {}", step.action(), step.target())
                .trim_end()
                .to_owned()
        })
        .collect();
    let more = match written.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(Notice {
        reason: events::PERMISSIONS_REVOKED,
        message: format!(
            "the role was cut back to what the class allows (onViolation: Revoke; {}{more}), and sessions that pods have \
             already got end by themselves; the object is refused: {}",
            named.join(", "),
            why.message
        ),
        warning: true,
    })
}
