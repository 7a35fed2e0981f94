//! What is taken as a policy document, and how it comes back.

use super::*;

async fn trust_error(document: &str) -> AwsError {
    let (iam, name) = with_trainer().await;
    let result = iam.update_assume_role_policy(&name, document).await;
    result.expect_err(document)
}

#[tokio::test]
async fn trust_policies_that_iam_refuses_are_malformed() {
    for (from, to) in [
        ("{", "["),
        ("2012-10-17", "2013-01-01"),
        ("Allow", "allow"),
        (r#""Effect""#, r#""Resource":"*","Effect""#),
        (r#""Principal""#, r#""Principle""#),
        ("sts:AssumeRoleWithWebIdentity", "s3:GetObject"),
        ("sts:AssumeRoleWithWebIdentity", "assume"),
        ("StringEquals", "StringsEqual"),
        (
            r#""arn:aws:iam::111122223333:oidc-provider/oidc.example/id/1""#,
            r#""""#,
        ),
        (
            r#""arn:aws:iam::111122223333:oidc-provider/oidc.example/id/1""#,
            "[]",
        ),
    ] {
        let error = trust_error(&TRUST.replacen(from, to, 1)).await;
        assert_eq!(error.code, "MalformedPolicyDocument", "{from} -> {to}: {error}");
        assert_eq!(error.class, ErrorClass::Invalid);
    }
}

#[tokio::test]
async fn a_principal_that_does_not_exist_yet_may_exist_later() {
    let (iam, name) = with_trainer().await;
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/late"},"Action":"sts:AssumeRole"}]}"#;
    let error = iam.update_assume_role_policy(&name, document).await;
    assert_eq!(error.unwrap_err().class, ErrorClass::NotYetConsistent);
    iam.add_foreign_role("/", "late");
    iam.update_assume_role_policy(&name, document).await.unwrap();
}

#[tokio::test]
async fn inline_policies_that_iam_refuses_are_malformed() {
    let (iam, name) = with_trainer().await;
    for (from, to) in [
        (r#""Effect""#, r#""Principal":"*","Effect""#),
        (r#""arn:aws:s3:::b/*""#, r#""b""#),
        (r#","Resource":"arn:aws:s3:::b/*""#, ""),
        ("s3:GetObject", "GetObject"),
        (r#""Effect""#, r#""Sid":"a b","Effect""#),
        (r#""Effect""#, r#""Effekt""#),
    ] {
        let document = INLINE.replacen(from, to, 1);
        let result = iam.put_role_policy(&name, "p", &document).await;
        assert_eq!(code(result), "MalformedPolicyDocument", "{document}");
    }
    let result = iam
        .put_role_policy(&name, "p", &INLINE.replace("b/*", "b/→"))
        .await;
    assert_eq!(code(result), "ValidationError");
    let result = iam.put_role_policy(&name, "a b", INLINE).await;
    assert_eq!(code(result), "ValidationError");
}

#[tokio::test]
async fn a_document_can_come_back_in_other_words() {
    let (iam, name) = with_trainer().await;
    iam.put_role_policy(&name, "p", INLINE).await.unwrap();
    iam.rewrite_documents(true);
    let content = iam.role_content(&name).await.unwrap();
    assert_eq!(
        content.inline["p"],
        r#"{"Version":"2012-10-17","Statement":[{"Resource":["arn:aws:s3:::b/*"],"Effect":"Allow","Action":["s3:GetObject"]}]}"#
    );
    let trust = iam.get_role(&name).await.unwrap().trust;
    assert!(trust.contains(r#"{"Federated":["arn:"#), "{trust}");
    assert_eq!(
        iam.role("trainer").unwrap().trust,
        TRUST,
        "what is kept is unchanged"
    );
    iam.update_assume_role_policy(&name, &trust)
        .await
        .expect("what IAM gives, IAM takes");
}
