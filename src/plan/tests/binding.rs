//! Binding ServiceAccounts: what is created, annotated, contested or left alone.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::api::{AUDIENCE_ANNOTATION, BOUND_BY_ANNOTATION, ROLE_ARN_ANNOTATION};
use crate::guard::Refusal;
use crate::plan::{
    BindingVerdict, BoundBy, Previous, Rival, RoleIntent, ServiceAccountBinding, ServiceAccountState, Step,
    bind, may_delete,
};

const OTHER_ARN: &str = "arn:aws:iam::111122223333:role/other";

/// The verdict on the one wanted ServiceAccount, and the step for it.
fn judge(
    intent: &RoleIntent,
    found: &[ServiceAccountState],
    rivals: &[Rival],
) -> (BindingVerdict, Option<Step>) {
    let mut bindings = bind(intent, around(found, rivals));
    assert_eq!(bindings.verdicts.len(), 1);
    assert_eq!(bindings.once_synced, []);
    assert!(bindings.early.len() <= 1);
    (bindings.verdicts.remove(0), bindings.early.pop())
}

#[track_caller]
fn problem(judged: (BindingVerdict, Option<Step>), reason: &str, final_: bool) -> String {
    let (verdict, step) = judged;
    assert_eq!(step, None);
    assert!(!verdict.bound);
    let refusal: Refusal = verdict.problem.unwrap();
    assert_eq!(refusal.reason, reason);
    assert_eq!(refusal.final_, final_);
    refusal.message
}

/// That the ServiceAccount is annotated, and whether by force.
#[track_caller]
fn annotated(judged: (BindingVerdict, Option<Step>)) -> (ServiceAccountBinding, bool) {
    let (verdict, step) = judged;
    assert!(!verdict.bound);
    assert_eq!(verdict.problem, None);
    match step {
        Some(Step::BindServiceAccount {
            binding,
            uid,
            force_at,
        }) => {
            assert_eq!(uid, format!("sa-{}", binding.name));
            assert!(force_at.as_deref().is_none_or(|version| version == "7"));
            (binding, force_at.is_some())
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_bound(judged: &(BindingVerdict, Option<Step>)) {
    assert!(judged.0.bound, "{judged:?}");
    assert_eq!(judged.0.problem, None);
    assert_eq!(judged.1, None);
}

fn binding(intent: &RoleIntent) -> ServiceAccountBinding {
    ServiceAccountBinding {
        name: "trainer".to_owned(),
        role_arn: intent.arn().clone(),
        audience: None,
        bound_by: BoundBy {
            name: "trainer".to_owned(),
            uid: "uid-1".to_owned(),
        },
        previous: Previous::default(),
    }
}

fn never() -> Value {
    json!({"serviceAccounts": [{"name": "trainer", "creationPolicy": "Never"}]})
}

#[test]
fn a_missing_service_account_is_created_with_its_annotations() {
    let intent = intent(json!({}));
    let others = [bound("other", &intent)];
    let (verdict, step) = judge(&intent, &others, &[]);
    assert_eq!(step, Some(Step::CreateServiceAccount(binding(&intent))));
    assert!(!verdict.bound);
    assert_eq!(verdict.problem, None);
}

#[test]
fn one_that_must_not_be_created_is_waited_for() {
    let message = problem(judge(&intent(never()), &[], &[]), "ServiceAccountMissing", false);
    for part in [
        "\"trainer\" doesn't exist",
        "create it, or write creationPolicy: IfMissing",
    ] {
        assert!(message.contains(part), "{message}");
    }
    // Once it is there, it is annotated like any other.
    annotated(judge(&intent(never()), &[service_account("trainer", &[])], &[]));
}

#[test]
fn an_existing_one_is_annotated_without_force() {
    let intent = intent(json!({}));
    for annotations in [&[][..], &[("a", "b")], &[(ROLE_ARN_ANNOTATION, "")]] {
        let judged = judge(&intent, &[service_account("trainer", annotations)], &[]);
        assert_eq!(annotated(judged), (binding(&intent), false));
    }
}

#[test]
fn a_bound_one_needs_nothing() {
    let intent = intent(json!({}));
    is_bound(&judge(&intent, &[bound("trainer", &intent)], &[]));
    is_bound(&judge(&intent, &[created("trainer", &intent)], &[]));
}

#[test]
fn one_that_carries_our_arn_without_a_marker_gets_the_marker_without_force() {
    let intent = intent(json!({}));
    let arn = intent.arn().to_string();
    let sa = service_account("trainer", &[(ROLE_ARN_ANNOTATION, &arn)]);
    assert_eq!(annotated(judge(&intent, &[sa], &[])), (binding(&intent), false));
}

#[test]
fn one_that_is_being_deleted_is_waited_for() {
    let intent = intent(json!({}));
    for mut sa in [service_account("trainer", &[]), bound("trainer", &intent)] {
        sa.deleting = true;
        let message = problem(judge(&intent, &[sa], &[]), "ServiceAccountMissing", false);
        assert!(message.contains("being deleted"), "{message}");
    }
}

#[test]
fn another_roles_arn_is_left_alone_and_not_told() {
    let sa = service_account("trainer", &[(ROLE_ARN_ANNOTATION, OTHER_ARN)]);
    let message = problem(
        judge(&intent(json!({})), &[sa], &[]),
        "ServiceAccountConflict",
        true,
    );
    assert!(message.contains(ROLE_ARN_ANNOTATION), "{message}");
    for remedy in [
        "remove the annotation, or take",
        "or write conflictPolicy: Replace",
    ] {
        assert!(message.contains(remedy), "{message}");
    }
    assert!(!message.contains(OTHER_ARN), "{message}");
}

#[test]
fn an_arn_that_only_looks_like_ours_is_anothers() {
    let intent = intent(json!({}));
    let arn = intent.arn().to_string();
    for value in [arn.to_uppercase(), format!("{arn} "), format!("{arn}x")] {
        let sa = service_account("trainer", &[(ROLE_ARN_ANNOTATION, &value)]);
        problem(judge(&intent, &[sa], &[]), "ServiceAccountConflict", true);
    }
}

#[test]
fn a_marker_that_cannot_be_read_is_nobodys() {
    for marker in ["", "trainer", "uid-1"] {
        let sa = service_account(
            "trainer",
            &[(ROLE_ARN_ANNOTATION, OTHER_ARN), (BOUND_BY_ANNOTATION, marker)],
        );
        problem(
            judge(&intent(json!({})), &[sa], &[]),
            "ServiceAccountConflict",
            true,
        );
    }
}

#[test]
fn an_annotation_edited_beside_our_marker_is_drift_and_put_back_by_force() {
    let intent = intent(json!({}));
    for edited in [OTHER_ARN, "nonsense", ""] {
        let mut sa = bound("trainer", &intent);
        sa.annotations
            .insert(ROLE_ARN_ANNOTATION.to_owned(), edited.to_owned());
        assert_eq!(annotated(judge(&intent, &[sa], &[])), (binding(&intent), true));
    }
    let mut sa = bound("trainer", &intent);
    sa.annotations.remove(ROLE_ARN_ANNOTATION);
    assert_eq!(annotated(judge(&intent, &[sa], &[])), (binding(&intent), true));
}

#[test]
fn an_annotation_that_another_manager_keeps_writing_is_not_fought_over() {
    let intent = intent(json!({}));
    let mut sa = bound("trainer", &intent);
    sa.contested_by = Some("argocd".to_owned());
    // As long as it is right, there is nothing to say.
    is_bound(&judge(&intent, std::slice::from_ref(&sa), &[]));
    let (mut rewritten, mut removed) = (sa.clone(), sa);
    rewritten
        .annotations
        .insert(ROLE_ARN_ANNOTATION.to_owned(), OTHER_ARN.to_owned());
    removed.annotations.clear();
    for sa in [rewritten, removed] {
        let message = problem(judge(&intent, &[sa], &[]), "AnnotationContested", false);
        for part in [
            "argocd keeps removing or rewriting",
            "out of what argocd applies",
            "or take the ServiceAccount off",
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains(OTHER_ARN), "{message}");
    }
}

#[test]
fn the_marker_of_another_object_does_not_excuse_replacing_its_arn() {
    let sa = service_account(
        "trainer",
        &[
            (ROLE_ARN_ANNOTATION, OTHER_ARN),
            (BOUND_BY_ANNOTATION, "gone/uid-9"),
        ],
    );
    problem(
        judge(&intent(json!({})), &[sa], &[]),
        "ServiceAccountConflict",
        true,
    );
}

#[test]
fn a_restored_object_takes_over_what_its_former_self_bound() {
    let intent = intent(json!({}));
    for value in [intent.arn().to_string(), OTHER_ARN.to_owned()] {
        let sa = service_account(
            "trainer",
            &[
                (ROLE_ARN_ANNOTATION, &value),
                (BOUND_BY_ANNOTATION, "trainer/uid-0"),
            ],
        );
        assert_eq!(annotated(judge(&intent, &[sa], &[])), (binding(&intent), true));
    }
}

#[test]
fn another_audience_is_annotated_too() {
    let intent = intent_under(&json!({"oidc": {"audience": "custom"}}), json!({}));
    let (written, _) = annotated(judge(&intent, &[service_account("trainer", &[])], &[]));
    assert_eq!(written.audience.as_deref(), Some("custom"));

    let (written, force) = annotated(judge(&intent, &[bound("trainer", &intent)], &[]));
    assert_eq!(written.audience.as_deref(), Some("custom"));
    assert!(force);

    let mut sa = bound("trainer", &intent);
    sa.annotations
        .insert(AUDIENCE_ANNOTATION.to_owned(), "custom".to_owned());
    is_bound(&judge(&intent, &[sa.clone()], &[]));
    sa.annotations
        .insert(AUDIENCE_ANNOTATION.to_owned(), "edited".to_owned());
    assert!(annotated(judge(&intent, &[sa], &[])).1);
}

#[test]
fn an_audience_from_before_the_class_changed_is_set_back() {
    let intent = intent(json!({}));
    let with = |audience: &str| {
        let mut sa = bound("trainer", &intent);
        sa.annotations
            .insert(AUDIENCE_ANNOTATION.to_owned(), audience.to_owned());
        sa
    };
    let (written, force) = annotated(judge(&intent, &[with("custom")], &[]));
    assert_eq!(written.audience.as_deref(), Some("sts.amazonaws.com"));
    assert!(force);
    // Written out, the usual audience means what silence means.
    is_bound(&judge(&intent, &[with("sts.amazonaws.com")], &[]));
}

#[test]
fn another_audience_that_somebody_else_annotated_is_not_overruled() {
    let sa = service_account("trainer", &[(AUDIENCE_ANNOTATION, "theirs")]);
    let (written, force) = annotated(judge(&intent(json!({})), &[sa], &[]));
    assert_eq!(written.audience.as_deref(), Some("sts.amazonaws.com"));
    assert!(!force);
}

#[test]
fn of_two_claimants_the_one_that_bound_it_has_it() {
    let intent = intent(json!({}));
    let older = rival("older", "uid-0", 1, &["trainer"]);
    is_bound(&judge(&intent, &[bound("trainer", &intent)], &[older]));

    let younger = rival("younger", "uid-2", 9, &["trainer"]);
    let sa = service_account(
        "trainer",
        &[
            (ROLE_ARN_ANNOTATION, OTHER_ARN),
            (BOUND_BY_ANNOTATION, "younger/uid-2"),
        ],
    );
    let message = problem(judge(&intent, &[sa], &[younger]), "ServiceAccountClaimed", true);
    assert!(message.contains("MlServiceRole \"younger\""), "{message}");
    assert!(message.contains("remove it from one of the two"), "{message}");
}

#[test]
fn of_two_claimants_the_older_has_it() {
    let intent = intent(json!({}));
    let older = rival("older", "uid-9", 1, &["x", "trainer"]);
    let younger = rival("younger", "uid-0", 9, &["trainer"]);
    for found in [vec![], vec![service_account("trainer", &[])]] {
        problem(
            judge(&intent, &found, std::slice::from_ref(&older)),
            "ServiceAccountClaimed",
            true,
        );
        let (verdict, step) = judge(&intent, &found, std::slice::from_ref(&younger));
        assert_eq!(verdict.problem, None);
        assert!(step.is_some());
    }
}

#[test]
fn of_two_claimants_of_one_age_the_smaller_uid_has_it() {
    let intent = intent(json!({}));
    problem(
        judge(&intent, &[], &[rival("r", "uid-0", 5, &["trainer"])]),
        "ServiceAccountClaimed",
        true,
    );
    let (verdict, _) = judge(&intent, &[], &[rival("r", "uid-2", 5, &["trainer"])]);
    assert_eq!(verdict.problem, None);
}

#[test]
fn of_several_better_claimants_the_best_is_named() {
    let rivals = [
        rival("second", "uid-3", 2, &["trainer"]),
        rival("best", "uid-4", 1, &["trainer"]),
        rival("third", "uid-5", 3, &["trainer"]),
    ];
    let message = problem(
        judge(&intent(json!({})), &[], &rivals),
        "ServiceAccountClaimed",
        true,
    );
    assert!(message.contains("\"best\""), "{message}");
}

#[test]
fn a_rival_that_wants_other_service_accounts_is_none() {
    let (verdict, step) = judge(&intent(json!({})), &[], &[rival("older", "uid-0", 1, &["other"])]);
    assert_eq!(verdict.problem, None);
    assert!(step.is_some());
}

#[test]
fn a_rival_that_is_going_claims_nothing_new_but_is_let_finish() {
    let intent = intent(json!({}));
    let mut going = rival("older", "uid-0", 1, &["trainer"]);
    going.deleting = true;
    let (verdict, step) = judge(&intent, &[], std::slice::from_ref(&going));
    assert_eq!(verdict.problem, None);
    assert!(step.is_some());

    // It bound the ServiceAccount, and takes its annotation away itself.
    let sa = service_account(
        "trainer",
        &[
            (ROLE_ARN_ANNOTATION, OTHER_ARN),
            (BOUND_BY_ANNOTATION, "older/uid-0"),
        ],
    );
    problem(judge(&intent, &[sa], &[going]), "ServiceAccountClaimed", true);
}

#[test]
fn in_a_restored_cluster_the_object_of_the_name_that_bound_it_has_it_whatever_its_age() {
    let intent = intent(json!({}));
    let marked = |by: &str, arn: &str| {
        service_account(
            "trainer",
            &[(ROLE_ARN_ANNOTATION, arn), (BOUND_BY_ANNOTATION, by)],
        )
    };
    // Restored first, so older now; before, it was the one that had to wait.
    let other = rival("other", "uid-0", 1, &["trainer"]);
    let ours = marked("trainer/former", &intent.arn().to_string());
    annotated(judge(&intent, &[ours], std::slice::from_ref(&other)));

    let younger = rival("other", "uid-2", 9, &["trainer"]);
    let theirs = marked("other/former", OTHER_ARN);
    problem(
        judge(&intent, &[theirs], &[younger]),
        "ServiceAccountClaimed",
        true,
    );
}

#[test]
fn each_wanted_service_account_is_judged_by_itself() {
    let intent = intent(json!({"serviceAccounts": [
        {"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d", "creationPolicy": "Never"},
    ]}));
    let found = [
        bound("a", &intent),
        service_account("b", &[(ROLE_ARN_ANNOTATION, OTHER_ARN)]),
    ];
    let bindings = bind(&intent, around(&found, &[]));
    let told: Vec<_> = bindings
        .verdicts
        .iter()
        .map(|v| (v.name.as_str(), v.bound, v.problem.as_ref().map(|p| p.reason)))
        .collect();
    assert_eq!(
        told,
        [
            ("a", true, None),
            ("b", false, Some("ServiceAccountConflict")),
            ("c", false, None),
            ("d", false, Some("ServiceAccountMissing")),
        ]
    );
    assert_eq!(
        bindings.early.iter().map(show_step).collect::<Vec<_>>(),
        ["CreateServiceAccount c"]
    );
    assert_eq!(bindings.once_synced, []);
}

#[test]
fn a_marker_reads_as_it_was_written() {
    let by = BoundBy {
        name: "a.b".to_owned(),
        uid: "1-2".to_owned(),
    };
    assert_eq!(by.to_string(), "a.b/1-2");
    assert_eq!(BoundBy::parse("a.b/1-2"), Some(by));
    assert_eq!(BoundBy::parse("a.b"), None);
}

#[test]
fn a_created_service_account_is_deleted_only_where_nobody_else_has_an_interest() {
    may_delete(["mlservicerole-operator"], 0).unwrap();
    may_delete(["mlservicerole-operator", "mlservicerole-operator"], 0).unwrap();
    let why = may_delete(["mlservicerole-operator", "helm"], 0).unwrap_err();
    assert!(why.contains("helm"), "{why}");
    let why = may_delete(["mlservicerole-operator"], 1).unwrap_err();
    assert!(why.contains("secrets"), "{why}");
}
