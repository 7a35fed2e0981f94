//! Tools read every state of an object right: kstatus (Flux, Helm 4) and `kubectl wait`. Argo CD: `tests/health.rs`.

use std::time::Duration;

use mlservicerole_operator::api::condition::{reasons, types};
use serde_json::{Value, json};

use crate::support::aws::READ_ONLY;
use crate::support::kstatus::{Status, kstatus, kubectl_wait};
use crate::support::space::condition;
use crate::support::{Class, Fault, Space, bed, eventually};

crate::trials![
    an_object_is_in_progress_until_it_is_current,
    a_change_is_in_progress_until_it_is_current,
    a_refused_object_has_failed_until_it_is_mended,
    an_object_that_is_retried_is_in_progress,
    an_object_that_is_going_is_terminating,
    classes_are_read_right_too,
    transition_times_move_only_when_a_condition_flips,
];

async fn seen(space: &Space) -> Value {
    let object = space.roles().get("trainer").await.unwrap();
    serde_json::to_value(object).unwrap()
}

async fn an_object_is_in_progress_until_it_is_current() {
    let space = Space::new("fresh-state").await;
    let held = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), Fault::Hold, 1);
    space.create("trainer", json!({})).await;
    held.met(1).await;
    let object = seen(&space).await;
    assert_eq!(kstatus(&object), Status::InProgress, "{object:#}");
    assert!(!kubectl_wait(&object, "Ready"));
    held.release();
    space.ready("trainer").await;
    let object = seen(&space).await;
    assert_eq!(kstatus(&object), Status::Current, "{object:#}");
    assert!(kubectl_wait(&object, "Ready") && kubectl_wait(&object, "Accepted"));
}

async fn a_change_is_in_progress_until_it_is_current() {
    let space = Space::new("change-state").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let held = space
        .bed
        .proxy
        .inject("AttachRolePolicy", &space.prefix(), Fault::Hold, 1);
    space
        .patch_spec("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    held.met(1).await;
    let object = seen(&space).await;
    assert_eq!(kstatus(&object), Status::InProgress, "{object:#}");
    assert!(!kubectl_wait(&object, "Ready"), "{object:#}");
    held.release();
    space.ready("trainer").await;
    let object = seen(&space).await;
    assert_eq!(kstatus(&object), Status::Current);
    assert!(kubectl_wait(&object, "Ready"));
}

async fn a_refused_object_has_failed_until_it_is_mended() {
    let space = Space::new("refused-state").await;
    space
        .create("trainer", json!({"access": [{"preset": "later"}]}))
        .await;
    space.refused("trainer", reasons::INVALID_SPEC).await;
    let object = seen(&space).await;
    assert_eq!(kstatus(&object), Status::Failed, "{object:#}");
    assert!(!kubectl_wait(&object, "Ready"));
    assert!(kubectl_wait(&object, "Stalled"));
    space.patch_spec("trainer", json!({"access": null})).await;
    let object = space.ready("trainer").await;
    assert!(
        condition(&object, types::STALLED).is_none(),
        "Stalled is there only while true"
    );
    assert_eq!(kstatus(&seen(&space).await), Status::Current);
}

async fn an_object_that_is_retried_is_in_progress() {
    let space = Space::new("retried-state").await;
    let throttled = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), Fault::throttled(), usize::MAX);
    space.create("trainer", json!({})).await;
    space.reported("trainer", types::READY, reasons::THROTTLED).await;
    let object = seen(&space).await;
    assert_eq!(kstatus(&object), Status::InProgress, "{object:#}");
    assert!(!kubectl_wait(&object, "Ready"));
    drop(throttled);
    space.ready("trainer").await;
}

async fn an_object_that_is_going_is_terminating() {
    let space = Space::new("going-state").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let held = space
        .bed
        .proxy
        .inject("DeleteRole", &space.prefix(), Fault::Hold, 1);
    space.delete("trainer").await;
    held.met(1).await;
    assert_eq!(kstatus(&seen(&space).await), Status::Terminating);
    held.release();
    space.gone("trainer").await;
}

async fn classes_are_read_right_too() {
    bed().operator().await;
    let class = Class::like_base("state", json!({})).await;
    class.reported(types::READY, "True", reasons::SYNCED).await;
    let read = || async {
        let class = Class::api().get(&class.name).await.map_err(|e| e.to_string())?;
        Ok::<_, String>(serde_json::to_value(class).unwrap())
    };
    let object = read().await.unwrap();
    assert_eq!(kstatus(&object), Status::Current);
    assert!(kubectl_wait(&object, "Ready"));
    class
        .patch(json!({"spec": {"allow": {"roleNames": ["*"]}}}))
        .await;
    eventually("the class has failed", || async {
        let object = read().await?;
        match kstatus(&object) {
            Status::Failed if object["status"]["observedGeneration"] == 2 => Ok(()),
            other => Err(format!("{other:?} {:#}", object["status"])),
        }
    })
    .await;
    assert!(!kubectl_wait(&read().await.unwrap(), "Ready"));
}

async fn transition_times_move_only_when_a_condition_flips() {
    let space = Space::new("times").await;
    space.create("trainer", json!({})).await;
    let before = space.ready("trainer").await;
    // Times have whole seconds: a flip must fall into a later one.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    space
        .patch_spec("trainer", json!({"role": {"description": "x"}}))
        .await;
    let after = space.ready("trainer").await;
    for kind in [
        types::ACCEPTED,
        types::ROLE_SYNCED,
        types::SERVICE_ACCOUNTS_BOUND,
        types::READY,
    ] {
        let time = |object| condition(object, kind).map(|c| c.last_transition_time.0);
        assert_eq!(time(&before), time(&after), "{kind}");
    }
    space
        .patch_spec("trainer", json!({"access": [{"preset": "later"}]}))
        .await;
    space.refused("trainer", reasons::INVALID_SPEC).await;
    let refused = space.roles().get("trainer").await.unwrap();
    let time = |object, kind| condition(object, kind).map(|c| c.last_transition_time.0);
    assert!(time(&refused, types::ACCEPTED) > time(&before, types::ACCEPTED));
}
