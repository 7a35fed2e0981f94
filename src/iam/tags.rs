//! Tags of roles: the keys that this operator owns, and what IAM accepts.
//!
//! IAM compares keys without regard to case, so a tenant's `MLSERVICEROLE.IO/UID` would replace the
//! operator's own tag. Every comparison of keys goes through here. Which tags a role should have is
//! decided elsewhere.

use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// What the operator's own keys begin with. Nobody else may set such a tag.
pub const PREFIX: &str = "mlservicerole.io/";
/// The name of the cluster whose object the role belongs to.
pub const CLUSTER: &str = "mlservicerole.io/cluster";
/// The uid of that cluster's `kube-system` namespace.
pub const CLUSTER_UID: &str = "mlservicerole.io/cluster-uid";
/// The namespace of the object that the role belongs to.
pub const NAMESPACE: &str = "mlservicerole.io/namespace";
/// The uid of that namespace.
pub const NAMESPACE_UID: &str = "mlservicerole.io/namespace-uid";
/// The name of the object that the role belongs to.
pub const NAME: &str = "mlservicerole.io/name";
/// The uid of that object.
pub const UID: &str = "mlservicerole.io/uid";
/// Marks a role that was left in place when its object was deleted, and that belongs to nobody.
pub const RETAINED: &str = "mlservicerole.io/retained";
/// On a role that was there before its object: the name of the ConfigMap that holds what the role was then.
pub const ADOPTED: &str = "mlservicerole.io/adopted";

/// The tags that say whose a role is.
pub const OWNERSHIP: [&str; 6] = [CLUSTER, CLUSTER_UID, NAMESPACE, NAMESPACE_UID, NAME, UID];

/// What AWS's own keys begin with. IAM refuses to set or remove such a tag.
const SYSTEM_PREFIX: &str = "aws:";

/// The longest key, in characters (IAM API reference, Tag).
pub const MAX_KEY_LENGTH: usize = 128;
/// The longest value, in characters (IAM API reference, Tag).
pub const MAX_VALUE_LENGTH: usize = 256;

/// Why IAM would refuse a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    #[error("a tag's key must not be empty")]
    EmptyKey,
    #[error("the tag key {0:?} begins with \"aws:\", which only AWS may set; choose another key")]
    SystemKey(String),
    #[error("the {what} {text:?} has {length} characters; at most {limit} are allowed")]
    TooLong {
        what: String,
        text: String,
        length: usize,
        limit: usize,
    },
    #[error("the {what} {text:?} contains {found:?}; use letters, digits, spaces and _.:/=+-@ only")]
    Character { what: String, text: String, found: char },
}

/// The value of [`UID`] on a retained role that had no room for [`RETAINED`].
pub const RETAINED_UID: &str = "retained";

/// Whether a role with these tags was left in place and belongs to nobody.
pub fn is_retained(tags: &BTreeMap<String, String>) -> bool {
    get(tags, RETAINED).is_some() || get(tags, UID) == Some(RETAINED_UID)
}

/// The tag that marks a role with these tags as retained. Where IAM takes no further tag, the mark stands in the place
/// of the uid: nobody asks for the uid of an object that goes.
pub fn retained_mark(tags: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let (key, value) = match tags.len() < super::quota::TAGS_PER_ROLE {
        true => (RETAINED, "true"),
        false => (UID, RETAINED_UID),
    };
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

/// Whether IAM takes the two for the same key (IAM user guide, "Tags for IAM resources": keys are
/// not case-sensitive).
pub fn same_key(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        // Most keys are, and every comparison of tags comes here.
        return a.eq_ignore_ascii_case(b);
    }
    fold(a).eq(fold(b))
}

/// Whether a key is AWS's or this operator's, so that no tenant and no class may set it.
pub fn is_reserved(key: &str) -> bool {
    is_system(key) || is_own(key)
}

/// Whether a key is this operator's: a mark, or what it notes beside them. None is a part of what a role is like.
pub fn is_own(key: &str) -> bool {
    has_prefix(key, PREFIX)
}

/// Whether a key is AWS's, so that nobody can set it.
pub fn is_system(key: &str) -> bool {
    has_prefix(key, SYSTEM_PREFIX)
}

/// Whether a key says whose a role is or how it came to be so; such tags are the operator's own and no part of what
/// a role is like.
pub fn is_mark(key: &str) -> bool {
    OWNERSHIP
        .iter()
        .chain(&[RETAINED, ADOPTED])
        .any(|mark| same_key(mark, key))
}

/// The value of a tag; the key is compared as IAM does.
pub fn get<'a>(tags: &'a BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    let exact = tags.get(key);
    exact
        .or_else(|| {
            tags.iter()
                .find(|(found, _)| same_key(found, key))
                .map(|(_, value)| value)
        })
        .map(String::as_str)
}

/// Checks that IAM would take the tag: a key of 1 to 128 and a value of up to 256 characters, each
/// of letters, separators, numbers and `_.:/=+-@` (IAM API reference, Tag:
/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`).
///
/// Letters are taken a little more widely than IAM does, with the combining marks that count as
/// alphabetic.
///
/// # Errors
///
/// What is wrong with which of the two.
pub fn check(key: &str, value: &str) -> Result<(), TagError> {
    if key.is_empty() {
        return Err(TagError::EmptyKey);
    }
    if is_system(key) {
        return Err(TagError::SystemKey(key.to_owned()));
    }
    check_text("tag key", key, MAX_KEY_LENGTH)?;
    check_text(&format!("value of the tag {key:?},"), value, MAX_VALUE_LENGTH)
}

fn check_text(what: &str, text: &str, limit: usize) -> Result<(), TagError> {
    let length = text.chars().count();
    if length > limit {
        return Err(TagError::TooLong {
            what: what.to_owned(),
            text: text.to_owned(),
            length,
            limit,
        });
    }
    match text.chars().find(|&c| !is_tag_character(c)) {
        Some(found) => Err(TagError::Character {
            what: what.to_owned(),
            text: text.to_owned(),
            found,
        }),
        None => Ok(()),
    }
}

/// Whether IAM takes this character in a key or a value, see [`check`].
pub(crate) fn is_tag_character(c: char) -> bool {
    // `\p{Z}` is Unicode's whitespace without the control characters among it.
    let is_separator = c.is_whitespace() && !c.is_control();
    c.is_alphabetic() || c.is_numeric() || is_separator || "_.:/=+-@".contains(c)
}

fn has_prefix(key: &str, prefix: &str) -> bool {
    let mut key = fold(key);
    fold(prefix).all(|c| key.next() == Some(c))
}

/// To upper and then to lower case, so that letters which only one of the two would join (`ſ` and
/// `s`, the Kelvin sign and `k`) are joined too: AWS doesn't say how it folds, and a key that slips
/// through a guard costs more than one that is refused.
fn fold(key: &str) -> impl Iterator<Item = char> + '_ {
    key.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}
