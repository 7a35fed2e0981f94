//! ServiceAccounts are created, annotated and kept so, and lose nothing of what others wrote on them.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use mlservicerole_operator::api::condition::{reasons, types};
use mlservicerole_operator::api::{BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION, ROLE_ARN_ANNOTATION};
use serde_json::json;

use crate::support::space::{bound_by, role_arn};
use crate::support::{Class, Fault, Space, eventually};

crate::trials![
    an_existing_service_account_keeps_everything_else,
    creation_policy_never_waits_for_the_service_account,
    an_annotation_changed_by_hand_is_put_back,
    an_annotation_removed_by_hand_is_put_back,
    a_deleted_service_account_is_created_again,
    a_service_account_is_bound_before_the_policies_are_there,
    a_service_account_has_one_role_only,
    a_created_service_account_is_handed_over_to_the_object_that_waits_for_it,
    a_created_service_account_that_is_taken_off_a_list_goes_to_the_next,
    a_contested_annotation_is_no_fight,
    another_audience_is_written_to_the_service_account,
];

async fn an_existing_service_account_keeps_everything_else() {
    let space = Space::new("keeps").await;
    let account = json!({
        "metadata": {"name": "trainer", "labels": {"app": "x"}, "annotations": {"note": "mine"}},
        "imagePullSecrets": [{"name": "registry"}], "automountServiceAccountToken": false,
    });
    space.create_account(account).await;
    let before = space.account("trainer").await.unwrap();
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let after = space.account("trainer").await.unwrap();
    assert_eq!(after.uid(), before.uid());
    assert_eq!(after.labels(), before.labels());
    assert_eq!(after.image_pull_secrets, before.image_pull_secrets);
    assert_eq!(after.automount_service_account_token, Some(false));
    let arn = space.role("trainer").await.unwrap().arn;
    let mut annotations = after.annotations().clone();
    assert!(annotations.remove(BOUND_BY_ANNOTATION).is_some());
    let expected = [
        ("note".to_owned(), "mine".to_owned()),
        (ROLE_ARN_ANNOTATION.to_owned(), arn),
    ];
    assert_eq!(
        annotations,
        BTreeMap::from(expected),
        "and no claim to have created it"
    );

    space.delete_and_wait("trainer").await;
    let left = space.account("trainer").await.unwrap();
    assert_eq!(left.annotations(), before.annotations());
    assert_eq!(left.uid(), before.uid());
}

async fn creation_policy_never_waits_for_the_service_account() {
    let space = Space::new("never").await;
    space
        .create(
            "trainer",
            json!({"serviceAccounts": [{"name": "later", "creationPolicy": "Never"}]}),
        )
        .await;
    let waiting = space
        .reported(
            "trainer",
            types::SERVICE_ACCOUNTS_BOUND,
            reasons::SERVICE_ACCOUNT_MISSING,
        )
        .await;
    assert!(waiting.message.contains("later"), "{}", waiting.message);
    let object = space.roles().get("trainer").await.unwrap();
    let stalled = object
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .any(|c| c.type_ == types::STALLED);
    assert!(!stalled, "somebody may create it any moment");
    assert!(space.account("later").await.is_none());
    space.create_account(json!({"metadata": {"name": "later"}})).await;
    space.ready("trainer").await;
    let arn = space.role("trainer").await.unwrap().arn;
    let account = space.bound("later", &arn).await;
    assert!(!account.annotations().contains_key(CREATED_BY_ANNOTATION));
    space.delete_and_wait("trainer").await;
    assert!(space.account("later").await.is_some());
}

async fn an_annotation_changed_by_hand_is_put_back() {
    let space = Space::new("changed").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let arn = space.role("trainer").await.unwrap().arn;
    let other = "arn:aws:iam::999999999999:role/other";
    space
        .patch_account(
            "trainer",
            json!({"metadata": {"annotations": {ROLE_ARN_ANNOTATION: other}}}),
        )
        .await;
    space.bound("trainer", &arn).await;
    space.ready("trainer").await;
}

async fn an_annotation_removed_by_hand_is_put_back() {
    let space = Space::new("removed").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let arn = space.role("trainer").await.unwrap().arn;
    space
        .patch_account(
            "trainer",
            json!({"metadata": {"annotations": {ROLE_ARN_ANNOTATION: null}}}),
        )
        .await;
    space.bound("trainer", &arn).await;
    let all = json!({ROLE_ARN_ANNOTATION: null, BOUND_BY_ANNOTATION: null, CREATED_BY_ANNOTATION: null});
    space
        .patch_account("trainer", json!({"metadata": {"annotations": all}}))
        .await;
    let account = space.bound("trainer", &arn).await;
    assert!(bound_by(&account).is_some());
    space.delete_and_wait("trainer").await;
    let left = space
        .account("trainer")
        .await
        .expect("nothing says any more that the operator created it");
    assert!(
        role_arn(&left).is_none() && bound_by(&left).is_none(),
        "{:?}",
        left.annotations()
    );
}

async fn a_deleted_service_account_is_created_again() {
    let space = Space::new("sa-gone").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let arn = space.role("trainer").await.unwrap().arn;
    let before = space.account("trainer").await.unwrap().uid();
    space
        .accounts()
        .delete("trainer", &DeleteParams::default())
        .await
        .unwrap();
    let again = space
        .account_until("trainer", "is there again and bound", |account| {
            account
                .filter(|account| account.uid() != before && role_arn(account) == Some(&arn))
                .cloned()
        })
        .await;
    assert!(again.annotations().contains_key(CREATED_BY_ANNOTATION));
    space.ready("trainer").await;
}

async fn a_service_account_is_bound_before_the_policies_are_there() {
    let space = Space::new("early").await;
    let held = space
        .bed
        .proxy
        .inject("AttachRolePolicy", &space.prefix(), Fault::Hold, 1);
    space
        .create(
            "trainer",
            json!({"managedPolicyArns": [crate::support::aws::READ_ONLY]}),
        )
        .await;
    held.met(1).await;
    let arn = space.role("trainer").await.unwrap().arn;
    space.bound("trainer", &arn).await;
    held.release();
    space.ready("trainer").await;
}

async fn a_service_account_has_one_role_only() {
    let space = Space::new("rivals").await;
    let shared = json!({"serviceAccounts": [{"name": "shared"}]});
    space.create("first", shared.clone()).await;
    space.ready("first").await;
    let first = space.role("first").await.unwrap().arn;
    space.create("second", shared).await;
    let claimed = space
        .reported(
            "second",
            types::SERVICE_ACCOUNTS_BOUND,
            reasons::SERVICE_ACCOUNT_CLAIMED,
        )
        .await;
    assert!(
        claimed.message.contains("shared") && claimed.message.contains("first"),
        "{}",
        claimed.message
    );
    for (name, bound) in [("first", "1/1"), ("second", "0/1")] {
        let says = format!("says that {bound} ServiceAccounts are bound");
        space
            .until(name, &says, |object| {
                let status = object.status.as_ref()?;
                (status.service_accounts_bound.as_deref() == Some(bound)).then_some(())
            })
            .await;
    }
    space.bound("shared", &first).await;
    space.delete_and_wait("first").await;
    space.ready("second").await;
    let second = space.role("second").await.unwrap().arn;
    space.bound("shared", &second).await;
}

/// Two objects that list one ServiceAccount, which was created for the first. Answers the ServiceAccount's uid.
async fn one_created_for_the_first_of_two(space: &Space) -> Option<String> {
    let shared = json!({"serviceAccounts": [{"name": "shared"}]});
    space.create("first", shared.clone()).await;
    space.ready("first").await;
    let created = space.account("shared").await.unwrap();
    assert!(created.annotations().contains_key(CREATED_BY_ANNOTATION));
    space.create("second", shared).await;
    space
        .reported(
            "second",
            types::SERVICE_ACCOUNTS_BOUND,
            reasons::SERVICE_ACCOUNT_CLAIMED,
        )
        .await;
    created.uid()
}

/// Whether the second object has bound the very ServiceAccount that was created for the first.
async fn assert_handed_over(space: &Space, uid: Option<String>) {
    space.ready("second").await;
    let second = space.role("second").await.unwrap().arn;
    let handed_over = space.bound("shared", &second).await;
    assert_eq!(
        handed_over.uid(),
        uid,
        "the tokens of running pods are of this one"
    );
    assert!(!handed_over.annotations().contains_key(CREATED_BY_ANNOTATION));
    assert!(bound_by(&handed_over).is_some_and(|by| by.starts_with("second/")));
    space
        .event("first", "says why the ServiceAccount was kept", |event| {
            event.contains("ServiceAccountKept") && event.contains("second")
        })
        .await;
}

async fn a_created_service_account_is_handed_over_to_the_object_that_waits_for_it() {
    let space = Space::new("handed-over").await;
    let uid = one_created_for_the_first_of_two(&space).await;
    space.delete_and_wait("first").await;
    assert_handed_over(&space, uid.clone()).await;
    // The second one didn't have it created.
    space.delete_and_wait("second").await;
    let left = space.account("shared").await.expect("nobody's to delete");
    assert_eq!(left.uid(), uid);
    assert!(left.annotations().is_empty(), "{:?}", left.annotations());
}

async fn a_created_service_account_that_is_taken_off_a_list_goes_to_the_next() {
    let space = Space::new("taken-off").await;
    let uid = one_created_for_the_first_of_two(&space).await;
    space
        .patch_spec("first", json!({"serviceAccounts": [{"name": "own"}]}))
        .await;
    assert_handed_over(&space, uid).await;
    space.ready("first").await;
    space.delete_and_wait("first").await;
    assert!(space.account("own").await.is_none(), "nobody else lists it");
}

async fn a_contested_annotation_is_no_fight() {
    let space = Space::new("contested").await;
    space
        .create_account(json!({"metadata": {"name": "trainer"}}))
        .await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let other = "arn:aws:iam::999999999999:role/other";
    let patch = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "trainer", "annotations": {ROLE_ARN_ANNOTATION: other}},
    });
    // Another controller that insists on its own value, as often as it sees ours.
    let mut written = 0;
    eventually("the contest is reported", || {
        let (space, patch) = (&space, &patch);
        written += 1;
        async move {
            let account = space.account("trainer").await.ok_or("no ServiceAccount")?;
            if role_arn(&account) != Some(other) {
                let params = PatchParams::apply("insistent-controller").force();
                let applied = space
                    .accounts()
                    .patch("trainer", &params, &Patch::Apply(patch))
                    .await;
                applied.map_err(|e| e.to_string())?;
            }
            let object = space.roles().get("trainer").await.map_err(|e| e.to_string())?;
            let conditions = object.status.map(|status| status.conditions).unwrap_or_default();
            let contested = conditions
                .iter()
                .find(|c| c.reason == reasons::ANNOTATION_CONTESTED);
            match contested {
                Some(found) if found.message.contains("insistent-controller") => Ok(()),
                other => Err(format!("{other:?} of {conditions:?}\n{}", space.log())),
            }
        }
    })
    .await;
    assert!(written < 100, "a fight at watch speed");
}

async fn another_audience_is_written_to_the_service_account() {
    use mlservicerole_operator::api::AUDIENCE_ANNOTATION;
    let space = Space::new("audience").await;
    let audience = format!("audience-{}", space.bed.run);
    let add = space.bed.aws.iam.add_client_id_to_open_id_connect_provider();
    let add = add
        .open_id_connect_provider_arn(space.bed.provider_arn())
        .client_id(&audience);
    add.send().await.unwrap();
    let class = Class::like_base("audience", json!({"oidc": {"audience": audience}})).await;
    space.create("trainer", json!({"className": class.name})).await;
    space.ready("trainer").await;
    let account = space.account("trainer").await.unwrap();
    assert_eq!(account.annotations().get(AUDIENCE_ANNOTATION), Some(&audience));
    let trust = space.role("trainer").await.unwrap().trust.to_string();
    assert!(
        trust.contains(&audience) && !trust.contains("sts.amazonaws.com\""),
        "{trust}"
    );
}
