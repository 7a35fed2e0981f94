//! The lists of a whole account, a page at a time: an account may have ten thousand roles, and nearly all of them may be
//! somebody else's, so that nobody wants to hold them all.

use std::collections::HashMap;

use aws_sdk_iam::types::{EntityType, Role, RoleDetail, SummaryKeyType};

use super::convert::{boundary_arn, from_tags, parse_attached, partial, session_seconds};
use super::{SdkIam, unreadable};
use crate::aws::api::{Listed, Page};
use crate::aws::error::AwsError;
use crate::aws::sdk_error::from_sdk;
use crate::iam::document::decode;
use crate::iam::role::{RoleContent, RoleDetails, RoleSettings};

/// Roles asked for in one request, with all their policies: some kilobytes each, of which a page is held while it is gone
/// through. IAM would take 1,000 (API reference, GetAccountAuthorizationDetails, `MaxItems`).
const DETAILED: i32 = 300;
/// Roles asked for in one request without policies: the most that IAM takes (API reference, ListRoles, `MaxItems`).
const LISTED: i32 = 1_000;

impl SdkIam {
    /// The numbers of GetAccountSummary, by the names that IAM gives them (API reference, `SummaryMap`).
    pub(super) async fn summary(&self) -> Result<HashMap<SummaryKeyType, i32>, AwsError> {
        const OPERATION: &str = "GetAccountSummary";
        let answer = self
            .client
            .get_account_summary()
            .send()
            .await
            .map_err(|error| from_sdk(OPERATION, &error))?;
        answer
            .summary_map
            .ok_or_else(|| unreadable(OPERATION, "the answer holds no summary"))
    }

    pub(super) async fn details_page(&self, marker: Option<&str>) -> Result<Page<RoleDetails>, AwsError> {
        const OPERATION: &str = "GetAccountAuthorizationDetails";
        let answer = self
            .client
            .get_account_authorization_details()
            .filter(EntityType::Role)
            .max_items(DETAILED)
            .set_marker(marker.map(str::to_owned))
            .send()
            .await
            .map_err(|error| from_sdk(OPERATION, &error))?;
        let next = next(OPERATION, answer.is_truncated, answer.marker)?;
        let items = answer.role_detail_list.into_iter().flatten();
        Ok(Page {
            items: items.filter_map(|role| details(OPERATION, role)).collect(),
            next,
        })
    }

    pub(super) async fn settings_page(
        &self,
        path_prefix: &str,
        marker: Option<&str>,
    ) -> Result<Page<RoleSettings>, AwsError> {
        const OPERATION: &str = "ListRoles";
        let answer = self
            .client
            .list_roles()
            .path_prefix(path_prefix)
            .max_items(LISTED)
            .set_marker(marker.map(str::to_owned))
            .send()
            .await
            .map_err(|error| from_sdk(OPERATION, &error))?;
        let next = next(OPERATION, answer.is_truncated, answer.marker)?;
        Ok(Page {
            items: answer.roles.into_iter().filter_map(settings).collect(),
            next,
        })
    }
}

/// Without a marker the rest of a list can't be had, and what isn't on it would pass for gone.
fn next(
    operation: &'static str,
    is_truncated: bool,
    marker: Option<String>,
) -> Result<Option<String>, AwsError> {
    match (is_truncated, marker) {
        (false, _) => Ok(None),
        (true, Some(marker)) if !marker.is_empty() => Ok(Some(marker)),
        (true, _) => Err(partial(operation)),
    }
}

/// A role whose name is none of IAM's is left out: nobody can ask for it.
fn details(operation: &'static str, role: RoleDetail) -> Option<Listed<RoleDetails>> {
    let name = role.role_name().unwrap_or_default().parse().ok()?;
    Some(Listed {
        name,
        role: understood(operation, role),
    })
}

fn understood(operation: &'static str, role: RoleDetail) -> Option<RoleDetails> {
    let mut content = RoleContent::default();
    for policy in role.attached_managed_policies() {
        content.attached.insert(parse_attached(operation, policy).ok()?);
    }
    for policy in role.role_policy_list() {
        let document = decode(policy.policy_document().unwrap_or_default()).into_owned();
        content.inline.insert(policy.policy_name()?.to_owned(), document);
    }
    Some(RoleDetails {
        arn: role.arn()?.parse().ok()?,
        trust: decode(role.assume_role_policy_document()?).into_owned(),
        permissions_boundary: boundary_arn(role.permissions_boundary()),
        tags: from_tags(role.tags()),
        content,
        id: role.role_id.filter(|id| !id.is_empty())?,
    })
}

fn settings(role: Role) -> Option<Listed<RoleSettings>> {
    Some(Listed {
        name: role.role_name.parse().ok()?,
        role: (!role.role_id.is_empty()).then(|| RoleSettings {
            max_session_duration_seconds: session_seconds(role.max_session_duration),
            description: role.description.unwrap_or_default(),
            id: role.role_id,
        }),
    })
}
