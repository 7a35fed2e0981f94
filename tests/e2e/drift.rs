//! Whatever is changed behind the operator's back is put back, and what only looks different is left alone.

use serde_json::{Value, json};

use crate::support::aws::{Aws, BEDROCK, READ_ONLY, RoleSnapshot, statement};
use crate::support::{Class, Space};

crate::trials![
    a_changed_trust_policy_is_put_back,
    a_detached_policy_is_attached_again,
    an_extra_policy_is_detached,
    an_edited_inline_policy_is_put_back,
    a_removed_inline_policy_is_put_back,
    an_extra_inline_policy_is_removed,
    a_removed_boundary_is_put_back,
    a_changed_tag_is_put_back,
    a_removed_tag_is_put_back,
    an_extra_tag_is_removed,
    a_changed_description_is_put_back,
    a_changed_session_duration_is_put_back,
    a_deleted_role_is_created_again,
    all_kinds_of_drift_at_once_are_repaired,
    inline_policies_that_only_look_different_are_left_alone,
    a_trust_policy_that_only_looks_different_is_left_alone,
];

fn spec() -> Value {
    json!({
        "managedPolicyArns": [READ_ONLY],
        "inlinePolicies": [{"name": "data", "document": statement("s3:GetObject", "arn:aws:s3:::data/*")}],
        "role": {"description": "trains", "maxSessionDurationSeconds": 3700, "tags": {"team": "a"}},
    })
}

/// Lets a role of everything come to be, disturbs it, and waits until it is as before.
async fn repaired(short: &str, disturb: impl AsyncFn(&Aws, &str)) -> (RoleSnapshot, RoleSnapshot) {
    let space = Space::new(short).await;
    let boundary = json!({"none": null, "arn": space.bed.boundary_arn()});
    let class = Class::like_base(short, json!({"roles": {"permissionsBoundary": boundary}})).await;
    let mut spec = spec();
    spec["className"] = json!(class.name);
    space.create("trainer", spec).await;
    space.ready("trainer").await;
    let before = space.role("trainer").await.unwrap();
    assert!(before.boundary.is_some());
    disturb(&space.bed.aws, before.arn.rsplit('/').next().unwrap()).await;
    let as_before = |role: &RoleSnapshot| {
        let mut role = role.clone();
        role.id.clone_from(&before.id);
        role == before
    };
    let after = space
        .role_until("trainer", &format!("is as before: {before:#?}"), as_before)
        .await;
    space.ready("trainer").await;
    (before, after)
}

async fn a_changed_trust_policy_is_put_back() {
    let anybody = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": "sts:AssumeRole"}
    ]});
    repaired("trust-back", async |aws, role| {
        aws.set_trust(role, &anybody).await
    })
    .await;
}

async fn detach(aws: &Aws, role: &str, policy: &str) {
    let detach = aws.iam.detach_role_policy().role_name(role).policy_arn(policy);
    detach.send().await.unwrap();
}

async fn a_detached_policy_is_attached_again() {
    repaired("detached", async |aws, role| detach(aws, role, READ_ONLY).await).await;
}

async fn an_extra_policy_is_detached() {
    repaired("extra", async |aws, role| aws.attach(role, BEDROCK).await).await;
}

async fn an_edited_inline_policy_is_put_back() {
    repaired("edited", async |aws, role| {
        aws.put_inline(role, "data", &statement("*", "*")).await
    })
    .await;
}

async fn a_removed_inline_policy_is_put_back() {
    repaired("inline-gone", async |aws, role| {
        let delete = aws.iam.delete_role_policy().role_name(role).policy_name("data");
        delete.send().await.unwrap();
    })
    .await;
}

async fn an_extra_inline_policy_is_removed() {
    repaired("inline-extra", async |aws, role| {
        aws.put_inline(role, "more", &statement("s3:*", "*")).await
    })
    .await;
}

async fn remove_boundary(aws: &Aws, role: &str) {
    let delete = aws.iam.delete_role_permissions_boundary().role_name(role);
    delete.send().await.unwrap();
}

async fn a_removed_boundary_is_put_back() {
    repaired("boundary", async |aws, role| remove_boundary(aws, role).await).await;
}

async fn a_changed_tag_is_put_back() {
    repaired("tag", async |aws, role| aws.tag(role, "team", "b").await).await;
}

async fn a_removed_tag_is_put_back() {
    repaired("untag", async |aws, role| aws.untag(role, "team").await).await;
}

async fn an_extra_tag_is_removed() {
    repaired("tag-extra", async |aws, role| aws.tag(role, "stage", "x").await).await;
}

async fn describe(aws: &Aws, role: &str, description: &str, seconds: i32) {
    let update = aws.iam.update_role().role_name(role).description(description);
    update.max_session_duration(seconds).send().await.unwrap();
}

async fn a_changed_description_is_put_back() {
    repaired("description", async |aws, role| {
        describe(aws, role, "x", 3700).await
    })
    .await;
}

async fn a_changed_session_duration_is_put_back() {
    repaired("session", async |aws, role| {
        describe(aws, role, "trains", 43200).await
    })
    .await;
}

async fn a_deleted_role_is_created_again() {
    let (before, after) = repaired("role-gone", async |aws, role| aws.remove_role(role).await).await;
    assert_ne!(before.id, after.id);
}

async fn all_kinds_of_drift_at_once_are_repaired() {
    repaired("all", async |aws, role| {
        aws.put_inline(role, "more", &statement("s3:*", "*")).await;
        aws.put_inline(role, "data", &statement("*", "*")).await;
        aws.attach(role, BEDROCK).await;
        detach(aws, role, READ_ONLY).await;
        aws.tag(role, "team", "b").await;
        describe(aws, role, "x", 43200).await;
        remove_boundary(aws, role).await;
    })
    .await;
}

/// Changes a role and waits until the operator has gone through the account twice since: nothing may have been written.
async fn left_alone(space: &Space, change: impl AsyncFn(&Aws, &str)) {
    let before = space.role("trainer").await.unwrap();
    let role = before.arn.rsplit('/').next().unwrap();
    let mark = space.bed.proxy.mark();
    change(&space.bed.aws, role).await;
    let changed = space.role("trainer").await;
    assert_ne!(changed.as_ref(), Some(&before), "the change is to be seen");
    space.bed.proxy.swept(mark, 2).await;
    assert_eq!(space.bed.proxy.writes_since(mark, role), Vec::<String>::new());
    assert_eq!(space.role("trainer").await, changed);
    space.ready("trainer").await;
}

async fn inline_policies_that_only_look_different_are_left_alone() {
    let space = Space::new("same-inline").await;
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "a", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::data/*",
         "Condition": {"Bool": {"aws:SecureTransport": true}}},
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": ["*"]},
    ]});
    let alike = json!({"Statement": [
        {"Resource": "*", "Action": ["S3:deleteobject"], "Effect": "Deny"},
        {"Sid": "b", "Effect": "Allow", "Action": ["s3:putObject", "s3:GetObject", "s3:GetObject"],
         "Resource": ["arn:aws:s3:::data/*"], "Condition": {"Bool": {"AWS:securetransport": ["true"]}}},
    ], "Version": "2012-10-17"});
    space
        .create(
            "trainer",
            json!({"inlinePolicies": [{"name": "data", "document": document}]}),
        )
        .await;
    space.ready("trainer").await;
    left_alone(&space, async |aws, role| {
        aws.put_inline(role, "data", &alike).await
    })
    .await;
}

async fn a_trust_policy_that_only_looks_different_is_left_alone() {
    let space = Space::new("same-trust").await;
    let spec = json!({"serviceAccounts": [{"name": "a"}, {"name": "b"}], "role": {"trustedServices": ["sagemaker.amazonaws.com"]}});
    space.create("trainer", spec).await;
    space.ready("trainer").await;
    let host = space.bed.issuer.trim_start_matches("https://");
    let subject = |name: &str| format!("system:serviceaccount:{}:{name}", space.name);
    let alike = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "service", "Effect": "Allow", "Principal": {"Service": ["sagemaker.amazonaws.com"]},
         "Action": ["sts:AssumeRole"],
         "Condition": {"StringEquals": {"aws:SourceAccount": [space.bed.aws.account]}}},
        {"Condition": {"StringEquals": {
            format!("{host}:sub"): [subject("b"), subject("a"), subject("a")],
            format!("{host}:aud"): ["sts.amazonaws.com"],
         }},
         "Action": ["sts:AssumeRoleWithWebIdentity"], "Principal": {"Federated": [space.bed.provider_arn()]},
         "Effect": "Allow"},
    ]});
    left_alone(&space, async |aws, role| aws.set_trust(role, &alike).await).await;
}
