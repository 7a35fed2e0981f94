//! The organization's policies: everybody else is kept off, the operator isn't, and nobody gets in by another issuer.

use mlservicerole_operator::iam::tags;
use mlservicerole_operator::permissions::{resource_control_policies, service_control_policies};
use serde_json::{Value, json};

use crate::evaluator::{Decision, Request, decide};
use crate::made::{ISSUER, LEGACY, Maker, bounded, make, options};

const OPERATOR: &str = "arn:aws:iam::111122223333:role/mlservicerole-operator";
const ADMIN_ROLE: &str = "arn:aws:iam::111122223333:role/admin";
const OURS: &str = "arn:aws:iam::111122223333:role/mlservicerole/prod/team-a/team-a-trainer-abc";
const OUTSIDE: &str = "arn:aws:iam::111122223333:role/other";

/// The policy beside the one that allows everything, which every account has.
fn with(maker: Maker, class: &Value) -> Vec<Value> {
    let mut options = options();
    options.operator_roles = vec![OPERATOR.parse().unwrap()];
    let made = make(maker, &[("ml", class.clone())], &options).unwrap();
    assert_eq!((made.policies.len(), made.notes.as_slice()), (1, &[][..]));
    let everything = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "FullAccess", "Effect": "Allow", "Action": "*", "Resource": "*"},
    ]});
    vec![everything, made.policies[0].document()]
}

fn by(caller: &str, action: &str, arn: &str) -> Request {
    Request::new(action, arn).with("aws:PrincipalArn", caller)
}

#[test]
fn only_the_operator_writes_under_its_path_and_sets_its_tags() {
    let policies = with(service_control_policies, &bounded());
    let tagged = |action: &str, caller: &str, key: &str| by(caller, action, OUTSIDE).with("aws:TagKeys", key);
    let adopted = |caller: &str| {
        by(caller, "iam:DeleteRole", LEGACY).with("aws:ResourceTag/mlservicerole.io/cluster", "prod")
    };
    for (what, request, allowed) in [
        (
            "the operator makes a role",
            by(OPERATOR, "iam:CreateRole", OURS),
            true,
        ),
        (
            "an admin makes a role there",
            by(ADMIN_ROLE, "iam:CreateRole", OURS),
            false,
        ),
        (
            "an admin attaches there",
            by(ADMIN_ROLE, "iam:AttachRolePolicy", OURS),
            false,
        ),
        (
            "an admin lets somebody in there",
            by(ADMIN_ROLE, "iam:UpdateAssumeRolePolicy", OURS),
            false,
        ),
        (
            "an admin removes a boundary there",
            by(ADMIN_ROLE, "iam:DeleteRolePermissionsBoundary", OURS),
            false,
        ),
        ("an admin looks", by(ADMIN_ROLE, "iam:GetRole", OURS), true),
        (
            "an admin makes a role elsewhere",
            by(ADMIN_ROLE, "iam:CreateRole", OUTSIDE),
            true,
        ),
        (
            "an admin sets our tag elsewhere",
            tagged("iam:TagRole", ADMIN_ROLE, tags::CLUSTER),
            false,
        ),
        (
            "in capitals",
            tagged("iam:TagRole", ADMIN_ROLE, "MLSERVICEROLE.IO/CLUSTER"),
            false,
        ),
        (
            "an admin makes a role with our tag",
            tagged("iam:CreateRole", ADMIN_ROLE, tags::UID),
            false,
        ),
        (
            "an admin takes our tag off",
            tagged("iam:UntagRole", ADMIN_ROLE, tags::ADOPTED),
            false,
        ),
        (
            "an admin marks a role as left behind",
            tagged("iam:TagRole", ADMIN_ROLE, tags::RETAINED),
            false,
        ),
        (
            "an admin sets another tag",
            tagged("iam:TagRole", ADMIN_ROLE, "team"),
            true,
        ),
        (
            "the operator sets its tag",
            tagged("iam:TagRole", OPERATOR, tags::CLUSTER),
            true,
        ),
        ("an admin deletes an adopted role", adopted(ADMIN_ROLE), false),
        ("the operator deletes one", adopted(OPERATOR), true),
        (
            "an admin deletes a role that was given back",
            adopted(ADMIN_ROLE).with("aws:ResourceTag/mlservicerole.io/retained", "true"),
            true,
        ),
        (
            "or one that was given back and had no room for the mark",
            adopted(ADMIN_ROLE).with("aws:ResourceTag/mlservicerole.io/uid", tags::RETAINED_UID),
            true,
        ),
        (
            "an admin changes a role before it is adopted",
            by(ADMIN_ROLE, "iam:UpdateRole", LEGACY),
            true,
        ),
        (
            "an admin uses another service",
            by(ADMIN_ROLE, "s3:GetObject", "arn:aws:s3:::b/k"),
            true,
        ),
    ] {
        assert_eq!(
            decide(&policies, &request) == Decision::Allowed,
            allowed,
            "{what}"
        );
    }
}

#[test]
fn the_role_that_is_assumed_in_another_account_is_spared_too() {
    let mut class = bounded();
    class["aws"] = json!({"assumeRole": {"arn": "arn:aws:iam::222233334444:role/operator"}});
    class["roles"]["permissionsBoundary"] = json!({"none": {}});
    class["allow"].as_object_mut().unwrap().remove("adopt");
    let policies = with(service_control_policies, &class);
    let there = "arn:aws:iam::222233334444:role/mlservicerole/prod/team-a/x";
    for (caller, allowed) in [
        ("arn:aws:iam::222233334444:role/operator", true),
        (ADMIN_ROLE, false),
    ] {
        let request = by(caller, "iam:CreateRole", there);
        assert_eq!(
            decide(&policies, &request) == Decision::Allowed,
            allowed,
            "{caller}"
        );
    }
}

fn token(issuer: &str, role: &str) -> Request {
    let key = format!("{}:sub", issuer.trim_start_matches("https://"));
    Request::new("sts:AssumeRoleWithWebIdentity", role).with(&key, "system:serviceaccount:team-a:trainer")
}

#[test]
fn roles_are_taken_by_tokens_of_the_listed_issuers_only() {
    let policies = with(resource_control_policies, &bounded());
    let assume = |action: &str, role: &str| by(ADMIN_ROLE, action, role);
    for (what, request, allowed) in [
        ("a token of this cluster's", token(ISSUER, OURS), true),
        (
            "a token of another's",
            token("https://oidc.eks.us-east-1.amazonaws.com/id/OTHER", OURS),
            false,
        ),
        (
            "a token of an issuer that begins alike",
            token(&format!("{ISSUER}2"), OURS),
            false,
        ),
        (
            "a token of GitHub's",
            token("https://token.actions.githubusercontent.com", OURS),
            false,
        ),
        (
            "another's for another role",
            token("https://token.actions.githubusercontent.com", OUTSIDE),
            true,
        ),
        ("a role of the account", assume("sts:AssumeRole", OURS), false),
        ("a SAML user", assume("sts:AssumeRoleWithSAML", OURS), false),
        (
            "a service, which no class trusts",
            Request::new("sts:AssumeRole", OURS).with("aws:PrincipalIsAWSService", "true"),
            false,
        ),
        ("another role", assume("sts:AssumeRole", OUTSIDE), true),
    ] {
        assert_eq!(
            decide(&policies, &request) == Decision::Allowed,
            allowed,
            "{what}"
        );
    }
}

fn service(role: &str, names: &[&str]) -> Request {
    let request = Request::new("sts:AssumeRole", role).with("aws:PrincipalIsAWSService", "true");
    names.iter().fold(request, |request, name| {
        request.with("aws:PrincipalServiceNamesList", name)
    })
}

#[test]
fn of_awss_services_only_those_take_roles_that_a_class_trusts() {
    let mut class = bounded();
    class["allow"]["trustedServices"] = json!(["sagemaker.amazonaws.com", "states.us-east-1.amazonaws.com"]);
    let policies = with(resource_control_policies, &class);
    for (what, request, allowed) in [
        ("one", service(OURS, &["sagemaker.amazonaws.com"]), true),
        (
            "one by its region's name",
            service(OURS, &["states.amazonaws.com", "states.us-east-1.amazonaws.com"]),
            true,
        ),
        ("another", service(OURS, &["lambda.amazonaws.com"]), false),
        (
            "another of many names",
            service(OURS, &["ec2.amazonaws.com", "ec2.us-east-1.amazonaws.com"]),
            false,
        ),
        ("one without a name", service(OURS, &[]), false),
        (
            "another on a role outside",
            service(OUTSIDE, &["lambda.amazonaws.com"]),
            true,
        ),
        (
            "a person",
            by(ADMIN_ROLE, "sts:AssumeRole", OURS).with("aws:PrincipalIsAWSService", "false"),
            false,
        ),
        ("an unknown", by(ADMIN_ROLE, "sts:AssumeRole", OURS), false),
    ] {
        assert_eq!(
            decide(&policies, &request) == Decision::Allowed,
            allowed,
            "{what}"
        );
    }
}

#[test]
fn the_services_that_one_class_trusts_do_not_take_another_classs_roles() {
    let mut with_services = bounded();
    with_services["roles"]["path"] = json!("/served/{cluster}/{namespace}/");
    with_services["allow"]["trustedServices"] = json!(["sagemaker.amazonaws.com"]);
    let mut options = options();
    options.operator_roles = vec![OPERATOR.parse().unwrap()];
    let classes = [("served", with_services), ("ml", bounded())];
    let made = make(resource_control_policies, &classes, &options).unwrap();
    let everything = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "FullAccess", "Effect": "Allow", "Action": "*", "Resource": "*"},
    ]});
    let mut policies = vec![everything];
    policies.extend(made.policies.iter().map(|policy| policy.document()));
    let served = "arn:aws:iam::111122223333:role/served/prod/team-a/x";
    for (role, allowed) in [(served, true), (OURS, false)] {
        let request = service(role, &["sagemaker.amazonaws.com"]);
        assert_eq!(
            decide(&policies, &request) == Decision::Allowed,
            allowed,
            "{role}"
        );
    }
}

#[test]
fn adopted_roles_are_guarded_like_the_others_until_they_are_left_behind() {
    let mut class = bounded();
    class["allow"]["trustedServices"] = json!(["sagemaker.amazonaws.com"]);
    let policies = with(resource_control_policies, &class);
    let adopted = |request: Request| request.with("aws:ResourceTag/mlservicerole.io/cluster", "prod");
    let other = "https://token.actions.githubusercontent.com";
    for (what, request, allowed) in [
        ("a token of this cluster's", adopted(token(ISSUER, LEGACY)), true),
        ("a token of another's", adopted(token(other, LEGACY)), false),
        (
            "a role of the account",
            adopted(by(ADMIN_ROLE, "sts:AssumeRole", LEGACY)),
            false,
        ),
        (
            "a SAML user",
            adopted(by(ADMIN_ROLE, "sts:AssumeRoleWithSAML", LEGACY)),
            false,
        ),
        (
            "a service that a class trusts",
            adopted(service(LEGACY, &["sagemaker.amazonaws.com"])),
            true,
        ),
        (
            "a service that no class trusts",
            adopted(service(LEGACY, &["ec2.amazonaws.com"])),
            false,
        ),
        (
            "whoever takes it before it is adopted",
            by(ADMIN_ROLE, "sts:AssumeRole", LEGACY),
            true,
        ),
        (
            "whoever takes one of another cluster's",
            by(ADMIN_ROLE, "sts:AssumeRole", LEGACY)
                .with("aws:ResourceTag/mlservicerole.io/cluster", "staging"),
            true,
        ),
        (
            "whoever takes it after it was given back",
            adopted(by(ADMIN_ROLE, "sts:AssumeRole", LEGACY))
                .with("aws:ResourceTag/mlservicerole.io/retained", "true"),
            true,
        ),
        (
            "whoever takes one that had no room for the mark",
            adopted(by(ADMIN_ROLE, "sts:AssumeRole", LEGACY))
                .with("aws:ResourceTag/mlservicerole.io/uid", tags::RETAINED_UID),
            true,
        ),
    ] {
        assert_eq!(
            decide(&policies, &request) == Decision::Allowed,
            allowed,
            "{what}"
        );
    }
}

#[test]
fn every_listed_issuer_counts() {
    let mut class = bounded();
    class["oidc"] = json!({"issuers": [
        {"url": ISSUER},
        {"url": "https://oidc.example.com/green", "trustSameNamespaces": true},
    ]});
    let policies = with(resource_control_policies, &class);
    for (issuer, allowed) in [
        (ISSUER, true),
        ("https://oidc.example.com/green", true),
        ("https://oidc.example.com/red", false),
    ] {
        let request = token(issuer, OURS);
        assert_eq!(
            decide(&policies, &request) == Decision::Allowed,
            allowed,
            "{issuer}"
        );
    }
}
