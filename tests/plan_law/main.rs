//! The plan law: for one generation, no foreign actor, and not blocked, from any observed state, after executing
//! the plan the next plan is empty, also when the run was cut after any step.
//!
//! Each case is a random pair of what is wanted and what is found, made from a seed that a failure prints. It is
//! run through the real planner and the real executor on a fake of IAM and a fake of the cluster: once to the end;
//! cut after every step, by a process that goes on and by one that begins anew; and with calls that fail or lose
//! their answers. After every step the invariants are checked.
//!
//! `PLAN_LAW_CASES` says how many (10,000 unless said), `PLAN_LAW_SEED` where to begin.

// clippy.toml allows them in test functions only, not in what test functions share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod actor;
mod before;
mod desired;
mod dice;
mod faults;
mod foreign;
mod invariants;
mod law;
mod observed;
mod steps;
mod takeover;
mod trusted;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

/// Runs every seed in turn on all cores, and adds up what they came to.
fn for_each_seed<T: Default + Send>(test: &str, check: fn(u64) -> T, add: fn(&mut T, &T)) -> (u64, T) {
    let first = setting("PLAN_LAW_SEED", 0);
    let cases = setting("PLAN_LAW_CASES", 10_000);
    if cases == 1 {
        // Somebody looks into a case: let the executor tell what it does.
        let _ = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .try_init();
    }
    let next = AtomicU64::new(first);
    let tally = Mutex::new(T::default());
    let failed = Mutex::new(None);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let stop = failed.lock().unwrap_or_else(PoisonError::into_inner).is_some();
            if seed >= first + cases || stop {
                return;
            }
            match catch_unwind(AssertUnwindSafe(|| check(seed))) {
                Ok(one) => add(&mut tally.lock().unwrap_or_else(PoisonError::into_inner), &one),
                Err(_) => *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(seed),
            }
        }
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    if let Some(seed) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        panic!("seed {seed} fails: PLAN_LAW_SEED={seed} PLAN_LAW_CASES=1 cargo test --test plan_law {test}");
    }
    (cases, tally.into_inner().unwrap_or_else(PoisonError::into_inner))
}

#[test]
fn after_the_plan_the_next_plan_is_empty_wherever_the_run_was_cut() {
    let test = "after_the_plan_the_next_plan_is_empty_wherever_the_run_was_cut";
    let (cases, tally) = for_each_seed(test, law::check, law::Tally::add);
    println!("{tally:?}");
    if cases >= 1_000 {
        tally.expect_variety();
    }
}

#[test]
fn whatever_others_do_between_two_steps_nothing_of_theirs_is_changed_and_it_comes_to_rest() {
    let test = "whatever_others_do_between_two_steps_nothing_of_theirs_is_changed_and_it_comes_to_rest";
    let (cases, tally) = for_each_seed(test, foreign::check, foreign::Tally::add);
    println!("{tally:?}");
    if cases >= 1_000 {
        tally.expect_variety();
    }
}
