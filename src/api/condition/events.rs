//! Reasons of Events that tell of something that happened once and isn't a condition: one table with what each means. The
//! constants and a table of docs/conditions.md are made of it.

/// One reason of an Event, for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Happened {
    /// As an Event has it.
    pub name: &'static str,
    /// What happened, as Markdown without links.
    pub meaning: &'static str,
}

/// Constants, and the table with one row for each: `NAME = reason, meaning`.
macro_rules! events {
    ($($constant:ident = $name:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: &str = $name;
        )*

        /// All of them.
        pub const ALL: &[Happened] = &[$(
            Happened {
                name: $constant,
                meaning: $meaning,
            },
        )*];
    };
}

events! {
    DRIFT_REPAIRED = "DriftRepaired",
        "Somebody else changed the role or a ServiceAccount, and it was put back. The message names the \
        steps.";
    ORPHANED_ROLES = "OrphanedRoles",
        "On a class: roles under its path carry this cluster's tags and belong to no object any more. They \
        are left alone; the class's `status.orphans` names them.";
    PERMISSIONS_REVOKED = "PermissionsRevoked",
        "The class narrowed and says `onViolation: Revoke`: what it no longer allows was taken from the \
        role. The message says what.";
    ROLE_TAKEN_OVER = "RoleTakenOver",
        "The role of an earlier object of the same name, or of a listed former cluster, is this object's \
        now.";
    PREVIOUS_ROLE_ARN_DROPPED = "PreviousRoleArnDropped",
        "A ServiceAccount was let go, and what its annotation `mlservicerole.io/previous-role-arn` said \
        was no role's ARN, so that it wasn't put back.";
    ROLE_ADOPTED = "RoleAdopted",
        "An existing role is being taken over. The message names the ConfigMap, in the operator's \
        namespace, that keeps what the role was.";
    ROLE_GIVEN_BACK = "RoleGivenBack",
        "The object is gone, and the role that it had taken over is as it was before.";
    BOUNDARY_KEPT = "BoundaryKept",
        "A role that was given back keeps a permissions boundary that it didn't have before.";
    ROLE_RETAINED = "RoleRetained",
        "The object is gone, and its role stays and belongs to nobody.";
    ROLE_LEFT_ALONE = "RoleLeftAlone",
        "The object is gone, and the role of its name stays, since it wasn't the object's.";
    ROLE_LEFT_IN_PLACE = "RoleLeftInPlace",
        "The object is gone. It was in mode `Observe`, so its role and what ServiceAccounts carry stay as \
        they were.";
    SERVICE_ACCOUNT_KEPT = "ServiceAccountKept",
        "A ServiceAccount that the operator created stays, without its annotations, since somebody else \
        has written to it, it has secrets, or another MlServiceRole lists it.";
}
