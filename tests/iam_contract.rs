//! One story of a role, told to the fake of IAM and, where `AWS_ENDPOINT_URL` points at an emulator,
//! to that through the SDK: what both agree on is likely to be right about IAM.
//!
//! The emulator's part runs only for an endpoint on this machine, so that no test ever writes to an
//! AWS account. Where emulators are known to be laxer than IAM, the fake's own tests speak.

// clippy.toml allows it in test functions only, not in what test functions share.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use mlservicerole_operator::aws::{
    AccountRef, Accounts, AwsError, ErrorClass, SdkAccounts, Session, SessionError,
};
use mlservicerole_operator::iam::arn::{PolicyArn, RoleArn};
use mlservicerole_operator::iam::role::NewRole;
use serde_json::Value;
use support::fake_iam::FakeIam;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const OTHER_TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"000000000000","aws:x":"a+b/c%2Fd"}}}]}"#;
const INLINE: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/a+b c/*"}]}"#;

const OWN: AccountRef = AccountRef {
    account: None,
    assume_role: None,
};

#[tokio::test]
async fn the_fake_tells_the_story() {
    let session = FakeIam::in_account("aws", "000000000000").session();
    story(&session).await;
}

#[tokio::test]
async fn an_emulator_behind_the_sdk_tells_the_story() {
    let Some(accounts) = emulator().await else {
        eprintln!("skipped: AWS_ENDPOINT_URL names no emulator on this machine");
        return;
    };
    story(&accounts.session(&OWN).await.unwrap()).await;
}

#[tokio::test]
async fn an_emulator_that_is_another_account_is_refused() {
    let Some(accounts) = emulator().await else {
        eprintln!("skipped: AWS_ENDPOINT_URL names no emulator on this machine");
        return;
    };
    let other = AccountRef {
        account: Some("999999999999".parse().unwrap()),
        ..OWN
    };
    let error = accounts.session(&other).await.unwrap_err();
    assert!(matches!(error, SessionError::WrongAccount { .. }), "{error}");
}

async fn emulator() -> Option<SdkAccounts> {
    let endpoint = std::env::var("AWS_ENDPOINT_URL").ok()?;
    let local = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
    if !local.iter().any(|start| endpoint.starts_with(start)) {
        return None;
    }
    Some(SdkAccounts::from_environment().await)
}

fn same_json(a: &str, b: &str) -> bool {
    let parse = |text| serde_json::from_str::<Value>(text).unwrap();
    parse(a) == parse(b)
}

fn code<T: std::fmt::Debug>(result: Result<T, AwsError>) -> String {
    result.unwrap_err().code
}

async fn story(session: &Session) {
    let iam = &session.iam;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let name = format!("contract-{}", now.as_nanos());
    let account = &session.account;
    let arn: RoleArn = format!("arn:aws:iam::{account}:role/contract/{name}")
        .parse()
        .unwrap();
    let name = arn.name().clone();
    let boundary: PolicyArn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess".parse().unwrap();
    let policy: PolicyArn = "arn:aws:iam::aws:policy/AmazonSageMakerReadOnly".parse().unwrap();
    let unknown: PolicyArn = "arn:aws:iam::aws:policy/NoSuchPolicyAnywhere".parse().unwrap();
    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let new = NewRole {
        arn: arn.clone(),
        trust: TRUST.to_owned(),
        description: "for team a".to_owned(),
        max_session_duration_seconds: 7200,
        permissions_boundary: Some(boundary.clone()),
        tags: BTreeMap::from([tag("team", "a+b"), tag("mlservicerole.io/name", "x")]),
    };

    // Before there is a role.
    assert!(iam.get_role(&name).await.unwrap_err().is_no_such_entity());
    assert!(iam.policy_exists(&policy).await.unwrap());
    assert!(!iam.policy_exists(&unknown).await.unwrap());
    let malformed = NewRole {
        trust: "{".to_owned(),
        ..new.clone()
    };
    let error = iam.create_role(&malformed).await.unwrap_err();
    assert_eq!(error.code, "MalformedPolicyDocument");
    assert_eq!(error.class, ErrorClass::Invalid);
    let unbounded = NewRole {
        permissions_boundary: Some(unknown.clone()),
        ..new.clone()
    };
    assert_eq!(code(iam.create_role(&unbounded).await), "NoSuchEntity");

    // A role, read as it was written.
    let created = iam.create_role(&new).await.unwrap();
    assert_eq!(created.arn, arn);
    let read = iam.get_role(&name).await.unwrap();
    assert_eq!(read.arn, arn);
    assert_eq!(read.id, created.id);
    assert!(same_json(&read.trust, TRUST));
    assert_eq!(read.description, new.description);
    assert_eq!(read.max_session_duration_seconds, 7200);
    assert_eq!(read.permissions_boundary, Some(boundary.to_string()));
    assert_eq!(read.tags, new.tags);
    let again = iam.create_role(&new).await.unwrap_err();
    assert!(again.is_entity_already_exists(), "{again}");
    assert_eq!(again.class, ErrorClass::Conflict);

    // Every part of it changed.
    iam.update_assume_role_policy(&name, OTHER_TRUST).await.unwrap();
    iam.update_role(&name, "", 3600).await.unwrap();
    iam.put_role_permissions_boundary(&name, &policy).await.unwrap();
    iam.tag_role(&name, &BTreeMap::from([tag("team", "c"), tag("new", "")]))
        .await
        .unwrap();
    let keys = BTreeSet::from(["mlservicerole.io/name".to_owned(), "missing".to_owned()]);
    iam.untag_role(&name, &keys).await.unwrap();
    let read = iam.get_role(&name).await.unwrap();
    assert!(same_json(&read.trust, OTHER_TRUST), "{}", read.trust);
    assert_eq!(read.description, "");
    assert_eq!(read.max_session_duration_seconds, 3600);
    assert_eq!(read.permissions_boundary, Some(policy.to_string()));
    assert_eq!(read.tags, BTreeMap::from([tag("team", "c"), tag("new", "")]));

    // Policies put on it.
    assert_eq!(
        code(iam.attach_role_policy(&name, &unknown).await),
        "NoSuchEntity"
    );
    assert_eq!(code(iam.detach_role_policy(&name, &policy).await), "NoSuchEntity");
    assert_eq!(code(iam.delete_role_policy(&name, "p").await), "NoSuchEntity");
    assert_eq!(
        code(iam.put_role_policy(&name, "p", "{").await),
        "MalformedPolicyDocument"
    );
    iam.attach_role_policy(&name, &policy).await.unwrap();
    iam.attach_role_policy(&name, &policy).await.unwrap();
    iam.put_role_policy(&name, "p", INLINE).await.unwrap();
    let content = iam.role_content(&name).await.unwrap();
    assert_eq!(content.attached, BTreeSet::from([policy.clone()]));
    assert_eq!(content.inline.keys().collect::<Vec<_>>(), ["p"]);
    assert!(same_json(&content.inline["p"], INLINE));

    // It is in no instance profile, and can't be taken out of one.
    assert!(iam.instance_profiles(&name).await.unwrap().is_empty());
    assert_eq!(
        code(
            iam.remove_role_from_instance_profile(&name, "contract-none")
                .await
        ),
        "NoSuchEntity"
    );

    // And everything taken away.
    assert!(iam.delete_role(&name).await.unwrap_err().is_delete_conflict());
    iam.detach_role_policy(&name, &policy).await.unwrap();
    assert!(iam.delete_role(&name).await.unwrap_err().is_delete_conflict());
    iam.delete_role_policy(&name, "p").await.unwrap();
    iam.delete_role(&name).await.unwrap();
    assert!(iam.delete_role(&name).await.unwrap_err().is_no_such_entity());
    assert!(iam.role_content(&name).await.unwrap_err().is_no_such_entity());
    assert!(
        iam.instance_profiles(&name)
            .await
            .unwrap_err()
            .is_no_such_entity()
    );
}
