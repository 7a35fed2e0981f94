//! The operator as a process of its own, with the permissions that its manifests give it: what it takes to start one, to
//! ask it and to end it, with whatever flags.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::config::Kubeconfig;
use kube::{Api, Client};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// Where the manifests put the operator.
pub const NAMESPACE: &str = "mlservicerole-system";
/// Whose permissions it has.
pub const SERVICE_ACCOUNT: &str = "mlservicerole-operator";

/// `program run` without the variables of this process that it would listen to. It ends with this process.
pub fn command(
    program: &Path,
    cluster_name: &str,
    address: SocketAddr,
    kubeconfig: &Path,
    aws: &[(&'static str, String)],
    log: File,
) -> Result<Command, String> {
    let mut command = Command::new(program);
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("MLSERVICEROLE_") || name.starts_with("AWS_") || name == "KUBECONFIG" {
            command.env_remove(&variable);
        }
    }
    command
        .args(["run", "--cluster-name", cluster_name])
        .args(["--http-addr", &address.to_string()])
        .env("KUBECONFIG", kubeconfig)
        .envs(aws.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(|e| e.to_string())?)
        .stderr(log)
        .kill_on_drop(true);
    Ok(command)
}

/// An address on loopback that is free now.
pub fn free_address() -> Result<SocketAddr, String> {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|e| format!("no free port: {e}"))
}

/// A token of this ServiceAccount for the API server.
pub async fn token(
    client: &Client,
    namespace: &str,
    account: &str,
    lifetime: Duration,
) -> Result<String, String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: i64::try_from(lifetime.as_secs()).ok(),
            ..Default::default()
        },
        ..Default::default()
    };
    let answer = accounts
        .create_token_request(account, &Default::default(), &request)
        .await
        .map_err(|e| format!("failed to get a token for {namespace}/{account}: {e}"))?;
    let status = answer.status.ok_or("the TokenRequest has no status")?;
    Ok(status.token)
}

/// The kubeconfig of the environment, but with a token of the operator's ServiceAccount.
pub async fn own_kubeconfig(client: &Client, lifetime: Duration) -> Result<Value, String> {
    let token = token(client, NAMESPACE, SERVICE_ACCOUNT, lifetime).await?;
    let admin = Kubeconfig::from_env()
        .map_err(|e| format!("failed to read KUBECONFIG: {e}"))?
        .ok_or("KUBECONFIG isn't set")?;
    Ok(kubeconfig(&current_cluster(&admin)?, &token))
}

pub fn kubeconfig(cluster: &Value, token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "operator"}}],
        "current-context": "tests",
    })
}

fn current_cluster(kubeconfig: &Kubeconfig) -> Result<Value, String> {
    let current = kubeconfig.current_context.as_deref().unwrap_or_default();
    let context = kubeconfig.contexts.iter().find(|context| context.name == current);
    let name = context
        .and_then(|context| context.context.as_ref())
        .map(|context| &context.cluster)
        .ok_or("KUBECONFIG has no current context")?;
    let cluster = kubeconfig.clusters.iter().find(|cluster| &cluster.name == name);
    serde_json::to_value(cluster.and_then(|cluster| cluster.cluster.as_ref())).map_err(|e| e.to_string())
}

/// The log, made if it isn't there; all that is written goes to its end.
pub fn open_log(path: &Path) -> Result<File, String> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map_err(|e| format!("failed to open the operator's log {}: {e}", path.display()))
}

/// The last `lines` lines of a log that contain `word`.
pub fn log_tail(path: &Path, word: &str, lines: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let about: Vec<&str> = text.lines().filter(|line| line.contains(word)).collect();
    about[about.len().saturating_sub(lines)..].join("\n")
}

/// The HTTP status that `path` answers with.
pub async fn probe(address: SocketAddr, path: &str) -> Result<u16, String> {
    Ok(ask(address, path).await?.status().as_u16())
}

/// Type and text of what `path` answers with.
pub async fn fetch(address: SocketAddr, path: &str) -> Result<(String, String), String> {
    let response = ask(address, path).await?;
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.to_owned();
    let body = response.into_body().collect().await.map_err(|e| e.to_string())?;
    let text = String::from_utf8(body.to_bytes().into()).map_err(|e| e.to_string())?;
    Ok((kind, text))
}

async fn ask(address: SocketAddr, path: &str) -> Result<Response<Incoming>, String> {
    let client: HttpClient<_, Empty<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
    let uri = format!("http://{address}{path}");
    let uri = uri.parse().map_err(|e| format!("{uri}: {e}"))?;
    client.get(uri).await.map_err(|e| e.to_string())
}

pub fn signal(child: &Child, signal: Signal) -> Result<(), String> {
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    let pid = pid.ok_or("the operator has ended by itself")?;
    kill_process(pid, signal).map_err(|e| format!("failed to signal the operator: {e}"))
}
