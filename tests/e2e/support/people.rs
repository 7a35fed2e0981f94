//! People and programs with tokens of their own, as far as the API server can tell them apart.

use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding};
use kube::api::{Api, PostParams};
use kube::{Client, Config, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::bed::{Bed, RUN_LABEL};
use super::process::{NAMESPACE, SERVICE_ACCOUNT, token};
use super::space::Space;
use super::wait::eventually;

/// A client with a token of this ServiceAccount.
pub async fn client_of(bed: &Bed, namespace: &str, account: &str) -> Client {
    let token = token(&bed.client, namespace, account, Duration::from_secs(3600)).await;
    let token = token.expect("a token can be had");
    let admin = Config::infer().await.expect("KUBECONFIG is set");
    let mut config = Config::new(admin.cluster_url);
    config.root_cert = admin.root_cert;
    config.accept_invalid_certs = admin.accept_invalid_certs;
    config.auth_info.token = Some(token.into());
    Client::try_from(config).expect("a client")
}

/// The operator itself.
pub async fn operator(bed: &Bed) -> Client {
    client_of(bed, NAMESPACE, SERVICE_ACCOUNT).await
}

/// Somebody in this namespace with these ClusterRoles there, and with these rules in the whole cluster.
pub async fn somebody(space: &Space, name: &str, roles: &[&str], cluster_rules: Value) -> Client {
    space.create_account(json!({"metadata": {"name": name}})).await;
    let subject = json!([{"kind": "ServiceAccount", "name": name, "namespace": space.name}]);
    let bindings: Api<RoleBinding> = Api::namespaced(space.bed.client.clone(), &space.name);
    for role in roles {
        let binding = json!({
            "metadata": {"name": format!("{name}-{role}")}, "subjects": subject,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        });
        create(bindings.clone(), binding).await;
    }
    let own = format!("{}-{name}", space.name);
    let labelled = json!({"name": own, "labels": {RUN_LABEL: space.bed.run}});
    create(
        Api::<ClusterRole>::all(space.bed.client.clone()),
        json!({"metadata": labelled, "rules": cluster_rules}),
    )
    .await;
    create(
        Api::<ClusterRoleBinding>::all(space.bed.client.clone()),
        json!({
            "metadata": labelled, "subjects": subject,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": own},
        }),
    )
    .await;
    client_of(space.bed, &space.name, name).await
}

async fn create<K>(api: Api<K>, object: Value)
where
    K: Resource + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object).expect("an object of this kind");
    api.create(&PostParams::default(), &object)
        .await
        .unwrap_or_else(|e| panic!("failed to create {}: {e}", object.name_any()));
}

/// Waits until the admission policies of the manifests decide, which takes the API server a moment.
pub async fn policies_decide(bed: &Bed) {
    let operator = operator(bed).await;
    let roles: Api<ServiceAccount> = Api::namespaced(operator, NAMESPACE);
    let trial = json!({"metadata": {"name": "not-by-the-operator"}});
    let trial: ServiceAccount = serde_json::from_value(trial).expect("a ServiceAccount");
    let dry_run = PostParams {
        dry_run: true,
        ..Default::default()
    };
    eventually("the admission policies decide", || async {
        match roles.create(&dry_run, &trial).await {
            Err(kube::Error::Api(status)) if status.message.contains("created-by") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}
