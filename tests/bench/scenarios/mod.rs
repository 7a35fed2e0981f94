//! The scenarios. Each brings its objects to where they should be and says what that took; one that doesn't get there
//! is an error that says why. No time is asserted.

mod conditions;
mod fairness;
mod life;
mod stage;

use std::path::PathBuf;

use kube::Client;
use serde_json::{Map, Value};

use crate::aws::Aws;
use crate::operator::Launcher;
use crate::processes::Bystanders;
use crate::shared::audit::AuditLog;

pub use life::Phase;

/// What all scenarios stand on.
pub struct Bench {
    pub client: Client,
    pub aws: Aws,
    pub audit: AuditLog,
    pub bystanders: Bystanders,
    pub launcher: Launcher,
    /// Of the cluster's tokens.
    pub issuer: String,
    /// Where logs go.
    pub directory: PathBuf,
}

/// What a scenario measured, filled in as it goes, so that a failure leaves what came before it.
pub type Measured = Map<String, Value>;

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Scenario {
    /// Objects from their creation to their deletion, in an AWS as fast as the emulator.
    Life { count: usize, phases: Vec<Phase> },
    /// Creation with 50 ms added to every call.
    Latency { count: usize },
    /// Creation with 15 calls a second of each action, burst 15.
    Limits { count: usize },
    /// Creation, and the repair of drift, with 30 % of all calls throttled at random.
    Throttled { count: usize },
    /// One object of namespace B behind `count` of namespace A.
    Fairness { count: usize },
}

impl Scenario {
    /// The key of its results, a part of its objects' names too.
    pub fn name(&self) -> String {
        match self {
            Scenario::Life { count, .. } => format!("life-{count}"),
            Scenario::Latency { count } => format!("latency-{count}"),
            Scenario::Limits { count } => format!("limits-{count}"),
            Scenario::Throttled { count } => format!("throttled-{count}"),
            Scenario::Fairness { count } => format!("fairness-{count}"),
        }
    }

    /// Runs it, and takes away what it left in the cluster.
    pub async fn run(&self, bench: &Bench, measured: &mut Measured) -> Result<(), String> {
        let name = self.name();
        let outcome = match self {
            Scenario::Life { count, phases } => life::run(bench, &name, *count, phases, measured).await,
            Scenario::Latency { count } => conditions::latency(bench, &name, *count, measured).await,
            Scenario::Limits { count } => conditions::limits(bench, &name, *count, measured).await,
            Scenario::Throttled { count } => conditions::throttled(bench, &name, *count, measured).await,
            Scenario::Fairness { count } => fairness::run(bench, &name, *count, measured).await,
        };
        let swept = crate::objects::sweep_away(&bench.client, &name).await;
        outcome.and(swept)
    }
}
