//! Policies of AWS Organizations around the operator's roles: one that keeps everybody else from its tags and its path
//! (a service control policy), and one that lets nobody take its roles but by tokens of the listed issuers, whatever
//! their trust policies say (a resource control policy).
//!
//! Neither holds in the organization's management account, nor against service-linked roles (AWS Organizations user
//! guide, "SCP evaluation" and "RCP evaluation").

use std::collections::{BTreeMap, BTreeSet};

use super::operator::ROLE_WRITES;
use super::pack::pack;
use super::policy::{Limit, Resources, Statement, Who};
use super::reach::{Limits, Reach, reaches};
use super::{Class, Options, Output, Problems};
use crate::iam::arn::Issuer;
use crate::iam::tags;

/// The ARN of the caller; that of the role for its sessions (IAM user guide, "AWS global condition context keys").
const CALLER: &str = "aws:PrincipalArn";
/// Whether an AWS service makes the call itself (the same).
const IS_SERVICE: &str = "aws:PrincipalIsAWSService";
/// All names of that service, those of its regions among them (the same: present where a service makes the call). Any of
/// them may be what a trust policy names.
const SERVICE_NAMES: &str = "aws:PrincipalServiceNamesList";

/// Keeps everybody but the operator from writing roles under its path, and its tags.
///
/// # Errors
///
/// What is missing; the operator's own role among it, else it would be kept away too.
pub fn service_control_policies(classes: &[Class<'_>], options: &Options) -> Result<Output, Problems> {
    let mut output = Output::default();
    let reaches = reaches(classes, options, &mut output.notes)?;
    let own = options.operator_roles.iter();
    let assumed = reaches.iter().filter_map(|reach| reach.assumed.as_ref());
    let operators: BTreeSet<String> = own
        .chain(assumed.map(|role| &role.arn))
        .map(ToString::to_string)
        .collect();
    let own_account = reaches.iter().any(|reach| reach.assumed.is_none());
    if own_account && options.operator_roles.is_empty() {
        return Err(Problems(vec![
            "the policy must spare the operator's own role: give --operator-role-arn".to_owned(),
        ]));
    }
    let but_the_operator =
        |statement: Statement| statement.when("ArnNotEquals", CALLER, operators.iter().cloned());
    let places = reaches.iter().flat_map(|reach| reach.places.keys().cloned());
    let marks = tags::OWNERSHIP.into_iter().chain([tags::ADOPTED, tags::RETAINED]);
    let mut statements = vec![
        but_the_operator(Statement::deny(
            "KeepOffThePath",
            "only the operator makes, changes and deletes roles under its path",
            &ROLE_WRITES,
            Resources::Only(places.collect()),
        )),
        but_the_operator(
            Statement::deny(
                "KeepOffTheTags",
                "only the operator sets and takes off the tags that say whose a role is; IAM compares their keys without \
                 regard to case",
                &["iam:CreateRole", "iam:TagRole", "iam:UntagRole"],
                Resources::all(),
            )
            .when("ForAnyValue:StringEqualsIgnoreCase", "aws:TagKeys", marks),
        ),
    ];
    let adoptable: BTreeSet<String> = reaches
        .iter()
        .flat_map(|reach| reach.adoptable.keys().cloned())
        .collect();
    if !adoptable.is_empty() {
        let adopted = Statement::deny(
            "KeepOffAdoptedRoles",
            "only the operator changes roles that it has taken over, until it has left them behind",
            &ROLE_WRITES,
            Resources::Only(adoptable),
        );
        statements.push(but_the_operator(while_adopted(adopted, options)));
    }
    let purpose = "a service control policy for the accounts that the roles live in";
    finish("scp", purpose, statements, output)
}

/// Only for roles that this cluster has taken over and not yet left behind. Of these tags STS tells too, for a role that is
/// taken (service authorization reference of AWS STS, resource type "role").
fn while_adopted(statement: Statement, options: &Options) -> Statement {
    statement
        .when(
            "StringEquals",
            format!("aws:ResourceTag/{}", tags::CLUSTER),
            [options.cluster_name.clone()],
        )
        .when(
            "StringNotEquals",
            format!("aws:ResourceTag/{}", tags::UID),
            [tags::RETAINED_UID],
        )
        .when("Null", format!("aws:ResourceTag/{}", tags::RETAINED), ["true"])
}

/// Lets the operator's roles be taken by tokens of the listed issuers only, and by the AWS services that a class trusts,
/// whatever their trust policies say. Adopted roles too, until they are left behind.
///
/// # Errors
///
/// What is missing.
pub fn resource_control_policies(classes: &[Class<'_>], options: &Options) -> Result<Output, Problems> {
    let mut output = Output::default();
    let reaches = reaches(classes, options, &mut output.notes)?;
    let made = entries(by_arn(&reaches, |reach| &reach.places));
    let adopted = entries(by_arn(&reaches, |reach| &reach.adoptable));
    let adopted = adopted
        .into_iter()
        .map(|statement| while_adopted(statement, options));
    let statements = made.into_iter().chain(adopted).collect();
    let purpose = "a resource control policy for the accounts that the roles live in";
    finish("rcp", purpose, statements, output)
}

/// What keeps everybody out of roles that none of their classes lets in. Where accounts or classes share ARNs, what any of
/// them trusts counts.
fn entries(arns: BTreeMap<String, Vec<&Reach>>) -> Vec<Statement> {
    let mut by_issuers: BTreeMap<BTreeSet<&Issuer>, BTreeSet<String>> = BTreeMap::new();
    let mut by_services: BTreeMap<BTreeSet<&String>, BTreeSet<String>> = BTreeMap::new();
    for (arn, reaches) in arns {
        let trusted = || reaches.iter().filter_map(|reach| reach.trusted.get(&arn));
        let issuers = trusted().flat_map(|trusted| &trusted.issuers).collect();
        let services = trusted().flat_map(|trusted| &trusted.services).collect();
        by_issuers.entry(issuers).or_default().insert(arn.clone());
        by_services.entry(services).or_default().insert(arn.clone());
    }
    let mut statements = Vec::new();
    for (issuers, roles) in by_issuers {
        let listed = Statement::deny(
            "OnlyListedIssuers",
            "a token of none of the listed issuers brings none of their subjects: nobody gets in by another issuer",
            &["sts:AssumeRoleWithWebIdentity"],
            Resources::Only(roles),
        )
        .of(Who::Everybody);
        let subjects = issuers
            .iter()
            .map(|issuer| format!("{}:sub", issuer.without_scheme()));
        statements.push(subjects.fold(listed, |statement, key| statement.when("Null", key, ["true"])));
    }
    for (services, roles) in by_services {
        let other = Statement::deny(
            "NoOtherWayIn",
            "no user and no role takes these roles; services do only where a class trusts them",
            &["sts:AssumeRole", "sts:AssumeRoleWithSAML"],
            Resources::Only(roles.clone()),
        )
        .of(Who::Everybody);
        if services.is_empty() {
            statements.push(other);
            continue;
        }
        statements.push(other.when("BoolIfExists", IS_SERVICE, ["false"]));
        let service = Statement::deny(
            "NoOtherService",
            "of AWS's services, those that the classes trust (allow.trustedServices), by any of their names",
            &["sts:AssumeRole"],
            Resources::Only(roles),
        )
        .of(Who::Everybody)
        .when("Bool", IS_SERVICE, ["true"])
        .when(
            "ForAllValues:StringNotEquals",
            SERVICE_NAMES,
            services.into_iter().cloned(),
        );
        statements.push(service);
    }
    statements
}

fn by_arn<'a>(
    reaches: &'a [Reach],
    of: impl Fn(&'a Reach) -> &'a BTreeMap<String, Limits>,
) -> BTreeMap<String, Vec<&'a Reach>> {
    let mut arns: BTreeMap<String, Vec<&Reach>> = BTreeMap::new();
    for reach in reaches {
        for arn in of(reach).keys() {
            arns.entry(arn.clone()).or_default().push(reach);
        }
    }
    arns
}

fn finish(
    name: &str,
    purpose: &str,
    statements: Vec<Statement>,
    mut output: Output,
) -> Result<Output, Problems> {
    let left_out = pack(name, purpose, Limit::OrganizationPolicy, statements, &mut output);
    if left_out.is_empty() {
        return Ok(output);
    }
    let sids: Vec<String> = left_out.into_iter().map(|statement| statement.sid).collect();
    Err(Problems(vec![format!(
        "{name}: {} alone has more than {} characters and can't be divided: name fewer issuers or operators, or make one \
         policy for each class",
        sids.join(", "),
        Limit::OrganizationPolicy.characters()
    )]))
}
