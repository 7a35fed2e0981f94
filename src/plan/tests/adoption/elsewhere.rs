//! The role to be taken over isn't where the class says, or is somebody else's.

use super::*;

#[test]
fn a_role_at_another_place_than_the_class_says_is_not_to_be_removed() {
    let intent = adopting("Adopt");
    for place in [
        "arn:aws:iam::111122223333:role/their-role",
        "arn:aws:iam::111122223333:role/theirs/Their-Role",
    ] {
        let mut knowledge = found(&intent, |header, _| header.arn = place.parse().unwrap());
        knowledge.disputed_since = Some(seconds(50));
        let refusal = blocked(next(&intent, &knowledge));
        assert_eq!(refusal.reason, "RoleConflict");
        for word in [ELSEWHERE, "allow.adopt", "\"ml\"", "upper and lower case"] {
            assert!(refusal.message.contains(word), "{}", refusal.message);
        }
        // Where it is told to be is what the class says; where it is isn't this object's business.
        for word in ["have it removed", place] {
            assert!(!refusal.message.contains(word), "{}", refusal.message);
        }
    }
}

#[test]
fn a_role_of_somebody_else_is_told_as_one_and_not_as_misplaced() {
    let intent = adopting("Adopt");
    let mut knowledge = found(&intent, |header, _| {
        header.tags = labels(&[(tags::CLUSTER_UID, "cluster-9")]);
    });
    knowledge.disputed_since = Some(seconds(50));
    let refusal = blocked(next(&intent, &knowledge));
    assert_eq!(refusal.reason, "RoleConflict");
    assert!(
        !refusal.message.contains("allow.adopt") && !refusal.message.contains("have it removed"),
        "{}",
        refusal.message
    );
}

#[test]
fn a_missing_role_is_said_after_two_reads_and_is_not_created() {
    let intent = adopting("Adopt");
    let mut knowledge = read_absent(100);
    let (why, until) = waits(next(&intent, &knowledge));
    assert_eq!((why.reason, until), ("NotYetConsistent", 100 + WINDOW));
    knowledge.disputed_since = Some(seconds(100));
    knowledge.note_read(None, seconds(100 + WINDOW));
    let refusal = blocked(next_at(&intent, &knowledge, 100 + WINDOW, 100 + WINDOW));
    assert_eq!(refusal.reason, "RoleToAdoptMissing");
    for word in [ELSEWHERE, "allow.adopt", "\"ml\"", "adoptionPolicy: Never"] {
        assert!(refusal.message.contains(word), "{}", refusal.message);
    }
}
