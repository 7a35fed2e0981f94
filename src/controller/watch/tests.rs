//! Who is woken by what.

use std::cell::RefCell;
use std::sync::Mutex;

use kube::runtime::reflector::store;
use serde_json::json;

use super::*;
use crate::api::MlServiceRoleClass;

fn role(name: &str, uid: &str, service_account: &str) -> GuardedRole {
    let role = json!({
        "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole",
        "metadata": {"name": name, "namespace": "team-a", "uid": uid},
        "spec": {"serviceAccounts": [{"name": service_account}]},
    });
    serde_json::from_str(&role.to_string()).unwrap()
}

fn class(name: &str) -> GuardedClass {
    let mut class = MlServiceRoleClass::new(name, crate::api::MlServiceRoleClassSpec::default());
    class.metadata.uid = Some(format!("uid-{name}"));
    serde_json::from_str(&serde_json::to_string(&class).unwrap()).unwrap()
}

type Names = Arc<Mutex<Vec<String>>>;

/// Notes who is woken.
fn noting() -> (Wake, Names) {
    let names = Names::default();
    let noted = Arc::clone(&names);
    (Arc::new(move |key| noted.lock().unwrap().push(key.name)), names)
}

fn woken(names: &Names) -> Vec<String> {
    let mut names = std::mem::take(&mut *names.lock().unwrap());
    names.sort();
    names
}

fn list<K>(writer: &mut Writer<K>, items: Vec<K>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    writer.apply_watcher_event(&Event::Init);
    for item in items {
        writer.apply_watcher_event(&Event::InitApply(item));
    }
    writer.apply_watcher_event(&Event::InitDone);
}

#[test]
fn after_a_new_list_every_role_is_looked_at() {
    let (reader, mut writer) = store();
    let (wake, from) = noting();
    let lists = RefCell::new(0);
    let gone = |role: Option<&GuardedRole>| {
        assert!(role.is_none());
        *lists.borrow_mut() += 1;
    };
    let touched = of_role(reader, Arc::default(), wake, |_| (), gone);
    list(&mut writer, vec![role("a", "1", "x"), role("b", "2", "y")]);
    touched(None);
    assert_eq!(woken(&from), ["a", "b"]);
    assert_eq!(*lists.borrow(), 1);
}

#[test]
fn a_role_that_changes_is_looked_at_and_one_that_goes_makes_way_for_its_rivals() {
    let (reader, mut writer) = store();
    let (wake, from) = noting();
    let (noted, went) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let gone = |role: Option<&GuardedRole>| went.borrow_mut().push(role.and_then(ResourceExt::uid));
    let note = |role: &GuardedRole| noted.borrow_mut().extend(role.uid());
    let touched = of_role(reader, Arc::default(), wake, note, gone);
    list(
        &mut writer,
        vec![role("a", "1", "x"), role("b", "2", "x"), role("c", "3", "y")],
    );
    touched(None);
    assert_eq!(woken(&from), ["a", "b", "c"]);
    assert_eq!(went.take(), [None]);
    touched(Some(&role("a", "1", "x")));
    assert_eq!(woken(&from), ["a"]);
    assert_eq!((noted.take(), went.take()), (vec!["1".to_owned()], vec![]));

    // It never had our finalizer, so that no reconcile of its own wakes anybody.
    writer.apply_watcher_event(&Event::Delete(role("a", "1", "x")));
    touched(Some(&role("a", "1", "x")));
    assert_eq!(woken(&from), ["b"]);
    assert_eq!((noted.take(), went.take()), (vec![], vec![Some("1".to_owned())]));

    // Created again under its name: the other one went.
    writer.apply_watcher_event(&Event::Apply(role("a", "4", "x")));
    touched(Some(&role("a", "1", "x")));
    assert_eq!(went.take(), [Some("1".to_owned())]);
}

#[tokio::test]
async fn a_class_that_only_a_new_list_shows_is_looked_at() {
    let (reader, mut writer) = store();
    let woken = Arc::new(Woken::default());
    let touched = classes(reader, Arc::clone(&woken));
    list(&mut writer, vec![class("a")]);
    touched(None);
    assert_eq!(woken.next().await, "a");
    list(&mut writer, vec![class("a"), class("b")]);
    touched(None);
    assert_eq!([woken.next().await, woken.next().await], ["a", "b"]);
    writer.apply_watcher_event(&Event::Delete(class("b")));
    touched(Some(&class("b")));
    assert_eq!(woken.next().await, "b");
}
