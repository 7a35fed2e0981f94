//! What the end-to-end tests share: the bed they run on, the operator's process, the AWS proxy, and how to
//! wait. Nothing here asserts anything about the operator.

#[allow(dead_code, reason = "the benchmark uses the rest of it")]
pub mod audit;
pub mod aws;
pub mod bed;
pub mod cluster;
pub mod fault;
pub mod fixtures;
pub mod forward;
pub mod gitops;
pub mod kstatus;
pub mod operator;
pub mod people;
pub mod pods;
pub mod process;
pub mod provider;
pub mod proxy;
pub mod schema;
pub mod space;
pub mod wait;

pub use bed::{Bed, bed};
pub use fault::Fault;
pub use fixtures::*;
pub use space::Space;
pub use wait::eventually;
