//! The AWS edge against a real socket: what is sent, what is made of each kind of answer and
//! failure, how often a request is repeated, and whose credentials sign it.
//!
//! Needs no AWS and no emulator; the bodies are those of IAM's and STS's documentation.

// clippy.toml allows them in test functions only, not in what test functions share.
#![allow(clippy::unwrap_used)]

#[path = "../support/openmetrics.rs"]
mod openmetrics;

mod answers;
mod counted;
mod errors;
mod gate;
mod lists;
mod pacing;
mod quotas;
mod requests;
mod retries;
mod server;
mod sessions;
