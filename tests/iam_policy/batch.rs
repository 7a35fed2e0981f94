//! What the preset for Bedrock's batch jobs lets its holders do with jobs of their own, of others, and of nobody.

use std::collections::BTreeMap;

use mlservicerole_operator::access::{Place, Request as Asked, check, expand};
use mlservicerole_operator::iam::arn::RoleArn;
use serde_json::Value;

use crate::evaluator::{Decision, Request, decide};

const JOB: &str = "arn:aws:bedrock:eu-west-1:111122223333:model-invocation-job/abc";
const MODEL: &str = "arn:aws:bedrock:eu-west-1::foundation-model/amazon.titan-text-lite-v1";
const KEYS: [&str; 2] = ["mlservicerole.io/cluster", "mlservicerole.io/namespace"];

/// The policy of a role in a namespace of the cluster `prod`, with the role's own tags filled in.
fn policy_of(namespace: &str) -> Vec<Value> {
    let with = BTreeMap::from([
        ("model".to_owned(), vec!["amazon.titan-text-lite-v1".to_owned()]),
        ("serviceRole".to_owned(), vec!["ml/execution".to_owned()]),
    ]);
    let role: RoleArn = "arn:aws:iam::111122223333:role/ml/x".parse().unwrap();
    let checked = check(Asked {
        preset: "bedrock-batch",
        version: None,
        with: &with,
    })
    .unwrap();
    let place = Place {
        partition: role.partition(),
        region: Some("eu-west-1"),
        account: role.account(),
        role: &role,
    };
    let text = expand(&[checked], &place).unwrap().unwrap().to_json();
    let filled = text
        .replace("${aws:PrincipalTag/mlservicerole.io/cluster}", "prod")
        .replace("${aws:PrincipalTag/mlservicerole.io/namespace}", namespace);
    assert!(!filled.contains("${"), "{filled}");
    vec![serde_json::from_str(&filled).unwrap()]
}

/// A request that writes tags, that finds tags on the job, or both.
fn request(action: &str, resource: &str, written: Option<&str>, found: Option<&str>) -> Request {
    let mut request = Request::new(action, resource);
    for (kind, namespace) in [("Request", written), ("Resource", found)] {
        for (key, value) in KEYS.iter().zip(["prod", namespace.unwrap_or_default()]) {
            if namespace.is_some() {
                request = request.with(&format!("aws:{kind}Tag/{key}"), value);
            }
        }
    }
    request
}

#[test]
fn a_holder_reads_and_stops_jobs_of_its_own_namespace_alone() {
    let policies = policy_of("team-a");
    let allowed = |request: Request| decide(&policies, &request) == Decision::Allowed;
    for (created, is) in [(Some("team-a"), true), (Some("team-b"), false), (None, false)] {
        for resource in [JOB, MODEL] {
            let create = request("bedrock:CreateModelInvocationJob", resource, created, None);
            assert_eq!(allowed(create), is, "{created:?} {resource}");
        }
    }
    for action in ["bedrock:GetModelInvocationJob", "bedrock:StopModelInvocationJob"] {
        for (found, is) in [(Some("team-a"), true), (Some("team-b"), false), (None, false)] {
            assert_eq!(
                allowed(request(action, JOB, None, found)),
                is,
                "{action} {found:?}"
            );
        }
    }
    // A job of another namespace isn't made the own one by a tag, nor given away.
    assert!(!allowed(request(
        "bedrock:TagResource",
        JOB,
        Some("team-a"),
        Some("team-b")
    )));
    assert!(!allowed(request(
        "bedrock:TagResource",
        JOB,
        Some("team-b"),
        Some("team-a")
    )));
    assert!(!allowed(request(
        "bedrock:UntagResource",
        JOB,
        None,
        Some("team-a")
    )));
}

/// What the preset's notes tell. Bedrock asks for TagResource too where a job is created with tags, and has no condition key
/// that tells this request from one for a job that is there (service authorization reference of Amazon Bedrock, TagResource:
/// `aws:RequestTag` and `aws:TagKeys` alone), as `ec2:CreateAction` does for EC2. Should it get one, this test is to change.
#[test]
fn a_job_without_tags_is_whose_first_tags_it() {
    for namespace in ["team-a", "team-b"] {
        let policies = policy_of(namespace);
        let claim = request("bedrock:TagResource", JOB, Some(namespace), None);
        assert_eq!(decide(&policies, &claim), Decision::Allowed);
        let read = request("bedrock:GetModelInvocationJob", JOB, None, None);
        assert_eq!(decide(&policies, &read), Decision::NotAllowed);
    }
}
