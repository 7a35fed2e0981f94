//! The binary: installs the TLS provider, parses the arguments and runs. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use mlservicerole_operator::cli::Cli;

fn main() -> ExitCode {
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("a TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    Cli::parse().execute()
}
