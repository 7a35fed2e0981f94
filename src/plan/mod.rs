//! What must be done: from an object, its class and what is known of the world to a list of steps, and from
//! what came of them to conditions. Pure: no client, no clock (times are given), no randomness. The code that
//! carries the steps out decides nothing.

mod adoption;
mod binding;
mod boundary_change;
mod departure;
mod difference;
mod drift;
mod former;
mod give_back;
mod knowledge;
mod observation;
mod outcome;
mod ownership;
mod placement;
mod planner;
mod presets;
mod preview;
mod quotas;
mod release;
mod resolve;
mod revocation;
mod step;
pub mod sweep;
mod tenure;

#[cfg(test)]
mod tests;

pub use binding::{BindingVerdict, Bindings, Rival, ServiceAccountState, Surroundings, bind};
pub use boundary_change::{KnownBoundary, boundary_change};
pub use departure::{Departure, Retention, plan_departure, release_all};
pub use drift::{DRIFT_KINDS, drift_kinds, drift_repaired};
pub use former::{Adopter, FormerState, Sought};
pub use knowledge::{Clock, Recalled, RoleKnowledge, RoleState};
pub use observation::{Pending, observed_departure, plan_observed};
pub use outcome::{Failure, Outcome, Report, class_conditions, conditions, default_class_remark, reason};
pub use ownership::{Owner, Ownership, judge as judge_ownership};
pub use placement::{Placement, departing_class, departure_targets, placement_in_force, select_class};
pub use planner::{Depth, Next, Notice, Plan, plan};
pub use preview::{Bounds, preview, readable};
pub use release::{OwnArn, may_delete};
pub use resolve::{
    Account, Adoption, ClusterIdentity, NamespaceState, Resolution, RoleIntent, ServiceAccountIntent,
    assemble, place, resolve,
};
pub use revocation::{Withdrawal, plan_withdrawal, revoked};
pub use step::{BoundBy, Previous, ServiceAccountBinding, Step};
pub use tenure::{Keepers, Tenure};
