//! The law among others: somebody else may do anything to the role, its namesakes and the ServiceAccounts between any
//! two steps of ours. Once they stop, all comes to rest as it is wanted, or blocked where the role isn't ours.
//!
//! IAM has no conditional writes, so a role that is swapped between our read and our write could be hit; what keeps
//! us off it is the operator's own IAM policy, which the fake enforces here: no write without the cluster's tag.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::executor::block_on;
use mlservicerole_operator::controller::record::Record;
use mlservicerole_operator::iam::tags;
use mlservicerole_operator::plan::Retention;

use crate::actor::{self, Deed};
use crate::desired::desired;
use crate::dice::Dice;
use crate::invariants;
use crate::observed::observed;
use crate::steps::{Moment, is_own};
use crate::support::fake_iam::FakeRole;
use crate::takeover::{claim_is_refused, ended_as_it_was, is_given_back, is_lost, is_nobodys, may_claim};
use crate::world::{Case, Ended, World};

/// What a case came to.
#[derive(Debug, Default)]
pub struct Tally {
    pub cases: usize,
    pub deeds: usize,
    pub steps: usize,
    pub synced: usize,
    pub released: usize,
    pub blocked: usize,
    /// Roles of nobody's that became the object's.
    pub taken_over: usize,
    /// Roles that ended as they were.
    pub given_back: usize,
    /// Objects that only observed while others acted.
    pub observed: usize,
    /// How often each kind of deed was done.
    pub kinds: BTreeMap<&'static str, usize>,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.cases += other.cases;
        self.deeds += other.deeds;
        self.steps += other.steps;
        self.synced += other.synced;
        self.released += other.released;
        self.blocked += other.blocked;
        self.taken_over += other.taken_over;
        self.given_back += other.given_back;
        self.observed += other.observed;
        for (kind, count) in &other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
    }

    pub fn expect_variety(&self) {
        let few = self.cases / 100;
        let kinds = [self.synced, self.released, self.blocked];
        assert!(kinds.iter().all(|count| *count > few), "{self:?}");
        let rarer = [self.taken_over, self.given_back, self.observed];
        assert!(rarer.iter().all(|count| *count > few / 2), "{self:?}");
        for kind in actor::RARER_KINDS {
            assert!(
                self.kinds.get(kind).is_some_and(|count| *count > few / 4),
                "{kind}: {self:?}"
            );
        }
        assert!(self.deeds > self.cases && self.steps > self.cases, "{self:?}");
    }
}

/// What is watched while a case runs.
struct Watch {
    dice: Dice,
    before: Moment,
    deeds_left: usize,
    deeds: Vec<Deed>,
    steps: usize,
}

pub fn check(seed: u64) -> Tally {
    let mut dice = Dice::new(seed);
    let desired = desired(&mut dice);
    let observed = observed(&mut dice, &desired);
    let case = Case { desired, observed };
    block_on(check_case(&case, dice))
}

async fn check_case(case: &Case, mut dice: Dice) -> Tally {
    let mut world = World::new(case);
    world
        .iam
        .require_tag(tags::CLUSTER, &case.desired.intent.owner.cluster);
    if case.desired.intent.adoption.is_some() {
        world.iam.allow_claim(case.arn());
    }
    let mut record = world.memory();
    let observes = case.desired.departure.is_none() && dice.one_in(6);
    let watch = Mutex::new(Watch {
        deeds_left: 1 + dice.roll(6),
        dice,
        before: Moment::of(&world),
        deeds: Vec::new(),
        steps: 0,
    });
    if observes {
        world.observes = true;
        observe(&world, &watch, &mut record).await;
        world.observes = false;
    }
    let was_claimable = world.role().is_some_and(|role| may_claim(&world, &role));
    let between_steps = || {
        look(&world, &watch, true);
        false
    };
    // While they act, and after a pause long enough for everything to be looked at again, without them.
    world.settle(&mut record, &between_steps, true).await;
    look(&world, &watch, false);
    watch.lock().unwrap_or_else(PoisonError::into_inner).deeds_left = 0;
    let expected = expected(&world, record.knowledge(case.arn().name()).was_ours);
    let goes_back = world.role().filter(|role| {
        world.cluster.object().is_some() && is_own(&world, role) && is_given_back(&world, role)
    });
    let moment = Moment::of(&world);
    world.pass(Duration::from_secs(3_600));
    let drive = world.settle(&mut record, &between_steps, true).await;
    look(&world, &watch, false);
    let watch = watch.into_inner().unwrap_or_else(PoisonError::into_inner);
    let ended = &drive.ended;
    let context = || {
        format!(
            "{expected:?} was expected, it ended in {ended:?} after {:#?}",
            watch.deeds
        )
    };
    match (expected, ended) {
        (Expected::AtRest, Ended::AtRest) => {
            if let Err(wrong) = invariants::is_in_sync(&world, None) {
                panic!("{wrong}; {}", context());
            }
        }
        (Expected::Released { role_stays }, Ended::Released) => {
            assert!(world.cluster.object().is_none());
            assert_eq!(own_role(&world), role_stays, "{}", context());
            if let Some(before) = &goes_back {
                let role = world.role().expect("the role that was given back");
                let now = moment.former(&world, before);
                // One that others took away may have been read before that, or not.
                let once = now.or_else(|| watch.before.former(&world, before));
                let ended = |former| ended_as_it_was(before, former, &role);
                if let Err(wrong) = ended(now).or_else(|_| ended(once)) {
                    panic!("{wrong}; {}", context());
                }
            }
        }
        (Expected::Blocked, Ended::Blocked(_)) => {}
        _ => panic!("{}", context()),
    }
    Tally {
        cases: 1,
        deeds: watch.deeds.len(),
        steps: watch.steps,
        synced: usize::from(expected == Expected::AtRest),
        released: usize::from(matches!(expected, Expected::Released { .. })),
        blocked: usize::from(expected == Expected::Blocked),
        taken_over: usize::from(was_claimable && world.role().is_some_and(|role| is_own(&world, &role))),
        given_back: usize::from(
            world
                .role()
                .is_some_and(|role| is_given_back(&world, &role) && is_nobodys(&role)),
        ),
        observed: usize::from(observes),
        kinds: watch
            .deeds
            .iter()
            .filter_map(|deed| Some((actor::kind(deed)?, 1)))
            .collect(),
    }
}

/// Holds what our last step did against the rules, and lets somebody else act.
fn look(world: &World<'_>, watch: &Mutex<Watch>, is_step: bool) {
    let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
    let watch = &mut *watch;
    let now = Moment::of(world);
    let violations = watch.before.violations(&now, world);
    assert!(violations.is_empty(), "{violations:#?} after {:#?}", watch.deeds);
    watch.before = now.after(&watch.before);
    watch.steps += usize::from(is_step);
    while watch.deeds_left > 0 && watch.dice.one_in(3) {
        watch.deeds_left -= 1;
        let deed = actor::act(&mut watch.dice, world);
        watch.deeds.push(deed);
    }
    watch.before = Moment::after_others(world, &watch.before);
}

/// Looks at things again and again while others act, and changes nothing.
async fn observe(world: &World<'_>, watch: &Mutex<Watch>, record: &mut Record) {
    let object = world.cluster.object();
    for _ in 0..4 {
        look(world, watch, false);
        let before = Moment::of(world);
        world.settle(record, &|| false, true).await;
        assert!(before.is_same(&Moment::of(world)), "written while observing");
        assert!(world.iam.writes().is_empty(), "tried to write while observing");
        assert_eq!(
            world.cluster.object(),
            object,
            "the object was written while observing"
        );
        world.pass(Duration::from_secs(700));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    AtRest,
    Blocked,
    Released { role_stays: bool },
}

/// What it must come to, from how things stand once the others have stopped.
fn expected(world: &World<'_>, was_ours: bool) -> Expected {
    let case = world.case;
    let role = world.role();
    let own = own_role(world);
    match &case.desired.departure {
        Some(departure) => match departure.retain {
            // Let go before: what others did to the role since then is nothing of ours.
            _ if world.cluster.object().is_none() => Expected::Released { role_stays: own },
            Retention::Refused(_) if own => Expected::Blocked,
            Retention::Unsaid if own && role.as_ref().is_some_and(|role| is_lost(world, role)) => {
                Expected::Blocked
            }
            _ => Expected::Released { role_stays: false },
        },
        None => {
            let bounded = role
                .as_ref()
                .is_some_and(|role| role.permissions_boundary.is_some());
            let unbounded_class = case.desired.intent.permissions_boundary.is_none();
            let intent = &case.desired.intent;
            let blocked = match &role {
                None => intent.adoption.is_some_and(|adoption| !adoption.may_create),
                // Whose it was a moment ago, and who took the tags off, is for people to find out.
                Some(role) if may_claim(world, role) => {
                    (was_ours && !was_retained(role)) || claim_is_refused(role, intent)
                }
                Some(_) => !own || (bounded && unbounded_class),
            };
            if blocked {
                Expected::Blocked
            } else {
                Expected::AtRest
            }
        }
    }
}

fn was_retained(role: &FakeRole) -> bool {
    role.tags.contains_key(tags::RETAINED) || role.tags.contains_key(tags::UID)
}

fn own_role(world: &World<'_>) -> bool {
    world.role().is_some_and(|role| is_own(world, &role))
}
