//! The operator that gives ML workloads on EKS their AWS permissions: IAM roles for ServiceAccounts (IRSA),
//! from an `MlServiceRole` in the tenant's namespace, within what an `MlServiceRoleClass` allows.

pub mod access;
pub mod api;
pub mod aws;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod fair_queue;
pub mod gate;
pub mod guard;
pub mod iam;
pub mod manifest;
pub mod metrics;
pub mod packed;
pub mod permissions;
pub mod plan;
pub mod run;
pub mod server;
pub mod telemetry;
