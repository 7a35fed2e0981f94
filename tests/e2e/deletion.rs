//! Deleting an object takes its role away, whatever stands in the way; restoring it brings everything back.

use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use mlservicerole_operator::api::condition::{reasons, types};
use mlservicerole_operator::api::{BOUND_BY_ANNOTATION, ROLE_FINALIZER};
use serde_json::{Value, json};

use crate::support::aws::{BEDROCK, READ_ONLY, statement};
use crate::support::fault::{Injection, SECRET_OF_AWS};
use crate::support::space::{bound_by, condition, placed_name, role_arn};
use crate::support::wait::{DEADLINE, within};
use crate::support::{Class, Fault, Space};

crate::trials![
    deleting_the_namespace_takes_the_roles_away,
    a_denied_deletion_keeps_the_object_and_explains_itself,
    what_others_put_into_the_role_goes_with_it,
    a_role_that_is_gone_already_keeps_nobody,
    a_deletion_in_the_middle_of_a_creation_leaves_nothing,
    a_retained_role_stays_and_is_nobodys,
    retaining_needs_the_consent_of_the_class,
    an_object_restored_without_status_takes_its_role_again,
    a_service_account_restored_beside_its_object_is_bound_again,
];

async fn deleting_the_namespace_takes_the_roles_away() {
    let space = Space::new("namespace").await;
    space.create("a", json!({"managedPolicyArns": [READ_ONLY]})).await;
    space
        .create(
            "b",
            json!({"inlinePolicies": [{"name": "a", "document": statement("s3:Get*", "*")}]}),
        )
        .await;
    space.ready("a").await;
    space.ready("b").await;
    let path = format!("{}{}/", space.bed.path(), space.name);
    assert_eq!(space.bed.aws.roles_under(&path).await.unwrap().len(), 2);
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(space.bed.client.clone());
    namespaces
        .delete(&space.name, &DeleteParams::default())
        .await
        .unwrap();
    // Its controller takes its time while other tests' namespaces go too.
    let gone = within(3 * DEADLINE, || async {
        match namespaces.get_opt(&space.name).await.map_err(|e| e.to_string())? {
            None => Ok(()),
            Some(left) => Err(format!("{:?}\n{}", left.status, space.log())),
        }
    })
    .await;
    gone.unwrap();
    assert!(space.bed.aws.roles_under(&path).await.unwrap().is_empty());
}

async fn a_denied_deletion_keeps_the_object_and_explains_itself() {
    let space = Space::new("denied-delete").await;
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.ready("trainer").await;
    let name = placed_name(&space.placed("trainer").await).unwrap();
    let denied = space
        .bed
        .proxy
        .inject("DeleteRole", &space.prefix(), Fault::denied(), usize::MAX);
    space.delete("trainer").await;
    let object = space
        .until("trainer", "explains what keeps it", |object| {
            condition(object, types::READY)
                .filter(|ready| ready.reason == reasons::ACCESS_DENIED)
                .map(|_| object.clone())
        })
        .await;
    let ready = condition(&object, types::READY).unwrap();
    assert_eq!(ready.status, "False");
    assert!(
        ready.message.contains("DeleteRole") && ready.message.contains(&name),
        "{}",
        ready.message
    );
    assert!(!ready.message.contains(SECRET_OF_AWS), "{}", ready.message);
    assert!(
        object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == ROLE_FINALIZER)
    );
    assert!(space.bed.aws.snapshot(&name).await.is_some());
    drop(denied);
    space.gone("trainer").await;
    assert!(space.bed.aws.snapshot(&name).await.is_none());
}

async fn what_others_put_into_the_role_goes_with_it() {
    let space = Space::new("filled").await;
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.ready("trainer").await;
    let name = placed_name(&space.placed("trainer").await).unwrap();
    // Put in after the operator's read and before its deletion.
    let held = space
        .bed
        .proxy
        .inject("DetachRolePolicy", &space.prefix(), Fault::Hold, 1);
    space.delete("trainer").await;
    held.met(1).await;
    space.bed.aws.attach(&name, BEDROCK).await;
    space
        .bed
        .aws
        .put_inline(&name, "more", &statement("s3:*", "*"))
        .await;
    held.release();
    space.gone("trainer").await;
    assert!(space.bed.aws.snapshot(&name).await.is_none());
}

async fn a_role_that_is_gone_already_keeps_nobody() {
    let space = Space::new("gone-already").await;
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.ready("trainer").await;
    let name = placed_name(&space.placed("trainer").await).unwrap();
    space.bed.aws.remove_role(&name).await;
    space.delete_and_wait("trainer").await;
    assert!(space.bed.aws.snapshot(&name).await.is_none());
    assert!(space.account("trainer").await.is_none());
}

async fn a_deletion_in_the_middle_of_a_creation_leaves_nothing() {
    let space = Space::new("midway").await;
    let held = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), Fault::Hold, 1);
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    held.met(1).await;
    let name = placed_name(&space.placed("trainer").await).unwrap();
    space.delete("trainer").await;
    held.release();
    space.gone("trainer").await;
    assert!(space.bed.aws.snapshot(&name).await.is_none());
    assert!(space.account("trainer").await.is_none());
}

async fn a_retained_role_stays_and_is_nobodys() {
    let space = Space::new("retain").await;
    let spec = json!({"managedPolicyArns": [READ_ONLY], "deletionPolicy": "Retain"});
    space.create("trainer", spec.clone()).await;
    space.ready("trainer").await;
    let before = space.role("trainer").await.unwrap();
    let name = placed_name(&space.placed("trainer").await).unwrap();
    space.bed.declare(&name);
    space.delete_and_wait("trainer").await;
    let after = space.bed.aws.snapshot(&name).await.unwrap();
    assert_eq!(
        (&after.id, &after.attached, &after.trust),
        (&before.id, &before.attached, &before.trust)
    );
    assert!(
        after.tags.contains_key("mlservicerole.io/retained"),
        "{:?}",
        after.tags
    );
    let account = space.account("trainer").await.unwrap();
    assert_eq!(
        role_arn(&account),
        Some(before.arn.as_str()),
        "pods keep their role"
    );
    let markers = account
        .annotations()
        .keys()
        .filter(|key| key.starts_with("mlservicerole.io/"));
    assert_eq!(markers.count(), 0, "{:?}", account.annotations());
    // A retained role is nobody's: an object of the same name doesn't get it back.
    space.create("trainer", spec).await;
    space
        .reported("trainer", types::ROLE_SYNCED, reasons::ROLE_CONFLICT)
        .await;
    assert_eq!(space.bed.aws.snapshot(&name).await.as_ref(), Some(&after));
}

async fn retaining_needs_the_consent_of_the_class() {
    let space = Space::new("no-retain").await;
    let class = Class::like_base("no-retain", json!({"allow": {"retain": true}})).await;
    let spec = json!({"className": class.name, "deletionPolicy": "Retain"});
    space.create("trainer", spec).await;
    space.ready("trainer").await;
    let before = space.role("trainer").await;
    class.patch(json!({"spec": {"allow": {"retain": null}}})).await;
    space.refused("trainer", reasons::RETAIN_NOT_ALLOWED).await;
    space.delete("trainer").await;
    let kept = space
        .until("trainer", "waits for a decision", |object| {
            let ready = condition(object, types::READY)?;
            (object.metadata.deletion_timestamp.is_some() && ready.reason == reasons::RETAIN_NOT_ALLOWED)
                .then(|| object.clone())
        })
        .await;
    assert!(
        kept.finalizers()
            .iter()
            .any(|finalizer| finalizer == ROLE_FINALIZER)
    );
    assert_eq!(space.role("trainer").await, before);
    space
        .patch_spec("trainer", json!({"deletionPolicy": "Delete"}))
        .await;
    space.gone("trainer").await;
    let name = before.unwrap().arn;
    assert!(
        space
            .bed
            .aws
            .snapshot(name.rsplit('/').next().unwrap())
            .await
            .is_none()
    );
}

/// Loses an object as a lost cluster does, with its role left in AWS; the object as a backup holds it.
///
/// The operator can't read the role until the injection is dropped, so it can't delete it either. That must be
/// later than the operator knows that this object is gone: it does when it has seen the restored one.
async fn lose(space: &Space, name: &str) -> (Value, Injection) {
    let saved = space.roles().get(name).await.unwrap();
    let unreadable = space
        .bed
        .proxy
        .inject("GetRole", &space.prefix(), Fault::throttled(), usize::MAX);
    space.delete(name).await;
    space.patch(name, json!({"metadata": {"finalizers": null}})).await;
    space.gone(name).await;
    let metadata = &saved.metadata;
    let backup = json!({
        "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole", "spec": saved.spec,
        "metadata": {"name": name, "annotations": metadata.annotations, "finalizers": metadata.finalizers},
    });
    (backup, unreadable)
}

async fn restore(space: &Space, name: &str, (backup, unreadable): (Value, Injection)) {
    let object = serde_json::from_value(backup).unwrap();
    space
        .roles()
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    space.reported(name, types::READY, reasons::THROTTLED).await;
    drop(unreadable);
}

async fn an_object_restored_without_status_takes_its_role_again() {
    let space = Space::new("restored").await;
    let first = space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.ready("trainer").await;
    let before = space.role("trainer").await.unwrap();
    let saved = lose(&space, "trainer").await;
    let name = before.arn.rsplit('/').next().unwrap();
    assert_eq!(
        space.bed.aws.snapshot(name).await.map(|role| role.id),
        Some(before.id.clone())
    );
    restore(&space, "trainer", saved).await;
    let object = space.ready("trainer").await;
    assert_ne!(object.uid(), first.uid());
    let mut expected = before.clone();
    expected
        .tags
        .insert("mlservicerole.io/uid".into(), object.uid().unwrap());
    assert_eq!(space.role("trainer").await, Some(expected));
    assert_eq!(object.status.unwrap().role_id, Some(before.id));
    space.bound("trainer", &before.arn).await;
    space.delete_and_wait("trainer").await;
    assert!(space.bed.aws.snapshot(name).await.is_none());
}

async fn a_service_account_restored_beside_its_object_is_bound_again() {
    let space = Space::new("restored-sa").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let arn = space.role("trainer").await.unwrap().arn;
    let account = space.account("trainer").await.unwrap();
    let saved = lose(&space, "trainer").await;
    let _ = space.accounts().delete("trainer", &DeleteParams::default()).await;
    space
        .account_until("trainer", "is gone", |account| account.is_none().then_some(()))
        .await;
    let annotations = account.annotations();
    assert!(annotations.contains_key(BOUND_BY_ANNOTATION));
    space
        .create_account(json!({"metadata": {"name": "trainer", "annotations": annotations}}))
        .await;
    restore(&space, "trainer", saved).await;
    let object = space.ready("trainer").await;
    let account = space.bound("trainer", &arn).await;
    assert!(
        bound_by(&account).unwrap().contains(&object.uid().unwrap()),
        "{:?}",
        account.annotations()
    );
    space.delete_and_wait("trainer").await;
    let left = space.account("trainer").await;
    let left = left
        .iter()
        .find(|account| role_arn(account).is_some() || bound_by(account).is_some());
    assert!(left.is_none(), "{left:?}");
}
