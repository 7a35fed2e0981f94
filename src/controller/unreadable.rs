//! An object that can't be read as an MlServiceRole: nothing is done for it, and it says so itself, as far as the API
//! server takes that.

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use tracing::warn;

use super::context::{Context, GuardedRole};
use crate::api::condition::{self, reasons};
use crate::api::{FIELD_MANAGER, ROLE_FINALIZER};
use crate::cluster::{ClusterError, Event, Unreadable};
use crate::guard::Refusal;
use crate::plan::{Outcome, Report, conditions};

/// Tells an object's people that it can't be read, where they don't know yet.
pub async fn tell(context: &Context, object: &GuardedRole, unreadable: &Unreadable) {
    let error = unreadable.error.as_str();
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    warn!(
        namespace,
        name, error, "the object can't be read as an MlServiceRole and is skipped"
    );
    let held = object
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == ROLE_FINALIZER);
    let deleting = object.meta().deletion_timestamp.is_some();
    let refusal = refusal(error, deleting && held);
    if let Err(error) = write(context, object, &refusal, deleting).await {
        warn!(namespace, name, %error, "failed to say so in the object's status");
    }
}

fn refusal(error: &str, is_kept: bool) -> Refusal {
    let kept = if is_kept {
        format!(
            "; it is being deleted, but stays, since its role can't be found: correct it, or remove the role by hand and then \
             the finalizer {ROLE_FINALIZER}"
        )
    } else {
        "; correct it".to_owned()
    };
    Refusal::new(
        reasons::INVALID_SPEC,
        format!("this object can't be read as an MlServiceRole ({error}), so nothing is done for it{kept}"),
    )
}

async fn write(
    context: &Context,
    object: &GuardedRole,
    refusal: &Refusal,
    deleting: bool,
) -> Result<(), ClusterError> {
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<GuardedRole> = Api::namespaced(context.client.clone(), &namespace);
    let live = api.get(&object.name_any()).await?;
    if live.uid() != object.uid() {
        return Ok(());
    }
    let Err(unreadable) = live.read() else {
        // It was corrected meanwhile, and the watch tells so.
        return Ok(());
    };
    let old = unreadable.conditions;
    let report = Report {
        outcome: Outcome::Refused(refusal.clone()),
        bindings: vec![],
        updates: vec![],
        deleting,
    };
    let generation = live.meta().generation;
    let new = condition::merge(&old, &conditions(&report), generation, Timestamp::now());
    if new == old {
        return Ok(());
    }
    // First the Event: the API server may not take a status of an object that it finds wrong itself.
    let event = Event {
        warning: true,
        reason: refusal.reason.to_owned(),
        note: refusal.message.clone(),
        action: "Reconcile",
    };
    context.events.publish(object, event).await;
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..Default::default()
    };
    // A version that came meanwhile, and may be readable, is not what this is about.
    let metadata = json!({ "uid": live.uid(), "resourceVersion": live.resource_version() });
    let status =
        json!({ "metadata": metadata, "status": { "conditions": new, "observedGeneration": generation } });
    api.patch_status(&object.name_any(), &params, &Patch::Merge(status))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_stays_for_it_says_how_it_goes() {
        let message = refusal("unknown variant", true).message;
        assert!(
            message.contains("unknown variant") && message.contains(ROLE_FINALIZER),
            "{message}"
        );
        assert!(!refusal("unknown variant", false).message.contains(ROLE_FINALIZER));
    }
}
