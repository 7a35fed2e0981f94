//! The manifests in deploy/ hold what this release can do: their classes are understood, their
//! MlServiceRoles are allowed by the class that they name, and the Deployment starts only once its
//! placeholder is filled in. That an API server takes them is not checked here.

// clippy.toml allows it in test functions only, not in what test functions share.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use mlservicerole_operator::api::{DEFAULT_CLASS_ANNOTATION, MlServiceRole, MlServiceRoleClass};
use mlservicerole_operator::cli::Cli;
use mlservicerole_operator::guard::{self, ClassRules};
use mlservicerole_operator::iam::quota::AccountQuotas;
use mlservicerole_operator::plan::{self, Account, ClusterIdentity, NamespaceState, Resolution};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_value};

/// Every YAML document of a directory of deploy/, with the file that it is in.
fn documents(directory: &str) -> Vec<(PathBuf, Value)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(directory);
    let mut files: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no manifests", directory.display());
    files
        .into_iter()
        .flat_map(|file| {
            let text = fs::read_to_string(&file).unwrap();
            yaml_serde::Deserializer::from_str(&text)
                .map(|document| (file.clone(), Value::deserialize(document).unwrap()))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn of_kind<T: DeserializeOwned>(documents: &[(PathBuf, Value)], kind: &str) -> Vec<(PathBuf, T)> {
    documents
        .iter()
        .filter(|(_, document)| document["kind"] == kind)
        .map(|(file, document)| {
            let object = from_value(document.clone()).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            (file.clone(), object)
        })
        .collect()
}

fn understood(class: &MlServiceRoleClass) -> ClassRules {
    let name = class.metadata.name.as_deref().unwrap();
    guard::understand(name, &class.spec).unwrap_or_else(|refusal| panic!("{}", refusal.message))
}

fn all() -> Vec<(PathBuf, Value)> {
    let mut all = documents("kubectl");
    all.extend(documents("samples"));
    all
}

#[test]
fn every_class_is_understood_and_one_is_the_default() {
    let classes: Vec<(_, MlServiceRoleClass)> = of_kind(&all(), "MlServiceRoleClass");
    let mut defaults = Vec::new();
    for (_, class) in &classes {
        let rules = understood(class);
        let annotations = class.metadata.annotations.clone().unwrap_or_default();
        if annotations
            .get(DEFAULT_CLASS_ANNOTATION)
            .is_some_and(|value| value == "true")
        {
            defaults.push(rules.name);
        }
    }
    assert_eq!(defaults, ["default"]);
}

#[test]
fn every_sample_is_resolved_under_the_class_that_it_names() {
    let all = all();
    let classes: BTreeMap<String, ClassRules> = of_kind::<MlServiceRoleClass>(&all, "MlServiceRoleClass")
        .iter()
        .map(|(_, class)| understood(class))
        .map(|rules| (rules.name.clone(), rules))
        .collect();
    let roles: Vec<(_, MlServiceRole)> = of_kind(&all, "MlServiceRole");
    assert!(!roles.is_empty());
    for (file, role) in roles {
        let file = file.display();
        let name = role.metadata.name.as_deref().unwrap();
        let namespace = role.metadata.namespace.unwrap();
        let class = role.spec.class_name.as_deref().unwrap_or("default");
        let class = classes
            .get(class)
            .unwrap_or_else(|| panic!("{file}: no class {class:?}"));
        // As the comment in two-clusters.yaml says, the first issuer is this cluster's.
        let own = class.issuers.first().map_or_else(
            || "https://oidc.eks.us-east-1.amazonaws.com/id/OWN".parse().unwrap(),
            |(issuer, _)| issuer.clone(),
        );
        let (issuers, notice) = guard::issuers_in_force(class, &own, None)
            .unwrap_or_else(|refusal| panic!("{file}: {}", refusal.message));
        assert_eq!(notice, None, "{file}");
        let resolved = plan::resolve(Resolution {
            name,
            uid: "uid",
            spec: &role.spec,
            placement: None,
            namespace: &NamespaceState {
                name: namespace.clone(),
                uid: "namespace-uid".to_owned(),
                labels: BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), namespace.clone())]),
            },
            class,
            issuers: &issuers,
            account: &Account {
                id: class
                    .account
                    .clone()
                    .unwrap_or_else(|| "111122223333".parse().unwrap()),
                partition: "aws".parse().unwrap(),
                quotas: AccountQuotas::default(),
            },
            cluster: &ClusterIdentity {
                name: "prod".to_owned(),
                uid: "cluster-uid".to_owned(),
                region: Some("eu-west-1".to_owned()),
            },
        });
        if let Err(refusal) = resolved {
            panic!("{file}: {}: {}", refusal.reason, refusal.message);
        }
    }
}

#[test]
fn no_two_samples_claim_the_same_service_account() {
    let mut claims = BTreeMap::new();
    for (file, role) in of_kind::<MlServiceRole>(&all(), "MlServiceRole") {
        let name = role.metadata.name.unwrap();
        for account in role.spec.service_account_references(&name) {
            let claim = (role.metadata.namespace.clone(), account.name);
            if let Some(other) = claims.insert(claim.clone(), file.clone()) {
                panic!("{claim:?} is in {} and in {}", other.display(), file.display());
            }
        }
    }
}

/// What the operator is started with by deploy/kubectl/.
fn deployment_args() -> Vec<String> {
    let documents = documents("kubectl");
    let (_, deployment) = documents
        .iter()
        .find(|(_, document)| document["kind"] == "Deployment")
        .unwrap();
    from_value(deployment["spec"]["template"]["spec"]["containers"][0]["args"].clone()).unwrap()
}

/// Kind and namespace of what gives rights to a resource, and the rules that do.
fn granted(resource: &str) -> Vec<(Value, Value, Value)> {
    let mut granted = Vec::new();
    for (_, document) in documents("kubectl") {
        for rule in document["rules"].as_array().into_iter().flatten() {
            if rule["resources"].as_array().unwrap().contains(&resource.into()) {
                let namespace = document["metadata"]["namespace"].clone();
                granted.push((document["kind"].clone(), namespace, rule.clone()));
            }
        }
    }
    granted
}

#[test]
fn the_deployment_is_refused_until_the_cluster_is_named_and_understood_then() {
    let args = deployment_args();
    let parse = |args: &[String]| {
        Cli::try_parse_from(std::iter::once("mlservicerole-operator").chain(args.iter().map(String::as_str)))
    };
    let refused = parse(&args).unwrap_err().to_string();
    assert!(refused.contains("a cluster name has"), "{refused}");
    let filled_in: Vec<_> = args
        .iter()
        .map(|arg| arg.replace("<name-of-this-cluster>", "prod"))
        .collect();
    assert_ne!(args, filled_in);
    parse(&filled_in).unwrap();
}

/// They say what tenants' roles were: the operator must be able to write and read them, and nothing more.
#[test]
fn the_operator_may_create_and_read_config_maps_of_its_own_namespace_and_no_others() {
    let granted = granted("configmaps");
    let granted: Vec<_> = granted
        .iter()
        .map(|(kind, namespace, rule)| (kind.as_str(), namespace.as_str(), &rule["verbs"]))
        .collect();
    let verbs = serde_json::json!(["create", "get", "list"]);
    assert_eq!(granted, [(Some("Role"), Some("mlservicerole-system"), &verbs)]);
}

/// Who holds the Lease works: the operator may write this one Lease and no other, and make it.
#[test]
fn the_operator_may_write_the_lease_that_it_is_told_of_by_default_and_no_other() {
    let name = Cli::try_parse_from(["mlservicerole-operator", "run", "--cluster-name", "x"])
        .map(|cli| format!("{cli:?}"))
        .unwrap();
    assert!(name.contains("leader_elect_resource_name: \"mlservicerole-operator\""));
    let granted: Vec<_> = granted("leases")
        .into_iter()
        .map(|(_, namespace, rule)| (namespace, rule["verbs"].clone(), rule["resourceNames"].clone()))
        .collect();
    let place = Value::from("mlservicerole-system");
    let named = serde_json::json!(["mlservicerole-operator"]);
    assert_eq!(
        granted,
        [
            (place.clone(), serde_json::json!(["create"]), Value::Null),
            (
                place,
                serde_json::json!(["get", "list", "watch", "update"]),
                named
            ),
        ]
    );
}

/// A setting that the chart doesn't have can't be changed by whoever installs it.
#[test]
fn the_deployment_sets_every_flag_of_run() {
    let args = deployment_args();
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let missing: Vec<_> = run
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .filter(|flag| *flag != "help")
        .filter(|flag| !args.iter().any(|arg| arg.starts_with(&format!("--{flag}="))))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
