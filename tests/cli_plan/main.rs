//! `mlservicerole-operator plan` as its users run it: what it prints, what it refuses, and its exit codes, without
//! a cluster and without AWS.

#![allow(clippy::unwrap_used)] // All of this is test code.

mod command;
mod hostile;
mod judged;
mod samples;
