//! The operator's own policy: the least that it needs to make, keep and delete the roles of the classes given, and to
//! take over those that they let be adopted.
//!
//! Every write is limited by ARN, and every write to a role that is there by the role's own ownership tag. What gives
//! a role permissions is limited by the boundary that the role has, or is to have.

use std::collections::BTreeSet;

use super::pack::pack;
use super::policy::{Limit, Policy, Resources, Statement, Who, set};
use super::reach::{Assumed, Limits, Reach, grouped, reaches};
use super::{Class, Options, Output, Problems};
use crate::iam::tags;

/// The condition key that tells the boundary of a role, or the one that a request gives it (service authorization
/// reference of IAM).
const BOUNDARY: &str = "iam:PermissionsBoundary";
/// The condition key that tells the policy that is attached.
const POLICY: &str = "iam:PolicyARN";

/// What is read. On everything, since IAM knows no path of a role that isn't there and would deny the read, and since
/// a role of the intended name may be anywhere.
const READS: [&str; 7] = [
    "iam:GetAccountSummary",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:ListRolePolicies",
    "iam:ListRoles",
];

/// What IAM offers for changing a role.
pub(super) const ROLE_WRITES: [&str; 9] = [
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRole*",
    "iam:DetachRolePolicy",
    "iam:PutRole*",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole*",
];

/// What the operator never does, whatever else its role is given.
const NEVER: [&str; 11] = [
    "iam:*AccessKey*",
    "iam:*ClientID*",
    "iam:*Group*",
    "iam:*SAMLProvider*",
    "iam:*User*",
    "iam:AddRoleToInstanceProfile",
    "iam:CreatePolicy*",
    "iam:DeletePolicy*",
    "iam:DeleteRolePermissionsBoundary",
    "iam:PassRole",
    "iam:SetDefaultPolicyVersion",
];

/// Writes of OIDC providers: whoever makes them decides whose tokens are believed. Reading them is needed.
const PROVIDER_WRITES: [&str; 3] = [
    "iam:CreateOpenIDConnectProvider",
    "iam:DeleteOpenIDConnectProvider",
    "iam:UpdateOpenIDConnectProviderThumbprint",
];

/// The policies that the operator's own role needs, and for each role that it assumes in another account what that
/// one needs and whom it trusts.
///
/// # Errors
///
/// What is missing or contradicts itself.
pub fn operator_policies(classes: &[Class<'_>], options: &Options) -> Result<Output, Problems> {
    let mut output = Output::default();
    let reaches = reaches(classes, options, &mut output.notes)?;
    let assumed: Vec<&Assumed> = reaches
        .iter()
        .filter_map(|reach| reach.assumed.as_ref())
        .collect();
    if !assumed.is_empty() && options.operator_roles.is_empty() {
        let roles: Vec<String> = assumed.iter().map(|role| role.arn.to_string()).collect();
        return Err(Problems(vec![format!(
            "{} must trust the operator's own role: give --operator-role-arn",
            roles.join(", ")
        )]));
    }
    let own = reaches.iter().find(|reach| reach.assumed.is_none());
    let mut statements = own.map(|reach| of_reach(reach, options)).unwrap_or_default();
    if !assumed.is_empty() {
        let arns = assumed.iter().map(|role| role.arn.to_string());
        statements.push(Statement::allow(
            "ReachOtherAccounts",
            "to work with the roles that the classes name for their accounts (aws.assumeRole)",
            &["sts:AssumeRole"],
            Resources::Only(set(arns)),
        ));
    }
    let purpose = "what the role that the operator runs as is allowed";
    add("operator", purpose, statements, &mut output);
    for reach in &reaches {
        let Some(role) = &reach.assumed else { continue };
        let name = format!("{}-{}", reach.account, role.arn.name());
        let purpose = format!(
            "what the role {} is allowed, which the operator assumes",
            role.arn
        );
        add(&name, &purpose, of_reach(reach, options), &mut output);
        output.policies.push(trust(&name, role, options));
    }
    output.notes.extend(reaches.iter().flat_map(wider_than_the_class));
    for policy in &output.policies {
        if policy.size() > policy.limit.characters() {
            output.notes.push(format!(
                "{} has {} characters, more than the {} that it may have by default: name fewer roles",
                policy.name,
                policy.size(),
                policy.limit.characters()
            ));
        }
    }
    Ok(output)
}

/// In a class `*` and `?` stand for no `/`; in IAM they do (IAM user guide, "IAM JSON policy elements: Condition
/// operators", ARN operators).
fn wider_than_the_class(reach: &Reach) -> Vec<String> {
    let limits = reach.places.values().chain(reach.adoptable.values());
    let globs: BTreeSet<&String> = limits
        .flat_map(|limits| &limits.policies)
        .filter(|arn| arn.contains(['*', '?']))
        .collect();
    let note = |glob: &String| {
        format!(
            "{glob}: in IAM * and ? stand for a / too, and in a class they don't, so that the operator may attach policies under \
             further paths that no class allows; keep such paths free of policies that give more, or list policies exactly"
        )
    };
    globs.into_iter().map(note).collect()
}

fn add(name: &str, purpose: &str, statements: Vec<Statement>, output: &mut Output) {
    for left_out in pack(name, purpose, Limit::ManagedPolicy, statements, output) {
        output.notes.push(format!(
            "{name}: the statement {} is left out, since it alone is too large and can't be divided; no other depends on \
             it, but what else is attached to the role isn't fenced in by it",
            left_out.sid
        ));
    }
}

fn of_reach(reach: &Reach, options: &Options) -> Vec<Statement> {
    let mut statements = reads(reach, options);
    statements.extend(creation(reach, options));
    statements.extend(tagging(reach, options));
    for (limits, roles) in reach.by_limits() {
        statements.extend(granting(&limits, roles, reach, options));
    }
    statements.extend(reducing(reach, options));
    statements.extend(fences(reach));
    statements
}

fn reads(reach: &Reach, options: &Options) -> Vec<Statement> {
    let mut read = Statement::allow(
        "Read",
        "to find drift, roles of others, and what fits; on everything, since IAM doesn't know the path of a role that \
         isn't there and would deny the read",
        &READS,
        Resources::all(),
    );
    if options.account_sweep {
        let sweep = "iam:GetAccountAuthorizationDetails".to_owned();
        read.actions.insert(sweep);
    }
    let mut statements = vec![read];
    let boundaries = reach.boundaries();
    if !boundaries.is_empty() {
        statements.push(Statement::allow(
            "ReadBoundaries",
            "whether the boundary of a class exists",
            &["iam:GetPolicy"],
            Resources::Only(boundaries),
        ));
    }
    statements.push(Statement::allow(
        "ReadIssuers",
        "whether the account trusts the issuers, with the right audience",
        &["iam:GetOpenIDConnectProvider"],
        Resources::Only(set(reach.providers.iter().map(ToString::to_string))),
    ));
    statements
}

fn creation(reach: &Reach, options: &Options) -> Vec<Statement> {
    let groups = grouped(&reach.places);
    let groups = groups.into_iter().map(|(limits, places)| {
        let create = Statement::allow(
            "Create",
            "roles are made under the path only, with the boundary and the ownership tag from their first moment",
            &["iam:CreateRole"],
            Resources::Only(places),
        );
        let create = asked_for(create, "StringEquals", options);
        bounded(create, "ArnEquals", limits.unbounded, &limits.made_with)
    });
    groups.collect()
}

/// Tags decide what else is allowed: a role that carries the ownership tag of this cluster can't be handed to another,
/// and one that carries another's can't be taken.
fn tagging(reach: &Reach, options: &Options) -> Vec<Statement> {
    let roles = || Resources::Only(reach.roles());
    let tag = |sid, why, roles| Statement::allow(sid, why, &["iam:TagRole"], roles);
    let owned_tag = tag(
        "TagOwned",
        "tags of the cluster's own roles, among them the mark of a role that is left behind; the ownership tag keeps its \
         value",
        roles(),
    );
    let unclaimed = tag(
        "TagUnclaimed",
        "the tags of a role that is being created, and the first claim on one that is nobody's; reserve the path, since \
         a role under it without the tag can be claimed",
        roles(),
    );
    let mut statements = vec![
        asked_for(owned(owned_tag, reach, options), "StringEqualsIfExists", options),
        asked_for(unclaimed, "StringEquals", options).when("Null", resource_tag(tags::CLUSTER), ["true"]),
    ];
    if !reach.adoptable.is_empty() {
        let adoptable = || Resources::Only(set(reach.adoptable.keys().cloned()));
        let why = "a role that another cluster left behind is nobody's, and may be claimed where a class lets it be \
                   adopted";
        let retained =
            tag("TagLeftBehind", why, adoptable()).when("Null", resource_tag(tags::RETAINED), ["false"]);
        let why = "the same, where the role had no room for the mark and carries it in place of a uid";
        let full = tag("TagLeftBehindFull", why, adoptable()).when(
            "StringEquals",
            resource_tag(tags::UID),
            [tags::RETAINED_UID],
        );
        statements.push(asked_for(retained, "StringEquals", options));
        statements.push(asked_for(full, "StringEquals", options));
    }
    statements
}

fn granting(limits: &Limits, roles: BTreeSet<String>, reach: &Reach, options: &Options) -> Vec<Statement> {
    let roles = || Resources::Only(roles.clone());
    let mut statements = Vec::new();
    if !limits.boundaries.is_empty() {
        let boundary = Statement::allow(
            "Bound",
            "the boundary can be put back, or be set on a role that is taken over; none but these",
            &["iam:PutRolePermissionsBoundary"],
            roles(),
        );
        let boundary = owned(boundary, reach, options);
        statements.push(boundary.when("ArnEquals", BOUNDARY, limits.boundaries.iter().cloned()));
    }
    let grant = Statement::allow(
        "Grant",
        "inline policies, on the cluster's own roles and within their boundary",
        &["iam:PutRolePolicy"],
        roles(),
    );
    let within = |statement, operator| bounded(statement, operator, limits.unbounded, &limits.boundaries);
    statements.push(within(owned(grant, reach, options), "ArnEquals"));
    if !limits.policies.is_empty() {
        let attach = Statement::allow(
            "Attach",
            "managed policies that the classes allow, and no others",
            &["iam:AttachRolePolicy"],
            roles(),
        )
        .when("ArnLike", POLICY, limits.policies.iter().cloned());
        statements.push(within(owned(attach, reach, options), "ArnEquals"));
    }
    let trust = Statement::allow(
        "Trust",
        "who may take a role; by itself, since sources disagree whether this request tells of the role's boundary",
        &["iam:UpdateAssumeRolePolicy"],
        roles(),
    );
    statements.push(within(owned(trust, reach, options), "ArnEqualsIfExists"));
    statements
}

fn reducing(reach: &Reach, options: &Options) -> Vec<Statement> {
    let reduce = Statement::allow(
        "Reduce",
        "what gives nobody more: taking policies and tags off the cluster's own roles, describing and deleting them",
        &[
            "iam:DeleteRole",
            "iam:DeleteRolePolicy",
            "iam:DetachRolePolicy",
            "iam:UntagRole",
            "iam:UpdateRole",
        ],
        Resources::Only(reach.roles()),
    );
    let mut statements = vec![owned(reduce, reach, options)];
    if !options.leave_instance_profiles {
        return statements;
    }
    let profiles = format!(
        "arn:{}:iam::{}:instance-profile/*",
        reach.partition, reach.account
    );
    statements.push(Statement::allow(
        "LeaveInstanceProfiles",
        "a role that is deleted is taken out of the instance profiles that somebody put it into; IAM tells here of the \
         profile only, not of the role, so that a stolen operator could take the roles off every node",
        &["iam:RemoveRoleFromInstanceProfile"],
        Resources::Only(set([profiles])),
    ));
    statements
}

/// These hold too where the operator's role is given more than this policy.
fn fences(reach: &Reach) -> Vec<Statement> {
    let kept = tags::OWNERSHIP.into_iter().chain([tags::ADOPTED]);
    let mut never: Vec<&str> = NEVER.to_vec();
    never.extend(PROVIDER_WRITES);
    vec![
        Statement::deny(
            "NeverDisown",
            "no ownership tag is ever taken off, in any case: IAM compares tag keys without regard to it",
            &["iam:UntagRole"],
            Resources::all(),
        )
        .when("ForAnyValue:StringEqualsIgnoreCase", "aws:TagKeys", kept),
        Statement::deny(
            "Never",
            "no boundary is ever taken off; policies, providers, users and groups are other people's",
            &never,
            Resources::all(),
        ),
        Statement::deny(
            "NeverElsewhere",
            "no role but these is ever changed, the operator's own among them",
            &ROLE_WRITES,
            Resources::AllExcept(reach.roles()),
        ),
    ]
}

fn trust(name: &str, role: &Assumed, options: &Options) -> Policy {
    let statement = Statement::allow(
        "Operator",
        "the operator's own role, and nobody else",
        &["sts:AssumeRole"],
        Resources::Holder,
    )
    .of(Who::Principals(set(options
        .operator_roles
        .iter()
        .map(ToString::to_string))))
    .when(
        "StringEquals",
        "sts:ExternalId",
        role.external_ids.iter().cloned(),
    );
    Policy {
        name: format!("{name}-trust"),
        purpose: format!("the trust policy of the role {}", role.arn),
        limit: Limit::TrustPolicy,
        statements: vec![statement],
    }
}

fn resource_tag(key: &str) -> String {
    format!("aws:ResourceTag/{key}")
}

/// Only on roles that carry this cluster's ownership tag.
fn owned(statement: Statement, reach: &Reach, options: &Options) -> Statement {
    let uids = options.cluster_uid.iter().cloned();
    let uids = uids.chain(
        reach
            .former_cluster_uids
            .iter()
            .filter(|_| options.cluster_uid.is_some())
            .cloned(),
    );
    statement
        .when(
            "StringEquals",
            resource_tag(tags::CLUSTER),
            [options.cluster_name.clone()],
        )
        .when("StringEquals", resource_tag(tags::CLUSTER_UID), uids)
}

/// Only where the request writes this cluster's ownership tag.
fn asked_for(statement: Statement, operator: &'static str, options: &Options) -> Statement {
    let request_tag = |key: &str| format!("aws:RequestTag/{key}");
    statement
        .when(
            operator,
            request_tag(tags::CLUSTER),
            [options.cluster_name.clone()],
        )
        .when(
            operator,
            request_tag(tags::CLUSTER_UID),
            options.cluster_uid.clone(),
        )
}

/// Only within a boundary, unless a class has none.
fn bounded(
    statement: Statement,
    operator: &'static str,
    is_unbounded: bool,
    boundaries: &BTreeSet<String>,
) -> Statement {
    if is_unbounded {
        return statement;
    }
    statement.when(operator, BOUNDARY, boundaries.iter().cloned())
}
