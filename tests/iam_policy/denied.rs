//! That the operator's policy denies what a thief of its credentials would try, and allows the same where everything
//! is right.

use mlservicerole_operator::iam::tags;
use mlservicerole_operator::permissions::operator_policies;
use serde_json::{Value, json};

use crate::attempts::attempts;
use crate::evaluator::{Decision, Request, decide};
use crate::made::{
    ADMIN, BOUNDARY, FORMER_BOUNDARY, LEGACY, READ_ONLY, bounded, former, make, options, policies, unbounded,
};
use crate::policed::on_role;
use crate::requests::{
    OPERATOR, OURS, OUTSIDE, THEIRS, Tags, attach, bound, create, left_behind, marks, on, owned, plain, tag,
    unbound, untag,
};

#[test]
fn each_attempt_is_denied_and_they_are_many() {
    let policies = policies(&bounded(), &options());
    let attempts = attempts();
    assert!(attempts.len() >= 60, "{}", attempts.len());
    for (name, request) in &attempts {
        assert_ne!(
            decide(&policies, request),
            Decision::Allowed,
            "{name}: {request:#?}"
        );
    }
    let mut names: Vec<&str> = attempts.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), attempts.len(), "each attempt has a name of its own");
}

/// The denials hold where somebody gives the operator's role everything besides.
#[test]
fn what_the_fences_deny_stays_denied_whatever_else_is_attached() {
    let everything = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"},
    ]});
    let mut policies = policies(&bounded(), &options());
    policies.push(everything);
    let fenced = |request: &Request| matches!(decide(&policies, request), Decision::Denied(_));
    for (sid, request) in [
        ("Never", owned("iam:DeleteRolePermissionsBoundary")),
        ("Never", plain("iam:CreatePolicyVersion", BOUNDARY)),
        (
            "Never",
            plain("iam:CreateAccessKey", "arn:aws:iam::111122223333:user/x"),
        ),
        ("Never", owned("iam:PassRole")),
        ("NeverDisown", untag("MLSERVICEROLE.IO/uid")),
        ("NeverDisown", untag(tags::ADOPTED)),
        ("NeverElsewhere", on("iam:PutRolePolicy", OPERATOR, "prod")),
        (
            "NeverElsewhere",
            on("iam:UpdateAssumeRolePolicy", OUTSIDE, "prod"),
        ),
        ("NeverElsewhere", on("iam:DeleteRole", OUTSIDE, "prod")),
        ("NeverElsewhere", create(OUTSIDE, &marks("prod"), Some(BOUNDARY))),
    ] {
        assert_eq!(
            decide(&policies, &request),
            Decision::Denied(sid.to_owned()),
            "{request:#?}"
        );
        assert!(fenced(&request));
    }
}

/// The same attempts with everything right, so that none of them is denied for a slip of the test.
#[test]
fn the_attempts_are_allowed_on_the_clusters_own_roles() {
    let policies = policies(&bounded(), &options());
    for request in [
        create(OURS, &marks("prod"), Some(BOUNDARY)),
        attach(owned("iam:AttachRolePolicy"), READ_ONLY),
        owned("iam:PutRolePolicy"),
        bound(OURS, "prod", BOUNDARY),
        owned("iam:UpdateAssumeRolePolicy"),
        unbound("iam:UpdateAssumeRolePolicy"),
        tag(OURS, &marks("prod"), &[("team", "a")]),
        tag(OURS, &marks("prod"), &[(tags::CLUSTER, "prod"), (tags::UID, "y")]),
        tag(OURS, &marks("prod"), &[(tags::RETAINED, "true")]),
        tag(LEGACY, &Tags::new(), &[(tags::CLUSTER, "prod")]),
        tag(LEGACY, &left_behind("staging"), &[(tags::CLUSTER, "prod")]),
        untag("stray"),
        untag(tags::RETAINED),
        owned("iam:DeleteRole"),
        attach(owned("iam:DetachRolePolicy"), ADMIN),
        owned("iam:DeleteRolePolicy"),
        owned("iam:UpdateRole"),
        on_role("iam:PutRolePolicy", LEGACY, &marks("prod"), Some(BOUNDARY)),
        plain("iam:GetRole", "arn:aws:iam::111122223333:role/of-no-known-path"),
    ] {
        assert_eq!(decide(&policies, &request), Decision::Allowed, "{request:#?}");
    }
}

#[test]
fn without_a_boundary_the_path_the_tags_and_the_policies_still_hold() {
    let policies = policies(&unbounded(), &options());
    let allowed = |request: Request| decide(&policies, &request) == Decision::Allowed;
    assert!(allowed(create(OURS, &marks("prod"), None)));
    assert!(allowed(unbound("iam:PutRolePolicy")));
    for denied in [
        create(OUTSIDE, &marks("prod"), None),
        create(OURS, &marks("staging"), None),
        attach(unbound("iam:AttachRolePolicy"), ADMIN),
        on_role("iam:PutRolePolicy", THEIRS, &marks("staging"), None),
        bound(OURS, "prod", ADMIN),
        owned("iam:DeleteRolePermissionsBoundary"),
    ] {
        assert!(!allowed(denied));
    }
}

#[test]
fn with_the_clusters_uid_another_cluster_of_the_same_name_is_out_of_reach() {
    let mut options = options();
    options.cluster_uid = Some("another-uid".to_owned());
    let policies = policies(&bounded(), &options);
    for request in [
        owned("iam:PutRolePolicy"),
        owned("iam:DeleteRole"),
        create(OURS, &marks("prod"), Some(BOUNDARY)),
        tag(OURS, &marks("prod"), &[("team", "a")]),
    ] {
        assert_ne!(decide(&policies, &request), Decision::Allowed, "{request:#?}");
    }
}

#[test]
fn the_former_boundary_of_one_class_bounds_no_role_of_another() {
    let mut changing = bounded();
    changing["roles"]["path"] = json!("/changing/{cluster}/{namespace}/");
    changing["allow"].as_object_mut().unwrap().remove("adopt");
    let classes = [("changing", changing), ("steady", bounded())];
    let changing = "arn:aws:iam::111122223333:role/changing/prod/team-a/x";
    let mut options = options();
    options.former_boundaries = vec![former(Some("changing"), FORMER_BOUNDARY)];
    for in_creation in [true, false] {
        options.former_boundaries[0].in_creation = in_creation;
        let made = make(operator_policies, &classes, &options).unwrap();
        let policies: Vec<Value> = made.policies.iter().map(|policy| policy.document()).collect();
        let allowed = |request: Request| decide(&policies, &request) == Decision::Allowed;
        for (role, is_its_class) in [(changing, true), (OURS, false), (LEGACY, false)] {
            assert_eq!(
                allowed(bound(role, "prod", FORMER_BOUNDARY)),
                is_its_class,
                "{role}"
            );
            let grant = on_role("iam:PutRolePolicy", role, &marks("prod"), Some(FORMER_BOUNDARY));
            assert_eq!(allowed(grant), is_its_class, "{role}");
            let create = create(role, &marks("prod"), Some(FORMER_BOUNDARY));
            assert_eq!(allowed(create), is_its_class && in_creation, "{role}");
        }
        assert!(allowed(create(changing, &marks("prod"), Some(BOUNDARY))));
        assert!(allowed(create(OURS, &marks("prod"), Some(BOUNDARY))));
    }
}

#[test]
fn two_classes_with_paths_of_their_own_are_kept_apart() {
    let mut strict = bounded();
    strict["roles"]["path"] = json!("/strict/{cluster}/{namespace}/");
    strict["allow"].as_object_mut().unwrap().remove("adopt");
    let mut loose: Value = unbounded();
    loose["roles"]["path"] = json!("/loose/{cluster}/{namespace}/");
    loose["allow"]["managedPolicyArns"] = json!([ADMIN]);
    loose["allow"]["escalatingActions"] = json!([ADMIN]);
    loose["allow"].as_object_mut().unwrap().remove("adopt");
    let made = make(
        operator_policies,
        &[("strict", strict), ("loose", loose)],
        &options(),
    )
    .unwrap();
    assert_eq!(made.notes, Vec::<String>::new());
    let policies: Vec<Value> = made.policies.iter().map(|policy| policy.document()).collect();
    let strict = "arn:aws:iam::111122223333:role/strict/prod/team-a/x";
    let loose = "arn:aws:iam::111122223333:role/loose/prod/team-a/x";
    for (arn, is) in [(loose, Decision::Allowed), (strict, Decision::NotAllowed)] {
        let create = create(arn, &marks("prod"), None);
        assert_eq!(decide(&policies, &create), is, "{arn}");
        let attach = attach(on("iam:AttachRolePolicy", arn, "prod"), ADMIN);
        assert_eq!(decide(&policies, &attach), is, "{arn}");
    }
}
