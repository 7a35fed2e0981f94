//! The operator as a process of its own, with the permissions that its manifests give it, and what it uses.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::config::Kubeconfig;
use kube::{Api, Client};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use crate::objects::CLUSTER_NAME;
use crate::processes::Usage;
use crate::shared::wait::within;

/// Where the manifests put the operator.
pub const NAMESPACE: &str = "mlservicerole-system";
/// Whose permissions it has.
pub const SERVICE_ACCOUNT: &str = "mlservicerole-operator";

/// How long it may take to be ready.
const START: Duration = Duration::from_secs(60);
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(60);

/// What to start, as often as needed. All settings but the interval are the operator's defaults.
pub struct Launcher {
    pub program: PathBuf,
    pub directory: PathBuf,
    /// The flag that sets how often AWS is looked at, and whether that is a sweep of the account.
    interval_flag: &'static str,
    pub sweeps: bool,
}

/// A running operator.
pub struct Operator {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    pub started: Instant,
}

impl Launcher {
    /// Learns from the program which flags it has.
    pub async fn new(program: PathBuf, directory: PathBuf) -> Result<Launcher, String> {
        let help = Command::new(&program).args(["run", "--help"]).output().await;
        let help = help.map_err(|e| format!("failed to start {}: {e}", program.display()))?;
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let sweeps = help.contains("--sweep-interval");
        Ok(Launcher {
            program,
            directory,
            interval_flag: if sweeps {
                "--sweep-interval"
            } else {
                "--drift-interval"
            },
            sweeps,
        })
    }

    /// Starts an operator that reaches AWS at `endpoint` and looks at it every `interval`. Doesn't wait.
    pub async fn spawn(
        &self,
        client: &Client,
        endpoint: &str,
        interval: Duration,
    ) -> Result<Operator, String> {
        let kubeconfig = self.directory.join("operator.kubeconfig");
        let own = own_kubeconfig(client).await?;
        std::fs::write(&kubeconfig, own.to_string()).map_err(|e| format!("{}: {e}", kubeconfig.display()))?;
        let address = free_address()?;
        let log = self.directory.join("operator.log");
        let output = open(&log)?;
        let mut command = Command::new(&self.program);
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("MLSERVICEROLE_") || name.starts_with("AWS_") || name == "KUBECONFIG" {
                command.env_remove(&variable);
            }
        }
        command
            .args(["run", "--cluster-name", CLUSTER_NAME])
            .args(["--http-addr", &address.to_string()])
            .args([self.interval_flag, &interval.as_secs().to_string()])
            .env("KUBECONFIG", &kubeconfig)
            .envs(crate::aws::environment(endpoint))
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(|e| e.to_string())?)
            .stderr(output)
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command
            .spawn()
            .map_err(|e| format!("failed to start {}: {e}", self.program.display()))?;
        Ok(Operator {
            child,
            address,
            log,
            started,
        })
    }

    /// The same, and waits until it says that it is ready.
    pub async fn start(
        &self,
        client: &Client,
        endpoint: &str,
        interval: Duration,
    ) -> Result<Operator, String> {
        let operator = self.spawn(client, endpoint, interval).await?;
        operator.ready().await?;
        Ok(operator)
    }
}

impl Operator {
    /// Waits until it says that it is ready.
    pub async fn ready(&self) -> Result<(), String> {
        let http: HttpClient<_, Empty<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
        let uri: hyper::Uri = format!("http://{}/readyz", self.address)
            .parse()
            .map_err(|e| format!("{e}"))?;
        within(START, || async {
            let answer = http.get(uri.clone()).await.map_err(|e| e.to_string())?;
            match answer.status().as_u16() {
                200 => Ok(()),
                status => Err(format!("/readyz: {status}")),
            }
        })
        .await
        .map_err(|last| {
            format!(
                "the operator isn't ready after {START:?}: {last}\n{}",
                self.log_tail(30)
            )
        })
    }

    /// What it has used so far.
    pub fn usage(&self) -> Result<Usage, String> {
        let pid = self.child.id().ok_or_else(|| self.died())?;
        Usage::of(pid).map_err(|e| format!("{e}; {}", self.died()))
    }

    /// Stops it as a kubelet does; how many seconds that took.
    pub async fn stop(mut self) -> Result<f64, String> {
        let began = Instant::now();
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or_else(|| self.died())?;
        kill_process(pid, Signal::TERM).map_err(|e| format!("failed to stop the operator: {e}"))?;
        match timeout(STOP, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(began.elapsed().as_secs_f64()),
            Ok(ended) => Err(format!(
                "the operator ended with {ended:?}\n{}",
                self.log_tail(30)
            )),
            Err(_) => Err(format!(
                "the operator doesn't stop within {STOP:?}\n{}",
                self.log_tail(30)
            )),
        }
    }

    fn died(&self) -> String {
        format!("the operator has ended by itself\n{}", self.log_tail(30))
    }

    /// The last `lines` lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

fn open(log: &Path) -> Result<File, String> {
    let file = OpenOptions::new().create(true).append(true).open(log);
    file.map_err(|e| format!("{}: {e}", log.display()))
}

fn free_address() -> Result<SocketAddr, String> {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|e| format!("no free port: {e}"))
}

/// Like the one of the environment, but with a token of the operator's ServiceAccount.
async fn own_kubeconfig(client: &Client) -> Result<Value, String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(4 * 3600),
            ..Default::default()
        },
        ..Default::default()
    };
    let token = accounts
        .create_token_request(SERVICE_ACCOUNT, &Default::default(), &request)
        .await
        .map_err(|e| format!("failed to get a token for the operator: {e}"))?
        .status
        .ok_or("the TokenRequest has no status")?
        .token;
    let admin = Kubeconfig::from_env()
        .map_err(|e| format!("failed to read KUBECONFIG: {e}"))?
        .ok_or("KUBECONFIG isn't set")?;
    let current = admin.current_context.as_deref().unwrap_or_default();
    let context = admin.contexts.iter().find(|context| context.name == current);
    let name = context
        .and_then(|context| context.context.as_ref())
        .map(|context| &context.cluster)
        .ok_or("KUBECONFIG has no current context")?;
    let cluster = admin.clusters.iter().find(|cluster| &cluster.name == name);
    let cluster = cluster.and_then(|cluster| cluster.cluster.as_ref());
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bench", "cluster": cluster}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "operator"}}],
        "current-context": "bench",
    }))
}
