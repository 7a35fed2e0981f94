//! Looking for roles without an object where no list of the whole account is asked for: by the names under the classes'
//! paths. ListRoles tells no tags, so that a name that belongs to no role of ours is read for itself. Where there are
//! many of those, only the account's own list can tell.

use std::collections::{BTreeMap, HashSet};

use super::pass::{next, patiently};
use crate::aws::{AwsError, IamApi};
use crate::iam::name::RoleName;
use crate::iam::role::RoleHeader;

/// So many roles are read for themselves.
pub const MOST_READ: usize = 50;

/// What came of a search.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Searched {
    /// Every role under the paths is known or was told.
    Whole,
    /// There are too many that aren't known: none was read.
    TooMany,
}

/// Goes through the names under `prefixes` and tells of each that isn't among `known`, wherever it is there to be read.
/// Names are compared without regard to case, as IAM does.
pub async fn search(
    iam: &dyn IamApi,
    prefixes: &[String],
    known: &HashSet<String>,
    calls: &mut usize,
    mut found: impl FnMut(&RoleName, &RoleHeader) + Send,
) -> Result<Searched, AwsError> {
    let mut unknown: BTreeMap<String, RoleName> = BTreeMap::new();
    for prefix in prefixes {
        let mut marker: Option<String> = None;
        loop {
            let page = patiently(calls, || iam.role_settings_page(prefix, marker.as_deref())).await?;
            for listed in page.items {
                let name = listed.name.as_str().to_ascii_lowercase();
                if !known.contains(&name) {
                    unknown.insert(name, listed.name);
                }
            }
            if unknown.len() > MOST_READ {
                return Ok(Searched::TooMany);
            }
            marker = next(marker, page.next)?;
            if marker.is_none() {
                break;
            }
        }
    }
    for name in unknown.values() {
        match patiently(calls, || iam.get_role(name)).await {
            Ok(header) => found(name, &header),
            Err(error) if error.is_no_such_entity() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Searched::Whole)
}
