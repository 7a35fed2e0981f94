//! The conditions that a rule demands: a statement has to carry them, operator by operator.

use super::*;

#[test]
fn a_statement_carries_the_conditions_of_the_rule_that_covers_it() {
    let listing = |condition: Value| {
        one(json!({
            "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::ml", "Condition": condition,
        }))
    };
    for condition in [
        json!({"StringLike": {"s3:prefix": "team-a/*"}}),
        json!({"stringlike": {"S3:Prefix": ["team-a/*", "public/x/*"]}}),
        json!({"StringLike": {"s3:prefix": "team-a/${aws:userid}/*"}}),
        json!({"StringLike": {"s3:prefix": "team-a/", "aws:SourceVpc": "vpc-1"}, "Bool": {"aws:SecureTransport": true}}),
    ] {
        asked(&rules_of_class(), listing(condition.clone()))
            .unwrap_or_else(|refusal| panic!("{condition}: {}", refusal.message));
    }
    for condition in [
        json!({"StringLike": {"s3:prefix": "team-b/*"}}),
        json!({"StringLike": {"s3:prefix": ["team-a/*", "*"]}}),
        json!({"StringLike": {"s3:prefix": "team-a*"}}),
        json!({"StringLike": {"s3:prefix": "${aws:userid}/*"}}),
        json!({"StringLikeIfExists": {"s3:prefix": "team-a/*"}}),
        json!({"ForAllValues:StringLike": {"s3:prefix": "team-a/*"}}),
        json!({"ForAnyValue:StringLike": {"s3:prefix": "team-a/*"}}),
        json!({"StringEquals": {"s3:prefix": "team-a/*"}}),
        json!({"StringNotLike": {"s3:prefix": "team-a/*"}}),
        json!({"StringLike": {"s3:Delimiter": "team-a/*"}}),
        json!({"StringLike": {"s3:prefix ": "team-a/*"}}),
        json!({"Null": {"s3:prefix": "false"}}),
        json!({}),
    ] {
        refused(
            &rules_of_class(),
            listing(condition),
            "InlinePolicyNotAllowed",
            &["Condition", "StringLike s3:prefix [\"team-a/*\", \"public/*\"]"],
        );
    }
}

#[test]
fn each_operator_compares_its_values_as_it_must() {
    let with = |operator: &str, values: Value| json!({operator: {"aws:x": values}});
    let several = json!(["a", "b"]);
    for (operator, rule_values, written, expected) in [
        ("StringEquals", &several, json!("a"), true),
        ("StringEquals", &several, json!(["b", "a"]), true),
        ("StringEquals", &several, json!(["a", "c"]), false),
        ("StringEquals", &several, json!("A"), false),
        ("StringEquals", &several, json!("*"), false),
        ("StringEquals", &json!(["${aws:y}"]), json!("${aws:y}"), true),
        ("StringEquals", &json!(["{namespace}"]), json!("team-a"), true),
        ("StringEquals", &json!(["{namespace}"]), json!("team-b"), false),
        ("StringEqualsIfExists", &several, json!("a"), true),
        ("ForAllValues:StringEquals", &several, json!("a"), true),
        ("ForAllValues:StringEquals", &several, json!("c"), false),
        ("ForAnyValue:StringEquals", &several, json!("a"), true),
        ("StringNotEquals", &several, json!("a"), false),
        ("StringNotEquals", &several, json!(["a", "b"]), true),
        ("StringNotEquals", &several, json!(["a", "b", "c"]), true),
        ("StringNotLike", &several, json!(["a", "b", "c*"]), true),
        ("StringNotLike", &several, json!("a*"), false),
        (
            "ArnLike",
            &json!(["arn:aws:s3:*:*:a*"]),
            json!("arn:aws:s3:x:y:ab"),
            true,
        ),
        (
            "ArnLike",
            &json!(["arn:aws:s3:*:111122223333:a"]),
            json!("arn:aws:s3:x:1:y:111122223333:a"),
            false,
        ),
        (
            "ArnEquals",
            &json!(["arn:aws:s3:::a*"]),
            json!("arn:aws:s3:::*"),
            false,
        ),
        (
            "ArnNotEquals",
            &json!(["arn:aws:s3:::a"]),
            json!("arn:aws:s3:::b"),
            false,
        ),
        ("NumericLessThan", &json!(["10"]), json!(10), true),
        ("NumericLessThan", &json!(["10"]), json!(9), false),
        ("NumericLessThan", &json!(["10"]), json!([10, 11]), false),
        ("DateLessThan", &json!(["2030-01-01"]), json!("2031-01-01"), false),
        ("IpAddress", &json!(["10.0.0.0/8"]), json!("10.0.0.0/8"), true),
        (
            "IpAddress",
            &json!(["10.0.0.0/8"]),
            json!(["10.0.0.0/8", "0.0.0.0/0"]),
            false,
        ),
        ("NotIpAddress", &json!(["10.0.0.0/8"]), json!("11.0.0.0/8"), false),
        ("Bool", &json!(["true"]), json!(true), true),
        ("Bool", &json!(["true"]), json!(false), false),
        ("Bool", &json!(["true"]), json!([true, false]), false),
        ("Null", &json!(["false"]), json!("true"), false),
    ] {
        let class = json!({"allow": {"inline": [
            rule(json!(["s3:GetObject"]), json!(["*"]), with(operator, rule_values.clone())),
        ]}});
        let document = one(json!({
            "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": with(operator, written.clone()),
        }));
        let allowed = asked(&class, document);
        assert_eq!(
            allowed.is_ok(),
            expected,
            "{operator} {rule_values} {written}: {allowed:?}"
        );
    }
}
