//! From JSON to the model: the grammar of policies.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::{DocumentError, quoted};
use super::json::Json;
use super::{Condition, Effect, PolicyDocument, Principal, PrincipalType, Scope, Statement, Version};

type Result<T> = std::result::Result<T, DocumentError>;

impl PolicyDocument {
    /// Reads a document from JSON text.
    ///
    /// # Errors
    ///
    /// Whatever isn't JSON, doesn't conform to the grammar, holds a key twice, or holds a character
    /// outside of tab, line feed, carriage return and U+0020 to U+00FF, the only ones that IAM takes
    /// (IAM API reference, CreateRole, `AssumeRolePolicyDocument`). Never panics.
    pub fn parse(text: &str) -> Result<Self> {
        let json = Json::from_text(text).map_err(|error| {
            DocumentError::new(
                format!("this is not valid JSON ({error})"),
                "correct the JSON there",
            )
        })?;
        document(json)
    }

    /// Reads a document from a JSON value. A value can't show whether a key was written twice.
    ///
    /// # Errors
    ///
    /// As [`PolicyDocument::parse`].
    pub fn from_value(value: &Value) -> Result<Self> {
        let json = Json::from_value(value).ok_or_else(|| {
            DocumentError::new(
                "it is nested too deeply",
                "write a policy document, which is flat",
            )
        })?;
        document(json)
    }
}

const DOCUMENT_ELEMENTS: &[&str] = &["Version", "Id", "Statement"];
const STATEMENT_ELEMENTS: &[&str] = &[
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

fn document(json: Json) -> Result<PolicyDocument> {
    let mut elements = Elements::of(json, DOCUMENT_ELEMENTS)?;
    let version = elements.read("Version", version)?;
    let id = elements.read("Id", text)?;
    let statements = match elements.take("Statement") {
        None => {
            return Err(DocumentError::new(
                "the element Statement is missing",
                "add a list of statements",
            ));
        }
        Some(Json::List(items)) if items.is_empty() => {
            return Err(DocumentError::new("the list is empty", "add a statement").within("Statement"));
        }
        Some(Json::List(items)) => items,
        Some(single) => vec![single],
    };
    let statements = statements
        .into_iter()
        .enumerate()
        .map(|(index, json)| {
            let sid = sid_for_messages(&json);
            statement(json).map_err(|error| error.in_statement(index, sid.as_deref()))
        })
        .collect::<Result<Vec<_>>>()?;
    refuse_duplicate_sids(&statements)?;
    Ok(PolicyDocument {
        version,
        id,
        statements,
    })
}

/// Best effort, before the statement is known to be one.
fn sid_for_messages(json: &Json) -> Option<String> {
    let Json::Object(entries) = json else {
        return None;
    };
    entries.iter().find_map(|(key, value)| match value {
        Json::Text(sid) if key == "Sid" && !sid.is_empty() => Some(sid.clone()),
        _ => None,
    })
}

fn refuse_duplicate_sids(statements: &[Statement]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (index, statement) in statements.iter().enumerate() {
        let sid = statement.sid();
        if sid.is_some_and(|sid| !seen.insert(sid)) {
            return Err(DocumentError::new(
                "another statement has the same Sid",
                "give each statement a Sid of its own, or none",
            )
            .within("Sid")
            .in_statement(index, sid));
        }
    }
    Ok(())
}

fn statement(json: Json) -> Result<Statement> {
    let mut elements = Elements::of(json, STATEMENT_ELEMENTS)?;
    let sid = elements.read("Sid", sid)?.flatten();
    let (effect, misspelt_effect) = elements
        .read("Effect", effect)?
        .ok_or_else(|| DocumentError::new("the element Effect is missing", "add \"Allow\" or \"Deny\""))?;
    let principal = elements.read_scope("Principal", "NotPrincipal", principal)?;
    let action = elements
        .read_scope("Action", "NotAction", texts)?
        .ok_or_else(|| DocumentError::new("it has neither Action nor NotAction", "add one of them"))?;
    let resource = elements.read_scope("Resource", "NotResource", texts)?;
    let condition = elements.read("Condition", condition)?.unwrap_or_default();
    Ok(Statement {
        sid,
        effect,
        misspelt_effect,
        principal,
        action,
        resource,
        condition,
    })
}

/// The entries of an object whose keys are known and occur once.
struct Elements(BTreeMap<String, Json>);

impl Elements {
    fn of(json: Json, known: &[&str]) -> Result<Self> {
        let mut elements = BTreeMap::new();
        for (key, value) in object(json)? {
            if !known.contains(&key.as_str()) {
                let remedy = match known.iter().find(|name| name.eq_ignore_ascii_case(&key)) {
                    Some(name) => format!("write it as {name}"),
                    None => format!("remove it, or use one of {}", known.join(", ")),
                };
                return Err(DocumentError::new(
                    format!("the element {} is unknown", quoted(&key)),
                    remedy,
                ));
            }
            elements.insert(key, value);
        }
        Ok(Elements(elements))
    }

    fn take(&mut self, name: &str) -> Option<Json> {
        self.0.remove(name)
    }

    fn read<T>(&mut self, name: &str, read: fn(Json) -> Result<T>) -> Result<Option<T>> {
        self.take(name)
            .map(|json| read(json).map_err(|error| error.within(name)))
            .transpose()
    }

    fn read_scope<T>(
        &mut self,
        only: &str,
        all_except: &str,
        read: fn(Json) -> Result<T>,
    ) -> Result<Option<Scope<T>>> {
        match (self.read(only, read)?, self.read(all_except, read)?) {
            (Some(_), Some(_)) => Err(DocumentError::new(
                format!("it has both {only} and {all_except}"),
                "remove one of them",
            )),
            (Some(value), None) => Ok(Some(Scope::Only(value))),
            (None, Some(value)) => Ok(Some(Scope::AllExcept(value))),
            (None, None) => Ok(None),
        }
    }
}

/// The entries of an object, none of which has a key that another has too. Keys are compared
/// without case: IAM compares operators and condition keys so, and elements that differ from a
/// known one in case are refused anyway.
fn object(json: Json) -> Result<Vec<(String, Json)>> {
    let Json::Object(entries) = json else {
        return Err(wrong_type(&json, "an object"));
    };
    let mut seen = BTreeSet::new();
    for (key, _) in &entries {
        check_characters(key)?;
        if !seen.insert(key.to_ascii_lowercase()) {
            return Err(DocumentError::new(
                format!("the key {} occurs twice, if only in another case", quoted(key)),
                "merge the two, or remove one of them",
            ));
        }
    }
    Ok(entries)
}

fn wrong_type(json: &Json, wanted: &str) -> DocumentError {
    DocumentError::new(format!("it is {}", json.kind()), format!("write {wanted}"))
}

fn check_characters(text: &str) -> Result<()> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}');
    match text.chars().find(|&c| !allowed(c)) {
        None => Ok(()),
        Some(found) => Err(DocumentError::new(
            format!("{} contains {found:?} (U+{:04X})", quoted(text), u32::from(found)),
            "use only U+0020 to U+00FF, the characters that IAM allows in policies",
        )),
    }
}

fn text(json: Json) -> Result<String> {
    match json {
        Json::Text(text) => check_characters(&text).map(|()| text),
        other => Err(wrong_type(&other, "a string")),
    }
}

/// A string, or a list of them with at least one.
fn texts(json: Json) -> Result<Vec<String>> {
    match json {
        Json::List(items) => list(items, text),
        Json::Text(_) => Ok(vec![text(json)?]),
        other => Err(wrong_type(&other, "a string or a list of strings")),
    }
}

fn list<T>(items: Vec<Json>, read: fn(Json) -> Result<T>) -> Result<Vec<T>> {
    if items.is_empty() {
        return Err(DocumentError::new(
            "the list is empty",
            "add a value, or remove the element",
        ));
    }
    items.into_iter().map(read).collect()
}

fn version(json: Json) -> Result<Version> {
    match text(json)?.as_str() {
        "2012-10-17" => Ok(Version::V2012),
        "2008-10-17" => Ok(Version::V2008),
        other => Err(DocumentError::new(
            format!("{} is not a version of the policy language", quoted(other)),
            "write \"2012-10-17\"",
        )),
    }
}

/// None for the empty Sid, which the console writes into trust policies.
fn sid(json: Json) -> Result<Option<String>> {
    let sid = text(json)?;
    if !sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(DocumentError::new(
            "a Sid may hold only letters and digits",
            "remove the other characters",
        ));
    }
    Ok(Some(sid).filter(|sid| !sid.is_empty()))
}

fn effect(json: Json) -> Result<(Effect, Option<String>)> {
    let written = text(json)?;
    for effect in [Effect::Allow, Effect::Deny] {
        if written == effect.as_str() {
            return Ok((effect, None));
        }
        if written.eq_ignore_ascii_case(effect.as_str()) {
            return Ok((effect, Some(written)));
        }
    }
    Err(DocumentError::new(
        format!("{} is not an effect", quoted(&written)),
        "write \"Allow\" or \"Deny\"",
    ))
}

fn principal(json: Json) -> Result<Principal> {
    const WANTED: &str = "\"*\" or an object such as {\"AWS\": \"123456789012\"}";
    match json {
        Json::Text(text) if text == "*" => Ok(Principal::Everyone),
        Json::Text(text) => Err(DocumentError::new(
            format!("{} does not say what kind of principal it is", quoted(&text)),
            format!("write {WANTED}"),
        )),
        Json::Object(_) => {
            let mut principals = BTreeMap::new();
            for (key, value) in object(json)? {
                let kind = PrincipalType::ALL.into_iter().find(|kind| kind.as_str() == key);
                let kind = kind.ok_or_else(|| {
                    let known = PrincipalType::ALL.map(PrincipalType::as_str).join(", ");
                    DocumentError::new(
                        format!("{} is not a kind of principal", quoted(&key)),
                        format!("use one of {known}"),
                    )
                })?;
                let values = texts(value).map_err(|error| error.within(&quoted(&key)))?;
                principals.insert(kind, values);
            }
            if principals.is_empty() {
                return Err(DocumentError::new("it names nobody", format!("write {WANTED}")));
            }
            Ok(Principal::Of(principals))
        }
        other => Err(wrong_type(&other, WANTED)),
    }
}

fn condition(json: Json) -> Result<Condition> {
    let mut operators = BTreeMap::new();
    for (operator, json) in object(json)? {
        let keys = condition_keys(json).map_err(|error| error.within(&quoted(&operator)))?;
        operators.insert(operator, keys);
    }
    Ok(operators)
}

fn condition_keys(json: Json) -> Result<BTreeMap<String, Vec<String>>> {
    let mut keys = BTreeMap::new();
    for (key, json) in object(json)? {
        let values = match json {
            Json::List(items) => list(items, condition_value),
            single => condition_value(single).map(|value| vec![value]),
        };
        let values = values.map_err(|error| error.within(&quoted(&key)))?;
        keys.insert(key, values);
    }
    if keys.is_empty() {
        // Nothing would be tested, though somebody meant to test something.
        return Err(DocumentError::new(
            "it has no condition key",
            "add one, or remove the operator",
        ));
    }
    Ok(keys)
}

fn condition_value(json: Json) -> Result<String> {
    match json {
        Json::Bool(value) => Ok(value.to_string()),
        Json::Number(number) => exact_number(number),
        Json::Text(_) => text(json),
        other => Err(wrong_type(
            &other,
            "a string, a number or a boolean, or a list of them",
        )),
    }
}

/// Refuses numbers that JSON readers round, such as an ID with 20 digits: the condition would test
/// another value than the one that was written.
fn exact_number(number: String) -> Result<String> {
    const FIRST_ROUNDED: f64 = 9_007_199_254_740_992.0;
    let is_integer = number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
    let is_small = number
        .parse::<f64>()
        .is_ok_and(|value| value.abs() < FIRST_ROUNDED);
    if is_integer || is_small {
        return Ok(number);
    }
    Err(DocumentError::new(
        format!("the number {number} is too large to be exact"),
        "write it as a string",
    ))
}
