//! An object's presets as a policy of its role: expanded, named, and noted in a tag.

use std::collections::BTreeMap;

use super::{Account, ClusterIdentity};
use crate::access::{self, Checked, POLICY_NAME, Place, VERSIONS_TAG};
use crate::api::MlServiceRoleSpec;
use crate::api::condition::reasons;
use crate::guard::{Refusal, checked_preset, refusal_of_access};
use crate::iam::arn::RoleArn;
use crate::iam::document::PolicyDocument;

/// What an object's presets come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Expanded {
    /// The policy with what they allow together; none where the object asks for none.
    pub policy: Option<(String, PolicyDocument)>,
    /// The tag that says which versions they are in; none likewise.
    pub tag: Option<(String, String)>,
    /// For people: newer versions that there are.
    pub updates: Vec<String>,
}

/// Expands the presets of an object for its role.
///
/// # Errors
///
/// An entry can't be used, a region is needed and not known, or an inline policy has the name of the presets' own.
pub(super) fn expand(
    spec: &MlServiceRoleSpec,
    role: &RoleArn,
    account: &Account,
    cluster: &ClusterIdentity,
) -> Result<Expanded, Refusal> {
    if spec
        .inline_policies
        .iter()
        .any(|policy| policy.name == POLICY_NAME)
    {
        return Err(Refusal::new(
            reasons::INVALID_SPEC,
            format!(
                "inlinePolicies {POLICY_NAME:?}: this name is kept for the policy of access presets; rename it"
            ),
        ));
    }
    if spec.access.is_empty() {
        return Ok(Expanded::default());
    }
    let checked: Vec<Checked<'_>> = spec.access.iter().map(checked_preset).collect::<Result<_, _>>()?;
    let place = Place {
        partition: &account.partition,
        region: cluster.region.as_deref(),
        account: &account.id,
        role,
    };
    let policy = access::expand(&checked, &place).map_err(|e| refusal_of_access(&e))?;
    Ok(Expanded {
        policy: policy.map(|document| (POLICY_NAME.to_owned(), document)),
        tag: Some((VERSIONS_TAG.to_owned(), access::versions_tag(&checked))),
        updates: updates(&checked),
    })
}

/// A preset stays in the version that the object says, or the first, until the object says another.
fn updates(checked: &[Checked<'_>]) -> Vec<String> {
    let newer: BTreeMap<&str, (u32, u32)> = checked
        .iter()
        .filter(|preset| preset.newest_version() > preset.version().number)
        .map(|preset| {
            let versions = (preset.version().number, preset.newest_version());
            (preset.preset().name.as_str(), versions)
        })
        .collect();
    newer
        .into_iter()
        .map(|(name, (used, newest))| update(name, used, newest))
        .collect()
}

pub(super) fn update(name: &str, used: u32, newest: u32) -> String {
    format!(
        "the preset {name} is used in version {used} and has version {newest}: see `mlservicerole-operator presets show \
         {name}`, and write version: {newest} beside it to have it"
    )
}
