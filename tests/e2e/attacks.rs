//! What a tenant, an admin or an accident does to the records by which the operator finds its roles again.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams};
use mlservicerole_operator::api::PLACEMENT_ANNOTATION;
use mlservicerole_operator::api::condition::{reasons, types};
use serde_json::{Value, json};

use crate::support::space::{placed_arn, placed_name};
use crate::support::wait::within;
use crate::support::{Class, Space};

crate::trials![
    an_object_whose_account_is_out_of_reach_stays_until_it_is_reached_again,
    a_lost_placement_is_written_again,
    a_changed_placement_leaves_no_role_behind,
    an_unreadable_placement_leaves_no_role_behind,
    a_namespace_created_anew_starts_afresh,
];

async fn annotate(space: &Space, value: Value) {
    let patch = json!({"metadata": {"annotations": {PLACEMENT_ANNOTATION: value}}});
    space.patch("trainer", patch).await;
}

async fn an_object_whose_account_is_out_of_reach_stays_until_it_is_reached_again() {
    let space = Space::new("out-of-reach").await;
    let account = "333333333333";
    let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap();
    if space.bed.aws.of_account(&endpoint, account).await.is_none() {
        eprintln!("this emulator has one account only: a class that moves to another isn't tested");
        return;
    }
    let class = Class::like_base("out-of-reach", json!({})).await;
    space.create("trainer", json!({"className": class.name})).await;
    let object = space.ready("trainer").await;
    let (arn, name) = (placed_arn(&object).unwrap(), placed_name(&object).unwrap());

    let assume = json!({"arn": format!("arn:aws:iam::{account}:role/operator")});
    class
        .patch(json!({"spec": {"aws": {"assumeRole": assume}}}))
        .await;
    space.refused("trainer", reasons::PLACEMENT_CHANGED).await;
    space.delete("trainer").await;
    let blocked = space
        .reported("trainer", types::ROLE_SYNCED, reasons::PLACEMENT_CHANGED)
        .await;
    for part in [arn.as_str(), account, "reach the former account again"] {
        assert!(blocked.message.contains(part), "{}", blocked.message);
    }
    assert!(space.bed.aws.snapshot(&name).await.is_some());

    class.patch(json!({"spec": {"aws": null}})).await;
    space.gone("trainer").await;
    assert_eq!(space.bed.aws.snapshot(&name).await, None);
}

async fn a_lost_placement_is_written_again() {
    let space = Space::new("lost-placement").await;
    // Without className, so that the placement alone says which class it was.
    space.create("trainer", json!({})).await;
    let before = placed_arn(&space.ready("trainer").await);
    // As `kubectl replace` does with a manifest that never had it.
    let patch = json!({"metadata": {"annotations": {PLACEMENT_ANNOTATION: null}, "finalizers": null}});
    space.patch("trainer", patch).await;
    let object = space.placed("trainer").await;
    assert_eq!(placed_arn(&object), before);
    space.delete_and_wait("trainer").await;
}

async fn a_changed_placement_leaves_no_role_behind() {
    let space = Space::new("changed-placement").await;
    let other = Class::like_base("changed-placement", json!({"roles": {"path": "/elsewhere/"}})).await;
    let object = space.create("trainer", json!({})).await;
    let class = object.spec.class_name.unwrap();
    let object = space.ready("trainer").await;
    let name = placed_name(&object).unwrap();
    let arn = placed_arn(&object).unwrap();
    for (class, arn) in [
        (&other.name, arn.as_str()),
        (&class, "arn:aws:iam::999999999999:role/anybody"),
    ] {
        annotate(&space, json!(json!({"class": class, "roleArn": arn}).to_string())).await;
        let message = space.refused("trainer", reasons::PLACEMENT_CHANGED).await;
        assert!(message.contains("remove the annotation"), "{message}");
    }
    space.delete_and_wait("trainer").await;
    assert_eq!(space.bed.aws.snapshot(&name).await, None);
}

async fn an_unreadable_placement_leaves_no_role_behind() {
    let space = Space::new("garbled-placement").await;
    space.create("trainer", json!({})).await;
    let name = placed_name(&space.ready("trainer").await).unwrap();
    annotate(&space, json!("{}")).await;
    space.refused("trainer", reasons::PLACEMENT_CHANGED).await;
    space.delete_and_wait("trainer").await;
    assert_eq!(space.bed.aws.snapshot(&name).await, None);
}

async fn a_namespace_created_anew_starts_afresh() {
    let space = Space::new("anew").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let namespaces: Api<Namespace> = Api::all(space.bed.client.clone());
    namespaces
        .delete(&space.name, &DeleteParams::default())
        .await
        .unwrap();
    // The namespace controller comes round a second time for what had a finalizer at the first.
    let gone = within(Duration::from_secs(150), || async {
        match namespaces.get_opt(&space.name).await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    gone.await.unwrap();
    let space = Space::new("anew").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    space.delete_and_wait("trainer").await;
}
