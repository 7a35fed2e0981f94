//! Where an object's role lives: resolved once, recorded on the object before the role is created, and never a
//! permission. Ownership tags and the class decide what may be done there.

use serde::{Deserialize, Serialize};

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
