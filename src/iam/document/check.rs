//! What IAM's API would refuse in a document that conforms to the grammar.
//!
//! Said before the request, since IAM's own answer (`MalformedPolicyDocument`) seldom names the
//! place. Only what is certain to be refused is refused: that a service, an action or a condition
//! key exists is not checked, since AWS adds them every week.

use super::error::{DocumentError, quoted};
use super::{Effect, PolicyDocument, Principal, PrincipalType, Scope, Statement, Version};

type Result<T> = std::result::Result<T, DocumentError>;

/// What a document is for; it decides which elements it must and must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A policy of a role: it says what may be done to which resources, and has no principals.
    Identity,
    /// A role's trust policy: it says who may take the role, and has no resources.
    Trust,
}

/// Checks that IAM would take the document as a policy of this kind.
///
/// # Errors
///
/// The first thing that IAM would refuse, with its place. Sizes are not looked at, since the limits
/// are the account's (see [`quota`](crate::iam::quota)).
pub fn check(document: &PolicyDocument, kind: Kind) -> Result<()> {
    if kind == Kind::Identity && document.version != Some(Version::V2012) {
        return Err(DocumentError::new(
            "IAM takes only version 2012-10-17 of the policy language in new policies",
            "write \"Version\": \"2012-10-17\"",
        )
        .within("Version"));
    }
    for (index, statement) in document.statements.iter().enumerate() {
        check_statement(statement, kind).map_err(|error| error.in_statement(index, statement.sid()))?;
    }
    Ok(())
}

fn check_statement(statement: &Statement, kind: Kind) -> Result<()> {
    if let Some(written) = &statement.misspelt_effect {
        return Err(DocumentError::new(
            format!(
                "IAM is strict about case, and {} isn't an effect",
                quoted(written)
            ),
            format!("write {:?}", statement.effect.as_str()),
        )
        .within("Effect"));
    }
    match kind {
        Kind::Identity => check_identity(statement)?,
        Kind::Trust => check_trust(statement)?,
    }
    each(&statement.action, "Action", "NotAction", |action| {
        check_action(action, kind)
    })?;
    check_condition(statement).map_err(|error| error.within("Condition"))
}

fn check_identity(statement: &Statement) -> Result<()> {
    if let Some(principal) = &statement.principal {
        let element = principal.element("Principal", "NotPrincipal");
        return Err(DocumentError::new(
            format!("a policy of a role can't have {element}: it speaks of that role"),
            format!("remove {element}"),
        )
        .within(element));
    }
    match &statement.resource {
        None => Err(DocumentError::new(
            "it has neither Resource nor NotResource",
            "add one of them; \"*\" stands for everything",
        )),
        Some(resource) => each(resource, "Resource", "NotResource", check_resource),
    }
}

fn check_trust(statement: &Statement) -> Result<()> {
    if let Some(resource) = &statement.resource {
        let element = resource.element("Resource", "NotResource");
        return Err(DocumentError::new(
            format!("a trust policy can't have {element}: it speaks of its own role"),
            format!("remove {element}"),
        )
        .within(element));
    }
    match &statement.principal {
        None => Err(DocumentError::new(
            "a trust policy must say who may take the role",
            "add Principal",
        )),
        // IAM user guide, "NotPrincipal": not in a role's trust policy.
        Some(Scope::AllExcept(_)) => Err(DocumentError::new(
            "a trust policy can't have NotPrincipal",
            "name those who may take the role in Principal",
        )
        .within("NotPrincipal")),
        Some(Scope::Only(principal)) => {
            check_principal(principal, statement.effect).map_err(|error| error.within("Principal"))
        }
    }
}

fn check_principal(principal: &Principal, effect: Effect) -> Result<()> {
    let Principal::Of(principals) = principal else {
        return Ok(());
    };
    for (kind, values) in principals {
        for value in values {
            let problem = match kind {
                PrincipalType::Aws => aws_principal_problem(value),
                // Deny may name everyone of a kind, Allow may not (IAM user guide, "Principal").
                PrincipalType::Service if effect == Effect::Allow && value.contains('*') => {
                    Some("is a pattern, which a service principal can't be")
                }
                _ if value.is_empty() => Some("is empty"),
                _ => None,
            };
            if let Some(problem) = problem {
                return Err(DocumentError::new(
                    format!("{} {problem}", quoted(value)),
                    "name an existing principal in full",
                )
                .within(&quoted(kind.as_str())));
            }
        }
    }
    Ok(())
}

fn aws_principal_problem(value: &str) -> Option<&'static str> {
    if value == "*" {
        return None;
    }
    if value.contains(['*', '?']) {
        return Some("is a pattern; only \"*\" alone is allowed");
    }
    let is_account = value.len() == 12 && value.bytes().all(|b| b.is_ascii_digit());
    if !is_account && !value.starts_with("arn:") {
        // Also AROA… and AIDA…: IAM shows them for principals that are gone, and takes them back
        // from nobody.
        return Some("is neither an account ID of 12 digits nor an ARN");
    }
    None
}

/// Runs the check on every value of Action or Resource, or of its negation.
fn each(
    scope: &Scope<Vec<String>>,
    only: &'static str,
    all_except: &'static str,
    check: impl Fn(&str) -> Result<()>,
) -> Result<()> {
    scope
        .value()
        .iter()
        .try_for_each(|value| check(value))
        .map_err(|error| error.within(scope.element(only, all_except)))
}

fn check_action(action: &str, kind: Kind) -> Result<()> {
    let trust_only_sts = || {
        DocumentError::new(
            format!(
                "{} isn't an action of STS, and a trust policy can have no other",
                quoted(action)
            ),
            "write an action such as sts:AssumeRole",
        )
    };
    let Some((service, name)) = action.split_once(':') else {
        return match (action, kind) {
            ("*", Kind::Identity) => Ok(()),
            ("*", Kind::Trust) => Err(trust_only_sts()),
            _ => Err(DocumentError::new(
                format!("{} names no service", quoted(action)),
                "write it as service:action, such as s3:GetObject",
            )),
        };
    };
    // IAM answers `Vendor … is not valid` for anything else, also for a wildcard.
    let service_is_valid = !service.is_empty()
        && service
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    if !service_is_valid {
        return Err(DocumentError::new(
            format!("{} has no valid service before the colon", quoted(action)),
            "write the service's prefix in full, such as s3:Get*",
        ));
    }
    if name.is_empty() || name.contains(|c: char| c == ':' || c.is_whitespace()) {
        return Err(DocumentError::new(
            format!("{} has no valid action after the colon", quoted(action)),
            "write it as service:action, such as s3:GetObject",
        ));
    }
    if kind == Kind::Trust && !service.eq_ignore_ascii_case("sts") {
        return Err(trust_only_sts());
    }
    Ok(())
}

fn check_resource(resource: &str) -> Result<()> {
    if resource == "*" {
        return Ok(());
    }
    let Some(after_arn) = resource.strip_prefix("arn:") else {
        return Err(DocumentError::new(
            format!("{} is neither an ARN nor \"*\"", quoted(resource)),
            "write an ARN, such as arn:aws:s3:::bucket/*",
        ));
    };
    // partition:service:region:account:resource
    let parts: Vec<&str> = after_arn.splitn(5, ':').collect();
    if parts.len() < 5 {
        return Err(DocumentError::new(
            format!("the ARN {} has fewer than six parts", quoted(resource)),
            "write it as arn:partition:service:region:account:resource; region and account may be \
             empty, but not their colons",
        ));
    }
    if parts
        .iter()
        .take(2)
        .any(|part| part.is_empty() || part.contains(['*', '?']))
    {
        return Err(DocumentError::new(
            format!(
                "the ARN {} has a pattern or nothing for its partition or service",
                quoted(resource)
            ),
            "write both in full, such as arn:aws:s3:::bucket/*",
        ));
    }
    Ok(())
}

/// IAM user guide, "IAM JSON policy elements: Condition operators".
const OPERATORS: &[&str] = &[
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
];

fn check_condition(statement: &Statement) -> Result<()> {
    for (operator, keys) in &statement.condition {
        if !is_operator(operator) {
            return Err(DocumentError::new(
                format!("{} is not a condition operator", quoted(operator)),
                "use one of IAM's, such as StringEquals or ForAnyValue:StringLike",
            ));
        }
        for key in keys.keys() {
            if !key.contains(':') {
                return Err(DocumentError::new(
                    format!("the condition key {} names no service", quoted(key)),
                    "write it as service:key, such as aws:SourceAccount",
                )
                .within(&quoted(operator)));
            }
        }
    }
    Ok(())
}

/// Whether IAM has this condition operator, in whatever case.
pub fn is_operator(operator: &str) -> bool {
    let operator = operator.to_ascii_lowercase();
    let operator = ["forallvalues:", "foranyvalue:"]
        .iter()
        .find_map(|quantifier| operator.strip_prefix(quantifier))
        .unwrap_or(&operator);
    let known = |name: &str| OPERATORS.iter().any(|known| known.eq_ignore_ascii_case(name));
    // Null asks whether a key exists, so it alone has no IfExists.
    known(operator)
        || operator
            .strip_suffix("ifexists")
            .is_some_and(|op| op != "null" && known(op))
}
