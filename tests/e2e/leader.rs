//! Several operators at once: one works, and the next one begins when it stops, crashes or falls asleep. Run one by
//! one, after all others.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;
use mlservicerole_operator::api::condition::{reasons, types};
use rustix::process::Signal;
use serde_json::json;

use crate::support::aws::{READ_ONLY, S3_READ_ONLY};
use crate::support::operator::{LEASE_DURATION, Operator, SHUTDOWN_GRACE};
use crate::support::process::{NAMESPACE, free_address, probe};
use crate::support::wait::within;
use crate::support::{Fault, Space, bed};

crate::trials![
    one_leads_and_hands_over_within_two_seconds_of_sigterm,
    a_leader_keeps_its_lease_until_its_last_call_is_answered,
    a_crashed_leader_is_replaced_after_its_lease,
    a_leader_that_was_asleep_writes_nothing_when_it_wakes,
];

const LEASE: &str = "mlservicerole-operator";

/// Two operators instead of the one that the other tests share.
struct Two {
    leader: Operator,
    standby: Operator,
    standby_address: SocketAddr,
}

fn leases() -> Api<Lease> {
    Api::namespaced(bed().client.clone(), NAMESPACE)
}

async fn holder() -> String {
    let lease = leases().get_opt(LEASE).await.unwrap();
    let spec = lease.and_then(|lease| lease.spec);
    spec.and_then(|spec| spec.holder_identity).unwrap_or_default()
}

async fn ready(address: SocketAddr) {
    within(Duration::from_secs(30), || async {
        match probe(address, "/readyz").await {
            Ok(200) => Ok(()),
            other => Err(format!("/readyz: {other:?}")),
        }
    })
    .await
    .unwrap();
}

/// Stops the shared operator. No Lease of an earlier test is left.
async fn two() -> Two {
    let shared = bed().take_operator().await;
    assert!(shared.terminate().await.unwrap());
    if leases().get_opt(LEASE).await.unwrap().is_some() {
        leases().delete(LEASE, &DeleteParams::default()).await.unwrap();
    }
    let (first, standby_address) = (free_address().unwrap(), free_address().unwrap());
    let launcher = &bed().launcher;
    let leader = launcher.spawn_candidate(&bed().client, first).await.unwrap();
    ready(first).await;
    let standby = launcher
        .spawn_candidate(&bed().client, standby_address)
        .await
        .unwrap();
    ready(standby_address).await;
    Two {
        leader,
        standby,
        standby_address,
    }
}

/// Waits until another holds the Lease; how long that took.
async fn taken_from(before: &str, patience: Duration) -> Duration {
    let started = Instant::now();
    within(patience, || async {
        match holder().await {
            holder if holder != before && !holder.is_empty() => Ok(()),
            holder => Err(format!("held by {holder:?}")),
        }
    })
    .await
    .unwrap();
    started.elapsed()
}

async fn back_to_the_shared_one(last: Operator) {
    assert!(last.terminate().await.unwrap());
    bed().start_operator().await.unwrap();
}

async fn one_leads_and_hands_over_within_two_seconds_of_sigterm() {
    let space = Space::new("leader-handover").await;
    let two = two().await;
    let before = holder().await;
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.ready("trainer").await;
    let started = Instant::now();
    two.leader.signal(Signal::TERM).unwrap();
    taken_from(&before, Duration::from_secs(2)).await;
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(two.leader.end().await.unwrap());
    ready(two.standby_address).await;
    space
        .patch_spec("trainer", json!({"managedPolicyArns": [S3_READ_ONLY]}))
        .await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!(role.attached, [S3_READ_ONLY.to_owned()].into());
    back_to_the_shared_one(two.standby).await;
}

async fn a_leader_keeps_its_lease_until_its_last_call_is_answered() {
    let space = Space::new("leader-drain").await;
    let two = two().await;
    let before = holder().await;
    let mark = space.bed.proxy.mark();
    let held = space
        .bed
        .proxy
        .inject("AttachRolePolicy", &space.prefix(), Fault::Hold, 1);
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY, S3_READ_ONLY]}))
        .await;
    held.met(1).await;
    two.leader.signal(Signal::TERM).unwrap();
    // Long enough for the standby to try several times; well within the leader's grace.
    let asked_until = Instant::now() + SHUTDOWN_GRACE / 2;
    while Instant::now() < asked_until {
        assert_eq!(holder().await, before, "a call of the leader's is under way");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    held.release();
    taken_from(&before, Duration::from_secs(2)).await;
    assert!(two.leader.end().await.unwrap());
    ready(two.standby_address).await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!(role.attached.len(), 2, "{role:?}");
    let mut writes = space.bed.proxy.writes_since(mark, &space.prefix());
    writes.sort();
    assert_eq!(
        writes,
        ["AttachRolePolicy", "AttachRolePolicy", "CreateRole"],
        "the next leader goes on where this one stopped"
    );
    back_to_the_shared_one(two.standby).await;
}

async fn a_crashed_leader_is_replaced_after_its_lease() {
    let space = Space::new("leader-crash").await;
    let two = two().await;
    let before = holder().await;
    two.leader.kill().await.unwrap();
    space.create("trainer", json!({})).await;
    taken_from(&before, LEASE_DURATION + Duration::from_secs(5)).await;
    ready(two.standby_address).await;
    space.ready("trainer").await;
    back_to_the_shared_one(two.standby).await;
}

async fn a_leader_that_was_asleep_writes_nothing_when_it_wakes() {
    let space = Space::new("leader-asleep").await;
    let two = two().await;
    let before = holder().await;
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.ready("trainer").await;
    // It falls asleep in the middle of a change, with more calls to come.
    let held = space
        .bed
        .proxy
        .inject("AttachRolePolicy", &space.prefix(), Fault::Hold, 1);
    let changed = json!({"managedPolicyArns": [S3_READ_ONLY], "role": {"description": "x"}});
    space.patch_spec("trainer", changed).await;
    held.met(1).await;
    two.leader.signal(Signal::STOP).unwrap();
    drop(held);
    taken_from(&before, LEASE_DURATION + Duration::from_secs(5)).await;
    ready(two.standby_address).await;
    space.ready("trainer").await;
    // The new leader is done with it: its sweeps find nothing to do.
    space.bed.proxy.swept(space.bed.proxy.mark(), 2).await;
    let requests = space.bed.audit.as_ref().map(|log| log.writes(&space.name).len());
    let mark = space.bed.proxy.mark();
    two.leader.signal(Signal::CONT).unwrap();
    assert!(!two.leader.end().await.unwrap(), "it lost the lease");
    assert!(
        bed().launcher.log_tail("stopped leading", 1).contains("lease"),
        "it says why"
    );
    assert_eq!(
        space.bed.proxy.writes_since(mark, &space.prefix()),
        [""; 0],
        "nothing reached AWS"
    );
    let after = space.bed.audit.as_ref().map(|log| log.writes(&space.name).len());
    assert_eq!(requests, after, "nothing reached the API server");
    space.reported("trainer", types::READY, reasons::SYNCED).await;
    back_to_the_shared_one(two.standby).await;
}
