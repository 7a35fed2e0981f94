//! Where results go: a file of JSON, and the part of docs/benchmark.md between two markers.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::results::Results;
use crate::table;

const BEGIN: &str = "<!-- Written by `make bench`; changes are lost. -->";
const END: &str = "<!-- End of what `make bench` writes. -->";

/// The results that the repository keeps.
pub fn json() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmark/results.json")
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmark.md")
}

/// Adds `new` to the kept results, and writes the page's tables from all of them.
pub fn write(new: &Results) -> Result<(), String> {
    let mut kept = Results::read(&json())?;
    kept.extend(new);
    kept.write(&json())?;
    let failed = |e: std::io::Error| format!("{}: {e}", page().display());
    let text = std::fs::read_to_string(page()).map_err(failed)?;
    let lacks = || format!("{} lacks its markers", page().display());
    let (before, rest) = text.split_once(BEGIN).ok_or_else(lacks)?;
    let (_, after) = rest.split_once(END).ok_or_else(lacks)?;
    let text = format!("{before}{BEGIN}\n\n{}\n{END}{after}", section(&kept));
    std::fs::write(page(), text).map_err(failed)
}

/// The tables, and where their numbers come from.
pub fn section(results: &Results) -> String {
    let mut text = table::bounds(results);
    let _ = write!(text, "\n{}\n", table::lives(results));
    let mut origins: Vec<(String, Vec<&str>)> = Vec::new();
    for (scenario, value) in results.scenarios() {
        let origin = told(&value["origin"]);
        match origins.iter_mut().find(|(known, _)| *known == origin) {
            Some((_, scenarios)) => scenarios.push(scenario),
            None => origins.push((origin, vec![scenario])),
        }
    }
    for (origin, scenarios) in origins {
        let _ = writeln!(text, "- {}: {origin}", scenarios.join(", "));
    }
    text
}

fn told(origin: &Value) -> String {
    let of = |name: &str| origin[name].as_str().unwrap_or("?").to_owned();
    let machine = &origin["machine"];
    format!(
        "commit {}, {}, {} cores ({}), {} GiB, Linux {}, Kubernetes {}, {}, {}",
        of("commit"),
        of("date"),
        machine["cores"],
        machine["cpu"].as_str().unwrap_or("?"),
        machine["memory_gib"],
        machine["kernel"].as_str().unwrap_or("?"),
        of("kubernetes"),
        of("emulator"),
        of("rust").split(" (").next().unwrap_or_default(),
    )
}
