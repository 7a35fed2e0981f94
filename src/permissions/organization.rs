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
use super::reach::{Reach, reaches};
use super::{Class, Options, Output, Problems};
use crate::iam::arn::Issuer;
use crate::iam::tags;

/// The ARN of the caller; that of the role for its sessions (IAM user guide, "AWS global condition context keys").
const CALLER: &str = "aws:PrincipalArn";

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
        )
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
        .when("Null", format!("aws:ResourceTag/{}", tags::RETAINED), ["true"]);
        statements.push(but_the_operator(adopted));
    }
    let purpose = "a service control policy for the accounts that the roles live in";
    finish("scp", purpose, statements, output)
}

/// Lets the operator's roles be taken by tokens of the listed issuers only, and by AWS services where a class trusts
/// any, whatever their trust policies say.
///
/// # Errors
///
/// What is missing.
pub fn resource_control_policies(classes: &[Class<'_>], options: &Options) -> Result<Output, Problems> {
    let mut output = Output::default();
    let reaches = reaches(classes, options, &mut output.notes)?;
    let mut statements = Vec::new();
    for (places, issuers) in by_issuers(&reaches) {
        let listed = Statement::deny(
            "OnlyListedIssuers",
            "a token of none of the listed issuers brings none of their subjects: nobody gets in by another issuer",
            &["sts:AssumeRoleWithWebIdentity"],
            Resources::Only(places),
        )
        .of(Who::Everybody);
        let subjects = issuers
            .iter()
            .map(|issuer| format!("{}:sub", issuer.without_scheme()));
        statements.push(subjects.fold(listed, |statement, key| statement.when("Null", key, ["true"])));
    }
    for (trusts_services, places) in by_services(&reaches) {
        let other = Statement::deny(
            "NoOtherWayIn",
            "no user and no role takes these roles; services do only where a class trusts any",
            &["sts:AssumeRole", "sts:AssumeRoleWithSAML"],
            Resources::Only(places),
        )
        .of(Who::Everybody);
        statements.push(if trusts_services {
            other.when("BoolIfExists", "aws:PrincipalIsAWSService", ["false"])
        } else {
            other
        });
    }
    let purpose = "a resource control policy for the accounts that the roles live in";
    finish("rcp", purpose, statements, output)
}

/// Where roles live, together where they trust the same issuers. Where accounts or classes share a place, any of
/// their issuers counts.
fn by_issuers(reaches: &[Reach]) -> Vec<(BTreeSet<String>, BTreeSet<Issuer>)> {
    let mut groups: BTreeMap<BTreeSet<Issuer>, BTreeSet<String>> = BTreeMap::new();
    for (place, reaches) in by_place(reaches) {
        let providers = reaches.iter().flat_map(|reach| &reach.providers);
        let issuers = providers.map(|provider| provider.issuer().clone()).collect();
        groups.entry(issuers).or_default().insert(place);
    }
    groups
        .into_iter()
        .map(|(issuers, places)| (places, issuers))
        .collect()
}

fn by_services(reaches: &[Reach]) -> BTreeMap<bool, BTreeSet<String>> {
    let mut groups: BTreeMap<bool, BTreeSet<String>> = BTreeMap::new();
    for (place, reaches) in by_place(reaches) {
        let trusts = reaches.iter().any(|reach| !reach.services.is_empty());
        groups.entry(trusts).or_default().insert(place);
    }
    groups
}

fn by_place(reaches: &[Reach]) -> BTreeMap<String, Vec<&Reach>> {
    let mut places: BTreeMap<String, Vec<&Reach>> = BTreeMap::new();
    for reach in reaches {
        for place in reach.places.keys() {
            places.entry(place.clone()).or_default().push(reach);
        }
    }
    places
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
