//! One thing in a policy document that a class doesn't allow: where it stands, and why.

use std::fmt;

use crate::iam::document::Statement;

/// A place in a document, the rule that it breaks and the remedy. It reads like `statement 2 (Sid "Read"), Resource:
/// …`; what it quotes is cut, so it stays short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// One of [`reasons`](crate::api::condition::reasons).
    pub(super) reason: &'static str,
    place: String,
    problem: String,
}

impl Violation {
    /// `index` counts from 0.
    pub(super) fn new(
        reason: &'static str,
        (index, statement): (usize, &Statement),
        element: &str,
        problem: String,
    ) -> Self {
        let sid = statement.sid().map(|sid| format!(" (Sid {})", quoted(sid)));
        Violation {
            reason,
            place: format!("statement {}{}, {element}", index + 1, sid.unwrap_or_default()),
            problem,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// The text in quotes, escaped, and cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    const LIMIT: usize = 100;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// The first few of many, in words.
pub(super) fn some_of<T: fmt::Display>(all: &[T], most: usize) -> String {
    let shown: Vec<String> = all.iter().take(most).map(ToString::to_string).collect();
    let more = all.len().saturating_sub(most);
    match more {
        0 => shown.join(", "),
        _ => format!("{} and {more} more", shown.join(", ")),
    }
}
