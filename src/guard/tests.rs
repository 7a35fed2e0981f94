//! What a class allows, rule by rule: that everything unnamed is refused, and that each refusal says what to do.

mod adopt;
mod allow;
mod class;
pub(crate) mod fixtures;
mod issuers;
mod pattern;
mod refusal;
