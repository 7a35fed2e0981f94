//! Roles and ServiceAccounts of somebody else: neither changed nor deleted, and the object says so without
//! telling whose they are.

use std::collections::BTreeMap;

use mlservicerole_operator::api::condition::{reasons, types};
use mlservicerole_operator::api::{MlServiceRole, ROLE_ARN_ANNOTATION};
use serde_json::json;

use crate::support::aws::{READ_ONLY, RoleSnapshot};
use crate::support::space::{condition, namespace_uid, ownership_tags, placed_name, role_arn};
use crate::support::{Class, Fault, Space};

crate::trials![
    a_role_without_tags_is_left_alone,
    a_role_of_another_cluster_is_left_alone,
    a_role_of_another_cluster_of_our_name_is_left_alone,
    a_role_of_a_former_namespace_is_left_alone,
    a_role_of_another_object_is_left_alone,
    a_role_with_our_tags_at_another_path_is_left_alone,
    a_role_of_an_explicit_name_is_left_alone,
    a_role_whose_ownership_tags_are_gone_is_left_alone,
    a_conflict_ends_with_the_other_role,
    a_service_account_with_another_arn_is_left_alone,
    a_creation_whose_answer_was_lost_is_recognised,
];

type Tags = BTreeMap<String, String>;

fn set(tags: &mut Tags, key: &str, value: &str) {
    tags.insert(format!("mlservicerole.io/{key}"), value.to_owned());
}

/// Puts a role of somebody else where the object's role would be, just before it is created.
async fn in_the_way(
    space: &Space,
    path: Option<&str>,
    change: impl Fn(&mut Tags),
) -> (MlServiceRole, RoleSnapshot) {
    let held = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), Fault::Hold, 1);
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    held.met(1).await;
    let object = space.placed("trainer").await;
    let name = placed_name(&object).unwrap();
    let mut tags = ownership_tags(space.bed, &object, &namespace_uid(space.bed, &space.name).await);
    change(&mut tags);
    let own_path = format!("{}{}/", space.bed.path(), space.name);
    space.bed.declare(&name);
    space
        .bed
        .aws
        .make_role(&name, path.unwrap_or(&own_path), &tags)
        .await;
    (object, space.bed.aws.snapshot(&name).await.unwrap())
}

/// The object reports the conflict, and neither that nor its deletion changes the role.
async fn left_alone(space: &Space, theirs: &RoleSnapshot, reason: &str) {
    let synced = space.reported("trainer", types::ROLE_SYNCED, reason).await;
    assert_eq!(synced.status, "False");
    let object = space.roles().get("trainer").await.unwrap();
    assert_eq!(
        condition(&object, types::STALLED).map(|c| c.status.as_str()),
        Some("True")
    );
    let ready = condition(&object, types::READY).unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", reason));
    let said = serde_json::to_string(&object.status).unwrap();
    for secret in [
        theirs.id.as_str(),
        "theirs",
        "ec2.amazonaws.com",
        "elsewhere",
        "AmazonS3ReadOnlyAccess",
    ] {
        assert!(!said.contains(secret), "{secret} is told: {said}");
    }
    let name = theirs.arn.rsplit('/').next().unwrap();
    assert_eq!(space.bed.aws.snapshot(name).await.as_ref(), Some(theirs));
    if let Some(account) = space.account("trainer").await {
        assert_eq!(
            role_arn(&account),
            None,
            "nobody may be pointed at a role that isn't ours"
        );
    }
    space.delete_and_wait("trainer").await;
    assert_eq!(space.bed.aws.snapshot(name).await.as_ref(), Some(theirs));
}

async fn a_role_without_tags_is_left_alone() {
    let space = Space::new("foreign").await;
    let (_, theirs) = in_the_way(&space, None, |tags| tags.clear()).await;
    left_alone(&space, &theirs, reasons::ROLE_CONFLICT).await;
}

async fn a_role_of_another_cluster_is_left_alone() {
    let space = Space::new("foreign-cluster").await;
    let (_, theirs) = in_the_way(&space, None, |tags| {
        set(tags, "cluster", "elsewhere");
        set(tags, "cluster-uid", "00000000-elsewhere");
    })
    .await;
    left_alone(&space, &theirs, reasons::ROLE_CONFLICT).await;
}

async fn a_role_of_another_cluster_of_our_name_is_left_alone() {
    let space = Space::new("foreign-name").await;
    let (_, theirs) = in_the_way(&space, None, |tags| {
        set(tags, "cluster-uid", "00000000-elsewhere")
    })
    .await;
    left_alone(&space, &theirs, reasons::CLUSTER_NAME_CLASH).await;
}

async fn a_role_of_a_former_namespace_is_left_alone() {
    let space = Space::new("foreign-ns").await;
    let (_, theirs) = in_the_way(&space, None, |tags| {
        set(tags, "namespace-uid", "00000000-elsewhere")
    })
    .await;
    left_alone(&space, &theirs, reasons::NAMESPACE_RECREATED).await;
}

async fn a_role_of_another_object_is_left_alone() {
    let space = Space::new("foreign-object").await;
    let (_, theirs) = in_the_way(&space, None, |tags| set(tags, "name", "elsewhere")).await;
    left_alone(&space, &theirs, reasons::ROLE_CONFLICT).await;
}

async fn a_role_with_our_tags_at_another_path_is_left_alone() {
    let space = Space::new("foreign-path").await;
    let (_, theirs) = in_the_way(&space, Some("/elsewhere/"), |_| ()).await;
    left_alone(&space, &theirs, reasons::ROLE_CONFLICT).await;
}

async fn a_role_of_an_explicit_name_is_left_alone() {
    let space = Space::new("foreign-given").await;
    let name = format!("{}-given", space.name);
    let class = Class::like_base("foreign-given", json!({"allow": {"roleNames": [name]}})).await;
    space.bed.declare(&name);
    space
        .bed
        .aws
        .make_role(&name, "/", &Tags::from([("team".into(), "theirs".into())]))
        .await;
    let theirs = space.bed.aws.snapshot(&name).await.unwrap();
    space
        .create(
            "trainer",
            json!({"className": class.name, "role": {"name": name}}),
        )
        .await;
    left_alone(&space, &theirs, reasons::ROLE_CONFLICT).await;
}

async fn a_role_whose_ownership_tags_are_gone_is_left_alone() {
    let space = Space::new("ownership").await;
    let object = space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let role = placed_name(&space.placed("trainer").await).unwrap();
    let tags = ownership_tags(space.bed, &object, "");
    space.bed.declare(&role);
    for key in tags.keys() {
        space.bed.aws.untag(&role, key).await;
    }
    let theirs = space.bed.aws.snapshot(&role).await.unwrap();
    let synced = space
        .reported("trainer", types::ROLE_SYNCED, reasons::OWNERSHIP_LOST)
        .await;
    assert_eq!(synced.status, "False");
    assert_eq!(space.bed.aws.snapshot(&role).await.as_ref(), Some(&theirs));
    space.delete_and_wait("trainer").await;
    assert_eq!(space.bed.aws.snapshot(&role).await.as_ref(), Some(&theirs));
}

async fn a_conflict_ends_with_the_other_role() {
    let space = Space::new("foreign-ends").await;
    let (_, theirs) = in_the_way(&space, None, |tags| tags.clear()).await;
    space
        .reported("trainer", types::ROLE_SYNCED, reasons::ROLE_CONFLICT)
        .await;
    let name = theirs.arn.rsplit('/').next().unwrap();
    space.bed.aws.remove_role(name).await;
    space.ready("trainer").await;
    let ours = space.role("trainer").await.unwrap();
    assert_ne!(ours.id, theirs.id);
    assert!(ours.attached.contains(READ_ONLY));
    space.delete_and_wait("trainer").await;
    assert_eq!(space.bed.aws.snapshot(name).await, None);
}

async fn a_service_account_with_another_arn_is_left_alone() {
    let space = Space::new("foreign-sa").await;
    let theirs = "arn:aws:iam::999999999999:role/theirs";
    let annotations = json!({ROLE_ARN_ANNOTATION: theirs, "note": "mine"});
    let account = json!({"metadata": {"name": "taken", "labels": {"app": "x"}, "annotations": annotations}});
    space.create_account(account).await;
    let before = space.account("taken").await.unwrap();
    space
        .create(
            "trainer",
            json!({"serviceAccounts": [{"name": "free"}, {"name": "taken"}]}),
        )
        .await;
    let bound = space
        .reported(
            "trainer",
            types::SERVICE_ACCOUNTS_BOUND,
            reasons::SERVICE_ACCOUNT_CONFLICT,
        )
        .await;
    assert_eq!(bound.status, "False");
    assert!(
        bound.message.contains("taken") && !bound.message.contains("999999999999"),
        "{}",
        bound.message
    );
    let object = space.roles().get("trainer").await.unwrap();
    assert_eq!(
        condition(&object, types::READY).map(|c| c.reason.as_str()),
        Some(reasons::SERVICE_ACCOUNT_CONFLICT)
    );
    assert_eq!(
        condition(&object, types::STALLED).map(|c| c.status.as_str()),
        Some("True")
    );
    let arn = space.role("trainer").await.unwrap().arn;
    space.bound("free", &arn).await;
    assert_eq!(space.account("taken").await.as_ref(), Some(&before));

    space.delete_and_wait("trainer").await;
    assert_eq!(space.account("taken").await.as_ref(), Some(&before));

    // Once nobody claims it, the ServiceAccount is taken.
    space
        .create("again", json!({"serviceAccounts": [{"name": "taken"}]}))
        .await;
    space
        .reported(
            "again",
            types::SERVICE_ACCOUNTS_BOUND,
            reasons::SERVICE_ACCOUNT_CONFLICT,
        )
        .await;
    space
        .patch_account(
            "taken",
            json!({"metadata": {"annotations": {ROLE_ARN_ANNOTATION: null}}}),
        )
        .await;
    space.ready("again").await;
    let arn = space.role("again").await.unwrap().arn;
    space.bound("taken", &arn).await;
}

async fn a_creation_whose_answer_was_lost_is_recognised() {
    let space = Space::new("lost").await;
    let mark = space.bed.proxy.mark();
    // The SDK repeats a request whose connection broke; its answer is lost too.
    let lost = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), Fault::LoseAnswer, 3);
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    lost.met(1).await;
    let name = placed_name(&space.placed("trainer").await).unwrap();
    let first = crate::support::eventually("the role exists", || async {
        space
            .bed
            .aws
            .snapshot(&name)
            .await
            .ok_or_else(|| "not yet".to_owned())
    })
    .await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!(role.id, first.id, "the role that the lost call created");
    assert!(role.attached.contains(READ_ONLY));
    let settled = space.bed.proxy.mark();
    space
        .patch_spec("trainer", json!({"role": {"description": "later"}}))
        .await;
    space.ready("trainer").await;
    assert_eq!(
        space.bed.proxy.writes_since(settled, &space.prefix()),
        ["UpdateRole"]
    );
    let created = space.bed.proxy.since(mark, &space.prefix());
    let created = created.iter().filter(|call| call.action == "CreateRole").count();
    assert!(created <= 4, "{created} creations");
}
