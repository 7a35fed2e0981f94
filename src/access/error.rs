//! Why a request for a preset is refused: which preset, which parameter, which value, by which rule, and what to do.

use std::fmt;

/// Why a preset can't be used as asked for. The texts are for the tenant, and quote what the tenant wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    #[error("there is no preset {}; {}", Quoted(name), remedy_for_name(*nearest))]
    UnknownPreset {
        name: String,
        nearest: Option<&'static str>,
    },
    #[error("the preset {preset} has no version {version}; its newest is {newest}")]
    UnknownVersion {
        preset: String,
        version: u32,
        newest: u32,
    },
    #[error(
        "version {version} of the preset {preset} has no parameter {}; {known}",
        Quoted(parameter)
    )]
    UnknownParameter {
        preset: String,
        version: u32,
        parameter: String,
        /// The ones that it has, as a sentence.
        known: String,
    },
    #[error(
        "the preset {preset} needs a value for {parameter} ({description}), such as {}",
        Quoted(example)
    )]
    Missing {
        preset: String,
        parameter: String,
        description: String,
        example: String,
    },
    #[error("the list of values for {parameter} of the preset {preset} is empty; {remedy}")]
    NoValues {
        preset: String,
        parameter: String,
        remedy: String,
    },
    #[error(
        "{parameter} of the preset {preset} has {count} values and takes at most {limit}; spread them over several \
         entries of spec.access"
    )]
    TooManyValues {
        preset: String,
        parameter: String,
        count: usize,
        limit: usize,
    },
    #[error(
        "{} can't be a value for {parameter} of the preset {preset}: {problem}; {remedy}",
        Quoted(value)
    )]
    Value {
        preset: String,
        parameter: String,
        value: String,
        problem: String,
        remedy: String,
    },
    #[error(
        "the values of the preset {preset} combine to {count} strings in one list, and at most {limit} are taken; give \
         fewer values, or spread them over several entries of spec.access"
    )]
    TooManyCombinations {
        preset: String,
        count: usize,
        limit: usize,
    },
    #[error(
        "the preset {preset} is about resources of one region, and the operator knows none; ask the administrator to \
         set one"
    )]
    NoRegion { preset: String },
    #[error("{} is not the name of an AWS region, which looks like eu-west-1; ask the administrator to correct it", Quoted(.0))]
    Region(String),
    #[error(
        "the presets make no valid policy document ({0}); this is a fault of the operator, please report it"
    )]
    Document(String),
}

fn remedy_for_name(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("did you mean {name}?"),
        None => "mlservicerole-operator presets list shows all".to_owned(),
    }
}

/// A text in quotes, escaped, and cut where it is long: it comes from a user and goes to logs, events and conditions.
pub(super) struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LIMIT: usize = 80;
        match self.0.char_indices().nth(LIMIT) {
            Some((end, _)) => write!(f, "{:?}…", self.0.get(..end).unwrap_or_default()),
            None => write!(f, "{:?}", self.0),
        }
    }
}
