//! Which roles that are there already may be taken over. The admin writes each by its ARN, with the namespaces that
//! may do it; the object has to ask for it too.

use std::collections::{BTreeMap, BTreeSet};

use super::class::is_pattern;
use super::{ClassRules, Names, Refusal};
use crate::api::MlServiceRoleSpec;
use crate::api::class::AllowedAdoption;
use crate::api::condition::reasons;
use crate::api::role::AdoptionPolicy;
use crate::iam::arn::{AccountId, RoleArn};

/// Paths of roles that are AWS's own: service-linked roles, and those of IAM Identity Center (IAM user guide, "IAM
/// identifiers" and "Using service-linked roles").
const PATHS_OF_AWS: [&str; 2] = ["/aws-service-role/", "/aws-reserved/"];

/// Reads `allow.adopt`, or says what is wrong with it. A pattern isn't an ARN of a role: whoever takes a role over takes
/// its trust and its policies over, so each is named.
pub(super) fn understand(
    written: &[AllowedAdoption],
    account: Option<&AccountId>,
    assumed: Option<&str>,
) -> Result<BTreeMap<RoleArn, BTreeSet<String>>, Vec<String>> {
    let mut understood: BTreeMap<RoleArn, BTreeSet<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for AllowedAdoption { arn, namespaces } in written {
        if is_pattern(arn) {
            wrong.push(format!(
                "{arn} is a pattern, and roles are taken over one by one; write each out"
            ));
            continue;
        }
        let role: RoleArn = match arn.parse() {
            Ok(role) => role,
            Err(e) => {
                wrong.push(format!("{e}"));
                continue;
            }
        };
        if is_of_aws(role.path().as_str()) {
            wrong.push(format!(
                "{arn} is a role of AWS's own, which nobody else may change; remove it"
            ));
        }
        if let Some(account) = account.filter(|account| *account != role.account()) {
            wrong.push(format!(
                "{arn} isn't a role of aws.accountId {account}; remove it, or list it in a class of its account"
            ));
        }
        if assumed.is_some_and(|own| is_same_role(&role, own)) {
            wrong.push(format!(
                "{arn} is the role through which the operator reaches the account (aws.assumeRole): with another trust \
                 policy and other policies it would lock itself out; remove it"
            ));
        }
        if let Some(other) = understood
            .keys()
            .find(|other| other.name().same_in_iam(role.name()))
        {
            wrong.push(format!(
                "{arn} and {other} have the same name, of which there is one in an account, whatever the path and case; \
                 leave the one that is meant"
            ));
        }
        for namespace in namespaces.iter().filter(|namespace| !is_namespace(namespace)) {
            wrong.push(format!(
                "{arn}: {namespace:?} in namespaces isn't the name of a namespace; write each that may take the role over, in \
                 full"
            ));
        }
        understood.insert(role, namespaces.iter().cloned().collect());
    }
    if wrong.is_empty() {
        Ok(understood)
    } else {
        Err(wrong)
    }
}

/// Whether roles of this path are AWS's own.
pub(super) fn is_of_aws(path: &str) -> bool {
    PATHS_OF_AWS.iter().any(|own| path.starts_with(own))
}

/// Whether this can be the name of a namespace (Kubernetes, "Object Names and IDs", RFC 1123 labels).
fn is_namespace(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 63
        && text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && text.chars().all(|c| alphanumeric(c) || c == '-')
}

/// Whether an ARN, whatever its path and case, is that of a role.
fn is_same_role(role: &RoleArn, arn: &str) -> bool {
    arn.parse::<RoleArn>()
        .is_ok_and(|other| role.account() == other.account() && role.name().same_in_iam(other.name()))
}

/// The role that an object asks to take over, if the class lets its namespace do that; none where it asks for
/// nothing of the kind. Whether the role is in the account that the class reaches isn't known here.
///
/// # Errors
///
/// The object asks for a role that the class doesn't let its namespace take over.
pub fn adoptable<'a>(
    rules: &'a ClassRules,
    names: Names<'_>,
    spec: &MlServiceRoleSpec,
) -> Result<Option<&'a RoleArn>, Refusal> {
    let asked = spec.adoption_policy.unwrap_or_default() != AdoptionPolicy::Never;
    let name = spec.role.as_ref().and_then(|role| role.name.as_deref());
    let allowed = name.and_then(|name| {
        rules
            .adopt
            .iter()
            .find(|(arn, namespaces)| arn.name().as_str() == name && namespaces.contains(names.namespace))
            .map(|(arn, _)| arn)
    });
    let (class, namespace) = (&rules.name, names.namespace);
    match (asked, allowed, name) {
        (false, Some(_), Some(name)) if !rules.allows_role_name(name, names) => Err(Refusal::new(
            reasons::ADOPTION_NOT_ALLOWED,
            format!(
                "class {class:?} lets this namespace take the role {name:?} over (allow.adopt), but this object's \
                 adoptionPolicy is Never: write adoptionPolicy: Adopt, or delete this object"
            ),
        )),
        (false, ..) => Ok(None),
        (true, Some(arn), _) => Ok(Some(arn)),
        (true, None, Some(name)) => Err(Refusal::new(
            reasons::ADOPTION_NOT_ALLOWED,
            format!(
                "class {class:?} doesn't let namespace {namespace:?} take over a role named {name:?}; write \
                 adoptionPolicy: Never to have a role of your own, or ask the platform admin to add the role's ARN to \
                 allow.adopt with this namespace"
            ),
        )),
        (true, None, None) => Err(Refusal::new(
            reasons::INVALID_SPEC,
            "adoptionPolicy needs role.name: write the exact name of the role to take over",
        )),
    }
}
