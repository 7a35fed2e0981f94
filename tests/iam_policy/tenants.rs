//! The boundary for tenants: what ML workloads need passes, what would gain them more doesn't.

use mlservicerole_operator::iam::quota;
use mlservicerole_operator::permissions::{Class, boundary_policies};
use serde_json::{Value, json};

use crate::evaluator::{Decision, Request, decide};
use crate::made::{bounded, options, rules, spec};

fn boundary(allow: Value) -> (Vec<Value>, Vec<String>) {
    let mut class = bounded();
    class["allow"] = json!({"namespaces": {}});
    // The boundary is made of what is written; that the guard takes it is tried elsewhere.
    let rules = rules("ml", &class);
    json_patch::merge(&mut class["allow"], &allow);
    let spec = spec(&class);
    let class = Class {
        rules: &rules,
        spec: &spec,
    };
    let made = boundary_policies(&[class], &options()).unwrap();
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

fn floor() -> Vec<String> {
    let floor: Value = serde_json::from_str(include_str!("../../src/guard/escalating.json")).unwrap();
    let actions = floor["actions"].as_array().unwrap();
    actions
        .iter()
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect()
}

/// Also what only takes rights away: with a resource's policy goes what it denies.
#[test]
fn nothing_of_the_floor_is_within_the_boundary() {
    let (policies, notes) = boundary(json!({}));
    for action in floor() {
        assert!(!allows(&policies, &action, "anything"), "{action}");
    }
    assert_eq!(notes, Vec::<String>::new());
    let size = quota::size(&policies[0].to_string());
    let docs = include_str!("../../docs/operator-permissions.md");
    let written = format!("{},{:03} of the 6,144 characters", size / 1000, size % 1000);
    assert!(docs.contains(&written), "{written}");
    assert!(size <= 5_750, "{size}: too little is left for what classes add");
}

#[test]
fn what_inline_rules_open_of_other_services_is_denied_where_it_is_of_the_floor() {
    let (policies, notes) = boundary(json!({"inline": [{"actions": ["batch:*"], "resources": ["*"]}]}));
    assert!(allows(&policies, "batch:DescribeJobs", "anything"));
    let mut looked_at = 0;
    for action in floor() {
        looked_at += usize::from(action.starts_with("batch:"));
        assert!(!allows(&policies, &action, "anything"), "{action}");
    }
    assert!(looked_at > 0);
    assert_eq!(notes, Vec::<String>::new());
}

#[test]
fn where_there_is_no_room_what_matters_least_is_left_out_and_a_note_says_what() {
    let rule = |n: usize| json!({"actions": ["athena:GetQueryResults"], "resources": [format!("arn:aws:athena:*:*:workgroup/{n:0>60}")]});
    let rules = |count: usize| json!({"inline": (0..count).map(rule).collect::<Vec<_>>()});
    let inside = |count: usize| {
        let (policies, notes) = boundary(rules(count));
        let inside: Vec<String> = floor()
            .into_iter()
            .filter(|action| allows(&policies, action, "anything"))
            .collect();
        (inside, notes)
    };
    let (left_out, notes) = inside(6);
    assert!(!left_out.is_empty());
    let takes_away = |action: &String| {
        let name = action.split(':').nth(1).unwrap();
        ["Delete", "Dissociate", "Remove", "Retire", "Revoke"]
            .iter()
            .any(|verb| name.starts_with(verb))
    };
    assert!(left_out.iter().all(takes_away), "{left_out:?}");
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].contains("no room") && left_out.iter().any(|action| notes[0].contains(action)),
        "{notes:?}"
    );

    let (left_out, notes) = inside(13);
    assert!(!left_out.iter().all(takes_away), "{left_out:?}");
    for action in ESCALATIONS {
        assert!(!left_out.contains(&action.to_owned()), "{action}");
    }
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[test]
fn a_consent_to_one_action_leaves_its_neighbours_denied() {
    let (policies, notes) =
        boundary(json!({"escalatingActions": ["bedrock:UpdateAgentAlias", "s3:PutBucketPolicy"]}));
    for (action, is) in [
        ("bedrock:UpdateAgentAlias", true),
        ("bedrock:UpdateFlowAlias", false),
        ("s3:PutBucketPolicy", true),
        ("s3:PutAccessPointPolicy", false),
        ("s3:PutMultiRegionAccessPointPolicy", false),
    ] {
        assert_eq!(allows(&policies, action, "anything"), is, "{action}");
    }
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn rules_for_inline_policies_widen_the_boundary_by_what_they_say_and_no_more() {
    let (policies, _) = boundary(json!({"inline": [{
        "actions": ["athena:StartQueryExecution"],
        "resources": ["arn:aws:athena:*:111122223333:workgroup/{cluster}-{namespace}"],
        "conditions": {"StringEquals": {"aws:ResourceTag/team": ["{namespace}"]}},
    }]}));
    let group = |name: &str| format!("arn:aws:athena:us-east-1:111122223333:workgroup/{name}");
    for (action, name, is) in [
        ("athena:StartQueryExecution", "prod-team-a", true),
        ("athena:StartQueryExecution", "staging-team-a", false),
        ("athena:DeleteWorkGroup", "prod-team-a", false),
    ] {
        assert_eq!(allows(&policies, action, &group(name)), is, "{action} {name}");
    }
}

#[test]
fn listed_roles_are_passed_to_ml_services_and_to_nobody_else() {
    let everything = json!([{"actions": ["*"], "resources": ["*"]}]);
    for inline in [json!([]), everything] {
        let listed = "arn:aws:iam::111122223333:role/ml/execution";
        let (policies, _) = boundary(json!({"passRoleArns": [listed], "inline": inline}));
        let passes = |role: &str, service: &str| {
            let request = Request::new("iam:PassRole", role).with("iam:PassedToService", service);
            decide(&policies, &request) == Decision::Allowed
        };
        assert!(passes(listed, "sagemaker.amazonaws.com"));
        assert!(!passes(listed, "ec2.amazonaws.com"));
        assert!(!passes(
            "arn:aws:iam::111122223333:role/admin",
            "sagemaker.amazonaws.com"
        ));
        for action in ESCALATIONS {
            assert!(!allows(&policies, action, listed), "{action}");
        }
    }
}

#[test]
fn what_a_class_consents_to_is_no_longer_denied_and_a_note_says_so() {
    let (policies, notes) = boundary(json!({
        "escalatingActions": ["kms:CreateGrant", "iam:CreateServiceLinkedRole"],
        "inline": [{"actions": ["*"], "resources": ["*"]}],
    }));
    assert!(allows(&policies, "kms:CreateGrant", "key"));
    assert!(allows(&policies, "iam:CreateServiceLinkedRole", "role"));
    for action in ESCALATIONS
        .into_iter()
        .filter(|action| *action != "kms:CreateGrant")
    {
        assert!(!allows(&policies, action, "anything"), "{action}");
    }
    assert!(
        notes.iter().any(|note| note.contains("kms:CreateGrant")),
        "{notes:#?}"
    );
}
