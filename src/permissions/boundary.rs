//! A permissions boundary for the tenants of classes: the most that a role of theirs can ever do, whatever is
//! attached to it. Made of what the classes can grant, of the ML services, and of what gains a principal more.
//!
//! A boundary is a second lock. It grants nothing, and it doesn't hold where a resource's own policy names the
//! role's session (IAM user guide, "Permissions boundaries for IAM entities", resource-based policies).

use std::collections::BTreeSet;

use super::escalation::{Denial, Weight, denials};
use super::pack::pack;
use super::policy::{Limit, Resources, Statement};
use super::reach::matches;
use super::services::{IAM_WRITES, MACHINE_LEARNING, SUPPORT};
use super::{Class, Options, Output, Problems};
use crate::api::class::{Allow, InlineRule};

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
    let mut allowed = allowed(classes, options);
    allowed.extend(passing(classes));
    let purpose = "a permissions boundary for the roles of the classes (roles.permissionsBoundary.arn)";
    let consented: BTreeSet<String> = specs(classes)
        .flat_map(|allow| allow.escalating_actions.iter().cloned())
        .collect();
    let rules: BTreeSet<String> = specs(classes)
        .flat_map(|allow| &allow.inline)
        .flat_map(|rule| rule.actions.iter().cloned())
        .collect();
    let denials = denials(&rules, &consented);
    // Where there isn't room for all, what matters least is left out, one by one.
    let ordered: Vec<&Denial> = denials.denials.iter().collect();
    let needed = ordered.partition_point(|denial| denial.weight == Weight::Gains);
    for count in (needed..=ordered.len()).rev() {
        let (denied, left_out) = ordered.split_at(count);
        let mut output = Output::default();
        let mut statements = allowed.clone();
        let mut deny = of_iam(classes, &consented, &mut output.notes);
        deny.actions
            .extend(denied.iter().map(|denial| denial.pattern.clone()));
        statements.push(deny);
        output
            .notes
            .extend(denials.consented.iter().map(|action| not_denied(action)));
        output.notes.extend(no_room_for(left_out));
        let too_large = pack("boundary", purpose, Limit::ManagedPolicy, statements, &mut output);
        if output.policies.len() == 1 && too_large.is_empty() {
            return Ok(output);
        }
    }
    Err(Problems(vec![format!(
        "the boundary doesn't fit into one managed policy ({} characters), and a role takes only one: give the classes \
         boundaries of their own, one by one, or write fewer inline rules",
        Limit::ManagedPolicy.characters()
    )]))
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

fn specs<'a>(classes: &'a [Class<'_>]) -> impl Iterator<Item = &'a Allow> {
    classes.iter().map(|class| &class.spec.allow)
}

/// What is left out for want of room.
fn no_room_for(left_out: &[&Denial]) -> Option<String> {
    let patterns: Vec<&str> = left_out.iter().map(|denial| denial.pattern.as_str()).collect();
    let what = match patterns.len() {
        0 => return None,
        1 => "one line".to_owned(),
        several => format!("{several} lines"),
    };
    Some(format!(
        "the boundary has no room to deny {what} of the guard's floor, which only the class keeps back then: {}; fewer inline \
         rules, or a boundary for each class, make room",
        patterns.join(", ")
    ))
}

fn not_denied(action: &str) -> String {
    format!("the boundary doesn't deny {action}, since a class consents to it (allow.escalatingActions)")
}

/// The statement that denies, with what it denies of IAM: all, unless a class consents to a part of it.
fn of_iam(classes: &[Class<'_>], consented: &BTreeSet<String>, notes: &mut Vec<String>) -> Statement {
    let deny = |actions: &[&str]| {
        Statement::deny(
            "NoMoreThanThis",
            "IAM itself, other roles, grants on keys, policies of resources, access to clusters, addresses that carry a \
             session, code that runs as another role: whatever would gain a role more than it has, or give others what it \
             has",
            actions,
            Resources::all(),
        )
    };
    let is =
        |pattern: &str, action: &str| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase());
    let is_consented = |action: &str| consented.iter().any(|pattern| is(pattern, action));
    let passes = !passable(classes).is_empty();
    let of_iam = |action: &&String| action.to_ascii_lowercase().starts_with("iam:");
    if !passes && !consented.iter().any(|action| of_iam(&action)) {
        return deny(&["iam:*"]);
    }
    notes.extend(consented.iter().filter(of_iam).map(|action| not_denied(action)));
    let mut denied: Vec<&str> = Vec::new();
    for pattern in IAM_WITHOUT_PASS_ROLE {
        if !consented
            .iter()
            .any(|action| is(pattern, action) || is(action, pattern))
        {
            denied.push(pattern);
            continue;
        }
        // One of many is consented to: the others are denied one by one.
        let others = IAM_WRITES.into_iter().filter(|action| matches(pattern, action));
        denied.extend(others.filter(|action| !is_consented(action)));
    }
    if !passes && !is_consented("iam:PassRole") {
        denied.push("iam:PassRole");
    }
    deny(&denied)
}
