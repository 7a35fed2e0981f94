//! Merging conditions into a status: transition times, bounds, clean messages.

use super::*;

const THEN: &str = "2026-01-01T00:00:00Z";
const NOW: &str = "2026-06-01T00:00:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn new(verdict: Verdict, reason: &'static str, message: &str) -> NewCondition {
    NewCondition {
        r#type: types::READY,
        verdict,
        reason,
        message: message.to_owned(),
    }
}

fn old(status: &str) -> Condition {
    Condition {
        type_: types::READY.to_owned(),
        status: status.to_owned(),
        reason: "Old".to_owned(),
        message: "old".to_owned(),
        observed_generation: Some(1),
        last_transition_time: Time(at(THEN)),
    }
}

#[test]
fn a_first_condition_is_dated_now() {
    let merged = merge(
        &[],
        &[new(Verdict::True, "Synced", "all is well")],
        Some(3),
        at(NOW),
    );
    assert_eq!(
        merged,
        [Condition {
            type_: "Ready".to_owned(),
            status: "True".to_owned(),
            reason: "Synced".to_owned(),
            message: "all is well".to_owned(),
            observed_generation: Some(3),
            last_transition_time: Time(at(NOW)),
        }]
    );
}

#[test]
fn the_transition_time_moves_only_when_the_status_flips() {
    let all = [Verdict::True, Verdict::False, Verdict::Unknown];
    for before in all {
        for after in all {
            let merged = merge(
                &[old(before.as_str())],
                &[new(after, "New", "new")],
                Some(2),
                at(NOW),
            );
            let expected = if before == after { THEN } else { NOW };
            assert_eq!(
                merged[0].last_transition_time,
                Time(at(expected)),
                "{before:?} {after:?}"
            );
            assert_eq!(merged[0].reason, "New");
            assert_eq!(merged[0].message, "new");
            assert_eq!(merged[0].observed_generation, Some(2));
        }
    }
}

#[test]
fn types_are_not_mixed_up_and_those_no_longer_said_are_dropped() {
    let mut stalled = old("True");
    stalled.type_ = types::STALLED.to_owned();
    let merged = merge(&[stalled], &[new(Verdict::True, "Synced", "m")], None, at(NOW));
    assert_eq!(merged.len(), 1);
    assert_eq!(merged[0].type_, "Ready");
    assert_eq!(merged[0].last_transition_time, Time(at(NOW)));
}

#[test]
fn merging_what_was_merged_changes_nothing() {
    let said = [new(Verdict::False, "Reason", "a\nmessage")];
    let once = merge(&[], &said, Some(1), at(THEN));
    assert_eq!(merge(&once, &said, Some(1), at(NOW)), once);
}

#[test]
fn control_characters_become_spaces() {
    let merged = merge(
        &[],
        &[new(Verdict::True, "R", "a\nb\r\tc\u{0}d\u{1b}[31m\u{85}e")],
        None,
        at(NOW),
    );
    assert_eq!(merged[0].message, "a b  c d [31m e");
}

#[test]
fn a_message_is_bounded_in_characters_and_far_below_the_api_servers_bytes() {
    let cut = |text: &str| {
        merge(&[], &[new(Verdict::True, "R", text)], None, at(NOW))[0]
            .message
            .clone()
    };
    let longest = "é".repeat(MAX_MESSAGE);
    assert_eq!(cut(&longest), longest);
    let over = cut(&"😀".repeat(MAX_MESSAGE + 1));
    assert_eq!(over.chars().count(), MAX_MESSAGE + 1);
    assert!(over.ends_with("😀…"));
    assert!(over.len() < 32_768);
}

#[test]
fn no_word_is_used_twice_and_each_says_what_it_means() {
    let types = types::ALL.iter().map(|one| (one.name, one.meaning, ""));
    let reasons = reasons::ALL.iter().map(|one| (one.name, one.meaning, one.remedy));
    let events = events::ALL.iter().map(|one| (one.name, one.meaning, ""));
    let mut names = std::collections::BTreeSet::new();
    for (name, meaning, remedy) in types.chain(reasons).chain(events) {
        assert!(names.insert(name), "{name} twice");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
        for text in [meaning, remedy] {
            assert!(text.is_empty() || text.ends_with('.'), "{name}: {text}");
            assert!(!text.contains("](") && !text.contains('\n'), "{name}: {text}");
        }
        assert!(!meaning.is_empty(), "{name}");
    }
    assert!(reasons::ALL.iter().all(|reason| !reason.remedy.is_empty()));
    assert_eq!(REASONS.len(), reasons::ALL.len());
    assert!(REASONS.iter().all(|name| reasons::find(name).is_some()));
}
