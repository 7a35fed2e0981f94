//! What must hold after every step, whatever went before and whatever goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use mlservicerole_operator::api::role::ConflictPolicy;
use mlservicerole_operator::api::{
    BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION, FIELD_MANAGER, PREVIOUS_ROLE_ARN_ANNOTATION,
    ROLE_ARN_ANNOTATION,
};
use mlservicerole_operator::iam::equivalence::equivalent_text;
use mlservicerole_operator::iam::tags;
use mlservicerole_operator::plan::{Retention, RoleIntent};

use crate::observed::BEFORE_ARN;
use crate::support::fake_cluster::FakeServiceAccount;
use crate::support::fake_iam::FakeRole;
use crate::takeover::{
    Records, claim, ended_as_it_was, former, holds_exactly, holds_former, is_adopted, is_given_back,
    is_nobodys, marks_stay, may_claim,
};
use crate::trusted::subjects;
use crate::world::{World, is_placed};

/// How things were before we began.
pub struct Start {
    roles: BTreeMap<String, FakeRole>,
    accounts: BTreeMap<String, FakeServiceAccount>,
    role: Option<FakeRole>,
    /// Records of what roles were.
    records: Records,
    trusted: BTreeSet<String>,
    wanted: BTreeSet<String>,
    /// The last trust policy that was looked at, and whom it lets in.
    latest: Mutex<(String, BTreeSet<String>)>,
}

impl Start {
    pub fn of(world: &World<'_>) -> Self {
        let role = world.role();
        let intent = &world.case.desired.intent;
        let records = world.cluster.former_states();
        let former = role.as_ref().and_then(|role| former(world, role, &records));
        let aim = match former {
            Some(former) => former.trust_policy.clone(),
            None => intent.trust.document().to_json(),
        };
        Start {
            roles: world.iam.snapshot(),
            accounts: world.cluster.service_accounts(),
            trusted: role
                .as_ref()
                .map(|role| subjects(&role.trust))
                .unwrap_or_default(),
            wanted: subjects(&aim),
            latest: Mutex::default(),
            records,
            role,
        }
    }

    fn subjects(&self, trust: &str) -> BTreeSet<String> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.0 != trust {
            *latest = (trust.to_owned(), subjects(trust));
        }
        latest.1.clone()
    }

    /// What doesn't hold now.
    pub fn violations(&self, world: &World<'_>) -> Vec<String> {
        let mut found = Vec::new();
        self.foreign_roles(world, &mut found);
        if let Some(role) = world.role() {
            self.role(world, &role, &mut found);
        }
        self.accounts(world, &mut found);
        found
    }

    /// That nothing at all is different.
    pub fn is_unchanged(&self, world: &World<'_>) -> bool {
        self.roles == world.iam.snapshot()
            && self.accounts == world.cluster.service_accounts()
            && self.records == world.cluster.former_states()
    }

    /// That no role is different, and no record of what one was.
    pub fn has_the_same_roles(&self, world: &World<'_>) -> bool {
        self.roles == world.iam.snapshot() && self.records == world.cluster.former_states()
    }

    fn foreign_roles(&self, world: &World<'_>, found: &mut Vec<String>) {
        let ours = world.case.arn().name().as_str();
        let foreign = self
            .roles
            .iter()
            .filter(|(name, _)| !world.case.observed.ours || *name != ours);
        for (name, then) in foreign {
            if *name == ours && may_claim(world, then) {
                match world.iam.role(name) {
                    Some(now) => claim(then, &now, &world.cluster.former_states(), true, found),
                    None => found.push(format!("role {name}, which was nobody's, was deleted")),
                }
                continue;
            }
            if world.iam.role(name).as_ref() != Some(then) {
                found.push(format!("role {name}, which isn't ours, was changed"));
            }
        }
    }

    fn role(&self, world: &World<'_>, role: &FakeRole, found: &mut Vec<String>) {
        let intent = &world.case.desired.intent;
        let before = self.role.as_ref().filter(|before| before.id == role.id);
        if before.is_some_and(|before| before.permissions_boundary.is_some())
            && role.permissions_boundary.is_none()
        {
            found.push("the boundary was removed".to_owned());
        }
        if before.is_none() {
            let let_go = world.cluster.object().is_none();
            if let_go || !world.cluster.object().is_some_and(|object| is_placed(&object)) {
                found.push("a role was created for an object that can be gone any moment".to_owned());
            }
        }
        if before.is_some_and(|before| !marks_stay(before, role)) {
            found.push("a tag that says whose the role is was taken off".to_owned());
        }
        let leaves = world.case.desired.departure.is_some();
        if before.is_some_and(|before| !leaves && before.instance_profiles != role.instance_profiles) {
            found.push("the role was taken out of an instance profile".to_owned());
        }
        if !self.is_ours(world) {
            return;
        }
        let was_there = before.is_some_and(|before| !world.case.observed.ours || is_adopted(before));
        let former = before.and_then(|before| former(world, before, &self.records));
        let trusted = self.subjects(&role.trust);
        let newcomers: Vec<&String> = match before {
            Some(_) => trusted.difference(&self.trusted).collect(),
            None => trusted.iter().collect(),
        };
        let holds_what_it_should = match former {
            Some(former) => holds_former(former, role),
            None if was_there => holds_exactly(role, intent),
            None => holds_only_wanted(role, intent),
        };
        if !newcomers.is_empty() && !holds_what_it_should {
            found.push(format!(
                "newly trusted {newcomers:?} beside policies that nobody wants them to have"
            ));
        }
        let leavers: Vec<&String> = trusted.difference(&self.wanted).collect();
        // Whoever could use a role that is taken over goes on using it until it holds what it should.
        let goes_on = was_there && former.is_none();
        if !goes_on && !leavers.is_empty() && before.is_none_or(|before| gained(before, role)) {
            found.push(format!(
                "{leavers:?}, who are to lose their trust, were given a policy"
            ));
        }
        let strange: Vec<&String> = trusted
            .iter()
            .filter(|subject| !self.wanted.contains(*subject) && !self.trusted.contains(*subject))
            .collect();
        if !strange.is_empty() {
            found.push(format!("{strange:?} were never wanted"));
        }
    }

    /// Whether the role may be worked on.
    fn is_ours(&self, world: &World<'_>) -> bool {
        let role = self.role.as_ref();
        world.case.observed.ours || role.is_some_and(|role| may_claim(world, role))
    }

    fn accounts(&self, world: &World<'_>, found: &mut Vec<String>) {
        let arn = world.case.arn().to_string();
        let is_it = |role: &FakeRole| role.arn == *world.case.arn();
        let exists = world.role().as_ref().is_some_and(is_it);
        let existed = self.role.as_ref().is_some_and(is_it);
        let now = world.cluster.service_accounts();
        let visible = world.visible();
        for (name, account) in &now {
            let before = self.accounts.get(name).filter(|before| before.uid == account.uid);
            let carried_before =
                before.is_some_and(|before| before.annotation(ROLE_ARN_ANNOTATION) == Some(&arn));
            let visible = visible.iter().any(|sa| sa.name == *name);
            let exempt = carried_before && (!existed || !visible || account.deleting || is_others(account));
            if account.annotation(ROLE_ARN_ANNOTATION) == Some(&arn) && !exists && !exempt {
                found.push(format!(
                    "ServiceAccount {name} points at a role that doesn't exist"
                ));
            }
            let marked = |account: &FakeServiceAccount| {
                account.annotation(BOUND_BY_ANNOTATION) == Some("trainer/uid-1")
                    && account.annotation(ROLE_ARN_ANNOTATION) == Some(&arn)
            };
            let newly_bound = marked(account) && !before.is_some_and(marked);
            if newly_bound && self.is_early(world) {
                found.push(format!(
                    "ServiceAccount {name} was bound before the role that is taken over was in sync"
                ));
            }
            match before {
                Some(before) => self.account(world, name, before, account, found),
                None => self.newcomer(world, name, found),
            }
        }
        for (name, before) in &self.accounts {
            let gone = now.get(name).is_none_or(|account| account.uid != before.uid);
            let only_ours = before.annotation(CREATED_BY_ANNOTATION) == Some("trainer/uid-1")
                && before.annotation(ROLE_ARN_ANNOTATION) == Some(&arn)
                && before.managers() == BTreeSet::from([FIELD_MANAGER])
                && before.secrets == 0;
            let mut rivals = world.case.observed.rivals.iter();
            let is_handed_over = rivals
                .any(|rival| !rival.deleting && rival.service_accounts.iter().any(|listed| listed == name));
            if gone && (!only_ours || is_handed_over) {
                found.push(format!("ServiceAccount {name} was deleted"));
            }
        }
    }

    /// Whether the role was there before the object, and isn't yet as the object wants it.
    fn is_early(&self, world: &World<'_>) -> bool {
        let was_there = |before: &FakeRole| !world.case.observed.ours || is_adopted(before);
        let in_sync = |role: FakeRole| {
            holds_exactly(&role, &world.case.desired.intent) && self.subjects(&role.trust) == self.wanted
        };
        self.role.as_ref().is_some_and(was_there) && !world.role().is_some_and(in_sync)
    }

    fn newcomer(&self, world: &World<'_>, name: &str, found: &mut Vec<String>) {
        let wanted = &world.case.desired.intent.service_accounts;
        let wanted = wanted
            .iter()
            .any(|intent| intent.name == name && format!("{:?}", intent.creation_policy) == "IfMissing");
        if !wanted || world.case.desired.departure.is_some() {
            found.push(format!("ServiceAccount {name} was created"));
        }
    }

    fn account(
        &self,
        world: &World<'_>,
        name: &str,
        before: &FakeServiceAccount,
        now: &FakeServiceAccount,
        found: &mut Vec<String>,
    ) {
        if before.annotation("team") != now.annotation("team") {
            found.push(format!(
                "an annotation of others on ServiceAccount {name} was changed"
            ));
        }
        let arn = world.case.arn().to_string();
        let value = before.annotation(ROLE_ARN_ANNOTATION);
        let ours = before
            .annotation(BOUND_BY_ANNOTATION)
            .is_some_and(|by| by.starts_with("trainer/"));
        let theirs = value.is_some_and(|value| value != arn && !value.is_empty()) && !ours;
        if !theirs && !before.deleting || before == now {
            return;
        }
        if before.deleting || !replaces(world, name, before) {
            if but_for_our_arn_as_a_record(before, &arn) == but_for_our_arn_as_a_record(now, &arn) {
                return;
            }
            found.push(format!("ServiceAccount {name}, which isn't ours, was changed"));
            return;
        }
        // Under a marker stands what an object wrote; else what was replaced is remembered.
        let record = match before.annotation(BOUND_BY_ANNOTATION) {
            Some(by) if by.contains('/') => before.annotation(PREVIOUS_ROLE_ARN_ANNOTATION),
            _ => value,
        };
        if now.annotation(ROLE_ARN_ANNOTATION) != Some(&arn)
            || now.annotation(PREVIOUS_ROLE_ARN_ANNOTATION) != record
        {
            found.push(format!("what ServiceAccount {name} carried was lost: {now:?}"));
        }
        let intent = &world.case.desired.intent;
        let in_sync = world.role().is_some_and(|role| {
            role.attached == intent.attached
                && role.inline.len() == intent.inline.len()
                && holds_only_wanted(&role, intent)
                && subjects(&role.trust) == self.wanted
        });
        if !in_sync {
            found.push(format!(
                "the ARN on ServiceAccount {name} was replaced before the role was in sync"
            ));
        }
    }
}

/// A ServiceAccount without a record of an ARN whose role is about to be deleted: nobody may put that back.
fn but_for_our_arn_as_a_record(account: &FakeServiceAccount, arn: &str) -> FakeServiceAccount {
    let mut account = account.clone();
    account.version = 0;
    if account.annotation(PREVIOUS_ROLE_ARN_ANNOTATION) == Some(arn) {
        account.annotations.remove(PREVIOUS_ROLE_ARN_ANNOTATION);
    }
    account
}

/// Whether the object may replace the ARN that a ServiceAccount carries.
fn replaces(world: &World<'_>, name: &str, before: &FakeServiceAccount) -> bool {
    let desired = &world.case.desired;
    let mut wanted = desired.intent.service_accounts.iter();
    let replaces =
        wanted.any(|intent| intent.name == name && intent.conflict_policy == ConflictPolicy::Replace);
    let mut rivals = world.case.observed.rivals.iter();
    let holder = before.annotation(BOUND_BY_ANNOTATION).unwrap_or_default();
    let is_rivals = rivals.any(|rival| holder == format!("{}/{}", rival.name, rival.uid));
    replaces && desired.departure.is_none() && !is_rivals
}

/// What was there before the object is there again, where the ServiceAccount carried the object's ARN until now.
///
/// `predates`: that may be this very ARN, and the role stays.
fn has_back_what_it_had(
    name: &str,
    before: &FakeServiceAccount,
    now: &FakeServiceAccount,
    arn: &str,
    predates: bool,
) -> Result<(), String> {
    let marked = before
        .annotation(BOUND_BY_ANNOTATION)
        .is_some_and(|by| by.starts_with("trainer/"));
    let bound = marked && before.annotation(ROLE_ARN_ANNOTATION) == Some(arn) && !before.deleting;
    let record = before
        .annotation(PREVIOUS_ROLE_ARN_ANNOTATION)
        .filter(|record| *record == BEFORE_ARN || (predates && *record == arn));
    match bound && now.annotation(ROLE_ARN_ANNOTATION) != record {
        true => Err(format!("ServiceAccount {name} should carry {record:?}: {now:?}")),
        false => Ok(()),
    }
}

/// Marked by an object that lives.
fn is_others(account: &FakeServiceAccount) -> bool {
    account
        .annotation(BOUND_BY_ANNOTATION)
        .is_some_and(|by| by.starts_with("rival/"))
}

pub fn holds_only_wanted(role: &FakeRole, intent: &RoleIntent) -> bool {
    let boundary = intent.permissions_boundary.as_ref().map(ToString::to_string);
    role.attached.is_subset(&intent.attached)
        && role.permissions_boundary == boundary
        && role.inline.iter().all(|(name, found)| {
            let wanted = intent.inline.get(name);
            wanted.is_some_and(|wanted| equivalent_text(wanted, found))
        })
}

/// Whether a role has a policy that it didn't have.
pub fn gained(before: &FakeRole, now: &FakeRole) -> bool {
    !now.attached.is_subset(&before.attached)
        || now
            .inline
            .iter()
            .any(|(name, document)| before.inline.get(name) != Some(document))
}

/// That the world is as the case wants it, once all is done.
pub fn is_as_wanted(world: &World<'_>, start: &Start) -> Result<(), String> {
    match &world.case.desired.departure {
        Some(departure) => is_left_behind(world, start, &departure.retain),
        None => is_in_sync(world, Some(start)),
    }
}

/// Without others, what was on ServiceAccounts before is there again.
pub fn is_in_sync(world: &World<'_>, start: Option<&Start>) -> Result<(), String> {
    let intent = &world.case.desired.intent;
    let role = world.role().ok_or("there is no role")?;
    let folded = |tags: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        let tags = tags
            .iter()
            .filter(|(key, _)| !key.starts_with("aws:") && *key != tags::ADOPTED);
        tags.map(|(key, value)| (key.to_lowercase(), value.clone()))
            .collect()
    };
    let inline_names = |names: BTreeSet<&String>| names == intent.inline.keys().collect();
    let object = world.cluster.object().ok_or("the object is gone")?;
    for (what, holds) in [
        ("finalizer and placement", is_placed(&object)),
        (
            "trust",
            subjects(&role.trust) == subjects(&intent.trust.document().to_json()),
        ),
        ("policies", holds_only_wanted(&role, intent)),
        ("attachments", role.attached == intent.attached),
        ("inline policies", inline_names(role.inline.keys().collect())),
        ("description", role.description == intent.description),
        (
            "session duration",
            role.max_session_duration_seconds == intent.max_session_duration_seconds,
        ),
        ("tags", folded(&role.tags) == folded(&intent.tags)),
    ] {
        if !holds {
            return Err(format!("not as wanted: {what}"));
        }
    }
    let found = world.visible();
    let verdicts = mlservicerole_operator::plan::bind(intent, world.around(&found)).verdicts;
    let accounts = world.cluster.service_accounts();
    let arn = intent.arn().to_string();
    for verdict in verdicts.iter().filter(|verdict| verdict.problem.is_none()) {
        let account = accounts.get(&verdict.name).ok_or("a ServiceAccount is missing")?;
        let marked = account.annotation(BOUND_BY_ANNOTATION) == Some("trainer/uid-1");
        if account.annotation(ROLE_ARN_ANNOTATION) != Some(&arn) || !marked {
            return Err(format!("ServiceAccount {} isn't bound", verdict.name));
        }
    }
    for (name, account) in &accounts {
        let wanted = intent.service_accounts.iter().any(|intent| intent.name == *name);
        if !wanted {
            is_free(name, account, &arn, false)?;
            if let Some(before) = start
                .and_then(|start| start.accounts.get(name))
                .filter(|before| before.uid == account.uid)
            {
                has_back_what_it_had(name, before, account, &arn, intent.arn_predates_us)?;
            }
        }
    }
    let claimed = start
        .and_then(|start| start.role.as_ref())
        .is_some_and(is_nobodys);
    if claimed && !is_adopted(&role) {
        return Err("nothing says that the role was taken over".to_owned());
    }
    Ok(())
}

/// That nothing of ours is on a ServiceAccount.
fn is_free(name: &str, account: &FakeServiceAccount, arn: &str, retained: bool) -> Result<(), String> {
    let by = account.annotation(BOUND_BY_ANNOTATION);
    let marked = by.is_some_and(|by| by.starts_with("trainer/"));
    // An annotation with our ARN that somebody else wrote on a ServiceAccount that nobody asked for is theirs.
    let points = marked && !retained && account.annotation(ROLE_ARN_ANNOTATION) == Some(arn);
    if (marked || points) && !account.deleting {
        return Err(format!("ServiceAccount {name} is still ours"));
    }
    Ok(())
}

fn is_left_behind(world: &World<'_>, start: &Start, retention: &Retention) -> Result<(), String> {
    let retained = *retention == Retention::Retain;
    let given_back = start.role.as_ref().filter(|role| is_given_back(world, role));
    let goes = world.case.observed.ours && start.role.is_some() && given_back.is_none();
    let predates = *retention == Retention::Unsaid && !goes;
    let arn = world.case.arn().to_string();
    for (name, account) in &world.cluster.service_accounts() {
        is_free(name, account, &arn, retained)?;
        let before = start.accounts.get(name);
        if let Some(before) = before.filter(|before| !retained && before.uid == account.uid) {
            has_back_what_it_had(name, before, account, &arn, predates)?;
        }
        let value = before.and_then(|before| before.annotation(ROLE_ARN_ANNOTATION));
        if retained && account.annotation(ROLE_ARN_ANNOTATION) != value && start.role.is_some() {
            return Err(format!(
                "ServiceAccount {name} lost the annotation of a retained role"
            ));
        }
    }
    if !world.case.observed.ours {
        return Ok(());
    }
    let role = world.role();
    if let (Some(before), Some(role)) = (given_back, &role) {
        return ended_as_it_was(before, former(world, before, &start.records), role);
    }
    match &start.role {
        Some(before) if retained => {
            let mut wanted = before.clone();
            // Where IAM takes no further tag, the mark stands in the place of the uid.
            let mark = match wanted.tags.len() {
                50 => (tags::UID, "retained"),
                _ => (tags::RETAINED, "true"),
            };
            wanted.tags.insert(mark.0.to_owned(), mark.1.to_owned());
            match role {
                Some(role) if role == wanted => Ok(()),
                other => Err(format!("the role isn't retained as it stands: {other:?}")),
            }
        }
        _ if role.is_some() => Err("the role is still there".to_owned()),
        _ => Ok(()),
    }
}
