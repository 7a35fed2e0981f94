//! An object `trainer` in namespace `team-a` of cluster `prod`, its class `ml`, and roles and ServiceAccounts to vary.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION, ROLE_ARN_ANNOTATION};
use crate::guard::Refusal;
pub(crate) use crate::guard::tests::fixtures::*;
use crate::iam::arn::{Issuer, PolicyArn};
use crate::iam::quota::AccountQuotas;
use crate::iam::role::{RoleContent, RoleHeader};
use crate::plan::{
    Account, Clock, ClusterIdentity, Depth, NamespaceState, Next, Placement, Plan, Resolution, Rival,
    RoleIntent, RoleKnowledge, RoleState, ServiceAccountState, Step, Surroundings, resolve,
};

pub(crate) const ISSUER: &str = "https://oidc.example/own";
/// How long IAM may contradict itself, in these tests.
pub(crate) const WINDOW: u64 = 30;
/// After how long a role is read again to find drift, in these tests.
pub(crate) const DRIFT: u64 = 600;

pub(crate) fn cluster() -> ClusterIdentity {
    ClusterIdentity {
        name: "prod".to_owned(),
        uid: "cluster-1".to_owned(),
        region: Some("eu-west-1".to_owned()),
    }
}

pub(crate) fn namespace() -> NamespaceState {
    NamespaceState {
        name: "team-a".to_owned(),
        uid: "namespace-1".to_owned(),
        labels: labels(&[("team", "a")]),
    }
}

pub(crate) fn account() -> Account {
    Account {
        id: "111122223333".parse().unwrap(),
        partition: "aws".parse().unwrap(),
        quotas: AccountQuotas {
            known: true,
            ..AccountQuotas::default()
        },
    }
}

/// The object with that spec, under the wide class merged with `class`.
pub(crate) fn try_resolve(
    class: &Value,
    spec: Value,
    placement: Option<&Placement>,
) -> Result<RoleIntent, Refusal> {
    resolve(Resolution {
        name: "trainer",
        uid: "uid-1",
        spec: &object(spec),
        placement,
        namespace: &namespace(),
        class: &rules(&wide_class(class)),
        issuers: &BTreeSet::from([ISSUER.parse::<Issuer>().unwrap()]),
        account: &account(),
        cluster: &cluster(),
    })
}

pub(crate) fn intent_under(class: &Value, spec: Value) -> RoleIntent {
    try_resolve(class, spec, None).unwrap()
}

pub(crate) fn intent(spec: Value) -> RoleIntent {
    intent_under(&json!({}), spec)
}

pub(crate) fn policy(arn: &str) -> PolicyArn {
    arn.parse().unwrap()
}

/// A policy document that allows one action.
pub(crate) fn document(action: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
}

/// The role's header, exactly as wanted.
pub(crate) fn header(intent: &RoleIntent) -> RoleHeader {
    RoleHeader {
        arn: intent.arn().clone(),
        id: "AROA1".to_owned(),
        trust: intent.trust.document().to_json(),
        description: intent.description.clone(),
        max_session_duration_seconds: intent.max_session_duration_seconds,
        permissions_boundary: intent.permissions_boundary.as_ref().map(ToString::to_string),
        tags: intent.tags.clone(),
    }
}

/// The role's content, exactly as wanted.
pub(crate) fn content(intent: &RoleIntent) -> RoleContent {
    RoleContent {
        inline: intent
            .inline
            .iter()
            .map(|(name, document)| (name.clone(), document.to_json()))
            .collect(),
        attached: intent.attached.clone(),
    }
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A reconcile that began at second `started`, now at second `now`.
pub(crate) fn clock(started: u64, now: u64) -> Clock {
    Clock {
        started: seconds(started),
        now: seconds(now),
        consistency_window: seconds(WINDOW),
        drift_interval: seconds(DRIFT),
    }
}

/// A role read at second `as_of`.
pub(crate) fn read(header: RoleHeader, content: Option<RoleContent>, as_of: u64) -> RoleKnowledge {
    let mut knowledge = RoleKnowledge::default();
    knowledge.note_read(Some((header, content)), seconds(as_of));
    knowledge
}

/// No role found at second `as_of`.
pub(crate) fn read_absent(as_of: u64) -> RoleKnowledge {
    let mut knowledge = RoleKnowledge::default();
    knowledge.note_read(None, seconds(as_of));
    knowledge
}

pub(crate) fn header_of(knowledge: &RoleKnowledge) -> &RoleHeader {
    match &knowledge.state {
        RoleState::Present { header, .. } => header,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn content_of(knowledge: &RoleKnowledge) -> &RoleContent {
    match &knowledge.state {
        RoleState::Present {
            content: Some(content),
            ..
        } => content,
        other => panic!("{other:?}"),
    }
}

/// A ServiceAccount with these annotations.
pub(crate) fn service_account(name: &str, annotations: &[(&str, &str)]) -> ServiceAccountState {
    ServiceAccountState {
        name: name.to_owned(),
        uid: format!("sa-{name}"),
        resource_version: "7".to_owned(),
        deleting: false,
        annotations: labels(annotations),
        contested_by: None,
        ..Default::default()
    }
}

/// A ServiceAccount that object `uid-1` bound.
pub(crate) fn bound(name: &str, intent: &RoleIntent) -> ServiceAccountState {
    let arn = intent.arn().to_string();
    service_account(
        name,
        &[
            (ROLE_ARN_ANNOTATION, &arn),
            (BOUND_BY_ANNOTATION, "trainer/uid-1"),
        ],
    )
}

/// A ServiceAccount that object `uid-1` created.
pub(crate) fn created(name: &str, intent: &RoleIntent) -> ServiceAccountState {
    let mut sa = bound(name, intent);
    sa.annotations
        .insert(CREATED_BY_ANNOTATION.to_owned(), "trainer/uid-1".to_owned());
    sa
}

/// Another object of the namespace, created at hour `hour`; ours was created at hour 5.
pub(crate) fn rival(name: &str, uid: &str, hour: u8, wants: &[&str]) -> Rival {
    Rival {
        name: name.to_owned(),
        uid: uid.to_owned(),
        created: format!("2026-01-01T0{hour}:00:00Z"),
        deleting: false,
        observes: false,
        service_accounts: wants.iter().map(|&name| name.to_owned()).collect(),
    }
}

pub(crate) fn around<'a>(
    service_accounts: &'a [ServiceAccountState],
    rivals: &'a [Rival],
) -> Surroundings<'a> {
    Surroundings {
        service_accounts,
        rivals,
        created: "2026-01-01T05:00:00Z",
    }
}

/// A plan's steps, a stage to a paragraph.
pub(crate) fn show(plan: &Plan) -> String {
    let mut text = String::new();
    for stage in &plan.stages {
        if !text.is_empty() {
            text.push('\n');
        }
        for step in stage {
            writeln!(text, "{}", show_step(step)).unwrap();
        }
    }
    for notice in &plan.notices {
        let kind = if notice.warning { "Warning" } else { "Normal" };
        writeln!(text, "\n{kind} {}: {}", notice.reason, notice.message).unwrap();
    }
    text
}

pub(crate) fn show_step(step: &Step) -> String {
    let detail = match step {
        Step::UpdateTrust { document } => trusted(document),
        Step::BindServiceAccount { force_at, .. } if force_at.is_some() => " by force".to_owned(),
        Step::UnbindServiceAccount {
            annotations,
            restored,
            ..
        }
        | Step::DeleteServiceAccount {
            annotations,
            restored,
            ..
        } => {
            let shown = annotations.keys().map(|key| match restored.get(key) {
                Some(former) => format!("{key} back to {former}"),
                None => key.clone(),
            });
            format!(" ({})", shown.collect::<Vec<_>>().join(", "))
        }
        _ => String::new(),
    };
    format!("{} {}{detail}", step.action(), step.target())
        .trim_end()
        .to_owned()
}

/// Whom a trust policy lets in.
fn trusted(document: &str) -> String {
    let document: Value = serde_json::from_str(document).unwrap();
    let mut who = Vec::new();
    let statements = match &document["Statement"] {
        Value::Array(several) => several.clone(),
        one => vec![one.clone()],
    };
    for statement in statements {
        let subs = &statement["Condition"]["StringEquals"]["oidc.example/own:sub"];
        let whom = if subs.is_null() {
            &statement["Principal"]
        } else {
            subs
        };
        who.push(format!("{} {whom}", statement["Effect"].as_str().unwrap()));
    }
    who.join(" ")
}

/// The plan, when there is one.
#[track_caller]
pub(crate) fn steps(next: Next) -> Plan {
    match next {
        Next::Do(plan) => plan,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn expect_read(next: &Next, depth: Depth) {
    assert!(matches!(next, Next::Read(found) if *found == depth), "{next:?}");
}

/// What is waited for, and until which second.
#[track_caller]
pub(crate) fn waits(next: Next) -> (Refusal, u64) {
    match next {
        Next::Wait { why, until, .. } => (why, until.as_secs()),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn blocked(next: Next) -> Refusal {
    match next {
        Next::Blocked(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}
