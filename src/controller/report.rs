//! Step five: what came of a reconcile, to the status (written only if it differs) and to Events.

use jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::context::Context;
use super::record::Record;
use crate::api::condition::{self, reasons, types};
use crate::api::role::{PlannedStep, QuotaUsage, ServiceAccountStatus, Usage};
use crate::api::{MlServiceRole, MlServiceRoleStatus};
use crate::cluster::{ClusterError, Event};
use crate::iam::quota::{RoleUsage, Used};
use crate::plan::{Notice, Placement, Report, RoleKnowledge, RoleState, conditions};

/// What a status is made from.
pub struct Facts<'a> {
    /// Conditions.
    pub report: Report,
    /// Where the role lives, once placed.
    pub placement: Option<&'a Placement>,
    /// What is known of it, if it is known to be ours.
    pub knowledge: Option<&'a RoleKnowledge>,
    /// What the role needs of its account's quotas, if it could be worked out.
    pub usage: Option<RoleUsage>,
    /// Name of the class in force.
    pub class: Option<&'a str>,
    /// Steps left undone, since the object observes.
    pub planned: Vec<PlannedStep>,
    /// Things worth an Event.
    pub notices: Vec<Notice>,
}

/// Publishes notices as Events.
pub async fn announce(context: &Context, object: &MlServiceRole, notices: &[Notice]) {
    for notice in notices {
        let event = Event {
            warning: notice.warning,
            reason: notice.reason.to_owned(),
            note: notice.message.clone(),
            action: "Reconcile",
        };
        context.events.publish(object, event).await;
    }
}

/// Writes the status if it differs, and publishes what is new.
pub async fn publish(
    context: &Context,
    record: &mut Record,
    object: &MlServiceRole,
    facts: Facts<'_>,
) -> Result<(), ClusterError> {
    announce(context, object, &facts.notices).await;
    let old = object.status.clone().unwrap_or_default();
    let new = status(object, &old, &facts);
    if new == old {
        return Ok(());
    }
    let events =
        change_of_reason(&old, &new)
            .into_iter()
            .chain(update_available(&old, &new, &facts.report.updates));
    let events: Vec<Event> = events.collect();
    let mut written = object.clone();
    written.status = Some(new);
    let api: Api<MlServiceRole> =
        Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let after = api
        .replace_status(&object.name_any(), &PostParams::default(), &written)
        .await?;
    record.object_written(object, after);
    for event in events {
        context.events.publish(object, event).await;
    }
    Ok(())
}

fn status(object: &MlServiceRole, old: &MlServiceRoleStatus, facts: &Facts<'_>) -> MlServiceRoleStatus {
    let generation = object.metadata.generation;
    // A role that isn't known to be this object's leaves what was known before: an outage is no news.
    let header = facts.knowledge.and_then(|knowledge| match &knowledge.state {
        RoleState::Present { header, .. } => Some(header),
        RoleState::Unknown | RoleState::Absent => None,
    });
    let role_id = header
        .map(|header| header.id.clone())
        .or_else(|| old.role_id.clone());
    let arn = role_id
        .as_ref()
        .and_then(|_| facts.placement.map(|placement| placement.role_arn.clone()));
    let bindings = facts.report.bindings.iter();
    let service_accounts: Vec<ServiceAccountStatus> = bindings
        .map(|binding| ServiceAccountStatus {
            name: binding.name.clone(),
            bound: binding.bound,
        })
        .collect();
    MlServiceRoleStatus {
        observed_generation: generation,
        conditions: condition::merge(
            &old.conditions,
            &conditions(&facts.report),
            generation,
            Timestamp::now(),
        ),
        class_name: facts
            .class
            .map(str::to_owned)
            .or_else(|| facts.placement.map(|p| p.class.clone())),
        role_arn: arn.as_ref().map(ToString::to_string),
        role_name: arn.as_ref().map(|arn| arn.name().to_string()),
        role_id,
        service_accounts_bound: ServiceAccountStatus::count(&service_accounts),
        service_accounts,
        usage: facts.usage.map(usage).or_else(|| old.usage.clone()),
        plan: facts.planned.clone(),
    }
}

fn usage(usage: RoleUsage) -> Usage {
    let quota = |Used { used, limit }| QuotaUsage {
        used: i64::try_from(used).unwrap_or(i64::MAX),
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
    };
    Usage {
        trust_policy: quota(usage.trust_policy),
        inline_policies: quota(usage.inline_policies),
        managed_policies: quota(usage.managed_policies),
    }
}

/// An Event for each change of the reason of `Ready`.
fn change_of_reason(old: &MlServiceRoleStatus, new: &MlServiceRoleStatus) -> Option<Event> {
    let ready = |status: &MlServiceRoleStatus| {
        status
            .conditions
            .iter()
            .find(|c| c.type_ == types::READY)
            .cloned()
    };
    let after = ready(new)?;
    let same =
        ready(old).is_some_and(|before| before.reason == after.reason && before.status == after.status);
    (!same).then(|| Event {
        warning: after.status == "False",
        reason: after.reason.clone(),
        note: after.message.clone(),
        action: "Reconcile",
    })
}

/// An Event when the condition begins to name newer versions of presets.
fn update_available(
    old: &MlServiceRoleStatus,
    new: &MlServiceRoleStatus,
    updates: &[String],
) -> Option<Event> {
    let told = |status: &MlServiceRoleStatus, update: &String| {
        let accepted = status.conditions.iter().find(|c| c.type_ == types::ACCEPTED);
        accepted.is_some_and(|accepted| accepted.message.contains(update))
    };
    let news: Vec<&str> = updates
        .iter()
        .filter(|update| told(new, update) && !told(old, update))
        .map(String::as_str)
        .collect();
    (!news.is_empty()).then(|| Event {
        warning: false,
        reason: reasons::PRESET_UPDATE_AVAILABLE.to_owned(),
        note: news.join("; "),
        action: "Reconcile",
    })
}
