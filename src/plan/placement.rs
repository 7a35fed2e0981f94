//! Where an object's role lives: resolved once, recorded on the object before the role is created, and never a
//! permission. Ownership tags and the class decide what may be done there.

use serde::{Deserialize, Serialize};

use super::Account;
use crate::api::condition::reasons;
use crate::guard::Refusal;
use crate::iam::arn::RoleArn;

/// The annotation `mlservicerole.io/placement`, as JSON.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Name of the MlServiceRoleClass.
    pub class: String,
    /// ARN that the role has or will have: account, path and name.
    pub role_arn: RoleArn,
}

impl Placement {
    /// Reads the annotation's value.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        serde_json::from_str(text).map_err(|e| {
            Refusal::new(
                reasons::PLACEMENT_CHANGED,
                format!(
                    "the annotation mlservicerole.io/placement can't be read ({e}); it is written by the operator: remove \
                     it, and the operator writes it again"
                ),
            )
        })
    }

    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        serde_json::json!({ "class": self.class, "roleArn": self.role_arn.to_string() }).to_string()
    }
}

/// Which class serves an object: the one that it names, else the one that its placement recorded, else the one
/// default class.
pub fn select_class<'a>(
    class_name: Option<&'a str>,
    placement: Option<&'a Placement>,
    defaults: &'a [String],
) -> Result<&'a str, Refusal> {
    match (class_name, placement) {
        (Some(named), Some(placed)) if named != placed.class => Err(Refusal::new(
            reasons::PLACEMENT_CHANGED,
            format!(
                "className is {named:?} but the role was placed by class {:?} (annotation mlservicerole.io/placement); set \
                 the annotation back, or create another MlServiceRole",
                placed.class
            ),
        )),
        (Some(named), _) => Ok(named),
        (None, Some(placed)) => Ok(&placed.class),
        (None, None) => match defaults {
            [only] => Ok(only),
            [] => Err(Refusal::new(
                reasons::NO_DEFAULT_CLASS,
                "className is absent and no MlServiceRoleClass is annotated mlservicerole.io/is-default-class: \"true\"; \
                 create this object again with a className, or ask the platform admin for a default class",
            )),
            several => Err(Refusal::new(
                reasons::AMBIGUOUS_DEFAULT_CLASS,
                format!(
                    "className is absent and several MlServiceRoleClasses are annotated \
                     mlservicerole.io/is-default-class: \"true\" ({}); ask the platform admin to leave one",
                    several.join(", ")
                ),
            )),
        },
    }
}

/// The placement of a live object: what its annotation says, as long as that is what this process knows it to be.
///
/// An annotation that went is written again. One that was changed would let a role at the former place be
/// forgotten, so nothing is done until it is back.
pub fn placement_in_force(
    annotated: Result<Option<Placement>, Refusal>,
    known: Option<&Placement>,
) -> Result<Option<Placement>, Refusal> {
    match (annotated?, known) {
        (Some(annotated), Some(known)) if annotated != *known => Err(Refusal::new(
            reasons::PLACEMENT_CHANGED,
            format!(
                "the annotation mlservicerole.io/placement was changed, but the role stays at {} (class {:?}); remove the \
                 annotation, and the operator writes it again as it was",
                known.role_arn, known.class
            ),
        )),
        (annotated, known) => Ok(annotated.or_else(|| known.cloned())),
    }
}

/// The class through which the role of an object that is being deleted is reached. `className` can't be changed,
/// the annotation can: where the two differ, it is the annotation that isn't what it was.
pub fn departing_class<'a>(
    class_name: Option<&'a str>,
    placement: Option<&'a Placement>,
    defaults: &'a [String],
) -> Result<&'a str, Refusal> {
    match class_name {
        Some(named) => Ok(named),
        None => select_class(None, placement, defaults),
    }
}

/// Where the role of an object that is being deleted may be: where it was placed, and where spec and class put it
/// now. The two differ only where somebody changed the annotation, or the cluster's name; at neither place may a
/// role of ours be left behind, so an object that was placed out of `reached` doesn't go.
pub fn departure_targets(
    recorded: Option<&Placement>,
    computed: Result<Placement, Refusal>,
    reached: &Account,
) -> Result<Vec<Placement>, Refusal> {
    let Some(recorded) = recorded else {
        return computed.map(|computed| vec![computed]);
    };
    let arn = &recorded.role_arn;
    if *arn.account() != reached.id || *arn.partition() != reached.partition {
        return Err(Refusal::new(
            reasons::PLACEMENT_CHANGED,
            format!(
                "the role was placed at {arn} (annotation mlservicerole.io/placement), but its class reaches account {} of \
                 partition {}, so the role can't be deleted; ask the platform admin to let the class reach the former \
                 account again, or correct the annotation if it was changed by hand",
                reached.id, reached.partition
            ),
        ));
    }
    let mut targets = vec![recorded.clone()];
    targets.extend(computed.ok().filter(|computed| computed.role_arn != *arn));
    Ok(targets)
}
