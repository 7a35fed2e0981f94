//! `conflictPolicy: Replace`: a working ARN is replaced late, remembered, and put back, whatever happens in between.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use mlservicerole_operator::api::condition::{reasons, types};
use mlservicerole_operator::api::{
    AUDIENCE_ANNOTATION, PREVIOUS_AUDIENCE_ANNOTATION, PREVIOUS_ROLE_ARN_ANNOTATION, ROLE_ARN_ANNOTATION,
};
use serde_json::{Value, json};

use crate::support::aws::READ_ONLY;
use crate::support::space::{bound_by, placed_arn, role_arn};
use crate::support::{Fault, Space, bed};

crate::trials![
    a_working_arn_is_replaced_only_once_the_role_is_in_sync_and_comes_back_on_delete,
    an_object_turns_to_replace_when_its_policy_does,
    a_replaced_arn_comes_back_when_the_service_account_is_taken_off_the_list,
    a_renamed_service_account_gets_its_former_arn_back,
    what_was_replaced_survives_the_hand_over_from_one_object_to_another,
    a_record_that_was_forged_is_dropped_and_told,
];

const OTHER: &str = "arn:aws:iam::999999999999:role/working";
const THIRD: &str = "arn:aws:iam::999999999999:role/newer";

fn replacing(name: &str) -> Value {
    json!({"serviceAccounts": [{"name": name, "conflictPolicy": "Replace"}]})
}

async fn account_with_arn(space: &Space, name: &str) {
    let annotations = json!({ROLE_ARN_ANNOTATION: OTHER, AUDIENCE_ANNOTATION: "theirs", "note": "mine"});
    space
        .create_account(json!({"metadata": {"name": name, "annotations": annotations}}))
        .await;
}

fn before() -> BTreeMap<String, String> {
    [
        (ROLE_ARN_ANNOTATION, OTHER),
        (AUDIENCE_ANNOTATION, "theirs"),
        ("note", "mine"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// Waits until the ServiceAccount is as it was before any object bound it.
async fn is_as_before(space: &Space, name: &str) {
    space
        .account_until(name, "is as it was before", |account| {
            account
                .filter(|account| *account.annotations() == before())
                .map(|_| ())
        })
        .await;
}

async fn a_working_arn_is_replaced_only_once_the_role_is_in_sync_and_comes_back_on_delete() {
    let space = Space::new("replaced").await;
    account_with_arn(&space, "trainer").await;
    let held = space
        .bed
        .proxy
        .inject("AttachRolePolicy", &space.prefix(), Fault::Hold, 1);
    let mut spec = replacing("trainer");
    spec["managedPolicyArns"] = json!([READ_ONLY]);
    space.create("trainer", spec).await;
    held.met(1).await;
    let account = space.account("trainer").await.unwrap();
    assert_eq!(
        *account.annotations(),
        before(),
        "pods still work with the former role"
    );
    held.release();
    space.ready("trainer").await;
    let arn = space.role("trainer").await.unwrap().arn;
    let account = space.account("trainer").await.unwrap();
    let annotation = |key: &str| account.annotations().get(key).map(String::as_str);
    assert_eq!(annotation(ROLE_ARN_ANNOTATION), Some(arn.as_str()));
    assert_eq!(annotation(AUDIENCE_ANNOTATION), Some("sts.amazonaws.com"));
    assert_eq!(annotation(PREVIOUS_ROLE_ARN_ANNOTATION), Some(OTHER));
    assert_eq!(annotation(PREVIOUS_AUDIENCE_ANNOTATION), Some("theirs"));
    assert_eq!(annotation("note"), Some("mine"));

    let held = space
        .bed
        .proxy
        .inject("DeleteRole", &space.prefix(), Fault::Hold, 1);
    space.delete("trainer").await;
    held.met(1).await;
    is_as_before(&space, "trainer").await;
    held.release();
    space.gone("trainer").await;
    is_as_before(&space, "trainer").await;
}

async fn an_object_turns_to_replace_when_its_policy_does() {
    let space = Space::new("turns").await;
    account_with_arn(&space, "trainer").await;
    space.create("trainer", json!({})).await;
    let conflict = space
        .reported(
            "trainer",
            types::SERVICE_ACCOUNTS_BOUND,
            reasons::SERVICE_ACCOUNT_CONFLICT,
        )
        .await;
    assert!(
        conflict.message.contains("conflictPolicy: Replace"),
        "{}",
        conflict.message
    );
    is_as_before(&space, "trainer").await;
    space.patch_spec("trainer", replacing("trainer")).await;
    space.ready("trainer").await;
    // Turning back changes nothing on a ServiceAccount that is bound.
    space
        .patch_spec("trainer", json!({"serviceAccounts": [{"name": "trainer"}]}))
        .await;
    space.ready("trainer").await;
    let arn = space.role("trainer").await.unwrap().arn;
    space.bound("trainer", &arn).await;
    space.delete_and_wait("trainer").await;
    is_as_before(&space, "trainer").await;
}

async fn a_replaced_arn_comes_back_when_the_service_account_is_taken_off_the_list() {
    let space = Space::new("unlisted").await;
    account_with_arn(&space, "a").await;
    let both = json!({"serviceAccounts": [{"name": "a", "conflictPolicy": "Replace"}, {"name": "b"}]});
    space.create("trainer", both).await;
    space.ready("trainer").await;
    space
        .patch_spec("trainer", json!({"serviceAccounts": [{"name": "b"}]}))
        .await;
    is_as_before(&space, "a").await;
    space.ready("trainer").await;
}

async fn a_renamed_service_account_gets_its_former_arn_back() {
    let space = Space::new("renamed").await;
    account_with_arn(&space, "old").await;
    account_with_arn(&space, "new").await;
    space.create("trainer", replacing("old")).await;
    space.ready("trainer").await;
    space.patch_spec("trainer", replacing("new")).await;
    is_as_before(&space, "old").await;
    space.ready("trainer").await;
    let arn = space.role("trainer").await.unwrap().arn;
    space.bound("new", &arn).await;
    space.delete_and_wait("trainer").await;
    is_as_before(&space, "new").await;
}

async fn what_was_replaced_survives_the_hand_over_from_one_object_to_another() {
    let space = Space::new("hand-over").await;
    account_with_arn(&space, "shared").await;
    space.create("first", replacing("shared")).await;
    space.ready("first").await;
    space.create("second", replacing("shared")).await;
    space
        .reported(
            "second",
            types::SERVICE_ACCOUNTS_BOUND,
            reasons::SERVICE_ACCOUNT_CLAIMED,
        )
        .await;
    space.delete_and_wait("first").await;
    space.ready("second").await;
    let arn = space.role("second").await.unwrap().arn;
    let account = space.bound("shared", &arn).await;
    let record = account.annotations().get(PREVIOUS_ROLE_ARN_ANNOTATION);
    assert_eq!(
        record.map(String::as_str),
        Some(OTHER),
        "and not the ARN of the role that is gone"
    );
    space.delete_and_wait("second").await;
    is_as_before(&space, "shared").await;
}

async fn a_record_that_was_forged_is_dropped_and_told() {
    let space = Space::new("forged").await;
    account_with_arn(&space, "trainer").await;
    space.create("trainer", replacing("trainer")).await;
    space.ready("trainer").await;
    let forged =
        json!({"metadata": {"annotations": {PREVIOUS_ROLE_ARN_ANNOTATION: "arn:aws:iam::1:user/eve"}}});
    space.patch_account("trainer", forged).await;
    space.delete_and_wait("trainer").await;
    let left = space.account("trainer").await.unwrap();
    assert_eq!(role_arn(&left), None);
    assert_eq!(
        left.annotations().get(AUDIENCE_ANNOTATION).map(String::as_str),
        Some("theirs")
    );
    assert!(bound_by(&left).is_none());
    let event = space
        .event("trainer", "says that the record was dropped", |event| {
            event.contains("PreviousRoleArnDropped")
        })
        .await;
    assert!(event.starts_with("Warning") && !event.contains("eve"), "{event}");
}

/// Run one by one, after all others.
pub fn serial() -> Vec<libtest_mimic::Trial> {
    crate::trials![
        a_crash_between_replacing_and_the_status_loses_nothing,
        an_arn_that_was_edited_while_the_operator_was_down_stays,
    ];
    trials()
}

async fn a_crash_between_replacing_and_the_status_loses_nothing() {
    let space = Space::new("replace-crash").await;
    account_with_arn(&space, "trainer").await;
    let held = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), Fault::Hold, 1);
    space.create("trainer", replacing("trainer")).await;
    held.met(1).await;
    bed().take_operator().await.kill().await.unwrap();
    drop(held);
    is_as_before(&space, "trainer").await;
    bed().start_operator().await.unwrap();
    let arn = placed_arn(&space.placed("trainer").await).unwrap();
    // Killed again as soon as the ARN is replaced, and the status forgotten.
    space.bound("trainer", &arn).await;
    bed().take_operator().await.kill().await.unwrap();
    let nothing = Patch::Merge(json!({"status": null}));
    space
        .roles()
        .patch_status("trainer", &PatchParams::default(), &nothing)
        .await
        .unwrap();
    space.delete("trainer").await;
    bed().start_operator().await.unwrap();
    space.gone("trainer").await;
    is_as_before(&space, "trainer").await;
}

async fn an_arn_that_was_edited_while_the_operator_was_down_stays() {
    let space = Space::new("replace-edit").await;
    account_with_arn(&space, "trainer").await;
    space.create("trainer", replacing("trainer")).await;
    space.ready("trainer").await;
    bed().take_operator().await.kill().await.unwrap();
    let edited = json!({"metadata": {"annotations": {ROLE_ARN_ANNOTATION: THIRD}}});
    space.patch_account("trainer", edited).await;
    space.delete("trainer").await;
    bed().start_operator().await.unwrap();
    space.gone("trainer").await;
    let left = space.account("trainer").await.unwrap();
    assert_eq!(role_arn(&left), Some(THIRD));
    assert!(
        !left
            .annotations()
            .keys()
            .any(|key| key.starts_with("mlservicerole.io/")),
        "{:?}",
        left.annotations()
    );
}
