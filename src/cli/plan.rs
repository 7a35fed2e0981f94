//! `plan`: what would come of manifests, for a reviewer. Reads manifests, judges each object as the API server and
//! the controller would, and prints the result. Writes nothing, neither to a cluster nor to AWS.

mod given;
mod judge;
mod live;
mod report;
mod text;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::iam::arn::{AccountId, Issuer, Partition};
use given::Given;
use judge::Assumptions;
use report::PlanReport;

/// Nothing is refused.
const NOTHING_REFUSED: u8 = 0;
/// Something is refused.
const REFUSED: u8 = 1;
/// The input can't be used, or something in it can't be judged.
const UNUSABLE: u8 = 2;

/// Arguments of `plan`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Exit code: 0 nothing is refused, 1 something is refused, 2 the input can't be used or judged."
)]
pub struct PlanArgs {
    /// File, or directory of *.yaml, *.yml and *.json, with MlServiceRoles and their classes; - for stdin. May be
    /// given several times.
    #[arg(short, long = "filename", required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Format of the output.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// Compare with the cluster of the environment (KUBECONFIG) and with AWS. Only reads.
    #[arg(long)]
    pub live: bool,
    /// Name of the cluster, as the operator is given it. Needed with --live; otherwise an example's is assumed.
    #[arg(long, env = "MLSERVICEROLE_CLUSTER_NAME", value_parser = super::cluster_name)]
    pub cluster_name: Option<String>,
    /// Namespace of objects that name none.
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// Account of classes without aws.accountId.
    #[arg(long, conflicts_with = "live")]
    pub account_id: Option<AccountId>,
    /// Partition of the account.
    #[arg(long, default_value = "aws", conflicts_with = "live")]
    pub partition: Partition,
    /// Region of the ML services that presets name; with --live, the SDK's standard chain says.
    #[arg(long, env = "AWS_REGION")]
    pub region: Option<String>,
    /// This cluster's OIDC issuer.
    #[arg(long, conflicts_with = "live")]
    pub issuer: Option<Issuer>,
}

/// Formats of the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs; the shape is described in docs/plan.md.
    Json,
}

/// Prints the plan of the manifests.
pub fn run(args: &PlanArgs) -> ExitCode {
    let report = match plan(args) {
        Ok(report) => report,
        Err(errors) => {
            for error in errors {
                eprintln!("error: {error}");
            }
            return ExitCode::from(UNUSABLE);
        }
    };
    let rendered = match args.output {
        Format::Text => Ok(text::render(&report)),
        Format::Json => serde_json::to_string_pretty(&report).map(|json| json + "\n"),
    };
    let printed = rendered.map_err(Into::into).and_then(|text| print_all(&text));
    if let Err(error) = printed {
        eprintln!("error: failed to print the plan: {error}");
        return ExitCode::from(UNUSABLE);
    }
    ExitCode::from(if report.is_unknown() {
        UNUSABLE
    } else if report.is_refused() {
        REFUSED
    } else {
        NOTHING_REFUSED
    })
}

/// Whoever reads may have enough before the end, as `head` has.
fn print_all(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

fn plan(args: &PlanArgs) -> Result<PlanReport, Vec<String>> {
    let documents = crate::manifest::read(&args.files)?;
    let given = Given::sort(documents, &args.namespace);
    for (kind, count) in &given.ignored {
        eprintln!("note: {count} of kind {kind} ignored");
    }
    if given.roles.is_empty() && given.classes.is_empty() {
        return Err(vec![
            "there is no MlServiceRole and no MlServiceRoleClass in the input".to_owned(),
        ]);
    }
    if args.live {
        let Some(cluster) = &args.cluster_name else {
            return Err(vec![
                "--live needs --cluster-name, the name that the operator of this cluster is given".to_owned(),
            ]);
        };
        return live::compare(&given, cluster).map_err(|error| vec![error]);
    }
    Ok(judge::offline(&given, &Assumptions::of(args)))
}
