//! The API server's audit log, where the bed keeps one: what the operator asked of the API server. See
//! tests/testbed/audit-policy.yaml.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::process::{NAMESPACE, SERVICE_ACCOUNT};
use super::wait::within;

/// The audit log beside the kubeconfig. The bed's API server writes a line before it sends the answer that the line is
/// about, so whoever has an answer finds its line. A watch may show what was done before either.
#[derive(Clone)]
pub struct AuditLog(PathBuf);

/// One request of the operator that has been answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub verb: String,
    /// As in `mlserviceroles/status`.
    pub resource: String,
    /// Empty where the request is about none.
    pub namespace: String,
    pub name: String,
    pub code: i64,
}

impl AuditLog {
    /// The audit log, if this bed has one.
    pub fn find(kubeconfig: &Path) -> Option<AuditLog> {
        let path = kubeconfig.parent()?.join("audit.log");
        path.is_file().then_some(AuditLog(path))
    }

    /// A place in the log; see [`AuditLog::requests`].
    pub fn mark(&self) -> Result<u64, String> {
        let metadata = std::fs::metadata(&self.0);
        metadata
            .map(|metadata| metadata.len())
            .map_err(|e| format!("{}: {e}", self.0.display()))
    }

    /// Every request of the operator after `mark`.
    pub async fn requests(&self, mark: u64) -> Result<Vec<Request>, String> {
        let log = self.clone();
        let reading = tokio::task::spawn_blocking(move || log.read(mark, ""));
        reading.await.map_err(|e| e.to_string())?
    }

    /// The same, once `check` holds of them: for what was seen by a watch, whose line may still be on its way.
    pub async fn until(
        &self,
        mark: u64,
        deadline: Duration,
        check: impl Fn(&[Request]) -> Result<(), String>,
    ) -> Result<Vec<Request>, String> {
        within(deadline, || async {
            let requests = self.requests(mark).await?;
            check(&requests).map(|()| requests)
        })
        .await
        .map_err(|last| format!("the audit log after {deadline:?}: {last}"))
    }

    /// Every request of the operator that isn't a read, in `namespace`; Events and Leases aside.
    pub fn writes(&self, namespace: &str) -> Vec<Request> {
        let requests = self.read(0, namespace).expect("the audit log can be read");
        requests
            .into_iter()
            .filter(|request| request.namespace == namespace && request.writes())
            .filter(|request| !["events", "leases"].contains(&request.resource.as_str()))
            .collect()
    }

    /// The operator's requests in the lines after `mark` that contain `word`.
    fn read(&self, mark: u64, word: &str) -> Result<Vec<Request>, String> {
        let failed = |e: std::io::Error| format!("{}: {e}", self.0.display());
        let mut file = File::open(&self.0).map_err(failed)?;
        file.seek(SeekFrom::Start(mark)).map_err(failed)?;
        let user = format!("system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}");
        let mut requests = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line.map_err(failed)?;
            if !line.contains(&user) || !line.contains(word) {
                continue;
            }
            // The last line may still be half written.
            let Ok(event) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            if event["user"]["username"] == user.as_str() && event["stage"] == "ResponseComplete" {
                requests.push(request(&event));
            }
        }
        Ok(requests)
    }
}

impl Request {
    pub fn writes(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str())
    }
}

fn request(event: &Value) -> Request {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let reference = &event["objectRef"];
    let resource = match reference["subresource"].as_str() {
        Some(subresource) => format!("{}/{subresource}", text(&reference["resource"])),
        None => text(&reference["resource"]),
    };
    Request {
        verb: text(&event["verb"]),
        resource,
        namespace: text(&reference["namespace"]),
        name: text(&reference["name"]),
        code: event["responseStatus"]["code"].as_i64().unwrap_or_default(),
    }
}
