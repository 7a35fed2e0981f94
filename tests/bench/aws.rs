//! The emulated AWS past the proxy: emptied for each scenario, looked at afterwards, changed behind the operator's back;
//! and the raw client, which makes the same calls as the operator and nothing else.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_iam::Client;
use aws_sdk_iam::error::DisplayErrorContext;
use aws_sdk_iam::types::{EntityType, Tag};
use futures::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tokio::time::Instant;

use crate::objects::{
    CLUSTER_NAME, CONCURRENCY, DESCRIPTION, INLINE, MANAGED, MAX_SESSION_SECONDS, TAGS, document,
};
use crate::proxy::{Conditions, Proxy};
use crate::shared::provider::create_provider;

/// The emulator's account.
const ACCOUNT: &str = "000000000000";
const BOUNDARY: &str = "bench-boundary";
/// Where a role that the raw client made lives.
const RAW_PATH: &str = "/mlservicerole/bench/raw-client/";

/// Access to the emulator.
pub struct Aws {
    endpoint: String,
    iam: Client,
}

/// How the raw client fared.
pub struct Raw {
    pub roles: usize,
    /// From the first call to the last answer.
    pub seconds: f64,
}

/// Variables with which the operator reaches the emulator by way of the proxy.
pub fn environment(endpoint: &str) -> [(&'static str, String); 4] {
    [
        ("AWS_REGION", "us-east-1".into()),
        ("AWS_ACCESS_KEY_ID", "test".into()),
        ("AWS_SECRET_ACCESS_KEY", "test".into()),
        ("AWS_ENDPOINT_URL", endpoint.into()),
    ]
}

pub fn boundary() -> String {
    format!("arn:aws:iam::{ACCOUNT}:policy/{BOUNDARY}")
}

impl Aws {
    /// Connects to the emulator, which must be ministack: no other is fast enough to be measured against.
    pub async fn connect(endpoint: &str) -> Result<Aws, String> {
        let aws = Aws {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            iam: client(endpoint).await,
        };
        aws.reset().await.map_err(|e| {
            format!(
                "AWS_ENDPOINT_URL={endpoint} isn't ministack ({e}); MLSERVICEROLE_TESTBED_EMULATOR=ministack"
            )
        })?;
        Ok(aws)
    }

    /// Where the emulator listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    async fn reset(&self) -> Result<(), String> {
        let request = hyper::Request::post(format!("{}/_ministack/reset", self.endpoint))
            .body(Empty::<Bytes>::new())
            .map_err(|e| e.to_string())?;
        let http = HttpClient::builder(TokioExecutor::new()).build_http();
        let answer = http.request(request).await.map_err(|e| e.to_string())?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|e| e.to_string())?;
        match status.is_success() && String::from_utf8_lossy(&body.to_bytes()).contains("ok") {
            true => Ok(()),
            false => Err(format!("its reset answers {status}")),
        }
    }

    /// Empties the emulator and makes what a class needs: the cluster's OIDC provider and the boundary.
    pub async fn prepare(&self, issuer: &str) -> Result<(), String> {
        self.reset().await?;
        create_provider(&self.iam, issuer).await.map_err(said)?;
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:*", "kms:*", "sagemaker:*"], "Resource": "*"}
        ]});
        let policy = self
            .iam
            .create_policy()
            .policy_name(BOUNDARY)
            .policy_document(policy.to_string());
        policy.send().await.map(|_| ()).map_err(said)
    }

    /// How many roles the emulator has, once it is sure that each is all that an object asks for.
    pub async fn whole_roles(&self) -> Result<usize, String> {
        let details = self.iam.get_account_authorization_details();
        let answer = details.filter(EntityType::Role).send().await.map_err(said)?;
        let roles = answer.role_detail_list();
        for role in roles {
            let whole = role.attached_managed_policies().len() == MANAGED.len()
                && role.role_policy_list().len() == INLINE
                && role.tags().len() > TAGS.len();
            if !whole {
                return Err(format!(
                    "role {} isn't complete: {role:?}",
                    role.role_name().unwrap_or_default()
                ));
            }
        }
        Ok(roles.len())
    }

    /// Names of the roles there are.
    pub async fn role_names(&self) -> Result<Vec<String>, String> {
        let answer = self.iam.list_roles().send().await.map_err(said)?;
        Ok(answer.roles.into_iter().map(|role| role.role_name).collect())
    }

    /// Takes a managed policy from a role, as somebody would by hand.
    pub async fn detach(&self, role: &str) -> Result<(), String> {
        let detach = self
            .iam
            .detach_role_policy()
            .role_name(role)
            .policy_arn(MANAGED[0]);
        detach.send().await.map(|_| ()).map_err(said)
    }

    /// Makes `count` roles under `conditions`, [`CONCURRENCY`] at a time, each with the operator's four calls one after
    /// another: how fast a client can be that does nothing else. Empties the emulator first.
    pub async fn raw(&self, count: usize, conditions: Conditions) -> Result<Raw, String> {
        self.reset().await?;
        let proxy = Proxy::start(&self.endpoint, conditions).await?;
        let iam = client(&proxy.endpoint).await;
        let (trust, inline) = (Arc::new(trust()), Arc::new(document().to_string()));
        let began = Instant::now();
        futures::stream::iter(0..count)
            .map(|number| tokio::spawn(make_role(iam.clone(), number, trust.clone(), inline.clone())))
            .buffer_unordered(CONCURRENCY)
            .map(|joined| joined.map_err(|e| e.to_string())?)
            .try_collect::<()>()
            .await?;
        let seconds = began.elapsed().as_secs_f64();
        let (complete, _) = proxy.record.complete();
        match complete == count {
            true => Ok(Raw {
                roles: count,
                seconds,
            }),
            false => Err(format!("the raw client made {complete} of {count} roles")),
        }
    }
}

async fn client(endpoint: &str) -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "bench"))
        .timeout_config(
            aws_config::timeout::TimeoutConfig::builder()
                .operation_timeout(Duration::from_secs(60))
                .build(),
        )
        .endpoint_url(endpoint)
        .load()
        .await;
    Client::new(&config)
}

async fn make_role(
    iam: Client,
    number: usize,
    trust: Arc<String>,
    inline: Arc<String>,
) -> Result<(), String> {
    let name = format!("bench-raw-client-trainer-{number:05}-abcdefghijkl");
    let create = iam
        .create_role()
        .role_name(&name)
        .path(RAW_PATH)
        .assume_role_policy_document(trust.as_str())
        .description(DESCRIPTION)
        .max_session_duration(MAX_SESSION_SECONDS)
        .permissions_boundary(boundary())
        .set_tags(Some(tags(number)));
    create.send().await.map_err(said)?;
    let put = iam.put_role_policy().role_name(&name).policy_name("data");
    put.policy_document(inline.as_str()).send().await.map_err(said)?;
    for policy in MANAGED {
        let attach = iam.attach_role_policy().role_name(&name).policy_arn(policy);
        attach.send().await.map_err(said)?;
    }
    Ok(())
}

/// As many tags as the operator writes, and as long ones.
fn tags(number: usize) -> Vec<Tag> {
    const UID: &str = "11111111-2222-3333-4444-555555555555";
    let name = format!("trainer-{number:05}");
    let ours = [
        ("mlservicerole.io/cluster", CLUSTER_NAME),
        ("mlservicerole.io/cluster-uid", UID),
        ("mlservicerole.io/namespace", "bench-raw-client"),
        ("mlservicerole.io/namespace-uid", UID),
        ("mlservicerole.io/name", &name),
        ("mlservicerole.io/uid", UID),
        ("managed-by", "platform"),
    ];
    ours.into_iter()
        .chain(TAGS)
        .map(|(key, value)| {
            Tag::builder()
                .key(key)
                .value(value)
                .build()
                .expect("a key and a value")
        })
        .collect()
}

fn trust() -> String {
    let issuer = "oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {
            format!("{issuer}:aud"): "sts.amazonaws.com",
            format!("{issuer}:sub"): "system:serviceaccount:bench-raw-client:trainer-00000",
        }},
    }]})
    .to_string()
}

fn said(error: impl std::error::Error) -> String {
    format!("AWS: {}", DisplayErrorContext(error))
}
