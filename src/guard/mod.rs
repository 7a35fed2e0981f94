//! What a class allows: the decision whether an MlServiceRole may have what it asks for. Pure: no client, no
//! clock, and nothing read from a status. Everything that isn't understood is refused.

mod adopt;
mod allow;
mod class;
mod refusal;
mod unsupported;

#[cfg(test)]
pub(crate) mod tests;

pub use adopt::adoptable;
pub use allow::{Request, check};
pub use class::{ClassRules, issuers_in_force, understand};
pub use refusal::Refusal;
pub use unsupported::check as check_supported;
