//! One case: the law, and the invariants at every cut.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::executor::block_on;
use mlservicerole_operator::controller::record::Record;
use mlservicerole_operator::plan::Retention;

use crate::desired::desired;
use crate::dice::Dice;
use crate::faults;
use crate::invariants::{Start, is_as_wanted};
use crate::observed::observed;
use crate::world::{Case, Drive, Ended, World};

/// How many cases came to what, so that nobody trusts a test whose cases are all alike.
#[derive(Debug, Default)]
pub struct Tally {
    cases: usize,
    cuts: usize,
    synced: usize,
    created: usize,
    already_right: usize,
    released: usize,
    blocked: usize,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.cases += other.cases;
        self.cuts += other.cuts;
        self.synced += other.synced;
        self.created += other.created;
        self.already_right += other.already_right;
        self.released += other.released;
        self.blocked += other.blocked;
    }

    pub fn expect_variety(&self) {
        let few = self.cases / 100;
        let kinds = [self.synced, self.created, self.released, self.blocked];
        assert!(kinds.iter().all(|count| *count > few), "{self:?}");
        assert!(self.cuts > 3 * self.cases, "{self:?}");
    }
}

/// What a case must come to, by how it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    AtRest,
    Blocked,
    Released,
}

fn expected(case: &Case) -> Expected {
    let role = case.observed.role.as_ref();
    match &case.desired.departure {
        Some(departure) => {
            let undecided = matches!(departure.retain, Retention::Refused(_));
            if undecided && role.is_some() && case.observed.ours {
                Expected::Blocked
            } else {
                Expected::Released
            }
        }
        None => {
            let bounded = role.is_some_and(|role| role.permissions_boundary.is_some());
            if !case.observed.ours || (bounded && case.desired.intent.permissions_boundary.is_none()) {
                Expected::Blocked
            } else {
                Expected::AtRest
            }
        }
    }
}

pub fn check(seed: u64) -> Tally {
    let mut dice = Dice::new(seed);
    let desired = desired(&mut dice);
    let observed = observed(&mut dice, &desired);
    let case = Case { desired, observed };
    block_on(check_case(&case, &mut dice))
}

async fn check_case(case: &Case, dice: &mut Dice) -> Tally {
    let expected = expected(case);
    let start = &Start::of(&World::new(case));
    let steps = whole(case, start, expected).await;
    let parity = dice.roll(2);
    for after in 1..steps {
        // By a process that begins anew, and by one that goes on, in turns.
        cut(case, start, expected, after, after % 2 == parity).await;
    }
    with_faults(case, start, expected, dice).await;
    let absent = case.observed.role.is_none();
    Tally {
        cases: 1,
        cuts: steps.saturating_sub(1),
        synced: usize::from(expected == Expected::AtRest),
        created: usize::from(expected == Expected::AtRest && absent),
        already_right: usize::from(expected == Expected::AtRest && steps == 0),
        released: usize::from(expected == Expected::Released),
        blocked: usize::from(expected == Expected::Blocked),
    }
}

/// Runs to the end; the number of steps that it took.
async fn whole(case: &Case, start: &Start, expected: Expected) -> usize {
    let world = World::new(case);
    let mut record = world.memory();
    let steps = AtomicUsize::new(0);
    let before_step = || {
        steps.fetch_add(1, Ordering::Relaxed);
        hold(start, &world);
        false
    };
    let drive = world.settle(&mut record, &before_step, false).await;
    at_end(start, &world, expected, &drive);
    one_plan(&drive);
    again(start, &world, expected, &mut record).await;
    steps.into_inner()
}

/// Runs until so many steps are done, and then goes on, with what the process knows or from nothing.
async fn cut(case: &Case, start: &Start, expected: Expected, after: usize, restarts: bool) {
    let world = World::new(case);
    let mut record = world.memory();
    let steps = AtomicUsize::new(0);
    let stop = || steps.fetch_add(1, Ordering::Relaxed) >= after;
    let drive = world.settle(&mut record, &stop, false).await;
    assert_eq!(drive.ended, Ended::Cut);
    if restarts {
        record = Record::default();
    }
    let go_on = || {
        hold(start, &world);
        false
    };
    let drive = world.settle(&mut record, &go_on, false).await;
    at_end(start, &world, expected, &drive);
    one_plan(&drive);
}

/// Runs while calls fail and answers get lost, until that stops.
async fn with_faults(case: &Case, start: &Start, expected: Expected, dice: &mut Dice) {
    let world = World::new(case);
    faults::plant(dice, &world);
    let mut record = world.memory();
    let before_step = || {
        hold(start, &world);
        false
    };
    let drive = world.settle(&mut record, &before_step, true).await;
    at_end(start, &world, expected, &drive);
    world.iam.heal();
    world.cluster.heal();
    again(start, &world, expected, &mut record).await;
}

/// At rest it stays at rest, also for a process that begins anew: nothing is written any more.
async fn again(start: &Start, world: &World<'_>, expected: Expected, record: &mut Record) {
    if expected == Expected::Blocked {
        return;
    }
    for mut record in [std::mem::take(record), Record::default()] {
        let before = (world.iam.writes().len(), world.cluster.calls().len());
        let drive = world.settle(&mut record, &|| false, false).await;
        at_end(start, world, expected, &drive);
        // A process that begins anew may not see a new role yet, and learns of it by an attempt to create it.
        assert_eq!(drive.plans, drive.surprises, "the next plan isn't empty");
        let after = (world.iam.writes().len(), world.cluster.calls().len());
        assert_eq!(after, (before.0 + drive.surprises, before.1));
    }
}

fn hold(start: &Start, world: &World<'_>) {
    let violations = start.violations(world);
    assert!(violations.is_empty(), "{violations:#?}");
}

fn at_end(start: &Start, world: &World<'_>, expected: Expected, drive: &Drive) {
    hold(start, world);
    match (&drive.ended, expected) {
        (Ended::AtRest, Expected::AtRest) | (Ended::Released, Expected::Released) => {
            is_as_wanted(world, start).unwrap();
        }
        (Ended::Blocked(_), Expected::Blocked) => {
            assert!(
                start.is_unchanged(world),
                "something was done though all is blocked"
            );
        }
        (ended, expected) => panic!("{expected:?} was expected, it ended in {ended:?}"),
    }
}

/// One plan does it, but for what only the attempt can show: that a name is taken.
///
/// An object that goes has two: its annotations, which need nothing of AWS, and then the role.
fn one_plan(drive: &Drive) {
    let allowed = if drive.ended == Ended::Released { 2 } else { 1 };
    assert!(drive.plans <= allowed + drive.surprises, "{drive:?}");
}
