//! Understanding a class: from what the admin wrote to rules that can be applied, or a refusal of the whole
//! class. A class with anything doubtful in it serves nobody.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;

use super::{Refusal, adopt};
use crate::api::class::{Allow, MlServiceRoleClassSpec, NamespaceSelector, OnViolation};
use crate::api::condition::reasons;
use crate::api::{DEFAULT_AUDIENCE, GROUP};
use crate::iam::arn::{AccountId, Issuer, PolicyArn, RoleArn};
use crate::iam::name::{DEFAULT_PATH_TEMPLATE, derive_role_name, expand_path};
use crate::iam::tags;

/// IAM's own default for a role's longest session, in seconds, and what a class allows that doesn't say.
const DEFAULT_MAX_SESSION_SECONDS: u32 = 3600;

/// A class, understood.
#[derive(Clone, Debug)]
pub struct ClassRules {
    /// Name of the class.
    pub name: String,
    /// The account that roles live in; `None` is the account of the operator's own credentials.
    pub account: Option<AccountId>,
    /// ARN and external id of the role to assume.
    pub assume_role: Option<(String, Option<String>)>,
    /// Issuers written into the class, and whether each is trusted to have the same namespaces.
    pub issuers: Vec<(Issuer, bool)>,
    /// Audience of the tokens.
    pub audience: String,
    /// Path with `{cluster}` and `{namespace}` unfilled.
    pub path_template: String,
    /// Put before derived names.
    pub name_prefix: String,
    /// Longest session allowed, and the one that roles get by default, in seconds.
    pub max_session_duration_seconds: u32,
    /// Tags on every role.
    pub tags: BTreeMap<String, String>,
    /// Uids of former clusters whose roles are inherited.
    pub former_cluster_uids: BTreeSet<String>,
    /// Boundary of every role; `None` was written out.
    pub permissions_boundary: Option<PolicyArn>,
    /// Namespaces served, by label.
    pub namespaces: Selector,
    /// Managed policies that may be attached.
    pub managed_policies: BTreeSet<PolicyArn>,
    /// Whether inline policies may say anything at all.
    pub any_inline_policy: bool,
    /// Services that may be trusted.
    pub trusted_services: BTreeSet<String>,
    /// Names that `role.name` may have.
    pub role_names: BTreeSet<String>,
    /// Keys that `role.tags` may have.
    pub tag_keys: Vec<String>,
    /// Roles that may be adopted, and by objects of which namespaces. Their names differ, also without regard to
    /// case.
    pub adopt: BTreeMap<RoleArn, BTreeSet<String>>,
    /// Whether roles may be retained.
    pub retain: bool,
    /// Whether the ServiceAccount `default` may be bound.
    pub default_service_account: bool,
}

/// Reads a class, or says what is wrong with it. Every mistake is named at once.
pub fn understand(name: &str, spec: &MlServiceRoleClassSpec) -> Result<ClassRules, Refusal> {
    let mut wrong = Mistakes {
        class: name,
        refusals: unsupported(name, spec),
    };
    let aws = spec.aws.clone().unwrap_or_default();
    let account = aws
        .account_id
        .as_deref()
        .and_then(|id| wrong.parse::<AccountId>("aws.accountId", id));
    let oidc = spec.oidc.clone().unwrap_or_default();
    let issuers = oidc
        .issuers
        .iter()
        .filter_map(|issuer| {
            let url = wrong.parse::<Issuer>("oidc.issuers", &issuer.url)?;
            Some((url, issuer.trust_same_namespaces == Some(true)))
        })
        .collect();
    let path_template = spec
        .roles
        .path
        .clone()
        .unwrap_or_else(|| DEFAULT_PATH_TEMPLATE.to_owned());
    // The longest names that a cluster and a namespace can have, so that no later object fails for its path.
    if let Err(e) = expand_path(&path_template, &"c".repeat(100), &"n".repeat(63)) {
        wrong.note("roles.path", e);
    }
    let name_prefix = spec.roles.name_prefix.clone().unwrap_or_default();
    if let Err(e) = derive_role_name(&name_prefix, "cluster", "namespace", "name") {
        wrong.note("roles.namePrefix", e);
    }
    for (key, value) in &spec.roles.tags {
        if tags::is_reserved(key) {
            wrong.note(
                "roles.tags",
                format!("the key {key:?} is reserved: keys that begin with aws: or {GROUP}/ can't be set"),
            );
        } else if let Err(e) = tags::check(key, value) {
            wrong.note("roles.tags", e);
        }
    }
    for (i, key) in spec.roles.tags.keys().enumerate() {
        if spec
            .roles
            .tags
            .keys()
            .skip(i + 1)
            .any(|other| tags::same_key(key, other))
        {
            wrong.note(
                "roles.tags",
                format!("the key {key:?} is there twice: IAM ignores case in tag keys"),
            );
        }
    }
    let boundary = &spec.roles.permissions_boundary;
    let permissions_boundary = match (&boundary.arn, &boundary.none) {
        (Some(arn), None) => wrong.parse::<PolicyArn>("roles.permissionsBoundary.arn", arn),
        (None, Some(_)) => None,
        _ => {
            wrong.note(
                "roles.permissionsBoundary",
                "exactly one of arn and none: {} must be there",
            );
            None
        }
    };
    let namespaces = selector(&spec.allow.namespaces);
    if let Err(e) = &namespaces {
        wrong.note("allow.namespaces", e);
    }
    let managed_policies = spec
        .allow
        .managed_policy_arns
        .iter()
        .filter(|arn| !is_pattern(arn))
        .filter_map(|arn| wrong.parse::<PolicyArn>("allow.managedPolicyArns", arn))
        .collect();
    let adoptions = adopt::understand(
        &spec.allow.adopt,
        account.as_ref(),
        aws.assume_role.as_ref().map(|role| role.arn.as_str()),
    );
    for mistake in adoptions.as_ref().err().into_iter().flatten() {
        wrong.note("allow.adopt", mistake);
    }
    if let Some(refusal) = Refusal::joined(wrong.refusals) {
        return Err(refusal);
    }
    Ok(ClassRules {
        name: name.to_owned(),
        account,
        assume_role: aws.assume_role.map(|role| (role.arn, role.external_id)),
        issuers,
        audience: oidc.audience.unwrap_or_else(|| DEFAULT_AUDIENCE.to_owned()),
        path_template,
        name_prefix,
        max_session_duration_seconds: spec
            .roles
            .max_session_duration_seconds
            .and_then(|seconds| u32::try_from(seconds).ok())
            .unwrap_or(DEFAULT_MAX_SESSION_SECONDS),
        tags: spec.roles.tags.clone(),
        former_cluster_uids: spec.roles.former_cluster_uids.iter().cloned().collect(),
        permissions_boundary,
        namespaces: namespaces.unwrap_or_default(),
        managed_policies,
        any_inline_policy: !spec.allow.inline.is_empty(),
        trusted_services: spec.allow.trusted_services.iter().cloned().collect(),
        role_names: spec.allow.role_names.iter().cloned().collect(),
        tag_keys: spec.allow.tag_keys.clone(),
        adopt: adoptions.unwrap_or_default(),
        retain: spec.allow.retain == Some(true),
        default_service_account: spec.allow.default_service_account == Some(true),
    })
}

/// The issuers that a class's roles trust.
///
/// `own` is this cluster's issuer as it is now, `recorded` the one that the class's status holds from when the
/// class first relied on it. A cluster whose issuer
/// changes must not silently move every role's trust, so a recorded issuer stays until the class names another.
/// The second value says so where it happened.
pub fn issuers_in_force(
    rules: &ClassRules,
    own: &Issuer,
    recorded: Option<&str>,
) -> Result<(BTreeSet<Issuer>, Option<Refusal>), Refusal> {
    if !rules.issuers.is_empty() {
        let strangers: Vec<&str> = rules
            .issuers
            .iter()
            .filter(|(issuer, trusted)| issuer != own && !trusted)
            .map(|(i, _)| i.url())
            .collect();
        if strangers.is_empty() {
            return Ok((
                rules.issuers.iter().map(|(issuer, _)| issuer.clone()).collect(),
                None,
            ));
        }
        return Err(Refusal::new(
            reasons::INVALID_SPEC,
            format!(
                "class {:?}: oidc.issuers names {}, which isn't this cluster's issuer ({}); its ServiceAccounts of the \
                 same namespace and name would get the roles too: write trustSameNamespaces: true beside it if that is \
                 meant, or remove it",
                rules.name,
                strangers.join(", "),
                own.url()
            ),
        ));
    }
    let recorded = recorded
        .and_then(|url| url.parse::<Issuer>().ok())
        .filter(|recorded| recorded != own);
    let Some(recorded) = recorded else {
        return Ok((BTreeSet::from([own.clone()]), None));
    };
    let notice = Refusal::new(
        reasons::ISSUER_CHANGED,
        format!(
            "class {:?}: this cluster's issuer is now {}, but the roles trust {}, which is kept; write the issuers that \
             are meant into oidc.issuers",
            rules.name,
            own.url(),
            recorded.url()
        ),
    );
    Ok((BTreeSet::from([recorded]), Some(notice)))
}

/// A requirement without values is refused: `NotIn []` would match every namespace.
fn selector(written: &NamespaceSelector) -> Result<Selector, String> {
    if let Some(field) = written.unknown.keys().next() {
        return Err(format!(
            "unknown field {field:?}; a label selector has matchLabels and matchExpressions"
        ));
    }
    for requirement in &written.match_expressions {
        let has_values = requirement
            .values
            .as_ref()
            .is_some_and(|values| !values.is_empty());
        if matches!(requirement.operator.as_str(), "In" | "NotIn") != has_values {
            return Err(format!(
                "the requirement on {:?}: In and NotIn need values, Exists and DoesNotExist have none",
                requirement.key
            ));
        }
    }
    let labels = LabelSelector {
        match_labels: Some(written.match_labels.clone()),
        match_expressions: Some(written.match_expressions.clone()),
    };
    Selector::try_from(labels).map_err(|e| e.to_string())
}

struct Mistakes<'a> {
    class: &'a str,
    refusals: Vec<Refusal>,
}

impl Mistakes<'_> {
    fn note(&mut self, field: &str, what: impl std::fmt::Display) {
        let message = format!("class {:?}: {field}: {what}", self.class);
        self.refusals.push(Refusal::new(reasons::INVALID_SPEC, message));
    }

    fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, field: &str, text: &str) -> Option<T> {
        text.parse().map_err(|e| self.note(field, e)).ok()
    }
}

pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '{', '}'])
}

/// What a later release brings. A class that relies on it is refused, so that nobody thinks it in force.
fn unsupported(class: &str, spec: &MlServiceRoleClassSpec) -> Vec<Refusal> {
    let Allow {
        namespaces: _,
        presets,
        managed_policy_arns,
        inline,
        trusted_services,
        pass_role_arns,
        escalating_actions,
        role_names,
        tag_keys,
        adopt,
        retain: _,
        default_service_account: _,
    } = &spec.allow;
    let mut refusals = Vec::new();
    let mut refuse = |field: &str, remedy: &str| {
        let what = format!("class {class:?}: {field}");
        refusals.push(Refusal::not_yet_supported(&what, remedy));
    };
    if spec.on_violation == Some(OnViolation::Revoke) {
        refuse("onViolation Revoke", "write Keep or leave it out");
    }
    for (field, is_empty) in [
        ("allow.presets", presets.is_empty()),
        ("allow.passRoleArns", pass_role_arns.is_empty()),
        ("allow.escalatingActions", escalating_actions.is_empty()),
    ] {
        if !is_empty {
            refuse(field, "remove it");
        }
    }
    let adopted = adopt.iter().map(|role| role.arn.clone()).collect();
    for (field, values) in [
        ("allow.adopt", &adopted),
        ("allow.managedPolicyArns", managed_policy_arns),
        ("allow.trustedServices", trusted_services),
        ("allow.roleNames", role_names),
        ("allow.tagKeys", tag_keys),
    ] {
        for value in values.iter().filter(|value| is_pattern(value)) {
            refuse(
                &format!("the pattern {value:?} in {field}"),
                "write each value out",
            );
        }
    }
    let everything = |list: &[String]| list == ["*"];
    for rule in inline {
        if !(everything(&rule.actions) && everything(&rule.resources) && rule.conditions.is_empty()) {
            refuse(
                "an inline rule narrower than actions [\"*\"] on resources [\"*\"] in allow.inline",
                "remove it, and bound the roles by roles.permissionsBoundary",
            );
        }
    }
    refusals
}
