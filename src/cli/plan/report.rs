//! What `plan` finds, as data: the shape of its JSON output.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::api::role::PlannedStep;
use crate::guard::Refusal;
use crate::plan::{BindingVerdict, RoleIntent, readable};

/// Changes when the shape changes in a way that could break a reader.
pub const FORMAT: u32 = 1;
/// Reason of what the API server itself wouldn't take, as in the status that it answers with.
pub const INVALID: &str = "Invalid";

/// All that was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// [`FORMAT`].
    pub format: u32,
    /// Whether it was compared with a cluster and with AWS.
    pub live: bool,
    /// The cluster that was assumed or asked.
    pub cluster: ClusterView,
    /// What had to be assumed.
    pub notes: Vec<String>,
    /// The classes of the input.
    pub classes: Vec<ClassReport>,
    /// The MlServiceRoles of the input.
    pub roles: Vec<RoleReport>,
}

/// A cluster.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterView {
    /// Its name.
    pub name: String,
    /// Its OIDC issuer; absent where each class names its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

/// A class.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassReport {
    /// Its name.
    pub name: String,
    /// The file that it is in.
    pub source: String,
    /// Why it isn't accepted; empty where it is.
    pub refusals: Vec<RefusalView>,
}

/// An MlServiceRole.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleReport {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The file that it is in.
    pub source: String,
    /// The class that serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Why it isn't accepted or can't be carried out; empty where it can.
    pub refusals: Vec<RefusalView>,
    /// Why it couldn't be judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// The role that it asks for, unless the object is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleView>,
    /// Its ServiceAccounts.
    pub service_accounts: Vec<ServiceAccountView>,
    /// What would be done, in order; empty where there is nothing to do.
    pub steps: Vec<PlannedStep>,
    /// Why it isn't known what would be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_unknown: Option<String>,
}

/// Why something is refused.
#[derive(Clone, Debug, Serialize)]
pub struct RefusalView {
    /// A reason of docs/conditions.md, or `Invalid`.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// A role as it would be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleView {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Its description; empty means none.
    pub description: String,
    /// In seconds.
    pub max_session_duration_seconds: u32,
    /// ARN of its boundary; null means none.
    pub permissions_boundary: Option<String>,
    /// All its tags.
    pub tags: BTreeMap<String, String>,
    /// Its trust policy.
    pub trust_policy: Value,
    /// Its inline policies by name.
    pub inline_policies: BTreeMap<String, Value>,
    /// Its managed policies.
    pub managed_policy_arns: Vec<String>,
}

/// A ServiceAccount of an MlServiceRole.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountView {
    /// Its name.
    pub name: String,
    /// Whether it carries the role's ARN already.
    pub bound: bool,
    /// What keeps it from being bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<RefusalView>,
}

impl PlanReport {
    /// Whether anything is refused.
    pub fn is_refused(&self) -> bool {
        self.classes.iter().any(|class| !class.refusals.is_empty())
            || self.roles.iter().any(|role| !role.refusals.is_empty())
    }

    /// Whether anything couldn't be judged.
    pub fn is_unknown(&self) -> bool {
        self.roles.iter().any(|role| role.unknown.is_some())
    }
}

impl RefusalView {
    /// What the API server wouldn't take.
    pub fn invalid(message: &str) -> Self {
        Self {
            reason: INVALID.to_owned(),
            message: message.to_owned(),
        }
    }
}

impl From<&Refusal> for RefusalView {
    fn from(refusal: &Refusal) -> Self {
        Self {
            reason: refusal.reason.to_owned(),
            message: refusal.message.clone(),
        }
    }
}

impl From<&BindingVerdict> for ServiceAccountView {
    fn from(verdict: &BindingVerdict) -> Self {
        Self {
            name: verdict.name.clone(),
            bound: verdict.bound,
            problem: verdict.problem.as_ref().map(RefusalView::from),
        }
    }
}

impl From<&RoleIntent> for RoleView {
    fn from(intent: &RoleIntent) -> Self {
        let document = |text: &str| serde_json::from_str(&readable(text)).unwrap_or_default();
        let arn = intent.arn();
        Self {
            arn: arn.to_string(),
            name: arn.name().to_string(),
            path: arn.path().to_string(),
            description: intent.description.clone(),
            max_session_duration_seconds: intent.max_session_duration_seconds,
            permissions_boundary: intent.permissions_boundary.as_ref().map(ToString::to_string),
            tags: intent.tags.clone(),
            trust_policy: document(&intent.trust.document().to_json()),
            inline_policies: intent
                .inline
                .iter()
                .map(|(name, policy)| (name.clone(), document(&policy.to_json())))
                .collect(),
            managed_policy_arns: intent.attached.iter().map(ToString::to_string).collect(),
        }
    }
}
