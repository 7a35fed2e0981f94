//! How the controller stands, for whoever scrapes its metrics. Goes through the caches when asked and keeps nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::{Resource, ResourceExt};
use serde::Deserialize;

use super::context::{Context, GuardedClass, GuardedRole};
use super::sweep::Report;
use crate::api::condition::{reasons, types};
use crate::fair_queue::Urgency;
use crate::iam::arn::AccountId;
use crate::metrics::{AccountPace, Snapshot, Source, Sweep, Waiting};
use crate::plan::DRIFT_KINDS;
use crate::plan::sweep::{Method, Why};

/// What an object can be in.
const STATES: [&str; 6] = [
    "ready",
    "progressing",
    "observing",
    "failed",
    "stalled",
    "deleting",
];

/// Lets the metrics ask this context from now on.
pub fn show(context: &Arc<Context>) {
    for kind in DRIFT_KINDS {
        context.metrics.drift_found(kind, 0);
    }
    let source: Arc<dyn Source> = context.clone();
    context.metrics.watch(Arc::downgrade(&source));
}

impl Source for Context {
    fn look(&self) -> Snapshot {
        let queues = [("urgent", Urgency::Urgent), ("routine", Urgency::Routine)];
        let queues = queues.into_iter().map(|(label, urgency)| {
            let (depth, oldest) = self.agenda.waiting(urgency);
            Waiting {
                urgency: label,
                depth,
                oldest,
            }
        });
        let paces = self
            .accounts
            .paces()
            .into_iter()
            .map(|(account, pace)| AccountPace {
                account: account.to_string(),
                rates: pace.rates(),
                waiting: pace.waiting(),
            });
        let sweeps = self.sweeps.reports();
        let sweeps = sweeps
            .iter()
            .map(|(account, report)| sweep(self, account, report));
        let accounts = self.sweeps.known_since().into_iter();
        let accounts = accounts.map(|(account, since)| (account.to_string(), since));
        let classes = self.caches.classes.state();
        let classes: BTreeMap<_, _> = classes
            .iter()
            .map(|class| (class.name_any(), is_ready(class)))
            .collect();
        Snapshot {
            queues: queues.collect(),
            roles: roles(&self.caches.roles.state(), &classes),
            classes,
            paces: paces.collect(),
            sweeps: sweeps.collect(),
            accounts: accounts.collect(),
        }
    }
}

fn sweep(context: &Context, account: &AccountId, report: &Report) -> Sweep {
    let methods = [Method::Lists { wide: false }, Method::Each(Why::Cheaper)].map(|method| method.told());
    Sweep {
        account: account.to_string(),
        succeeded: context.sweeps.succeeded(account),
        took: report.took,
        calls: report.calls,
        roles: report.roles,
        ours: report.ours,
        differing: report.differing,
        methods: methods.map(|method| (method, method == report.method)),
        orphans: report.orphans,
    }
}

/// What says how an object or a class stands: a scrape reads no more of thousands of them.
#[derive(Deserialize)]
struct Standing {
    spec: Option<Named>,
    status: Option<Told>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    class_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    class_name: Option<String>,
    observed_generation: Option<i64>,
    #[serde(default)]
    conditions: Vec<Flag>,
}

#[derive(Deserialize)]
struct Flag {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
}

impl Told {
    fn is(&self, wanted: &str, status: &str) -> bool {
        let mut of_type = self.conditions.iter().filter(|flag| flag.kind == wanted);
        of_type.any(|flag| flag.status == status)
    }

    /// Whether it is kept from being ready by nothing but its `mode`.
    fn observes(&self) -> bool {
        let mut ready = self.conditions.iter().filter(|flag| flag.kind == types::READY);
        ready.any(|flag| flag.reason == reasons::OBSERVING)
    }
}

fn is_ready(class: &GuardedClass) -> bool {
    let standing: Option<Standing> = class.read_part();
    let status = standing.and_then(|standing| standing.status);
    status.is_some_and(|status| status.is(types::READY, "True"))
}

/// Objects by class and state; every class that there is has every state. A class that isn't there is none, since a
/// tenant can write any name.
fn roles(
    objects: &[Arc<GuardedRole>],
    classes: &BTreeMap<String, bool>,
) -> BTreeMap<(String, &'static str), usize> {
    let mut counts = BTreeMap::new();
    for class in classes.keys().map(String::as_str).chain([""]) {
        for state in STATES {
            counts.insert((class.to_owned(), state), 0);
        }
    }
    for object in objects {
        let standing: Option<Standing> = object.read_part();
        let state = state(object, standing.as_ref());
        let class = standing.and_then(class_of).unwrap_or_default();
        let known = if classes.contains_key(&class) {
            class
        } else {
            String::new()
        };
        *counts.entry((known, state)).or_default() += 1;
    }
    counts
}

fn class_of(standing: Standing) -> Option<String> {
    let told = standing.status.and_then(|status| status.class_name);
    told.or_else(|| standing.spec?.class_name)
}

/// One of [`STATES`].
fn state(object: &GuardedRole, standing: Option<&Standing>) -> &'static str {
    if object.meta().deletion_timestamp.is_some() {
        return "deleting";
    }
    let Some(standing) = standing else {
        return "stalled";
    };
    let status = standing.status.as_ref();
    let Some(status) = status.filter(|status| status.observed_generation == object.meta().generation) else {
        return "progressing";
    };
    if status.is(types::STALLED, "True") {
        "stalled"
    } else if status.is(types::READY, "True") {
        "ready"
    } else if status.observes() {
        "observing"
    } else if status.is(types::READY, "False") {
        "failed"
    } else {
        "progressing"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(class: &str, deleting: bool, status: Value) -> Arc<GuardedRole> {
        let mut metadata = json!({"name": "trainer", "namespace": "team-a", "generation": 2});
        if deleting {
            metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        let object = json!({
            "apiVersion": "mlservicerole.io/v1alpha1",
            "kind": "MlServiceRole",
            "metadata": metadata,
            "spec": {"className": class},
            "status": status,
        });
        Arc::new(serde_json::from_str(&object.to_string()).unwrap())
    }

    fn status(generation: i64, conditions: &[(&str, &str)]) -> Value {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(kind, status)| {
                json!({"type": kind, "status": status, "reason": "R", "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"})
            })
            .collect();
        json!({"observedGeneration": generation, "conditions": conditions})
    }

    #[test]
    fn each_object_is_in_one_state() {
        let ready = [("Ready", "True")];
        let stalled = [("Ready", "False"), ("Stalled", "True")];
        for (object, expected) in [
            (object("a", false, status(2, &ready)), "ready"),
            (object("a", false, status(1, &ready)), "progressing"),
            (object("a", false, status(2, &[])), "progressing"),
            (
                object("a", false, status(2, &[("Ready", "Unknown")])),
                "progressing",
            ),
            (object("a", false, status(2, &[("Ready", "False")])), "failed"),
            (object("a", false, status(2, &stalled)), "stalled"),
            (object("a", true, status(2, &ready)), "deleting"),
        ] {
            assert_eq!(state(&object, object.read_part().as_ref()), expected);
        }
    }

    /// It does what was asked of it, so that nobody is to be called for it.
    #[test]
    fn an_object_that_observes_and_would_do_something_has_not_failed() {
        let mut observing = status(2, &[("RoleSynced", "False"), ("Ready", "False")]);
        observing["conditions"][1]["reason"] = json!("Observing");
        let state = |status| {
            let object = object("a", false, status);
            super::state(&object, object.read_part().as_ref())
        };
        assert_eq!(state(observing.clone()), "observing");
        observing["conditions"][1]["reason"] = json!("Throttled");
        observing["conditions"][0]["reason"] = json!("Observing");
        assert_eq!(state(observing), "failed");
    }

    #[test]
    fn a_tenant_can_invent_no_class() {
        let classes = BTreeMap::from([("a".to_owned(), true)]);
        let objects: Vec<_> = ["a", "b", "c", "d"]
            .map(|class| object(class, false, status(2, &[("Ready", "False")])))
            .into();
        let counts = roles(&objects, &classes);
        assert_eq!(counts.len(), 2 * STATES.len());
        assert_eq!(counts[&("a".to_owned(), "failed")], 1);
        assert_eq!(counts[&(String::new(), "failed")], 3);
        assert_eq!(counts[&("a".to_owned(), "ready")], 0);
    }
}
