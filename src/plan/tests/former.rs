//! The record of what a role was: it says all that is needed to give the role back, and can't be mistaken for another.

use serde_json::json;

use super::fixtures::*;
use crate::iam::tags;
use crate::plan::FormerState;

fn record() -> FormerState {
    let intent = intent(json!({"managedPolicyArns": [READ_ONLY], "role": {"tags": {"Team": "a"}}}));
    let mut header = header(&intent);
    header.tags.insert(tags::RETAINED.to_owned(), "true".to_owned());
    header
        .tags
        .insert("MLSERVICEROLE.IO/ADOPTED".to_owned(), "x".to_owned());
    FormerState::of(&intent.owner, &header, &content(&intent))
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let record = record();
    assert_eq!(FormerState::read(&record.name(), &record.to_json()), Some(record));
}

#[test]
fn our_own_marks_are_no_part_of_what_a_role_was() {
    assert_eq!(record().tags, labels(&[("Team", "a")]));
}

#[test]
fn each_part_of_a_record_is_in_its_name() {
    let changes: [fn(&mut FormerState); 7] = [
        |record| record.role_id.push('x'),
        |record| record.adopted_by.uid.push('x'),
        |record| record.trust_policy.push(' '),
        |record| record.description.push('x'),
        |record| record.permissions_boundary = Some(String::new()),
        |record| record.tags.clear(),
        |record| record.attached_policies.clear(),
    ];
    for change in changes {
        let mut changed = record();
        change(&mut changed);
        assert_ne!(changed.name(), record().name());
        // Whoever may write ConfigMaps can't change what a role is given back as.
        assert_eq!(FormerState::read(&record().name(), &changed.to_json()), None);
    }
}

#[test]
fn a_text_from_a_tag_is_looked_up_only_if_it_can_be_the_name_of_a_record() {
    let name = record().name();
    assert!(FormerState::is_name(&name), "{name}");
    for text in [
        "",
        "mlservicerole-former-",
        "../../secrets/x",
        &name.to_uppercase(),
        &format!("{name}a"),
        &name[1..],
    ] {
        assert!(!FormerState::is_name(text), "{text}");
    }
}
