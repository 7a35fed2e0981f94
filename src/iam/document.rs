//! Policy documents: a parsed model of IAM's JSON policy language.
//!
//! Reading is as tolerant as IAM is where the language has two ways to say one thing (a scalar or a
//! list, one statement or several, a number or a string as a condition's value), and strict where a
//! silent guess could widen a policy (unknown elements, keys that occur twice). What IAM's API would
//! refuse beyond the grammar is [`check`]'s business; whether two documents mean the same is
//! [`equivalence`](super::equivalence)'s; nothing here knows what a tenant may ask for.
//!
//! Source: IAM user guide, "Grammar of the IAM JSON policy language" and "IAM JSON policy elements
//! reference".

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

mod check;
mod error;
mod json;
mod read;
mod write;

#[cfg(test)]
pub(crate) mod tests;

pub use check::{Kind, check, is_operator};
pub use error::DocumentError;

/// A policy document that conforms to the grammar.
///
/// Lists stand in the order in which they were written. `==` compares the spelling, not the
/// meaning: see [`equivalent`](super::equivalence::equivalent).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDocument {
    pub(super) version: Option<Version>,
    pub(super) id: Option<String>,
    pub(super) statements: Vec<Statement>,
}

impl PolicyDocument {
    /// None means [`Version::V2008`].
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Never empty.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

/// The version of the policy language. In [`Version::V2008`], `${…}` is plain text and no policy
/// variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V2008,
    V2012,
}

impl Version {
    pub fn as_str(self) -> &'static str {
        match self {
            Version::V2008 => "2008-10-17",
            Version::V2012 => "2012-10-17",
        }
    }
}

/// One statement of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    /// What was written for Effect, when it wasn't exactly `Allow` or `Deny`. Kept for [`check`],
    /// since IAM refuses it in a request.
    pub(super) misspelt_effect: Option<String>,
    pub(super) principal: Option<Scope<Principal>>,
    pub(super) action: Scope<Vec<String>>,
    pub(super) resource: Option<Scope<Vec<String>>>,
    pub(super) condition: Condition,
}

impl Statement {
    /// None also when the Sid is the empty string, as the console writes it.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Principal or NotPrincipal.
    pub fn principal(&self) -> Option<&Scope<Principal>> {
        self.principal.as_ref()
    }

    /// Action or NotAction; the list is never empty.
    pub fn action(&self) -> &Scope<Vec<String>> {
        &self.action
    }

    /// Resource or NotResource; the list is never empty.
    pub fn resource(&self) -> Option<&Scope<Vec<String>>> {
        self.resource.as_ref()
    }

    pub fn condition(&self) -> &Condition {
        &self.condition
    }
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    Allow,
    Deny,
}

impl Effect {
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Allow => "Allow",
            Effect::Deny => "Deny",
        }
    }
}

/// An element or its negation: Action or NotAction, Resource or NotResource, Principal or
/// NotPrincipal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope<T> {
    /// `Action`, `Resource`, `Principal`.
    Only(T),
    /// `NotAction`, `NotResource`, `NotPrincipal`.
    AllExcept(T),
}

impl<T> Scope<T> {
    pub fn value(&self) -> &T {
        match self {
            Scope::Only(value) | Scope::AllExcept(value) => value,
        }
    }

    /// The same scope of another value.
    pub(super) fn map<U>(&self, change: impl FnOnce(&T) -> U) -> Scope<U> {
        match self {
            Scope::Only(value) => Scope::Only(change(value)),
            Scope::AllExcept(value) => Scope::AllExcept(change(value)),
        }
    }

    /// The element's name, given the one without `Not`.
    pub(super) fn element(&self, only: &'static str, all_except: &'static str) -> &'static str {
        match self {
            Scope::Only(_) => only,
            Scope::AllExcept(_) => all_except,
        }
    }
}

/// Who a statement speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// `"*"`.
    Everyone,
    /// Neither the map nor any of its lists is empty.
    Of(BTreeMap<PrincipalType, Vec<String>>),
}

/// The kinds of principals that the grammar knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrincipalType {
    Aws,
    CanonicalUser,
    Federated,
    Service,
}

impl PrincipalType {
    pub(super) const ALL: [PrincipalType; 4] = [
        PrincipalType::Aws,
        PrincipalType::CanonicalUser,
        PrincipalType::Federated,
        PrincipalType::Service,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            PrincipalType::Aws => "AWS",
            PrincipalType::CanonicalUser => "CanonicalUser",
            PrincipalType::Federated => "Federated",
            PrincipalType::Service => "Service",
        }
    }
}

/// Operator to condition key to values, as they were written; numbers and booleans as text. Neither
/// an operator's map nor a list of values is empty, and no operator or key occurs twice, also not
/// in another case.
pub type Condition = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// The JSON text of a document as IAM's API returns it.
///
/// IAM percent-encodes documents by RFC 3986 (IAM API reference, GetRole); some emulators answer
/// plain JSON. A `+` stays a `+`, since this isn't form encoding. What begins with `{` is plain and
/// is left alone, so that a `%` inside it isn't damaged: an encoded document begins with `%7B`.
/// What decodes to no UTF-8 is returned as it is, to fail as JSON.
pub fn decode(text: &str) -> Cow<'_, str> {
    if text.trim_start().starts_with('{') {
        return Cow::Borrowed(text);
    }
    percent_decode_str(text)
        .decode_utf8()
        .unwrap_or(Cow::Borrowed(text))
}
