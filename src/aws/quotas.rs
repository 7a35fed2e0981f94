//! An account's own quotas, kept for a while: they change once a year, and every role is held against them.
//!
//! Not being able to read them stops nobody. Until they are known, the documented defaults are shown and nothing
//! is refused by them; IAM itself refuses what doesn't fit.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::api::IamApi;
use super::error::AwsError;
use crate::iam::arn::AccountId;
use crate::iam::quota::AccountQuotas;

/// How long what was read is believed.
pub const KEPT: Duration = Duration::from_secs(3600);
/// How long after a failure the next attempt comes.
pub const RETRY: Duration = Duration::from_secs(300);
/// Nobody waits longer than this for quotas.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub struct QuotaCache(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    quotas: AccountQuotas,
    next: Option<Instant>,
    failing: bool,
}

impl QuotaCache {
    /// The quotas of `account`, whose IAM this is. Callers that come while they are being read wait for the same
    /// answer. After a failure: those read before, or else the defaults.
    pub async fn get(&self, account: &AccountId, iam: &dyn IamApi) -> AccountQuotas {
        let mut state = self.0.lock().await;
        if state.next.is_some_and(|next| Instant::now() < next) {
            return state.quotas;
        }
        let answer = timeout(PATIENCE, iam.account_quotas()).await;
        let failure = match answer {
            Ok(Ok(quotas)) => {
                state.quotas = quotas;
                state.failing = false;
                state.next = Some(Instant::now() + KEPT);
                return quotas;
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        state.next = Some(Instant::now() + RETRY);
        tell(account, failure.as_ref(), state.failing);
        state.failing = true;
        state.quotas
    }
}

/// Once for each row of failures: it is tried again and again, and nothing depends on it.
fn tell(account: &AccountId, failure: Option<&AwsError>, again: bool) {
    let error = failure.map_or_else(|| "no answer in time".to_owned(), ToString::to_string);
    if again {
        debug!(%account, error, "the account's quotas still can't be read");
    } else {
        warn!(
            %account,
            error,
            "the account's quotas can't be read, so that what doesn't fit is refused by IAM and not beforehand; allow \
             iam:GetAccountSummary"
        );
    }
}
