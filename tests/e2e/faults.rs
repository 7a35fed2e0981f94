//! What AWS's bad days come to: conditions that say so, recovery by itself, and nobody else held up.

use std::time::Instant;

use libtest_mimic::Trial;
use mlservicerole_operator::api::condition::{reasons, types};
use serde_json::json;

use crate::support::aws::{READ_ONLY, S3_READ_ONLY, statement};
use crate::support::fault::SECRET_OF_AWS;
use crate::support::space::{condition, placed_name};
use crate::support::{Fault, Space, eventually};

crate::trials![
    throttling_is_reported_and_survived,
    a_denied_call_is_explained_without_awss_own_words,
    a_gateways_error_page_is_survived,
    a_refused_request_is_reported_as_final,
    a_role_that_is_not_readable_yet_is_waited_for,
    independent_policies_are_all_tried,
    one_broken_object_stops_nobody,
    events_tell_each_change_of_reason_once,
];

/// Those whose faults others would feel, and so come after all others, one by one.
pub fn serial() -> Vec<Trial> {
    crate::trials![no_fault_makes_a_busy_loop];
    trials()
}

async fn throttling_is_reported_and_survived() {
    let space = Space::new("throttled").await;
    let throttled = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), Fault::throttled(), usize::MAX);
    space.create("trainer", json!({})).await;
    let ready = space.reported("trainer", types::READY, reasons::THROTTLED).await;
    assert_ne!(ready.status, "True");
    assert!(
        !ready.message.contains("11111111-2222"),
        "no request ids: {}",
        ready.message
    );
    let object = space.roles().get("trainer").await.unwrap();
    assert!(condition(&object, types::STALLED).is_none(), "it will pass");
    throttled.met(3).await;
    drop(throttled);
    space.ready("trainer").await;
}

async fn a_denied_call_is_explained_without_awss_own_words() {
    let space = Space::new("denied").await;
    let denied = space
        .bed
        .proxy
        .inject("AttachRolePolicy", &space.prefix(), Fault::denied(), usize::MAX);
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    let ready = space
        .reported("trainer", types::READY, reasons::ACCESS_DENIED)
        .await;
    assert_eq!(ready.status, "False");
    let object = space.roles().get("trainer").await.unwrap();
    let role = placed_name(&object).unwrap();
    assert!(
        ready.message.contains("AttachRolePolicy") && ready.message.contains(&role),
        "{}",
        ready.message
    );
    let said = serde_json::to_string(&object).unwrap();
    assert!(!said.contains(SECRET_OF_AWS), "{said}");
    eventually("the log has AWS's own words", || async {
        let last = space.bed.launcher.log_tail(SECRET_OF_AWS, 1);
        last.contains(SECRET_OF_AWS).then_some(()).ok_or(last)
    })
    .await;
    space
        .event("trainer", "is a warning", |event| {
            event.starts_with("Warning AccessDenied")
        })
        .await;
    assert_eq!(
        condition(&object, types::STALLED).map(|c| c.status.as_str()),
        Some("True")
    );
    drop(denied);
    space.ready("trainer").await;
}

async fn a_gateways_error_page_is_survived() {
    let space = Space::new("gateway").await;
    let broken = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), Fault::BadGateway, usize::MAX);
    space.create("trainer", json!({})).await;
    let ready = space
        .reported("trainer", types::READY, reasons::AWS_UNAVAILABLE)
        .await;
    assert!(!ready.message.contains("<html>"), "{}", ready.message);
    drop(broken);
    space.ready("trainer").await;
}

async fn a_refused_request_is_reported_as_final() {
    let space = Space::new("refused").await;
    let fault = Fault::Refuse {
        status: 400,
        code: "PolicyNotAttachable",
        message: "Cannot attach a Service Role Policy to a Customer Role.",
    };
    let refused = space
        .bed
        .proxy
        .inject("AttachRolePolicy", &space.prefix(), fault, usize::MAX);
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    let ready = space
        .reported("trainer", types::READY, reasons::REFUSED_BY_AWS)
        .await;
    assert!(
        ready.message.contains("Service Role Policy") && ready.message.contains(READ_ONLY),
        "{}",
        ready.message
    );
    let object = space.roles().get("trainer").await.unwrap();
    assert_eq!(
        condition(&object, types::STALLED).map(|c| c.status.as_str()),
        Some("True")
    );
    drop(refused);
    space.ready("trainer").await;
}

async fn a_role_that_is_not_readable_yet_is_waited_for() {
    let space = Space::new("unreadable").await;
    let mark = space.bed.proxy.mark();
    let lost = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), Fault::LoseAnswer, 1);
    let unreadable = space
        .bed
        .proxy
        .inject("GetRole", &space.prefix(), Fault::no_such_entity(), usize::MAX);
    space
        .create("trainer", json!({"managedPolicyArns": [READ_ONLY]}))
        .await;
    lost.met(1).await;
    let waiting = space
        .reported("trainer", types::READY, reasons::NOT_YET_CONSISTENT)
        .await;
    assert_eq!(waiting.status, "Unknown");
    unreadable.met(2).await;
    let created = space.bed.proxy.writes_since(mark, &space.prefix());
    assert!(
        created.len() <= 2,
        "the SDK repeats a lost request once; nobody else creates: {created:?}"
    );
    drop(unreadable);
    space.ready("trainer").await;
    assert!(space.role("trainer").await.unwrap().attached.contains(READ_ONLY));
}

async fn independent_policies_are_all_tried() {
    let space = Space::new("independent").await;
    let denied = space
        .bed
        .proxy
        .inject("PutRolePolicy", &space.prefix(), Fault::denied(), usize::MAX);
    let inline = json!([{"name": "data", "document": statement("s3:GetObject", "*")}]);
    let spec = json!({"managedPolicyArns": [READ_ONLY, S3_READ_ONLY], "inlinePolicies": inline});
    space.create("trainer", spec).await;
    space
        .reported("trainer", types::READY, reasons::ACCESS_DENIED)
        .await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!(role.attached.len(), 2, "{role:?}");
    space.bound("trainer", &role.arn).await;
    drop(denied);
    space.ready("trainer").await;
}

async fn one_broken_object_stops_nobody() {
    let space = Space::new("broken").await;
    let prefix = format!("{}stuck-", space.prefix());
    let held = space
        .bed
        .proxy
        .inject("CreateRole", &prefix, Fault::Hold, usize::MAX);
    let failing = format!("{}failing-", space.prefix());
    let _broken = space
        .bed
        .proxy
        .inject("CreateRole", &failing, Fault::BadGateway, usize::MAX);
    space.create("stuck", json!({})).await;
    space.create("failing", json!({})).await;
    space
        .create("refused", json!({"access": [{"preset": "later"}]}))
        .await;
    held.met(1).await;
    for name in ["a", "b", "c"] {
        space
            .create(name, json!({"managedPolicyArns": [READ_ONLY]}))
            .await;
    }
    for name in ["a", "b", "c"] {
        space.ready(name).await;
    }
    held.release();
    space.ready("stuck").await;
}

async fn events_tell_each_change_of_reason_once() {
    let space = Space::new("events").await;
    let throttled = space
        .bed
        .proxy
        .inject("CreateRole", &space.prefix(), Fault::throttled(), usize::MAX);
    space.create("trainer", json!({})).await;
    // Only once all repetitions of the call were throttled, too.
    space.reported("trainer", types::READY, reasons::THROTTLED).await;
    drop(throttled);
    space.ready("trainer").await;
    space
        .event("trainer", "tells of success", |event| {
            event.starts_with("Normal Synced")
        })
        .await;
    let events: kube::Api<k8s_openapi::api::events::v1::Event> =
        kube::Api::namespaced(space.bed.client.clone(), &space.name);
    let mut told: Vec<String> = events
        .list(&Default::default())
        .await
        .unwrap()
        .into_iter()
        .filter(|event| event.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some("trainer"))
        .filter_map(|event| event.reason)
        .collect();
    told.sort();
    assert_eq!(told, [reasons::SYNCED, reasons::THROTTLED]);
}

/// Faults that don't end, each by the name of the object that meets it and the action.
fn lasting() -> [(&'static str, &'static str, Fault); 9] {
    let refuse = |status, code, message| Fault::Refuse {
        status,
        code,
        message,
    };
    let quota = "Cannot exceed quota for RolesPerAccount: 1000";
    let principal = "Invalid principal in policy: \"AWS\":\"arn:aws:iam::111122223333:role/new\"";
    [
        ("throttled", "PutRolePolicy", Fault::throttled()),
        ("denied", "AttachRolePolicy", Fault::denied()),
        ("gateway", "CreateRole", Fault::BadGateway),
        (
            "failing",
            "PutRolePolicy",
            refuse(500, "ServiceFailure", "An internal error."),
        ),
        (
            "busy",
            "AttachRolePolicy",
            refuse(409, "ConcurrentModification", "Try again."),
        ),
        ("full", "CreateRole", refuse(409, "LimitExceeded", quota)),
        (
            "early",
            "CreateRole",
            refuse(400, "MalformedPolicyDocument", principal),
        ),
        (
            "refused",
            "AttachRolePolicy",
            refuse(400, "PolicyNotAttachable", "Not this one."),
        ),
        // Of one that is deleted.
        (
            "kept",
            "DeleteRole",
            refuse(409, "DeleteConflict", "Must detach all policies first."),
        ),
    ]
}

/// An attempt is a few calls, and the next one comes after a pause of about a second.
const CALLS_A_SECOND: f64 = 8.0;
/// An object says once what is wrong; its reason may be another one once.
const WRITES: usize = 2;

async fn no_fault_makes_a_busy_loop() {
    let space = Space::new("busy-loop").await;
    let inline = json!([{"name": "data", "document": statement("s3:GetObject", "*")}]);
    let spec = json!({"managedPolicyArns": [READ_ONLY], "inlinePolicies": inline});
    let prefix = |name: &str| format!("{}{name}-", space.prefix());
    let mut injections = Vec::new();
    for (name, action, fault) in lasting() {
        let injection = space.bed.proxy.inject(action, &prefix(name), fault, usize::MAX);
        injections.push(injection);
        space.create(name, spec.clone()).await;
    }
    space.ready("kept").await;
    space.delete("kept").await;
    for (name, _, _) in lasting() {
        space
            .until(name, "says what is wrong", |object| {
                let ready = condition(object, types::READY)?;
                (ready.status != "True").then_some(())
            })
            .await;
    }

    let writes = || {
        space
            .bed
            .audit
            .as_ref()
            .map_or(vec![], |audit| audit.writes(&space.name))
    };
    let (mark, before, began) = (space.bed.proxy.mark(), writes().len(), Instant::now());
    space.bed.proxy.swept(mark, 3).await;
    let most = CALLS_A_SECOND * began.elapsed().as_secs_f64();
    let written = writes().split_off(before);
    for (name, action, fault) in lasting() {
        let calls = space.bed.proxy.since(mark, &prefix(name));
        let written: Vec<_> = written.iter().filter(|request| request.name == name).collect();
        let found = format!("{name}: {} calls, {} writes", calls.len(), written.len());
        assert!(
            !calls.is_empty() && (calls.len() as f64) < most,
            "{found}: {action} with {fault:?} is tried again now and then: {calls:?}"
        );
        assert!(written.len() <= WRITES, "{found}: {written:?}");
    }
    drop(injections);
    space.gone("kept").await;
}
