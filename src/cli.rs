//! The command line. Each subcommand hands over to a module of its own; nothing is decided here.

mod explain;
mod iam_policy;
mod plan;
mod prepare_uninstall;
mod presets;

use std::io::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::api::crd;
use crate::telemetry::LogFormat;

/// Gives ML workloads on EKS their AWS permissions.
#[derive(Debug, Parser)]
#[command(name = "mlservicerole-operator", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator against the cluster of the environment (in-cluster, or KUBECONFIG).
    Run(RunArgs),
    /// Show what would come of manifests: roles, policies and steps, or why they are refused.
    Plan(plan::PlanArgs),
    /// Show the presets that an MlServiceRole's `access` may name.
    Presets(presets::PresetsArgs),
    /// Say what a reason of a condition means, and what to do.
    Explain(explain::ExplainArgs),
    /// Print the IAM policies that the operator needs for the classes given.
    IamPolicy(Box<iam_policy::IamPolicyArgs>),
    /// Check that nothing is left that needs the operator, and delete the classes that go with it.
    PrepareUninstall(prepare_uninstall::PrepareUninstallArgs),
    /// Print the CustomResourceDefinitions as YAML.
    Crd,
}

/// Settings of the process. AWS settings live in MlServiceRoleClass objects; AWS credentials, region and
/// endpoint come from the SDK's standard chain.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Name of this cluster; part of every role's path, name and ownership tags, so never change it.
    #[arg(long, env = "MLSERVICEROLE_CLUSTER_NAME", value_parser = cluster_name)]
    pub cluster_name: String,
    /// Where to serve /livez, /readyz and /metrics.
    #[arg(long, env = "MLSERVICEROLE_HTTP_ADDR", default_value = "0.0.0.0:8080")]
    pub http_addr: SocketAddr,
    /// How often drift is looked for, in seconds: by two lists of each account, or by reading each role where these
    /// lists can't be had or cost more.
    #[arg(long, env = "MLSERVICEROLE_SWEEP_INTERVAL", default_value = "300", value_parser = seconds)]
    pub sweep_interval: Duration,
    /// How long IAM may contradict itself after a write, in seconds: a role that seems to be somebody else's,
    /// or gone right after a write, is believed only when two reads this far apart agree.
    #[arg(long, env = "MLSERVICEROLE_CONSISTENCY_WINDOW", default_value = "30", value_parser = seconds)]
    pub consistency_window: Duration,
    /// Longest wait between two attempts for one object that keeps failing, in seconds.
    #[arg(long, env = "MLSERVICEROLE_MAX_BACKOFF", default_value = "300", value_parser = seconds)]
    pub max_backoff: Duration,
    /// How many objects are worked on at once.
    #[arg(long, env = "MLSERVICEROLE_CONCURRENCY", default_value = "32")]
    pub concurrency: NonZeroUsize,
    /// How long a stop may take to finish steps under way, in seconds.
    #[arg(long, env = "MLSERVICEROLE_SHUTDOWN_GRACE", default_value = "20", value_parser = seconds)]
    pub shutdown_grace: Duration,
    /// How long one attempt of a request to AWS, or one write to the Kubernetes API, may take, in seconds.
    #[arg(long, env = "MLSERVICEROLE_REQUEST_TIMEOUT", default_value = "10", value_parser = seconds)]
    pub request_timeout: Duration,
    #[command(flatten)]
    pub leader_election: LeaderElectionArgs,
    /// Format of the log.
    #[arg(long, env = "MLSERVICEROLE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What to log, as in `info` or `info,mlservicerole_operator=debug`.
    #[arg(
        long,
        env = "MLSERVICEROLE_LOG",
        default_value = "info,kube_runtime=warn,kube_client=warn"
    )]
    pub log: String,
}

/// Which of several processes works. The flags are named as those of Kubernetes' own components.
#[derive(Args, Clone, Debug)]
pub struct LeaderElectionArgs {
    /// Whether to work only while holding a Lease. Without, no other operator may run in this cluster.
    #[arg(
        long,
        env = "MLSERVICEROLE_LEADER_ELECT",
        default_value_t = true,
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub leader_elect: bool,
    /// Name of the Lease, in the operator's own namespace.
    #[arg(
        long,
        env = "MLSERVICEROLE_LEADER_ELECT_RESOURCE_NAME",
        default_value = "mlservicerole-operator"
    )]
    pub leader_elect_resource_name: String,
    /// After how long without a renewal another process takes over, in seconds.
    #[arg(long, env = "MLSERVICEROLE_LEADER_ELECT_LEASE_DURATION", default_value = "30", value_parser = seconds)]
    pub leader_elect_lease_duration: Duration,
    /// For how long after its last renewal a process still works, in seconds.
    #[arg(long, env = "MLSERVICEROLE_LEADER_ELECT_RENEW_DEADLINE", default_value = "15", value_parser = seconds)]
    pub leader_elect_renew_deadline: Duration,
    /// How often the Lease is renewed, and looked at by the processes that stand by, in seconds.
    #[arg(long, env = "MLSERVICEROLE_LEADER_ELECT_RETRY_PERIOD", default_value = "3", value_parser = seconds)]
    pub leader_elect_retry_period: Duration,
}

impl Cli {
    /// Runs the chosen subcommand; errors are printed for people.
    pub fn execute(self) -> ExitCode {
        let result = match self.command {
            Command::Plan(args) => return plan::run(&args),
            Command::IamPolicy(args) => return iam_policy::run(&args),
            Command::Run(args) => crate::run::run(args),
            Command::Presets(args) => presets::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::PrepareUninstall(args) => prepare_uninstall::run(&args),
            Command::Crd => print_crds(),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                eprintln!("error: {message}");
                ExitCode::FAILURE
            }
        }
    }
}

/// To standard output. Whoever reads may have enough before the end, as `head` has.
fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("failed to print: {error}"))
        }
        _ => Ok(()),
    }
}

fn print_crds() -> Result<(), String> {
    for definition in crd::definitions() {
        let yaml =
            yaml_serde::to_string(&definition).map_err(|e| format!("failed to print the CRDs: {e}"))?;
        print!("---\n{yaml}");
    }
    Ok(())
}

/// The cluster's name becomes part of IAM paths, role tags and hashes.
fn cluster_name(value: &str) -> Result<String, String> {
    let valid = (1..=100).contains(&value.len())
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && value.as_bytes()[0].is_ascii_alphanumeric();
    if valid {
        Ok(value.to_owned())
    } else {
        Err("a cluster name has 1 to 100 letters, digits, '-' or '_' and begins with a letter or digit, as in EKS"
            .to_owned())
    }
}

fn seconds(value: &str) -> Result<Duration, String> {
    match value.parse::<u32>() {
        Ok(n) if n > 0 => Ok(Duration::from_secs(n.into())),
        _ => Err("a whole number of seconds, at least 1".to_owned()),
    }
}
