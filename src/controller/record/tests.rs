//! What is remembered of an object, and how long it is believed.

use super::*;
use crate::iam::role::{RoleContent, RoleHeader};
use crate::plan::Clock;

fn account(version: &str) -> ServiceAccountState {
    ServiceAccountState {
        name: "a".to_owned(),
        resource_version: version.to_owned(),
        ..Default::default()
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn header() -> RoleHeader {
    RoleHeader {
        arn: "arn:aws:iam::111122223333:role/ml/trainer".parse().unwrap(),
        id: "AROAXYZ".to_owned(),
        trust: r#"{"Sid":"ü \"quoted\""}"#.to_owned(),
        description: String::new(),
        max_session_duration_seconds: 3_600,
        permissions_boundary: Some("arn:odd".to_owned()),
        tags: [("a b".to_owned(), String::new())].into(),
    }
}

#[test]
fn a_write_of_ours_is_believed_until_the_cache_shows_something_newer() {
    let mut record = Record::default();
    assert_eq!(record.newest_service_account("a", None, at(0)), None);
    record.service_account_written("a", Some(account("5")), at(1));
    assert_eq!(
        record.newest_service_account("a", None, at(2)),
        Some(account("5"))
    );
    assert_eq!(record.believed_until("a"), Some(at(11)));
    let edited = Some(account("6"));
    assert_eq!(record.newest_service_account("a", edited.clone(), at(3)), edited);
    assert_eq!(record.believed_until("a"), None);
}

fn object(version: &str, status: &str) -> MlServiceRole {
    let object = serde_json::json!({
        "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole",
        "metadata": {"name": "a", "resourceVersion": version, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"inlinePolicies": [{"name": "p", "document": {"b": [1, "ü"], "a": null}}]},
        "status": {"roleName": status},
    });
    serde_json::from_value(object).unwrap()
}

#[test]
fn an_object_that_we_wrote_is_believed_over_the_versions_that_it_was_written_over() {
    let told = |object: MlServiceRole| (object.resource_version(), object.status, object.spec);
    let mut record = Record::default();
    let (first, second, third) = (object("1", ""), object("2", "r"), object("3", "s"));
    record.object_written(&first, second.clone());
    assert_eq!(told(record.newest_object(&first)), told(second.clone()));
    record.object_written(&second, third.clone());
    for behind in [&first, &second] {
        assert_eq!(told(record.newest_object(behind)), told(third.clone()));
    }
    let theirs = object("4", "t");
    assert_eq!(told(record.newest_object(&theirs)), told(theirs));
    assert_eq!(
        told(record.newest_object(&first)),
        told(first),
        "it was let go of"
    );
}

#[test]
fn what_was_written_is_forgotten_once_the_cache_shows_it() {
    let mut record = Record::default();
    let (before, after) = (object("1", ""), object("2", "r"));
    record.object_written(&before, after.clone());
    record.object_cached(before.resource_version());
    assert!(record.object.is_some(), "the cache is still behind");
    record.object_cached(after.resource_version());
    assert!(record.object.is_none());
}

#[test]
fn what_is_put_away_is_the_same_when_it_is_asked_for() {
    let name: RoleName = "trainer".parse().unwrap();
    let header = header();
    let content = RoleContent {
        inline: [("p".to_owned(), "{}".to_owned())].into(),
        attached: ["arn:aws:iam::aws:policy/x".parse().unwrap()].into(),
    };
    for content in [None, Some(content)] {
        let mut record = Record::default();
        let read = Some((header.clone(), content));
        record.knowledge_mut(&name).note_read(read, at(5));
        let before = record.knowledge(&name);
        record.rest();
        record.rest();
        assert!(!record.knows_nothing_of(&name));
        let rested = record.knowledge(&name);
        assert_eq!((&rested.state, rested.as_of), (&before.state, before.as_of));
        assert_eq!(record.knowledge_mut(&name).state, before.state);
        record.knowledge_mut(&name).note_read(None, at(6));
        record.rest();
        assert_eq!(record.knowledge(&name).state, RoleState::Absent);
    }
}

/// Whether the role is read again, of which something is known since second 5.
fn is_due(record: &Record) -> bool {
    let clock = Clock {
        started: at(7),
        now: at(7),
        consistency_window: at(30),
        drift_interval: at(600),
    };
    record.knowledge(&"trainer".parse().unwrap()).is_due(&clock)
}

#[test]
fn a_role_is_known_since_it_was_read_and_one_that_never_was_is_not() {
    let (name, mut record) = ("trainer".parse().unwrap(), Record::default());
    assert!(!record.is_known_since(&name, Duration::ZERO));
    record.knowledge_mut(&name).note_unclear(at(9), at(0));
    assert!(!record.is_known_since(&name, Duration::ZERO), "it wasn't read");
    record
        .knowledge_mut(&name)
        .note_read(Some((header(), None)), at(5));
    for _ in 0..2 {
        assert!(record.is_known_since(&name, at(4)) && !record.is_known_since(&name, at(5)));
        record.rest();
    }
}

fn blocked() -> Record {
    let mut record = Record::default();
    let name: RoleName = "trainer".parse().unwrap();
    let read = Some((header(), None));
    record.knowledge_mut(&name).note_read(read, at(5));
    record.end("generation 1", true);
    record.rest();
    record
}

#[test]
fn what_was_in_the_way_is_looked_at_again_when_spec_or_class_changed() {
    let mut record = blocked();
    record.begin("generation 1", at(6));
    assert!(
        !is_due(&record),
        "it costs calls, and nothing says that it was mended"
    );
    record.begin("generation 2", at(7));
    assert!(is_due(&record));
    // Also where the next attempt came to nothing before the role was read.
    record.end("generation 2", false);
    record.begin("generation 3", at(7));
    assert!(is_due(&record));
}

#[test]
fn a_role_that_nothing_was_the_matter_with_is_not_read_again_for_a_change() {
    let mut record = blocked();
    record.end("generation 1", false);
    record.begin("generation 2", at(7));
    assert!(!is_due(&record));
}

/// The versions of the one ServiceAccount, as they are told to a pause.
fn seen(record: &mut Record, cached: &str, now: Duration) -> ServiceAccountVersions {
    let found = record.newest_service_account("a", Some(account(cached)), now);
    let version = |account: ServiceAccountState| (account.name, account.uid, account.resource_version);
    found.into_iter().map(version).collect()
}

fn pause(service_accounts: Option<ServiceAccountVersions>) -> Pause {
    Pause {
        key: "k".to_owned(),
        service_accounts,
        until: at(300),
    }
}

#[test]
fn a_failure_about_a_service_account_is_tried_again_as_soon_as_it_changes() {
    let mut record = Record::default();
    let paused = pause(Some(seen(&mut record, "4", at(0))));
    assert!(paused.holds("k", at(1), || seen(&mut record, "4", at(1))));
    assert!(!paused.holds("k", at(2), || seen(&mut record, "5", at(2))));
    // As with every pause: the object changed, or its time is over.
    assert!(!paused.holds("other", at(1), || seen(&mut record, "4", at(1))));
    assert!(!paused.holds("k", at(300), || seen(&mut record, "4", at(1))));
}

#[test]
fn a_write_of_ours_beside_the_failure_does_not_end_the_pause_when_the_cache_shows_it() {
    let mut record = Record::default();
    seen(&mut record, "4", at(0));
    record.service_account_written("a", Some(account("5")), at(1));
    let paused = pause(Some(seen(&mut record, "4", at(1))));
    for (cached, now) in [("4", 2), ("5", 3), ("5", 60)] {
        assert!(paused.holds("k", at(now), || seen(&mut record, cached, at(now))));
    }
}

#[test]
fn a_failure_about_the_role_is_not_tried_again_when_a_service_account_changes() {
    assert!(pause(None).holds("k", at(1), || panic!("nobody asks")));
}

/// Whoever edits `serviceAccounts` again and again would fill the memory.
#[test]
fn nothing_is_kept_of_service_accounts_that_are_asked_for_no_more() {
    let mut record = Record::default();
    for i in 0..100 {
        let name = format!("a{i}");
        record.retain_service_accounts(|kept| kept == name, at(i));
        record.newest_service_account(&name, Some(account("4")), at(i));
        record.note_rebind(&name, at(i));
    }
    assert_eq!((record.cached_versions.len(), record.rebinds.len()), (1, 1));
    record.service_account_written("a99", Some(account("5")), at(100));
    record.retain_service_accounts(|_| false, at(101));
    // It may be asked for again before the cache shows what we wrote.
    assert_eq!(record.cached_versions.len(), 1);
    let newest = record.newest_service_account("a99", Some(account("4")), at(101));
    assert_eq!(newest, Some(account("5")));
    // One that is let go of isn't asked for again, so that its time alone ends this.
    record.retain_service_accounts(|_| false, at(110));
    assert_eq!(
        (record.cached_versions.len(), record.service_accounts.len()),
        (0, 0)
    );
}

#[test]
fn a_service_account_that_was_deleted_as_soon_as_it_was_created_is_found_missing() {
    let mut record = Record::default();
    record.newest_service_account("a", None, at(0));
    record.service_account_written("a", Some(account("5")), at(1));
    // Created and deleted: the cache shows what it showed before.
    let until = {
        record.newest_service_account("a", None, at(2));
        record.believed_until("a").unwrap()
    };
    assert_eq!(record.newest_service_account("a", None, until), None);
}

fn placement(class: &str) -> Placement {
    Placement {
        class: class.to_owned(),
        role_arn: header().arn,
    }
}

#[test]
fn where_an_object_was_placed_stays_whatever_role_it_comes_to() {
    let mut record = Record::default();
    record.note_placed(&placement("a"));
    record.note_target(Some(&placement("b")));
    assert_eq!(record.placed(), Some(&placement("a")));
    assert_eq!(record.target().map(|target| &**target), Some(&placement("b")));
    record.note_target(None);
    assert_eq!((record.placed(), record.target()), (Some(&placement("a")), None));
}

#[test]
fn where_placement_and_role_are_the_same_they_lie_in_memory_once() {
    let mut record = Record::default();
    record.note_target(Some(&placement("a")));
    let target = record.target().cloned().unwrap();
    record.note_placed(&placement("a"));
    record.note_target(Some(&placement("a")));
    assert!(Arc::ptr_eq(record.placed.as_ref().unwrap(), &target));
    assert!(Arc::ptr_eq(record.target().unwrap(), &target));
}
