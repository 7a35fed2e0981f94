//! What is known of a role after reads and after writes of our own.

use serde_json::json;

use super::fixtures::*;
use crate::api::condition::reasons;
use crate::guard::Refusal;
use crate::iam::role::RoleContent;
use crate::plan::{Failure, RoleKnowledge, RoleState, ServiceAccountBinding, Step};

fn known() -> RoleKnowledge {
    let intent = intent(json!({
        "managedPolicyArns": [READ_ONLY],
        "inlinePolicies": [{"name": "p", "document": document("s3:GetObject")}],
    }));
    read(header(&intent), Some(content(&intent)), 10)
}

#[test]
fn nothing_is_known_at_first_and_nothing_unknown_is_fresh() {
    let knowledge = RoleKnowledge::default();
    assert_eq!(knowledge.state, RoleState::Unknown);
    assert!(!knowledge.is_fresh(&clock(0, 0)));
    assert!(!knowledge.may_be_stale(&clock(0, 0)));
}

#[test]
fn fresh_is_what_was_learnt_since_the_reconcile_began() {
    assert!(known().is_fresh(&clock(10, 12)));
    assert!(known().is_fresh(&clock(9, 12)));
    assert!(!known().is_fresh(&clock(11, 12)));
}

#[test]
fn drift_is_looked_for_once_the_interval_is_over() {
    assert!(!known().is_due(&clock(0, 10 + DRIFT - 1)));
    assert!(known().is_due(&clock(0, 10 + DRIFT)));
}

#[test]
fn a_read_may_be_stale_for_a_window_after_our_write() {
    let mut knowledge = known();
    knowledge.note_done(&Step::Attach(policy(S3_READ)), seconds(20));
    assert!(knowledge.may_be_stale(&clock(0, 20 + WINDOW - 1)));
    assert!(!knowledge.may_be_stale(&clock(0, 20 + WINDOW)));
}

#[test]
fn a_name_that_is_taken_is_remembered_from_the_last_refusal_until_the_role_shows() {
    let mut knowledge = RoleKnowledge::default();
    knowledge.note_exists(seconds(5));
    knowledge.note_exists(seconds(9));
    assert_eq!(knowledge.exists_since, Some(seconds(9)));
    assert_eq!(knowledge.state, RoleState::Unknown);
    knowledge.note_read(None, seconds(10));
    assert_eq!(knowledge.exists_since, Some(seconds(9)));
    assert_eq!(knowledge.state, RoleState::Absent);
    knowledge.note_read(Some((header(&intent(json!({}))), None)), seconds(11));
    assert_eq!(knowledge.exists_since, None);
}

#[test]
fn a_doubtful_write_leaves_nothing_known() {
    let mut knowledge = known();
    knowledge.note_doubt(seconds(100));
    assert_eq!(knowledge.state, RoleState::Unknown);
}

#[test]
fn a_role_that_we_created_is_ours_and_empty() {
    let mut knowledge = read_absent(5);
    knowledge.disputed_since = Some(seconds(1));
    knowledge.note_exists(seconds(6));
    let header = header(&intent(json!({})));
    knowledge.note_created(header.clone(), seconds(7));
    assert_eq!(*header_of(&knowledge), header);
    assert_eq!(*content_of(&knowledge), RoleContent::default());
    assert!(knowledge.was_ours);
    assert_eq!(knowledge.as_of, seconds(7));
    assert_eq!(knowledge.last_write, Some(seconds(7)));
    assert_eq!(knowledge.exists_since, None);
    assert_eq!(knowledge.disputed_since, None);
}

#[test]
fn each_write_of_our_own_is_taken_into_account() {
    let mut knowledge = known();
    let mut done = |step| knowledge.note_done(&step, seconds(20));
    done(Step::SetBoundary(policy(BOUNDARY)));
    done(Step::UpdateTrust {
        document: "new".to_owned(),
    });
    done(Step::UpdateRole {
        description: "d".to_owned(),
        max_session_duration_seconds: 3601,
    });
    done(Step::Tag(labels(&[("a", "1"), ("b", "2")])));
    done(Step::Untag(["b".to_owned()].into()));
    done(Step::PutInline {
        name: "q".to_owned(),
        document: "{}".to_owned(),
    });
    done(Step::DeleteInline("p".to_owned()));
    done(Step::Attach(policy(S3_READ)));
    done(Step::Detach(policy(READ_ONLY)));
    let header = header_of(&knowledge);
    assert_eq!(header.permissions_boundary.as_deref(), Some(BOUNDARY));
    assert_eq!(header.trust, "new");
    assert_eq!(header.description, "d");
    assert_eq!(header.max_session_duration_seconds, 3601);
    assert_eq!(header.tags.get("a").map(String::as_str), Some("1"));
    assert!(!header.tags.contains_key("b"));
    assert_eq!(content_of(&knowledge).inline, labels(&[("q", "{}")]));
    assert_eq!(content_of(&knowledge).attached, [policy(S3_READ)].into());
    assert_eq!(knowledge.as_of, seconds(20));
    assert_eq!(knowledge.last_write, Some(seconds(20)));
}

#[test]
fn a_tag_replaces_the_one_whose_key_differs_only_in_case() {
    let mut knowledge = known();
    knowledge.note_done(&Step::Tag(labels(&[("Team", "a")])), seconds(20));
    knowledge.note_done(&Step::Tag(labels(&[("TEAM", "b")])), seconds(21));
    let tags = &header_of(&knowledge).tags;
    assert_eq!(tags.get("TEAM").map(String::as_str), Some("b"));
    assert!(!tags.contains_key("Team"));
}

#[test]
fn content_that_was_never_read_stays_unread() {
    let intent = intent(json!({}));
    let mut knowledge = read(header(&intent), None, 10);
    for step in [
        Step::Attach(policy(S3_READ)),
        Step::Detach(policy(S3_READ)),
        Step::DeleteInline("p".to_owned()),
        Step::PutInline {
            name: "p".to_owned(),
            document: "{}".to_owned(),
        },
    ] {
        knowledge.note_done(&step, seconds(20));
    }
    assert!(matches!(
        knowledge.state,
        RoleState::Present { content: None, .. }
    ));
}

#[test]
fn after_our_delete_there_is_no_role() {
    let mut knowledge = known();
    knowledge.disputed_since = Some(seconds(1));
    knowledge.note_done(&Step::DeleteRole, seconds(20));
    assert_eq!(knowledge.state, RoleState::Absent);
    assert_eq!(knowledge.disputed_since, None);
    assert_eq!(knowledge.last_write, Some(seconds(20)));
}

#[test]
fn steps_outside_the_role_say_nothing_about_it() {
    let intent = intent(json!({}));
    let binding = ServiceAccountBinding {
        name: "a".to_owned(),
        role_arn: intent.arn().clone(),
        audience: None,
        bound_by: crate::plan::BoundBy {
            name: "trainer".to_owned(),
            uid: "uid-1".to_owned(),
        },
        previous: crate::plan::Previous::default(),
    };
    let mut knowledge = known();
    let before = knowledge.clone();
    for step in [
        Step::AddFinalizer(intent.placement.clone()),
        Step::CreateServiceAccount(binding.clone()),
        Step::BindServiceAccount {
            binding,
            uid: String::new(),
            force_at: None,
        },
        Step::UnbindServiceAccount {
            name: String::new(),
            uid: String::new(),
            annotations: labels(&[]),
            restored: labels(&[]),
        },
        Step::DeleteServiceAccount {
            name: String::new(),
            uid: String::new(),
            annotations: labels(&[]),
            restored: labels(&[]),
        },
        Step::RemoveFinalizer,
    ] {
        assert!(!step.writes_role());
        knowledge.note_done(&step, seconds(20));
        assert_eq!(knowledge.state, before.state);
        assert_eq!(knowledge.as_of, before.as_of);
        assert_eq!(knowledge.last_write, None);
    }
}

#[test]
fn a_write_to_a_role_that_is_not_known_leaves_it_unknown() {
    let mut knowledge = RoleKnowledge::default();
    knowledge.note_done(&Step::Attach(policy(S3_READ)), seconds(20));
    assert_eq!(knowledge.state, RoleState::Unknown);
    assert_eq!(knowledge.last_write, Some(seconds(20)));
}

#[test]
fn a_denial_soon_after_the_role_was_tagged_passes_and_a_later_one_is_final() {
    let failure = |reason, service_account: Option<&str>| Failure {
        refusal: Refusal::new(reason, "AWS denies it"),
        service_account: service_account.map(str::to_owned),
    };
    let mut knowledge = known();
    let denied = failure(reasons::ACCESS_DENIED, None);
    assert_eq!(knowledge.told(denied.clone(), &clock(100, 100)), denied);
    knowledge.note_done(&Step::Attach(policy(S3_READ)), seconds(100));
    assert_eq!(knowledge.told(denied.clone(), &clock(100, 100)), denied);
    knowledge.note_done(&Step::Tag(labels(&[])), seconds(100));
    let soon = knowledge.told(denied.clone(), &clock(100, 129)).refusal;
    assert_eq!((soon.reason, soon.final_), (reasons::NOT_YET_CONSISTENT, false));
    assert!(soon.message.starts_with("AWS denies it; "), "{}", soon.message);
    assert_eq!(knowledge.told(denied.clone(), &clock(100, 130)), denied);
    for other in [
        failure(reasons::REFUSED_BY_AWS, None),
        failure(reasons::ACCESS_DENIED, Some("trainer")),
    ] {
        assert_eq!(knowledge.told(other.clone(), &clock(100, 101)), other);
    }
}

#[test]
fn a_role_that_was_marked_as_ours_is_remembered_as_ours() {
    let intent = intent(json!({}));
    let mut header = header(&intent);
    header.tags.clear();
    let mut knowledge = read(header, Some(content(&intent)), 5);
    knowledge.note_done(
        &Step::Tag([("team".to_owned(), "a".to_owned())].into()),
        seconds(6),
    );
    assert!(!knowledge.was_ours);
    knowledge.note_done(&Step::Tag(intent.owner.tags()), seconds(7));
    assert!(knowledge.was_ours);
}
