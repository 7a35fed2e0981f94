//! When a gate lets through.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> (Arc<AtomicU64>, Clock) {
    let now = Arc::new(AtomicU64::new(seconds));
    let shared = Arc::clone(&now);
    (
        now,
        Arc::new(move || SECOND * shared.load(Ordering::Relaxed) as u32),
    )
}

#[test]
fn it_is_open_between_its_bounds_only() {
    let (now, clock) = at(0);
    let gate = Gate::shut(clock);
    assert_eq!(gate.pass(), Err(Closed::NotYet));
    gate.open(SECOND * 5, SECOND * 10);
    for (time, expected) in [
        (4, Err(Closed::NotYet)),
        (5, Ok(())),
        (9, Ok(())),
        (10, Err(Closed::Over)),
        (99, Err(Closed::Over)),
    ] {
        now.store(time, Ordering::Relaxed);
        assert_eq!(gate.pass(), expected, "at {time} s");
    }
    gate.open(SECOND * 5, SECOND * 120);
    assert_eq!(gate.pass(), Ok(()), "a later deadline opens it again");
}

#[test]
fn once_shut_for_good_nothing_opens_it() {
    let gate = Gate::shut(at(1).1);
    gate.open(Duration::ZERO, SECOND * 10);
    gate.shut_for_good();
    gate.open(Duration::ZERO, SECOND * 10);
    assert_eq!(gate.pass(), Err(Closed::Over));
    assert_eq!(gate.overdue(), Duration::ZERO);
}

#[test]
fn a_process_that_stands_still_inside_is_not_let_through_afterwards() {
    let (now, _) = at(1);
    let time = Arc::clone(&now);
    let clock: Clock = Arc::new(move || {
        // The pause comes before the clock answers.
        SECOND * time.fetch_add(60, Ordering::Relaxed).saturating_add(60) as u32
    });
    let gate = Gate::shut(clock);
    gate.open(Duration::ZERO, SECOND * 30);
    assert_eq!(gate.pass(), Err(Closed::Over));
}

#[test]
fn without_an_election_it_is_open_for_ever() {
    let gate = Gate::always_open();
    assert_eq!(gate.pass(), Ok(()));
    gate.open(Duration::ZERO, Duration::ZERO);
    assert_eq!(gate.pass(), Ok(()));
    assert_eq!(gate.overdue(), Duration::ZERO);
}

#[test]
fn it_says_for_how_long_its_time_has_been_over() {
    let (now, clock) = at(0);
    let gate = Gate::shut(clock);
    gate.open(Duration::ZERO, SECOND * 10);
    assert_eq!(gate.overdue(), Duration::ZERO);
    now.store(25, Ordering::Relaxed);
    assert_eq!(gate.overdue(), SECOND * 15);
    gate.shut_for_good();
    now.store(26, Ordering::Relaxed);
    gate.shut_for_good();
    assert_eq!(gate.overdue(), SECOND, "since it was shut");
}

#[test]
fn the_clock_goes_on() {
    let clock = boot_clock();
    let before = clock();
    assert!(before > Duration::ZERO);
    std::thread::sleep(Duration::from_millis(2));
    assert!(clock() > before);
}
