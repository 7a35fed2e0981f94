//! What an admin may mistype in a class: each is refused by its field, since what is left would be wider than it
//! reads, or would never be what anybody asks for.

use serde_json::{Value, json};

use super::fixtures::*;

#[track_caller]
fn refused(patch: &Value, words: &[&str]) {
    let refusal = class_refusal(&least_class(patch));
    assert_eq!(refusal.reason, "InvalidSpec", "{}", refusal.message);
    for word in words {
        assert!(refusal.message.contains(word), "{word}: {}", refusal.message);
    }
}

#[test]
fn a_wildcard_in_the_path_of_a_role_that_is_passed_is_no_consent() {
    for role in [
        "arn:aws:iam::111122223333:role/teams/*/exec",
        "arn:aws:iam::111122223333:role/teams/team-?/exec",
        "arn:aws:iam::111122223333:role/*/exec",
        "arn:aws:iam::111122223333:role/${aws:PrincipalTag/team}/exec",
        "arn:aws:iam::111122223333:role/{namespace}/exec",
    ] {
        refused(
            &json!({"allow": {"passRoleArns": [role]}}),
            &["allow.passRoleArns", role, "exactly"],
        );
    }
}

#[test]
fn a_boundary_is_one_policy_and_no_pattern_of_policies() {
    for arn in [
        "arn:aws:iam::111122223333:policy/*/boundary",
        "arn:aws:iam::111122223333:policy/b?/boundary",
        "arn:aws:iam::111122223333:policy/{namespace}/boundary",
        "arn:aws:iam::111122223333:policy/${aws:username}/boundary",
    ] {
        refused(
            &json!({"roles": {"permissionsBoundary": {"none": null, "arn": arn}}}),
            &["roles.permissionsBoundary.arn", arn],
        );
    }
}

#[test]
fn the_role_that_is_assumed_is_one_role_of_the_account() {
    for arn in [
        "arn:aws:iam::111122223333:role/*/operator",
        "arn:aws:iam::111122223333:role/op?/operator",
        "arn:aws:iam::111122223333:role/{cluster}/operator",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:user/operator",
        "operator",
    ] {
        refused(
            &json!({"aws": {"assumeRole": {"arn": arn}}}),
            &["aws.assumeRole.arn", arn],
        );
    }
    refused(
        &json!({"aws": {
            "accountId": "444455556666",
            "assumeRole": {"arn": "arn:aws:iam::111122223333:role/operator"},
        }}),
        &["aws.assumeRole.arn", "aws.accountId", "444455556666"],
    );
}

#[test]
fn paths_of_awss_own_roles_are_refused() {
    for path in [
        "/aws-service-role/",
        "/aws-service-role/{namespace}/",
        "/aws-reserved/sso.amazonaws.com/",
    ] {
        refused(&json!({"roles": {"path": path}}), &["roles.path", "AWS's own"]);
    }
}

#[test]
fn services_that_nobody_could_ask_for_are_refused() {
    for service in [
        "sagemaker",
        "SageMaker.amazonaws.com",
        "sagemaker.amazonaws.com ",
        "sagemaker.amazon.com",
        "https://sagemaker.amazonaws.com",
        "arn:aws:iam::111122223333:root",
        "",
    ] {
        refused(
            &json!({"allow": {"trustedServices": [service]}}),
            &["allow.trustedServices", "sagemaker.amazonaws.com"],
        );
    }
    let fine = json!({"allow": {"trustedServices": ["sagemaker.amazonaws.com", "ec2.amazonaws.com.cn"]}});
    assert_eq!(rules(&least_class(&fine)).trusted_services.len(), 2);
}

#[test]
fn names_and_keys_that_nothing_can_have_are_refused() {
    for (field, pattern, words) in [
        ("roleNames", "team/{namespace}", "'/'"),
        ("roleNames", "{namespace}.trainer role", "' '"),
        ("roleNames", "arn:aws:iam::111122223333:role/x", "':'"),
        ("roleNames", "donn\u{e9}es", "'\u{e9}'"),
        ("tagKeys", "cost&center", "'&'"),
        ("tagKeys", "mlservicerole.io/team", "reserved"),
        ("tagKeys", "MLServiceRole.io/*", "reserved"),
        ("tagKeys", "aws:cloudformation:stack-name", "reserved"),
    ] {
        refused(
            &json!({"allow": {field: [pattern]}}),
            &[&format!("allow.{field}"), words, "remove"],
        );
    }
}

#[test]
fn a_resource_of_a_rule_names_a_partition_and_a_service_that_there_can_be() {
    for resource in [
        "arn:{namespace}:s3:::ml-data/*",
        "arn:aws:{namespace}:::ml-data/*",
        "arn:aws:{cluster}:::ml-data/*",
        "arn:awz:s3:::ml-data/*",
        "arn:aws:S3:::ml-data/*",
        "arn:aws:s 3:::ml-data/*",
        "arn::s3:::ml-data/*",
        "arn:aws::::ml-data/*",
        "arn:aws:s3:ml-data/*",
    ] {
        refused(
            &json!({"allow": {"inline": [{"actions": ["s3:GetObject"], "resources": [resource]}]}}),
            &["allow.inline, rule 1", resource, "in full"],
        );
    }
}

/// Else a tenant writes another team's name into the tag of its role.
#[test]
fn tags_by_which_a_rule_goes_are_not_for_tenants_to_set() {
    let by_resource =
        json!({"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::ml/${aws:PrincipalTag/Team}/*"]});
    let by_value = json!({
        "actions": ["s3:ListBucket"], "resources": ["arn:aws:s3:::ml"],
        "conditions": {"StringLike": {"s3:prefix": ["${AWS:principaltag/team, 'none'}/*"]}},
    });
    let by_key = json!({
        "actions": ["s3:GetObject"], "resources": ["*"],
        "conditions": {"StringEquals": {"aws:principalTag/TEAM": ["a"]}},
    });
    let class = |rule: &Value, keys: Value, own: Value| json!({"allow": {"inline": [rule], "tagKeys": keys}, "roles": {"tags": own}});
    for rule in [&by_resource, &by_value, &by_key] {
        for key in ["team", "TEAM", "t*", "te?m", "{namespace}", "*m"] {
            refused(
                &class(rule, json!(["cost-center", key]), json!({})),
                &["allow.tagKeys", "\"team\"", "roles.tags"],
            );
        }
        for (keys, own) in [
            (json!([]), json!({})),
            (json!(["cost-center", "team/*", "teams"]), json!({})),
            (json!(["t*"]), json!({"Team": "a"})),
        ] {
            rules(&least_class(&class(rule, keys, own)));
        }
    }
}

#[test]
fn namespaces_that_adopt_are_names_and_no_patterns() {
    for namespace in ["*", "team-*", "{namespace}", "Team-A", "team_a"] {
        refused(
            &json!({"allow": {"adopt": [{
                "arn": "arn:aws:iam::111122223333:role/old", "namespaces": [namespace],
            }]}}),
            &["allow.adopt", namespace, "namespaces"],
        );
    }
}

#[test]
fn policies_of_awss_that_escalate_need_consent_in_whatever_case() {
    for name in [
        "administratoraccess",
        "POWERUSERACCESS",
        "iamfullaccess",
        "AmazonSagemakerFullAccess",
        "amazons3fullaccess",
    ] {
        let arn = format!("arn:aws:iam::aws:policy/{name}");
        let refusal = class_refusal(&least_class(&json!({"allow": {"managedPolicyArns": [arn]}})));
        assert_eq!(refusal.reason, "EscalationNotAllowed", "{}", refusal.message);
        assert!(refusal.message.contains(name), "{}", refusal.message);
    }
}

#[test]
fn a_value_of_a_preset_that_no_request_can_have_is_refused_with_what_is_wrong_and_an_example() {
    for (preset, parameter, value, problem) in [
        (
            "s3-prefix-read",
            "bucket",
            "arn:aws:s3:::ml-data",
            "doesn't match",
        ),
        ("s3-prefix-read", "bucket", "ML-Data", "doesn't match"),
        ("s3-prefix-read", "bucket", "ml-data/", "doesn't match"),
        ("s3-prefix-read", "bucket", "", "empty"),
        ("s3-prefix-read", "bucket", " ml-data", "contains ' '"),
        ("s3-prefix-read", "prefix", "/shared", "doesn't match"),
        ("s3-prefix-read", "prefix", "shared/", "doesn't match"),
        ("s3-prefix-read", "prefix", "donn\u{e9}es", "contains"),
        ("kms-via-s3", "key", "alias/ml", "doesn't match"),
        (
            "sagemaker-training-job",
            "executionRole",
            "arn:aws:iam::111122223333:role/ml/execution",
            "doesn't match",
        ),
    ] {
        refused(
            &json!({"allow": {"presets": [{"name": preset, "with": {parameter: [value]}}]}}),
            &[
                "allow.presets",
                preset,
                parameter,
                &format!("{value:?}"),
                problem,
                "write something like",
            ],
        );
    }
    for (parameter, pattern, filled_in) in [
        ("prefix", "{namespace}/", "team-a/"),
        ("prefix", "/{namespace}", "/team-a"),
        ("bucket", "{cluster}.", "team-a."),
    ] {
        refused(
            &json!({"allow": {"presets": [{"name": "s3-prefix-read", "with": {parameter: [pattern]}}]}}),
            &[
                parameter,
                pattern,
                filled_in,
                "doesn't match",
                "write something like",
            ],
        );
    }
    for (preset, parameter, pattern, character) in [
        ("s3-prefix-read", "prefix", "{namespace}/donn\u{e9}es", "'\u{e9}'"),
        ("s3-prefix-read", "prefix", "{namespace}/a b/*", "' '"),
        ("s3-prefix-read", "prefix", "'{namespace}'", "'\\''"),
        ("s3-prefix-read", "bucket", "arn:aws:s3:::{namespace}", "':'"),
        ("s3-prefix-read", "bucket", "arn:aws:s3:::ml-*", "':'"),
        ("s3-prefix-read", "bucket", "ML-*", "'M'"),
        ("s3-prefix-read", "bucket", "{namespace}.data/*", "'/'"),
        ("kms-via-s3", "key", "arn:aws:kms:*:111122223333:key/*", "'n'"),
        ("sagemaker-training-job", "executionRole", "arn:aws:iam::*", "':'"),
    ] {
        refused(
            &json!({"allow": {"presets": [{"name": preset, "with": {parameter: [pattern]}}]}}),
            &[
                "allow.presets",
                preset,
                parameter,
                character,
                "remove",
                "something like",
            ],
        );
    }
}

#[test]
fn what_some_request_can_have_is_taken_as_a_value_of_a_preset() {
    let with = json!({"bucket": ["ml-data", "ml-*", "*"], "prefix": ["{namespace}", "{namespace}/*", "shared/images"]});
    let presets = json!([
        {"name": "s3-prefix-read", "with": with},
        {"name": "sagemaker-training-job", "with": {"prefix": ["{namespace}"], "executionRole": ["self", "ml/execution"]}},
    ]);
    assert_eq!(
        rules(&least_class(&json!({"allow": {"presets": presets}})))
            .presets
            .len(),
        2
    );
}

/// So that no class is refused for a value that the operator itself gives as an example.
#[test]
fn every_example_of_every_parameter_can_be_listed() {
    for preset in crate::access::catalogue() {
        for version in &preset.versions {
            for parameter in &version.parameters {
                let presets =
                    json!([{"name": preset.name, "with": {(parameter.name.as_str()): parameter.example}}]);
                rules(&least_class(&json!({"allow": {"presets": presets}})));
            }
        }
    }
}
