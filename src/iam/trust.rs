//! Trust policies: who may take a role.
//!
//! A role of this operator trusts ServiceAccounts of one namespace through the OIDC issuers of the
//! clusters, and AWS services of its own account, and nobody else. This module writes that as a
//! document, and reads from a role's present document what of it may stay while the role's
//! permissions are being changed. Whether somebody *may* be trusted is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::arn::{AccountId, Issuer, OidcProviderArn, Partition};
use super::document::{
    Condition, Effect, PolicyDocument, Principal, PrincipalType, Scope, Statement, Version, decode,
};
use super::equivalence::equivalent;

#[cfg(test)]
mod tests;

const ASSUME_ROLE: &str = "sts:AssumeRole";
const ASSUME_ROLE_WITH_SAML: &str = "sts:AssumeRoleWithSAML";
const ASSUME_ROLE_WITH_WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";
const STRING_EQUALS: &str = "StringEquals";
const SOURCE_ACCOUNT: &str = "aws:SourceAccount";

/// Everyone that a role trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    pub partition: Partition,
    /// The role's account, in which the OIDC providers must be too.
    pub account: AccountId,
    pub issuers: BTreeSet<Issuer>,
    /// What a token's `aud` claim must be; `sts.amazonaws.com` in every partition unless the
    /// ServiceAccounts ask for another one.
    pub audience: String,
    /// The namespace of all the ServiceAccounts.
    pub namespace: String,
    pub service_accounts: BTreeSet<String>,
    /// AWS services such as `sagemaker.amazonaws.com`, trusted on behalf of `account` only.
    pub trusted_services: BTreeSet<String>,
}

/// How to get from a role's present trust policy to the desired one without ever letting somebody
/// have permissions that aren't meant for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustTransition {
    /// The two mean the same.
    Same,
    /// Nobody loses trust: write the desired policy after the permissions. Also when the same are
    /// trusted in other words.
    Widens,
    /// Nobody gains trust: write the desired policy before the permissions.
    Narrows,
    /// Somebody loses and somebody gains trust: write `meanwhile` before the permissions and the
    /// desired policy after them.
    Replaces { meanwhile: PolicyDocument },
}

/// One that a trust policy of our shape lets in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// A ServiceAccount, as a token of its cluster says it.
    Federated {
        provider: String,
        audience: String,
        sub: String,
    },
    Service {
        service: String,
        source_account: String,
    },
}

impl TrustPolicy {
    /// The policy as a document: for each issuer a statement with all ServiceAccounts, and one for
    /// the services. When nobody is trusted it is closed, since IAM takes no document without
    /// statements.
    ///
    /// Only `StringEquals`: in it, `*` in a name is a `*` and no pattern.
    pub fn document(&self) -> PolicyDocument {
        document_of(&self.subjects())
    }

    /// What of the current trust document may stay while permissions are being changed.
    ///
    /// The current document (percent-encoded or not) is read with suspicion: only Allow statements
    /// of exactly the shape that [`TrustPolicy::document`] writes count as trust that could stay.
    /// Any other Allow statement lets somebody in whom nobody asked for. With a Deny statement or a
    /// NotPrincipal beside an Allow, or when it can't be read at all, it isn't known who gets in,
    /// so nothing stays. A document without any Allow lets nobody in.
    pub fn transition_from(&self, current: &str) -> TrustTransition {
        let desired_document = self.document();
        let current = PolicyDocument::parse(&decode(current)).ok();
        if current
            .as_ref()
            .is_some_and(|current| equivalent(&desired_document, current))
        {
            return TrustTransition::Same;
        }
        let desired = self.subjects();
        let current = current.map_or_else(Trusted::unknown, |current| Trusted::of(&current));

        let common: BTreeSet<_> = current.subjects.intersection(&desired).cloned().collect();
        let somebody_loses = current.others || common.len() < current.subjects.len();
        let somebody_gains = common.len() < desired.len();
        match (somebody_loses, somebody_gains) {
            (false, _) => TrustTransition::Widens,
            (true, false) => TrustTransition::Narrows,
            (true, true) => TrustTransition::Replaces {
                meanwhile: document_of(&common),
            },
        }
    }

    /// Those whom the current trust document lets in and this policy doesn't, in words for people. What isn't of the
    /// shape that [`TrustPolicy::document`] writes is named by its principals.
    pub fn shuts_out(&self, current: &str) -> BTreeSet<String> {
        let Ok(current) = PolicyDocument::parse(&decode(current)) else {
            return BTreeSet::from(["whoever a document lets in that can't be read".to_owned()]);
        };
        let desired = self.subjects();
        let allowed = current
            .statements
            .iter()
            .filter(|statement| statement.effect == Effect::Allow);
        let mut losers = BTreeSet::new();
        for statement in allowed {
            match subjects_of(statement) {
                Some(subjects) => losers.extend(
                    subjects
                        .iter()
                        .filter(|subject| !desired.contains(subject))
                        .map(Subject::to_string),
                ),
                None => losers.extend(principals_of(statement).into_iter().map(|(kind, name)| {
                    if kind == PrincipalType::Service.as_str() && self.trusted_services.contains(&name) {
                        format!(
                            "{name} under other conditions than {SOURCE_ACCOUNT} {}, which this object adds",
                            self.account
                        )
                    } else {
                        format!("{kind} {name}").trim().to_owned()
                    }
                })),
            }
        }
        if losers.is_empty() {
            losers.insert("whoever a document with Deny statements lets in".to_owned());
        }
        losers
    }

    fn subjects(&self) -> BTreeSet<Subject> {
        let federated = self.issuers.iter().flat_map(|issuer| {
            let provider = OidcProviderArn::new(&self.partition, &self.account, issuer).to_string();
            self.service_accounts.iter().map(move |name| Subject::Federated {
                provider: provider.clone(),
                audience: self.audience.clone(),
                sub: format!("system:serviceaccount:{}:{name}", self.namespace),
            })
        });
        let services = self.trusted_services.iter().map(|service| Subject::Service {
            service: service.clone(),
            source_account: self.account.to_string(),
        });
        federated.chain(services).collect()
    }
}

/// The document that trusts those whom both documents let in, as far as that can be said for certain; nobody else.
/// Either may be percent-encoded.
pub fn trusted_by_both(a: &str, b: &str) -> PolicyDocument {
    let subjects = |text: &str| {
        PolicyDocument::parse(&decode(text))
            .map(|document| Trusted::of(&document).subjects)
            .unwrap_or_default()
    };
    document_of(&subjects(a).intersection(&subjects(b)).cloned().collect())
}

/// The ServiceAccounts of this namespace and the AWS services that a trust document names, as far as it is of the shape
/// that [`TrustPolicy::document`] writes; whoever else it lets in is left out. It may be percent-encoded.
pub fn named_in(current: &str, namespace: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut service_accounts, mut services) = (BTreeSet::new(), BTreeSet::new());
    let read = PolicyDocument::parse(&decode(current)).map(|document| Trusted::of(&document).subjects);
    for subject in read.unwrap_or_default() {
        match subject {
            Subject::Federated { sub, .. } => {
                let of_namespace = sub.strip_prefix("system:serviceaccount:");
                let name = of_namespace
                    .and_then(|rest| rest.split_once(':'))
                    .filter(|(found, _)| *found == namespace);
                service_accounts.extend(name.map(|(_, name)| name.to_owned()));
            }
            Subject::Service { service, .. } => {
                services.insert(service);
            }
        }
    }
    (service_accounts, services)
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Federated {
                provider,
                audience,
                sub,
            } => write!(f, "{sub} (audience {audience}) of {provider}"),
            Subject::Service {
                service,
                source_account,
            } => write!(f, "{service} on behalf of account {source_account}"),
        }
    }
}

/// Whom a statement is about, by kind and name; a group of them has no kind.
fn principals_of(statement: &Statement) -> Vec<(&str, String)> {
    match &statement.principal {
        Some(Scope::Only(Principal::Of(principals))) => principals
            .iter()
            .flat_map(|(kind, values)| values.iter().map(move |value| (kind.as_str(), value.clone())))
            .collect(),
        Some(Scope::Only(Principal::Everyone)) => vec![("", "everyone".to_owned())],
        Some(Scope::AllExcept(_)) => vec![("", "everyone but those in a NotPrincipal".to_owned())],
        None => vec![],
    }
}

/// The document that trusts exactly these.
fn document_of(subjects: &BTreeSet<Subject>) -> PolicyDocument {
    let mut federated: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    let mut services: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for subject in subjects {
        match subject {
            Subject::Federated {
                provider,
                audience,
                sub,
            } => {
                federated
                    .entry((provider, audience))
                    .or_default()
                    .push(sub.clone());
            }
            Subject::Service {
                service,
                source_account,
            } => {
                services.entry(source_account).or_default().push(service.clone());
            }
        }
    }
    let federated = federated.into_iter().map(|((provider, audience), subs)| {
        let issuer = issuer_of(provider).unwrap_or(provider);
        statement(
            Effect::Allow,
            principal(PrincipalType::Federated, vec![provider.to_owned()]),
            &[ASSUME_ROLE_WITH_WEB_IDENTITY],
            string_equals([
                (format!("{issuer}:aud"), vec![audience.to_owned()]),
                (format!("{issuer}:sub"), subs),
            ]),
        )
    });
    let services = services.into_iter().map(|(source_account, services)| {
        statement(
            Effect::Allow,
            principal(PrincipalType::Service, services),
            &[ASSUME_ROLE],
            string_equals([(SOURCE_ACCOUNT.to_owned(), vec![source_account.to_owned()])]),
        )
    });
    let mut statements: Vec<_> = federated.chain(services).collect();
    if statements.is_empty() {
        statements.push(nobody());
    }
    PolicyDocument {
        version: Some(Version::V2012),
        id: None,
        statements,
    }
}

/// Denies every way of taking the role to everyone. The actions are written out, since IAM takes no
/// pattern for certain in a trust policy.
fn nobody() -> Statement {
    statement(
        Effect::Deny,
        Principal::Everyone,
        &[ASSUME_ROLE, ASSUME_ROLE_WITH_SAML, ASSUME_ROLE_WITH_WEB_IDENTITY],
        Condition::new(),
    )
}

fn statement(effect: Effect, principal: Principal, actions: &[&str], condition: Condition) -> Statement {
    Statement {
        sid: None,
        effect,
        misspelt_effect: None,
        principal: Some(Scope::Only(principal)),
        action: Scope::Only(actions.iter().map(|&action| action.to_owned()).collect()),
        resource: None,
        condition,
    }
}

fn principal(kind: PrincipalType, values: Vec<String>) -> Principal {
    Principal::Of(BTreeMap::from([(kind, values)]))
}

fn string_equals<const N: usize>(keys: [(String, Vec<String>); N]) -> Condition {
    Condition::from([(STRING_EQUALS.to_owned(), BTreeMap::from(keys))])
}

/// `arn:P:iam::ACCOUNT:oidc-provider/ISSUER` is about `ISSUER`.
fn issuer_of(provider: &str) -> Option<&str> {
    provider.split_once(":oidc-provider/").map(|(_, issuer)| issuer)
}

/// Whom a document lets in, as far as that can be said for certain.
struct Trusted {
    subjects: BTreeSet<Subject>,
    /// It may let in others too.
    others: bool,
}

impl Trusted {
    fn unknown() -> Self {
        Trusted {
            subjects: BTreeSet::new(),
            others: true,
        }
    }

    fn of(document: &PolicyDocument) -> Self {
        let (allow, deny): (Vec<_>, Vec<_>) = document
            .statements
            .iter()
            .partition(|statement| statement.effect == Effect::Allow);
        let mut trusted = Trusted {
            subjects: BTreeSet::new(),
            others: false,
        };
        if allow.is_empty() {
            return trusted;
        }
        if !deny.is_empty() {
            return Trusted::unknown();
        }
        for statement in allow {
            if matches!(statement.principal, Some(Scope::AllExcept(_))) {
                return Trusted::unknown();
            }
            match subjects_of(statement) {
                Some(subjects) => trusted.subjects.extend(subjects),
                None => trusted.others = true,
            }
        }
        trusted
    }
}

/// Whom an Allow statement of one of our shapes lets in; None for every other statement.
fn subjects_of(statement: &Statement) -> Option<Vec<Subject>> {
    if statement.resource.is_some() {
        return None;
    }
    let Some(Scope::Only(Principal::Of(principals))) = &statement.principal else {
        return None;
    };
    let [(kind, principals)] = *principals.iter().collect::<Vec<_>>() else {
        return None;
    };
    let conditions = only_string_equals(&statement.condition)?;
    match kind {
        PrincipalType::Federated => {
            // Of several providers, the conditions could pin only one.
            let (provider, others) = principals.split_first()?;
            if others.iter().any(|other| other != provider) {
                return None;
            }
            let issuer = issuer_of(provider)?;
            if !is_only_action(statement, ASSUME_ROLE_WITH_WEB_IDENTITY) || conditions.len() != 2 {
                return None;
            }
            let audiences = values_of(conditions, &format!("{issuer}:aud"))?;
            let subs = values_of(conditions, &format!("{issuer}:sub"))?;
            let pairs = audiences
                .iter()
                .flat_map(|aud| subs.iter().map(move |sub| (aud, sub)));
            Some(
                pairs
                    .map(|(audience, sub)| Subject::Federated {
                        provider: provider.clone(),
                        audience: audience.clone(),
                        sub: sub.clone(),
                    })
                    .collect(),
            )
        }
        PrincipalType::Service => {
            if !is_only_action(statement, ASSUME_ROLE) || conditions.len() != 1 {
                return None;
            }
            let accounts = values_of(conditions, SOURCE_ACCOUNT)?;
            let pairs = principals
                .iter()
                .flat_map(|s| accounts.iter().map(move |a| (s, a)));
            Some(
                pairs
                    .map(|(service, account)| Subject::Service {
                        service: service.clone(),
                        source_account: account.clone(),
                    })
                    .collect(),
            )
        }
        PrincipalType::Aws | PrincipalType::CanonicalUser => None,
    }
}

fn is_only_action(statement: &Statement, action: &str) -> bool {
    matches!(&statement.action, Scope::Only(actions)
        if actions.iter().all(|found| found.eq_ignore_ascii_case(action)))
}

/// The condition keys under StringEquals, when there is no other operator.
fn only_string_equals(condition: &Condition) -> Option<&BTreeMap<String, Vec<String>>> {
    match *condition.iter().collect::<Vec<_>>() {
        [(operator, keys)] if operator.eq_ignore_ascii_case(STRING_EQUALS) => Some(keys),
        _ => None,
    }
}

/// The values of a condition key, when each stands for itself: with a policy variable in it, a
/// value stands for something that isn't known here.
fn values_of<'a>(keys: &'a BTreeMap<String, Vec<String>>, key: &str) -> Option<&'a [String]> {
    let (_, values) = keys.iter().find(|(found, _)| found.eq_ignore_ascii_case(key))?;
    values.iter().all(|value| !value.contains("${")).then_some(values)
}
