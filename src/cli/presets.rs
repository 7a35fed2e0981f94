//! `presets`: the presets that this version of the operator knows, for people and for programs. Reads nothing from a
//! cluster or from AWS.

use clap::{Args, Subcommand};

use super::plan::Format;
use crate::access::{self, Preset};

/// Arguments of `presets`.
#[derive(Args, Clone, Debug)]
pub struct PresetsArgs {
    #[command(subcommand)]
    command: PresetsCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum PresetsCommand {
    /// All presets: their names and what they allow.
    List {
        /// Format of the output.
        #[arg(short, long, value_enum, default_value_t = Format::Text)]
        output: Format,
    },
    /// One preset in full: its parameters, how it is used, and its policy.
    Show {
        /// Name of the preset.
        name: String,
        /// Version to show; the newest when absent. In a manifest an absent version means 1.
        #[arg(long)]
        version: Option<u32>,
        /// Format of the output.
        #[arg(short, long, value_enum, default_value_t = Format::Text)]
        output: Format,
    },
}

/// Prints what was asked for.
pub fn run(args: &PresetsArgs) -> Result<(), String> {
    let text = match &args.command {
        PresetsCommand::List { output } => list(*output),
        PresetsCommand::Show {
            name,
            version,
            output,
        } => show(name, *version, *output),
    }?;
    super::print(&text)
}

fn list(output: Format) -> Result<String, String> {
    match output {
        Format::Text => Ok(access::list_text(access::catalogue())),
        Format::Json => json(access::catalogue()),
    }
}

fn show(name: &str, version: Option<u32>, output: Format) -> Result<String, String> {
    let preset = access::find(name).map_err(|error| error.to_string())?;
    let version = preset
        .find_version(version.unwrap_or_else(|| preset.newest_version()))
        .map_err(|error| error.to_string())?;
    match output {
        Format::Text => Ok(access::show_text(preset, version)),
        Format::Json => json(&Preset {
            versions: vec![version.clone()],
            ..preset.clone()
        }),
    }
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, String> {
    serde_json::to_string_pretty(value)
        .map(|json| json + "\n")
        .map_err(|error| format!("failed to print the presets: {error}"))
}
