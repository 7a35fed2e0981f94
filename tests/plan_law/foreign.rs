//! The law among others: somebody else may do anything to the role, its namesakes and the ServiceAccounts between any
//! two steps of ours. Once they stop, all comes to rest as it is wanted, or blocked where the role isn't ours.
//!
//! IAM has no conditional writes, so a role that is swapped between our read and our write could be hit; what keeps
//! us off it is the operator's own IAM policy, which the fake enforces here: no write without the cluster's tag.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::executor::block_on;
use mlservicerole_operator::iam::tags;
use mlservicerole_operator::plan::Retention;

use crate::actor::{self, Deed};
use crate::desired::desired;
use crate::dice::Dice;
use crate::invariants;
use crate::observed::observed;
use crate::steps::{Moment, is_own};
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
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.cases += other.cases;
        self.deeds += other.deeds;
        self.steps += other.steps;
        self.synced += other.synced;
        self.released += other.released;
        self.blocked += other.blocked;
    }

    pub fn expect_variety(&self) {
        let few = self.cases / 100;
        let kinds = [self.synced, self.released, self.blocked];
        assert!(kinds.iter().all(|count| *count > few), "{self:?}");
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
    let world = World::new(case);
    world
        .iam
        .require_tag(tags::CLUSTER, &case.desired.intent.owner.cluster);
    let mut record = world.memory();
    let watch = Mutex::new(Watch {
        deeds_left: 1 + dice.roll(6),
        dice,
        before: Moment::of(&world),
        deeds: Vec::new(),
        steps: 0,
    });
    let between_steps = || {
        look(&world, &watch, true);
        false
    };
    // While they act, and after a pause long enough for everything to be looked at again, without them.
    world.settle(&mut record, &between_steps, true).await;
    look(&world, &watch, false);
    watch.lock().unwrap_or_else(PoisonError::into_inner).deeds_left = 0;
    let expected = expected(&world);
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    AtRest,
    Blocked,
    Released { role_stays: bool },
}

/// What it must come to, from how things stand once the others have stopped.
fn expected(world: &World<'_>) -> Expected {
    let case = world.case;
    let role = world.role();
    let own = own_role(world);
    match &case.desired.departure {
        Some(departure) => match departure.retain {
            // Let go before: what others did to the role since then is nothing of ours.
            _ if world.cluster.object().is_none() => Expected::Released { role_stays: own },
            Retention::Refused(_) if own => Expected::Blocked,
            _ => Expected::Released { role_stays: false },
        },
        None => {
            let bounded = role
                .as_ref()
                .is_some_and(|role| role.permissions_boundary.is_some());
            let unbounded_class = case.desired.intent.permissions_boundary.is_none();
            if role.is_some() && (!own || (bounded && unbounded_class)) {
                Expected::Blocked
            } else {
                Expected::AtRest
            }
        }
    }
}

fn own_role(world: &World<'_>) -> bool {
    world.role().is_some_and(|role| is_own(world, &role))
}
