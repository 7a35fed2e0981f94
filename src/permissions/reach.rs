//! How far the operator reaches by the classes given: for each identity that it works with, the roles that it may
//! write, and within which limits. Two classes whose roles live under the same ARNs can't be told apart by IAM, so
//! that there the limits of both hold, and a note says so.

use std::collections::{BTreeMap, BTreeSet};

use super::{Class, Options, Problems, former};
use crate::guard;
use crate::iam::arn::{AccountId, Issuer, OidcProviderArn, Partition, RoleArn};

/// What the operator does as one principal, in one account.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// The account that the roles live in.
    pub account: AccountId,
    /// Its partition.
    pub partition: Partition,
    /// The role that is assumed to get there.
    pub assumed: Option<Assumed>,
    /// Patterns of ARNs under which roles are made.
    pub places: BTreeMap<String, Limits>,
    /// Patterns of ARNs of roles that may be taken over.
    pub adoptable: BTreeMap<String, Limits>,
    /// OIDC providers that the roles trust.
    pub providers: BTreeSet<OidcProviderArn>,
    /// For each of these ARNs, whom the roles under it may trust.
    pub trusted: BTreeMap<String, Trusted>,
    /// Uids of former clusters whose roles are inherited.
    pub former_cluster_uids: BTreeSet<String>,
}

/// Whom roles may trust.
#[derive(Clone, Debug, Default)]
pub(super) struct Trusted {
    /// Issuers of tokens.
    pub issuers: BTreeSet<Issuer>,
    /// AWS services.
    pub services: BTreeSet<String>,
}

/// A role that the operator assumes.
#[derive(Clone, Debug)]
pub(super) struct Assumed {
    /// The role.
    pub arn: RoleArn,
    /// External ids that classes give for it.
    pub external_ids: BTreeSet<String>,
}

/// What roles under an ARN may be given.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Limits {
    /// Boundaries that they may have.
    pub boundaries: BTreeSet<String>,
    /// Those of them that roles may be made with.
    pub made_with: BTreeSet<String>,
    /// Whether they may also have none.
    pub unbounded: bool,
    /// Patterns of ARNs of policies that may be attached.
    pub policies: BTreeSet<String>,
}

impl Reach {
    /// All ARNs of roles that may be written.
    pub fn roles(&self) -> BTreeSet<String> {
        self.places.keys().chain(self.adoptable.keys()).cloned().collect()
    }

    /// Places and roles to adopt, together where the same holds for them.
    pub fn by_limits(&self) -> BTreeMap<Limits, BTreeSet<String>> {
        let mut all: BTreeMap<String, Limits> = self.places.clone();
        for (arn, limits) in &self.adoptable {
            all.entry(arn.clone()).or_default().join(limits);
        }
        grouped(&all)
    }

    /// Boundaries of all of them.
    pub fn boundaries(&self) -> BTreeSet<String> {
        let limits = self.places.values().chain(self.adoptable.values());
        limits
            .flat_map(|limits| limits.boundaries.iter().cloned())
            .collect()
    }
}

/// What has the same limits, together.
pub(super) fn grouped(all: &BTreeMap<String, Limits>) -> BTreeMap<Limits, BTreeSet<String>> {
    let mut groups: BTreeMap<Limits, BTreeSet<String>> = BTreeMap::new();
    for (arn, limits) in all {
        groups.entry(limits.clone()).or_default().insert(arn.clone());
    }
    groups
}

impl Limits {
    fn join(&mut self, other: &Limits) {
        let Limits {
            boundaries,
            made_with,
            unbounded,
            policies,
        } = other;
        self.boundaries.extend(boundaries.iter().cloned());
        self.made_with.extend(made_with.iter().cloned());
        self.unbounded |= unbounded;
        self.policies.extend(policies.iter().cloned());
    }
}

/// Works out the reach of the operator, one for each identity that it works with.
///
/// # Errors
///
/// Whatever is missing or contradicts itself.
pub(super) fn reaches(
    classes: &[Class<'_>],
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<Vec<Reach>, Problems> {
    let mut problems = former::of_no_class(classes, options);
    let mut found: BTreeMap<(Option<String>, String), Reach> = BTreeMap::new();
    let mut places: BTreeMap<(String, Limits), Vec<&str>> = BTreeMap::new();
    for class in classes {
        let one = match Home::of(class, options) {
            Ok(home) => {
                let mut one = one(class, &home, options, &mut problems);
                former::add_boundaries(class, &mut one, options, &mut problems);
                one
            }
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        for (place, limits) in &one.places {
            let key = (place.clone(), limits.clone());
            places.entry(key).or_default().push(&class.rules.name);
        }
        let key = (
            one.assumed.as_ref().map(|role| role.arn.to_string()),
            one.account.to_string(),
        );
        match found.get_mut(&key) {
            Some(reach) if has_external_id(reach) != has_external_id(&one) => problems.push(format!(
                "class {:?} assumes the role {} with an externalId or without, and another class the other way; write the \
                 same into both",
                class.rules.name,
                key.0.unwrap_or_default()
            )),
            Some(reach) => merge(reach, one),
            None => {
                found.insert(key, one);
            }
        }
    }
    note_shared(&places, notes);
    let mut reaches: Vec<Reach> = found.into_values().collect();
    former::add_policies(&mut reaches, options, &mut problems);
    for reach in &reaches {
        keep_itself_out(reach, options, &mut problems);
        note_open(reach, notes);
    }
    if classes.is_empty() {
        problems.push("there is no MlServiceRoleClass in the input".to_owned());
    }
    if problems.is_empty() {
        Ok(reaches)
    } else {
        Err(Problems(problems))
    }
}

/// Where a class's roles live, and how one gets there.
struct Home {
    account: AccountId,
    partition: Partition,
    assumed: Option<Assumed>,
}

impl Home {
    fn of(class: &Class<'_>, options: &Options) -> Result<Self, String> {
        let rules = class.rules;
        let name = &rules.name;
        if let Some((arn, external_id)) = &rules.assume_role {
            let arn: RoleArn = arn
                .parse()
                .map_err(|e| format!("class {name:?}: aws.assumeRole.arn: {e}"))?;
            if let Some(account) = rules.account.as_ref().filter(|account| *account != arn.account()) {
                return Err(format!(
                    "class {name:?}: aws.assumeRole.arn {arn} isn't a role of aws.accountId {account}, so that STS would \
                     never report that account; correct one of the two"
                ));
            }
            return Ok(Home {
                account: arn.account().clone(),
                partition: arn.partition().clone(),
                assumed: Some(Assumed {
                    arn,
                    external_ids: external_id.iter().cloned().collect(),
                }),
            });
        }
        let operator = options.operator_roles.first();
        let sources = [
            ("aws.accountId", rules.account.as_ref()),
            ("--account-id", options.account.as_ref()),
            ("--operator-role-arn", operator.map(RoleArn::account)),
        ];
        let mut said: Option<(&str, &AccountId)> = None;
        for (source, account) in sources {
            match (said, account) {
                (None, Some(account)) => said = Some((source, account)),
                (Some((earlier, other)), Some(account)) if other != account => {
                    return Err(format!(
                        "class {name:?}: {earlier} says account {other} and {source} says {account}; correct one of them, \
                         or write aws.assumeRole into the class if the operator reaches the account through another role"
                    ));
                }
                _ => {}
            }
        }
        let Some((_, account)) = said else {
            return Err(format!(
                "class {name:?} names no account (aws.accountId): give --account-id, the account of the operator's own \
                 credentials"
            ));
        };
        Ok(Home {
            account: account.clone(),
            partition: operator.map_or_else(|| options.partition.clone(), |role| role.partition().clone()),
            assumed: None,
        })
    }
}

fn one(class: &Class<'_>, home: &Home, options: &Options, problems: &mut Vec<String>) -> Reach {
    let Class { rules, spec } = class;
    let Home {
        account,
        partition,
        assumed,
    } = home;
    let name = &rules.name;
    if let Some(boundary) = &rules.permissions_boundary
        && boundary.account().is_some_and(|theirs| theirs != account)
    {
        problems.push(format!(
            "class {name:?}: roles.permissionsBoundary.arn {boundary} isn't a policy of account {account}, where the roles \
             live; IAM takes no other"
        ));
    }
    let boundary: BTreeSet<String> = rules
        .permissions_boundary
        .iter()
        .map(ToString::to_string)
        .collect();
    let limits = Limits {
        boundaries: boundary.clone(),
        made_with: boundary,
        unbounded: rules.permissions_boundary.is_none(),
        policies: filled(&spec.allow.managed_policy_arns, options),
    };
    let arns = [&limits.boundaries, &limits.policies];
    for arn in arns.into_iter().flatten() {
        if !arn.starts_with(&format!("arn:{partition}:")) {
            problems.push(format!(
                "class {name:?}: {arn} isn't in partition {partition}; give --partition, the one of the operator's account"
            ));
        }
    }
    let role_names = filled(&spec.allow.role_names, options);
    let places = role_patterns(class, home, options, &role_names);
    let adopted: Vec<String> = spec.allow.adopt.iter().map(|role| role.arn.clone()).collect();
    let adoptable = filled(&adopted, options);
    let trusted = Trusted {
        issuers: issuers(class, options, problems),
        services: spec.allow.trusted_services.iter().cloned().collect(),
    };
    let arns = places.iter().chain(&adoptable);
    Reach {
        account: account.clone(),
        partition: partition.clone(),
        assumed: assumed.clone(),
        trusted: arns.map(|arn| (arn.clone(), trusted.clone())).collect(),
        places: places.into_iter().map(|place| (place, limits.clone())).collect(),
        adoptable: adoptable.into_iter().map(|arn| (arn, limits.clone())).collect(),
        providers: trusted
            .issuers
            .iter()
            .map(|issuer| OidcProviderArn::new(partition, account, issuer))
            .collect(),
        former_cluster_uids: rules.former_cluster_uids.clone(),
    }
}

fn issuers(class: &Class<'_>, options: &Options, problems: &mut Vec<String>) -> BTreeSet<Issuer> {
    let rules = class.rules;
    match (&options.issuer, rules.issuers.is_empty()) {
        (Some(own), _) => match guard::issuers_in_force(rules, own, None) {
            Ok((issuers, _)) => issuers,
            Err(refusal) => {
                problems.push(refusal.message);
                BTreeSet::new()
            }
        },
        (None, false) => rules.issuers.iter().map(|(issuer, _)| issuer.clone()).collect(),
        (None, true) => {
            problems.push(format!(
                "class {:?} lists no issuer (oidc.issuers), so that its roles trust the cluster's own: give --issuer, the \
                 cluster's issuer URL",
                rules.name
            ));
            BTreeSet::new()
        }
    }
}

/// ARNs under which a class's roles are made. A name that the class gives is used as it is, without the prefix.
fn role_patterns(
    class: &Class<'_>,
    home: &Home,
    options: &Options,
    role_names: &BTreeSet<String>,
) -> BTreeSet<String> {
    let path = fill(&class.rules.path_template, options);
    let prefix = fill(&class.rules.name_prefix, options);
    let arn = |name: &str| format!("arn:{}:iam::{}:role{path}{name}", home.partition, home.account);
    let mut patterns = BTreeSet::from([arn(&format!("{}*", prefix.trim_end_matches('*')))]);
    let outside = role_names.iter().filter(|name| !name.starts_with(&prefix));
    patterns.extend(outside.map(|name| arn(name)));
    patterns
}

/// `{cluster}` is known; `{namespace}` stands for any.
fn fill(template: &str, options: &Options) -> String {
    template
        .replace("{cluster}", &options.cluster_name)
        .replace("{namespace}", "*")
}

fn filled(templates: &[String], options: &Options) -> BTreeSet<String> {
    templates.iter().map(|template| fill(template, options)).collect()
}

fn merge(reach: &mut Reach, other: Reach) {
    let Reach {
        account: _,
        partition: _,
        assumed,
        places,
        adoptable,
        providers,
        trusted,
        former_cluster_uids,
    } = other;
    for (place, limits) in places {
        reach.places.entry(place).or_default().join(&limits);
    }
    for (arn, limits) in adoptable {
        reach.adoptable.entry(arn).or_default().join(&limits);
    }
    reach.providers.extend(providers);
    for (arn, trusted) in trusted {
        let there = reach.trusted.entry(arn).or_default();
        there.issuers.extend(trusted.issuers);
        there.services.extend(trusted.services);
    }
    reach.former_cluster_uids.extend(former_cluster_uids);
    if let (Some(role), Some(assumed)) = (&mut reach.assumed, assumed) {
        role.external_ids.extend(assumed.external_ids);
    }
}

fn has_external_id(reach: &Reach) -> bool {
    reach
        .assumed
        .as_ref()
        .is_some_and(|role| !role.external_ids.is_empty())
}

fn note_shared(places: &BTreeMap<(String, Limits), Vec<&str>>, notes: &mut Vec<String>) {
    let mut classes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for ((place, _), names) in places {
        classes.entry(place).or_default().extend(names);
    }
    for (place, names) in classes {
        let differ = places.keys().filter(|(other, _)| other == place).count() > 1;
        if differ {
            notes.push(format!(
                "the classes {} share {place}, so IAM can't tell their roles apart: what one of them allows (boundaries, \
                 also none; policies) is allowed for the roles of all. Give each a roles.path of its own to keep them \
                 apart",
                names.join(", ")
            ));
        }
    }
}

/// What follows `role/` in the ARN of a place.
fn path_and_name(place: &str) -> &str {
    place.split_once(":role/").map_or(place, |(_, rest)| rest)
}

/// A place that begins with what any namespace may be called is the place of other people's roles too.
fn note_open(reach: &Reach, notes: &mut Vec<String>) {
    for place in reach.places.keys() {
        let resource = path_and_name(place);
        if resource != "*" && resource.starts_with(['*', '?']) {
            notes.push(format!(
                "{place} takes in roles that aren't the operator's: one among them without an ownership tag could be claimed \
                 by a stolen operator, with all that it may do; begin roles.path (or roles.namePrefix, where the path is /) \
                 with a word of its own"
            ));
        }
    }
}

/// An operator that may write its own role may do anything. Where its roles may be anywhere, its own is among them.
fn keep_itself_out(reach: &Reach, options: &Options, problems: &mut Vec<String>) {
    for place in reach.places.keys().filter(|place| path_and_name(place) == "*") {
        problems.push(format!(
            "{place} is every role of the account, the operator's own and its administrators' among them, so that whoever \
             has the operator could have any right; write a roles.path, or a roles.namePrefix where the path is /"
        ));
    }
    let own = options
        .operator_roles
        .iter()
        .chain(reach.assumed.iter().map(|role| &role.arn));
    for role in own {
        for pattern in reach.roles() {
            if matches(&pattern, &role.to_string()) {
                problems.push(format!(
                    "the operator's own role {role} is among the roles that it would manage ({pattern}), so that it could \
                     give itself any right; keep it outside of roles.path and allow.adopt"
                ));
            }
        }
    }
}

/// Whether an ARN is of a pattern: `*` stands for any characters, also none, and `?` for one (IAM user guide, "IAM
/// JSON policy elements: Resource").
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Whether what was read of the pattern so far stands for the first so many characters of the text.
    let mut stands = vec![false; text.len() + 1];
    if let Some(none) = stands.first_mut() {
        *none = true;
    }
    for wanted in pattern {
        let mut next = vec![false; text.len() + 1];
        let mut reached = false;
        for (length, is_stood_for) in stands.iter().enumerate() {
            reached |= is_stood_for;
            if wanted == '*' {
                if let Some(here) = next.get_mut(length) {
                    *here = reached;
                }
            } else if *is_stood_for
                && text.get(length).is_some_and(|c| wanted == '?' || wanted == *c)
                && let Some(after) = next.get_mut(length + 1)
            {
                *after = true;
            }
        }
        stands = next;
    }
    stands.last() == Some(&true)
}
