//! Whose credentials sign what, and what is remembered of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use mlservicerole_operator::aws::error::code;
use mlservicerole_operator::aws::{AccountRef, Accounts, AssumeRole, ErrorClass, SdkAccounts, SessionError};

use crate::server::{Call, Reply, Server, caller, caller_with_arn, config, error, ok, short_limits};

const HOME: &str = "111122223333";
const OTHER: &str = "444455556666";
const SECRET: &str = "open-sesame";

fn own(account: Option<&str>) -> AccountRef {
    AccountRef {
        account: account.map(|id| id.parse().unwrap()),
        assume_role: None,
    }
}

fn through(role: &str, external_id: Option<&str>) -> AccountRef {
    AccountRef {
        account: None,
        assume_role: Some(AssumeRole {
            arn: format!("arn:aws:iam::{OTHER}:role/{role}"),
            external_id: external_id.map(str::to_owned),
        }),
    }
}

/// Two accounts: keys of assumed roles are `AKIA` and the role's name, and belong to the other one.
fn two_accounts(call: &Call) -> Reply {
    match call.action() {
        "AssumeRole" => {
            let name = call.field("RoleArn").rsplit('/').next().unwrap();
            ok(
                "AssumeRole",
                &format!(
                    "<Credentials><AccessKeyId>AKIA{name}</AccessKeyId>\
                     <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                     <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
                     <AssumedRoleUser><AssumedRoleId>AROAX:s</AssumedRoleId>\
                     <Arn>arn:aws:sts::{OTHER}:assumed-role/{name}/s</Arn></AssumedRoleUser>"
                ),
            )
        }
        "GetCallerIdentity" if call.access_key == "AKIAOWN" => caller(HOME),
        "GetCallerIdentity" => caller(OTHER),
        action => ok(action, ""),
    }
}

async fn accounts(server: &Server) -> SdkAccounts {
    SdkAccounts::from_config(&config(server.url()).await, &short_limits())
}

async fn refusal(reply: Reply, account: &AccountRef) -> (SessionError, Server) {
    let server = Server::start(move |_| reply.clone()).await;
    let error = accounts(&server).await.session(account).await.unwrap_err();
    (error, server)
}

#[tokio::test]
async fn a_session_knows_account_and_partition_of_its_caller() {
    for (arn, partition) in [
        ("arn:aws:sts::111122223333:assumed-role/op/s", "aws"),
        ("arn:aws-cn:iam::111122223333:user/op", "aws-cn"),
        ("arn:aws-us-gov:iam::111122223333:root", "aws-us-gov"),
    ] {
        let server = Server::start(move |_| caller_with_arn(HOME, arn)).await;
        let session = accounts(&server).await.session(&own(None)).await.unwrap();
        assert_eq!(session.account.as_str(), HOME);
        assert_eq!(session.partition.as_str(), partition);
    }
}

#[tokio::test]
async fn in_the_wrong_account_nothing_else_is_called() {
    let server = Server::start(two_accounts).await;
    let accounts = accounts(&server).await;
    let error = accounts.session(&own(Some(OTHER))).await.unwrap_err();
    assert_eq!(
        error,
        SessionError::WrongAccount {
            expected: OTHER.parse().unwrap(),
            found: HOME.parse().unwrap(),
        }
    );
    assert_eq!(
        error.to_string(),
        "the credentials belong to AWS account 111122223333, not to 444455556666"
    );
    assert_eq!(server.actions(), ["GetCallerIdentity"]);
}

#[tokio::test]
async fn the_right_account_is_let_through() {
    let server = Server::start(two_accounts).await;
    let account = AccountRef {
        account: Some(OTHER.parse().unwrap()),
        ..through("reader", None)
    };
    let session = accounts(&server).await.session(&account).await.unwrap();
    assert_eq!(session.account.as_str(), OTHER);
}

#[tokio::test]
async fn an_assumed_role_signs_everything_but_its_own_assumption() {
    let server = Server::start(two_accounts).await;
    let session = accounts(&server)
        .await
        .session(&through("reader", Some(SECRET)))
        .await
        .unwrap();
    session
        .iam
        .delete_role(&"trainer".parse().unwrap())
        .await
        .unwrap();

    let assume = server.only("AssumeRole");
    assert_eq!(assume.access_key, "AKIAOWN");
    assert_eq!(assume.field("RoleSessionName"), "mlservicerole-operator");
    assert_eq!(assume.field("ExternalId"), SECRET);
    assert_eq!(server.only("GetCallerIdentity").access_key, "AKIAreader");
    assert_eq!(server.only("DeleteRole").access_key, "AKIAreader");
}

#[tokio::test]
async fn a_session_is_kept() {
    let server = Server::start(two_accounts).await;
    let accounts = accounts(&server).await;
    let first = accounts.session(&own(None)).await.unwrap();
    let second = accounts.session(&own(None)).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(server.actions(), ["GetCallerIdentity"]);
}

#[tokio::test]
async fn callers_that_come_together_share_one_look_up() {
    let server = Server::start(two_accounts).await;
    let accounts = accounts(&server).await;
    let account = through("reader", None);
    let sessions = futures::future::join_all((0..50).map(|_| accounts.session(&account))).await;
    assert!(sessions.iter().all(Result::is_ok));
    assert_eq!(server.actions(), ["AssumeRole", "GetCallerIdentity"]);
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_take_the_look_up_with_it() {
    let server = Server::start(two_accounts).await;
    let accounts = accounts(&server).await;
    let account = own(None);
    let given_up = tokio::time::timeout(Duration::ZERO, accounts.session(&account)).await;
    assert!(given_up.is_err());
    accounts.session(&account).await.unwrap();
    assert_eq!(server.actions(), ["GetCallerIdentity"]);
}

#[tokio::test]
async fn accounts_roles_and_external_ids_each_have_a_session_of_their_own() {
    let server = Server::start(two_accounts).await;
    let accounts = accounts(&server).await;
    let all = [
        own(None),
        own(Some(HOME)),
        through("reader", None),
        through("reader", Some(SECRET)),
        through("reader", Some("another")),
        through("writer", None),
    ];
    for account in &all {
        accounts.session(account).await.unwrap();
    }
    assert_eq!(server.count("GetCallerIdentity"), all.len());
    assert_eq!(server.count("AssumeRole"), 4);
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let failures = AtomicUsize::new(1);
    let server = Server::start(move |call| {
        match failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => error(503, "ServiceUnavailable", "later"),
            Err(_) => two_accounts(call),
        }
    })
    .await;
    let accounts = accounts(&server).await;
    let first = accounts.session(&own(None)).await.unwrap_err();
    assert!(matches!(first, SessionError::Unavailable(_)), "{first:?}");
    accounts.session(&own(None)).await.unwrap();
    assert_eq!(server.count("GetCallerIdentity"), 2);
}

#[tokio::test]
async fn a_refused_role_is_reported_as_sts_put_it() {
    let account = through("reader", None);
    let reply = error(403, "AccessDenied", "not authorized to perform: sts:AssumeRole");
    let (refused, server) = refusal(reply, &account).await;
    let SessionError::CredentialsInvalid(error) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        error.to_string(),
        "AssumeRole: AccessDenied: not authorized to perform: sts:AssumeRole"
    );
    assert_eq!(error.class, ErrorClass::Denied);
    assert!(!error.ambiguous);
    assert_eq!(server.actions(), ["AssumeRole"]);
}

#[tokio::test]
async fn a_throttled_look_up_is_not_a_matter_of_credentials_and_not_repeated() {
    for account in [own(None), through("reader", None)] {
        let reply = error(400, "Throttling", "Rate exceeded");
        let (refused, server) = refusal(reply, &account).await;
        let SessionError::Unavailable(error) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(error.class, ErrorClass::Throttled);
        assert_eq!(server.calls().len(), 1);
    }
}

#[tokio::test]
async fn expired_keys_are_a_matter_of_credentials() {
    let (refused, _) = refusal(error(403, "ExpiredToken", "expired"), &own(None)).await;
    assert!(
        matches!(refused, SessionError::CredentialsInvalid(_)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_caller_that_makes_no_sense_is_an_error_that_says_so() {
    for (account, arn) in [(HOME, "nonsense"), (HOME, ""), ("12", "arn:aws:iam::12:root")] {
        let (refused, _) = refusal(caller_with_arn(account, arn), &own(None)).await;
        let SessionError::CredentialsInvalid(error) = &refused else {
            panic!("{refused:?}")
        };
        assert_eq!(error.code, code::UNREADABLE_ANSWER);
        assert!(refused.to_string().contains("STS names no"), "{refused}");
    }
}

#[derive(Debug)]
struct Credentials(Mutex<Option<CredentialsError>>);

impl ProvideCredentials for Credentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(self.0.lock().unwrap().take().unwrap()))
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    for (cause, class) in [
        (CredentialsError::not_loaded_no_source(), ErrorClass::Denied),
        (
            CredentialsError::invalid_configuration("no such profile"),
            ErrorClass::Denied,
        ),
        (
            CredentialsError::provider_error(std::io::Error::from(std::io::ErrorKind::NotFound)),
            ErrorClass::Denied,
        ),
        (
            CredentialsError::provider_error("instance metadata: 503"),
            ErrorClass::Transient,
        ),
    ] {
        let server = Server::start(two_accounts).await;
        let config = config(server.url())
            .await
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(Credentials(Mutex::new(Some(
                cause,
            )))))
            .build();
        let accounts = SdkAccounts::from_config(&config, &short_limits());
        let error = match accounts.session(&own(None)).await.unwrap_err() {
            SessionError::CredentialsInvalid(error) | SessionError::Unavailable(error) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(error.code, code::CREDENTIALS_UNAVAILABLE);
        assert_eq!(error.class, class, "{error}");
        assert!(!error.ambiguous);
        assert_eq!(server.calls().len(), 0);
    }
}

#[tokio::test]
async fn an_instance_metadata_service_that_is_closed_to_pods_is_no_outage() {
    for (status, class) in [(403, ErrorClass::Denied), (500, ErrorClass::Transient)] {
        let metadata = Server::start(move |_| Reply::Http(status, String::new())).await;
        let client = aws_config::imds::Client::builder()
            .endpoint(metadata.url())
            .unwrap()
            .max_attempts(1)
            .build();
        let provider = aws_config::imds::credentials::ImdsCredentialsProvider::builder()
            .imds_client(client)
            .build();
        let server = Server::start(two_accounts).await;
        let config = config(server.url())
            .await
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(provider))
            .build();
        let accounts = SdkAccounts::from_config(&config, &short_limits());
        let error = accounts.session(&own(None)).await.unwrap_err();
        let (SessionError::CredentialsInvalid(cause) | SessionError::Unavailable(cause)) = error else {
            panic!("{error:?}")
        };
        assert_eq!(cause.class, class, "{cause}");
        assert_eq!(cause.code, code::CREDENTIALS_UNAVAILABLE);
        assert_eq!(server.calls().len(), 0);
    }
}

#[tokio::test]
async fn nobody_listening_means_that_nothing_was_carried_out() {
    // Bound and let go, so that the port is free.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let accounts = SdkAccounts::from_config(&config(&url).await, &short_limits());
    let SessionError::Unavailable(error) = accounts.session(&own(None)).await.unwrap_err() else {
        panic!()
    };
    assert_eq!(
        error.to_string(),
        "GetCallerIdentity: ConnectionFault: the connection failed: connection refused"
    );
    assert!(!error.ambiguous);
}

#[tokio::test]
async fn an_external_id_is_never_printed() {
    let account = through("reader", Some(SECRET));
    let server = Server::start(two_accounts).await;
    let accounts = accounts(&server).await;
    let session = accounts.session(&account).await.unwrap();
    for text in [
        format!("{account:?}"),
        format!("{accounts:?}"),
        format!("{session:?}"),
        format!("{:#?}", session.iam),
    ] {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert!(format!("{account:?}").contains("reader"));

    // STS quotes the value in this one.
    let quoted = format!("1 validation error detected: Value '{SECRET}' at 'externalId' failed");
    let (refused, _) = refusal(error(400, "ValidationError", &quoted), &account).await;
    assert!(!format!("{refused} {refused:?}").contains(SECRET));
    assert!(refused.to_string().contains("at 'externalId' failed"));
}
