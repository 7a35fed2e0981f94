//! Judging manifests alone: as the controller would, with what only a cluster or an account could say assumed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::ResourceExt;

use super::PlanArgs;
use super::given::{Found, Given};
use super::report::{
    ClassReport, ClusterView, FORMAT, PlanReport, RefusalView, RoleReport, RoleView, ServiceAccountView,
};
use crate::api::role::Mode;
use crate::api::{MlServiceRole, MlServiceRoleClass};
use crate::controller::observe::service_account_names;
use crate::guard::{self, ClassRules, Refusal, Request, checked_preset};
use crate::iam::arn::{AccountId, Issuer, Partition};
use crate::iam::quota::AccountQuotas;
use crate::plan::{
    Account, Bounds, Clock, ClusterIdentity, NamespaceState, Next, Placement, Plan, Resolution, Rival,
    RoleIntent, RoleKnowledge, ServiceAccountState, Surroundings, plan, preview, resolve, select_class,
};

/// Stands for every uid that only a cluster could give.
pub const UID: &str = "00000000-0000-0000-0000-000000000000";
const CLUSTER: &str = "example-cluster";
/// The account of AWS's own documentation.
const ACCOUNT: &str = "111122223333";
/// The region of AWS's own documentation.
const REGION: &str = "us-east-1";
/// The issuer of AWS's own documentation.
const ISSUER: &str = "https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE";

/// What is taken to be so where the manifests don't say.
pub struct Assumptions {
    cluster: ClusterIdentity,
    account: Option<AccountId>,
    partition: Partition,
    issuer: Option<Issuer>,
    notes: Vec<String>,
}

impl Assumptions {
    /// From the command line.
    pub fn of(args: &PlanArgs) -> Self {
        let mut notes = Vec::new();
        let name = args.cluster_name.clone().unwrap_or_else(|| {
            notes.push(format!(
                "the cluster's name is assumed to be {CLUSTER}, which is part of paths, names and tags: give \
                 --cluster-name"
            ));
            CLUSTER.to_owned()
        });
        notes.push(format!("uids are known only to a cluster: {UID} stands for each"));
        Self {
            cluster: ClusterIdentity {
                name,
                uid: UID.to_owned(),
                region: args.region.clone(),
            },
            account: args.account_id.clone(),
            partition: args.partition.clone(),
            issuer: args.issuer.clone(),
            notes,
        }
    }

    fn account(&mut self, rules: &ClassRules) -> Result<Account, Stop> {
        let id = match rules.account.clone().or_else(|| self.account.clone()) {
            Some(id) => id,
            None => {
                self.note(format!(
                    "the account of class {:?} is assumed to be {ACCOUNT}: give --account-id",
                    rules.name
                ));
                ACCOUNT
                    .parse()
                    .map_err(|e| Stop::Unknown(format!("{ACCOUNT}: {e}")))?
            }
        };
        Ok(Account {
            id,
            partition: self.partition.clone(),
            quotas: AccountQuotas::default(),
        })
    }

    fn issuers(&mut self, rules: &ClassRules) -> Result<BTreeSet<Issuer>, Stop> {
        let own = match &self.issuer {
            Some(issuer) => issuer.clone(),
            None => match rules.issuers.iter().find(|(_, trusted)| !trusted) {
                Some((issuer, _)) => {
                    self.note(format!(
                        "this cluster's issuer is assumed to be {}, which class {:?} lists first: give --issuer",
                        issuer.url(),
                        rules.name
                    ));
                    issuer.clone()
                }
                None if rules.issuers.is_empty() => {
                    self.note(format!(
                        "this cluster's issuer is assumed to be {ISSUER}: give --issuer"
                    ));
                    ISSUER
                        .parse()
                        .map_err(|e| Stop::Unknown(format!("{ISSUER}: {e}")))?
                }
                None => ISSUER
                    .parse()
                    .map_err(|e| Stop::Unknown(format!("{ISSUER}: {e}")))?,
            },
        };
        let (issuers, _) = guard::issuers_in_force(rules, &own, None)
            .map_err(|refusal| Stop::Refused(Refusal::class_not_accepted(&refusal)))?;
        Ok(issuers)
    }

    /// Assumes one only where presets need it, since nothing else does.
    fn region(&mut self, object: &MlServiceRole) {
        let mut presets = object
            .spec
            .access
            .iter()
            .filter_map(|entry| checked_preset(entry).ok());
        if self.cluster.region.is_none() && presets.any(|preset| preset.needs_region()) {
            self.note(format!(
                "the region of what presets name is assumed to be {REGION}: give --region"
            ));
            self.cluster.region = Some(REGION.to_owned());
        }
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Why an object has no plan.
pub enum Stop {
    /// It is refused.
    Refused(Refusal),
    /// It can't be judged.
    Unknown(String),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}

impl Stop {
    /// Notes it.
    pub fn tell(self, report: &mut RoleReport) {
        match self {
            Stop::Refused(refusal) => report.refusals.push(RefusalView::from(&refusal)),
            Stop::Unknown(why) => report.unknown = Some(why),
        }
    }
}

/// Judges manifests alone.
pub fn offline(given: &Given, assumptions: &Assumptions) -> PlanReport {
    let mut assumed = Assumptions {
        cluster: assumptions.cluster.clone(),
        account: assumptions.account.clone(),
        partition: assumptions.partition.clone(),
        issuer: assumptions.issuer.clone(),
        notes: assumptions.notes.clone(),
    };
    let classes = given.classes.iter().map(class_report).collect();
    let roles = given
        .roles
        .iter()
        .map(|found| of_role(found, given, &mut assumed))
        .collect();
    if given.namespace_assumed {
        assumed.note("objects without a namespace are put into the one of --namespace".to_owned());
    }
    PlanReport {
        format: FORMAT,
        live: false,
        cluster: ClusterView {
            name: assumed.cluster.name,
            issuer: assumed.issuer.as_ref().map(|issuer| issuer.url().to_owned()),
        },
        notes: assumed.notes,
        classes,
        roles,
    }
}

/// Whether a class serves anybody.
pub fn class_report(found: &Found<MlServiceRoleClass>) -> ClassReport {
    ClassReport {
        name: found.name.clone(),
        source: found.source.clone(),
        refusals: match &found.object {
            Err(wrong) => wrong
                .iter()
                .map(|message| RefusalView::invalid(message))
                .collect(),
            Ok(class) => match guard::understand(&found.name, &class.spec) {
                Ok(_) => vec![],
                Err(refusal) => vec![RefusalView::from(&refusal)],
            },
        },
    }
}

/// The report of an object before anything is known of it, and the object if the API server would take it.
pub fn begin(found: &Found<MlServiceRole>) -> (RoleReport, Option<&MlServiceRole>) {
    let mut report = RoleReport {
        namespace: found.namespace.clone(),
        name: found.name.clone(),
        source: found.source.clone(),
        ..Default::default()
    };
    match &found.object {
        Ok(object) => (report, Some(object)),
        Err(wrong) => {
            report.refusals = wrong
                .iter()
                .map(|message| RefusalView::invalid(message))
                .collect();
            (report, None)
        }
    }
}

fn of_role(found: &Found<MlServiceRole>, given: &Given, assumed: &mut Assumptions) -> RoleReport {
    let (mut report, object) = begin(found);
    let Some(object) = object else { return report };
    if object.spec.mode == Some(Mode::Observe) {
        assumed.note(format!(
            "{}/{} is in mode Observe: its steps are told in status.plan and not taken",
            found.namespace, found.name
        ));
    }
    let intent = match offline_intent(found, object, given, assumed, &mut report.class) {
        Ok(intent) => intent,
        Err(stop) => {
            stop.tell(&mut report);
            return report;
        }
    };
    let rivals = rivals(given, found);
    let accounts = accounts_of(given, &found.namespace);
    let around = Surroundings {
        service_accounts: &accounts,
        rivals: &rivals,
        created: &created(given, found),
    };
    let knowledge = RoleKnowledge::default();
    // A creation is planned without a read.
    let clock = Clock {
        started: Duration::ZERO,
        now: Duration::ZERO,
        consistency_window: Duration::ZERO,
        drift_interval: Duration::MAX,
    };
    match plan(&intent, false, &knowledge, around, &clock) {
        Next::Do(plan) => tell(&mut report, &plan, &knowledge, around),
        _ => {
            report.steps_unknown = Some(format!(
                "role {} is to be taken over, so that what would be done depends on what it is now: use --live",
                intent.arn()
            ));
        }
    }
    report.role = Some(RoleView::from(&intent));
    report
}

/// The plan, and what keeps ServiceAccounts from being bound.
pub fn tell(report: &mut RoleReport, plan: &Plan, knowledge: &RoleKnowledge, around: Surroundings<'_>) {
    report.steps = preview(plan.steps(), knowledge, around, Bounds::NONE);
    report.service_accounts = plan.bindings.iter().map(ServiceAccountView::from).collect();
    let problems = plan
        .bindings
        .iter()
        .filter_map(|binding| binding.problem.as_ref());
    report
        .refusals
        .extend(problems.filter(|problem| problem.final_).map(RefusalView::from));
}

fn offline_intent(
    found: &Found<MlServiceRole>,
    object: &MlServiceRole,
    given: &Given,
    assumed: &mut Assumptions,
    class_name: &mut Option<String>,
) -> Result<RoleIntent, Stop> {
    let defaults = given.default_classes();
    if object.spec.class_name.is_none() && defaults.is_empty() {
        return Err(Stop::Unknown(
            "className is absent and no class of the input is the default: give the default class with -f too, or use \
             --live"
                .to_owned(),
        ));
    }
    let name = select_class(object.spec.class_name.as_deref(), None, &defaults)?;
    *class_name = Some(name.to_owned());
    let class = given.class(name).ok_or_else(|| {
        Stop::Unknown(format!(
            "class {name:?} isn't in the input: give its manifest with -f too, or use --live"
        ))
    })?;
    let rules = rules_of(class)?;
    let labels = match given.namespaces.get(&found.namespace) {
        Some(labels) => labels.clone(),
        None => {
            assumed.note(format!(
                "namespace {:?} isn't in the input: it is taken to have no labels but its name",
                found.namespace
            ));
            BTreeMap::new()
        }
    };
    let namespace = namespace(&found.namespace, UID, labels);
    // What the class doesn't allow is said before what had to be assumed matters.
    guard::check(
        &rules,
        Request {
            cluster: &assumed.cluster.name,
            account: None,
            namespace: &namespace.name,
            namespace_labels: &namespace.labels,
            name: &found.name,
            spec: &object.spec,
        },
    )?;
    let issuers = assumed.issuers(&rules)?;
    let account = assumed.account(&rules)?;
    assumed.region(object);
    intent(
        object,
        None,
        &namespace,
        &rules,
        &issuers,
        &account,
        &assumed.cluster,
        UID,
    )
    .map_err(Stop::Refused)
}

/// The class, understood.
pub fn rules_of(class: &Found<MlServiceRoleClass>) -> Result<ClassRules, Refusal> {
    let invalid = |wrong: &Vec<String>| {
        let why = Refusal::new(
            crate::api::condition::reasons::INVALID_SPEC,
            format!("class {:?}: {}", class.name, wrong.join("; ")),
        );
        Refusal::class_not_accepted(&why)
    };
    let object = class.object.as_ref().map_err(invalid)?;
    guard::understand(&class.name, &object.spec).map_err(|refusal| Refusal::class_not_accepted(&refusal))
}

/// A namespace with the label that every namespace has.
pub fn namespace(name: &str, uid: &str, mut labels: BTreeMap<String, String>) -> NamespaceState {
    labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    NamespaceState {
        name: name.to_owned(),
        uid: uid.to_owned(),
        labels,
    }
}

/// What the object's role must be.
#[allow(
    clippy::too_many_arguments,
    reason = "the parts of a Resolution, from several hands"
)]
pub fn intent(
    object: &MlServiceRole,
    placement: Option<&Placement>,
    namespace: &NamespaceState,
    rules: &ClassRules,
    issuers: &BTreeSet<Issuer>,
    account: &Account,
    cluster: &ClusterIdentity,
    uid: &str,
) -> Result<RoleIntent, Refusal> {
    resolve(Resolution {
        name: &object.name_any(),
        uid,
        spec: &object.spec,
        placement,
        namespace,
        class: rules,
        issuers,
        account,
        cluster,
    })
}

/// The ServiceAccounts of the input that are in a namespace.
pub fn accounts_of(given: &Given, namespace: &str) -> Vec<ServiceAccountState> {
    let of_it = given
        .service_accounts
        .iter()
        .filter(|(home, _)| home == namespace);
    of_it.map(|(_, account)| account.clone()).collect()
}

/// The other objects of the input in the namespace: what comes first in it is applied first.
fn rivals(given: &Given, found: &Found<MlServiceRole>) -> Vec<Rival> {
    let others = given
        .roles
        .iter()
        .filter(|other| other.namespace == found.namespace && other.name != found.name);
    others
        .filter_map(|other| {
            let object = other.object.as_ref().ok()?;
            Some(Rival {
                name: other.name.clone(),
                uid: format!("{UID}/{}", other.name),
                created: created(given, other),
                deleting: false,
                observes: object.spec.mode == Some(Mode::Observe),
                service_accounts: service_account_names(object),
            })
        })
        .collect()
}

fn created(given: &Given, found: &Found<MlServiceRole>) -> String {
    let place = given
        .roles
        .iter()
        .position(|other| (&other.namespace, &other.name) == (&found.namespace, &found.name));
    format!("{:09}", place.unwrap_or_default())
}
