//! What can go wrong on the way.

use crate::dice::Dice;
use crate::support::fake_cluster::{conflict, unavailable};
use crate::support::fake_iam::{iam_error, throttled};
use crate::world::World;

const IAM: [&str; 17] = [
    "CreateRole",
    "GetRole",
    "DeleteRole",
    "UpdateAssumeRolePolicy",
    "UpdateRole",
    "PutRolePermissionsBoundary",
    "TagRole",
    "UntagRole",
    "PutRolePolicy",
    "DeleteRolePolicy",
    "AttachRolePolicy",
    "DetachRolePolicy",
    "ListAttachedRolePolicies",
    "ListRolePolicies",
    "GetRolePolicy",
    "ListInstanceProfilesForRole",
    "RemoveRoleFromInstanceProfile",
];

const CLUSTER: [&str; 8] = [
    "add_finalizer",
    "remove_finalizer",
    "keep_former_state",
    "former_state",
    "create_service_account",
    "bind_service_account",
    "unbind_service_account",
    "delete_service_account",
];

/// Lets a few calls fail or lose their answers.
pub fn plant(dice: &mut Dice, world: &World<'_>) {
    for _ in 0..=dice.roll(4) {
        let operation = *dice.pick(&IAM);
        match dice.roll(5) {
            0 | 1 => world.iam.lose_next_answer(operation),
            2 => world.iam.fail_next(operation, throttled(operation)),
            3 => {
                let error = iam_error(operation, "ConcurrentModification", "try again");
                world.iam.fail_next(operation, error);
            }
            _ => {
                let error = iam_error("DeleteRole", "DeleteConflict", "must detach all policies first");
                world.iam.fail_next("DeleteRole", error);
            }
        }
    }
    for _ in 0..dice.roll(3) {
        let operation = *dice.pick(&CLUSTER);
        match dice.roll(3) {
            0 => world.cluster.lose_next_answer(operation),
            1 => world.cluster.fail_next(operation, unavailable()),
            _ => world
                .cluster
                .fail_next(operation, conflict("the object has been modified")),
        }
    }
}
