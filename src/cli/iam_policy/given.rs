//! The input of `iam-policy`: classes, each valid and understood. MlServiceRoles, which samples have beside their
//! class, are passed over with a note; anything else is an error, since a class that was mistyped must not be missed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Stop;
use crate::api::{GROUP, MlServiceRoleClass, MlServiceRoleClassSpec};
use crate::guard::{self, ClassRules};
use crate::manifest::{Definition, Document};
use crate::permissions::FormerBoundary;

const CLASS: &str = "MlServiceRoleClass";
const ROLE: &str = "MlServiceRole";

/// What was given.
#[derive(Default)]
pub(super) struct Given {
    /// The classes, in the order in which they were found.
    pub classes: Vec<(MlServiceRoleClassSpec, ClassRules)>,
    /// Boundaries that roles still carry while their class changes it, as the status of a live class says.
    pub former_boundaries: Vec<FormerBoundary>,
}

/// Reads the classes.
pub(super) fn classes(documents: Vec<Document>) -> Result<Given, Stop> {
    let mut found = Given::default();
    let mut names = BTreeSet::new();
    let (mut unusable, mut refused) = (Vec::new(), Vec::new());
    for document in documents {
        let name = document.value["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let ours = document
            .api_version()
            .split_once('/')
            .is_some_and(|(group, _)| group == GROUP);
        match document.kind() {
            CLASS if ours => {}
            ROLE if ours => {
                eprintln!(
                    "note: {ROLE} {name:?} in {} ignored: only classes matter here",
                    document.source
                );
                continue;
            }
            kind => {
                unusable.push(format!(
                    "{}: {kind} {name:?} ({}) isn't an {CLASS} of {GROUP}; leave it out",
                    document.source,
                    document.api_version()
                ));
                continue;
            }
        }
        if !names.insert(name.clone()) {
            unusable.push(format!(
                "{}: class {name:?} is there twice; leave one out",
                document.source
            ));
            continue;
        }
        match read(&document.value) {
            Err(mistakes) => {
                let named = |mistake: String| format!("{}: class {name:?}: {mistake}", document.source);
                unusable.extend(mistakes.into_iter().map(named));
            }
            Ok(class) => match guard::understand(&name, &class.spec) {
                Ok(rules) => {
                    found.classes.push((class.spec, rules));
                    found
                        .former_boundaries
                        .extend(former_boundaries(&name, &document.value));
                }
                Err(refusal) => refused.push(format!("{}: {}", document.source, refusal.message)),
            },
        }
    }
    if !unusable.is_empty() {
        Err(Stop::Unusable(unusable))
    } else if !refused.is_empty() {
        Err(Stop::Refused(refused))
    } else {
        Ok(found)
    }
}

/// The boundaries that a class has moved away from, and that roles still carry. A status can be forged by whoever may write
/// it, and the operator decides nothing from one; this is for an admin, who sees in a note what was taken from it.
fn former_boundaries(class: &str, value: &Value) -> Vec<FormerBoundary> {
    let from = value["status"]["boundaryChange"]["from"].as_array();
    let mut former = Vec::new();
    for text in from.into_iter().flatten().filter_map(Value::as_str) {
        match text.parse() {
            Ok(arn) => {
                eprintln!(
                    "note: class {class:?}: by status.boundaryChange.from, roles still carry the boundary {arn}, so that it is \
                     listed beside the class's own, as by --former-boundary {class}={arn}, but for new roles; check that it is \
                     one of yours, and print the policy again once the change is complete"
                );
                former.push(FormerBoundary {
                    class: Some(class.to_owned()),
                    arn,
                    in_creation: false,
                });
            }
            Err(e) => eprintln!("note: class {class:?}: {text:?} in status.boundaryChange.from ignored: {e}"),
        }
    }
    former
}

/// As the API server would take it.
fn read(value: &Value) -> Result<MlServiceRoleClass, Vec<String>> {
    let Some(definition) = Definition::of(CLASS) else {
        return Err(vec![format!("the definition of {CLASS} can't be read")]);
    };
    let mistakes = definition.check(value, None);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let mut written = value.clone();
    if let Some(fields) = written.as_object_mut() {
        fields.remove("status");
    }
    serde_json::from_value(written).map_err(|e| vec![e.to_string()])
}
