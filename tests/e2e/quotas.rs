//! Quotas: what an object uses is shown, and what doesn't fit is refused with the numbers; of Kubernetes, a quota of
//! objects in a namespace, which keeps its tenants from taking all of the account's roles.

use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{Api, PostParams};
use mlservicerole_operator::api::condition::{reasons, types};
use mlservicerole_operator::api::role::{MlServiceRole, QuotaUsage, Usage};
use mlservicerole_operator::iam::quota;
use serde_json::{Value, json};

use crate::support::aws::{READ_ONLY, S3_READ_ONLY, statement};
use crate::support::space::condition;
use crate::support::{Class, Fault, Space, eventually};

crate::trials![
    what_is_used_of_the_quotas_is_shown,
    too_many_policies_are_refused_before_any_call,
    a_trust_policy_for_too_many_is_refused_before_any_call,
    a_quota_that_aws_finds_used_up_is_told_as_one,
    a_resource_quota_refuses_the_object_beyond_it_and_a_deletion_makes_room,
];

async fn usage(space: &Space) -> Usage {
    let object = space.roles().get("trainer").await.unwrap();
    object.status.unwrap().usage.expect("the usage is known")
}

fn used(used: usize, limit: i64) -> QuotaUsage {
    QuotaUsage {
        used: used as i64,
        limit,
    }
}

async fn what_is_used_of_the_quotas_is_shown() {
    let space = Space::new("usage").await;
    let inline = json!([{"name": "data", "document": statement("s3:GetObject", "arn:aws:s3:::a b/*")}]);
    let spec = json!({"managedPolicyArns": [READ_ONLY, S3_READ_ONLY], "inlinePolicies": inline});
    space.create("trainer", spec).await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    let size = |document: &Value| quota::size(&document.to_string());
    let shown = usage(&space).await;
    assert_eq!(shown.trust_policy, used(size(&role.trust), 2_048));
    assert_eq!(shown.inline_policies, used(size(&role.inline["data"]), 10_240));
    assert_eq!(shown.managed_policies, used(2, 10));
}

async fn too_many_policies_are_refused_before_any_call() {
    let space = Space::new("too-many").await;
    let arn = |n: usize| format!("arn:aws:iam::{}:policy/e2e-{n}", space.bed.aws.account);
    let mut allowed: Vec<String> = (0..10).map(arn).collect();
    allowed.push(READ_ONLY.to_owned());
    let class = Class::like_base("too-many", json!({"allow": {"managedPolicyArns": allowed}})).await;
    let mark = space.bed.proxy.mark();
    let spec = json!({"className": class.name, "managedPolicyArns": allowed});
    space.create("trainer", spec).await;
    let message = space.refused("trainer", reasons::QUOTA_EXCEEDED).await;
    assert!(
        message.contains("has 11 policies") && message.contains("allows 10"),
        "{message}"
    );
    let object = space.roles().get("trainer").await.unwrap();
    assert!(condition(&object, types::STALLED).is_some());
    assert_eq!(usage(&space).await.managed_policies, used(11, 10));
    assert!(space.bed.proxy.since(mark, &space.prefix()).is_empty());

    space
        .patch_spec("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.ready("trainer").await;
    assert_eq!(usage(&space).await.managed_policies, used(1, 10));
}

async fn a_trust_policy_for_too_many_is_refused_before_any_call() {
    let space = Space::new("long-trust").await;
    let accounts = |count: usize| -> Value {
        let names = (0..count).map(|n| json!({"name": format!("{n:02}-{}", "x".repeat(60))}));
        names.collect()
    };
    let mark = space.bed.proxy.mark();
    space
        .create("trainer", json!({"serviceAccounts": accounts(32)}))
        .await;
    let message = space.refused("trainer", reasons::QUOTA_EXCEEDED).await;
    assert!(
        message.contains("for 32 ServiceAccounts") && message.contains("allows 2048"),
        "{message}"
    );
    assert!(usage(&space).await.trust_policy.used > 2_048);
    assert!(space.bed.proxy.since(mark, &space.prefix()).is_empty());

    space
        .patch_spec("trainer", json!({"serviceAccounts": accounts(2)}))
        .await;
    space.ready("trainer").await;
}

async fn a_quota_that_aws_finds_used_up_is_told_as_one() {
    let space = Space::new("full-account").await;
    let full = Fault::Refuse {
        status: 409,
        code: "LimitExceeded",
        message: "Cannot exceed quota for RolesPerAccount: 1000",
    };
    let full = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), full, usize::MAX);
    space.create("trainer", json!({})).await;
    let ready = space
        .reported("trainer", types::READY, reasons::QUOTA_EXCEEDED)
        .await;
    assert!(
        ready.message.contains("RolesPerAccount: 1000"),
        "{}",
        ready.message
    );
    let object = space.roles().get("trainer").await.unwrap();
    assert!(condition(&object, types::STALLED).is_some());
    drop(full);
    space.ready("trainer").await;
}

/// What docs/classes.md tells admins to count.
const COUNTED: &str = "count/mlserviceroles.mlservicerole.io";

/// Waits until the quota is enforced and `used` objects are counted.
async fn counted(quotas: &Api<ResourceQuota>, used: &str) {
    eventually(&format!("the quota counts {used} objects"), || async {
        let quota = quotas.get("mlserviceroles").await.map_err(|e| e.to_string())?;
        let counted = quota
            .status
            .as_ref()
            .and_then(|status| status.used.as_ref()?.get(COUNTED));
        match counted == Some(&Quantity(used.to_owned())) {
            true => Ok(()),
            false => Err(format!("{:?}", quota.status)),
        }
    })
    .await;
}

async fn a_resource_quota_refuses_the_object_beyond_it_and_a_deletion_makes_room() {
    let space = Space::new("resource-quota").await;
    let quotas: Api<ResourceQuota> = Api::namespaced(space.bed.client.clone(), &space.name);
    let quota = serde_json::from_value(json!({
        "metadata": {"name": "mlserviceroles"}, "spec": {"hard": {(COUNTED): "2"}},
    }));
    quotas
        .create(&PostParams::default(), &quota.unwrap())
        .await
        .unwrap();
    // Until the quota's controller has counted for the first time, the API server has nothing to hold an object against.
    counted(&quotas, "0").await;
    for name in ["one", "two"] {
        space.create(name, json!({})).await;
    }
    for name in ["one", "two"] {
        space.ready(name).await;
    }
    // Its controller counts anew from a watch of its own, which may lag: what it says holds once an attempt was refused.
    let attempt = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let third = MlServiceRole::new("three", space.roles().get("one").await.unwrap().spec);
    eventually("the quota holds an attempt back", || async {
        match space.roles().create(&attempt, &third).await {
            Err(_) => Ok(()),
            Ok(_) => Err("a third object would be taken".to_owned()),
        }
    })
    .await;
    let mark = space.bed.proxy.mark();
    let refusal = match space.try_create("three", json!({})).await {
        Err(kube::Error::Api(status)) => status,
        other => panic!("the third object isn't refused: {other:?}"),
    };
    assert_eq!(refusal.code, 403, "{refusal:?}");
    let (used, limited) = (format!("used: {COUNTED}=2"), format!("limited: {COUNTED}=2"));
    for part in ["exceeded quota: mlserviceroles", &used, &limited] {
        assert!(refusal.message.contains(part), "{part}: {}", refusal.message);
    }
    assert!(space.bed.proxy.writes_since(mark, &space.prefix()).is_empty());
    // What is there is served as before, and its deletion makes room.
    space
        .patch_spec("one", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    space.ready("one").await;
    space.delete("two").await;
    space.gone("two").await;
    eventually("there is room again", || async {
        let created = space.try_create("three", json!({})).await;
        created.map(|_| ()).map_err(|e| e.to_string())
    })
    .await;
    space.ready("three").await;
}
