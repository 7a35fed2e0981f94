//! What the last sweeps found, for whoever asks: reconciles that wait for the first one, classes that tell how their
//! account is looked at, and metrics.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::api::MlServiceRoleClassStatus;
use crate::api::class::{OrphanedRoles, SweepStatus};
use crate::iam::arn::AccountId;
use crate::plan::sweep::{Method, Orphans};

/// What is to be told of a class.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Findings {
    /// How its account is looked at.
    pub sweep: SweepStatus,
    /// Its roles without an object; `None` until two sweeps agree.
    pub orphans: Option<OrphanedRoles>,
}

impl Findings {
    /// Whether a class's status says so already.
    pub fn is_told_by(&self, status: &MlServiceRoleClassStatus) -> bool {
        let orphans = self.orphans.as_ref().filter(|orphans| orphans.count > 0);
        let told = status.orphans.as_ref();
        status.sweep.as_ref() == Some(&self.sweep) && (self.orphans.is_none() || told == orphans)
    }

    /// Says so in a class's status.
    pub fn tell(self, status: &mut MlServiceRoleClassStatus) {
        status.sweep = Some(self.sweep);
        if let Some(orphans) = self.orphans {
            status.orphans = Some(orphans).filter(|orphans| orphans.count > 0);
        }
    }

    /// In the words of the API.
    pub fn of(method: &Method, orphans: Option<&Orphans>) -> Self {
        Self {
            sweep: SweepStatus {
                method: method.told().to_owned(),
                message: method.reason(),
            },
            orphans: orphans.map(|orphans| OrphanedRoles {
                count: i64::try_from(orphans.count).unwrap_or(i64::MAX),
                names: orphans.names.clone(),
            }),
        }
    }
}

/// The last look at an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// As in [`Method::told`].
    pub method: &'static str,
    /// When it ended, since the process started.
    pub ended: Duration,
    /// How long it took.
    pub took: Duration,
    /// Calls to AWS.
    pub calls: usize,
    /// Roles in the account, ours and others'.
    pub roles: usize,
    /// Roles of ours that were looked for.
    pub ours: usize,
    /// Those of them that weren't as they were known.
    pub differing: usize,
    /// Roles without an object.
    pub orphans: usize,
    /// Whether lists were asked for and couldn't be had.
    pub failed: bool,
}

/// What the last sweeps found. Times and counts stay here; what a class tells changes only when there is news.
#[derive(Default)]
pub struct Sweeps(Mutex<State>);

#[derive(Default)]
struct State {
    is_open: bool,
    accounts: HashSet<AccountId>,
    classes: BTreeMap<String, Findings>,
    reports: BTreeMap<AccountId, Report>,
    succeeded: BTreeMap<AccountId, SystemTime>,
    known_since: BTreeMap<AccountId, SystemTime>,
}

impl Sweeps {
    /// Whether a role of this account is better not read yet, since the first sweep after the start will show it.
    pub fn awaits(&self, account: &AccountId) -> bool {
        let state = self.lock();
        !state.is_open && !state.accounts.contains(account)
    }

    /// The first round is over: nobody waits any more.
    pub(super) fn open(&self) {
        let mut state = self.lock();
        state.is_open = true;
        state.accounts = HashSet::new();
    }

    /// An account was gone through.
    pub(super) fn note_account(&self, account: &AccountId, report: Report) {
        let mut state = self.lock();
        if !state.is_open {
            state.accounts.insert(account.clone());
        }
        // Where each role is read for itself, that is yet to come.
        let by_lists = report.method == Method::Lists { wide: false }.told();
        if by_lists && !report.failed && report.ours > 0 {
            state.succeeded.insert(account.clone(), SystemTime::now());
        }
        state.reports.insert(account.clone(), report);
    }

    /// Roles of an account, where each is read for itself, were read at `at`. That is a success unless it is done only
    /// since lists couldn't be had.
    pub(super) fn note_reads(&self, account: &AccountId, at: SystemTime) {
        let mut state = self.lock();
        if state.reports.get(account).is_some_and(|report| !report.failed) {
            let last = state.succeeded.entry(account.clone()).or_insert(at);
            *last = at.max(*last);
        }
    }

    /// Only these accounts hold roles of ours, whether they can be reached or not, and only `looked_at` may hold what they
    /// left; of others there is nothing to tell any more.
    pub(super) fn keep(&self, accounts: &HashSet<AccountId>, looked_at: &HashSet<AccountId>) {
        let mut state = self.lock();
        let now = SystemTime::now();
        state.known_since.retain(|account, _| accounts.contains(account));
        for account in accounts {
            state.known_since.entry(account.clone()).or_insert(now);
        }
        let is_kept = |account: &AccountId| accounts.contains(account) || looked_at.contains(account);
        state.reports.retain(|account, _| is_kept(account));
        state.succeeded.retain(|account, _| accounts.contains(account));
    }

    /// What is to be told of a class from now on. Orphans once told are told until a sweep says otherwise.
    pub(super) fn note_class(&self, class: &str, mut findings: Findings) {
        let mut state = self.lock();
        if findings.orphans.is_none() {
            findings.orphans = state.classes.get(class).and_then(|before| before.orphans.clone());
        }
        state.classes.insert(class.to_owned(), findings);
    }

    /// What is to be told of a class; `None` before the first sweep.
    pub fn told(&self, class: &str) -> Option<Findings> {
        self.lock().classes.get(class).cloned()
    }

    /// When a look at this account last went as it was meant to.
    pub fn succeeded(&self, account: &AccountId) -> Option<SystemTime> {
        self.lock().succeeded.get(account).copied()
    }

    /// The accounts that hold roles of ours, and since when this process has known that.
    pub fn known_since(&self) -> BTreeMap<AccountId, SystemTime> {
        self.lock().known_since.clone()
    }

    /// The last look at each account.
    pub fn reports(&self) -> Vec<(AccountId, Report)> {
        let state = self.lock();
        state
            .reports
            .iter()
            .map(|(id, report)| (id.clone(), report.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(failed: bool) -> Report {
        Report {
            method: "AccountLists",
            ended: Duration::ZERO,
            took: Duration::ZERO,
            calls: 2,
            roles: 1,
            ours: 1,
            differing: 0,
            orphans: 0,
            failed,
        }
    }

    #[test]
    fn a_look_that_failed_leaves_the_time_of_the_last_that_did_not() {
        let (sweeps, account) = (Sweeps::default(), "111122223333".parse().unwrap());
        sweeps.note_account(&account, report(true));
        assert_eq!(sweeps.succeeded(&account), None);
        sweeps.note_account(&account, report(false));
        let succeeded = sweeps.succeeded(&account);
        assert!(succeeded.is_some());
        sweeps.note_account(&account, report(true));
        assert_eq!(sweeps.succeeded(&account), succeeded);
    }

    #[test]
    fn nothing_is_told_of_an_account_that_holds_no_role_of_ours_any_more() {
        let sweeps = Sweeps::default();
        let (kept, left): (AccountId, AccountId) =
            ("111122223333".parse().unwrap(), "444455556666".parse().unwrap());
        for account in [&kept, &left] {
            sweeps.note_account(account, report(false));
        }
        sweeps.keep(&[kept.clone()].into(), &HashSet::new());
        let told: Vec<AccountId> = sweeps.reports().into_iter().map(|(account, _)| account).collect();
        assert_eq!(told, std::slice::from_ref(&kept));
        assert!(sweeps.succeeded(&kept).is_some() && sweeps.succeeded(&left).is_none());
    }

    /// The alert on drift that isn't looked for is about roles, that on orphans isn't.
    #[test]
    fn an_account_without_a_role_of_ours_is_told_of_as_long_as_a_class_reaches_it_and_succeeds_in_nothing() {
        let (sweeps, account): (_, AccountId) = (Sweeps::default(), "111122223333".parse().unwrap());
        let empty = Report {
            ours: 0,
            orphans: 3,
            ..report(false)
        };
        sweeps.note_account(&account, empty.clone());
        sweeps.keep(&HashSet::new(), &[account.clone()].into());
        assert_eq!(sweeps.reports(), [(account.clone(), empty)]);
        assert_eq!(sweeps.succeeded(&account), None);
        assert!(sweeps.known_since().is_empty());
        sweeps.keep(&HashSet::new(), &HashSet::new());
        assert!(sweeps.reports().is_empty());
    }

    #[test]
    fn where_each_role_is_read_for_itself_only_reads_are_a_success() {
        let (sweeps, account): (_, AccountId) = (Sweeps::default(), "111122223333".parse().unwrap());
        let each = |failed| Report {
            method: "EachRole",
            ..report(failed)
        };
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        sweeps.note_account(&account, each(false));
        assert_eq!(sweeps.succeeded(&account), None);
        sweeps.note_reads(&account, at(9));
        sweeps.note_reads(&account, at(8));
        assert_eq!(sweeps.succeeded(&account), Some(at(9)));
        // They are read only for want of a permission, or of an answer.
        sweeps.note_account(&account, each(true));
        sweeps.note_reads(&account, at(10));
        assert_eq!(sweeps.succeeded(&account), Some(at(9)));
    }

    /// Else nobody would hear of one whose first look never comes.
    #[test]
    fn an_account_that_was_never_gone_through_is_known_since_it_held_a_role_of_ours() {
        let (sweeps, account): (_, AccountId) = (Sweeps::default(), "111122223333".parse().unwrap());
        assert!(sweeps.known_since().is_empty());
        sweeps.keep(&[account.clone()].into(), &HashSet::new());
        let since = sweeps.known_since();
        assert!(since.contains_key(&account) && sweeps.reports().is_empty());
        sweeps.note_account(&account, report(true));
        sweeps.keep(&[account.clone()].into(), &HashSet::new());
        assert_eq!(sweeps.known_since(), since);
        sweeps.keep(&HashSet::new(), &HashSet::new());
        assert!(sweeps.known_since().is_empty());
    }
}
