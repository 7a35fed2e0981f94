//! What an account allows: how it is read, and that it stops nobody when it can't be.

use std::sync::Arc;

use mlservicerole_operator::aws::{AccountRef, Accounts, SdkAccounts, Session};
use mlservicerole_operator::iam::quota::AccountQuotas;

use crate::server::{Reply, Server, config, error, iam_only, ok, short_limits};

const OPERATION: &str = "GetAccountSummary";

/// As IAM answers, with more than is asked for.
fn summary() -> Reply {
    let entries = [
        ("Users", 27),
        ("AttachedPoliciesPerRoleQuota", 20),
        ("AssumeRolePolicySizeQuota", 4_096),
        ("RolePolicySizeQuota", 10_240),
        ("SomethingNew", 7),
    ];
    let entries =
        entries.map(|(key, value)| format!("<entry><key>{key}</key><value>{value}</value></entry>"));
    ok(
        OPERATION,
        &format!("<SummaryMap>{}</SummaryMap>", entries.concat()),
    )
}

const RAISED: AccountQuotas = AccountQuotas {
    managed_policies_per_role: 20,
    trust_policy_size: 4_096,
    inline_policies_size: 10_240,
    known: true,
};

async fn session(server: &Server) -> Arc<Session> {
    let accounts = SdkAccounts::from_config(&config(server.url()).await, &short_limits());
    let own = AccountRef {
        account: None,
        assume_role: None,
    };
    accounts.session(&own).await.unwrap()
}

#[tokio::test]
async fn an_account_says_what_it_allows_and_is_asked_once() {
    let server = Server::start(iam_only(|_| summary())).await;
    let session = session(&server).await;
    let (first, second) = tokio::join!(session.quotas(), session.quotas());
    assert_eq!((first, second), (RAISED, RAISED));
    assert_eq!(session.quotas().await, RAISED);
    assert_eq!(server.count(OPERATION), 1);
}

#[tokio::test]
async fn an_account_that_does_not_say_has_the_defaults_and_is_not_asked_again_at_once() {
    let replies = [
        error(403, "AccessDenied", "no"),
        Reply::Http(502, "<html>".into()),
        Reply::Hang,
        ok(OPERATION, ""),
    ];
    for reply in replies {
        let answer = reply.clone();
        let server = Server::start(iam_only(move |_| answer.clone())).await;
        let session = session(&server).await;
        for _ in 0..2 {
            assert_eq!(session.quotas().await, AccountQuotas::default(), "{reply:?}");
        }
        assert_eq!(server.count(OPERATION), 1, "{reply:?}");
    }
}
