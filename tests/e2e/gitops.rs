//! ServiceAccounts that a deployment tool owns too. Whatever it applies, nobody fights: the operator's annotations
//! and the tool's manifest find their peace, or a condition says what keeps them from it.

use kube::ResourceExt;
use mlservicerole_operator::api::condition::{reasons, types};
use mlservicerole_operator::api::{
    BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION, PREVIOUS_ROLE_ARN_ANNOTATION, ROLE_ARN_ANNOTATION,
};
use serde_json::{Value, json};

use crate::support::gitops::{ArgoCd, Helm3, backup, helm4, velero_restores_account, velero_restores_object};
use crate::support::space::{bound_by, condition, role_arn};
use crate::support::{Space, eventually};

crate::trials![
    argo_cd_apply_with_self_heal_and_another_arn_is_contested_and_named,
    argo_cd_server_side_apply_with_self_heal_and_another_arn_is_contested_and_named,
    argo_cd_replace_with_self_heal_and_another_arn_is_contested_and_named,
    helm_3_without_an_arn_upgrades_in_peace,
    helm_3_with_another_arn_is_a_conflict_that_nobody_fights_over,
    helm_3_with_another_arn_under_replace_is_put_back_after_each_upgrade,
    helm_4_without_an_arn_upgrades_in_peace,
    helm_4_with_another_arn_is_a_conflict_that_nobody_fights_over,
    helm_4_with_another_arn_under_replace_fails_to_upgrade_until_the_object_goes,
    an_empty_arn_in_a_chart_is_a_conflict_that_names_the_tool,
    argo_cd_apply_without_an_arn_syncs_in_peace,
    argo_cd_server_side_apply_without_an_arn_syncs_in_peace,
    argo_cd_replace_without_an_arn_costs_one_write_a_sync,
    argo_cd_with_another_arn_is_a_conflict_that_nobody_fights_over,
    a_velero_restore_without_status_is_taken_over_and_keeps_what_was_there_before,
    a_velero_restore_into_a_service_account_that_exists_is_taken_over,
];

const OTHER: &str = "arn:aws:iam::999999999999:role/of-the-chart";

fn replacing() -> Value {
    json!({"serviceAccounts": [{"name": "trainer", "conflictPolicy": "Replace"}]})
}

fn with_arn() -> Value {
    json!({ROLE_ARN_ANNOTATION: OTHER, "note": "1"})
}

/// Charts that say nothing of an ARN: one without annotations, one with others.
fn charts_without_an_arn() -> [(&'static str, Value, Value); 2] {
    [
        ("none", Value::Null, Value::Null),
        ("others", json!({"note": "1"}), json!({"note": "2"})),
    ]
}

/// The ServiceAccount's version once the operator has looked at everything that came before.
async fn settled(space: &Space) -> String {
    let text = format!(
        "looked at {}",
        space
            .account("trainer")
            .await
            .unwrap()
            .resource_version()
            .unwrap()
    );
    space
        .patch_spec("trainer", json!({"role": {"description": text}}))
        .await;
    space
        .role_until("trainer", "follows", |role| role.description == text)
        .await;
    eventually("the object is observed", || async {
        let object = space.roles().get("trainer").await.map_err(|e| e.to_string())?;
        let observed = object
            .status
            .as_ref()
            .and_then(|status| status.observed_generation);
        (observed == object.metadata.generation)
            .then_some(())
            .ok_or_else(|| "not yet".to_owned())
    })
    .await;
    space
        .account("trainer")
        .await
        .unwrap()
        .resource_version()
        .unwrap()
}

/// That nobody writes to the ServiceAccount any more.
async fn at_peace(space: &Space) {
    let before = settled(space).await;
    let after = settled(space).await;
    assert_eq!(before, after, "somebody keeps writing\n{}", space.log());
}

/// How often the operator has written to the ServiceAccount, where the bed keeps an audit log.
fn writes(space: &Space) -> Option<usize> {
    let audit = space.bed.audit.as_ref()?;
    let requests = audit.writes(&space.name);
    let to_accounts = requests
        .iter()
        .filter(|request| request.resource == "serviceaccounts");
    Some(to_accounts.filter(|request| request.code < 300).count())
}

async fn ready_and_bound(space: &Space) -> String {
    space.ready("trainer").await;
    let arn = space.role("trainer").await.unwrap().arn;
    let account = space.bound("trainer", &arn).await;
    assert!(bound_by(&account).is_some());
    arn
}

/// The conflict with the chart's ARN under Refuse: the ServiceAccount stays as it is.
async fn conflict(space: &Space) {
    let told = space
        .reported(
            "trainer",
            types::SERVICE_ACCOUNTS_BOUND,
            reasons::SERVICE_ACCOUNT_CONFLICT,
        )
        .await;
    assert!(
        told.message.contains("conflictPolicy: Replace"),
        "{}",
        told.message
    );
    let account = space.account("trainer").await.unwrap();
    assert_eq!(role_arn(&account), Some(OTHER));
    assert_eq!(bound_by(&account), None);
    assert!(writes(space).is_none_or(|count| count == 0));
}

async fn helm_3_without_an_arn_upgrades_in_peace() {
    for (name, first, second) in charts_without_an_arn() {
        let space = Space::new(&format!("helm3-{name}")).await;
        let mut helm = Helm3::install(&space, first.clone()).await;
        space.create("trainer", json!({})).await;
        ready_and_bound(&space).await;
        assert!(
            !helm.upgrade(first.clone()).await,
            "an upgrade to the same sends nothing"
        );
        assert_eq!(helm.upgrade(second.clone()).await, first != second);
        at_peace(&space).await;
        ready_and_bound(&space).await;
        assert!(
            writes(&space).is_none_or(|count| count == 1),
            "{:?}",
            writes(&space)
        );
    }
}

async fn helm_3_with_another_arn_is_a_conflict_that_nobody_fights_over() {
    let space = Space::new("helm3-refuse").await;
    let mut helm = Helm3::install(&space, with_arn()).await;
    space.create("trainer", json!({})).await;
    conflict(&space).await;
    assert!(!helm.upgrade(with_arn()).await);
    at_peace(&space).await;
    conflict(&space).await;
    // Taken out of the chart, it is bound without another word.
    assert!(helm.upgrade(json!({"note": "1"})).await);
    ready_and_bound(&space).await;
}

async fn helm_3_with_another_arn_under_replace_is_put_back_after_each_upgrade() {
    let space = Space::new("helm3-replace").await;
    let mut helm = Helm3::install(&space, with_arn()).await;
    space.create("trainer", replacing()).await;
    let arn = ready_and_bound(&space).await;
    assert!(
        helm.upgrade(with_arn()).await,
        "Helm finds its ARN changed and writes it again"
    );
    space.bound("trainer", &arn).await;
    at_peace(&space).await;
    assert!(
        writes(&space).is_none_or(|count| count == 2),
        "{:?}",
        writes(&space)
    );
    ready_and_bound(&space).await;

    space.delete_and_wait("trainer").await;
    let left = space.account("trainer").await.unwrap();
    assert_eq!(role_arn(&left), Some(OTHER));
    assert!(!helm.upgrade(with_arn()).await, "Helm finds everything as it was");
}

async fn helm_4_without_an_arn_upgrades_in_peace() {
    for (name, first, second) in charts_without_an_arn() {
        let space = Space::new(&format!("helm4-{name}")).await;
        helm4(&space, first.clone(), false).await.unwrap();
        space.create("trainer", json!({})).await;
        ready_and_bound(&space).await;
        helm4(&space, first, false).await.unwrap();
        helm4(&space, second, false).await.unwrap();
        at_peace(&space).await;
        ready_and_bound(&space).await;
        assert!(
            writes(&space).is_none_or(|count| count == 1),
            "{:?}",
            writes(&space)
        );
    }
}

async fn helm_4_with_another_arn_is_a_conflict_that_nobody_fights_over() {
    let space = Space::new("helm4-refuse").await;
    helm4(&space, with_arn(), false).await.unwrap();
    space.create("trainer", json!({})).await;
    conflict(&space).await;
    helm4(&space, with_arn(), false).await.unwrap();
    at_peace(&space).await;
    conflict(&space).await;
    helm4(&space, json!({"note": "1"}), false).await.unwrap();
    ready_and_bound(&space).await;
}

async fn helm_4_with_another_arn_under_replace_fails_to_upgrade_until_the_object_goes() {
    let space = Space::new("helm4-replace").await;
    helm4(&space, with_arn(), false).await.unwrap();
    space.create("trainer", replacing()).await;
    let arn = ready_and_bound(&space).await;
    let failed = helm4(&space, with_arn(), false).await.unwrap_err();
    assert!(failed.contains("mlservicerole-operator"), "{failed}");
    at_peace(&space).await;
    // By force it gets its way for a moment, once for each upgrade.
    helm4(&space, with_arn(), true).await.unwrap();
    space.bound("trainer", &arn).await;
    at_peace(&space).await;
    assert!(
        writes(&space).is_none_or(|count| count == 2),
        "{:?}",
        writes(&space)
    );

    space.delete_and_wait("trainer").await;
    let left = space.account("trainer").await.unwrap();
    assert_eq!(role_arn(&left), Some(OTHER));
    helm4(&space, with_arn(), false).await.unwrap();
    // The operator wrote it last and so holds it beside Helm: another value takes force, once.
    let newer = json!({ROLE_ARN_ANNOTATION: "arn:aws:iam::999999999999:role/newer"});
    let held = helm4(&space, newer.clone(), false).await.unwrap_err();
    assert!(held.contains("mlservicerole-operator"), "{held}");
    helm4(&space, newer.clone(), true).await.unwrap();
    helm4(&space, newer, false).await.unwrap();
}

async fn an_empty_arn_in_a_chart_is_a_conflict_that_names_the_tool() {
    let space = Space::new("empty-arn").await;
    let empty = json!({ROLE_ARN_ANNOTATION: ""});
    helm4(&space, empty.clone(), false).await.unwrap();
    space.create("trainer", json!({})).await;
    let told = space
        .reported(
            "trainer",
            types::SERVICE_ACCOUNTS_BOUND,
            reasons::SERVICE_ACCOUNT_CONFLICT,
        )
        .await;
    for part in [
        "empty",
        ROLE_ARN_ANNOTATION,
        "out of what helm applies",
        "conflictPolicy: Replace",
    ] {
        assert!(told.message.contains(part), "{}", told.message);
    }
    at_peace(&space).await;
    assert!(writes(&space).is_none_or(|count| count == 0));
    // The one remedy.
    space.patch_spec("trainer", replacing()).await;
    ready_and_bound(&space).await;
    space.delete_and_wait("trainer").await;
    assert_eq!(role_arn(&space.account("trainer").await.unwrap()), None);
    // The other one.
    helm4(&space, empty, false).await.unwrap();
    space.create("trainer", json!({})).await;
    space
        .reported(
            "trainer",
            types::SERVICE_ACCOUNTS_BOUND,
            reasons::SERVICE_ACCOUNT_CONFLICT,
        )
        .await;
    helm4(&space, Value::Null, false).await.unwrap();
    ready_and_bound(&space).await;
}

async fn argo_cd_apply_without_an_arn_syncs_in_peace() {
    syncs_in_peace(ArgoCd::Apply, "apply").await;
}

async fn argo_cd_server_side_apply_without_an_arn_syncs_in_peace() {
    syncs_in_peace(ArgoCd::ServerSideApply, "ssa").await;
}

async fn syncs_in_peace(argo: ArgoCd, short: &str) {
    for (name, first, second) in charts_without_an_arn() {
        let space = Space::new(&format!("argo-{short}-{name}")).await;
        argo.sync(&space, &first).await;
        space.create("trainer", json!({})).await;
        ready_and_bound(&space).await;
        assert!(
            !argo.self_heal(&space, &first).await,
            "more annotations are no difference"
        );
        argo.sync(&space, &first).await;
        argo.sync(&space, &second).await;
        at_peace(&space).await;
        ready_and_bound(&space).await;
        assert!(
            writes(&space).is_none_or(|count| count == 1),
            "{:?}",
            writes(&space)
        );
    }
}

async fn argo_cd_replace_without_an_arn_costs_one_write_a_sync() {
    for (name, first, second) in charts_without_an_arn() {
        let space = Space::new(&format!("argo-replace-{name}")).await;
        let argo = ArgoCd::Replace;
        argo.sync(&space, &first).await;
        space.create("trainer", json!({})).await;
        let arn = ready_and_bound(&space).await;
        argo.sync(&space, &second).await;
        assert!(
            writes(&space).is_none_or(|count| count <= 2),
            "the sync took the annotations away, and they come back once"
        );
        space.bound("trainer", &arn).await;
        assert!(!argo.self_heal(&space, &second).await);
        at_peace(&space).await;
        ready_and_bound(&space).await;
        assert!(
            writes(&space).is_none_or(|count| count == 2),
            "{:?}",
            writes(&space)
        );
    }
}

async fn argo_cd_with_another_arn_is_a_conflict_that_nobody_fights_over() {
    for (argo, short) in [
        (ArgoCd::Apply, "apply"),
        (ArgoCd::ServerSideApply, "ssa"),
        (ArgoCd::Replace, "replace"),
    ] {
        let space = Space::new(&format!("argo-{short}-refuse")).await;
        argo.sync(&space, &with_arn()).await;
        space.create("trainer", json!({})).await;
        conflict(&space).await;
        assert!(!argo.self_heal(&space, &with_arn()).await);
        argo.sync(&space, &with_arn()).await;
        at_peace(&space).await;
        conflict(&space).await;
        argo.sync(&space, &json!({"note": "1"})).await;
        ready_and_bound(&space).await;
    }
}

async fn argo_cd_apply_with_self_heal_and_another_arn_is_contested_and_named() {
    is_contested(ArgoCd::Apply, "apply").await;
}

async fn argo_cd_server_side_apply_with_self_heal_and_another_arn_is_contested_and_named() {
    is_contested(ArgoCd::ServerSideApply, "ssa").await;
}

async fn argo_cd_replace_with_self_heal_and_another_arn_is_contested_and_named() {
    is_contested(ArgoCd::Replace, "replace").await;
}

/// Self-heal and Replace can't both have their way: the operator leaves off and says with whom.
async fn is_contested(argo: ArgoCd, short: &str) {
    let space = Space::new(&format!("argo-{short}-contest")).await;
    let manifest = with_arn();
    argo.sync(&space, &manifest).await;
    space.create("trainer", replacing()).await;
    let told = eventually("the contest is reported", || {
        let (space, manifest) = (&space, &manifest);
        async move {
            argo.self_heal(space, manifest).await;
            let object = space.roles().get("trainer").await.map_err(|e| e.to_string())?;
            let bound = condition(&object, types::SERVICE_ACCOUNTS_BOUND).cloned();
            bound
                .filter(|bound| bound.reason == reasons::ANNOTATION_CONTESTED)
                .map(|bound| bound.message)
                .ok_or_else(|| format!("{:?}\n{}", object.status, space.log()))
        }
    })
    .await;
    assert!(told.contains(argo.manager()), "{told}");
    assert!(!told.contains(OTHER), "{told}");
    argo.self_heal(&space, &manifest).await;
    at_peace(&space).await;
    assert!(
        writes(&space).is_none_or(|count| count <= 6),
        "a fight: {:?}",
        writes(&space)
    );
    // The tool has its way until its manifest is changed; then the object goes and leaves nothing of ours.
    space.delete_and_wait("trainer").await;
    let left = space.account("trainer").await.unwrap();
    assert_eq!(role_arn(&left), Some(OTHER));
    assert!(
        !left
            .annotations()
            .keys()
            .any(|key| key.starts_with("mlservicerole.io/")),
        "{:?}",
        left.annotations()
    );
}

async fn a_velero_restore_without_status_is_taken_over_and_keeps_what_was_there_before() {
    let space = Space::new("velero").await;
    let before =
        json!({"metadata": {"name": "trainer", "annotations": {ROLE_ARN_ANNOTATION: OTHER, "note": "1"}}});
    space.create_account(before).await;
    space.create("trainer", replacing()).await;
    let arn = ready_and_bound(&space).await;
    let (object, account) = (
        backup(&space.roles().get("trainer").await.unwrap()),
        backup(&space.account("trainer").await.unwrap()),
    );
    let former = object["metadata"]["uid"].clone();
    space.delete_and_wait("trainer").await;
    space
        .accounts()
        .delete("trainer", &Default::default())
        .await
        .unwrap();

    // ServiceAccounts are restored before custom resources.
    velero_restores_account(&space, &account).await;
    let restored = space.account("trainer").await.unwrap();
    assert_eq!(role_arn(&restored), Some(arn.as_str()));
    assert!(bound_by(&restored).unwrap().ends_with(former.as_str().unwrap()));
    velero_restores_object(&space, &object).await;
    let uid = space.roles().get("trainer").await.unwrap().uid().unwrap();
    assert_ne!(json!(uid), former);
    space
        .account_until("trainer", "is marked by the restored object", |account| {
            account
                .filter(|account| bound_by(account) == Some(&format!("trainer/{uid}")))
                .map(|_| ())
        })
        .await;
    ready_and_bound(&space).await;
    at_peace(&space).await;

    space.delete_and_wait("trainer").await;
    let left = space.account("trainer").await.unwrap();
    let annotations: Vec<_> = left.annotations().iter().collect();
    let (note, other) = ("note".to_owned(), ROLE_ARN_ANNOTATION.to_owned());
    assert_eq!(
        annotations,
        [(&other, &OTHER.to_owned()), (&note, &"1".to_owned())]
    );
}

async fn a_velero_restore_into_a_service_account_that_exists_is_taken_over() {
    let space = Space::new("velero-merge").await;
    space.create("trainer", json!({})).await;
    ready_and_bound(&space).await;
    let (object, account) = (
        backup(&space.roles().get("trainer").await.unwrap()),
        backup(&space.account("trainer").await.unwrap()),
    );
    space.delete_and_wait("trainer").await;
    // Somebody has made the ServiceAccount again meanwhile.
    space
        .create_account(json!({"metadata": {"name": "trainer", "annotations": {"note": "new"}}}))
        .await;
    velero_restores_account(&space, &account).await;
    velero_restores_object(&space, &object).await;
    ready_and_bound(&space).await;
    at_peace(&space).await;
    space.delete_and_wait("trainer").await;
    let left = space
        .account("trainer")
        .await
        .expect("the operator didn't make this one");
    for gone in [
        ROLE_ARN_ANNOTATION,
        BOUND_BY_ANNOTATION,
        CREATED_BY_ANNOTATION,
        PREVIOUS_ROLE_ARN_ANNOTATION,
    ] {
        assert!(!left.annotations().contains_key(gone), "{:?}", left.annotations());
    }
    assert_eq!(left.annotations().get("note").map(String::as_str), Some("new"));
}
