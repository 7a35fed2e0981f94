//! The policies that `iam-policy` prints, held against what the operator does and what a thief of its credentials
//! would try, and the committed ones of the samples.

#![allow(clippy::unwrap_used, clippy::expect_used)] // All of this is test code.

#[path = "../support/mod.rs"]
mod support;

mod allowed;
mod attempts;
mod batch;
mod command;
mod denied;
mod evaluator;
mod life;
mod made;
mod organization;
mod policed;
mod problems;
mod requests;
mod samples;
mod tenants;
