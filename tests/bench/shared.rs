//! What the benchmark shares with the end-to-end tests.

#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "../e2e/support/audit.rs"]
pub mod audit;
#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "../e2e/support/cluster.rs"]
pub mod cluster;
#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "../e2e/support/forward.rs"]
pub mod forward;
#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "../e2e/support/process.rs"]
pub mod process;
#[path = "../e2e/support/provider.rs"]
pub mod provider;
#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "../e2e/support/wait.rs"]
pub mod wait;
