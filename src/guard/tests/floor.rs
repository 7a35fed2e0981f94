//! The built-in floor: its data, and what it keeps back whatever the class's other rules say.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fixtures::*;
use crate::guard::Refusal;
use crate::guard::floor::{FLOOR, POLICIES};

const PASSED: &str = "arn:aws:iam::111122223333:role/ml/exec";

/// A class whose rules let everything of some services through, so that only the floor is left.
fn class(consents: &[&str], roles: &[&str]) -> Value {
    let services = [
        "s3:*",
        "iam:*",
        "sts:*",
        "kms:*",
        "sagemaker:*",
        "lambda:*",
        "eks:*",
        "ecr:*",
    ];
    json!({"allow": {
        "inline": [{"actions": services, "resources": ["*"]}],
        "escalatingActions": consents, "passRoleArns": roles,
    }})
}

fn asked(class: &Value, statement: Value) -> Result<(), Refusal> {
    let document = json!({"Version": "2012-10-17", "Statement": [statement]});
    let spec = object(json!({"inlinePolicies": [{"name": "p", "document": document}]}));
    ask(&least_class(class), &spec)
}

fn allow(action: Value, resource: Value) -> Value {
    json!({"Sid": "Mine", "Effect": "Allow", "Action": action, "Resource": resource})
}

#[track_caller]
fn refused(class: &Value, statement: Value, reason: &str, words: &[&str]) {
    let refusal = asked(class, statement.clone()).expect_err(&statement.to_string());
    assert_eq!(refusal.reason, reason, "{}", refusal.message);
    for word in words {
        assert!(refusal.message.contains(word), "{word}: {}", refusal.message);
    }
}

#[test]
fn the_lists_can_be_read_and_each_entry_has_a_source() {
    let floor = FLOOR.as_ref().unwrap();
    let mut seen = BTreeSet::new();
    for entry in &floor.actions {
        assert!(floor.sources.contains_key(&entry.source), "{entry:?}");
        assert!(!entry.kind.is_empty(), "{entry:?}");
        assert!(
            seen.insert(entry.action.to_ascii_lowercase()),
            "{entry:?} is there twice"
        );
        let (service, name) = entry.action.split_once(':').unwrap();
        assert_eq!(service, service.to_ascii_lowercase());
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()), "{entry:?}");
    }
    assert!(floor.actions.len() > 1_000);
    let policies = POLICIES.as_ref().unwrap();
    assert!(policies.escalating.len() > 500);
    for (name, actions) in &policies.escalating {
        assert!(!policies.harmless.contains(name), "{name}");
        assert!(!actions.is_empty(), "{name}");
        for action in actions {
            assert!(seen.contains(&action.to_ascii_lowercase()), "{name}: {action}");
        }
    }
}

#[test]
fn every_action_of_the_floor_is_kept_back_in_whatever_case() {
    for entry in &FLOOR.as_ref().unwrap().actions {
        if entry.action == "iam:PassRole" {
            continue;
        }
        for written in [
            entry.action.clone(),
            entry.action.to_uppercase(),
            entry.action.to_lowercase(),
        ] {
            let (service, name) = written.split_once(':').unwrap();
            for action in [written.clone(), format!("{service}:{}?", &name[..name.len() - 1])] {
                let refusal = asked(&class(&[], &[]), allow(json!(action), json!("*"))).unwrap_err();
                assert_eq!(refusal.reason, "EscalationNotAllowed", "{action}");
                assert!(
                    refusal.message.contains(&entry.action),
                    "{action}: {}",
                    refusal.message
                );
            }
        }
    }
}

#[test]
fn what_everybody_names_first_is_on_the_list() {
    let listed: BTreeSet<&str> = FLOOR
        .as_ref()
        .unwrap()
        .actions
        .iter()
        .map(|e| e.action.as_str())
        .collect();
    for action in [
        "iam:CreatePolicyVersion",
        "iam:SetDefaultPolicyVersion",
        "iam:CreateAccessKey",
        "iam:CreateLoginProfile",
        "iam:UpdateLoginProfile",
        "iam:AttachRolePolicy",
        "iam:PutRolePolicy",
        "iam:UpdateAssumeRolePolicy",
        "iam:AddUserToGroup",
        "iam:CreateOpenIDConnectProvider",
        "iam:UpdateOpenIDConnectProviderThumbprint",
        "iam:AddClientIDToOpenIDConnectProvider",
        "iam:UpdateSAMLProvider",
        "iam:DeleteRolePermissionsBoundary",
        "iam:TagRole",
        "iam:UntagRole",
        "iam:CreateServiceLinkedRole",
        "iam:DeactivateMFADevice",
        "iam:PassRole",
        "sts:AssumeRole",
        "sts:AssumeRoleWithWebIdentity",
        "sts:GetFederationToken",
        "s3:PutBucketPolicy",
        "s3:PutBucketAcl",
        "s3:PutObjectAcl",
        "kms:PutKeyPolicy",
        "kms:CreateGrant",
        "kms:TagResource",
        "kms:UpdateAlias",
        "quicksight:CreateAdmin",
        "ds:CreateTrust",
        "ds:ShareDirectory",
        "lambda:AddPermission",
        "lambda:UpdateFunctionCode",
        "lambda:UpdateFunctionConfiguration",
        "ecr:SetRepositoryPolicy",
        "secretsmanager:PutResourcePolicy",
        "sqs:AddPermission",
        "sns:AddPermission",
        "eks:CreateAccessEntry",
        "eks:AssociateAccessPolicy",
        "eks:CreatePodIdentityAssociation",
        "eks:UpdatePodIdentityAssociation",
        "eks-auth:AssumeRoleForPodIdentity",
        "sagemaker:CreatePresignedNotebookInstanceUrl",
        "sagemaker:CreatePresignedDomainUrl",
        "sagemaker:UpdateNotebookInstanceLifecycleConfig",
        "codebuild:StartBuild",
        "glue:UpdateDevEndpoint",
        "glue:UpdateJob",
        "cloudformation:UpdateStack",
        "cloudformation:ExecuteChangeSet",
        "ec2:RunInstances",
        "ec2:ModifyInstanceAttribute",
        "ec2:CreateLaunchTemplateVersion",
        "ec2-instance-connect:SendSSHPublicKey",
        "ssm:SendCommand",
        "ssm:StartSession",
        "ecs:RunTask",
        "ecs:ExecuteCommand",
        "states:UpdateStateMachine",
        "batch:SubmitJob",
        "emr-containers:StartJobRun",
        "emr-serverless:StartJobRun",
        "elasticmapreduce:RunJobFlow",
        "datapipeline:PutPipelineDefinition",
        "apprunner:UpdateService",
        "bedrock-agentcore:InvokeCodeInterpreter",
        "bedrock-agentcore:StartCodeInterpreterSession",
        "cognito-identity:SetIdentityPoolRoles",
        "rolesanywhere:CreateTrustAnchor",
        "organizations:AttachPolicy",
        "sso:CreateAccountAssignment",
        "lakeformation:GrantPermissions",
        "aoss:UpdateAccessPolicy",
        "ram:CreateResourceShare",
    ] {
        assert!(listed.contains(action), "{action}");
    }
}

/// Actions that set a policy, and that AWS has no action of the same name to remove it for (service authorization reference,
/// 2026; setting another one is all there is).
const NEVER_REMOVED: [&str; 18] = [
    "cloudformation:SetStackPolicy",
    "entityresolution:PutPolicy",
    "imagebuilder:PutComponentPolicy",
    "imagebuilder:PutContainerRecipePolicy",
    "imagebuilder:PutImagePolicy",
    "imagebuilder:PutImageRecipePolicy",
    "kms:PutKeyPolicy",
    "logs:PutDestinationPolicy",
    "oam:PutSinkPolicy",
    "qbusiness:PutResourcePolicy",
    "route53profiles:PutProfilePolicy",
    "route53resolver:PutFirewallRuleGroupPolicy",
    "route53resolver:PutResolverQueryLogConfigPolicy",
    "route53resolver:PutResolverRulePolicy",
    "s3:PutMultiRegionAccessPointPolicy",
    "serverlessrepo:PutApplicationPolicy",
    "ssm-contacts:PutContactPolicy",
    "sso:PutPermissionsPolicy",
];

/// Who takes a resource's policy off takes its Denies off.
#[test]
fn what_sets_a_policy_has_its_removal_beside_it() {
    let floor = FLOOR.as_ref().unwrap();
    let listed: BTreeSet<&str> = floor.actions.iter().map(|e| e.action.as_str()).collect();
    let mut alone = BTreeSet::new();
    let mut looked_at = 0;
    for action in &listed {
        let (service, name) = action.split_once(':').unwrap();
        let verbs = ["Put", "Set", "Create"];
        let Some(what) = verbs.iter().find_map(|verb| name.strip_prefix(verb)) else {
            continue;
        };
        let is_policy = ["Policy", "PolicyStatement"]
            .iter()
            .any(|end| what.ends_with(end));
        if service == "iam" || !is_policy {
            continue;
        }
        looked_at += 1;
        if !listed.contains(format!("{service}:Delete{what}").as_str()) {
            alone.insert(*action);
        }
    }
    assert!(looked_at > 100, "{looked_at}");
    assert_eq!(alone, BTreeSet::from(NEVER_REMOVED));
}

/// The rule of the list (docs/classes.md), by examples of what it leaves out.
#[test]
fn what_the_rule_of_the_list_leaves_out_is_not_on_it() {
    let left_out = [
        // Calls something whose code and definition others have fixed: data goes in.
        "lambda:InvokeFunction",
        "states:StartExecution",
        "sagemaker:StartPipelineExecution",
        "sagemaker:InvokeEndpoint",
        "bedrock:InvokeAgent",
        "bedrock-agentcore:InvokeAgentRuntime",
        "events:PutEvents",
        // Reads what is kept to be read, secrets too: the rules' resources say which.
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
        "kms:Decrypt",
        "glue:GetConnection",
        // Gives what a grant names for the caller itself; making the grant is on the list.
        "s3:GetDataAccess",
        "lakeformation:GetDataAccess",
        "rds-db:connect",
        // Writes data, whoever may run it.
        "s3:PutObject",
        // Makes something that needs a role, which iam:PassRole keeps back.
        "sagemaker:CreateTrainingJob",
        "glue:CreateJob",
    ];
    let floor = FLOOR.as_ref().unwrap();
    let listed: BTreeSet<&str> = floor.actions.iter().map(|entry| entry.action.as_str()).collect();
    for action in left_out {
        assert!(!listed.contains(action), "{action}");
    }
    // Beside them, what looks alike and isn't: the caller says what runs, or takes another's credentials.
    for action in [
        "lambda:UpdateFunctionCode",
        "states:UpdateStateMachine",
        "sagemaker:UpdatePipeline",
        "codebuild:StartBuild",
        "codebuild:StartBuildBatch",
        "glue:StartJobRun",
        "ecs:RunTask",
        "batch:SubmitJob",
        "codecommit:GitPush",
        "ecr:PutImage",
        "redshift:GetClusterCredentials",
        "s3:CreateAccessGrant",
        "lakeformation:GrantPermissions",
    ] {
        assert!(listed.contains(action), "{action}");
    }
}

#[test]
fn the_widest_policies_of_aws_need_a_consent_of_their_own() {
    let policies = POLICIES.as_ref().unwrap();
    for name in [
        "AdministratorAccess",
        "PowerUserAccess",
        "IAMFullAccess",
        "AmazonSageMakerFullAccess",
        "AmazonS3FullAccess",
        "job-function/SystemAdministrator",
        "job-function/DatabaseAdministrator",
    ] {
        assert!(policies.escalating.contains_key(name), "{name}");
    }
}

#[test]
fn wildcards_that_take_in_the_floor_are_refused_with_what_they_take_in() {
    for (action, taken_in) in [
        ("s3:PutBucket*", "s3:PutBucketPolicy"),
        ("S3:putbucketPOLIC?", "s3:PutBucketPolicy"),
        ("iam:AttachR*", "iam:AttachRolePolicy"),
        ("sts:a*", "sts:AssumeRole"),
        ("kms:Cr?ateGrant", "kms:CreateGrant"),
        ("lambda:**n", "lambda:AddPermission"),
    ] {
        let refusal = asked(&class(&[], &[]), allow(json!(action), json!("*"))).unwrap_err();
        assert_eq!(refusal.reason, "EscalationNotAllowed");
        let place = "statement 1 (Sid \"Mine\"), Action";
        for words in [place, "allow.escalatingActions", "write only"] {
            assert!(refusal.message.contains(words), "{words}: {}", refusal.message);
        }
        let more = refusal.message.contains("more");
        assert!(
            more || refusal.message.contains(taken_in),
            "{action}: {}",
            refusal.message
        );
    }
    refused(
        &class(&[], &[]),
        allow(json!("*"), json!("*")),
        "EscalationNotAllowed",
        &["and 1", "more"],
    );
    asked(
        &class(&[], &[]),
        allow(json!(["s3:Get*", "s3:PutObject", "kms:Decrypt"]), json!("*")),
    )
    .unwrap();
}

#[test]
fn consents_are_exact_and_no_more() {
    let consented = class(&["KMS:creategrant"], &[]);
    asked(&consented, allow(json!("kms:CreateGrant"), json!("*"))).unwrap();
    asked(&consented, allow(json!("kms:CreateG*"), json!("*"))).unwrap();
    refused(
        &consented,
        allow(json!("kms:*"), json!("*")),
        "EscalationNotAllowed",
        &["kms:CreateAlias"],
    );
    // A rule must cover it as well.
    let no_rule = json!({"allow": {"escalatingActions": ["kms:CreateGrant"]}});
    refused(
        &no_rule,
        allow(json!("kms:CreateGrant"), json!("*")),
        "InlinePolicyNotAllowed",
        &["allow.inline"],
    );
}

#[test]
fn roles_are_passed_one_by_one() {
    let consented = class(&[], &[PASSED]);
    for action in ["iam:PassRole", "IAM:passrole", "iam:Pass*", "iam:PassRol?"] {
        asked(&consented, allow(json!(action), json!(PASSED))).unwrap();
        asked(&consented, allow(json!(action), json!([PASSED, PASSED]))).unwrap();
        for resource in [
            json!("*"),
            json!([PASSED, "*"]),
            json!("arn:aws:iam::111122223333:role/ml/*"),
            json!("arn:aws:iam::111122223333:role/ml/exe?"),
            json!("arn:aws:iam::111122223333:role/ml/${aws:username}"),
            json!("arn:aws:iam::111122223333:role/ML/exec"),
            json!("arn:aws:iam::111122223333:role/ml/other"),
            json!("arn:aws:iam::444455556666:role/ml/exec"),
            json!("arn:aws:iam::111122223333:role/ml/exec*"),
            json!("arn:aws:iam::111122223333:role/ml/exec "),
        ] {
            let words = ["Resource", "allow.passRoleArns", PASSED];
            refused(
                &consented,
                allow(json!(action), resource),
                "PassRoleNotAllowed",
                &words,
            );
        }
        refused(
            &class(&[], &[]),
            allow(json!(action), json!(PASSED)),
            "PassRoleNotAllowed",
            &["remove the action"],
        );
    }
    let all_but = json!({"Effect": "Allow", "Action": "iam:PassRole", "NotResource": PASSED});
    refused(&consented, all_but, "PassRoleNotAllowed", &["NotResource"]);
    asked(
        &consented,
        json!({"Effect": "Deny", "Action": "iam:*", "Resource": "*"}),
    )
    .unwrap();
}

#[test]
fn consents_that_are_no_consents_make_a_class_invalid() {
    for (consent, words) in [
        ("iam:PassRole", "allow.passRoleArns"),
        ("IAM:passrole", "allow.passRoleArns"),
        ("iam:*", "exact"),
        ("iam:Put?olePolicy", "exact"),
        ("*", "exact"),
        ("PutRolePolicy", "exact"),
        ("", "exact"),
        ("arn:aws:iam::aws:policy/*", "allow.escalatingActions"),
        ("arn:aws:iam::111122223333:policy/a", "needs no consent here"),
        ("arn:aws:iam::111122223333:role/a", "allow.escalatingActions"),
    ] {
        let refusal = class_refusal(&least_class(&class(&[consent], &[])));
        assert_eq!(refusal.reason, "InvalidSpec", "{}", refusal.message);
        assert!(refusal.message.contains(words), "{consent}: {}", refusal.message);
    }
    for role in [
        "*",
        "arn:aws:iam::111122223333:role/*",
        "role/a",
        "arn:aws:iam::111122223333:user/a",
    ] {
        let refusal = class_refusal(&least_class(&class(&[], &[role])));
        assert_eq!(refusal.reason, "InvalidSpec", "{}", refusal.message);
        assert!(
            refusal.message.contains("allow.passRoleArns"),
            "{role}: {}",
            refusal.message
        );
    }
}

/// Ways that need no `iam:PassRole`: what they change, open or read has a role, a certificate or a policy already.
#[test]
fn what_has_a_role_already_is_on_the_list() {
    let floor = FLOOR.as_ref().unwrap();
    for action in [
        // Own containers on an endpoint, which has a role (SageMaker API reference, CreateInferenceComponent).
        "sagemaker:CreateInferenceComponent",
        "sagemaker:UpdateInferenceComponent",
        // A knowledge base reads with its own role whatever its data sources name.
        "bedrock:CreateDataSource",
        "bedrock:UpdateDataSource",
        "bedrock-agentcore:InvokeAgentRuntimeForUser",
        "ecs:Poll",
        "deadline:CreateJob",
        "synthetics:StartCanaryDryRun",
        "airflow:InvokeRestApi",
        "athena:GetSessionEndpoint",
        "elasticmapreduce:CreateStudioPresignedUrl",
        // A certificate of a trust anchor's takes every role that the anchor's profiles have (IAM Roles Anywhere).
        "acm-pca:IssueCertificate",
        "account:AcceptPrimaryEmailUpdate",
        "kafka:PutClusterPolicy",
        "dsql:PutClusterPolicy",
        "qbusiness:PutResourcePolicy",
        "redshift:ModifyCluster",
        "elasticache:ModifyUser",
        "lambda:CreateMicrovmShellAuthToken",
    ] {
        assert!(
            floor.actions.iter().any(|entry| entry.action == action),
            "{action}"
        );
    }
}
