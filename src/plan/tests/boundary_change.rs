//! What the status of a class says while its roles carry another boundary than it asks for.

use crate::api::class::BoundaryChange;
use crate::iam::arn::PolicyArn;
use crate::plan::{KnownBoundary, boundary_change};

const OLD: &str = "arn:aws:iam::111122223333:policy/old";
const NEW: &str = "arn:aws:iam::111122223333:policy/new";

fn new() -> PolicyArn {
    NEW.parse().unwrap()
}

fn arn(arn: &str) -> KnownBoundary {
    KnownBoundary::Arn(arn.to_owned())
}

fn change(from: &[&str], pending: i32) -> BoundaryChange {
    BoundaryChange {
        to: Some(NEW.to_owned()),
        from: from.iter().map(|&arn| arn.to_owned()).collect(),
        pending_roles: pending,
    }
}

#[test]
fn nothing_is_said_where_every_role_carries_the_boundary() {
    assert_eq!(boundary_change(Some(&new()), &[arn(NEW), arn(NEW)], None), None);
    assert_eq!(boundary_change(None, &[KnownBoundary::None], None), None);
    assert_eq!(boundary_change(Some(&new()), &[], None), None);
}

#[test]
fn roles_with_another_boundary_or_none_are_counted_and_the_former_boundaries_named() {
    let roles = [arn(OLD), arn(OLD), KnownBoundary::None, arn(NEW)];
    assert_eq!(
        boundary_change(Some(&new()), &roles, None),
        Some(change(&[OLD], 3))
    );
}

#[test]
fn a_boundary_that_no_class_wants_any_more_is_named_since_it_is_never_removed() {
    let left = boundary_change(None, &[arn(OLD)], None).unwrap();
    assert_eq!(
        (left.to, left.from, left.pending_roles),
        (None, vec![OLD.to_owned()], 1)
    );
}

#[test]
fn after_a_restart_what_was_said_stands_until_every_role_was_looked_at() {
    let before = change(&[OLD], 2);
    let unread = [KnownBoundary::Unknown, arn(NEW)];
    assert_eq!(
        boundary_change(Some(&new()), &unread, Some(&before)),
        Some(before.clone())
    );
    assert_eq!(
        boundary_change(Some(&new()), &[arn(NEW), arn(NEW)], Some(&before)),
        None
    );
    // The class wants something else again: what was said is about another change.
    let other = boundary_change(None, &unread, Some(&before)).unwrap();
    assert_eq!(other.from, [NEW.to_owned()]);
}

#[test]
fn at_most_ten_former_boundaries_are_named() {
    let roles: Vec<_> = (0..30)
        .map(|i| arn(&format!("arn:aws:iam::111122223333:policy/old-{i}")))
        .collect();
    let left = boundary_change(Some(&new()), &roles, None).unwrap();
    assert_eq!((left.from.len(), left.pending_roles), (10, 30));
}
