//! What the integration tests share.

pub mod fake_cluster;
pub mod fake_iam;
