//! A permissions boundary for the tenants of classes: the most that a role of theirs can ever do, whatever is
//! attached to it. Made of what the classes can grant, of the ML services, and of what gains a principal more.
//!
//! A boundary is a second lock. It grants nothing, and it doesn't hold where a resource's own policy names the
//! role's session (IAM user guide, "Permissions boundaries for IAM entities", resource-based policies).

use std::collections::BTreeSet;

use super::pack::pack;
use super::policy::{Limit, Resources, Statement, set};
use super::reach::matches;
use super::services::{ESCALATING, IAM_WRITES, MACHINE_LEARNING, SUPPORT};
use super::{Class, Options, Output, Problems};
use crate::api::class::InlineRule;

/// Services that ML workloads hand a role to, where a class names none itself.
const PASSED_TO: [&str; 2] = ["bedrock.amazonaws.com", "sagemaker.amazonaws.com"];
/// All of IAM but `iam:PassRole`: what follows `iam:` begins with none of these otherwise.
const IAM_WITHOUT_PASS_ROLE: [&str; 26] = [
    "iam:A*", "iam:B*", "iam:C*", "iam:D*", "iam:E*", "iam:F*", "iam:G*", "iam:H*", "iam:I*", "iam:J*",
    "iam:K*", "iam:L*", "iam:M*", "iam:N*", "iam:O*", "iam:Pu*", "iam:Q*", "iam:R*", "iam:S*", "iam:T*",
    "iam:U*", "iam:V*", "iam:W*", "iam:X*", "iam:Y*", "iam:Z*",
];

/// The boundary that fits all of the classes.
///
/// # Errors
///
/// It doesn't fit into one managed policy, of which a role can have one only as its boundary.
pub fn boundary_policies(classes: &[Class<'_>], options: &Options) -> Result<Output, Problems> {
    if classes.is_empty() {
        return Err(Problems(vec![
            "there is no MlServiceRoleClass in the input".to_owned(),
        ]));
    }
    let mut output = Output::default();
    let mut statements = allowed(classes, options);
    statements.extend(passing(classes));
    statements.extend(denied(classes, &mut output.notes));
    let purpose = "a permissions boundary for the roles of the classes (roles.permissionsBoundary.arn)";
    let left_out = pack("boundary", purpose, Limit::ManagedPolicy, statements, &mut output);
    match output.policies.len() {
        1 if left_out.is_empty() => Ok(output),
        _ => Err(Problems(vec![format!(
            "the boundary doesn't fit into one managed policy ({} characters), and a role takes only one: give the classes \
             boundaries of their own, one by one, or write fewer inline rules",
            Limit::ManagedPolicy.characters()
        )])),
    }
}

fn allowed(classes: &[Class<'_>], options: &Options) -> Vec<Statement> {
    let rules = || classes.iter().flat_map(|class| &class.spec.allow.inline);
    let whole = rules()
        .any(|rule| has(&rule.actions, "*") && has(&rule.resources, "*") && rule.conditions.is_empty());
    if whole {
        let why = "a class lets inline policies say anything; what follows takes away what would gain more";
        return vec![Statement::allow("Anything", why, &["*"], Resources::all())];
    }
    let services = MACHINE_LEARNING.iter().map(|service| format!("{service}:*"));
    let mut base = Statement::allow(
        "MachineLearning",
        "ML services, and what workloads read and write beside; which of it a role gets, its policies say",
        &SUPPORT,
        Resources::all(),
    );
    base.actions.extend(services);
    let mut statements = vec![base];
    for rule in rules() {
        let statement = of_rule(rule, options);
        let covered = statements
            .first()
            .is_some_and(|base| is_covered(&statement.actions, &base.actions));
        if !covered && !statements.contains(&statement) {
            statements.push(statement);
        }
    }
    statements
}

fn has(list: &[String], text: &str) -> bool {
    list.iter().any(|item| item == text)
}

/// A class's rule for inline policies, for all namespaces at once. A condition with a placeholder is left out: what it
/// would be is decided for each namespace, and a boundary may be wider than that.
fn of_rule(rule: &InlineRule, options: &Options) -> Statement {
    let fill = |text: &String| {
        text.replace("{cluster}", &options.cluster_name)
            .replace("{namespace}", "*")
    };
    let mut statement = Statement::allow(
        "Inline",
        "what the classes let inline policies say (allow.inline)",
        &[],
        Resources::Only(rule.resources.iter().map(fill).collect()),
    );
    statement.actions = rule.actions.iter().cloned().collect();
    statement
}

/// Whether each action stands in a pattern of the other list. Actions are compared without case.
fn is_covered(actions: &BTreeSet<String>, by: &BTreeSet<String>) -> bool {
    actions.iter().all(|action| {
        by.iter()
            .any(|pattern| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
    })
}

fn passable(classes: &[Class<'_>]) -> BTreeSet<String> {
    classes
        .iter()
        .flat_map(|class| class.spec.allow.pass_role_arns.iter().cloned())
        .collect()
}

/// Services that roles may be handed to.
fn receivers(classes: &[Class<'_>]) -> BTreeSet<String> {
    let named = classes
        .iter()
        .flat_map(|class| class.spec.allow.trusted_services.iter().cloned());
    named.chain(PASSED_TO.map(str::to_owned)).collect()
}

fn passing(classes: &[Class<'_>]) -> Vec<Statement> {
    let arns = passable(classes);
    if arns.is_empty() {
        return vec![];
    }
    let allow = Statement::allow(
        "PassListedRoles",
        "roles that the classes let tenants pass (allow.passRoleArns), to ML services only",
        &["iam:PassRole"],
        Resources::Only(arns.clone()),
    )
    .when("StringEquals", "iam:PassedToService", receivers(classes));
    let others = Statement::deny(
        "PassNoOtherRole",
        "every other role",
        &["iam:PassRole"],
        Resources::AllExcept(arns),
    );
    let elsewhere = Statement::deny(
        "PassToNobodyElse",
        "every other service",
        &["iam:PassRole"],
        Resources::all(),
    )
    .when("StringNotEquals", "iam:PassedToService", receivers(classes));
    vec![allow, others, elsewhere]
}

fn denied(classes: &[Class<'_>], notes: &mut Vec<String>) -> Vec<Statement> {
    let consented: BTreeSet<&String> = classes
        .iter()
        .flat_map(|class| &class.spec.allow.escalating_actions)
        .collect();
    let is_consented = |action: &str| {
        consented
            .iter()
            .any(|pattern| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
    };
    let stays = |pattern: &str, notes: &mut Vec<String>| {
        let consent = consented.iter().find(|action| {
            let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
            matches(&pattern, &action) || matches(&action, &pattern)
        });
        if let Some(action) = consent {
            notes.push(format!(
                "the boundary doesn't deny {pattern}, since a class consents to {action} (allow.escalatingActions)"
            ));
        }
        consent.is_none()
    };
    let whole_iam = passable(classes).is_empty()
        && !consented
            .iter()
            .any(|action| action.to_ascii_lowercase().starts_with("iam:"));
    let mut iam: Vec<&str> = Vec::new();
    if whole_iam {
        iam.push("iam:*");
    } else {
        for pattern in IAM_WITHOUT_PASS_ROLE {
            if stays(pattern, notes) {
                iam.push(pattern);
            } else {
                // One of many is consented to: the others are denied one by one.
                let others = IAM_WRITES.into_iter().filter(|action| matches(pattern, action));
                iam.extend(others.filter(|action| !is_consented(action)));
            }
        }
        if passable(classes).is_empty() && !is_consented("iam:PassRole") {
            iam.push("iam:PassRole");
        }
    }
    let others: Vec<&str> = ESCALATING
        .into_iter()
        .filter(|pattern| stays(pattern, notes))
        .collect();
    let mut actions = set(iam);
    actions.extend(set(others));
    let mut deny = Statement::deny(
        "NoMoreThanThis",
        "IAM itself, other roles, grants on keys, policies of resources, access to clusters, addresses that carry a \
         session: whatever would gain a role more than it has, or give others what it has",
        &[],
        Resources::all(),
    );
    deny.actions = actions;
    vec![deny]
}
