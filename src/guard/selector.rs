//! The namespaces that a class serves, by label: reading the selector, and refusing what would match more than it seems
//! to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;

use crate::api::class::NamespaceSelector;

/// A requirement without values is refused: `NotIn []` would match every namespace.
pub(super) fn understand(written: &NamespaceSelector) -> Result<Selector, String> {
    if let Some(field) = written.unknown.keys().next() {
        return Err(format!(
            "unknown field {field:?}; a label selector has matchLabels and matchExpressions"
        ));
    }
    for requirement in &written.match_expressions {
        let has_values = requirement
            .values
            .as_ref()
            .is_some_and(|values| !values.is_empty());
        if matches!(requirement.operator.as_str(), "In" | "NotIn") != has_values {
            return Err(format!(
                "the requirement on {:?}: In and NotIn need values, Exists and DoesNotExist have none",
                requirement.key
            ));
        }
    }
    let labels = LabelSelector {
        match_labels: Some(written.match_labels.clone()),
        match_expressions: Some(written.match_expressions.clone()),
    };
    Selector::try_from(labels).map_err(|e| e.to_string())
}
