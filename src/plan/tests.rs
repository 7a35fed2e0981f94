//! Every decision of the plan, without a server: what an object comes to, whose a role is, which steps are taken in
//! which order, and what people are told.

mod adoption;
mod binding;
mod boundary_change;
mod departure;
mod drift;
mod fixtures;
mod former;
mod give_back;
mod knowledge;
mod observation;
mod outcome;
mod own_arn;
mod ownership;
mod placement;
mod planner;
mod preview;
mod quotas;
mod release;
mod replace;
mod resolve;
mod revocation;
mod sweep;
mod tenure;
