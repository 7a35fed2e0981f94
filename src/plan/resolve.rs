//! From an object, its class and the cluster's identity to what its role and ServiceAccounts must be, or a
//! refusal that says what to change.

use std::collections::{BTreeMap, BTreeSet};

use super::{Owner, Placement, presets, quotas};
use crate::api::condition::reasons;
use crate::api::role::{AdoptionPolicy, ConflictPolicy, CreationPolicy};
use crate::api::{DEFAULT_AUDIENCE, MlServiceRoleSpec};
use crate::guard::{ClassRules, Names, Refusal, Request, adoptable, check};
use crate::iam::arn::{AccountId, Issuer, Partition, PolicyArn, RoleArn};
use crate::iam::document::{self, Kind, PolicyDocument};
use crate::iam::name::{derive_role_name, expand_path};
use crate::iam::quota::AccountQuotas;
use crate::iam::role::NewRole;
use crate::iam::tags::{self, TagError};
use crate::iam::trust::TrustPolicy;

/// Who this cluster is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterIdentity {
    /// Its name, as given on the command line.
    pub name: String,
    /// Uid of its `kube-system` namespace.
    pub uid: String,
    /// The region whose ML services presets mean, such as `eu-west-1`; none where the environment names none.
    pub region: Option<String>,
}

/// A namespace, as far as it matters.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NamespaceState {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The account that a class reaches, as STS reports it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its partition.
    pub partition: Partition,
    /// What it allows.
    pub quotas: AccountQuotas,
}

/// What a role and its ServiceAccounts must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleIntent {
    /// Where it lives.
    pub placement: Placement,
    /// Whose it is.
    pub owner: Owner,
    /// Clusters whose roles are inherited.
    pub former_cluster_uids: BTreeSet<String>,
    /// Whom it trusts.
    pub trust: TrustPolicy,
    /// Its description; empty means none.
    pub description: String,
    /// Its longest session, in seconds.
    pub max_session_duration_seconds: u32,
    /// Its permissions boundary.
    pub permissions_boundary: Option<PolicyArn>,
    /// All its tags, ownership included.
    pub tags: BTreeMap<String, String>,
    /// Its inline policies, that of its presets among them.
    pub inline: BTreeMap<String, PolicyDocument>,
    /// Its managed policies.
    pub attached: BTreeSet<PolicyArn>,
    /// The ServiceAccounts that carry its ARN.
    pub service_accounts: Vec<ServiceAccountIntent>,
    /// Audience annotation, where the audience isn't the usual one.
    pub audience: Option<String>,
    /// Whether ServiceAccounts may carry the role's ARN since before it was this object's, as with a role that was
    /// taken over: then the ARN stays on them when they are let go.
    pub arn_predates_us: bool,
    /// What the account allows.
    pub quotas: AccountQuotas,
    /// For people: newer versions of its presets.
    pub preset_updates: Vec<String>,
    /// Set where object and class both say that a role which is there already may be taken over.
    pub adoption: Option<Adoption>,
}

/// How a role that is there already may be taken over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Adoption {
    /// Whether those whom only the present trust policy lets in may be shut out.
    pub replaces_trust: bool,
    /// Whether the role is created where it is missing: only at the very place that a new role of this object would
    /// have.
    pub may_create: bool,
}

/// What a ServiceAccount must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceAccountIntent {
    /// Its name.
    pub name: String,
    /// Whether it is created when missing.
    pub creation_policy: CreationPolicy,
    /// What becomes of another role's ARN on it.
    pub conflict_policy: ConflictPolicy,
}

impl RoleIntent {
    /// ARN of the role.
    pub fn arn(&self) -> &RoleArn {
        &self.placement.role_arn
    }

    /// The role as it is created.
    pub fn new_role(&self) -> NewRole {
        NewRole {
            arn: self.arn().clone(),
            trust: self.trust.document().to_json(),
            description: self.description.clone(),
            max_session_duration_seconds: self.max_session_duration_seconds,
            permissions_boundary: self.permissions_boundary.clone(),
            tags: self.tags.clone(),
        }
    }
}

/// Everything that a resolution needs.
#[derive(Clone, Copy, Debug)]
pub struct Resolution<'a> {
    /// Name of the object.
    pub name: &'a str,
    /// Uid of the object.
    pub uid: &'a str,
    /// What it asks for.
    pub spec: &'a MlServiceRoleSpec,
    /// Where it was placed earlier.
    pub placement: Option<&'a Placement>,
    /// Its namespace.
    pub namespace: &'a NamespaceState,
    /// Its class.
    pub class: &'a ClassRules,
    /// Issuers in force for the class.
    pub issuers: &'a BTreeSet<Issuer>,
    /// The class's account.
    pub account: &'a Account,
    /// This cluster.
    pub cluster: &'a ClusterIdentity,
}

impl<'a> Resolution<'a> {
    /// What the class is asked for.
    pub fn request(&self) -> Request<'a> {
        Request {
            cluster: &self.cluster.name,
            account: Some((&self.account.partition, &self.account.id)),
            namespace: &self.namespace.name,
            namespace_labels: &self.namespace.labels,
            name: self.name,
            spec: self.spec,
        }
    }

    /// Who fills the class's placeholders.
    fn names(&self) -> Names<'a> {
        Names {
            cluster: &self.cluster.name,
            namespace: &self.namespace.name,
        }
    }
}

/// Resolves an object: what its class doesn't allow, what can't be put together and what doesn't fit is refused.
pub fn resolve(from: Resolution<'_>) -> Result<RoleIntent, Refusal> {
    check(from.class, from.request())?;
    assemble(from)?.fitting()
}

/// Puts together what an object asks for, without a look at whether the class allows it and whether it fits: the caller
/// has asked the guard, and asks [`RoleIntent::fitting`].
///
/// # Errors
///
/// It can't be put together.
pub fn assemble(from: Resolution<'_>) -> Result<RoleIntent, Refusal> {
    let Resolution {
        name,
        uid,
        spec,
        placement: placed,
        namespace,
        class,
        issuers,
        account,
        cluster,
    } = from;
    quotas::check_texts(spec)?;
    let adopted = adoptable(class, from.names(), spec)?;
    let placement = place_at(&from, adopted)?;
    if let Some(placed) = placed.filter(|placed| **placed != placement) {
        return Err(Refusal::new(
            reasons::PLACEMENT_CHANGED,
            format!(
                "the role was placed at {} by class {:?} (annotation mlservicerole.io/placement), but cluster name, class \
                 and spec now say {} by class {:?}; put back what was changed, or create another MlServiceRole (if this \
                 object was copied from another one together with that annotation, remove the annotation)",
                placed.role_arn, placed.class, placement.role_arn, placement.class
            ),
        ));
    }
    let adoption = adopted.map(|_| adoption(&from, &placement));
    let presets = presets::expand(spec, &placement.role_arn, account, cluster)?;
    let owner = Owner {
        cluster: cluster.name.clone(),
        cluster_uid: cluster.uid.clone(),
        namespace: namespace.name.clone(),
        namespace_uid: namespace.uid.clone(),
        name: name.to_owned(),
        uid: uid.to_owned(),
    };
    let role = spec.role.clone().unwrap_or_default();
    let references = spec.service_account_references(name);
    let trust = TrustPolicy {
        partition: account.partition.clone(),
        account: account.id.clone(),
        issuers: issuers.clone(),
        audience: class.audience.clone(),
        namespace: namespace.name.clone(),
        service_accounts: references
            .iter()
            .map(|reference| reference.name.clone())
            .collect(),
        trusted_services: role.trusted_services.iter().cloned().collect(),
    };
    Ok(RoleIntent {
        owner: owner.clone(),
        former_cluster_uids: class.former_cluster_uids.clone(),
        trust,
        description: role.description.clone().unwrap_or_default(),
        max_session_duration_seconds: role
            .max_session_duration_seconds
            .and_then(|seconds| u32::try_from(seconds).ok())
            .unwrap_or(class.max_session_duration_seconds),
        permissions_boundary: class.permissions_boundary.clone(),
        tags: all_tags(class, spec, &owner, presets.tag)?,
        inline: documents(spec, presets.policy, account.quotas.inline_policies_size)?,
        preset_updates: presets.updates,
        attached: policy_arns(spec)?,
        service_accounts: references
            .into_iter()
            .map(|reference| ServiceAccountIntent {
                name: reference.name,
                creation_policy: reference.creation_policy.unwrap_or_default(),
                conflict_policy: reference.conflict_policy.unwrap_or_default(),
            })
            .collect(),
        audience: Some(class.audience.clone()).filter(|audience| audience != DEFAULT_AUDIENCE),
        arn_predates_us: adoption.is_some(),
        quotas: account.quotas,
        adoption,
        placement,
    })
}

/// Where the role of an object lives: a role that is taken over stays where it is.
pub fn place(from: &Resolution<'_>) -> Result<Placement, Refusal> {
    place_at(from, adoptable(from.class, from.names(), from.spec)?)
}

fn place_at(from: &Resolution<'_>, adopted: Option<&RoleArn>) -> Result<Placement, Refusal> {
    let Some(arn) = adopted else {
        return place_own(from);
    };
    let (class, account) = (from.class, from.account);
    if *arn.account() != account.id || *arn.partition() != account.partition {
        return Err(Refusal::new(
            reasons::ADOPTION_NOT_ALLOWED,
            format!(
                "class {:?} lets this object take over {arn}, but reaches account {} of partition {}; ask the platform \
                 admin to list the role in a class of its account, or write adoptionPolicy: Never",
                class.name, account.id, account.partition
            ),
        ));
    }
    Ok(Placement {
        class: class.name.clone(),
        role_arn: arn.clone(),
    })
}

/// How the role at this place is taken over.
fn adoption(from: &Resolution<'_>, placement: &Placement) -> Adoption {
    let name = placement.role_arn.name().as_str();
    let own_place = from.class.allows_role_name(name, from.names())
        && place_own(from).is_ok_and(|own| own.role_arn == placement.role_arn);
    Adoption {
        replaces_trust: from.spec.adoption_policy == Some(AdoptionPolicy::AdoptAndReplaceTrust),
        may_create: own_place,
    }
}

/// Where a role that is created for an object lives.
fn place_own(from: &Resolution<'_>) -> Result<Placement, Refusal> {
    let Resolution {
        name,
        spec,
        namespace,
        class,
        account,
        cluster,
        ..
    } = from;
    let invalid = |what: &str, e: &dyn std::fmt::Display| {
        Refusal::new(
            reasons::INVALID_SPEC,
            format!("{what} of this object can't be used: {e}"),
        )
    };
    let path = expand_path(&class.path_template, &cluster.name, &namespace.name)
        .map_err(|e| invalid("the role's path", &e))?;
    let role_name = match spec.role.as_ref().and_then(|role| role.name.as_deref()) {
        Some(given) => given.parse().map_err(|e| invalid("role.name", &e))?,
        None => derive_role_name(&class.name_prefix, &cluster.name, &namespace.name, name)
            .map_err(|e| invalid("the role's name", &e))?,
    };
    Ok(Placement {
        class: class.name.clone(),
        role_arn: RoleArn::new(&account.partition, &account.id, &path, &role_name),
    })
}

fn all_tags(
    class: &ClassRules,
    spec: &MlServiceRoleSpec,
    owner: &Owner,
    presets: Option<(String, String)>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let own = spec
        .role
        .as_ref()
        .map(|role| role.tags.clone())
        .unwrap_or_default();
    let invalid = |e: String| Refusal::new(reasons::INVALID_SPEC, format!("role.tags: {e}"));
    for (i, (key, value)) in own.iter().enumerate() {
        if tags::is_reserved(key) {
            return Err(invalid(format!("the key {key:?} is reserved; choose another")));
        }
        if own.keys().skip(i + 1).any(|other| tags::same_key(key, other)) {
            return Err(invalid(format!(
                "the key {key:?} is there twice (IAM ignores case in tag keys); remove one"
            )));
        }
        tags::check(key, value).map_err(|e| match e {
            TagError::TooLong { .. } => {
                Refusal::new(reasons::QUOTA_EXCEEDED, format!("role.tags: {e}; shorten it"))
            }
            _ => invalid(e.to_string()),
        })?;
    }
    let mut all = class.tags.clone();
    all.extend(own.clone());
    all.extend(owner.tags());
    all.extend(presets);
    // A role that is taken over carries the name of its record too.
    let adopts = spec.adoption_policy.unwrap_or_default() != AdoptionPolicy::Never;
    quotas::check_tags(all.len() + usize::from(adopts))?;
    Ok(all)
}

/// Sid and Id mean nothing to IAM, but something to people: they go only where they would take more room than there
/// is.
fn documents(
    spec: &MlServiceRoleSpec,
    presets: Option<(String, PolicyDocument)>,
    room: usize,
) -> Result<BTreeMap<String, PolicyDocument>, Refusal> {
    let mut documents = BTreeMap::new();
    for policy in &spec.inline_policies {
        let document = PolicyDocument::from_value(&policy.document)
            .and_then(|parsed| document::check(&parsed, Kind::Identity).map(|()| parsed))
            .map_err(|e| {
                Refusal::new(
                    reasons::INVALID_SPEC,
                    format!("inlinePolicies {:?}: {e}", policy.name),
                )
            })?;
        if documents.insert(policy.name.clone(), document).is_some() {
            return Err(Refusal::new(
                reasons::INVALID_SPEC,
                format!(
                    "inlinePolicies {:?} is there twice; remove or rename one",
                    policy.name
                ),
            ));
        }
    }
    documents.extend(presets);
    if quotas::inline_size(&documents) > room {
        for document in documents.values_mut() {
            *document = document.without_labels();
        }
    }
    Ok(documents)
}

fn policy_arns(spec: &MlServiceRoleSpec) -> Result<BTreeSet<PolicyArn>, Refusal> {
    spec.managed_policy_arns
        .iter()
        .map(|arn| {
            arn.parse()
                .map_err(|e| Refusal::new(reasons::INVALID_SPEC, format!("managedPolicyArns {arn:?}: {e}")))
        })
        .collect()
}
