//! The rules of IAM that concern one value or one role: quotas, lengths, tags.
//!
//! Sources: IAM user guide, "IAM and AWS STS quotas" and "Rules for tagging in IAM and AWS STS";
//! messages as IAM words them where they are known.

use std::collections::{BTreeMap, BTreeSet};

use mlservicerole_operator::aws::AwsError;

use super::{FakeRole, iam_error};

const TAGS: usize = 50;
const TAG_KEY_CHARACTERS: usize = 128;
const TAG_VALUE_CHARACTERS: usize = 256;
const DESCRIPTION_CHARACTERS: usize = 1_000;
const SESSION_SECONDS: std::ops::RangeInclusive<u32> = 3_600..=43_200;

/// IAM doesn't count whitespace.
fn size(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

pub fn trust_size(operation: &'static str, quota: usize, document: &str) -> Result<(), AwsError> {
    within(
        operation,
        size(document) <= quota,
        &format!("Cannot exceed quota for ACLSizePerRole: {quota}"),
    )
}

/// Whether the role may have this inline policy beside or instead of those that it has.
pub fn inline_size(
    operation: &'static str,
    quota: usize,
    role: &FakeRole,
    policy: &str,
    document: &str,
) -> Result<(), AwsError> {
    let others = role.inline.iter().filter(|(name, _)| *name != policy);
    let total: usize = others.map(|(_, document)| size(document)).sum();
    within(
        operation,
        total + size(document) <= quota,
        &format!(
            "Maximum policy size of {quota} bytes exceeded for role {}",
            role.arn.name()
        ),
    )
}

pub fn attachments(operation: &'static str, quota: usize, count: usize) -> Result<(), AwsError> {
    within(
        operation,
        count <= quota,
        &format!("Cannot exceed quota for PoliciesPerRole: {quota}"),
    )
}

pub fn settings(
    operation: &'static str,
    description: &str,
    max_session_duration_seconds: u32,
) -> Result<(), AwsError> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
    if description.chars().count() > DESCRIPTION_CHARACTERS || !description.chars().all(allowed) {
        return invalid(operation, "description", description);
    }
    if !SESSION_SECONDS.contains(&max_session_duration_seconds) {
        let value = max_session_duration_seconds.to_string();
        return invalid(operation, "maxSessionDuration", &value);
    }
    Ok(())
}

/// Adds tags to what a role has, as TagRole does. Keys are unique without regard to case; where
/// one is there in another spelling, IAM's documentation leaves open which of them stays, and here
/// the old one does, since a comparison that minds the case then never comes to rest.
pub fn add_tags(
    operation: &'static str,
    present: &mut BTreeMap<String, String>,
    tags: &BTreeMap<String, String>,
) -> Result<(), AwsError> {
    let mut seen = BTreeSet::new();
    let mut result = present.clone();
    for (key, value) in tags {
        if !seen.insert(key.to_ascii_lowercase()) {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(iam_error(operation, "InvalidInput", message));
        }
        if key.is_empty() || key.chars().count() > TAG_KEY_CHARACTERS || !is_tag_text(key) {
            return invalid(operation, "tags.member.key", key);
        }
        if value.chars().count() > TAG_VALUE_CHARACTERS || !is_tag_text(value) {
            return invalid(operation, "tags.member.value", value);
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            let message = "System tags cannot be added/updated/deleted by a requester.";
            return Err(iam_error(operation, "InvalidInput", message));
        }
        let old = result.keys().find(|old| old.eq_ignore_ascii_case(key));
        let key = old.unwrap_or(key).clone();
        result.insert(key, value.clone());
    }
    within(
        operation,
        result.len() <= TAGS,
        &format!("The number of tags has reached the maximum limit: {TAGS}"),
    )?;
    *present = result;
    Ok(())
}

pub fn remove_tags(present: &mut BTreeMap<String, String>, keys: &BTreeSet<String>) {
    present.retain(|old, _| !keys.iter().any(|key| key.eq_ignore_ascii_case(old)));
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`
fn is_tag_text(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c))
}

pub fn policy_name(operation: &'static str, name: &str) -> Result<(), AwsError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
        return invalid(operation, "policyName", name);
    }
    Ok(())
}

/// Roles that AWS's services made for themselves can't be changed.
pub fn modifiable(operation: &'static str, role: &FakeRole) -> Result<(), AwsError> {
    if role.arn.path().as_str().starts_with("/aws-service-role/") {
        let message = format!(
            "Cannot perform the operation on the protected role '{}' - this role is only \
             modifiable by AWS",
            role.arn.name()
        );
        return Err(iam_error(operation, "UnmodifiableEntity", &message));
    }
    Ok(())
}

pub fn deletable(operation: &'static str, role: &FakeRole) -> Result<(), AwsError> {
    let message = if !role.attached.is_empty() {
        "Cannot delete entity, must detach all policies first."
    } else if !role.inline.is_empty() {
        "Cannot delete entity, must delete policies first."
    } else if !role.instance_profiles.is_empty() {
        "Cannot delete entity, must remove roles from instance profile first."
    } else {
        return Ok(());
    };
    Err(iam_error(operation, "DeleteConflict", message))
}

fn within(operation: &'static str, holds: bool, message: &str) -> Result<(), AwsError> {
    match holds {
        true => Ok(()),
        false => Err(iam_error(operation, "LimitExceeded", message)),
    }
}

fn invalid(operation: &'static str, field: &str, value: &str) -> Result<(), AwsError> {
    let message =
        format!("1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint");
    Err(iam_error(operation, "ValidationError", &message))
}
