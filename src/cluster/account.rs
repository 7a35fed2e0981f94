//! ServiceAccounts as they are cached: nothing but who they are and the annotations by which they get a role. There is one
//! for each object and, in most clusters, more that have nothing to do with us.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{Lookup, ObjectRef};

use crate::packed::Packed;
use crate::plan::ServiceAccountState;

/// What the annotations begin with by which a ServiceAccount gets a role, and by which it is known whose doing that was.
const OF_ROLES: [&str; 2] = ["eks.amazonaws.com/", "mlservicerole.io/"];

/// A ServiceAccount. The annotations are packed: as a map they would take four times the room of all the rest, as
/// kube's metadata would, of which nearly nothing is needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    namespace: Box<str>,
    name: Box<str>,
    uid: Box<str>,
    version: Box<str>,
    deleting: bool,
    annotations: Option<Packed>,
}

impl Account {
    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the cache knows it by.
    pub fn reference(&self) -> ObjectRef<Self> {
        self.to_object_ref(())
    }

    /// Its annotations that have to do with roles.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let text = self.annotations.as_ref().and_then(Packed::text);
        text.and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// What matters of it.
    pub fn state(&self) -> ServiceAccountState {
        ServiceAccountState {
            name: self.name.to_string(),
            uid: self.uid.to_string(),
            resource_version: self.version.to_string(),
            deleting: self.deleting,
            annotations: self.annotations(),
            contested_by: None,
            holders: BTreeMap::new(),
        }
    }
}

/// All else that was told of it is let go.
impl From<PartialObjectMeta<ServiceAccount>> for Account {
    fn from(PartialObjectMeta { metadata, .. }: PartialObjectMeta<ServiceAccount>) -> Self {
        let boxed = |text: Option<String>| text.unwrap_or_default().into_boxed_str();
        let ObjectMeta {
            namespace,
            name,
            uid,
            resource_version,
            deletion_timestamp,
            annotations,
            ..
        } = metadata;
        let mut annotations = annotations.unwrap_or_default();
        annotations.retain(|key, _| OF_ROLES.iter().any(|prefix| key.starts_with(prefix)));
        // A map of texts can always be written.
        let text = Some(annotations).filter(|annotations| !annotations.is_empty());
        let text = text.and_then(|annotations| serde_json::to_string(&annotations).ok());
        Account {
            namespace: boxed(namespace),
            name: boxed(name),
            uid: boxed(uid),
            version: boxed(resource_version),
            deleting: deletion_timestamp.is_some(),
            annotations: text.map(|text| Packed::new(&text)),
        }
    }
}

impl Lookup for Account {
    type DynamicType = ();

    fn kind((): &()) -> Cow<'_, str> {
        <ServiceAccount as Resource>::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        <ServiceAccount as Resource>::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        <ServiceAccount as Resource>::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        <ServiceAccount as Resource>::plural(&())
    }

    fn name(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.name))
    }

    fn namespace(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.namespace))
    }

    /// A reference needs neither this nor the uid to be one, and the cache's references, which lie beside the objects,
    /// would hold both once more.
    fn resource_version(&self) -> Option<Cow<'_, str>> {
        None
    }

    fn uid(&self) -> Option<Cow<'_, str>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{BOUND_BY_ANNOTATION, ROLE_ARN_ANNOTATION};

    fn account(metadata: &Value) -> Account {
        let account = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata,
        });
        let account: PartialObjectMeta<ServiceAccount> = serde_json::from_value(account).unwrap();
        account.into()
    }

    #[test]
    fn of_a_service_keptonly_what_matters_is_kept() {
        let slim = json!({
            "name": "trainer", "namespace": "team-a", "uid": "u", "resourceVersion": "7",
            "annotations": {
                ROLE_ARN_ANNOTATION: "arn:aws:iam::111122223333:role/r", BOUND_BY_ANNOTATION: "trainer/v",
            },
        });
        let mut whole = slim.clone();
        whole["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = json!("{}");
        whole["annotations"]["note"] = json!("n");
        whole["labels"] = json!({"team": "a"});
        whole["finalizers"] = json!(["f"]);
        whole["managedFields"] = json!([{"manager": "kubectl", "fieldsV1": {"f:metadata": {}}}]);
        let kept = account(&whole);
        assert_eq!(kept, account(&slim));
        assert_eq!(
            kept.state(),
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
    }

    #[test]
    fn one_that_has_nothing_to_do_with_roles_and_one_that_is_going_can_be_told() {
        let account = account(&json!({
            "name": "default", "annotations": null, "deletionTimestamp": "2026-01-01T00:00:00Z",
        }));
        assert!(account.annotations().is_empty() && account.annotations.is_none());
        assert!(account.state().deleting);
    }

    #[test]
    fn a_reference_to_it_is_the_one_by_which_the_cache_finds_it() {
        let account =
            account(&json!({"name": "trainer", "namespace": "team-a", "uid": "u", "resourceVersion": "7"}));
        let reference = account.reference();
        assert_eq!(
            (reference.name.as_str(), reference.namespace.as_deref()),
            ("trainer", Some("team-a"))
        );
        assert_eq!(Account::api_version(&()), "v1");
    }
}
