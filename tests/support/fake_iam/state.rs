//! What a call sees of the account, and whether it may be made.

use mlservicerole_operator::aws::AwsError;
use mlservicerole_operator::iam::name::RoleName;

use super::{FakeRole, State, documents, iam_error};

impl State {
    pub(super) fn new_id(&mut self) -> String {
        let id = format!("AROAFAKE{:013}", self.next_id);
        self.next_id += 1;
        id
    }

    /// For writes, which see a role at once.
    pub(super) fn role_mut(
        &mut self,
        operation: &'static str,
        name: &RoleName,
    ) -> Result<&mut FakeRole, AwsError> {
        self.roles
            .get_mut(&name.as_str().to_ascii_lowercase())
            .ok_or_else(|| no_such_role(operation, name))
    }

    /// For reads, which may not see a new role yet.
    pub(super) fn read_role(
        &mut self,
        operation: &'static str,
        name: &RoleName,
    ) -> Result<FakeRole, AwsError> {
        let key = name.as_str().to_ascii_lowercase();
        if let Some(left) = self.invisible.get_mut(&key).filter(|left| **left > 0) {
            *left -= 1;
            return Err(no_such_role(operation, name));
        }
        let role = self.role_mut(operation, name)?.clone();
        Ok(self.as_answered(&role))
    }

    /// A role with its documents as IAM may answer them.
    pub(super) fn as_answered(&self, role: &FakeRole) -> FakeRole {
        let mut role = role.clone();
        if self.rewrite_documents {
            role.trust = documents::rewrite(&role.trust);
            for document in role.inline.values_mut() {
                *document = documents::rewrite(document);
            }
        }
        role
    }
}

fn no_such_role(operation: &'static str, name: &RoleName) -> AwsError {
    let message = format!("The role with name {name} cannot be found.");
    iam_error(operation, "NoSuchEntity", &message)
}
