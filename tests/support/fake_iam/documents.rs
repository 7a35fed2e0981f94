//! Which documents IAM takes, and how it may write them when it gives them back.
//!
//! Sources: IAM user guide, "Grammar of the IAM JSON policy language"; messages as IAM words them
//! where they are known. Less than IAM's own check: no actions or condition keys are looked up.

use mlservicerole_operator::aws::AwsError;
use serde_json::{Map, Value};

use super::iam_error;

const OPERATORS: [&str; 25] = [
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
];

type Check = Result<(), String>;

/// A trust policy. `known` says whether a principal with this ARN exists.
pub fn check_trust(
    operation: &'static str,
    document: &str,
    known: &dyn Fn(&str) -> bool,
) -> Result<(), AwsError> {
    check(operation, document, &|statement| {
        if statement.contains_key("Resource") || statement.contains_key("NotResource") {
            return Err("Has prohibited field Resource".into());
        }
        let principal = statement.get("Principal").or(statement.get("NotPrincipal"));
        let principal = principal.ok_or("Missing required field Principal")?;
        check_principal(principal, known)?;
        for action in strings(statement.get("Action").unwrap_or(&Value::Null))? {
            if !action.to_ascii_lowercase().starts_with("sts:") {
                let message = "AssumeRole policy may only specify STS AssumeRole actions.";
                return Err(message.into());
            }
        }
        Ok(())
    })
}

/// A policy that is part of a role.
pub fn check_inline(operation: &'static str, document: &str) -> Result<(), AwsError> {
    check(operation, document, &|statement| {
        if statement.contains_key("Principal") || statement.contains_key("NotPrincipal") {
            return Err("Policy document should not specify a principal.".into());
        }
        let resource = statement.get("Resource").or(statement.get("NotResource"));
        let resource = resource.ok_or("Policy statement must contain resources.")?;
        for resource in strings(resource)? {
            if resource != "*" && resource.split(':').count() < 6 {
                return Err(format!("Resource {resource} must be in ARN format or \"*\"."));
            }
        }
        Ok(())
    })
}

fn check(
    operation: &'static str,
    document: &str,
    statement: &dyn Fn(&Map<String, Value>) -> Check,
) -> Result<(), AwsError> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}');
    if !document.chars().all(allowed) {
        let message = "The specified value for policyDocument is invalid. It must contain only \
                       printable ASCII characters.";
        return Err(iam_error(operation, "ValidationError", message));
    }
    let malformed = |message: String| iam_error(operation, "MalformedPolicyDocument", &message);
    let parsed: Value =
        serde_json::from_str(document).map_err(|_| malformed("This policy contains invalid Json".into()))?;
    check_document(&parsed, statement).map_err(malformed)
}

fn check_document(document: &Value, statement: &dyn Fn(&Map<String, Value>) -> Check) -> Check {
    let document = object(document)?;
    only_fields(document, &["Version", "Id", "Statement"])?;
    match document.get("Version").map(Value::as_str) {
        None | Some(Some("2012-10-17" | "2008-10-17")) => {}
        Some(_) => return Err("The policy must contain a valid version string".into()),
    }
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => return Err("Syntax errors in policy.".into()),
    };
    let mut sids = std::collections::BTreeSet::new();
    for one in statements {
        let one = object(one)?;
        check_statement(one)?;
        statement(one)?;
        if let Some(sid) = one.get("Sid") {
            let sid = sid.as_str().ok_or("Syntax errors in policy.")?;
            if !sid.chars().all(|c| c.is_ascii_alphanumeric()) {
                return Err(format!(
                    "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies \
                     the regular expression [0-9A-Za-z]*: {sid}"
                ));
            }
            if !sids.insert(sid.to_owned()) {
                return Err("Statement IDs (SID) in a single policy must be unique.".into());
            }
        }
    }
    Ok(())
}

fn check_statement(statement: &Map<String, Value>) -> Check {
    only_fields(
        statement,
        &[
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ],
    )?;
    match statement.get("Effect").and_then(Value::as_str) {
        Some("Allow" | "Deny") => {}
        _ => return Err("Syntax errors in policy.".into()),
    }
    let action = statement.get("Action").or(statement.get("NotAction"));
    for action in strings(action.ok_or("Policy statement must contain actions.")?)? {
        let named = action
            .split_once(':')
            .is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty());
        if action != "*" && !named {
            let message = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
            return Err(message.into());
        }
    }
    for (operator, keys) in statement
        .get("Condition")
        .map(object)
        .transpose()?
        .into_iter()
        .flatten()
    {
        check_operator(operator)?;
        for (key, values) in object(keys)? {
            if !key.contains(':') {
                let message = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
                return Err(message.into());
            }
            scalars(values)?;
        }
    }
    Ok(())
}

fn check_operator(operator: &str) -> Check {
    let plain = operator
        .trim_start_matches("ForAllValues:")
        .trim_start_matches("ForAnyValue:");
    let plain = plain.strip_suffix("IfExists").unwrap_or(plain);
    let known = OPERATORS.iter().chain(&["ArnNotLike", "Null"]);
    match known.into_iter().any(|known| known.eq_ignore_ascii_case(plain)) {
        true => Ok(()),
        false => Err(format!("Invalid Condition type : {operator}.")),
    }
}

fn check_principal(principal: &Value, known: &dyn Fn(&str) -> bool) -> Check {
    let kinds = match principal {
        Value::String(all) if all == "*" => return Ok(()),
        Value::Object(kinds) if !kinds.is_empty() => kinds,
        _ => return Err("Syntax errors in policy.".into()),
    };
    for (kind, values) in kinds {
        for value in strings(values)? {
            let invalid = || Err(format!("Invalid principal in policy: {kind:?}:{value:?}"));
            let is_account = value.len() == 12 && value.bytes().all(|b| b.is_ascii_digit());
            match kind.as_str() {
                "AWS" if value == "*" || is_account => {}
                "AWS" if value.starts_with("arn:") && known(value) => {}
                "AWS" => return invalid(),
                "Service" if value.contains(".amazonaws.com") => {}
                "Service" => {
                    return Err(format!("Invalid principal in policy: \"SERVICE\":{value:?}"));
                }
                "Federated" if is_federated(value) => {}
                "Federated" => {
                    let message = "Federated principals must be valid domain names or SAML metadata ARNs";
                    return Err(message.into());
                }
                "CanonicalUser" => {}
                _ => return invalid(),
            }
        }
    }
    Ok(())
}

fn is_federated(value: &str) -> bool {
    let parts: Vec<&str> = value.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "iam", "", account, resource] => {
            account.len() == 12
                && ["oidc-provider/", "saml-provider/"]
                    .iter()
                    .any(|kind| resource.strip_prefix(kind).is_some_and(|name| !name.is_empty()))
        }
        _ => value.contains('.') && !value.contains([':', '/', ' ']),
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or("Syntax errors in policy.".into())
}

fn only_fields(object: &Map<String, Value>, known: &[&str]) -> Check {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(_) => Err("Syntax errors in policy.".into()),
        None => Ok(()),
    }
}

/// One string or a list with at least one.
fn strings(value: &Value) -> Result<Vec<&str>, String> {
    let all = match value {
        Value::Array(values) => values.iter().map(Value::as_str).collect(),
        one => Some(vec![one.as_str()].into_iter().flatten().collect::<Vec<_>>()),
    };
    match all {
        Some(strings) if !strings.is_empty() => Ok(strings),
        _ => Err("Syntax errors in policy.".into()),
    }
}

/// One text, number or truth value, or a list of them.
fn scalars(value: &Value) -> Check {
    let values = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    match values
        .iter()
        .all(|one| one.is_string() || one.is_number() || one.is_boolean())
    {
        true => Ok(()),
        false => Err("Syntax errors in policy.".into()),
    }
}

/// The same document in other words: keys in reverse order, lists reversed, single values as
/// lists. A document that isn't JSON stays as it is.
pub fn rewrite(document: &str) -> String {
    match serde_json::from_str(document) {
        Ok(value) => rewrite_value("", &value),
        Err(_) => document.to_owned(),
    }
}

/// What IAM always writes as a text.
const TEXTS: [&str; 4] = ["Version", "Id", "Sid", "Effect"];

fn rewrite_value(key: &str, value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            let fields: Vec<String> = keys
                .into_iter()
                .rev()
                .map(|key| {
                    format!(
                        "{}:{}",
                        Value::from(key.as_str()),
                        rewrite_value(key, &fields[key])
                    )
                })
                .collect();
            let object = format!("{{{}}}", fields.join(","));
            match key {
                "Statement" => format!("[{object}]"),
                _ => object,
            }
        }
        Value::Array(values) => {
            let values: Vec<String> = values
                .iter()
                .rev()
                .map(|value| match value {
                    Value::Object(_) => rewrite_value("", value),
                    scalar => as_text(scalar),
                })
                .collect();
            format!("[{}]", values.join(","))
        }
        // `"Principal": "*"` is not a list of one.
        scalar if TEXTS.contains(&key) || key == "Principal" || key == "NotPrincipal" => as_text(scalar),
        scalar => format!("[{}]", as_text(scalar)),
    }
}

/// IAM gives numbers and truth values back as texts.
fn as_text(scalar: &Value) -> String {
    match scalar {
        Value::String(_) => scalar.to_string(),
        other => Value::from(other.to_string()).to_string(),
    }
}
