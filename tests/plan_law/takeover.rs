//! What must hold of roles that were there before their object. Written without the crate's own rules of ownership.

use std::collections::{BTreeMap, BTreeSet};

use mlservicerole_operator::iam::equivalence::same_text;
use mlservicerole_operator::iam::tags;
use mlservicerole_operator::plan::{FormerState, Retention, RoleIntent};
use serde_json::Value;

use crate::before::plain;
use crate::invariants::holds_only_wanted;
use crate::support::fake_iam::FakeRole;
use crate::trusted::subjects;
use crate::world::World;

/// Records by name.
pub type Records = BTreeMap<String, FormerState>;

/// Whether a role belongs to nobody: nobody has marked it, or it was retained.
pub fn is_nobodys(role: &FakeRole) -> bool {
    let retained = role.tags.contains_key(tags::RETAINED)
        || role.tags.get(tags::UID).is_some_and(|uid| uid == "retained");
    retained
        || !role
            .tags
            .keys()
            .any(|key| key.starts_with("mlservicerole.io/") && key != "mlservicerole.io/presets")
}

/// Whether the object may take this role over.
pub fn may_claim(world: &World<'_>, role: &FakeRole) -> bool {
    let desired = &world.case.desired;
    let consents = desired.intent.adoption.is_some() && desired.departure.is_none();
    consents && role.arn == *world.case.arn() && is_nobodys(role)
}

/// Whether a role of nobody's is left as it is, though it may be taken over.
pub fn claim_is_refused(role: &FakeRole, intent: &RoleIntent) -> bool {
    let bounded = role.permissions_boundary.is_some() && intent.permissions_boundary.is_none();
    let mut marks: BTreeSet<&str> = tags::OWNERSHIP.into();
    marks.insert(tags::ADOPTED);
    let new = marks.iter().filter(|mark| !role.tags.contains_key(**mark));
    let full = role.tags.len() + new.count() > 50;
    let replaces = intent.adoption.is_some_and(|adoption| adoption.replaces_trust);
    bounded || full || (!replaces && somebody_would_lose(role, intent))
}

fn somebody_would_lose(role: &FakeRole, intent: &RoleIntent) -> bool {
    let wanted = subjects(&intent.trust.document().to_json());
    let document: Value = serde_json::from_str(&role.trust).unwrap_or_default();
    let statements = document["Statement"].as_array().cloned();
    let statements = statements.unwrap_or_else(|| vec![document["Statement"].clone()]);
    let has = |effect: &str| statements.iter().any(|statement| statement["Effect"] == effect);
    let denies_some = has("Allow") && has("Deny");
    denies_some || !subjects(&role.trust).is_subset(&wanted)
}

pub fn is_adopted(role: &FakeRole) -> bool {
    role.tags.contains_key(tags::ADOPTED)
}

/// Whether a role holds just what the object asks for.
pub fn holds_exactly(role: &FakeRole, intent: &RoleIntent) -> bool {
    holds_only_wanted(role, intent)
        && role.attached == intent.attached
        && role.inline.keys().eq(intent.inline.keys())
}

/// What of a claim is against the rules: `before` is the role of nobody's, `now` what has become of it.
/// `seen` says that we have looked at the role since others changed it.
pub fn claim(before: &FakeRole, now: &FakeRole, records: &Records, seen: bool, found: &mut Vec<String>) {
    if before == now {
        return;
    }
    let name = before.arn.name();
    let record = now.tags.get(tags::ADOPTED).and_then(|name| records.get(name));
    match record {
        None => found.push(format!("role {name} was changed, and nothing says what it was")),
        Some(record) if seen && !tells(record, before) => {
            found.push(format!(
                "the record of role {name} is of another state: {record:#?}, not {before:#?}"
            ));
        }
        Some(_) => {}
    }
    let marked = tags::OWNERSHIP.iter().all(|key| now.tags.contains_key(*key));
    if !marked {
        found.push(format!("role {name} was changed before it was marked"));
    }
    if now.arn != before.arn || now.id != before.id {
        found.push(format!("role {name} is another one"));
    }
}

/// What a step that marks a role, or takes the mark of a retained one off, leaves alone.
pub fn changes_only_marks(before: &FakeRole, now: &FakeRole) -> bool {
    let mut as_before = now.clone();
    as_before.tags.clone_from(&before.tags);
    as_before == *before && plain(&before.tags) == plain(&now.tags)
}

/// Tags that say whose a role is and where it came from are never taken off.
pub fn marks_stay(before: &FakeRole, now: &FakeRole) -> bool {
    let mut marks = tags::OWNERSHIP.iter().chain([&tags::ADOPTED]);
    marks.all(|mark| !before.tags.contains_key(*mark) || now.tags.contains_key(*mark))
}

/// Whether a record tells what a role is like.
fn tells(record: &FormerState, role: &FakeRole) -> bool {
    record.role_id == role.id
        && record.role_arn == role.arn
        && was(record, role)
        && {
            let boundary = &record.permissions_boundary;
            boundary == &role.permissions_boundary && plain(&record.tags) == plain(&role.tags)
        }
        && same_text(&record.trust_policy, &role.trust)
}

/// Whether a role holds what the record says, and is described so.
fn was(record: &FormerState, role: &FakeRole) -> bool {
    holds_former(record, role)
        && role.description == record.description
        && role.max_session_duration_seconds == record.max_session_duration_seconds
}

/// Whether a role holds just what the record says.
pub fn holds_former(record: &FormerState, role: &FakeRole) -> bool {
    role.attached == record.attached_policies
        && role.inline.keys().eq(record.inline_policies.keys())
        && role
            .inline
            .iter()
            .all(|(name, document)| same_text(&record.inline_policies[name], document))
}

/// What a role of the object's was before it was taken over, where the object is going and gives it back.
pub fn former<'r>(world: &World<'_>, role: &FakeRole, records: &'r Records) -> Option<&'r FormerState> {
    let departure = world.case.desired.departure.as_ref()?;
    let named = role.tags.get(tags::ADOPTED).and_then(|name| records.get(name));
    let mut all = named.into_iter().chain(records.values());
    let its_own = |record: &&FormerState| record.role_id == role.id && record.role_arn == role.arn;
    all.find(its_own)
        .filter(|_| departure.retain == Retention::Unsaid)
}

/// Whether the object is going, and gives this role of its own back.
pub fn is_given_back(world: &World<'_>, role: &FakeRole) -> bool {
    let departure = world.case.desired.departure.as_ref();
    let unsaid = departure.is_some_and(|departure| departure.retain == Retention::Unsaid);
    unsaid && (is_adopted(role) || former(world, role, &world.cluster.former_states()).is_some())
}

/// Whether the object is going and would give this role of its own back, but nothing tells what it was.
pub fn is_lost(world: &World<'_>, role: &FakeRole) -> bool {
    is_given_back(world, role) && former(world, role, &world.cluster.former_states()).is_none()
}

/// That a role ended as it was before it was taken over, marks aside; where nothing says what that was, as it stood.
pub fn ended_as_it_was(
    before: &FakeRole,
    record: Option<&FormerState>,
    role: &FakeRole,
) -> Result<(), String> {
    let mut expected = before.clone();
    if let Some(record) = record {
        let before_boundary = record.permissions_boundary.clone();
        // No boundary is ever removed.
        expected.permissions_boundary = before_boundary.or(expected.permissions_boundary);
        expected.tags.clone_from(&record.tags);
    }
    let as_before = match record {
        Some(record) => {
            was(record, role)
                && same_text(&record.trust_policy, &role.trust)
                && role.permissions_boundary == expected.permissions_boundary
        }
        None => {
            let mut unmarked = role.clone();
            unmarked.tags.clone_from(&expected.tags);
            unmarked == expected
        }
    };
    if !as_before || plain(&role.tags) != plain(&expected.tags) {
        return Err(format!(
            "the role wasn't given back as it was: {role:#?}, but {record:#?}"
        ));
    }
    if !is_nobodys(role) || !marks_stay(before, role) {
        return Err(format!("the role isn't nobody's: {:?}", role.tags));
    }
    Ok(())
}
