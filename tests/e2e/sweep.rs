//! Drift is found by lists of the whole account, at a cost that doesn't depend on how many roles are in order; a start
//! costs no more. What the lists say of a single role is tested without a server.

use std::collections::BTreeSet;
use std::mem::ManuallyDrop;

use kube::ResourceExt;
use libtest_mimic::Trial;
use mlservicerole_operator::iam::tags;
use serde_json::{Value, json};

use crate::support::aws::{BEDROCK, READ_ONLY, statement};
use crate::support::space::placed_name;
use crate::support::{Class, Fault, Space, base_class_name, bed, eventually};

crate::trials![
    drift_on_some_roles_is_repaired_by_one_sweep_and_the_others_are_not_read,
    roles_in_order_cost_no_call_and_no_write,
    a_role_whose_object_is_gone_is_told_and_stays,
];

/// Those that concern every object, and so come after all others, one by one.
pub fn serial() -> Vec<Trial> {
    crate::trials![
        one_object_does_not_wait_for_a_hundred_of_another_namespace,
        a_start_costs_thirty_converged_objects_two_lists,
        without_the_lists_each_role_is_read_for_itself,
    ];
    trials()
}

fn spec() -> Value {
    json!({
        "managedPolicyArns": [READ_ONLY],
        "inlinePolicies": [{"name": "data", "document": statement("s3:GetObject", "arn:aws:s3:::data/*")}],
        "role": {"description": "trains", "maxSessionDurationSeconds": 3700, "tags": {"team": "a"}},
    })
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("r{i}")).collect()
}

/// Objects that are in order, and the names of their roles.
async fn converged(space: &Space, count: usize) -> Vec<String> {
    let objects = names(count);
    for name in &objects {
        space.create(name, spec()).await;
    }
    let mut roles = Vec::new();
    for name in &objects {
        roles.extend(placed_name(&space.ready(name).await));
    }
    assert_eq!(roles.len(), count);
    // Until lists are believed of what was written last.
    space.bed.proxy.swept(space.bed.proxy.mark(), 2).await;
    roles
}

async fn versions(space: &Space) -> BTreeSet<Option<String>> {
    let listed = space.roles().list(&Default::default()).await.unwrap();
    listed.iter().map(ResourceExt::resource_version).collect()
}

fn writes(space: &Space) -> usize {
    let audit = space.bed.audit.as_ref();
    audit.map_or(0, |audit| audit.writes(&space.name).len())
}

async fn drift_on_some_roles_is_repaired_by_one_sweep_and_the_others_are_not_read() {
    let space = Space::new("some-drift").await;
    let roles = converged(&space, 12).await;
    let (drifted, others) = roles.split_at(3);
    let mark = space.bed.proxy.mark();
    for role in drifted {
        space.bed.aws.attach(role, BEDROCK).await;
    }
    for (i, role) in drifted.iter().enumerate() {
        let name = format!("r{i}");
        let mended = |role: &crate::support::aws::RoleSnapshot| !role.attached.contains(BEDROCK);
        space.role_until(&name, "is as before", mended).await;
        let calls = space.bed.proxy.since(mark, role);
        assert!(
            calls.iter().any(|call| call.action == "GetRole"),
            "it was read before it was changed: {calls:?}"
        );
        let written = space.bed.proxy.writes_since(mark, role);
        assert_eq!(written, ["DetachRolePolicy"]);
    }
    for role in others {
        let calls = space.bed.proxy.since(mark, role);
        assert!(calls.is_empty(), "{calls:?}");
    }
}

async fn roles_in_order_cost_no_call_and_no_write() {
    let space = Space::new("in-order").await;
    converged(&space, 5).await;
    let (mark, settled, before) = (space.bed.proxy.mark(), writes(&space), versions(&space).await);
    space.bed.proxy.swept(mark, 3).await;
    let calls = space.bed.proxy.since(mark, &space.prefix());
    assert!(calls.is_empty(), "{calls:?}");
    assert_eq!(versions(&space).await, before);
    assert_eq!(writes(&space), settled);
}

async fn a_role_whose_object_is_gone_is_told_and_stays() {
    let space = Space::new("orphan").await;
    converged(&space, 1).await;
    let class = Class::like_base(
        "orphan",
        json!({"roles": {"path": format!("/e2e/orphans/{}/", space.bed.run)}}),
    )
    .await;
    let role = format!("{}orphan", space.prefix());
    let marks = [
        (tags::CLUSTER, space.bed.launcher.cluster_name.as_str()),
        (tags::CLUSTER_UID, space.bed.cluster_uid.as_str()),
        (tags::NAMESPACE, space.name.as_str()),
        (tags::NAME, "no-such-object"),
    ];
    let marks = marks
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let path = format!("/e2e/orphans/{}/", space.bed.run);
    space.bed.aws.make_role(&role, &path, &marks).await;
    let before = space.bed.aws.snapshot(&role).await;
    class
        .until("tells the orphan", |class| {
            let orphans = class.and_then(|class| class.status.as_ref()?.orphans.as_ref());
            orphans.is_some_and(|orphans| orphans.count == 1 && orphans.names == [role.clone()])
        })
        .await;
    assert_eq!(space.bed.aws.snapshot(&role).await, before, "it is left alone");
    let calls = space.bed.proxy.since(0, &role);
    assert!(calls.is_empty(), "{calls:?}");
    space.bed.aws.remove_role(&role).await;
    class
        .until("tells no orphan", |class| {
            class.is_some_and(|class| {
                class
                    .status
                    .as_ref()
                    .is_some_and(|status| status.orphans.is_none())
            })
        })
        .await;
}

async fn one_object_does_not_wait_for_a_hundred_of_another_namespace() {
    let many = Space::new("many").await;
    let single = Space::new("single").await;
    let mark = many.bed.proxy.mark();
    let held = many
        .bed
        .proxy
        .inject("CreateRole", &many.prefix(), Fault::Hold, usize::MAX);
    for name in names(100) {
        many.create(&name, json!({})).await;
    }
    // So many are worked on at once; the others wait.
    held.met(20).await;
    single.create("trainer", json!({})).await;
    single.until("trainer", "is seen", |_| Some(())).await;
    held.release();
    single.ready("trainer").await;
    // In the order in which they came to AWS.
    let calls = many.bed.proxy.since(mark, "").into_iter();
    let created: Vec<String> = calls
        .filter(|call| call.action == "CreateRole")
        .map(|call| call.role)
        .collect();
    let place = created.iter().position(|role| role.starts_with(&single.prefix()));
    let before = place.unwrap_or(created.len());
    assert!(before <= 64, "{before} roles of the other namespace came before");
    for name in names(100) {
        many.ready(&name).await;
    }
}

async fn a_start_costs_thirty_converged_objects_two_lists() {
    let space = Space::new("start-30").await;
    converged(&space, 30).await;
    space.bed.stop_operator().await.unwrap();
    let (settled, before) = (writes(&space), versions(&space).await);
    let mark = space.bed.proxy.mark();
    space.bed.start_operator().await.unwrap();
    space.bed.proxy.swept(mark, 2).await;
    let calls = space.bed.proxy.since(mark, &space.prefix());
    assert!(calls.is_empty(), "{calls:?}");
    assert_eq!(versions(&space).await, before);
    assert_eq!(writes(&space), settled);
}

async fn without_the_lists_each_role_is_read_for_itself() {
    let space = Space::new("no-lists").await;
    let roles = converged(&space, 3).await;
    // It isn't the test's own, and stays.
    let class = ManuallyDrop::new(Class {
        name: base_class_name(bed()),
    });
    let method = |wanted: &'static str| {
        move |class: Option<&mlservicerole_operator::api::MlServiceRoleClass>| {
            let sweep = class.and_then(|class| class.status.as_ref()?.sweep.as_ref());
            sweep.is_some_and(|sweep| sweep.method == wanted)
        }
    };
    class.until("is looked at by lists", method("AccountLists")).await;
    let denied = space
        .bed
        .proxy
        .inject("GetAccountAuthorizationDetails", "", Fault::denied(), usize::MAX);
    class.until("is looked at role by role", method("EachRole")).await;
    let mark = space.bed.proxy.mark();
    space.bed.aws.attach(&roles[1], BEDROCK).await;
    let mended = |role: &crate::support::aws::RoleSnapshot| !role.attached.contains(BEDROCK);
    space.role_until("r1", "is as before", mended).await;
    eventually("every role is read", || async {
        let read = |role: &&String| {
            let calls = space.bed.proxy.since(mark, role);
            calls.iter().any(|call| call.action == "GetRole")
        };
        match roles.iter().filter(read).count() {
            3 => Ok(()),
            n => Err(format!("{n} of 3")),
        }
    })
    .await;
    drop(denied);
    class
        .until("is looked at by lists again", method("AccountLists"))
        .await;
}
