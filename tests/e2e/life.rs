//! Comings and goings: what belongs to whom when objects, namespaces and clusters go and come again under the same
//! name, when issuers change and when ownership tags are lost. `docs/lifecycle.md` lists the rest.

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use mlservicerole_operator::api::MlServiceRole;
use mlservicerole_operator::api::condition::{reasons, types};
use serde_json::{Value, json};

use crate::support::aws::{READ_ONLY, RoleSnapshot};
use crate::support::fault::Injection;
use crate::support::space::{namespace_uid, ownership_tags, placed_name};
use crate::support::{Class, Fault, Space, bed, eventually};

crate::trials![
    a_namespace_created_again_does_not_get_the_role_of_the_former_one,
    an_object_created_again_gets_a_new_role,
    a_role_left_by_a_stripped_finalizer_goes_to_the_next_object_of_its_name,
    a_rebuilt_cluster_takes_over_the_roles_of_the_one_that_the_class_lists,
    a_role_that_another_cluster_of_our_name_takes_is_left_to_it,
    a_changed_issuer_keeps_the_trust_until_the_class_names_issuers,
    ownership_tags_that_are_put_back_end_the_loss,
    a_class_whose_default_annotation_is_misspelt_says_so,
];

fn name_of(role: &RoleSnapshot) -> &str {
    role.arn.rsplit('/').next().unwrap()
}

fn uid_of(role: &RoleSnapshot) -> Option<&str> {
    role.tags.get("mlservicerole.io/uid").map(String::as_str)
}

async fn tag(role: &str, key: &str, value: &str) {
    bed()
        .aws
        .tag(role, &format!("mlservicerole.io/{key}"), value)
        .await;
}

/// Deletes the object and strips its finalizer by hand, before the operator can have deleted the role: it can't read
/// it until the injection is dropped. That must be later than the operator knows that the object is gone.
async fn strip(space: &Space, name: &str) -> Injection {
    let unreadable = space
        .bed
        .proxy
        .inject("GetRole", &space.prefix(), Fault::throttled(), usize::MAX);
    space.delete(name).await;
    space.patch(name, json!({"metadata": {"finalizers": null}})).await;
    space.gone(name).await;
    unreadable
}

/// Creates the object anew, and lets the operator read its role once it has seen the new one.
async fn create_again(space: &Space, name: &str, spec: Value, unreadable: Injection) -> MlServiceRole {
    let again = space.create(name, spec).await;
    space.reported(name, types::READY, reasons::THROTTLED).await;
    drop(unreadable);
    again
}

async fn a_namespace_created_again_does_not_get_the_role_of_the_former_one() {
    let space = Space::new("again").await;
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.ready("trainer").await;
    let before = space.role("trainer").await.unwrap();
    let unreadable = strip(&space, "trainer").await;
    let namespaces: Api<Namespace> = Api::all(space.bed.client.clone());
    let deleted = namespaces.delete(&space.name, &DeleteParams::default()).await;
    deleted.unwrap();
    eventually("the namespace is gone", || async {
        match namespaces.get_opt(&space.name).await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    let space = Space::new("again").await;
    create_again(&space, "trainer", json!({}), unreadable).await;
    let synced = space
        .reported("trainer", types::ROLE_SYNCED, reasons::NAMESPACE_RECREATED)
        .await;
    assert_eq!(synced.status, "False");
    assert_eq!(
        space.bed.aws.snapshot(name_of(&before)).await.as_ref(),
        Some(&before)
    );
    assert!(
        space.account("trainer").await.is_none(),
        "nobody is pointed at a former team's role"
    );

    space.bed.aws.remove_role(name_of(&before)).await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!(role.arn, before.arn);
    assert_ne!(role.id, before.id);
}

async fn an_object_created_again_gets_a_new_role() {
    let space = Space::new("once-more").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let before = space.role("trainer").await.unwrap();
    space.delete_and_wait("trainer").await;
    let again = space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!(role.arn, before.arn, "other policies may name it");
    assert_ne!(role.id, before.id);
    assert_eq!(uid_of(&role), again.uid().as_deref());
}

async fn a_role_left_by_a_stripped_finalizer_goes_to_the_next_object_of_its_name() {
    let space = Space::new("stripped").await;
    let spec = json!({"managedPolicyArns": [READ_ONLY]});
    space.create("trainer", spec.clone()).await;
    space.ready("trainer").await;
    let before = space.role("trainer").await.unwrap();
    let unreadable = strip(&space, "trainer").await;
    let left = space.bed.aws.snapshot(name_of(&before)).await;
    assert_eq!(left.as_ref(), Some(&before), "the role stays");

    let again = create_again(&space, "trainer", spec, unreadable).await;
    space.ready("trainer").await;
    space
        .event("trainer", "tells of the taking over", |event| {
            event.starts_with("Normal RoleTakenOver")
        })
        .await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!((&role.id, &role.attached), (&before.id, &before.attached));
    assert_eq!(uid_of(&role), again.uid().as_deref());
    space.bound("trainer", &role.arn).await;
    space.delete_and_wait("trainer").await;
    assert_eq!(space.bed.aws.snapshot(name_of(&before)).await, None);
}

async fn a_rebuilt_cluster_takes_over_the_roles_of_the_one_that_the_class_lists() {
    const FORMER: &str = "11111111-aaaa-4bbb-8ccc-222222222222";
    let space = Space::new("rebuilt").await;
    let class = Class::like_base("rebuilt", json!({})).await;
    let held = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), Fault::Hold, 1);
    let object = space.create("trainer", json!({"className": class.name})).await;
    held.met(1).await;
    let name = placed_name(&space.placed("trainer").await).unwrap();
    // Every uid of the former cluster was another one.
    let mut tags = ownership_tags(space.bed, &object, FORMER);
    for key in ["cluster-uid", "uid"] {
        tags.insert(format!("mlservicerole.io/{key}"), FORMER.to_owned());
    }
    let path = format!("{}{}/", space.bed.path(), space.name);
    space.bed.aws.make_role(&name, &path, &tags).await;
    let before = space.bed.aws.snapshot(&name).await.unwrap();
    held.release();
    let clash = space
        .reported("trainer", types::ROLE_SYNCED, reasons::CLUSTER_NAME_CLASH)
        .await;
    assert!(clash.message.contains("formerClusterUIDs"), "{}", clash.message);
    assert_eq!(space.bed.aws.snapshot(&name).await.as_ref(), Some(&before));

    class
        .patch(json!({"spec": {"roles": {"formerClusterUIDs": [FORMER]}}}))
        .await;
    space.ready("trainer").await;
    space
        .event("trainer", "tells of the taking over", |event| {
            event.starts_with("Normal RoleTakenOver")
        })
        .await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!(role.id, before.id, "the role is kept");
    let own = ownership_tags(space.bed, &object, &namespace_uid(space.bed, &space.name).await);
    assert_eq!(role.tags, own, "and carries the uids of this cluster");
    assert!(role.inline.is_empty() && role.attached.is_empty());
    space.delete_and_wait("trainer").await;
    assert_eq!(space.bed.aws.snapshot(&name).await, None);
}

async fn a_role_that_another_cluster_of_our_name_takes_is_left_to_it() {
    let space = Space::new("clash").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let name = placed_name(&space.placed("trainer").await).unwrap();
    tag(&name, "cluster-uid", "00000000-elsewhere").await;
    let theirs = space.bed.aws.snapshot(&name).await.unwrap();
    let clash = space
        .reported("trainer", types::ROLE_SYNCED, reasons::CLUSTER_NAME_CLASH)
        .await;
    assert_eq!(clash.status, "False");
    space
        .patch_spec("trainer", json!({"role": {"description": "ours"}}))
        .await;
    space
        .reported("trainer", types::ROLE_SYNCED, reasons::CLUSTER_NAME_CLASH)
        .await;
    assert_eq!(space.bed.aws.snapshot(&name).await.as_ref(), Some(&theirs));
    // The other one gives it back.
    tag(&name, "cluster-uid", &space.bed.cluster_uid).await;
    space.ready("trainer").await;
    space
        .role_until("trainer", "is as the object says", |role| {
            role.description == "ours"
        })
        .await;
}

async fn a_changed_issuer_keeps_the_trust_until_the_class_names_issuers() {
    const FORMER: &str = "oidc.example/former";
    let space = Space::new("issuer-moves").await;
    let class = Class::like_base("issuer-moves", json!({})).await;
    class.reported(types::READY, "True", reasons::SYNCED).await;
    // As if the class had relied on another issuer of this cluster until now.
    let recorded = json!({"status": {"clusterIssuer": format!("https://{FORMER}")}});
    let patched = Class::api()
        .patch_status(&class.name, &PatchParams::default(), &Patch::Merge(recorded))
        .await;
    patched.unwrap();
    let message = class
        .reported(types::READY, "False", reasons::ISSUER_NOT_TRUSTED)
        .await;
    assert!(message.contains(FORMER), "{message}");
    let former = format!("arn:aws:iam::{}:oidc-provider/{FORMER}", space.bed.aws.account);
    let made = space
        .bed
        .aws
        .iam
        .create_open_id_connect_provider()
        .url(format!("https://{FORMER}"))
        .client_id_list("sts.amazonaws.com")
        .thumbprint_list("9e99a48a9960b14926bb7f3b02e22da2b0ab7280")
        .send()
        .await;
    made.unwrap();
    space.create("trainer", json!({"className": class.name})).await;
    class
        .patch(json!({"metadata": {"annotations": {"e2e.example/touched": "1"}}}))
        .await;
    let message = class
        .reported(types::READY, "False", reasons::ISSUER_CHANGED)
        .await;
    assert!(
        message.contains(FORMER) && message.contains(&space.bed.issuer),
        "{message}"
    );
    space.ready("trainer").await;
    let trusted = |role: &RoleSnapshot| role.trust["Statement"]["Principal"]["Federated"].clone();
    let before = space.role("trainer").await.unwrap();
    assert_eq!(trusted(&before), json!(former), "the trust isn't moved silently");

    let issuers = json!([{"url": space.bed.issuer}]);
    class.patch(json!({"spec": {"oidc": {"issuers": issuers}}})).await;
    class.reported(types::READY, "True", reasons::SYNCED).await;
    let own = json!(space.bed.provider_arn());
    let after = space
        .role_until("trainer", "trusts the issuer that the class names", |role| {
            trusted(role) == own
        })
        .await;
    assert_eq!(after.id, before.id);
    let delete = space.bed.aws.iam.delete_open_id_connect_provider();
    let _ = delete.open_id_connect_provider_arn(former).send().await;
}

async fn ownership_tags_that_are_put_back_end_the_loss() {
    let space = Space::new("tags-back").await;
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.ready("trainer").await;
    let name = placed_name(&space.placed("trainer").await).unwrap();
    space.bed.aws.untag(&name, "mlservicerole.io/cluster-uid").await;
    space
        .reported("trainer", types::ROLE_SYNCED, reasons::OWNERSHIP_LOST)
        .await;
    let lost = space.bed.aws.snapshot(&name).await.unwrap();
    space
        .patch_spec("trainer", json!({"managedPolicyArns": []}))
        .await;
    space
        .reported("trainer", types::ROLE_SYNCED, reasons::OWNERSHIP_LOST)
        .await;
    assert_eq!(space.bed.aws.snapshot(&name).await, Some(lost));
    tag(&name, "cluster-uid", &space.bed.cluster_uid).await;
    space.ready("trainer").await;
    space
        .role_until("trainer", "is as the object says", |role| {
            role.attached.is_empty()
        })
        .await;
    space.delete_and_wait("trainer").await;
    assert_eq!(space.bed.aws.snapshot(&name).await, None);
}

async fn a_class_whose_default_annotation_is_misspelt_says_so() {
    use mlservicerole_operator::api::DEFAULT_CLASS_ANNOTATION;
    bed().operator().await;
    let annotation = json!({DEFAULT_CLASS_ANNOTATION: "True"});
    let spec = crate::support::class_spec(bed());
    let class = Class::annotated("misspelt", spec, annotation).await;
    let message = class.reported(types::ACCEPTED, "True", reasons::ALLOWED).await;
    assert!(
        message.contains(DEFAULT_CLASS_ANNOTATION) && message.contains("makes no default class"),
        "{message}"
    );
    class
        .patch(json!({"metadata": {"annotations": {DEFAULT_CLASS_ANNOTATION: null}}}))
        .await;
    class
        .until("says nothing of it any more", |class| {
            let status = class.and_then(|class| class.status.as_ref());
            status.is_some_and(|status| {
                status
                    .conditions
                    .iter()
                    .all(|condition| !condition.message.contains(DEFAULT_CLASS_ANNOTATION))
            })
        })
        .await;
}
