//! One object of namespace B behind a thousand of namespace A: whether B waits for all of them.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::conditions::LATENCY;
use super::life::delete;
use super::stage::{NEVER, Stage, patience, round};
use super::{Bench, Measured};
use crate::objects::{self, CONCURRENCY, Key};
use crate::proxy::Conditions;
use crate::shared::wait::within;

/// Objects of A in whose time B should be ready: twice as many as are worked on at once.
const YARDSTICK: usize = 64;
/// Longer than it takes the operator to see what was created.
const SEEN: Duration = Duration::from_secs(60);

pub async fn run(bench: &Bench, name: &str, count: usize, measured: &mut Measured) -> Result<(), String> {
    let namespace = |letter: &str| format!("bench-{name}-{letter}");
    let warm: Key = (namespace("c"), "warm-up".into());
    let crowd: Vec<Key> = (0..count)
        .map(|number| (namespace("a"), format!("trainer-{number:05}")))
        .collect();
    let lone: Key = (namespace("b"), "trainer".into());
    let mut keys = crowd.clone();
    keys.extend([lone.clone(), warm.clone()]);
    let stage = Stage::set(bench, name, keys).await?;
    let operator = stage.operator(NEVER).await?;

    // What is read once an account is read before calls are held.
    objects::create(&bench.client, name, std::slice::from_ref(&warm)).await?;
    let deadline = Instant::now() + patience(1);
    if !stage
        .watching
        .until(deadline, |state| state.ready.contains_key(&warm))
        .await
    {
        return Err(format!("the first object isn't ready: {}", stage.why(&operator)));
    }

    stage.proxy.set(Conditions {
        latency: LATENCY,
        ..Conditions::default()
    });
    stage.proxy.hold();
    objects::create(&bench.client, name, &crowd).await?;
    objects::create(&bench.client, name, std::slice::from_ref(&lone)).await?;
    // Each of them is worked on or waits, that of B among them.
    let waiting = (count + 1).saturating_sub(CONCURRENCY) as f64;
    within(SEEN, || async {
        match operator.urgent().await? {
            depth if depth >= waiting => Ok(()),
            depth => Err(format!("{depth} objects wait, not {waiting}")),
        }
    })
    .await
    .map_err(|last| format!("{last}: {}", stage.why(&operator)))?;
    let released = Instant::now();
    stage.proxy.release();
    let (complete, _) = stage.converge(&operator, released, patience(count)).await?;

    let (alone, mut others) = stage.watching.look(|state| {
        let others: Vec<Instant> = crowd
            .iter()
            .filter_map(|key| state.ready.get(key).copied())
            .collect();
        (state.ready.get(&lone).copied(), others)
    });
    others.sort_unstable();
    let alone = alone.ok_or("the object of B was ready and isn't known")?;
    let seconds = |at: Instant| at.saturating_duration_since(released).as_secs_f64();
    let yardstick = others.get(YARDSTICK - 1).copied().ok_or("too few objects of A")?;
    measured.insert(
        "create".into(),
        json!({
            "objects_of_a": count,
            "seconds_to_complete": round(complete),
            "seconds_of_b": round(seconds(alone)),
            "seconds_of_64_of_a": round(seconds(yardstick)),
            "ready_before_b": others.iter().filter(|at| **at < alone).count(),
            "times_64_of_a": round(seconds(alone) / seconds(yardstick)),
        }),
    );
    stage.proxy.set(Conditions::default());
    delete(&stage, &operator).await?;
    operator.stop().await?;
    Ok(())
}
