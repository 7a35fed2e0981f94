//! Which AWS account a class reaches, and how.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::known_classes::KnownClass;
use crate::aws::{AccountRef, AssumeRole};
use crate::guard::ClassRules;
use crate::iam::arn::AccountId;

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
pub fn departing_account_ref(known: &KnownClass) -> AccountRef {
    if let Ok(rules) = &known.rules {
        return account_ref(rules);
    }
    let aws = known.class.spec.aws.clone().unwrap_or_default();
    AccountRef {
        account: aws.account_id.and_then(|id| id.parse().ok()),
        assume_role: aws.assume_role.map(|role| AssumeRole {
            arn: role.arn,
            external_id: role.external_id,
        }),
    }
}

/// Which account each class reached when it was last looked at.
#[derive(Debug, Default)]
pub struct ClassAccounts(Mutex<BTreeMap<String, AccountId>>);

impl ClassAccounts {
    /// A class reached its account.
    pub fn note(&self, class: &str, account: &AccountId) {
        self.lock().insert(class.to_owned(), account.clone());
    }

    /// Forgets all other classes than these.
    pub fn retain(&self, is_kept: impl Fn(&str) -> bool) {
        self.lock().retain(|class, _| is_kept(class));
    }

    /// The account of a class.
    pub fn of(&self, class: &str) -> Option<AccountId> {
        self.lock().get(class).cloned()
    }

    /// Whether classes reach more than one.
    pub fn are_several(&self) -> bool {
        let accounts = self.lock();
        let mut all = accounts.values();
        all.next().is_some_and(|first| all.any(|other| other != first))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, AccountId>> {
        // No code that holds the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_several_while_two_classes_differ_in_theirs() {
        let (accounts, one, other): (_, AccountId, AccountId) = (
            ClassAccounts::default(),
            "111122223333".parse().unwrap(),
            "444455556666".parse().unwrap(),
        );
        assert!(!accounts.are_several());
        accounts.note("a", &one);
        accounts.note("b", &one);
        assert!(!accounts.are_several());
        accounts.note("b", &other);
        assert!(accounts.are_several());
        assert_eq!(accounts.of("b"), Some(other));
        accounts.retain(|class| class != "b");
        assert!(!accounts.are_several() && accounts.of("b").is_none());
    }
}
