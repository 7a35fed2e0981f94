//! The operator as a process of its own, with the permissions that its manifests give it; or as pods (`pods`).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::time::timeout;

use super::cluster;
use super::pods::{Pods, Settings};
use super::process::{self, kubeconfig, own_kubeconfig};
use super::wait::within;

/// Short, so that drift is found within a test; long enough that a window without a sweep exists.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(3);
/// How far apart two reads must agree.
pub const CONSISTENCY_WINDOW: Duration = Duration::from_secs(2);

/// For how long the operator's token is good: longer than a run.
const TOKEN: Duration = Duration::from_secs(3600);

/// How long a stop may take.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(4);
/// After which it counts as not stopped: a pod takes a moment to be seen as gone.
pub const STOP: Duration = Duration::from_secs(SHUTDOWN_GRACE.as_secs() + 10);

/// The operator that most tests share is alone: after a crash it would wait for the end of its own Lease.
const ALONE: [&str; 1] = ["--leader-elect=false"];
/// Flags of one whose requests are never given up within a test.
pub const PATIENT: [&str; 4] = ["--request-timeout", "120", "--leader-elect-lease-duration", "300"];
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
        self.start_with(client, &[]).await
    }

    /// The same, with more flags; pods have those of their chart.
    pub async fn start_with(&self, client: &kube::Client, flags: &[&str]) -> Result<Operator, String> {
        if let Some(pods) = &self.pods {
            pods.start(&self.log_path()).await?;
            return Ok(Operator::Pods(pods.clone()));
        }
        let operator = self.spawn(client, flags).await?;
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

    async fn spawn(&self, client: &kube::Client, flags: &[&str]) -> Result<Operator, String> {
        let kubeconfig = self.directory.join("operator.kubeconfig");
        let own = own_kubeconfig(client, TOKEN).await?;
        self.run(&kubeconfig, &own, self.address, &[&ALONE, flags].concat())
    }

    /// Starts one of several operators, without waiting.
    pub async fn spawn_candidate(
        &self,
        client: &kube::Client,
        address: SocketAddr,
    ) -> Result<Operator, String> {
        let kubeconfig = self.directory.join(format!("{}.kubeconfig", address.port()));
        let own = own_kubeconfig(client, TOKEN).await?;
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
        let mut command = process::command(
            Path::new(env!("CARGO_BIN_EXE_mlservicerole-operator")),
            &self.cluster_name,
            address,
            path,
            &self.aws_environment,
            process::open_log(&self.log_path())?,
        )?;
        let seconds = |duration: Duration| duration.as_secs().to_string();
        command
            .args(["--sweep-interval", &seconds(SWEEP_INTERVAL)])
            .args(["--consistency-window", &seconds(CONSISTENCY_WINDOW)])
            .args(["--shutdown-grace", &seconds(SHUTDOWN_GRACE)])
            .args(["--max-backoff", "2"])
            .args(election)
            .args(["--log", "info,mlservicerole_operator=debug"]);
        let child = command
            .spawn()
            .map_err(|e| format!("failed to start the operator: {e}"))?;
        Ok(Operator::Process(child))
    }

    /// The HTTP status that `path` answers with.
    pub async fn probe(&self, path: &str) -> Result<u16, String> {
        process::probe(self.listens().await?, path).await
    }

    /// Type and text of what `path` answers with.
    pub async fn fetch(&self, path: &str) -> Result<(String, String), String> {
        process::fetch(self.listens().await?, path).await
    }

    async fn listens(&self) -> Result<SocketAddr, String> {
        match &self.pods {
            Some(pods) => pods.leader().await,
            None => Ok(self.address),
        }
    }

    pub fn log_path(&self) -> PathBuf {
        self.directory.join("operator.log")
    }

    /// The last `lines` lines of the log that contain `word`.
    pub fn log_tail(&self, word: &str, lines: usize) -> String {
        process::log_tail(&self.log_path(), word, lines)
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
        process::signal(child, signal)
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
