//! Reconciling a class: is it valid, is its account what it says, does that account trust its issuers. A class
//! is held by a finalizer while a placement names it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tracing::{Instrument, debug, info_span, warn};

use super::context::{Context, GuardedClass, GuardedRole};
use super::failure;
use super::marks::{carries_finalizer, placement};
use super::reach::account_ref;
use super::watch::PAGE;
use crate::api::condition::{self, reasons, types};
use crate::api::{
    CLASS_FINALIZER, DEFAULT_CLASS_ANNOTATION, FIELD_MANAGER, MlServiceRoleClass, MlServiceRoleClassStatus,
};
use crate::aws::{ErrorClass, IamApi, Session};
use crate::cluster::{ClusterError, Event};
use crate::fair_queue::Urgency;
use crate::guard::{self, ClassRules, Refusal};
use crate::iam::arn::{Issuer, OidcProviderArn};
use crate::plan::{Keepers, KnownBoundary, Tenure, boundary_change, class_conditions, default_class_remark};

/// A class whose account is as it says is looked at again after this long.
const RECHECK: Duration = Duration::from_secs(600);
/// One whose account isn't, sooner: the admin is waiting.
const RECHECK_UNREADY: Duration = Duration::from_secs(30);
/// A class that is being deleted is looked at again after this long; the last object that goes wakes it too.
const RECHECK_DELETING: Duration = Duration::from_secs(30);

/// The entry point for the controller's queue.
pub async fn reconcile(class: Arc<GuardedClass>, context: Arc<Context>) -> Result<Action, Infallible> {
    let name = class.name_any();
    let class = match class.read() {
        Ok(class) => class,
        Err(invalid) => {
            warn!(
                name,
                error = invalid.error,
                "the object can't be read as an MlServiceRoleClass and serves nobody"
            );
            return Ok(Action::await_change());
        }
    };
    let span = info_span!("reconcile", class = name);
    let action = match one(&class, &context).instrument(span).await {
        Ok(action) => action,
        Err(error) if error.is_gone() => Action::await_change(),
        Err(error) if error.is_surprise() => {
            debug!(%error, "the class changed meanwhile; looking again");
            Action::requeue(Duration::from_millis(200))
        }
        Err(error) => {
            warn!(name, %error, "failed to write the class");
            Action::requeue(RECHECK_UNREADY)
        }
    };
    Ok(action)
}

async fn one(class: &MlServiceRoleClass, context: &Arc<Context>) -> Result<Action, ClusterError> {
    let held = class
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == CLASS_FINALIZER);
    if class.metadata.deletion_timestamp.is_some() {
        return if held {
            let_go(class, context).await
        } else {
            Ok(Action::await_change())
        };
    }
    let class = if held {
        class.clone()
    } else {
        hold(class, context).await?
    };
    let (status, action) = examine(&class, context).await;
    publish(&class, status, context).await?;
    Ok(action)
}

async fn hold(class: &MlServiceRoleClass, context: &Context) -> Result<MlServiceRoleClass, ClusterError> {
    let mut finalizers = class.finalizers().to_vec();
    finalizers.push(CLASS_FINALIZER.to_owned());
    set_finalizers(class, finalizers, context).await
}

async fn let_go(class: &MlServiceRoleClass, context: &Arc<Context>) -> Result<Action, ClusterError> {
    let name = class.name_any();
    // Before the list: whoever begins later finds the class being deleted, and what those wrote that have ended by now
    // stands on it.
    let in_use = context.is_class_in_use(&name);
    if let Some(why) = keepers(&context.client, &name).await?.refusal() {
        let mut status = class.status.clone().unwrap_or_default();
        let generation = class.metadata.generation;
        let conditions = class_conditions(Err(why), Ok(()));
        status.conditions = condition::merge(&status.conditions, &conditions, generation, Timestamp::now());
        status.observed_generation = generation;
        publish(class, status, context).await?;
        return Ok(Action::requeue(RECHECK_DELETING));
    }
    if in_use {
        debug!("the class is being deleted, and a reconcile may be about to place a role by it");
        return Ok(Action::requeue(RECHECK_DELETING));
    }
    let finalizers = class
        .finalizers()
        .iter()
        .filter(|f| *f != CLASS_FINALIZER)
        .cloned()
        .collect();
    set_finalizers(class, finalizers, context).await?;
    Ok(Action::await_change())
}

/// Asked of the API server, not of the cache: a placement written a moment ago counts. Nothing stays of a page but what
/// it comes to, since while a class is kept this is asked again and again, and of everybody.
async fn keepers<'a>(client: &Client, class: &'a str) -> Result<Keepers<'a>, ClusterError> {
    let roles: Api<GuardedRole> = Api::all(client.clone());
    let mut keepers = Keepers::new(class);
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let listed = roles.list(&page).await?;
        for role in &listed.items {
            keepers.note(&tenure(role));
        }
        match listed.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => page.continue_token = Some(next),
            None => return Ok(keepers),
        }
    }
}

fn tenure(role: &GuardedRole) -> Tenure {
    Tenure {
        object: format!("{}/{}", role.namespace().unwrap_or_default(), role.name_any()),
        class_name: role.read().map(|role| role.spec.class_name).map_err(|_| ()),
        placement: placement(role).transpose(),
        has_finalizer: carries_finalizer(role),
    }
}

async fn set_finalizers(
    class: &MlServiceRoleClass,
    finalizers: Vec<String>,
    context: &Context,
) -> Result<MlServiceRoleClass, ClusterError> {
    let patch = json!({ "metadata": {
        "uid": class.metadata.uid,
        "resourceVersion": class.metadata.resource_version,
        "finalizers": finalizers,
    }});
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..Default::default()
    };
    let api: Api<MlServiceRoleClass> = Api::all(context.client.clone());
    Ok(api
        .patch(&class.name_any(), &params, &Patch::Merge(patch))
        .await?)
}

/// What is to be said of a class, and when to look again.
async fn examine(class: &MlServiceRoleClass, context: &Context) -> (MlServiceRoleClassStatus, Action) {
    let mut status = class.status.clone().unwrap_or_default();
    let understood = guard::understand(&class.name_any(), &class.spec);
    let (accepted, ready) = match &understood {
        Err(refusal) => (Err(refusal.clone()), Ok(())),
        Ok(rules) => {
            match guard::issuers_in_force(rules, &context.issuer, status.cluster_issuer.as_deref()) {
                Err(refusal) => (Err(refusal), Ok(())),
                Ok((issuers, changed)) => {
                    status.issuers = issuers.iter().map(|issuer| issuer.url().to_owned()).collect();
                    // Recorded only while the class relies on it: a class that listed issuers and lists none any more
                    // goes back to this cluster's own, and doesn't keep what it gave up.
                    status.cluster_issuer = if rules.issuers.is_empty() {
                        status.issuers.first().cloned()
                    } else {
                        None
                    };
                    let reached = reach(rules, &issuers, context, &mut status).await;
                    (Ok(()), reached.and_then(|()| changed.map_or(Ok(()), Err)))
                }
            }
        }
    };
    if let Some(findings) = context.sweeps.told(&class.name_any()) {
        findings.tell(&mut status);
    }
    if let (Ok(rules), Ok(())) = (&understood, &accepted) {
        let roles = boundaries(&rules.name, context);
        let before = status.boundary_change.take();
        status.boundary_change =
            boundary_change(rules.permissions_boundary.as_ref(), &roles, before.as_ref());
    }
    let settled = ready.is_ok() && status.boundary_change.is_none();
    let action = Action::requeue(if settled { RECHECK } else { RECHECK_UNREADY });
    let generation = class.metadata.generation;
    let mut conditions = class_conditions(accepted, ready);
    let default = class.annotations().get(DEFAULT_CLASS_ANNOTATION);
    if let Some(remark) = default.and_then(|value| default_class_remark(value)) {
        for condition in &mut conditions {
            condition.message = format!("{}; {remark}", condition.message);
        }
    }
    status.conditions = condition::merge(&status.conditions, &conditions, generation, Timestamp::now());
    status.observed_generation = generation;
    (status, action)
}

/// The boundaries of the class's roles, as far as they are known.
fn boundaries(class: &str, context: &Context) -> Vec<KnownBoundary> {
    let roles = context.caches.roles.state();
    let placed = roles.iter().filter_map(|role| {
        let placement = placement(&**role).ok().flatten()?;
        (placement.class == class).then_some(role.uid()?)
    });
    placed.map(|uid| context.boundary(&uid)).collect()
}

/// Whether the account is the one that the class says, trusts its issuers, and has its boundary.
async fn reach(
    rules: &ClassRules,
    issuers: &BTreeSet<Issuer>,
    context: &Context,
    status: &mut MlServiceRoleClassStatus,
) -> Result<(), Refusal> {
    let session = context
        .accounts
        .session(&account_ref(rules))
        .await
        .map_err(|error| failure::of_session_for_class(&error))?;
    context.class_accounts.note(&rules.name, &session.account);
    status.account_id = Some(session.account.to_string());
    status.partition = Some(session.partition.to_string());
    let iam = session.iam_for("", Urgency::Urgent);
    for issuer in issuers {
        trusts(&session, &iam, issuer, &rules.audience).await?;
    }
    let Some(boundary) = &rules.permissions_boundary else {
        return Ok(());
    };
    match iam.policy_exists(boundary).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Refusal::new(
            reasons::BOUNDARY_MISSING,
            format!(
                "the permissions boundary {boundary} doesn't exist in account {}; create it",
                session.account
            ),
        )),
        Err(error) => Err(of_check(&error)),
    }
}

async fn trusts(session: &Session, iam: &dyn IamApi, issuer: &Issuer, audience: &str) -> Result<(), Refusal> {
    let provider = OidcProviderArn::new(&session.partition, &session.account, issuer);
    match iam.open_id_connect_provider_audiences(&provider).await {
        Ok(audiences) if audiences.contains(audience) => Ok(()),
        Ok(_) => Err(Refusal::new(
            reasons::ISSUER_NOT_TRUSTED,
            format!(
                "the OIDC provider {provider} doesn't list the audience {audience}, so no pod can take its role; add it as \
                 a client id"
            ),
        )),
        Err(error) if error.is_no_such_entity() => Err(Refusal::new(
            reasons::ISSUER_NOT_TRUSTED,
            format!(
                "account {} has no OIDC provider for {}, so no pod can take its role; create it with the client id \
                 {audience}",
                session.account,
                issuer.url()
            ),
        )),
        Err(error) => Err(of_check(&error)),
    }
}

fn of_check(error: &crate::aws::AwsError) -> Refusal {
    let reason = match error.class {
        ErrorClass::Throttled => reasons::THROTTLED,
        ErrorClass::Denied => reasons::ACCESS_DENIED,
        ErrorClass::Invalid => reasons::REFUSED_BY_AWS,
        ErrorClass::Transient | ErrorClass::NotYetConsistent | ErrorClass::Conflict => {
            reasons::AWS_UNAVAILABLE
        }
    };
    Refusal::passing(
        reason,
        format!("{}: {}: {}", error.operation, error.code, error.message),
    )
}

async fn publish(
    class: &MlServiceRoleClass,
    status: MlServiceRoleClassStatus,
    context: &Context,
) -> Result<(), ClusterError> {
    let old = class.status.clone().unwrap_or_default();
    if status == old {
        return Ok(());
    }
    let ready = |status: &MlServiceRoleClassStatus| {
        status
            .conditions
            .iter()
            .find(|c| c.type_ == types::READY)
            .cloned()
    };
    let event = ready(&status).filter(|after| {
        !ready(&old).is_some_and(|before| before.reason == after.reason && before.status == after.status)
    });
    let mut written = class.clone();
    written.status = Some(status);
    let api: Api<MlServiceRoleClass> = Api::all(context.client.clone());
    api.replace_status(&class.name_any(), &PostParams::default(), &written)
        .await?;
    if let Some(ready) = event {
        let event = Event {
            warning: ready.status != "True",
            reason: ready.reason,
            note: ready.message,
            action: "Reconcile",
        };
        context.events.publish(class, event).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
