//! That the fake of IAM refuses what IAM refuses, and does as a test tells it.

// clippy.toml allows them in test functions only, not in what test functions share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod controls;
mod documents;
mod policies;
mod quotas;
mod roles;
mod tagging;

use std::collections::{BTreeMap, BTreeSet};

use mlservicerole_operator::aws::{AwsError, ErrorClass, IamApi};
use mlservicerole_operator::iam::arn::PolicyArn;
use mlservicerole_operator::iam::name::RoleName;
use mlservicerole_operator::iam::role::NewRole;
use support::fake_iam::{ACCOUNT, FakeIam, KNOWN_POLICIES, iam_error, throttled};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/oidc.example/id/1"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"oidc.example/id/1:aud":"sts.amazonaws.com"}}}]}"#;
const INLINE: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}"#;

fn new_role(arn: &str) -> NewRole {
    NewRole {
        arn: arn.parse().unwrap(),
        trust: TRUST.into(),
        description: "for a".into(),
        max_session_duration_seconds: 3600,
        permissions_boundary: None,
        tags: BTreeMap::new(),
    }
}

/// A fake with the role `/ml/trainer`, and that role's name.
async fn with_trainer() -> (FakeIam, RoleName) {
    let iam = FakeIam::new();
    let role = new_role("arn:aws:iam::111122223333:role/ml/trainer");
    iam.create_role(&role).await.unwrap();
    (iam, "trainer".parse().unwrap())
}

fn policy(number: usize) -> PolicyArn {
    format!("arn:aws:iam::{ACCOUNT}:policy/p{number}")
        .parse()
        .unwrap()
}

fn known_policy() -> PolicyArn {
    KNOWN_POLICIES[0].parse().unwrap()
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
    pairs.iter().map(owned).collect()
}

fn code<T: std::fmt::Debug>(result: Result<T, AwsError>) -> String {
    result.unwrap_err().code
}
