//! The tables that results make: what was measured against its bound, and what it took. Pure.

use std::fmt::Write;

use crate::objects::{CALLS_TO_CREATE, CALLS_TO_DELETE};
use crate::results::Results;

/// What a number should be.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
    Open,
}

struct Row {
    work: String,
    measured: Option<f64>,
    unit: &'static str,
    bound: Bound,
}

/// The same for every size.
const WRITES_TO_CREATE: f64 = 3.0;
const LARGEST: usize = 5000;

/// `| work | measured | bound | ratio |`: a ratio of up to 1 keeps the bound. Only what was measured has a row.
pub fn bounds(results: &Results) -> String {
    let mut text = String::from("| work | measured | bound | ratio |\n|---|---|---|---|\n");
    for row in rows(results) {
        if let Some(measured) = row.measured {
            let (bound, ratio) = judged(measured, row.bound);
            let unit = row.unit;
            let _ = writeln!(
                text,
                "| {} | {}{unit} | {}{} | {ratio} |",
                row.work,
                shown(measured),
                bound,
                if bound.is_empty() { "" } else { unit },
            );
        }
    }
    text
}

fn judged(measured: f64, bound: Bound) -> (String, String) {
    let (bound, ratio, kept) = match bound {
        Bound::Open => return (String::new(), String::new()),
        Bound::AtMost(most) => (format!("≤ {}", shown(most)), measured / most, measured <= most),
        Bound::AtLeast(least) => (format!("≥ {}", shown(least)), least / measured, measured >= least),
    };
    // Against a bound of nothing there is no ratio.
    let ratio = match ratio.is_finite() {
        true => format!("{ratio:.2}"),
        false if kept => "kept".to_owned(),
        false => "exceeded".to_owned(),
    };
    (bound, if kept { ratio } else { format!("**{ratio}**") })
}

/// At most three digits after the point.
fn shown(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn rows(results: &Results) -> Vec<Row> {
    let mut rows = Vec::new();
    for (count, name) in results.of("life") {
        life(results, count, &name, &mut rows);
    }
    growth(results, &mut rows);
    for (count, name) in results.of("latency") {
        rows.push(Row {
            work: format!("+50 ms a call, create {count}: time against the raw client's"),
            measured: results.number(&name, "times_the_raw_client"),
            unit: " ×",
            bound: Bound::AtMost(1.3),
        });
    }
    for (count, name) in results.of("limits") {
        rows.push(Row {
            work: format!(
                "15 calls/s of each action, create {count}: time against what the attachments need"
            ),
            measured: results.number(&name, "times_that"),
            unit: " ×",
            bound: Bound::AtMost(1.15),
        });
        rows.push(Row {
            work: format!("15 calls/s of each action, create {count}: IAM calls a role"),
            measured: results.number(&name, "create.aws_calls.per_role"),
            unit: "",
            bound: Bound::AtMost(4.3),
        });
    }
    for (count, name) in results.of("throttled") {
        rows.push(Row {
            work: format!("30 % of calls throttled, create {count}: calls against the undisturbed ones"),
            measured: results.number(&name, "times_the_undisturbed_calls"),
            unit: " ×",
            bound: Bound::AtMost(1.6),
        });
        rows.push(Row {
            work: format!("30 % of calls throttled, create {count}: objects that said they failed"),
            measured: results.number(&name, "create.objects_that_failed"),
            unit: "",
            bound: Bound::AtMost(0.0),
        });
        rows.push(Row {
            work: format!(
                "30 % of calls throttled, drift on 20 of {count}: intervals until all are repaired"
            ),
            measured: results.number(&name, "drift.intervals_to_repair"),
            unit: "",
            bound: Bound::Open,
        });
        rows.push(Row {
            work: format!("30 % of calls throttled, drift on 20 of {count}: objects that said they failed"),
            measured: results.number(&name, "drift.objects_that_failed"),
            unit: "",
            bound: Bound::AtMost(0.0),
        });
    }
    for (count, name) in results.of("fairness") {
        rows.push(Row {
            work: format!("1 object of B behind {count} of A: time against that of 64 of A"),
            measured: results.number(&name, "create.times_64_of_a"),
            unit: " ×",
            bound: Bound::AtMost(1.0),
        });
    }
    rows
}

fn life(results: &Results, count: usize, name: &str, rows: &mut Vec<Row>) {
    let number = |path: &str| results.number(name, path);
    let sum = |paths: &[&str]| paths.iter().map(|path| number(path)).sum::<Option<f64>>();
    let rate = number("create.roles_per_second").zip(number("raw_client.roles_per_second"));
    let bare_rate = number("create.roles_per_second").zip(number("bare_client.objects_per_second"));
    let only_largest = |bound: Bound| if count >= LARGEST { bound } else { Bound::Open };
    let mut row = |work: String, measured: Option<f64>, unit: &'static str, bound: Bound| {
        rows.push(Row {
            work,
            measured,
            unit,
            bound,
        });
    };
    row(
        format!("create {count}: IAM calls a role"),
        number("create.aws_calls.per_role"),
        "",
        Bound::AtMost(CALLS_TO_CREATE as f64),
    );
    row(
        format!("create {count}: API server writes a role"),
        number("create.api_server.writes_per_role"),
        "",
        Bound::AtMost(WRITES_TO_CREATE),
    );
    row(
        format!("create {count}: rate against the raw client's"),
        rate.map(|(operator, raw)| operator / raw),
        " ×",
        Bound::AtLeast(0.7),
    );
    row(
        format!("create {count}: rate against the bare client's"),
        bare_rate.map(|(operator, bare)| operator / bare),
        " ×",
        Bound::Open,
    );
    row(
        format!("create {count}: connections to AWS at once"),
        number("create.connections.at_once"),
        "",
        Bound::AtMost(64.0),
    );
    row(
        format!("create {count}: connections to AWS in all"),
        number("create.connections.total"),
        "",
        Bound::AtMost(64.0),
    );
    row(
        format!("restart on {count}: AWS writes, reads of single roles, API server writes, Events"),
        sum(&[
            "restart.aws_writes",
            "restart.calls_of_roles",
            "restart.api_server_writes",
            "restart.events",
        ]),
        "",
        Bound::AtMost(0.0),
    );
    row(
        format!("steady state of {count}: calls for single roles a sweep"),
        number("steady.calls_of_roles_per_sweep"),
        "",
        Bound::AtMost(0.0),
    );
    row(
        format!("steady state of {count}: pages of the two lists a sweep"),
        number("steady.pages_per_sweep"),
        "",
        Bound::Open,
    );
    row(
        format!("steady state of {count}: API server writes in three sweeps"),
        number("steady.api_server_writes"),
        "",
        Bound::AtMost(0.0),
    );
    row(
        format!("drift on 20 of {count}: sweeps (or intervals) until all are repaired"),
        match number("drift.sweeps_to_repair") {
            Some(sweeps) if sweeps > 0.0 => Some(sweeps),
            _ => number("drift.intervals_to_repair"),
        },
        "",
        Bound::AtMost(1.0),
    );
    row(
        format!("delete {count}: IAM calls a role"),
        number("delete.aws_calls.per_role"),
        "",
        Bound::AtMost(CALLS_TO_DELETE as f64),
    );
    row(
        format!("peak memory with {count} objects"),
        peak(results, name),
        " MiB",
        only_largest(Bound::AtMost(64.0)),
    );
    row(
        format!("idle with {count} objects, between sweeps"),
        number("idle.percent_of_a_core"),
        " % of a core",
        only_largest(Bound::AtMost(1.0)),
    );
    row(
        format!("idle with {count} objects, between sweeps, metrics scraped every 15 s"),
        number("idle.percent_of_a_core_scraped"),
        " % of a core",
        only_largest(Bound::AtMost(1.0)),
    );
}

fn growth(results: &Results, rows: &mut Vec<Row>) {
    let (small, large) = ("life-1000", "life-5000");
    for (what, path) in [
        ("time to complete", "create.seconds_to_complete"),
        ("time until ready", "create.seconds_to_ready"),
        ("IAM calls", "create.aws_calls.total"),
    ] {
        let both = results.number(large, path).zip(results.number(small, path));
        rows.push(Row {
            work: format!("growth, 5000 against 1000: {what}"),
            measured: both.map(|(large, small)| large / small),
            unit: " ×",
            bound: Bound::AtMost(5.5),
        });
    }
}

/// The most memory that any of a life's processes had.
fn peak(results: &Results, name: &str) -> Option<f64> {
    ["created", "restarted", "swept", "delete.operator"]
        .iter()
        .filter_map(|part| results.number(name, &format!("{part}.peak_mib")))
        .reduce(f64::max)
}

/// What each life took: a column for each N.
pub fn lives(results: &Results) -> String {
    let lives = results.of("life");
    let mut text = String::from("| |");
    for (count, _) in &lives {
        let _ = write!(text, " N = {count} |");
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(lives.len()));
    text.push('\n');
    for (label, path, digits) in LINES {
        let numbers: Vec<Option<f64>> = lives.iter().map(|(_, name)| results.number(name, path)).collect();
        if numbers.iter().all(Option::is_none) {
            continue;
        }
        let _ = write!(text, "| {label} |");
        for number in numbers {
            let _ = match number {
                Some(number) => write!(text, " {number:.digits$} |"),
                None => write!(text, " |"),
            };
        }
        text.push('\n');
    }
    text
}

const LINES: [(&str, &str, usize); 27] = [
    ("raw client: create, s", "raw_client.best_seconds", 2),
    ("raw client: roles/s", "raw_client.roles_per_second", 0),
    (
        "bare client: the API server's part of it, s",
        "bare_client.seconds",
        2,
    ),
    ("bare client: objects/s", "bare_client.objects_per_second", 0),
    (
        "bare client: CPU of the API server, s",
        "bare_client.cpu_seconds_of_others.kube-apiserver",
        2,
    ),
    (
        "bare client: CPU of the whole machine, s",
        "bare_client.cpu_seconds_of_others.whole machine",
        2,
    ),
    ("create: objects applied, s", "create.seconds_to_apply", 2),
    ("create: all roles complete, s", "create.seconds_to_complete", 2),
    ("create: all objects Ready, s", "create.seconds_to_ready", 2),
    ("create: roles/s", "create.roles_per_second", 0),
    ("create: CPU of the operator, s", "create.operator.cpu_seconds", 2),
    (
        "create: CPU of the API server, s",
        "create.cpu_seconds_of_others.kube-apiserver",
        2,
    ),
    ("create: CPU of etcd, s", "create.cpu_seconds_of_others.etcd", 2),
    (
        "create: CPU of the controller manager, s",
        "create.cpu_seconds_of_others.kube-controller-manager",
        2,
    ),
    (
        "create: CPU of the emulator, s",
        "create.cpu_seconds_of_others.emulator",
        2,
    ),
    (
        "create: CPU of the benchmark and its proxy, s",
        "create.cpu_seconds_of_others.benchmark",
        2,
    ),
    (
        "create: CPU of the whole machine, s",
        "create.cpu_seconds_of_others.whole machine",
        2,
    ),
    (
        "a scrape of the metrics: CPU of the operator, ms",
        "idle.milliseconds_of_a_scrape",
        1,
    ),
    ("restart: stop, s", "restart.seconds_to_stop", 2),
    (
        "restart: last call, s after the start",
        "restart.seconds_to_last_call",
        2,
    ),
    (
        "steady state: operator, % of a core",
        "steady.percent_of_a_core",
        2,
    ),
    ("drift on 20: repaired after, s", "drift.seconds_to_repair", 2),
    ("delete: all objects gone, s", "delete.seconds", 2),
    ("memory: without objects, peak MiB", "empty.peak_mib", 1),
    ("memory: after creation, MiB", "created.resident_mib", 1),
    ("memory: peak in creation, MiB", "created.peak_mib", 1),
    ("memory: peak with sweeps, MiB", "swept.peak_mib", 1),
];
