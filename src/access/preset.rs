//! What a preset is, and how it is read from its data file. Whether its policy is a good one is for the tests and the
//! reviewer of the file; here only its form is checked.

use std::collections::BTreeMap;

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};
use serde::{Deserialize, Serialize};

use super::error::AccessError;
use super::template::Template;

/// A least-privilege policy with a name.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preset {
    pub name: String,
    /// What it allows, in a few words.
    pub title: String,
    pub description: String,
    /// The page of AWS's documentation that the policy was made from.
    pub documentation: String,
    /// What else a user should know: what must be set up elsewhere, what can't be narrowed.
    pub notes: Vec<String>,
    /// Oldest first, numbered from 1; never empty. A version is never changed once it was released, since the same
    /// manifest must mean the same for ever.
    pub versions: Vec<PresetVersion>,
}

/// One version of a preset.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PresetVersion {
    pub number: u32,
    pub parameters: Vec<Parameter>,
    pub statements: Vec<StatementTemplate>,
}

/// What a user fills in.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    pub name: String,
    pub description: String,
    /// The regular expression that the whole of each value must match.
    pub pattern: String,
    /// Whether it must be given. What an absent parameter would fill in is left out of the policy.
    pub required: bool,
    /// Whether it says which resource is meant, so that a class must list the values that it allows.
    pub names_resource: bool,
    /// Whether it names a role that is handed to a service (`iam:PassRole`): a role's name with its path, or
    /// [`OWN_ROLE`](super::OWN_ROLE).
    pub passes_role: bool,
    /// Whether a value may hold `*` where the pattern takes it.
    pub glob: bool,
    /// How many values it takes.
    pub max_values: usize,
    /// Values that show what is meant.
    pub example: Vec<String>,
    #[serde(skip)]
    matcher: Regex,
    /// The ASCII characters that the pattern can match anywhere in a value.
    #[serde(skip)]
    characters: u128,
}

impl Parameter {
    pub(super) fn matches(&self, value: &str) -> bool {
        self.matcher.is_match(value)
    }

    /// Whether a value can contain a character, wherever it stands.
    pub(super) fn may_contain(&self, c: char) -> bool {
        self.characters & bit(c) != 0
    }
}

/// One statement, which allows; presets deny nothing.
///
/// A string that uses an absent parameter is left out, and with it the whole statement when nothing is left of its
/// resources or of one of its conditions: never is a condition dropped alone.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementTemplate {
    pub actions: Vec<String>,
    pub resources: Vec<Template>,
    /// Operator, key, values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, BTreeMap<String, Vec<Template>>>,
}

impl StatementTemplate {
    pub(super) fn condition_values(&self) -> impl Iterator<Item = &Vec<Template>> {
        self.conditions.values().flat_map(BTreeMap::values)
    }

    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.resources.iter().chain(self.condition_values().flatten())
    }
}

impl Preset {
    pub fn version(&self, number: u32) -> Option<&PresetVersion> {
        self.versions.iter().find(|version| version.number == number)
    }

    /// The version of that number, or a refusal that says which is the newest.
    ///
    /// # Errors
    ///
    /// [`AccessError::UnknownVersion`].
    pub fn find_version(&self, number: u32) -> Result<&PresetVersion, AccessError> {
        self.version(number).ok_or_else(|| AccessError::UnknownVersion {
            preset: self.name.clone(),
            version: number,
            newest: self.newest_version(),
        })
    }

    pub fn newest_version(&self) -> u32 {
        self.versions.last().map_or(1, |version| version.number)
    }

    /// Reads a data file.
    pub(super) fn read(name: &str, text: &str) -> Result<Preset, String> {
        let file: PresetFile = serde_json::from_str(text).map_err(|error| format!("{name}: {error}"))?;
        let PresetFile {
            title,
            description,
            documentation,
            notes,
            versions,
        } = file;
        if versions.is_empty() {
            return Err(format!("{name} has no versions"));
        }
        let versions = (1..)
            .zip(versions)
            .map(|(number, version)| version.read(number))
            .collect::<Result<_, _>>()
            .map_err(|error| format!("{name}: {error}"))?;
        Ok(Preset {
            name: name.to_owned(),
            title,
            description,
            documentation,
            notes,
            versions,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresetFile {
    title: String,
    description: String,
    documentation: String,
    #[serde(default)]
    notes: Vec<String>,
    versions: Vec<VersionFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionFile {
    #[serde(default)]
    parameters: Vec<ParameterFile>,
    statements: Vec<StatementFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ParameterFile {
    name: String,
    description: String,
    pattern: String,
    #[serde(default = "yes")]
    required: bool,
    #[serde(default = "yes")]
    names_resource: bool,
    #[serde(default)]
    passes_role: bool,
    #[serde(default)]
    glob: bool,
    #[serde(default = "ten")]
    max_values: usize,
    example: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementFile {
    actions: Vec<String>,
    resources: Vec<String>,
    #[serde(default)]
    conditions: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

fn yes() -> bool {
    true
}

fn ten() -> usize {
    10
}

impl VersionFile {
    fn read(self, number: u32) -> Result<PresetVersion, String> {
        let names: Vec<String> = self.parameters.iter().map(|p| p.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let parameters = self
            .parameters
            .into_iter()
            .map(ParameterFile::read)
            .collect::<Result<Vec<_>, _>>()?;
        let statements = self
            .statements
            .into_iter()
            .map(|statement| statement.read(&names))
            .collect::<Result<Vec<_>, _>>()?;
        let whole_arn = |template: &Template| {
            let passes = |index: usize| parameters.get(index).is_some_and(|p| p.passes_role);
            !template.parameters().any(passes) || template.pieces().len() == 1
        };
        let templates = statements.iter().flat_map(StatementTemplate::templates);
        for template in templates {
            if !whole_arn(template) {
                return Err(format!("{template}: a role that is passed is a whole ARN"));
            }
        }
        Ok(PresetVersion {
            number,
            parameters,
            statements,
        })
    }
}

impl ParameterFile {
    fn read(self) -> Result<Parameter, String> {
        let matcher = Regex::new(&format!("^(?:{})$", self.pattern)).map_err(|error| error.to_string())?;
        let pattern = regex_syntax::parse(&self.pattern).map_err(|error| error.to_string())?;
        Ok(Parameter {
            name: self.name,
            description: self.description,
            pattern: self.pattern,
            required: self.required,
            names_resource: self.names_resource,
            passes_role: self.passes_role,
            glob: self.glob,
            max_values: self.max_values,
            example: self.example,
            matcher,
            characters: characters(&pattern),
        })
    }
}

/// The bit of an ASCII character; none of any other.
fn bit(c: char) -> u128 {
    if c.is_ascii() { 1 << u32::from(c) } else { 0 }
}

/// The ASCII characters that stand in some text that a regular expression matches.
fn characters(pattern: &Hir) -> u128 {
    let all = |parts: &[Hir]| parts.iter().fold(0, |seen, part| seen | characters(part));
    let within = |start: u32, end: u32| {
        let range = (start..=end.min(0x7f)).filter_map(char::from_u32);
        range.fold(0, |seen, c| seen | bit(c))
    };
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal
            .0
            .iter()
            .fold(0, |seen, byte| seen | bit(char::from(*byte))),
        HirKind::Class(Class::Unicode(class)) => class.iter().fold(0, |seen, range| {
            seen | within(range.start().into(), range.end().into())
        }),
        HirKind::Class(Class::Bytes(class)) => class.iter().fold(0, |seen, range| {
            seen | within(range.start().into(), range.end().into())
        }),
        HirKind::Repetition(repetition) => characters(&repetition.sub),
        HirKind::Capture(capture) => characters(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => all(parts),
    }
}

impl StatementFile {
    fn read(self, parameters: &[&str]) -> Result<StatementTemplate, String> {
        let templates = |sources: Vec<String>| {
            sources
                .iter()
                .map(|source| Template::read(source, parameters))
                .collect::<Result<Vec<_>, _>>()
        };
        let mut conditions = BTreeMap::new();
        for (operator, keys) in self.conditions {
            let mut read = BTreeMap::new();
            for (key, values) in keys {
                read.insert(key, templates(values)?);
            }
            conditions.insert(operator, read);
        }
        Ok(StatementTemplate {
            actions: self.actions,
            resources: templates(self.resources)?,
            conditions,
        })
    }
}
