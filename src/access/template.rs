//! One string of a preset's policy, with places for what isn't known until somebody uses it.
//!
//! | in a data file | becomes |
//! |---|---|
//! | `${P}`, `${R}`, `${A}` | partition, region and account of the role's class |
//! | `${S}` | the domain that ends the names of the partition's endpoints, such as `amazonaws.com` |
//! | `${name}` | each value of the parameter `name` |
//! | `$${key}` | `${key}`: a policy variable, which IAM replaces |
//!
//! A `$` anywhere else is an error, so that nothing passes for a policy variable by accident. A template says nothing
//! of which values are good.

use std::fmt;

use serde::{Serialize, Serializer};

/// A string with places to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Partition,
    Region,
    Account,
    DnsSuffix,
    /// The place of the parameter in its version.
    Parameter(usize),
}

impl Template {
    /// Reads a template; `parameters` are the names that it may use.
    pub(super) fn read(source: &str, parameters: &[&str]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = source;
        while let Some(start) = rest.find('$') {
            let (before, from) = rest.split_at(start);
            literal.push_str(before);
            let (escaped, inside) = match (from.strip_prefix("$${"), from.strip_prefix("${")) {
                (Some(inside), _) => (true, inside),
                (None, Some(inside)) => (false, inside),
                (None, None) => return Err(format!("{source:?} has a $ without a brace")),
            };
            let (name, after) = inside
                .split_once('}')
                .ok_or_else(|| format!("{source:?} has a brace that isn't closed"))?;
            if escaped {
                literal.push_str(&format!("${{{name}}}"));
            } else {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(
                    place(name, parameters)
                        .ok_or_else(|| format!("{source:?}: nothing is called {name:?}"))?,
                );
            }
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Template {
            source: source.to_owned(),
            pieces,
        })
    }

    /// The template as the data file has it.
    pub fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The places of the parameters that it uses; one that it uses twice stands twice.
    pub(super) fn parameters(&self) -> impl Iterator<Item = usize> + '_ {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Parameter(index) => Some(*index),
            _ => None,
        })
    }

    pub(super) fn needs_region(&self) -> bool {
        self.pieces.contains(&Piece::Region)
    }
}

fn place(name: &str, parameters: &[&str]) -> Option<Piece> {
    Some(match name {
        "P" => Piece::Partition,
        "R" => Piece::Region,
        "A" => Piece::Account,
        "S" => Piece::DnsSuffix,
        _ => Piece::Parameter(parameters.iter().position(|parameter| *parameter == name)?),
    })
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}
