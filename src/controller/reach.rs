//! Which AWS account a class reaches, and how.

use kube::ResourceExt;

use crate::api::MlServiceRoleClass;
use crate::aws::{AccountRef, AssumeRole};
use crate::guard::{self, ClassRules};

/// The account of a class that is understood.
pub fn account_ref(rules: &ClassRules) -> AccountRef {
    AccountRef {
        account: rules.account.clone(),
        assume_role: rules
            .assume_role
            .clone()
            .map(|(arn, external_id)| AssumeRole { arn, external_id }),
    }
}

/// The account of a class, also of one that is no longer accepted: what it created must still go.
pub fn departing_account_ref(class: &MlServiceRoleClass) -> AccountRef {
    if let Ok(rules) = guard::understand(&class.name_any(), &class.spec) {
        return account_ref(&rules);
    }
    let aws = class.spec.aws.clone().unwrap_or_default();
    AccountRef {
        account: aws.account_id.and_then(|id| id.parse().ok()),
        assume_role: aws.assume_role.map(|role| AssumeRole {
            arn: role.arn,
            external_id: role.external_id,
        }),
    }
}
