//! The boundary for tenants: what ML workloads need passes, what would gain them more doesn't.

use mlservicerole_operator::iam::quota;
use mlservicerole_operator::permissions::boundary_policies;
use serde_json::{Value, json};

use crate::evaluator::{Decision, Request, decide};
use crate::made::{bounded, make, options};

fn boundary(allow: Value) -> (Vec<Value>, Vec<String>) {
    let mut class = bounded();
    class["allow"] = json!({"namespaces": {}});
    json_patch::merge(&mut class["allow"], &allow);
    let made = make(boundary_policies, &[("ml", class)], &options()).unwrap();
    let documents: Vec<Value> = made.policies.iter().map(|policy| policy.document()).collect();
    assert_eq!(documents.len(), 1);
    assert!(quota::size(&documents[0].to_string()) <= quota::MANAGED_POLICY_SIZE);
    (documents, made.notes)
}

fn allows(policies: &[Value], action: &str, resource: &str) -> bool {
    decide(policies, &Request::new(action, resource)) == Decision::Allowed
}

const ESCALATIONS: [&str; 20] = [
    "iam:CreateRole",
    "iam:PassRole",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:CreateAccessKey",
    "iam:PutUserPolicy",
    "iam:AcquireRole",
    "sts:AssumeRole",
    "kms:CreateGrant",
    "kms:PutKeyPolicy",
    "s3:PutBucketPolicy",
    "s3:PutBucketAcl",
    "s3:PutAccessPointPolicyForObjectLambda",
    "ecr:SetRepositoryPolicy",
    "lambda:AddPermission",
    "lambda:UpdateFunctionCode",
    "secretsmanager:PutResourcePolicy",
    "eks:CreateAccessEntry",
    "eks:CreatePodIdentityAssociation",
    "sagemaker:CreatePresignedNotebookInstanceUrl",
];

#[test]
fn workloads_pass_and_escalations_do_not_whatever_inline_policies_may_say() {
    let everything = json!({"inline": [{"actions": ["*"], "resources": ["*"]}]});
    for allow in [json!({}), everything] {
        let (policies, notes) = boundary(allow.clone());
        assert_eq!(notes, Vec::<String>::new());
        for action in [
            "sagemaker:InvokeEndpoint",
            "bedrock:InvokeModel",
            "s3:GetObject",
            "kms:Decrypt",
        ] {
            assert!(allows(&policies, action, "anything"), "{allow}: {action}");
        }
        for action in ESCALATIONS {
            assert!(!allows(&policies, action, "anything"), "{allow}: {action}");
        }
        let elsewhere = allows(&policies, "ec2:RunInstances", "anything");
        assert_eq!(
            elsewhere,
            allow != json!({}),
            "only where inline policies may say anything"
        );
    }
}
