//! Calls at the pace of their account: what is throttled is made again, and nobody fails for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mlservicerole_operator::aws::paced::REPETITIONS;
use mlservicerole_operator::aws::{
    AccountRef, Accounts, AssumeRole, ErrorClass, IamApi, SdkAccounts, Session,
};
use mlservicerole_operator::fair_queue::Urgency;

use crate::server::{Call, Reply, Server, caller, config, error, ok, short_limits};

fn throttled() -> Reply {
    error(400, "Throttling", "Rate exceeded")
}

/// Answers GetCallerIdentity and AssumeRole, and everything else as told.
async fn server(answer: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |call| match call.action() {
        "GetCallerIdentity" => caller("111122223333"),
        "AssumeRole" => ok(
            "AssumeRole",
            "<Credentials><AccessKeyId>AKIAX</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>",
        ),
        _ => answer(call),
    })
    .await
}

async fn accounts(server: &Server) -> SdkAccounts {
    SdkAccounts::from_config(&config(server.url()).await, &short_limits())
}

fn account(role: Option<&str>) -> AccountRef {
    AccountRef {
        account: None,
        assume_role: role.map(|arn| AssumeRole {
            arn: arn.to_owned(),
            external_id: None,
        }),
    }
}

async fn session(server: &Server) -> Arc<Session> {
    accounts(server).await.session(&account(None)).await.unwrap()
}

/// Until so many calls of the account wait for their turn.
async fn waiting(session: &Session, count: usize) {
    let enough = async {
        while session.pace.waiting().values().sum::<usize>() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), enough)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_throttled_call_is_made_again_until_it_is_heard() {
    let count = AtomicUsize::new(0);
    let server = server(move |call| match count.fetch_add(1, Ordering::SeqCst) {
        0..3 => throttled(),
        _ => ok(call.action(), ""),
    })
    .await;
    let iam = session(&server).await.iam_for("a", Urgency::Urgent);
    iam.delete_role(&"trainer".parse().unwrap()).await.unwrap();
    assert_eq!(server.count("DeleteRole"), 4);
}

/// Else a role with ten inline policies would be read whole in one of seventy attempts where three of ten calls are
/// throttled, and creation would converge where repair doesn't.
#[tokio::test]
async fn of_a_role_that_takes_many_calls_only_the_throttled_ones_are_made_again() {
    const POLICIES: usize = 10;
    let count = AtomicUsize::new(0);
    let server = server(move |call| {
        if count.fetch_add(1, Ordering::SeqCst) % 3 == 1 {
            return throttled();
        }
        let names = || (0..POLICIES).map(|i| format!("<member>p{i}</member>")).collect::<String>();
        match call.action() {
            "ListAttachedRolePolicies" => ok(
                call.action(),
                "<AttachedPolicies/><IsTruncated>false</IsTruncated>",
            ),
            "ListRolePolicies" => ok(
                call.action(),
                &format!("<PolicyNames>{}</PolicyNames><IsTruncated>false</IsTruncated>", names()),
            ),
            _ => ok(
                call.action(),
                "<RoleName>trainer</RoleName><PolicyName>p</PolicyName><PolicyDocument>%7B%7D</PolicyDocument>",
            ),
        }
    })
    .await;
    let session = session(&server).await;
    let iam = session.iam_for("a", Urgency::Routine);
    let content = iam.role_content(&"trainer".parse().unwrap()).await.unwrap();
    assert_eq!(content.inline.len(), POLICIES);
    let operations = ["ListAttachedRolePolicies", "ListRolePolicies", "GetRolePolicy"];
    let calls: usize = operations.iter().map(|operation| server.count(operation)).sum();
    // Two and one for each policy are heard, and of three calls one isn't.
    assert_eq!(calls, (2 + POLICIES) * 3 / 2);
    assert!(
        session.pace.rates().contains_key("GetRolePolicy"),
        "each has a limit of its own"
    );
}

#[tokio::test]
async fn other_errors_are_handed_on_as_they_are() {
    let server = server(|_| error(409, "DeleteConflict", "Cannot delete entity")).await;
    let iam = session(&server).await.iam_for("a", Urgency::Urgent);
    let failed = iam.delete_role(&"trainer".parse().unwrap()).await.unwrap_err();
    assert!(failed.is_delete_conflict());
    assert_eq!(server.count("DeleteRole"), 1);
}

#[tokio::test]
async fn an_account_that_throttles_everything_is_told_of_in_the_end() {
    let server = server(|_| throttled()).await;
    let iam = session(&server).await.iam_for("a", Urgency::Urgent);
    let failed = iam.delete_role(&"trainer".parse().unwrap()).await.unwrap_err();
    assert_eq!(failed.class, ErrorClass::Throttled);
    assert_eq!(server.count("DeleteRole") as u32, REPETITIONS + 1);
}

#[tokio::test]
async fn a_limit_holds_for_its_operation_in_every_session_of_the_account() {
    let count = AtomicUsize::new(0);
    let server = server(move |call| match count.fetch_add(1, Ordering::SeqCst) {
        0 => throttled(),
        _ => ok(call.action(), ""),
    })
    .await;
    let accounts = accounts(&server).await;
    let own = accounts.session(&account(None)).await.unwrap();
    let role = account(Some("arn:aws:iam::111122223333:role/reader"));
    let other = accounts.session(&role).await.unwrap();
    assert!(Arc::ptr_eq(&own.pace, &other.pace));
    let name = "trainer".parse().unwrap();
    own.iam_for("a", Urgency::Urgent)
        .delete_role(&name)
        .await
        .unwrap();
    assert_eq!(other.pace.rates().keys().collect::<Vec<_>>(), [&"DeleteRole"]);
}

#[tokio::test]
async fn one_call_behind_many_of_another_namespace_goes_early() {
    let count = AtomicUsize::new(0);
    let server = server(move |call| match count.fetch_add(1, Ordering::SeqCst) {
        0 => throttled(),
        _ => ok(call.action(), ""),
    })
    .await;
    let session = session(&server).await;
    let begin = Instant::now();
    let deletion = |namespace: &'static str, role: String| {
        let session = Arc::clone(&session);
        tokio::spawn(async move {
            let iam = session.iam_for(namespace, Urgency::Urgent);
            iam.delete_role(&role.parse().unwrap()).await.unwrap();
            begin.elapsed()
        })
    };
    // The one that is throttled sets a limit, behind which the others wait.
    deletion("a", "first".to_owned()).await.unwrap();
    let many: Vec<_> = (0..20).map(|n| deletion("a", format!("a-{n}"))).collect();
    waiting(&session, 15).await;
    let one = deletion("b", "b".to_owned()).await.unwrap();
    let mut later = 0;
    for other in many {
        later += usize::from(other.await.unwrap() > one);
    }
    assert!(later >= 15, "{later} of 20 came after it");
}

#[tokio::test]
async fn who_waits_is_turned_away_when_the_process_stops() {
    let server = server(|_| throttled()).await;
    let accounts = accounts(&server).await;
    let session = accounts.session(&account(None)).await.unwrap();
    let iam = session.iam_for("a", Urgency::Routine);
    let turned_away = tokio::spawn(async move {
        let name = "trainer".parse().unwrap();
        iam.delete_role(&name).await.unwrap_err()
    });
    waiting(&session, 1).await;
    accounts.stop();
    let error = tokio::time::timeout(Duration::from_secs(5), turned_away).await;
    let error = error.unwrap().unwrap();
    assert!(error.is_not_leading(), "{error:?}");
    assert!(!error.ambiguous);
}
