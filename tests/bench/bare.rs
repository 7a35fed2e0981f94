//! The bare client: it asks of the API server what the operator asks in creation, with the operator's own identity and
//! what the operator wrote, and does nothing else. There is no AWS in it, no watch, no decision: no operator that makes
//! these requests can be faster on this machine.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use mlservicerole_operator::api::{MlServiceRole, PLACEMENT_ANNOTATION, ROLE_FINALIZER};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::objects::{self, Key};

/// What the operator wrote for one object, from which that for any other follows.
pub struct Template {
    object: MlServiceRole,
    account: ServiceAccount,
    event: Event,
}

impl Template {
    /// Of an object that is ready, and of which there is an Event.
    pub async fn of(client: &Client, (namespace, name): &Key) -> Result<Template, String> {
        let said = |e: kube::Error| format!("failed to read what there is of {namespace}/{name}: {e}");
        let roles: Api<MlServiceRole> = Api::namespaced(client.clone(), namespace);
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        let about = ListParams::default().fields(&format!("regarding.name={name}"));
        let event = events.list(&about).await.map_err(said)?.items.pop();
        Ok(Template {
            object: roles.get(name).await.map_err(said)?,
            account: accounts.get(name).await.map_err(said)?,
            event: event.ok_or_else(|| format!("there is no Event of {namespace}/{name}"))?,
        })
    }

    /// A part of it as it would be for another object. Names and uids differ in letters, and not in length.
    fn part<T: serde::Serialize>(&self, part: &T, object: &MlServiceRole) -> Result<Value, String> {
        let names = |of: &MlServiceRole| {
            [of.namespace(), of.uid(), Some(of.name_any())].map(Option::unwrap_or_default)
        };
        let mut text = serde_json::to_string(part).map_err(|e| e.to_string())?;
        for (old, new) in names(&self.object).iter().zip(names(object)) {
            text = text.replace(old.as_str(), &new);
        }
        serde_json::from_str(&text).map_err(|e| e.to_string())
    }
}

/// A client with the identity that a kubeconfig gives.
pub async fn client(kubeconfig: Value) -> Result<Client, String> {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig).map_err(|e| e.to_string())?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

/// Creates these objects as `tenant`, and makes the operator's requests for each as `operator`, as many at a time as the
/// benchmark creates objects; how many seconds that took.
pub async fn run(
    tenant: &Client,
    operator: &Client,
    scenario: &str,
    keys: &[Key],
    template: Arc<Template>,
) -> Result<f64, String> {
    let began = Instant::now();
    let operator = operator.clone();
    objects::create_each(tenant, scenario, keys, move |object| {
        serve(operator.clone(), object, Arc::clone(&template))
    })
    .await?;
    Ok(began.elapsed().as_secs_f64())
}

/// The requests of `controller::maintain` for one new object, in their order.
async fn serve(client: Client, object: MlServiceRole, template: Arc<Template>) -> Result<(), String> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let said = |what: &'static str| {
        let about = format!("{namespace}/{name}");
        move |e: kube::Error| format!("failed to {what} of {about}: {e}")
    };
    let writing = PostParams {
        field_manager: Some("mlservicerole-operator".to_owned()),
        ..Default::default()
    };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces
        .get_metadata(&namespace)
        .await
        .map_err(said("read the namespace"))?;

    let placement = template.object.annotations().get(PLACEMENT_ANNOTATION);
    let patch = json!({"metadata": {
        "uid": object.uid(),
        "resourceVersion": object.resource_version(),
        "finalizers": [ROLE_FINALIZER],
        "annotations": {PLACEMENT_ANNOTATION: template.part(&placement, &object)?},
    }});
    let roles: Api<MlServiceRole> = Api::namespaced(client.clone(), &namespace);
    let params = PatchParams {
        field_manager: writing.field_manager.clone(),
        ..Default::default()
    };
    let mut held = roles
        .patch(&name, &params, &Patch::Merge(patch))
        .await
        .map_err(said("write the finalizer"))?;

    let account = json!({"metadata": {
        "name": name, "annotations": template.part(template.account.annotations(), &object)?,
    }});
    let account = serde_json::from_value(account).map_err(|e| e.to_string())?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    accounts
        .create(&writing, &account)
        .await
        .map_err(said("create the ServiceAccount"))?;

    let status = template.part(&template.object.status, &object)?;
    held.status = serde_json::from_value(status).map_err(|e| e.to_string())?;
    roles
        .replace_status(&name, &PostParams::default(), &held)
        .await
        .map_err(said("write the status"))?;

    let mut event = template.part(&template.event, &object)?;
    event["metadata"] = json!({"generateName": format!("{name}-"), "namespace": namespace});
    let event: Event = serde_json::from_value(event).map_err(|e| e.to_string())?;
    let events: Api<Event> = Api::namespaced(client, &namespace);
    events
        .create(&PostParams::default(), &event)
        .await
        .map_err(said("publish the Event"))?;
    Ok(())
}
