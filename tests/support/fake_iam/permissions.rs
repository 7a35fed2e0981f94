//! What the operator's own IAM policy lets it write, where a test asks for that.

use std::collections::BTreeMap;

use mlservicerole_operator::aws::AwsError;
use mlservicerole_operator::iam::name::RoleName;

use super::{FakeRole, State, iam_error};

impl State {
    pub fn check_permission(&self, operation: &'static str, role: &str) -> Result<(), AwsError> {
        let reads = operation.starts_with("Get") || operation.starts_with("List");
        let Some((key, value)) = self
            .required_tag
            .as_ref()
            .filter(|_| !reads && operation != "CreateRole")
        else {
            return Ok(());
        };
        let claims = |role: &FakeRole| {
            let retained = role.tags.contains_key("mlservicerole.io/retained")
                || role
                    .tags
                    .get("mlservicerole.io/uid")
                    .is_some_and(|uid| uid == "retained");
            let nobodys = retained || !role.tags.contains_key(key);
            operation == "TagRole" && nobodys && self.claimable.as_ref() == Some(&role.arn)
        };
        match self.roles.get(&role.to_ascii_lowercase()) {
            Some(role) if role.tags.get(key) != Some(value) && !claims(role) => Err(iam_error(
                operation,
                "AccessDenied",
                "no identity-based policy allows it",
            )),
            _ => Ok(()),
        }
    }

    /// A role of nobody's takes no other tags than those that make it this cluster's (condition key
    /// `aws:RequestTag/…`).
    pub fn check_claim(
        &self,
        operation: &'static str,
        name: &RoleName,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), AwsError> {
        let Some((key, value)) = &self.required_tag else {
            return Ok(());
        };
        match self.roles.get(&name.as_str().to_ascii_lowercase()) {
            Some(role) if role.tags.get(key) != Some(value) && tags.get(key) != Some(value) => Err(
                iam_error(operation, "AccessDenied", "no identity-based policy allows it"),
            ),
            _ => Ok(()),
        }
    }
}
