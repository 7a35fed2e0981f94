//! Which credentials reach which account: looks up who a caller is, and keeps one session for each
//! way of calling.
//!
//! A session is given out only after AWS STS has said whose it is. Credentials are never shared
//! between sessions: two classes that differ in account, role or external id have two, since either
//! of them could be reconfigured, or be refused, without the other.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::meta::region::RegionProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio_util::sync::CancellationToken;

use super::api::IamApi;
use super::error::{AwsError, ErrorClass, classify, code};
use super::gate::{GatedClient, default_client};
use super::paced::{Caller, Pace, Paced};
use super::quotas::QuotaCache;
use super::requests::Counted;
use super::sdk::SdkIam;
use super::sdk_error::from_sdk;
use super::transport::{ConnectionFaultsOnly, Limits, WholeAnswers};
use crate::fair_queue::Urgency;
use crate::gate::Gate;
use crate::iam::arn::{AccountId, Partition, partition_of};
use crate::iam::quota::AccountQuotas;
use crate::metrics::Metrics;

/// The name of the sessions of an assumed role. It stands in CloudTrail, and trust policies may pin
/// it (`sts:RoleSessionName`).
pub const SESSION_NAME: &str = "mlservicerole-operator";

/// Where requests go when neither environment nor profile names a region: IAM of the partition
/// `aws` is one service, with its endpoint there.
const DEFAULT_REGION: Region = Region::from_static("us-east-1");

const WHO_AM_I: &str = "GetCallerIdentity";

/// An account, and the way into it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountRef {
    /// The account that it must be; none means whichever the credentials belong to.
    pub account: Option<AccountId>,
    /// The role to assume; none means the operator's own credentials.
    pub assume_role: Option<AssumeRole>,
}

/// A role to assume with the operator's own credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AssumeRole {
    pub arn: String,
    /// Shared with the account's owner, who may treat it as a secret: never printed.
    pub external_id: Option<String>,
}

impl fmt::Debug for AssumeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AssumeRole { arn, external_id } = self;
        f.debug_struct("AssumeRole")
            .field("arn", arn)
            .field("external_id", &external_id.as_ref().map(|_| "***"))
            .finish()
    }
}

/// Access to one account.
#[derive(Debug)]
pub struct Session {
    /// As STS reported it.
    pub account: AccountId,
    /// From the caller's own ARN.
    pub partition: Partition,
    pub iam: Arc<dyn IamApi>,
    /// How fast the account takes calls; other sessions of the account have the same.
    pub pace: Arc<Pace>,
    /// What the account allows, once asked.
    pub quotas: QuotaCache,
}

impl Session {
    /// What the account allows: read at the first use and then at most once an hour.
    pub async fn quotas(&self) -> AccountQuotas {
        self.quotas.get(&self.account, &*self.iam).await
    }

    /// IAM at the account's pace, on behalf of an object of this namespace.
    pub fn iam_for(&self, namespace: &str, urgency: Urgency) -> Paced {
        let caller = Caller {
            namespace: namespace.to_owned(),
            urgency,
        };
        Paced::new(Arc::clone(&self.iam), Arc::clone(&self.pace), caller)
    }
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("the credentials belong to AWS account {found}, not to {expected}")]
    WrongAccount { expected: AccountId, found: AccountId },
    /// Nothing will change until somebody changes the credentials or the role's trust policy.
    #[error("the AWS credentials can't be used: {0}")]
    CredentialsInvalid(AwsError),
    /// STS could not be asked just now.
    #[error("AWS can't be asked whose the credentials are: {0}")]
    Unavailable(AwsError),
}

/// Gives access to accounts.
#[async_trait::async_trait]
pub trait Accounts: Send + Sync {
    /// The session for an account. In the case of an error nothing but STS has been called.
    async fn session(&self, account: &AccountRef) -> Result<Arc<Session>, SessionError>;

    /// How fast each account takes calls, as far as there are sessions.
    fn paces(&self) -> Vec<(AccountId, Arc<Pace>)> {
        Vec::new()
    }

    /// The process stops: who waits for the turn of a call gets an error instead.
    fn stop(&self) {}
}

type SessionResult = Result<Arc<Session>, SessionError>;
type LookUp = Shared<BoxFuture<'static, SessionResult>>;
type LookUps = Arc<Mutex<HashMap<AccountRef, Kept<LookUp>>>>;
type Paces = Arc<Mutex<HashMap<AccountId, Arc<Pace>>>>;

/// A session that nobody has asked for so long is let go: no class names its account, role and external id any more. Those
/// that one names are asked for each sweep, and when the class is looked at.
const IDLE: Duration = Duration::from_secs(24 * 3_600);

/// Something, and when it was last asked for.
struct Kept<T> {
    of: T,
    asked: Instant,
}

/// What is kept under a key, or begun now. What has been idle is dropped where something is begun.
fn kept<K: Hash + Eq + Clone, T: Clone>(
    all: &mut HashMap<K, Kept<T>>,
    key: &K,
    now: Instant,
    begin: impl FnOnce() -> T,
) -> T {
    if let Some(kept) = all.get_mut(key) {
        kept.asked = now;
        return kept.of.clone();
    }
    all.retain(|_, kept| now.saturating_duration_since(kept.asked) < IDLE);
    let of = begin();
    let begun = Kept {
        of: of.clone(),
        asked: now,
    };
    all.insert(key.clone(), begun);
    of
}

/// [`Accounts`] over the AWS SDK.
///
/// A session stays as long as somebody asks for it; the SDK renews its credentials before they expire.
/// Failures are not kept: every caller backs off for itself, and a trust policy that has just been
/// put right should work at the next attempt. Callers that come while a look-up runs share it and
/// its outcome, so a thousand objects of one class cost one request.
pub struct SdkAccounts {
    config: SdkConfig,
    look_ups: LookUps,
    paces: Paces,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
}

impl SdkAccounts {
    /// Takes credentials, region and endpoint (`AWS_ENDPOINT_URL`) from the SDK's standard chain:
    /// environment, profile, web identity, container, instance. Without a region, `us-east-1`;
    /// other partitions need theirs (`AWS_REGION`), since it selects the endpoint.
    ///
    /// Timeouts and the number of attempts are [`Limits::default`]; the SDK's settings for them
    /// (`AWS_MAX_ATTEMPTS`, `AWS_RETRY_MODE`) have no effect.
    pub async fn from_environment() -> Self {
        let gate = Arc::new(Gate::always_open());
        Self::gated_from_environment(gate, &Limits::default(), Arc::default()).await
    }

    /// The same with limits of the caller's, where every request passes a gate just before it is sent, and is counted.
    pub async fn gated_from_environment(gate: Arc<Gate>, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let region = RegionProviderChain::default_provider().or_else(DEFAULT_REGION);
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(region)
            // Here and not later, so that the credentials providers have it too.
            .http_client(GatedClient::new(default_client(), gate, Arc::clone(&metrics)))
            .load()
            .await;
        Self::counted(&config, limits, metrics)
    }

    /// With a configuration of the caller's, whose client is put behind a gate.
    pub fn gated(config: &SdkConfig, limits: &Limits, gate: Arc<Gate>, metrics: Arc<Metrics>) -> Self {
        let inner = config.http_client().unwrap_or_else(default_client);
        let client = GatedClient::new(inner, gate, Arc::clone(&metrics));
        Self::counted(&config.to_builder().http_client(client).build(), limits, metrics)
    }

    /// With a configuration of the caller's, whose timeouts and retries the limits replace.
    pub fn from_config(config: &SdkConfig, limits: &Limits) -> Self {
        Self::counted(config, limits, Arc::default())
    }

    fn counted(config: &SdkConfig, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let config = config
            .to_builder()
            .timeout_config(limits.timeouts())
            .retry_config(limits.retries())
            .build();
        SdkAccounts {
            config,
            look_ups: LookUps::default(),
            paces: Paces::default(),
            stop: CancellationToken::new(),
            metrics,
        }
    }

    fn shared_look_up(&self, account: &AccountRef) -> LookUp {
        let mut look_ups = lock(&self.look_ups);
        kept(&mut look_ups, account, Instant::now(), || {
            self.start_look_up(account)
        })
    }

    /// A task of its own, so that the look-up goes on when the caller that began it is cancelled:
    /// others may be waiting for it.
    fn start_look_up(&self, account: &AccountRef) -> LookUp {
        let config = self.config.clone();
        let (account, paces, stop) = (account.clone(), Arc::clone(&self.paces), self.stop.clone());
        let counted = Counted::new(Arc::clone(&self.metrics));
        let mut entry = Entry {
            look_ups: Arc::clone(&self.look_ups),
            account: account.clone(),
            keep: false,
        };
        let task = tokio::spawn(async move {
            let result = look_up(&config, &account, counted, &paces, &stop).await;
            entry.keep = result.is_ok();
            drop(entry);
            result
        });
        async move {
            task.await.unwrap_or_else(|stopped| {
                Err(SessionError::Unavailable(AwsError {
                    ambiguous: false,
                    ..classify(
                        WHO_AM_I,
                        Some(code::NOT_SENT),
                        &format!("the look-up was stopped: {stopped}"),
                        None,
                    )
                }))
            })
        }
        .boxed()
        .shared()
    }
}

impl fmt::Debug for SdkAccounts {
    /// Nothing of the configuration: it holds credentials providers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkAccounts").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl Accounts for SdkAccounts {
    async fn session(&self, account: &AccountRef) -> SessionResult {
        self.shared_look_up(account).await
    }

    fn paces(&self) -> Vec<(AccountId, Arc<Pace>)> {
        let paces = lock(&self.paces);
        paces
            .iter()
            .map(|(account, pace)| (account.clone(), Arc::clone(pace)))
            .collect()
    }

    fn stop(&self) {
        self.stop.cancel();
    }
}

/// Takes a look-up off the list unless it found a session, also where it ends in a panic.
struct Entry {
    look_ups: LookUps,
    account: AccountRef,
    keep: bool,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.keep {
            lock(&self.look_ups).remove(&self.account);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // No code that holds the lock can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn look_up(
    config: &SdkConfig,
    account: &AccountRef,
    counted: Counted,
    paces: &Paces,
    stop: &CancellationToken,
) -> SessionResult {
    let config = match &account.assume_role {
        None => config.clone(),
        Some(role) => assume(config, role).await,
    };
    let (found, partition) = who_am_i(&config, counted.clone()).await.map_err(|error| {
        let error = without_external_id(error, account.assume_role.as_ref());
        match error.class {
            ErrorClass::Denied | ErrorClass::Invalid => SessionError::CredentialsInvalid(error),
            _ => SessionError::Unavailable(error),
        }
    })?;
    if let Some(expected) = account.account.as_ref().filter(|&expected| *expected != found) {
        return Err(SessionError::WrongAccount {
            expected: expected.clone(),
            found,
        });
    }
    let client = aws_sdk_iam::Client::from_conf(
        aws_sdk_iam::config::Builder::from(&config)
            .retry_classifier(ConnectionFaultsOnly)
            .interceptor(WholeAnswers)
            .interceptor(counted)
            .build(),
    );
    let pace = Arc::clone(
        lock(paces)
            .entry(found.clone())
            .or_insert_with(|| Arc::new(Pace::new(stop.clone()))),
    );
    Ok(Arc::new(Session {
        account: found,
        pace,
        partition,
        iam: Arc::new(SdkIam::new(client)),
        quotas: QuotaCache::default(),
    }))
}

/// The configuration with credentials of the role, which the SDK fetches when a request needs them
/// and again shortly before they expire (after an hour).
async fn assume(config: &SdkConfig, role: &AssumeRole) -> SdkConfig {
    // The provider makes its own STS client, which can't be told to repeat connection faults only.
    let once = config.to_builder().retry_config(RetryConfig::disabled()).build();
    let provider = AssumeRoleProvider::builder(&role.arn)
        .session_name(SESSION_NAME)
        .configure(&once);
    let provider = match &role.external_id {
        Some(id) => provider.external_id(id),
        None => provider,
    };
    config
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(provider.build().await))
        .build()
}

/// GetCallerIdentity, which needs no permission: account and partition of the credentials.
async fn who_am_i(config: &SdkConfig, counted: Counted) -> Result<(AccountId, Partition), AwsError> {
    let client = aws_sdk_sts::Client::from_conf(
        aws_sdk_sts::config::Builder::from(config)
            .retry_classifier(ConnectionFaultsOnly)
            .interceptor(WholeAnswers)
            .interceptor(counted)
            .build(),
    );
    let caller = client
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| from_sdk(WHO_AM_I, &error))?;
    let unusable = |problem: String| AwsError {
        class: ErrorClass::Invalid,
        ambiguous: false,
        ..classify(WHO_AM_I, Some(code::UNREADABLE_ANSWER), &problem, None)
    };
    let account = caller
        .account()
        .unwrap_or_default()
        .parse()
        .map_err(|error| unusable(format!("STS names no account: {error}")))?;
    let partition = partition_of(caller.arn().unwrap_or_default())
        .map_err(|error| unusable(format!("STS names no caller: {error}")))?;
    Ok((account, partition))
}

/// STS quotes a value that it finds malformed.
fn without_external_id(mut error: AwsError, role: Option<&AssumeRole>) -> AwsError {
    let external_id = role.and_then(|role| role.external_id.as_deref());
    if let Some(id) = external_id.filter(|id| !id.is_empty()) {
        error.message = error.message.replace(id, "***");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever changes a class's role or external id again and again would fill the memory.
    #[test]
    fn a_session_that_nobody_asks_for_any_more_is_let_go() {
        let (mut all, begin) = (HashMap::new(), Instant::now());
        assert_eq!(kept(&mut all, &"a", begin, || 1), 1);
        assert_eq!(kept(&mut all, &"b", begin, || 2), 2);
        let later = begin + IDLE / 2;
        assert_eq!(kept(&mut all, &"a", later, || 3), 1);
        assert_eq!(kept(&mut all, &"c", begin + IDLE, || 4), 4);
        let mut names: Vec<&str> = all.into_keys().collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "c"]);
    }
}
