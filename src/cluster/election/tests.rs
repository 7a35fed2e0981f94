//! What candidates and leaders do, and that no two of them work at once.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use proptest::prelude::*;

use super::*;

const S: Duration = Duration::from_secs(1);
const TERMS: Terms = Terms {
    lease_duration: Duration::from_secs(30),
    renew_deadline: Duration::from_secs(15),
    retry_period: Duration::from_secs(3),
    request_timeout: Duration::from_secs(10),
};

fn held(by: &str, renewal: i64) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(by.to_owned()),
        lease_duration_seconds: Some(30),
        renew_time: Some(MicroTime(jiff::Timestamp::from_second(renewal).unwrap())),
        ..Default::default()
    }
}

fn candidate() -> Candidate {
    Candidate::new("me".to_owned(), TERMS)
}

#[test]
fn terms_that_let_two_work_at_once_are_refused_with_the_flag_to_change() {
    assert_eq!(TERMS.check(), Ok(()));
    for (terms, flag) in [
        (
            Terms {
                lease_duration: S * 3601,
                ..TERMS
            },
            "it may be 3600 s at most",
        ),
        (
            Terms {
                renew_deadline: S * 30,
                ..TERMS
            },
            "--leader-elect-renew-deadline (30 s) must be less than",
        ),
        (
            Terms {
                retry_period: S * 15,
                ..TERMS
            },
            "--leader-elect-retry-period (15 s) must be less than",
        ),
        (
            Terms {
                request_timeout: S * 15,
                ..TERMS
            },
            "--request-timeout (15 s) must be less than",
        ),
    ] {
        let problem = terms.check().unwrap_err();
        assert!(problem.contains(flag), "{problem}");
    }
}

#[test]
fn a_lease_that_nobody_holds_is_taken_at_once() {
    assert_eq!(candidate().decide(None, S), Decision::Take(After::Release));
    for spec in [LeaseSpec::default(), held("", 1)] {
        assert_eq!(candidate().decide(Some(&spec), S), Decision::Take(After::Release));
    }
}

#[test]
fn a_lease_expires_when_it_was_seen_unchanged_for_its_duration() {
    let mut candidate = candidate();
    assert_eq!(
        candidate.decide(Some(&held("a", 1)), S * 100),
        Decision::Wait(S * 3)
    );
    assert_eq!(
        candidate.decide(Some(&held("a", 1)), S * 128),
        Decision::Wait(S * 2)
    );
    assert_eq!(
        candidate.decide(Some(&held("a", 2)), S * 129),
        Decision::Wait(S * 3)
    );
    assert_eq!(candidate.decide(Some(&held("a", 2)), S * 158), Decision::Wait(S));
    assert_eq!(
        candidate.decide(Some(&held("a", 2)), S * 159),
        Decision::Take(After::Expiry)
    );
}

#[test]
fn the_times_in_a_lease_decide_nothing() {
    for renewal in [-9_000_000_000, 0, 9_000_000_000] {
        let mut candidate = candidate();
        let spec = held("a", renewal);
        assert_eq!(candidate.decide(Some(&spec), S), Decision::Wait(S * 3));
        assert_eq!(
            candidate.decide(Some(&spec), S * 31),
            Decision::Take(After::Expiry)
        );
    }
}

#[test]
fn the_holders_own_duration_counts_within_reason() {
    for (seconds, expires) in [
        (Some(60), 60),
        (Some(5), 5),
        (None, 30),
        (Some(0), 30),
        (Some(-1), 30),
        (Some(i32::MAX), 3600),
    ] {
        let mut candidate = candidate();
        let spec = LeaseSpec {
            lease_duration_seconds: seconds,
            ..held("a", 1)
        };
        candidate.decide(Some(&spec), S);
        let before = candidate.decide(Some(&spec), S * expires);
        assert!(matches!(before, Decision::Wait(_)), "{seconds:?}");
        let after = candidate.decide(Some(&spec), S * (expires + 1));
        assert_eq!(after, Decision::Take(After::Expiry), "{seconds:?}");
    }
}

#[test]
fn a_lease_that_was_deleted_while_held_is_waited_for_as_if_it_were_there() {
    let mut candidate = candidate();
    candidate.decide(Some(&held("a", 1)), S);
    assert_eq!(candidate.decide(None, S * 2), Decision::Wait(S * 3));
    assert_eq!(candidate.decide(None, S * 31), Decision::Take(After::Expiry));
}

#[test]
fn ones_own_write_whose_answer_was_lost_is_taken_up_with_caution() {
    assert_eq!(
        candidate().decide(Some(&held("me", 1)), S),
        Decision::Take(After::Expiry)
    );
}

#[test]
fn a_leader_after_a_release_begins_at_once_and_after_an_expiry_waits_for_a_request() {
    let (sent, answered) = (S * 10, S * 11);
    assert_eq!(
        Tenure::begin(TERMS, After::Release, sent, answered).begins(),
        S * 11
    );
    assert_eq!(
        Tenure::begin(TERMS, After::Expiry, sent, answered).begins(),
        S * 21
    );
}

#[test]
fn a_leader_renews_every_retry_period_and_stops_at_its_deadline() {
    let mut tenure = Tenure::begin(TERMS, After::Release, S * 10, S * 11);
    assert_eq!(tenure.duty(S * 11), Duty::Renew(S * 2));
    assert_eq!(tenure.duty(S * 14), Duty::Renew(Duration::ZERO));
    tenure.note_renewed(S * 14);
    assert_eq!(tenure.deadline(), S * 29);
    assert_eq!(tenure.duty(S * 15), Duty::Renew(S * 2));
    for failed in [17, 20, 23, 26] {
        tenure.note_failed(S * failed);
    }
    assert_eq!(tenure.deadline(), S * 29, "failures don't prolong");
    assert_eq!(tenure.duty(S * 27), Duty::Renew(S * 2));
    assert_eq!(tenure.duty(S * 29), Duty::Stop);
    assert_eq!(tenure.duty(S * 1000), Duty::Stop, "as after sleep");
}

/// The Lease on its server.
#[derive(Default)]
struct Server {
    version: u64,
    spec: Option<LeaseSpec>,
}

impl Server {
    fn write(&mut self, expected: u64, spec: LeaseSpec) -> bool {
        let fits = self.version == expected;
        if fits {
            self.version += 1;
            self.spec = Some(spec);
        }
        fits
    }
}

/// What a process is in the middle of. It may stand still for any time between two of these.
enum Doing {
    Looking,
    Taking(After, u64),
    Taken(After, Duration, bool),
    Leading(Tenure, u64),
    Renewing(Tenure, u64, Duration),
    Renewed(Tenure, u64, Duration, bool),
    LettingGo(u64),
    Nothing,
}

struct Process {
    candidate: Candidate,
    ahead: Duration,
    doing: Doing,
}

/// When a process could send, in true time, and whether it let go in order.
struct Reign {
    begins: Duration,
    ends: Duration,
    in_order: bool,
}

struct World {
    now: Duration,
    renewals: i64,
    server: Server,
    processes: Vec<Process>,
    reigns: Vec<(usize, Reign)>,
}

impl World {
    fn spec(&mut self, by: &str) -> LeaseSpec {
        self.renewals += 1;
        held(by, self.renewals)
    }

    fn reign(&mut self, of: usize) -> &mut Reign {
        let found = self.reigns.iter_mut().rev().find(|(who, _)| *who == of);
        &mut found.unwrap().1
    }

    /// A process that led ends, and another one begins in its place.
    fn restart(&mut self, who: usize) -> Doing {
        self.renewals += 1;
        let identity = format!("process-{who}-{}", self.renewals);
        self.processes[who].candidate = Candidate::new(identity, TERMS);
        Doing::Looking
    }

    /// One step of one process. `whim` decides where it is free to.
    fn step(&mut self, who: usize, whim: u8) {
        let ahead = self.processes[who].ahead;
        let now = self.now + ahead;
        let name = self.processes[who].candidate.identity().to_owned();
        let doing = std::mem::replace(&mut self.processes[who].doing, Doing::Nothing);
        let next = match doing {
            Doing::Looking => {
                let version = self.server.version;
                match self.processes[who]
                    .candidate
                    .decide(self.server.spec.as_ref(), now)
                {
                    Decision::Take(after) => Doing::Taking(after, version),
                    Decision::Wait(_) => Doing::Looking,
                }
            }
            Doing::Taking(after, version) => {
                let spec = self.spec(&name);
                let done = self.server.write(version, spec);
                Doing::Taken(after, now, done)
            }
            // The answer is lost.
            Doing::Taken(..) if whim == 0 => Doing::Looking,
            Doing::Taken(_, _, false) => Doing::Looking,
            Doing::Taken(after, sent, true) => {
                let tenure = Tenure::begin(TERMS, after, sent, now);
                let reign = Reign {
                    begins: tenure.begins() - ahead,
                    ends: tenure.deadline() - ahead,
                    in_order: false,
                };
                self.reigns.push((who, reign));
                Doing::Leading(tenure, self.server.version)
            }
            Doing::Leading(tenure, version) => match tenure.duty(now) {
                Duty::Stop => self.restart(who),
                Duty::Renew(_) if whim == 1 => {
                    let at = self.now;
                    let reign = self.reign(who);
                    (reign.ends, reign.in_order) = (at.min(reign.ends), true);
                    Doing::LettingGo(version)
                }
                Duty::Renew(_) => Doing::Renewing(tenure, version, now),
            },
            Doing::Renewing(tenure, version, sent) => {
                let spec = self.spec(&name);
                let done = self.server.write(version, spec);
                Doing::Renewed(tenure, version + 1, sent, done)
            }
            Doing::Renewed(_, _, _, false) => self.restart(who),
            Doing::Renewed(mut tenure, version, sent, true) => {
                tenure.note_renewed(sent);
                self.reign(who).ends = tenure.deadline() - ahead;
                Doing::Leading(tenure, version)
            }
            Doing::LettingGo(version) => {
                let spec = self.spec("");
                self.server.write(version, spec);
                self.restart(who)
            }
            Doing::Nothing => Doing::Nothing,
        };
        self.processes[who].doing = next;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// With clocks that differ by days, and processes that stand still for any time between any two steps.
    #[test]
    fn nobody_begins_before_the_last_request_of_the_one_before_is_over(
        ahead in proptest::collection::vec(0u32..1_000_000, 3),
        steps in proptest::collection::vec((0usize..3, any::<u8>(), 0u32..8_000), 1..200),
        pauses in proptest::collection::vec((0usize..200, 20_000u32..90_000), 0..6),
    ) {
        let processes = ahead.iter().enumerate().map(|(who, ahead)| Process {
            candidate: Candidate::new(format!("process-{who}"), TERMS),
            ahead: S * *ahead,
            doing: Doing::Looking,
        });
        let mut world = World {
            now: Duration::ZERO,
            renewals: 0,
            server: Server::default(),
            processes: processes.collect(),
            reigns: Vec::new(),
        };
        for (index, (who, whim, pause)) in steps.into_iter().enumerate() {
            world.now += Duration::from_millis(pause.into());
            for (at, long) in &pauses {
                if *at == index {
                    world.now += Duration::from_millis((*long).into());
                }
            }
            world.step(who, whim % 16);
        }
        // Who hears too late that it leads has nothing to begin with.
        let mut reigns: Vec<_> = world.reigns.iter().filter(|(_, reign)| reign.begins < reign.ends).collect();
        reigns.sort_by_key(|(_, reign)| reign.begins);
        for pair in reigns.windows(2) {
            let [(_, before), (_, after)] = pair else { continue };
            let over = match before.in_order {
                true => before.ends,
                // The Lease's end comes that much later than the last moment to send, and then the pause.
                false => {
                    before.ends + (TERMS.lease_duration - TERMS.renew_deadline) + TERMS.request_timeout
                }
            };
            prop_assert!(over <= after.begins, "{:?} > {:?}", over, after.begins);
        }
    }
}
