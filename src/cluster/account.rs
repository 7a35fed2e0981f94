//! ServiceAccounts as they are cached: nothing but who they are and the annotations by which they get a role. There is one
//! for each object and, in most clusters, more that have nothing to do with us.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer};

use crate::packed::Packed;
use crate::plan::ServiceAccountState;

/// What the annotations begin with by which a ServiceAccount gets a role, and by which it is known whose doing that was.
const OF_ROLES: [&str; 2] = ["eks.amazonaws.com/", "mlservicerole.io/"];

/// A ServiceAccount, asked for by its metadata.
///
/// Its [`meta`](Resource::meta) has name, namespace, uid, version and time of deletion. The annotations are packed: as a
/// map they would take four times the room of all the rest.
#[derive(Clone, Debug)]
pub struct Account {
    metadata: ObjectMeta,
    annotations: Option<Packed>,
}

impl Account {
    /// Its annotations that have to do with roles.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let text = self.annotations.as_ref().and_then(Packed::text);
        text.and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// What matters of it.
    pub fn state(&self) -> ServiceAccountState {
        let metadata = &self.metadata;
        ServiceAccountState {
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
            annotations: self.annotations(),
            contested_by: None,
            holders: BTreeMap::new(),
        }
    }
}

/// One as it comes. All else of it is passed over and never takes any room.
#[derive(Deserialize)]
struct Outline {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    deletion_timestamp: Option<Time>,
    annotations: Option<BTreeMap<String, String>>,
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Outline { metadata } = Outline::deserialize(deserializer)?;
        let mut annotations = metadata.annotations.unwrap_or_default();
        annotations.retain(|key, _| OF_ROLES.iter().any(|prefix| key.starts_with(prefix)));
        let annotations = match annotations.is_empty() {
            true => None,
            false => {
                let text = serde_json::to_string(&annotations).map_err(serde::de::Error::custom)?;
                Some(Packed::new(&text))
            }
        };
        Ok(Account {
            metadata: ObjectMeta {
                name: metadata.name,
                namespace: metadata.namespace,
                uid: metadata.uid,
                resource_version: metadata.resource_version,
                deletion_timestamp: metadata.deletion_timestamp,
                ..Default::default()
            },
            annotations,
        })
    }
}

impl Resource for Account {
    type DynamicType = ();
    type Scope = <ServiceAccount as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        ServiceAccount::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        ServiceAccount::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        ServiceAccount::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        ServiceAccount::plural(&())
    }

    fn metadata_api() -> bool {
        true
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{BOUND_BY_ANNOTATION, ROLE_ARN_ANNOTATION};

    #[test]
    fn of_a_service_account_only_what_matters_is_kept() {
        let account: Account = serde_json::from_value(json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {
                "name": "trainer", "namespace": "team-a", "uid": "u", "resourceVersion": "7",
                "labels": {"team": "a"}, "finalizers": ["f"], "creationTimestamp": "2026-01-01T00:00:00Z",
                "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:metadata": {}}}],
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "n",
                    ROLE_ARN_ANNOTATION: "arn:aws:iam::111122223333:role/r", BOUND_BY_ANNOTATION: "trainer/v",
                },
            },
        }))
        .unwrap();
        assert_eq!(
            account.state(),
            ServiceAccountState {
                name: "trainer".to_owned(),
                uid: "u".to_owned(),
                resource_version: "7".to_owned(),
                annotations: BTreeMap::from([
                    (
                        ROLE_ARN_ANNOTATION.to_owned(),
                        "arn:aws:iam::111122223333:role/r".to_owned()
                    ),
                    (BOUND_BY_ANNOTATION.to_owned(), "trainer/v".to_owned()),
                ]),
                ..Default::default()
            }
        );
        let kept = ObjectMeta {
            name: Some("trainer".to_owned()),
            namespace: Some("team-a".to_owned()),
            uid: Some("u".to_owned()),
            resource_version: Some("7".to_owned()),
            ..Default::default()
        };
        assert_eq!(*account.meta(), kept);
    }

    #[test]
    fn one_that_has_nothing_to_do_with_roles_and_one_that_is_going_can_be_told() {
        let account: Account = serde_json::from_value(json!({
            "metadata": {"name": "default", "annotations": null, "deletionTimestamp": "2026-01-01T00:00:00Z"},
        }))
        .unwrap();
        assert!(account.annotations().is_empty() && account.annotations.is_none());
        assert!(account.state().deleting);
    }

    #[test]
    fn it_is_asked_for_by_its_metadata_like_the_kind_that_it_is() {
        assert!(Account::metadata_api());
        assert_eq!(
            (Account::api_version(&()), Account::url_path(&(), Some("n"))),
            ("v1".into(), "/api/v1/namespaces/n/serviceaccounts".to_owned())
        );
    }
}
