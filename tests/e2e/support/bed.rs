//! The bed that a run of the suite stands on, shared by all tests: cluster, AWS, proxy and one operator.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use aws_sdk_iam::error::ProvideErrorMetadata;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use super::audit::AuditLog;
use super::aws::{Aws, statement};
use super::cluster;
use super::operator::{Launcher, Operator};
use super::pods::Pods;
use super::process::free_address;
use super::provider::create_provider;
use super::proxy::Proxy;

/// Label on everything that a run makes in the cluster.
pub const RUN_LABEL: &str = "e2e.mlservicerole.io/run";

/// See the module.
pub struct Bed {
    pub client: kube::Client,
    pub aws: Aws,
    pub proxy: Proxy,
    pub audit: Option<AuditLog>,
    /// Part of every name of this run.
    pub run: String,
    pub issuer: String,
    pub cluster_uid: String,
    pub launcher: Launcher,
    pub runtime: Handle,
    pub(super) prepared: OnceCell<()>,
    operator: AsyncMutex<Option<Operator>>,
    /// Roles that tests made themselves and that outlive their objects.
    pub declared: Mutex<BTreeSet<String>>,
    made_provider: Mutex<Option<String>>,
    interrupted: AtomicBool,
}

static BED: OnceLock<Bed> = OnceLock::new();

/// The bed of this run.
pub fn bed() -> &'static Bed {
    BED.get().expect("the bed is made before the first test")
}

impl Bed {
    /// Connects to cluster and AWS and installs the custom resources. The operator starts with the first test
    /// that needs it.
    pub async fn make() -> Result<&'static Bed, String> {
        let (Some(kubeconfig), Some(endpoint)) = (
            std::env::var_os("KUBECONFIG"),
            std::env::var("AWS_ENDPOINT_URL").ok(),
        ) else {
            return Err(
                "the end-to-end tests need KUBECONFIG and AWS_ENDPOINT_URL; `make e2e` starts a test bed and sets both"
                    .into(),
            );
        };
        let client = kube::Client::try_default().await;
        let client = client.map_err(|e| format!("failed to read KUBECONFIG: {e}"))?;
        let aws = Aws::connect(&endpoint).await?;
        let pods = Pods::from_environment(&client)?;
        let address = match pods {
            Some(_) => Pods::way_back()?,
            None => Ipv4Addr::LOCALHOST.into(),
        };
        let proxy = Proxy::start(&endpoint, address).await?;
        cluster::apply_file(&client, "crds/mlservicerole.io.yaml").await?;
        cluster::served(&client).await;
        let issuer = cluster::issuer(&client).await?;
        let cluster_uid = cluster::uid(&client).await?;
        let run = run_name();
        let address = free_address()?;
        let directory = tempfile::Builder::new().prefix("mlservicerole-e2e-").tempdir();
        let directory = directory.map_err(|e| e.to_string())?.keep();
        let mut aws_environment = aws.environment.clone();
        aws_environment.push(("AWS_ENDPOINT_URL", proxy.endpoint.clone()));
        let made = Bed {
            issuer,
            cluster_uid,
            launcher: Launcher {
                cluster_name: format!("e2e-{run}"),
                aws_environment,
                directory,
                address,
                pods,
            },
            audit: AuditLog::find(&PathBuf::from(kubeconfig)),
            client,
            aws,
            proxy,
            run,
            runtime: Handle::current(),
            prepared: OnceCell::new(),
            operator: AsyncMutex::default(),
            declared: Mutex::default(),
            made_provider: Mutex::default(),
            interrupted: AtomicBool::new(false),
        };
        Ok(BED.get_or_init(|| made))
    }

    /// Waits until the operator runs, and starts it the first time.
    pub async fn operator(&self) {
        let prepared = self.prepared.get_or_try_init(|| async {
            self.launcher.install(&self.client).await?;
            super::people::policies_decide(self).await;
            self.trust_issuer().await?;
            self.make_boundary().await?;
            self.start_operator().await?;
            super::fixtures::base_class(self).await
        });
        if let Err(error) = prepared.await {
            panic!("the operator can't be started: {error}");
        }
    }

    /// Starts the operator anew, after it was taken.
    pub async fn start_operator(&self) -> Result<(), String> {
        self.start_operator_with(&[]).await
    }

    /// The same, with more flags.
    pub async fn start_operator_with(&self, flags: &[&str]) -> Result<(), String> {
        let mut operator = self.operator.lock().await;
        *operator = Some(self.launcher.start_with(&self.client, flags).await?);
        Ok(())
    }

    /// The operator's process, to be ended by the caller.
    pub async fn take_operator(&self) -> Operator {
        let taken = self.operator.lock().await.take();
        taken.expect("the operator runs")
    }

    /// Whether the operator ended by itself.
    pub async fn operator_ended(&self) -> Option<String> {
        self.operator.lock().await.as_mut()?.ended().await
    }

    /// Stops the operator, if it runs; what is wrong with how it stopped.
    pub async fn stop_operator(&self) -> Result<(), String> {
        let Some(operator) = self.operator.lock().await.take() else {
            return Ok(());
        };
        match operator.terminate().await? {
            true => Ok(()),
            false => Err("the operator didn't end well on SIGTERM".into()),
        }
    }

    /// From now on tests can't make anything that would have to be deleted.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
    }

    /// Panics once the run is interrupted.
    pub fn goes_on(&self) {
        assert!(!self.interrupted.load(Ordering::Acquire), "interrupted");
    }

    /// Path of all roles of this run.
    pub fn path(&self) -> String {
        format!("/mlservicerole/{}/", self.launcher.cluster_name)
    }

    pub fn provider_arn(&self) -> String {
        let host = self.issuer.trim_start_matches("https://");
        format!("arn:aws:iam::{}:oidc-provider/{host}", self.aws.account)
    }

    pub fn boundary_arn(&self) -> String {
        format!(
            "arn:aws:iam::{}:policy/e2e-{}-boundary",
            self.aws.account, self.run
        )
    }

    /// Names a role that stays when its object is gone; it is removed at the end.
    pub fn declare(&self, role: &str) {
        self.declared.lock().unwrap().insert(role.to_owned());
    }

    async fn trust_issuer(&self) -> Result<(), String> {
        let created = create_provider(&self.aws.iam, &self.issuer).await;
        match created {
            Ok(provider) => {
                *self.made_provider.lock().unwrap() = provider.open_id_connect_provider_arn;
                Ok(())
            }
            Err(error) if error.code() == Some("EntityAlreadyExists") => Ok(()),
            Err(error) => Err(format!("failed to create the OIDC provider: {error:?}")),
        }
    }

    async fn make_boundary(&self) -> Result<(), String> {
        let create = self.aws.iam.create_policy();
        let create = create.policy_name(format!("e2e-{}-boundary", self.run));
        let document: Value = statement("s3:*", "*");
        let created = create.policy_document(document.to_string()).send().await;
        created
            .map(|_| ())
            .map_err(|e| format!("failed to create the boundary: {e:?}"))
    }

    /// Removes from AWS what the suite made for itself.
    pub async fn clean_aws(&self) {
        let declared = self.declared.lock().unwrap().clone();
        for role in declared {
            self.aws.remove_role(&role).await;
        }
        for role in self.aws.roles_under(&self.path()).await.unwrap_or_default() {
            self.aws.remove_role(&role).await;
        }
        if self.prepared.initialized() {
            let delete = self.aws.iam.delete_policy().policy_arn(self.boundary_arn());
            let _ = delete.send().await;
        }
        let provider = self.made_provider.lock().unwrap().take();
        if let Some(arn) = provider {
            let delete = self.aws.iam.delete_open_id_connect_provider();
            let _ = delete.open_id_connect_provider_arn(arn).send().await;
        }
    }
}

/// Short, and different for every run.
fn run_name() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let mut number = now.as_millis() as u64 ^ (u64::from(std::process::id()) << 20);
    let mut name = String::new();
    for _ in 0..6 {
        name.push(char::from(
            b"abcdefghijkmnpqrstuvwxyz23456789"[(number % 32) as usize],
        ));
        number /= 32;
    }
    name
}
