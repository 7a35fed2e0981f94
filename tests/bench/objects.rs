//! What is asked for in every scenario: one class, and MlServiceRoles that use all that a role has.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use mlservicerole_operator::api::{MlServiceRole, MlServiceRoleClass};
use serde_json::{Value, json};

use crate::shared::wait::within;

/// How many requests a client of the benchmark has under way, whatever it talks to; the operator's default too.
pub const CONCURRENCY: usize = 32;
/// Managed policies of each role (M = 2).
pub const MANAGED: [&str; 2] = [
    "arn:aws:iam::aws:policy/AmazonSageMakerReadOnly",
    "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
];
/// Inline policies of each role (I).
pub const INLINE: usize = 1;
/// What it takes to make one: CreateRole, and one call for each policy.
pub const CALLS_TO_CREATE: usize = 1 + MANAGED.len() + INLINE;
/// What it takes to delete one: a read, one call for each policy, DeleteRole.
pub const CALLS_TO_DELETE: usize = 2 + MANAGED.len() + INLINE;

pub const CLASS: &str = "bench";
pub const CLUSTER_NAME: &str = "bench";
/// On everything that the benchmark makes in the cluster; the value is the scenario.
pub const LABEL: &str = "bench.mlservicerole.io/scenario";
pub const DESCRIPTION: &str = "Trains the ranking models of a team.";
pub const MAX_SESSION_SECONDS: i32 = 7200;
/// Namespaces that a scenario's objects are spread over.
const NAMESPACES: usize = 10;

/// One object to be, by namespace and name.
pub type Key = (String, String);

/// The tags of each role besides the operator's own.
pub const TAGS: [(&str, &str); 2] = [("team", "ranking"), ("cost-center", "4711")];

/// The inline policy of each role: three statements of a training job.
pub fn document() -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::ranking-data"},
        {"Sid": "Data", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
         "Resource": "arn:aws:s3:::ranking-data/*"},
        {"Sid": "Key", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
         "Resource": "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"},
    ]})
}

fn spec() -> Value {
    json!({
        "className": CLASS,
        "managedPolicyArns": MANAGED,
        "inlinePolicies": [{"name": "data", "document": document()}],
        "role": {
            "description": DESCRIPTION,
            "maxSessionDurationSeconds": MAX_SESSION_SECONDS,
            "tags": TAGS.into_iter().collect::<BTreeMap<_, _>>(),
        },
    })
}

/// Creates the class of all scenarios, unless it is there. Its boundary and issuer are made by
/// [`crate::aws::Aws::prepare`].
pub async fn class(client: &Client, boundary: &str) -> Result<(), String> {
    let class = json!({
        "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRoleClass",
        "metadata": {"name": CLASS},
        "spec": {
            "roles": {
                "path": "/mlservicerole/{cluster}/{namespace}/",
                "permissionsBoundary": {"arn": boundary},
                "maxSessionDurationSeconds": MAX_SESSION_SECONDS,
                "tags": {"managed-by": "platform"},
            },
            "allow": {
                "namespaces": {},
                "managedPolicyArns": MANAGED,
                "inline": [
                    {"actions": ["s3:*"], "resources": ["arn:aws:s3:::ranking-data", "arn:aws:s3:::ranking-data/*"]},
                    {"actions": ["kms:Decrypt", "kms:GenerateDataKey"], "resources": ["arn:aws:kms:*:*:key/*"]},
                ],
                "tagKeys": TAGS.map(|(key, _)| key),
            },
        },
    });
    let classes: Api<MlServiceRoleClass> = Api::all(client.clone());
    classes
        .patch(CLASS, &PatchParams::apply("bench").force(), &Patch::Apply(&class))
        .await
        .map(|_| ())
        .map_err(|e| format!("failed to apply class {CLASS}: {e}"))
}

/// Waits until the operator calls the class ready.
pub async fn class_ready(client: &Client) -> Result<(), String> {
    let classes: Api<MlServiceRoleClass> = Api::all(client.clone());
    within(Duration::from_secs(60), || async {
        let class = classes.get(CLASS).await.map_err(|e| e.to_string())?;
        let status = class.status.unwrap_or_default();
        let ready = status.observed_generation == class.metadata.generation
            && status
                .conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True");
        match ready {
            true => Ok(()),
            false => Err(format!("class {CLASS} isn't ready: {:?}", status.conditions)),
        }
    })
    .await
}

/// `count` objects to be, spread over namespaces of their own.
pub fn keys(scenario: &str, count: usize) -> Vec<Key> {
    (0..count)
        .map(|number| {
            (
                format!("bench-{scenario}-{}", number % NAMESPACES),
                format!("trainer-{number:05}"),
            )
        })
        .collect()
}

/// Makes the namespaces that these objects live in. Those of a run that failed may still be going: they are waited for.
pub async fn namespaces(client: &Client, scenario: &str, keys: &[Key]) -> Result<(), String> {
    let names: BTreeSet<&String> = keys.iter().map(|(namespace, _)| namespace).collect();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in names {
        within(Duration::from_secs(180), || async {
            let found = namespaces.get_opt(name).await.map_err(|e| e.to_string())?;
            match found.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some()) {
                true => Err(format!("namespace {name} of a former run is still going")),
                false => Ok(()),
            }
        })
        .await?;
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {LABEL: scenario}},
        });
        namespaces
            .patch(name, &PatchParams::apply("bench"), &Patch::Apply(&namespace))
            .await
            .map_err(|e| format!("failed to create namespace {name}: {e}"))?;
    }
    Ok(())
}

/// Creates all of them, [`CONCURRENCY`] at a time.
pub async fn create(client: &Client, scenario: &str, keys: &[Key]) -> Result<(), String> {
    create_each(client, scenario, keys, |_| async { Ok(()) }).await
}

/// The same, and each counts as created only after `then`.
pub async fn create_each<F, Fut>(client: &Client, scenario: &str, keys: &[Key], then: F) -> Result<(), String>
where
    F: Fn(MlServiceRole) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<(), String>> + Send + 'static,
{
    let scenario = scenario.to_owned();
    each(
        keys,
        move |client: Client, (namespace, name): Key| {
            let object = json!({
                "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole",
                "metadata": {"name": name, "labels": {LABEL: scenario}}, "spec": spec(),
            });
            let then = then.clone();
            async move {
                let object = serde_json::from_value(object).map_err(|e| e.to_string())?;
                let roles: Api<MlServiceRole> = Api::namespaced(client, &namespace);
                let created = roles.create(&PostParams::default(), &object).await;
                let created = created.map_err(|e| format!("failed to create {namespace}/{name}: {e}"))?;
                then(created).await
            }
        },
        client,
    )
    .await
}

/// Deletes all of them, [`CONCURRENCY`] at a time, without waiting for their end.
pub async fn delete(client: &Client, keys: &[Key]) -> Result<(), String> {
    each(
        keys,
        |client: Client, (namespace, name): Key| async move {
            let roles: Api<MlServiceRole> = Api::namespaced(client, &namespace);
            match roles.delete(&name, &DeleteParams::default()).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
                Err(error) => Err(format!("failed to delete {namespace}/{name}: {error}")),
            }
        },
        client,
    )
    .await
}

async fn each<F, Fut>(keys: &[Key], work: F, client: &Client) -> Result<(), String>
where
    F: Fn(Client, Key) -> Fut,
    Fut: Future<Output = Result<(), String>> + Send + 'static,
{
    futures::stream::iter(keys.to_vec())
        .map(|key| tokio::spawn(work(client.clone(), key)))
        .buffer_unordered(CONCURRENCY)
        .map(|joined| joined.map_err(|e| e.to_string())?)
        .try_collect()
        .await
}

/// Takes away by force what a failed scenario left: objects without the operator's help, and its namespaces. Those of one
/// that went well are empty, and stay for the next run.
pub async fn sweep_away(client: &Client, scenario: &str) -> Result<(), String> {
    let ours = ListParams::default().labels(&format!("{LABEL}={scenario}"));
    let roles: Api<MlServiceRole> = Api::all(client.clone());
    let left = roles.list_metadata(&ours).await.map_err(|e| e.to_string())?;
    let keys: Vec<Key> = left
        .into_iter()
        .filter_map(|object| Some((object.metadata.namespace?, object.metadata.name?)))
        .collect();
    if keys.is_empty() {
        return Ok(());
    }
    delete(client, &keys).await?;
    each(
        &keys,
        |client: Client, (namespace, name): Key| async move {
            let roles: Api<MlServiceRole> = Api::namespaced(client, &namespace);
            let bare = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            match roles.patch(&name, &PatchParams::default(), &bare).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
                Err(error) => Err(format!("failed to free {namespace}/{name}: {error}")),
            }
        },
        client,
    )
    .await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let left = namespaces.list_metadata(&ours).await.map_err(|e| e.to_string())?;
    for namespace in left {
        let name = namespace.metadata.name.unwrap_or_default();
        // They go in their own time, and nothing waits for them.
        let _ = namespaces.delete(&name, &DeleteParams::background()).await;
    }
    Ok(())
}
