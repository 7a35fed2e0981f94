//! Managed policies: AWS's own one by one, an account's own also by pattern, and none that escalates without a consent
//! of its own.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::iam::arn::PolicyArn;

fn class(arns: &[&str], consents: &[&str]) -> Value {
    json!({"allow": {"managedPolicyArns": arns, "escalatingActions": consents}})
}

fn allows(pattern: &str, arn: &str) -> bool {
    let arn: PolicyArn = arn.parse().unwrap();
    rules(&least_class(&class(&[pattern], &[]))).allows_managed_policy(&arn, NAMES)
}

#[track_caller]
fn refused(arns: &[&str], consents: &[&str], reason: &str, words: &[&str]) {
    let refusal = class_refusal(&least_class(&class(arns, consents)));
    assert_eq!(refusal.reason, reason, "{}", refusal.message);
    for word in words {
        assert!(refusal.message.contains(word), "{word}: {}", refusal.message);
    }
}

#[test]
fn patterns_of_an_accounts_own_policies_stop_at_slashes_and_colons() {
    const OWN: &str = "arn:aws:iam::111122223333:policy/";
    for (pattern, name, expected) in [
        ("ml/*", "ml/a", true),
        ("ml/*", "ml/a/b", false),
        ("ml/*", "ml2/a", false),
        ("ml-?", "ml-a", true),
        ("ml-?", "ml-ab", false),
        ("*", "a", true),
        ("*", "ml/a", false),
        ("ML-*", "ml-a", false),
        ("{namespace}/*", "team-a/x", true),
        ("{namespace}/*", "team-b/x", false),
        ("{cluster}/{namespace}/*", "prod/team-a/x", true),
        ("{cluster}/{namespace}/*", "prod/team-a-b/x", false),
    ] {
        let pattern = format!("{OWN}{pattern}");
        assert_eq!(
            allows(&pattern, &format!("{OWN}{name}")),
            expected,
            "{pattern} {name}"
        );
    }
    for arn in [
        "arn:aws:iam::aws:policy/x",
        "arn:aws:iam::444455556666:policy/x",
        "arn:aws-cn:iam::111122223333:policy/x",
    ] {
        assert!(!allows("arn:aws:iam::111122223333:policy/*", arn), "{arn}");
    }
}

#[test]
fn no_pattern_takes_in_policies_of_aws_or_of_any_account() {
    refused(
        &["arn:aws:iam::aws:policy/AmazonSageMaker*"],
        &[],
        "InvalidSpec",
        &["whatever AWS adds", "write the ARN of each"],
    );
    refused(
        &["arn:aws:iam::aws:policy/{namespace}"],
        &[],
        "InvalidSpec",
        &["whatever AWS adds"],
    );
    for pattern in [
        "*",
        "arn:aws:iam::*:policy/ml",
        "arn:aws:iam::???:policy/ml",
        "arn:*:iam::111122223333:policy/ml",
        "arn:aws:iam::11112222333?:policy/ml",
        "arn:aws:*::111122223333:policy/ml",
        "arn:aws:iam:*:111122223333:policy/ml",
        "arn:aws:iam::111122223333:*",
        "arn:aws:iam::111122223333:policy*",
        "arn:aws:iam::111122223333:role/*",
        "arn:aws:iam::111122223333:policy/a:*",
        "arn:aws:iam::{cluster}:policy/a",
        "{namespace}",
    ] {
        refused(
            &[pattern],
            &[],
            "InvalidSpec",
            &["allow.managedPolicyArns", pattern],
        );
    }
    refused(
        &["arn:aws:iam::111122223333:policy/{namespace}-*"],
        &[],
        "InvalidSpec",
        &["nothing keeps {namespace} apart"],
    );
}

#[test]
fn escalating_policies_need_a_consent_of_their_own() {
    for name in [
        "AdministratorAccess",
        "PowerUserAccess",
        "IAMFullAccess",
        "AmazonSageMakerFullAccess",
        "AmazonBedrockFullAccess",
        "AmazonBedrockMarketplaceAccess",
        "AmazonSageMakerModelRegistryFullAccess",
        "AmazonSageMakerPipelinesIntegrations",
        "AmazonSageMakerHyperPodInferenceAccess",
        "BedrockAgentCoreFullAccess",
        "service-role/AmazonPersonalizeFullAccess",
        "AmazonForecastFullAccess",
        "AmazonKendraFullAccess",
        "AmazonLexFullAccess",
        "AmazonS3FullAccess",
        "AWSLambda_FullAccess",
        // Not known, and sounding wide.
        "AmazonTomorrowFullAccess",
        "AmazonTomorrowFullAccessV2",
        "TomorrowAdministrators",
        "PowerUserTomorrow",
        "IAMTomorrow",
    ] {
        for partition in ["aws", "aws-cn"] {
            let arn = format!("arn:{partition}:iam::aws:policy/{name}");
            refused(
                &[&arn],
                &["kms:CreateGrant"],
                "EscalationNotAllowed",
                &[&arn, "allow.escalatingActions", "remove it"],
            );
            let consented = least_class(&class(&[&arn], &[&arn]));
            let parsed: PolicyArn = arn.parse().unwrap();
            assert!(rules(&consented).allows_managed_policy(&parsed, NAMES));
        }
    }
}

#[test]
fn a_consent_attaches_nothing_by_itself() {
    let class = least_class(&class(&[], &[ADMIN]));
    let refusal = ask(&class, &object(json!({"managedPolicyArns": [ADMIN]}))).unwrap_err();
    assert_eq!(refusal.reason, "ManagedPolicyNotAllowed");
}

#[test]
fn the_harmless_need_no_consent() {
    for name in [
        "AmazonBedrockReadOnly",
        "AmazonBedrockLimitedAccess",
        "AmazonSageMakerReadOnly",
        "ComprehendReadOnly",
        "AmazonRekognitionReadOnlyAccess",
        "TranslateReadOnly",
        "AmazonPollyReadOnlyAccess",
        "AmazonLexRunBotsOnly",
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonS3ReadOnlyAccess",
        "AmazonTextractFullAccess",
        "IAMReadOnlyAccess",
    ] {
        let arn = format!("arn:aws:iam::aws:policy/{name}");
        assert!(allows(&arn, &arn), "{name}");
    }
}
