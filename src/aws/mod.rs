//! The AWS edge: performs calls to IAM and STS, and reports faithfully what came of them.
//!
//! It decides nothing. What an error means for a role is the controller's business; whether a call
//! is made at all, the plan's. [`IamApi`] is the whole of IAM that the rest of the crate knows.

pub mod accounts;
pub mod api;
pub mod error;
mod gate;
pub mod paced;
pub mod pacing;
pub mod quotas;
mod region;
pub mod requests;
mod sdk;
mod sdk_error;
pub mod transport;

pub use accounts::{AccountRef, Accounts, AssumeRole, SdkAccounts, Session, SessionError};
pub use api::{IamApi, Listed, Page};
pub use error::{AwsError, ErrorClass};
pub use paced::{Caller, Pace, Paced};
pub use quotas::QuotaCache;
pub use region::own_region;
