//! The way from one trust policy to the next, and who is trusted meanwhile.

use super::*;
use crate::iam::document::tests::{Dice, any_document, reworded};

const SAGEMAKER: &str = "sagemaker.amazonaws.com";

fn federated(issuer: &str, subs: &[&str]) -> Value {
    let subs: Vec<_> = subs
        .iter()
        .map(|name| format!("system:serviceaccount:team-a:{name}"))
        .collect();
    json!({
        "Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::012345678901:oidc-provider/{issuer}")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {
            format!("{issuer}:aud"): "sts.amazonaws.com",
            format!("{issuer}:sub"): subs,
        }},
    })
}

fn service(service: &str) -> Value {
    json!({
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": "012345678901"}},
    })
}

fn document(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// Trusts `trainer` and SageMaker.
fn desired() -> TrustPolicy {
    policy(&["https://a.com"], &["trainer"], &[SAGEMAKER])
}

fn meanwhile(current: &str) -> PolicyDocument {
    match desired().transition_from(current) {
        TrustTransition::Replaces { meanwhile } => meanwhile,
        other => panic!("{other:?}"),
    }
}

fn closed() -> PolicyDocument {
    document_of(&BTreeSet::new())
}

#[test]
fn what_means_the_same_is_the_same() {
    let current = document(&[service(SAGEMAKER), federated("a.com", &["trainer"])]);
    assert_eq!(desired().transition_from(&current), TrustTransition::Same);
    let encoded =
        percent_encoding::utf8_percent_encode(&current, percent_encoding::NON_ALPHANUMERIC).to_string();
    assert_eq!(desired().transition_from(&encoded), TrustTransition::Same);
}

#[test]
fn who_is_only_added_widens_the_policy() {
    for current in [
        document(&[service(SAGEMAKER)]),
        document(&[federated("a.com", &["trainer"])]),
        closed().to_json(),
    ] {
        assert_eq!(
            desired().transition_from(&current),
            TrustTransition::Widens,
            "{current}"
        );
    }
}

#[test]
fn who_is_only_removed_narrows_the_policy() {
    for current in [
        document(&[federated("a.com", &["trainer", "server"]), service(SAGEMAKER)]),
        document(&[
            federated("a.com", &["trainer"]),
            federated("b.com", &["trainer"]),
            service(SAGEMAKER),
        ]),
        document(&[
            federated("a.com", &["trainer"]),
            service(SAGEMAKER),
            service("bedrock.amazonaws.com"),
        ]),
        document(&[
            federated("a.com", &["trainer"]),
            service(SAGEMAKER),
            json!({"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}),
        ]),
    ] {
        assert_eq!(
            desired().transition_from(&current),
            TrustTransition::Narrows,
            "{current}"
        );
    }
}

#[test]
fn who_stays_while_others_come_and_go_is_trusted_meanwhile() {
    let current = document(&[federated("a.com", &["trainer", "server"])]);
    let expected = document(&[federated("a.com", &["trainer"])]);
    assert!(equivalent(
        &meanwhile(&current),
        &PolicyDocument::parse(&expected).unwrap()
    ));
}

#[test]
fn nobody_is_trusted_meanwhile_when_nobody_stays() {
    let current = document(&[federated("a.com", &["server"])]);
    assert_eq!(meanwhile(&current), closed());
}

#[test]
fn a_service_account_of_another_audience_cluster_or_namespace_is_another() {
    for (from, to) in [
        ("sts.amazonaws.com", "sts.amazonaws.com.cn"),
        ("a.com", "A.com"),
        ("team-a", "team-b"),
        ("trainer", "Trainer"),
        ("012345678901", "999999999999"),
        ("arn:aws:", "arn:aws-cn:"),
    ] {
        let current = document(&[federated("a.com", &["trainer"])]).replace(from, to);
        assert_eq!(meanwhile(&current), closed(), "{current}");
    }
}

#[test]
fn a_service_on_behalf_of_another_account_is_another() {
    let current = document(&[service(SAGEMAKER)]).replace("012345678901", "999999999999");
    assert_eq!(meanwhile(&current), closed());
}

/// Our statements, each changed in one way, so that it lets in others than it seems to.
fn lookalikes() -> Vec<Value> {
    let federated = || federated("a.com", &["trainer"]);
    let service = || service(SAGEMAKER);
    let mut statements = Vec::new();
    let mut add = |mut statement: Value, change: &dyn Fn(&mut Value)| {
        change(&mut statement);
        statements.push(statement);
    };
    let equals = "/Condition/StringEquals";
    add(federated(), &|s| {
        s["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"])
    });
    add(federated(), &|s| s["Action"] = json!("sts:*"));
    add(federated(), &|s| {
        let action = s.as_object_mut().unwrap().remove("Action").unwrap();
        s["NotAction"] = action;
    });
    add(federated(), &|s| s["Principal"] = json!("*"));
    add(federated(), &|s| s["Principal"]["AWS"] = json!("123456789012"));
    add(federated(), &|s| {
        let provider = s["Principal"]["Federated"].clone();
        s["Principal"]["Federated"] = json!([provider, "cognito-identity.amazonaws.com"]);
    });
    add(federated(), &|s| s["Principal"]["Federated"] = json!("a.com"));
    add(federated(), &|s| {
        s["Principal"]["Federated"] = json!("arn:aws:iam::012345678901:oidc-provider/b.com");
    });
    add(federated(), &|s| {
        let condition = s["Condition"].as_object_mut().unwrap();
        let keys = condition.remove("StringEquals").unwrap();
        condition.insert("StringLike".to_owned(), keys);
    });
    add(federated(), &|s| {
        s["Condition"]["Bool"] = json!({"aws:SecureTransport": true})
    });
    add(federated(), &|s| {
        s.pointer_mut(equals).unwrap()["aws:SourceAccount"] = json!("012345678901");
    });
    add(federated(), &|s| {
        s.pointer_mut(equals)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove("a.com:sub");
    });
    add(federated(), &|s| {
        s.pointer_mut(equals)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove("a.com:aud");
    });
    add(federated(), &|s| {
        s.as_object_mut().unwrap().remove("Condition");
    });
    add(federated(), &|s| s["Resource"] = json!("*"));
    add(federated(), &|s| {
        s.pointer_mut(equals).unwrap()["a.com:sub"] = json!("${aws:username}")
    });
    add(service(), &|s| {
        s["Action"] = json!(["sts:AssumeRole", "sts:TagSession"])
    });
    add(service(), &|s| s["Principal"]["AWS"] = json!("123456789012"));
    add(service(), &|s| {
        s.as_object_mut().unwrap().remove("Condition");
    });
    add(service(), &|s| {
        s.pointer_mut(equals).unwrap()["aws:SourceArn"] = json!("x")
    });
    add(service(), &|s| {
        s["Condition"] = json!({"StringEquals": {"aws:SourceArn": "x"}})
    });
    add(service(), &|s| {
        s["Condition"] = json!({"StringLike": {"aws:SourceAccount": "0*"}})
    });
    add(service(), &|s| s["Principal"] = json!({"AWS": SAGEMAKER}));
    statements
}

#[test]
fn a_statement_of_any_other_shape_lets_in_somebody_who_must_go() {
    let ours = [federated("a.com", &["trainer"]), service(SAGEMAKER)];
    for lookalike in lookalikes() {
        assert_eq!(
            meanwhile(&document(std::slice::from_ref(&lookalike))),
            closed(),
            "{lookalike}"
        );

        let with_ours = document(&[&ours[..], std::slice::from_ref(&lookalike)].concat());
        assert_eq!(
            desired().transition_from(&with_ours),
            TrustTransition::Narrows,
            "{lookalike}"
        );

        let with_one_of_ours = meanwhile(&document(&[ours[1].clone(), lookalike.clone()]));
        let expected = PolicyDocument::parse(&document(&ours[1..])).unwrap();
        assert!(equivalent(&with_one_of_ours, &expected), "{lookalike}");
    }
}

#[test]
fn nothing_stays_where_it_is_not_known_who_gets_in() {
    let ours = || federated("a.com", &["trainer"]);
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole",
        "Condition": {"StringNotEquals": {"aws:SourceVpc": "x"}}});
    let not_principal =
        json!({"Effect": "Allow", "NotPrincipal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"});
    for current in [
        "".to_owned(),
        "not json".to_owned(),
        "{}".to_owned(),
        document(&[ours()]).replace("\"Condition\"", "\"Conditions\""),
        document(&[ours(), deny]),
        document(&[ours(), not_principal]),
    ] {
        assert_eq!(meanwhile(&current), closed(), "{current}");
    }
}

#[test]
fn a_provider_named_twice_is_one_provider() {
    let mut current = federated("a.com", &["trainer"]);
    let provider = current["Principal"]["Federated"].clone();
    current["Principal"]["Federated"] = json!([provider, provider]);
    assert_eq!(
        desired().transition_from(&document(&[current])),
        TrustTransition::Widens
    );
}

#[test]
fn a_policy_variable_stands_for_somebody_unknown() {
    let mut desired = policy(&["https://a.com"], &["trainer"], &[]);
    desired.audience = "${aws:username}".to_owned();
    // Not the same document, since in this version of the language it is no variable.
    let current = desired.document().to_json().replace("2012-10-17", "2008-10-17");
    assert_eq!(
        desired.transition_from(&current),
        TrustTransition::Replaces { meanwhile: closed() }
    );
}

#[test]
fn a_policy_that_is_to_be_closed_is_closed_first() {
    let nobody = policy(&[], &[], &[]);
    for current in [
        "not json".to_owned(),
        document(&[federated("a.com", &["trainer"])]),
    ] {
        assert_eq!(nobody.transition_from(&current), TrustTransition::Narrows);
    }
    assert_eq!(nobody.transition_from(&closed().to_json()), TrustTransition::Same);
}

#[test]
fn the_same_trust_in_other_statements_is_only_written_anew() {
    let both = policy(&["https://a.com"], &["server", "trainer"], &[]);
    for current in [
        document(&[federated("a.com", &["server"]), federated("a.com", &["trainer"])]),
        document(&[federated("a.com", &["server", "trainer"])]).replace("2012-10-17", "2008-10-17"),
    ] {
        assert_eq!(
            both.transition_from(&current),
            TrustTransition::Widens,
            "{current}"
        );
    }
}

/// Documents of ours, in other words, with and without a statement of somebody else's; and any
/// others.
fn any_current() -> impl Strategy<Value = String> {
    let ours = (any_policy(), any::<u64>())
        .prop_map(|(policy, seed)| reworded(&policy.document(), &mut Dice::new(seed)).to_string());
    let foreign = (any_policy(), any::<u64>(), select(lookalikes())).prop_map(|(policy, seed, statement)| {
        let mut document = policy.document();
        let foreign = json!({"Version": "2012-10-17", "Statement": statement});
        document
            .statements
            .extend(PolicyDocument::from_value(&foreign).unwrap().statements);
        reworded(&document, &mut Dice::new(seed)).to_string()
    });
    prop_oneof![
        8 => ours,
        8 => foreign,
        2 => any_document().prop_map(|document| document.to_json()),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn it_is_the_same_only_if_it_is_equivalent(desired in any_policy(), current in any_current()) {
        let equivalent = PolicyDocument::parse(&current)
            .is_ok_and(|current| equivalent(&current, &desired.document()));
        prop_assert_eq!(desired.transition_from(&current) == TrustTransition::Same, equivalent);
    }

    #[test]
    fn nobody_is_trusted_meanwhile_who_is_not_before_and_after(
        desired in any_policy(), current in any_current(),
    ) {
        let before = PolicyDocument::parse(&current)
            .map_or_else(|_| Trusted::unknown(), |current| Trusted::of(&current));
        match desired.transition_from(&current) {
            TrustTransition::Same => prop_assert_eq!(before.subjects, desired.subjects()),
            TrustTransition::Widens => {
                prop_assert!(!before.others);
                prop_assert!(before.subjects.is_subset(&desired.subjects()));
            }
            TrustTransition::Narrows => prop_assert!(before.subjects.is_superset(&desired.subjects())),
            TrustTransition::Replaces { meanwhile } => {
                prop_assert_eq!(check(&meanwhile, Kind::Trust), Ok(()));
                let meanwhile = Trusted::of(&meanwhile);
                prop_assert!(!meanwhile.others);
                prop_assert!(meanwhile.subjects.is_subset(&before.subjects));
                prop_assert!(meanwhile.subjects.is_subset(&desired.subjects()));
            }
        }
    }

    #[test]
    fn what_is_written_first_leaves_only_additions(desired in any_policy(), current in any_current()) {
        let written = match desired.transition_from(&current) {
            TrustTransition::Replaces { meanwhile } => meanwhile,
            _ => desired.document(),
        };
        let next = desired.transition_from(&written.to_json());
        prop_assert!(matches!(next, TrustTransition::Widens | TrustTransition::Same), "{:?}", next);
    }
}

#[test]
fn a_service_that_is_trusted_without_our_condition_is_told_apart_from_one_that_is_not_meant() {
    let services = json!({"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": [SAGEMAKER, "glue.amazonaws.com"]}});
    let said: Vec<String> = desired().shuts_out(&document(&[services])).into_iter().collect();
    assert_eq!(
        said,
        [
            "Service glue.amazonaws.com",
            "sagemaker.amazonaws.com under other conditions than aws:SourceAccount 012345678901, which this object adds",
        ]
    );
}
