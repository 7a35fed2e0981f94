//! The API server's audit log: what the operator asked of it. See tests/testbed/audit-policy.yaml.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::shared::process::{NAMESPACE, SERVICE_ACCOUNT};

/// The audit log beside the kubeconfig. Lines are written before the answers are sent.
pub struct AuditLog(PathBuf);

/// The operator's requests, counted as `verb resource/subresource`.
#[derive(Default)]
pub struct Requests {
    /// All that aren't reads; Events and Leases aside.
    pub writes: BTreeMap<String, usize>,
    /// Of those, the ones that the API server refused, with their codes.
    pub refused: BTreeMap<String, usize>,
    pub events: usize,
    pub leases: usize,
    pub reads: BTreeMap<String, usize>,
}

impl AuditLog {
    pub fn find(kubeconfig: &Path) -> Result<AuditLog, String> {
        let path = kubeconfig.parent().map(|parent| parent.join("audit.log"));
        path.filter(|path| path.is_file()).map(AuditLog).ok_or_else(|| {
            "there is no audit.log beside KUBECONFIG: the benchmark counts requests there, so it needs the test bed".into()
        })
    }

    /// A place in the log; see [`AuditLog::since`].
    pub fn mark(&self) -> Result<u64, String> {
        let metadata = std::fs::metadata(&self.0);
        metadata
            .map(|metadata| metadata.len())
            .map_err(|e| format!("{}: {e}", self.0.display()))
    }

    /// The operator's requests after `mark` that have been answered.
    pub async fn since(&self, mark: u64) -> Result<Requests, String> {
        // The line of an answer that was just sent may still be on its way.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let path = self.0.clone();
        let reading = tokio::task::spawn_blocking(move || read(&path, mark));
        reading.await.map_err(|e| e.to_string())?
    }
}

fn read(path: &Path, mark: u64) -> Result<Requests, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(mark)).map_err(failed)?;
    let user = format!("system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}");
    let mut requests = Requests::default();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(failed)?;
        if !line.contains(&user) {
            continue;
        }
        // The last line may still be half written.
        let Ok(event) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        if event["user"]["username"] == user.as_str() && event["stage"] == "ResponseComplete" {
            requests.count(&event);
        }
    }
    Ok(requests)
}

impl Requests {
    pub fn write_count(&self) -> usize {
        self.writes.values().sum()
    }

    fn count(&mut self, event: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let reference = &event["objectRef"];
        let (verb, resource) = (text(&event["verb"]), text(&reference["resource"]));
        let what = match reference["subresource"].as_str() {
            Some(subresource) => format!("{verb} {resource}/{subresource}"),
            None => format!("{verb} {resource}"),
        };
        match (verb.as_str(), resource.as_str()) {
            ("get" | "list" | "watch", _) => *self.reads.entry(what).or_default() += 1,
            (_, "events") => self.events += 1,
            (_, "leases") => self.leases += 1,
            _ => {
                let code = event["responseStatus"]["code"].as_i64().unwrap_or_default();
                if code >= 400 {
                    *self.refused.entry(format!("{what}: {code}")).or_default() += 1;
                }
                *self.writes.entry(what).or_default() += 1;
            }
        }
    }
}
