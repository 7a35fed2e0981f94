//! What a stolen operator would try, one row an attempt. The policy is that of a class with a boundary, two policies
//! and one role to adopt.

use mlservicerole_operator::iam::tags;

use crate::evaluator::Request;
use crate::made::{ADMIN, BOUNDARY, FORMER_BOUNDARY, LEGACY, READ_ONLY};
use crate::policed::on_role;
use crate::requests::{
    OPERATOR, OTHER_ACCOUNT, OTHER_CLUSTER, OURS, OUTSIDE, THEIRS, Tags, attach, bound, create, left_behind,
    marks, on, owned, plain, tag, unbound, untag, untagged,
};

/// All of them.
pub fn attempts() -> Vec<(String, Request)> {
    let listed = to_give().into_iter().chain(to_take());
    let mut all: Vec<(String, Request)> = listed.map(|(name, request)| (name.to_owned(), request)).collect();
    all.extend(WRITES.iter().flat_map(|(what, action)| on_others(what, action)));
    all
}

/// What the operator does to roles of its own, once they are its own.
const WRITES: [(&str, &str); 10] = [
    ("attach to", "iam:AttachRolePolicy"),
    ("detach from", "iam:DetachRolePolicy"),
    ("put an inline policy on", "iam:PutRolePolicy"),
    ("delete an inline policy of", "iam:DeleteRolePolicy"),
    ("let others into", "iam:UpdateAssumeRolePolicy"),
    ("set the boundary of", "iam:PutRolePermissionsBoundary"),
    ("remove the boundary of", "iam:DeleteRolePermissionsBoundary"),
    ("change the description of", "iam:UpdateRole"),
    ("take tags off", "iam:UntagRole"),
    ("delete", "iam:DeleteRole"),
];

/// The same done to every other role.
fn on_others(what: &str, action: &str) -> Vec<(String, Request)> {
    [
        ("another cluster's role", on(action, THEIRS, "staging")),
        ("a role outside", on(action, OUTSIDE, "prod")),
        ("the operator's own role", on(action, OPERATOR, "prod")),
        ("a role of another account", on(action, OTHER_ACCOUNT, "prod")),
        ("a role without tags", untagged(action, OURS)),
        ("a role that is not adopted yet", untagged(action, LEGACY)),
    ]
    .map(|(whose, request)| {
        let request = match action {
            "iam:AttachRolePolicy" | "iam:DetachRolePolicy" => attach(request, READ_ONLY),
            "iam:UntagRole" => request.with("aws:TagKeys", "team"),
            _ => request,
        };
        (format!("{what} {whose}"), request)
    })
    .into()
}

/// To make roles, and to give them more.
fn to_give() -> Vec<(&'static str, Request)> {
    vec![
        // Making roles.
        (
            "create outside of the path",
            create(OUTSIDE, &marks("prod"), Some(BOUNDARY)),
        ),
        (
            "create under another cluster's path",
            create(OTHER_CLUSTER, &marks("prod"), Some(BOUNDARY)),
        ),
        (
            "create in another account",
            create(OTHER_ACCOUNT, &marks("prod"), Some(BOUNDARY)),
        ),
        (
            "create under a path that begins alike",
            create(
                "arn:aws:iam::111122223333:role/mlservicerole/production/a/x",
                &marks("prod"),
                Some(BOUNDARY),
            ),
        ),
        (
            "create without a namespace in the path",
            create(
                "arn:aws:iam::111122223333:role/mlservicerole/prod/x",
                &marks("prod"),
                Some(BOUNDARY),
            ),
        ),
        (
            "create with the path in another case",
            create(
                "arn:aws:iam::111122223333:role/MLServiceRole/prod/a/x",
                &marks("prod"),
                Some(BOUNDARY),
            ),
        ),
        ("create without a boundary", create(OURS, &marks("prod"), None)),
        (
            "create with another boundary",
            create(OURS, &marks("prod"), Some(FORMER_BOUNDARY)),
        ),
        (
            "create with a policy as boundary that is none",
            create(OURS, &marks("prod"), Some(ADMIN)),
        ),
        (
            "create with a boundary of another account",
            create(
                OURS,
                &marks("prod"),
                Some("arn:aws:iam::444455556666:policy/ml-workload-boundary"),
            ),
        ),
        (
            "create with a boundary that begins alike",
            create(
                OURS,
                &marks("prod"),
                Some("arn:aws:iam::111122223333:policy/ml-workload-boundary-2"),
            ),
        ),
        ("create without tags", create(OURS, &Tags::new(), Some(BOUNDARY))),
        (
            "create with another cluster's tag",
            create(OURS, &marks("staging"), Some(BOUNDARY)),
        ),
        (
            "create with the tag in another case of its value",
            create(OURS, &marks("PROD"), Some(BOUNDARY)),
        ),
        (
            "create the role that is to be adopted",
            create(LEGACY, &marks("prod"), Some(BOUNDARY)),
        ),
        // Giving roles permissions.
        (
            "attach AdministratorAccess",
            attach(owned("iam:AttachRolePolicy"), ADMIN),
        ),
        (
            "attach a policy of another partition",
            attach(
                owned("iam:AttachRolePolicy"),
                "arn:aws-cn:iam::aws:policy/AmazonSageMakerReadOnly",
            ),
        ),
        (
            "attach a policy of the same name of the account's own",
            attach(
                owned("iam:AttachRolePolicy"),
                "arn:aws:iam::111122223333:policy/AmazonSageMakerReadOnly",
            ),
        ),
        (
            "attach a policy whose name begins alike",
            attach(
                owned("iam:AttachRolePolicy"),
                "arn:aws:iam::aws:policy/AmazonSageMakerReadOnlyAccess",
            ),
        ),
        (
            "attach the full access",
            attach(
                owned("iam:AttachRolePolicy"),
                "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess",
            ),
        ),
        (
            "attach to a role without a boundary",
            attach(unbound("iam:AttachRolePolicy"), READ_ONLY),
        ),
        (
            "attach to a role with another boundary",
            attach(
                on_role(
                    "iam:AttachRolePolicy",
                    OURS,
                    &marks("prod"),
                    Some(FORMER_BOUNDARY),
                ),
                READ_ONLY,
            ),
        ),
        (
            "put an inline policy on a role without a boundary",
            unbound("iam:PutRolePolicy"),
        ),
        (
            "put an inline policy on a role with another boundary",
            on_role("iam:PutRolePolicy", OURS, &marks("prod"), Some(FORMER_BOUNDARY)),
        ),
        // Boundaries.
        ("remove a boundary", owned("iam:DeleteRolePermissionsBoundary")),
        ("set another boundary", bound(OURS, "prod", FORMER_BOUNDARY)),
        ("set a boundary that bounds nothing", bound(OURS, "prod", ADMIN)),
        (
            "change what the boundary says",
            plain("iam:CreatePolicyVersion", BOUNDARY),
        ),
        (
            "go back to an older version of the boundary",
            plain("iam:SetDefaultPolicyVersion", BOUNDARY),
        ),
        ("delete the boundary policy", plain("iam:DeletePolicy", BOUNDARY)),
        (
            "delete a version of it",
            plain("iam:DeletePolicyVersion", BOUNDARY),
        ),
        (
            "make a policy",
            plain("iam:CreatePolicy", "arn:aws:iam::111122223333:policy/mine"),
        ),
    ]
}

/// To let others in, to take over roles, and to do harm.
fn to_take() -> Vec<(&'static str, Request)> {
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE";
    let other_provider = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
    let user = "arn:aws:iam::111122223333:user/somebody";
    let group = "arn:aws:iam::111122223333:group/admins";
    let profile = "arn:aws:iam::111122223333:instance-profile/nodes";
    let claim = [(tags::CLUSTER, "prod")];
    vec![
        // Trust.
        (
            "let others into a role with another boundary",
            on_role(
                "iam:UpdateAssumeRolePolicy",
                OURS,
                &marks("prod"),
                Some(FORMER_BOUNDARY),
            ),
        ),
        (
            "make an OIDC provider",
            plain("iam:CreateOpenIDConnectProvider", other_provider),
        ),
        (
            "delete the OIDC provider",
            plain("iam:DeleteOpenIDConnectProvider", provider),
        ),
        (
            "change the provider's thumbprint",
            plain("iam:UpdateOpenIDConnectProviderThumbprint", provider),
        ),
        (
            "add an audience to the provider",
            plain("iam:AddClientIDToOpenIDConnectProvider", provider),
        ),
        (
            "remove an audience of the provider",
            plain("iam:RemoveClientIDFromOpenIDConnectProvider", provider),
        ),
        (
            "read another provider",
            plain("iam:GetOpenIDConnectProvider", other_provider),
        ),
        (
            "make a SAML provider",
            plain(
                "iam:CreateSAMLProvider",
                "arn:aws:iam::111122223333:saml-provider/mine",
            ),
        ),
        ("take one of the roles", plain("sts:AssumeRole", OURS)),
        ("take a role outside", plain("sts:AssumeRole", OUTSIDE)),
        (
            "pass one of the roles",
            owned("iam:PassRole").with("iam:PassedToService", "ec2.amazonaws.com"),
        ),
        ("pass a role outside", on("iam:PassRole", OUTSIDE, "prod")),
        // Tags.
        (
            "tag another cluster's role as ours",
            tag(THEIRS, &marks("staging"), &claim),
        ),
        (
            "tag another cluster's role with anything",
            tag(THEIRS, &marks("staging"), &[("team", "a")]),
        ),
        (
            "hand one of ours to another cluster",
            tag(OURS, &marks("prod"), &[(tags::CLUSTER, "staging")]),
        ),
        (
            "hand one of ours over with the key in another case",
            tag(OURS, &marks("prod"), &[("MLServiceRole.io/Cluster", "staging")]),
        ),
        ("tag a role outside as ours", tag(OUTSIDE, &Tags::new(), &claim)),
        (
            "tag the operator's own role as ours",
            tag(OPERATOR, &Tags::new(), &claim),
        ),
        (
            "tag a role of nobody's as another cluster's",
            tag(OURS, &Tags::new(), &[(tags::CLUSTER, "staging")]),
        ),
        (
            "tag a role of nobody's with anything",
            tag(LEGACY, &Tags::new(), &[("team", "a")]),
        ),
        (
            "claim another cluster's role that may be adopted",
            tag(LEGACY, &marks("staging"), &claim),
        ),
        (
            "mark another cluster's role as left behind",
            tag(LEGACY, &marks("staging"), &[(tags::RETAINED, "true")]),
        ),
        (
            "mark another cluster's role as left behind and claim it",
            tag(
                LEGACY,
                &marks("staging"),
                &[(tags::RETAINED, "true"), (tags::CLUSTER, "prod")],
            ),
        ),
        (
            "claim what another cluster left behind, where no class lets it be adopted",
            tag(THEIRS, &left_behind("staging"), &claim),
        ),
        (
            "tag what another cluster left behind without a claim",
            tag(LEGACY, &left_behind("staging"), &[("team", "a")]),
        ),
        ("take the tag of the cluster off", untag(tags::CLUSTER)),
        ("take it off in capitals", untag("MLSERVICEROLE.IO/CLUSTER")),
        ("take it off in mixed case", untag("mlServiceRole.io/Cluster")),
        ("take the cluster's uid off", untag(tags::CLUSTER_UID)),
        ("take the namespace off", untag(tags::NAMESPACE)),
        ("take the namespace's uid off", untag(tags::NAMESPACE_UID)),
        ("take the name off", untag(tags::NAME)),
        ("take the uid off", untag(tags::UID)),
        ("take the uid off in capitals", untag("MLSERVICEROLE.IO/UID")),
        ("forget that a role was adopted", untag(tags::ADOPTED)),
        (
            "take an ownership tag off together with another",
            untag("stray").with("aws:TagKeys", tags::CLUSTER),
        ),
        // Taking away from others.
        (
            "delete a role that another cluster left behind",
            on_role("iam:DeleteRole", LEGACY, &left_behind("staging"), None),
        ),
        // Other people's things.
        (
            "put a role into an instance profile",
            plain("iam:AddRoleToInstanceProfile", profile),
        ),
        (
            "take the role off all nodes of an instance profile",
            plain("iam:RemoveRoleFromInstanceProfile", profile),
        ),
        (
            "make an instance profile",
            plain("iam:CreateInstanceProfile", profile),
        ),
        (
            "delete an instance profile",
            plain("iam:DeleteInstanceProfile", profile),
        ),
        ("make a user", plain("iam:CreateUser", user)),
        ("make an access key", plain("iam:CreateAccessKey", user)),
        ("give a user a password", plain("iam:CreateLoginProfile", user)),
        (
            "attach a policy to a user",
            attach(plain("iam:AttachUserPolicy", user), ADMIN),
        ),
        ("put a policy on a user", plain("iam:PutUserPolicy", user)),
        ("join a group", plain("iam:AddUserToGroup", group)),
        (
            "attach a policy to a group",
            attach(plain("iam:AttachGroupPolicy", group), ADMIN),
        ),
        (
            "make a service-linked role",
            plain(
                "iam:CreateServiceLinkedRole",
                "arn:aws:iam::111122223333:role/aws-service-role/sagemaker.amazonaws.com/x",
            ),
        ),
        (
            "change the account's password policy",
            plain("iam:UpdateAccountPasswordPolicy", "*"),
        ),
        ("name the account", plain("iam:CreateAccountAlias", "*")),
        (
            "use another service",
            plain("s3:GetObject", "arn:aws:s3:::bucket/key"),
        ),
        (
            "let a pod have a role by EKS",
            plain(
                "eks:CreatePodIdentityAssociation",
                "arn:aws:eks:us-east-1:111122223333:cluster/prod",
            ),
        ),
    ]
}
