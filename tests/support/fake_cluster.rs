//! A stateful cluster in memory: one MlServiceRole and the ServiceAccounts of its namespace, behind the trait
//! that the executor writes through.
//!
//! It answers as the API server does: conflicts on stale versions and uids, on names that exist, and on fields
//! that another manager holds with another value; a JSON patch whose tests fail changes nothing. It is written
//! from the Kubernetes documentation of server-side apply and shares no rule with the crate. A test can make calls
//! fail or lose their answers. Clones are handles to the same cluster.

// Each test binary uses a part of it, and clippy.toml allows `expect` in test functions only.
#![allow(dead_code, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlservicerole_operator::api::{
    AUDIENCE_ANNOTATION, BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION, FIELD_MANAGER, MlServiceRole,
    PREVIOUS_AUDIENCE_ANNOTATION, PREVIOUS_ROLE_ARN_ANNOTATION, ROLE_ARN_ANNOTATION,
};
use mlservicerole_operator::cluster::{ClusterError, ClusterErrorClass, Removal};
use mlservicerole_operator::plan::{FormerState, ServiceAccountBinding, ServiceAccountState};

#[path = "fake_cluster/api.rs"]
mod api;

/// Who holds a field: the manager, and whether by apply.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    pub manager: String,
    pub by_apply: bool,
}

impl Holder {
    /// By apply, as the operator binds.
    pub fn apply(manager: &str) -> Self {
        Holder {
            manager: manager.to_owned(),
            by_apply: true,
        }
    }

    /// By create, update or patch.
    pub fn update(manager: &str) -> Self {
        Holder {
            manager: manager.to_owned(),
            by_apply: false,
        }
    }
}

/// A ServiceAccount with everything that matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FakeServiceAccount {
    pub uid: String,
    pub version: u64,
    pub deleting: bool,
    pub secrets: usize,
    /// Value and holders of each annotation.
    pub annotations: BTreeMap<String, (String, BTreeSet<Holder>)>,
    /// Managers of other fields.
    pub other_managers: BTreeSet<String>,
}

impl FakeServiceAccount {
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(|(value, _)| value.as_str())
    }

    /// Writes an annotation as this holder, who takes it from all others.
    pub fn annotate(&mut self, holder: Holder, key: &str, value: &str) {
        let entry = (value.to_owned(), BTreeSet::from([holder]));
        self.annotations.insert(key.to_owned(), entry);
    }

    pub fn managers(&self) -> BTreeSet<&str> {
        let holders = self.annotations.values().flat_map(|(_, holders)| holders);
        let managers = holders.map(|holder| holder.manager.as_str());
        managers
            .chain(self.other_managers.iter().map(String::as_str))
            .collect()
    }

    fn state(&self, name: &str) -> ServiceAccountState {
        ServiceAccountState {
            name: name.to_owned(),
            uid: self.uid.clone(),
            resource_version: self.version.to_string(),
            deleting: self.deleting,
            annotations: self
                .annotations
                .iter()
                .map(|(key, (value, _))| (key.clone(), value.clone()))
                .collect(),
            contested_by: None,
            holders: self
                .annotations
                .iter()
                .map(|(key, (_, holders))| {
                    let others = holders.iter().filter(|holder| holder.manager != FIELD_MANAGER);
                    (key.clone(), others.map(|holder| holder.manager.clone()).collect())
                })
                .collect(),
        }
    }
}

enum Fault {
    Refuse(ClusterError),
    LoseAnswer,
}

struct State {
    object: Option<MlServiceRole>,
    service_accounts: BTreeMap<String, FakeServiceAccount>,
    /// What roles were before they were taken over, by the name of the record.
    former_states: BTreeMap<String, FormerState>,
    faults: BTreeMap<&'static str, VecDeque<Fault>>,
    calls: Vec<&'static str>,
    next: u64,
}

#[derive(Clone)]
pub struct FakeCluster {
    state: Arc<Mutex<State>>,
}

impl FakeCluster {
    /// A cluster with this one object.
    pub fn new(mut object: MlServiceRole) -> Self {
        object.metadata.resource_version = Some("1".to_owned());
        FakeCluster {
            state: Arc::new(Mutex::new(State {
                object: Some(object),
                service_accounts: BTreeMap::new(),
                former_states: BTreeMap::new(),
                faults: BTreeMap::new(),
                calls: Vec::new(),
                next: 2,
            })),
        }
    }

    /// Another cluster of its own in the same state, where nothing is planned to go wrong.
    pub fn fork(&self) -> Self {
        let state = self.lock();
        FakeCluster {
            state: Arc::new(Mutex::new(State {
                object: state.object.clone(),
                service_accounts: state.service_accounts.clone(),
                former_states: state.former_states.clone(),
                faults: BTreeMap::new(),
                calls: state.calls.clone(),
                next: state.next,
            })),
        }
    }

    pub fn add_service_account(&self, name: &str, account: FakeServiceAccount) {
        self.lock().service_accounts.insert(name.to_owned(), account);
    }

    /// Writes a ServiceAccount behind everybody's back, as a new version.
    pub fn edit_service_account(&self, name: &str, mut account: FakeServiceAccount) {
        let mut state = self.lock();
        account.version = state.version();
        state.service_accounts.insert(name.to_owned(), account);
    }

    /// Takes a ServiceAccount away behind everybody's back.
    pub fn remove_service_account(&self, name: &str) {
        self.lock().service_accounts.remove(name);
    }

    /// The object, until it is let go.
    pub fn object(&self) -> Option<MlServiceRole> {
        self.lock().object.clone()
    }

    pub fn service_accounts(&self) -> BTreeMap<String, FakeServiceAccount> {
        self.lock().service_accounts.clone()
    }

    /// The records of what roles were.
    pub fn former_states(&self) -> BTreeMap<String, FormerState> {
        self.lock().former_states.clone()
    }

    /// Makes a record exist.
    pub fn add_former_state(&self, name: &str, former: FormerState) {
        self.lock().former_states.insert(name.to_owned(), former);
    }

    /// Takes a record away behind everybody's back.
    pub fn forget_former_state(&self, name: &str) {
        self.lock().former_states.remove(name);
    }

    /// The ServiceAccounts as a cache that lags behind nothing has them.
    pub fn states(&self) -> Vec<ServiceAccountState> {
        let state = self.lock();
        let accounts = state.service_accounts.iter();
        accounts.map(|(name, account)| account.state(name)).collect()
    }

    /// The next call of this kind fails and isn't carried out.
    pub fn fail_next(&self, operation: &'static str, error: ClusterError) {
        self.add_fault(operation, Fault::Refuse(error));
    }

    /// The next call of this kind is carried out, and then fails as if its answer were lost.
    pub fn lose_next_answer(&self, operation: &'static str) {
        self.add_fault(operation, Fault::LoseAnswer);
    }

    /// Takes back all faults that have not struck.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// The calls so far, by the trait's names.
    pub fn calls(&self) -> Vec<&'static str> {
        self.lock().calls.clone()
    }

    fn add_fault(&self, operation: &'static str, fault: Fault) {
        self.lock().faults.entry(operation).or_default().push_back(fault);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<T>(
        &self,
        operation: &'static str,
        perform: impl FnOnce(&mut State) -> Result<T, ClusterError>,
    ) -> Result<T, ClusterError> {
        let mut state = self.lock();
        state.calls.push(operation);
        let fault = state.faults.get_mut(operation).and_then(VecDeque::pop_front);
        match fault {
            Some(Fault::Refuse(error)) => Err(error),
            Some(Fault::LoseAnswer) => {
                let _lost = perform(&mut state);
                Err(unavailable())
            }
            None => perform(&mut state),
        }
    }
}

/// No answer: what was asked may have been done.
pub fn unavailable() -> ClusterError {
    error(
        ClusterErrorClass::Transient,
        "the Kubernetes API can't be reached",
    )
}

/// An answer 409.
pub fn conflict(what: &str) -> ClusterError {
    error(ClusterErrorClass::Conflict, what)
}

fn error(class: ClusterErrorClass, message: &str) -> ClusterError {
    ClusterError {
        class,
        message: message.to_owned(),
    }
}

fn not_found() -> ClusterError {
    error(ClusterErrorClass::NotFound, "not found")
}

fn annotations_of(binding: &ServiceAccountBinding) -> BTreeMap<&'static str, String> {
    let mut annotations = BTreeMap::from([
        (ROLE_ARN_ANNOTATION, binding.role_arn.to_string()),
        (BOUND_BY_ANNOTATION, binding.bound_by.to_string()),
    ]);
    for (key, value) in [
        (AUDIENCE_ANNOTATION, &binding.audience),
        (PREVIOUS_ROLE_ARN_ANNOTATION, &binding.previous.role_arn),
        (PREVIOUS_AUDIENCE_ANNOTATION, &binding.previous.audience),
    ] {
        if let Some(value) = value {
            annotations.insert(key, value.clone());
        }
    }
    annotations
}

impl State {
    fn version(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The object, if the writer has seen its present version.
    fn current(&mut self, seen: &MlServiceRole) -> Result<&mut MlServiceRole, ClusterError> {
        let object = self.object.as_mut().ok_or_else(not_found)?;
        if object.metadata.resource_version == seen.metadata.resource_version {
            Ok(object)
        } else {
            Err(conflict("the object has been modified"))
        }
    }

    fn account(&mut self, name: &str, uid: &str) -> Result<&mut FakeServiceAccount, ClusterError> {
        let account = self.service_accounts.get_mut(name).ok_or_else(not_found)?;
        if account.uid == uid {
            Ok(account)
        } else {
            Err(conflict("Precondition failed: UID in precondition"))
        }
    }

    fn create(&mut self, binding: &ServiceAccountBinding) -> Result<ServiceAccountState, ClusterError> {
        if self.service_accounts.contains_key(&binding.name) {
            return Err(conflict("serviceaccounts already exists"));
        }
        let version = self.version();
        let mut account = FakeServiceAccount {
            uid: format!("sa-{version}"),
            version,
            ..Default::default()
        };
        for (key, value) in annotations_of(binding) {
            account.annotate(Holder::update(FIELD_MANAGER), key, &value);
        }
        let created_by = binding.bound_by.to_string();
        account.annotate(Holder::update(FIELD_MANAGER), CREATED_BY_ANNOTATION, &created_by);
        let state = account.state(&binding.name);
        self.service_accounts.insert(binding.name.clone(), account);
        Ok(state)
    }

    /// Server-side apply.
    fn apply(
        &mut self,
        binding: &ServiceAccountBinding,
        uid: &str,
        force_at: Option<&str>,
    ) -> Result<ServiceAccountState, ClusterError> {
        let us = Holder::apply(FIELD_MANAGER);
        let version = self.version();
        // An apply with a uid creates nothing: where there is none, the uid doesn't agree.
        let account = self
            .account(&binding.name, uid)
            .map_err(|_| conflict("Precondition failed: UID in precondition"))?;
        if force_at.is_some_and(|seen| seen != account.version.to_string()) {
            return Err(conflict("the object has been modified"));
        }
        let wanted = annotations_of(binding);
        for (key, value) in &wanted {
            let Some((found, holders)) = account.annotations.get(*key) else {
                continue;
            };
            let others = holders.iter().any(|holder| *holder != us);
            if found != value && others && force_at.is_none() {
                return Err(conflict("Apply failed with 1 conflict"));
            }
        }
        let before = account.clone();
        // What we applied before and don't apply any more goes, unless somebody else holds it too.
        account.annotations.retain(|key, (_, holders)| {
            if wanted.contains_key(key.as_str()) {
                return true;
            }
            holders.remove(&us);
            !holders.is_empty()
        });
        for (key, value) in wanted {
            let entry = account.annotations.entry(key.to_owned()).or_default();
            if entry.0 != value {
                *entry = (value, BTreeSet::new());
            }
            entry.1.insert(us.clone());
        }
        if *account != before {
            account.version = version;
        }
        Ok(account.state(&binding.name))
    }

    /// A JSON patch that tests uid and values.
    fn take_away(
        &mut self,
        name: &str,
        uid: &str,
        annotations: &BTreeMap<String, String>,
        restored: &BTreeMap<String, String>,
    ) -> Result<ServiceAccountState, ClusterError> {
        let version = self.version();
        let account = self.account(name, uid)?;
        for (key, value) in annotations {
            if account.annotation(key) != Some(value) {
                return Err(conflict("testing value failed"));
            }
        }
        account
            .annotations
            .retain(|key, _| !annotations.contains_key(key) || restored.contains_key(key));
        for (key, value) in restored {
            if account.annotation(key) != Some(value) {
                account.annotate(Holder::update(FIELD_MANAGER), key, value);
            }
        }
        account.version = version;
        Ok(account.state(name))
    }

    fn delete(
        &mut self,
        name: &str,
        uid: &str,
        annotations: &BTreeMap<String, String>,
        restored: &BTreeMap<String, String>,
    ) -> Result<Removal, ClusterError> {
        let account = self.account(name, uid)?;
        let others: Vec<&str> = account
            .managers()
            .into_iter()
            .filter(|m| *m != FIELD_MANAGER)
            .collect();
        if others.is_empty() && account.secrets == 0 {
            self.service_accounts.remove(name);
            return Ok(Removal::Deleted);
        }
        let why = format!("{} and {} secrets", others.join(", "), account.secrets);
        let state = self.take_away(name, uid, annotations, restored)?;
        Ok(Removal::Kept { state, why })
    }
}
