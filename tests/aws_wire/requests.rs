//! What is sent.

use std::collections::{BTreeMap, BTreeSet};

use mlservicerole_operator::iam::role::NewRole;

use crate::server::{Call, Reply, Server, iam_only, ok};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

fn accept(call: &Call) -> Reply {
    match call.action() {
        "CreateRole" => ok(
            "CreateRole",
            "<Role><Path>/ml/</Path><RoleName>trainer</RoleName><RoleId>AROAXYZ</RoleId>\
             <Arn>arn:aws:iam::111122223333:role/ml/trainer</Arn>\
             <CreateDate>2026-11-24T15:00:00Z</CreateDate></Role>",
        ),
        action => ok(action, ""),
    }
}

fn fields(call: &Call) -> Vec<(&str, &str)> {
    call.fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(key, _)| !["Action", "Version"].contains(key))
        .collect()
}

fn new_role() -> NewRole {
    NewRole {
        arn: "arn:aws:iam::111122223333:role/ml/trainer".parse().unwrap(),
        trust: TRUST.to_owned(),
        description: "for team a + b".to_owned(),
        max_session_duration_seconds: 7200,
        permissions_boundary: Some("arn:aws:iam::111122223333:policy/ml/b".parse().unwrap()),
        tags: BTreeMap::from([
            ("mlservicerole.io/name".to_owned(), "trainer".to_owned()),
            ("team".to_owned(), "a+b/c=d".to_owned()),
        ]),
    }
}

#[tokio::test]
async fn create_role_sends_everything_in_one_request() {
    let server = Server::start(iam_only(accept)).await;
    server.iam().await.create_role(&new_role()).await.unwrap();
    assert_eq!(
        fields(&server.only("CreateRole")),
        [
            ("AssumeRolePolicyDocument", TRUST),
            ("Description", "for team a + b"),
            ("MaxSessionDuration", "7200"),
            ("Path", "/ml/"),
            ("PermissionsBoundary", "arn:aws:iam::111122223333:policy/ml/b"),
            ("RoleName", "trainer"),
            ("Tags.member.1.Key", "mlservicerole.io/name"),
            ("Tags.member.1.Value", "trainer"),
            ("Tags.member.2.Key", "team"),
            ("Tags.member.2.Value", "a+b/c=d"),
        ]
    );
}

#[tokio::test]
async fn create_role_leaves_out_what_is_not_wanted() {
    let server = Server::start(iam_only(accept)).await;
    let role = NewRole {
        arn: "arn:aws:iam::111122223333:role/trainer".parse().unwrap(),
        description: String::new(),
        permissions_boundary: None,
        tags: BTreeMap::new(),
        ..new_role()
    };
    server.iam().await.create_role(&role).await.unwrap();
    assert_eq!(
        fields(&server.only("CreateRole")),
        [
            ("AssumeRolePolicyDocument", TRUST),
            ("MaxSessionDuration", "7200"),
            ("Path", "/"),
            ("RoleName", "trainer"),
        ]
    );
}

#[tokio::test]
async fn update_role_sends_an_empty_description_to_take_the_old_one_away() {
    let server = Server::start(iam_only(accept)).await;
    let iam = server.iam().await;
    iam.update_role(&"trainer".parse().unwrap(), "", 3600)
        .await
        .unwrap();
    assert_eq!(
        fields(&server.only("UpdateRole")),
        [
            ("Description", ""),
            ("MaxSessionDuration", "3600"),
            ("RoleName", "trainer"),
        ]
    );
}

#[tokio::test]
async fn every_other_write_names_its_role_and_its_object() {
    let server = Server::start(iam_only(accept)).await;
    let iam = server.iam().await;
    let name = "trainer".parse().unwrap();
    let policy = "arn:aws:iam::aws:policy/ReadOnly".parse().unwrap();
    iam.update_assume_role_policy(&name, TRUST).await.unwrap();
    iam.put_role_permissions_boundary(&name, &policy).await.unwrap();
    iam.tag_role(&name, &BTreeMap::from([("k".into(), "v".into())]))
        .await
        .unwrap();
    iam.untag_role(&name, &BTreeSet::from(["k".into()]))
        .await
        .unwrap();
    iam.put_role_policy(&name, "inline", TRUST).await.unwrap();
    iam.delete_role_policy(&name, "inline").await.unwrap();
    iam.attach_role_policy(&name, &policy).await.unwrap();
    iam.detach_role_policy(&name, &policy).await.unwrap();
    iam.delete_role(&name).await.unwrap();

    let role = ("RoleName", "trainer");
    let arn = "arn:aws:iam::aws:policy/ReadOnly";
    for (action, expected) in [
        ("UpdateAssumeRolePolicy", vec![("PolicyDocument", TRUST), role]),
        (
            "PutRolePermissionsBoundary",
            vec![("PermissionsBoundary", arn), role],
        ),
        (
            "TagRole",
            vec![role, ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")],
        ),
        ("UntagRole", vec![role, ("TagKeys.member.1", "k")]),
        (
            "PutRolePolicy",
            vec![("PolicyDocument", TRUST), ("PolicyName", "inline"), role],
        ),
        ("DeleteRolePolicy", vec![("PolicyName", "inline"), role]),
        ("AttachRolePolicy", vec![("PolicyArn", arn), role]),
        ("DetachRolePolicy", vec![("PolicyArn", arn), role]),
        ("DeleteRole", vec![role]),
    ] {
        assert_eq!(fields(&server.only(action)), expected, "{action}");
    }
}

#[tokio::test]
async fn nothing_to_tag_or_untag_is_no_request() {
    let server = Server::start(iam_only(accept)).await;
    let iam = server.iam().await;
    let name = "trainer".parse().unwrap();
    iam.tag_role(&name, &BTreeMap::new()).await.unwrap();
    iam.untag_role(&name, &BTreeSet::new()).await.unwrap();
    assert_eq!(server.actions(), ["GetCallerIdentity"]);
}
