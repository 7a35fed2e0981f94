//! The Lease that says which process leads: reads, writes and watches it as [`super::election`] decides, and holds
//! the [`Gate`] open as long as this process may work.
//!
//! Its requests don't pass the gate: they are what opens it. Every write carries the resourceVersion that was read,
//! so that of two processes one fails.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Error};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::election::{Candidate, Decision, Duty, Tenure, Terms, holder};
use crate::gate::Gate;

/// Names this process in the Lease. The pod's name alone would be that of the process before, too, after a restart of
/// the container: then it would take another's Lease for its own.
///
/// # Errors
///
/// The system has no random numbers.
pub fn identity(pod: &str) -> Result<String, String> {
    let mut bytes = [0u8; 8];
    let filled = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())
        .map_err(|e| format!("failed to read random numbers: {e}"))?;
    if filled < bytes.len() {
        return Err("failed to read enough random numbers".to_owned());
    }
    Ok(format!("{pod}_{}", HEXLOWER.encode(&bytes)))
}

/// A process that would lead.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    candidate: Candidate,
    gate: Arc<Gate>,
}

/// A process that leads. Its work may begin at [`Leader::begins`].
pub struct Leader {
    api: Api<Lease>,
    name: String,
    identity: String,
    terms: Terms,
    gate: Arc<Gate>,
    lease: Lease,
    tenure: Tenure,
}

/// Why a process leads no longer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// It was asked to let go, and somebody else can lead at once.
    Released,
    /// It couldn't renew in time, or somebody else has the Lease. For people.
    Lost(String),
}

impl Elector {
    /// `client` doesn't pass the gate, which this process alone opens.
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        identity: String,
        terms: Terms,
        gate: Arc<Gate>,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            candidate: Candidate::new(identity, terms),
            gate,
        }
    }

    /// Waits until this process leads. `standing_by` hears after each look whether it could: whether the Lease was
    /// read.
    pub async fn lead(mut self, standing_by: impl Fn(bool)) -> Leader {
        info!(
            lease = self.name,
            identity = self.candidate.identity(),
            "waiting for the lease"
        );
        let mut changes = std::pin::pin!(changes(self.api.clone(), &self.name));
        loop {
            let wait = match self.look().await {
                Ok(Look::Taken(lease, tenure)) => {
                    info!(lease = self.name, "leading");
                    self.gate.open(tenure.begins(), tenure.deadline());
                    return Leader {
                        api: self.api,
                        name: self.name,
                        identity: self.candidate.identity().to_owned(),
                        terms: self.candidate.terms(),
                        gate: self.gate,
                        lease: *lease,
                        tenure,
                    };
                }
                Ok(Look::Wait(wait)) => {
                    standing_by(true);
                    wait
                }
                Err(error) => {
                    standing_by(false);
                    warn!(lease = self.name, error, "failed to read or take the lease");
                    self.candidate.terms().retry_period
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                _ = changes.next() => {}
            }
        }
    }

    async fn look(&mut self) -> Result<Look, String> {
        let terms = self.candidate.terms();
        let found = bounded(terms, self.api.get_opt(&self.name)).await?;
        let spec = found.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let after = match self.candidate.decide(spec.as_ref(), self.gate.now()) {
            Decision::Wait(wait) => return Ok(Look::Wait(wait)),
            Decision::Take(after) => after,
        };
        if let Some(before) = spec.as_ref().and_then(holder) {
            info!(lease = self.name, before, "the lease has expired");
        }
        let wanted = taken(found, &self.name, self.candidate.identity(), terms);
        let params = PostParams::default();
        let sent = self.gate.now();
        let answer = if wanted.metadata.resource_version.is_some() {
            timeout(terms.attempt(), self.api.replace(&self.name, &params, &wanted)).await
        } else {
            timeout(terms.attempt(), self.api.create(&params, &wanted)).await
        };
        match answer {
            Ok(Ok(lease)) => {
                let tenure = Tenure::begin(terms, after, sent, self.gate.now());
                Ok(Look::Taken(Box::new(lease), tenure))
            }
            // Somebody else was faster.
            Ok(Err(Error::Api(status))) if status.code == 409 => Ok(Look::Wait(terms.retry_period)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(no_answer()),
        }
    }
}

enum Look {
    Taken(Box<Lease>, Tenure),
    Wait(Duration),
}

impl Leader {
    /// When it may begin to work, by the gate's clock.
    pub fn begins(&self) -> Duration {
        self.tenure.begins()
    }

    /// Renews until it can't any more, or until `release`. The gate is shut when this returns.
    pub async fn keep(mut self, release: CancellationToken) -> End {
        let end = self.renew_until(&release).await;
        self.gate.shut_for_good();
        if end == End::Released {
            self.let_go().await;
        }
        end
    }

    async fn renew_until(&mut self, release: &CancellationToken) -> End {
        loop {
            let Duty::Renew(wait) = self.tenure.duty(self.gate.now()) else {
                return End::Lost(format!(
                    "the lease {:?} couldn't be renewed within {} s",
                    self.name,
                    self.terms.renew_deadline.as_secs()
                ));
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = release.cancelled() => return End::Released,
            }
            let Duty::Renew(_) = self.tenure.duty(self.gate.now()) else {
                continue;
            };
            let sent = self.gate.now();
            match self.renew().await {
                Ok(Renewal::Done) => {
                    self.tenure.note_renewed(sent);
                    self.gate.open(self.tenure.begins(), self.tenure.deadline());
                }
                Ok(Renewal::Taken(by)) => return End::Lost(by),
                Err(error) => {
                    self.tenure.note_failed(sent);
                    warn!(lease = self.name, error, "failed to renew the lease");
                }
            }
        }
    }

    async fn renew(&mut self) -> Result<Renewal, String> {
        match self.write(renewed(&self.lease)).await {
            Ok(lease) => {
                self.lease = lease;
                return Ok(Renewal::Done);
            }
            Err(Write::Outdated) => {}
            Err(Write::Failed(error)) => return Err(error),
        }
        // Written by somebody, or by us though no answer came.
        let found = bounded(self.terms, self.api.get_opt(&self.name)).await?;
        let Some(lease) = found else {
            return Ok(Renewal::Taken(format!("the lease {:?} was deleted", self.name)));
        };
        let by = lease.spec.as_ref().and_then(holder);
        if by != Some(self.identity.as_str()) {
            let by = by.unwrap_or("nobody");
            return Ok(Renewal::Taken(format!(
                "the lease {:?} is held by {by}",
                self.name
            )));
        }
        self.lease = lease;
        match self.write(renewed(&self.lease)).await {
            Ok(lease) => {
                self.lease = lease;
                Ok(Renewal::Done)
            }
            Err(Write::Outdated) => Err("somebody else keeps writing it".to_owned()),
            Err(Write::Failed(error)) => Err(error),
        }
    }

    async fn write(&self, wanted: Lease) -> Result<Lease, Write> {
        let params = PostParams::default();
        match timeout(
            self.terms.attempt(),
            self.api.replace(&self.name, &params, &wanted),
        )
        .await
        {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(Error::Api(status))) if matches!(status.code, 404 | 409) => Err(Write::Outdated),
            Ok(Err(error)) => Err(Write::Failed(error.to_string())),
            Err(_) => Err(Write::Failed(no_answer())),
        }
    }

    /// Best effort: a Lease that isn't let go expires.
    async fn let_go(&self) {
        match self.write(released(&self.lease)).await {
            Ok(_) => info!(lease = self.name, "let go of the lease"),
            Err(Write::Outdated) => debug!(lease = self.name, "the lease is somebody else's by now"),
            Err(Write::Failed(error)) => {
                warn!(
                    lease = self.name,
                    error, "failed to let go of the lease, which expires by itself"
                )
            }
        }
    }
}

enum Renewal {
    Done,
    Taken(String),
}

enum Write {
    Outdated,
    Failed(String),
}

/// Something to wait for; that nothing comes means nothing, since the Lease is looked at all the same.
fn changes(api: Api<Lease>, name: &str) -> impl Stream<Item = ()> + use<> {
    let one = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(api, one)
        .default_backoff()
        .filter_map(|event| async move {
            match event {
                Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)) => Some(()),
                Ok(_) => None,
                Err(error) => {
                    debug!(%error, "the watch of the lease failed");
                    None
                }
            }
        })
        .chain(futures::stream::pending())
}

async fn bounded<T, E: Display>(
    terms: Terms,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(terms.attempt(), request).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err(no_answer()),
    }
}

fn no_answer() -> String {
    "the Kubernetes API didn't answer in time".to_owned()
}

/// The Lease with our name in it. Fields that we don't know of stay.
fn taken(found: Option<Lease>, name: &str, identity: &str, terms: Terms) -> Lease {
    let mut lease = found.unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..Default::default()
        },
        spec: None,
    });
    let now = MicroTime(Timestamp::now());
    let before = lease.spec.take().unwrap_or_default();
    let changes_hands = before.holder_identity.as_deref() != Some(identity);
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(terms.lease_duration.as_secs()).ok(),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        lease_transitions: match before.lease_transitions {
            Some(count) if changes_hands => Some(count.saturating_add(1)),
            Some(count) => Some(count),
            None => Some(0),
        },
        ..before
    });
    lease
}

fn renewed(lease: &Lease) -> Lease {
    let mut lease = lease.clone();
    if let Some(spec) = &mut lease.spec {
        spec.renew_time = Some(MicroTime(Timestamp::now()));
    }
    lease
}

/// As client-go leaves it: nobody's, and short.
fn released(lease: &Lease) -> Lease {
    let mut lease = renewed(lease);
    if let Some(spec) = &mut lease.spec {
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
    }
    lease
}
