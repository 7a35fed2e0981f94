//! What is judged, and in which words.

use std::fs;

use crate::command::{class, of, plan, plan_of_which_nobody_reads, refusals, role, role_named};

const READ_ONLY: &str = "arn:aws:iam::aws:policy/AmazonSageMakerReadOnly";

#[test]
fn what_the_class_allows_is_planned() {
    let manifests = class(&format!("managedPolicyArns: [{READ_ONLY}]"))
        + &role(&format!("{{managedPolicyArns: [{READ_ONLY}]}}"));
    let outcome = plan(
        &[
            "-f",
            "-",
            "-o",
            "json",
            "--cluster-name",
            "prod",
            "--account-id",
            "999900001111",
            "--issuer",
            "https://issuer.example/x",
            "--partition",
            "aws-cn",
        ],
        &manifests,
    );
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let report = outcome.json();
    assert_eq!(report["format"], 1);
    assert_eq!(report["live"], false);
    let role = &report["roles"][0];
    let arn = role["role"]["arn"].as_str().unwrap();
    assert!(
        arn.starts_with("arn:aws-cn:iam::999900001111:role/mlservicerole/prod/team-a/team-a-trainer-"),
        "{arn}"
    );
    let trust = role["role"]["trustPolicy"].to_string();
    assert!(
        trust.contains("issuer.example/x:sub") && trust.contains("system:serviceaccount:team-a:trainer"),
        "{trust}"
    );
    let steps: Vec<&str> = role["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        steps,
        [
            "AddFinalizer",
            "CreateRole",
            "CreateServiceAccount",
            "AttachRolePolicy"
        ]
    );
    assert_eq!(role["role"]["managedPolicyArns"][0], READ_ONLY);
}

#[test]
fn what_had_to_be_assumed_is_said() {
    let outcome = of(&(class("") + &role("{}")));
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let notes = outcome.json()["notes"].to_string();
    for flag in [
        "--cluster-name",
        "--account-id",
        "--issuer",
        "00000000-0000-0000-0000-000000000000",
        "namespace \\\"team-a\\\"",
    ] {
        assert!(notes.contains(flag), "{flag} isn't in {notes}");
    }
}

#[test]
fn what_the_class_does_not_allow_is_refused_in_the_controllers_words() {
    let outcome = of(&(class("") + &role(&format!("{{managedPolicyArns: [{READ_ONLY}]}}"))));
    assert_eq!(outcome.code, 1);
    let refused = refusals(&outcome);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].0, "ManagedPolicyNotAllowed");
    assert!(refused[0].1.contains(READ_ONLY));
}

#[test]
fn all_objects_are_judged_and_each_refusal_is_where_it_belongs() {
    let manifests = class("")
        + &role_named("bad", "{className: Ml, x: 1}")
        + &role_named("good", "{}")
        + &role_named("worse", "{role: {tags: {a: b}}}");
    let outcome = of(&manifests);
    assert_eq!(outcome.code, 1);
    let report = outcome.json();
    let counts: Vec<usize> = report["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["refusals"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [2, 0, 1], "{report:#}");
    assert!(report["roles"][1]["role"].is_object());
    assert!(report["roles"][2]["role"].is_null(), "{report:#}");
}

#[test]
fn the_definitions_own_rules_are_kept() {
    for (spec, message) in [
        ("{unknown: 1}", "unknown field \"spec.unknown\""),
        ("{role: {nmae: x}}", "unknown field \"spec.role.nmae\""),
        (
            "{managedPolicyArns: x}",
            "spec.managedPolicyArns in body must be of type array: \"string\"",
        ),
        (
            "{mode: observe}",
            "spec.mode: Unsupported value: \"observe\": supported values: \"Manage\", \"Observe\"",
        ),
        (
            "{className: A_b}",
            "spec.className in body should match '^[a-z0-9]",
        ),
        (
            "{role: {maxSessionDurationSeconds: 60}}",
            "should be greater than or equal to 3600",
        ),
        (
            "{role: {maxSessionDurationSeconds: 99999}}",
            "should be less than or equal to 43200",
        ),
        (
            "{role: {maxSessionDurationSeconds: \"3600\"}}",
            "must be of type integer: \"string\"",
        ),
        (
            "{serviceAccounts: [{name: a}, {name: a}]}",
            "spec.serviceAccounts[1]: Duplicate value: {\"name\":\"a\"}",
        ),
        (
            "{serviceAccounts: [{}]}",
            "spec.serviceAccounts[0].name: Required value",
        ),
        (
            "{serviceAccounts: []}",
            "spec: serviceAccounts may be empty only where role.trustedServices",
        ),
        ("{adoptionPolicy: Adopt}", "spec: adoptionPolicy needs role.name"),
        (
            "{role: {tags: {\"AWS:x\": y}}}",
            "spec.role.tags: tag keys that begin with aws:",
        ),
        (
            "{inlinePolicies: [{name: a, document: x}]}",
            "spec.inlinePolicies[0].document in body must be of type object",
        ),
        (
            "{managedPolicyArns: [\"arn:aws:s3:::xxxxxxxxxxxxxxx\"]}",
            "should match '^arn:aws",
        ),
    ] {
        let outcome = of(&(class("") + &role(spec)));
        let refused = refusals(&outcome);
        assert_eq!(outcome.code, 1, "{spec}: {outcome:#?}");
        assert!(
            refused
                .iter()
                .any(|(reason, text)| reason == "Invalid" && text.contains(message)),
            "{spec}: {refused:#?}"
        );
    }
}

#[test]
fn immutable_fields_are_no_trouble_to_a_first_creation() {
    let outcome = of(&(class("roleNames: [mine]") + &role("{className: ml, role: {name: mine}}")));
    assert_eq!((outcome.code, refusals(&outcome)), (0, vec![]));
}

#[test]
fn a_class_that_is_refused_is_refused_with_all_that_it_serves() {
    let outcome = of(&(class("managedPolicyArns: [\"*\"]") + &role("{}")));
    assert_eq!(outcome.code, 1);
    let refused = refusals(&outcome);
    assert_eq!(refused[0].0, "InvalidSpec");
    assert_eq!(refused[1].0, "ClassNotAccepted");
    assert!(refused[1].1.contains("ask the platform admin to mend the class"));
}

#[test]
fn a_class_that_is_not_in_the_input_leaves_the_object_unjudged() {
    for (manifests, said) in [
        (role("{className: other}"), "class \"other\" isn't in the input"),
        (role("{}"), "no class of the input is the default"),
    ] {
        let outcome = of(&manifests);
        assert_eq!(outcome.code, 2, "{outcome:#?}");
        let unknown = outcome.json()["roles"][0]["unknown"].clone();
        assert!(unknown.as_str().unwrap().contains(said), "{unknown}");
    }
    let text = plan(&["-f", "-"], &role("{}"));
    assert!(text.stdout.contains("NOT JUDGED: "), "{text:#?}");
}

#[test]
fn labels_are_those_of_the_namespaces_in_the_input() {
    let namespace =
        "{apiVersion: v1, kind: Namespace, metadata: {name: team-a, labels: {tenant: \"yes\"}}}\n---\n";
    let class = class("").replace("namespaces: {}", "namespaces: {matchLabels: {tenant: \"yes\"}}");
    let without = of(&(class.clone() + &role("{}")));
    assert_eq!(
        (without.code, refusals(&without)[0].0.as_str()),
        (1, "NamespaceNotAllowed")
    );
    assert_eq!(of(&(class + namespace + &role("{}"))).code, 0);
}

#[test]
fn two_objects_for_one_service_account_are_told_apart_by_their_order() {
    let claim = "{serviceAccounts: [{name: shared}]}";
    let outcome = of(&(class("") + &role_named("first", claim) + &role_named("second", claim)));
    assert_eq!(outcome.code, 1);
    let report = outcome.json();
    assert_eq!(report["roles"][0]["refusals"].as_array().unwrap().len(), 0);
    assert_eq!(
        report["roles"][1]["refusals"][0]["reason"],
        "ServiceAccountClaimed"
    );
}

#[test]
fn a_service_account_of_the_input_is_bound_or_in_conflict() {
    let account = |annotations: &str| {
        format!(
            "{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: trainer, namespace: team-a, annotations: {{{annotations}}}}}}}\n---\n"
        )
    };
    let bound = of(&(class("") + &account("") + &role("{}")));
    assert_eq!(bound.code, 0);
    assert!(bound.stdout.contains("BindServiceAccount") && !bound.stdout.contains("CreateServiceAccount"));
    let taken = account("eks.amazonaws.com/role-arn: \"arn:aws:iam::111122223333:role/other\"");
    let conflict = of(&(class("") + &taken + &role("{}")));
    assert_eq!(
        (conflict.code, refusals(&conflict)[0].0.as_str()),
        (1, "ServiceAccountConflict")
    );
}

#[test]
fn files_directories_lists_and_json_are_read_and_other_kinds_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("class.yml", &class(""));
    write("notes.txt", "not: [a manifest");
    write(
        "list.json",
        r#"{"apiVersion": "v1", "kind": "List", "items": [
	{"apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole", "metadata": {"name": "a", "namespace": "n"}, "spec": {}},
	{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
]}"#,
    );
    let directory = directory.path().to_str().unwrap();
    let outcome = plan(
        &["-f", directory, "-f", "-", "-n", "mine", "-o", "json"],
        &role("{}").replace(", namespace: team-a", ""),
    );
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert_eq!(outcome.stderr, "note: 1 of kind ConfigMap ignored\n");
    let report = outcome.json();
    let names: Vec<String> = report["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| {
            format!(
                "{}/{}",
                role["namespace"].as_str().unwrap(),
                role["name"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(names, ["n/a", "mine/trainer"]);
}

#[test]
fn what_becomes_of_a_role_that_is_there_already_is_not_told_as_nothing() {
    let manifests = class("adopt: [{arn: 'arn:aws:iam::111122223333:role/theirs/r', namespaces: [team-a]}]")
        + &role("{adoptionPolicy: Adopt, role: {name: r}}");
    let outcome = of(&manifests);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let report = &outcome.json()["roles"][0];
    assert_eq!(report["role"]["arn"], "arn:aws:iam::111122223333:role/theirs/r");
    assert_eq!(report["steps"], serde_json::json!([]));
    let why = report["stepsUnknown"].as_str().unwrap();
    assert!(why.contains("role/theirs/r") && why.contains("--live"), "{why}");
    let text = plan(&["-f", "-"], &manifests).stdout;
    assert!(text.contains(why) && !text.contains("nothing to do"), "{text}");
}

#[test]
fn a_reader_that_has_enough_is_no_fault() {
    let outcome = plan_of_which_nobody_reads(&(class("") + &role("{}")));
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert!(!outcome.stderr.contains("panicked"), "{outcome:#?}");
}
