//! Holding an MlServiceRole against the rules of its class. Nothing that a rule doesn't name is allowed.

use std::collections::BTreeMap;

use kube::core::SelectorExt;

use super::{ClassRules, Names, Refusal, adoptable, policy, presets};
use crate::api::MlServiceRoleSpec;
use crate::api::condition::reasons;
use crate::api::role::DeletionPolicy;
use crate::iam::arn::{AccountId, Partition, PolicyArn};
use crate::iam::tags;

/// What is held against a class.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Name of the cluster, as the operator was started with.
    pub cluster: &'a str,
    /// Partition and id of the account that the class reaches, once known.
    pub account: Option<(&'a Partition, &'a AccountId)>,
    /// Namespace of the object.
    pub namespace: &'a str,
    /// Labels of that namespace, as the API server has them.
    pub namespace_labels: &'a BTreeMap<String, String>,
    /// Name of the object.
    pub name: &'a str,
    /// What it asks for.
    pub spec: &'a MlServiceRoleSpec,
}

/// The part of an object that a refusal is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// The whole of it: the class isn't for its namespace.
    Namespace,
    /// The role that it would take over.
    Adoption,
    /// A managed policy, by the ARN that was written.
    ManagedPolicy(String),
    /// An inline policy, by name.
    InlinePolicy(String),
    /// `role.name`.
    RoleName,
    /// A tag of the role, by key.
    TagKey(String),
    /// A trusted service.
    TrustedService(String),
    /// `role.maxSessionDurationSeconds`.
    SessionDuration,
    /// `deletionPolicy: Retain`.
    Retain,
    /// The ServiceAccount `default`.
    DefaultServiceAccount,
    /// An entry of `access`, by its place, counted from 0.
    Preset(usize),
}

/// Refuses everything that the class doesn't allow, all of it at once.
///
/// # Errors
///
/// The class doesn't allow something: the first one's reason, and words for each, see [`violations`].
pub fn check(rules: &ClassRules, request: Request<'_>) -> Result<(), Refusal> {
    let refusals = violations(rules, request).into_iter();
    match Refusal::joined(refusals.map(|(_, refusal)| refusal).collect()) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

/// Refuses what the class doesn't allow in the account that it reaches: all that [`check`] leaves open where the request
/// doesn't say the account yet.
///
/// # Errors
///
/// A preset would hand a role of another account to a service.
pub fn check_account(
    rules: &ClassRules,
    account: (&Partition, &AccountId),
    spec: &MlServiceRoleSpec,
) -> Result<(), Refusal> {
    Refusal::joined(presets::of_account(rules, account, &spec.access)).map_or(Ok(()), Err)
}

/// Everything that the class doesn't allow, each with the part of the object that it is about. A part can be there more
/// than once. What takes a role over comes first, since nothing else matters of a role that isn't to be touched.
pub fn violations(rules: &ClassRules, request: Request<'_>) -> Vec<(Item, Refusal)> {
    let mut refusals = Vec::new();
    let class = &rules.name;
    let Request {
        cluster,
        account,
        namespace,
        namespace_labels,
        name,
        spec,
    } = request;
    let names = Names { cluster, namespace };
    if !rules.namespaces.matches(namespace_labels) {
        // Nothing else is told to a namespace that the class isn't for.
        let refusal = Refusal::new(
            reasons::NAMESPACE_NOT_ALLOWED,
            format!(
                "class {class:?} doesn't serve namespace {namespace:?}: its labels don't match allow.namespaces; choose \
                 another class in className, or ask the platform admin to label the namespace or to widen the class"
            ),
        );
        return vec![(Item::Namespace, refusal)];
    }
    let adopts = adoptable(rules, names, spec);
    if let Err(refusal) = &adopts {
        refusals.push((Item::Adoption, refusal.clone()));
    }
    let not_listed = |what: String, field: &str| {
        format!(
            "class {class:?} doesn't allow {what}; remove it, or ask the platform admin to add it to {field}"
        )
    };
    for arn in &spec.managed_policy_arns {
        let allowed = arn
            .parse::<PolicyArn>()
            .is_ok_and(|arn| rules.allows_managed_policy(&arn, names));
        if !allowed {
            let message = not_listed(format!("the managed policy {arn}"), "allow.managedPolicyArns");
            let refusal = Refusal::new(reasons::MANAGED_POLICY_NOT_ALLOWED, message);
            refusals.push((Item::ManagedPolicy(arn.clone()), refusal));
        }
    }
    let inline = policy::check_all(&spec.inline_policies, rules, names).into_iter();
    refusals.extend(inline.map(|(name, refusal)| (Item::InlinePolicy(name), refusal)));
    let presets = presets::refusals(rules, names, account, &spec.access).into_iter();
    refusals.extend(presets.map(|(index, refusal)| (Item::Preset(index), refusal)));
    let mut refuse = |item: Item, reason, what: String, field: &str| {
        refusals.push((item, Refusal::new(reason, not_listed(what, field))));
    };
    let role = spec.role.clone().unwrap_or_default();
    if let Ok(None) = adopts
        && let Some(role_name) = role
            .name
            .filter(|role_name| !rules.allows_role_name(role_name, names))
    {
        refuse(
            Item::RoleName,
            reasons::ROLE_NAME_NOT_ALLOWED,
            format!("the role name {role_name:?}"),
            "allow.roleNames",
        );
    }
    for key in role.tags.keys() {
        if !rules.allows_tag_key(key, names) {
            refuse(
                Item::TagKey(key.clone()),
                reasons::TAG_KEY_NOT_ALLOWED,
                format!("the tag key {key:?}"),
                "allow.tagKeys",
            );
        } else if rules.tags.keys().any(|theirs| tags::same_key(theirs, key)) {
            refuse(
                Item::TagKey(key.clone()),
                reasons::TAG_KEY_NOT_ALLOWED,
                format!("the tag key {key:?}, which the class itself sets on every role,"),
                "allow.tagKeys instead of roles.tags",
            );
        }
    }
    for service in &role.trusted_services {
        if !rules.trusted_services.contains(service) {
            refuse(
                Item::TrustedService(service.clone()),
                reasons::TRUSTED_SERVICE_NOT_ALLOWED,
                format!("the trusted service {service}"),
                "allow.trustedServices",
            );
        }
    }
    if let Some(seconds) = role.max_session_duration_seconds
        && u32::try_from(seconds).is_ok_and(|s| s > rules.max_session_duration_seconds)
    {
        refuse(
            Item::SessionDuration,
            reasons::SESSION_DURATION_NOT_ALLOWED,
            format!(
                "sessions of {seconds} seconds (role.maxSessionDurationSeconds): the most is {}",
                rules.max_session_duration_seconds
            ),
            "roles.maxSessionDurationSeconds",
        );
    }
    if spec.deletion_policy == Some(DeletionPolicy::Retain) && !rules.retain {
        refuse(
            Item::Retain,
            reasons::RETAIN_NOT_ALLOWED,
            "deletionPolicy Retain".to_owned(),
            "allow.retain",
        );
    }
    if !rules.default_service_account
        && spec
            .service_account_references(name)
            .iter()
            .any(|sa| sa.name == "default")
    {
        refuse(
            Item::DefaultServiceAccount,
            reasons::DEFAULT_SERVICE_ACCOUNT_NOT_ALLOWED,
            "binding the ServiceAccount \"default\", which every pod uses that names none".to_owned(),
            "allow.defaultServiceAccount (as true)",
        );
    }
    refusals
}
