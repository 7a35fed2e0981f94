//! Patterns of ARNs, and how statements are divided. What the policies mean is tried in `tests/iam_policy`.

use std::collections::BTreeSet;

use super::Output;
use super::pack::pack;
use super::policy::{Limit, Resources, Statement, set};
use super::reach::matches;

#[test]
fn a_pattern_stands_for_what_iam_says() {
    for (pattern, text, is) in [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("*", "a/b", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-c-b", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("role/ml/*/*", "role/ml/team/x", true),
        ("role/ml/*/*", "role/ml/x", false),
        ("role/ML/*", "role/ml/x", false),
    ] {
        assert_eq!(matches(pattern, text), is, "{pattern:?} {text:?}");
    }
}

#[test]
fn a_pattern_of_many_stars_is_decided_in_no_time() {
    let (pattern, text) = ("a*".repeat(500), "a".repeat(2000));
    assert!(matches(&pattern, &text));
    assert!(!matches(&format!("{pattern}b"), &text));
}

fn attach(policies: usize, roles: usize) -> Statement {
    let names = |kind: &str, count: usize| -> Vec<String> {
        (0..count)
            .map(|n| format!("{kind}-{}-{n}", "x".repeat(90)))
            .collect()
    };
    Statement::allow(
        "Attach",
        "",
        &["iam:AttachRolePolicy"],
        Resources::Only(set(names("role", roles))),
    )
    .when("ArnLike", "iam:PolicyARN", names("policy", policies))
}

/// Pairs of a role and a policy that the statements allow.
fn pairs(statements: &[Statement]) -> BTreeSet<(String, String)> {
    let mut pairs = BTreeSet::new();
    for statement in statements {
        let Resources::Only(roles) = &statement.resources else {
            panic!("{statement:?}")
        };
        for role in roles {
            for policy in &statement.conditions["ArnLike"]["iam:PolicyARN"] {
                pairs.insert((role.clone(), policy.clone()));
            }
        }
    }
    pairs
}

#[test]
fn what_is_divided_allows_the_same_as_before_and_each_part_fits() {
    for (policies, roles) in [(1, 1), (200, 1), (1, 200), (70, 90)] {
        let whole = attach(policies, roles);
        let mut output = Output::default();
        let left_out = pack(
            "operator",
            "",
            Limit::ManagedPolicy,
            vec![whole.clone()],
            &mut output,
        );
        assert_eq!(left_out, vec![]);
        let mut parts = Vec::new();
        for policy in &output.policies {
            assert!(policy.size() <= Limit::ManagedPolicy.characters());
            parts.extend(policy.statements.clone());
        }
        assert_eq!(pairs(&parts), pairs(&[whole]));
        assert_eq!(
            output.policies.len() > 1,
            policies * roles > 1,
            "{policies} {roles}"
        );
    }
}

#[test]
fn statements_of_one_name_are_told_apart_in_their_policy() {
    let mut output = Output::default();
    let (one, other) = (attach(1, 1), attach(2, 2));
    let left_out = pack(
        "operator",
        "",
        Limit::ManagedPolicy,
        vec![one, other],
        &mut output,
    );
    assert_eq!((left_out.len(), output.policies.len()), (0, 1));
    let document = output.policies[0].document();
    assert_eq!(
        (&document["Statement"][0]["Sid"], &document["Statement"][1]["Sid"]),
        (&"Attach".into(), &"Attach2".into())
    );
}

#[test]
fn a_denial_of_all_but_a_long_list_is_given_back_and_not_weakened() {
    let all_but = |count: usize| {
        let names = (0..count).map(|n| format!("role-{}-{n}", "x".repeat(90)));
        Statement::deny("Never", "", &["iam:DeleteRole"], Resources::AllExcept(set(names)))
    };
    let mut output = Output::default();
    let left_out = pack(
        "operator",
        "",
        Limit::ManagedPolicy,
        vec![all_but(100)],
        &mut output,
    );
    assert_eq!((left_out.len(), output.policies.len()), (1, 0));
}
