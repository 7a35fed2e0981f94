//! What is wrong with a document, where, and what to change.

use std::fmt;

/// Why a text is no policy document, or one that IAM would refuse.
///
/// It reads like `statement 2 (Sid "ReadData"), Action: "GetObject" names no service; write it as
/// service:action, such as s3:GetObject`. Values that it quotes are cut, so it stays short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentError {
    // Boxed, since errors are rare and results are passed through many functions.
    parts: Box<Parts>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    statement: Option<(usize, Option<String>)>,
    element: String,
    problem: String,
    remedy: String,
}

impl DocumentError {
    pub(super) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        DocumentError {
            parts: Box::new(Parts {
                statement: None,
                element: String::new(),
                problem: problem.into(),
                remedy: remedy.into(),
            }),
        }
    }

    /// Puts the error inside an element. Called from the inside out, so the outer one is put first.
    pub(super) fn within(mut self, element: &str) -> Self {
        let inner = &self.parts.element;
        self.parts.element = if inner.is_empty() {
            element.to_owned()
        } else {
            format!("{element} {inner}")
        };
        self
    }

    pub(super) fn in_statement(mut self, index: usize, sid: Option<&str>) -> Self {
        self.parts.statement = Some((index + 1, sid.map(quoted)));
        self
    }

    /// The statement's place in the document, counted from 1.
    pub fn statement(&self) -> Option<usize> {
        self.parts.statement.as_ref().map(|(number, _)| *number)
    }

    /// The element at fault, such as `Action` or `Condition "StringEquals"`; empty when it is the
    /// document or the statement as a whole.
    pub fn element(&self) -> &str {
        &self.parts.element
    }

    pub fn problem(&self) -> &str {
        &self.parts.problem
    }

    pub fn remedy(&self) -> &str {
        &self.parts.remedy
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts {
            statement,
            element,
            problem,
            remedy,
        } = &*self.parts;
        match statement {
            Some((number, Some(sid))) => write!(f, "statement {number} (Sid {sid})")?,
            Some((number, None)) => write!(f, "statement {number}")?,
            None => f.write_str("policy document")?,
        }
        if !element.is_empty() {
            write!(f, ", {element}")?;
        }
        write!(f, ": {problem}; {remedy}")
    }
}

impl std::error::Error for DocumentError {}

/// The text in quotes, escaped, and cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    const LIMIT: usize = 80;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
