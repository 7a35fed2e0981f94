//! What lists of an account mean for what is known of a role, how an account is looked at, and which roles are nobody's.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::fixtures::*;
use crate::iam::role::{RoleContent, RoleDetails, RoleHeader, RoleSettings};
use crate::iam::tags;
use crate::plan::sweep::{
    Census, MAX_NAMES, Method, Noted, Suspects, Why, choose, claimed, distinct_prefixes, joined, path_prefix,
};
use crate::plan::{Clock, Depth, Next, RoleIntent, RoleKnowledge, RoleState, Step, plan};

const AT: Duration = Duration::from_secs(1_000);

fn window() -> Duration {
    seconds(WINDOW)
}

fn wanted() -> RoleIntent {
    intent(json!({
        "managedPolicyArns": [READ_ONLY],
        "inlinePolicies": [{"name": "p", "document": document("s3:GetObject")}],
    }))
}

fn known() -> RoleKnowledge {
    read(header(&wanted()), Some(content(&wanted())), 10)
}

fn swept(knowledge: &mut RoleKnowledge, change: impl FnOnce(&mut RoleHeader, &mut RoleContent)) -> Noted {
    let (mut header, mut content) = (header(&wanted()), content(&wanted()));
    change(&mut header, &mut content);
    knowledge.note_swept(header, content, AT, window())
}

fn planned(intent: &RoleIntent, knowledge: &RoleKnowledge, clock: &Clock) -> Next {
    plan(intent, true, knowledge, around(&[], &[]), clock)
}

type Change = fn(&mut RoleHeader, &mut RoleContent);

#[test]
fn a_role_that_is_as_known_wakes_nobody_and_counts_as_looked_at() {
    let mut knowledge = known();
    assert_eq!(swept(&mut knowledge, |_, _| ()), Noted::Same);
    assert_eq!(knowledge.as_of, AT);
    let now = AT.as_secs() + DRIFT - 1;
    assert!(!knowledge.is_due(&clock(now, now)));
}

#[test]
fn documents_in_other_words_are_the_same_and_those_words_are_kept() {
    let mut knowledge = known();
    let other = r#"{"Statement":{"Resource":["*"],"Action":["S3:getobject"],"Effect":"Allow"},"Version":"2012-10-17"}"#;
    let reworded: Change = |_, content| {
        content.inline.insert(
            "p".to_owned(),
            r#"{"Statement":{"Resource":["*"],"Action":["S3:getobject"],"Effect":"Allow"},"Version":"2012-10-17"}"#
                .to_owned(),
        );
    };
    assert_eq!(swept(&mut knowledge, reworded), Noted::Same);
    assert_eq!(knowledge.content().unwrap().inline["p"], other);
}

#[test]
fn whatever_differs_wakes_the_object() {
    let changes: [(&str, Change); 11] = [
        ("trust", |header, _| header.trust = "{}".to_owned()),
        ("description", |header, _| header.description.push('x')),
        ("session", |header, _| header.max_session_duration_seconds += 1),
        ("boundary", |header, _| {
            header.permissions_boundary = Some("arn:other".to_owned())
        }),
        ("tag", |header, _| {
            _ = header.tags.insert("x".to_owned(), "y".to_owned())
        }),
        ("tag gone", |header, _| _ = header.tags.pop_last()),
        ("created anew", |header, _| header.id.push('x')),
        ("attached", |_, content| {
            _ = content.attached.insert(policy(S3_READ))
        }),
        ("detached", |_, content| content.attached.clear()),
        ("inline", |_, content| {
            _ = content.inline.insert("q".to_owned(), "{}".to_owned())
        }),
        ("inline gone", |_, content| content.inline.clear()),
    ];
    for (what, change) in changes {
        let mut knowledge = known();
        assert_eq!(swept(&mut knowledge, change), Noted::Differs, "{what}");
    }
    assert_eq!(
        swept(&mut RoleKnowledge::default(), |_, _| ()),
        Noted::Differs,
        "unknown"
    );
    assert_eq!(swept(&mut read_absent(10), |_, _| ()), Noted::Differs, "absent");
}

#[test]
fn drift_that_a_list_shows_is_read_once_more_before_anything_is_written() {
    let mut knowledge = known();
    assert_eq!(
        swept(&mut knowledge, |_, content| content.attached.clear()),
        Noted::Differs
    );
    let started = AT.as_secs() + 1;
    let next = planned(&wanted(), &knowledge, &clock(started, started));
    assert!(matches!(next, Next::Read(Depth::Full)), "{next:?}");
}

#[test]
fn a_role_in_order_is_planned_for_without_a_read() {
    let mut knowledge = RoleKnowledge::default();
    swept(&mut knowledge, |_, _| ());
    let started = AT.as_secs() + 1;
    let next = planned(&wanted(), &knowledge, &clock(started, started));
    let Next::Do(plan) = next else { panic!("{next:?}") };
    assert!(plan.steps().all(|step| !step.writes_role()), "{plan:?}");
}

#[test]
fn a_write_of_our_own_is_no_drift() {
    let step = Step::Attach(policy(S3_READ));
    for (written, noted) in [
        (AT + seconds(1), Noted::Ignored),
        (AT, Noted::Ignored),
        (AT - window() + seconds(1), Noted::Ignored),
        (AT - window(), Noted::Differs),
    ] {
        let mut knowledge = known();
        knowledge.note_done(&step, written);
        assert_eq!(swept(&mut knowledge, |_, _| ()), noted, "written at {written:?}");
        let mut knowledge = known();
        knowledge.note_done(&step, written);
        assert_eq!(
            knowledge.note_missed(AT, window()),
            noted,
            "written at {written:?}"
        );
    }
}

#[test]
fn a_list_that_was_asked_for_before_a_read_says_nothing() {
    let mut knowledge = read(header(&wanted()), Some(content(&wanted())), AT.as_secs() + 1);
    assert_eq!(
        swept(&mut knowledge, |_, content| content.attached.clear()),
        Noted::Ignored
    );
    assert_eq!(knowledge.content(), Some(&content(&wanted())));
}

#[test]
fn a_creation_of_which_it_is_not_known_whether_it_happened_is_no_drift() {
    let mut knowledge = RoleKnowledge::default();
    knowledge.note_doubt(AT - seconds(1));
    assert_eq!(knowledge.note_missed(AT, window()), Noted::Ignored);
    knowledge.note_exists(AT - seconds(1));
    assert_eq!(swept(&mut knowledge, |_, _| ()), Noted::Ignored);
}

#[test]
fn a_role_that_no_list_shows_is_read_and_not_believed_gone() {
    let mut knowledge = known();
    assert_eq!(knowledge.note_missed(AT, window()), Noted::Differs);
    assert!(matches!(knowledge.state, RoleState::Present { .. }));
    let now = AT.as_secs() + 1;
    assert!(knowledge.is_due(&clock(now, now)));
    knowledge.note_read(Some((header(&wanted()), Some(content(&wanted())))), seconds(now));
    assert!(!knowledge.is_due(&clock(now, now)), "it was read");
    assert_eq!(read_absent(10).note_missed(AT, window()), Noted::Same);
}

#[test]
fn a_turn_is_left_out_where_the_role_was_read_lately() {
    let mut knowledge = known();
    assert_eq!(knowledge.note_turn(seconds(9)), Noted::Ignored);
    assert!(!knowledge.is_due(&clock(11, 11)));
    assert_eq!(knowledge.note_turn(seconds(10)), Noted::Differs);
    assert!(knowledge.is_due(&clock(11, 11)));
    assert_eq!(RoleKnowledge::default().note_turn(seconds(9)), Noted::Differs);
}

#[test]
fn two_halves_make_a_role_only_where_they_are_of_one() {
    let wanted = header(&wanted());
    let details = RoleDetails {
        arn: wanted.arn.clone(),
        id: wanted.id.clone(),
        trust: wanted.trust.clone(),
        permissions_boundary: wanted.permissions_boundary.clone(),
        tags: wanted.tags.clone(),
        content: RoleContent::default(),
    };
    let settings = |id: &str| RoleSettings {
        id: id.to_owned(),
        description: wanted.description.clone(),
        max_session_duration_seconds: wanted.max_session_duration_seconds,
    };
    let whole = joined(details.clone(), settings(&wanted.id));
    assert_eq!(whole, Some((wanted.clone(), RoleContent::default())));
    assert_eq!(joined(details, settings("AROAOTHER")), None);
}

#[test]
fn a_list_is_asked_for_by_what_the_paths_of_a_class_begin_with() {
    for (template, prefix) in [
        ("/mlservicerole/{cluster}/{namespace}/", "/mlservicerole/prod/"),
        ("/ml/{namespace}/{cluster}/", "/ml/"),
        ("/ml/", "/ml/"),
        ("/", "/"),
        ("/ml-{namespace}/", "/ml-"),
    ] {
        assert_eq!(path_prefix(template, "prod"), prefix);
    }
    let prefixes = ["/ml/prod/", "/a/", "/ml/", "/ml/prod/", "/ml-x/"].map(str::to_owned);
    assert_eq!(distinct_prefixes(prefixes.to_vec()), ["/a/", "/ml-x/", "/ml/"]);
    assert_eq!(distinct_prefixes(vec!["/a/".to_owned(), "/".to_owned()]), ["/"]);
}

#[test]
fn what_takes_fewer_calls_is_chosen() {
    let census = |ours, outside, all| Census {
        ours,
        outside,
        all,
        details_page: None,
        settings_page: None,
    };
    let (lists, wide) = (Method::Lists { wide: false }, Method::Lists { wide: true });
    let each = Method::Each(Why::Cheaper);
    for (census, method) in [
        // One role of ours: four calls, against two lists.
        (census(1, 0, Some(100)), lists),
        (census(1, 0, Some(301)), each),
        (census(5_000, 0, Some(5_000)), lists),
        (census(20, 0, Some(10_000)), each),
        (census(26, 0, Some(10_000)), lists),
        // One adopted role is read, a hundred of them are worth the longer list.
        (census(50, 1, Some(1_000)), lists),
        (census(100, 90, Some(1_000)), wide),
        // Of an account of unknown size the size is found out.
        (census(1, 0, None), lists),
        (census(0, 0, Some(0)), each),
    ] {
        assert_eq!(choose(&census), method, "{census:?}");
    }
    let larger = Census {
        details_page: Some(1_000),
        settings_page: Some(1_000),
        ..census(3, 0, Some(10_000))
    };
    assert_eq!(
        choose(&larger),
        lists,
        "pages that were seen to hold more are fewer"
    );
}

fn marked(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut tags = wanted().owner.tags();
    for (key, value) in changes {
        tags.insert((*key).to_owned(), (*value).to_owned());
    }
    tags
}

#[test]
fn a_role_of_this_cluster_names_its_object_and_no_other_role_does() {
    let owner = wanted().owner;
    let of = |tags: &BTreeMap<String, String>| {
        claimed(tags, &owner.cluster_uid).map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
    };
    assert_eq!(
        of(&marked(&[])),
        Some((owner.namespace.clone(), owner.name.clone()))
    );
    assert_eq!(of(&marked(&[(tags::CLUSTER_UID, "another")])), None);
    assert_eq!(of(&marked(&[(tags::RETAINED, "true")])), None);
    assert_eq!(of(&BTreeMap::new()), None);
}

fn suspects(names: &[&str]) -> Suspects {
    let mut suspects = Suspects::default();
    for name in names {
        suspects.add("c", name.parse().unwrap());
    }
    suspects
}

#[test]
fn an_orphan_is_told_once_two_sweeps_agree_on_it() {
    let (before, now) = (suspects(&["a", "b"]), suspects(&["b", "c"]));
    let orphans = now.agreed(&before, "c");
    assert_eq!((orphans.count, orphans.names), (1, vec!["b".to_owned()]));
    assert_eq!(now.agreed(&before, "other").count, 0);
}

#[test]
fn of_many_orphans_some_are_named_and_all_are_counted() {
    let names: Vec<String> = (0..25).map(|i| format!("r{i:02}")).collect();
    let all = suspects(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let orphans = all.agreed(&all, "c");
    assert_eq!((orphans.count, orphans.names.len()), (25, MAX_NAMES));
    assert!(
        orphans.message().contains("r09 and 15 more"),
        "{}",
        orphans.message()
    );
}

#[test]
fn a_flood_of_orphans_does_not_fill_the_memory() {
    let mut many = Suspects::default();
    for i in 0..5_000 {
        many.add("c", format!("r{i}").parse().unwrap());
    }
    assert_eq!(many.agreed(&many, "c").count, 1_000);
}
