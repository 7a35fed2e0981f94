//! Trust documents in all partitions, for issuers, ServiceAccounts and services.

use proptest::collection::btree_set;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::super::document::{Kind, check};
use super::super::quota;
use super::*;

mod transition;

const EKS: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn policy(issuers: &[&str], service_accounts: &[&str], services: &[&str]) -> TrustPolicy {
    TrustPolicy {
        partition: "aws".parse().unwrap(),
        account: "012345678901".parse().unwrap(),
        issuers: issuers.iter().map(|url| url.parse().unwrap()).collect(),
        audience: "sts.amazonaws.com".to_owned(),
        namespace: "team-a".to_owned(),
        service_accounts: set(service_accounts),
        trusted_services: set(services),
    }
}

/// The document as it is sent, only with line breaks.
fn pretty(policy: &TrustPolicy) -> String {
    let document = policy.document();
    assert_eq!(PolicyDocument::parse(&document.to_json()).unwrap(), document);
    serde_json::to_string_pretty(&document).unwrap()
}

#[test]
fn one_service_account_of_one_cluster() {
    insta::assert_snapshot!(pretty(&policy(&[EKS], &["trainer"], &[])));
}

#[test]
fn three_service_accounts_of_two_clusters() {
    let other = "https://oidc.eks.eu-central-1.amazonaws.com/id/FEDCBA9876543210FEDCBA9876543210";
    insta::assert_snapshot!(pretty(&policy(
        &[EKS, other],
        &["trainer", "notebook", "server"],
        &[]
    )));
}

#[test]
fn a_service_account_and_two_services() {
    let services = ["sagemaker.amazonaws.com", "bedrock.amazonaws.com"];
    insta::assert_snapshot!(pretty(&policy(&[EKS], &["trainer"], &services)));
}

#[test]
fn a_service_alone() {
    insta::assert_snapshot!(pretty(&policy(&[EKS], &[], &["sagemaker.amazonaws.com"])));
}

#[test]
fn china() {
    let issuer = "https://oidc.eks.cn-north-1.amazonaws.com.cn/id/0123456789ABCDEF0123456789ABCDEF";
    let mut policy = policy(&[issuer], &["trainer"], &["sagemaker.amazonaws.com"]);
    policy.partition = "aws-cn".parse().unwrap();
    insta::assert_snapshot!(pretty(&policy));
}

#[test]
fn us_government() {
    let issuer = "https://oidc.eks.us-gov-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";
    let mut policy = policy(&[issuer], &["trainer"], &[]);
    policy.partition = "aws-us-gov".parse().unwrap();
    insta::assert_snapshot!(pretty(&policy));
}

#[test]
fn nobody_at_all() {
    insta::assert_snapshot!(pretty(&policy(&[EKS], &[], &[])));
}

#[test]
fn an_issuer_with_a_trailing_slash_keeps_it_everywhere() {
    let json = policy(&["https://example.com/"], &["trainer"], &[])
        .document()
        .to_json();
    assert!(json.contains(":oidc-provider/example.com/\""), "{json}");
    assert!(json.contains("\"example.com/:aud\""), "{json}");
    assert!(json.contains("\"example.com/:sub\""), "{json}");
}

#[test]
fn seventy_service_accounts_fit_the_largest_quota_and_four_the_default() {
    let names: Vec<_> = (0..70).map(|n| format!("model-server-{n}")).collect();
    let size = |count: usize| {
        let names: Vec<_> = names[..count].iter().map(String::as_str).collect();
        quota::size(&policy(&[EKS], &names, &[]).document().to_json())
    };
    assert!(size(4) < quota::DEFAULT_TRUST_POLICY_SIZE);
    assert!(size(70) < 4_096);
    assert!(size(70) > quota::DEFAULT_TRUST_POLICY_SIZE);
}

fn any_policy() -> impl Strategy<Value = TrustPolicy> {
    let some = |of: &'static [&'static str]| {
        btree_set(select(of), 0..=of.len())
            .prop_map(|texts| texts.into_iter().map(str::to_owned).collect::<BTreeSet<_>>())
    };
    (
        some(&["https://a.com/id/A", "https://a.com/id/B", "https://c.com"]),
        some(&["trainer", "server", "notebook"]),
        some(&["sagemaker.amazonaws.com", "bedrock.amazonaws.com"]),
        prop_oneof![9 => Just("sts.amazonaws.com"), 1 => Just("other")],
        prop_oneof![9 => Just("team-a"), 1 => Just("team-b")],
        prop_oneof![9 => Just("012345678901"), 1 => Just("999999999999")],
    )
        .prop_map(
            |(issuers, service_accounts, trusted_services, audience, namespace, account)| TrustPolicy {
                partition: "aws".parse().unwrap(),
                account: account.parse().unwrap(),
                issuers: issuers.iter().map(|url| url.parse().unwrap()).collect(),
                audience: audience.to_owned(),
                namespace: namespace.to_owned(),
                service_accounts,
                trusted_services,
            },
        )
}

proptest! {
    #[test]
    fn every_trust_policy_is_one_that_iam_takes(policy in any_policy()) {
        prop_assert_eq!(check(&policy.document(), Kind::Trust), Ok(()));
        prop_assert_eq!(PolicyDocument::parse(&policy.document().to_json()), Ok(policy.document()));
    }

    #[test]
    fn a_document_says_exactly_who_is_trusted(policy in any_policy()) {
        let trusted = Trusted::of(&policy.document());
        prop_assert_eq!(trusted.subjects, policy.subjects());
        prop_assert!(!trusted.others);
    }
}
