//! `prepare-uninstall`: says whether the operator can go, and deletes the classes that go with it. Objects that are left
//! when the operator goes can't be deleted any more, since nobody takes off their finalizers. It doesn't delete what
//! tenants asked for, and it takes off no finalizer: the running operator does that.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use clap::Args;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::api::{MlServiceRole, MlServiceRoleClass};

/// How often it is looked whether the classes are gone.
const LOOK: Duration = Duration::from_millis(500);
/// More names than these are counted, not listed.
const NAMED: usize = 20;

/// Arguments of `prepare-uninstall`.
#[derive(Args, Clone, Debug)]
pub struct PrepareUninstallArgs {
    /// A class to delete, once no MlServiceRole is left; may be repeated. Any other class is a reason to refuse.
    #[arg(long = "delete-class", value_name = "NAME")]
    delete_classes: Vec<String>,
    /// How long the operator may take to let the classes go, in seconds.
    #[arg(long, default_value = "60", value_parser = super::seconds)]
    timeout: Duration,
}

/// Asks the cluster of the environment (in-cluster, or KUBECONFIG).
///
/// # Errors
///
/// Something is left, or the cluster can't be asked; the message says what to do.
pub fn run(args: &PrepareUninstallArgs) -> Result<(), String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("failed to start: {e}"))?
        .block_on(prepare(args))
}

async fn prepare(args: &PrepareUninstallArgs) -> Result<(), String> {
    let client = Client::try_default()
        .await
        .map_err(|e| format!("failed to find a Kubernetes cluster: {e}"))?;
    let roles: Api<MlServiceRole> = Api::all(client.clone());
    let classes: Api<MlServiceRoleClass> = Api::all(client);
    let own: BTreeSet<String> = args.delete_classes.iter().cloned().collect();
    let going = judge(&names(&roles).await?, &names(&classes).await?, &own)?;
    for class in &going {
        match classes.delete(class, &DeleteParams::default()).await {
            Err(error) if !is_not_found(&error) => {
                return Err(format!("failed to delete MlServiceRoleClass {class}: {error}"));
            }
            _ => println!("deleting MlServiceRoleClass {class}"),
        }
    }
    match tokio::time::timeout(args.timeout, all_gone(&classes, &going)).await {
        Ok(result) => result?,
        Err(_) => return Err(stuck(&going, args.timeout)),
    }
    println!("no MlServiceRole and no MlServiceRoleClass is left: the operator can go");
    Ok(())
}

async fn all_gone(classes: &Api<MlServiceRoleClass>, going: &BTreeSet<String>) -> Result<(), String> {
    while names(classes).await?.iter().any(|name| going.contains(name)) {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// All objects of a kind, as namespace/name; none if the cluster doesn't know the kind. Only their metadata are read,
/// so that an object with a spec that this version can't read counts too.
async fn names<K>(api: &Api<K>) -> Result<Vec<String>, String>
where
    K: Resource + Clone + DeserializeOwned + Debug,
    K::DynamicType: Default,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    match api.list_metadata(&ListParams::default()).await {
        Ok(list) => Ok(list
            .items
            .iter()
            .map(|object| match object.namespace() {
                Some(namespace) => format!("{namespace}/{}", object.name_any()),
                None => object.name_any(),
            })
            .collect()),
        Err(error) if is_not_found(&error) => Ok(Vec::new()),
        Err(error) => Err(format!("failed to list {kind} objects: {error}")),
    }
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// The classes to delete, or why the operator must stay.
fn judge(roles: &[String], classes: &[String], own: &BTreeSet<String>) -> Result<BTreeSet<String>, String> {
    if !roles.is_empty() {
        return Err(format!(
            "the operator must stay: {} left, and without it their IAM roles stay in AWS and the objects can't be deleted. \
             While it runs, delete them (each takes its IAM role with it), then uninstall again:\n  \
             kubectl delete mlserviceroles --all --all-namespaces\n\
             To take the operator away and keep everything, skip this check (helm uninstall --no-hooks)",
            listed(roles, "MlServiceRole")
        ));
    }
    let others: Vec<String> = classes
        .iter()
        .filter(|name| !own.contains(*name))
        .cloned()
        .collect();
    if !others.is_empty() {
        return Err(format!(
            "the operator must stay: {} left, and without it they can't be deleted. While it runs, delete them, then \
             uninstall again:\n  kubectl delete mlserviceroleclasses {}\n\
             To take the operator away and keep them, skip this check (helm uninstall --no-hooks)",
            listed(&others, "MlServiceRoleClass"),
            others.join(" ")
        ));
    }
    Ok(own
        .iter()
        .filter(|name| classes.contains(name))
        .cloned()
        .collect())
}

fn stuck(going: &BTreeSet<String>, timeout: Duration) -> String {
    let names: Vec<&str> = going.iter().map(String::as_str).collect();
    format!(
        "not all of the classes {} were gone after {} s: is the operator running? The class's conditions say what keeps \
         it:\n  kubectl describe mlserviceroleclasses",
        names.join(", "),
        timeout.as_secs()
    )
}

fn listed(names: &[String], kind: &str) -> String {
    let shown = names
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (objects, verb) = match (names.len(), kind) {
        (1, kind) => (kind.to_owned(), "is"),
        (_, "MlServiceRoleClass") => ("MlServiceRoleClasses".to_owned(), "are"),
        (_, kind) => (format!("{kind}s"), "are"),
    };
    format!("{} {objects} ({shown}{more}) {verb}", names.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn nothing_is_left_so_the_operator_can_go() {
        assert_eq!(judge(&[], &[], &set(&["default"])), Ok(set(&[])));
    }

    #[test]
    fn its_own_classes_go_with_it() {
        let going = judge(&[], &strings(&["default"]), &set(&["default", "gone-by-hand"]));
        assert_eq!(going, Ok(set(&["default"])));
    }

    #[test]
    fn a_role_that_is_left_is_named_with_the_remedy_and_no_class_goes() {
        let refused = judge(
            &strings(&["team-a/trainer"]),
            &strings(&["default"]),
            &set(&["default"]),
        );
        let refused = refused.unwrap_err();
        assert!(
            refused.contains("1 MlServiceRole (team-a/trainer) is left"),
            "{refused}"
        );
        assert!(refused.contains("kubectl delete mlserviceroles --all --all-namespaces"));
    }

    #[test]
    fn a_class_of_somebody_else_is_named_with_the_remedy() {
        let refused = judge(&[], &strings(&["default", "gpu", "research"]), &set(&["default"]));
        let refused = refused.unwrap_err();
        assert!(
            refused.contains("2 MlServiceRoleClasses (gpu, research) are left"),
            "{refused}"
        );
        assert!(refused.contains("kubectl delete mlserviceroleclasses gpu research"));
    }

    #[test]
    fn of_many_only_some_are_named() {
        let many: Vec<String> = (0..25).map(|n| format!("team/{n}")).collect();
        let refused = judge(&many, &[], &set(&[])).unwrap_err();
        assert!(
            refused.contains("25 MlServiceRoles") && refused.contains("team/19 and 5 more"),
            "{refused}"
        );
    }
}
