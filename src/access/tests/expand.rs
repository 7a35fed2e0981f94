//! What presets become.

use serde_json::{Value, json};

use super::*;

fn statements(document: &Value) -> Vec<Value> {
    match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        one => vec![one.clone()],
    }
}

/// The statement that allows the action, and no other.
fn allowing(document: &Value, action: &str) -> Value {
    let has = |statement: &Value| match &statement["Action"] {
        Value::Array(actions) => actions.iter().any(|found| found == action),
        one => one == action,
    };
    let mut found: Vec<Value> = statements(document).into_iter().filter(has).collect();
    assert_eq!(found.len(), 1, "{action} in {document}");
    found.remove(0)
}

#[test]
fn nothing_comes_of_nothing() {
    assert_eq!(expand(&[], &ireland().place()).unwrap(), None);
}

#[test]
fn a_preset_becomes_a_policy_with_its_values() {
    assert_eq!(
        policy(
            "s3-prefix-read",
            &[("bucket", &["ml-data"]), ("prefix", &["team-a", "shared/x"])]
        ),
        json!({
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "s3:GetObject",
                    "Resource": ["arn:aws:s3:::ml-data/shared/x/*", "arn:aws:s3:::ml-data/team-a/*"],
                },
                {
                    "Effect": "Allow",
                    "Action": "s3:ListBucket",
                    "Resource": "arn:aws:s3:::ml-data",
                    "Condition": {"StringLike": {"s3:prefix": ["shared/x/*", "team-a/*"]}},
                },
            ],
        })
    );
}

#[test]
fn presets_of_one_object_share_statements() {
    let reading = with(&[("bucket", &["ml-data"]), ("prefix", &["in"])]);
    let writing = with(&[("bucket", &["ml-data"]), ("prefix", &["out"])]);
    let checked = [
        check(request("s3-prefix-read", &reading)).unwrap(),
        check(request("s3-prefix-write", &writing)).unwrap(),
    ];
    let document = expand(&checked, &ireland().place()).unwrap().unwrap();
    let document: Value = serde_json::from_str(&document.to_json()).unwrap();
    assert_eq!(
        allowing(&document, "s3:ListBucket")["Condition"],
        json!({"StringLike": {"s3:prefix": ["in/*", "out/*"]}})
    );
    assert_eq!(statements(&document).len(), 3);
}

/// An object has one policy for all of its presets, so that there are never more; nor is it longer.
#[test]
fn presets_together_take_no_more_room_than_apart() {
    let somewhere = ireland();
    let place = somewhere.place();
    let values: Vec<With> = catalogue()
        .iter()
        .map(|preset| examples(preset.versions.last().unwrap()))
        .collect();
    let checked = |index: usize| check(request(&catalogue()[index].name, &values[index])).unwrap();
    let written = |uses: &[Checked<'_>]| expand(uses, &place).unwrap().unwrap().to_json();
    let apart: Vec<String> = (0..values.len())
        .map(|index| written(&[checked(index)]))
        .collect();
    for one in 0..values.len() {
        for other in one..values.len() {
            let together = written(&[checked(one), checked(other)]);
            assert!(
                together.len() <= apart[one].len() + apart[other].len(),
                "{together}"
            );
        }
    }
    let all: Vec<Checked<'_>> = (0..values.len()).map(checked).collect();
    assert!(written(&all).len() <= apart.iter().map(String::len).sum());
}

#[test]
fn the_order_of_the_presets_makes_no_difference() {
    let values: Vec<With> = catalogue()
        .iter()
        .map(|preset| examples(&preset.versions[0]))
        .collect();
    let mut checked: Vec<Checked<'_>> = catalogue()
        .iter()
        .zip(&values)
        .map(|(preset, with)| check(request(&preset.name, with)).unwrap())
        .collect();
    let somewhere = ireland();
    let forward = expand(&checked, &somewhere.place()).unwrap();
    checked.reverse();
    assert_eq!(expand(&checked, &somewhere.place()).unwrap(), forward);
}

#[test]
fn the_own_role_is_passed_by_its_whole_arn() {
    let document = policy(
        "sagemaker-training-job",
        &[("prefix", &["team-a"]), ("executionRole", &["self"])],
    );
    assert_eq!(
        allowing(&document, "iam:PassRole"),
        json!({
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": "arn:aws:iam::111122223333:role/ml/prod/team-a-trainer-abcdef234567",
            "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        })
    );
}

#[test]
fn a_role_that_two_presets_pass_is_passed_to_both_services_in_one_statement() {
    let training = with(&[("prefix", &["team-a"]), ("executionRole", &["ml/exec"])]);
    let batch = with(&[
        ("model", &["amazon.nova-lite-v1:0"]),
        ("serviceRole", &["ml/exec"]),
    ]);
    let checked = [
        check(request("sagemaker-training-job", &training)).unwrap(),
        check(request("bedrock-batch", &batch)).unwrap(),
    ];
    let document = expand(&checked, &ireland().place()).unwrap().unwrap();
    let document: Value = serde_json::from_str(&document.to_json()).unwrap();
    assert_eq!(
        allowing(&document, "iam:PassRole")["Condition"]["StringEquals"]["iam:PassedToService"],
        json!(["bedrock.amazonaws.com", "sagemaker.amazonaws.com"])
    );
}

#[test]
fn policy_variables_of_a_template_are_left_to_iam() {
    let document = policy(
        "bedrock-batch",
        &[
            ("model", &["amazon.nova-lite-v1:0"]),
            ("serviceRole", &["ml/batch"]),
        ],
    );
    assert_eq!(
        allowing(&document, "bedrock:GetModelInvocationJob")["Condition"],
        json!({"StringEquals": {
            "aws:ResourceTag/mlservicerole.io/cluster": "${aws:PrincipalTag/mlservicerole.io/cluster}",
            "aws:ResourceTag/mlservicerole.io/namespace": "${aws:PrincipalTag/mlservicerole.io/namespace}",
        }})
    );
}

#[test]
fn what_is_about_an_absent_parameter_is_left_out() {
    let document = policy("sagemaker-invoke-endpoint", &[("endpoint", &["team-a"])]);
    assert_eq!(
        statements(&document)[0]["Resource"],
        "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/team-a"
    );
    let document = policy(
        "bedrock-guardrail-apply",
        &[
            ("guardrail", &["gr1"]),
            ("guardrailProfile", &["us.guardrail.v1:0"]),
        ],
    );
    assert_eq!(
        statements(&document)[0]["Resource"],
        "arn:aws:bedrock:eu-west-1:111122223333:guardrail/gr1"
    );
}

#[test]
fn a_condition_about_an_absent_parameter_takes_its_statement_along() {
    let text = r#"{"title": "t", "description": "d", "documentation": "u", "versions": [{
        "parameters": [{"name": "tag", "description": "d", "pattern": "[a-z]+", "required": false, "example": ["a"]}],
        "statements": [
            {"actions": ["s3:GetObject"], "resources": ["arn:${P}:s3:::a/*"],
             "conditions": {"StringEquals": {"aws:ResourceTag/x": ["${tag}"]}}},
            {"actions": ["s3:GetObject"], "resources": ["arn:${P}:s3:::b/*"]}
        ]}]}"#;
    let preset = Preset::read("test", text).unwrap();
    let none = With::new();
    let checked = super::super::check::check_against(&preset, request("test", &none)).unwrap();
    let document = expand(&[checked], &ireland().place()).unwrap().unwrap();
    assert_eq!(
        document.to_json(),
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}"#
    );
}

#[test]
fn the_names_of_endpoints_end_as_the_partition_has_it() {
    let values = with(&[("key", &["1234abcd-12ab-34cd-56ef-1234567890ab"])]);
    for (partition, region, service) in [
        ("aws", "eu-west-1", "s3.eu-west-1.amazonaws.com"),
        ("aws-cn", "cn-north-1", "s3.cn-north-1.amazonaws.com.cn"),
        ("aws-us-gov", "us-gov-west-1", "s3.us-gov-west-1.amazonaws.com"),
    ] {
        let somewhere = somewhere(partition, region);
        let checked = check(request("kms-via-s3", &values)).unwrap();
        let document = expand(&[checked], &somewhere.place()).unwrap().unwrap();
        let document: Value = serde_json::from_str(&document.to_json()).unwrap();
        assert_eq!(
            allowing(&document, "kms:Decrypt")["Condition"]["StringEquals"]["kms:ViaService"],
            service
        );
    }
}

#[test]
fn a_region_is_needed_only_by_what_is_regional_and_must_be_one() {
    let somewhere = ireland();
    let without = Place {
        region: None,
        ..somewhere.place()
    };
    let s3 = with(&[("bucket", &["b-1"]), ("prefix", &["p"])]);
    let endpoint = with(&[("endpoint", &["e"])]);
    expand(&[check(request("s3-prefix-read", &s3)).unwrap()], &without).unwrap();
    let checked = [check(request("sagemaker-invoke-endpoint", &endpoint)).unwrap()];
    assert_eq!(
        expand(&checked, &without).unwrap_err().to_string(),
        "the preset sagemaker-invoke-endpoint is about resources of one region, and the operator knows none; ask the \
         administrator to set one"
    );
    for region in [
        "",
        "*",
        "eu-*-1",
        "eu-west-1:",
        "EU-WEST-1",
        "eu-west",
        "-1",
        "eu--1",
        "1",
        "${x}-a-1",
    ] {
        let place = Place {
            region: Some(region),
            ..somewhere.place()
        };
        assert!(
            matches!(expand(&checked, &place), Err(AccessError::Region(_))),
            "{region}"
        );
    }
}

#[test]
fn combinations_have_a_limit() {
    let many: Vec<String> = (0..10).map(|n| format!("r{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let text = r#"{"title": "t", "description": "d", "documentation": "u", "versions": [{
        "parameters": [
            {"name": "a", "description": "d", "pattern": "[a-z0-9]+", "example": ["a"]},
            {"name": "b", "description": "d", "pattern": "[a-z0-9]+", "example": ["a"]},
            {"name": "c", "description": "d", "pattern": "[a-z0-9]+", "example": ["a"]}],
        "statements": [{"actions": ["s3:GetObject"], "resources": ["arn:${P}:s3:::${a}/${b}/${c}"]}]}]}"#;
    let preset = Preset::read("test", text).unwrap();
    let values = with(&[("a", &many), ("b", &many), ("c", &many)]);
    let checked = super::super::check::check_against(&preset, request("test", &values)).unwrap();
    assert_eq!(
        expand(&[checked], &ireland().place()).unwrap_err().to_string(),
        "the values of the preset test combine to 1000 strings in one list, and at most 100 are taken; give fewer \
         values, or spread them over several entries of spec.access"
    );
}
