//! Understanding a class: from what the admin wrote to rules that can be applied, or a refusal of the whole
//! class. A class with anything doubtful in it serves nobody.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::Selector;

use super::floor::{self, Consents};
use super::pattern::Token;
use super::presets::AllowedPresets;
use super::separation::{self, Wildcards};
use super::template::{Part, TemplateError};
use super::{
    ManagedPolicies, Names, Refusal, Rule, Template, adopt, inline, managed, presets, principal_tags,
    selector,
};
use crate::api::class::{MlServiceRoleClassSpec, OnViolation};
use crate::api::condition::reasons;
use crate::api::{DEFAULT_AUDIENCE, GROUP};
use crate::iam::arn::{AccountId, Issuer, PolicyArn, RoleArn};
use crate::iam::name::{DEFAULT_PATH_TEMPLATE, derive_role_name, expand_path, is_name_character};
use crate::iam::tags;

/// IAM's own default for a role's longest session, in seconds, and what a class allows that doesn't say.
const DEFAULT_MAX_SESSION_SECONDS: u32 = 3600;

/// What a service's name looks like, for messages.
const SERVICE: &str = "sagemaker.amazonaws.com";

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
    pub managed_policies: Vec<ManagedPolicies>,
    /// Rules for what inline policies allow.
    pub inline: Vec<Rule>,
    /// What is consented to of the built-in floor.
    pub consents: Consents,
    /// Services that may be trusted.
    pub trusted_services: BTreeSet<String>,
    /// Names that `role.name` may have.
    pub role_names: Vec<Template>,
    /// Keys that `role.tags` may have, in lower case.
    pub tag_keys: Vec<Template>,
    /// Roles that may be adopted, and by objects of which namespaces. Their names differ, also without regard to
    /// case.
    pub adopt: BTreeMap<RoleArn, BTreeSet<String>>,
    /// Presets that may be used, and with which values.
    pub presets: AllowedPresets,
    /// What becomes of live roles that the class no longer allows.
    pub on_violation: OnViolation,
    /// Whether roles may be retained.
    pub retain: bool,
    /// Whether the ServiceAccount `default` may be bound.
    pub default_service_account: bool,
}

impl ClassRules {
    /// Whether an object of this namespace may give its role this name.
    pub fn allows_role_name(&self, name: &str, names: Names<'_>) -> bool {
        self.role_names.iter().any(|own| own.fill(names).matches(name))
    }

    /// Whether an object of this namespace may set a tag of this key. Keys are compared without regard to case, as
    /// IAM does.
    pub fn allows_tag_key(&self, key: &str, names: Names<'_>) -> bool {
        let key = key.to_lowercase();
        self.tag_keys.iter().any(|own| own.fill(names).matches(&key))
    }

    /// Whether an object of this namespace may have this managed policy.
    pub fn allows_managed_policy(&self, policy: &PolicyArn, names: Names<'_>) -> bool {
        self.managed_policies
            .iter()
            .any(|own| own.contains(policy, names))
            && floor::unconsented(policy, &self.consents).is_none()
    }
}

/// Reads a class, or says what is wrong with it. Every mistake is named at once.
pub fn understand(name: &str, spec: &MlServiceRoleClassSpec) -> Result<ClassRules, Refusal> {
    let mut wrong = Mistakes {
        class: name,
        refusals: Vec::new(),
    };
    let aws = spec.aws.clone().unwrap_or_default();
    let account = aws
        .account_id
        .as_deref()
        .and_then(|id| wrong.parse::<AccountId>("aws.accountId", id));
    if let Some(role) = &aws.assume_role {
        let arn = wrong.one::<RoleArn>("aws.assumeRole.arn", &role.arn);
        if let (Some(arn), Some(account)) = (arn, &account)
            && arn.account() != account
        {
            wrong.note(
                "aws.assumeRole.arn",
                format!("{arn} isn't a role of aws.accountId {account}, which STS must report; correct one of the two"),
            );
        }
    }
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
    if adopt::is_of_aws(&path_template) {
        wrong.note(
            "roles.path",
            format!(
                "{path_template} is a path of AWS's own roles, where nobody else can make any; choose another"
            ),
        );
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
        (Some(arn), None) => wrong.one::<PolicyArn>("roles.permissionsBoundary.arn", arn),
        (None, Some(_)) => None,
        _ => {
            wrong.note(
                "roles.permissionsBoundary",
                "exactly one of arn and none: {} must be there",
            );
            None
        }
    };
    let namespaces = selector::understand(&spec.allow.namespaces);
    if let Err(e) = &namespaces {
        wrong.note("allow.namespaces", e);
    }
    let consents = wrong.consents(spec);
    let managed_policies = wrong.managed_policies(spec, &consents);
    let inline = wrong.inline(spec);
    let names = |text: &str| Template::parse(text).and_then(Template::not_everything);
    let role_names = wrong.templates("allow.roleNames", &spec.allow.role_names, names);
    wrong.never_a_name("allow.roleNames", &role_names, is_name_character);
    let keys = |text: &str| names(&text.to_lowercase());
    let tag_keys = wrong.templates("allow.tagKeys", &spec.allow.tag_keys, keys);
    wrong.never_a_name("allow.tagKeys", &tag_keys, tags::is_tag_character);
    for key in tag_keys.iter().filter(|key| tags::is_reserved(key.as_str())) {
        wrong.note(
            "allow.tagKeys",
            format!(
                "{:?} is reserved: no object can set keys that begin with aws: or {GROUP}/; remove it",
                key.as_str()
            ),
        );
    }
    for what in principal_tags::check(&inline, &tag_keys, &spec.roles.tags) {
        wrong.note("allow.tagKeys", what);
    }
    for service in &spec.allow.trusted_services {
        if is_pattern(service) {
            wrong.note(
                "allow.trustedServices",
                format!("{service:?} is a pattern, and services are trusted one by one; write each out, such as {SERVICE}"),
            );
        } else if !is_service(service) {
            wrong.note(
                "allow.trustedServices",
                format!("{service:?} isn't the name of a service; write it in full and in lower case, such as {SERVICE}"),
            );
        }
    }
    let adoptions = adopt::understand(
        &spec.allow.adopt,
        account.as_ref(),
        aws.assume_role.as_ref().map(|role| role.arn.as_str()),
    );
    for mistake in adoptions.as_ref().err().into_iter().flatten() {
        wrong.note("allow.adopt", mistake);
    }
    let allowed_presets = presets::understand(&spec.allow.presets);
    for mistake in allowed_presets.as_ref().err().into_iter().flatten() {
        wrong.note("allow.presets", mistake);
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
        inline,
        consents,
        trusted_services: spec.allow.trusted_services.iter().cloned().collect(),
        role_names,
        tag_keys,
        adopt: adoptions.unwrap_or_default(),
        presets: allowed_presets.unwrap_or_default(),
        on_violation: spec.on_violation.unwrap_or_default(),
        retain: spec.allow.retain == Some(true),
        default_service_account: spec.allow.default_service_account == Some(true),
    })
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

    /// What stands for one thing alone. IAM lets a path hold wildcards and braces, but in a policy they would make a
    /// pattern of the ARN, and none is filled in here.
    fn one<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, field: &str, text: &str) -> Option<T> {
        if is_pattern(text) {
            self.note(
                field,
                format!(
                    "{text} is a pattern, and one is meant here; write it in full, without *, ?, {{ and }}"
                ),
            );
            return None;
        }
        self.parse(field, text)
    }

    fn consents(&mut self, spec: &MlServiceRoleClassSpec) -> Consents {
        let read = Consents::understand(&spec.allow.escalating_actions, &spec.allow.pass_role_arns);
        read.unwrap_or_else(|mistakes| {
            for (field, what) in mistakes {
                self.note(field, what);
            }
            Consents::default()
        })
    }

    /// What of a list means for one namespace what it means for another, too.
    fn separation<'t>(
        &mut self,
        field: &str,
        list: impl IntoIterator<Item = &'t Template>,
        wildcards: Wildcards,
    ) {
        for what in separation::check(list, wildcards) {
            self.note(field, what);
        }
    }

    /// Patterns that nothing can match, since names have no such characters.
    fn never_a_name(&mut self, field: &str, patterns: &[Template], is_of_names: impl Fn(char) -> bool) {
        for pattern in patterns {
            let bad = pattern.parts().iter().find_map(|part| match part {
                Part::Token(Token::Char(c)) if !is_of_names(*c) => Some(*c),
                _ => None,
            });
            if let Some(bad) = bad {
                let text = pattern.as_str();
                self.note(
                    field,
                    format!(
                        "{text:?} matches nothing that IAM takes, for its {bad:?}; remove that character"
                    ),
                );
            }
        }
    }

    fn managed_policies(
        &mut self,
        spec: &MlServiceRoleClassSpec,
        consents: &Consents,
    ) -> Vec<ManagedPolicies> {
        let mut understood = Vec::new();
        for text in &spec.allow.managed_policy_arns {
            match managed::understand(text) {
                Ok(policies) => understood.push(policies),
                Err(e) => self.note("allow.managedPolicyArns", e),
            }
        }
        let patterns = understood.iter().filter_map(|policies| match policies {
            ManagedPolicies::Pattern(template) => Some(template),
            ManagedPolicies::Exact(_) => None,
        });
        self.separation("allow.managedPolicyArns", patterns, Wildcards::WithinSegment);
        for policies in &understood {
            if let ManagedPolicies::Exact(arn) = policies
                && let Some(why) = floor::unconsented(arn, consents)
            {
                let message = format!(
                    "class {:?}: allow.managedPolicyArns: {arn} needs a consent of its own, since {why}; remove it, or \
                     write the same ARN into allow.escalatingActions too",
                    self.class
                );
                self.refusals
                    .push(Refusal::new(reasons::ESCALATION_NOT_ALLOWED, message));
            }
        }
        understood
    }

    fn inline(&mut self, spec: &MlServiceRoleClassSpec) -> Vec<Rule> {
        let mut understood = Vec::new();
        for (index, rule) in spec.allow.inline.iter().enumerate() {
            match inline::understand(rule) {
                Ok(rule) => understood.push(rule),
                Err(mistakes) => {
                    for what in mistakes {
                        self.note(&format!("allow.inline, rule {}", index + 1), what);
                    }
                }
            }
        }
        let resources = understood.iter().flat_map(Rule::resources);
        self.separation("allow.inline, resources", resources, Wildcards::WithinArn);
        for values in understood.iter().flat_map(Rule::demanded) {
            self.separation("allow.inline, conditions", values, Wildcards::Free);
        }
        understood
    }

    fn templates(
        &mut self,
        field: &str,
        texts: &[String],
        read: impl Fn(&str) -> Result<Template, TemplateError>,
    ) -> Vec<Template> {
        let mut understood = Vec::new();
        for text in texts {
            match read(text) {
                Ok(template) => understood.push(template),
                Err(e) => self.note(field, e),
            }
        }
        self.separation(field, &understood, Wildcards::Free);
        understood
    }
}

/// Whether this can be a service principal, as an object may ask for it.
fn is_service(text: &str) -> bool {
    let name = [".amazonaws.com", ".amazonaws.com.cn"]
        .iter()
        .find_map(|suffix| text.strip_suffix(suffix));
    name.is_some_and(|name| {
        let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        name.starts_with(alphanumeric)
            && name.ends_with(alphanumeric)
            && name.chars().all(|c| alphanumeric(c) || matches!(c, '-' | '.'))
    })
}

pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '{', '}'])
}
