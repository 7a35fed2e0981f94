//! `iam-policy`: the policies that an admin installs in AWS for the operator, made from classes. Reads manifests and
//! prints; asks neither a cluster nor AWS.

mod given;
mod text;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Args, ValueEnum};
use serde_json::{Map, Value};

use crate::iam::arn::{AccountId, Issuer, Partition, PolicyArn, RoleArn};
use crate::permissions::{
    Class, FormerBoundary, Options, Output, boundary_policies, operator_policies, resource_control_policies,
    service_control_policies,
};

/// A class is refused.
const REFUSED: u8 = 1;
/// The input can't be used, or something is missing.
const UNUSABLE: u8 = 2;

/// Arguments of `iam-policy`.
#[derive(Args, Clone, Debug)]
#[command(
    group = ArgGroup::new("kind").args(["boundary", "scp", "rcp"]),
    after_help = "Prints the policy as JSON, or an object of several by name where one isn't enough. Exit code: 0 printed, \
                  1 a class is refused, 2 the input can't be used or something is missing."
)]
pub struct IamPolicyArgs {
    /// File, or directory of *.yaml, *.yml and *.json, with MlServiceRoleClasses; - for stdin. May be given several
    /// times.
    #[arg(long = "class", required = true, value_name = "FILE")]
    pub classes: Vec<PathBuf>,
    /// Name of the cluster, as the operator is given it.
    #[arg(long, env = "MLSERVICEROLE_CLUSTER_NAME", value_parser = super::cluster_name)]
    pub cluster_name: String,
    /// Uid of the cluster's kube-system namespace. With it, roles of another cluster of the same name are out of
    /// reach too.
    #[arg(long, value_parser = uid)]
    pub cluster_uid: Option<String>,
    /// Account of the operator's own credentials, for classes without aws.accountId.
    #[arg(long)]
    pub account_id: Option<AccountId>,
    /// Partition of that account.
    #[arg(long, default_value = "aws")]
    pub partition: Partition,
    /// This cluster's OIDC issuer, for classes without oidc.issuers.
    #[arg(long)]
    pub issuer: Option<Issuer>,
    /// ARN of the role that the operator runs as: for classes with aws.assumeRole, and for --scp. May be given several
    /// times, with --scp also for roles that must be able to help.
    #[arg(long, value_name = "ARN")]
    pub operator_role_arn: Vec<RoleArn>,
    /// A permissions boundary that the roles of a class may have beside the class's: while the class changes it, and
    /// before adoption. The class may be left out where there is only one. May be given several times. Where a live
    /// class is given, with its status, those that its roles still carry are taken from there.
    #[arg(long, value_name = "[CLASS=]ARN", value_parser = former_boundary)]
    pub former_boundary: Vec<FormerBoundary>,
    /// A managed policy that roles of allow.adopt have had before, attached again when they are given back. May be
    /// given several times.
    #[arg(long, value_name = "ARN")]
    pub former_policy: Vec<PolicyArn>,
    /// Allow that roles are taken out of instance profiles before they are deleted. IAM can't limit that to the
    /// operator's roles: whoever has the operator could take the roles off every node of the account.
    #[arg(long)]
    pub leave_instance_profiles: bool,
    /// Leave out iam:GetAccountAuthorizationDetails, by which whole accounts are read in a few calls.
    #[arg(long)]
    pub no_account_sweep: bool,
    /// Print a permissions boundary for the classes' tenants instead.
    #[arg(long)]
    pub boundary: bool,
    /// Print a service control policy instead, which keeps everybody else off the operator's tags and path.
    #[arg(long)]
    pub scp: bool,
    /// Print a resource control policy instead, by which only the listed issuers' tokens take the roles.
    #[arg(long)]
    pub rcp: bool,
    /// Format of the output.
    #[arg(short, long, value_enum, default_value_t = Format::Json)]
    pub output: Format,
}

/// Formats of the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For AWS.
    Json,
    /// For people: each statement with its reason.
    Text,
}

/// Why nothing is printed.
enum Stop {
    Refused(Vec<String>),
    Unusable(Vec<String>),
}

/// Prints the policies.
pub fn run(args: &IamPolicyArgs) -> ExitCode {
    let (code, errors) = match policies(args) {
        Ok(output) => match print(&output, args.output) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (UNUSABLE, vec![format!("failed to print the policies: {error}")]),
        },
        Err(Stop::Refused(errors)) => (REFUSED, errors),
        Err(Stop::Unusable(errors)) => (UNUSABLE, errors),
    };
    for error in errors {
        eprintln!("error: {error}");
    }
    ExitCode::from(code)
}

fn policies(args: &IamPolicyArgs) -> Result<Output, Stop> {
    let documents = crate::manifest::read(&args.classes).map_err(Stop::Unusable)?;
    let given = given::classes(documents)?;
    let classes: Vec<Class<'_>> = given
        .classes
        .iter()
        .map(|(spec, rules)| Class { rules, spec })
        .collect();
    let options = Options {
        cluster_name: args.cluster_name.clone(),
        cluster_uid: args.cluster_uid.clone(),
        account: args.account_id.clone(),
        partition: args.partition.clone(),
        issuer: args.issuer.clone(),
        former_boundaries: [&args.former_boundary[..], &given.former_boundaries].concat(),
        former_policies: args.former_policy.clone(),
        operator_roles: args.operator_role_arn.clone(),
        leave_instance_profiles: args.leave_instance_profiles,
        account_sweep: !args.no_account_sweep,
    };
    let make = match (args.boundary, args.scp, args.rcp) {
        (true, ..) => boundary_policies,
        (_, true, _) => service_control_policies,
        (_, _, true) => resource_control_policies,
        _ => operator_policies,
    };
    make(&classes, &options).map_err(|problems| Stop::Unusable(problems.0))
}

fn print(output: &Output, format: Format) -> Result<(), String> {
    let text = match format {
        Format::Text => text::render(output),
        Format::Json => {
            tell(output);
            let pretty = serde_json::to_string_pretty(&json(output)).map_err(|e| e.to_string())?;
            pretty + "\n"
        }
    };
    // Whoever reads may have enough before the end, as `head` has.
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// One document as it is, several by name.
fn json(output: &Output) -> Value {
    match output.policies.as_slice() {
        [only] => only.document(),
        several => {
            let named = several
                .iter()
                .map(|policy| (policy.name.clone(), policy.document()));
            Value::Object(named.collect::<Map<_, _>>())
        }
    }
}

fn tell(output: &Output) {
    for policy in &output.policies {
        eprintln!(
            "note: {}: {} ({} of {} characters)",
            policy.name,
            policy.purpose,
            policy.size(),
            policy.limit.characters()
        );
    }
    for note in &output.notes {
        eprintln!("note: {note}");
    }
}

fn former_boundary(value: &str) -> Result<FormerBoundary, String> {
    // A policy's name may hold a =, and a class's name no colon.
    let (class, arn) = match value.split_once('=') {
        Some((class, arn)) if !class.contains(':') => (Some(class.to_owned()), arn),
        _ => (None, value),
    };
    let arn = arn
        .parse()
        .map_err(|e| format!("{e}; write CLASS=ARN, or the ARN alone where there is one class"))?;
    Ok(FormerBoundary {
        class,
        arn,
        in_creation: true,
    })
}

fn uid(value: &str) -> Result<String, String> {
    let valid =
        (1..=64).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if valid {
        Ok(value.to_owned())
    } else {
        Err("a uid has 1 to 64 letters, digits or '-'; `kubectl get namespace kube-system -o jsonpath={.metadata.uid}` \
             prints it"
            .to_owned())
    }
}
