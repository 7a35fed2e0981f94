//! Creation in an AWS that is slow, limited or busy.

use std::time::Duration;

use serde_json::{Value, json};

use super::life::delete;
use super::stage::{MADE_READY, NEVER, QUIET, Stage, patience, round};
use super::{Bench, Measured};
use crate::objects::{self, CALLS_TO_CREATE, MANAGED};
use crate::proxy::{Conditions, Limit, Share};

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
    create(bench, name, count, conditions.clone(), measured).await?;
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
    create(bench, name, count, conditions, measured).await?;
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
    create(bench, name, count, conditions, measured).await?;
    let per_role = measured["create"]["aws_calls"]["per_role"]
        .as_f64()
        .unwrap_or_default();
    measured.insert(
        "times_the_undisturbed_calls".into(),
        json!(round(per_role / CALLS_TO_CREATE as f64)),
    );
    Ok(())
}

/// Creates objects under `conditions`, which hold from just before the first object on, and deletes them without.
async fn create(
    bench: &Bench,
    name: &str,
    count: usize,
    conditions: Conditions,
    measured: &mut Measured,
) -> Result<(), String> {
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
    stage.proxy.set(Conditions::default());
    delete(&stage, &operator).await?;
    operator.stop().await?;
    Ok(())
}
