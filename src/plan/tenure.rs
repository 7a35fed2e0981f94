//! Which objects keep a class that is being deleted: those whose role could no longer be reached without it.

use std::collections::BTreeSet;

use super::Placement;
use crate::api::CLASS_FINALIZER;
use crate::api::condition::reasons;
use crate::guard::Refusal;

/// So many objects are named where a class is kept.
const NAMED: usize = 5;

/// What an object says of its class. All of it can be written by whoever may write the object.
#[derive(Clone, Debug)]
pub struct Tenure {
    /// `namespace/name` of the object.
    pub object: String,
    /// The class that it names; `Err` is an object that can't be read.
    pub class_name: Result<Option<String>, ()>,
    /// Its placement, where it has one; `Err` is one that can't be read.
    pub placement: Option<Result<Placement, Refusal>>,
    /// Whether it carries our finalizer, so that it may have a role.
    pub has_finalizer: bool,
}

impl Tenure {
    /// Whether the object may have a role that is reached through this class.
    fn keeps(&self, class: &str) -> bool {
        if let Some(Ok(placement)) = &self.placement
            && placement.class == class
        {
            return true;
        }
        let placed_elsewhere = matches!(&self.placement, Some(Ok(_)));
        let may_mean_it = match &self.class_name {
            Ok(Some(named)) => named == class,
            Ok(None) | Err(()) => !placed_elsewhere,
        };
        self.has_finalizer && may_mean_it
    }
}

/// The objects that keep a class that is being deleted, counted as they are listed: of thousands, a few names are held.
#[derive(Clone, Debug)]
pub struct Keepers<'a> {
    class: &'a str,
    count: usize,
    first: BTreeSet<String>,
}

impl<'a> Keepers<'a> {
    /// Of this class, none yet.
    pub fn new(class: &'a str) -> Self {
        Self {
            class,
            count: 0,
            first: BTreeSet::new(),
        }
    }

    /// Counts an object, if it keeps the class. Each is to be told once.
    pub fn note(&mut self, tenure: &Tenure) {
        if !tenure.keeps(self.class) {
            return;
        }
        self.count += 1;
        self.first.insert(tenure.object.clone());
        if self.first.len() > NAMED {
            self.first.pop_last();
        }
    }

    /// Why the class stays; none where nothing keeps it.
    pub fn refusal(&self) -> Option<Refusal> {
        if self.count == 0 {
            return None;
        }
        let more = match self.count.saturating_sub(self.first.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let first: Vec<&str> = self.first.iter().map(String::as_str).collect();
        // It goes by itself with the last of them.
        Some(Refusal::passing(
            reasons::CLASS_TERMINATING,
            format!(
                "class {:?} is being deleted, but stays until no MlServiceRole needs it to reach its role: if that is a \
                 mistake, take its finalizer {CLASS_FINALIZER} off and apply it again; if it is to go, delete {}{more}; \
                 until then it serves only deletions",
                self.class,
                first.join(", ")
            ),
        ))
    }
}
