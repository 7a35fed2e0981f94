//! Creation in an AWS that is slow, limited or busy; in a busy one, the repair of drift too.

use std::time::Duration;

use serde_json::{Value, json};

use super::life::{delete, drift};
use super::stage::{MADE_READY, NEVER, QUIET, Stage, patience, round};
use super::{Bench, Measured};
use crate::objects::{self, CALLS_TO_CREATE, MANAGED};
use crate::operator::Operator;
use crate::proxy::{Conditions, Limit, Share};

/// How often drift is looked for, where it is.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);
/// Added to each call.
pub const LATENCY: Duration = Duration::from_millis(50);
/// What the community has observed of IAM's limits is of this size: 15 calls a second of most actions.
const LIMIT: Limit = Limit {
    rate: 15.0,
    burst: 15.0,
};
const SHARE: Share = Share {
    share: 0.3,
    seed: 20_261_127,
};

pub async fn latency(bench: &Bench, name: &str, count: usize, measured: &mut Measured) -> Result<(), String> {
    let conditions = Conditions {
        latency: LATENCY,
        ..Conditions::default()
    };
    let before = bench.aws.raw(count, conditions.clone()).await?;
    let (stage, operator) = create(bench, name, count, conditions.clone(), measured).await?;
    end(stage, operator).await?;
    let after = bench.aws.raw(count, conditions).await?;
    let best = before.seconds.min(after.seconds);
    let complete = measured["create"]["seconds_to_complete"]
        .as_f64()
        .unwrap_or_default();
    measured.insert(
        "raw_client".into(),
        json!({
            "seconds": [round(before.seconds), round(after.seconds)],
            "best_seconds": round(best),
        }),
    );
    measured.insert("times_the_raw_client".into(), json!(round(complete / best)));
    Ok(())
}

pub async fn limits(bench: &Bench, name: &str, count: usize, measured: &mut Measured) -> Result<(), String> {
    let conditions = Conditions {
        limit: Some(LIMIT),
        ..Conditions::default()
    };
    let (stage, operator) = create(bench, name, count, conditions, measured).await?;
    end(stage, operator).await?;
    // The action that is called most needs that many tokens. The burst, one second of it, is left out of account.
    let least = (count * MANAGED.len()) as f64 / LIMIT.rate;
    let complete = measured["create"]["seconds_to_complete"]
        .as_f64()
        .unwrap_or_default();
    measured.insert("seconds_that_attachments_need".into(), json!(round(least)));
    measured.insert("times_that".into(), json!(round(complete / least)));
    Ok(())
}

pub async fn throttled(
    bench: &Bench,
    name: &str,
    count: usize,
    measured: &mut Measured,
) -> Result<(), String> {
    let conditions = Conditions {
        share: Some(SHARE),
        ..Conditions::default()
    };
    let (stage, operator) = create(bench, name, count, conditions.clone(), measured).await?;
    let per_role = measured["create"]["aws_calls"]["per_role"]
        .as_f64()
        .unwrap_or_default();
    measured.insert(
        "times_the_undisturbed_calls".into(),
        json!(round(per_role / CALLS_TO_CREATE as f64)),
    );

    // What was found out about AWS's bad day is forgotten, and drift is looked for.
    operator.stop().await?;
    stage.proxy.set(Conditions::default());
    let operator = stage.operator(SWEEP_INTERVAL).await?;
    let (before, _) = stage.failures();
    stage.proxy.set(conditions);
    let mut repaired = drift(&stage, &operator, SWEEP_INTERVAL).await?;
    let (after, _) = stage.failures();
    repaired["objects_that_failed"] = json!(after - before);
    measured.insert("drift".into(), repaired);
    end(stage, operator).await
}

/// Creates objects under `conditions`, which hold from just before the first object on, and go on.
async fn create<'a>(
    bench: &'a Bench,
    name: &str,
    count: usize,
    conditions: Conditions,
    measured: &mut Measured,
) -> Result<(Stage<'a>, Operator), String> {
    let stage = Stage::set(bench, name, objects::keys(name, count)).await?;
    let operator = stage.operator(NEVER).await?;
    stage.proxy.set(conditions);
    let start = stage.start(&operator)?;
    objects::create(&bench.client, name, &stage.keys).await?;
    let (complete, ready) = stage.converge(&operator, start.at, patience(count) * 3).await?;
    stage.proxy.record.quiet(QUIET, Duration::from_secs(60)).await;
    let counted = stage.count_each(&start, &operator, MADE_READY).await?;
    let (failed, reasons) = stage.failures();
    let mut shown = json!({
        "objects": count,
        "seconds_to_complete": round(complete),
        "seconds_to_ready": round(ready),
        "objects_that_failed": failed,
        "reasons": reasons,
    });
    if let (Value::Object(shown), Value::Object(counted)) = (&mut shown, counted.shown) {
        shown.extend(counted);
    }
    measured.insert("create".into(), shown);
    Ok((stage, operator))
}

/// Deletes all objects in an AWS that is as fast as it can be.
async fn end(stage: Stage<'_>, operator: Operator) -> Result<(), String> {
    stage.proxy.set(Conditions::default());
    delete(&stage, &operator).await?;
    operator.stop().await?;
    Ok(())
}
