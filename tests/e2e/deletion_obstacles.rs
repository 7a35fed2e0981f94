//! What can stand in the way of a deletion: whatever it is, no role is forgotten, no foreign one is touched, and the
//! object says what keeps it.

use kube::ResourceExt;
use mlservicerole_operator::api::condition::{reasons, types};
use mlservicerole_operator::api::{CLASS_FINALIZER, MlServiceRole, MlServiceRoleClass, ROLE_FINALIZER};
use serde_json::json;

use crate::support::aws::READ_ONLY;
use crate::support::space::{condition, placed_name};
use crate::support::{Class, Fault, Space};

crate::trials![
    a_role_in_an_instance_profile_is_taken_out_of_it,
    a_conflict_right_after_a_detach_is_waited_out,
    a_role_that_iam_denies_for_a_moment_is_not_forgotten,
    a_role_that_goes_while_it_is_deleted_keeps_nobody,
    a_foreign_role_that_took_the_name_is_left_alone,
    lost_credentials_keep_the_object_and_say_so,
    a_class_that_was_torn_away_keeps_the_object_and_says_so,
    a_class_that_is_deleted_first_waits_for_its_objects,
];

/// An object with a role, and the role's name.
async fn with_role(space: &Space, class: Option<&Class>) -> String {
    let mut spec = json!({"managedPolicyArns": [READ_ONLY]});
    if let Some(class) = class {
        spec["className"] = json!(class.name);
    }
    space.create("trainer", spec).await;
    placed_name(&space.ready("trainer").await).unwrap()
}

/// The object as it waits, once it says why in a condition; its finalizer is there.
async fn kept(space: &Space, reason: &str) -> (MlServiceRole, String) {
    let object = space
        .until("trainer", &format!("says that {reason} keeps it"), |object| {
            let ready = condition(object, types::READY)?;
            // What it said while it lived had no need to speak of the finalizer.
            let says_how = ready.message.contains(ROLE_FINALIZER);
            (ready.reason == reason && says_how).then(|| object.clone())
        })
        .await;
    assert!(
        object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == ROLE_FINALIZER)
    );
    let message = condition(&object, types::READY).unwrap().message.clone();
    (object, message)
}

async fn a_role_in_an_instance_profile_is_taken_out_of_it() {
    let space = Space::new("profile").await;
    let name = with_role(&space, None).await;
    let profile = format!("{}profile", space.prefix());
    let iam = &space.bed.aws.iam;
    iam.create_instance_profile()
        .instance_profile_name(&profile)
        .send()
        .await
        .unwrap();
    let add = iam.add_role_to_instance_profile().instance_profile_name(&profile);
    add.role_name(&name).send().await.unwrap();
    space.delete_and_wait("trainer").await;
    assert!(space.bed.aws.snapshot(&name).await.is_none());
    let left = iam
        .get_instance_profile()
        .instance_profile_name(&profile)
        .send()
        .await
        .unwrap();
    assert!(
        left.instance_profile.unwrap().roles.is_empty(),
        "the profile itself stays"
    );
    iam.delete_instance_profile()
        .instance_profile_name(&profile)
        .send()
        .await
        .unwrap();
}

async fn a_conflict_right_after_a_detach_is_waited_out() {
    let space = Space::new("conflict").await;
    let name = with_role(&space, None).await;
    let conflict = Fault::Refuse {
        status: 409,
        code: "DeleteConflict",
        message: "Cannot delete entity, must detach all policies first.",
    };
    let conflicts = space.bed.proxy.inject("DeleteRole", &space.prefix(), conflict, 3);
    space.delete_and_wait("trainer").await;
    assert_eq!(conflicts.hits(), 3);
    assert!(space.bed.aws.snapshot(&name).await.is_none());
}

async fn a_role_that_iam_denies_for_a_moment_is_not_forgotten() {
    let space = Space::new("denied-role").await;
    let name = with_role(&space, None).await;
    let denied = space
        .bed
        .proxy
        .inject("DeleteRole", &space.prefix(), Fault::no_such_entity(), 1);
    space.delete_and_wait("trainer").await;
    assert_eq!(denied.hits(), 1);
    assert!(space.bed.aws.snapshot(&name).await.is_none());
}

async fn a_role_that_goes_while_it_is_deleted_keeps_nobody() {
    let space = Space::new("going").await;
    let name = with_role(&space, None).await;
    let held = space
        .bed
        .proxy
        .inject("DeleteRole", &space.prefix(), Fault::Hold, 1);
    space.delete("trainer").await;
    held.met(1).await;
    space.bed.aws.remove_role(&name).await;
    held.release();
    space.gone("trainer").await;
    assert!(space.bed.aws.snapshot(&name).await.is_none());
}

async fn a_foreign_role_that_took_the_name_is_left_alone() {
    let space = Space::new("taken-name").await;
    let name = with_role(&space, None).await;
    space.bed.declare(&name);
    let held = space
        .bed
        .proxy
        .inject("GetRole", &space.prefix(), Fault::throttled(), usize::MAX);
    space.delete("trainer").await;
    held.met(1).await;
    space.bed.aws.remove_role(&name).await;
    let path = format!("{}{}/", space.bed.path(), space.name);
    space.bed.aws.make_role(&name, &path, &Default::default()).await;
    let theirs = space.bed.aws.snapshot(&name).await;
    drop(held);
    space.gone("trainer").await;
    assert_eq!(space.bed.aws.snapshot(&name).await, theirs);
    space
        .event("trainer", "says that a role stays", |event| {
            event.starts_with("Warning RoleLeftAlone")
        })
        .await;
}

async fn lost_credentials_keep_the_object_and_say_so() {
    let space = Space::new("lost-keys").await;
    let class = Class::like_base("lost", json!({})).await;
    let name = with_role(&space, Some(&class)).await;
    // STS doesn't report this account.
    let lost =
        json!({"arn": format!("arn:aws:iam::{}:role/lost", space.bed.aws.account), "externalId": "lost"});
    let refused = space
        .bed
        .proxy
        .inject("AssumeRole", "", Fault::denied(), usize::MAX);
    class.patch(json!({"spec": {"aws": {"assumeRole": lost}}})).await;
    // Before, the object could still go by the credentials that were there.
    let unreachable = |class: Option<&MlServiceRoleClass>| {
        let conditions = &class?.status.as_ref()?.conditions;
        let ready = conditions
            .iter()
            .find(|condition| condition.type_ == types::READY)?;
        (ready.status == "False").then_some(())
    };
    class
        .until("is not ready", |class| unreachable(class).is_some())
        .await;
    space.delete("trainer").await;
    let (_, message) = kept(&space, reasons::CLASS_NOT_READY).await;
    for word in [
        class.name.as_str(),
        "stays until its role can be reached",
        ROLE_FINALIZER,
    ] {
        assert!(message.contains(word), "{message}");
    }
    assert!(space.bed.aws.snapshot(&name).await.is_some());
    drop(refused);
    class.patch(json!({"spec": {"aws": null}})).await;
    space.gone("trainer").await;
    assert!(space.bed.aws.snapshot(&name).await.is_none());
}

async fn a_class_that_was_torn_away_keeps_the_object_and_says_so() {
    let space = Space::new("torn").await;
    let class = Class::like_base("torn", json!({})).await;
    let name = with_role(&space, Some(&class)).await;
    class.delete().await;
    let waiting = class
        .reported(types::ACCEPTED, "False", reasons::CLASS_TERMINATING)
        .await;
    assert!(waiting.contains("trainer"), "{waiting}");
    class.patch(json!({"metadata": {"finalizers": null}})).await;
    class.until("is gone", |class| class.is_none()).await;
    space.delete("trainer").await;
    let (_, message) = kept(&space, reasons::CLASS_NOT_FOUND).await;
    for word in [class.name.as_str(), "create the class again", ROLE_FINALIZER] {
        assert!(message.contains(word), "{message}");
    }
    assert!(space.bed.aws.snapshot(&name).await.is_some());
    let _again = Class::like_base("torn", json!({})).await;
    space.gone("trainer").await;
    assert!(space.bed.aws.snapshot(&name).await.is_none());
}

async fn a_class_that_is_deleted_first_waits_for_its_objects() {
    let space = Space::new("class-first").await;
    let class = Class::like_base("class-first", json!({})).await;
    let name = with_role(&space, Some(&class)).await;
    class.delete().await;
    class
        .reported(types::ACCEPTED, "False", reasons::CLASS_TERMINATING)
        .await;
    class
        .until("is held", |class| {
            class.is_some_and(|class| {
                class
                    .finalizers()
                    .iter()
                    .any(|finalizer| finalizer == CLASS_FINALIZER)
            })
        })
        .await;
    space.delete_and_wait("trainer").await;
    assert!(space.bed.aws.snapshot(&name).await.is_none());
    class.until("is gone", |class| class.is_none()).await;
}
