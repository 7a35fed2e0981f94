//! A class that narrows while roles of it live: what they keep, what they lose, and what people are told.

use mlservicerole_operator::api::condition::{reasons, types};
use serde_json::{Value, json};

use crate::support::aws::{BEDROCK, READ_ONLY, S3_READ_ONLY, statement};
use crate::support::space::{condition, role_arn};
use crate::support::{Class, Space, eventually};

crate::trials![
    a_role_keeps_what_it_has_when_its_class_narrows_and_says_keep,
    a_role_is_cut_back_when_its_class_narrows_and_says_revoke,
    a_role_that_was_cut_back_gets_all_again_when_the_class_widens,
    what_is_attached_by_hand_to_a_role_that_was_cut_back_goes_again,
    a_namespace_that_the_class_gives_up_keeps_no_permission_and_nobody_can_take_its_role,
    a_mistake_beside_it_is_no_way_to_keep_what_the_class_gave_up,
    an_observing_object_is_not_cut_back_and_says_so,
    an_object_that_was_never_allowed_gets_no_role_by_revoke,
    the_status_of_a_class_shows_how_far_a_change_of_its_boundary_has_come,
];

/// What an object asks for that its class will stop to allow in part.
fn wish(class: &Class) -> Value {
    json!({
        "className": class.name,
        "managedPolicyArns": [READ_ONLY, S3_READ_ONLY],
        "inlinePolicies": [
            {"name": "stays", "document": statement("s3:GetObject", "arn:aws:s3:::kept/*")},
            {"name": "goes", "document": statement("s3:GetObject", "arn:aws:s3:::lost/*")},
        ],
        "role": {"trustedServices": ["sagemaker.amazonaws.com"]},
    })
}

/// Allows only a part of the wish.
fn narrower() -> Value {
    json!({"spec": {"allow": {
        "managedPolicyArns": [READ_ONLY, BEDROCK],
        "inline": [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::kept/*"]}],
        "trustedServices": [],
    }}})
}

fn wider() -> Value {
    json!({"spec": {"allow": {
        "managedPolicyArns": [READ_ONLY, S3_READ_ONLY],
        "inline": [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::*"]}],
        "trustedServices": ["sagemaker.amazonaws.com"],
    }}})
}

async fn a_role_with_all_of_it(short: &str, on_violation: &str) -> (Space, Class) {
    let space = Space::new(short).await;
    let class = Class::like_base(short, json!({ "onViolation": on_violation })).await;
    class.patch(wider()).await;
    space.create("trainer", wish(&class)).await;
    space.ready("trainer").await;
    (space, class)
}

async fn a_role_keeps_what_it_has_when_its_class_narrows_and_says_keep() {
    let (space, class) = a_role_with_all_of_it("keeps-all", "Keep").await;
    let before = space.role("trainer").await;
    let mark = space.bed.proxy.mark();
    class.patch(narrower()).await;
    let message = space
        .refused("trainer", reasons::MANAGED_POLICY_NOT_ALLOWED)
        .await;
    for part in [
        S3_READ_ONLY,
        "goes",
        "sagemaker.amazonaws.com",
        "keeps what it has",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    space
        .event("trainer", "tells the tenant", |line| {
            line.starts_with("Warning ManagedPolicyNotAllowed")
        })
        .await;
    assert_eq!(space.role("trainer").await, before);
    assert!(space.bed.proxy.writes_since(mark, &space.prefix()).is_empty());
}

async fn a_role_is_cut_back_when_its_class_narrows_and_says_revoke() {
    let (space, class) = a_role_with_all_of_it("revokes", "Revoke").await;
    let whole = space.role("trainer").await.unwrap();
    class.patch(narrower()).await;
    let role = space
        .role_until("trainer", "is cut back", |role| {
            role.attached.len() == 1 && role.inline.len() == 1 && role.trust != whole.trust
        })
        .await;
    assert_eq!(role.attached.iter().collect::<Vec<_>>(), [READ_ONLY]);
    assert_eq!(role.inline.keys().collect::<Vec<_>>(), ["stays"]);
    let trust = role.trust.to_string();
    assert!(!trust.contains("sagemaker.amazonaws.com"), "{trust}");
    assert!(
        trust.contains(&format!("system:serviceaccount:{}:trainer", space.name)),
        "{trust}"
    );
    let message = space
        .refused("trainer", reasons::MANAGED_POLICY_NOT_ALLOWED)
        .await;
    assert!(message.contains(S3_READ_ONLY), "{message}");
    let synced = space
        .reported("trainer", types::ROLE_SYNCED, reasons::MANAGED_POLICY_NOT_ALLOWED)
        .await;
    assert_eq!(synced.status, "False");
    assert!(synced.message.contains("cut back"), "{}", synced.message);
    space
        .event("trainer", "tells the tenant", |line| {
            line.starts_with("Warning PermissionsRevoked") && line.contains(S3_READ_ONLY)
        })
        .await;
    let account = space.account("trainer").await.unwrap();
    assert_eq!(role_arn(&account), Some(whole.arn.as_str()), "it stays bound");
    space.delete_and_wait("trainer").await;
}

async fn a_role_that_was_cut_back_gets_all_again_when_the_class_widens() {
    let (space, class) = a_role_with_all_of_it("widens", "Revoke").await;
    let whole = space.role("trainer").await.unwrap();
    class.patch(narrower()).await;
    space
        .role_until("trainer", "is cut back", |role| role.attached.len() == 1)
        .await;
    space
        .refused("trainer", reasons::MANAGED_POLICY_NOT_ALLOWED)
        .await;
    class.patch(wider()).await;
    space.ready("trainer").await;
    assert_eq!(space.role("trainer").await.unwrap(), whole);
}

async fn what_is_attached_by_hand_to_a_role_that_was_cut_back_goes_again() {
    let (space, class) = a_role_with_all_of_it("by-hand", "Revoke").await;
    class.patch(narrower()).await;
    let role = space
        .role_until("trainer", "is cut back", |role| role.attached.len() == 1)
        .await;
    space
        .refused("trainer", reasons::MANAGED_POLICY_NOT_ALLOWED)
        .await;
    let name = role.arn.rsplit('/').next().unwrap();
    space.bed.aws.attach(name, S3_READ_ONLY).await;
    class
        .patch(json!({"spec": {"allow": {"managedPolicyArns": [READ_ONLY]}}}))
        .await;
    space
        .role_until("trainer", "is cut back again", |role| role.attached.len() == 1)
        .await;
}

async fn a_namespace_that_the_class_gives_up_keeps_no_permission_and_nobody_can_take_its_role() {
    let (space, class) = a_role_with_all_of_it("given-up", "Revoke").await;
    let whole = space.role("trainer").await.unwrap();
    let other = json!({"matchLabels": {"tier": "gold"}});
    class
        .patch(json!({"spec": {"allow": {"namespaces": other}}}))
        .await;
    space.refused("trainer", reasons::NAMESPACE_NOT_ALLOWED).await;
    let role = space
        .role_until("trainer", "has nothing left", |role| {
            role.attached.is_empty() && role.inline.is_empty()
        })
        .await;
    let statements = role.trust["Statement"].to_string();
    assert!(
        statements.contains("Deny") && !statements.contains("Allow"),
        "{statements}"
    );
    assert_eq!(role.tags, whole.tags, "it is still this object's");
    space.delete_and_wait("trainer").await;
    assert_eq!(
        space
            .bed
            .aws
            .snapshot(whole.arn.rsplit('/').next().unwrap())
            .await,
        None
    );
}

async fn a_mistake_beside_it_is_no_way_to_keep_what_the_class_gave_up() {
    let (space, class) = a_role_with_all_of_it("mistaken", "Revoke").await;
    // It asks for nothing that the class will give up, and for more than IAM has room for.
    let resources: Vec<_> = (0..60)
        .map(|n| format!("arn:aws:s3:::kept/{n}{}", "x".repeat(200)))
        .collect();
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resources}]});
    let spec = json!({
        "managedPolicyArns": [READ_ONLY],
        "inlinePolicies": [{"name": "stays", "document": document}],
        "role": null,
    });
    space.patch_spec("trainer", spec).await;
    space.refused("trainer", reasons::QUOTA_EXCEEDED).await;
    class.patch(narrower()).await;
    let role = space
        .role_until("trainer", "is cut back", |role| {
            role.attached.len() == 1
                && role.inline.len() == 1
                && !role.trust.to_string().contains("sagemaker.amazonaws.com")
        })
        .await;
    assert_eq!(role.attached.iter().collect::<Vec<_>>(), [READ_ONLY]);
    assert_eq!(role.inline.keys().collect::<Vec<_>>(), ["stays"]);
    space
        .event("trainer", "tells the tenant", |line| {
            line.starts_with("Warning PermissionsRevoked") && line.contains(S3_READ_ONLY)
        })
        .await;
    space.refused("trainer", reasons::QUOTA_EXCEEDED).await;
}

async fn an_observing_object_is_not_cut_back_and_says_so() {
    let (space, class) = a_role_with_all_of_it("observing", "Revoke").await;
    let before = space.role("trainer").await;
    space.patch("trainer", json!({"spec": {"mode": "Observe"}})).await;
    // The class is watched apart: its change may be seen first.
    space
        .until("trainer", "is seen to observe", |object| {
            let seen = object.status.as_ref()?.observed_generation;
            (seen == object.metadata.generation).then_some(())
        })
        .await;
    let mark = space.bed.proxy.mark();
    class.patch(narrower()).await;
    let message = space
        .refused("trainer", reasons::MANAGED_POLICY_NOT_ALLOWED)
        .await;
    for part in ["mode is Observe", "keeps what it has", "onViolation: Revoke"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    space
        .event("trainer", "tells the tenant", |line| {
            line.starts_with("Warning ManagedPolicyNotAllowed") && line.contains("mode is Observe")
        })
        .await;
    assert_eq!(space.role("trainer").await, before);
    assert!(space.bed.proxy.writes_since(mark, &space.prefix()).is_empty());
    // Once it manages its role again, that is cut back, and goes with the object.
    space.patch("trainer", json!({"spec": {"mode": "Manage"}})).await;
    let changed = |role: &crate::support::aws::RoleSnapshot| Some(role) != before.as_ref();
    space.role_until("trainer", "is cut back", changed).await;
    space.delete_and_wait("trainer").await;
}

async fn an_object_that_was_never_allowed_gets_no_role_by_revoke() {
    let space = Space::new("never-had").await;
    let class = Class::like_base("never-had", json!({"onViolation": "Revoke"})).await;
    class.patch(narrower()).await;
    space.create("trainer", wish(&class)).await;
    let message = space
        .refused("trainer", reasons::MANAGED_POLICY_NOT_ALLOWED)
        .await;
    assert!(!message.contains("keeps what it has"), "{message}");
    let object = space.until("trainer", "is there", |o| Some(o.clone())).await;
    assert_eq!(condition(&object, types::READY).unwrap().status, "False");
    assert!(object.metadata.finalizers.unwrap_or_default().is_empty());
    assert!(space.role("trainer").await.is_none());
}

async fn the_status_of_a_class_shows_how_far_a_change_of_its_boundary_has_come() {
    let space = Space::new("rebounded").await;
    let old = space.bed.boundary_arn();
    let class = Class::like_base(
        "rebounded",
        json!({"roles": {"permissionsBoundary": {"none": null, "arn": old}}}),
    )
    .await;
    for name in ["first", "second"] {
        space.create(name, json!({"className": class.name})).await;
        space.ready(name).await;
    }
    let denied = space.bed.proxy.inject(
        "PutRolePermissionsBoundary",
        &space.prefix(),
        crate::support::fault::Fault::denied(),
        usize::MAX,
    );
    // Any policy that exists may be a boundary.
    let new = READ_ONLY;
    class
        .patch(json!({"spec": {"roles": {"permissionsBoundary": {"arn": new}}}}))
        .await;
    class
        .until("says that both roles are behind", |class| {
            let change = class
                .and_then(|class| class.status.as_ref())
                .and_then(|status| status.boundary_change.clone());
            change.is_some_and(|change| {
                change.from == [old.clone()] && change.to.as_deref() == Some(new) && change.pending_roles == 2
            })
        })
        .await;
    denied.release();
    drop(denied);
    for name in ["first", "second"] {
        space.touch(name, "now").await;
        space
            .role_until(name, "carries the new boundary", |role| {
                role.boundary.as_deref() == Some(new)
            })
            .await;
    }
    // A look at the class is due only after a while.
    class.patch(json!({"spec": {"allow": {"retain": true}}})).await;
    class.patch(json!({"spec": {"allow": {"retain": false}}})).await;
    eventually("the class says no more of a change", || async {
        let live = Class::api().get(&class.name).await.map_err(|e| e.to_string())?;
        match live.status.and_then(|status| status.boundary_change) {
            None => Ok(()),
            Some(change) => Err(format!("{change:?}")),
        }
    })
    .await;
}
