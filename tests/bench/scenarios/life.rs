//! N objects from creation to deletion, in an AWS that is as fast as the emulator can be, against a raw client in the
//! same AWS.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::stage::{Count, LET_GO, MADE_READY, NEVER, QUIET, Stage, patience, round};
use super::{Bench, Measured};
use crate::audit::Requests;
use crate::bare::{self, Template};
use crate::objects::{self, CALLS_TO_CREATE};
use crate::operator::{Operator, TOKEN};
use crate::proxy::{Call, Conditions, Outcome};
use crate::shared::process::own_kubeconfig;

/// How long the operator is watched doing nothing.
const IDLE: Duration = Duration::from_secs(30);
/// How often Prometheus asks, as most set it.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(15);
/// Scrapes that are measured together.
const SCRAPES: u32 = 50;
/// Sweeps that a steady state is watched for.
const SWEEPS: usize = 3;
/// How far intervals may be stretched by jitter.
const JITTER: f64 = 1.2;
/// Roles that somebody changes by hand.
const DRIFTED: usize = 20;
/// No call for so long after a start means that it is over.
const SETTLED: Duration = Duration::from_secs(10);

/// What of a life is measured after creation, which always is; so is deletion.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Phase {
    Idle,
    Restart,
    Steady,
    Drift,
}

pub async fn run(
    bench: &Bench,
    name: &str,
    count: usize,
    phases: &[Phase],
    measured: &mut Measured,
) -> Result<(), String> {
    let wants = |phase: Phase| phases.contains(&phase);
    let before = bench.aws.raw(count, Conditions::default()).await?;
    let stage = Stage::set(bench, name, objects::keys(name, count)).await?;
    let mut operator = stage.operator(NEVER).await?;
    measured.insert("empty".into(), memory(&operator)?);
    measured.insert("create".into(), create(&stage, &operator).await?);
    measured.insert("created".into(), memory(&operator)?);
    println!("  created: {} s", measured["create"]["seconds_to_ready"]);
    let template = Template::of(&bench.client, &stage.keys[0]).await?;
    if wants(Phase::Idle) {
        measured.insert("idle".into(), idle(&stage, &operator).await?);
    }
    if wants(Phase::Restart) {
        // What a first sweep has to tell, it tells once: the class, how its account is looked at. The interval was
        // too long for one until now.
        let (swept, _) = restart(&stage, operator).await?;
        let (anew, found) = restart(&stage, swept).await?;
        operator = anew;
        measured.insert("restart".into(), found);
        measured.insert("restarted".into(), memory(&operator)?);
        println!("  restarted: {} calls", measured["restart"]["calls_by_action"]);
    }
    if wants(Phase::Steady) || wants(Phase::Drift) {
        operator.stop().await?;
        // Twice the time that a sweep takes here, with room for a busy machine.
        let interval = Duration::from_secs(if count > 2000 { 40 } else { 15 });
        operator = stage.operator(interval).await?;
        if wants(Phase::Steady) {
            measured.insert("steady".into(), steady(&stage, &operator, interval).await?);
            println!("  steady: {} sweeps", measured["steady"]["sweeps"]);
        }
        if wants(Phase::Drift) {
            measured.insert("drift".into(), drift(&stage, &operator, interval).await?);
            println!("  drift: {} s", measured["drift"]["seconds_to_repair"]);
        }
        measured.insert("swept".into(), memory(&operator)?);
    }
    measured.insert("delete".into(), delete(&stage, &operator).await?);
    println!("  deleted: {} s", measured["delete"]["seconds"]);
    operator.stop().await?;
    drop(stage);
    measured.insert("bare_client".into(), bare(bench, name, count, template).await?);
    println!("  bare client: {} s", measured["bare_client"]["seconds"]);
    let after = bench.aws.raw(count, Conditions::default()).await?;
    measured.insert(
        "raw_client".into(),
        json!({
            "roles": before.roles,
            "seconds": [round(before.seconds), round(after.seconds)],
            "best_seconds": round(before.seconds.min(after.seconds)),
            "roles_per_second": round(count as f64 / before.seconds.min(after.seconds)),
        }),
    );
    Ok(())
}

/// What the API server can do on this machine, with the same requests for as many objects and nobody else about.
async fn bare(bench: &Bench, name: &str, count: usize, template: Template) -> Result<Value, String> {
    let name = format!("{name}-bare");
    let keys = objects::keys(&name, count);
    objects::namespaces(&bench.client, &name, &keys).await?;
    let operator = bare::client(own_kubeconfig(&bench.client, TOKEN).await?).await?;
    let before = bench.bystanders.sample();
    let seconds = bare::run(&bench.client, &operator, &name, &keys, Arc::new(template)).await;
    let cpu = bench.bystanders.since(&before);
    objects::sweep_away(&bench.client, &name).await?;
    let seconds = seconds?;
    Ok(json!({
        "objects": count,
        "seconds": round(seconds),
        "objects_per_second": round(count as f64 / seconds),
        "cpu_seconds_of_others": cpu,
    }))
}

fn memory(operator: &Operator) -> Result<Value, String> {
    let usage = operator.usage()?;
    Ok(json!({
        "resident_mib": round(usage.resident_mib),
        "peak_mib": round(usage.peak_mib),
        "cpu_seconds": round(usage.cpu_seconds),
    }))
}

/// The results of a count, with `more` put first.
fn with(count: &Count, more: Value) -> Value {
    let mut all = more;
    if let (Value::Object(all), Value::Object(counted)) = (&mut all, &count.shown) {
        all.extend(counted.clone());
    }
    all
}

async fn create(stage: &Stage<'_>, operator: &Operator) -> Result<Value, String> {
    let count = stage.keys.len();
    let start = stage.start(operator)?;
    objects::create(&stage.bench.client, &stage.name, &stage.keys).await?;
    let applied = start.at.elapsed().as_secs_f64();
    let (complete, ready) = stage.converge(operator, start.at, patience(count)).await?;
    stage.proxy.record.quiet(QUIET, Duration::from_secs(60)).await;
    let counted = stage.count_each(&start, operator, MADE_READY).await?;
    let (failed, reasons) = stage.failures();
    let connections = stage.proxy.record.connections();
    Ok(with(
        &counted,
        json!({
            "objects": count,
            "seconds_to_apply": round(applied),
            "seconds_to_complete": round(complete),
            "seconds_to_ready": round(ready),
            "roles_per_second": round(count as f64 / complete),
            "calls_to_create_one": CALLS_TO_CREATE,
            "objects_that_failed": failed,
            "reasons": reasons,
            "connections": {"total": connections.total, "at_once": connections.at_once},
        }),
    ))
}

async fn idle(stage: &Stage<'_>, operator: &Operator) -> Result<Value, String> {
    let start = stage.start(operator)?;
    sleep(IDLE).await;
    let seconds = start.at.elapsed().as_secs_f64();
    let before = stage.count(&start, operator).await?;
    let used = before.shown["operator"]["cpu_seconds"]
        .as_f64()
        .unwrap_or_default();
    let (scrape, bytes) = scrape(operator).await?;
    let scraped = used / seconds + scrape / SCRAPE_INTERVAL.as_secs_f64();
    Ok(with(
        &before,
        json!({
            "seconds": round(seconds),
            "percent_of_a_core": round(100.0 * used / seconds),
            "milliseconds_of_a_scrape": round(1000.0 * scrape),
            "bytes_of_a_scrape": bytes,
            "percent_of_a_core_scraped": round(100.0 * scraped),
        }),
    ))
}

/// CPU seconds that one scrape of the metrics takes the operator, and its size. Many at once, since CPU time is told in
/// hundredths of a second.
async fn scrape(operator: &Operator) -> Result<(f64, usize), String> {
    let before = operator.usage()?;
    let mut bytes = 0;
    for _ in 0..SCRAPES {
        bytes = operator.scrape().await?.len();
    }
    let used = operator.usage()?.cpu_seconds - before.cpu_seconds;
    Ok((used / f64::from(SCRAPES), bytes))
}

async fn restart(stage: &Stage<'_>, operator: Operator) -> Result<(Operator, Value), String> {
    let bench = stage.bench;
    let stopping = operator.stop().await?;
    let (calls, audit) = (stage.proxy.record.mark(), bench.audit.mark()?);
    let operator = bench
        .launcher
        .spawn(&bench.client, &stage.proxy.endpoint, NEVER)
        .await?;
    operator.ready().await?;
    let ready = operator.started.elapsed().as_secs_f64();
    if bench.launcher.sweeps {
        let deadline = operator.started + patience(stage.keys.len());
        let swept = |state: &crate::proxy::State| sweeps(&state.calls[calls..]) > 0;
        if !stage.proxy.record.until(deadline, swept).await {
            return Err(format!("no sweep after a restart: {}", stage.why(&operator)));
        }
    }
    if !stage
        .proxy
        .record
        .quiet(SETTLED, patience(stage.keys.len()))
        .await
    {
        return Err(format!(
            "calls to AWS don't end after a restart: {}",
            stage.why(&operator)
        ));
    }
    let found = stage.proxy.record.since(calls);
    let asked = Requests::of(&bench.audit.requests(audit).await?);
    let of_roles = found.iter().filter(|call| !call.role.is_empty());
    let last = found
        .last()
        .map(|call| call.at.duration_since(operator.started).as_secs_f64());
    let usage = operator.usage()?;
    Ok((
        operator,
        json!({
            "seconds_to_stop": round(stopping),
            "seconds_to_ready": round(ready),
            "seconds_to_last_call": last.map(round),
            "aws_writes": found.iter().filter(|call| call.writes()).count(),
            "calls_of_roles": of_roles.clone().count(),
            "calls_by_action": crate::proxy::by_action(found.iter()),
            "api_server_writes": asked.write_count(),
            "api_server_by_request": asked.writes,
            "events": asked.events,
            "leases": asked.leases,
            "reads": asked.reads,
            "cpu_seconds": round(usage.cpu_seconds),
            "peak_mib": round(usage.peak_mib),
        }),
    ))
}

/// Whether a sweep of the account begins with this call.
fn begins_sweep(call: &Call) -> bool {
    call.action == "GetAccountAuthorizationDetails" && call.first_page && call.outcome == Outcome::Done
}

fn sweeps(calls: &[Call]) -> usize {
    calls.iter().filter(|call| begins_sweep(call)).count()
}

async fn steady(stage: &Stage<'_>, operator: &Operator, interval: Duration) -> Result<Value, String> {
    // What the start itself brought about is over before the window opens.
    stage.proxy.record.quiet(QUIET, interval).await;
    let start = stage.start(operator)?;
    let longest = start.at + interval.mul_f64(JITTER * SWEEPS as f64) + Duration::from_secs(5);
    if stage.bench.launcher.sweeps {
        let from = start.calls;
        let begun = |state: &crate::proxy::State| sweeps(&state.calls[from..]) >= SWEEPS;
        if !stage.proxy.record.until(longest, begun).await {
            return Err(format!(
                "fewer than {SWEEPS} sweeps within their time: {}",
                stage.why(operator)
            ));
        }
        stage.proxy.record.quiet(Duration::from_secs(2), interval).await;
    } else {
        sleep_until(longest).await;
    }
    let counted = stage.count(&start, operator).await?;
    let seconds = start.at.elapsed().as_secs_f64();
    let seen = match sweeps(&counted.calls) {
        0 => seconds / interval.as_secs_f64(),
        seen => seen as f64,
    };
    let of_roles = counted.calls.iter().filter(|call| !call.role.is_empty()).count();
    let lists = counted.calls.iter().filter(|call| is_list(call)).count();
    Ok(with(
        &counted,
        json!({
            "interval_seconds": interval.as_secs(),
            "seconds": round(seconds),
            "sweeps": round(seen),
            "calls_of_roles_per_sweep": round(of_roles as f64 / seen),
            "pages_per_sweep": round(lists as f64 / seen),
            "api_server_writes": counted.api_writes,
            "events": counted.events,
            "percent_of_a_core": round(100.0 * counted.shown["operator"]["cpu_seconds"].as_f64().unwrap_or(0.0) / seconds),
        }),
    ))
}

fn is_list(call: &Call) -> bool {
    ["GetAccountAuthorizationDetails", "ListRoles"].contains(&call.action.as_str())
}

/// Changes [`DRIFTED`] roles by hand and waits until they are repaired.
pub async fn drift(stage: &Stage<'_>, operator: &Operator, interval: Duration) -> Result<Value, String> {
    let names = stage.bench.aws.role_names().await?;
    let step = (names.len() / DRIFTED).max(1);
    let drifted: Vec<String> = names.into_iter().step_by(step).take(DRIFTED).collect();
    // The next sweep is as far away as it can be.
    stage.proxy.record.quiet(QUIET, interval).await;
    let start = stage.start(operator)?;
    for role in &drifted {
        stage.bench.aws.detach(role).await?;
    }
    let (from, wanted) = (start.calls, drifted.len());
    let repaired = |state: &crate::proxy::State| {
        let repairs = state.calls[from..]
            .iter()
            .filter(|call| is_repair(call, &drifted));
        repairs.count() >= wanted
    };
    let longest = start.at + interval.mul_f64(4.0) + Duration::from_secs(60);
    if !stage.proxy.record.until(longest, repaired).await {
        let calls = stage.proxy.record.since(from);
        return Err(format!(
            "{}: {}",
            unrepaired(&calls, &drifted),
            stage.why(operator)
        ));
    }
    let calls = stage.proxy.record.since(from);
    let last = calls
        .iter()
        .rfind(|call| is_repair(call, &drifted))
        .map(|call| call.at);
    let seconds = last
        .unwrap_or_else(Instant::now)
        .duration_since(start.at)
        .as_secs_f64();
    let begun = sweeps(&calls);
    stage.bench.aws.whole_roles().await?;
    stage.proxy.record.quiet(Duration::from_secs(2), interval).await;
    let counted = stage.count(&start, operator).await?;
    Ok(with(
        &counted,
        json!({
            "roles": wanted,
            "interval_seconds": interval.as_secs(),
            "seconds_to_repair": round(seconds),
            "intervals_to_repair": round(seconds / interval.as_secs_f64()),
            "sweeps_to_repair": begun,
            "calls_of_roles_per_drifted_role":
                round(counted.calls.iter().filter(|call| !call.role.is_empty()).count() as f64 / wanted as f64),
        }),
    ))
}

fn is_repair(call: &Call, drifted: &[String]) -> bool {
    call.action == "AttachRolePolicy" && call.outcome == Outcome::Done && drifted.contains(&call.role)
}

/// Which roles weren't repaired, and whether the operator looked at them at all.
fn unrepaired(calls: &[Call], drifted: &[String]) -> String {
    let repaired = |role: &String| {
        let one = std::slice::from_ref(role);
        calls.iter().any(|call| is_repair(call, one))
    };
    let left: Vec<String> = drifted
        .iter()
        .filter(|role| !repaired(role))
        .map(|role| {
            let of_it = calls.iter().filter(|call| call.role == **role).count();
            format!("{role} ({of_it} calls about it since)")
        })
        .collect();
    format!(
        "not repaired of {} drifted roles: {}",
        drifted.len(),
        left.join(", ")
    )
}

/// Deletes all objects and waits until they are gone.
pub async fn delete(stage: &Stage<'_>, operator: &Operator) -> Result<Value, String> {
    let count = stage.keys.len();
    let start = stage.start(operator)?;
    objects::delete(&stage.bench.client, &stage.keys).await?;
    let seconds = stage.gone(operator, start.at, patience(count)).await?;
    let counted = stage.count_each(&start, operator, LET_GO).await?;
    Ok(with(
        &counted,
        json!({
            "objects": count,
            "seconds": round(seconds),
            "roles_per_second": round(count as f64 / seconds),
        }),
    ))
}
