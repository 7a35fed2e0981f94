//! The Kubernetes edge: writes to objects, ServiceAccounts and statuses, Events, and who this cluster is. It
//! performs what a plan says and decides nothing; [`ClusterApi`] is all that the executor knows of it.

mod account;
mod api;
mod client;
pub mod election;
mod error;
mod events;
mod former;
mod guarded;
mod identity;
mod kubernetes;
mod lease;

pub use account::Account;
pub use api::{ClusterApi, Kept, Removal};
pub use client::{Clients, clients};
pub use error::{ClusterError, ClusterErrorClass};
pub use events::{Event, Events};
pub use former::FormerStates;
pub use guarded::{Guarded, Unreadable};
pub use identity::{cluster_uid, own_issuer, own_namespace};
pub use kubernetes::{Kubernetes, annotation_managers, service_account_state};
pub use lease::{Elector, End, Leader, identity};
