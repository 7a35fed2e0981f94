//! What the operator tells Prometheus is what happened, held against what went through the proxy.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mlservicerole_operator::metrics::OPEN_METRICS;
use serde_json::json;

use crate::openmetrics::{self, Family, sum};
use crate::support::aws::{BEDROCK, READ_ONLY, RoleSnapshot};
use crate::support::space::placed_name;
use crate::support::{Space, base_class_name, eventually};

// It starts the operator anew, so that everything is counted from the beginning.
crate::trials![what_is_told_is_what_happened];

/// All that the operator tells now.
pub async fn scraped(space: &Space) -> Vec<Family> {
    let (content_type, text) = space.bed.launcher.fetch("/metrics").await.unwrap();
    assert_eq!(content_type, OPEN_METRICS);
    openmetrics::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Waits until a sum is as it should be.
pub async fn told(space: &Space, name: &str, labels: &[(&str, &str)], right: impl Fn(f64) -> bool) {
    eventually(&format!("{name} {labels:?}"), || async {
        let value = sum(&scraped(space).await, name, labels);
        right(value).then_some(()).ok_or_else(|| value.to_string())
    })
    .await;
}

/// Waits until as many requests are told as came to the proxy, for each operation.
async fn every_request_is_told(space: &Space, mark: usize) {
    eventually("as many requests as the proxy saw", || async {
        let seen = |calls: Vec<crate::support::proxy::Call>| {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for call in calls {
                *counts.entry(call.action).or_default() += 1;
            }
            counts
        };
        let came = seen(space.bed.proxy.since(mark, ""));
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for sample in scraped(space).await.iter().flat_map(|family| &family.samples) {
            if sample.name == "mlservicerole_aws_requests_total" {
                *told.entry(sample.labels["operation"].clone()).or_default() += sample.value as usize;
            }
        }
        (came == told)
            .then_some(())
            .ok_or_else(|| format!("{came:?} came, {told:?} were told"))
    })
    .await;
}

async fn what_is_told_is_what_happened() {
    let space = Space::new("metrics").await;
    let class = base_class_name(space.bed);
    space.bed.stop_operator().await.unwrap();
    let mark = space.bed.proxy.mark();
    space.bed.start_operator().await.unwrap();
    for name in ["one", "two"] {
        space
            .create(name, json!({"managedPolicyArns": [READ_ONLY]}))
            .await;
    }
    space.create("lost", json!({"className": "no-such-class"})).await;
    let role = placed_name(&space.ready("one").await).unwrap();
    space.ready("two").await;
    space.refused("lost", "ClassNotFound").await;
    let drift = [("kind", "managed_policies")];
    told(&space, "mlservicerole_drift_found_total", &drift, |n| n == 0.0).await;
    // Until lists are believed of what was written last.
    space.bed.proxy.swept(space.bed.proxy.mark(), 2).await;
    space.bed.aws.attach(&role, BEDROCK).await;
    let mended = |role: &RoleSnapshot| !role.attached.contains(BEDROCK);
    space.role_until("one", "is as before", mended).await;
    told(&space, "mlservicerole_drift_found_total", &drift, |n| n == 1.0).await;
    told(&space, "mlservicerole_drift_found_total", &[], |n| n == 1.0).await;

    let ready = [("class", class.as_str()), ("state", "ready")];
    told(&space, "mlservicerole_roles", &ready, |n| n == 2.0).await;
    let lost = [("class", ""), ("state", "stalled")];
    told(&space, "mlservicerole_roles", &lost, |n| n == 1.0).await;
    told(&space, "mlservicerole_class_ready", &[("class", &class)], |n| {
        n == 1.0
    })
    .await;
    let detached = [
        ("service", "IAM"),
        ("operation", "DetachRolePolicy"),
        ("outcome", "ok"),
    ];
    // Objects of earlier tests may still be going.
    told(&space, "mlservicerole_aws_requests_total", &detached, |n| {
        n >= 1.0
    })
    .await;
    every_request_is_told(&space, mark).await;

    let families = scraped(&space).await;
    let synced = [("outcome", "synced"), ("reason", "Synced")];
    assert!(sum(&families, "mlservicerole_reconciles_total", &synced) >= 3.0);
    let refused = [("outcome", "refused"), ("reason", "ClassNotFound")];
    assert!(sum(&families, "mlservicerole_reconciles_total", &refused) >= 1.0);
    assert_eq!(
        sum(&families, "mlservicerole_reconcile_duration_seconds_count", &[]),
        sum(&families, "mlservicerole_reconciles_total", &[]),
    );
    assert_eq!(sum(&families, "mlservicerole_leader", &[]), 1.0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let account = [("account", space.bed.aws.account.as_str())];
    let swept = sum(
        &families,
        "mlservicerole_sweep_last_success_timestamp_seconds",
        &account,
    );
    let since = now.saturating_sub(Duration::from_secs_f64(swept));
    assert!(since < Duration::from_secs(30), "{since:?} ago");
    let lists = [account[0], ("method", "AccountLists")];
    assert_eq!(sum(&families, "mlservicerole_sweep_method", &lists), 1.0);
    assert!(sum(&families, "mlservicerole_sweep_own_roles", &account) >= 2.0);
    assert!(sum(&families, "mlservicerole_sweep_calls", &account) >= 2.0);

    space.delete_and_wait("two").await;
    let released = [("outcome", "released"), ("reason", "Deleting")];
    told(&space, "mlservicerole_reconciles_total", &released, |n| n >= 1.0).await;
    told(&space, "mlservicerole_roles", &ready, |n| n == 1.0).await;
}
