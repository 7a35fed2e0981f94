//! Drift is found by lists of the whole account, at a cost that doesn't depend on how many roles are in order; a start
//! costs no more. What the lists say of a single role is tested without a server.

use std::collections::BTreeSet;
use std::mem::ManuallyDrop;

use futures::future::join_all;
use kube::ResourceExt;
use libtest_mimic::Trial;
use mlservicerole_operator::api::MlServiceRoleClass;
use mlservicerole_operator::api::condition::{reasons, types};
use mlservicerole_operator::iam::tags;
use serde_json::{Value, json};

use crate::metrics::{scraped, told};
use crate::openmetrics::sum;
use crate::support::aws::{BEDROCK, READ_ONLY, statement};
use crate::support::operator::PATIENT;
use crate::support::provider::create_provider;
use crate::support::space::{is_ready, placed_name};
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
        an_account_that_does_not_answer_holds_up_no_other,
        orphans_are_counted_through_a_failed_sweep_and_a_start,
        a_start_costs_thirty_converged_objects_two_lists,
        without_the_lists_each_role_is_read_for_itself,
    ];
    trials()
}

/// How many objects are worked on at once unless `--concurrency` says otherwise.
const AT_ONCE: usize = 32;

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

/// At once, so that all are there before a held call is given up.
async fn create_all(space: &Space, count: usize, spec: Value) {
    let names = names(count);
    let creations = names.iter().map(|name| space.create(name, spec.clone()));
    join_all(creations).await;
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

/// A class of this name, and a role under its path that bears this cluster's marks and has no object.
async fn orphan(space: &Space, short: &str) -> (Class, String) {
    let path = format!("/e2e/{short}/{}/", space.bed.run);
    let class = Class::like_base(short, json!({"roles": {"path": path}})).await;
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
    space.bed.declare(&role);
    space.bed.aws.make_role(&role, &path, &marks).await;
    (class, role)
}

/// How many roles without an object a class tells of.
fn orphans_of(class: Option<&MlServiceRoleClass>) -> i64 {
    let orphans = class.and_then(|class| class.status.as_ref()?.orphans.as_ref());
    orphans.map_or(0, |orphans| orphans.count)
}

async fn a_role_whose_object_is_gone_is_told_and_stays() {
    let space = Space::new("orphan").await;
    converged(&space, 1).await;
    let (class, role) = orphan(&space, "orphan").await;
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
            class.is_some() && orphans_of(class) == 0
        })
        .await;
}

async fn one_object_does_not_wait_for_a_hundred_of_another_namespace() {
    let many = Space::new("many").await;
    let single = Space::new("single").await;
    many.bed.stop_operator().await.unwrap();
    many.bed.start_operator_with(&PATIENT).await.unwrap();
    let mark = many.bed.proxy.mark();
    let held = many
        .bed
        .proxy
        .inject("CreateRole", &many.prefix(), Fault::Hold, usize::MAX);
    create_all(&many, 100, json!({})).await;
    single.create("trainer", json!({})).await;
    // So many are worked on at once, and no more; all others wait, the single one among them.
    let waiting = (101 - AT_ONCE) as f64;
    told(
        &many,
        "mlservicerole_queue_depth",
        &[("urgency", "urgent")],
        |n| n >= waiting,
    )
    .await;
    held.met(AT_ONCE).await;
    assert_eq!(held.most_held(), AT_ONCE);
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
    many.bed.stop_operator().await.unwrap();
    many.bed.start_operator().await.unwrap();
}

async fn an_account_that_does_not_answer_holds_up_no_other() {
    let held_up = Space::new("held-up").await;
    let account = "444444444444";
    let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap();
    let Some(there) = held_up.bed.aws.of_account(&endpoint, account).await else {
        eprintln!("this emulator has one account only: two at once aren't tested");
        return;
    };
    let provider = create_provider(&there.iam, &held_up.bed.issuer).await.unwrap();
    let assume = json!({"arn": format!("arn:aws:iam::{account}:role/operator")});
    let aws = json!({"accountId": account, "assumeRole": assume});
    let class = Class::like_base("held-up", json!({ "aws": aws })).await;
    class.reported(types::READY, "True", reasons::SYNCED).await;
    // A call that is given up makes room, which must not be what the others wait for.
    held_up.bed.stop_operator().await.unwrap();
    held_up.bed.start_operator_with(&PATIENT).await.unwrap();

    // A quarter of those that are worked on at once get their answers in time, the others not.
    let inject = |times: usize| {
        let proxy = &held_up.bed.proxy;
        proxy.inject("CreateRole", &held_up.prefix(), Fault::Hold, times)
    };
    let (late, held) = (inject(AT_ONCE / 4), inject(usize::MAX));
    create_all(&held_up, 2 * AT_ONCE, json!({"className": class.name})).await;
    held.met(AT_ONCE / 2).await;
    let free = Space::new("free").await;
    create_all(&free, AT_ONCE / 2, json!({})).await;
    let waiting = (AT_ONCE + AT_ONCE / 2) as f64;
    eventually("all of the other account wait or are served", || async {
        let listed = free.roles().list(&Default::default()).await.unwrap();
        let ready = listed.iter().filter(|object| is_ready(object)).count();
        let depth = sum(&scraped(&free).await, "mlservicerole_queue_depth", &[]);
        let done = depth >= waiting || ready == AT_ONCE / 2;
        done.then_some(())
            .ok_or_else(|| format!("{depth} wait, {ready} are ready"))
    })
    .await;
    late.release();
    // More than there were answers in the other account: none of them needs one to have its turn.
    for name in names(AT_ONCE / 2) {
        free.ready(&name).await;
    }
    held.release();
    for name in names(2 * AT_ONCE) {
        held_up.ready(&name).await;
    }
    for name in names(2 * AT_ONCE) {
        held_up.delete(&name).await;
    }
    for name in names(2 * AT_ONCE) {
        held_up.gone(&name).await;
    }
    held_up.bed.stop_operator().await.unwrap();
    held_up.bed.start_operator().await.unwrap();
    let delete = there.iam.delete_open_id_connect_provider();
    let arn = provider.open_id_connect_provider_arn.unwrap();
    delete.open_id_connect_provider_arn(arn).send().await.unwrap();
}

/// What the metric says of the account, once it says anything.
async fn orphans_counted(space: &Space) -> Option<f64> {
    let families = scraped(space).await;
    let mut samples = families.iter().flat_map(|family| &family.samples);
    let account = &space.bed.aws.account;
    let of_account = samples
        .find(|sample| sample.name == "mlservicerole_orphaned_roles" && sample.labels["account"] == *account);
    of_account.map(|sample| sample.value)
}

/// The metric counts the orphan all the time, through these sweeps. Before the first sweep of a process it says nothing.
async fn counted_through(space: &Space, mark: usize, sweeps: usize) {
    eventually("sweeps", || async {
        let counted = orphans_counted(space).await;
        assert!(
            counted.is_none_or(|count| count >= 1.0),
            "{counted:?} are counted"
        );
        match space.bed.proxy.sweeps_since(mark) {
            n if n >= sweeps && counted.is_some() => Ok(()),
            n => Err(format!("{n} sweeps")),
        }
    })
    .await;
}

/// An alert waits for an hour: the count must not go away while the class tells of the role.
async fn orphans_are_counted_through_a_failed_sweep_and_a_start() {
    let space = Space::new("orphan-count").await;
    converged(&space, 1).await;
    let (class, role) = orphan(&space, "orphan-count").await;
    class
        .until("tells the orphan", |class| orphans_of(class) == 1)
        .await;
    let orphaned = "mlservicerole_orphaned_roles";
    let account = [("account", space.bed.aws.account.as_str())];
    told(&space, orphaned, &account, |n| n >= 1.0).await;

    let mark = space.bed.proxy.mark();
    let failing = space
        .bed
        .proxy
        .inject("GetAccountAuthorizationDetails", "", Fault::BadGateway, 1);
    failing.met(1).await;
    counted_through(&space, mark, 3).await;

    space.bed.stop_operator().await.unwrap();
    let mark = space.bed.proxy.mark();
    space.bed.start_operator().await.unwrap();
    counted_through(&space, mark, 3).await;
    class
        .until("still tells the orphan", |class| orphans_of(class) == 1)
        .await;

    let before = orphans_counted(&space).await.unwrap();
    space.bed.aws.remove_role(&role).await;
    class
        .until("tells no orphan", |class| {
            class.is_some() && orphans_of(class) == 0
        })
        .await;
    told(&space, orphaned, &account, |n| n == before - 1.0).await;
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
        move |class: Option<&MlServiceRoleClass>| {
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
