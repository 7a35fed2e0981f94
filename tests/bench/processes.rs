//! What processes use, from Linux's /proc: the operator, and the parts of the bed that share the cores with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// What one process has used since it began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// In user and kernel mode, of all threads.
    pub cpu_seconds: f64,
    pub resident_mib: f64,
    /// The most that was ever resident (VmHWM).
    pub peak_mib: f64,
}

impl Usage {
    /// See proc_pid_stat(5) and proc_pid_status(5).
    pub fn of(pid: u32) -> Result<Usage, String> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))
        };
        let (stat, status) = (read("stat")?, read("status")?);
        // The second field is the program's name, in parentheses, and may hold anything.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().collect())
            .unwrap_or_default();
        let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok());
        let (Some(user), Some(system)) = (ticks(14), ticks(15)) else {
            return Err(format!("/proc/{pid}/stat can't be read: {stat}"));
        };
        let mebibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|rest| rest.split_whitespace().next());
            kibibytes.and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
        };
        Ok(Usage {
            cpu_seconds: (user + system) / rustix::param::clock_ticks_per_second() as f64,
            resident_mib: mebibytes("VmRSS:"),
            peak_mib: mebibytes("VmHWM:"),
        })
    }
}

/// The processes of the bed, by name, and the benchmark itself.
pub struct Bystanders(BTreeMap<String, u32>);

/// Their CPU seconds at one moment.
pub struct Sample(BTreeMap<String, f64>);

impl Bystanders {
    /// Those whose pids the bed keeps beside the kubeconfig; of another cluster, none.
    pub fn find(kubeconfig: &Path) -> Bystanders {
        let mut found = BTreeMap::from([("benchmark".to_owned(), std::process::id())]);
        let directory = kubeconfig.parent().map(|parent| parent.join("run"));
        let records = directory.and_then(|directory| std::fs::read_dir(directory).ok());
        for path in records.into_iter().flatten().flatten().map(|entry| entry.path()) {
            if let Some((name, pid)) = recorded(&path) {
                found.insert(name, pid);
            }
        }
        Bystanders(found)
    }

    pub fn sample(&self) -> Sample {
        let of = |pid: &u32| Usage::of(*pid).unwrap_or_default().cpu_seconds;
        let mut sample: BTreeMap<String, f64> =
            self.0.iter().map(|(name, pid)| (name.clone(), of(pid))).collect();
        sample.insert("whole machine".to_owned(), whole_machine());
        Sample(sample)
    }

    /// CPU seconds of each since `before`.
    pub fn since(&self, before: &Sample) -> Value {
        let now = self.sample();
        let mut used = serde_json::Map::new();
        for (name, seconds) in &now.0 {
            let since = seconds - before.0.get(name).copied().unwrap_or(0.0);
            used.insert(name.clone(), json!((since * 100.0).round() / 100.0));
        }
        Value::Object(used)
    }
}

/// Name and pid in a file of the bed's, as in `etcd.pid`.
fn recorded(path: &PathBuf) -> Option<(String, u32)> {
    if path.extension()? != "pid" {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    let pid = text.split_whitespace().next()?.parse().ok()?;
    Some((path.file_stem()?.to_string_lossy().into_owned(), pid))
}

/// CPU seconds that all processes of the machine have used together: what the bed's don't explain disturbed them.
fn whole_machine() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = stat
        .lines()
        .next()
        .into_iter()
        .flat_map(|line| line.split_whitespace().skip(1))
        .filter_map(|text| text.parse().ok())
        .collect();
    // user, nice, system, (idle, iowait,) irq, softirq, steal: see proc_stat(5).
    let busy: f64 = [0, 1, 2, 5, 6, 7]
        .iter()
        .filter_map(|field| ticks.get(*field))
        .sum();
    busy / rustix::param::clock_ticks_per_second() as f64
}
