//! Taking over roles that were there before, and giving them back: never without both consents, and never without a
//! record of what they were.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use mlservicerole_operator::api::condition::{reasons, types};
use mlservicerole_operator::iam::tags;
use serde_json::{Value, json};

use crate::support::aws::{READ_ONLY, RoleSnapshot};
use crate::support::process;
use crate::support::space::{condition, ownership_tags, placed_name, role_arn};
use crate::support::{Class, Fault, Space};

crate::trials![
    a_role_is_taken_over_and_given_back_as_it_was,
    without_both_consents_no_role_is_taken_over,
    a_role_of_somebody_else_is_not_taken_over_even_with_both_consents,
    nobody_is_shut_out_without_consent,
    nobody_is_bound_before_the_role_is_in_line,
    a_missing_role_is_taken_over_once_it_is_there,
    a_retained_role_can_be_taken_back,
    a_withdrawn_consent_changes_nothing_and_keeps_nobody,
    a_role_whose_record_is_lost_keeps_its_object_until_somebody_decides,
    a_role_that_lost_the_mark_of_its_adoption_is_given_back_all_the_same,
    a_role_that_cannot_be_given_back_can_be_left_as_it_is,
    what_is_said_of_an_adopted_role_is_done,
];

pub const REPLACE: &str = "AdoptAndReplaceTrust";

type Tags = BTreeMap<String, String>;

/// Name of a role that somebody else made for this space.
fn name(space: &Space) -> String {
    format!("{}theirs", space.prefix())
}

fn arn_at(space: &Space, path: &str) -> String {
    format!("arn:aws:iam::{}:role{path}{}", space.bed.aws.account, name(space))
}

/// Makes that role, as somebody else would.
pub async fn make(space: &Space, tags: &Tags) -> RoleSnapshot {
    let name = name(space);
    space.bed.declare(&name);
    space.bed.aws.make_role(&name, "/theirs/", tags).await;
    space.bed.aws.snapshot(&name).await.unwrap()
}

pub fn their_tags() -> Tags {
    Tags::from([("owner".to_owned(), "them".to_owned())])
}

async fn class_for(short: &str, arn: &str, namespaces: &[&str]) -> Class {
    Class::like_base(
        short,
        json!({"allow": {"adopt": [{"arn": arn, "namespaces": namespaces}]}}),
    )
    .await
}

/// A class that lets this space take its role over.
pub async fn consenting(space: &Space, short: &str) -> Class {
    class_for(short, &arn_at(space, "/theirs/"), &[&space.name]).await
}

pub fn asking(space: &Space, class: &Class, policy: &str) -> Value {
    json!({
        "className": class.name, "adoptionPolicy": policy, "managedPolicyArns": [READ_ONLY],
        "role": {"name": name(space)},
    })
}

pub async fn now(space: &Space) -> RoleSnapshot {
    space.bed.aws.snapshot(&name(space)).await.unwrap()
}

/// The role without the operator's tags, which must say that it is nobody's.
pub async fn left(space: &Space) -> RoleSnapshot {
    unmarked(now(space).await)
}

fn unmarked(mut role: RoleSnapshot) -> RoleSnapshot {
    assert!(
        role.tags.contains_key("mlservicerole.io/retained"),
        "{:?}",
        role.tags
    );
    role.tags.retain(|key, _| !key.starts_with("mlservicerole.io/"));
    role
}

fn records(space: &Space) -> Api<ConfigMap> {
    Api::namespaced(space.bed.client.clone(), process::NAMESPACE)
}

pub async fn records_of(space: &Space) -> Vec<ConfigMap> {
    let selector = format!(
        "mlservicerole.io/former-state=true,mlservicerole.io/namespace={}",
        space.name
    );
    let list = ListParams::default().labels(&selector);
    records(space).list(&list).await.unwrap().items
}

async fn a_role_is_taken_over_and_given_back_as_it_was() {
    let space = Space::new("adopt").await;
    let before = make(&space, &their_tags()).await;
    let class = consenting(&space, "adopt").await;
    space.create("trainer", asking(&space, &class, REPLACE)).await;
    let object = space.ready("trainer").await;
    assert_eq!(object.status.unwrap().role_id.as_ref(), Some(&before.id));
    let during = now(&space).await;
    assert_eq!((&during.arn, &during.id), (&before.arn, &before.id));
    assert_eq!(during.attached, [READ_ONLY.to_owned()].into());
    assert!(
        during.inline.is_empty() && !during.tags.contains_key("owner"),
        "{during:?}"
    );
    let trust = during.trust.to_string();
    assert!(
        trust.contains("system:serviceaccount") && !trust.contains("ec2"),
        "{trust}"
    );
    space.bound("trainer", &before.arn).await;

    let records = records_of(&space).await;
    assert_eq!(records.len(), 1, "{records:?}");
    let record = records[0].metadata.name.clone().unwrap();
    assert_eq!(during.tags.get("mlservicerole.io/adopted"), Some(&record));
    let kept: Value = serde_json::from_str(&records[0].data.as_ref().unwrap()["role.json"]).unwrap();
    assert_eq!(kept["roleArn"], json!(before.arn));
    assert_eq!(kept["tags"], json!(before.tags));
    space
        .event("trainer", "names the record", |event| {
            event.contains("RoleAdopted") && event.contains(&record)
        })
        .await;

    space.delete_and_wait("trainer").await;
    assert_eq!(left(&space).await, before);
    assert!(space.account("trainer").await.is_none());
    space
        .event("trainer", "says that the role is as it was", |event| {
            event.contains("RoleGivenBack")
        })
        .await;
    assert_eq!(records_of(&space).await.len(), 1, "records are kept");
}

async fn without_both_consents_no_role_is_taken_over() {
    let space = Space::new("consents").await;
    let before = make(&space, &their_tags()).await;
    let (here, ns) = (arn_at(&space, "/theirs/"), space.name.clone());
    let other_account = here.replace(&space.bed.aws.account, "999999999999");
    let both = consenting(&space, "consents-both").await;
    let none = Class::like_base("consents-none", json!({})).await;
    let named = Class::like_base("consents-named", json!({"allow": {"roleNames": [name(&space)]}})).await;
    let elsewhere = class_for("consents-ns", &here, &["kube-system", &ns[..ns.len() - 1]]).await;
    let path = class_for("consents-path", &arn_at(&space, "/other/"), &[&ns]).await;
    let other_case = arn_at(&space, "/theirs/").replace(&name(&space), &name(&space).to_uppercase());
    let case = class_for("consents-case", &other_case, &[&ns]).await;
    let account = class_for("consents-account", &other_account, &[&ns]).await;
    let refused = reasons::ADOPTION_NOT_ALLOWED;
    let cases = [
        ("never", &both, "Never", types::ACCEPTED, refused),
        ("unlisted", &none, REPLACE, types::ACCEPTED, refused),
        ("name", &named, REPLACE, types::ACCEPTED, refused),
        (
            "named-never",
            &named,
            "Never",
            types::ROLE_SYNCED,
            reasons::ROLE_CONFLICT,
        ),
        ("namespace", &elsewhere, REPLACE, types::ACCEPTED, refused),
        ("case", &case, REPLACE, types::ACCEPTED, refused),
        ("account", &account, REPLACE, types::ACCEPTED, refused),
        ("path", &path, REPLACE, types::ROLE_SYNCED, reasons::ROLE_CONFLICT),
    ];
    for (object, class, policy, _, _) in &cases {
        space.create(object, asking(&space, class, policy)).await;
    }
    for (object, _, _, kind, reason) in &cases {
        let reported = space.reported(object, kind, reason).await;
        assert_eq!(reported.status, "False", "{object}");
        for secret in ["ec2.amazonaws.com", &before.id, "AmazonS3ReadOnlyAccess"] {
            assert!(
                !reported.message.contains(secret),
                "{object}: {}",
                reported.message
            );
        }
        assert_eq!(now(&space).await, before, "{object}");
    }
    for (object, ..) in &cases {
        space.delete_and_wait(object).await;
    }
    assert_eq!(now(&space).await, before);
    assert!(records_of(&space).await.is_empty());
}

async fn a_role_of_somebody_else_is_not_taken_over_even_with_both_consents() {
    let space = Space::new("owned").await;
    let class = consenting(&space, "owned").await;
    // Of another object of this very namespace.
    let object = space.create("trainer", asking(&space, &class, REPLACE)).await;
    let uid = crate::support::space::namespace_uid(space.bed, &space.name).await;
    let mut tags = ownership_tags(space.bed, &object, &uid);
    tags.insert("mlservicerole.io/name".to_owned(), "other".to_owned());
    let before = make(&space, &tags).await;
    space.touch("trainer", "made").await;
    let conflict = space
        .reported("trainer", types::ROLE_SYNCED, reasons::ROLE_CONFLICT)
        .await;
    assert!(!conflict.message.contains("other,"), "{}", conflict.message);
    assert_eq!(now(&space).await, before);
    space.delete_and_wait("trainer").await;
    assert_eq!(now(&space).await, before);
}

async fn nobody_is_shut_out_without_consent() {
    let space = Space::new("narrow").await;
    let before = make(&space, &their_tags()).await;
    let class = consenting(&space, "narrow").await;
    space.create("trainer", asking(&space, &class, "Adopt")).await;
    let blocked = space
        .reported("trainer", types::ROLE_SYNCED, reasons::TRUST_WOULD_NARROW)
        .await;
    for word in ["Service ec2.amazonaws.com", REPLACE] {
        assert!(blocked.message.contains(word), "{}", blocked.message);
    }
    assert_eq!(now(&space).await, before);
    assert!(records_of(&space).await.is_empty());
    assert!(space.account("trainer").await.is_none());
    space
        .patch_spec("trainer", json!({"adoptionPolicy": REPLACE}))
        .await;
    space.ready("trainer").await;
    space.delete_and_wait("trainer").await;
    assert_eq!(left(&space).await, before);
}

async fn nobody_is_bound_before_the_role_is_in_line() {
    let space = Space::new("in-line").await;
    let before = make(&space, &their_tags()).await;
    let class = consenting(&space, "in-line").await;
    let denied = space
        .bed
        .proxy
        .inject("DetachRolePolicy", &space.prefix(), Fault::denied(), usize::MAX);
    space.create("trainer", asking(&space, &class, REPLACE)).await;
    space
        .reported("trainer", types::ROLE_SYNCED, reasons::ACCESS_DENIED)
        .await;
    denied.met(2).await;
    let stuck = now(&space).await;
    assert_eq!(stuck.trust, before.trust);
    assert!(
        stuck.attached.contains(READ_ONLY),
        "what can be done is done: {stuck:?}"
    );
    assert!(space.account("trainer").await.is_none());
    drop(denied);
    space.ready("trainer").await;
    space.bound("trainer", &before.arn).await;
    assert_eq!(records_of(&space).await.len(), 1);
    space.delete_and_wait("trainer").await;
    assert_eq!(left(&space).await, before);
}

async fn a_missing_role_is_taken_over_once_it_is_there() {
    let space = Space::new("adopt-none").await;
    let class = consenting(&space, "adopt-none").await;
    space.create("trainer", asking(&space, &class, REPLACE)).await;
    let missing = space
        .reported("trainer", types::ROLE_SYNCED, reasons::ROLE_TO_ADOPT_MISSING)
        .await;
    assert!(
        missing.message.contains(&arn_at(&space, "/theirs/")),
        "{}",
        missing.message
    );
    assert!(space.bed.aws.snapshot(&name(&space)).await.is_none());
    // Else it could be taken over before it has all that it is made with.
    let unseen = space
        .bed
        .proxy
        .inject("GetRole", &space.prefix(), Fault::no_such_entity(), usize::MAX);
    let before = make(&space, &their_tags()).await;
    drop(unseen);
    space.touch("trainer", "made").await;
    space.ready("trainer").await;
    space.delete_and_wait("trainer").await;
    assert_eq!(left(&space).await, before);
}

async fn a_retained_role_can_be_taken_back() {
    let space = Space::new("take-back").await;
    let spec = json!({"managedPolicyArns": [READ_ONLY], "deletionPolicy": "Retain"});
    space.create("trainer", spec).await;
    let object = space.ready("trainer").await;
    let name = placed_name(&object).unwrap();
    space.bed.declare(&name);
    let arn = space.role("trainer").await.unwrap().arn;
    space.delete_and_wait("trainer").await;
    let retained = space.bed.aws.snapshot(&name).await.unwrap();
    let class = class_for("take-back", &arn, &[&space.name]).await;
    let spec = json!({"className": class.name, "adoptionPolicy": "Adopt", "role": {"name": name}});
    space.create("trainer", spec).await;
    space.ready("trainer").await;
    let taken = space.bed.aws.snapshot(&name).await.unwrap();
    assert_eq!(taken.id, retained.id);
    assert!(
        !taken.tags.contains_key("mlservicerole.io/retained"),
        "{:?}",
        taken.tags
    );
    space.delete_and_wait("trainer").await;
    let given_back = space.bed.aws.snapshot(&name).await.unwrap();
    let theirs = unmarked(retained);
    assert_eq!(unmarked(given_back), theirs);
}

async fn a_withdrawn_consent_changes_nothing_and_keeps_nobody() {
    let space = Space::new("withdrawn").await;
    let before = make(&space, &their_tags()).await;
    let class = consenting(&space, "withdrawn").await;
    space.create("trainer", asking(&space, &class, REPLACE)).await;
    space.ready("trainer").await;
    let during = now(&space).await;
    class.patch(json!({"spec": {"allow": {"adopt": null}}})).await;
    let message = space.refused("trainer", reasons::ADOPTION_NOT_ALLOWED).await;
    assert!(message.contains("allow.adopt"), "{message}");
    assert_eq!(now(&space).await, during);
    assert_eq!(
        role_arn(&space.account("trainer").await.unwrap()),
        Some(before.arn.as_str())
    );
    space.delete_and_wait("trainer").await;
    assert_eq!(left(&space).await, before);
}

/// The deleted object stays, and says why and what to do.
async fn assert_kept(space: &Space, reason: &str, words: &[&str]) {
    let ready = space
        .until("trainer", &format!("is kept by {reason}"), |object| {
            condition(object, types::READY)
                .filter(|ready| ready.reason == reason)
                .cloned()
        })
        .await;
    for word in words {
        assert!(ready.message.contains(word), "{}", ready.message);
    }
}

async fn a_role_whose_record_is_lost_keeps_its_object_until_somebody_decides() {
    let space = Space::new("no-record").await;
    make(&space, &their_tags()).await;
    let class = consenting(&space, "no-record").await;
    space.create("trainer", asking(&space, &class, REPLACE)).await;
    space.ready("trainer").await;
    let during = now(&space).await;
    for record in records_of(&space).await {
        let name = record.metadata.name.unwrap();
        records(&space)
            .delete(&name, &DeleteParams::default())
            .await
            .unwrap();
    }
    space.delete("trainer").await;
    assert_kept(
        &space,
        reasons::FORMER_STATE_LOST,
        &[
            "ConfigMap mlservicerole-former-",
            "deletionPolicy: Retain",
            "Delete",
        ],
    )
    .await;
    let kept = now(&space).await;
    assert_eq!((&kept.trust, &kept.attached), (&during.trust, &during.attached));
    space
        .patch_spec("trainer", json!({"deletionPolicy": "Retain"}))
        .await;
    space.gone("trainer").await;
    let theirs = RoleSnapshot {
        tags: Tags::new(),
        ..during
    };
    assert_eq!(left(&space).await, theirs);
}

async fn a_role_that_lost_the_mark_of_its_adoption_is_given_back_all_the_same() {
    let space = Space::new("unmarked").await;
    let before = make(&space, &their_tags()).await;
    let class = consenting(&space, "unmarked").await;
    space.create("trainer", asking(&space, &class, REPLACE)).await;
    space.ready("trainer").await;
    space.bed.aws.untag(&name(&space), tags::ADOPTED).await;
    space.delete_and_wait("trainer").await;
    assert_eq!(left(&space).await, before);
}

async fn a_role_that_cannot_be_given_back_can_be_left_as_it_is() {
    let space = Space::new("denied-back").await;
    make(&space, &their_tags()).await;
    let class = consenting(&space, "denied-back").await;
    space.create("trainer", asking(&space, &class, REPLACE)).await;
    space.ready("trainer").await;
    let denied = space
        .bed
        .proxy
        .inject("PutRolePolicy", &space.prefix(), Fault::denied(), usize::MAX);
    space.delete("trainer").await;
    assert_kept(
        &space,
        reasons::ACCESS_DENIED,
        &["PutRolePolicy", "deletionPolicy: Retain"],
    )
    .await;
    space
        .patch_spec("trainer", json!({"deletionPolicy": "Retain"}))
        .await;
    space.gone("trainer").await;
    drop(denied);
    let left = now(&space).await;
    assert!(
        left.tags.contains_key("mlservicerole.io/retained"),
        "{:?}",
        left.tags
    );
}

async fn what_is_said_of_an_adopted_role_is_done() {
    let space = Space::new("adopt-delete").await;
    let before = make(&space, &their_tags()).await;
    let class = consenting(&space, "adopt-delete").await;
    let mut spec = asking(&space, &class, REPLACE);
    spec["deletionPolicy"] = json!("Retain");
    space.create("trainer", spec).await;
    space.ready("trainer").await;
    let during = now(&space).await;
    space.delete_and_wait("trainer").await;
    let retained = now(&space).await;
    assert_eq!(
        (&retained.trust, &retained.attached),
        (&during.trust, &during.attached)
    );
    assert_eq!(
        role_arn(&space.account("trainer").await.unwrap()),
        Some(before.arn.as_str())
    );

    let mut spec = asking(&space, &class, REPLACE);
    spec["deletionPolicy"] = json!("Delete");
    space.create("trainer", spec).await;
    space.ready("trainer").await;
    space.delete_and_wait("trainer").await;
    assert!(space.bed.aws.snapshot(&name(&space)).await.is_none());
}
