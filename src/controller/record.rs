//! What the process remembers of each object: its role as last seen, what was written and isn't in the caches
//! yet, and when to try again. Lost on restart, and nothing breaks by that.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use kube::ResourceExt;

use crate::api::MlServiceRole;
use crate::iam::name::RoleName;
use crate::packed::Packed;
use crate::plan::{KnownBoundary, Placement, RoleKnowledge, RoleState, ServiceAccountState};

/// How long a write of ours is believed over a cache that doesn't show it.
const CACHE_LAG: Duration = Duration::from_secs(10);
/// First wait after a failure.
const MIN_BACKOFF: Duration = Duration::from_millis(500);

/// An annotation that had to be put back so often within [`CONTEST_WINDOW`] is contested: it is left alone until
/// the window has moved on, so that two managers never fight at the speed of a watch.
const CONTEST_LIMIT: usize = 5;
/// See [`CONTEST_LIMIT`].
const CONTEST_WINDOW: Duration = Duration::from_secs(60);
/// The same repair is told again only after this long.
const DRIFT_NOTICE_INTERVAL: Duration = Duration::from_secs(600);

/// Memory of one object. There are thousands: what is there once or not at all takes the room of a list or of a pointer.
#[derive(Default)]
pub struct Record {
    roles: Vec<(RoleName, Known)>,
    object: Option<Box<Written<Packed>>>,
    service_accounts: HashMap<String, Written<Option<ServiceAccountState>>>,
    /// By ServiceAccount.
    cached_versions: Vec<(Box<str>, Option<Box<str>>)>,
    /// By ServiceAccount.
    rebinds: Vec<(Box<str>, Vec<Duration>)>,
    drift_notice: Option<Box<(String, Duration)>>,
    backoff: Option<Box<ExponentialBackoff>>,
    /// After a failure: what it was about, and until when nothing is tried for the same.
    pub pause: Option<Box<Pause>>,
    /// The attempt after which nothing could be done until somebody changes something.
    blocked: Option<Box<str>>,
    /// Writes in a row that came too late for what they were planned on.
    pub outdated_retries: u32,
    placed: Option<Arc<Placement>>,
    target: Option<Arc<Placement>>,
    /// Whether the object waits for the first sweep.
    pub awaits_sweep: bool,
    /// What was last in sync, to tell drift from a change of spec or class.
    pub synced: Option<Synced>,
    /// Uid of the object's namespace, once the API server was asked: the cache may still show a former one.
    pub namespace_uid: Option<String>,
}

/// SHA-256 of what a class says.
pub type ClassVersion = [u8; 32];

/// What was in sync.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Synced {
    /// Generation of the object.
    pub generation: Option<i64>,
    /// Stands for uid and generation of its class, and the issuers in force.
    pub class: ClassVersion,
    /// ServiceAccounts that carried the role's ARN.
    pub bound: Box<[String]>,
}

/// A pause after a failure.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pause {
    /// What was tried: it is tried earlier only when this changes.
    pub key: String,
    /// The object's ServiceAccounts, after a failure about one of them: then it is tried earlier when they change
    /// too. Not after others, so that a busy ServiceAccount doesn't make calls to AWS.
    pub service_accounts: Option<ServiceAccountVersions>,
    /// Until when.
    pub until: Duration,
}

/// Name, uid and version of ServiceAccounts.
pub type ServiceAccountVersions = BTreeSet<(String, String, String)>;

impl Pause {
    /// Whether nothing is tried yet. `now_at` tells the present versions of the object's ServiceAccounts.
    pub fn holds(&self, key: &str, now: Duration, now_at: impl FnOnce() -> ServiceAccountVersions) -> bool {
        self.key == key
            && now < self.until
            && self
                .service_accounts
                .as_ref()
                .is_none_or(|then| *then == now_at())
    }
}

/// What is known of a role. While nobody asks, the role itself is packed: as maps of a few entries each, thousands of roles
/// would take ten times the room.
#[derive(Default)]
struct Known {
    /// Without its state while that is packed.
    live: RoleKnowledge,
    packed: Option<Packed>,
}

impl Known {
    fn pack(&mut self) {
        let RoleState::Present { header, content } = &self.live.state else {
            return;
        };
        // What can't be put away stays as it is.
        if let Ok(text) = serde_json::to_string(&(header, content)) {
            self.packed = Some(Packed::new(&text));
            self.live.state = RoleState::Unknown;
        }
    }

    fn unpack(&mut self) {
        if let Some(packed) = self.packed.take() {
            self.live.state = state(&packed);
        }
    }

    fn unpacked(&self) -> RoleKnowledge {
        let mut live = self.live.clone();
        if let Some(packed) = &self.packed {
            live.state = state(packed);
        }
        live
    }
}

/// What couldn't be read again, which doesn't happen, would be unknown, and so be read from IAM.
fn state(packed: &Packed) -> RoleState {
    let text = packed.text();
    match text.and_then(|text| serde_json::from_str(&text).ok()) {
        Some((header, content)) => RoleState::Present { header, content },
        None => RoleState::Unknown,
    }
}

/// Something that we wrote, over versions that a cache may still show.
struct Written<T> {
    over: BTreeSet<Option<String>>,
    value: T,
    at: Duration,
}

impl Record {
    /// Where the role was placed, where spec and class agreed. The annotation can be changed by whoever may write
    /// the object; this can't.
    pub fn placed(&self) -> Option<&Placement> {
        self.placed.as_deref()
    }

    /// Notes where the role was placed.
    pub fn note_placed(&mut self, placement: &Placement) {
        self.placed = Some(self.shared(placement));
    }

    /// Class and ARN of the role that the object came to, also where it only observes it.
    pub fn target(&self) -> Option<&Arc<Placement>> {
        self.target.as_ref()
    }

    /// Notes which role the object came to.
    pub fn note_target(&mut self, target: Option<&Placement>) {
        self.target = target.map(|target| self.shared(target));
    }

    /// The one that is remembered already, where it says the same: as a rule both do.
    fn shared(&self, placement: &Placement) -> Arc<Placement> {
        let mut known = self.placed.iter().chain(&self.target);
        let same = known.find(|known| ***known == *placement);
        same.map_or_else(|| Arc::new(placement.clone()), Arc::clone)
    }

    /// What is known of a role.
    pub fn knowledge(&self, role: &RoleName) -> RoleKnowledge {
        let known = self.roles.iter().find(|(name, _)| name == role);
        known.map(|(_, known)| known.unpacked()).unwrap_or_default()
    }

    /// The permissions boundary of a role, as far as it is known.
    pub fn boundary(&self, role: &RoleName) -> KnownBoundary {
        match self.knowledge(role).state {
            RoleState::Present { header, .. } => match header.permissions_boundary {
                Some(arn) => KnownBoundary::Arn(arn),
                None => KnownBoundary::None,
            },
            RoleState::Unknown | RoleState::Absent => KnownBoundary::Unknown,
        }
    }

    /// What is known of a role, to be corrected.
    pub fn knowledge_mut(&mut self, role: &RoleName) -> &mut RoleKnowledge {
        let known = self.roles.iter().position(|(name, _)| name == role);
        let place = known.unwrap_or_else(|| {
            self.roles.reserve_exact(1);
            self.roles.push((role.clone(), Known::default()));
            self.roles.len() - 1
        });
        let known = &mut self.roles[place].1;
        known.unpack();
        &mut known.live
    }

    /// Notes that something is tried. What was found in AWS and kept the object from going on is looked at again where
    /// spec or class changed since: often that is done once the cause is mended.
    pub fn begin(&mut self, attempt: &str, now: Duration) {
        if self.blocked.take_if(|blocked| **blocked != *attempt).is_some() {
            for (_, known) in &mut self.roles {
                known.live.look_again = Some(now);
            }
        }
    }

    /// Notes whether the attempt showed that nothing can be done until somebody changes something.
    pub fn end(&mut self, attempt: &str, blocked: bool) {
        self.blocked = blocked.then(|| attempt.into());
    }

    /// Puts away what is known until it is asked for again, so that it takes less room.
    pub fn rest(&mut self) {
        for (_, known) in &mut self.roles {
            known.pack();
        }
    }

    /// Whether nothing is known of a role.
    pub fn knows_nothing_of(&self, role: &RoleName) -> bool {
        let known = self.roles.iter().find(|(name, _)| name == role);
        known.is_none_or(|(_, known)| known.packed.is_none() && known.live.state == RoleState::Unknown)
    }

    /// Whether something is known of a role that was learnt after `since`.
    pub fn is_known_since(&self, role: &RoleName, since: Duration) -> bool {
        let known = self.roles.iter().find(|(name, _)| name == role);
        !self.knows_nothing_of(role) && known.is_some_and(|(_, known)| known.live.as_of > since)
    }

    /// Notes that `before` became `after` by our hand.
    pub fn object_written(&mut self, before: &MlServiceRole, mut after: MlServiceRole) {
        // Until the next look at the object, which may be long after the cache shows this, it lies here.
        after.metadata.managed_fields = None;
        let Ok(text) = serde_json::to_string(&after) else {
            // Then the cache is believed, and a write on top of it refused.
            self.object = None;
            return;
        };
        let (over, value) = (before.resource_version(), Packed::new(&text));
        match &mut self.object {
            Some(written) => {
                written.over.insert(over);
                written.value = value;
            }
            None => {
                self.object = Some(Box::new(Written {
                    over: BTreeSet::from([over]),
                    value,
                    at: Duration::ZERO,
                }));
            }
        }
    }

    /// The object, as cached or as we wrote it if the cache is behind.
    pub fn newest_object(&mut self, cached: &MlServiceRole) -> MlServiceRole {
        let text = match &self.object {
            Some(written) if written.over.contains(&cached.resource_version()) => written.value.text(),
            _ => None,
        };
        let written = text.and_then(|text| serde_json::from_str(&text).ok());
        written.unwrap_or_else(|| {
            self.object = None;
            cached.clone()
        })
    }

    /// Notes which version of the object is cached. What was written over an earlier one needn't be remembered then, and
    /// the next look at an object that is in order may be long after, behind thousands of new ones.
    pub fn object_cached(&mut self, version: Option<String>) {
        self.object.take_if(|written| !written.over.contains(&version));
    }

    /// Notes that a ServiceAccount is so by our hand; `None` is gone.
    pub fn service_account_written(&mut self, name: &str, state: Option<ServiceAccountState>, now: Duration) {
        let cached = of(&self.cached_versions, name).and_then(|version| version.as_deref());
        let mut over = BTreeSet::from([cached.map(str::to_owned)]);
        if let Some(earlier) = self.service_accounts.remove(name) {
            over.extend(earlier.over);
            over.insert(version(earlier.value.as_ref()));
        }
        over.remove(&version(state.as_ref()));
        self.service_accounts.insert(
            name.to_owned(),
            Written {
                over,
                value: state,
                at: now,
            },
        );
    }

    /// A ServiceAccount, as cached or as we wrote it if the cache is behind.
    pub fn newest_service_account(
        &mut self,
        name: &str,
        cached: Option<ServiceAccountState>,
        now: Duration,
    ) -> Option<ServiceAccountState> {
        let cached_version = version(cached.as_ref());
        *of_mut(&mut self.cached_versions, name) = cached_version.as_deref().map(Into::into);
        match self.service_accounts.get(name) {
            Some(written)
                if written.over.contains(&cached_version) && now.saturating_sub(written.at) < CACHE_LAG =>
            {
                written.value.clone()
            }
            _ => {
                self.service_accounts.remove(name);
                if self.service_accounts.is_empty() {
                    // Thousands of records have nothing to remember here, and a map that was used keeps its room.
                    self.service_accounts = HashMap::new();
                }
                cached
            }
        }
    }

    /// Forgets what is remembered of ServiceAccounts besides these: whoever names ever other ones would fill the memory.
    /// A write of ours that the cache may not show yet is remembered for its time.
    pub fn retain_service_accounts(&mut self, kept: impl Fn(&str) -> bool, now: Duration) {
        self.service_accounts
            .retain(|name, written| kept(name) || now.saturating_sub(written.at) < CACHE_LAG);
        self.cached_versions
            .retain(|(name, _)| kept(name) || self.service_accounts.contains_key(&**name));
        self.rebinds.retain(|(name, _)| kept(name));
    }

    /// Until when a write of ours is believed over the cache. One that was undone at once by somebody else leaves
    /// the cache as it was before, so that it must be looked at again then.
    pub fn believed_until(&self, service_account: &str) -> Option<Duration> {
        let written = self.service_accounts.get(service_account)?;
        Some(written.at + CACHE_LAG)
    }

    /// Notes that our annotation was written; it stays unless somebody else removes or rewrites it.
    pub fn note_rebind(&mut self, service_account: &str, now: Duration) {
        let times = of_mut(&mut self.rebinds, service_account);
        times.retain(|time| now.saturating_sub(*time) < CONTEST_WINDOW);
        times.push(now);
    }

    /// Until when a contested annotation is left alone.
    pub fn contested_until(&self, service_account: &str, now: Duration) -> Option<Duration> {
        let times = of(&self.rebinds, service_account)?;
        let recent: Vec<&Duration> = times
            .iter()
            .filter(|time| now.saturating_sub(**time) < CONTEST_WINDOW)
            .collect();
        (recent.len() >= CONTEST_LIMIT).then(|| *recent[recent.len() - CONTEST_LIMIT] + CONTEST_WINDOW)
    }

    /// Whether a repair is news.
    pub fn is_news(&mut self, repair: &str, now: Duration) -> bool {
        let known = self
            .drift_notice
            .as_ref()
            .is_some_and(|notice| notice.0 == repair && now.saturating_sub(notice.1) < DRIFT_NOTICE_INTERVAL);
        if !known {
            self.drift_notice = Some(Box::new((repair.to_owned(), now)));
        }
        !known
    }

    /// How long to wait after one more failure.
    pub fn next_backoff(&mut self, max: Duration) -> Duration {
        let backoff = self.backoff.get_or_insert_with(|| {
            let builder = ExponentialBuilder::default()
                .with_min_delay(MIN_BACKOFF)
                .with_max_delay(max)
                .without_max_times()
                .with_jitter();
            Box::new(builder.build())
        });
        backoff.next().unwrap_or(max)
    }

    /// Forgets failures.
    pub fn reset_backoff(&mut self) {
        self.backoff = None;
        self.pause = None;
    }
}

fn of<'a, T>(list: &'a [(Box<str>, T)], name: &str) -> Option<&'a T> {
    let found = list.iter().find(|(there, _)| **there == *name);
    found.map(|(_, value)| value)
}

fn of_mut<'a, T: Default>(list: &'a mut Vec<(Box<str>, T)>, name: &str) -> &'a mut T {
    let found = list.iter().position(|(there, _)| **there == *name);
    let place = found.unwrap_or_else(|| {
        list.reserve_exact(1);
        list.push((name.into(), T::default()));
        list.len() - 1
    });
    &mut list[place].1
}

fn version(account: Option<&ServiceAccountState>) -> Option<String> {
    account.map(|account| account.resource_version.clone())
}

#[cfg(test)]
mod tests;
