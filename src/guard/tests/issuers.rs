//! Which issuers' tokens a class's roles trust: never one that nobody wrote down, and never another one in silence.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fixtures::*;
use crate::guard::{Refusal, issuers_in_force};
use crate::iam::arn::Issuer;

const OWN: &str = "https://oidc.example/own";
const OTHER: &str = "https://oidc.example/other";

fn in_force(
    issuers: &[(&str, Option<bool>)],
    recorded: Option<&str>,
) -> Result<(Vec<String>, Option<Refusal>), Refusal> {
    let listed: Vec<Value> = issuers
        .iter()
        .map(|(url, trusted)| json!({"url": url, "trustSameNamespaces": trusted}))
        .collect();
    let rules = rules(&least_class(&json!({"oidc": {"issuers": listed}})));
    let own: Issuer = OWN.parse().unwrap();
    issuers_in_force(&rules, &own, recorded).map(|(issuers, notice)| (urls(&issuers), notice))
}

fn urls(issuers: &BTreeSet<Issuer>) -> Vec<String> {
    issuers.iter().map(|issuer| issuer.url().to_owned()).collect()
}

#[test]
fn a_silent_class_trusts_this_cluster_alone() {
    assert_eq!(in_force(&[], None).unwrap(), (vec![OWN.to_owned()], None));
}

#[test]
fn this_clusters_own_issuer_needs_no_consent() {
    for consent in [None, Some(false), Some(true)] {
        assert_eq!(
            in_force(&[(OWN, consent)], None).unwrap(),
            (vec![OWN.to_owned()], None)
        );
    }
}

#[test]
fn another_issuer_needs_consent_written_out() {
    for consent in [None, Some(false)] {
        let refusal = in_force(&[(OWN, None), (OTHER, consent)], None).unwrap_err();
        assert_eq!(refusal.reason, "InvalidSpec");
        assert!(refusal.final_);
        for part in [OTHER, OWN, "trustSameNamespaces: true", "or remove it", "\"ml\""] {
            assert!(refusal.message.contains(part), "{}", refusal.message);
        }
    }
}

#[test]
fn another_issuer_is_trusted_once_consent_is_written() {
    assert_eq!(
        in_force(&[(OWN, None), (OTHER, Some(true))], None).unwrap(),
        (vec![OTHER.to_owned(), OWN.to_owned()], None)
    );
    // The class may also leave this cluster out: it says what it says.
    assert_eq!(
        in_force(&[(OTHER, Some(true))], None).unwrap(),
        (vec![OTHER.to_owned()], None)
    );
}

#[test]
fn what_the_class_lists_counts_more_than_what_was_recorded() {
    assert_eq!(
        in_force(&[(OWN, None)], Some(OTHER)).unwrap(),
        (vec![OWN.to_owned()], None)
    );
    in_force(&[(OTHER, None)], Some(OTHER)).unwrap_err();
}

#[test]
fn an_issuer_that_changed_is_kept_and_said() {
    let (issuers, notice) = in_force(&[], Some(OTHER)).unwrap();
    assert_eq!(issuers, [OTHER]);
    let notice = notice.unwrap();
    assert_eq!(notice.reason, "IssuerChanged");
    for part in [OWN, OTHER, "oidc.issuers", "which is kept"] {
        assert!(notice.message.contains(part), "{}", notice.message);
    }
}

#[test]
fn the_recorded_own_issuer_is_no_news() {
    assert_eq!(in_force(&[], Some(OWN)).unwrap(), (vec![OWN.to_owned()], None));
}

#[test]
fn an_unreadable_record_counts_for_nothing() {
    assert_eq!(
        in_force(&[], Some("not an issuer")).unwrap(),
        (vec![OWN.to_owned()], None)
    );
}
