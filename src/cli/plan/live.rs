//! Comparing manifests with a cluster and its accounts. It only reads: what it prints is what `mode: Observe`
//! would write to the status.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use super::given::{Found, Given};
use super::judge::{Stop, UID, accounts_of, begin, class_report, intent, namespace, rules_of, tell};
use super::report::{ClusterView, FORMAT, PlanReport, RefusalView, RoleReport, RoleView};
use crate::api::role::Mode;
use crate::api::{DEFAULT_CLASS_ANNOTATION, MlServiceRole, MlServiceRoleClass};
use crate::aws::{Accounts as _, SdkAccounts, Session, own_region};
use crate::cluster::{self, Guarded, service_account_state};
use crate::controller::reach::account_ref;
use crate::controller::{failure, marks, observe};
use crate::guard::{self, ClassRules, Refusal};
use crate::iam::arn::Issuer;
use crate::manifest::Definition;
use crate::plan::{
    Account, Clock, ClusterIdentity, NamespaceState, Next, Rival, RoleIntent, RoleKnowledge,
    ServiceAccountState, Surroundings, plan_observed, select_class,
};

/// A role that keeps changing while it is read is given up after so many reads.
const MAX_READS: usize = 4;

/// What a cluster has.
struct Live<'a> {
    given: &'a Given,
    client: Client,
    accounts: SdkAccounts,
    cluster: ClusterIdentity,
    issuer: Issuer,
    classes: BTreeMap<String, MlServiceRoleClass>,
}

/// Compares the input with the cluster of the environment. Errors are for people: nothing could be compared.
pub fn compare(given: &Given, cluster: &str) -> Result<PlanReport, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("failed to start: {e}"))?
        .block_on(async {
            let live = Live::connect(given, cluster).await?;
            Ok(live.report().await)
        })
}

impl<'a> Live<'a> {
    async fn connect(given: &'a Given, name: &str) -> Result<Self, String> {
        let client = Client::try_default()
            .await
            .map_err(|e| format!("failed to find a Kubernetes cluster: {e}"))?;
        let uid = cluster::cluster_uid(&client)
            .await
            .map_err(|e| format!("failed to read the cluster's uid: {e}"))?;
        let issuer = cluster::own_issuer(&client).await?;
        let listed = Api::<Guarded<MlServiceRoleClass>>::all(client.clone())
            .list(&ListParams::default())
            .await
            .map_err(|e| format!("failed to list the MlServiceRoleClasses: {e}"))?;
        let classes = listed.items.into_iter().filter_map(|class| class.read().ok());
        Ok(Self {
            given,
            accounts: SdkAccounts::from_environment().await,
            cluster: ClusterIdentity {
                name: name.to_owned(),
                uid,
                region: own_region().await,
            },
            issuer,
            classes: classes.map(|class| (class.name_any(), class)).collect(),
            client,
        })
    }

    async fn report(&self) -> PlanReport {
        let mut notes = Vec::new();
        let classes = self.given.classes.iter().map(|found| self.class(found)).collect();
        let mut roles = Vec::new();
        for found in &self.given.roles {
            roles.push(self.role(found, &mut notes).await);
        }
        PlanReport {
            format: FORMAT,
            live: true,
            cluster: ClusterView {
                name: self.cluster.name.clone(),
                issuer: Some(self.issuer.url().to_owned()),
            },
            notes,
            classes,
            roles,
        }
    }

    /// A class of the input, also as a change of the one that is there.
    fn class(&self, found: &Found<MlServiceRoleClass>) -> super::report::ClassReport {
        let mut report = class_report(found);
        if found.object.is_ok()
            && let Some(live) = self.classes.get(&found.name)
        {
            report
                .refusals
                .extend(change("MlServiceRoleClass", &found.raw, live));
        }
        report
    }

    async fn role(&self, found: &Found<MlServiceRole>, notes: &mut Vec<String>) -> RoleReport {
        let (mut report, object) = begin(found);
        if let Some(object) = object
            && let Err(stop) = self.compare_role(found, object, &mut report, notes).await
        {
            stop.tell(&mut report);
        }
        report
    }

    async fn compare_role(
        &self,
        found: &Found<MlServiceRole>,
        object: &MlServiceRole,
        report: &mut RoleReport,
        notes: &mut Vec<String>,
    ) -> Result<(), Stop> {
        let roles: Api<Guarded<MlServiceRole>> = Api::namespaced(self.client.clone(), &found.namespace);
        let listed = roles.list(&ListParams::default()).await.map_err(unknown)?;
        let all: Vec<MlServiceRole> = listed
            .items
            .into_iter()
            .filter_map(|role| role.read().ok())
            .collect();
        let live = all.iter().find(|role| role.name_any() == found.name);
        if let Some(live) = live {
            report.refusals.extend(change("MlServiceRole", &found.raw, live));
            if live.metadata.deletion_timestamp.is_some() {
                return Err(Stop::Unknown(
                    "it is being deleted in the cluster: wait until it is gone".to_owned(),
                ));
            }
            if !report.refusals.is_empty() {
                return Ok(());
            }
        } else {
            notes.push(format!(
                "{}/{} isn't in the cluster yet: {UID} stands for its uid",
                found.namespace, found.name
            ));
        }
        let (intent, session) = self.intent(found, object, live, report, notes).await?;
        report.role = Some(RoleView::from(&intent));
        let accounts = self.service_accounts(&found.namespace).await?;
        let others = all.iter().filter(|role| role.name_any() != found.name);
        let rivals: Vec<Rival> = others
            .map(|role| Rival {
                name: role.name_any(),
                uid: role.uid().unwrap_or_default(),
                created: observe::created(role),
                deleting: role.metadata.deletion_timestamp.is_some(),
                observes: role.spec.mode == Some(Mode::Observe),
                service_accounts: observe::service_account_names(role),
            })
            .collect();
        let around = Surroundings {
            service_accounts: &accounts,
            rivals: &rivals,
            // One that isn't there yet is younger than all that are.
            created: &live.map_or_else(|| "~".to_owned(), observe::created),
        };
        let has_finalizer = live.is_some_and(marks::has_finalizer);
        told(&intent, has_finalizer, &session, around, report).await
    }

    /// What the object's role must be, by the class of the input or else the cluster's.
    async fn intent(
        &self,
        found: &Found<MlServiceRole>,
        object: &MlServiceRole,
        live: Option<&MlServiceRole>,
        report: &mut RoleReport,
        notes: &mut Vec<String>,
    ) -> Result<(RoleIntent, std::sync::Arc<Session>), Stop> {
        let placement = live.map(marks::placement).transpose()?.flatten();
        let defaults = self.default_classes();
        let name = select_class(object.spec.class_name.as_deref(), placement.as_ref(), &defaults)?;
        report.class = Some(name.to_owned());
        let rules = self.rules(name)?;
        let recorded = self
            .classes
            .get(name)
            .and_then(|class| class.status.as_ref())
            .and_then(|status| status.cluster_issuer.as_deref());
        let (issuers, _): (BTreeSet<Issuer>, _) = guard::issuers_in_force(&rules, &self.issuer, recorded)
            .map_err(|refusal| Refusal::class_not_accepted(&refusal))?;
        let home = self.namespace(&found.namespace, notes).await?;
        guard::check(
            &rules,
            guard::Request {
                cluster: &self.cluster.name,
                account: None,
                namespace: &home.name,
                namespace_labels: &home.labels,
                name: &found.name,
                spec: &object.spec,
            },
        )?;
        let session = self
            .accounts
            .session(&account_ref(&rules))
            .await
            .map_err(|error| Stop::Unknown(failure::of_session(&error, name).message))?;
        let account = Account {
            id: session.account.clone(),
            partition: session.partition.clone(),
            quotas: session.quotas().await,
        };
        let uid = live.and_then(ResourceExt::uid).unwrap_or_else(|| UID.to_owned());
        let intent = intent(
            object,
            placement.as_ref(),
            &home,
            &rules,
            &issuers,
            &account,
            &self.cluster,
            &uid,
        )?;
        Ok((intent, session))
    }

    fn default_classes(&self) -> Vec<String> {
        let mut names = self.given.default_classes();
        names.extend(
            self.classes
                .values()
                .filter(|class| self.given.class(&class.name_any()).is_none())
                .filter(|class| class.metadata.deletion_timestamp.is_none())
                .filter(|class| {
                    class
                        .annotations()
                        .get(DEFAULT_CLASS_ANNOTATION)
                        .is_some_and(|v| v == "true")
                })
                .map(ResourceExt::name_any),
        );
        names.sort();
        names
    }

    fn rules(&self, name: &str) -> Result<ClassRules, Refusal> {
        let live = self.classes.get(name);
        if live.is_some_and(|class| class.metadata.deletion_timestamp.is_some()) {
            return Err(Refusal::class_terminating(name));
        }
        if let Some(found) = self.given.class(name) {
            return rules_of(found);
        }
        let class = live.ok_or_else(|| Refusal::class_not_found(name))?;
        guard::understand(name, &class.spec).map_err(|refusal| Refusal::class_not_accepted(&refusal))
    }

    async fn namespace(&self, name: &str, notes: &mut Vec<String>) -> Result<NamespaceState, Stop> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let live = namespaces.get_metadata_opt(name).await.map_err(unknown)?;
        let mut labels = live
            .as_ref()
            .map(|live| live.labels().clone())
            .unwrap_or_default();
        labels.extend(self.given.namespaces.get(name).cloned().unwrap_or_default());
        let uid = live.and_then(|live| live.uid()).unwrap_or_else(|| {
            let note = format!("namespace {name:?} isn't in the cluster yet: {UID} stands for its uid");
            if !notes.contains(&note) {
                notes.push(note);
            }
            UID.to_owned()
        });
        Ok(namespace(name, &uid, labels))
    }

    /// Those of the cluster, and those of the input that aren't there yet.
    async fn service_accounts(&self, home: &str) -> Result<Vec<ServiceAccountState>, Stop> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), home);
        let live = accounts
            .list_metadata(&ListParams::default())
            .await
            .map_err(unknown)?;
        let mut all: Vec<ServiceAccountState> = live.items.iter().map(service_account_state).collect();
        for account in accounts_of(self.given, home) {
            if all.iter().all(|live| live.name != account.name) {
                all.push(account);
            }
        }
        Ok(all)
    }
}

/// Reads the role as far as the plan asks for it, and tells the plan.
async fn told(
    intent: &RoleIntent,
    has_finalizer: bool,
    session: &Session,
    around: Surroundings<'_>,
    report: &mut RoleReport,
) -> Result<(), Stop> {
    // Nothing was written a moment ago, so that one read is enough to believe in.
    let clock = Clock {
        started: Duration::ZERO,
        now: Duration::ZERO,
        consistency_window: Duration::ZERO,
        drift_interval: Duration::MAX,
    };
    let role = intent.arn().name();
    let mut knowledge = RoleKnowledge::default();
    for _ in 0..MAX_READS {
        match plan_observed(intent, has_finalizer, &knowledge, around, &clock) {
            Next::Read(depth) => {
                observe::role(&*session.iam, role, depth, &mut knowledge, &|| Duration::ZERO)
                    .await
                    .map_err(|error| Stop::Unknown(failure::of_aws(&error, role, "").refusal.message))?
            }
            // Asked for by objects that go, and those aren't planned here.
            Next::Recall(sought) => {
                return Err(Stop::Unknown(format!(
                    "the record of what role {} was is needed",
                    sought.role_arn
                )));
            }
            Next::Wait { why, .. } => return Err(Stop::Unknown(why.message)),
            Next::Blocked(refusal) => return Err(Stop::Refused(refusal)),
            Next::Do(plan) => {
                tell(report, &plan, &knowledge, around);
                return Ok(());
            }
        }
    }
    Err(Stop::Unknown(
        "the role keeps changing while it is read; try again".to_owned(),
    ))
}

/// What the API server wouldn't take as a change of what is there.
fn change<T: serde::Serialize>(kind: &str, raw: &Value, live: &T) -> Vec<RefusalView> {
    let (Some(definition), Ok(live)) = (Definition::of(kind), serde_json::to_value(live)) else {
        return vec![];
    };
    definition
        .check(raw, Some(&live))
        .iter()
        .map(|message| RefusalView::invalid(message))
        .collect()
}

fn unknown(error: kube::Error) -> Stop {
    Stop::Unknown(format!("failed to read from the cluster: {error}"))
}
