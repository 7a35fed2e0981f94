//! What a class allows, rule by rule: that everything unnamed is refused, and that each refusal says what to do.

mod adopt;
mod allow;
mod class;
pub(crate) mod fixtures;
mod floor;
mod fuzz;
mod inline;
mod issuers;
mod load;
mod managed;
mod mistyped;
mod pattern;
mod refusal;
mod separation;
mod soundness;
mod template;
