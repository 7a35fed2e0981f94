//! Who may take over a role that is there already: whoever asks for it by name, from a namespace that the class lists
//! beside the role's exact ARN.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::guard::{adoptable, understand};

const ROLE: &str = "arn:aws:iam::111122223333:role/theirs/r";

fn class(arns: &[&str], namespaces: &[&str]) -> Value {
    let entries: Vec<Value> = arns
        .iter()
        .map(|arn| json!({"arn": arn, "namespaces": namespaces}))
        .collect();
    json!({"allow": {"adopt": entries}})
}

fn asking(policy: &str) -> Value {
    json!({"adoptionPolicy": policy, "role": {"name": "r"}})
}

#[track_caller]
fn refused_class(class: &Value, reason: &str, words: &[&str]) {
    let refusal = class_refusal(&least_class(class));
    assert_eq!(refusal.reason, reason, "{}", refusal.message);
    for word in words {
        assert!(refusal.message.contains(word), "{}", refusal.message);
    }
}

#[test]
fn a_role_is_taken_over_by_whom_object_and_class_name() {
    let class = least_class(&class(&[ROLE], &["team-a"]));
    for policy in ["Adopt", "AdoptAndReplaceTrust"] {
        let spec = object(asking(policy));
        // No entry in allow.roleNames is needed.
        ask(&class, &spec).unwrap();
        let rules = rules(&class);
        let found = adoptable(&rules, NAMES, &spec).unwrap();
        assert_eq!(found.map(ToString::to_string).as_deref(), Some(ROLE));
    }
}

#[test]
fn another_name_or_namespace_is_refused_with_the_remedy() {
    for (class, name) in [
        (class(&[], &[]), "r"),
        (class(&[ROLE], &["team-b", "team", "team-a-2"]), "r"),
        (class(&[ROLE], &["team-a"]), "R"),
        (class(&[ROLE], &["team-a"]), "theirs/r"),
        (class(&[ROLE], &["team-a"]), "s"),
    ] {
        let spec = object(json!({"adoptionPolicy": "Adopt", "role": {"name": name}}));
        let refusal = ask(&least_class(&class), &spec).unwrap_err();
        assert_eq!(refusal.reason, "AdoptionNotAllowed");
        assert!(refusal.final_);
        for word in [
            "\"ml\"",
            "\"team-a\"",
            name,
            "adoptionPolicy: Never",
            "allow.adopt",
        ] {
            assert!(refusal.message.contains(word), "{}", refusal.message);
        }
    }
}

#[test]
fn a_name_that_may_be_given_to_a_new_role_may_not_be_taken_over_for_that() {
    let class = least_class(&json!({"allow": {"roleNames": ["r"]}}));
    let refusal = ask(&class, &object(asking("Adopt"))).unwrap_err();
    assert_eq!(refusal.reason, "AdoptionNotAllowed");
    ask(&class, &object(asking("Never"))).unwrap();
}

#[test]
fn an_object_that_does_not_ask_is_told_how_to() {
    let class = least_class(&class(&[ROLE], &["team-a"]));
    for spec in [asking("Never"), json!({"role": {"name": "r"}})] {
        let refusal = ask(&class, &object(spec)).unwrap_err();
        assert_eq!(refusal.reason, "AdoptionNotAllowed");
        assert!(
            refusal.message.contains("write adoptionPolicy: Adopt"),
            "{}",
            refusal.message
        );
    }
    let other = json!({"role": {"name": "s"}});
    assert_eq!(
        ask(&class, &object(other)).unwrap_err().reason,
        "RoleNameNotAllowed"
    );
}

#[test]
fn adopting_needs_a_name() {
    let class = least_class(&class(&[ROLE], &["team-a"]));
    let refusal = ask(&class, &object(json!({"adoptionPolicy": "Adopt"}))).unwrap_err();
    assert_eq!(refusal.reason, "InvalidSpec");
    assert!(refusal.message.contains("role.name"), "{}", refusal.message);
}

#[test]
fn two_entries_of_one_name_make_a_class_invalid_whatever_path_and_case() {
    for other in [
        "arn:aws:iam::111122223333:role/theirs/r",
        "arn:aws:iam::111122223333:role/r",
        "arn:aws:iam::111122223333:role/theirs/R",
        "arn:aws:iam::444455556666:role/theirs/r",
    ] {
        refused_class(
            &class(&[ROLE, other], &["a"]),
            "InvalidSpec",
            &["same name", ROLE, other],
        );
    }
    understand(
        "ml",
        &least_class(&class(&[ROLE, "arn:aws:iam::111122223333:role/s"], &["a"])),
    )
    .unwrap();
}

#[test]
fn roles_of_aws_itself_cannot_be_listed() {
    for path in [
        "aws-service-role/eks.amazonaws.com",
        "aws-reserved/sso.amazonaws.com/eu-west-1",
    ] {
        let arn = format!("arn:aws:iam::111122223333:role/{path}/r");
        refused_class(
            &class(&[&arn], &["a"]),
            "InvalidSpec",
            &["allow.adopt", "AWS's own", &arn],
        );
    }
}

#[test]
fn what_is_no_role_of_the_classs_account_cannot_be_listed() {
    for arn in [
        "arn:aws:iam::111122223333:user/r",
        "role/r",
        "arn:aws:sts::111122223333:assumed-role/r/s",
    ] {
        refused_class(&class(&[arn], &["a"]), "InvalidSpec", &["allow.adopt"]);
    }
    let mut elsewhere = class(&[ROLE], &["a"]);
    elsewhere["aws"] = json!({"accountId": "444455556666"});
    refused_class(
        &elsewhere,
        "InvalidSpec",
        &["444455556666", ROLE, "class of its account"],
    );
}

#[test]
fn each_role_is_listed_and_no_pattern_of_them() {
    for pattern in [
        "*",
        "arn:aws:iam::111122223333:role/ml-*",
        "arn:aws:iam::111122223333:role/{namespace}/r",
    ] {
        refused_class(
            &class(&[pattern], &["a"]),
            "InvalidSpec",
            &["allow.adopt", pattern, "one by one"],
        );
    }
}

#[test]
fn the_role_through_which_the_class_reaches_its_account_is_not_to_be_taken_over() {
    for own in [ROLE, "arn:aws:iam::111122223333:role/R"] {
        let mut class = class(&[ROLE], &["team-a"]);
        class["aws"] = json!({"assumeRole": {"arn": own}});
        refused_class(&class, "InvalidSpec", &[ROLE, "aws.assumeRole", "allow.adopt"]);
    }
    // The same name in another account is another role.
    let mut class = class(&[ROLE], &["team-a"]);
    class["aws"] = json!({"assumeRole": {"arn": "arn:aws:iam::444455556666:role/r"}});
    rules(&least_class(&class));
}
