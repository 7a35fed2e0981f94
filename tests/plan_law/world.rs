//! A cluster and an account in the state that a case finds, and the loop that brings them to what it wants: the
//! real planner, the real executor, and between them the reads and waits that the plan asks for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mlservicerole_operator::api::{BOUND_BY_ANNOTATION, MlServiceRole, PLACEMENT_ANNOTATION, ROLE_FINALIZER};
use mlservicerole_operator::aws::{AwsError, IamApi};
use mlservicerole_operator::cluster::ClusterApi;
use mlservicerole_operator::controller::execute::{Hands, run};
use mlservicerole_operator::controller::record::Record;
use mlservicerole_operator::guard::Refusal;
use mlservicerole_operator::iam::arn::RoleArn;
use mlservicerole_operator::iam::role::{RoleContent, RoleHeader};
use mlservicerole_operator::iam::tags;
use mlservicerole_operator::plan::{
    Clock, Depth, Failure, Next, Recalled, RoleKnowledge, RoleState, ServiceAccountState, Step, Surroundings,
    plan, plan_departure, plan_observed,
};

use crate::desired::{self, Desired, NAME, NAMESPACE, UID};
use crate::observed::{CREATED, Memory, Observed};
use crate::support::fake_cluster::FakeCluster;
use crate::support::fake_iam::{FakeIam, FakeRole};

const WINDOW: Duration = Duration::from_secs(30);
const DRIFT: Duration = Duration::from_secs(600);
/// As in the controller: more rounds than this are left for a later reconcile.
const MAX_ROUNDS: usize = 8;
/// More reconciles than any case may take until it comes to rest.
const MAX_RECONCILES: usize = 40;

/// A case: what is wanted and what is found.
pub struct Case {
    pub desired: Desired,
    pub observed: Observed,
}

impl Case {
    pub fn arn(&self) -> &RoleArn {
        self.desired.intent.arn()
    }
}

/// The world of a case.
pub struct World<'a> {
    pub case: &'a Case,
    pub iam: FakeIam,
    pub cluster: FakeCluster,
    /// Milliseconds since the process began.
    clock: AtomicU64,
    /// The steps of all plans that were begun.
    begun: Mutex<Vec<Step>>,
    /// A plan of exactly these steps needs no run: from this very state it was run and looked at before.
    run_before: Option<Vec<Step>>,
    /// Whether plans are only told.
    pub observes: bool,
}

/// How a reconcile, or a series of them, ended.
#[derive(Debug, PartialEq)]
pub enum Ended {
    /// There was nothing left to do.
    AtRest,
    Blocked(Refusal),
    Waiting(Duration),
    Failed(Failure),
    /// The object was let go.
    Released,
    /// The run was cut.
    Cut,
    /// What is left to do is what was run before, step by step.
    AsBefore,
    /// These steps were told and not taken.
    Told(Vec<Step>),
}

/// What a reconcile, or a series of them, took.
#[derive(Debug)]
pub struct Drive {
    pub ended: Ended,
    /// Plans that were not empty.
    pub plans: usize,
    /// Plans that met a world other than what they were made for.
    pub surprises: usize,
}

/// What is asked before each step, and whether to stop there.
pub type BeforeStep<'a> = &'a (dyn Fn() -> bool + Sync);

impl<'a> World<'a> {
    pub fn new(case: &'a Case) -> Self {
        let iam = FakeIam::new();
        for policy in desired::policies().iter().chain(&desired::boundaries()) {
            iam.add_policy(policy);
        }
        let bystander = iam.add_foreign_role("/mlservicerole/prod/team-a/", "bystander");
        iam.with_role_mut(bystander.arn.name().as_str(), |role| {
            role.tags = case.desired.intent.tags.clone();
        });
        if let Some(found) = &case.observed.role {
            let name = found.arn.name().as_str();
            iam.add_foreign_role(found.arn.path().as_str(), name);
            iam.with_role_mut(name, |role| *role = found.clone());
        }
        iam.rewrite_documents(case.observed.rewrites);
        iam.delay_new_roles(case.observed.delayed_reads);
        let cluster = FakeCluster::new(object(case));
        if let Some((name, record)) = &case.observed.record {
            cluster.add_former_state(name, record.clone());
        }
        for (name, account) in &case.observed.service_accounts {
            cluster.add_service_account(name, account.clone());
        }
        World {
            case,
            iam,
            cluster,
            clock: AtomicU64::new(DRIFT.as_millis() as u64),
            begun: Mutex::default(),
            run_before: None,
            observes: false,
        }
    }

    /// Another world in the same state.
    pub fn fork(&self) -> Self {
        World {
            case: self.case,
            iam: self.iam.fork(),
            cluster: self.cluster.fork(),
            clock: AtomicU64::new(self.clock.load(Ordering::Relaxed)),
            begun: Mutex::default(),
            run_before: None,
            observes: self.observes,
        }
    }

    /// Spares a run that would be the same as one that was seen, step by step.
    pub fn spare(&mut self, steps: &[Step]) {
        self.run_before = Some(steps.to_vec());
    }

    /// The steps of all plans that were begun.
    pub fn begun(&self) -> Vec<Step> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn role(&self) -> Option<FakeRole> {
        self.iam.role(self.case.arn().name().as_str())
    }

    /// What a process remembers that has been running for a while.
    pub fn memory(&self) -> Record {
        let mut record = Record::default();
        let name = self.case.arn().name();
        let intent = &self.case.desired.intent;
        let (read, as_of) = match self.case.observed.memory {
            Memory::Nothing => return record,
            Memory::Accurate => {
                let read = self.case.observed.role.clone().map(|role| {
                    let content = RoleContent {
                        inline: role.inline.clone(),
                        attached: role.attached.clone(),
                    };
                    (RoleHeader::from(role), Some(content))
                });
                (read, DRIFT - Duration::from_secs(1))
            }
            memory @ (Memory::Old | Memory::Wrong) => {
                let mut wanted = intent.new_role();
                let found = self.case.observed.role.as_ref();
                if let Some(record) = found.and_then(|role| role.tags.get(tags::ADOPTED)) {
                    wanted.tags.insert(tags::ADOPTED.to_owned(), record.clone());
                }
                let header = RoleHeader {
                    arn: wanted.arn,
                    id: "AROAOLD".to_owned(),
                    trust: wanted.trust,
                    description: wanted.description,
                    max_session_duration_seconds: wanted.max_session_duration_seconds,
                    permissions_boundary: wanted.permissions_boundary.map(|arn| arn.to_string()),
                    tags: wanted.tags,
                };
                let inline = intent.inline.iter();
                let content = RoleContent {
                    inline: inline
                        .map(|(name, document)| (name.clone(), document.to_json()))
                        .collect(),
                    attached: intent.attached.clone(),
                };
                match memory {
                    Memory::Wrong => {
                        let description = "as remembered".to_owned();
                        let header = RoleHeader {
                            description,
                            ..header
                        };
                        (Some((header, Some(content))), DRIFT - Duration::from_secs(1))
                    }
                    _ => (Some((header, Some(content))), Duration::ZERO),
                }
            }
        };
        let knowledge = record.knowledge_mut(name);
        knowledge.was_ours = self.case.observed.ours && read.is_some();
        knowledge.note_read(read, as_of);
        record
    }

    fn now(&self) -> Duration {
        // Time passes, if only a little, whenever somebody looks.
        Duration::from_millis(self.clock.fetch_add(1, Ordering::Relaxed))
    }

    fn wait_until(&self, until: Duration) {
        self.clock.fetch_max(until.as_millis() as u64, Ordering::Relaxed);
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.wait_until(self.now() + time);
    }

    /// The ServiceAccounts that the operator looks at: the wanted ones and those with a marker.
    pub fn visible(&self) -> Vec<ServiceAccountState> {
        let wanted = &self.case.desired.intent.service_accounts;
        let mut found = self.cluster.states();
        found.retain(|sa| {
            wanted.iter().any(|intent| intent.name == sa.name)
                || sa.annotations.contains_key(BOUND_BY_ANNOTATION)
        });
        found
    }

    fn next(&self, object: &MlServiceRole, knowledge: &RoleKnowledge, clock: &Clock) -> Next {
        let found = self.visible();
        let around = self.around(&found);
        match &self.case.desired.departure {
            Some(departure) => plan_departure(departure, knowledge, around, clock),
            None => {
                let planner = if self.observes { plan_observed } else { plan };
                let intent = &self.case.desired.intent;
                planner(intent, is_placed(object), knowledge, around, clock)
            }
        }
    }

    pub fn around<'s>(&'s self, found: &'s [ServiceAccountState]) -> Surroundings<'s> {
        Surroundings {
            service_accounts: found,
            rivals: &self.case.observed.rivals,
            created: CREATED,
        }
    }

    /// One reconcile, as the controller does it.
    pub async fn reconcile(&self, record: &mut Record, before_step: BeforeStep<'_>) -> Drive {
        let mut drive = Drive {
            ended: Ended::AtRest,
            plans: 0,
            surprises: 0,
        };
        let started = self.now();
        let Some(mut object) = self.cluster.object() else {
            drive.ended = Ended::Released;
            return drive;
        };
        let name = self.case.arn().name();
        let now = || self.now();
        for _ in 0..MAX_ROUNDS {
            let knowledge = record.knowledge(name);
            let clock = Clock {
                started,
                now: self.now(),
                consistency_window: WINDOW,
                drift_interval: DRIFT,
            };
            let next = self.next(&object, &knowledge, &clock);
            let knowledge = record.knowledge_mut(name);
            match next {
                Next::Read(depth) => match self.read(depth).await {
                    Ok(read) => knowledge.note_read(read, self.now()),
                    Err(error) => {
                        drive.ended = Ended::Failed(failure(&error));
                        return drive;
                    }
                },
                Next::Recall(sought) => match self.cluster.former_state(&sought).await {
                    Ok(state) => {
                        knowledge.recalled = Some(Box::new(Recalled {
                            sought,
                            state: state.map(Box::new),
                            as_of: self.now(),
                        }));
                    }
                    Err(_) => {
                        drive.ended = Ended::Waiting(self.now());
                        return drive;
                    }
                },
                Next::Wait { until, disputed, .. } => {
                    if disputed {
                        knowledge.disputed_since.get_or_insert(knowledge.as_of);
                    }
                    drive.ended = Ended::Waiting(until);
                    return drive;
                }
                Next::Blocked(refusal) => {
                    drive.ended = Ended::Blocked(refusal);
                    return drive;
                }
                Next::Do(plan) if plan.is_empty() => {
                    knowledge.disputed_since = None;
                    knowledge.was_ours |= matches!(knowledge.state, RoleState::Present { .. });
                    return drive;
                }
                Next::Do(plan) => {
                    drive.plans += 1;
                    let steps: Vec<Step> = plan.steps().cloned().collect();
                    if self.observes {
                        drive.ended = Ended::Told(steps);
                        return drive;
                    }
                    if self.run_before.as_ref() == Some(&steps) {
                        drive.ended = Ended::AsBefore;
                        return drive;
                    }
                    self.begun
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend(steps);
                    let hands = Hands {
                        iam: Some(&self.iam),
                        cluster: &self.cluster,
                        namespace: NAMESPACE,
                        role: name,
                        now: &now,
                    };
                    let cut = AtomicUsize::new(0);
                    let stop = || {
                        let stop = before_step();
                        cut.fetch_add(usize::from(stop), Ordering::Relaxed);
                        stop
                    };
                    let run = run(&plan, &hands, record, &mut object, &stop).await;
                    if cut.into_inner() > 0 {
                        drive.ended = Ended::Cut;
                        return drive;
                    }
                    if run.released {
                        drive.ended = Ended::Released;
                        return drive;
                    }
                    if let Some(failure) = run.failure.or(run.outdated) {
                        drive.ended = Ended::Failed(failure);
                        return drive;
                    }
                    drive.surprises += usize::from(run.surprised);
                }
            }
        }
        drive.ended = Ended::Waiting(self.now());
        drive
    }

    /// Reconciles until nothing more is to be expected. `may_fail`: failures are waited out, else they end it.
    pub async fn settle(&self, record: &mut Record, before_step: BeforeStep<'_>, may_fail: bool) -> Drive {
        let (mut plans, mut surprises) = (0, 0);
        let mut last = None;
        for _ in 0..MAX_RECONCILES {
            let drive = self.reconcile(record, before_step).await;
            plans += drive.plans;
            surprises += drive.surprises;
            last = Some(format!("{:?}", drive.ended));
            match drive.ended {
                Ended::Waiting(until) => self.wait_until(until),
                Ended::Failed(_) if may_fail => self.wait_until(self.now() + Duration::from_secs(1)),
                ended => {
                    return Drive {
                        ended,
                        plans,
                        surprises,
                    };
                }
            }
        }
        panic!("it doesn't come to rest: {last:?}");
    }

    async fn read(&self, depth: Depth) -> Result<Option<(RoleHeader, Option<RoleContent>)>, AwsError> {
        let name = self.case.arn().name();
        let unless_gone = |error: AwsError| match error.is_no_such_entity() {
            true => Ok(None),
            false => Err(error),
        };
        let header = match self.iam.get_role(name).await {
            Ok(header) => header,
            Err(error) => return unless_gone(error),
        };
        match depth {
            Depth::Header => Ok(Some((header, None))),
            Depth::Full => match self.iam.role_content(name).await {
                Ok(content) => Ok(Some((header, Some(content)))),
                Err(error) => unless_gone(error),
            },
        }
    }
}

/// Whether finalizer and placement are on the object.
pub fn is_placed(object: &MlServiceRole) -> bool {
    let annotations = object.metadata.annotations.iter().flatten();
    let mut finalizers = object.metadata.finalizers.iter().flatten();
    annotations
        .into_iter()
        .any(|(key, _)| key == PLACEMENT_ANNOTATION)
        && finalizers.any(|finalizer| finalizer == ROLE_FINALIZER)
}

fn object(case: &Case) -> MlServiceRole {
    let mut object = MlServiceRole::new(NAME, case.desired.spec.clone());
    object.metadata.namespace = Some(NAMESPACE.to_owned());
    object.metadata.uid = Some(UID.to_owned());
    if case.observed.placed {
        object.metadata.finalizers = Some(vec![ROLE_FINALIZER.to_owned()]);
        object.metadata.annotations = Some(BTreeMap::from([(
            PLACEMENT_ANNOTATION.to_owned(),
            case.desired.intent.placement.to_annotation(),
        )]));
    }
    object
}

fn failure(error: &AwsError) -> Failure {
    Failure {
        refusal: Refusal::passing("ReadFailed", error.to_string()),
        service_account: None,
    }
}
