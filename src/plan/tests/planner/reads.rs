//! When a read or a wait comes before anything else: what is remembered may be old, and IAM may contradict itself.

use super::*;

fn known_at(intent: &RoleIntent, as_of: u64, change: impl FnOnce(&mut RoleHeader)) -> RoleKnowledge {
    let mut header = header(intent);
    change(&mut header);
    read(header, Some(content(intent)), as_of)
}

fn foreign_at(intent: &RoleIntent, as_of: u64) -> RoleKnowledge {
    known_at(intent, as_of, |header| header.tags.clear())
}

#[test]
fn an_existing_role_is_read_before_it_is_changed() {
    let intent = intent(json!({}));
    let drift = |as_of| known_at(&intent, as_of, |header| header.description = "x".to_owned());
    expect_read(&next(&intent, &drift(99)), Depth::Full);
    assert_eq!(steps(next(&intent, &drift(100))).steps().count(), 1);
}

#[test]
fn nothing_is_read_where_nothing_is_to_be_done() {
    let intent = intent(json!({}));
    assert!(steps(next(&intent, &known_at(&intent, 1, |_| ()))).is_empty());
}

#[test]
fn drift_is_looked_for_once_the_interval_is_over() {
    let intent = intent(json!({}));
    let knowledge = known_at(&intent, 100, |_| ());
    assert!(steps(next_at(&intent, &knowledge, 699, 699)).is_empty());
    expect_read(&next_at(&intent, &knowledge, 700, 700), Depth::Full);
}

#[test]
fn an_object_that_was_here_before_is_read_before_anything_is_created() {
    let intent = intent(json!({}));
    expect_read(&next(&intent, &RoleKnowledge::default()), Depth::Full);
    // The role that we remember to be gone may be there again.
    expect_read(&next(&intent, &read_absent(99)), Depth::Full);
    let plan = steps(next(&intent, &read_absent(100)));
    assert!(plan.steps().any(|step| matches!(step, Step::CreateRole(_))));
}

#[test]
fn a_header_alone_is_not_enough_to_repair() {
    let intent = intent(json!({}));
    expect_read(&next(&intent, &read(header(&intent), None, 100)), Depth::Full);
}

#[test]
fn a_role_that_we_wrote_a_moment_ago_is_not_created_twice() {
    let intent = intent(json!({}));
    let mut knowledge = RoleKnowledge::default();
    knowledge.note_created(header(&intent), seconds(90));
    knowledge.note_read(None, seconds(100));
    let (why, until) = waits(next(&intent, &knowledge));
    assert_eq!(why.reason, "NotYetConsistent");
    assert!(!why.final_);
    assert!(
        why.message.contains(intent.arn().name().as_str()),
        "{}",
        why.message
    );
    assert!(until > 100 && until <= 100 + WINDOW);
    // The window over, it is believed to be gone.
    knowledge.note_read(None, seconds(90 + WINDOW));
    let plan = steps(next_at(&intent, &knowledge, 120, 120));
    assert!(plan.steps().any(|step| matches!(step, Step::CreateRole(_))));
}

#[test]
fn a_name_that_is_taken_is_read_and_waited_for_two_minutes_without_a_second_create() {
    let intent = intent(json!({}));
    let mut knowledge = RoleKnowledge::default();
    knowledge.note_exists(seconds(100));
    // Also before the finalizer is known to be there.
    let unread = plan(&intent, false, &knowledge, around(&[], &[]), &clock(100, 100));
    expect_read(&unread, Depth::Full);
    for now in [100, 130, 219] {
        knowledge.note_read(None, seconds(now));
        let (why, until) = waits(next_at(&intent, &knowledge, now, now));
        assert_eq!(why.reason, "NotYetConsistent");
        assert!(until > now);
    }
    knowledge.note_read(None, seconds(220));
    let plan = steps(next_at(&intent, &knowledge, 220, 220));
    assert!(plan.steps().any(|step| matches!(step, Step::CreateRole(_))));
    // Refused again, it is waited for again: IAM that contradicts itself for ever isn't asked for ever.
    knowledge.note_exists(seconds(220));
    knowledge.note_read(None, seconds(221));
    waits(next_at(&intent, &knowledge, 221, 221));
}

#[test]
fn a_role_that_seems_foreign_is_said_to_be_so_only_after_two_reads_agree() {
    let intent = intent(json!({}));
    // Remembered only: read first.
    expect_read(&next(&intent, &foreign_at(&intent, 50)), Depth::Header);
    // Read once: wait.
    let (why, until) = waits(next(&intent, &foreign_at(&intent, 100)));
    assert_eq!(why.reason, "VerifyingOwnership");
    assert!(!why.final_);
    assert_eq!(until, 130);
    // Disputed since then: no second read before the time has come.
    let mut knowledge = foreign_at(&intent, 100);
    knowledge.disputed_since = Some(seconds(100));
    assert_eq!(waits(next_at(&intent, &knowledge, 110, 110)).1, 130);
    expect_read(&next_at(&intent, &knowledge, 130, 130), Depth::Header);
    // Read again, and still foreign.
    let mut knowledge = foreign_at(&intent, 130);
    knowledge.disputed_since = Some(seconds(100));
    let refusal = blocked(next_at(&intent, &knowledge, 130, 130));
    assert_eq!(refusal.reason, "RoleConflict");
    // And so it stays without another read, until drift is looked for.
    assert_eq!(
        blocked(next_at(&intent, &knowledge, 700, 700)).reason,
        "RoleConflict"
    );
    expect_read(&next_at(&intent, &knowledge, 730, 730), Depth::Full);
}

#[test]
fn a_foreign_role_is_looked_at_again_when_that_is_asked_for() {
    let intent = intent(json!({}));
    let mut knowledge = foreign_at(&intent, 130);
    knowledge.disputed_since = Some(seconds(100));
    blocked(next_at(&intent, &knowledge, 200, 200));
    knowledge.look_again = Some(seconds(201));
    expect_read(&next_at(&intent, &knowledge, 201, 201), Depth::Full);
    // Still foreign: said at once, since it was confirmed before.
    knowledge.note_read(Some((header_of(&knowledge).clone(), None)), seconds(202));
    blocked(next_at(&intent, &knowledge, 201, 202));
    // Mended: work goes on.
    knowledge.note_read(Some((header(&intent), Some(content(&intent)))), seconds(203));
    assert!(steps(next_at(&intent, &knowledge, 203, 203)).is_empty());
}

#[test]
fn the_two_reads_may_be_repeated_within_the_window_without_being_believed() {
    let intent = intent(json!({}));
    let mut knowledge = foreign_at(&intent, 129);
    knowledge.disputed_since = Some(seconds(100));
    assert_eq!(waits(next_at(&intent, &knowledge, 129, 129)).1, 130);
}

#[test]
fn nothing_at_all_is_done_around_a_foreign_role() {
    let intent = intent(json!({}));
    let mut knowledge = foreign_at(&intent, 130);
    knowledge.disputed_since = Some(seconds(100));
    for has_finalizer in [true, false] {
        let next = plan(
            &intent,
            has_finalizer,
            &knowledge,
            around(&[service_account("trainer", &[])], &[]),
            &clock(130, 130),
        );
        blocked(next);
    }
}

#[test]
fn a_role_that_is_ours_at_the_second_look_is_repaired() {
    let intent = intent(json!({}));
    let mut knowledge = known_at(&intent, 130, |header| header.description = "x".to_owned());
    knowledge.disputed_since = Some(seconds(100));
    assert_eq!(steps(next_at(&intent, &knowledge, 130, 130)).steps().count(), 1);
}

#[test]
fn binding_alone_needs_no_read() {
    let intent = intent(json!({}));
    let knowledge = known_at(&intent, 1, |_| ());
    let found = [service_account("trainer", &[])];
    let plan = steps(plan(
        &intent,
        true,
        &knowledge,
        around(&found, &[]),
        &clock(100, 100),
    ));
    insta::assert_snapshot!(show(&plan), @"BindServiceAccount trainer");
}

#[test]
fn nothing_known_of_a_placed_object_is_never_a_reason_to_create() {
    let intent = intent(json!({}));
    let mut knowledge = known_at(&intent, 100, |_| ());
    knowledge.note_doubt(seconds(100));
    assert_eq!(knowledge.state, RoleState::Unknown);
    expect_read(&next(&intent, &knowledge), Depth::Full);
}

#[test]
fn a_read_that_may_be_older_than_our_last_write_is_repeated_once_the_window_is_over() {
    let intent = intent(json!({}));
    let mut knowledge = known_at(&intent, 90, |_| ());
    knowledge.note_done(&Step::Attach(policy(S3_READ)), seconds(95));
    let again = known_at(&intent, 100, |_| ());
    let RoleState::Present { header, content } = again.state else {
        panic!("no role")
    };
    let read = Some((*header, content));
    // The attachment isn't wanted any more, and isn't shown: taken away by somebody, or not shown yet.
    knowledge.note_read(read.clone(), seconds(100));
    for now in [100, 124] {
        assert!(steps(next_at(&intent, &knowledge, now, now)).is_empty());
        assert_eq!(knowledge.settles_at(&clock(now, now)), Some(seconds(125)));
    }
    expect_read(&next_at(&intent, &knowledge, 125, 125), Depth::Full);
    knowledge.note_read(read, seconds(125));
    assert_eq!(knowledge.settles_at(&clock(125, 125)), None);
    assert!(steps(next_at(&intent, &knowledge, 200, 200)).is_empty());
}
