//! IAM at the pace that its account bears: calls of one kind wait for their turn together, whatever session of the
//! account they belong to, and a call that AWS throttled is made again. How fast is [`super::pacing`]'s to say.
//!
//! Who waits is bounded by who works: each reconcile makes one call at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::api::{IamApi, Page};
use super::error::{AwsError, ErrorClass, classify, code};
use super::pacing::{Answer, Pacer, Ticket};
use crate::fair_queue::{Queue, Urgency};
use crate::iam::arn::{OidcProviderArn, PolicyArn};
use crate::iam::name::RoleName;
use crate::iam::quota::AccountQuotas;
use crate::iam::role::{NewRole, RoleDetails, RoleHeader, RoleSettings};

/// How often a call is made again that was throttled each time. AWS has not carried it out, so that is safe. Where
/// three of ten calls are throttled at random, one in a million calls fails after all.
pub const REPETITIONS: u32 = 11;
/// Before the first repetition; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// On whose behalf a call is made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// Namespaces take turns.
    pub namespace: String,
    pub urgency: Urgency,
}

/// The pace of one account, shared by all its sessions.
pub struct Pace {
    lanes: Mutex<HashMap<&'static str, Arc<Lane>>>,
    stop: CancellationToken,
    began: Instant,
}

impl Pace {
    /// Nobody waits any more once `stop` is cancelled.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            lanes: Mutex::default(),
            stop,
            began: Instant::now(),
        }
    }

    /// The limits that have been found, by operation, in calls per second.
    pub fn rates(&self) -> BTreeMap<&'static str, f64> {
        let lanes = lock(&self.lanes);
        let rates = lanes
            .iter()
            .map(|(operation, lane)| (*operation, lock(&lane.state).pacer.rate()));
        rates
            .filter_map(|(operation, rate)| Some((operation, rate?)))
            .collect()
    }

    /// How many calls are held back, by operation.
    pub fn waiting(&self) -> BTreeMap<&'static str, usize> {
        let lanes = lock(&self.lanes);
        let waiting = lanes.iter();
        waiting
            .map(|(operation, lane)| (*operation, lock(&lane.state).line.len()))
            .collect()
    }

    fn lane(&self, operation: &'static str) -> Arc<Lane> {
        let mut lanes = lock(&self.lanes);
        Arc::clone(lanes.entry(operation).or_insert_with(|| {
            Arc::new(Lane {
                state: Mutex::default(),
                stop: self.stop.clone(),
                began: self.began,
            })
        }))
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(CancellationToken::new())
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pace").field("rates", &self.rates()).finish()
    }
}

/// The calls of one kind.
struct Lane {
    state: Mutex<LaneState>,
    stop: CancellationToken,
    began: Instant,
}

#[derive(Default)]
struct LaneState {
    pacer: Pacer,
    line: Queue<oneshot::Sender<Ticket>>,
    /// Whether a task lets those who wait go, one by one.
    served: bool,
}

impl Lane {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits for the caller's turn; `None` if the process stops before.
    async fn turn(self: &Arc<Self>, caller: &Caller) -> Option<Ticket> {
        if self.stop.is_cancelled() {
            return None;
        }
        let turn = {
            let mut state = lock(&self.state);
            let now = self.now();
            if state.line.is_empty() && state.pacer.wait(now).is_zero() {
                return Some(state.pacer.go(now));
            }
            let (sender, turn) = oneshot::channel();
            state.line.push(&caller.namespace, caller.urgency, sender);
            if !state.served {
                state.served = true;
                tokio::spawn(serve(Arc::clone(self)));
            }
            turn
        };
        turn.await.ok()
    }

    fn note(&self, ticket: Ticket, answer: Answer) {
        lock(&self.state).pacer.note(ticket, answer, self.now());
    }

    /// Lets go whoever may go now; how long the next one must wait, if there is one.
    fn let_go(&self) -> Option<Duration> {
        let mut state = lock(&self.state);
        loop {
            if state.line.is_empty() || self.stop.is_cancelled() {
                state.line = Queue::default();
                state.served = false;
                return None;
            }
            let now = self.now();
            let wait = state.pacer.wait(now);
            if !wait.is_zero() {
                return Some(wait);
            }
            // One that doesn't wait any more takes nobody's turn.
            if let Some(turn) = state.line.pop().filter(|turn| !turn.is_closed()) {
                let _ = turn.send(state.pacer.go(now));
            }
        }
    }
}

async fn serve(lane: Arc<Lane>) {
    while let Some(wait) = lane.let_go() {
        tokio::select! {
            () = sleep(wait) => {}
            () = lane.stop.cancelled() => {}
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Paced {
    iam: Arc<dyn IamApi>,
    pace: Arc<Pace>,
    caller: Caller,
}

impl Paced {
    /// `iam` at the pace of its account.
    pub fn new(iam: Arc<dyn IamApi>, pace: Arc<Pace>, caller: Caller) -> Self {
        Self { iam, pace, caller }
    }

    async fn call<T, F>(&self, operation: &'static str, attempt: impl Fn() -> F + Send) -> Result<T, AwsError>
    where
        F: Future<Output = Result<T, AwsError>> + Send,
    {
        let lane = self.pace.lane(operation);
        let mut pause = FIRST_PAUSE;
        for left in (0..=REPETITIONS).rev() {
            let Some(ticket) = lane.turn(&self.caller).await else {
                break;
            };
            let answer = attempt().await;
            let throttled = matches!(&answer, Err(error) if error.class == ErrorClass::Throttled);
            let heard = if throttled {
                Answer::Throttled
            } else {
                Answer::Heard
            };
            lane.note(ticket, heard);
            if !throttled || left == 0 {
                return answer;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = lane.stop.cancelled() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let why = "not sent, since this process is stopping";
        Err(AwsError {
            ambiguous: false,
            ..classify(operation, Some(code::NOT_LEADING), why, None)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that holds a lock can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait::async_trait]
impl IamApi for Paced {
    async fn create_role(&self, role: &NewRole) -> Result<RoleHeader, AwsError> {
        self.call("CreateRole", || self.iam.create_role(role)).await
    }

    async fn get_role(&self, name: &RoleName) -> Result<RoleHeader, AwsError> {
        self.call("GetRole", || self.iam.get_role(name)).await
    }

    async fn delete_role(&self, name: &RoleName) -> Result<(), AwsError> {
        self.call("DeleteRole", || self.iam.delete_role(name)).await
    }

    async fn update_assume_role_policy(&self, name: &RoleName, document: &str) -> Result<(), AwsError> {
        self.call("UpdateAssumeRolePolicy", || {
            self.iam.update_assume_role_policy(name, document)
        })
        .await
    }

    async fn update_role(
        &self,
        name: &RoleName,
        description: &str,
        max_session_duration_seconds: u32,
    ) -> Result<(), AwsError> {
        self.call("UpdateRole", || {
            self.iam
                .update_role(name, description, max_session_duration_seconds)
        })
        .await
    }

    async fn put_role_permissions_boundary(
        &self,
        name: &RoleName,
        boundary: &PolicyArn,
    ) -> Result<(), AwsError> {
        self.call("PutRolePermissionsBoundary", || {
            self.iam.put_role_permissions_boundary(name, boundary)
        })
        .await
    }

    async fn tag_role(&self, name: &RoleName, tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
        self.call("TagRole", || self.iam.tag_role(name, tags)).await
    }

    async fn untag_role(&self, name: &RoleName, keys: &BTreeSet<String>) -> Result<(), AwsError> {
        self.call("UntagRole", || self.iam.untag_role(name, keys)).await
    }

    async fn put_role_policy(&self, name: &RoleName, policy: &str, document: &str) -> Result<(), AwsError> {
        self.call("PutRolePolicy", || {
            self.iam.put_role_policy(name, policy, document)
        })
        .await
    }

    async fn delete_role_policy(&self, name: &RoleName, policy: &str) -> Result<(), AwsError> {
        self.call("DeleteRolePolicy", || self.iam.delete_role_policy(name, policy))
            .await
    }

    async fn attach_role_policy(&self, name: &RoleName, policy: &PolicyArn) -> Result<(), AwsError> {
        self.call("AttachRolePolicy", || self.iam.attach_role_policy(name, policy))
            .await
    }

    async fn detach_role_policy(&self, name: &RoleName, policy: &PolicyArn) -> Result<(), AwsError> {
        self.call("DetachRolePolicy", || self.iam.detach_role_policy(name, policy))
            .await
    }

    async fn attached_policies(&self, name: &RoleName) -> Result<BTreeSet<PolicyArn>, AwsError> {
        self.call("ListAttachedRolePolicies", || self.iam.attached_policies(name))
            .await
    }

    async fn inline_policies(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError> {
        self.call("ListRolePolicies", || self.iam.inline_policies(name))
            .await
    }

    async fn inline_policy(&self, name: &RoleName, policy: &str) -> Result<String, AwsError> {
        self.call("GetRolePolicy", || self.iam.inline_policy(name, policy))
            .await
    }

    async fn instance_profiles(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError> {
        self.call("ListInstanceProfilesForRole", || self.iam.instance_profiles(name))
            .await
    }

    async fn remove_role_from_instance_profile(
        &self,
        name: &RoleName,
        profile: &str,
    ) -> Result<(), AwsError> {
        self.call("RemoveRoleFromInstanceProfile", || {
            self.iam.remove_role_from_instance_profile(name, profile)
        })
        .await
    }

    async fn open_id_connect_provider_audiences(
        &self,
        provider: &OidcProviderArn,
    ) -> Result<BTreeSet<String>, AwsError> {
        self.call("GetOpenIDConnectProvider", || {
            self.iam.open_id_connect_provider_audiences(provider)
        })
        .await
    }

    async fn policy_exists(&self, policy: &PolicyArn) -> Result<bool, AwsError> {
        self.call("GetPolicy", || self.iam.policy_exists(policy)).await
    }

    async fn account_quotas(&self) -> Result<AccountQuotas, AwsError> {
        self.call("GetAccountSummary", || self.iam.account_quotas()).await
    }

    async fn account_role_count(&self) -> Result<Option<usize>, AwsError> {
        self.call("GetAccountSummary", || self.iam.account_role_count())
            .await
    }

    async fn role_details_page(&self, marker: Option<&str>) -> Result<Page<RoleDetails>, AwsError> {
        self.call("GetAccountAuthorizationDetails", || {
            self.iam.role_details_page(marker)
        })
        .await
    }

    async fn role_settings_page(
        &self,
        path_prefix: &str,
        marker: Option<&str>,
    ) -> Result<Page<RoleSettings>, AwsError> {
        self.call("ListRoles", || self.iam.role_settings_page(path_prefix, marker))
            .await
    }
}
