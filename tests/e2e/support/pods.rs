//! The operator as pods of the Helm chart, from an image that the cluster's nodes have, instead of a process of this
//! machine: the same suite then proves image, chart and pods too. Several replicas run, as the chart has it.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, LogParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::operator::{CONSISTENCY_WINDOW, REQUEST_TIMEOUT, SHUTDOWN_GRACE, SWEEP_INTERVAL};
use super::process::NAMESPACE;
use super::wait::{eventually, within};

/// Name of the release, and so of the Deployment.
const NAME: &str = "mlservicerole-operator";
const SELECTOR: &str = "app.kubernetes.io/name=mlservicerole-operator";
const REPLICAS: i32 = 2;
const PORT: u16 = 8080;

/// Where the operator's pods come from.
#[derive(Clone)]
pub struct Pods {
    helm: PathBuf,
    repository: String,
    tag: String,
    client: Client,
}

/// What the chart is told besides.
pub struct Settings<'a> {
    pub cluster_name: &'a str,
    pub aws_environment: &'a [(&'static str, String)],
    pub directory: &'a Path,
}

impl Pods {
    /// From the environment: MLSERVICEROLE_E2E_IMAGE (repository:tag) and HELM. None if no image is named.
    pub fn from_environment(client: &Client) -> Result<Option<Pods>, String> {
        let Ok(image) = std::env::var("MLSERVICEROLE_E2E_IMAGE") else {
            return Ok(None);
        };
        let (repository, tag) = image
            .rsplit_once(':')
            .ok_or_else(|| format!("MLSERVICEROLE_E2E_IMAGE must be REPOSITORY:TAG, not {image}"))?;
        Ok(Some(Pods {
            helm: std::env::var_os("HELM").map_or_else(|| "helm".into(), PathBuf::from),
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            client: client.clone(),
        }))
    }

    /// The address of this machine as pods know it: MLSERVICEROLE_E2E_ADDRESS.
    pub fn way_back() -> Result<IpAddr, String> {
        let address = std::env::var("MLSERVICEROLE_E2E_ADDRESS")
            .map_err(|_| "MLSERVICEROLE_E2E_ADDRESS must be an address by which pods reach this machine")?;
        address
            .parse()
            .map_err(|e| format!("MLSERVICEROLE_E2E_ADDRESS: {address}: {e}"))
    }

    /// Installs the chart: RBAC, admission policies and the Deployment.
    pub async fn install(&self, settings: &Settings<'_>) -> Result<(), String> {
        let environment: Vec<_> = settings
            .aws_environment
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let values = json!({
            "clusterName": settings.cluster_name,
            "image": {"repository": self.repository, "tag": self.tag, "pullPolicy": "Never"},
            "aws": {"identity": "environment"},
            "env": environment,
            "replicas": REPLICAS,
            "operator": {
                "sweepInterval": SWEEP_INTERVAL.as_secs(),
                "consistencyWindow": CONSISTENCY_WINDOW.as_secs(),
                "shutdownGrace": SHUTDOWN_GRACE.as_secs(),
                "requestTimeout": REQUEST_TIMEOUT.as_secs(),
                "maxBackoff": 2,
                "logFormat": "text",
                "log": "info,mlservicerole_operator=debug",
            },
            // Longer than in the tests of the election: no test here is about a Lease that nobody could renew in time.
            "leaderElection": {"leaseDuration": 15, "renewDeadline": 10, "retryPeriod": 1},
            "defaultClass": {"create": false},
        });
        let path = settings.directory.join("values.json");
        std::fs::write(&path, values.to_string()).map_err(|e| format!("{}: {e}", path.display()))?;
        let path = path.display().to_string();
        let chart = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/deploy/charts/mlservicerole-operator"
        );
        self.helm(
            settings.directory,
            &["install", NAME, chart, "--create-namespace", "--values", &path],
        )
        .await
    }

    /// Takes the chart away, its check before it included.
    pub async fn uninstall(&self, directory: &Path, check: bool) -> Result<(), String> {
        let mut words = vec!["uninstall", NAME, "--ignore-not-found", "--wait"];
        if !check {
            words.push("--no-hooks");
        }
        self.helm(directory, &words).await
    }

    async fn helm(&self, directory: &Path, words: &[&str]) -> Result<(), String> {
        let home = directory.join("helm");
        let done = Command::new(&self.helm)
            .args(words)
            .args(["--namespace", NAMESPACE])
            // Nothing of the user's: no repositories, no cache, no plugins.
            .envs(["HELM_CONFIG_HOME", "HELM_CACHE_HOME", "HELM_DATA_HOME"].map(|name| (name, &home)))
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|e| format!("failed to run {}: {e}", self.helm.display()))?;
        match done.status.success() {
            true => Ok(()),
            false => Err(format!(
                "helm {} failed: {}",
                words.join(" "),
                String::from_utf8_lossy(&done.stderr)
            )),
        }
    }

    /// Starts the pods if none run, and waits until they are ready and one leads. What they say goes to `log`.
    pub async fn start(&self, log: &Path) -> Result<(), String> {
        self.scale(REPLICAS).await?;
        within(Duration::from_secs(60), || async {
            let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
            let deployment = deployments.get(NAME).await.map_err(|e| e.to_string())?;
            let status = deployment.status.unwrap_or_default();
            match status.ready_replicas {
                Some(REPLICAS) => self.leader().await.map(|_| ()),
                other => Err(format!("{} of {REPLICAS} pods are ready", other.unwrap_or(0))),
            }
        })
        .await
        .map_err(|last| format!("the operator isn't ready after 60 s: {last}"))?;
        for pod in self.pods().await? {
            tokio::spawn(follow(self.clone(), pod.name_any(), log.to_owned()));
        }
        Ok(())
    }

    async fn scale(&self, replicas: i32) -> Result<(), String> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let parameters = PatchParams::default();
        let scaled = deployments.patch_scale(NAME, &parameters, &patch).await;
        scaled
            .map(|_| ())
            .map_err(|e| format!("failed to scale {NAME} to {replicas}: {e}"))
    }

    fn api(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    async fn pods(&self) -> Result<Vec<Pod>, String> {
        let listed = self.api().list(&ListParams::default().labels(SELECTOR)).await;
        listed.map(|list| list.items).map_err(|e| e.to_string())
    }

    /// Where the pod that leads listens.
    pub async fn leader(&self) -> Result<SocketAddr, String> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), NAMESPACE);
        let lease = leases.get_opt(NAME).await.map_err(|e| e.to_string())?;
        let holder = lease
            .and_then(|lease| lease.spec)
            .and_then(|spec| spec.holder_identity)
            .unwrap_or_default();
        let pods = self.pods().await?;
        let leader = pods.iter().find(|pod| holder.starts_with(&pod.name_any()));
        let leader = leader.ok_or_else(|| format!("nobody leads; the Lease says {holder:?}"))?;
        let status = leader.status.as_ref();
        let address = status
            .and_then(|status| status.pod_ip.as_deref())
            .unwrap_or_default();
        let address: IpAddr = address
            .parse()
            .map_err(|e| format!("address {address:?} of the pod: {e}"))?;
        Ok(SocketAddr::new(address, PORT))
    }

    /// How often containers ended by themselves.
    pub async fn restarts(&self) -> Result<i32, String> {
        let pods = self.pods().await?;
        Ok(pods
            .iter()
            .filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref())
            .flatten()
            .map(|status| status.restart_count)
            .sum())
    }

    /// Scales to nothing and waits until the pods are gone. Whether each ended well: none was killed for taking too long.
    pub async fn terminate(&self) -> Result<bool, String> {
        let before = self.api().list(&ListParams::default().labels(SELECTOR)).await;
        let before = before.map_err(|e| e.to_string())?;
        let version = before.metadata.resource_version.clone().unwrap_or_default();
        let changes = self
            .api()
            .watch(&WatchParams::default().labels(SELECTOR), &version)
            .await;
        let mut changes = changes.map_err(|e| e.to_string())?.boxed();
        self.scale(0).await?;
        let mut left = before.items.len();
        let mut well = true;
        let ended = async {
            while left > 0 {
                match changes.try_next().await.map_err(|e| e.to_string())? {
                    Some(WatchEvent::Deleted(pod)) => {
                        left -= 1;
                        well &= exit_code(&pod) == Some(0);
                    }
                    Some(WatchEvent::Error(error)) => return Err(format!("{error:?}")),
                    Some(_) => {}
                    None => return Err("the watch of the pods ended".to_owned()),
                }
            }
            Ok(())
        };
        match timeout(Duration::from_secs(60), ended).await {
            Ok(done) => done.map(|()| well),
            Err(_) => Err("the operator's pods don't end within 60 s".into()),
        }
    }

    /// Ends them at once, as the loss of their node does.
    pub async fn kill(&self) -> Result<(), String> {
        self.scale(0).await?;
        let pods = self.pods().await?;
        for pod in &pods {
            let now = DeleteParams::default().grace_period(0);
            match self.api().delete(&pod.name_any(), &now).await {
                Err(kube::Error::Api(error)) if error.code == 404 => {}
                other => other.map(|_| ()).map_err(|e| e.to_string())?,
            }
        }
        // Deleted like this, a pod is gone from the API server before its process is.
        for ip in pods
            .iter()
            .filter_map(|pod| pod.status.as_ref()?.pod_ip.as_deref())
        {
            eventually(&format!("the process of {ip} is gone"), || async {
                let asked = tokio::net::TcpStream::connect((ip, PORT));
                match timeout(Duration::from_secs(1), asked).await {
                    Ok(Ok(_)) => Err("it answers".to_owned()),
                    _ => Ok(()),
                }
            })
            .await;
        }
        Ok(())
    }
}

/// Of the container, which has ended.
fn exit_code(pod: &Pod) -> Option<i32> {
    let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    Some(status.state.as_ref()?.terminated.as_ref()?.exit_code)
}

/// Appends what a pod says to the log, until it is gone: also what its container says after it was started anew.
async fn follow(pods: Pods, pod: String, log: PathBuf) {
    let parameters = LogParams {
        follow: true,
        ..Default::default()
    };
    while let Ok(Some(_)) = pods.api().get_opt(&pod).await {
        match pods.api().log_stream(&pod, &parameters).await {
            Ok(said) => {
                if let Err(error) = append(said, &log).await {
                    return eprintln!("{}: {error}", log.display());
                }
            }
            // Between two containers there is none.
            Err(_) => sleep(Duration::from_millis(500)).await,
        }
    }
}

async fn append(said: impl AsyncBufRead, log: &Path) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(log)?;
    let said = pin!(said);
    let mut lines = said.lines();
    while let Ok(Some(line)) = lines.try_next().await {
        writeln!(file, "{line}")?;
    }
    Ok(())
}
