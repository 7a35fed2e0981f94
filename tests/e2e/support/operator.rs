//! The operator as a process of its own, with the permissions that its manifests give it; or as pods (`pods`).

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::header::CONTENT_TYPE;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::config::Kubeconfig;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::cluster;
use super::pods::{Pods, Settings};
use super::wait::within;

/// Where the manifests put the operator.
pub const NAMESPACE: &str = "mlservicerole-system";
/// Whose permissions it has.
pub const SERVICE_ACCOUNT: &str = "mlservicerole-operator";

/// Short, so that drift is found within a test; long enough that a window without a sweep exists.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(3);
/// How far apart two reads must agree.
pub const CONSISTENCY_WINDOW: Duration = Duration::from_secs(2);

/// How long a stop may take.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(4);
/// After which it counts as not stopped: a pod takes a moment to be seen as gone.
pub const STOP: Duration = Duration::from_secs(SHUTDOWN_GRACE.as_secs() + 10);

/// The operator that most tests share is alone: after a crash it would wait for the end of its own Lease.
const ALONE: [&str; 1] = ["--leader-elect=false"];
/// How long a Lease is where several run.
pub const LEASE_DURATION: Duration = Duration::from_secs(8);
/// How long a request may take there.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
const ELECTION: [&str; 8] = [
    "--leader-elect-lease-duration",
    "8",
    "--leader-elect-renew-deadline",
    "4",
    "--leader-elect-retry-period",
    "1",
    "--request-timeout",
    "3",
];

/// How to start the operator, as often as needed.
pub struct Launcher {
    pub cluster_name: String,
    pub aws_environment: Vec<(&'static str, String)>,
    pub directory: PathBuf,
    pub address: SocketAddr,
    /// If it runs as pods instead.
    pub pods: Option<Pods>,
}

/// A running operator.
pub enum Operator {
    Process(Child),
    Pods(Pods),
}

impl Launcher {
    /// Brings what the operator needs in the cluster: once, before its first start.
    pub async fn install(&self, client: &kube::Client) -> Result<(), String> {
        if let Some(pods) = &self.pods {
            let settings = Settings {
                cluster_name: &self.cluster_name,
                aws_environment: &self.aws_environment,
                directory: &self.directory,
            };
            return pods.install(&settings).await;
        }
        for file in [
            "00-namespace.yaml",
            "10-rbac.yaml",
            "11-tenant-roles.yaml",
            "12-admission.yaml",
        ] {
            cluster::apply_file(client, &format!("deploy/kubectl/{file}")).await?;
        }
        Ok(())
    }

    /// Takes the chart away, if that is how it was installed; manifests stay. `check`: nothing should be left.
    pub async fn uninstall(&self, check: bool) -> Result<(), String> {
        match &self.pods {
            Some(pods) => pods.uninstall(&self.directory, check).await,
            None => Ok(()),
        }
    }

    /// Starts the operator and waits until it says that it is ready.
    pub async fn start(&self, client: &kube::Client) -> Result<Operator, String> {
        if let Some(pods) = &self.pods {
            pods.start(&self.log_path()).await?;
            return Ok(Operator::Pods(pods.clone()));
        }
        let operator = self.spawn(client).await?;
        within(Duration::from_secs(30), || async {
            match self.probe("/readyz").await {
                Ok(200) => Ok(()),
                other => Err(format!("/readyz: {other:?}")),
            }
        })
        .await
        .map_err(|last| {
            format!(
                "the operator isn't ready after 30 s: {last}\n{}",
                self.log_tail("", 40)
            )
        })?;
        Ok(operator)
    }

    async fn spawn(&self, client: &kube::Client) -> Result<Operator, String> {
        let kubeconfig = self.directory.join("operator.kubeconfig");
        let own = own_kubeconfig(client).await?;
        self.run(&kubeconfig, &own, self.address, &ALONE)
    }

    /// Starts one of several operators, without waiting.
    pub async fn spawn_candidate(
        &self,
        client: &kube::Client,
        address: SocketAddr,
    ) -> Result<Operator, String> {
        let kubeconfig = self.directory.join(format!("{}.kubeconfig", address.port()));
        let own = own_kubeconfig(client).await?;
        self.run(&kubeconfig, &own, address, &ELECTION)
    }

    /// Starts another operator against another API server, without waiting. It has no permissions there.
    pub fn spawn_against(&self, server: &str, address: SocketAddr) -> Result<Operator, String> {
        let kubeconfig = kubeconfig(&json!({ "server": server }), "nobody");
        let path = self.directory.join("other.kubeconfig");
        self.run(&path, &kubeconfig, address, &ELECTION)
    }

    fn run(
        &self,
        path: &Path,
        kubeconfig: &Value,
        address: SocketAddr,
        election: &[&str],
    ) -> Result<Operator, String> {
        std::fs::write(path, kubeconfig.to_string())
            .map_err(|e| format!("failed to write {}: {e}", path.display()))?;
        let log = self.open_log()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_mlservicerole-operator"));
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("MLSERVICEROLE_") || name.starts_with("AWS_") || name == "KUBECONFIG" {
                command.env_remove(&variable);
            }
        }
        let seconds = |duration: Duration| duration.as_secs().to_string();
        command
            .args(["run", "--cluster-name", &self.cluster_name])
            .args(["--http-addr", &address.to_string()])
            .args(["--sweep-interval", &seconds(SWEEP_INTERVAL)])
            .args(["--consistency-window", &seconds(CONSISTENCY_WINDOW)])
            .args(["--shutdown-grace", &seconds(SHUTDOWN_GRACE)])
            .args(["--max-backoff", "2"])
            .args(election)
            .args(["--log", "info,mlservicerole_operator=debug"])
            .env("KUBECONFIG", path)
            .envs(self.aws_environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|e| e.to_string())?)
            .stderr(log)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .map_err(|e| format!("failed to start the operator: {e}"))?;
        Ok(Operator::Process(child))
    }

    /// The HTTP status that `path` answers with.
    pub async fn probe(&self, path: &str) -> Result<u16, String> {
        self.probe_at(self.listens().await?, path).await
    }

    /// The same of an operator at another address.
    pub async fn probe_at(&self, address: SocketAddr, path: &str) -> Result<u16, String> {
        let client: HttpClient<_, String> = HttpClient::builder(TokioExecutor::new()).build_http();
        let uri = format!("http://{address}{path}");
        let uri = uri.parse().map_err(|e| format!("{uri}: {e}"))?;
        let response = client.get(uri).await.map_err(|e| e.to_string())?;
        Ok(response.status().as_u16())
    }

    /// Type and text of what `path` answers with.
    pub async fn fetch(&self, path: &str) -> Result<(String, String), String> {
        let client: HttpClient<_, String> = HttpClient::builder(TokioExecutor::new()).build_http();
        let uri = format!("http://{}{path}", self.listens().await?);
        let uri = uri.parse().map_err(|e| format!("{uri}: {e}"))?;
        let response = client.get(uri).await.map_err(|e| e.to_string())?;
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().to_owned();
        let body = response.into_body().collect().await.map_err(|e| e.to_string())?;
        let text = String::from_utf8(body.to_bytes().into()).map_err(|e| e.to_string())?;
        Ok((kind, text))
    }

    async fn listens(&self) -> Result<SocketAddr, String> {
        match &self.pods {
            Some(pods) => pods.leader().await,
            None => Ok(self.address),
        }
    }

    fn open_log(&self) -> Result<File, String> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .map_err(|e| format!("failed to open the operator's log: {e}"))
    }

    pub fn log_path(&self) -> PathBuf {
        self.directory.join("operator.log")
    }

    /// The last `lines` lines of the log that contain `word`.
    pub fn log_tail(&self, word: &str, lines: usize) -> String {
        let text = std::fs::read(self.log_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let about: Vec<&str> = text.lines().filter(|line| line.contains(word)).collect();
        about[about.len().saturating_sub(lines)..].join("\n")
    }
}

impl Operator {
    /// Stops it as a kubelet does; whether it ended well, or an error if it doesn't stop in time.
    pub async fn terminate(self) -> Result<bool, String> {
        if let Operator::Process(_) = &self {
            self.signal(Signal::TERM)?;
        }
        self.end().await
    }

    /// Waits for its end, to which pods are brought by this; whether it ended well.
    pub async fn end(self) -> Result<bool, String> {
        match self {
            Operator::Process(mut child) => match timeout(Duration::from_secs(30), child.wait()).await {
                Ok(status) => status.map(|status| status.success()).map_err(|e| e.to_string()),
                Err(_) => Err("the operator doesn't end within 30 s".into()),
            },
            Operator::Pods(pods) => pods.terminate().await,
        }
    }

    /// Ends it at once, as a crash does.
    pub async fn kill(self) -> Result<(), String> {
        match self {
            Operator::Process(mut child) => child.kill().await.map_err(|e| e.to_string()),
            Operator::Pods(pods) => pods.kill().await,
        }
    }

    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        let Operator::Process(child) = self else {
            return Err("a pod can't be signalled".into());
        };
        let pid = child.id().ok_or("the operator has ended by itself")?;
        let pid = Pid::from_raw(pid as i32).ok_or("a process has a pid")?;
        kill_process(pid, signal).map_err(|e| format!("failed to signal the operator: {e}"))
    }

    /// How it ended, if it did by itself.
    pub async fn ended(&mut self) -> Option<String> {
        match self {
            Operator::Process(child) => Some(child.try_wait().ok()??.to_string()),
            Operator::Pods(pods) => match pods.restarts().await {
                Ok(0) => None,
                Ok(times) => Some(format!("{times} times")),
                Err(error) => Some(error),
            },
        }
    }
}

/// An address on loopback that is free now.
pub fn free_address() -> Result<SocketAddr, String> {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|e| format!("no free port: {e}"))
}

/// Like the one of the environment, but with a token of the operator's ServiceAccount.
async fn own_kubeconfig(client: &kube::Client) -> Result<Value, String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(3600),
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
    let cluster = current_cluster(&admin)?;
    Ok(kubeconfig(&cluster, &token))
}

fn kubeconfig(cluster: &Value, token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": cluster}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "operator"}}],
        "current-context": "e2e",
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
