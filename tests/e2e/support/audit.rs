//! The API server's audit log, where the bed keeps one: what the operator asked of the API server.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::process::{NAMESPACE, SERVICE_ACCOUNT};

/// The audit log beside the kubeconfig.
pub struct AuditLog(PathBuf);

/// One request of the operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub verb: String,
    /// As in `mlserviceroles/status`.
    pub resource: String,
    pub name: String,
    pub code: i64,
}

impl AuditLog {
    /// The audit log, if this bed has one.
    pub fn find(kubeconfig: &Path) -> Option<AuditLog> {
        let path = kubeconfig.parent()?.join("audit.log");
        path.is_file().then_some(AuditLog(path))
    }

    /// Every request of the operator that isn't a read, in `namespace`; Events and Leases aside.
    pub fn writes(&self, namespace: &str) -> Vec<Request> {
        let user = format!("system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}");
        let text = std::fs::read_to_string(&self.0).expect("the audit log can be read");
        text.lines()
            .filter(|line| line.contains(namespace) && line.contains(&user))
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|event| {
                event["user"]["username"] == user.as_str()
                    && event["stage"] == "ResponseComplete"
                    && event["objectRef"]["namespace"] == namespace
            })
            .map(|event| request(&event))
            .filter(|request| !["get", "list", "watch"].contains(&request.verb.as_str()))
            .filter(|request| !["events", "leases"].contains(&request.resource.as_str()))
            .collect()
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
        name: text(&reference["name"]),
        code: event["responseStatus"]["code"].as_i64().unwrap_or_default(),
    }
}
