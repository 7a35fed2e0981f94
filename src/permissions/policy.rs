//! Statements and policies as they are made here, each with its reason, and how they are written and counted.
//!
//! Unlike [`iam::document`](crate::iam::document), which reads what others wrote, this only writes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::iam::document::{Effect, Version};
use crate::iam::quota;

/// Operator to condition key to values.
pub type Conditions = BTreeMap<&'static str, BTreeMap<String, BTreeSet<String>>>;

/// One statement, and why it is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    /// Its name; unique in its policy once that is made.
    pub sid: String,
    /// For whoever reads the policy.
    pub why: &'static str,
    /// Whether it allows or denies.
    pub effect: Effect,
    /// Whom it speaks of, in policies that say that.
    pub who: Who,
    /// Actions, with wildcards.
    pub actions: BTreeSet<String>,
    /// What the actions are done to.
    pub resources: Resources,
    /// When it applies.
    pub conditions: Conditions,
}

/// Whom a statement speaks of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Who {
    /// Whoever has the policy.
    Holder,
    /// Everybody.
    Everybody,
    /// These principals, by ARN.
    Principals(BTreeSet<String>),
}

/// What a statement's actions are done to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Resources {
    /// The role that has the policy, as in a trust policy.
    Holder,
    /// `Resource`.
    Only(BTreeSet<String>),
    /// `NotResource`.
    AllExcept(BTreeSet<String>),
}

impl Resources {
    /// `*`.
    pub fn all() -> Self {
        Resources::Only(set(["*"]))
    }
}

/// How large a policy may be, and who says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// A managed policy of IAM's: 6,144 characters without whitespace (IAM user guide, "IAM and AWS STS quotas").
    ManagedPolicy,
    /// A role's trust policy: 2,048 characters without whitespace by default (the same).
    TrustPolicy,
    /// A policy of AWS Organizations: 5,120 characters, all of which count (AWS Organizations user guide, "Quotas
    /// and service limits"). Newer editions give service control policies more.
    OrganizationPolicy,
}

impl Limit {
    /// So many characters.
    pub fn characters(self) -> usize {
        match self {
            Limit::ManagedPolicy => quota::MANAGED_POLICY_SIZE,
            Limit::TrustPolicy => quota::DEFAULT_TRUST_POLICY_SIZE,
            Limit::OrganizationPolicy => 5_120,
        }
    }

    /// So many characters of the limit a document takes that is written without whitespace around its elements.
    pub fn size(self, document: &Value) -> usize {
        let text = document.to_string();
        match self {
            Limit::ManagedPolicy | Limit::TrustPolicy => quota::size(&text),
            Limit::OrganizationPolicy => text.chars().count(),
        }
    }
}

/// One policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// What it is called in the output.
    pub name: String,
    /// What it is for.
    pub purpose: String,
    /// How large it may be.
    pub limit: Limit,
    /// Never empty.
    pub statements: Vec<Statement>,
}

impl Policy {
    /// The document.
    pub fn document(&self) -> Value {
        let mut used: BTreeMap<&str, usize> = BTreeMap::new();
        let statements: Vec<Value> = self
            .statements
            .iter()
            .map(|statement| {
                let count = used.entry(&statement.sid).or_default();
                *count += 1;
                let sid = match count {
                    1 => statement.sid.clone(),
                    several => format!("{}{several}", statement.sid),
                };
                statement.to_json(&sid)
            })
            .collect();
        json!({"Version": Version::V2012.as_str(), "Statement": statements})
    }

    /// So many characters of its limit it takes.
    pub fn size(&self) -> usize {
        self.limit.size(&self.document())
    }
}

impl Statement {
    /// Allows its holder something.
    pub fn allow(sid: &str, why: &'static str, actions: &[&str], resources: Resources) -> Self {
        Self::new(Effect::Allow, sid, why, actions, resources)
    }

    /// Denies its holder something, whatever else allows it.
    pub fn deny(sid: &str, why: &'static str, actions: &[&str], resources: Resources) -> Self {
        Self::new(Effect::Deny, sid, why, actions, resources)
    }

    fn new(effect: Effect, sid: &str, why: &'static str, actions: &[&str], resources: Resources) -> Self {
        Statement {
            sid: sid.to_owned(),
            why,
            effect,
            who: Who::Holder,
            actions: set(actions.iter().copied()),
            resources,
            conditions: Conditions::new(),
        }
    }

    /// The same, of somebody else than its holder.
    pub fn of(mut self, who: Who) -> Self {
        self.who = who;
        self
    }

    /// The same under a further condition; one without values is none.
    pub fn when<V: Into<String>>(
        mut self,
        operator: &'static str,
        key: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values: BTreeSet<String> = values.into_iter().map(Into::into).collect();
        if !values.is_empty() {
            self.conditions
                .entry(operator)
                .or_default()
                .insert(key.into(), values);
        }
        self
    }

    /// So many characters of a limit it takes in a policy: itself, a comma, and three digits that its name may be
    /// given there.
    pub(super) fn size(&self, limit: Limit) -> usize {
        limit.size(&self.to_json(&self.sid)) + 4
    }

    fn to_json(&self, sid: &str) -> Value {
        let Statement {
            sid: _,
            why: _,
            effect,
            who,
            actions,
            resources,
            conditions,
        } = self;
        let mut map = Map::new();
        map.insert("Sid".to_owned(), sid.into());
        map.insert("Effect".to_owned(), effect.as_str().into());
        match who {
            Who::Holder => None,
            Who::Everybody => map.insert("Principal".to_owned(), "*".into()),
            Who::Principals(arns) => map.insert("Principal".to_owned(), json!({"AWS": list(arns)})),
        };
        map.insert("Action".to_owned(), list(actions));
        match resources {
            Resources::Holder => None,
            Resources::Only(arns) => map.insert("Resource".to_owned(), list(arns)),
            Resources::AllExcept(arns) => map.insert("NotResource".to_owned(), list(arns)),
        };
        if !conditions.is_empty() {
            let mut operators = Map::new();
            for (operator, keys) in conditions {
                let keys = keys.iter().map(|(key, values)| (key.clone(), list(values)));
                operators.insert((*operator).to_owned(), Value::Object(keys.collect()));
            }
            map.insert("Condition".to_owned(), Value::Object(operators));
        }
        Value::Object(map)
    }
}

/// As short as IAM takes it.
fn list(values: &BTreeSet<String>) -> Value {
    match values.first() {
        Some(only) if values.len() == 1 => only.as_str().into(),
        _ => json!(values),
    }
}

/// Texts, once each.
pub(super) fn set<T: Into<String>>(values: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    values.into_iter().map(Into::into).collect()
}
