//! What was measured, by scenario, each with where and when: a file of JSON that later runs add to.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::scenarios::Measured;

/// All results so far.
#[derive(Default)]
pub struct Results(Map<String, Value>);

impl Results {
    /// Those in a file; none if there is no file.
    pub fn read(path: &Path) -> Result<Results, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Results::default()),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let results = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Results(results))
    }

    pub fn write(&self, path: &Path) -> Result<(), String> {
        let failed = |e: std::io::Error| format!("{}: {e}", path.display());
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        let text = serde_json::to_string_pretty(&self.0).map_err(|e| e.to_string())?;
        std::fs::write(path, text + "\n").map_err(failed)
    }

    /// Replaces a scenario's results.
    pub fn put(&mut self, scenario: &str, measured: Measured, origin: &Value) {
        let mut whole = Map::from_iter([("origin".to_owned(), origin.clone())]);
        whole.extend(measured);
        self.0.insert(scenario.to_owned(), Value::Object(whole));
    }

    /// Takes over what `other` has.
    pub fn extend(&mut self, other: &Results) {
        self.0.extend(other.0.clone());
    }

    /// A number, by scenario and the path of names to it.
    pub fn number(&self, scenario: &str, path: &str) -> Option<f64> {
        self.value(scenario, path)?.as_f64()
    }

    pub fn value(&self, scenario: &str, path: &str) -> Option<&Value> {
        path.split('.')
            .try_fold(self.0.get(scenario)?, |value, name| value.get(name))
    }

    /// Names of scenarios that begin like this, with the number that they end in, smallest first.
    pub fn of(&self, kind: &str) -> Vec<(usize, String)> {
        let mut found: Vec<(usize, String)> = self
            .0
            .keys()
            .filter_map(|name| {
                let count = name.strip_prefix(kind)?.strip_prefix('-')?.parse().ok()?;
                Some((count, name.clone()))
            })
            .collect();
        found.sort();
        found
    }

    pub fn scenarios(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }
}

/// Where and when: the machine, the versions and the commit.
pub async fn origin(client: &kube::Client, program: &Path) -> Value {
    let kubernetes = client
        .apiserver_version()
        .await
        .map(|version| version.git_version);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, name: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default();
        line.split_once(':')
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let memory = after(&read("/proc/meminfo"), "MemTotal");
    let kibibytes = memory.split(' ').next().and_then(|text| text.parse::<f64>().ok());
    let pins = read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/testbed/requirements/ministack.txt"
    ));
    let emulator = pins.lines().find_map(|line| line.strip_prefix("ministack=="));
    let emulator = emulator.and_then(|rest| rest.split_whitespace().next());
    json!({
        "date": said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        "commit": commit(),
        "operator": said(&program.to_string_lossy(), &["--version"]),
        "machine": {
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "memory_gib": (kibibytes.unwrap_or_default() / 1024.0 / 1024.0).round(),
            "cpu": after(&read("/proc/cpuinfo"), "model name"),
            "kernel": read("/proc/sys/kernel/osrelease").trim(),
            "load_before": read("/proc/loadavg").split(' ').next().unwrap_or_default(),
        },
        "kubernetes": kubernetes.unwrap_or_default(),
        "emulator": format!("ministack {}", emulator.unwrap_or_default()),
        "rust": said("rustc", &["--version"]),
    })
}

/// The commit that was checked out, and whether something had been changed since.
fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed = said(
        "git",
        &["status", "--porcelain", "--", "src", "Cargo.toml", "Cargo.lock"],
    );
    match changed.is_empty() {
        true => commit,
        false => format!("{commit} with changes"),
    }
}

/// What a command prints; nothing if it can't be run.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    output.unwrap_or_default()
}
