//! Names and paths of roles: what IAM accepts, and the ones that this operator derives.
//!
//! Deriving is a pure function of cluster, namespace and name, so that a rebuilt cluster of the
//! same name gives its roles the same ARNs. Nothing here asks whether a name is free.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use super::serde_as_text;

#[cfg(test)]
mod tests;

/// The longest role name, in characters (IAM API reference, CreateRole, `RoleName`).
pub const MAX_ROLE_NAME_LENGTH: usize = 64;
/// The longest path, in characters (IAM API reference, CreateRole, `Path`).
pub const MAX_PATH_LENGTH: usize = 512;
/// Where roles live unless the class says otherwise. A `/` can be in no cluster or namespace name,
/// so a policy elsewhere can pin one namespace exactly with `role/mlservicerole/prod/team-a/*`.
pub const DEFAULT_PATH_TEMPLATE: &str = "/mlservicerole/{cluster}/{namespace}/";
/// The longest prefix of a derived name, after its placeholders are filled in. What is left of the
/// 64 characters is the hash and its dash, so a prefix that fits is never cut, and policies can
/// rely on it.
pub const MAX_PREFIX_LENGTH: usize = MAX_ROLE_NAME_LENGTH - HASH_LENGTH - 1;

/// 12 base32 characters are 60 bits: too many to find a second object with the same name by trying.
const HASH_LENGTH: usize = 12;

/// Why a name or a path can't be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a {what} must not be empty")]
    Empty { what: &'static str },
    #[error("the {what} {text:?} has {length} characters; at most {limit} are allowed")]
    TooLong {
        what: &'static str,
        text: String,
        length: usize,
        limit: usize,
    },
    #[error("the {what} {text:?} contains {found:?}; only {allowed} are allowed")]
    Character {
        what: &'static str,
        text: String,
        found: char,
        allowed: &'static str,
    },
    #[error("the path {0:?} must begin and end with '/', and be either '/' or have something in between")]
    PathShape(String),
    #[error(
        "the template {template:?} contains {{{found}}}; only {{cluster}} and {{namespace}} can be filled in"
    )]
    UnknownPlaceholder { template: String, found: String },
    #[error(
        "the template {0:?} has a '{{' or '}}' without its partner; write {{cluster}} or {{namespace}}, or leave the braces out"
    )]
    Brace(String),
}

const NAME_CHARACTERS: &str = "letters, digits and _+=,.@-";

/// The set that IAM's references write as `[\w+=,.@-]`.
pub(crate) fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '=' | ',' | '.' | '@' | '-')
}

fn check_name_text(what: &'static str, text: &str, limit: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    check_name_characters(what, text)?;
    check_length(what, text, limit)
}

fn check_name_characters(what: &'static str, text: &str) -> Result<(), NameError> {
    match text.chars().find(|&c| !is_name_character(c)) {
        Some(found) => Err(NameError::Character {
            what,
            text: text.to_owned(),
            found,
            allowed: NAME_CHARACTERS,
        }),
        None => Ok(()),
    }
}

fn check_length(what: &'static str, text: &str, limit: usize) -> Result<(), NameError> {
    let length = text.chars().count();
    if length > limit {
        return Err(NameError::TooLong {
            what,
            text: text.to_owned(),
            length,
            limit,
        });
    }
    Ok(())
}

/// The name of a role: 1 to 64 of `[A-Za-z0-9_+=,.@-]` (IAM API reference, CreateRole).
///
/// `==` compares exactly. IAM doesn't: names are unique in an account without regard to case, see
/// [`RoleName::same_in_iam`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(String);

impl RoleName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether IAM takes the two for the same role, and would refuse to create the second
    /// (IAM user guide, "IAM and AWS STS quotas", name requirements).
    pub fn same_in_iam(&self, other: &RoleName) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl FromStr for RoleName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_name_text("role name", text, MAX_ROLE_NAME_LENGTH)?;
        Ok(RoleName(text.to_owned()))
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The path of a role: `/`, or `/…/` of at most 512 printable ASCII characters without spaces (IAM
/// API reference, CreateRole). It is part of the ARN but not of what makes a name unique.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RolePath(String);

impl RolePath {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for RolePath {
    /// `/`, as in IAM.
    fn default() -> Self {
        RolePath("/".to_owned())
    }
}

impl FromStr for RolePath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Some(found) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(NameError::Character {
                what: "path",
                text: text.to_owned(),
                found,
                allowed: "printable ASCII characters without spaces",
            });
        }
        check_length("path", text, MAX_PATH_LENGTH)?;
        let framed = text.starts_with('/') && text.ends_with('/');
        if !framed || text.len() == 2 {
            return Err(NameError::PathShape(text.to_owned()));
        }
        Ok(RolePath(text.to_owned()))
    }
}

impl fmt::Display for RolePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(RoleName, RolePath);

/// Fills `{cluster}` and `{namespace}` into a path template.
///
/// # Errors
///
/// Refused are unknown placeholders and lone braces; a cluster or namespace that is empty or holds
/// anything but a role name's characters (a `/` in it would reach into another namespace's path);
/// `*` and `?`, which IAM allows in a path but which would turn the role's ARN into a pattern in
/// every policy that names it; and whatever [`RolePath`] refuses.
pub fn expand_path(template: &str, cluster: &str, namespace: &str) -> Result<RolePath, NameError> {
    if let Some(found) = template.chars().find(|c| matches!(c, '*' | '?')) {
        return Err(NameError::Character {
            what: "path template",
            text: template.to_owned(),
            found,
            allowed: "printable ASCII characters other than space, '*' and '?'",
        });
    }
    expand(template, cluster, namespace)?.parse()
}

/// The role name of an object: `<prefix><namespace>-<name>-<12 base32 characters>`.
///
/// The head is cut so that the whole has at most 64 characters. The last 12 characters are 60 bits
/// of SHA-256 over cluster, namespace and name, each with its length before it, so that names stay
/// apart also where they are cut, differ only in case, or would run together (`a-b`/`c` and
/// `a`/`b-c`). The prefix may hold `{cluster}` and `{namespace}`.
///
/// # Errors
///
/// Refused are parts that are empty (but for the prefix) or hold a character that a role name
/// can't; a prefix longer than [`MAX_PREFIX_LENGTH`]; unknown placeholders.
pub fn derive_role_name(
    prefix: &str,
    cluster: &str,
    namespace: &str,
    name: &str,
) -> Result<RoleName, NameError> {
    let prefix = expand(prefix, cluster, namespace)?;
    check_name_characters("role name prefix", &prefix)?;
    check_length("role name prefix", &prefix, MAX_PREFIX_LENGTH)?;
    check_name_text("object name", name, usize::MAX)?;

    let mut head = format!("{prefix}{namespace}-{name}");
    // Only ASCII gets here, so this can't fall inside a character.
    head.truncate(MAX_PREFIX_LENGTH);
    let hash = identity_hash(&[cluster, namespace, name]);
    format!("{head}-{hash}").parse()
}

fn identity_hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut hash = BASE32_NOPAD.encode(&hasher.finalize()).to_ascii_lowercase();
    hash.truncate(HASH_LENGTH);
    hash
}

/// One pass, so that what is filled in is never itself taken for a placeholder.
fn expand(template: &str, cluster: &str, namespace: &str) -> Result<String, NameError> {
    check_name_text("cluster name", cluster, usize::MAX)?;
    check_name_text("namespace", namespace, usize::MAX)?;

    let lone_brace = || NameError::Brace(template.to_owned());
    let mut expanded = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (placeholder, after) = after.split_once('}').ok_or_else(lone_brace)?;
        if before.contains('}') {
            return Err(lone_brace());
        }
        expanded.push_str(before);
        expanded.push_str(match placeholder {
            "cluster" => cluster,
            "namespace" => namespace,
            _ => {
                return Err(NameError::UnknownPlaceholder {
                    template: template.to_owned(),
                    found: placeholder.to_owned(),
                });
            }
        });
        rest = after;
    }
    if rest.contains('}') {
        return Err(lone_brace());
    }
    expanded.push_str(rest);
    Ok(expanded)
}
