//! Where it is kept what adopted roles were: a ConfigMap for each, in the operator's own namespace, written once,
//! never changed, and never deleted by the operator.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, PostParams};
use kube::core::ObjectMeta;
use kube::{Api, Client};

use super::{ClusterError, ClusterErrorClass, Kept};
use crate::api::{FIELD_MANAGER, GROUP};
use crate::plan::{FormerState, Sought};

/// The key of the record in its ConfigMap.
const KEY: &str = "role.json";
/// The label by which they are listed, behind the operator's own prefix.
const LABEL: &str = "former-state";

/// The ConfigMaps.
#[derive(Clone)]
pub struct FormerStates {
    api: Api<ConfigMap>,
    namespace: String,
}

impl FormerStates {
    /// Those in `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
        }
    }

    /// Writes a record. One that is there already and says the same is as good.
    ///
    /// # Errors
    ///
    /// Also where another one has its name, which only somebody else can have given it.
    pub async fn keep(&self, state: &FormerState) -> Result<Kept, ClusterError> {
        let name = state.name();
        let place = format!("ConfigMap {}/{name}", self.namespace);
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..Default::default()
        };
        let error = match self.api.create(&params, &config_map(state)).await {
            Ok(_) => return Ok(Kept { place, is_new: true }),
            Err(error) => ClusterError::from(error),
        };
        if error.class != ClusterErrorClass::Conflict {
            return Err(error);
        }
        match self.read(&name).await? {
            Some(found) if found == *state => Ok(Kept { place, is_new: false }),
            _ => Err(ClusterError {
                class: ClusterErrorClass::Invalid,
                message: format!("{place} was written by somebody else; remove it"),
            }),
        }
    }

    /// Finds a role's record: by its name, else by the role, of which the latest counts, since a role may have been given
    /// back and taken over again.
    pub async fn find(&self, sought: &Sought) -> Result<Option<FormerState>, ClusterError> {
        if let Some(name) = &sought.name
            && let Some(found) = self.read(name).await?
            && sought.is_told_by(&found)
        {
            return Ok(Some(found));
        }
        let selector = ListParams::default().labels(&format!("{GROUP}/{LABEL}=true"));
        let mut maps = self.api.list(&selector).await?.items;
        maps.sort_by_key(|map| map.metadata.creation_timestamp.clone());
        let records = maps.into_iter().rev().filter_map(|map| {
            let name = map.metadata.name.clone()?;
            record(&name, map)
        });
        Ok(records.into_iter().find(|record| sought.is_told_by(record)))
    }

    /// Reads the record of this name.
    async fn read(&self, name: &str) -> Result<Option<FormerState>, ClusterError> {
        let found = self.api.get_opt(name).await?;
        Ok(found.and_then(|map| record(name, map)))
    }
}

/// The record in a ConfigMap. Whether it is the one that was written under its name is checked by its content.
fn record(name: &str, map: ConfigMap) -> Option<FormerState> {
    let text = map.data?.remove(KEY)?;
    FormerState::read(name, &text)
}

fn config_map(state: &FormerState) -> ConfigMap {
    let by = &state.adopted_by;
    let label = |key: &str, value: &str| (format!("{GROUP}/{key}"), value.to_owned());
    // Labels are short and of few characters: what may be longer is an annotation.
    let labels = BTreeMap::from([
        (
            "app.kubernetes.io/managed-by".to_owned(),
            FIELD_MANAGER.to_owned(),
        ),
        label(LABEL, "true"),
        label("namespace", &by.namespace),
        label("uid", &by.uid),
    ]);
    let annotations = BTreeMap::from([
        label("name", &by.name),
        label("role-arn", &state.role_arn.to_string()),
    ]);
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(state.name()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..Default::default()
        },
        immutable: Some(true),
        data: Some(BTreeMap::from([(KEY.to_owned(), state.to_json())])),
        ..Default::default()
    }
}
