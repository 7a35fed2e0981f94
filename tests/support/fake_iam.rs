//! A stateful IAM in memory, for tests of everything above the AWS edge.
//!
//! It refuses what IAM refuses, with IAM's codes and messages, also where emulators don't: names
//! that differ only in case, quotas, documents with an unknown condition operator, boundaries that
//! don't exist. It is written from IAM's documentation and shares no rule with the crate, so that a
//! rule which the crate gets wrong shows. It checks no permissions and expires no credentials.
//!
//! A test can make calls fail or lose their answers, edit roles behind the operator's back, count
//! calls, and compare everything before and after. Clones are handles to the same account.

// Each test binary uses a part of it, and clippy.toml allows `expect` in test functions only.
#![allow(dead_code, unused_imports, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlservicerole_operator::aws::{
    AccountRef, Accounts, AwsError, IamApi, QuotaCache, Session, SessionError,
};
use mlservicerole_operator::iam::arn::{AccountId, OidcProviderArn, Partition, PolicyArn, RoleArn};
use mlservicerole_operator::iam::name::RoleName;
use mlservicerole_operator::iam::quota::AccountQuotas;
use mlservicerole_operator::iam::role::RoleHeader;

#[path = "fake_iam/api.rs"]
mod api;
#[path = "fake_iam/documents.rs"]
mod documents;
#[path = "fake_iam/errors.rs"]
mod errors;
#[path = "fake_iam/lists.rs"]
mod lists;
#[path = "fake_iam/permissions.rs"]
mod permissions;
#[path = "fake_iam/rules.rs"]
mod rules;
#[path = "fake_iam/state.rs"]
mod state;

pub use errors::{iam_error, lost_answer, throttled};

/// The account that a fake is, unless made with [`FakeIam::in_account`].
pub const ACCOUNT: &str = "111122223333";

/// AWS-managed policies that exist from the start.
pub const KNOWN_POLICIES: [&str; 3] = [
    "arn:aws:iam::aws:policy/AmazonSageMakerReadOnly",
    "arn:aws:iam::aws:policy/AmazonBedrockReadOnly",
    "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
];

/// A role with everything that IAM keeps of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeRole {
    pub arn: RoleArn,
    pub id: String,
    pub trust: String,
    pub description: String,
    pub max_session_duration_seconds: u32,
    pub permissions_boundary: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub inline: BTreeMap<String, String>,
    pub attached: BTreeSet<PolicyArn>,
    pub instance_profiles: BTreeSet<String>,
}

/// A call that reached the fake, failed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// As in IAM's documentation: `AttachRolePolicy`.
    pub operation: &'static str,
    /// The role's name; empty for calls about something else.
    pub role: String,
}

type Hook = Box<dyn FnOnce(&FakeIam) + Send>;

enum Fault {
    /// The call isn't carried out.
    Refuse(AwsError),
    /// The call is carried out, and its answer doesn't arrive.
    LoseAnswer,
}

struct State {
    partition: Partition,
    account: AccountId,
    /// By name in lower case: names are unique without regard to it.
    roles: BTreeMap<String, FakeRole>,
    policies: BTreeSet<PolicyArn>,
    providers: BTreeMap<OidcProviderArn, BTreeSet<String>>,
    calls: Vec<Call>,
    faults: BTreeMap<&'static str, VecDeque<Fault>>,
    standing_faults: BTreeMap<&'static str, AwsError>,
    hooks: BTreeMap<&'static str, VecDeque<Hook>>,
    /// How many reads of a new role say that there is none.
    invisible_reads: usize,
    /// What is left of them, by name in lower case.
    invisible: BTreeMap<String, usize>,
    rewrite_documents: bool,
    role_quota: usize,
    /// Writes to existing roles are allowed only where the role carries this tag, as the operator's own IAM policy
    /// has it (condition key `aws:ResourceTag/…`).
    required_tag: Option<(String, String)>,
    /// This role may be tagged while it is nobody's, as such a policy has it where roles are taken over.
    claimable: Option<RoleArn>,
    quotas: AccountQuotas,
    next_id: u64,
    /// Roles on a page of a list.
    page_size: usize,
    /// Whether GetAccountAuthorizationDetails tells boundaries; not everything that answers like IAM does.
    tells_boundaries: bool,
}

#[derive(Clone)]
pub struct FakeIam {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for FakeIam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeIam")
            .field("roles", &self.role_names())
            .finish_non_exhaustive()
    }
}

impl Default for FakeIam {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeIam {
    /// An empty account in partition `aws`.
    pub fn new() -> Self {
        Self::in_account("aws", ACCOUNT)
    }

    pub fn in_account(partition: &str, account: &str) -> Self {
        let known = KNOWN_POLICIES.map(|arn| parse(&arn.replace("arn:aws:", &format!("arn:{partition}:"))));
        FakeIam {
            state: Arc::new(Mutex::new(State {
                partition: parse(partition),
                account: parse(account),
                roles: BTreeMap::new(),
                policies: BTreeSet::from(known),
                providers: BTreeMap::new(),
                calls: Vec::new(),
                faults: BTreeMap::new(),
                standing_faults: BTreeMap::new(),
                hooks: BTreeMap::new(),
                invisible_reads: 0,
                invisible: BTreeMap::new(),
                rewrite_documents: false,
                role_quota: 1_000,
                required_tag: None,
                claimable: None,
                quotas: AccountQuotas {
                    known: true,
                    ..AccountQuotas::default()
                },
                next_id: 1,
                page_size: 100,
                tells_boundaries: true,
            })),
        }
    }

    /// Another account of its own in the same state, where nothing is planned to go wrong.
    pub fn fork(&self) -> Self {
        let state = self.lock();
        FakeIam {
            state: Arc::new(Mutex::new(State {
                partition: state.partition.clone(),
                account: state.account.clone(),
                roles: state.roles.clone(),
                policies: state.policies.clone(),
                providers: state.providers.clone(),
                calls: state.calls.clone(),
                faults: BTreeMap::new(),
                standing_faults: BTreeMap::new(),
                hooks: BTreeMap::new(),
                invisible_reads: state.invisible_reads,
                invisible: state.invisible.clone(),
                rewrite_documents: state.rewrite_documents,
                role_quota: state.role_quota,
                required_tag: state.required_tag.clone(),
                claimable: state.claimable.clone(),
                quotas: state.quotas,
                next_id: state.next_id,
                page_size: state.page_size,
                tells_boundaries: state.tells_boundaries,
            })),
        }
    }

    /// The account as the operator would get it.
    pub fn session(&self) -> Arc<Session> {
        let state = self.lock();
        Arc::new(Session {
            pace: Arc::default(),
            account: state.account.clone(),
            partition: state.partition.clone(),
            iam: Arc::new(self.clone()),
            quotas: QuotaCache::default(),
        })
    }

    // What there is.

    /// Makes a managed policy exist.
    pub fn add_policy(&self, arn: &str) {
        self.lock().policies.insert(parse(arn));
    }

    /// Takes a managed policy away, without regard to who uses it.
    pub fn remove_policy(&self, arn: &str) {
        self.lock().policies.remove(&parse(arn));
    }

    /// Makes an OIDC provider exist that accepts tokens for these audiences.
    pub fn add_provider(&self, provider: &OidcProviderArn, audiences: &[&str]) {
        let audiences = audiences.iter().map(ToString::to_string).collect();
        self.lock().providers.insert(provider.clone(), audiences);
    }

    /// A role that somebody else made: empty, trusting the account, without tags.
    pub fn add_foreign_role(&self, path: &str, name: &str) -> FakeRole {
        let mut state = self.lock();
        let arn = RoleArn::new(&state.partition, &state.account, &parse(path), &parse(name));
        let root = format!("arn:{}:iam::{}:root", state.partition, state.account);
        let role = FakeRole {
            id: state.new_id(),
            arn,
            trust: format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{root}"}},"Action":"sts:AssumeRole"}}]}}"#
            ),
            description: String::new(),
            max_session_duration_seconds: 3_600,
            permissions_boundary: None,
            tags: BTreeMap::new(),
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
            instance_profiles: BTreeSet::new(),
        };
        state.roles.insert(name.to_ascii_lowercase(), role.clone());
        role
    }

    /// The role of that name as IAM keeps it; documents are as they were written.
    pub fn role(&self, name: &str) -> Option<FakeRole> {
        self.lock().roles.get(&name.to_ascii_lowercase()).cloned()
    }

    pub fn role_names(&self) -> Vec<String> {
        let state = self.lock();
        let names = state.roles.values().map(|role| role.arn.name().to_string());
        names.collect()
    }

    /// Everything, to compare with a later snapshot.
    pub fn snapshot(&self) -> BTreeMap<String, FakeRole> {
        let state = self.lock();
        let named = |role: &FakeRole| (role.arn.name().to_string(), role.clone());
        state.roles.values().map(named).collect()
    }

    /// Edits a role behind everybody's back, with no rule applied. Panics when there is none.
    pub fn with_role_mut<T>(&self, name: &str, edit: impl FnOnce(&mut FakeRole) -> T) -> T {
        let mut state = self.lock();
        let role = state.roles.get_mut(&name.to_ascii_lowercase());
        edit(role.unwrap_or_else(|| panic!("there is no role {name}")))
    }

    /// Takes a role away behind everybody's back.
    pub fn remove_role(&self, name: &str) -> Option<FakeRole> {
        self.lock().roles.remove(&name.to_ascii_lowercase())
    }

    // How it behaves.

    /// Answers documents as IAM may: keys in another order, lists reversed, single values as lists.
    /// Only a comparison by meaning finds such a document unchanged.
    pub fn rewrite_documents(&self, rewrite: bool) {
        self.lock().rewrite_documents = rewrite;
    }

    /// Lets that many reads of every role that is created from now on say `NoSuchEntity`.
    pub fn delay_new_roles(&self, reads: usize) {
        self.lock().invisible_reads = reads;
    }

    /// What a role of this account may have from now on.
    pub fn set_quotas(&self, quotas: AccountQuotas) {
        self.lock().quotas = quotas;
    }

    /// Lets a page of a list hold so many roles.
    pub fn set_page_size(&self, roles: usize) {
        self.lock().page_size = roles;
    }

    /// Leaves the boundaries out of what GetAccountAuthorizationDetails answers.
    pub fn conceal_boundaries(&self) {
        self.lock().tells_boundaries = false;
    }

    pub fn set_role_quota(&self, quota: usize) {
        self.lock().role_quota = quota;
    }

    /// Denies every write to an existing role that doesn't carry the tag, as the operator's own IAM policy does.
    pub fn require_tag(&self, key: &str, value: &str) {
        self.lock().required_tag = Some((key.to_owned(), value.to_owned()));
    }

    /// Lets this role be tagged while it doesn't carry the tag at all, or was retained.
    pub fn allow_claim(&self, arn: &RoleArn) {
        self.lock().claimable = Some(arn.clone());
    }

    // What goes wrong.

    /// The next call of the operation fails and isn't carried out. Several add up, in order.
    pub fn fail_next(&self, operation: &'static str, error: AwsError) {
        self.add_fault(operation, Fault::Refuse(error));
    }

    /// The next call of the operation is carried out, and then fails as if its answer were lost.
    pub fn lose_next_answer(&self, operation: &'static str) {
        self.add_fault(operation, Fault::LoseAnswer);
    }

    /// Every call of the operation fails until [`FakeIam::heal`].
    pub fn fail_always(&self, operation: &'static str, error: AwsError) {
        self.lock().standing_faults.insert(operation, error);
    }

    /// Takes back all faults that have not struck.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.standing_faults.clear();
        state.hooks.clear();
    }

    /// Runs this when the next call of the operation arrives, before it is carried out: another
    /// actor who comes in between.
    pub fn before_next(&self, operation: &'static str, hook: impl FnOnce(&FakeIam) + Send + 'static) {
        let mut state = self.lock();
        state
            .hooks
            .entry(operation)
            .or_default()
            .push_back(Box::new(hook));
    }

    fn add_fault(&self, operation: &'static str, fault: Fault) {
        let mut state = self.lock();
        state.faults.entry(operation).or_default().push_back(fault);
    }

    // What was called.

    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// The operations in order, without the roles.
    pub fn operations(&self) -> Vec<&'static str> {
        let state = self.lock();
        state.calls.iter().map(|call| call.operation).collect()
    }

    pub fn count(&self, operation: &str) -> usize {
        let state = self.lock();
        let calls = state.calls.iter();
        calls.filter(|call| call.operation == operation).count()
    }

    /// The operations that change something, in order.
    pub fn writes(&self) -> Vec<&'static str> {
        let mut operations = self.operations();
        operations.retain(|operation| !operation.starts_with("Get") && !operation.starts_with("List"));
        operations
    }

    pub fn forget_calls(&self) {
        self.lock().calls.clear();
    }

    // How a call runs.

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test may panic in `with_role_mut`; another one may share the account.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs a call, lets what was planned for it happen, and carries it out.
    fn call<T>(
        &self,
        operation: &'static str,
        role: &str,
        perform: impl FnOnce(&mut State) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        let hook = {
            let mut state = self.lock();
            state.calls.push(Call {
                operation,
                role: role.to_owned(),
            });
            state.hooks.get_mut(operation).and_then(VecDeque::pop_front)
        };
        if let Some(hook) = hook {
            hook(self);
        }
        let mut state = self.lock();
        state.check_permission(operation, role)?;
        let fault = state.faults.get_mut(operation).and_then(VecDeque::pop_front);
        let standing = state.standing_faults.get(operation).cloned();
        match (fault, standing) {
            (Some(Fault::Refuse(error)), _) | (None, Some(error)) => Err(error),
            (Some(Fault::LoseAnswer), _) => {
                let _lost = perform(&mut state);
                Err(lost_answer(operation))
            }
            (None, None) => perform(&mut state),
        }
    }
}

impl From<FakeRole> for RoleHeader {
    fn from(role: FakeRole) -> Self {
        RoleHeader {
            arn: role.arn,
            id: role.id,
            trust: role.trust,
            description: role.description,
            max_session_duration_seconds: role.max_session_duration_seconds,
            permissions_boundary: role.permissions_boundary,
            tags: role.tags,
        }
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a well-formed name in a test")
}

/// The one account, whatever role is to be assumed.
#[async_trait::async_trait]
impl Accounts for FakeIam {
    async fn session(&self, account: &AccountRef) -> Result<Arc<Session>, SessionError> {
        let session = FakeIam::session(self);
        match &account.account {
            Some(expected) if *expected != session.account => Err(SessionError::WrongAccount {
                expected: expected.clone(),
                found: session.account.clone(),
            }),
            _ => Ok(session),
        }
    }
}

/// That the fake can stand wherever IAM can.
const _: fn(FakeIam) -> Arc<dyn IamApi> = |fake| Arc::new(fake);
