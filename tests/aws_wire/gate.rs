//! No request leaves once the gate is shut: not a first attempt, not a repetition, not one for credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mlservicerole_operator::aws::{AccountRef, Accounts, AssumeRole, IamApi, SdkAccounts, SessionError};
use mlservicerole_operator::gate::Gate;

use crate::server::{Reply, Server, caller, config, ok, short_limits};

const DEADLINE: Duration = Duration::from_secs(15);

/// A gate whose process falls asleep beyond its deadline when it passes for the `at`th time (from 0).
fn sleeping_at(at: usize) -> Arc<Gate> {
    let looks = AtomicUsize::new(0);
    let gate = Arc::new(Gate::shut(Arc::new(move || {
        match looks.fetch_add(1, Ordering::SeqCst) >= at {
            true => DEADLINE,
            false => Duration::ZERO,
        }
    })));
    gate.open(Duration::ZERO, DEADLINE);
    gate
}

fn own() -> AccountRef {
    AccountRef {
        account: None,
        assume_role: None,
    }
}

fn through_a_role() -> AccountRef {
    AccountRef {
        account: None,
        assume_role: Some(AssumeRole {
            arn: "arn:aws:iam::111122223333:role/reader".to_owned(),
            external_id: None,
        }),
    }
}

async fn accounts(server: &Server, gate: Arc<Gate>) -> SdkAccounts {
    SdkAccounts::gated(&config(server.url()).await, &short_limits(), gate, Arc::default())
}

async fn answering() -> Server {
    Server::start(|call| match call.action() {
        "GetCallerIdentity" => caller("111122223333"),
        "AssumeRole" => ok(
            "AssumeRole",
            "<Credentials><AccessKeyId>AKIAX</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>",
        ),
        action => ok(action, ""),
    })
    .await
}

/// A session, and then one write after another.
async fn work(accounts: &SdkAccounts, account: &AccountRef) {
    let Ok(session) = accounts.session(account).await else {
        return;
    };
    let name = "trainer".parse().unwrap();
    let iam: &dyn IamApi = &*session.iam;
    let policy = "arn:aws:iam::aws:policy/ReadOnlyAccess".parse().unwrap();
    let _ = iam.put_role_policy(&name, "p", "{}").await;
    let _ = iam.attach_role_policy(&name, &policy).await;
    let _ = iam.detach_role_policy(&name, &policy).await;
    let _ = iam.delete_role_policy(&name, "p").await;
    let _ = iam.delete_role(&name).await;
}

#[tokio::test]
async fn a_process_paused_at_any_gate_begins_no_request_afterwards() {
    for account in [own(), through_a_role()] {
        let all = {
            let server = answering().await;
            work(&accounts(&server, Arc::new(Gate::always_open())).await, &account).await;
            server.actions()
        };
        assert!(all.len() >= 6, "{all:?}");
        for at in 0..all.len() {
            let server = answering().await;
            work(&accounts(&server, sleeping_at(at)).await, &account).await;
            assert_eq!(server.actions(), all[..at], "paused at gate {at}");
        }
    }
}

#[tokio::test]
async fn the_sdk_passes_the_gate_anew_for_every_repetition() {
    let server = Server::start(|call| match call.action() {
        "GetCallerIdentity" => caller("111122223333"),
        _ => Reply::Reset,
    })
    .await;
    let session = accounts(&server, sleeping_at(2))
        .await
        .session(&own())
        .await
        .unwrap();
    let error = session
        .iam
        .delete_role(&"trainer".parse().unwrap())
        .await
        .unwrap_err();
    assert!(error.is_not_leading(), "{error:?}");
    assert!(error.ambiguous, "the first attempt was sent");
    assert_eq!(server.count("DeleteRole"), 1);
}

#[tokio::test]
async fn a_shut_gate_is_no_failure_of_aws_or_of_credentials() {
    let server = answering().await;
    let shut = || Arc::new(Gate::shut(Arc::new(|| Duration::ZERO)));
    for account in [own(), through_a_role()] {
        let error = accounts(&server, shut())
            .await
            .session(&account)
            .await
            .unwrap_err();
        let SessionError::Unavailable(error) = error else {
            panic!("{error:?}");
        };
        assert!(error.is_not_leading(), "{error:?}");
        assert_eq!(error.message, "not sent, since this process doesn't lead yet");
    }
    assert_eq!(server.actions(), [""; 0]);
}
