//! The controller: observe, resolve, plan, execute, report. This is where IO and decisions meet; the decisions
//! themselves are made in `guard` and `plan`.

mod agenda;
mod class;
mod context;
mod depart;
mod drive;
pub mod execute;
pub(crate) mod failure;
mod gauges;
mod index;
mod known_classes;
mod maintain;
pub(crate) mod marks;
pub(crate) mod observe;
pub(crate) mod reach;
mod reconcile;
pub mod record;
mod report;
mod start;
pub mod sweep;
mod unreadable;
mod watch;
mod woken;
mod workers;

pub use start::{Settings, start};
