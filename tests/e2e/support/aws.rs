//! AWS as the tests see it: straight at the emulator, past the proxy.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_iam::Client;
use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::Tag;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// An AWS-managed policy that every bed knows.
pub const READ_ONLY: &str = "arn:aws:iam::aws:policy/AmazonSageMakerReadOnly";
/// Another one.
pub const S3_READ_ONLY: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
/// A third.
pub const BEDROCK: &str = "arn:aws:iam::aws:policy/AmazonBedrockReadOnly";

/// The tests' own access to AWS.
pub struct Aws {
    pub iam: Client,
    pub account: String,
    /// Variables with which the operator reaches the same account.
    pub environment: Vec<(&'static str, String)>,
}

/// All that a role is.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleSnapshot {
    pub arn: String,
    pub id: String,
    pub trust: Value,
    pub description: String,
    pub max_session: i32,
    pub boundary: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub inline: BTreeMap<String, Value>,
    pub attached: BTreeSet<String>,
}

impl Aws {
    /// Connects with the environment's credentials, or dummy ones.
    pub async fn connect(endpoint: &str) -> Result<Aws, String> {
        let of = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let environment = vec![
            ("AWS_REGION", of("AWS_REGION", "us-east-1")),
            ("AWS_ACCESS_KEY_ID", of("AWS_ACCESS_KEY_ID", "test")),
            ("AWS_SECRET_ACCESS_KEY", of("AWS_SECRET_ACCESS_KEY", "test")),
        ];
        Aws::with(endpoint, environment).await
    }

    /// The same emulator seen from another account, if the emulator has others: it takes their ids for keys.
    pub async fn of_account(&self, endpoint: &str, account: &str) -> Option<Aws> {
        let mut environment = self.environment.clone();
        environment[1].1 = account.to_owned();
        let other = Aws::with(endpoint, environment).await.ok()?;
        (other.account == account).then_some(other)
    }

    async fn with(endpoint: &str, environment: Vec<(&'static str, String)>) -> Result<Aws, String> {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(environment[0].1.clone()))
            .credentials_provider(Credentials::new(
                &environment[1].1,
                &environment[2].1,
                None,
                None,
                "e2e",
            ))
            .endpoint_url(endpoint)
            .load()
            .await;
        let identity = aws_sdk_sts::Client::new(&config)
            .get_caller_identity()
            .send()
            .await
            .map_err(|e| format!("AWS at {endpoint} doesn't say who we are: {e:?}"))?;
        Ok(Aws {
            iam: Client::new(&config),
            account: identity.account().unwrap_or_default().to_owned(),
            environment,
        })
    }

    /// The role as it stands.
    pub async fn snapshot(&self, name: &str) -> Option<RoleSnapshot> {
        let role = match self.iam.get_role().role_name(name).send().await {
            Ok(answer) => answer.role?,
            Err(error) if error.code() == Some("NoSuchEntity") => return None,
            Err(error) => panic!("failed to read role {name}: {error:?}"),
        };
        let attached = self
            .iam
            .list_attached_role_policies()
            .role_name(name)
            .send()
            .await;
        let attached = attached.ok()?.attached_policies.unwrap_or_default();
        let names = self.iam.list_role_policies().role_name(name).send().await.ok()?;
        let mut inline = BTreeMap::new();
        for policy in names.policy_names {
            let document = self.iam.get_role_policy().role_name(name).policy_name(&policy);
            let document = document.send().await.ok()?.policy_document;
            inline.insert(policy, decoded(&document));
        }
        Some(RoleSnapshot {
            trust: decoded(role.assume_role_policy_document().unwrap_or_default()),
            description: role.description().unwrap_or_default().to_owned(),
            max_session: role.max_session_duration().unwrap_or(3600),
            boundary: role
                .permissions_boundary()
                .and_then(|boundary| boundary.permissions_boundary_arn())
                .map(str::to_owned),
            tags: role
                .tags()
                .iter()
                .map(|tag| (tag.key.clone(), tag.value.clone()))
                .collect(),
            inline,
            attached: attached
                .into_iter()
                .filter_map(|policy| policy.policy_arn)
                .collect(),
            arn: role.arn,
            id: role.role_id,
        })
    }

    /// Makes a role with a policy of each kind, as somebody else would.
    pub async fn make_role(&self, name: &str, path: &str, tags: &BTreeMap<String, String>) {
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"
        }]});
        let create = self.iam.create_role().role_name(name).path(path);
        let create = create.assume_role_policy_document(trust.to_string());
        create
            .set_tags(Some(sdk_tags(tags)))
            .send()
            .await
            .expect("a role can be made");
        self.put_inline(
            name,
            "theirs",
            &statement("s3:GetObject", "arn:aws:s3:::theirs/*"),
        )
        .await;
        self.attach(name, S3_READ_ONLY).await;
    }

    pub async fn attach(&self, role: &str, policy: &str) {
        let attach = self.iam.attach_role_policy().role_name(role).policy_arn(policy);
        attach.send().await.expect("a policy can be attached");
    }

    pub async fn put_inline(&self, role: &str, policy: &str, document: &Value) {
        let put = self.iam.put_role_policy().role_name(role).policy_name(policy);
        let put = put.policy_document(document.to_string()).send().await;
        put.expect("an inline policy can be written");
    }

    pub async fn set_trust(&self, role: &str, document: &Value) {
        let update = self.iam.update_assume_role_policy().role_name(role);
        let update = update.policy_document(document.to_string()).send().await;
        update.expect("a trust policy can be written");
    }

    pub async fn tag(&self, role: &str, key: &str, value: &str) {
        let tags = sdk_tags(&BTreeMap::from([(key.to_owned(), value.to_owned())]));
        let tag = self
            .iam
            .tag_role()
            .role_name(role)
            .set_tags(Some(tags))
            .send()
            .await;
        tag.expect("a role can be tagged");
    }

    pub async fn untag(&self, role: &str, key: &str) {
        let untag = self.iam.untag_role().role_name(role).tag_keys(key).send().await;
        untag.expect("a role can be untagged");
    }

    /// Deletes the role with all that is in it; a role that isn't there is fine.
    pub async fn remove_role(&self, name: &str) {
        let Some(role) = self.snapshot(name).await else {
            return;
        };
        for policy in &role.attached {
            let detach = self.iam.detach_role_policy().role_name(name).policy_arn(policy);
            let _ = detach.send().await;
        }
        for policy in role.inline.keys() {
            let delete = self.iam.delete_role_policy().role_name(name).policy_name(policy);
            let _ = delete.send().await;
        }
        let _ = self.iam.delete_role().role_name(name).send().await;
    }

    /// Names of the roles under a path.
    pub async fn roles_under(&self, path: &str) -> Result<BTreeSet<String>, String> {
        let mut pages = self
            .iam
            .list_roles()
            .path_prefix(path)
            .into_paginator()
            .items()
            .send();
        let mut names = BTreeSet::new();
        while let Some(role) = pages.next().await {
            names.insert(role.map_err(|e| format!("{e:?}"))?.role_name);
        }
        Ok(names)
    }
}

/// A policy document with one statement that allows `action` on `resource`.
pub fn statement(action: &str, resource: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": action, "Resource": resource}
    ]})
}

fn sdk_tags(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| {
            let tag = Tag::builder().key(key).value(value).build();
            tag.expect("a tag has key and value")
        })
        .collect()
}

fn decoded(document: &str) -> Value {
    let text = percent_decode_str(document).decode_utf8_lossy();
    serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned()))
}
