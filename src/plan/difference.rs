//! The steps between what a role holds and what it is to hold. Trust and boundary aside, whose order among these steps
//! is decided elsewhere.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{FormerState, RoleIntent, Step};
use crate::iam::arn::PolicyArn;
use crate::iam::equivalence::{equivalent_text, same_text};
use crate::iam::quota::{self, AccountQuotas};
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::tags;

/// An inline policy that is to be there.
struct Inline<'a> {
    name: &'a str,
    document: String,
    /// Whether what is there already means the same.
    is_there: bool,
}

/// Tags, description and session duration of an object's role. `tagged` was set by an earlier step.
pub(super) fn properties(
    intent: &RoleIntent,
    header: &RoleHeader,
    tagged: &BTreeMap<String, String>,
) -> Vec<Step> {
    let wanted = intent
        .tags
        .iter()
        .filter(|(key, _)| !tagged.contains_key(*key))
        .collect();
    let unwanted = header
        .tags
        .keys()
        // The name of the record of what an adopted role was belongs to the role, whoever owns it.
        .filter(|key| !tags::same_key(key, tags::ADOPTED) && tags::get(&intent.tags, key).is_none());
    steps_to_properties(
        header,
        wanted,
        unwanted,
        &intent.description,
        intent.max_session_duration_seconds,
    )
}

/// The same of a role that is to be again what it was; the marks that say whose it is stay.
pub(super) fn former_properties(former: &FormerState, header: &RoleHeader) -> Vec<Step> {
    let wanted = former
        .tags
        .iter()
        .filter(|(key, _)| !tags::is_system(key))
        .collect();
    let unwanted = header
        .tags
        .keys()
        .filter(|key| !tags::is_mark(key) && tags::get(&former.tags, key).is_none());
    steps_to_properties(
        header,
        wanted,
        unwanted,
        &former.description,
        former.max_session_duration_seconds,
    )
}

fn steps_to_properties<'a>(
    header: &RoleHeader,
    wanted: BTreeMap<&String, &String>,
    unwanted: impl Iterator<Item = &'a String>,
    description: &str,
    max_session_duration_seconds: u32,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let unwanted: BTreeSet<String> = unwanted.filter(|key| !tags::is_system(key)).cloned().collect();
    if !unwanted.is_empty() {
        steps.push(Step::Untag(unwanted));
    }
    let missing: BTreeMap<String, String> = wanted
        .into_iter()
        .filter(|(key, value)| tags::get(&header.tags, key) != Some(value.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !missing.is_empty() {
        steps.push(Step::Tag(missing));
    }
    if header.description != description
        || header.max_session_duration_seconds != max_session_duration_seconds
    {
        steps.push(Step::UpdateRole {
            description: description.to_owned(),
            max_session_duration_seconds,
        });
    }
    steps
}

/// Inline policies and attachments of an object's role.
pub(super) fn content(intent: &RoleIntent, found: &RoleContent) -> Vec<Step> {
    let inline = intent.inline.iter().map(|(name, document)| Inline {
        name,
        document: document.to_json(),
        is_there: found
            .inline
            .get(name)
            .is_some_and(|found| equivalent_text(document, found)),
    });
    steps_to_content(inline.collect(), &intent.attached, found, &intent.quotas)
}

/// The same of a role that is to be again what it was.
pub(super) fn former_content(former: &FormerState, found: &RoleContent) -> Vec<Step> {
    let inline = former.inline_policies.iter().map(|(name, document)| Inline {
        name,
        document: document.clone(),
        is_there: found
            .inline
            .get(name)
            .is_some_and(|found| same_text(document, found)),
    });
    steps_to_content(
        inline.collect(),
        &former.attached_policies,
        found,
        &AccountQuotas::default(),
    )
}

/// What is wanted first, unless a quota needs the room.
fn steps_to_content(
    inline: Vec<Inline<'_>>,
    attached: &BTreeSet<PolicyArn>,
    found: &RoleContent,
    quotas: &AccountQuotas,
) -> Vec<Step> {
    let mut unwanted: Vec<Step> = found
        .inline
        .keys()
        .filter(|name| !inline.iter().any(|wanted| wanted.name == *name))
        .cloned()
        .map(Step::DeleteInline)
        .collect();
    unwanted.extend(found.attached.difference(attached).cloned().map(Step::Detach));

    let attached_meanwhile = found.attached.union(attached).count();
    let size_of_all = |documents: &mut dyn Iterator<Item = &String>| -> usize {
        documents.map(|document| quota::size(document)).sum()
    };
    let inline_meanwhile = size_of_all(&mut found.inline.values())
        + size_of_all(&mut inline.iter().map(|wanted| &wanted.document));
    let needs_room = attached_meanwhile > quotas.managed_policies_per_role
        || inline_meanwhile > quotas.inline_policies_size;

    let mut puts = Vec::new();
    let mut wordy = Vec::new();
    let mut inline_after = 0;
    for Inline {
        name,
        document,
        is_there,
    } in inline
    {
        let before = found.inline.get(name).map_or(0, |found| quota::size(found));
        let after = quota::size(&document);
        let shrinks_by = before.saturating_sub(after);
        let name = name.to_owned();
        let put = (shrinks_by, Step::PutInline { name, document });
        inline_after += if is_there { before } else { after };
        if !is_there {
            puts.push(put);
        } else if shrinks_by > 0 {
            wordy.push(put);
        }
    }
    // What means the same in more words stays, unless the words are needed for the rest.
    if inline_after > quotas.inline_policies_size {
        puts.append(&mut wordy);
    }
    // Those that shrink make room, in a quota that all share, for those that grow.
    puts.sort_by_key(|(shrinks_by, _)| Reverse(*shrinks_by));
    let mut wanted: Vec<Step> = puts.into_iter().map(|(_, step)| step).collect();
    wanted.extend(attached.difference(&found.attached).cloned().map(Step::Attach));
    if needs_room {
        unwanted.extend(wanted);
        unwanted
    } else {
        wanted.extend(unwanted);
        wanted
    }
}
