//! The operator that gives ML workloads on EKS their AWS permissions: IAM roles for ServiceAccounts (IRSA),
//! from an `MlServiceRole` in the tenant's namespace, within what an `MlServiceRoleClass` allows.

pub mod api;
pub mod cli;
pub mod run;
pub mod telemetry;
