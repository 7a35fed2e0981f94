//! What IAM itself would refuse, named by its place.

use super::*;

fn checked(value: &Value, kind: Kind) -> Result<(), String> {
    check(&read(value), kind).map_err(|error| error.to_string())
}

/// An identity policy's statement with another element, or without it.
fn identity(element: &str, value: Value) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"});
    set(&mut statement, element, value);
    with(statement)
}

/// A trust policy's statement with another element, or without it.
fn trust(element: &str, value: Value) -> Value {
    let mut statement =
        json!({"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"});
    set(&mut statement, element, value);
    with(statement)
}

fn set(statement: &mut Value, element: &str, value: Value) {
    let statement = statement.as_object_mut().unwrap();
    match value {
        Value::Null => statement.remove(element),
        value => statement.insert(element.to_owned(), value),
    };
}

#[test]
fn usual_documents_pass() {
    for document in [
        identity("Sid", json!("ReadData")),
        identity("Effect", json!("Deny")),
        identity(
            "Action",
            json!(["*", "s3:*", "s3:Get*", "S3:getobject", "sagemaker-mlflow:*"]),
        ),
        identity(
            "Resource",
            json!([
                "*",
                "arn:aws:s3:::data/*",
                "arn:aws-cn:s3:::data/${aws:PrincipalTag/team}/?",
                "arn:aws:sagemaker:*:123456789012:endpoint/a:b",
                "arn:aws:logs:eu-west-1:*:log-group:/aws/x:*",
            ]),
        ),
        identity(
            "Condition",
            json!({
                "StringEquals": {"aws:SourceAccount": "1"},
                "forallvalues:stringlikeifexists": {"aws:TagKeys": ["a", "b"]},
                "ForAnyValue:StringNotEqualsIgnoreCase": {"aws:TagKeys": "a"},
                "NumericLessThanEqualsIfExists": {"s3:max-keys": 10},
                "Null": {"aws:TokenIssueTime": true},
            }),
        ),
    ] {
        assert_eq!(checked(&document, Kind::Identity), Ok(()), "{document}");
    }
    for document in [
        trust("Sid", json!("Pods")),
        trust("Principal", json!("*")),
        trust(
            "Principal",
            json!({"AWS": ["*", "arn:aws:iam::123456789012:role/x"]}),
        ),
        trust("Principal", json!({"Service": "pods.eks.amazonaws.com"})),
        trust("Action", json!(["sts:AssumeRole", "sts:TagSession", "STS:*"])),
    ] {
        assert_eq!(checked(&document, Kind::Trust), Ok(()), "{document}");
    }
}

#[test]
fn what_iam_would_refuse_in_an_identity_policy_is_refused_with_its_place() {
    let mut old = identity("Sid", json!("A"));
    old["Version"] = json!("2008-10-17");
    let mut none = identity("Sid", json!("A"));
    none.as_object_mut().unwrap().remove("Version");
    let errors = [
        old,
        none,
        identity("Effect", json!("allow")),
        identity("Principal", json!("*")),
        identity("NotPrincipal", json!({"AWS": "123456789012"})),
        identity("Resource", Value::Null),
        identity("Resource", json!("data")),
        identity("Resource", json!("")),
        identity("Resource", json!(["*", "arn:aws:s3::data"])),
        identity("Resource", json!("arn:*:s3:::data")),
        identity("Resource", json!("arn:aws:s*:::data")),
        identity("Resource", json!("arn:::::data")),
        identity("Action", json!("GetObject")),
        identity("Action", json!("")),
        identity("Action", json!("s*:GetObject")),
        identity("Action", json!(":GetObject")),
        identity("Action", json!("s3:")),
        identity("Action", json!("s3:Get:Object")),
        identity("Action", json!("s3:Get Object")),
        identity("Condition", json!({"StringEqual": {"aws:x": "y"}})),
        identity("Condition", json!({"NullIfExists": {"aws:x": "y"}})),
        identity("Condition", json!({"ForSomeValues:Bool": {"aws:x": "y"}})),
        identity("Condition", json!({"Bool": {"SourceAccount": "y"}})),
    ]
    .map(|document| checked(&document, Kind::Identity).unwrap_err())
    .join("\n");
    insta::assert_snapshot!(errors);
}

#[test]
fn negated_elements_are_checked_too() {
    let errors = [
        json!({"Effect": "Allow", "NotAction": "x", "Resource": "*"}),
        json!({"Effect": "Allow", "Action": "s3:*", "NotResource": "x"}),
    ]
    .map(|statement| checked(&with(statement), Kind::Identity).unwrap_err());
    assert!(errors[0].starts_with("statement 1, NotAction: "), "{}", errors[0]);
    assert!(
        errors[1].starts_with("statement 1, NotResource: "),
        "{}",
        errors[1]
    );
}

#[test]
fn what_iam_would_refuse_in_a_trust_policy_is_refused_with_its_place() {
    let errors = [
        trust("Effect", json!("ALLOW")),
        trust("Resource", json!("*")),
        trust("NotResource", json!("*")),
        trust("Principal", Value::Null),
        trust("Principal", json!({"AWS": "arn:aws:iam::123456789012:role/*"})),
        trust("Principal", json!({"AWS": "AROAEXAMPLE"})),
        trust("Principal", json!({"Service": "*.amazonaws.com"})),
        trust("Principal", json!({"Federated": ""})),
        trust("Action", json!("*")),
        trust("Action", json!("s3:GetObject")),
        trust("Action", json!("AssumeRole")),
        with(json!({"Effect": "Deny", "NotPrincipal": "*", "Action": "sts:AssumeRole"})),
    ]
    .map(|document| checked(&document, Kind::Trust).unwrap_err())
    .join("\n");
    insta::assert_snapshot!(errors);
}

#[test]
fn a_trust_policy_may_be_of_the_old_version() {
    let mut document = trust("Sid", json!("Pods"));
    document["Version"] = json!("2008-10-17");
    assert_eq!(checked(&document, Kind::Trust), Ok(()));
}

#[test]
fn the_statement_at_fault_is_named() {
    let good = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
    let bad = json!({"Sid": "ReadData", "Effect": "Allow", "Action": "GetObject", "Resource": "*"});
    let document = json!({"Version": "2012-10-17", "Statement": [good, bad]});
    assert_eq!(
        checked(&document, Kind::Identity).unwrap_err(),
        "statement 2 (Sid \"ReadData\"), Action: \"GetObject\" names no service; write it as \
         service:action, such as s3:GetObject"
    );
}

#[test]
fn sizes_are_not_looked_at() {
    let names: Vec<_> = (0..5_000).map(|n| format!("arn:aws:s3:::bucket-{n}")).collect();
    assert_eq!(
        checked(&identity("Resource", json!(names)), Kind::Identity),
        Ok(())
    );
}
