//! What the executor makes of a refusal that may mean a missing role: IAM denies an action that is allowed under a
//! path only when the role isn't there, since then it doesn't know the path.

// clippy.toml allows them in test functions only, not in what test functions share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mlservicerole_operator::aws::IamApi;
use mlservicerole_operator::controller::execute::{Hands, Run, run};
use mlservicerole_operator::controller::record::Record;
use mlservicerole_operator::iam::arn::PolicyArn;
use mlservicerole_operator::iam::name::RoleName;
use mlservicerole_operator::iam::role::NewRole;
use mlservicerole_operator::plan::{Plan, RoleState, Step};
use serde_json::json;
use support::fake_cluster::FakeCluster;
use support::fake_iam::{FakeIam, KNOWN_POLICIES, iam_error};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// A role of ours as the operator remembers it, which may have gone meanwhile.
struct Remembered {
    iam: FakeIam,
    record: Record,
    name: RoleName,
}

async fn remembered(gone: bool) -> Remembered {
    let iam = FakeIam::new();
    iam.add_foreign_role("/ml/", "trainer");
    let name: RoleName = "trainer".parse().unwrap();
    let header = iam.get_role(&name).await.unwrap();
    let mut record = Record::default();
    record
        .knowledge_mut(&name)
        .note_read(Some((header, None)), Duration::ZERO);
    if gone {
        iam.remove_role("trainer");
    }
    iam.forget_calls();
    Remembered { iam, record, name }
}

impl Remembered {
    async fn denied(&mut self, step: Step, operation: &'static str) -> Run {
        self.iam
            .fail_always(operation, iam_error(operation, "AccessDenied", "not authorized"));
        self.carried_out(step).await
    }

    async fn carried_out(&mut self, step: Step) -> Run {
        let object = json!({
            "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole",
            "metadata": {"name": "trainer", "namespace": "team-a"}, "spec": {},
        });
        let mut object = serde_json::from_value(object).unwrap();
        let cluster = FakeCluster::new(serde_json::from_value(json!(object)).unwrap());
        let hands = Hands {
            iam: Some(&self.iam),
            cluster: &cluster,
            namespace: "team-a",
            role: &self.name,
            now: &|| Duration::from_secs(60),
        };
        let plan = Plan {
            stages: vec![vec![step]],
            ..Plan::default()
        };
        run(&plan, &hands, &mut self.record, &mut object, &|| false).await
    }

    fn state(&self) -> RoleState {
        self.record.knowledge(&self.name).state
    }
}

fn attach() -> Step {
    Step::Attach(KNOWN_POLICIES[0].parse().unwrap())
}

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

fn create(permissions_boundary: Option<PolicyArn>) -> Step {
    Step::CreateRole(Box::new(NewRole {
        arn: "arn:aws:iam::111122223333:role/ml/trainer".parse().unwrap(),
        trust: TRUST.to_owned(),
        description: String::new(),
        max_session_duration_seconds: 3600,
        permissions_boundary,
        tags: Default::default(),
    }))
}

/// Only an admin can mend it, so that nobody is told to change the object.
#[tokio::test]
async fn a_boundary_that_does_not_exist_is_told_as_such_and_a_missing_policy_is_not() {
    let boundary: PolicyArn = "arn:aws:iam::111122223333:policy/no-such".parse().unwrap();
    for (gone, step) in [
        (true, create(Some(boundary.clone()))),
        (false, Step::SetBoundary(boundary.clone())),
    ] {
        let refusal = remembered(gone)
            .await
            .carried_out(step)
            .await
            .failure
            .unwrap()
            .refusal;
        assert_eq!(refusal.reason, "BoundaryMissing", "{}", refusal.message);
        assert!(
            refusal.final_ && refusal.message.contains("policy/no-such"),
            "{}",
            refusal.message
        );
        assert!(
            !refusal.message.contains("change this object"),
            "{}",
            refusal.message
        );
    }
    let run = remembered(false).await.carried_out(Step::Attach(boundary)).await;
    assert_eq!(run.failure.unwrap().refusal.reason, "RefusedByAws");
}

#[tokio::test]
async fn a_denial_for_a_role_that_is_gone_is_a_surprise_and_no_failure() {
    for (step, operation) in [(attach(), "AttachRolePolicy"), (Step::DeleteRole, "DeleteRole")] {
        let mut role = remembered(true).await;
        let run = role.denied(step, operation).await;
        assert_eq!((run.failure, run.surprised), (None, true), "{operation}");
        assert_eq!(role.iam.operations(), [operation, "GetRole"]);
        assert!(matches!(role.state(), RoleState::Absent), "{operation}");
    }
}

#[tokio::test]
async fn a_denial_for_a_role_that_is_there_stays_a_denial() {
    let mut role = remembered(false).await;
    let run = role.denied(attach(), "AttachRolePolicy").await;
    assert_eq!(run.failure.unwrap().refusal.reason, "AccessDenied");
    assert!(matches!(role.state(), RoleState::Present { .. }));
}

#[tokio::test]
async fn a_denial_is_told_of_the_write_where_the_read_is_denied_too() {
    let mut role = remembered(false).await;
    role.iam
        .fail_always("GetRole", iam_error("GetRole", "AccessDenied", "not authorized"));
    let run = role.denied(attach(), "AttachRolePolicy").await;
    let message = run.failure.unwrap().refusal.message;
    assert!(message.contains("iam:AttachRolePolicy"), "{message}");
}

#[tokio::test]
async fn a_denied_creation_asks_for_no_role() {
    let mut role = remembered(true).await;
    let run = role.denied(create(None), "CreateRole").await;
    assert_eq!(run.failure.unwrap().refusal.reason, "AccessDenied");
    assert_eq!(role.iam.operations(), ["CreateRole"]);
}

#[tokio::test]
async fn what_was_gone_already_counts_as_no_write_of_ours() {
    let mut role = remembered(false).await;
    role.iam.fail_always(
        "DeleteRole",
        iam_error("DeleteRole", "AccessDenied", "not authorized"),
    );
    let detach = Step::Detach(KNOWN_POLICIES[0].parse().unwrap());
    let run = role.denied(detach, "DeleteRole").await;
    assert_eq!((run.failure, run.done), (None, vec![]));
    assert_eq!(role.iam.operations(), ["DetachRolePolicy"]);
    // Else a denial after it would pass for one that comes soon after a write, and would never be told.
    assert_eq!(role.record.knowledge(&role.name).last_write, None);
}

/// Keeps the fields of the executor's spans.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<BTreeMap<&'static str, String>>>>);

impl<S: Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        struct Fields(BTreeMap<&'static str, String>);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                let value = format!("{value:?}").trim_matches('"').to_owned();
                self.0.insert(field.name(), value);
            }
        }
        let metadata = attributes.metadata();
        if metadata.target() == "mlservicerole_operator::controller::execute" {
            let mut fields = Fields(BTreeMap::from([("name", metadata.name().to_owned())]));
            attributes.record(&mut fields);
            self.0.lock().unwrap().push(fields.0);
        }
    }
}

/// The exporter takes spans by these targets and names; see docs/tracing.md.
#[tokio::test]
async fn each_step_has_a_span_that_is_named_after_it() {
    let spans = Spans::default();
    // For all threads: whether anybody listens to a span is decided once, by the first thread that comes to it.
    let subscriber = tracing_subscriber::registry().with(spans.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    // No other test attaches this one.
    let own = KNOWN_POLICIES[1];
    let mut role = remembered(false).await;
    let attached = role.carried_out(Step::Attach(own.parse().unwrap())).await;
    assert!(attached.failure.is_none());
    let spans = spans.0.lock().unwrap();
    let of_this: Vec<_> = spans
        .iter()
        .filter(|span| span["on"].contains(own))
        .map(|span| (span["name"].as_str(), span["otel.name"].as_str()))
        .collect();
    assert_eq!(of_this, [("step", "AttachRolePolicy")], "{spans:?}");
}
