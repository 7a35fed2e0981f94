//! The controller: observe, resolve, plan, execute, report. This is where IO and decisions meet; the decisions
//! themselves are made in `guard` and `plan`.

mod class;
mod context;
mod depart;
pub mod execute;
mod failure;
mod maintain;
mod observe;
mod reconcile;
pub mod record;
mod report;
mod start;
mod watch;

pub use start::{Settings, start};
