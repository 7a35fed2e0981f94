//! What is refused, and in which words.

use super::super::check::check_against;
use super::*;

fn refusal(preset: &str, values: &[(&str, &[&str])]) -> String {
    let with = with(values);
    check(request(preset, &with)).unwrap_err().to_string()
}

#[test]
fn an_unknown_preset_is_refused_with_the_name_that_was_probably_meant() {
    assert_eq!(
        refusal("s3-prefx-read", &[]),
        r#"there is no preset "s3-prefx-read"; did you mean s3-prefix-read?"#
    );
    assert_eq!(
        refusal("zzz", &[]),
        r#"there is no preset "zzz"; mlservicerole-operator presets list shows all"#
    );
    let long = "s".repeat(100_000);
    assert!(refusal(&long, &[]).len() < 200);
    assert!(refusal("evil\nname\u{202e}", &[]).starts_with(r#"there is no preset "evil\nname\u{202e}"; "#));
}

#[test]
fn an_absent_version_is_the_first_and_an_unknown_one_is_refused() {
    let with = with(&[("bucket", &["b-1"]), ("prefix", &["p"])]);
    let checked = check(request("s3-prefix-read", &with)).unwrap();
    assert_eq!(checked.version().number, 1);
    for version in [0, 99, u32::MAX] {
        let request = Request {
            version: Some(version),
            ..request("s3-prefix-read", &with)
        };
        assert_eq!(
            check(request).unwrap_err().to_string(),
            format!("the preset s3-prefix-read has no version {version}; its newest is 1")
        );
    }
}

#[test]
fn a_parameter_must_exist() {
    assert_eq!(
        refusal("s3-prefix-read", &[("bukket", &["b-1"])]),
        r#"version 1 of the preset s3-prefix-read has no parameter "bukket"; did you mean bucket?"#
    );
    assert_eq!(
        refusal("s3-prefix-read", &[("zzz", &["b-1"])]),
        r#"version 1 of the preset s3-prefix-read has no parameter "zzz"; it has bucket, prefix"#
    );
    assert_eq!(
        refusal("translate-text", &[("region", &["b-1"])]),
        r#"version 1 of the preset translate-text has no parameter "region"; it has none, so leave out `with`"#
    );
}

#[test]
fn a_required_parameter_must_have_a_value() {
    assert_eq!(
        refusal("s3-prefix-read", &[("prefix", &["p"])]),
        r#"the preset s3-prefix-read needs a value for bucket (Name of the bucket), such as "ml-data""#
    );
    assert_eq!(
        refusal("s3-prefix-read", &[("bucket", &[]), ("prefix", &["p"])]),
        "the list of values for bucket of the preset s3-prefix-read is empty; give at least one"
    );
    assert_eq!(
        refusal(
            "sagemaker-invoke-endpoint",
            &[("endpoint", &["e"]), ("inferenceComponent", &[])]
        ),
        "the list of values for inferenceComponent of the preset sagemaker-invoke-endpoint is empty; give at least \
         one, or leave the parameter out"
    );
}

#[test]
fn a_parameter_takes_so_many_values_and_no_more() {
    let buckets = ["a-1", "a-2", "a-3", "a-4", "a-5", "a-6"];
    assert_eq!(
        refusal("s3-prefix-read", &[("bucket", &buckets), ("prefix", &["p"])]),
        "bucket of the preset s3-prefix-read has 6 values and takes at most 5; spread them over several entries of \
         spec.access"
    );
}

#[test]
fn a_value_that_could_mean_more_than_itself_is_refused_with_the_rule_and_an_example() {
    let table = [
        ("", "it is empty"),
        ("*", "a wildcard would name more than one thing"),
        ("a?", "a wildcard would name more than one thing"),
        (
            "${aws:username}",
            "a policy variable would name more than one thing",
        ),
        ("{namespace}", "a policy variable would name more than one thing"),
        ("a\"b", r#"it contains '"'"#),
        ("a\\b", r#"it contains '\\'"#),
        ("a b", "it contains ' '"),
        ("a\n", r#"it contains '\n'"#),
        ("a\u{0}", r#"it contains '\0'"#),
        ("bücket", "it contains 'ü'"),
        ("A-Bucket", "it doesn't match [a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
        ("a/b", "it doesn't match [a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
    ];
    for (value, problem) in table {
        assert_eq!(
            refusal("s3-prefix-read", &[("bucket", &[value]), ("prefix", &["p"])]),
            format!(
                "{value:?} can't be a value for bucket of the preset s3-prefix-read: {problem}; write something like \
                 \"ml-data\""
            )
        );
    }
    let long = "a".repeat(1_000_000);
    let refusal = refusal("s3-prefix-read", &[("bucket", &[&long]), ("prefix", &["p"])]);
    assert!(refusal.contains("it is longer than 256 characters"), "{refusal}");
    assert!(refusal.len() < 300, "{refusal}");
}

#[test]
fn a_pattern_is_taken_only_where_the_parameter_declares_it() {
    let values = with(&[("repository", &["team-a/*"])]);
    check(request("ecr-pull", &values)).unwrap();
    for value in ["*", "team-*", "*/x", "team/*/x", "team/**", "/*", "team/?"] {
        let values = with(&[("repository", &[value])]);
        check(request("ecr-pull", &values)).unwrap_err();
    }
}

#[test]
fn values_come_with_their_parameters() {
    let values = with(&[("bucket", &["b-1", "b-2"]), ("prefix", &["p"])]);
    let checked = check(request("s3-prefix-read", &values)).unwrap();
    let values: Vec<(&str, &str)> = checked
        .values()
        .map(|(parameter, value)| (parameter.name.as_str(), value))
        .collect();
    assert_eq!(values, [("bucket", "b-1"), ("bucket", "b-2"), ("prefix", "p")]);
}

#[test]
fn the_roles_that_are_passed_are_named_whole_and_self_is_the_objects_own() {
    let somewhere = ireland();
    let values = with(&[
        ("prefix", &["team"]),
        ("executionRole", &["ml/exec", "self", "plain"]),
    ]);
    let checked = check(request("sagemaker-training-job", &values)).unwrap();
    let roles: Vec<String> = checked
        .passed_roles(&somewhere.place())
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        roles,
        [
            "arn:aws:iam::111122223333:role/plain",
            "arn:aws:iam::111122223333:role/ml/exec",
            "arn:aws:iam::111122223333:role/ml/prod/team-a-trainer-abcdef234567",
        ]
    );
}

#[test]
fn a_role_that_iam_would_not_name_so_is_refused() {
    for role in [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        "arn:aws:iam::111122223333:role/x",
        "*",
        "ml/*",
        "../x:y",
    ] {
        let values = with(&[("prefix", &["team"]), ("executionRole", &[role])]);
        check(request("sagemaker-training-job", &values)).unwrap_err();
    }
    let long = format!("{}/x", "a".repeat(300));
    let values = with(&[("prefix", &["team"]), ("executionRole", &[&long])]);
    check(request("sagemaker-training-job", &values)).unwrap_err();
}

#[test]
fn a_preset_says_whether_it_needs_a_region() {
    let values = with(&[("bucket", &["b-1"]), ("prefix", &["p"])]);
    assert!(!check(request("s3-prefix-read", &values)).unwrap().needs_region());
    let values = with(&[("endpoint", &["e"])]);
    assert!(
        check(request("sagemaker-invoke-endpoint", &values))
            .unwrap()
            .needs_region()
    );
}

#[test]
fn a_newer_version_is_seen_and_applies_only_when_asked_for() {
    let version = |bucket: &str| {
        format!(
            r#"{{"statements": [{{"actions": ["s3:GetObject"], "resources": ["arn:${{P}}:s3:::{bucket}/*"]}}]}}"#
        )
    };
    let text = format!(
        r#"{{"title": "t", "description": "d", "documentation": "u", "versions": [{}, {}]}}"#,
        version("first"),
        version("second")
    );
    let preset = Preset::read("test", &text).unwrap();
    let none = With::new();
    for (asked, bucket) in [(None, "first"), (Some(1), "first"), (Some(2), "second")] {
        let request = Request {
            version: asked,
            ..request("test", &none)
        };
        let checked = check_against(&preset, request).unwrap();
        assert_eq!(checked.newest_version(), 2);
        let document = expand(&[checked], &ireland().place()).unwrap().unwrap();
        assert!(document.to_json().contains(bucket));
    }
}

#[test]
fn names_that_a_service_reads_as_more_than_one_thing_are_refused() {
    let table: &[(&str, &str, &[&str])] = &[
        (
            "opensearch-domain",
            "index",
            &[
                "_all",
                "_plugins",
                ".kibana",
                ".opendistro_security",
                "-x",
                "+x",
                "a,b",
                "a/b",
                "a,_all",
                "<x>",
                "A",
            ],
        ),
        (
            "sagemaker-training-job",
            "prefix",
            &["team--a", "team-", "-team", "team_a", "team--"],
        ),
        ("transcribe-batch", "prefix", &["team--a", "team-", "team.a"]),
        ("s3-prefix-read", "prefix", &["/", "/a", "a/", "a//b", ""]),
        (
            "bedrock-invoke-geo-profile",
            "geography",
            &["global", "us.", "eu.us", ""],
        ),
        (
            "efs-mount",
            "accessPoint",
            &["fsap-*", "fsap-", "fs-0123456789abcdef0"],
        ),
        ("kms-via-s3", "key", &["alias/x", "*", "mrk-1"]),
        ("logs-write", "logGroup", &["a:b", "a:*", "a:log-stream:b"]),
        ("dynamodb-read", "table", &["a/index/b", "t/*"]),
        ("s3vectors-query", "index", &["a/b", ""]),
        ("bedrock-agent-invoke", "alias", &["A/B", "ALIAS12345/"]),
        ("mlflow-tracking-read", "trackingServer", &["a/b", "a:b"]),
    ];
    for (preset, parameter, refused) in table {
        let version = &super::preset(preset).unwrap().versions[0];
        for value in *refused {
            let mut values = examples(version);
            values.insert((*parameter).to_owned(), vec![(*value).to_owned()]);
            assert!(
                matches!(check(request(preset, &values)), Err(AccessError::Value { .. })),
                "{preset} {parameter} {value:?}"
            );
        }
    }
}
