//! Taking everything away again: the annotation, then the role, then the finalizer, and never what isn't ours.

use serde_json::json;

use super::fixtures::*;
use crate::iam::tags;
use crate::plan::{
    Clock, Departure, Depth, Next, Retention, RoleIntent, RoleKnowledge, RoleState, ServiceAccountState,
    Step, plan_departure,
};

fn object() -> RoleIntent {
    intent(json!({
        "managedPolicyArns": [READ_ONLY],
        "inlinePolicies": [{"name": "p", "document": document("s3:GetObject")}],
        "role": {"name": "trainer-role"},
    }))
}

fn leaving(retain: Retention) -> Departure {
    let intent = object();
    Departure {
        owner: intent.owner.clone(),
        role_arn: intent.arn().clone(),
        former_cluster_uids: ["cluster-0".to_owned()].into(),
        retain,
        attached: intent.attached.clone(),
        inline: intent.inline.keys().cloned().collect(),
        lets_go: true,
    }
}

fn next(retain: Retention, knowledge: &RoleKnowledge, found: &[ServiceAccountState], clock: &Clock) -> Next {
    plan_departure(&leaving(retain), knowledge, around(found, &[]), clock)
}

/// With nothing bound any more, at second 100.
fn then(retain: Retention, knowledge: &RoleKnowledge) -> Next {
    next(retain, knowledge, &[], &clock(100, 100))
}

fn present(as_of: u64) -> RoleKnowledge {
    read(header(&object()), Some(content(&object())), as_of)
}

fn refused() -> Retention {
    Retention::Refused("ml".to_owned())
}

#[test]
fn the_annotations_go_before_anything_is_asked_of_aws() {
    let found = [
        bound("a", &object()),
        created("b", &object()),
        service_account("c", &[]),
    ];
    for knowledge in [RoleKnowledge::default(), read_absent(100), present(100)] {
        let plan = steps(next(Retention::Delete, &knowledge, &found, &clock(100, 100)));
        insta::allow_duplicates! {
            insta::assert_snapshot!(show(&plan), @r"
            UnbindServiceAccount a (eks.amazonaws.com/role-arn, mlservicerole.io/bound-by)
            DeleteServiceAccount b (eks.amazonaws.com/role-arn, mlservicerole.io/bound-by, mlservicerole.io/created-by)
            ");
        }
    }
}

#[test]
fn what_is_known_is_taken_away_and_then_the_role() {
    let mut more = content(&object());
    more.attached.insert(policy(ADMIN));
    more.inline.insert("extra".to_owned(), "{}".to_owned());
    let plan = steps(then(Retention::Delete, &read(header(&object()), Some(more), 100)));
    insta::assert_snapshot!(show(&plan), @r"
    DetachRolePolicy arn:aws:iam::aws:policy/AdministratorAccess
    DetachRolePolicy arn:aws:iam::aws:policy/AmazonSageMakerReadOnly
    DeleteRolePolicy extra
    DeleteRolePolicy p

    DeleteRole

    RemoveFinalizer
    ");
}

#[test]
fn where_the_content_is_not_known_what_should_be_there_is_tried() {
    let plan = steps(then(Retention::Delete, &read(header(&object()), None, 100)));
    insta::assert_snapshot!(show(&plan), @r"
    DetachRolePolicy arn:aws:iam::aws:policy/AmazonSageMakerReadOnly
    DeleteRolePolicy p

    DeleteRole

    RemoveFinalizer
    ");
}

#[test]
fn the_object_stays_where_another_role_is_looked_for_after_this_one() {
    let mut leaving = leaving(Retention::Delete);
    leaving.lets_go = false;
    let plan = steps(plan_departure(
        &leaving,
        &present(100),
        around(&[], &[]),
        &clock(100, 100),
    ));
    assert!(!plan.steps().any(|step| *step == Step::RemoveFinalizer));
    let mut gone = present(90);
    gone.note_done(&Step::DeleteRole, seconds(90));
    let plan = steps(plan_departure(
        &leaving,
        &gone,
        around(&[], &[]),
        &clock(100, 100),
    ));
    assert!(plan.is_empty());
}

#[test]
fn the_role_is_read_before_it_is_deleted() {
    expect_read(&then(Retention::Delete, &RoleKnowledge::default()), Depth::Header);
    expect_read(&then(Retention::Delete, &present(99)), Depth::Header);
    expect_read(&then(Retention::Delete, &read_absent(99)), Depth::Header);
}

#[test]
fn inherited_roles_go_too() {
    let mut earlier = header(&object());
    earlier.tags.insert(tags::UID.to_owned(), "uid-0".to_owned());
    let mut restored = header(&object());
    restored
        .tags
        .insert(tags::CLUSTER_UID.to_owned(), "cluster-0".to_owned());
    for header in [earlier, restored] {
        let plan = steps(then(Retention::Delete, &read(header, None, 100)));
        assert!(plan.steps().any(|step| *step == Step::DeleteRole));
    }
}

#[test]
fn a_role_that_is_not_there_is_believed_gone_after_two_reads() {
    let (why, until) = waits(then(Retention::Delete, &read_absent(100)));
    assert_eq!(why.reason, "NotYetConsistent");
    assert!(!why.final_);
    assert!(why.message.contains("trainer-role"), "{}", why.message);
    assert_eq!(until, 130);

    let mut knowledge = read_absent(100);
    knowledge.disputed_since = Some(seconds(100));
    let at = |knowledge: &RoleKnowledge, now| next(Retention::Delete, knowledge, &[], &clock(now, now));
    assert_eq!(waits(at(&knowledge, 110)).1, 130);
    expect_read(&at(&knowledge, 130), Depth::Header);
    knowledge.note_read(None, seconds(130));
    insta::assert_snapshot!(show(&steps(at(&knowledge, 130))), @"RemoveFinalizer");
}

#[test]
fn a_wait_for_a_second_read_says_so() {
    for next in [
        then(Retention::Delete, &read_absent(100)),
        then(Retention::Delete, &read(foreign(&object()), None, 100)),
    ] {
        assert!(matches!(next, Next::Wait { disputed: true, .. }), "{next:?}");
    }
}

#[test]
fn a_role_that_we_deleted_is_gone_without_another_read() {
    let mut knowledge = present(90);
    knowledge.note_done(&Step::DeleteRole, seconds(95));
    insta::assert_snapshot!(show(&steps(then(Retention::Delete, &knowledge))), @"RemoveFinalizer");
}

fn foreign(intent: &RoleIntent) -> crate::iam::role::RoleHeader {
    let mut header = header(intent);
    header.tags.clear();
    header
}

#[test]
fn a_foreign_role_is_left_alone_once_two_reads_agree_and_the_object_goes() {
    let object = object();
    let found = |as_of, since| {
        let mut knowledge = read(foreign(&object), None, as_of);
        knowledge.disputed_since = since;
        knowledge
    };
    expect_read(&then(Retention::Delete, &found(50, None)), Depth::Header);
    assert_eq!(waits(then(Retention::Delete, &found(100, None))).1, 130);
    let confirmed = found(130, Some(seconds(100)));
    for retain in [Retention::Delete, Retention::Retain, refused()] {
        let plan = steps(next(retain, &confirmed, &[], &clock(130, 130)));
        insta::allow_duplicates! {
            insta::assert_snapshot!(show(&plan), @r"
            RemoveFinalizer

            Warning RoleLeftAlone: a role named trainer-role exists in account 111122223333 and does not belong to this object; it is left alone: have it removed, or create another MlServiceRole under another name; this object goes without it
            ");
        }
    }
}

#[test]
fn a_retained_role_stays_with_the_annotations_and_is_nobodys() {
    let found = [bound("a", &object()), created("b", &object())];
    let plan = steps(next(Retention::Retain, &present(100), &found, &clock(100, 100)));
    insta::assert_snapshot!(show(&plan), @r"
    UnbindServiceAccount a (mlservicerole.io/bound-by)
    UnbindServiceAccount b (mlservicerole.io/bound-by, mlservicerole.io/created-by)
    ");
    let plan = steps(then(Retention::Retain, &present(100)));
    insta::assert_snapshot!(show(&plan), @r"
    TagRole mlservicerole.io/retained

    RemoveFinalizer

    Normal RoleRetained: role arn:aws:iam::111122223333:role/mlservicerole/prod/team-a/trainer-role stays and belongs to nobody from now on
    ");
}

#[test]
fn a_role_that_this_object_has_marked_already_is_retained_and_not_foreign() {
    let mut marked = header(&object());
    marked.tags.insert(tags::RETAINED.to_owned(), "true".to_owned());
    let plan = steps(then(Retention::Retain, &read(marked.clone(), None, 100)));
    insta::assert_snapshot!(show(&plan), @r"
    RemoveFinalizer

    Normal RoleRetained: role arn:aws:iam::111122223333:role/mlservicerole/prod/team-a/trainer-role stays and belongs to nobody from now on
    ");
    // One that an earlier object left is not this one's to speak of.
    marked.tags.insert(tags::UID.to_owned(), "uid-0".to_owned());
    waits(then(Retention::Retain, &read(marked, None, 100)));
}

#[test]
fn on_a_role_with_as_many_tags_as_there_can_be_the_mark_stands_in_the_place_of_the_uid() {
    let mut full = header(&object());
    let room = 50 - full.tags.len();
    full.tags
        .extend((0..room).map(|i| (format!("full{i}"), String::new())));
    let plan = steps(then(Retention::Retain, &read(full.clone(), None, 100)));
    let shown: Vec<String> = plan.steps().map(show_step).collect();
    assert_eq!(shown, ["TagRole mlservicerole.io/uid", "RemoveFinalizer"]);
    let mut marked = read(full, None, 100);
    for step in plan.steps() {
        marked.note_done(step, seconds(100));
    }
    let plan = steps(then(Retention::Retain, &marked));
    let shown: Vec<String> = plan.steps().map(show_step).collect();
    assert_eq!(
        shown,
        ["RemoveFinalizer"],
        "the mark is known again after a crash"
    );
}

#[test]
fn a_retain_that_the_class_refuses_changes_nothing_until_somebody_decides() {
    let found = [bound("a", &object())];
    let refusal = blocked(next(refused(), &present(100), &found, &clock(100, 100)));
    assert_eq!(refusal.reason, "RetainNotAllowed");
    assert!(refusal.final_);
    for part in [
        "\"ml\"",
        "trainer-role",
        "write deletionPolicy: Delete",
        "allow.retain",
    ] {
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
}

#[test]
fn a_refused_retain_lets_go_once_there_is_nothing_to_keep() {
    let found = [bound("a", &object())];
    let mut knowledge = read_absent(130);
    knowledge.disputed_since = Some(seconds(100));
    let plan = steps(next(refused(), &knowledge, &found, &clock(130, 130)));
    insta::assert_snapshot!(show(&plan), @r"
    UnbindServiceAccount a (eks.amazonaws.com/role-arn, mlservicerole.io/bound-by)

    RemoveFinalizer
    ");
}

#[test]
fn a_doubtful_delete_is_read_and_not_guessed() {
    let mut knowledge = present(100);
    knowledge.note_doubt(seconds(100));
    assert_eq!(knowledge.state, RoleState::Unknown);
    expect_read(&then(Retention::Delete, &knowledge), Depth::Header);
}

#[test]
fn what_was_found_foreign_while_the_object_lived_is_read_again_before_the_object_goes() {
    let mut knowledge = read(foreign(&object()), None, 130);
    knowledge.disputed_since = Some(seconds(100));
    let at = |knowledge: &RoleKnowledge, now| next(Retention::Delete, knowledge, &[], &clock(now, now));
    expect_read(&at(&knowledge, 200), Depth::Header);
    // Somebody has put the tags back.
    knowledge.note_read(Some((header(&object()), None)), seconds(200));
    let plan = steps(at(&knowledge, 200));
    assert!(plan.steps().any(|step| *step == Step::DeleteRole));
}

#[test]
fn a_role_that_we_wrote_to_lately_is_looked_for_longer() {
    let mut created = RoleKnowledge::default();
    created.note_created(header(&object()), seconds(100));
    let mut taken = RoleKnowledge::default();
    taken.note_exists(seconds(100));
    let mut doubtful = RoleKnowledge::default();
    doubtful.note_doubt(seconds(100));
    for mut knowledge in [created, taken, doubtful] {
        let at = |knowledge: &RoleKnowledge, now| next(Retention::Delete, knowledge, &[], &clock(now, now));
        knowledge.note_read(None, seconds(101));
        assert_eq!(waits(at(&knowledge, 101)).1, 100 + 4 * WINDOW);
        knowledge.disputed_since = Some(seconds(101));
        knowledge.note_read(None, seconds(150));
        waits(at(&knowledge, 150));
        expect_read(&at(&knowledge, 220), Depth::Header);
        knowledge.note_read(None, seconds(220));
        insta::allow_duplicates! {
            insta::assert_snapshot!(show(&steps(at(&knowledge, 220))), @"RemoveFinalizer");
        }
    }
}

#[test]
fn an_old_dispute_does_not_stand_for_the_first_of_two_reads() {
    let mut knowledge = read(foreign(&object()), None, 50);
    knowledge.disputed_since = Some(seconds(10));
    knowledge.note_read(None, seconds(100));
    assert_eq!(waits(then(Retention::Delete, &knowledge)).1, 130);
}

#[test]
fn an_unmarked_annotation_goes_with_our_role_and_stays_with_a_foreign_one() {
    let arn = object().arn().to_string();
    let sa = service_account("a", &[("eks.amazonaws.com/role-arn", &arn)]);
    let with = |knowledge: &RoleKnowledge, retain| {
        let found = std::slice::from_ref(&sa);
        show(&steps(next(retain, knowledge, found, &clock(130, 130))))
    };
    insta::assert_snapshot!(with(&read(header(&object()), None, 130), Retention::Delete), @r"
    UnbindServiceAccount a (eks.amazonaws.com/role-arn)

    DetachRolePolicy arn:aws:iam::aws:policy/AmazonSageMakerReadOnly
    DeleteRolePolicy p

    DeleteRole

    RemoveFinalizer
    ");
    let mut theirs = read(foreign(&object()), None, 130);
    theirs.disputed_since = Some(seconds(100));
    let mut absent = read_absent(130);
    absent.disputed_since = Some(seconds(100));
    for knowledge in [theirs, absent] {
        let shown = with(&knowledge, Retention::Delete);
        assert!(shown.starts_with("RemoveFinalizer"), "{shown}");
    }
    let retained = with(&read(header(&object()), None, 130), Retention::Retain);
    assert!(!retained.contains("UnbindServiceAccount"), "{retained}");
}

#[test]
fn a_role_is_taken_out_of_the_instance_profiles_that_keep_it() {
    let mut knowledge = present(100);
    knowledge.note_obstacles(content(&object()), ["theirs".to_owned()].into());
    let plan = steps(then(Retention::Delete, &knowledge));
    insta::assert_snapshot!(show(&plan), @r"
    DetachRolePolicy arn:aws:iam::aws:policy/AmazonSageMakerReadOnly
    DeleteRolePolicy p
    RemoveRoleFromInstanceProfile theirs

    DeleteRole

    RemoveFinalizer
    ");
    knowledge.note_done(&Step::LeaveInstanceProfile("theirs".to_owned()), seconds(101));
    assert_eq!(knowledge.instance_profiles, Some([].into()));
}

#[test]
fn a_role_that_is_gone_when_it_is_deleted_is_looked_for_once_more() {
    // It was read, something was taken off it, and then IAM said that there is none.
    let mut knowledge = present(100);
    knowledge.note_done(&Step::DeleteInline("p".to_owned()), seconds(101));
    knowledge.note_read(None, seconds(102));
    let now = clock(100, 102);
    let (why, until) = waits(next(Retention::Delete, &knowledge, &[], &now));
    assert_eq!((why.reason, why.final_), ("NotYetConsistent", false));
    assert!(until >= 102 + WINDOW, "{until}");
}
