//! One look at one account: by its lists, where that is cheaper and can be had, and what follows from it for the objects
//! and the classes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::pass::{self, Finding, Found, Stopped, Tally, Target};
use super::{Findings, Report, SweptClass, is_under, orphaned, target, wake};
use crate::aws::{ErrorClass, IamApi};
use crate::controller::context::{Context, GuardedClass, GuardedRole};
use crate::fair_queue::Urgency;
use crate::iam::arn::{AccountId, RoleArn};
use crate::iam::name::RoleName;
use crate::iam::role::RoleDetails;
use crate::plan::sweep::{
    Census, Method, Noted, Orphans, Suspects, Why, choose, claimed, distinct_prefixes, path_prefix,
};

/// Lists that couldn't be had so often in a row are given up for this round; one failure may pass by itself.
const FAILURES: u32 = 2;
/// No look at an account takes longer.
const LONGEST: Duration = Duration::from_secs(300);

/// An object whose role is looked at.
pub struct Ours {
    pub object: Arc<GuardedRole>,
    pub uid: String,
    pub class: String,
    pub arn: RoleArn,
}

/// What is remembered of an account from one look to the next.
#[derive(Default)]
pub struct Memory {
    roles: Option<usize>,
    details_page: Option<usize>,
    settings_page: Option<usize>,
    tells_boundaries: Option<bool>,
    suspects: Option<Suspects>,
    failures: u32,
    /// Whether the last look was by its lists.
    listed: bool,
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
        if self.ours.is_empty() {
            // Nothing to look for, so that nothing is told either.
            return Looked {
                account: self.account,
                memory: self.memory,
                each: vec![],
            };
        }
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
            .filter(|ours| !is_under(&ours.arn, &prefixes))
            .count();
        let mut method = self.choose(outside, &mut report).await;
        let mut orphans = None;
        let mut each = Vec::new();
        if let Method::Lists { wide } = method {
            let prefixes = if wide { vec!["/".to_owned()] } else { prefixes };
            match self.sweep(context, &prefixes, &mut report).await {
                Ok(found) => orphans = found,
                Err(why) => {
                    report.failed = true;
                    // A single failure after lists that could be had is left to the next round: reads of each role would
                    // only add to what AWS doesn't bear.
                    if let Some(why) = why {
                        method = Method::Each(why);
                    }
                }
            }
        }
        if let Method::Each(_) = method {
            self.memory.listed = false;
            each = std::mem::take(&mut self.ours);
        }
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

    async fn choose(&mut self, outside: usize, report: &mut Report) -> Method {
        if self.memory.tells_boundaries == Some(false) {
            return Method::Each(Why::BoundariesUntold);
        }
        let census = |memory: &Memory, all| Census {
            ours: report.ours,
            outside,
            all,
            details_page: memory.details_page,
            settings_page: memory.settings_page,
        };
        if self.memory.listed {
            return choose(&census(&self.memory, self.memory.roles));
        }
        // Where lists pay even in the largest account that there is, nobody asks how large this one is.
        if let Method::Lists { .. } = choose(&census(&self.memory, Some(LARGEST_ACCOUNT))) {
            return Method::Lists { wide: false };
        }
        for class in &self.classes {
            report.calls += 1;
            match class
                .session
                .iam_for("", Urgency::Routine)
                .account_role_count()
                .await
            {
                Ok(roles) => {
                    self.memory.roles = roles;
                    break;
                }
                Err(error) => debug!(account = %self.account, %error, "the number of roles can't be read"),
            }
        }
        choose(&census(&self.memory, self.memory.roles))
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
                let outside = !is_under(&ours.arn, prefixes);
                let bounded = bounded.get(ours.class.as_str()).copied().unwrap_or(false);
                target(ours, outside, bounded)
            })
            .collect();
        pass::sort(&mut targets);
        let mut last = None;
        for class in &self.classes {
            let as_of = context.now();
            let mut suspects = Suspects::default();
            let mut differing = 0;
            let iam = class.session.iam_for("", Urgency::Routine);
            let run = pass::run(
                &iam,
                &targets,
                prefixes,
                &mut self.memory.tells_boundaries,
                |found| match found {
                    Found::Target(ours, finding) => {
                        differing += usize::from(note(context, ours, finding, as_of));
                    }
                    Found::Other(name, role) => suspect(context, &self.classes, name, role, &mut suspects),
                },
            );
            let ended = timeout(LONGEST, run).await;
            report.differing += differing;
            let stopped = match ended {
                Ok(Ok(tally)) => return Ok(self.noted(tally, suspects, report)),
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
        if last.is_none() && self.memory.listed && self.memory.failures < FAILURES {
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
        report.calls += tally.calls;
        report.roles = tally.roles;
        let memory = &mut self.memory;
        memory.roles = Some(tally.roles);
        memory.details_page = Some(tally.details_page).filter(|size| *size > 0);
        memory.settings_page = Some(tally.settings_page).filter(|size| *size > 0);
        memory.failures = 0;
        memory.listed = true;
        let before = memory.suspects.replace(suspects);
        let (before, now) = (before?, memory.suspects.as_ref()?);
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
            report.orphans += of_class.map_or(0, |orphans| orphans.count);
            context.sweeps.note_class(name, Findings::of(method, of_class));
            let key = ObjectRef::<GuardedClass>::new(name);
            let Some(cached) = context.caches.classes.get(&key) else {
                continue;
            };
            let Ok(cached) = cached.read() else { continue };
            let status = cached.status.clone().unwrap_or_default();
            let told = context.sweeps.told(name);
            let Some(told) = told.filter(|told| !told.is_told_by(&status)) else {
                continue;
            };
            if let Some(orphans) =
                of_class.filter(|orphans| orphans.count > 0 && told.orphans != status.orphans)
            {
                warn!(class = name, "{}", orphans.message());
                context.events.publish(&cached, orphaned(orphans.message())).await;
            }
            // A closed channel means that the process is stopping.
            let _ = context.wake_class.unbounded_send(key);
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

/// Roles that an account may have at most, as far as AWS raises the quota by itself (Service Quotas, L-FE177D64).
const LARGEST_ACCOUNT: usize = 10_000;

/// Notes what was found of an object's role. Whether the object was woken.
fn note(context: &Context, ours: &Ours, finding: Finding, as_of: Duration) -> bool {
    let key = ObjectRef::from_obj(&*ours.object);
    let is_there = context
        .caches
        .roles
        .get(&key)
        .is_some_and(|cached| cached.uid().as_ref() == Some(&ours.uid));
    if !is_there {
        return false;
    }
    let record = context.record(&ours.uid);
    // Whoever holds it reads or writes the role at this moment, and knows better.
    let Ok(mut record) = record.try_lock() else {
        return false;
    };
    let window = context.timing.consistency_window;
    let knowledge = record.knowledge_mut(ours.arn.name());
    let noted = match finding {
        Finding::Role(header, content) => knowledge.note_swept(*header, content, as_of, window),
        Finding::Unclear => knowledge.note_unclear(as_of, window),
        Finding::Missed => knowledge.note_missed(as_of, window),
    };
    context.note_boundary(&ours.uid, record.boundary(ours.arn.name()));
    record.rest();
    drop(record);
    let differs = noted == Noted::Differs;
    if differs {
        debug!(role = %ours.arn.name(), "a list shows the role otherwise than it is known");
        wake(context, &ours.object);
    }
    differs
}

/// Notes a role that carries our marks and whose object isn't there.
fn suspect(
    context: &Context,
    classes: &[SweptClass],
    name: &RoleName,
    role: &RoleDetails,
    suspects: &mut Suspects,
) {
    let Some((namespace, object)) = claimed(&role.tags, &context.cluster.uid) else {
        return;
    };
    let key = ObjectRef::<GuardedRole>::new(object).within(namespace);
    if context.caches.roles.get(&key).is_some() {
        return;
    }
    let path = role.arn.path().as_str();
    let under = |class: &&SweptClass| {
        path.starts_with(&path_prefix(&class.rules.path_template, &context.cluster.name))
    };
    // One that is under nobody's path was adopted.
    if let Some(class) = classes.iter().find(under).or(classes.first()) {
        suspects.add(&class.rules.name, name.clone());
    }
}
