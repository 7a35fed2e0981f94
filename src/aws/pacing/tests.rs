//! The pacer against simulated servers: what each way of throttling costs in time and in calls.

use std::collections::VecDeque;

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);
/// The calls that make a role with two managed policies and one inline policy.
const CALLS: [usize; 4] = [0, 1, 2, 2];
const ACTIONS: usize = 3;

/// How the server throttles.
enum Throttling {
    Never,
    /// A bucket for each action: calls per second, and how many it holds.
    Bucket {
        rate: f64,
        burst: f64,
    },
    /// This share of all calls.
    Random(f64),
    /// Both.
    Both {
        rate: f64,
        burst: f64,
        share: f64,
    },
}

struct Server {
    throttling: Throttling,
    buckets: [(f64, Duration); ACTIONS],
    random: u64,
    answers: [usize; 2],
}

impl Server {
    fn new(throttling: Throttling, seed: u64) -> Self {
        let full = match throttling {
            Throttling::Bucket { burst, .. } | Throttling::Both { burst, .. } => burst,
            Throttling::Never | Throttling::Random(_) => 0.0,
        };
        Self {
            throttling,
            buckets: [(full, Duration::ZERO); ACTIONS],
            random: seed,
            answers: [0, 0],
        }
    }

    /// xorshift64*, evenly between 0 and 1.
    fn random(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn has_token(&mut self, action: usize, rate: f64, burst: f64, now: Duration) -> bool {
        let (tokens, at) = &mut self.buckets[action];
        *tokens = (*tokens + (now - *at).as_secs_f64() * rate).min(burst);
        *at = now;
        let has = *tokens >= 1.0;
        if has {
            *tokens -= 1.0;
        }
        has
    }

    fn call(&mut self, action: usize, now: Duration) -> Answer {
        let heard = match self.throttling {
            Throttling::Never => true,
            Throttling::Bucket { rate, burst } => self.has_token(action, rate, burst, now),
            Throttling::Random(share) => self.random() >= share,
            Throttling::Both { rate, burst, share } => {
                self.random() >= share && self.has_token(action, rate, burst, now)
            }
        };
        self.answers[usize::from(!heard)] += 1;
        if heard { Answer::Heard } else { Answer::Throttled }
    }
}

#[derive(Clone, Copy)]
enum Worker {
    Idle,
    Waiting {
        done: usize,
    },
    Asked {
        done: usize,
        ticket: Ticket,
        answer: Answer,
        at: Duration,
    },
}

struct Cost {
    seconds: f64,
    calls: f64,
    throttled: usize,
    most_attempts: usize,
    pacers: Vec<Pacer>,
}

/// Makes roles with 32 workers and calls that take `latency`.
fn make(roles: usize, throttling: Throttling, latency: Duration, seed: u64) -> Cost {
    let mut server = Server::new(throttling, seed);
    let mut pacers = vec![Pacer::default(); ACTIONS];
    let mut queues: Vec<VecDeque<usize>> = vec![VecDeque::new(); ACTIONS];
    let mut workers = [Worker::Idle; 32];
    let mut attempts = [0usize; 32];
    let (mut begun, mut made, mut most_attempts) = (0, 0, 0);
    let mut now = Duration::ZERO;
    while made < roles {
        for (index, worker) in workers.iter_mut().enumerate() {
            if let Worker::Asked {
                done,
                ticket,
                answer,
                at,
            } = *worker
                && now >= at
            {
                pacers[CALLS[done]].note(ticket, answer, now);
                attempts[index] += 1;
                most_attempts = most_attempts.max(attempts[index]);
                let done = match answer {
                    Answer::Heard => {
                        attempts[index] = 0;
                        done + 1
                    }
                    Answer::Throttled => done,
                };
                *worker = if done == CALLS.len() {
                    made += 1;
                    Worker::Idle
                } else {
                    queues[CALLS[done]].push_back(index);
                    Worker::Waiting { done }
                };
            }
            if matches!(worker, Worker::Idle) && begun < roles {
                begun += 1;
                queues[CALLS[0]].push_back(index);
                *worker = Worker::Waiting { done: 0 };
            }
        }
        for (action, queue) in queues.iter_mut().enumerate() {
            while let Some(&index) = queue.front()
                && pacers[action].wait(now).is_zero()
            {
                queue.pop_front();
                let Worker::Waiting { done } = workers[index] else {
                    panic!("who isn't waiting isn't in a queue");
                };
                let ticket = pacers[action].go(now);
                let answer = server.call(action, now);
                let at = now + latency;
                workers[index] = Worker::Asked {
                    done,
                    ticket,
                    answer,
                    at,
                };
            }
        }
        now += MILLISECOND;
        assert!(
            now < Duration::from_secs(3600),
            "it never ends: {made} of {roles}"
        );
    }
    Cost {
        seconds: now.as_secs_f64(),
        calls: server.answers.iter().sum::<usize>() as f64 / roles as f64,
        throttled: server.answers[1],
        most_attempts,
        pacers,
    }
}

#[test]
fn without_throttling_nobody_waits() {
    let cost = make(1000, Throttling::Never, MILLISECOND * 2, 1);
    assert_eq!(cost.calls, 4.0);
    assert!(cost.pacers.iter().all(|pacer| pacer.rate().is_none()));
    let alone = 1000.0 / 32.0 * 4.0 * 0.002;
    assert!(cost.seconds <= 1.1 * alone, "{} s, alone {alone} s", cost.seconds);
}

/// 200 roles need 400 attachments, which take 26.7 s at 15 a second.
#[test]
fn a_limit_of_15_calls_a_second_is_used_without_many_calls_in_vain() {
    for latency in [1, 5, 20, 50, 200] {
        let throttling = Throttling::Bucket {
            rate: 15.0,
            burst: 15.0,
        };
        let cost = make(200, throttling, MILLISECOND * latency, 1);
        println!(
            "{latency} ms: {:.1} s, {:.2} calls, {} throttled",
            cost.seconds, cost.calls, cost.throttled
        );
        assert!(cost.seconds <= 1.15 * 26.7, "{latency} ms: {} s", cost.seconds);
        assert!(cost.calls <= 4.3, "{latency} ms: {} calls a role", cost.calls);
    }
}

#[test]
fn other_limits_are_found_too() {
    for (rate, burst) in [(5.0, 5.0), (15.0, 60.0), (40.0, 20.0), (100.0, 100.0)] {
        let cost = make(400, Throttling::Bucket { rate, burst }, MILLISECOND * 10, 1);
        let least = (800.0 - burst) / rate;
        println!(
            "{rate}/s: {:.1} s of {least:.1} s, {:.2} calls",
            cost.seconds, cost.calls
        );
        assert!(
            cost.seconds <= 1.25 * least + 3.0,
            "{rate}/s: {} s of {least} s",
            cost.seconds
        );
        assert!(cost.calls <= 4.5, "{rate}/s: {} calls a role", cost.calls);
    }
}

#[test]
fn random_throttling_costs_no_more_than_its_share_and_doesnt_end_in_a_crawl() {
    for seed in 1..=20 {
        let cost = make(200, Throttling::Random(0.3), MILLISECOND * 5, seed);
        let most = cost.most_attempts;
        println!("{:.1} s, {:.2} calls, {most} attempts", cost.seconds, cost.calls);
        assert!(cost.calls <= 1.6 * 4.0, "{} calls a role", cost.calls);
        assert!(cost.seconds < 45.0, "{} s", cost.seconds);
        assert!(most <= 12, "{most} attempts");
    }
}

#[test]
fn a_limit_behind_random_throttling_is_found() {
    for seed in 1..=10 {
        let throttling = Throttling::Both {
            rate: 15.0,
            burst: 15.0,
            share: 0.2,
        };
        let cost = make(200, throttling, MILLISECOND * 5, seed);
        println!("{:.1} s, {:.2} calls", cost.seconds, cost.calls);
        assert!(cost.seconds < 90.0, "{} s", cost.seconds);
        assert!(cost.calls < 8.0, "{} calls a role", cost.calls);
    }
}

#[test]
fn a_limit_that_nobody_meets_any_more_is_forgotten() {
    let mut pacer = Pacer::default();
    let mut now = MILLISECOND;
    let ticket = pacer.go(now);
    pacer.note(ticket, Answer::Throttled, now);
    assert!(pacer.rate().is_some());
    for _ in 0..40 {
        now += Duration::from_secs(1);
        assert!(pacer.wait(now).is_zero());
        let ticket = pacer.go(now);
        pacer.note(ticket, Answer::Heard, now);
    }
    assert_eq!(pacer.rate(), None);
}

#[test]
fn answers_to_calls_from_before_a_decrease_dont_lower_the_rate_again() {
    let mut pacer = Pacer::default();
    let tickets: Vec<Ticket> = (0..32).map(|_| pacer.go(MILLISECOND)).collect();
    for ticket in &tickets[..15] {
        pacer.note(*ticket, Answer::Heard, MILLISECOND * 2);
    }
    pacer.note(tickets[15], Answer::Throttled, MILLISECOND * 2);
    let rate = pacer.rate();
    for ticket in &tickets[16..] {
        pacer.note(*ticket, Answer::Throttled, MILLISECOND * 3);
    }
    pacer.wait(Duration::from_secs(6));
    assert_eq!(pacer.rate(), rate);
}
