//! One case: the law, and the invariants at every cut.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use futures::executor::block_on;
use mlservicerole_operator::controller::record::Record;
use mlservicerole_operator::plan::{Retention, Step};

use crate::desired::desired;
use crate::dice::Dice;
use crate::faults;
use crate::invariants::{Start, is_as_wanted};
use crate::observed::observed;
use crate::support::fake_iam::FakeRole;
use crate::takeover::{claim_is_refused, former, is_adopted, is_given_back, is_lost};
use crate::world::{Case, Drive, Ended, World};

/// How many cases came to what, so that nobody trusts a test whose cases are all alike.
#[derive(Debug, Default)]
pub struct Tally {
    cases: usize,
    cuts: usize,
    synced: usize,
    created: usize,
    released: usize,
    blocked: usize,
    /// Live objects that may take a role of nobody's over.
    taken_over: usize,
    /// Those that may not, for what the role is like.
    refused: usize,
    /// Roles that end as they were, with and without a record of that.
    given_back: usize,
    unrecorded: usize,
    profiles: usize,
    observed: usize,
    /// Steps that were told, and then taken.
    told: usize,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.cases += other.cases;
        self.cuts += other.cuts;
        self.synced += other.synced;
        self.created += other.created;
        self.released += other.released;
        self.blocked += other.blocked;
        self.taken_over += other.taken_over;
        self.refused += other.refused;
        self.given_back += other.given_back;
        self.unrecorded += other.unrecorded;
        self.profiles += other.profiles;
        self.observed += other.observed;
        self.told += other.told;
    }

    pub fn expect_variety(&self) {
        let few = self.cases / 100;
        let kinds = [self.synced, self.created, self.released, self.blocked];
        assert!(kinds.iter().all(|count| *count > few), "{self:?}");
        let rarer = [
            self.taken_over,
            self.refused,
            self.given_back,
            self.unrecorded,
            self.profiles,
        ];
        assert!(rarer.iter().all(|count| *count > few / 4), "{self:?}");
        assert!(self.observed > few && self.told > self.observed, "{self:?}");
        assert!(self.cuts > 3 * self.cases, "{self:?}");
    }
}

/// What a case must come to, by how it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    AtRest,
    Blocked,
    /// Blocked with the role as it was, once the ServiceAccounts are let go.
    Kept,
    Released,
}

fn expected(case: &Case) -> Expected {
    let role = case.observed.role.as_ref();
    match &case.desired.departure {
        Some(departure) => {
            let undecided = matches!(departure.retain, Retention::Refused(_));
            let own = role.filter(|_| case.observed.ours);
            if undecided && own.is_some() {
                Expected::Blocked
            } else if own.is_some_and(|role| is_lost(&World::new(case), role)) {
                Expected::Kept
            } else {
                Expected::Released
            }
        }
        None => {
            let intent = &case.desired.intent;
            let bounded = role.is_some_and(|role| role.permissions_boundary.is_some());
            let blocked = match (role, intent.adoption) {
                (None, Some(adoption)) => !adoption.may_create,
                (Some(role), Some(_)) if case.observed.nobodys => claim_is_refused(role, intent),
                _ => !case.observed.ours || (bounded && intent.permissions_boundary.is_none()),
            };
            if blocked {
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
    let whole = whole(case, start, expected).await;
    let steps = whole.steps;
    for after in 1..steps {
        // Mostly by a process that begins anew, else by one that goes on.
        let (mut world, record) = match dice.one_in(4) {
            false => (whole.cuts[after].fork(), Record::default()),
            true => cut(case, after).await,
        };
        // Where the rest of the plan is planned again, the rest of the run is the one that was seen.
        if let Some(plan) = whole.plan.as_ref().filter(|_| !dice.one_in(16)) {
            world.spare(&plan[after..]);
        }
        go_on(start, &world, record, expected).await;
    }
    if dice.one_in(3) {
        with_faults(case, start, expected, dice).await;
    }
    let told = match case.desired.departure {
        None if dice.one_in(3) => Some(only_told(case, start, expected).await),
        _ => None,
    };
    let role = case.observed.role.as_ref();
    let claims =
        case.observed.nobodys && case.desired.departure.is_none() && case.desired.intent.adoption.is_some();
    let world = World::new(case);
    let given_back = role.is_some_and(|role| case.observed.ours && is_given_back(&world, role));
    let recorded = role.is_some_and(|role| former(&world, role, &world.cluster.former_states()).is_some());
    let absent = case.observed.role.is_none();
    Tally {
        cases: 1,
        cuts: steps.saturating_sub(1),
        synced: usize::from(expected == Expected::AtRest),
        created: usize::from(expected == Expected::AtRest && absent),
        released: usize::from(expected == Expected::Released),
        blocked: usize::from(matches!(expected, Expected::Blocked | Expected::Kept)),
        taken_over: usize::from(claims && expected == Expected::AtRest),
        refused: usize::from(claims && expected == Expected::Blocked),
        given_back: usize::from(given_back && recorded),
        unrecorded: usize::from(given_back && !recorded),
        profiles: usize::from(role.is_some_and(|role| !role.instance_profiles.is_empty())),
        observed: usize::from(told.is_some()),
        told: told.unwrap_or_default(),
    }
}

/// A run to the end.
struct Whole<'a> {
    /// How many steps were tried.
    steps: usize,
    /// The world before each of them.
    cuts: Vec<World<'a>>,
    /// All steps, where one plan did it without a surprise.
    plan: Option<Vec<Step>>,
}

/// Runs to the end.
async fn whole<'a>(case: &'a Case, start: &Start, expected: Expected) -> Whole<'a> {
    let world = World::new(case);
    let mut record = world.memory();
    let cuts = Mutex::new(Vec::new());
    let before_step = || {
        hold(start, &world);
        let mut cuts = cuts.lock().unwrap_or_else(PoisonError::into_inner);
        cuts.push(world.fork());
        false
    };
    let drive = world.settle(&mut record, &before_step, false).await;
    at_end(start, &world, expected, &drive);
    one_plan(case, &drive);
    again(&world, expected, &mut record).await;
    let cuts = cuts.into_inner().unwrap_or_else(PoisonError::into_inner);
    let one =
        drive.plans == 1 && drive.surprises == 0 && !matches!(expected, Expected::Blocked | Expected::Kept);
    Whole {
        steps: cuts.len(),
        plan: one.then(|| world.begun()),
        cuts,
    }
}

/// Runs until so many steps are done; the world then, and what the process knows.
async fn cut(case: &Case, after: usize) -> (World<'_>, Record) {
    let world = World::new(case);
    let mut record = world.memory();
    let steps = AtomicUsize::new(0);
    let stop = || steps.fetch_add(1, Ordering::Relaxed) >= after;
    let drive = world.settle(&mut record, &stop, false).await;
    assert_eq!(drive.ended, Ended::Cut);
    (world, record)
}

/// Goes on after a cut.
async fn go_on(start: &Start, world: &World<'_>, mut record: Record, expected: Expected) {
    let before_step = || {
        hold(start, world);
        false
    };
    let drive = world.settle(&mut record, &before_step, false).await;
    if drive.ended != Ended::AsBefore {
        at_end(start, world, expected, &drive);
    }
    one_plan(world.case, &drive);
}

/// While the object observes nothing is written, and what it tells is what is done once it doesn't. Told is how many
/// steps that were.
async fn only_told(case: &Case, start: &Start, expected: Expected) -> usize {
    let mut world = World::new(case);
    world.observes = true;
    let mut record = world.memory();
    let object = world.cluster.object();
    let observing = world.settle(&mut record, &|| false, false).await;
    assert!(
        start.is_unchanged(&world) && world.cluster.object() == object,
        "written while observing"
    );
    assert!(world.iam.writes().is_empty(), "tried to write while observing");
    if let Ended::Told(steps) = &observing.ended {
        let creates = steps.iter().any(|step| matches!(step, Step::CreateRole(_)));
        assert!(
            !creates || world.role().is_none(),
            "told to be created, and it is there"
        );
    }
    world.observes = false;
    let before_step = || {
        hold(start, &world);
        false
    };
    let drive = world.settle(&mut record, &before_step, false).await;
    at_end(start, &world, expected, &drive);
    let done = world.begun();
    match observing.ended {
        Ended::Told(steps) => {
            if drive.surprises == 0 {
                let named = |steps: &[Step]| -> Vec<String> {
                    let names = steps
                        .iter()
                        .map(|step| format!("{} {}", step.action(), step.target()));
                    names.collect()
                };
                assert_eq!(named(&steps), named(&done), "what was told isn't what was done");
                assert_eq!(steps, done, "what was told isn't what was done");
            }
            steps.len()
        }
        ended => {
            assert_eq!(ended, drive.ended);
            assert_eq!(done, [], "done without having been told");
            0
        }
    }
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
    again(&world, expected, &mut record).await;
}

/// At rest it stays at rest, also for a process that begins anew: nothing is written any more.
async fn again(world: &World<'_>, expected: Expected, record: &mut Record) {
    if matches!(expected, Expected::Blocked | Expected::Kept) {
        return;
    }
    for mut record in [std::mem::take(record), Record::default()] {
        let before = (world.iam.writes().len(), world.cluster.calls().len());
        let drive = world.settle(&mut record, &|| false, false).await;
        assert!(
            matches!(drive.ended, Ended::AtRest | Ended::Released),
            "{drive:?}"
        );
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
        (Ended::Blocked(_), Expected::Kept) => {
            assert!(
                start.has_the_same_roles(world),
                "a role was changed that nobody can give back"
            );
        }
        (ended, expected) => panic!("{expected:?} was expected, it ended in {ended:?}"),
    }
}

/// One plan does it, but for what only the attempt can show: that a name is taken.
///
/// An object that goes has three: its annotations, which need nothing of AWS; those of which only a look at the role
/// tells whether they stay; and then the role.
/// A role that was there before its object has two: what it holds, and, once a read has shown that, who gets in.
fn one_plan(case: &Case, drive: &Drive) {
    let was_there = |role: &FakeRole| case.observed.nobodys || is_adopted(role);
    let allowed = match drive.ended {
        Ended::Released => 3,
        _ if case.observed.role.as_ref().is_some_and(was_there) => 2,
        _ => 1,
    };
    assert!(drive.plans <= allowed + drive.surprises, "{drive:?}");
}
