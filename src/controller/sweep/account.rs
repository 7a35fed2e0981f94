//! One look at one account: by its lists, where that is cheaper and can be had, and what follows from it for the objects
//! and the classes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::method::{Lists, choose};
use super::pass::{self, Finding, Found, Stopped, Tally, Target};
use super::strays::{Searched, search};
use super::{Findings, Report, SweptClass, is_under, orphaned, target, wake};
use crate::api::MlServiceRoleClassStatus;
use crate::aws::ErrorClass;
use crate::controller::context::{Context, GuardedClass, GuardedRole};
use crate::iam::arn::{AccountId, RoleArn};
use crate::iam::name::RoleName;
use crate::iam::role::RoleHeader;
use crate::plan::Placement;
use crate::plan::sweep::{Method, Noted, Orphans, Suspects, Why, claimed, distinct_prefixes, path_prefix};

/// Lists that couldn't be had so often in a row are given up for this round; one failure may pass by itself.
const FAILURES: u32 = 2;
/// No look at an account takes longer.
const LONGEST: Duration = Duration::from_secs(300);

/// An object whose role is looked at.
pub struct Ours {
    pub object: Arc<GuardedRole>,
    pub placement: Arc<Placement>,
}

impl Ours {
    pub fn uid(&self) -> &str {
        self.object.meta().uid.as_deref().unwrap_or_default()
    }

    pub fn arn(&self) -> &RoleArn {
        &self.placement.role_arn
    }
}

/// What is remembered of an account from one look to the next.
#[derive(Default)]
pub struct Memory {
    lists: Lists,
    suspects: Option<Suspects>,
    failures: u32,
}

/// A look that is to be taken.
pub struct Accounting {
    account: AccountId,
    classes: Vec<SweptClass>,
    ours: Vec<Arc<Ours>>,
    memory: Memory,
}

/// What a look came to.
pub struct Looked {
    pub account: AccountId,
    pub memory: Memory,
    /// Objects that are to read their roles themselves.
    pub each: Vec<Arc<Ours>>,
}

impl Accounting {
    pub fn new(account: AccountId, classes: Vec<SweptClass>, ours: Vec<Arc<Ours>>, memory: Memory) -> Self {
        Self {
            account,
            classes,
            ours,
            memory,
        }
    }

    /// Takes the look. Never fails: what can't be had is looked at otherwise.
    pub async fn look(mut self, context: &Arc<Context>) -> Looked {
        let began = context.now();
        let prefixes = self.prefixes(context);
        let mut report = Report {
            method: "",
            ended: began,
            took: Duration::ZERO,
            calls: 0,
            roles: 0,
            ours: self.ours.len(),
            differing: 0,
            orphans: 0,
            failed: false,
        };
        let outside = self
            .ours
            .iter()
            .filter(|ours| !is_under(ours.arn(), &prefixes))
            .count();
        let mut each = Vec::new();
        let (mut method, mut orphans) = if self.ours.is_empty() {
            self.search_alone(context, &prefixes, &mut report).await
        } else {
            let iams = self.classes.iter().map(SweptClass::iam);
            let lists = &mut self.memory.lists;
            let method = choose(lists, report.ours, outside, iams, &mut report.calls).await;
            (Some(method), None)
        };
        if let Some(Method::Lists { wide }) = method {
            let prefixes = if wide {
                vec!["/".to_owned()]
            } else {
                prefixes.clone()
            };
            match self.sweep(context, &prefixes, &mut report).await {
                Ok(found) => orphans = found,
                Err(why) => {
                    report.failed = true;
                    // A single failure after lists that could be had is left to the next round: reads of each role would
                    // only add to what AWS doesn't bear.
                    if let Some(why) = why {
                        method = Some(Method::Each(why));
                    }
                }
            }
        }
        if let Some(Method::Each(_)) = method {
            self.memory.lists.listed = false;
            if !self.ours.is_empty() {
                orphans = self.search(context, &prefixes, &mut report).await.told();
            }
            each = std::mem::take(&mut self.ours);
        }
        let method = method.unwrap_or(Method::Lists { wide: false });
        report.method = method.told();
        report.ended = context.now();
        report.took = report.ended.saturating_sub(began);
        self.tell(context, &method, orphans.as_ref(), &mut report).await;
        context.sweeps.note_account(&self.account, report);
        Looked {
            account: self.account,
            memory: self.memory,
            each,
        }
    }

    fn prefixes(&self, context: &Context) -> Vec<String> {
        let of = |class: &SweptClass| path_prefix(&class.rules.path_template, &context.cluster.name);
        distinct_prefixes(self.classes.iter().map(of).collect())
    }

    /// Of an account without roles of ours, only what nobody's objects left is of interest, and seldom is there anything:
    /// as a rule one page tells. Which way to look goes on from here, and none where that is done.
    async fn search_alone(
        &mut self,
        context: &Context,
        prefixes: &[String],
        report: &mut Report,
    ) -> (Option<Method>, Option<HashMap<String, Orphans>>) {
        match self.search(context, prefixes, report).await {
            Strays::TooMany => (Some(Method::Lists { wide: false }), None),
            strays => {
                report.failed = matches!(strays, Strays::Failed | Strays::Denied(_));
                (None, strays.told())
            }
        }
    }

    /// Looks for roles without an object by their names, by the first credentials that are let.
    async fn search(&mut self, context: &Context, prefixes: &[String], report: &mut Report) -> Strays {
        let ours = self.ours.iter();
        let known: HashSet<String> = ours
            .map(|ours| ours.arn().name().as_str().to_ascii_lowercase())
            .collect();
        let mut failed = Strays::Failed;
        for class in &self.classes {
            let mut suspects = Suspects::default();
            let iam = class.iam();
            let found = |name: &RoleName, role: &RoleHeader| {
                suspect(
                    context,
                    &self.classes,
                    name,
                    (&role.arn, &role.tags),
                    &mut suspects,
                );
            };
            match search(&iam, prefixes, &known, &mut report.calls, found).await {
                Ok(Searched::Whole) => {
                    let agreed = self.agreed(suspects);
                    return agreed.map_or(Strays::ToBeSeen, Strays::Agreed);
                }
                Ok(Searched::TooMany) => return Strays::TooMany,
                Err(error) => {
                    debug!(account = %self.account, class = class.rules.name, %error, "roles without an object can't be looked for");
                    if error.class != ErrorClass::Denied {
                        return Strays::Failed;
                    }
                    failed = Strays::Denied(self.classes.iter().map(nothing).collect());
                }
            }
        }
        failed
    }

    /// Goes through the lists by the first credentials that are let. An error is why they can't be relied on from now
    /// on, or none where that remains to be seen.
    async fn sweep(
        &mut self,
        context: &Arc<Context>,
        prefixes: &[String],
        report: &mut Report,
    ) -> Result<Option<HashMap<String, Orphans>>, Option<Why>> {
        let bounded: HashMap<&str, bool> = self
            .classes
            .iter()
            .map(|class| {
                (
                    class.rules.name.as_str(),
                    class.rules.permissions_boundary.is_some(),
                )
            })
            .collect();
        let mut targets: Vec<Target<Arc<Ours>>> = self
            .ours
            .iter()
            .cloned()
            .map(|ours| {
                let outside = !is_under(ours.arn(), prefixes);
                let bounded = bounded
                    .get(ours.placement.class.as_str())
                    .copied()
                    .unwrap_or(false);
                target(ours, outside, bounded)
            })
            .collect();
        pass::sort(&mut targets);
        let mut last = None;
        for class in &self.classes {
            let as_of = context.now();
            let mut suspects = Suspects::default();
            let mut differing = 0;
            let mut tally = Tally::default();
            let iam = class.iam();
            let run = pass::run(
                &iam,
                &targets,
                prefixes,
                &mut self.memory.lists.tells_boundaries,
                &mut tally,
                |found| match found {
                    Found::Target(ours, finding) => {
                        differing += usize::from(note(context, ours, finding, as_of));
                    }
                    Found::Other(name, role) => {
                        suspect(
                            context,
                            &self.classes,
                            name,
                            (&role.arn, &role.tags),
                            &mut suspects,
                        );
                    }
                },
            );
            let ended = timeout(LONGEST, run).await;
            report.differing += differing;
            report.calls += tally.calls;
            let stopped = match ended {
                Ok(Ok(())) => return Ok(self.noted(tally, suspects, report)),
                Ok(Err(stopped)) => stopped,
                Err(_) => {
                    warn!(account = %self.account, "the lists of the account took too long");
                    last = None;
                    break;
                }
            };
            match &stopped {
                Stopped::BoundariesUntold => {
                    warn!(account = %self.account, "the list of the account leaves out permissions boundaries; each role is read for itself");
                    return Err(Some(Why::BoundariesUntold));
                }
                Stopped::ByAws(error) => {
                    warn!(account = %self.account, class = class.rules.name, %error, "the lists of the account can't be had");
                    let denied = error.class == ErrorClass::Denied;
                    last = denied.then_some(Why::Denied(error.operation));
                    if !denied {
                        break;
                    }
                }
            }
        }
        self.memory.failures = self.memory.failures.saturating_add(1);
        if last.is_none() && self.memory.lists.listed && self.memory.failures < FAILURES {
            return Err(None);
        }
        Err(Some(last.unwrap_or(Why::Failing)))
    }

    /// Remembers what a whole pass learnt. Answers the orphans, by class, once two passes can be compared.
    fn noted(
        &mut self,
        tally: Tally,
        suspects: Suspects,
        report: &mut Report,
    ) -> Option<HashMap<String, Orphans>> {
        report.roles = tally.roles;
        let page = |size: usize| Some(size).filter(|size| *size > 0);
        self.memory.lists = Lists {
            roles: Some(tally.roles),
            details_page: page(tally.details_page),
            settings_page: page(tally.settings_page),
            listed: true,
            ..self.memory.lists
        };
        self.memory.failures = 0;
        self.agreed(suspects)
    }

    /// What this look and the one before agree on.
    fn agreed(&mut self, suspects: Suspects) -> Option<HashMap<String, Orphans>> {
        let before = self.memory.suspects.replace(suspects);
        let (before, now) = (before?, self.memory.suspects.as_ref()?);
        let of = |class: &SweptClass| (class.rules.name.clone(), now.agreed(&before, &class.rules.name));
        Some(self.classes.iter().map(of).collect())
    }

    /// Tells classes and log. A class is woken only where it has something else to tell than before.
    async fn tell(
        &self,
        context: &Arc<Context>,
        method: &Method,
        orphans: Option<&HashMap<String, Orphans>>,
        report: &mut Report,
    ) {
        for class in &self.classes {
            let name = &class.rules.name;
            let of_class = orphans.and_then(|orphans| orphans.get(name));
            context.sweeps.note_class(name, Findings::of(method, of_class));
            let key = ObjectRef::<GuardedClass>::new(name);
            let Some(cached) = context.caches.classes.get(&key) else {
                continue;
            };
            let Ok(cached) = cached.read() else { continue };
            let status = cached.status.clone().unwrap_or_default();
            let told = context.sweeps.told(name);
            report.orphans += still_told(told.as_ref(), &status);
            let Some(told) = told.filter(|told| !told.is_told_by(&status)) else {
                continue;
            };
            if let Some(orphans) =
                of_class.filter(|orphans| orphans.count > 0 && told.orphans != status.orphans)
            {
                warn!(class = name, "{}", orphans.message());
                context.events.publish(&cached, orphaned(orphans.message())).await;
            }
            context.woken_classes.wake(name);
        }
        info!(
            account = %self.account,
            method = report.method,
            calls = report.calls,
            roles = report.roles,
            ours = report.ours,
            differing = report.differing,
            orphans = report.orphans,
            milliseconds = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
            "looked for drift"
        );
    }
}

/// How many orphans a class tells of, also where this look told nothing: an alert that waits an hour would never come, were
/// there none for a moment after each failure.
fn still_told(told: Option<&Findings>, status: &MlServiceRoleClassStatus) -> usize {
    let told = told.and_then(|told| told.orphans.as_ref());
    let told = told.or(status.orphans.as_ref());
    told.map_or(0, |orphans| usize::try_from(orphans.count).unwrap_or(0))
}

/// What came of looking for roles without an object by their names.
enum Strays {
    /// Two looks in a row agree.
    Agreed(HashMap<String, Orphans>),
    /// This was the first.
    ToBeSeen,
    /// Only the account's list can tell.
    TooMany,
    /// AWS doesn't answer; what was told before may still hold.
    Failed,
    /// AWS doesn't let us, so that nothing is known, of any class.
    Denied(HashMap<String, Orphans>),
}

impl Strays {
    /// What is to be told of each class; none where that stays as it was.
    fn told(self) -> Option<HashMap<String, Orphans>> {
        match self {
            Strays::Agreed(orphans) | Strays::Denied(orphans) => Some(orphans),
            Strays::ToBeSeen | Strays::TooMany | Strays::Failed => None,
        }
    }
}

fn nothing(class: &SweptClass) -> (String, Orphans) {
    (class.rules.name.clone(), Orphans::default())
}

/// Notes what was found of an object's role. Whether the object was woken.
fn note(context: &Context, ours: &Ours, finding: Finding, as_of: Duration) -> bool {
    let key = ObjectRef::from_obj(&*ours.object);
    let is_there = context
        .caches
        .roles
        .get(&key)
        .is_some_and(|cached| cached.meta().uid == ours.object.meta().uid);
    if !is_there {
        return false;
    }
    let record = context.record(ours.uid());
    // Whoever holds it reads or writes the role at this moment, and knows better.
    let Ok(mut record) = record.try_lock() else {
        return false;
    };
    let window = context.timing.consistency_window;
    let knowledge = record.knowledge_mut(ours.arn().name());
    let noted = match finding {
        Finding::Role(header, content) => knowledge.note_swept(*header, content, as_of, window),
        Finding::Unclear => knowledge.note_unclear(as_of, window),
        Finding::Missed => knowledge.note_missed(as_of, window),
    };
    context.note_boundary(ours.uid(), record.boundary(ours.arn().name()));
    record.rest();
    drop(record);
    let differs = noted == Noted::Differs;
    if differs {
        debug!(role = %ours.arn().name(), "a list shows the role otherwise than it is known");
        wake(context, &ours.object);
    }
    differs
}

/// Notes a role that carries our marks and whose object isn't there.
fn suspect(
    context: &Context,
    classes: &[SweptClass],
    name: &RoleName,
    (arn, tags): (&RoleArn, &BTreeMap<String, String>),
    suspects: &mut Suspects,
) {
    let Some((namespace, object)) = claimed(tags, &context.cluster.uid) else {
        return;
    };
    let key = ObjectRef::<GuardedRole>::new(object).within(namespace);
    if context.caches.roles.get(&key).is_some() {
        return;
    }
    let path = arn.path().as_str();
    let under = |class: &&SweptClass| {
        path.starts_with(&path_prefix(&class.rules.path_template, &context.cluster.name))
    };
    // One that is under nobody's path was adopted.
    if let Some(class) = classes.iter().find(under).or(classes.first()) {
        suspects.add(&class.rules.name, name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::class::{OrphanedRoles, SweepStatus};

    fn orphans(count: i64) -> OrphanedRoles {
        OrphanedRoles { count, names: vec![] }
    }

    /// The first sweep after a start, one that failed, and one that found that they are gone.
    #[test]
    fn the_metric_counts_what_the_class_tells_also_after_a_look_that_told_nothing() {
        let status = MlServiceRoleClassStatus {
            orphans: Some(orphans(3)),
            ..Default::default()
        };
        let findings = |orphans| Findings {
            sweep: SweepStatus {
                method: String::new(),
                message: None,
            },
            orphans,
        };
        assert_eq!(still_told(None, &status), 3);
        assert_eq!(still_told(Some(&findings(None)), &status), 3);
        assert_eq!(still_told(Some(&findings(Some(orphans(2)))), &status), 2);
        assert_eq!(still_told(Some(&findings(Some(orphans(0)))), &status), 0);
        assert_eq!(still_told(None, &MlServiceRoleClassStatus::default()), 0);
    }
}
