//! Taking a deleted object's role and annotations away, and letting the object go.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;

use super::context::Context;
use super::drive::{Conclusion, ConclusionFacts, Drive, drive};
use super::failure;
use super::known_classes::KnownClass;
use super::marks::placement;
use super::observe;
use super::reach::departing_account_ref;
use super::record::Record;
use crate::api::MlServiceRole;
use crate::api::condition::reasons;
use crate::api::role::{DeletionPolicy, Mode};
use crate::aws::Session;
use crate::cluster::ClusterApi;
use crate::fair_queue::Urgency;
use crate::guard::Refusal;
use crate::iam::quota::AccountQuotas;
use crate::plan::{
    Account, Departure, Next, Notice, Outcome, Owner, Placement, Resolution, Retention, Step,
    departing_class, departure_targets, observed_departure, place, plan_departure, release_all,
};

/// Reconciles an object that is being deleted and still carries the finalizer.
pub async fn depart(
    context: &Arc<Context>,
    record: &mut Record,
    mut object: MlServiceRole,
    started: Duration,
) -> Conclusion {
    // What this process knows is believed before an annotation that may have been changed since.
    let recorded = record
        .placed()
        .cloned()
        .or_else(|| placement(&object).ok().flatten());
    if object.spec.mode == Some(Mode::Observe) {
        return leave_all(context, object, recorded).await;
    }
    let defaults = observe::default_classes(context);
    let class_name =
        departing_class(object.spec.class_name.as_deref(), recorded.as_ref(), &defaults).map(str::to_owned);
    let mut notices = Vec::new();
    let mut driven = match &class_name {
        Ok(class) => {
            let placed = recorded.as_ref();
            leave(context, record, &mut object, placed, class, started, &mut notices).await
        }
        Err(refusal) => Drive::ended(Outcome::Blocked(refusal.clone())),
    };
    driven.notices = notices;
    Conclusion {
        object,
        drive: driven,
        class: class_name.ok(),
        facts: ConclusionFacts {
            placement: recorded,
            knowledge: None,
            usage: None,
            bindings: vec![],
            updates: vec![],
        },
    }
}

/// An object that observes goes without a look at anything, so that neither a class nor credentials that are gone
/// keep it.
async fn leave_all(context: &Context, object: MlServiceRole, recorded: Option<Placement>) -> Conclusion {
    let mut drive = Drive::ended(Outcome::Synced);
    match context.kubernetes.remove_finalizer(&object).await {
        Ok(()) => {
            drive.released = true;
            drive.notices.push(observed_departure(recorded.as_ref()));
        }
        Err(error) => {
            drive.outdated = error.is_surprise();
            drive.outcome = Outcome::Failed(failure::of_cluster(&error, &Step::RemoveFinalizer));
        }
    }
    Conclusion {
        object,
        drive,
        class: recorded.as_ref().map(|placement| placement.class.clone()),
        facts: ConclusionFacts {
            placement: recorded,
            ..Default::default()
        },
    }
}

async fn leave(
    context: &Arc<Context>,
    record: &mut Record,
    object: &mut MlServiceRole,
    recorded: Option<&Placement>,
    class_name: &str,
    started: Duration,
    notices: &mut Vec<Notice>,
) -> Drive {
    let wants_retain = object.spec.deletion_policy == Some(DeletionPolicy::Retain);
    let own = match object.spec.deletion_policy {
        None => Retention::Unsaid.own_arn(),
        Some(_) => Retention::Delete.own_arn(),
    };
    let known = observe::class(context, class_name).and_then(Result::ok);
    // The annotation goes first, and that needs nothing of AWS; where it may have to stay, the class decides.
    if !wants_retain && let Some(placement) = recorded {
        let owner = owner(context, object, "");
        let mut unbound = drive(
            context,
            record,
            object,
            &placement.role_arn,
            None,
            started,
            |_, _, around, _| Next::Do(release_all(&owner, Some(&placement.role_arn), around, own)),
        )
        .await;
        notices.append(&mut unbound.notices);
        if unbound.outcome != Outcome::Synced {
            return unbound;
        }
    }
    let Some(known) = known else {
        return Drive::ended(Outcome::Blocked(Refusal::new(
            reasons::CLASS_NOT_FOUND,
            format!(
                "there is no MlServiceRoleClass {class_name:?} that can be read, so the AWS account of the role can't be \
                 reached; create the class again, or remove the role by hand and then the finalizer mlservicerole.io/role"
            ),
        )));
    };
    let session = match context.accounts.session(&departing_account_ref(&known)).await {
        Ok(session) => session,
        Err(error) => {
            let refusal = failure::of_session_of_departing(&error, class_name);
            return Drive::ended(Outcome::ClassNotReady(refusal));
        }
    };
    let Some(mut namespace) = observe::namespace(context, &object.namespace().unwrap_or_default()) else {
        return Drive::ended(Outcome::Waiting(Refusal::passing(
            reasons::WAITING,
            "the namespace of this object isn't known to the operator yet",
        )));
    };
    if let Some(uid) = &record.namespace_uid {
        namespace.uid.clone_from(uid);
    }
    let targets = match targets(context, object, recorded, &known, &session, &namespace) {
        Ok(targets) => targets,
        Err(refusal) => return Drive::ended(Outcome::Blocked(refusal)),
    };
    let class = &known.class;
    let may_retain = class.spec.allow.retain == Some(true);
    let retain = match object.spec.deletion_policy {
        None => Retention::Unsaid,
        Some(DeletionPolicy::Delete) => Retention::Delete,
        Some(DeletionPolicy::Retain) if may_retain => Retention::Retain,
        Some(DeletionPolicy::Retain) => Retention::Refused(class_name.to_owned()),
    };
    let owner = owner(context, object, &namespace.uid);
    let mut driven = Drive::ended(Outcome::Synced);
    let last = targets.len().saturating_sub(1);
    for (i, placement) in targets.into_iter().enumerate() {
        let departure = Departure {
            owner: owner.clone(),
            role_arn: placement.role_arn,
            former_cluster_uids: class.spec.roles.former_cluster_uids.iter().cloned().collect(),
            retain: retain.clone(),
            attached: object
                .spec
                .managed_policy_arns
                .iter()
                .filter_map(|arn| arn.parse().ok())
                .collect(),
            inline: object
                .spec
                .inline_policies
                .iter()
                .map(|policy| policy.name.clone())
                .collect(),
            lets_go: i == last,
        };
        let arn = departure.role_arn.clone();
        let namespace = object.namespace().unwrap_or_default();
        driven = drive(
            context,
            record,
            object,
            &arn,
            Some(&session.iam_for(&namespace, Urgency::Urgent)),
            started,
            |_, known, around, clock| plan_departure(&departure, known, around, clock),
        )
        .await;
        notices.append(&mut driven.notices);
        if let Outcome::Failed(failed) = &mut driven.outcome
            && record.knowledge(arn.name()).is_given_back(&departure.retain)
        {
            failure::offer_to_retain(failed);
        }
        if driven.outcome != Outcome::Synced {
            return driven;
        }
    }
    driven
}

/// Where the object's role may be.
fn targets(
    context: &Context,
    object: &MlServiceRole,
    recorded: Option<&Placement>,
    known: &KnownClass,
    session: &Session,
    namespace: &crate::plan::NamespaceState,
) -> Result<Vec<Placement>, Refusal> {
    let account = Account {
        id: session.account.clone(),
        partition: session.partition.clone(),
        quotas: AccountQuotas::default(),
    };
    let computed = known.rules.clone().and_then(|rules| {
        place(&Resolution {
            name: &object.name_any(),
            uid: &object.uid().unwrap_or_default(),
            spec: &object.spec,
            placement: recorded,
            namespace,
            class: &rules,
            issuers: &std::collections::BTreeSet::new(),
            account: &account,
            cluster: &context.cluster,
        })
    });
    departure_targets(recorded, computed, &account)
}

fn owner(context: &Context, object: &MlServiceRole, namespace_uid: &str) -> Owner {
    Owner {
        cluster: context.cluster.name.clone(),
        cluster_uid: context.cluster.uid.clone(),
        namespace: object.namespace().unwrap_or_default(),
        namespace_uid: namespace_uid.to_owned(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
    }
}
