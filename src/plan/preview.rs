//! A plan in words: each step with a readable difference between what is known and what would be. It is what
//! `mode: Observe` writes to the status and what `plan` prints on the command line.
//!
//! Only a plan's own steps are told. There is no plan for a role that is somebody else's, so that nothing of such
//! a role is told here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::knowledge::{RoleKnowledge, RoleState};
use super::step::{ServiceAccountBinding, Step};
use super::{ServiceAccountState, Surroundings};
use crate::api::role::PlannedStep;
use crate::api::{CREATED_BY_ANNOTATION, PLACEMENT_ANNOTATION, ROLE_FINALIZER};
use crate::iam::document::{PolicyDocument, decode};
use crate::iam::role::{NewRole, RoleContent, RoleHeader};
use crate::iam::tags;

/// Unchanged lines shown around a change.
const CONTEXT_LINES: usize = 3;
/// Where there is nothing.
const NONE: &str = "(none)";

/// How long a preview may become.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Entries, the one that says how many more there are included.
    pub steps: usize,
    /// Lines of one difference.
    pub lines: usize,
    /// Characters of one line.
    pub columns: usize,
    /// Bytes of all differences together.
    pub total: usize,
}

impl Bounds {
    /// For a status, which lives in etcd with the object, and of which each watcher gets every version: 256 is
    /// what the CRD allows.
    pub const STATUS: Bounds = Bounds {
        steps: 256,
        lines: 60,
        columns: 300,
        total: 32_768,
    };
    /// For a terminal or a file.
    pub const NONE: Bounds = Bounds {
        steps: usize::MAX,
        lines: usize::MAX,
        columns: usize::MAX,
        total: usize::MAX,
    };
}

/// The steps, in order, with how each changes what it is done to. `knowledge` is what they were planned from.
pub fn preview<'a>(
    steps: impl Iterator<Item = &'a Step>,
    knowledge: &RoleKnowledge,
    around: Surroundings<'_>,
    bounds: Bounds,
) -> Vec<PlannedStep> {
    let mut before = knowledge.clone();
    let mut left = bounds.total;
    let mut told: Vec<PlannedStep> = Vec::new();
    let mut untold = 0;
    for step in steps {
        if told.len() == bounds.steps {
            untold += 1;
            continue;
        }
        let difference = difference(step, &before, around).map(|whole| {
            let bounded = bounded(&whole, bounds);
            if bounded.len() > left {
                return "… too long to be told here; `mlservicerole-operator plan --live` prints it"
                    .to_owned();
            }
            left -= bounded.len();
            bounded
        });
        told.push(PlannedStep {
            action: step.action().to_owned(),
            target: step.target(),
            difference,
        });
        // Two steps may change the same thing, one after the other.
        before.note_done(step, before.as_of);
    }
    if untold > 0
        && let Some(last) = told.last_mut()
    {
        *last = PlannedStep {
            action: "…".to_owned(),
            target: format!("{} more steps", untold + 1),
            difference: None,
        };
    }
    told
}

/// A policy document for people: one element a line, and lists in order, since their order means nothing. Text
/// that is no policy document stays as it is.
pub fn readable(document: &str) -> String {
    let text = decode(document);
    let value = match PolicyDocument::parse(&text) {
        Ok(parsed) => serde_json::from_str(&parsed.to_json()),
        Err(_) => serde_json::from_str(&text),
    };
    let pretty = value.and_then(|mut value: Value| {
        sort_lists(&mut value);
        serde_json::to_string_pretty(&value)
    });
    pretty.unwrap_or_else(|_| text.into_owned())
}

fn sort_lists(value: &mut Value) {
    match value {
        Value::Array(list) if list.iter().all(Value::is_string) => {
            list.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        }
        Value::Array(list) => list.iter_mut().for_each(sort_lists),
        Value::Object(map) => map.values_mut().for_each(sort_lists),
        _ => {}
    }
}

fn difference(step: &Step, before: &RoleKnowledge, around: Surroundings<'_>) -> Option<String> {
    let (header, content) = match &before.state {
        RoleState::Present { header, content } => (Some(&**header), content.as_ref()),
        RoleState::Unknown | RoleState::Absent => (None, None),
    };
    match step {
        Step::AddFinalizer(placement) => Some(format!(
            "+ finalizer {ROLE_FINALIZER}\n+ annotation {PLACEMENT_ANNOTATION}: {}",
            placement.to_annotation()
        )),
        Step::CreateRole(role) => Some(of_new_role(role)),
        Step::SetBoundary(boundary) => Some(changed(
            "permissionsBoundary",
            header.and_then(|header| header.permissions_boundary.as_deref()),
            Some(boundary.as_str()),
        )),
        Step::UpdateTrust { document } => {
            let before = header.map_or_else(String::new, |header| readable(&header.trust));
            Some(of_lines(&before, &readable(document)))
        }
        Step::Tag(tags) => Some(of_tags(tags, header)),
        Step::Untag(keys) => {
            let removed = keys.iter().map(|key| {
                let value = header.and_then(|header| tags::get(&header.tags, key));
                changed(key, value, None)
            });
            Some(removed.collect::<Vec<_>>().join("\n"))
        }
        Step::UpdateRole {
            description,
            max_session_duration_seconds,
        } => Some(of_properties(description, *max_session_duration_seconds, header)),
        Step::PutInline { name, document } => Some(of_lines(&inline(content, name), &readable(document))),
        Step::DeleteInline(name) => content
            .filter(|content| content.inline.contains_key(name))
            .map(|_| of_lines(&inline(content, name), "")),
        Step::CreateServiceAccount(binding) => Some(of_binding(binding, None, true)),
        Step::BindServiceAccount { binding, .. } => {
            let found = around.service_accounts.iter().find(|sa| sa.name == binding.name);
            Some(of_binding(binding, found, false))
        }
        Step::UnbindServiceAccount {
            annotations,
            restored,
            ..
        } => {
            let removed = annotations
                .iter()
                .map(|(key, value)| changed(key, Some(value), restored.get(key).map(String::as_str)));
            Some(removed.collect::<Vec<_>>().join("\n"))
        }
        Step::DeleteServiceAccount { annotations, .. } => {
            let removed = annotations
                .iter()
                .map(|(key, value)| changed(key, Some(value), None));
            Some(removed.collect::<Vec<_>>().join("\n"))
        }
        Step::KeepFormerState(_)
        | Step::Attach(_)
        | Step::Detach(_)
        | Step::LeaveInstanceProfile(_)
        | Step::DeleteRole
        | Step::RemoveFinalizer => None,
    }
}

fn of_new_role(role: &NewRole) -> String {
    let NewRole {
        arn: _,
        trust,
        description,
        max_session_duration_seconds,
        permissions_boundary,
        tags,
    } = role;
    let mut text = String::new();
    if !description.is_empty() {
        let _ = writeln!(text, "description: {description}");
    }
    let _ = writeln!(text, "maxSessionDurationSeconds: {max_session_duration_seconds}");
    let boundary = permissions_boundary
        .as_ref()
        .map_or(NONE, |boundary| boundary.as_str());
    let _ = writeln!(text, "permissionsBoundary: {boundary}");
    for (key, value) in tags {
        let _ = writeln!(text, "tag {key}: {value}");
    }
    let _ = write!(text, "trust policy:\n{}", readable(trust));
    of_lines("", &text)
}

fn of_tags(wanted: &BTreeMap<String, String>, header: Option<&RoleHeader>) -> String {
    let set = wanted.iter().map(|(key, value)| {
        let before = header.and_then(|header| tags::get(&header.tags, key));
        changed(key, before, Some(value))
    });
    set.collect::<Vec<_>>().join("\n")
}

fn of_properties(description: &str, seconds: u32, header: Option<&RoleHeader>) -> String {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut lines = Vec::new();
    let before = header.and_then(|header| some(&header.description));
    if before.as_deref().unwrap_or_default() != description {
        lines.push(changed(
            "description",
            before.as_deref(),
            some(description).as_deref(),
        ));
    }
    let before = header.map(|header| header.max_session_duration_seconds);
    if before != Some(seconds) {
        let before = before.map(|before| before.to_string());
        lines.push(changed(
            "maxSessionDurationSeconds",
            before.as_deref(),
            Some(&seconds.to_string()),
        ));
    }
    lines.join("\n")
}

fn of_binding(binding: &ServiceAccountBinding, found: Option<&ServiceAccountState>, creates: bool) -> String {
    let mut wanted: Vec<(String, String)> = binding.annotations().into_iter().collect();
    if creates {
        wanted.push((CREATED_BY_ANNOTATION.to_owned(), binding.bound_by.to_string()));
    }
    let lines = wanted.into_iter().filter_map(|(key, value)| {
        let before = found.and_then(|sa| sa.annotations.get(&key)).map(String::as_str);
        (before != Some(&value)).then(|| changed(&key, before, Some(&value)))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn inline(content: Option<&RoleContent>, name: &str) -> String {
    content
        .and_then(|content| content.inline.get(name))
        .map_or_else(String::new, |document| readable(document))
}

fn changed(what: &str, before: Option<&str>, after: Option<&str>) -> String {
    format!("{what}: {} → {}", before.unwrap_or(NONE), after.unwrap_or(NONE))
}

/// Lines that go with `-`, lines that come with `+`, and some of those around them.
fn of_lines(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let mut text = String::new();
    for (i, group) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        if i > 0 {
            text.push_str("  …\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let _ = writeln!(text, "{sign} {}", change.value().trim_end_matches('\n'));
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn bounded(text: &str, bounds: Bounds) -> String {
    let count = text.lines().count();
    let mut lines: Vec<String> = text
        .lines()
        .take(bounds.lines)
        .map(|line| match line.char_indices().nth(bounds.columns) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line.to_owned(),
        })
        .collect();
    if let Some(more) = count.checked_sub(bounds.lines).filter(|more| *more > 0) {
        lines.push(format!("… {more} more lines"));
    }
    lines.join("\n")
}
