//! What a test can have the fake do.

use super::*;

#[tokio::test]
async fn a_planned_failure_strikes_once_and_changes_nothing() {
    let (iam, name) = with_trainer().await;
    let before = iam.snapshot();
    iam.fail_next("TagRole", throttled("TagRole"));
    let tag = tags(&[("a", "b")]);
    assert_eq!(iam.tag_role(&name, &tag).await, Err(throttled("TagRole")));
    assert_eq!(iam.snapshot(), before);
    iam.tag_role(&name, &tag).await.unwrap();
    assert_ne!(iam.snapshot(), before);
}

#[tokio::test]
async fn a_lost_answer_hides_what_was_done() {
    let iam = FakeIam::new();
    iam.lose_next_answer("CreateRole");
    let role = new_role("arn:aws:iam::111122223333:role/a");
    let error = iam.create_role(&role).await.unwrap_err();
    assert!(error.ambiguous);
    assert!(iam.role("a").is_some());
    let again = iam.create_role(&role).await.unwrap_err();
    assert!(again.is_entity_already_exists());
}

#[tokio::test]
async fn a_standing_failure_lasts_until_it_is_healed() {
    let (iam, name) = with_trainer().await;
    let denied = iam_error("GetRole", "AccessDenied", "no");
    iam.fail_always("GetRole", denied.clone());
    for _ in 0..3 {
        assert_eq!(iam.get_role(&name).await, Err(denied.clone()));
    }
    iam.heal();
    iam.get_role(&name).await.unwrap();
}

#[tokio::test]
async fn a_new_role_can_be_invisible_to_reads_but_not_to_writes() {
    let iam = FakeIam::new();
    iam.delay_new_roles(2);
    let role = new_role("arn:aws:iam::111122223333:role/a");
    let name = role.arn.name();
    iam.create_role(&role).await.unwrap();
    iam.attach_role_policy(name, &known_policy()).await.unwrap();
    assert_eq!(code(iam.get_role(name).await), "NoSuchEntity");
    assert_eq!(code(iam.get_role(name).await), "NoSuchEntity");
    iam.get_role(name).await.unwrap();
}

#[tokio::test]
async fn clones_share_the_account_and_the_log_tells_calls_apart() {
    let (iam, name) = with_trainer().await;
    let other = iam.clone();
    other.get_role(&name).await.unwrap();
    other.update_role(&name, "", 3600).await.unwrap();
    assert_eq!(iam.operations(), ["CreateRole", "GetRole", "UpdateRole"]);
    assert_eq!(iam.writes(), ["CreateRole", "UpdateRole"]);
    assert_eq!(iam.count("GetRole"), 1);
    assert_eq!(iam.calls()[1].role, "trainer");
    iam.forget_calls();
    assert_eq!(other.calls(), []);
}

#[tokio::test]
async fn a_foreign_role_stands_in_the_way_like_any_other() {
    let iam = FakeIam::in_account("aws-cn", "444455556666");
    let foreign = iam.add_foreign_role("/x/", "Trainer");
    assert_eq!(
        foreign.arn.to_string(),
        "arn:aws-cn:iam::444455556666:role/x/Trainer"
    );
    let role = new_role("arn:aws-cn:iam::444455556666:role/trainer");
    assert_eq!(code(iam.create_role(&role).await), "EntityAlreadyExists");
    assert_eq!(iam.session().partition.as_str(), "aws-cn");
    assert!(iam.remove_role("trainer").is_some());
    iam.create_role(&role).await.unwrap();
}
