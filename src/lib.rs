pub mod aws;
pub mod iam;
