//! ARNs, accounts, partitions and issuers: what is taken and what is refused.

use super::*;
use proptest::prelude::*;

const EKS: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC";

fn account() -> AccountId {
    "012345678901".parse().unwrap()
}

fn error<T: FromStr<Err = ArnError> + fmt::Debug>(text: &str) -> String {
    text.parse::<T>().unwrap_err().to_string()
}

#[test]
fn a_role_arn_is_cut_into_its_parts_and_put_together_again() {
    let text = "arn:aws-cn:iam::012345678901:role/ml/prod/team-a/trainer";
    let arn: RoleArn = text.parse().unwrap();
    assert_eq!(arn.partition().as_str(), "aws-cn");
    assert_eq!(arn.account().as_str(), "012345678901");
    assert_eq!(arn.path().as_str(), "/ml/prod/team-a/");
    assert_eq!(arn.name().as_str(), "trainer");
    assert_eq!(arn.to_string(), text);
    assert_eq!(
        RoleArn::new(arn.partition(), arn.account(), arn.path(), arn.name()),
        arn
    );
}

#[test]
fn a_role_without_a_path_has_the_root_path() {
    let arn: RoleArn = "arn:aws:iam::012345678901:role/trainer".parse().unwrap();
    assert_eq!(arn.path().as_str(), "/");
    assert_eq!(arn.to_string(), "arn:aws:iam::012345678901:role/trainer");
}

#[test]
fn what_is_no_role_arn_is_refused() {
    for text in [
        "",
        "trainer",
        "role/trainer",
        "arn:aws:iam::012345678901",
        "arn:aws:iam::012345678901:role",
        "arn:aws:iam::012345678901:role/",
        "arn:aws:iam::012345678901:role//trainer",
        "arn:aws:iam::012345678901:roles/trainer",
        "arn:aws:iam::012345678901:user/trainer",
        "arn:aws:iam::12345678901:role/trainer",
        "arn:aws:iam::aws:role/trainer",
        "arn:aws:iam:eu-west-1:012345678901:role/trainer",
        "arn:aws:sts::012345678901:assumed-role/trainer/session",
        "arn:gcp:iam::012345678901:role/trainer",
        "arn:aws:iam::012345678901:role/train er",
        "arn:aws:iam::012345678901:role/ml/*",
        " arn:aws:iam::012345678901:role/trainer",
        "AROAEXAMPLE",
    ] {
        assert!(text.parse::<RoleArn>().is_err(), "{text}");
    }
}

#[test]
fn errors_say_what_to_write_instead() {
    let errors = [
        error::<RoleArn>("trainer"),
        error::<RoleArn>("arn:aws:iam::aws:policy/ReadOnlyAccess"),
        error::<RoleArn>("arn:aws:iam::12345:role/trainer"),
        error::<RoleArn>("arn:aws:iam::012345678901:role/train er"),
        error::<PolicyArn>("arn:aws:iam::012345678901:role/trainer"),
        error::<OidcProviderArn>("arn:aws:iam::012345678901:saml-provider/x"),
        error::<Partition>("amazon"),
        error::<Issuer>("http://example.com"),
    ]
    .join("\n");
    insta::assert_snapshot!(errors);
}

#[test]
fn an_account_id_is_twelve_digits() {
    assert_eq!(account().to_string(), "012345678901");
    for text in [
        "",
        "12345678901",
        "0123456789012",
        "01234567890a",
        "٠١٢٣٤٥٦٧٨٩٠١",
        "aws",
    ] {
        assert!(text.parse::<AccountId>().is_err(), "{text}");
    }
}

#[test]
fn partitions_are_known_by_their_shape() {
    for text in ["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-eusc"] {
        assert_eq!(text.parse::<Partition>().unwrap().as_str(), text);
    }
    for text in [
        "", "AWS", "aws-", "aws--cn", "awscn", "aws-CN", "cn-aws", "aws*", "aws-*",
    ] {
        assert!(text.parse::<Partition>().is_err(), "{text}");
    }
}

#[test]
fn aws_managed_and_customer_managed_policies_are_told_apart() {
    let aws: PolicyArn = "arn:aws:iam::aws:policy/service-role/AmazonX".parse().unwrap();
    assert!(aws.is_aws_managed());
    assert_eq!(aws.account(), None);
    assert_eq!(aws.partition().as_str(), "aws");

    let customer: PolicyArn = "arn:aws-us-gov:iam::012345678901:policy/ml/data".parse().unwrap();
    assert!(!customer.is_aws_managed());
    assert_eq!(customer.account(), Some(&account()));
    assert_eq!(
        customer.as_str(),
        "arn:aws-us-gov:iam::012345678901:policy/ml/data"
    );
}

#[test]
fn what_is_no_policy_arn_is_refused() {
    let long = format!("arn:aws:iam::aws:policy/{}", "a".repeat(129));
    for text in [
        "arn:aws:iam::aws:policy/",
        "arn:aws:iam::aws:policy",
        "arn:aws:iam::aws:policy//name",
        "arn:aws:iam::aws:policyname",
        "arn:aws:iam::aws:role/name",
        "arn:aws:iam::AWS:policy/name",
        "arn:aws:iam::123:policy/name",
        "arn:aws:iam::aws:policy/na*me",
        "arn:aws:s3::aws:policy/name",
        long.as_str(),
    ] {
        assert!(text.parse::<PolicyArn>().is_err(), "{text}");
    }
    assert!(long[..long.len() - 1].parse::<PolicyArn>().is_ok());
}

#[test]
fn a_provider_is_named_by_its_issuer_without_the_scheme() {
    let issuer: Issuer = EKS.parse().unwrap();
    let arn = OidcProviderArn::new(&"aws".parse().unwrap(), &account(), &issuer);
    assert_eq!(
        arn.to_string(),
        "arn:aws:iam::012345678901:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC"
    );
    let parsed: OidcProviderArn = arn.to_string().parse().unwrap();
    assert_eq!(parsed, arn);
    assert_eq!(parsed.issuer().url(), EKS);
    assert_eq!(parsed.account(), &account());
    assert_eq!(parsed.partition().as_str(), "aws");
}

#[test]
fn an_issuer_keeps_its_path_its_port_and_its_case() {
    let url = "https://OIDC.example.com:8443/id/AbC";
    let issuer: Issuer = url.parse().unwrap();
    assert_eq!(issuer.url(), url);
    assert_eq!(issuer.without_scheme(), "OIDC.example.com:8443/id/AbC");
}

#[test]
fn a_trailing_slash_makes_another_issuer() {
    let with: Issuer = "https://example.com/".parse().unwrap();
    let without: Issuer = "https://example.com".parse().unwrap();
    assert_ne!(with, without);
    assert_eq!(with.without_scheme(), "example.com/");
}

#[test]
fn what_is_no_issuer_is_refused() {
    for url in [
        "",
        "example.com",
        "http://example.com",
        "HTTPS://example.com",
        "https://",
        "https:///id",
        "https://:443",
        "https://example.com?a=b",
        "https://example.com/id#part",
        "https://user@example.com",
        "https://user:password@example.com/id",
        "https://example.com:port",
        "https://example.com:",
        "https://example.com:1:2",
        "https://exam ple.com",
        "https://example.com/id/*",
        "https://example.com/${aws:username}",
        "https://example.com/\"",
        "https://exämple.com",
    ] {
        assert!(url.parse::<Issuer>().is_err(), "{url}");
    }
}

#[test]
fn what_is_wrong_with_an_issuer_is_said() {
    for (url, problem) in [
        ("https://example.com?a=b", "query"),
        ("https://example.com/id#part", "fragment"),
        ("https://user@example.com", "user"),
        ("https://exam_ple.com", "host name"),
        ("https://example.com/id/*", "path"),
    ] {
        let error = error::<Issuer>(url);
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn an_issuer_has_at_most_255_characters() {
    let longest = format!("https://example.com/{}", "a".repeat(255 - 20));
    assert!(longest.parse::<Issuer>().is_ok());
    assert!(format!("{longest}a").parse::<Issuer>().is_err());
}

#[test]
fn the_partition_is_read_from_any_callers_arn() {
    for (arn, partition) in [
        ("arn:aws:sts::012345678901:assumed-role/operator/session", "aws"),
        ("arn:aws-cn:iam::012345678901:user/admin", "aws-cn"),
        ("arn:aws-us-gov:sts::012345678901:federated-user/me", "aws-us-gov"),
        ("arn:aws:iam::012345678901:root", "aws"),
        ("arn:aws:eks:eu-west-1:012345678901:cluster/a:b", "aws"),
    ] {
        assert_eq!(partition_of(arn).unwrap().as_str(), partition);
    }
    for arn in [
        "",
        "aws",
        "arn:aws",
        "arn:aws:iam::012345678901",
        "arn:AWS:iam::1:root",
        "arn:aws::::x",
        "arn:aws:iam::1:",
        "urn:aws:iam::1:root",
    ] {
        assert!(partition_of(arn).is_err(), "{arn}");
    }
}

#[test]
fn values_are_strings_in_json_and_are_checked_when_read() {
    let text = "\"arn:aws:iam::012345678901:role/ml/trainer\"";
    let arn: RoleArn = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&arn).unwrap(), text);
    assert!(serde_json::from_str::<RoleArn>("\"trainer\"").is_err());
    assert!(serde_json::from_str::<AccountId>("12345678901").is_err());
}

proptest! {
    #[test]
    fn whatever_parses_as_an_arn_is_written_as_it_was(
        text in "arn:aws(-cn)?:iam::(aws|[0-9]{12}):(role|policy|oidc-provider)/([a-zA-Z0-9.]{0,3}/){0,2}[a-zA-Z0-9.]{0,3}"
    ) {
        if let Ok(arn) = text.parse::<RoleArn>() {
            prop_assert_eq!(arn.to_string(), text.as_str());
        }
        if let Ok(arn) = text.parse::<PolicyArn>() {
            prop_assert_eq!(arn.to_string(), text.as_str());
        }
        if let Ok(arn) = text.parse::<OidcProviderArn>() {
            prop_assert_eq!(arn.to_string(), text.as_str());
        }
    }

    #[test]
    fn nothing_makes_parsing_panic(text in any::<String>(), tail in ".{0,20}") {
        for text in [text, format!("arn:aws:iam::012345678901:role{tail}"), format!("https://{tail}")] {
            let _ = text.parse::<RoleArn>();
            let _ = text.parse::<PolicyArn>();
            let _ = text.parse::<OidcProviderArn>();
            let _ = text.parse::<Issuer>();
            let _ = partition_of(&text);
        }
    }
}
