//! Whether a request for a preset can be granted at all: the preset, its version, its parameters, and each value's form.
//! Nothing about what a class allows.

use std::collections::BTreeMap;

use super::catalogue::{find, nearest_of};
use super::error::AccessError;
use super::expand::Place;
use super::preset::{Parameter, Preset, PresetVersion, StatementTemplate};
use super::template::Template;
use crate::iam::arn::RoleArn;
use crate::iam::name::{RoleName, RolePath};

/// The longest value, in characters.
pub const MAX_VALUE_LENGTH: usize = 256;

/// The value that means the object's own role, where a role is passed. A role of that very name without a path can't be
/// named.
pub const OWN_ROLE: &str = "self";

/// The version that is meant when none is given: the first, for ever, so that a manifest means the same under every
/// release of the operator.
const DEFAULT_VERSION: u32 = 1;

/// One entry of `spec.access`.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub preset: &'a str,
    /// None means 1.
    pub version: Option<u32>,
    pub with: &'a BTreeMap<String, Vec<String>>,
}

/// A request that can be granted, if the class allows it.
#[derive(Clone, Debug)]
pub struct Checked<'a> {
    preset: &'a Preset,
    version: &'a PresetVersion,
    /// For each parameter of the version, in order; none for an absent one.
    values: Vec<&'a [String]>,
    /// For each value that names a role, the role.
    passed: BTreeMap<&'a str, Passed>,
}

/// A role that is handed to a service.
#[derive(Clone, Debug)]
enum Passed {
    Own,
    Named(RolePath, RoleName),
}

/// Checks a request against the catalogue.
///
/// # Errors
///
/// The first thing that is wrong: the name of the preset, its version, the name of a parameter, a required one that is
/// missing, and for each value: empty, longer than [`MAX_VALUE_LENGTH`], not made of printable ASCII characters,
/// something that IAM would read as more than itself (`*`, `?`, `$`, quotes, braces, backslash), or not what the
/// parameter's pattern takes.
pub fn check<'a>(request: Request<'a>) -> Result<Checked<'a>, AccessError> {
    check_against(find(request.preset)?, request)
}

pub(super) fn check_against<'a>(
    preset: &'a Preset,
    request: Request<'a>,
) -> Result<Checked<'a>, AccessError> {
    let version = preset.find_version(request.version.unwrap_or(DEFAULT_VERSION))?;
    for name in request.with.keys() {
        if !version.parameters.iter().any(|parameter| parameter.name == *name) {
            return Err(unknown_parameter(preset, version, name));
        }
    }
    let mut values: Vec<&'a [String]> = Vec::new();
    let mut passed = BTreeMap::new();
    for parameter in &version.parameters {
        let given = request.with.get(&parameter.name);
        values.push(check_values(preset, parameter, given)?);
        if parameter.passes_role {
            for value in given.into_iter().flatten() {
                passed.insert(value.as_str(), passed_role(preset, parameter, value)?);
            }
        }
    }
    Ok(Checked {
        preset,
        version,
        values,
        passed,
    })
}

fn unknown_parameter(preset: &Preset, version: &PresetVersion, name: &str) -> AccessError {
    let names = || version.parameters.iter().map(|parameter| parameter.name.as_str());
    AccessError::UnknownParameter {
        preset: preset.name.clone(),
        version: version.number,
        parameter: name.to_owned(),
        known: match (version.parameters.is_empty(), nearest_of(name, names())) {
            (true, _) => "it has none, so leave out `with`".to_owned(),
            (false, Some(near)) => format!("did you mean {near}?"),
            (false, None) => format!("it has {}", names().collect::<Vec<_>>().join(", ")),
        },
    }
}

fn check_values<'a>(
    preset: &Preset,
    parameter: &Parameter,
    given: Option<&'a Vec<String>>,
) -> Result<&'a [String], AccessError> {
    let Some(given) = given else {
        if !parameter.required {
            return Ok(&[]);
        }
        return Err(AccessError::Missing {
            preset: preset.name.clone(),
            parameter: parameter.name.clone(),
            description: parameter.description.clone(),
            example: parameter.example.first().cloned().unwrap_or_default(),
        });
    };
    if given.is_empty() {
        return Err(AccessError::NoValues {
            preset: preset.name.clone(),
            parameter: parameter.name.clone(),
            remedy: match parameter.required {
                true => "give at least one".to_owned(),
                false => "give at least one, or leave the parameter out".to_owned(),
            },
        });
    }
    if given.len() > parameter.max_values {
        return Err(AccessError::TooManyValues {
            preset: preset.name.clone(),
            parameter: parameter.name.clone(),
            count: given.len(),
            limit: parameter.max_values,
        });
    }
    for value in given {
        if let Some(problem) = problem_of(parameter, value) {
            return Err(refused(preset, parameter, value, problem));
        }
    }
    Ok(given)
}

/// Why no request can ever have this value for the parameter, in whichever version of the preset; `None` if one can, and
/// where no version has such a parameter. What is said is of the newest version that has it.
pub fn never_a_value(preset: &Preset, parameter: &str, value: &str) -> Option<AccessError> {
    let mut why = None;
    let versions = preset.versions.iter();
    let parameters = versions.flat_map(|version| &version.parameters);
    for parameter in parameters.filter(|own| own.name == parameter) {
        let problem = match problem_of(parameter, value) {
            Some(problem) => Some(refused(preset, parameter, value, problem)),
            None if parameter.passes_role => passed_role(preset, parameter, value).err(),
            None => None,
        };
        why = Some(problem?);
    }
    why
}

/// Whether a character can stand in a value at all, whatever the parameter. A `*` can where the parameter takes
/// patterns.
fn is_of_values(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '?' | '$' | '{' | '}' | '"' | '\'' | '`' | '\\')
}

/// The first of these characters that no value of the parameter contains, in whichever version of the preset, and an example
/// of a value; `None` where all of them can stand in one, and where no version has such a parameter.
pub fn never_in_a_value<'a>(
    preset: &'a Preset,
    parameter: &str,
    mut characters: impl Iterator<Item = char>,
) -> Option<(char, &'a str)> {
    let of_name = |own: &&Parameter| own.name == parameter;
    let versions = preset.versions.iter();
    let own: Vec<&Parameter> = versions
        .flat_map(|version| version.parameters.iter().find(of_name))
        .collect();
    let example = own.last()?.example.first().map_or("", String::as_str);
    let takes = |c| is_of_values(c) && own.iter().any(|parameter| parameter.may_contain(c));
    characters.find(|c| !takes(*c)).map(|bad| (bad, example))
}

fn refused(preset: &Preset, parameter: &Parameter, value: &str, problem: String) -> AccessError {
    let examples: Vec<String> = parameter
        .example
        .iter()
        .map(|example| format!("{example:?}"))
        .collect();
    AccessError::Value {
        preset: preset.name.clone(),
        parameter: parameter.name.clone(),
        value: value.to_owned(),
        problem,
        remedy: format!("write something like {}", examples.join(" or ")),
    }
}

fn problem_of(parameter: &Parameter, value: &str) -> Option<String> {
    if value.is_empty() {
        return Some("it is empty".to_owned());
    }
    if value.len() > MAX_VALUE_LENGTH {
        return Some(format!("it is longer than {MAX_VALUE_LENGTH} characters"));
    }
    let bad = value
        .chars()
        .find(|&c| !is_of_values(c) || (c == '*' && !parameter.glob));
    match bad {
        Some('*' | '?') => Some("a wildcard would name more than one thing".to_owned()),
        Some('$' | '{' | '}') => Some("a policy variable would name more than one thing".to_owned()),
        Some(c) => Some(format!("it contains {c:?}")),
        None if !parameter.matches(value) => Some(format!("it doesn't match {}", parameter.pattern)),
        None => None,
    }
}

fn passed_role(preset: &Preset, parameter: &Parameter, value: &str) -> Result<Passed, AccessError> {
    if value == OWN_ROLE {
        return Ok(Passed::Own);
    }
    let (path, name) = match value.rsplit_once('/') {
        Some((path, name)) => (format!("/{path}/"), name),
        None => ("/".to_owned(), value),
    };
    let problem = |error: &dyn std::fmt::Display| refused(preset, parameter, value, error.to_string());
    Ok(Passed::Named(
        path.parse().map_err(|error| problem(&error))?,
        name.parse().map_err(|error| problem(&error))?,
    ))
}

impl<'a> Checked<'a> {
    pub fn preset(&self) -> &'a Preset {
        self.preset
    }

    pub fn version(&self) -> &'a PresetVersion {
        self.version
    }

    /// The newest version of the preset; greater than the number of [`Checked::version`] when there is an update.
    pub fn newest_version(&self) -> u32 {
        self.preset.newest_version()
    }

    /// Every value with its parameter. A value of a parameter with [`Parameter::glob`] may be a pattern.
    pub fn values(&self) -> impl Iterator<Item = (&'a Parameter, &'a str)> + '_ {
        self.version
            .parameters
            .iter()
            .zip(&self.values)
            .flat_map(|(parameter, values)| values.iter().map(move |value| (parameter, value.as_str())))
    }

    /// The roles that the policy lets be handed to a service, each once.
    pub fn passed_roles(&self, place: &Place<'_>) -> Vec<RoleArn> {
        let mut roles: Vec<RoleArn> = self.passed.values().map(|role| role.arn(place)).collect();
        roles.sort();
        roles.dedup();
        roles
    }

    /// Whether the policy names a region, so that the class must have one.
    pub fn needs_region(&self) -> bool {
        self.version
            .statements
            .iter()
            .flat_map(StatementTemplate::templates)
            .any(Template::needs_region)
    }

    pub(super) fn values_of(&self, parameter: usize) -> &'a [String] {
        self.values.get(parameter).copied().unwrap_or_default()
    }

    /// The ARN of the role that a value names; none when the parameter doesn't name roles.
    pub(super) fn role(&self, parameter: usize, value: &str, place: &Place<'_>) -> Option<RoleArn> {
        let parameter = self.version.parameters.get(parameter)?;
        let role = parameter.passes_role.then(|| self.passed.get(value))??;
        Some(role.arn(place))
    }
}

impl Passed {
    fn arn(&self, place: &Place<'_>) -> RoleArn {
        match self {
            Passed::Own => place.role.clone(),
            Passed::Named(path, name) => RoleArn::new(place.partition, place.account, path, name),
        }
    }
}
