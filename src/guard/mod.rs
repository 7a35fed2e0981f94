//! What a class allows: the decision whether an MlServiceRole may have what it asks for. Pure: no client, no
//! clock, and nothing read from a status. Everything that isn't understood is refused.

mod adopt;
mod allow;
mod class;
mod condition;
mod floor;
mod inline;
mod issuers;
mod managed;
mod pattern;
mod policy;
mod presets;
mod principal_tags;
mod refusal;
mod resource;
mod selector;
mod separation;
mod template;
mod violation;

#[cfg(test)]
pub(crate) mod tests;

pub use adopt::adoptable;
pub use allow::{Item, Request, check, check_account, violations};
pub use class::{ClassRules, understand};
pub use floor::{Consents, floor_actions};
pub use inline::Rule;
pub use issuers::issuers_in_force;
pub use managed::ManagedPolicies;
pub use presets::{AllowedPresets, checked as checked_preset, of_access as refusal_of_access};
pub use refusal::Refusal;
pub use template::{Names, Template};
