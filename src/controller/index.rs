//! Who in a namespace has to do with whom: which MlServiceRoles ask for a ServiceAccount, and which ServiceAccounts carry
//! an object's marks. Kept beside the caches from the same events, so that no reconcile and no event needs a look at
//! everything: with a look at everything, five thousand objects of one namespace would take a thousand times as long as
//! five.

use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::ResourceExt;
use tokio_util::sync::CancellationToken;

use super::context::GuardedRole;
use super::observe::service_account_names;
use crate::api::{BOUND_BY_ANNOTATION, PREVIOUS_ROLE_ARN_ANNOTATION};
use crate::cluster::Account;
use crate::plan::BoundBy;

/// See the module. Names, all within one namespace; it holds no objects.
#[derive(Default)]
pub struct Index {
    roles: RwLock<HashMap<String, Roles>>,
    accounts: RwLock<HashMap<String, Accounts>>,
    roles_filled: CancellationToken,
    accounts_filled: CancellationToken,
}

/// The MlServiceRoles of a namespace.
#[derive(Default)]
struct Roles {
    /// By ServiceAccount: who asks for it.
    asking: HashMap<Box<str>, Names>,
    /// By MlServiceRole: what it asks for.
    asked: HashMap<Box<str>, Names>,
}

/// Names in order. A list, since there is hardly ever more than one, of thousands of ServiceAccounts.
type Names = Vec<Box<str>>;

/// The ServiceAccounts of a namespace, as far as they carry marks of ours.
#[derive(Default)]
struct Accounts {
    /// By the MlServiceRole that they say they are bound by.
    bound: HashMap<Box<str>, Names>,
    /// Those that name a former ARN, or whose mark can't be read: whoever's ARN that is may have to do with them.
    others: BTreeSet<Box<str>>,
    /// By ServiceAccount: whom it says it is bound by.
    bound_by: HashMap<Box<str>, Box<str>>,
}

impl Index {
    /// Waits until the whole lists were noted.
    pub async fn filled(&self) {
        self.roles_filled.cancelled().await;
        self.accounts_filled.cancelled().await;
    }

    /// Notes what an MlServiceRole asks for; `None` is one that went, or can't be read.
    pub fn note_role(&self, namespace: &str, name: &str, role: Option<&GuardedRole>) {
        let asks = role
            .and_then(|role| role.read().ok())
            .map(|role| service_account_names(&role));
        let mut roles = write(&self.roles);
        let here = roles.entry(namespace.to_owned()).or_default();
        here.note(name, asks.unwrap_or_default());
        if here.asked.is_empty() {
            roles.remove(namespace);
        }
    }

    /// Notes all MlServiceRoles anew.
    pub fn note_roles<'a>(&self, all: impl Iterator<Item = &'a GuardedRole>) {
        let mut fresh: HashMap<String, Roles> = HashMap::new();
        for role in all.filter_map(|role| role.read().ok()) {
            let here = fresh.entry(role.namespace().unwrap_or_default()).or_default();
            here.note(&role.name_any(), service_account_names(&role));
        }
        *write(&self.roles) = fresh;
        self.roles_filled.cancel();
    }

    /// Notes a ServiceAccount's marks; `None` is one that went.
    pub fn note_account(&self, namespace: &str, name: &str, account: Option<&Account>) {
        // Before others have to wait: it is unpacked.
        let marks = account.map(Marks::of).unwrap_or_default();
        let mut accounts = write(&self.accounts);
        let here = accounts.entry(namespace.to_owned()).or_default();
        here.note(name, marks);
        if here.is_empty() {
            accounts.remove(namespace);
        }
    }

    /// Notes all ServiceAccounts anew.
    pub fn note_accounts<'a>(&self, all: impl Iterator<Item = &'a Account>) {
        let mut fresh: HashMap<String, Accounts> = HashMap::new();
        for account in all {
            let here = fresh.entry(account.namespace().to_owned()).or_default();
            here.note(account.name(), Marks::of(account));
        }
        fresh.retain(|_, here| !here.is_empty());
        *write(&self.accounts) = fresh;
        self.accounts_filled.cancel();
    }

    /// Names of the MlServiceRoles that ask for a ServiceAccount.
    pub fn asking_for(&self, namespace: &str, account: &str) -> Vec<String> {
        let roles = read(&self.roles);
        let asking = roles.get(namespace).and_then(|here| here.asking.get(account));
        asking
            .into_iter()
            .flatten()
            .map(|name| name.to_string())
            .collect()
    }

    /// Names of the ServiceAccounts that carry marks and may have to do with an MlServiceRole.
    pub fn marked_for(&self, namespace: &str, role: &str) -> BTreeSet<String> {
        let accounts = read(&self.accounts);
        let Some(here) = accounts.get(namespace) else {
            return BTreeSet::new();
        };
        let bound = here.bound.get(role).into_iter().flatten();
        bound.chain(&here.others).map(|name| name.to_string()).collect()
    }
}

impl Roles {
    fn note(&mut self, name: &str, asks: Vec<String>) {
        for account in self.asked.remove(name).unwrap_or_default() {
            take(&mut self.asking, &account, name);
        }
        for account in &asks {
            put(&mut self.asking, account, name);
        }
        if !asks.is_empty() {
            self.asked
                .insert(name.into(), asks.into_iter().map(Into::into).collect());
        }
    }
}

/// What a ServiceAccount's annotations say of whom it has to do with.
#[derive(Debug, Default)]
struct Marks {
    bound_by: Option<String>,
    /// It names a former ARN, or carries a mark that can't be read.
    concerns_everybody: bool,
}

impl Marks {
    fn of(account: &Account) -> Self {
        let annotations = account.annotations();
        let mark = annotations.get(BOUND_BY_ANNOTATION);
        let by = mark.and_then(|mark| BoundBy::parse(mark));
        let is_odd = mark.is_some() && by.is_none();
        Self {
            bound_by: by.map(|by| by.name),
            concerns_everybody: is_odd || annotations.contains_key(PREVIOUS_ROLE_ARN_ANNOTATION),
        }
    }
}

impl Accounts {
    fn note(&mut self, name: &str, marks: Marks) {
        if let Some(former) = self.bound_by.remove(name) {
            take(&mut self.bound, &former, name);
        }
        self.others.remove(name);
        if marks.concerns_everybody {
            self.others.insert(name.into());
        }
        if let Some(by) = marks.bound_by {
            put(&mut self.bound, &by, name);
            self.bound_by.insert(name.into(), by.into());
        }
    }

    fn is_empty(&self) -> bool {
        self.bound_by.is_empty() && self.others.is_empty()
    }
}

fn put(lists: &mut HashMap<Box<str>, Names>, key: &str, name: &str) {
    let Some(names) = lists.get_mut(key) else {
        lists.insert(key.into(), vec![name.into()]);
        return;
    };
    if let Err(place) = names.binary_search_by(|there| (**there).cmp(name)) {
        names.insert(place, name.into());
    }
}

fn take(lists: &mut HashMap<Box<str>, Names>, key: &str, name: &str) {
    let Some(names) = lists.get_mut(key) else { return };
    if let Ok(place) = names.binary_search_by(|there| (**there).cmp(name)) {
        names.remove(place);
    }
    if names.is_empty() {
        lists.remove(key);
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    // No code that holds the lock can panic half-way through a change.
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ServiceAccount;
    use kube::core::PartialObjectMeta;
    use serde_json::{Value, json};

    use super::*;

    fn role(name: &str, accounts: &[&str]) -> GuardedRole {
        let accounts: Vec<Value> = accounts.iter().map(|name| json!({ "name": name })).collect();
        let role = json!({
            "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole",
            "metadata": {"name": name, "namespace": "n"},
            "spec": {"serviceAccounts": accounts},
        });
        serde_json::from_str(&role.to_string()).unwrap()
    }

    fn account(name: &str, annotations: Value) -> Account {
        let account = json!({"metadata": {"name": name, "namespace": "n", "annotations": annotations}});
        let account: PartialObjectMeta<ServiceAccount> = serde_json::from_value(account).unwrap();
        account.into()
    }

    #[test]
    fn a_role_is_found_by_each_service_account_that_it_asks_for_and_no_longer() {
        let index = Index::default();
        index.note_role("n", "a", Some(&role("a", &["x", "y"])));
        index.note_role("n", "b", Some(&role("b", &["x"])));
        assert_eq!(index.asking_for("n", "x"), ["a", "b"]);
        assert_eq!(index.asking_for("other", "x"), [""; 0]);
        index.note_role("n", "a", Some(&role("a", &["y"])));
        assert_eq!(index.asking_for("n", "x"), ["b"]);
        index.note_role("n", "b", None);
        index.note_role("n", "a", None);
        assert!(
            index.roles.read().unwrap().is_empty(),
            "nothing is kept of what is gone"
        );
    }

    #[test]
    fn a_role_that_names_no_service_account_asks_for_the_one_of_its_name() {
        let index = Index::default();
        let absent = json!({
            "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole",
            "metadata": {"name": "a", "namespace": "n"}, "spec": {},
        });
        index.note_role(
            "n",
            "a",
            Some(&serde_json::from_str(&absent.to_string()).unwrap()),
        );
        assert_eq!(index.asking_for("n", "a"), ["a"]);
    }

    #[test]
    fn a_marked_service_account_is_found_by_whom_it_is_bound_by() {
        let index = Index::default();
        let by = |name: &str| json!({BOUND_BY_ANNOTATION: format!("{name}/uid-{name}")});
        let parsed = BoundBy::parse("a/uid-a");
        assert!(parsed.is_some_and(|by| by.name == "a"), "as it is written");
        index.note_account("n", "x", Some(&account("x", by("a"))));
        index.note_account("n", "y", Some(&account("y", by("b"))));
        assert_eq!(index.marked_for("n", "a"), BTreeSet::from(["x".to_owned()]));
        index.note_account("n", "x", Some(&account("x", by("b"))));
        assert!(index.marked_for("n", "a").is_empty());
        index.note_account("n", "x", None);
        index.note_account("n", "y", Some(&account("y", json!({}))));
        assert!(
            index.accounts.read().unwrap().is_empty(),
            "nothing is kept of what is gone"
        );
    }

    #[test]
    fn one_that_names_a_former_arn_or_carries_a_mark_that_cannot_be_read_is_found_by_everybody() {
        let index = Index::default();
        let all = [
            account(
                "x",
                json!({PREVIOUS_ROLE_ARN_ANNOTATION: "arn:aws:iam::111122223333:role/r"}),
            ),
            account("y", json!({BOUND_BY_ANNOTATION: ""})),
            account("z", json!({"team": "a"})),
        ];
        index.note_accounts(all.iter());
        assert_eq!(
            index.marked_for("n", "a"),
            BTreeSet::from(["x".to_owned(), "y".to_owned()])
        );
    }
}
