//! The life of an object and its role: the real resolution, planner and executor, on an IAM that asks the operator's
//! policy before each call.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mlservicerole_operator::api::{BOUND_BY_ANNOTATION, MlServiceRole};
use mlservicerole_operator::aws::IamApi;
use mlservicerole_operator::cluster::ClusterApi;
use mlservicerole_operator::controller::execute::{Hands, run};
use mlservicerole_operator::controller::record::Record;
use mlservicerole_operator::guard::issuers_in_force;
use mlservicerole_operator::iam::arn::RoleArn;
use mlservicerole_operator::iam::name::RoleName;
use mlservicerole_operator::iam::quota::AccountQuotas;
use mlservicerole_operator::iam::role::{NewRole, RoleContent, RoleHeader};
use mlservicerole_operator::plan::{
    Account, Clock, ClusterIdentity, Departure, Depth, NamespaceState, Next, Placement, Recalled, Resolution,
    Retention, RoleIntent, Surroundings, plan, plan_departure, resolve,
};
use serde_json::{Value, json};

use crate::made::{
    BEDROCK, BOUNDARY, CLUSTER, CLUSTER_UID, FORMER_BOUNDARY, ISSUER, READ_ONLY, S3_READ, rules,
};
use crate::policed::PolicedIam;
use crate::support::fake_cluster::FakeCluster;
use crate::support::fake_iam::{ACCOUNT, FakeIam, FakeRole};

const WINDOW: Duration = Duration::from_secs(30);
const DRIFT: Duration = Duration::from_secs(600);
const PATIENCE: usize = 60;

/// An object, its class, and the account.
pub struct Life {
    pub iam: PolicedIam,
    class: Value,
    object: Value,
    uid: String,
    cluster_uid: String,
    cluster: FakeCluster,
    record: Record,
    clock: AtomicU64,
}

impl Life {
    pub fn new(class: &Value, policies: Vec<Value>, spec: Value) -> Self {
        let fake = FakeIam::new();
        for policy in [BOUNDARY, FORMER_BOUNDARY, READ_ONLY, BEDROCK, S3_READ] {
            fake.add_policy(policy);
        }
        let object = json!({
            "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole",
            "metadata": {"name": "trainer", "namespace": "team-a", "uid": "uid-1", "generation": 1},
            "spec": spec,
        });
        Life {
            iam: PolicedIam::new(fake, policies),
            class: class.clone(),
            cluster: FakeCluster::new(read(&object)),
            object,
            uid: "uid-1".to_owned(),
            cluster_uid: CLUSTER_UID.to_owned(),
            record: Record::default(),
            clock: AtomicU64::new(DRIFT.as_millis() as u64),
        }
    }

    /// The admin changes the class.
    pub fn reclass(&mut self, class: &Value) {
        self.class = class.clone();
    }

    /// The tenant changes the object.
    pub fn respec(&mut self, spec: Value) {
        self.object["spec"] = spec;
    }

    /// The admin installs other policies.
    pub fn permit(&mut self, policies: Vec<Value>) {
        self.iam.policies = policies;
    }

    /// The object was deleted and made again while the operator didn't look.
    pub fn reborn(&mut self, uid: &str) {
        self.uid = uid.to_owned();
        self.object["metadata"]["uid"] = json!(uid);
        self.cluster = FakeCluster::new(read(&self.object));
        self.record = Record::default();
    }

    /// The operator starts again in another cluster of this name.
    pub fn moved_to(&mut self, cluster_uid: &str) {
        self.cluster_uid = cluster_uid.to_owned();
        self.reborn("uid-in-the-other-cluster");
    }

    pub fn role(&self) -> Option<FakeRole> {
        self.iam.fake.role(self.arn().name().as_str())
    }

    pub fn edit(&self, edit: impl FnOnce(&mut FakeRole)) {
        self.iam.fake.with_role_mut(self.arn().name().as_str(), edit);
    }

    fn arn(&self) -> RoleArn {
        self.placement().role_arn
    }

    fn placement(&self) -> Placement {
        self.intent().placement
    }

    /// The role as it would be created.
    pub fn new_role(&self) -> NewRole {
        self.intent().new_role()
    }

    fn intent(&self) -> RoleIntent {
        let object = read(&self.object);
        let class = rules("ml", &self.class);
        let (issuers, _) = issuers_in_force(&class, &ISSUER.parse().unwrap(), None).unwrap();
        let namespace = NamespaceState {
            name: "team-a".to_owned(),
            uid: "uid-of-team-a".to_owned(),
            labels: Default::default(),
        };
        let account = Account {
            id: ACCOUNT.parse().unwrap(),
            partition: "aws".parse().unwrap(),
            quotas: AccountQuotas::default(),
        };
        let cluster = ClusterIdentity {
            name: CLUSTER.to_owned(),
            uid: self.cluster_uid.clone(),
            region: None,
        };
        resolve(Resolution {
            name: "trainer",
            uid: &self.uid,
            spec: &object.spec,
            placement: None,
            namespace: &namespace,
            class: &class,
            issuers: &issuers,
            account: &account,
            cluster: &cluster,
        })
        .unwrap()
    }

    fn departure(&self, retain: Retention) -> Departure {
        let intent = self.intent();
        Departure {
            role_arn: intent.arn().clone(),
            former_cluster_uids: intent.former_cluster_uids,
            owner: intent.owner,
            retain,
            attached: intent.attached,
            inline: intent.inline.into_keys().collect(),
            lets_go: true,
        }
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.clock.fetch_add(1, Ordering::Relaxed))
    }

    /// Reconciles until there is nothing left to do.
    pub async fn settle(&mut self) {
        // What others changed meanwhile is found by a read.
        self.clock
            .fetch_add(2 * DRIFT.as_millis() as u64, Ordering::Relaxed);
        self.drive(None).await;
    }

    /// Deletes the object.
    pub async fn leave(&mut self, retain: Retention) {
        self.clock
            .fetch_add(2 * DRIFT.as_millis() as u64, Ordering::Relaxed);
        self.drive(Some(retain)).await;
    }

    async fn drive(&mut self, retain: Option<Retention>) {
        let mut record = std::mem::take(&mut self.record);
        let started = self.now();
        let arn = self.arn();
        let name = arn.name();
        for _ in 0..PATIENCE {
            let Some(mut object) = self.cluster.object() else {
                break;
            };
            let clock = Clock {
                started,
                now: self.now(),
                consistency_window: WINDOW,
                drift_interval: DRIFT,
            };
            let mut accounts = self.cluster.states();
            accounts.retain(|sa| sa.name == "trainer" || sa.annotations.contains_key(BOUND_BY_ANNOTATION));
            let around = Surroundings {
                service_accounts: &accounts,
                rivals: &[],
                created: "2026-01-01T00:00:00Z",
            };
            let knowledge = record.knowledge(name);
            let next = match &retain {
                Some(retain) => plan_departure(&self.departure(retain.clone()), &knowledge, around, &clock),
                None => {
                    let placed = object.metadata.finalizers.iter().flatten().next().is_some();
                    plan(&self.intent(), placed, &knowledge, around, &clock)
                }
            };
            match next {
                Next::Read(depth) => {
                    let read = self.look(name, depth).await;
                    record.knowledge_mut(name).note_read(read, self.now());
                }
                Next::Recall(what) => {
                    let state = self.cluster.former_state(&what).await.unwrap();
                    record.knowledge_mut(name).recalled = Some(Box::new(Recalled {
                        sought: what,
                        state: state.map(Box::new),
                        as_of: self.now(),
                    }));
                }
                Next::Wait { until, disputed, .. } => {
                    let knowledge = record.knowledge_mut(name);
                    if disputed {
                        knowledge.disputed_since.get_or_insert(knowledge.as_of);
                    }
                    self.clock.fetch_max(until.as_millis() as u64, Ordering::Relaxed);
                }
                Next::Blocked(refusal) => panic!("{refusal:?}"),
                Next::Do(plan) if plan.is_empty() => {
                    self.record = record;
                    return;
                }
                Next::Do(plan) => {
                    let now = || self.now();
                    let hands = Hands {
                        iam: Some(&self.iam),
                        cluster: &self.cluster,
                        namespace: "team-a",
                        role: name,
                        now: &now,
                    };
                    let run = run(&plan, &hands, &mut record, &mut object, &|| false).await;
                    let denied = &self.iam.log.lock().unwrap().denied;
                    assert_eq!((run.failure, denied.as_slice()), (None, &[][..]), "{plan:#?}");
                    if run.released {
                        self.record = record;
                        return;
                    }
                }
            }
        }
        panic!("it doesn't come to rest");
    }

    async fn look(&self, name: &RoleName, depth: Depth) -> Option<(RoleHeader, Option<RoleContent>)> {
        let header = match self.iam.get_role(name).await {
            Err(error) if error.is_no_such_entity() => return None,
            header => header.unwrap(),
        };
        match depth {
            Depth::Header => Some((header, None)),
            Depth::Full => Some((header, Some(self.iam.role_content(name).await.unwrap()))),
        }
    }

    /// Actions that were asked about so far.
    pub fn asked(&self) -> BTreeSet<String> {
        self.iam.log.lock().unwrap().asked.clone()
    }
}

fn read(object: &Value) -> MlServiceRole {
    serde_json::from_value(object.clone()).unwrap()
}
