//! Managed and inline policies, and OIDC providers.

use super::*;

#[tokio::test]
async fn an_unknown_policy_can_not_be_attached() {
    let (iam, name) = with_trainer().await;
    let error = iam.attach_role_policy(&name, &policy(1)).await;
    assert!(error.unwrap_err().is_no_such_entity());
    assert!(!iam.policy_exists(&policy(1)).await.unwrap());
    assert!(iam.policy_exists(&known_policy()).await.unwrap());
}

#[tokio::test]
async fn what_is_not_there_can_not_be_taken_away() {
    let (iam, name) = with_trainer().await;
    assert_eq!(
        code(iam.detach_role_policy(&name, &known_policy()).await),
        "NoSuchEntity"
    );
    assert_eq!(code(iam.delete_role_policy(&name, "p").await), "NoSuchEntity");
}

#[tokio::test]
async fn content_is_what_was_put_there_read_with_one_call_for_each_inline_policy() {
    let (iam, name) = with_trainer().await;
    iam.attach_role_policy(&name, &known_policy()).await.unwrap();
    iam.put_role_policy(&name, "a", INLINE).await.unwrap();
    iam.put_role_policy(&name, "b", INLINE).await.unwrap();
    iam.forget_calls();
    // Somebody deletes one while the list is worked off.
    iam.before_next("GetRolePolicy", |iam| {
        iam.with_role_mut("trainer", |role| drop(role.inline.remove("b")));
    });
    let content = iam.role_content(&name).await.unwrap();
    assert_eq!(content.attached, BTreeSet::from([known_policy()]));
    assert_eq!(content.inline, tags(&[("a", INLINE)]));
    assert_eq!(
        iam.operations(),
        [
            "ListAttachedRolePolicies",
            "ListRolePolicies",
            "GetRolePolicy",
            "GetRolePolicy"
        ]
    );
}

#[tokio::test]
async fn a_provider_has_the_audiences_that_it_was_given() {
    let iam = FakeIam::new();
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/1"
        .parse()
        .unwrap();
    let missing = iam.open_id_connect_provider_audiences(&provider).await;
    assert!(missing.unwrap_err().is_no_such_entity());
    iam.add_provider(&provider, &["sts.amazonaws.com"]);
    assert_eq!(
        iam.open_id_connect_provider_audiences(&provider).await.unwrap(),
        BTreeSet::from(["sts.amazonaws.com".into()])
    );
}
