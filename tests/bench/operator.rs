//! The operator as a process of its own, with the permissions that its manifests give it, and what it uses.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kube::Client;
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use crate::objects::CLUSTER_NAME;
use crate::openmetrics;
use crate::processes::Usage;
use crate::shared::process::{self, fetch, free_address, own_kubeconfig, probe};
use crate::shared::wait::within;

/// For how long the operator's token is good: longer than any scenario.
pub const TOKEN: Duration = Duration::from_secs(4 * 3600);
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
        let own = own_kubeconfig(client, TOKEN).await?;
        std::fs::write(&kubeconfig, own.to_string()).map_err(|e| format!("{}: {e}", kubeconfig.display()))?;
        let address = free_address()?;
        let log = self.directory.join("operator.log");
        let mut command = process::command(
            &self.program,
            CLUSTER_NAME,
            address,
            &kubeconfig,
            &crate::aws::environment(endpoint),
            process::open_log(&log)?,
        )?;
        command.envs(of_the_image());
        command.args([self.interval_flag, &interval.as_secs().to_string()]);
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

/// What the image sets for the program in it.
fn of_the_image() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("../../Dockerfile").lines();
    lines.filter_map(|line| line.strip_prefix("ENV ")?.split_once('='))
}

impl Operator {
    /// Waits until it says that it is ready.
    pub async fn ready(&self) -> Result<(), String> {
        within(START, || async {
            match probe(self.address, "/readyz").await? {
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

    /// What it tells Prometheus, as text.
    pub async fn scrape(&self) -> Result<String, String> {
        let (_, text) = fetch(self.address, "/metrics").await?;
        Ok(text)
    }

    /// How many objects wait to be worked on that somebody waits for.
    pub async fn urgent(&self) -> Result<f64, String> {
        let families = openmetrics::parse(&self.scrape().await?)?;
        Ok(openmetrics::sum(
            &families,
            "mlservicerole_queue_depth",
            &[("urgency", "urgent")],
        ))
    }

    /// Stops it as a kubelet does; how many seconds that took.
    pub async fn stop(mut self) -> Result<f64, String> {
        let began = Instant::now();
        process::signal(&self.child, Signal::TERM).map_err(|e| format!("{e}\n{}", self.log_tail(30)))?;
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
        process::log_tail(&self.log, "", lines)
    }
}
