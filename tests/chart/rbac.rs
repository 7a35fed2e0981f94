//! The rights in the manifests, the operator's and the people's: each rule says why it is there.

use std::fs;

use serde::Deserialize;
use serde_json::Value;

use super::{checkout, read};

#[test]
fn every_rule_has_its_reason_in_the_line_above_it() {
    let mut rules = 0;
    for entry in fs::read_dir(checkout("deploy/kubectl")).unwrap() {
        let file = entry.unwrap().path();
        let text = read(&file);
        let mut is_rbac = false;
        let mut above = "";
        for line in text.lines() {
            match line.trim() {
                "---" => is_rbac = false,
                "apiVersion: rbac.authorization.k8s.io/v1" => is_rbac = true,
                rule if is_rbac && rule.starts_with("- apiGroups:") => {
                    rules += 1;
                    assert!(
                        above.starts_with('#'),
                        "{}: no reason above {rule:?}, after {above:?}",
                        file.display()
                    );
                }
                _ => {}
            }
            above = line.trim();
        }
    }
    assert!(rules > 10, "{rules} rules");
}

/// What the code asks of the API server, and nothing besides: whoever lets it do more changes this table as well.
#[test]
fn the_operator_may_do_what_it_does_and_no_more() {
    let text = read(&checkout("deploy/kubectl/10-rbac.yaml"));
    let mut granted = Vec::new();
    for document in yaml_serde::Deserializer::from_str(&text) {
        let document = Value::deserialize(document).unwrap();
        let kind = document["kind"].as_str().unwrap_or_default().to_owned();
        for rule in document["rules"].as_array().into_iter().flatten() {
            granted.push(format!(
                "{kind}: {} of {}",
                words(&rule["verbs"]),
                words(&rule["resources"])
            ));
        }
    }
    assert_eq!(
        granted,
        [
            "ClusterRole: get list watch patch of mlserviceroles",
            "ClusterRole: patch update of mlserviceroles/status",
            "ClusterRole: list watch patch of mlserviceroleclasses",
            "ClusterRole: update of mlserviceroleclasses/status",
            "ClusterRole: get list watch create patch delete of serviceaccounts",
            "ClusterRole: get list watch of namespaces",
            "ClusterRole: create of events",
            "Role: create get list of configmaps",
            "Role: create of leases",
            "Role: get list watch update of leases",
        ]
    );
}

fn words(list: &Value) -> String {
    let items: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_str().unwrap())
        .collect();
    items.join(" ")
}
