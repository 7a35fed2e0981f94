//! A role that is ours already and doesn't show it yet isn't taken over once more.

use super::*;

#[test]
fn a_read_that_does_not_show_our_tags_yet_makes_no_second_record() {
    let intent = adopting("AdoptAndReplaceTrust");
    let (old_header, old_content) = theirs(&intent);
    let mut knowledge = found(&intent, |_, _| ());
    let plan = steps(next(&intent, &knowledge));
    done(&mut knowledge, &plan, 101);
    // The tags are read from where our writes haven't come to, the policies from where they have.
    let new_content = content_of(&knowledge).clone();
    assert_ne!(new_content, old_content);
    knowledge.note_read(Some((old_header.clone(), Some(new_content))), seconds(102));
    let (why, until) = waits(next_at(&intent, &knowledge, 102, 102));
    // It was marked as ours: that the marks should be gone must be seen twice.
    assert_eq!((why.reason, why.final_), ("VerifyingOwnership", false));
    assert!(until > 102 && until <= 102 + WINDOW, "{until}");

    // What the process before this one wrote isn't known: it may have been until this one began.
    let after_a_restart = read(old_header.clone(), Some(old_content.clone()), 5);
    let (why, until) = waits(next_at(&intent, &after_a_restart, 5, 5));
    assert_eq!(why.reason, "NotYetConsistent");
    assert!(until > 5 && until <= WINDOW, "{until}");
    let later = read(old_header, Some(old_content), WINDOW);
    steps(next_at(&intent, &later, WINDOW, WINDOW));
}
