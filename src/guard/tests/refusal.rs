//! Refusals, alone and joined.

use crate::guard::Refusal;

#[test]
fn nothing_joined_is_no_refusal() {
    assert_eq!(Refusal::joined(vec![]), None);
}

#[test]
fn several_refusals_speak_together_under_the_first_ones_reason() {
    let joined = Refusal::joined(vec![Refusal::new("A", "one"), Refusal::new("B", "two")]).unwrap();
    assert_eq!(joined, Refusal::new("A", "one; two"));
}

#[test]
fn one_final_refusal_makes_all_of_them_final() {
    let passing = || Refusal::passing("A", "one");
    assert!(!Refusal::joined(vec![passing(), passing()]).unwrap().final_);
    let joined = Refusal::joined(vec![passing(), Refusal::new("B", "two")]).unwrap();
    assert!(joined.final_);
    assert_eq!(joined.reason, "A");
}

#[test]
fn an_object_that_observes_hears_that_its_role_is_not_cut_back() {
    let told = Refusal::new("ManagedPolicyNotAllowed", "not this").of_observed_role();
    for part in [
        "; not this",
        "mode is Observe",
        "keeps what it has",
        "onViolation: Revoke",
    ] {
        assert!(told.message.contains(part), "{}", told.message);
    }
}
