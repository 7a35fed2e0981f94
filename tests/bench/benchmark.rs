//! The benchmark: the operator on a real API server against an emulated IAM, with every call counted. `make bench` runs
//! it on a test bed of its own; docs/benchmark.md says what the numbers mean. It asserts no time: it fails when something
//! doesn't get to where it should be.

// All of this is test code.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code, reason = "other tests use all of it")]
#[path = "../support/openmetrics.rs"]
mod openmetrics;

mod audit;
mod aws;
mod bare;
mod document;
mod objects;
mod operator;
mod processes;
mod proxy;
mod results;
mod scenarios;
mod shared;
mod table;
mod watching;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use kube::Client;

use aws::Aws;
use operator::Launcher;
use processes::Bystanders;
use results::Results;
use scenarios::{Bench, Measured, Phase, Scenario};
use shared::audit::AuditLog;
use shared::cluster;

/// Sizes of a whole run; the last is large enough to show what grows with the number of objects.
const SIZES: [usize; 3] = [200, 1000, 5000];
/// Objects of the scenarios with a slow, limited or busy AWS.
const UNDER_CONDITIONS: usize = 200;
/// Objects of namespace A.
const CROWD: usize = 1000;

/// Measures the operator on the cluster of KUBECONFIG and the ministack of AWS_ENDPOINT_URL.
#[derive(Parser)]
#[command(name = "make bench")]
struct Arguments {
    /// Run only these scenarios. When absent: all.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Numbers of objects; each scenario runs once for each. When absent: lives of 200, 1000 and 5000, fairness with
    /// 1000, the others with 200.
    #[arg(short, long, value_delimiter = ',')]
    n: Vec<usize>,
    /// What of a life to measure between creation and deletion. When absent: all.
    #[arg(long, value_enum, value_delimiter = ',')]
    phases: Option<Vec<Phase>>,
    /// The operator to measure. When absent: the one built with this benchmark.
    #[arg(long, overrides_with = "operator")]
    operator: Option<PathBuf>,
    /// Put the results into docs/benchmark.md and docs/benchmark/results.json.
    #[arg(long)]
    write: bool,
    /// Also write the results to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// `cargo bench` says so to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Kind {
    /// Create, idle, restart, steady state, drift, delete.
    Life,
    /// 50 ms added to each call.
    Latency,
    /// 15 calls a second of each action.
    Limits,
    /// 30 % of calls throttled: create, drift.
    Throttled,
    /// One namespace behind another's thousand objects.
    Fairness,
}

impl Arguments {
    fn scenarios(&self) -> Vec<Scenario> {
        let kinds = match self.only.is_empty() {
            true => Kind::value_variants(),
            false => self.only.as_slice(),
        };
        let sizes = |default: &[usize]| match self.n.is_empty() {
            true => default.to_vec(),
            false => self.n.clone(),
        };
        let phases = self.phases.clone();
        let phases = phases.unwrap_or_else(|| Phase::value_variants().to_vec());
        let of_kind = |kind: &Kind| -> Vec<Scenario> {
            let default: &[usize] = match kind {
                Kind::Life => &SIZES,
                Kind::Fairness => &[CROWD],
                Kind::Latency | Kind::Limits | Kind::Throttled => &[UNDER_CONDITIONS],
            };
            let of_size = |count| match kind {
                Kind::Life => Scenario::Life {
                    count,
                    phases: phases.clone(),
                },
                Kind::Latency => Scenario::Latency { count },
                Kind::Limits => Scenario::Limits { count },
                Kind::Throttled => Scenario::Throttled { count },
                Kind::Fairness => Scenario::Fairness { count },
            };
            sizes(default).into_iter().map(of_size).collect()
        };
        kinds.iter().flat_map(of_kind).collect()
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("a TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(&arguments)),
        Err(error) => Err(error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nthe benchmark FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), String> {
    let program = arguments
        .operator
        .clone()
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_mlservicerole-operator")));
    let bench = prepare(&program).await?;
    let mut results = Results::default();
    let mut failures = Vec::new();
    for scenario in arguments.scenarios() {
        let name = scenario.name();
        let began = std::time::Instant::now();
        println!("{name} …");
        let origin = results::origin(&bench.client, &program).await;
        let mut measured = Measured::new();
        let outcome = scenario.run(&bench, &mut measured).await;
        println!("{name}: {:.0} s", began.elapsed().as_secs_f64());
        if let Err(error) = outcome {
            eprintln!("{name} FAILED: {error}");
            measured.insert("failed".into(), error.lines().next().unwrap_or_default().into());
            failures.push(name.clone());
        }
        results.put(&name, measured, &origin);
    }
    println!("\n{}", document::section(&results));
    if let Some(path) = &arguments.json {
        results.write(path)?;
    }
    if !failures.is_empty() {
        let log = bench.directory.join("operator.log");
        return Err(format!(
            "{}; the operator's log is {}",
            failures.join(", "),
            log.display()
        ));
    }
    if arguments.write {
        document::write(&results)?;
        println!("written: {}", document::json().display());
    }
    let _ = std::fs::remove_dir_all(&bench.directory);
    Ok(())
}

/// Connects, installs the operator's manifests, and learns what the scenarios need.
async fn prepare(program: &std::path::Path) -> Result<Bench, String> {
    let (Some(kubeconfig), Ok(endpoint)) =
        (std::env::var_os("KUBECONFIG"), std::env::var("AWS_ENDPOINT_URL"))
    else {
        return Err(
            "KUBECONFIG and AWS_ENDPOINT_URL aren't set; `make bench` starts a test bed and sets both".into(),
        );
    };
    let kubeconfig = PathBuf::from(kubeconfig);
    let client = Client::try_default()
        .await
        .map_err(|e| format!("failed to read KUBECONFIG: {e}"))?;
    let aws = Aws::connect(&endpoint).await?;
    cluster::apply_file(&client, "crds/mlservicerole.io.yaml").await?;
    cluster::served(&client).await;
    for file in [
        "00-namespace.yaml",
        "10-rbac.yaml",
        "11-tenant-roles.yaml",
        "12-admission.yaml",
    ] {
        cluster::apply_file(&client, &format!("deploy/kubectl/{file}")).await?;
    }
    let directory = tempfile::Builder::new().prefix("mlservicerole-bench-").tempdir();
    let directory = directory.map_err(|e| e.to_string())?.keep();
    Ok(Bench {
        audit: AuditLog::find(&kubeconfig).ok_or(
            "there is no audit.log beside KUBECONFIG: the benchmark counts requests there, so it needs the test bed",
        )?,
        bystanders: Bystanders::find(&kubeconfig),
        launcher: Launcher::new(program.to_owned(), directory.clone()).await?,
        issuer: cluster::issuer(&client).await?,
        client,
        aws,
        directory,
    })
}
