//! The input of `plan`, sorted: classes, MlServiceRoles, and what else says something about them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::{DEFAULT_CLASS_ANNOTATION, GROUP, MlServiceRole, MlServiceRoleClass};
use crate::manifest::{Definition, Document};
use crate::plan::ServiceAccountState;

const ROLE: &str = "MlServiceRole";
const CLASS: &str = "MlServiceRoleClass";

/// An object of the input.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// The file that it is in.
    pub source: String,
    /// Its namespace; empty for a class.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// As written.
    pub raw: Value,
    /// As read, or why the API server wouldn't take it.
    pub object: Result<T, Vec<String>>,
}

/// The input.
#[derive(Debug, Default)]
pub struct Given {
    /// MlServiceRoles, in the order in which they were found.
    pub roles: Vec<Found<MlServiceRole>>,
    /// Classes, in that order.
    pub classes: Vec<Found<MlServiceRoleClass>>,
    /// Labels of the namespaces.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// ServiceAccounts, each with its namespace.
    pub service_accounts: Vec<(String, ServiceAccountState)>,
    /// How many objects of each other kind there are.
    pub ignored: BTreeMap<String, usize>,
    /// Whether an object without a namespace was put into the default one.
    pub namespace_assumed: bool,
}

impl Given {
    /// Sorts documents; objects without a namespace are put into `namespace`.
    pub fn sort(documents: Vec<Document>, namespace: &str) -> Self {
        let mut given = Self::default();
        for document in documents {
            match document.kind() {
                ROLE => {
                    let mut found = found(document, ROLE, Some(namespace), &mut given.namespace_assumed);
                    unique(&given.roles, &mut found);
                    given.roles.push(found);
                }
                CLASS => {
                    let mut found = found(document, CLASS, None, &mut given.namespace_assumed);
                    unique(&given.classes, &mut found);
                    given.classes.push(found);
                }
                kind if document.api_version().starts_with(&format!("{GROUP}/")) => {
                    // A mistyped kind of ours must not be passed over.
                    let kind = kind.to_owned();
                    given.roles.push(Found {
                        source: document.source,
                        namespace: text(&document.value, "namespace").unwrap_or_default(),
                        name: text(&document.value, "name").unwrap_or_default(),
                        raw: document.value,
                        object: Err(vec![format!(
                            "no kind {kind:?} in the group {GROUP}; write {ROLE} or {CLASS}"
                        )]),
                    });
                }
                "Namespace" if document.api_version() == "v1" => {
                    if let Ok(read) = serde_json::from_value::<Namespace>(document.value) {
                        given.namespaces.insert(read.name_any(), read.labels().clone());
                    }
                }
                "ServiceAccount" if document.api_version() == "v1" => {
                    if let Ok(read) = serde_json::from_value::<ServiceAccount>(document.value) {
                        let home = read.namespace().unwrap_or_else(|| namespace.to_owned());
                        given.service_accounts.push((home, state(&read)));
                    }
                }
                kind => *given.ignored.entry(kind.to_owned()).or_default() += 1,
            }
        }
        given
    }

    /// The class of this name.
    pub fn class(&self, name: &str) -> Option<&Found<MlServiceRoleClass>> {
        self.classes.iter().find(|class| class.name == name)
    }

    /// Names of the classes that are annotated as default, in order.
    pub fn default_classes(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .classes
            .iter()
            .filter(|class| class.raw["metadata"]["annotations"][DEFAULT_CLASS_ANNOTATION] == "true")
            .map(|class| class.name.clone())
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

fn state(account: &ServiceAccount) -> ServiceAccountState {
    ServiceAccountState {
        name: account.name_any(),
        annotations: account.annotations().clone(),
        ..Default::default()
    }
}

fn text(value: &Value, field: &str) -> Option<String> {
    value["metadata"][field].as_str().map(str::to_owned)
}

fn found<T: DeserializeOwned>(
    document: Document,
    kind: &str,
    default_namespace: Option<&str>,
    assumed: &mut bool,
) -> Found<T> {
    let Document { source, mut value } = document;
    if let Some(namespace) = default_namespace
        && value["metadata"].is_object()
        && value["metadata"].get("namespace").is_none_or(Value::is_null)
    {
        *assumed = true;
        value["metadata"]["namespace"] = json!(namespace);
    }
    let wrong = Definition::of(kind).map_or_else(
        || vec![format!("the definition of {kind} can't be read")],
        |definition| definition.check(&value, None),
    );
    let object = if wrong.is_empty() {
        let mut written = value.clone();
        if let Some(fields) = written.as_object_mut() {
            fields.remove("status");
        }
        serde_json::from_value(written).map_err(|e| vec![e.to_string()])
    } else {
        Err(wrong)
    };
    Found {
        source,
        namespace: text(&value, "namespace").unwrap_or_default(),
        name: text(&value, "name").unwrap_or_default(),
        raw: value,
        object,
    }
}

/// Of two objects of one name the last one applied would win, which nobody means.
fn unique<T>(earlier: &[Found<T>], found: &mut Found<T>) {
    let twin = earlier.iter().find(|other| {
        !found.name.is_empty() && (&other.namespace, &other.name) == (&found.namespace, &found.name)
    });
    if let Some(twin) = twin {
        let message = format!(
            "it is there twice, in {} and in {}; remove one",
            twin.source, found.source
        );
        match &mut found.object {
            Ok(_) => found.object = Err(vec![message]),
            Err(wrong) => wrong.push(message),
        }
    }
}
