//! Between the SDK's types and this crate's.
//!
//! The SDK fills what an answer lacks with empty texts and epochs, so emptiness is checked here.

use std::collections::BTreeMap;

use aws_sdk_iam::types::{AttachedPermissionsBoundary, AttachedPolicy, Role, Tag};

use super::unreadable;
use crate::aws::error::{AwsError, ErrorClass, classify, code};
use crate::iam::arn::{PolicyArn, RoleArn};
use crate::iam::document::decode;
use crate::iam::role::RoleHeader;

/// IAM's default for MaxSessionDuration, in seconds (API reference, CreateRole).
const DEFAULT_SESSION_SECONDS: u32 = 3_600;

pub(super) fn header(operation: &'static str, role: Option<&Role>) -> Result<RoleHeader, AwsError> {
    let role = role
        .filter(|role| !role.arn().is_empty() && !role.role_id().is_empty())
        .ok_or_else(|| unreadable(operation, "the answer names no role"))?;
    Ok(RoleHeader {
        arn: role_arn(operation, role.arn())?,
        id: role.role_id().to_owned(),
        trust: decode(role.assume_role_policy_document().unwrap_or_default()).into_owned(),
        description: role.description().unwrap_or_default().to_owned(),
        max_session_duration_seconds: session_seconds(role.max_session_duration()),
        permissions_boundary: boundary_arn(role.permissions_boundary()),
        tags: from_tags(role.tags()),
    })
}

pub(super) fn session_seconds(answered: Option<i32>) -> u32 {
    answered
        .and_then(|seconds| u32::try_from(seconds).ok())
        .unwrap_or(DEFAULT_SESSION_SECONDS)
}

/// Its type is not looked at: IAM knows only one, and emulators spell it differently.
pub(super) fn boundary_arn(boundary: Option<&AttachedPermissionsBoundary>) -> Option<String> {
    boundary
        .and_then(|boundary| boundary.permissions_boundary_arn())
        .filter(|arn| !arn.is_empty())
        .map(str::to_owned)
}

pub(super) fn from_tags(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter()
        .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
        .collect()
}

/// For the first seconds of a role's life IAM sometimes gives its id (`AROA…`) where its ARN
/// belongs.
fn role_arn(operation: &'static str, text: &str) -> Result<RoleArn, AwsError> {
    text.parse().map_err(|error| {
        if text.starts_with("arn:") {
            unreadable(operation, &format!("the role's ARN is not one: {error}"))
        } else {
            AwsError {
                class: ErrorClass::NotYetConsistent,
                ambiguous: false,
                ..classify(
                    operation,
                    Some(code::ARN_NOT_YET_KNOWN),
                    "IAM does not know the ARN of the new role yet",
                    None,
                )
            }
        }
    })
}

pub(super) fn parse_attached(
    operation: &'static str,
    policy: &AttachedPolicy,
) -> Result<PolicyArn, AwsError> {
    let text = policy.policy_arn().unwrap_or_default();
    text.parse().map_err(|error| {
        // Left out, it would be taken for detached.
        unreadable(operation, &format!("an attached policy has no ARN: {error}"))
    })
}

/// A list whose last page says that there is more.
pub(super) fn partial(operation: &'static str) -> AwsError {
    unreadable(operation, "the list breaks off before its end")
}

/// Seconds for the wire. IAM's own limit is 43,200; what the wire can't carry is refused as IAM
/// would.
pub(super) fn to_seconds(operation: &'static str, seconds: u32) -> Result<i32, AwsError> {
    i32::try_from(seconds).map_err(|_| refuse(operation, "the session duration is out of range"))
}

pub(super) fn to_tags(
    operation: &'static str,
    tags: &BTreeMap<String, String>,
) -> Result<Vec<Tag>, AwsError> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|error| refuse(operation, &error.to_string()))
}

fn refuse(operation: &'static str, message: &str) -> AwsError {
    AwsError {
        class: ErrorClass::Invalid,
        ambiguous: false,
        ..classify(operation, Some(code::NOT_SENT), message, None)
    }
}
