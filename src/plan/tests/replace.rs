//! `conflictPolicy: Replace`: what is replaced and when, what is remembered of it, and what is put back.

mod hand_over;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fixtures::*;
use crate::api::{
    AUDIENCE_ANNOTATION, BOUND_BY_ANNOTATION, PREVIOUS_AUDIENCE_ANNOTATION, PREVIOUS_ROLE_ARN_ANNOTATION,
    ROLE_ARN_ANNOTATION,
};
use crate::plan::{
    Bindings, Depth, OwnArn, Rival, RoleIntent, ServiceAccountState, Step, bind, plan, release_all,
};

const OTHER: &str = "arn:aws:iam::111122223333:role/other";
const THIRD: &str = "arn:aws:iam::111122223333:role/third";

fn replacing() -> Value {
    json!({"serviceAccounts": [{"name": "trainer", "conflictPolicy": "Replace"}]})
}

fn object() -> RoleIntent {
    intent(replacing())
}

fn account(annotations: &[(&str, &str)]) -> ServiceAccountState {
    service_account("trainer", annotations)
}

fn judged(intent: &RoleIntent, sa: &ServiceAccountState, rivals: &[Rival]) -> Bindings {
    bind(intent, around(std::slice::from_ref(sa), rivals))
}

/// In a few words: what becomes of the ServiceAccount, and what is remembered of it.
fn told(bindings: &Bindings) -> String {
    let shown = |step: &Step| match step {
        Step::BindServiceAccount {
            binding, force_at, ..
        } => {
            let force = if force_at.is_some() { " by force" } else { "" };
            let former = binding.previous.role_arn.as_deref();
            let audience = binding.previous.audience.as_deref();
            let remembered = [("arn", former), ("audience", audience)]
                .into_iter()
                .filter_map(|(what, value)| Some(format!(", was {what} {}", value?)))
                .collect::<String>();
            format!("bound{force}{remembered}")
        }
        other => show_step(other),
    };
    let early = bindings
        .early
        .iter()
        .map(|step| format!("early: {}", shown(step)));
    let late = bindings
        .once_synced
        .iter()
        .map(|step| format!("once synced: {}", shown(step)));
    let verdicts = bindings.verdicts.iter().filter_map(|verdict| {
        let problem = verdict.problem.as_ref().map(|problem| problem.reason.to_owned());
        problem.or_else(|| verdict.bound.then(|| "nothing to do".to_owned()))
    });
    early.chain(late).chain(verdicts).collect::<Vec<_>>().join("; ")
}

/// The ServiceAccount after a step, as the API server would have it.
fn after(sa: &ServiceAccountState, step: &Step) -> ServiceAccountState {
    let mut sa = sa.clone();
    match step {
        Step::BindServiceAccount { binding, .. } => sa.annotations.extend(binding.annotations()),
        Step::UnbindServiceAccount {
            annotations,
            restored,
            ..
        } => {
            for (key, value) in annotations {
                assert_eq!(sa.annotations.remove(key).as_ref(), Some(value));
            }
            sa.annotations.extend(restored.clone());
        }
        other => panic!("{other:?}"),
    }
    sa
}

fn released(
    intent: &RoleIntent,
    sa: &ServiceAccountState,
    rivals: &[Rival],
) -> (ServiceAccountState, Vec<String>) {
    let found = std::slice::from_ref(sa);
    let own = if intent.arn_predates_us {
        OwnArn::StaysWhereItWas
    } else {
        OwnArn::Goes
    };
    let plan = release_all(&intent.owner, Some(intent.arn()), around(found, rivals), own);
    let left = plan.steps().fold(sa.clone(), |sa, step| after(&sa, step));
    let notices = plan.notices.iter().map(|notice| notice.reason.to_owned());
    (left, notices.collect())
}

#[test]
fn what_is_found_decides_what_is_replaced_when_and_what_is_remembered() {
    let ours = object().arn().to_string();
    let ours = ours.as_str();
    let (arn, by, was) = (
        ROLE_ARN_ANNOTATION,
        BOUND_BY_ANNOTATION,
        PREVIOUS_ROLE_ARN_ANNOTATION,
    );
    let audience = AUDIENCE_ANNOTATION;
    let us = "trainer/uid-1";
    /// What is on the ServiceAccount, and what comes of it under Replace and under Refuse.
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let table: &[Row<'_>] = &[
        (&[], "early: bound", "early: bound"),
        (&[(arn, "")], "early: bound", "early: bound"),
        (
            &[(arn, OTHER)],
            "once synced: bound by force, was arn arn:aws:iam::111122223333:role/other",
            "ServiceAccountConflict",
        ),
        (
            &[(arn, "todo")],
            "once synced: bound by force, was arn todo",
            "ServiceAccountConflict",
        ),
        (
            &[(arn, OTHER), (audience, "theirs")],
            "once synced: bound by force, was arn arn:aws:iam::111122223333:role/other, was audience theirs",
            "ServiceAccountConflict",
        ),
        (
            &[(audience, "theirs")],
            "early: bound, was audience theirs",
            "early: bound, was audience theirs",
        ),
        (&[(arn, ours)], "early: bound", "early: bound"),
        (&[(arn, ours), (by, us)], "nothing to do", "nothing to do"),
        (
            &[(arn, ours), (by, us), (was, OTHER)],
            "nothing to do",
            "nothing to do",
        ),
        // Somebody took the marker off; what was remembered stays.
        (
            &[(arn, ours), (was, OTHER)],
            "early: bound, was arn arn:aws:iam::111122223333:role/other",
            "early: bound, was arn arn:aws:iam::111122223333:role/other",
        ),
        // Drift beside our marker is put back at once, and isn't what was there before us.
        (
            &[(arn, THIRD), (by, us)],
            "early: bound by force",
            "early: bound by force",
        ),
        (
            &[(arn, THIRD), (by, us), (was, OTHER)],
            "early: bound by force, was arn arn:aws:iam::111122223333:role/other",
            "early: bound by force, was arn arn:aws:iam::111122223333:role/other",
        ),
        (
            &[(by, us), (was, OTHER)],
            "early: bound by force, was arn arn:aws:iam::111122223333:role/other",
            "early: bound by force, was arn arn:aws:iam::111122223333:role/other",
        ),
        // A restored object finds what its former self wrote.
        (
            &[(arn, ours), (by, "trainer/uid-0"), (was, OTHER)],
            "early: bound by force, was arn arn:aws:iam::111122223333:role/other",
            "early: bound by force, was arn arn:aws:iam::111122223333:role/other",
        ),
        // An object that is gone left its marker: its role's ARN is never remembered, what it replaced is.
        (
            &[(arn, THIRD), (by, "gone/uid-9")],
            "once synced: bound by force",
            "ServiceAccountConflict",
        ),
        (
            &[(arn, THIRD), (by, "gone/uid-9"), (was, OTHER)],
            "once synced: bound by force, was arn arn:aws:iam::111122223333:role/other",
            "ServiceAccountConflict",
        ),
        // Another manager wrote the whole object anew: what it wrote is what was there before.
        (
            &[(arn, THIRD), (was, OTHER)],
            "once synced: bound by force, was arn arn:aws:iam::111122223333:role/third",
            "ServiceAccountConflict",
        ),
    ];
    for (annotations, replace, refuse) in table {
        let sa = account(annotations);
        assert_eq!(told(&judged(&object(), &sa, &[])), *replace, "{annotations:?}");
        assert_eq!(
            told(&judged(&intent(json!({})), &sa, &[])),
            *refuse,
            "{annotations:?}"
        );
    }
}

#[test]
fn whatever_was_there_before_is_there_again_afterwards() {
    let roles = [None, Some(OTHER), Some(THIRD)];
    let audiences = [None, Some("theirs"), Some("custom"), Some("sts.amazonaws.com")];
    for class_audience in [json!({}), json!({"oidc": {"audience": "custom"}})] {
        let intent = intent_under(&class_audience, replacing());
        for (role, audience) in roles
            .iter()
            .flat_map(|role| audiences.iter().map(move |a| (role, a)))
        {
            let found: Vec<(&str, &str)> = [
                (ROLE_ARN_ANNOTATION, *role),
                (AUDIENCE_ANNOTATION, *audience),
                ("team", Some("a")),
            ]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
            let before = account(&found);
            let bindings = judged(&intent, &before, &[]);
            let steps: Vec<&Step> = bindings.early.iter().chain(&bindings.once_synced).collect();
            assert_eq!(steps.len(), 1, "{found:?}");
            assert_eq!(bindings.once_synced.is_empty(), role.is_none(), "{found:?}");
            let bound = after(&before, steps[0]);
            assert_eq!(told(&judged(&intent, &bound, &[])), "nothing to do", "{bound:?}");
            let (left, notices) = released(&intent, &bound, &[]);
            assert_eq!(left, before);
            assert_eq!(notices, Vec::<String>::new());
        }
    }
}

#[test]
fn what_was_edited_meanwhile_stays_and_only_our_markers_go() {
    let mut bound = after(
        &account(&[(ROLE_ARN_ANNOTATION, OTHER)]),
        &the_step(&account(&[(ROLE_ARN_ANNOTATION, OTHER)])),
    );
    bound
        .annotations
        .insert(ROLE_ARN_ANNOTATION.to_owned(), THIRD.to_owned());
    let (left, _) = released(&object(), &bound, &[]);
    assert_eq!(left, account(&[(ROLE_ARN_ANNOTATION, THIRD)]));
    bound.annotations.remove(ROLE_ARN_ANNOTATION);
    let (left, _) = released(&object(), &bound, &[]);
    assert_eq!(left, account(&[]), "who took the ARN off wants it off");
}

/// The one step that binds this ServiceAccount.
fn the_step(sa: &ServiceAccountState) -> Step {
    let mut bindings = judged(&object(), sa, &[]);
    bindings.early.append(&mut bindings.once_synced);
    assert_eq!(bindings.early.len(), 1, "{bindings:?}");
    bindings.early.remove(0)
}

#[test]
fn a_record_that_is_no_roles_arn_is_not_put_back_and_that_is_told() {
    for forged in [
        "",
        "todo",
        "arn:aws:iam::111122223333:user/eve",
        "arn:aws:s3:::bucket",
    ] {
        let mut bound = bound("trainer", &object());
        let record = (PREVIOUS_ROLE_ARN_ANNOTATION.to_owned(), forged.to_owned());
        bound.annotations.extend([record]);
        let (left, notices) = released(&object(), &bound, &[]);
        assert_eq!(left, account(&[]), "{forged}");
        assert_eq!(notices, ["PreviousRoleArnDropped"], "{forged}");
    }
}

#[test]
fn a_record_is_worth_nothing_without_our_marker_beside_our_arn() {
    let arn = object().arn().to_string();
    for annotations in [
        &[(PREVIOUS_ROLE_ARN_ANNOTATION, OTHER)][..],
        &[(PREVIOUS_ROLE_ARN_ANNOTATION, OTHER), (ROLE_ARN_ANNOTATION, &arn)],
        &[
            (PREVIOUS_ROLE_ARN_ANNOTATION, OTHER),
            (ROLE_ARN_ANNOTATION, &arn),
            (BOUND_BY_ANNOTATION, "other/uid-9"),
        ],
    ] {
        let sa = account(annotations);
        let (left, notices) = released(&object(), &sa, &[rival("other", "uid-9", 1, &[])]);
        assert_eq!((left, notices), (sa, vec![]));
    }
}

#[test]
fn retaining_leaves_the_arn_and_takes_the_record() {
    let mut bound = bound("trainer", &object());
    let records = [
        (PREVIOUS_ROLE_ARN_ANNOTATION, OTHER),
        (PREVIOUS_AUDIENCE_ANNOTATION, "theirs"),
    ];
    bound.annotations.extend(labels(&records));
    let object = object();
    let found = std::slice::from_ref(&bound);
    let plan = release_all(
        &object.owner,
        Some(object.arn()),
        around(found, &[]),
        OwnArn::Stays,
    );
    insta::assert_snapshot!(show(&plan), @"UnbindServiceAccount trainer (mlservicerole.io/bound-by, mlservicerole.io/previous-audience, mlservicerole.io/previous-role-arn)");
}

#[test]
fn where_the_arn_was_there_before_the_object_it_stays_when_the_object_lets_go() {
    let mut adopted = object();
    adopted.arn_predates_us = true;
    let arn = adopted.arn().to_string();
    let before = account(&[(ROLE_ARN_ANNOTATION, &arn)]);
    let bindings = judged(&adopted, &before, &[]);
    assert_eq!(told(&bindings), format!("early: bound, was arn {arn}"));
    let bound = after(&before, &bindings.early[0]);
    assert_eq!(told(&judged(&adopted, &bound, &[])), "nothing to do");
    assert_eq!(released(&adopted, &bound, &[]), (before, vec![]));
    // Unless the role itself goes.
    let found = std::slice::from_ref(&bound);
    let plan = release_all(
        &adopted.owner,
        Some(adopted.arn()),
        around(found, &[]),
        OwnArn::Goes,
    );
    assert_eq!(after(&bound, plan.steps().next().unwrap()), account(&[]));
    // One that had none loses it again.
    let bindings = judged(&adopted, &account(&[]), &[]);
    let (left, _) = released(&adopted, &after(&account(&[]), &bindings.early[0]), &[]);
    assert_eq!(left, account(&[]));
}

#[test]
fn a_working_arn_is_replaced_last_and_only_beside_a_role_that_was_just_read() {
    let spec = json!({
        "serviceAccounts": [{"name": "trainer", "conflictPolicy": "Replace"}, {"name": "new"}],
        "inlinePolicies": [{"name": "p", "document": document("s3:GetObject")}],
    });
    let intent = intent(spec);
    let found = [account(&[(ROLE_ARN_ANNOTATION, OTHER)]), bound("old", &intent)];
    let created = steps(plan(
        &intent,
        false,
        &Default::default(),
        around(&found, &[]),
        &clock(10, 10),
    ));
    let arn = intent.arn().to_string();
    insta::assert_snapshot!(show(&created).replace(&arn, "ARN"), @r"
    AddFinalizer ARN

    CreateRole ARN

    CreateServiceAccount new
    PutRolePolicy p

    BindServiceAccount trainer by force
    UnbindServiceAccount old (eks.amazonaws.com/role-arn, mlservicerole.io/bound-by)
    ");

    let mut drifted = content(&intent);
    drifted.inline.clear();
    let repaired = steps(plan(
        &intent,
        true,
        &read(header(&intent), Some(drifted), 10),
        around(&found, &[]),
        &clock(10, 10),
    ));
    insta::assert_snapshot!(show(&repaired), @r"
    PutRolePolicy p
    CreateServiceAccount new

    BindServiceAccount trainer by force
    UnbindServiceAccount old (eks.amazonaws.com/role-arn, mlservicerole.io/bound-by)
    ");

    let remembered = read(header(&intent), Some(content(&intent)), 9);
    let next = plan(&intent, true, &remembered, around(&found, &[]), &clock(10, 10));
    expect_read(&next, Depth::Full);
}

#[test]
fn what_another_manager_holds_is_left_alone_unless_it_may_be_replaced() {
    let held = |key: &str, value: &str, managers: &[&str]| {
        let mut sa = account(&[(key, value)]);
        let managers: BTreeSet<String> = managers.iter().map(|&name| name.to_owned()).collect();
        sa.holders.insert(key.to_owned(), managers);
        sa
    };
    for (key, value, words) in [
        (
            ROLE_ARN_ANNOTATION,
            "",
            "an empty annotation eks.amazonaws.com/role-arn",
        ),
        (
            AUDIENCE_ANNOTATION,
            "theirs",
            "an annotation eks.amazonaws.com/audience",
        ),
    ] {
        let sa = held(key, value, &["argocd-controller", "helm"]);
        assert_eq!(sa.may_be_held(), [key]);
        let refused = judged(&intent(json!({})), &sa, &[]);
        assert_eq!(told(&refused), "ServiceAccountConflict");
        let problem = refused.verdicts[0].problem.clone().unwrap();
        for part in [
            words,
            "that argocd-controller, helm holds",
            "take it out of what argocd-controller, helm applies",
            "conflictPolicy: Replace",
        ] {
            assert!(problem.message.contains(part), "{}", problem.message);
        }
        assert!(!problem.message.contains("theirs"), "{}", problem.message);
        assert!(told(&judged(&object(), &sa, &[])).starts_with("early: bound by force"));
        // Held by nobody, or by what an earlier object of ours put back: nobody is overruled.
        let unheld = held(key, value, &[]);
        assert!(told(&judged(&intent(json!({})), &unheld, &[])).starts_with("early: bound by force"));
    }
    // The right audience is no conflict, whoever holds it.
    let right = held(AUDIENCE_ANNOTATION, "sts.amazonaws.com", &["helm"]);
    assert!(told(&judged(&intent(json!({})), &right, &[])).starts_with("early: bound, was"));
    // Under our own marker everything is drift.
    assert_eq!(bound("trainer", &object()).may_be_held(), Vec::<&str>::new());
}

#[test]
fn a_manager_that_keeps_writing_the_whole_object_anew_is_contested_under_replace_too() {
    let mut sa = account(&[(ROLE_ARN_ANNOTATION, OTHER)]);
    sa.contested_by = Some("argocd-application-controller".to_owned());
    assert_eq!(told(&judged(&object(), &sa, &[])), "AnnotationContested");
    assert_eq!(
        told(&judged(&intent(json!({})), &sa, &[])),
        "ServiceAccountConflict"
    );
}
