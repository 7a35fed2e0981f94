//! What counts as a repair.

use super::fixtures::*;
use crate::plan::{DRIFT_KINDS, Step, bind, drift_kinds, drift_repaired};
use serde_json::json;

#[test]
fn what_was_put_back_is_named_once() {
    let steps = [
        Step::Detach(policy(ADMIN)),
        Step::Detach(policy(S3_READ)),
        Step::DeleteInline("x".to_owned()),
    ];
    let notice = drift_repaired(&steps, &[].into()).unwrap();
    assert_eq!(notice.reason, "DriftRepaired");
    assert!(notice.warning);
    assert!(
        notice
            .message
            .ends_with("put back: DetachRolePolicy, DeleteRolePolicy"),
        "{}",
        notice.message
    );
    assert_eq!(drift_repaired(&[], &[].into()), None);
    let kinds = drift_kinds(&steps, &[].into());
    assert_eq!(kinds, ["inline_policies", "managed_policies"].into());
    assert!(kinds.iter().all(|kind| DRIFT_KINDS.contains(kind)));
}

#[test]
fn a_service_account_that_came_later_is_no_damage() {
    let intent = intent(json!({}));
    for found in [vec![], vec![service_account("trainer", &[])]] {
        let steps = bind(&intent, around(&found, &[])).early;
        assert_eq!(steps.len(), 1);
        assert_eq!(drift_repaired(&steps, &[].into()), None);
        assert!(drift_repaired(&steps, &["trainer".to_owned()].into()).is_some());
    }
}
