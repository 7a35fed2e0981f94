//! How much of everything a role and an account may have.

use mlservicerole_operator::aws::quotas::{KEPT, RETRY};
use mlservicerole_operator::iam::quota::AccountQuotas;

use super::*;
use crate::support::fake_iam::iam_error;

#[tokio::test]
async fn ten_policies_can_be_attached_and_no_more() {
    let (iam, name) = with_trainer().await;
    for number in 0..=10 {
        iam.add_policy(policy(number).as_str());
    }
    for number in 0..10 {
        iam.attach_role_policy(&name, &policy(number)).await.unwrap();
    }
    iam.attach_role_policy(&name, &policy(0))
        .await
        .expect("attaching twice is no error");
    let error = iam.attach_role_policy(&name, &policy(10)).await;
    assert_eq!(error.as_ref().unwrap_err().class, ErrorClass::Invalid);
    assert_eq!(code(error), "LimitExceeded");
}

/// An inline policy of that many characters, whitespace apart.
fn inline_of(size: usize) -> String {
    let fixed = INLINE.len();
    INLINE.replace("b/*", &format!("b/{}*", "x".repeat(size - fixed))) + &" \n".repeat(500)
}

#[tokio::test]
async fn inline_policies_share_one_quota_that_ignores_whitespace() {
    let (iam, name) = with_trainer().await;
    let put = |policy, size| {
        let (iam, name) = (iam.clone(), name.clone());
        async move { iam.put_role_policy(&name, policy, &inline_of(size)).await }
    };
    put("one", 10_000).await.unwrap();
    put("two", 240).await.unwrap();
    assert_eq!(code(put("three", 200).await), "LimitExceeded");
    assert_eq!(code(put("two", 241).await), "LimitExceeded");
    put("one", 9_000).await.unwrap();
    put("three", 200).await.unwrap();
}

#[tokio::test]
async fn a_trust_policy_may_have_2048_characters_without_whitespace() {
    let (iam, name) = with_trainer().await;
    let of = |size: usize| TRUST.replace("sts.amazonaws.com", &"x".repeat(17 + size - TRUST.len())) + "   ";
    iam.update_assume_role_policy(&name, &of(2_048)).await.unwrap();
    let error = iam.update_assume_role_policy(&name, &of(2_049)).await;
    assert_eq!(
        error.unwrap_err().message,
        "Cannot exceed quota for ACLSizePerRole: 2048"
    );
}

#[tokio::test]
async fn a_role_has_at_most_50_tags_and_a_refused_request_adds_none() {
    let (iam, name) = with_trainer().await;
    let many = |range: std::ops::Range<usize>| -> BTreeMap<String, String> {
        range.map(|n| (format!("k{n}"), String::new())).collect()
    };
    iam.tag_role(&name, &many(0..50)).await.unwrap();
    iam.tag_role(&name, &many(0..50)).await.unwrap();
    assert_eq!(code(iam.tag_role(&name, &many(49..51)).await), "LimitExceeded");
    assert_eq!(iam.role("trainer").unwrap().tags, many(0..50));
}

#[tokio::test]
async fn an_account_has_a_quota_of_roles() {
    let (iam, _) = with_trainer().await;
    iam.set_role_quota(1);
    let role = new_role("arn:aws:iam::111122223333:role/b");
    assert_eq!(code(iam.create_role(&role).await), "LimitExceeded");
}

#[tokio::test]
async fn settings_have_their_limits() {
    let (iam, name) = with_trainer().await;
    for (description, seconds) in [("", 3_599), ("", 43_201), (&*"x".repeat(1_001), 3_600)] {
        let result = iam.update_role(&name, description, seconds).await;
        assert_eq!(code(result), "ValidationError");
    }
    iam.update_role(&name, "", 43_200).await.unwrap();
    assert_eq!(iam.get_role(&name).await.unwrap().description, "");
}

#[tokio::test]
async fn an_account_may_have_raised_its_quotas() {
    let (iam, name) = with_trainer().await;
    let quotas = AccountQuotas {
        managed_policies_per_role: 1,
        ..iam.account_quotas().await.unwrap()
    };
    iam.set_quotas(quotas);
    assert_eq!(iam.account_quotas().await.unwrap(), quotas);
    for number in 0..2 {
        iam.add_policy(policy(number).as_str());
    }
    iam.attach_role_policy(&name, &policy(0)).await.unwrap();
    assert_eq!(
        code(iam.attach_role_policy(&name, &policy(1)).await),
        "LimitExceeded"
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_account_allows_is_read_anew_later_and_outlives_a_failure() {
    const OPERATION: &str = "GetAccountSummary";
    let (iam, _) = with_trainer().await;
    let session = iam.session();
    iam.fail_next(OPERATION, iam_error(OPERATION, "AccessDenied", "no"));
    assert!(!session.quotas().await.known, "the defaults");
    assert_eq!(iam.count(OPERATION), 1);
    tokio::time::advance(RETRY).await;
    let first = session.quotas().await;
    assert!(first.known);
    tokio::time::advance(KEPT / 2).await;
    iam.set_quotas(AccountQuotas {
        trust_policy_size: 4_096,
        ..first
    });
    assert_eq!(session.quotas().await, first, "still believed");
    iam.fail_next(OPERATION, iam_error(OPERATION, "Throttling", "no"));
    tokio::time::advance(KEPT / 2).await;
    assert_eq!(session.quotas().await, first, "what was read before");
    tokio::time::advance(RETRY).await;
    assert_eq!(session.quotas().await.trust_policy_size, 4_096);
    assert_eq!(iam.count(OPERATION), 4);
}
