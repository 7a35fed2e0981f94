//! What people are told: for each way in which a reconcile can end, the conditions, and nothing volatile in them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::api::condition::NewCondition;
use crate::guard::Refusal;
use crate::plan::{
    BindingVerdict, Failure, Outcome, Pending, Report, class_conditions, conditions, default_class_remark,
};

fn final_() -> Refusal {
    Refusal::new("FinalReason", "mend it")
}

fn passing() -> Refusal {
    Refusal::passing("PassingReason", "in a moment")
}

fn failed(refusal: Refusal, service_account: Option<&str>) -> Outcome {
    Outcome::Failed(Failure {
        refusal,
        service_account: service_account.map(ToOwned::to_owned),
    })
}

fn binding(bound: bool, problem: Option<Refusal>) -> BindingVerdict {
    BindingVerdict {
        name: "a".to_owned(),
        bound,
        problem,
    }
}

fn report(outcome: Outcome, bindings: Vec<BindingVerdict>) -> Vec<NewCondition> {
    conditions(&Report {
        outcome,
        bindings,
        updates: vec![],
        deleting: false,
    })
}

fn table(conditions: &[NewCondition]) -> String {
    let mut text = String::new();
    for condition in conditions {
        writeln!(
            text,
            "{} {} {}: {}",
            condition.r#type,
            condition.verdict.as_str(),
            condition.reason,
            condition.message
        )
        .unwrap();
    }
    text
}

#[test]
fn in_sync_and_bound_is_ready() {
    insta::assert_snapshot!(table(&report(Outcome::Synced, vec![binding(true, None)])), @r"
    Accepted True Allowed: the class allows this object
    RoleSynced True Synced: the role is as this object says
    ServiceAccountsBound True Bound: every ServiceAccount carries the role's ARN
    Ready True Synced: the role is ready for use
    ");
    // An object for services alone has no ServiceAccounts.
    assert_eq!(
        report(Outcome::Synced, vec![]),
        report(Outcome::Synced, vec![binding(true, None)])
    );
}

#[test]
fn refused_is_stalled_and_nothing_is_claimed_about_the_rest() {
    insta::assert_snapshot!(table(&report(Outcome::Refused(final_()), vec![])), @r"
    Accepted False FinalReason: mend it
    RoleSynced Unknown Waiting: something before this must be mended first
    ServiceAccountsBound Unknown Waiting: something before this must be mended first
    Ready False FinalReason: mend it
    Stalled True FinalReason: mend it
    ");
}

#[test]
fn a_class_that_is_not_ready_is_no_verdict_on_the_object() {
    insta::assert_snapshot!(table(&report(Outcome::ClassNotReady(passing()), vec![])), @r"
    Accepted Unknown PassingReason: in a moment
    RoleSynced Unknown Waiting: something before this must be mended first
    ServiceAccountsBound Unknown Waiting: something before this must be mended first
    Ready Unknown PassingReason: in a moment
    ");
    insta::assert_snapshot!(table(&report(Outcome::ClassNotReady(final_()), vec![])), @r"
    Accepted Unknown FinalReason: mend it
    RoleSynced Unknown Waiting: something before this must be mended first
    ServiceAccountsBound Unknown Waiting: something before this must be mended first
    Ready Unknown FinalReason: mend it
    Stalled True FinalReason: mend it
    ");
}

#[test]
fn blocked_is_an_accepted_object_whose_role_is_not_touched() {
    insta::assert_snapshot!(table(&report(Outcome::Blocked(final_()), vec![binding(false, None)])), @r"
    Accepted True Allowed: the class allows this object
    RoleSynced False FinalReason: mend it
    ServiceAccountsBound Unknown Progressing: not every ServiceAccount carries the role's ARN yet
    Ready False FinalReason: mend it
    Stalled True FinalReason: mend it
    ");
}

#[test]
fn waiting_is_under_way_and_not_failed() {
    insta::assert_snapshot!(table(&report(Outcome::Waiting(passing()), vec![binding(false, None)])), @r"
    Accepted True Allowed: the class allows this object
    RoleSynced Unknown PassingReason: in a moment
    ServiceAccountsBound Unknown Progressing: not every ServiceAccount carries the role's ARN yet
    Ready Unknown PassingReason: in a moment
    ");
}

#[test]
fn a_failed_step_on_the_role_is_said_there() {
    insta::assert_snapshot!(table(&report(failed(passing(), None), vec![binding(true, None)])), @r"
    Accepted True Allowed: the class allows this object
    RoleSynced False PassingReason: in a moment
    ServiceAccountsBound True Bound: every ServiceAccount carries the role's ARN
    Ready False PassingReason: in a moment
    ");
    insta::assert_snapshot!(table(&report(failed(final_(), None), vec![binding(true, None)])), @r"
    Accepted True Allowed: the class allows this object
    RoleSynced False FinalReason: mend it
    ServiceAccountsBound True Bound: every ServiceAccount carries the role's ARN
    Ready False FinalReason: mend it
    Stalled True FinalReason: mend it
    ");
}

#[test]
fn a_failed_step_on_a_service_account_leaves_the_role_in_sync() {
    insta::assert_snapshot!(table(&report(failed(passing(), Some("a")), vec![binding(false, None)])), @r"
    Accepted True Allowed: the class allows this object
    RoleSynced True Synced: the role is as this object says
    ServiceAccountsBound False PassingReason: in a moment
    Ready False PassingReason: in a moment
    ");
}

#[test]
fn a_service_account_that_is_missing_keeps_the_object_from_being_ready() {
    let bindings = vec![binding(true, None), binding(false, Some(passing()))];
    insta::assert_snapshot!(table(&report(Outcome::Synced, bindings)), @r"
    Accepted True Allowed: the class allows this object
    RoleSynced True Synced: the role is as this object says
    ServiceAccountsBound False PassingReason: in a moment
    Ready False PassingReason: in a moment
    ");
}

#[test]
fn several_problems_with_service_accounts_are_told_together_and_the_final_ones_stall() {
    let bindings = vec![
        binding(false, Some(passing())),
        binding(false, Some(final_())),
        binding(false, None),
    ];
    insta::assert_snapshot!(table(&report(Outcome::Synced, bindings)), @r"
    Accepted True Allowed: the class allows this object
    RoleSynced True Synced: the role is as this object says
    ServiceAccountsBound False PassingReason: in a moment; mend it
    Ready False PassingReason: in a moment; mend it
    Stalled True FinalReason: mend it
    ");
}

#[test]
fn not_yet_bound_without_a_problem_is_under_way() {
    insta::assert_snapshot!(table(&report(Outcome::Synced, vec![binding(false, None)])), @r"
    Accepted True Allowed: the class allows this object
    RoleSynced True Synced: the role is as this object says
    ServiceAccountsBound Unknown Progressing: not every ServiceAccount carries the role's ARN yet
    Ready Unknown Progressing: not every ServiceAccount carries the role's ARN yet
    ");
}

/// Every way in which a reconcile can end, with every kind of binding.
fn every_report() -> Vec<Report> {
    let mut outcomes = vec![
        Outcome::Observed(Pending {
            role: 1,
            service_accounts: 1,
        }),
        Outcome::Synced,
    ];
    for refusal in [final_(), passing()] {
        outcomes.extend([
            Outcome::Refused(refusal.clone()),
            Outcome::ClassNotReady(refusal.clone()),
            Outcome::Blocked(refusal.clone()),
            Outcome::Waiting(refusal.clone()),
            failed(refusal.clone(), None),
            failed(refusal, Some("a")),
        ]);
    }
    let bindings = [
        vec![],
        vec![binding(true, None)],
        vec![binding(false, None)],
        vec![binding(false, Some(passing()))],
        vec![binding(true, None), binding(false, Some(final_()))],
    ];
    let mut reports = Vec::new();
    for outcome in outcomes {
        for bindings in &bindings {
            for deleting in [false, true] {
                reports.push(Report {
                    outcome: outcome.clone(),
                    bindings: bindings.clone(),
                    updates: vec![],
                    deleting,
                });
            }
        }
    }
    reports
}

#[test]
fn every_report_has_each_condition_once_with_a_reason_and_a_message() {
    for report in every_report() {
        let all = conditions(&report);
        let types: Vec<&str> = all.iter().map(|c| c.r#type).collect();
        assert_eq!(
            types[..4],
            ["Accepted", "RoleSynced", "ServiceAccountsBound", "Ready"]
        );
        assert!(types[4..].is_empty() || types[4..] == ["Stalled"], "{types:?}");
        for condition in &all {
            assert!(!condition.message.is_empty(), "{condition:?}");
            let shape = |c: char| c.is_ascii_alphanumeric();
            assert!(
                !condition.reason.is_empty() && condition.reason.chars().all(shape),
                "{condition:?}"
            );
        }
    }
}

#[test]
fn ready_is_true_only_where_all_others_are() {
    for report in every_report() {
        let all = conditions(&report);
        let verdicts: BTreeSet<&str> = all[..3].iter().map(|c| c.verdict.as_str()).collect();
        assert_eq!(
            all[3].verdict.as_str() == "True",
            verdicts == BTreeSet::from(["True"]),
            "{report:?}"
        );
        if report.deleting {
            assert_ne!(all[3].verdict.as_str(), "True", "{report:?}");
        }
    }
}

#[test]
fn stalled_is_there_only_while_trying_again_is_useless() {
    for report in every_report() {
        let stalled = conditions(&report).into_iter().find(|c| c.r#type == "Stalled");
        let outcome_final = match &report.outcome {
            Outcome::Refused(refusal)
            | Outcome::Revoked { why: refusal, .. }
            | Outcome::ClassNotReady(refusal)
            | Outcome::Blocked(refusal) => refusal.final_,
            Outcome::Failed(failure) => failure.refusal.final_,
            Outcome::Waiting(_) | Outcome::Synced | Outcome::Observed(_) => false,
        };
        let binding_final = report
            .bindings
            .iter()
            .any(|b| b.problem.as_ref().is_some_and(|p| p.final_));
        assert_eq!(stalled.is_some(), outcome_final || binding_final, "{report:?}");
        assert!(stalled.is_none_or(|c| c.verdict.as_str() == "True" && c.reason == "FinalReason"));
    }
}

#[test]
fn the_same_report_is_told_in_the_same_words() {
    for report in every_report() {
        assert_eq!(conditions(&report), conditions(&report.clone()));
    }
}

#[test]
fn a_class_is_accepted_and_ready_refused_or_accepted_and_not_ready() {
    insta::assert_snapshot!(table(&class_conditions(Ok(()), Ok(()))), @r"
    Accepted True Allowed: the class is valid
    Ready True Synced: account, issuers and boundary are as the class says
    ");
    insta::assert_snapshot!(table(&class_conditions(Ok(()), Err(passing()))), @r"
    Accepted True Allowed: the class is valid
    Ready False PassingReason: in a moment
    ");
    for ready in [Ok(()), Err(passing())] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(table(&class_conditions(Err(final_()), ready)), @r"
            Accepted False FinalReason: mend it
            Ready False FinalReason: mend it
            Stalled True FinalReason: mend it
            ");
        }
    }
}

/// What waits for it by kstatus fails at once, instead of at its timeout.
#[test]
fn a_class_that_only_a_person_can_mend_is_stalled() {
    insta::assert_snapshot!(table(&class_conditions(Ok(()), Err(final_()))), @r"
    Accepted True Allowed: the class is valid
    Ready False FinalReason: mend it
    Stalled True FinalReason: mend it
    ");
    // The first thing to mend passes by itself; what comes after it isn't known yet.
    insta::assert_snapshot!(table(&class_conditions(Err(passing()), Err(final_()))), @r"
    Accepted False PassingReason: in a moment
    Ready False PassingReason: in a moment
    ");
}

#[test]
fn an_annotation_that_makes_no_default_class_is_remarked_on() {
    for said in ["True", "yes", "1", ""] {
        let remark = default_class_remark(said).unwrap();
        assert!(
            remark.contains(&format!("{said:?}")) && remark.contains("\"true\""),
            "{remark}"
        );
    }
    for clear in ["true", "false"] {
        assert_eq!(default_class_remark(clear), None);
    }
}

#[test]
fn observing_says_what_is_pending_where_it_is_pending_and_isnt_stalled() {
    let observed = |role, service_accounts| {
        Outcome::Observed(Pending {
            role,
            service_accounts,
        })
    };
    insta::assert_snapshot!(table(&report(observed(2, 1), vec![binding(false, None)])), @r"
    Accepted True Allowed: the class allows this object
    RoleSynced False Observing: mode is Observe: 3 steps would be taken, see status.plan; set mode: Manage to take them
    ServiceAccountsBound False Observing: mode is Observe: 3 steps would be taken, see status.plan; set mode: Manage to take them
    Ready False Observing: mode is Observe: 3 steps would be taken, see status.plan; set mode: Manage to take them
    ");
    insta::assert_snapshot!(table(&report(observed(1, 0), vec![binding(true, None)])), @r"
    Accepted True Allowed: the class allows this object
    RoleSynced False Observing: mode is Observe: 1 step would be taken, see status.plan; set mode: Manage to take them
    ServiceAccountsBound True Bound: every ServiceAccount carries the role's ARN
    Ready False Observing: mode is Observe: 1 step would be taken, see status.plan; set mode: Manage to take them
    ");
    insta::assert_snapshot!(table(&report(observed(0, 1), vec![binding(false, None)])), @r"
    Accepted True Allowed: the class allows this object
    RoleSynced True Synced: the role is as this object says
    ServiceAccountsBound False Observing: mode is Observe: 1 step would be taken, see status.plan; set mode: Manage to take them
    Ready False Observing: mode is Observe: 1 step would be taken, see status.plan; set mode: Manage to take them
    ");
}

#[test]
fn a_role_that_is_cut_back_is_refused_and_says_how_far_that_has_come() {
    let revoked = |cut| Outcome::Revoked {
        why: final_(),
        cut: Box::new(cut),
    };
    assert_eq!(
        table(&report(revoked(Outcome::Synced), vec![binding(true, None)])),
        "Accepted False FinalReason: mend it\n\
         RoleSynced False FinalReason: the role is cut back to what the class allows (onViolation: Revoke), and gets \
         nothing new meanwhile\n\
         ServiceAccountsBound Unknown Waiting: something before this must be mended first\n\
         Ready False FinalReason: mend it\n\
         Stalled True FinalReason: mend it\n"
    );
    for cut in [
        failed(passing(), None),
        Outcome::Blocked(passing()),
        Outcome::Waiting(passing()),
    ] {
        let told = table(&report(revoked(cut), vec![]));
        let line = "RoleSynced False PassingReason: the role isn't cut back yet to what the class allows: in a moment";
        assert!(told.contains(line), "{told}");
    }
}
