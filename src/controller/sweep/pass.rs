//! One pass over the lists of an account: asks for the pages and hands on what they tell of each role of ours, as they
//! come, so that nothing is kept of roles that aren't. Knows no object; what a finding means is decided elsewhere.

use std::cmp::Ordering;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tracing::{debug, warn};

use crate::aws::{AwsError, ErrorClass, IamApi, Listed};
use crate::iam::name::RoleName;
use crate::iam::role::{RoleContent, RoleDetails, RoleHeader, RoleSettings};
use crate::plan::sweep::joined;

/// How often a page is asked for, where AWS doesn't answer properly: what came before it would be asked for again.
const ATTEMPTS: usize = 5;
/// Before the second attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Before the last one.
const LAST_PAUSE: Duration = Duration::from_secs(8);

/// A role that is looked for.
#[derive(Clone, Debug)]
pub struct Target<T> {
    /// Its name.
    pub name: RoleName,
    /// Whether none of the prefixes leads to it.
    pub outside: bool,
    /// Whether it is to have a permissions boundary.
    pub bounded: bool,
    /// What the caller knows it by.
    pub of: T,
}

/// What was found of a role.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// It is so.
    Role(Box<RoleHeader>, RoleContent),
    /// The lists contradict each other, or can't be understood.
    Unclear,
    /// None of the lists shows it.
    Missed,
}

/// What a pass hands on.
pub enum Found<'a, T> {
    /// Of a role that is looked for.
    Target(&'a T, Finding),
    /// One that isn't.
    Other(&'a RoleName, &'a RoleDetails),
}

/// What a pass came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Roles of the account.
    pub roles: usize,
    /// Calls made.
    pub calls: usize,
    /// Most roles on a page of GetAccountAuthorizationDetails.
    pub details_page: usize,
    /// Most roles on a page of ListRoles.
    pub settings_page: usize,
}

/// Why a pass came to nothing. What was found until then holds all the same.
#[derive(Debug)]
pub enum Stopped {
    /// A call failed, also when it was repeated where that may help.
    ByAws(AwsError),
    /// GetAccountAuthorizationDetails leaves boundaries out.
    BoundariesUntold,
}

impl From<AwsError> for Stopped {
    fn from(error: AwsError) -> Self {
        Self::ByAws(error)
    }
}

/// Puts targets into the order that [`run`] needs.
pub fn sort<T>(targets: &mut [Target<T>]) {
    targets.sort_by(|a, b| order(&a.name, &b.name));
}

/// IAM's names are unique without regard to case, so that a role of another case is the one that takes the place.
fn order(a: &RoleName, b: &RoleName) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    let (a, b) = (a.as_str().bytes().map(lower), b.as_str().bytes().map(lower));
    a.cmp(b)
}

/// Goes through the lists. `prefixes` are the paths that ListRoles is asked for. `tells_boundaries` is what is known of
/// the account's list, and is learnt. `tally` counts on also where the pass comes to nothing, or is given up.
pub async fn run<T: Sync>(
    iam: &dyn IamApi,
    targets: &[Target<T>],
    prefixes: &[String],
    tells_boundaries: &mut Option<bool>,
    tally: &mut Tally,
    mut found: impl FnMut(Found<'_, T>) + Send,
) -> Result<(), Stopped> {
    let mut settings = settings(iam, targets, prefixes, tally).await?;
    let mut seen = vec![false; targets.len()];
    let mut marker: Option<String> = None;
    loop {
        let page = patiently(&mut tally.calls, || iam.role_details_page(marker.as_deref())).await?;
        tally.roles += page.items.len();
        tally.details_page = tally.details_page.max(page.items.len());
        for Listed { name, role } in page.items {
            if role
                .as_ref()
                .is_some_and(|role| role.permissions_boundary.is_some())
            {
                *tells_boundaries = Some(true);
            }
            let places = places(targets, &name);
            if places.is_empty()
                && let Some(role) = &role
            {
                found(Found::Other(&name, role));
            }
            for place in places {
                let (Some(target), Some(known)) = (targets.get(place), settings.get_mut(place)) else {
                    continue;
                };
                let finding = match role.clone() {
                    None => Finding::Unclear,
                    Some(role) => {
                        let known = std::mem::replace(known, Setting::Unseen);
                        whole(iam, target, role, known, tells_boundaries, &mut tally.calls).await?
                    }
                };
                seen[place] = true;
                found(Found::Target(&target.of, finding));
            }
        }
        marker = next(marker, page.next)?;
        if marker.is_none() {
            break;
        }
    }
    for (place, target) in targets.iter().enumerate().filter(|(place, _)| !seen[*place]) {
        let finding = match settings.get(place) {
            // On one list and not on the other: created or deleted in between.
            Some(Setting::Seen(_)) => Finding::Unclear,
            _ => Finding::Missed,
        };
        found(Found::Target(&target.of, finding));
    }
    Ok(())
}

/// What ListRoles told of a target.
#[derive(Clone, Debug)]
enum Setting {
    Unseen,
    Seen(Option<RoleSettings>),
}

async fn settings<T: Sync>(
    iam: &dyn IamApi,
    targets: &[Target<T>],
    prefixes: &[String],
    tally: &mut Tally,
) -> Result<Vec<Setting>, Stopped> {
    let mut settings = vec![Setting::Unseen; targets.len()];
    for prefix in prefixes {
        let mut marker: Option<String> = None;
        loop {
            let ask = || iam.role_settings_page(prefix, marker.as_deref());
            let page = patiently(&mut tally.calls, ask).await?;
            tally.settings_page = tally.settings_page.max(page.items.len());
            for Listed { name, role } in page.items {
                for place in places(targets, &name) {
                    if let Some(setting) = settings.get_mut(place) {
                        *setting = Setting::Seen(role.clone());
                    }
                }
            }
            marker = next(marker, page.next)?;
            if marker.is_none() {
                break;
            }
        }
    }
    Ok(settings)
}

/// One role out of both lists; of one that only one of them can show, the rest is read.
async fn whole<T: Sync>(
    iam: &dyn IamApi,
    target: &Target<T>,
    role: RoleDetails,
    known: Setting,
    tells_boundaries: &mut Option<bool>,
    calls: &mut usize,
) -> Result<Finding, Stopped> {
    let doubtful = target.bounded && role.permissions_boundary.is_none() && tells_boundaries.is_none();
    if doubtful {
        *calls += 1;
        match iam.get_role(&target.name).await {
            Ok(header) if header.permissions_boundary.is_some() => {
                *tells_boundaries = Some(false);
                return Err(Stopped::BoundariesUntold);
            }
            // It has none, as the list says.
            Ok(_) => *tells_boundaries = Some(true),
            Err(error) => {
                debug!(role = %target.name, %error, "failed to read a role whose boundary is in doubt")
            }
        }
    }
    let settings = match known {
        Setting::Seen(Some(settings)) => settings,
        Setting::Seen(None) => return Ok(Finding::Unclear),
        Setting::Unseen if !target.outside => return Ok(Finding::Unclear),
        Setting::Unseen => {
            *calls += 1;
            match iam.get_role(&target.name).await {
                Ok(header) => RoleSettings {
                    id: header.id,
                    description: header.description,
                    max_session_duration_seconds: header.max_session_duration_seconds,
                },
                Err(error) => {
                    debug!(role = %target.name, %error, "failed to read a role outside the path");
                    return Ok(Finding::Unclear);
                }
            }
        }
    };
    let whole = joined(role, settings);
    Ok(whole.map_or(Finding::Unclear, |(header, content)| {
        Finding::Role(Box::new(header), content)
    }))
}

/// The places of a name among the targets.
fn places<T>(targets: &[Target<T>], name: &RoleName) -> std::ops::Range<usize> {
    let begin = targets.partition_point(|target| order(&target.name, name) == Ordering::Less);
    let rest = targets.get(begin..).unwrap_or_default();
    let length = rest.partition_point(|target| order(&target.name, name) == Ordering::Equal);
    begin..begin + length
}

/// A list that leads back to where it was would never end.
pub(super) fn next(before: Option<String>, next: Option<String>) -> Result<Option<String>, AwsError> {
    if next.is_some() && next == before {
        return Err(crate::aws::error::classify(
            "GetAccountAuthorizationDetails",
            Some(crate::aws::error::code::UNREADABLE_ANSWER),
            "the list leads back to the page that it came from",
            None,
        ));
    }
    Ok(next)
}

/// Asks again, ever later, where AWS throttles or doesn't answer properly.
pub(super) async fn patiently<A, F>(calls: &mut usize, ask: impl Fn() -> F) -> Result<A, AwsError>
where
    F: Future<Output = Result<A, AwsError>>,
{
    let pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LAST_PAUSE)
        .with_max_times(ATTEMPTS - 1)
        .with_jitter()
        .build();
    for pause in pauses {
        *calls += 1;
        match ask().await {
            Err(error) if passes(error.class) => {
                warn!(%error, "a page of a list couldn't be had and is asked for again");
                tokio::time::sleep(pause).await;
            }
            answer => return answer,
        }
    }
    *calls += 1;
    ask().await
}

fn passes(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Throttled
        | ErrorClass::Transient
        | ErrorClass::NotYetConsistent
        | ErrorClass::Conflict => true,
        ErrorClass::Denied | ErrorClass::Invalid => false,
    }
}
