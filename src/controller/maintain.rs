//! Keeping a live object's role and ServiceAccounts as the object says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::context::{ClassUse, Context};
use super::drive::{Conclusion, ConclusionFacts, Drive, drive, surroundings};
use super::failure;
use super::known_classes::KnownClass;
use super::marks::{has_finalizer, placement};
use super::observe;
use super::reach::account_ref;
use super::record::{ClassVersion, Record, Synced};
use crate::api::class::OnViolation;
use crate::api::condition::reasons;
use crate::api::role::Mode;
use crate::api::{CLASS_FINALIZER, MlServiceRole};
use crate::aws::Session;
use crate::fair_queue::Urgency;
use crate::guard::{self, ClassRules, Refusal, Request};
use crate::iam::arn::Issuer;
use crate::iam::quota::RoleUsage;
use crate::plan::{
    Account, BindingVerdict, Clock, Next, Outcome, Placement, Resolution, RoleIntent, RoleKnowledge,
    Surroundings, Withdrawal, assemble, bind, drift_kinds, drift_repaired, placement_in_force, plan,
    plan_observed, plan_withdrawal, revoked, select_class,
};

/// Reconciles an object that isn't being deleted.
pub async fn maintain(
    context: &Arc<Context>,
    record: &mut Record,
    mut object: MlServiceRole,
    started: Duration,
) -> Conclusion {
    let mut class_name = None;
    let mut usage = None;
    let prepared = prepare(context, record, &object, &mut class_name, &mut usage).await;
    let Prepared {
        work,
        session,
        in_use: _in_use,
    } = match prepared {
        Ok(prepared) => prepared,
        Err(outcome) => {
            let facts = ConclusionFacts {
                placement: placement(&object).ok().flatten(),
                knowledge: None,
                usage,
                bindings: vec![],
                updates: vec![],
            };
            return Conclusion {
                object,
                drive: Drive::ended(outcome),
                class: class_name,
                facts,
            };
        }
    };
    let placement = work.placement().clone();
    let arn = placement.role_arn.clone();
    let class = class_version(context, &placement.class);
    let urgency = urgency(record.synced.as_ref(), object.metadata.generation, &class);
    let iam = session.iam_for(&object.namespace().unwrap_or_default(), urgency);
    let mut driven = drive(
        context,
        record,
        &mut object,
        &arn,
        Some(&iam),
        started,
        |object, known, around, clock| work.plan(object, known, around, clock),
    )
    .await;
    failure::lay_to_class(&mut driven.outcome, &placement.class);
    if has_finalizer(&object) {
        record.note_placed(&placement);
    }
    let ours = matches!(driven.outcome, Outcome::Synced | Outcome::Failed(_));
    let (bindings, updates) = match work {
        Work::Keep(intent) => {
            let around = observe::neighbourhood(context, record, &object, context.now()).await;
            let bindings = bind(&intent, surroundings(&around)).verdicts;
            note_drift(context, record, &object, &placement.class, &bindings, &mut driven);
            (bindings, intent.preset_updates)
        }
        Work::Withdraw(_, why) => {
            driven.notices.extend(revoked(&why, &driven.done));
            let cut = Box::new(driven.outcome);
            driven.outcome = Outcome::Revoked { why, cut };
            (vec![], vec![])
        }
    };
    let knowledge = Some(record.knowledge(arn.name())).filter(|known| ours && known.was_ours);
    Conclusion {
        object,
        drive: driven,
        class: class_name,
        facts: ConclusionFacts {
            placement: Some(placement),
            knowledge,
            usage,
            bindings,
            updates,
        },
    }
}

/// Somebody waits for what comes of a change of spec or class, and for nothing else.
fn urgency(synced: Option<&Synced>, generation: Option<i64>, class: &ClassVersion) -> Urgency {
    let is_same = |synced: &Synced| synced.generation == generation && synced.class == *class;
    if synced.is_some_and(is_same) {
        Urgency::Routine
    } else {
        Urgency::Urgent
    }
}

/// Steps on an object that was in sync for this spec and class already mend something that somebody else did.
fn note_drift(
    context: &Context,
    record: &mut Record,
    object: &MlServiceRole,
    class: &str,
    bindings: &[BindingVerdict],
    driven: &mut Drive,
) {
    if driven.outcome != Outcome::Synced {
        return;
    }
    let bound = bindings.iter().filter(|b| b.bound).map(|b| b.name.clone());
    let synced = Synced {
        generation: object.metadata.generation,
        class: class_version(context, class),
        bound: bound.collect::<BTreeSet<_>>().into_iter().collect(),
    };
    let before = record.synced.replace(synced.clone()).unwrap_or_default();
    let same = before.generation == synced.generation && before.class == synced.class;
    let bound_before = before.bound.into_iter().collect();
    if same {
        for kind in drift_kinds(&driven.done, &bound_before) {
            context.metrics.drift_found(kind, 1);
        }
    }
    let Some(notice) = drift_repaired(&driven.done, &bound_before).filter(|_| same) else {
        return;
    };
    if record.is_news(&notice.message, context.now()) {
        driven.notices.push(notice);
    }
}

fn class_version(context: &Context, name: &str) -> ClassVersion {
    let known = observe::class(context, name).and_then(Result::ok);
    let version = known.as_ref().map(|known| {
        let KnownClass { class, .. } = known.as_ref();
        let issuers = class.status.as_ref().map(|status| &status.issuers);
        (&class.metadata.uid, class.metadata.generation, issuers)
    });
    Sha256::digest(format!("{version:?}")).into()
}

/// What a reconcile works towards.
struct Prepared {
    work: Work,
    session: Arc<Session>,
    in_use: ClassUse,
}

/// What is done to the role.
enum Work {
    /// It becomes what the object says.
    Keep(Box<RoleIntent>),
    /// The object is refused for this: what the class doesn't allow is taken from the role.
    Withdraw(Box<Withdrawal>, Refusal),
}

impl Work {
    fn placement(&self) -> &Placement {
        match self {
            Work::Keep(intent) => &intent.placement,
            Work::Withdraw(withdrawal, _) => &withdrawal.placement,
        }
    }

    fn plan(
        &self,
        object: &MlServiceRole,
        known: &RoleKnowledge,
        around: Surroundings<'_>,
        clock: &Clock,
    ) -> Next {
        match self {
            Work::Withdraw(withdrawal, _) => plan_withdrawal(withdrawal, known, around, clock),
            Work::Keep(intent) => {
                let planner = match object.spec.mode {
                    Some(Mode::Observe) => plan_observed,
                    Some(Mode::Manage) | None => plan,
                };
                planner(intent, has_finalizer(object), known, around, clock)
            }
        }
    }
}

/// From the object to what its role must be, or how the reconcile ends.
async fn prepare(
    context: &Arc<Context>,
    record: &mut Record,
    object: &MlServiceRole,
    class_name: &mut Option<String>,
    usage: &mut Option<RoleUsage>,
) -> Result<Prepared, Outcome> {
    let namespace_name = object.namespace().unwrap_or_default();
    let not_known = || {
        Outcome::ClassNotReady(Refusal::passing(
            reasons::WAITING,
            format!("namespace {namespace_name:?} isn't known to the operator yet"),
        ))
    };
    let namespace = observe::namespace(context, &namespace_name).ok_or_else(not_known)?;
    let placed = placement_in_force(placement(object), record.placed()).map_err(Outcome::Refused)?;
    let defaults = observe::default_classes(context);
    let class = select_class(object.spec.class_name.as_deref(), placed.as_ref(), &defaults)
        .map_err(Outcome::Refused)?;
    *class_name = Some(class.to_owned());
    // From before it is looked at until the role is placed, so that it isn't let go in between.
    let in_use = context.use_class(class);
    let (rules, issuers) = usable_class(context, class)?;
    let request = Request {
        cluster: &context.cluster.name,
        account: None,
        namespace: &namespace.name,
        namespace_labels: &namespace.labels,
        name: &object.name_any(),
        spec: &object.spec,
    };
    // Before the account is asked for: what is refused anyway needs no call.
    let allowed = guard::check(&rules, request);
    let observes = object.spec.mode == Some(Mode::Observe);
    let revokes = has_finalizer(object) && !observes && rules.on_violation == OnViolation::Revoke;
    let told = |refusal: Refusal| match (has_finalizer(object), observes) {
        (true, true) => refusal.of_observed_role(),
        (true, false) if !revokes => refusal.of_live_role(),
        _ => refusal,
    };
    if let (Err(refusal), false) = (&allowed, revokes) {
        return Err(Outcome::Refused(told(refusal.clone())));
    }
    let session = context
        .accounts
        .session(&account_ref(&rules))
        .await
        .map_err(|error| Outcome::ClassNotReady(failure::of_session(&error, class)))?;
    let account = Account {
        id: session.account.clone(),
        partition: session.partition.clone(),
        quotas: session.quotas().await,
    };
    let (name, uid) = (object.name_any(), object.uid().unwrap_or_default());
    let from = Resolution {
        name: &name,
        uid: &uid,
        spec: &object.spec,
        placement: placed.as_ref(),
        namespace: &namespace,
        class: &rules,
        issuers: &issuers,
        account: &account,
        cluster: &context.cluster,
    };
    let allowed = allowed
        .and_then(|()| guard::check_account(&rules, (&account.partition, &account.id), &object.spec))
        .map_err(told);
    let assembled = allowed.and_then(|()| assemble(from));
    *usage = assembled.as_ref().ok().map(RoleIntent::usage);
    let work = match assembled.and_then(RoleIntent::fitting) {
        Ok(intent) => Work::Keep(Box::new(intent)),
        Err(refusal) => match Withdrawal::of(from).filter(|_| revokes) {
            Some(withdrawal) => Work::Withdraw(Box::new(withdrawal), refusal),
            None => return Err(Outcome::Refused(refusal)),
        },
    };
    // Labels and uid of a former namespace must not decide what an object of the present one gets.
    if record.namespace_uid.is_none() && !has_finalizer(object) {
        record.namespace_uid = observe::namespace_uid(context, &namespace_name)
            .await
            .map_err(|error| {
                Outcome::ClassNotReady(Refusal::passing(
                    reasons::KUBERNETES_API_ERROR,
                    format!("failed to read namespace {namespace_name:?}: {error}"),
                ))
            })?;
        if record.namespace_uid.is_none() {
            return Err(not_known());
        }
    }
    match &record.namespace_uid {
        Some(uid) if *uid != namespace.uid => Err(not_known()),
        _ => Ok(Prepared {
            work,
            session,
            in_use,
        }),
    }
}

/// A class that may serve an object now.
fn usable_class(context: &Context, name: &str) -> Result<(Arc<ClassRules>, BTreeSet<Issuer>), Outcome> {
    let known = match observe::class(context, name) {
        Some(Ok(known)) => known,
        Some(Err(error)) => {
            return Err(Outcome::Refused(Refusal::new(
                reasons::CLASS_NOT_ACCEPTED,
                format!("class {name:?} can't be read ({error}); ask the platform admin to mend it"),
            )));
        }
        None => {
            return Err(Outcome::Refused(Refusal::class_not_found(name)));
        }
    };
    let class = &known.class;
    if class.metadata.deletion_timestamp.is_some() {
        return Err(Outcome::Refused(Refusal::class_terminating(name)));
    }
    let not_accepted = |refusal: &Refusal| Outcome::Refused(Refusal::class_not_accepted(refusal));
    let rules = known.rules.as_ref().map_err(not_accepted)?;
    let recorded = class
        .status
        .as_ref()
        .and_then(|status| status.cluster_issuer.as_deref());
    let (issuers, _) = guard::issuers_in_force(rules, &context.issuer, recorded)
        .map_err(|refusal| not_accepted(&refusal))?;
    // The class controller holds the class for us before anything relies on it.
    if !class
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == CLASS_FINALIZER)
    {
        return Err(Outcome::ClassNotReady(Refusal::passing(
            reasons::WAITING,
            format!("class {name:?} is being taken into use"),
        )));
    }
    Ok((Arc::clone(rules), issuers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_spec_or_class_goes_before_looks_at_what_is_in_order() {
        let synced = Synced {
            generation: Some(2),
            class: [1; 32],
            bound: Box::default(),
        };
        for (known, generation, class, expected) in [
            (Some(&synced), 2, [1; 32], Urgency::Routine),
            (Some(&synced), 3, [1; 32], Urgency::Urgent),
            (Some(&synced), 2, [2; 32], Urgency::Urgent),
            (None, 2, [1; 32], Urgency::Urgent),
        ] {
            assert_eq!(urgency(known, Some(generation), &class), expected);
        }
    }
}
