//! Holding an MlServiceRole against the rules of its class. Nothing that a rule doesn't name is allowed.

use std::collections::BTreeMap;

use kube::core::SelectorExt;

use super::{ClassRules, Refusal, adoptable};
use crate::api::MlServiceRoleSpec;
use crate::api::condition::reasons;
use crate::api::role::DeletionPolicy;
use crate::iam::arn::PolicyArn;
use crate::iam::tags;

/// What is held against a class.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Namespace of the object.
    pub namespace: &'a str,
    /// Labels of that namespace, as the API server has them.
    pub namespace_labels: &'a BTreeMap<String, String>,
    /// Name of the object.
    pub name: &'a str,
    /// What it asks for.
    pub spec: &'a MlServiceRoleSpec,
}

/// Refuses everything that the class doesn't allow, all of it at once.
pub fn check(rules: &ClassRules, request: Request<'_>) -> Result<(), Refusal> {
    let mut refusals = Vec::new();
    let class = &rules.name;
    let mut refuse = |reason, what: String, field: &str| {
        let message = format!(
            "class {class:?} doesn't allow {what}; remove it, or ask the platform admin to add it to {field}"
        );
        refusals.push(Refusal::new(reason, message));
    };
    let Request {
        namespace,
        namespace_labels,
        name,
        spec,
    } = request;
    if !rules.namespaces.matches(namespace_labels) {
        // Nothing else is told to a namespace that the class isn't for.
        return Err(Refusal::new(
            reasons::NAMESPACE_NOT_ALLOWED,
            format!(
                "class {class:?} doesn't serve namespace {namespace:?}: its labels don't match allow.namespaces; choose \
                 another class in className, or ask the platform admin to label the namespace or to widen the class"
            ),
        ));
    }
    for arn in &spec.managed_policy_arns {
        let allowed = arn
            .parse::<PolicyArn>()
            .is_ok_and(|arn| rules.managed_policies.contains(&arn));
        if !allowed {
            refuse(
                reasons::MANAGED_POLICY_NOT_ALLOWED,
                format!("the managed policy {arn}"),
                "allow.managedPolicyArns",
            );
        }
    }
    if !rules.any_inline_policy {
        for policy in &spec.inline_policies {
            refuse(
                reasons::INLINE_POLICY_NOT_ALLOWED,
                format!("the inline policy {:?}", policy.name),
                "allow.inline",
            );
        }
    }
    let role = spec.role.clone().unwrap_or_default();
    let adopts = adoptable(rules, namespace, spec);
    if let Ok(None) = adopts
        && let Some(role_name) = role
            .name
            .filter(|role_name| !rules.role_names.contains(role_name))
    {
        refuse(
            reasons::ROLE_NAME_NOT_ALLOWED,
            format!("the role name {role_name:?}"),
            "allow.roleNames",
        );
    }
    for key in role.tags.keys() {
        if !rules.tag_keys.iter().any(|allowed| tags::same_key(allowed, key)) {
            refuse(
                reasons::TAG_KEY_NOT_ALLOWED,
                format!("the tag key {key:?}"),
                "allow.tagKeys",
            );
        } else if rules.tags.keys().any(|theirs| tags::same_key(theirs, key)) {
            refuse(
                reasons::TAG_KEY_NOT_ALLOWED,
                format!("the tag key {key:?}, which the class itself sets on every role,"),
                "allow.tagKeys instead of roles.tags",
            );
        }
    }
    for service in &role.trusted_services {
        if !rules.trusted_services.contains(service) {
            refuse(
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
            reasons::DEFAULT_SERVICE_ACCOUNT_NOT_ALLOWED,
            "binding the ServiceAccount \"default\", which every pod uses that names none".to_owned(),
            "allow.defaultServiceAccount (as true)",
        );
    }
    // First, since nothing else matters of a role that isn't to be touched.
    refusals.splice(0..0, adopts.err());
    match Refusal::joined(refusals) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}
