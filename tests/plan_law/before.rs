//! Random roles that were there before the object: nobody's yet, or taken over earlier.

use std::collections::BTreeMap;

use mlservicerole_operator::iam::role::{RoleContent, RoleHeader};
use mlservicerole_operator::iam::tags;
use mlservicerole_operator::plan::{FormerState, RoleIntent};

use crate::desired::ACCOUNTS;
use crate::dice::Dice;
use crate::observed::own_role;
use crate::support::fake_iam::FakeRole;

/// So many tags leave room for the operator's own.
const TAGS_WITH_ROOM: usize = 42;

/// A role at the intended place that belongs to nobody: it never had an owner, or was retained.
pub fn nobodys_role(dice: &mut Dice, intent: &RoleIntent) -> FakeRole {
    let mut role = unmarked_role(dice, intent);
    let mut set = |key: &str, value: &str| {
        role.tags.insert(key.to_owned(), value.to_owned());
    };
    match dice.roll(5) {
        0 => {
            for (key, value) in intent.owner.tags() {
                set(&key, &value);
            }
            set(tags::RETAINED, "true");
        }
        1 => {
            for (key, value) in intent.owner.tags() {
                set(&key, &value);
            }
            set(tags::NAME, "somebody");
            set(tags::NAMESPACE_UID, "namespace-9");
            set(tags::UID, "retained");
        }
        _ => {}
    }
    while role.tags.len() > 50 {
        let filler = role.tags.keys().find(|key| key.starts_with("full")).cloned();
        role.tags.remove(&filler.unwrap_or_default());
    }
    role
}

/// A role that nobody has marked.
fn unmarked_role(dice: &mut Dice, intent: &RoleIntent) -> FakeRole {
    let mut role = own_role(dice, intent);
    role.tags.retain(|key, _| !tags::is_mark(key));
    if dice.one_in(2) {
        role.tags.retain(|key, _| !intent.tags.contains_key(key));
    }
    if dice.one_in(2) {
        // Whoever it trusts, the object trusts too.
        let mut trust = intent.trust.clone();
        trust.service_accounts.retain(|_| dice.one_in(2));
        role.trust = trust.document().to_json();
    } else if role.trust == "unreadable" {
        // IAM keeps no such document of anybody else's.
        let mut trust = intent.trust.clone();
        trust.service_accounts = ACCOUNTS.iter().map(|&name| name.to_owned()).collect();
        role.trust = trust.document().to_json();
    }
    role
}

/// Makes a role of the object's one that was taken over earlier. Told is the record of what it was, where there still
/// is one, with its name.
pub fn adopted(dice: &mut Dice, intent: &RoleIntent, role: &mut FakeRole) -> Option<(String, FormerState)> {
    if role.tags.len() >= 50 {
        return None;
    }
    let mut before = unmarked_role(dice, intent);
    before.instance_profiles.clone_from(&role.instance_profiles);
    // What is AWS's on it was on it from the beginning.
    before.tags.retain(|key, _| !tags::is_system(key));
    while before.tags.len() > TAGS_WITH_ROOM {
        before.tags.pop_last();
    }
    let system = role.tags.iter().filter(|(key, _)| tags::is_system(key));
    before
        .tags
        .extend(system.map(|(key, value)| (key.clone(), value.clone())));
    let kind = dice.roll(8);
    if kind == 0 {
        before.id = "AROAANOTHER".to_owned();
    }
    let content = RoleContent {
        inline: before.inline.clone(),
        attached: before.attached.clone(),
    };
    let state = FormerState::of(&intent.owner, &RoleHeader::from(before), &content);
    let name = match kind {
        1 => "nonsense".to_owned(),
        _ => state.name(),
    };
    role.tags.insert(tags::ADOPTED.to_owned(), name.clone());
    (!matches!(kind, 1 | 2)).then_some((name, state))
}

/// Tags as IAM compares them, the operator's own and AWS's aside.
pub fn plain(tags: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let plain = tags.iter().filter(|(key, _)| {
        let key = key.to_lowercase();
        !key.starts_with("mlservicerole.io/") && !key.starts_with("aws:")
    });
    plain
        .map(|(key, value)| (key.to_lowercase(), value.clone()))
        .collect()
}
