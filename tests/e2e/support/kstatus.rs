//! How tools read a custom resource's state, written out: kstatus (used by Flux, Helm 4 and kpt, not by Argo CD) and
//! `kubectl wait --for=condition=…`.

use serde_json::Value;

/// kstatus's verdicts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    InProgress,
    Failed,
    Current,
    Terminating,
}

/// kstatus's algorithm for kinds that it doesn't know.
pub fn kstatus(object: &Value) -> Status {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Status::Terminating;
    }
    let observed = object["status"]["observedGeneration"].as_i64();
    if observed.is_some() && observed != object["metadata"]["generation"].as_i64() {
        return Status::InProgress;
    }
    if is_true(object, "Reconciling") {
        return Status::InProgress;
    }
    if is_true(object, "Stalled") {
        return Status::Failed;
    }
    match condition(object, "Ready").map(|ready| ready["status"].as_str()) {
        Some(Some("True")) | None => Status::Current,
        Some(_) => Status::InProgress,
    }
}

/// Whether `kubectl wait --for=condition=<kind>` would return.
pub fn kubectl_wait(object: &Value, kind: &str) -> bool {
    let Some(found) = condition(object, kind) else {
        return false;
    };
    let observed = found["observedGeneration"]
        .as_i64()
        .or(object["status"]["observedGeneration"].as_i64());
    let generation = object["metadata"]["generation"].as_i64();
    let stale = matches!((observed, generation), (Some(o), Some(g)) if o < g);
    !stale && found["status"] == "True"
}

fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|found| found["status"] == "True")
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}
