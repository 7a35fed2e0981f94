//! What doesn't fit into IAM's quotas is refused before any call, with the numbers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fixtures::*;
use crate::guard::Refusal;
use crate::iam::quota::{self, AccountQuotas, RoleUsage, Used};
use crate::plan::{Account, Resolution, RoleIntent, assemble, resolve};

const POLICIES: usize = 25;

fn policy_arns(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("arn:aws:iam::111122223333:policy/p{n}"))
        .collect()
}

/// The resolution under these quotas, and what it would use.
fn under(quotas: AccountQuotas, spec: Value) -> (Result<RoleIntent, Refusal>, Option<RoleUsage>) {
    let class = wide_class(&json!({"allow": {"managedPolicyArns": policy_arns(POLICIES)}}));
    let account = Account { quotas, ..account() };
    let from = Resolution {
        name: "trainer",
        uid: "uid-1",
        spec: &object(spec),
        placement: None,
        namespace: &namespace(),
        class: &rules(&class),
        issuers: &BTreeSet::from([ISSUER.parse().unwrap()]),
        account: &account,
        cluster: &cluster(),
    };
    (resolve(from), assemble(from).ok().map(|intent| intent.usage()))
}

fn known() -> AccountQuotas {
    account().quotas
}

/// The refusal, which names all of `parts`.
#[track_caller]
fn exceeded(quotas: AccountQuotas, spec: Value, parts: &[&str]) -> RoleUsage {
    let (refused, usage) = under(quotas, spec);
    let refusal = refused.unwrap_err();
    assert_eq!(refusal.reason, "QuotaExceeded", "{}", refusal.message);
    assert!(refusal.final_);
    for part in parts {
        assert!(refusal.message.contains(part), "{part}: {}", refusal.message);
    }
    usage.unwrap()
}

fn service_accounts(count: usize) -> Value {
    let names = (0..count).map(|n| json!({"name": format!("{n:02}{}", "x".repeat(61))}));
    json!({"serviceAccounts": names.collect::<Vec<_>>()})
}

/// An inline policy with a Sid and a document of `size` characters, the Sid aside.
fn inline(name: &str, size: usize) -> Value {
    let of = |length: usize| {
        json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{}", "x".repeat(length)),
        }})
    };
    let mut document = of(size - quota::size(&of(0).to_string()));
    assert_eq!(quota::size(&document.to_string()), size);
    document["Statement"]["Sid"] = json!("Sid");
    json!({"name": name, "document": document})
}

#[test]
fn as_many_policies_can_be_attached_as_the_account_allows() {
    for limit in [10, 20] {
        let quotas = AccountQuotas {
            managed_policies_per_role: limit,
            ..known()
        };
        let (fits, usage) = under(quotas, json!({"managedPolicyArns": policy_arns(limit)}));
        assert_eq!(fits.unwrap().usage(), usage.unwrap());
        let numbers = [
            &format!("managedPolicyArns has {}", limit + 1),
            &format!("allows {limit}"),
        ];
        let parts = [numbers[0], numbers[1], "111122223333", "L-0DA4ABF3"];
        let usage = exceeded(
            quotas,
            json!({"managedPolicyArns": policy_arns(limit + 1)}),
            &parts,
        );
        assert_eq!(
            usage.managed_policies,
            Used {
                used: limit + 1,
                limit
            }
        );
    }
}

#[test]
fn a_trust_policy_may_have_as_many_characters_as_the_account_allows() {
    let (fits, usage) = under(known(), service_accounts(18));
    fits.unwrap();
    let usage = usage.unwrap().trust_policy;
    assert!(usage.used <= 2_048, "{usage:?}");
    let parts = [
        "2048",
        "for 19 ServiceAccounts",
        "spread serviceAccounts",
        "L-C07B4B0D",
    ];
    let usage = exceeded(known(), service_accounts(19), &parts).trust_policy;
    assert!(usage.used > 2_048, "{usage:?}");
    let raised = AccountQuotas {
        trust_policy_size: usage.used,
        ..known()
    };
    under(raised, service_accounts(19)).0.unwrap();
}

#[test]
fn inline_policies_share_one_quota() {
    let (fits, usage) = under(
        known(),
        json!({"inlinePolicies": [inline("a", 10_000), inline("b", 240)]}),
    );
    assert!(fits.is_ok());
    assert_eq!(
        usage.unwrap().inline_policies,
        Used {
            used: 10_240,
            limit: 10_240
        }
    );
    let spec = json!({"inlinePolicies": [inline("a", 10_000), inline("b", 241)]});
    exceeded(
        known(),
        spec,
        &["10241 characters", "allows 10240", "customer-managed"],
    );
}

#[test]
fn sids_stay_where_there_is_room_and_go_where_there_is_not() {
    let written = |sizes: [usize; 2]| {
        let policies: Vec<Value> = ["a", "b"]
            .iter()
            .zip(sizes)
            .map(|(n, size)| inline(n, size))
            .collect();
        let (intent, _) = under(known(), json!({"inlinePolicies": policies}));
        let documents = intent.unwrap().inline;
        documents
            .values()
            .map(|document| document.to_json())
            .collect::<String>()
    };
    let sid = quota::size("\"Sid\":\"Sid\",");
    assert!(written([10_000, 240 - 2 * sid]).contains("Sid"));
    assert!(!written([10_000, 241 - 2 * sid]).contains("Sid"));
}

#[test]
fn quotas_that_could_not_be_read_refuse_nothing_that_an_account_may_have_more_of() {
    let assumed = AccountQuotas::default();
    let (intent, usage) = under(assumed, json!({"managedPolicyArns": policy_arns(11)}));
    assert!(intent.is_ok());
    let shown = Used { used: 11, limit: 10 };
    assert_eq!(usage.unwrap().managed_policies, shown);
    assert!(under(assumed, service_accounts(19)).0.is_ok());
    let spec = json!({"inlinePolicies": [inline("a", 10_241)]});
    exceeded(assumed, spec, &["10241"]);
}

#[test]
fn everything_that_is_too_much_is_named_at_once() {
    let mut spec = service_accounts(19);
    spec["managedPolicyArns"] = json!(policy_arns(11));
    spec["inlinePolicies"] = json!([inline("a", 10_241)]);
    exceeded(
        known(),
        spec,
        &["trust policy", "inlinePolicies", "managedPolicyArns"],
    );
}

#[test]
fn names_and_descriptions_have_their_lengths() {
    let name = "n".repeat(65);
    let class = json!({"allow": {"roleNames": [name]}});
    for (field, text) in [("name", name.clone()), ("description", "d".repeat(1_001))] {
        let refusal = try_resolve(&class, json!({"role": {field: text}}), None).unwrap_err();
        assert_eq!(refusal.reason, "QuotaExceeded");
        let said = format!("role.{field} has {} characters", text.len());
        assert!(refusal.message.contains(&said), "{}", refusal.message);
    }
}

#[test]
fn what_cannot_be_put_together_has_no_usage() {
    let (refused, usage) = under(known(), json!({"role": {"tags": {"Team": "a", "team": "b"}}}));
    assert_eq!(refused.unwrap_err().reason, "InvalidSpec");
    assert_eq!(usage, None);
}
