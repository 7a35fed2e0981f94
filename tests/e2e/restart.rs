//! Stopping and starting the operator: nothing is doubled, nothing is forgotten. Run one by one, after all others.

use std::time::Duration;

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use mlservicerole_operator::api::condition::{reasons, types};
use mlservicerole_operator::api::{BOUND_BY_ANNOTATION, ROLE_ARN_ANNOTATION};
use serde_json::json;
use tokio::time::timeout;

use crate::adoption;
use crate::support::aws::{READ_ONLY, S3_READ_ONLY, statement};
use crate::support::operator::STOP;
use crate::support::process::{free_address, probe};
use crate::support::space::{placed_name, role_arn};
use crate::support::{Fault, Space, bed, eventually};

crate::trials![
    a_crash_after_the_role_was_created_doubles_nothing,
    a_crash_before_the_status_was_written_doubles_nothing,
    a_crash_in_the_middle_of_a_deletion_leaves_nothing,
    a_crash_while_a_role_is_taken_over_or_given_back_loses_nothing,
    what_happened_meanwhile_is_seen_after_a_start,
    an_annotation_that_somebody_else_wrote_meanwhile_stays,
    a_start_costs_converged_objects_no_write,
    sigterm_ends_the_operator_within_the_grace,
    an_operator_without_caches_is_not_ready,
];

async fn crash() {
    bed().take_operator().await.kill().await.unwrap();
}

async fn start() {
    bed().start_operator().await.unwrap();
}

async fn a_crash_after_the_role_was_created_doubles_nothing() {
    let space = Space::new("crash-create").await;
    let mark = space.bed.proxy.mark();
    let held = space
        .bed
        .proxy
        .inject("AttachRolePolicy", &space.prefix(), Fault::Hold, usize::MAX);
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY, S3_READ_ONLY]}))
        .await;
    held.met(1).await;
    let before = space.role("trainer").await.unwrap();
    crash().await;
    drop(held);
    start().await;
    space.ready("trainer").await;
    let after = space.role("trainer").await.unwrap();
    assert_eq!(after.id, before.id);
    assert_eq!(after.attached.len(), 2);
    let writes = space.bed.proxy.writes_since(mark, &space.prefix());
    assert_eq!(
        writes.iter().filter(|action| *action == "CreateRole").count(),
        1,
        "{writes:?}"
    );
}

async fn a_crash_before_the_status_was_written_doubles_nothing() {
    let space = Space::new("crash-finalizer").await;
    let held = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), Fault::Hold, 1);
    space.create("trainer", json!({})).await;
    held.met(1).await;
    let placed = space.placed("trainer").await;
    crash().await;
    // The call is carried out though nobody waits for its answer any more.
    drop(held);
    let name = placed_name(&placed).unwrap();
    let created = timeout(
        Duration::from_secs(2),
        eventually("the role exists", || async {
            space
                .bed
                .aws
                .snapshot(&name)
                .await
                .ok_or_else(|| "not yet".to_owned())
        }),
    )
    .await;
    let mark = space.bed.proxy.mark();
    start().await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    if let Ok(created) = created {
        assert_eq!(role.id, created.id);
        let writes = space.bed.proxy.writes_since(mark, &space.prefix());
        assert_eq!(writes, Vec::<String>::new(), "the role is found by its placement");
    }
}

async fn a_crash_in_the_middle_of_a_deletion_leaves_nothing() {
    let space = Space::new("crash-delete").await;
    let inline = json!([{"name": "data", "document": statement("s3:GetObject", "*")}]);
    space
        .create(
            "trainer",
            json!({"managedPolicyArns": [READ_ONLY], "inlinePolicies": inline}),
        )
        .await;
    space.ready("trainer").await;
    let name = placed_name(&space.placed("trainer").await).unwrap();
    let held = space
        .bed
        .proxy
        .inject("DeleteRole", &space.prefix(), Fault::Hold, 1);
    space.delete("trainer").await;
    held.met(1).await;
    crash().await;
    drop(held);
    start().await;
    space.gone("trainer").await;
    assert!(space.bed.aws.snapshot(&name).await.is_none());
}

async fn a_crash_while_a_role_is_taken_over_or_given_back_loses_nothing() {
    let space = Space::new("crash-adopt").await;
    let before = adoption::make(&space, &adoption::their_tags()).await;
    let class = adoption::consenting(&space, "crash-adopt").await;
    let hold = |action| {
        let proxy = &space.bed.proxy;
        proxy.inject(action, &space.prefix(), Fault::Hold, usize::MAX)
    };
    let held = hold("AttachRolePolicy");
    let spec = adoption::asking(&space, &class, adoption::REPLACE);
    space.create("trainer", spec).await;
    held.met(1).await;
    crash().await;
    drop(held);
    start().await;
    space.ready("trainer").await;
    let records = adoption::records_of(&space).await;
    assert_eq!(records.len(), 1, "{records:?}");

    let held = hold("PutRolePolicy");
    space.delete("trainer").await;
    held.met(1).await;
    assert_ne!(adoption::now(&space).await, before);
    crash().await;
    drop(held);
    start().await;
    space.gone("trainer").await;
    assert_eq!(adoption::left(&space).await, before);
}

async fn what_happened_meanwhile_is_seen_after_a_start() {
    let space = Space::new("meanwhile").await;
    space
        .create("kept", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.create("gone", json!({})).await;
    space.ready("kept").await;
    space.ready("gone").await;
    let kept = placed_name(&space.placed("kept").await).unwrap();
    let gone = placed_name(&space.placed("gone").await).unwrap();
    space.bed.stop_operator().await.unwrap();
    space.delete("gone").await;
    space
        .patch_spec("kept", json!({"managedPolicyArns": [S3_READ_ONLY]}))
        .await;
    space
        .patch_account(
            "kept",
            json!({"metadata": {"annotations": {ROLE_ARN_ANNOTATION: null}}}),
        )
        .await;
    space.bed.aws.tag(&kept, "stage", "x").await;
    space.create("made", json!({})).await;
    start().await;
    space.ready("kept").await;
    let role = space.bed.aws.snapshot(&kept).await.unwrap();
    assert_eq!(role.attached, [S3_READ_ONLY.to_owned()].into());
    assert!(!role.tags.contains_key("stage"));
    space.bound("kept", &role.arn).await;
    space.ready("made").await;
    space.gone("gone").await;
    assert!(space.bed.aws.snapshot(&gone).await.is_none());
}

async fn an_annotation_that_somebody_else_wrote_meanwhile_stays() {
    let space = Space::new("others").await;
    space
        .create_account(json!({"metadata": {"name": "trainer"}}))
        .await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    space.bed.stop_operator().await.unwrap();
    let other = "arn:aws:iam::999999999999:role/other";
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "trainer", "annotations": {ROLE_ARN_ANNOTATION: other}},
    });
    let params = PatchParams::apply("helm").force();
    space
        .accounts()
        .patch("trainer", &params, &Patch::Apply(account))
        .await
        .unwrap();
    space.delete("trainer").await;
    start().await;
    space.gone("trainer").await;
    let left = space.account("trainer").await.unwrap();
    assert_eq!(role_arn(&left), Some(other));
    assert!(
        !left.annotations().contains_key(BOUND_BY_ANNOTATION),
        "{:?}",
        left.annotations()
    );
}

async fn a_start_costs_converged_objects_no_write() {
    let space = Space::new("costless").await;
    let inline = json!([{"name": "data", "document": statement("s3:GetObject", "*")}]);
    space
        .create(
            "trainer",
            json!({"managedPolicyArns": [READ_ONLY], "inlinePolicies": inline}),
        )
        .await;
    let before = space.ready("trainer").await;
    space.bed.stop_operator().await.unwrap();
    let mark = space.bed.proxy.mark();
    let settled = space
        .bed
        .audit
        .as_ref()
        .map(|audit| audit.writes(&space.name).len());
    start().await;
    space.bed.proxy.swept(mark, 2).await;
    let calls = space.bed.proxy.since(mark, &space.prefix());
    assert!(calls.is_empty(), "the lists of the account tell of it: {calls:?}");
    assert_eq!(
        space.bed.proxy.writes_since(mark, &space.prefix()),
        Vec::<String>::new()
    );
    let after = space.roles().get("trainer").await.unwrap();
    assert_eq!(after.resource_version(), before.resource_version());
    if let (Some(audit), Some(settled)) = (&space.bed.audit, settled) {
        assert_eq!(audit.writes(&space.name).split_off(settled), []);
    }
}

async fn sigterm_ends_the_operator_within_the_grace() {
    let space = Space::new("sigterm").await;
    let held = space
        .bed
        .proxy
        .inject("AttachRolePolicy", &space.prefix(), Fault::Hold, usize::MAX);
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    held.met(1).await;
    let operator = space.bed.take_operator().await;
    let ended = timeout(STOP, operator.terminate()).await;
    let ended = ended.expect("it ends within the grace, though a call is under way");
    assert_eq!(ended, Ok(true));
    drop(held);
    start().await;
    space.ready("trainer").await;

    let held = space
        .bed
        .proxy
        .inject("UpdateRole", &space.prefix(), Fault::Hold, 1);
    let changed = json!({"managedPolicyArns": [S3_READ_ONLY], "role": {"description": "x"}});
    space.patch_spec("trainer", changed).await;
    held.met(1).await;
    let operator = space.bed.take_operator().await;
    let (ended, ()) = tokio::join!(timeout(STOP, operator.terminate()), async { held.release() });
    assert_eq!(ended.expect("it ends"), Ok(true));
    start().await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!(
        (role.description.as_str(), role.attached),
        ("x", [S3_READ_ONLY.to_owned()].into())
    );
}

async fn an_operator_without_caches_is_not_ready() {
    let space = Space::new("unready").await;
    assert_eq!(space.bed.launcher.probe("/livez").await, Ok(200));
    assert_eq!(space.bed.launcher.probe("/readyz").await, Ok(200));
    assert_eq!(space.bed.launcher.probe("/elsewhere").await, Ok(404));
    // An API server that takes connections and never answers.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = free_address().unwrap();
    let server = format!("http://{}", silent.local_addr().unwrap());
    let mut operator = space.bed.launcher.spawn_against(&server, address).unwrap();
    let accepted = timeout(Duration::from_secs(20), silent.accept()).await;
    accepted.expect("it asks the API server").unwrap();
    assert_eq!(probe(address, "/livez").await, Ok(200));
    assert_eq!(probe(address, "/readyz").await, Ok(503));
    assert_eq!(operator.ended().await, None);
    assert!(operator.terminate().await.unwrap());
    // A word on the one that runs on, for the next test.
    space.create("trainer", json!({})).await;
    space.reported("trainer", types::READY, reasons::SYNCED).await;
}
