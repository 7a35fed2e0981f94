//! The tag that says which presets a role was given, in which versions.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::check::Checked;
use crate::iam::tags::MAX_VALUE_LENGTH;

/// The key of the tag.
pub const VERSIONS_TAG: &str = "mlservicerole.io/presets";

/// The value of [`VERSIONS_TAG`]: each preset with its version, once, in order of names, such as
/// `bedrock-batch@1 s3-prefix-read@2`; empty for no presets.
///
/// Where that is longer than IAM takes (256 characters), it begins with as many as there is room for and ends with the
/// number of the others and the beginning of the SHA-256 of the whole text, such as `… +7 sha256:0123456789abcdef`: still
/// another value for other presets.
pub fn versions_tag(checked: &[Checked<'_>]) -> String {
    let names: BTreeSet<(&str, u32)> = checked
        .iter()
        .map(|use_of| (use_of.preset().name.as_str(), use_of.version().number))
        .collect();
    let names: Vec<String> = names
        .into_iter()
        .map(|(name, version)| format!("{name}@{version}"))
        .collect();
    shorten(&names, MAX_VALUE_LENGTH)
}

pub(super) fn shorten(names: &[String], limit: usize) -> String {
    let whole = names.join(" ");
    if whole.len() <= limit {
        return whole;
    }
    let digest = Sha256::digest(whole.as_bytes());
    let mut hash = String::new();
    for byte in digest.iter().take(8) {
        // Writing to a String can't fail.
        let _ = write!(hash, "{byte:02x}");
    }
    let ending = |left: usize| format!("+{left} sha256:{hash}");
    let mut kept = String::new();
    let mut left = names.len();
    for name in names {
        if kept.len() + name.len() + 1 + ending(left).len() > limit {
            break;
        }
        kept.push_str(name);
        kept.push(' ');
        left -= 1;
    }
    kept + &ending(left)
}
