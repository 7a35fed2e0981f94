//! `mode: Observe`: the object says what would be done, nothing is done, and `Manage` does just that.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use mlservicerole_operator::api::condition::{reasons, types};
use mlservicerole_operator::api::role::PlannedStep;
use mlservicerole_operator::api::{MlServiceRole, ROLE_ARN_ANNOTATION, ROLE_FINALIZER};
use serde_json::{Value, json};

use crate::support::aws::{BEDROCK, READ_ONLY, statement};
use crate::support::space::{bound_by, condition, placed_name, role_arn};
use crate::support::{Class, Space, eventually};

crate::trials![
    a_new_object_tells_its_plan_and_nothing_is_written,
    manage_does_just_what_the_plan_said,
    a_role_that_drifts_is_told_with_a_difference_and_left_as_it_is,
    an_object_with_nothing_to_do_is_ready,
    a_role_of_somebody_else_is_not_told,
    an_observing_object_goes_and_touches_nothing,
    an_observing_object_goes_though_its_class_is_gone,
    an_observing_object_keeps_no_other_from_its_service_account,
];

fn spec(mode: &str) -> Value {
    json!({
        "mode": mode,
        "managedPolicyArns": [READ_ONLY],
        "inlinePolicies": [{"name": "data", "document": statement("s3:GetObject", "arn:aws:s3:::data/*")}],
    })
}

/// The plan, once the object observes as it now stands and has one.
async fn plan_of(space: &Space, name: &str) -> Vec<PlannedStep> {
    space.reported(name, types::READY, reasons::OBSERVING).await;
    plan(&space.roles().get(name).await.unwrap())
}

fn plan(object: &MlServiceRole) -> Vec<PlannedStep> {
    object
        .status
        .as_ref()
        .map(|status| status.plan.clone())
        .unwrap_or_default()
}

fn actions(plan: &[PlannedStep]) -> Vec<&str> {
    plan.iter().map(|step| step.action.as_str()).collect()
}

/// What the operator wrote to the API server in this namespace, statuses aside; none without an audit log.
fn writes_to_the_cluster(space: &Space) -> Vec<(String, String)> {
    let writes = space.bed.audit.iter().flat_map(|audit| audit.writes(&space.name));
    writes
        .filter(|request| request.resource != "mlserviceroles/status")
        .map(|request| (request.verb, request.resource))
        .collect()
}

/// Lets another object of the namespace be reconciled from end to end, so that what the operator had still to do
/// for the others is done.
async fn settle(space: &Space, name: &str) {
    space.create(name, json!({"mode": "Observe"})).await;
    plan_of(space, name).await;
}

async fn a_new_object_tells_its_plan_and_nothing_is_written() {
    let space = Space::new("observes").await;
    let mark = space.bed.proxy.mark();
    space.create("trainer", spec("Observe")).await;
    let told = plan_of(&space, "trainer").await;
    assert_eq!(
        actions(&told),
        [
            "AddFinalizer",
            "CreateRole",
            "CreateServiceAccount",
            "PutRolePolicy",
            "AttachRolePolicy"
        ]
    );
    let role = told[1].difference.as_deref().unwrap();
    assert!(
        role.contains(&format!("system:serviceaccount:{}:trainer", space.name)),
        "{role}"
    );
    assert!(
        told[3]
            .difference
            .as_deref()
            .unwrap()
            .contains("+     \"Action\": \"s3:GetObject\""),
        "{told:#?}"
    );

    let object = space.roles().get("trainer").await.unwrap();
    for (kind, status, reason) in [
        (types::ACCEPTED, "True", reasons::ALLOWED),
        (types::ROLE_SYNCED, "False", reasons::OBSERVING),
        (types::SERVICE_ACCOUNTS_BOUND, "False", reasons::OBSERVING),
        (types::READY, "False", reasons::OBSERVING),
    ] {
        let found = condition(&object, kind).unwrap();
        assert_eq!(
            (found.status.as_str(), found.reason.as_str()),
            (status, reason),
            "{kind}"
        );
    }
    assert!(condition(&object, types::STALLED).is_none());
    let message = &condition(&object, types::READY).unwrap().message;
    assert!(message.contains("5 steps would be taken"), "{message}");

    space.touch("trainer", "once more").await;
    settle(&space, "later").await;
    let again = space.roles().get("trainer").await.unwrap();
    assert_eq!(again.status, object.status, "the status is the same each time");
    assert!(again.finalizers().is_empty() && placed_name(&again).is_none());
    assert!(space.account("trainer").await.is_none());
    let calls = space.bed.proxy.since(mark, &space.prefix());
    assert!(!calls.is_empty(), "the role was looked up");
    assert_eq!(space.bed.proxy.writes_since(mark, &space.prefix()), [""; 0]);
    assert_eq!(writes_to_the_cluster(&space), []);
}

async fn manage_does_just_what_the_plan_said() {
    let space = Space::new("obeys").await;
    space.create("trainer", spec("Observe")).await;
    let told = plan_of(&space, "trainer").await;
    let mark = space.bed.proxy.mark();
    space.patch_spec("trainer", json!({"mode": "Manage"})).await;
    let object = space.ready("trainer").await;
    assert_eq!(plan(&object), []);

    let of_role = |action: &&str| action.ends_with("Role") || action.ends_with("Policy");
    let promised: Vec<&str> = actions(&told).into_iter().filter(of_role).collect();
    assert_eq!(space.bed.proxy.writes_since(mark, &space.prefix()), promised);
    let role = space.role("trainer").await.unwrap();
    assert_eq!(role.arn, told[1].target);
    for annotation in [&role.arn, &object.uid().unwrap()] {
        let binding = told[2].difference.as_deref().unwrap();
        assert!(
            binding.contains(annotation.as_str()),
            "{annotation} isn't in {binding}"
        );
    }
    space.bound("trainer", &role.arn).await;
    if space.bed.audit.is_some() {
        settle(&space, "later").await;
        let mut writes = writes_to_the_cluster(&space);
        writes.sort();
        let of = |verb: &str, resource: &str| (verb.to_owned(), resource.to_owned());
        assert_eq!(
            writes,
            [of("create", "serviceaccounts"), of("patch", "mlserviceroles")]
        );
    }
}

async fn a_role_that_drifts_is_told_with_a_difference_and_left_as_it_is() {
    let space = Space::new("drifts").await;
    space.create("trainer", spec("Manage")).await;
    let object = space.ready("trainer").await;
    let name = placed_name(&object).unwrap();
    space.patch_spec("trainer", json!({"mode": "Observe"})).await;
    space.ready("trainer").await;

    let aws = &space.bed.aws;
    let mark = space.bed.proxy.mark();
    let before = writes_to_the_cluster(&space);
    aws.put_inline(&name, "data", &statement("s3:*", "arn:aws:s3:::data/*"))
        .await;
    aws.attach(&name, BEDROCK).await;
    space
        .patch_account(
            "trainer",
            json!({"metadata": {"annotations": {ROLE_ARN_ANNOTATION: null}}}),
        )
        .await;
    let disturbed = aws.snapshot(&name).await;
    let told = space
        .until("trainer", "tells all three", |object| {
            let told = plan(object);
            (told.len() == 3).then_some(told)
        })
        .await;
    assert_eq!(
        actions(&told),
        ["PutRolePolicy", "DetachRolePolicy", "BindServiceAccount"]
    );
    let difference = told[0].difference.as_deref().unwrap();
    assert!(difference.contains("-     \"Action\": \"s3:*\""), "{difference}");
    assert!(
        difference.contains("+     \"Action\": \"s3:GetObject\""),
        "{difference}"
    );
    let binding = told[2].difference.as_deref().unwrap();
    assert!(
        binding.starts_with(&format!("{ROLE_ARN_ANNOTATION}: (none) → arn:aws:iam")),
        "{binding}"
    );
    settle(&space, "later").await;
    assert_eq!(aws.snapshot(&name).await, disturbed);
    assert_eq!(space.bed.proxy.writes_since(mark, &space.prefix()), [""; 0]);
    assert_eq!(writes_to_the_cluster(&space), before);

    space.patch_spec("trainer", json!({"mode": "Manage"})).await;
    space.ready("trainer").await;
    assert_eq!(
        space.bed.proxy.writes_since(mark, &space.prefix()),
        ["PutRolePolicy", "DetachRolePolicy"]
    );
}

async fn an_object_with_nothing_to_do_is_ready() {
    let space = Space::new("idle").await;
    space.create("trainer", spec("Manage")).await;
    let managed = space.ready("trainer").await.status.unwrap();
    space.patch_spec("trainer", json!({"mode": "Observe"})).await;
    let observed = space.ready("trainer").await.status.unwrap();
    assert_eq!(observed.plan, []);
    assert_eq!(observed.role_arn, managed.role_arn);
    for kind in [types::ROLE_SYNCED, types::SERVICE_ACCOUNTS_BOUND, types::READY] {
        let of = |conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]| {
            let found = conditions.iter().find(|c| c.type_ == kind).unwrap();
            (
                found.status.clone(),
                found.reason.clone(),
                found.last_transition_time.clone(),
            )
        };
        assert_eq!(of(&observed.conditions), of(&managed.conditions), "{kind}");
    }
    // So that the role goes with the object.
    space.patch_spec("trainer", json!({"mode": "Manage"})).await;
    space.ready("trainer").await;
}

async fn a_role_of_somebody_else_is_not_told() {
    let space = Space::new("not-told").await;
    space.create("trainer", spec("Observe")).await;
    let arn = plan_of(&space, "trainer").await[1].target.clone();
    let name = arn.rsplit('/').next().unwrap();
    space.bed.declare(name);
    let path = format!("{}{}/", space.bed.path(), space.name);
    space.bed.aws.make_role(name, &path, &BTreeMap::new()).await;
    let theirs = space.bed.aws.snapshot(name).await;
    space.touch("trainer", "look").await;
    space
        .reported("trainer", types::ROLE_SYNCED, reasons::ROLE_CONFLICT)
        .await;
    let object = space.roles().get("trainer").await.unwrap();
    assert_eq!(plan(&object), []);
    let said = serde_json::to_string(&object.status).unwrap();
    for secret in ["theirs", "ec2.amazonaws.com", "AmazonS3ReadOnlyAccess", "AROA"] {
        assert!(!said.contains(secret), "{secret} is told: {said}");
    }
    space.delete_and_wait("trainer").await;
    assert_eq!(space.bed.aws.snapshot(name).await, theirs);
}

/// A role that is managed first and observed then.
async fn managed_then_observed(space: &Space, class: Option<&Class>) -> MlServiceRole {
    let mut spec = spec("Manage");
    if let Some(class) = class {
        spec["className"] = json!(class.name);
    }
    space.create("trainer", spec).await;
    space.ready("trainer").await;
    space.patch_spec("trainer", json!({"mode": "Observe"})).await;
    space.ready("trainer").await
}

async fn an_observing_object_goes_and_touches_nothing() {
    let space = Space::new("goes").await;
    let object = managed_then_observed(&space, None).await;
    let name = placed_name(&object).unwrap();
    let role = space.bed.aws.snapshot(&name).await.unwrap();
    let account = space.account("trainer").await.unwrap();
    let (mark, before) = (space.bed.proxy.mark(), writes_to_the_cluster(&space).len());
    space.delete_and_wait("trainer").await;
    space
        .event("trainer", "what stays", |event| {
            event.starts_with("Warning RoleLeftInPlace") && event.contains(&role.arn)
        })
        .await;
    let calls = space.bed.proxy.since(mark, &space.prefix());
    // A read for drift may have been under way.
    assert!(calls.iter().all(|call| !call.writes()), "{calls:?}");
    let left = space.account("trainer").await.unwrap();
    assert_eq!(left.metadata.resource_version, account.metadata.resource_version);
    assert_eq!(bound_by(&left), bound_by(&account));
    if space.bed.audit.is_some() {
        let writes = eventually("the audit log has the last write", || async {
            let writes = writes_to_the_cluster(&space).split_off(before);
            if writes.is_empty() {
                Err("none".to_owned())
            } else {
                Ok(writes)
            }
        })
        .await;
        assert_eq!(writes, [("patch".to_owned(), "mlserviceroles".to_owned())]);
    }
    assert_eq!(space.bed.aws.snapshot(&name).await, Some(role.clone()));

    // As the Event says: created again in Manage, and deleted.
    space.create("trainer", spec("Manage")).await;
    space.ready("trainer").await;
    assert_eq!(space.role("trainer").await.unwrap().id, role.id);
    space.delete_and_wait("trainer").await;
    assert_eq!(space.bed.aws.snapshot(&name).await, None);
}

async fn an_observing_object_goes_though_its_class_is_gone() {
    let space = Space::new("classless").await;
    let class = Class::like_base("classless", json!({})).await;
    let object = managed_then_observed(&space, Some(&class)).await;
    let name = placed_name(&object).unwrap();
    space.bed.declare(&name);
    let role = space.bed.aws.snapshot(&name).await;
    class.delete().await;
    let bare = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    Class::api()
        .patch(&class.name, &PatchParams::default(), &bare)
        .await
        .unwrap();
    class.until("is gone", |class| class.is_none()).await;
    assert!(
        space
            .roles()
            .get("trainer")
            .await
            .unwrap()
            .finalizers()
            .contains(&ROLE_FINALIZER.to_owned())
    );
    space.delete_and_wait("trainer").await;
    assert_eq!(space.bed.aws.snapshot(&name).await, role);
    space.bed.aws.remove_role(&name).await;
}

async fn an_observing_object_keeps_no_other_from_its_service_account() {
    let space = Space::new("shares").await;
    space
        .create(
            "older",
            json!({"mode": "Observe", "serviceAccounts": [{"name": "shared"}]}),
        )
        .await;
    plan_of(&space, "older").await;
    space
        .create("younger", json!({"serviceAccounts": [{"name": "shared"}]}))
        .await;
    space.ready("younger").await;
    let account = space.account("shared").await.unwrap();
    assert_eq!(
        role_arn(&account),
        Some(space.role("younger").await.unwrap().arn.as_str())
    );
    // It says what would become of it now.
    space.touch("older", "look").await;
    space
        .reported(
            "older",
            types::SERVICE_ACCOUNTS_BOUND,
            reasons::SERVICE_ACCOUNT_CLAIMED,
        )
        .await;
}
