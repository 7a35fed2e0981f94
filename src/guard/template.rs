//! What a class writes so that it serves many namespaces: patterns with `{namespace}` and `{cluster}` unfilled, and
//! the rule that keeps one namespace's values apart from another's. It decides about no request.

use super::pattern::{Pattern, Token, VariableError, split_variable, wildcard};

/// What is filled in.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Name of the cluster, as the operator was started with.
    pub cluster: &'a str,
    /// Namespace of the object.
    pub namespace: &'a str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Token(Token),
    Namespace,
    Cluster,
}

/// A pattern with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error(
        "{0:?} has a brace that isn't part of {{namespace}} or {{cluster}}, the only placeholders; write one of them, or \
         remove the brace"
    )]
    Placeholder(String),
    #[error("in {text:?}, {error}")]
    Variable { text: String, error: VariableError },
    #[error(
        "in {text:?}, nothing keeps {{namespace}} apart from {neighbour}: what is meant for the namespace team would also \
         match what belongs to team-b; put a character that no namespace's name can hold between them, such as / or ."
    )]
    NotSeparated { text: String, neighbour: String },
    #[error("{0:?} matches everything; write what is meant")]
    Everything(String),
}

impl Template {
    /// A pattern of names: `*`, `?`, `{namespace}`, `{cluster}`.
    ///
    /// # Errors
    ///
    /// A brace stands alone, or nothing keeps `{namespace}` apart from a wildcard or another placeholder.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        Self::read(text, false)
    }

    /// A pattern of a policy's texts: policy variables `${…}` too.
    ///
    /// # Errors
    ///
    /// As [`Template::parse`], and where a policy variable is broken.
    pub(super) fn of_policy(text: &str) -> Result<Self, TemplateError> {
        Self::read(text, true)
    }

    fn read(text: &str, variables: bool) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("{namespace}") {
                parts.push(Part::Namespace);
                rest = after;
            } else if let Some(after) = rest.strip_prefix("{cluster}") {
                parts.push(Part::Cluster);
                rest = after;
            } else if variables && rest.starts_with("${") {
                let (variable, after) = split_variable(rest).map_err(|error| TemplateError::Variable {
                    text: text.to_owned(),
                    error,
                })?;
                parts.push(Part::Token(variable));
                rest = after;
            } else if matches!(c, '{' | '}') {
                return Err(TemplateError::Placeholder(text.to_owned()));
            } else {
                parts.push(Part::Token(wildcard(c)));
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
        let template = Template {
            text: text.to_owned(),
            parts,
        };
        template.check_separation()?;
        Ok(template)
    }

    /// Between `{namespace}` and what can stand for several texts, on either side, there must be a character that no
    /// namespace's name holds: lower-case letters, digits and `-` (Kubernetes, "Object Names and IDs", RFC 1123
    /// labels).
    fn check_separation(&self) -> Result<(), TemplateError> {
        let separates = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        let mut before: Option<&Part> = None;
        for part in &self.parts {
            match part {
                Part::Token(Token::Char(c)) if separates(*c) => before = None,
                Part::Token(Token::Char(_)) => {}
                other => {
                    if let Some(neighbour) = before
                        && (*other == Part::Namespace || *neighbour == Part::Namespace)
                    {
                        let stranger = if *neighbour == Part::Namespace {
                            other
                        } else {
                            neighbour
                        };
                        return Err(TemplateError::NotSeparated {
                            text: self.text.clone(),
                            neighbour: stranger.to_string(),
                        });
                    }
                    before = Some(other);
                }
            }
        }
        Ok(())
    }

    /// Refuses what has nothing but wildcards.
    pub(super) fn not_everything(self) -> Result<Self, TemplateError> {
        let says_nothing = |part: &Part| matches!(part, Part::Token(Token::Run | Token::One));
        match self.parts.iter().all(says_nothing) {
            true => Err(TemplateError::Everything(self.text)),
            false => Ok(self),
        }
    }

    /// What it is made of.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// As the class writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for one text alone, whatever is filled in.
    pub fn is_literal(&self) -> bool {
        self.parts
            .iter()
            .all(|part| matches!(part, Part::Token(Token::Char(_))))
    }

    /// The pattern for an object of this namespace and cluster. Names are taken as they are: a `*` in one is no
    /// wildcard.
    pub(super) fn fill(&self, names: Names<'_>) -> Pattern {
        Pattern::of(self.parts.iter().flat_map(|part| -> Vec<Token> {
            match part {
                Part::Token(token) => vec![token.clone()],
                Part::Namespace => names.namespace.chars().map(Token::Char).collect(),
                Part::Cluster => names.cluster.chars().map(Token::Char).collect(),
            }
        }))
    }

    /// The text with the names filled in, and nothing else changed.
    pub(super) fn fill_text(&self, names: Names<'_>) -> String {
        self.text
            .replace("{namespace}", names.namespace)
            .replace("{cluster}", names.cluster)
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Part::Token(token) => write!(f, "{}", Pattern::of([token.clone()])),
            Part::Namespace => f.write_str("{namespace}"),
            Part::Cluster => f.write_str("{cluster}"),
        }
    }
}
