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
pub fn attempts() -> Vec<(&'static str, Request)> {
    let mut all = to_give();
    all.extend(to_take());
    all
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
            "attach to another cluster's role",
            attach(on("iam:AttachRolePolicy", THEIRS, "staging"), READ_ONLY),
        ),
        (
            "attach to a role outside",
            attach(on("iam:AttachRolePolicy", OUTSIDE, "prod"), READ_ONLY),
        ),
        (
            "attach to a role without tags",
            attach(untagged("iam:AttachRolePolicy", OURS), READ_ONLY),
        ),
        (
            "attach to the operator's own role",
            attach(on("iam:AttachRolePolicy", OPERATOR, "prod"), READ_ONLY),
        ),
        (
            "attach to a role that is not adopted yet",
            attach(untagged("iam:AttachRolePolicy", LEGACY), READ_ONLY),
        ),
        (
            "put an inline policy on a role without a boundary",
            unbound("iam:PutRolePolicy"),
        ),
        (
            "put an inline policy on a role with another boundary",
            on_role("iam:PutRolePolicy", OURS, &marks("prod"), Some(FORMER_BOUNDARY)),
        ),
        (
            "put an inline policy on another cluster's role",
            on("iam:PutRolePolicy", THEIRS, "staging"),
        ),
        (
            "put an inline policy on a role outside",
            on("iam:PutRolePolicy", OUTSIDE, "prod"),
        ),
        (
            "put an inline policy on the operator's own role",
            on("iam:PutRolePolicy", OPERATOR, "prod"),
        ),
        (
            "put an inline policy on a role that is not adopted yet",
            untagged("iam:PutRolePolicy", LEGACY),
        ),
        // Boundaries.
        ("remove a boundary", owned("iam:DeleteRolePermissionsBoundary")),
        (
            "remove the boundary of another cluster's role",
            on("iam:DeleteRolePermissionsBoundary", THEIRS, "staging"),
        ),
        (
            "remove the operator's own boundary",
            on("iam:DeleteRolePermissionsBoundary", OPERATOR, "prod"),
        ),
        ("set another boundary", bound(OURS, "prod", FORMER_BOUNDARY)),
        ("set a boundary that bounds nothing", bound(OURS, "prod", ADMIN)),
        (
            "set the boundary of another cluster's role",
            bound(THEIRS, "staging", BOUNDARY),
        ),
        (
            "set the boundary of a role outside",
            bound(OUTSIDE, "prod", BOUNDARY),
        ),
        (
            "set the operator's own boundary",
            bound(OPERATOR, "prod", BOUNDARY),
        ),
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
            "let others into another cluster's role",
            on("iam:UpdateAssumeRolePolicy", THEIRS, "staging"),
        ),
        (
            "let others into a role outside",
            on("iam:UpdateAssumeRolePolicy", OUTSIDE, "prod"),
        ),
        (
            "let others into the operator's own role",
            on("iam:UpdateAssumeRolePolicy", OPERATOR, "prod"),
        ),
        (
            "let others into a role that is not adopted yet",
            untagged("iam:UpdateAssumeRolePolicy", LEGACY),
        ),
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
        (
            "take tags off another cluster's role",
            on("iam:UntagRole", THEIRS, "staging").with("aws:TagKeys", "team"),
        ),
        (
            "take tags off a role outside",
            on("iam:UntagRole", OUTSIDE, "prod").with("aws:TagKeys", "team"),
        ),
        // Taking away from others.
        (
            "delete another cluster's role",
            on("iam:DeleteRole", THEIRS, "staging"),
        ),
        ("delete a role outside", on("iam:DeleteRole", OUTSIDE, "prod")),
        (
            "delete the operator's own role",
            on("iam:DeleteRole", OPERATOR, "prod"),
        ),
        ("delete a role without tags", untagged("iam:DeleteRole", OURS)),
        (
            "delete a role that is not adopted yet",
            untagged("iam:DeleteRole", LEGACY),
        ),
        (
            "delete a role that another cluster left behind",
            on_role("iam:DeleteRole", LEGACY, &left_behind("staging"), None),
        ),
        (
            "detach from another cluster's role",
            attach(on("iam:DetachRolePolicy", THEIRS, "staging"), READ_ONLY),
        ),
        (
            "detach from a role outside",
            attach(on("iam:DetachRolePolicy", OUTSIDE, "prod"), READ_ONLY),
        ),
        (
            "delete an inline policy of another cluster's role",
            on("iam:DeleteRolePolicy", THEIRS, "staging"),
        ),
        (
            "rename another cluster's role",
            on("iam:UpdateRole", THEIRS, "staging"),
        ),
        (
            "lengthen the sessions of a role outside",
            on("iam:UpdateRole", OUTSIDE, "prod"),
        ),
        (
            "change a role of the same name in another account",
            on("iam:UpdateRole", OTHER_ACCOUNT, "prod"),
        ),
        // Other people's things.
        (
            "put a role into an instance profile",
            plain("iam:AddRoleToInstanceProfile", profile),
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
