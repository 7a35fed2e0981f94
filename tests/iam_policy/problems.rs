//! What contradicts itself is refused, and what can't be kept apart is told.

use mlservicerole_operator::iam::quota;
use mlservicerole_operator::permissions::{Options, operator_policies};
use serde_json::{Value, json};

use crate::evaluator::{Decision, Request, decide};
use crate::made::{
    ADMIN, BOUNDARY, CLUSTER, FORMER_BOUNDARY, READ_ONLY, bounded, former, make, options, unbounded,
};

fn problem(class: &Value, options: &Options) -> String {
    let problems = make(operator_policies, &[("ml", class.clone())], options).unwrap_err();
    problems.to_string()
}

#[test]
fn an_account_that_is_said_in_two_ways_must_be_one() {
    let mut class = bounded();
    class["aws"] = json!({"accountId": "111122223333"});
    let mut options = options();
    options.account = Some("444455556666".parse().unwrap());
    let told = problem(&class, &options);
    assert!(
        told.contains("aws.accountId says account 111122223333 and --account-id says 444455556666"),
        "{told}"
    );

    options.account = None;
    options.operator_roles = vec!["arn:aws:iam::444455556666:role/operator".parse().unwrap()];
    let told = problem(&class, &options);
    assert!(told.contains("--operator-role-arn"), "{told}");
}

#[test]
fn a_boundary_of_another_account_or_partition_is_refused() {
    let mut class = bounded();
    class["roles"]["permissionsBoundary"]["arn"] = json!("arn:aws:iam::444455556666:policy/b");
    assert!(problem(&class, &options()).contains("IAM takes no other"));
    let mut options = options();
    options.partition = "aws-cn".parse().unwrap();
    assert!(problem(&bounded(), &options).contains("--partition"));
}

#[test]
fn an_operator_that_could_write_its_own_role_is_refused() {
    for own in [
        "arn:aws:iam::111122223333:role/mlservicerole/prod/operators/operator",
        "arn:aws:iam::111122223333:role/legacy/trainer",
    ] {
        let mut options = options();
        options.operator_roles = vec![own.parse().unwrap()];
        let told = problem(&bounded(), &options);
        assert!(told.contains("could give itself any right"), "{told}");
    }
}

#[test]
fn an_operator_whose_roles_may_be_anywhere_is_refused() {
    for (path, prefix) in [("/", None), ("/", Some("{namespace}"))] {
        let mut class = bounded();
        class["roles"]["path"] = json!(path);
        class["roles"]["namePrefix"] = json!(prefix);
        let told = problem(&class, &options());
        assert!(told.contains("role/* is every role of the account"), "{told}");
        assert!(told.contains("roles.path"), "{told}");
    }
    let mut named = bounded();
    named["roles"]["path"] = json!("/");
    named["roles"]["namePrefix"] = json!("ml-");
    let output = make(operator_policies, &[("ml", named)], &options()).unwrap();
    assert!(output.notes.is_empty(), "{:?}", output.notes);
}

#[test]
fn a_path_that_begins_with_any_namespace_is_told_to_take_in_roles_of_others() {
    for (path, place) in [("/{namespace}/", "role/*/*"), ("/{namespace}/x/", "role/*/x/*")] {
        let mut class = bounded();
        class["roles"]["path"] = json!(path);
        let output = make(operator_policies, &[("ml", class)], &options()).unwrap();
        let told = output.notes.join("; ");
        assert!(
            told.contains(place) && told.contains("could be claimed"),
            "{told}"
        );
    }
    let output = make(operator_policies, &[("ml", bounded())], &options()).unwrap();
    assert!(!output.notes.join("; ").contains("could be claimed"));
}

#[test]
fn issuers_that_are_not_trusted_are_refused_as_the_operator_would() {
    let mut class = bounded();
    class["oidc"] = json!({"issuers": [{"url": "https://oidc.example.com/other"}]});
    let told = problem(&class, &options());
    assert!(told.contains("trustSameNamespaces"), "{told}");
}

#[test]
fn a_former_boundary_or_policy_that_fits_no_class_is_refused() {
    let mut options = options();
    options.former_boundaries = vec![former(None, "arn:aws:iam::444455556666:policy/b")];
    options.former_policies = vec!["arn:aws:iam::444455556666:policy/p".parse().unwrap()];
    let told = problem(&bounded(), &options);
    assert!(
        told.contains("--former-boundary") && told.contains("--former-policy"),
        "{told}"
    );
}

#[test]
fn a_former_boundary_says_of_which_class_where_there_are_several() {
    let classes = [("a", bounded()), ("b", bounded())];
    let mut options = options();
    for (class, words) in [
        (
            None,
            "write CLASS=arn:aws:iam::111122223333:policy/former-boundary",
        ),
        (Some("c"), "there is no class \"c\""),
    ] {
        options.former_boundaries = vec![former(class, FORMER_BOUNDARY)];
        let told = make(operator_policies, &classes, &options)
            .unwrap_err()
            .to_string();
        assert!(told.contains(words), "{told}");
    }
    options.former_boundaries = vec![former(Some("b"), FORMER_BOUNDARY)];
    assert!(make(operator_policies, &classes, &options).is_ok());
}

#[test]
fn a_glob_of_policies_is_told_to_be_wider_in_iam() {
    let mut class = bounded();
    let glob = "arn:aws:iam::111122223333:policy/ml/{namespace}.*";
    class["allow"]["managedPolicyArns"] = json!([READ_ONLY, glob, "arn:aws:iam::111122223333:policy/ml-?"]);
    let made = make(operator_policies, &[("ml", class)], &options()).unwrap();
    let [first, second] = made.notes.as_slice() else {
        panic!("{:#?}", made.notes)
    };
    for (note, glob) in [(first, "policy/ml-?: in IAM"), (second, "policy/ml/*.*: in IAM")] {
        assert!(note.contains(glob) && note.contains("further paths"), "{note}");
    }
    let exact = make(operator_policies, &[("ml", bounded())], &options()).unwrap();
    assert_eq!(exact.notes, Vec::<String>::new());
}

#[test]
fn no_class_at_all_is_an_error() {
    assert!(make(operator_policies, &[], &options()).is_err());
}

#[test]
fn classes_that_share_their_path_are_told_to_be_inseparable() {
    let mut loose = unbounded();
    loose["allow"]["managedPolicyArns"] = json!([ADMIN]);
    loose["allow"]["escalatingActions"] = json!([ADMIN]);
    let made = make(
        operator_policies,
        &[("loose", loose), ("strict", bounded())],
        &options(),
    )
    .unwrap();
    let [note] = made.notes.as_slice() else {
        panic!("{:#?}", made.notes)
    };
    assert!(note.contains("the classes loose, strict share"), "{note}");
    let alike = make(
        operator_policies,
        &[("a", bounded()), ("b", bounded())],
        &options(),
    )
    .unwrap();
    assert_eq!(alike.notes, Vec::<String>::new());
}

#[test]
fn names_that_the_class_gives_are_reached_though_they_have_no_prefix() {
    let mut class = bounded();
    class["roles"]["namePrefix"] = json!("ml-");
    class["allow"]["roleNames"] = json!(["special"]);
    let made = make(operator_policies, &[("ml", class)], &options()).unwrap();
    let policies: Vec<Value> = made.policies.iter().map(|policy| policy.document()).collect();
    for (name, is) in [("ml-a", true), ("special", true), ("other", false)] {
        let arn = format!("arn:aws:iam::111122223333:role/mlservicerole/prod/team-a/{name}");
        let request = Request::new("iam:CreateRole", &arn)
            .with("aws:RequestTag/mlservicerole.io/cluster", CLUSTER)
            .with("iam:PermissionsBoundary", BOUNDARY);
        assert_eq!(decide(&policies, &request) == Decision::Allowed, is, "{name}");
    }
}

#[test]
fn however_much_a_class_lists_each_policy_fits_and_together_they_allow_all_of_it() {
    let mut class = bounded();
    let policies: Vec<String> = (0..200)
        .map(|n| format!("arn:aws:iam::111122223333:policy/{}-{n:03}", "p".repeat(100)))
        .collect();
    let adopt: Vec<Value> = (0..200)
        .map(|n| {
            let arn = format!("arn:aws:iam::111122223333:role/{}/r{n:03}", "legacy".repeat(10));
            json!({"arn": arn, "namespaces": ["team-a"]})
        })
        .collect();
    class["allow"]["managedPolicyArns"] = json!(policies);
    class["allow"]["adopt"] = json!(adopt);
    let made = make(operator_policies, &[("ml", class)], &options()).unwrap();
    let documents: Vec<Value> = made.policies.iter().map(|policy| policy.document()).collect();
    for document in &documents {
        assert!(quota::size(&document.to_string()) <= quota::MANAGED_POLICY_SIZE);
    }
    for policy in [&policies[0], &policies[99], &policies[199]] {
        for role in [&adopt[0], &adopt[100], &adopt[199]] {
            let request = Request::new("iam:AttachRolePolicy", role["arn"].as_str().unwrap())
                .with("aws:ResourceTag/mlservicerole.io/cluster", CLUSTER)
                .with("iam:PermissionsBoundary", BOUNDARY)
                .with("iam:PolicyARN", policy);
            assert_eq!(decide(&documents, &request), Decision::Allowed);
        }
    }
    assert!(
        made.notes
            .iter()
            .any(|note| note.contains("NeverElsewhere is left out")),
        "{:#?}",
        made.notes
    );
    assert!(
        made.notes.iter().any(|note| note.contains("L-0DA4ABF3")),
        "{:#?}",
        made.notes
    );
}

#[test]
fn a_role_that_is_assumed_with_an_external_id_is_assumed_so_by_all_classes() {
    let mut one = unbounded();
    one["allow"].as_object_mut().unwrap().remove("adopt");
    one["aws"] = json!({"assumeRole": {"arn": "arn:aws:iam::222233334444:role/operator"}});
    let mut other = one.clone();
    other["aws"]["assumeRole"]["externalId"] = json!("secret");
    let mut options = options();
    options.operator_roles = vec!["arn:aws:iam::111122223333:role/operator".parse().unwrap()];
    let told = make(
        operator_policies,
        &[("one", one), ("other", other.clone())],
        &options,
    )
    .unwrap_err();
    assert!(told.to_string().contains("externalId"), "{told}");
    assert!(make(operator_policies, &[("other", other)], &options).is_ok());
}
