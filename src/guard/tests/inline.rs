//! Inline policies against the rules of a class: each action on each resource must be covered by one rule, with that
//! rule's conditions.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::guard::Refusal;

mod conditions;

fn rule(actions: Value, resources: Value, conditions: Value) -> Value {
    json!({"actions": actions, "resources": resources, "conditions": conditions})
}

/// Two rules of the same services on different resources, so that no mixture of them may pass.
fn rules_of_class() -> Value {
    json!({"allow": {"inline": [
        rule(json!(["s3:GetObject*", "s3:ListBucket"]), json!(["arn:aws:s3:::shared", "arn:aws:s3:::shared/*"]), json!({})),
        rule(json!(["s3:PutObject"]), json!(["arn:aws:s3:::ml/{namespace}/*"]), json!({})),
        rule(
            json!(["s3:ListBucket"]),
            json!(["arn:aws:s3:::ml"]),
            json!({"StringLike": {"s3:prefix": ["{namespace}/*", "public/*"]}}),
        ),
        rule(json!(["s3:GetObject"]), json!(["arn:aws:s3:::ml/${aws:PrincipalTag/team}/*"]), json!({})),
    ]}})
}

fn asked(class: &Value, document: Value) -> Result<(), Refusal> {
    let spec = object(json!({"inlinePolicies": [{"name": "p", "document": document}]}));
    ask(&least_class(class), &spec)
}

fn one(statement: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn allow(action: Value, resource: Value) -> Value {
    one(json!({"Effect": "Allow", "Action": action, "Resource": resource}))
}

#[track_caller]
fn refused(class: &Value, document: Value, reason: &str, words: &[&str]) {
    let refusal = asked(class, document.clone()).expect_err(&document.to_string());
    assert_eq!(refusal.reason, reason, "{}", refusal.message);
    for word in words {
        assert!(refusal.message.contains(word), "{word}: {}", refusal.message);
    }
}

#[test]
fn what_one_rule_covers_is_allowed() {
    for (action, resource) in [
        (json!("s3:GetObject"), json!("arn:aws:s3:::shared/a")),
        (json!("S3:getobject"), json!("arn:aws:s3:::shared/*")),
        (json!("s3:GetObject*"), json!("arn:aws:s3:::shared/a/*/b?")),
        (
            json!(["s3:GetObject", "s3:ListBucket"]),
            json!(["arn:aws:s3:::shared", "arn:aws:s3:::shared/*"]),
        ),
        (json!("s3:PutObject"), json!("arn:aws:s3:::ml/team-a/*")),
        (
            json!("S3:putOBJECT"),
            json!("arn:aws:s3:::ml/team-a/${aws:userid}/*"),
        ),
        (
            json!("s3:GetObject"),
            json!("arn:aws:s3:::ml/${aws:PrincipalTag/team}/x"),
        ),
        (json!("s3:GetObject"), json!("arn:aws:s3:::shared/${*}")),
    ] {
        asked(&rules_of_class(), allow(action.clone(), resource.clone()))
            .unwrap_or_else(|refusal| panic!("{action} {resource}: {}", refusal.message));
    }
}

#[test]
fn what_no_rule_names_is_refused_with_the_way_out() {
    refused(
        &rules_of_class(),
        allow(json!("s3:DeleteObject"), json!("arn:aws:s3:::shared/*")),
        "InlinePolicyNotAllowed",
        &[
            "\"ml\"",
            "inline policy \"p\"",
            "statement 1, Action",
            "\"s3:DeleteObject\"",
            "remove it",
            "allow.inline",
        ],
    );
    refused(
        &rules_of_class(),
        allow(json!("s3:GetO*"), json!("arn:aws:s3:::other/*")),
        "InlinePolicyNotAllowed",
        &[
            "Action",
            "\"s3:GetO*\"",
            "write only what the rules name",
            "s3:getobject*",
        ],
    );
    refused(
        &rules_of_class(),
        allow(
            json!("s3:GetObject"),
            json!(["arn:aws:s3:::shared/*", "arn:aws:s3:::other/*"]),
        ),
        "InlinePolicyNotAllowed",
        &[
            "Resource",
            "\"arn:aws:s3:::other/*\"",
            "write resources within arn:aws:s3:::shared",
        ],
    );
}

#[test]
fn no_mixture_of_rules_passes() {
    for (action, resource) in [
        // Each is named by some rule, but not together.
        (json!("s3:PutObject"), json!("arn:aws:s3:::shared/*")),
        (
            json!(["s3:GetObject", "s3:PutObject"]),
            json!(["arn:aws:s3:::shared/*", "arn:aws:s3:::ml/team-a/*"]),
        ),
        (json!("s3:PutObject"), json!("arn:aws:s3:::ml/team-b/x")),
        (json!("s3:PutObject"), json!("arn:aws:s3:::ml/team-a-b/x")),
        (json!("s3:PutObject"), json!("arn:aws:s3:::ml/team-a")),
        (json!("s3:PutObject"), json!("arn:aws:s3:::ml/team-?/x")),
        (json!("s3:PutObject"), json!("arn:aws:s3:::ml/*/team-a/x")),
        (json!("s3:PutObject"), json!("arn:aws:s3:::ML/team-a/x")),
        (json!("s3:PutObject"), json!("arn:aws:s3:::ml*/team-a/x")),
        (json!("s3:GetObject"), json!("arn:aws:s3:::shared*")),
        (json!("s3:GetObject"), json!("*")),
        (json!("s3:GetObject"), json!("arn:aws:s3:*:*:shared/*")),
        (json!("s3:GetObject"), json!("arn:aws:s3:eu-west-1::shared/*")),
        (json!("s3:GetObject"), json!("arn:aws-cn:s3:::shared/*")),
        (
            json!("s3:GetObject"),
            json!("arn:aws:s3:::${aws:PrincipalTag/bucket}/*"),
        ),
        (
            json!("s3:GetObject"),
            json!("arn:aws:s3:::ml/${aws:PrincipalTag/team}"),
        ),
        (
            json!("s3:GetObject"),
            json!("arn:aws:s3:::ml/${aws:PrincipalTag/other}/x"),
        ),
        (
            json!("s3:GetObject"),
            json!("arn:aws:s3:::ml/${aws:PrincipalTag/team, 'team-b'}/x"),
        ),
        (json!("s3:GetObject"), json!("arn:aws:s3:::ml/team-a/x")),
        (json!("s3:GetObject"), json!("arn:aws:s3::${aws:x}:shared/*")),
        (json!("s3:ListBucket"), json!("arn:aws:s3:::ml")),
    ] {
        refused(
            &rules_of_class(),
            allow(action, resource),
            "InlinePolicyNotAllowed",
            &["allow.inline"],
        );
    }
}

#[test]
fn a_broken_policy_variable_is_refused() {
    for resource in [
        "arn:aws:s3:::shared/${aws:username",
        "arn:aws:s3:::shared/${${aws:username}}",
    ] {
        refused(
            &rules_of_class(),
            allow(json!("s3:GetObject"), json!(resource)),
            "InlinePolicyNotAllowed",
            &["statement 1, Resource", "a policy variable"],
        );
    }
}

#[test]
fn one_wildcard_may_not_reach_from_one_part_of_an_arn_into_the_next() {
    let class = json!({"allow": {"inline": [
        rule(json!(["logs:Get*"]), json!(["arn:aws:logs:*:111122223333:log-group:ml:*"]), json!({})),
    ]}});
    asked(
        &class,
        allow(
            json!("logs:GetLogEvents"),
            json!("arn:aws:logs:eu-*:111122223333:log-group:ml:x"),
        ),
    )
    .unwrap();
    for resource in [
        "arn:aws:logs:eu-west-1:444455556666:x:111122223333:log-group:ml:x",
        "arn:aws:logs:*:log-group:111122223333:log-group:ml:x",
        "arn:aws:logs:*:*:log-group:ml:x",
    ] {
        refused(
            &class,
            allow(json!("logs:GetLogEvents"), json!(resource)),
            "InlinePolicyNotAllowed",
            &["Resource"],
        );
    }
}

#[test]
fn negated_elements_are_refused_in_allow_statements_alone() {
    for (statement, element) in [
        (
            json!({"Effect": "Allow", "NotAction": "s3:PutObject", "Resource": "arn:aws:s3:::shared/*"}),
            "NotAction",
        ),
        (
            json!({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::other/*"}),
            "NotResource",
        ),
    ] {
        refused(
            &rules_of_class(),
            one(statement),
            "InlinePolicyNotAllowed",
            &[element, "list the"],
        );
    }
    for statement in [
        json!({"Effect": "Deny", "NotAction": "s3:GetObject", "Resource": "*"}),
        json!({"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::shared/*"}),
        json!({"Effect": "Deny", "Action": "iam:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": false}}}),
    ] {
        asked(&json!({}), one(statement)).unwrap();
    }
}

#[test]
fn every_statement_is_looked_at_and_named() {
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "Fine", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::shared/*"},
        {"Sid": "Hidden", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::other/*"},
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"},
    ]});
    refused(
        &rules_of_class(),
        document,
        "InlinePolicyNotAllowed",
        &["statement 2 (Sid \"Hidden\"), Resource", "statement 3, Action"],
    );
}

#[test]
fn what_iam_would_refuse_is_refused_here_with_its_place() {
    for (document, words) in [
        (json!({}), "Statement is missing"),
        (
            json!({"Version": "2012-10-17", "Statement": []}),
            "the list is empty",
        ),
        (
            json!({"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}),
            "2012-10-17",
        ),
        (
            json!({"Version": "2008-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}),
            "2012-10-17",
        ),
        (
            allow(json!([]), json!("*")),
            "statement 1, Action: the list is empty",
        ),
        (
            allow(json!(["s3:GetObject", 1]), json!("*")),
            "statement 1, Action: it is a number",
        ),
        (
            allow(json!("s3:GetObject"), json!(null)),
            "statement 1, Resource: it is null",
        ),
        (allow(json!("s?:GetObject"), json!("*")), "service"),
        (
            allow(json!("s3:GetObject"), json!("arn:*:s3:::shared/*")),
            "partition",
        ),
        (allow(json!("s3:GetObject"), json!("arn:aws:s3")), "six parts"),
        (allow(json!("ſ3:GetObject"), json!("*")), "U+017F"),
        (
            one(json!({"Effect": "allow", "Action": "s3:GetObject", "Resource": "*"})),
            "Effect",
        ),
        (
            one(json!({"Effect": "Allow", "action": "s3:GetObject", "Resource": "*"})),
            "write it as Action",
        ),
        (
            one(json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Principal": "*"})),
            "Principal",
        ),
    ] {
        refused(
            &rules_of_class(),
            document,
            "InvalidSpec",
            &["inlinePolicies \"p\"", words],
        );
    }
    let long = allow(
        json!("s3:GetObject"),
        json!(format!("arn:aws:s3:::shared/{}", "x".repeat(70_000))),
    );
    refused(&rules_of_class(), long, "QuotaExceeded", &["shorten it"]);
}

#[test]
fn odd_actions_are_no_actions() {
    for action in ["s3:Get\u{e9}*", "s3:Get${x}", "s3:Get\"", "s3:Get%4fbject"] {
        refused(
            &rules_of_class(),
            allow(json!(action), json!("arn:aws:s3:::shared/*")),
            "InlinePolicyNotAllowed",
            &["isn't an action"],
        );
    }
}

#[test]
fn a_class_with_a_rule_that_is_no_rule_is_refused_with_its_number() {
    for (bad, words) in [
        (
            rule(json!(["*"]), json!(["*"]), json!({})),
            "every action of every service",
        ),
        (
            rule(json!(["GetObject"]), json!(["*"]), json!({})),
            "service:action",
        ),
        (
            rule(json!(["s*:GetObject"]), json!(["*"]), json!({})),
            "service:action",
        ),
        (rule(json!(["s3:"]), json!(["*"]), json!({})), "service:action"),
        (
            rule(json!(["{namespace}:x"]), json!(["*"]), json!({})),
            "service:action",
        ),
        (rule(json!([]), json!(["*"]), json!({})), "at least one of each"),
        (
            rule(json!(["s3:Get*"]), json!([]), json!({})),
            "at least one of each",
        ),
        (
            rule(json!(["s3:Get*"]), json!(["bucket"]), json!({})),
            "six parts",
        ),
        (
            rule(json!(["s3:Get*"]), json!(["arn:aws:s3"]), json!({})),
            "six parts",
        ),
        (
            rule(json!(["s3:Get*"]), json!(["arn:*:s3:::b"]), json!({})),
            "six parts",
        ),
        (
            rule(json!(["s3:Get*"]), json!(["arn:aws:*:::b"]), json!({})),
            "six parts",
        ),
        (
            rule(
                json!(["s3:Get*"]),
                json!(["arn:aws:s3:::{namespace}*"]),
                json!({}),
            ),
            "nothing keeps {namespace} apart",
        ),
        (
            rule(json!(["s3:Get*"]), json!(["arn:aws:s3:::{team}"]), json!({})),
            "the only placeholders",
        ),
        (
            rule(
                json!(["s3:Get*"]),
                json!(["*"]),
                json!({"StringIs": {"aws:x": ["a"]}}),
            ),
            "operators",
        ),
        (
            rule(json!(["s3:Get*"]), json!(["*"]), json!({"StringEquals": {}})),
            "at least one key",
        ),
        (
            rule(
                json!(["s3:Get*"]),
                json!(["*"]),
                json!({"StringEquals": {"aws:x": []}}),
            ),
            "at least one value",
        ),
        (
            rule(
                json!(["s3:Get*"]),
                json!(["*"]),
                json!({"StringEquals": {"x": ["a"]}}),
            ),
            "needs a key",
        ),
        (
            rule(
                json!(["s3:Get*"]),
                json!(["*"]),
                json!({"StringEquals": {"aws:x": ["a"], "AWS:X": ["b"]}}),
            ),
            "there twice",
        ),
        (
            rule(
                json!(["s3:Get*"]),
                json!(["*"]),
                json!({"StringLike": {"aws:x": ["{namespace}*"]}}),
            ),
            "apart",
        ),
    ] {
        let fine = rule(json!(["s3:Get*"]), json!(["*"]), json!({}));
        let class = least_class(&json!({"allow": {"inline": [fine, bad]}}));
        let refusal = class_refusal(&class);
        assert_eq!(refusal.reason, "InvalidSpec", "{}", refusal.message);
        for words in ["allow.inline, rule 2", words] {
            assert!(refusal.message.contains(words), "{words}: {}", refusal.message);
        }
    }
}

#[test]
fn many_violations_make_a_bounded_message() {
    let statements: Vec<Value> = (0..200)
        .map(|i| json!({"Effect": "Allow", "Action": format!("sqs:Send{i}"), "Resource": "*"}))
        .collect();
    let refusal = asked(
        &rules_of_class(),
        json!({"Version": "2012-10-17", "Statement": statements}),
    )
    .unwrap_err();
    assert!(refusal.message.len() <= 4_096, "{}", refusal.message.len());
    assert!(refusal.message.ends_with("and 190 more"), "{}", refusal.message);
}
