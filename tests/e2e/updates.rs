//! Every field of the spec, changed on a live object, reaches AWS and the ServiceAccounts.

use mlservicerole_operator::api::condition::reasons;
use serde_json::json;

use crate::support::Space;
use crate::support::aws::{BEDROCK, READ_ONLY, S3_READ_ONLY, statement};
use crate::support::space::{bound_by, role_arn};

crate::trials![
    managed_policies_follow,
    inline_policies_follow,
    description_and_session_duration_follow,
    tags_follow,
    trusted_services_follow,
    service_accounts_follow,
    a_refused_change_leaves_the_role_as_it_was,
];

async fn managed_policies_follow() {
    let space = Space::new("managed").await;
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY, S3_READ_ONLY]}))
        .await;
    space.ready("trainer").await;
    space
        .patch_spec("trainer", json!({"managedPolicyArns": [S3_READ_ONLY, BEDROCK]}))
        .await;
    space.ready("trainer").await;
    let attached = space.role("trainer").await.unwrap().attached;
    assert_eq!(attached, [S3_READ_ONLY, BEDROCK].map(str::to_owned).into());
    space
        .patch_spec("trainer", json!({"managedPolicyArns": null}))
        .await;
    space.ready("trainer").await;
    assert!(space.role("trainer").await.unwrap().attached.is_empty());
}

async fn inline_policies_follow() {
    let space = Space::new("inline").await;
    let policy = |name: &str, action: &str| json!({"name": name, "document": statement(action, "*")});
    let first = [policy("a", "s3:GetObject"), policy("b", "s3:ListBucket")];
    space.create("trainer", json!({ "inlinePolicies": first })).await;
    space.ready("trainer").await;
    let second = [policy("b", "s3:PutObject"), policy("c", "s3:DeleteObject")];
    space
        .patch_spec("trainer", json!({ "inlinePolicies": second }))
        .await;
    space.ready("trainer").await;
    let inline = space.role("trainer").await.unwrap().inline;
    assert_eq!(inline.keys().collect::<Vec<_>>(), ["b", "c"]);
    assert!(inline["b"].to_string().contains("s3:PutObject"), "{inline:?}");
    space.patch_spec("trainer", json!({"inlinePolicies": []})).await;
    space.ready("trainer").await;
    assert!(space.role("trainer").await.unwrap().inline.is_empty());
}

async fn description_and_session_duration_follow() {
    let space = Space::new("properties").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!(
        (role.description.as_str(), role.max_session),
        ("", 7200),
        "the class's session duration"
    );
    let changed = json!({"role": {"description": "für Modelle", "maxSessionDurationSeconds": 3600}});
    space.patch_spec("trainer", changed).await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!(
        (role.description.as_str(), role.max_session),
        ("für Modelle", 3600)
    );
    space.patch_spec("trainer", json!({"role": null})).await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!((role.description.as_str(), role.max_session), ("", 7200));
}

async fn tags_follow() {
    let space = Space::new("tags-follow").await;
    space
        .create(
            "trainer",
            json!({"role": {"tags": {"team": "a", "stage": "test"}}}),
        )
        .await;
    space.ready("trainer").await;
    let before = space.role("trainer").await.unwrap().tags;
    space
        .patch_spec(
            "trainer",
            json!({"role": {"tags": {"team": "b", "stage": null, "cost-center": "7"}}}),
        )
        .await;
    space.ready("trainer").await;
    let mut expected = before;
    expected.remove("stage");
    expected.insert("team".into(), "b".into());
    expected.insert("cost-center".into(), "7".into());
    assert_eq!(space.role("trainer").await.unwrap().tags, expected);
}

async fn trusted_services_follow() {
    let space = Space::new("services").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let alone = space.role("trainer").await.unwrap().trust;
    assert!(!alone.to_string().contains("sagemaker"), "{alone}");
    let services = json!({"role": {"trustedServices": ["sagemaker.amazonaws.com", "bedrock.amazonaws.com"]}});
    space.patch_spec("trainer", services).await;
    space.ready("trainer").await;
    let trust = space.role("trainer").await.unwrap().trust.to_string();
    assert!(
        trust.contains("sagemaker.amazonaws.com") && trust.contains("bedrock.amazonaws.com"),
        "{trust}"
    );
    space
        .patch_spec(
            "trainer",
            json!({"role": {"trustedServices": ["bedrock.amazonaws.com"]}}),
        )
        .await;
    space.ready("trainer").await;
    let trust = space.role("trainer").await.unwrap().trust.to_string();
    assert!(
        !trust.contains("sagemaker") && trust.contains("bedrock.amazonaws.com"),
        "{trust}"
    );
    space.patch_spec("trainer", json!({"role": null})).await;
    space.ready("trainer").await;
    assert_eq!(space.role("trainer").await.unwrap().trust, alone);
}

async fn service_accounts_follow() {
    let space = Space::new("accounts").await;
    space.create_account(json!({"metadata": {"name": "kept"}})).await;
    space
        .create(
            "trainer",
            json!({"serviceAccounts": [{"name": "kept"}, {"name": "made"}]}),
        )
        .await;
    space.ready("trainer").await;
    let arn = space.role("trainer").await.unwrap().arn;
    space
        .patch_spec("trainer", json!({"serviceAccounts": [{"name": "other"}]}))
        .await;
    let object = space.ready("trainer").await;

    let trust = space.role("trainer").await.unwrap().trust.to_string();
    let subject = |name: &str| format!("system:serviceaccount:{}:{name}\"", space.name);
    assert!(trust.contains(&subject("other")), "{trust}");
    assert!(
        !trust.contains(&subject("kept")) && !trust.contains(&subject("made")),
        "{trust}"
    );
    space.bound("other", &arn).await;
    space
        .account_until("kept", "stays without our annotations", |account| {
            account
                .filter(|account| role_arn(account).is_none() && bound_by(account).is_none())
                .map(|_| ())
        })
        .await;
    space
        .account_until("made", "is gone, for the operator made it", |account| {
            account.is_none().then_some(())
        })
        .await;
    let accounts: Vec<_> = object
        .status
        .unwrap()
        .service_accounts
        .into_iter()
        .map(|sa| sa.name)
        .collect();
    assert_eq!(accounts, ["other"]);
}

async fn a_refused_change_leaves_the_role_as_it_was() {
    let space = Space::new("refused-change").await;
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.ready("trainer").await;
    let before = space.role("trainer").await;
    let mark = space.bed.proxy.mark();
    let admin = "arn:aws:iam::aws:policy/AdministratorAccess";
    space
        .patch_spec(
            "trainer",
            json!({"managedPolicyArns": [admin], "role": {"description": "x"}}),
        )
        .await;
    space
        .refused("trainer", reasons::MANAGED_POLICY_NOT_ALLOWED)
        .await;
    assert_eq!(space.role("trainer").await, before);
    assert_eq!(
        space.bed.proxy.writes_since(mark, &space.prefix()),
        Vec::<String>::new()
    );
    let arn = before.unwrap().arn;
    assert_eq!(
        role_arn(&space.account("trainer").await.unwrap()),
        Some(arn.as_str())
    );
    space
        .patch_spec("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.ready("trainer").await;
}
