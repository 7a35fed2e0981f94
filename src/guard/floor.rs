//! The built-in floor: actions by which a role could raise its own rights, or that hand rights to somebody else. They
//! need the class's consent one by one, whatever its other rules say.
//!
//! The list is data, with a source for each entry: `escalating.json`. Which AWS-managed policies hold such actions is
//! computed from it: `escalating_policies.json`. The list is what is known, so it is a floor and no ceiling: a
//! permissions boundary stands under it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use super::class::is_pattern;
use super::inline;
use super::pattern::Pattern;
use super::violation::{Violation, quoted, some_of};
use crate::api::condition::reasons;
use crate::iam::arn::{PolicyArn, RoleArn};
use crate::iam::document::{Effect, PolicyDocument, Scope, Statement};

/// Passing a role has a consent of its own, which names the role.
const PASS_ROLE: &str = "iam:PassRole";

/// One action of the floor.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Escalating {
    /// As AWS writes it.
    pub(super) action: String,
    /// What it does, in a few words.
    pub(super) kind: String,
    /// Key of the list's sources.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "for those who read the list; tests hold each to a source"
        )
    )]
    pub(super) source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Floor {
    /// Where what is said of an action can be read.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "for those who read the list; tests hold each to a source"
        )
    )]
    pub(super) sources: BTreeMap<String, String>,
    pub(super) actions: Vec<Escalating>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policies {
    /// What follows `policy/` in the ARN, with a few of the actions.
    pub(super) escalating: BTreeMap<String, Vec<String>>,
    /// Policies whose names sound like rights over everything, and that hold no action of the floor.
    pub(super) harmless: BTreeSet<String>,
}

/// None where the list can't be read: then nothing at all is allowed. A test reads it.
pub(super) static FLOOR: LazyLock<Option<Floor>> =
    LazyLock::new(|| serde_json::from_str(include_str!("escalating.json")).ok());

pub(super) static POLICIES: LazyLock<Option<Policies>> =
    LazyLock::new(|| serde_json::from_str(include_str!("escalating_policies.json")).ok());

/// The floor's actions as AWS writes them, each with its kind: what it does, in a few words.
pub fn floor_actions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let actions = FLOOR.iter().flat_map(|floor| &floor.actions);
    actions.map(|escalating| (escalating.action.as_str(), escalating.kind.as_str()))
}

/// The floor's actions by service, both in lower case.
static BY_SERVICE: LazyLock<BTreeMap<String, Vec<(Pattern, &'static Escalating)>>> = LazyLock::new(|| {
    let mut services: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for escalating in FLOOR.iter().flat_map(|floor| &floor.actions) {
        let action = escalating.action.to_ascii_lowercase();
        let service = action.split(':').next().unwrap_or_default().to_owned();
        services
            .entry(service)
            .or_default()
            .push((Pattern::literal(&action), escalating));
    }
    services
});

/// What a class consents to of the floor.
#[derive(Clone, Debug, Default)]
pub struct Consents {
    /// In lower case.
    actions: BTreeSet<String>,
    policies: BTreeSet<PolicyArn>,
    pass_roles: BTreeSet<RoleArn>,
}

impl Consents {
    /// Reads `allow.escalatingActions` and `allow.passRoleArns`, or says all that is wrong with them, each with its
    /// field.
    pub(super) fn understand(
        escalating: &[String],
        pass_roles: &[String],
    ) -> Result<Self, Vec<(&'static str, String)>> {
        let mut consents = Consents::default();
        let mut wrong = Vec::new();
        for text in escalating {
            let field = "allow.escalatingActions";
            if text.starts_with("arn:") && is_pattern(text) {
                wrong.push((
                    field,
                    format!("{text} is a pattern, and consents are exact; write the ARN of each policy"),
                ));
            } else if text.starts_with("arn:") {
                match text.parse::<PolicyArn>() {
                    Ok(arn) if arn.is_aws_managed() => {
                        consents.policies.insert(arn);
                    }
                    Ok(arn) => wrong.push((
                        field,
                        format!(
                            "{arn} is a policy of an account's own, which needs no consent here; remove it (its content \
                             can be anything: list it in allow.managedPolicyArns only if you trust who writes it)"
                        ),
                    )),
                    Err(e) => wrong.push((field, e.to_string())),
                }
            } else if text.eq_ignore_ascii_case(PASS_ROLE) {
                wrong.push((
                    field,
                    format!("{PASS_ROLE} is consented to role by role; remove it, and list the roles in allow.passRoleArns"),
                ));
            } else if inline::action(text).is_none() || text.contains(['*', '?']) {
                wrong.push((
                    field,
                    format!(
                        "{} is neither one action, such as kms:CreateGrant, nor the ARN of an AWS-managed policy; consents \
                         are exact, so write each out",
                        quoted(text)
                    ),
                ));
            } else {
                consents.actions.insert(text.to_ascii_lowercase());
            }
        }
        for text in pass_roles {
            if is_pattern(text) {
                wrong.push((
                    "allow.passRoleArns",
                    format!("{text} is a pattern, and roles are passed one by one; write each exactly, without *, ?, {{ and }}"),
                ));
                continue;
            }
            match text.parse::<RoleArn>() {
                Ok(arn) => {
                    consents.pass_roles.insert(arn);
                }
                Err(e) => wrong.push((
                    "allow.passRoleArns",
                    format!("{e} (roles are listed exactly, without wildcards)"),
                )),
            }
        }
        match wrong.is_empty() {
            true => Ok(consents),
            false => Err(wrong),
        }
    }

    /// Roles that may be passed.
    pub fn pass_roles(&self) -> &BTreeSet<RoleArn> {
        &self.pass_roles
    }
}

/// Everything in a document's Allow statements that the floor keeps back. A NotAction is refused elsewhere.
pub(super) fn check(document: &PolicyDocument, consents: &Consents) -> Vec<Violation> {
    let mut found = Vec::new();
    for at in document.statements().iter().enumerate() {
        let (_, statement) = at;
        let Scope::Only(actions) = statement.action() else {
            continue;
        };
        if statement.effect() == Effect::Deny {
            continue;
        }
        for text in actions {
            let hits = hit_by(text);
            let refused: Vec<String> = hits
                .iter()
                .filter(|hit| {
                    hit.action != PASS_ROLE && !consents.actions.contains(&hit.action.to_ascii_lowercase())
                })
                .map(|hit| format!("{} ({})", hit.action, hit.kind))
                .collect();
            if FLOOR.is_none() || !refused.is_empty() {
                found.push(Violation::new(
                    reasons::ESCALATION_NOT_ALLOWED,
                    at,
                    "Action",
                    format!(
                        "{} takes in actions by which a role can raise its own rights or give rights away: {}; write only \
                         the actions that are needed, without those, or ask the platform admin to add each of them to \
                         allow.escalatingActions",
                        quoted(text),
                        some_of(&refused, 3)
                    ),
                ));
            }
            if hits.iter().any(|hit| hit.action == PASS_ROLE) {
                found.extend(passing(at, text, consents));
            }
        }
    }
    found
}

/// Roles may be passed only one by one.
fn passing(at: (usize, &Statement), action: &str, consents: &Consents) -> Option<Violation> {
    let is_listed = |text: &String| {
        text.parse::<RoleArn>()
            .is_ok_and(|arn| consents.pass_roles.contains(&arn))
    };
    let (element, strangers) = match at.1.resource() {
        Some(Scope::Only(resources)) => {
            let strangers = resources.iter().filter(|text| !is_listed(text));
            ("Resource", strangers.map(|text| quoted(text)).collect())
        }
        Some(Scope::AllExcept(_)) => ("NotResource", vec!["all roles but some".to_owned()]),
        None => ("Resource", vec!["no resource".to_owned()]),
    };
    if strangers.is_empty() {
        return None;
    }
    let listed: Vec<_> = consents.pass_roles.iter().collect();
    let remedy = match listed.is_empty() {
        true => "remove the action".to_owned(),
        false => format!("write one of the listed roles in full ({})", some_of(&listed, 3)),
    };
    Some(Violation::new(
        reasons::PASS_ROLE_NOT_ALLOWED,
        at,
        element,
        format!(
            "{} lets the role pass {} to an AWS service, which then acts with that role's rights; {remedy}, or ask the \
             platform admin to add the role's exact ARN to allow.passRoleArns",
            quoted(action),
            some_of(&strangers, 3)
        ),
    ))
}

/// The actions of the floor that a policy's text for an action takes in.
fn hit_by(text: &str) -> Vec<&'static Escalating> {
    if text == "*" {
        return FLOOR.iter().flat_map(|floor| &floor.actions).collect();
    }
    let service = text.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let pattern = Pattern::glob(text).in_lower_case();
    let of_service = BY_SERVICE.get(&service).into_iter().flatten();
    of_service
        .filter(|(action, _)| pattern.intersects(action))
        .map(|(_, escalating)| *escalating)
        .collect()
}

/// Why an AWS-managed policy needs a consent of its own that the class doesn't give; none where it needs none.
pub(super) fn unconsented(arn: &PolicyArn, consents: &Consents) -> Option<String> {
    if !arn.is_aws_managed() || consents.policies.contains(arn) {
        return None;
    }
    let Some(policies) = &*POLICIES else {
        return Some("the list of escalating policies can't be read".to_owned());
    };
    // Names differ without regard to case (IAM user guide, "IAM and AWS STS quotas"), so that another spelling is no
    // other policy.
    let path_and_name = arn.as_str().split(":policy/").nth(1).unwrap_or_default();
    let same = |other: &str| other.eq_ignore_ascii_case(path_and_name);
    if let Some((_, actions)) = policies.escalating.iter().find(|(other, _)| same(other)) {
        return Some(format!(
            "it holds actions by which a role can raise its own rights or give rights away, such as {}",
            actions.join(", ")
        ));
    }
    let name = path_and_name.rsplit('/').next().unwrap_or_default();
    let name = name.to_ascii_lowercase();
    let sounds_wide = name.contains("fullaccess")
        || name.contains("administrator")
        || name.starts_with("poweruser")
        || name.starts_with("iam");
    (sounds_wide && !policies.harmless.iter().any(|other| same(other))).then(|| {
        "its name sounds like wide rights, and this release of the operator doesn't know what it holds"
            .to_owned()
    })
}
