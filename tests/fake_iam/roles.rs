//! Roles as a whole.

use super::*;

#[tokio::test]
async fn a_role_is_read_as_it_was_created() {
    let iam = FakeIam::new();
    iam.add_policy(policy(1).as_str());
    let role = NewRole {
        permissions_boundary: Some(policy(1)),
        tags: tags(&[("Team", "a")]),
        ..new_role("arn:aws:iam::111122223333:role/ml/trainer")
    };
    let created = iam.create_role(&role).await.unwrap();
    let read = iam.get_role(role.arn.name()).await.unwrap();
    assert_eq!(created, read);
    assert_eq!(read.arn, role.arn);
    assert_eq!(read.trust, TRUST);
    assert_eq!(read.description, "for a");
    assert_eq!(read.permissions_boundary, Some(policy(1).to_string()));
    assert_eq!(read.tags, role.tags);
}

#[tokio::test]
async fn a_name_is_taken_whatever_its_case_and_path() {
    let (iam, _) = with_trainer().await;
    for arn in [
        "arn:aws:iam::111122223333:role/ml/trainer",
        "arn:aws:iam::111122223333:role/other/Trainer",
        "arn:aws:iam::111122223333:role/TRAINER",
    ] {
        let error = iam.create_role(&new_role(arn)).await.unwrap_err();
        assert!(error.is_entity_already_exists(), "{error}");
    }
    assert_eq!(iam.role_names(), ["trainer"]);
}

#[tokio::test]
async fn a_role_that_is_created_again_has_another_id() {
    let (iam, name) = with_trainer().await;
    let first = iam.get_role(&name).await.unwrap().id;
    iam.delete_role(&name).await.unwrap();
    let role = new_role("arn:aws:iam::111122223333:role/ml/trainer");
    assert_ne!(iam.create_role(&role).await.unwrap().id, first);
}

#[tokio::test]
async fn every_call_about_a_missing_role_says_so() {
    let iam = FakeIam::new();
    let name: RoleName = "nobody".parse().unwrap();
    let known = known_policy();
    let no = "NoSuchEntity";
    assert_eq!(code(iam.get_role(&name).await), no);
    assert_eq!(code(iam.delete_role(&name).await), no);
    assert_eq!(code(iam.update_assume_role_policy(&name, TRUST).await), no);
    assert_eq!(code(iam.update_role(&name, "", 3600).await), no);
    assert_eq!(code(iam.put_role_permissions_boundary(&name, &known).await), no);
    assert_eq!(code(iam.tag_role(&name, &tags(&[("a", "b")])).await), no);
    assert_eq!(
        code(iam.untag_role(&name, &BTreeSet::from(["a".into()])).await),
        no
    );
    assert_eq!(code(iam.put_role_policy(&name, "p", INLINE).await), no);
    assert_eq!(code(iam.delete_role_policy(&name, "p").await), no);
    assert_eq!(code(iam.attach_role_policy(&name, &known).await), no);
    assert_eq!(code(iam.detach_role_policy(&name, &known).await), no);
    assert_eq!(code(iam.role_content(&name).await), no);
    assert_eq!(code(iam.instance_profiles(&name).await), no);
    assert_eq!(code(iam.remove_role_from_instance_profile(&name, "i").await), no);
}

#[tokio::test]
async fn a_role_with_anything_on_it_is_not_deleted() {
    let (iam, name) = with_trainer().await;
    let put_on: [fn(&FakeIam); 3] = [
        |iam| iam.with_role_mut("trainer", |role| role.attached.extend([known_policy()])),
        |iam| {
            iam.with_role_mut("trainer", |role| {
                role.inline.extend([("p".into(), INLINE.into())])
            })
        },
        |iam| iam.with_role_mut("trainer", |role| role.instance_profiles.extend(["i".into()])),
    ];
    let bare = iam.role("trainer").unwrap();
    for put in put_on {
        put(&iam);
        let error = iam.delete_role(&name).await.unwrap_err();
        assert!(error.is_delete_conflict(), "{error}");
        iam.with_role_mut("trainer", |role| *role = bare.clone());
    }
    iam.delete_role(&name).await.unwrap();
    assert_eq!(iam.role_names(), [""; 0]);
}

#[tokio::test]
async fn a_role_of_aws_itself_is_not_modified() {
    let iam = FakeIam::new();
    iam.add_foreign_role("/aws-service-role/eks.amazonaws.com/", "AWSServiceRoleForEKS");
    let name = "AWSServiceRoleForEKS".parse().unwrap();
    assert_eq!(code(iam.update_role(&name, "", 3600).await), "UnmodifiableEntity");
    assert_eq!(code(iam.delete_role(&name).await), "UnmodifiableEntity");
}

#[tokio::test]
async fn a_boundary_must_exist() {
    let (iam, name) = with_trainer().await;
    let role = NewRole {
        permissions_boundary: Some(policy(1)),
        ..new_role("arn:aws:iam::111122223333:role/b")
    };
    assert_eq!(code(iam.create_role(&role).await), "NoSuchEntity");
    assert_eq!(
        code(iam.put_role_permissions_boundary(&name, &policy(1)).await),
        "NoSuchEntity"
    );
    iam.add_policy(policy(1).as_str());
    iam.put_role_permissions_boundary(&name, &policy(1))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_role_leaves_an_instance_profile_once() {
    let (iam, name) = with_trainer().await;
    iam.with_role_mut("trainer", |role| {
        role.instance_profiles.extend(["i".into(), "j".into()])
    });
    let profiles = iam.instance_profiles(&name).await.unwrap();
    assert_eq!(profiles, BTreeSet::from(["i".into(), "j".into()]));
    iam.remove_role_from_instance_profile(&name, "i").await.unwrap();
    let again = iam.remove_role_from_instance_profile(&name, "i").await;
    assert_eq!(code(again), "NoSuchEntity");
    let profiles = iam.instance_profiles(&name).await.unwrap();
    assert_eq!(profiles, BTreeSet::from(["j".into()]));
}
