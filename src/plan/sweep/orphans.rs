//! Roles that carry this cluster's marks and belong to no object: somebody took an object's finalizer off, or restored
//! the cluster from before the object. They are told and never deleted: whether anybody needs them, nobody here knows.

use std::collections::{BTreeMap, BTreeSet};

use crate::iam::name::RoleName;
use crate::iam::tags;

/// So many are told by name.
pub const MAX_NAMES: usize = 10;
/// So many are remembered of one account, so that a flood of them doesn't fill the memory.
const MOST: usize = 1_000;

/// Namespace and name of the object that a role says it belongs to, where that object is one of this cluster's. One that
/// was retained says so and belongs to nobody.
pub fn claimed<'a>(tags: &'a BTreeMap<String, String>, cluster_uid: &str) -> Option<(&'a str, &'a str)> {
    let is_ours = tags::get(tags, tags::CLUSTER_UID) == Some(cluster_uid) && !tags::is_retained(tags);
    let namespace = tags::get(tags, tags::NAMESPACE).filter(|_| is_ours)?;
    Some((namespace, tags::get(tags, tags::NAME)?))
}

/// Roles that a sweep found without an object, each with the class under whose path it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Suspects(BTreeSet<(String, RoleName)>);

impl Suspects {
    /// Adds one. Where there are too many, those that come first by class and name are kept.
    pub fn add(&mut self, class: &str, role: RoleName) {
        self.0.insert((class.to_owned(), role));
        if self.0.len() > MOST {
            self.0.pop_last();
        }
    }

    /// What two sweeps in a row agree on, of one class.
    pub fn agreed(&self, before: &Suspects, class: &str) -> Orphans {
        let both = self.0.intersection(&before.0);
        let of_class: Vec<&RoleName> = both.filter(|(of, _)| of == class).map(|(_, role)| role).collect();
        Orphans {
            count: of_class.len(),
            names: of_class.iter().take(MAX_NAMES).map(ToString::to_string).collect(),
        }
    }
}

/// Roles of a class that belong to no object.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Orphans {
    /// How many there are.
    pub count: usize,
    /// The first of them, in order.
    pub names: Vec<String>,
}

impl Orphans {
    /// For people.
    pub fn message(&self) -> String {
        let more = match self.count.saturating_sub(self.names.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "roles of this cluster belong to no MlServiceRole any more and are left alone: {}{more}; delete those that \
             nobody needs, or create their objects again",
            self.names.join(", ")
        )
    }
}
