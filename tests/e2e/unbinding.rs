//! On delete exactly what the operator wrote goes from ServiceAccounts, and it goes before the role.

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use mlservicerole_operator::api::{BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION, ROLE_ARN_ANNOTATION};
use serde_json::{Value, json};

use crate::support::{Fault, Space};

crate::trials![
    an_annotation_that_another_manager_co_owns_goes_too,
    a_created_service_account_that_others_wrote_to_is_kept,
    a_created_service_account_with_secrets_is_kept,
    the_annotation_goes_before_the_role,
];

async fn apply(space: &Space, account: Value) {
    let name = account["metadata"]["name"].as_str().unwrap().to_owned();
    let applied = space
        .accounts()
        .patch(
            &name,
            &PatchParams::apply("helm").force(),
            &Patch::Apply(&account),
        )
        .await;
    applied.unwrap();
}

fn account(annotations: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer", "annotations": annotations}})
}

async fn an_annotation_that_another_manager_co_owns_goes_too() {
    let space = Space::new("co-owned").await;
    space
        .create_account(json!({"metadata": {"name": "trainer"}}))
        .await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let arn = space.role("trainer").await.unwrap().arn;
    apply(&space, account(json!({ROLE_ARN_ANNOTATION: arn, "note": "mine"}))).await;
    space.delete_and_wait("trainer").await;
    let left = space.account("trainer").await.unwrap();
    assert_eq!(left.annotations().keys().collect::<Vec<_>>(), ["note"]);
}

async fn a_created_service_account_that_others_wrote_to_is_kept() {
    let space = Space::new("touched").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    apply(&space, account(json!({"note": "mine"}))).await;
    space.delete_and_wait("trainer").await;
    let left = space
        .account("trainer")
        .await
        .expect("it is used by somebody else too");
    assert_eq!(left.annotations().keys().collect::<Vec<_>>(), ["note"]);
    space
        .event("trainer", "says that the ServiceAccount was kept", |event| {
            event.contains("ServiceAccountKept")
        })
        .await;
}

async fn a_created_service_account_with_secrets_is_kept() {
    let space = Space::new("secrets").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    // By the operator's own name: only the secrets speak for keeping it.
    let params = PatchParams {
        field_manager: Some("mlservicerole-operator".into()),
        ..Default::default()
    };
    let patch = Patch::Merge(json!({"secrets": [{"name": "token"}]}));
    space.accounts().patch("trainer", &params, &patch).await.unwrap();
    space.delete_and_wait("trainer").await;
    let left = space.account("trainer").await.expect("it names secrets");
    assert!(left.annotations().is_empty(), "{:?}", left.annotations());
}

async fn the_annotation_goes_before_the_role() {
    let space = Space::new("order").await;
    space
        .create_account(json!({"metadata": {"name": "existing"}}))
        .await;
    space
        .create(
            "trainer",
            json!({"serviceAccounts": [{"name": "existing"}, {"name": "made"}]}),
        )
        .await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    let held = space
        .bed
        .proxy
        .inject("DeleteRole", &space.prefix(), Fault::Hold, 1);
    space.delete("trainer").await;
    held.met(1).await;
    let existing = space.account("existing").await.unwrap();
    let ours = [ROLE_ARN_ANNOTATION, BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION];
    assert!(
        ours.iter().all(|key| !existing.annotations().contains_key(*key)),
        "{:?}",
        existing.annotations()
    );
    assert!(space.account("made").await.is_none());
    let name = role.arn.rsplit('/').next().unwrap();
    assert!(
        space.bed.aws.snapshot(name).await.is_some(),
        "the role is still there"
    );
    held.release();
    space.gone("trainer").await;
    assert!(space.bed.aws.snapshot(name).await.is_none());
}
