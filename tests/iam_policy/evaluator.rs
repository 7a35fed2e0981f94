//! An evaluator of IAM policies, as far as these policies need it: Deny before Allow, wildcards, and the condition
//! operators that occur. Written from the IAM user guide ("Policy evaluation logic", "IAM JSON policy elements:
//! Condition operators") and sharing no rule with the crate, so that a policy which the crate misunderstands shows.
//! What it doesn't know, it refuses by panicking.

use std::collections::BTreeMap;

use serde_json::Value;

/// A request as IAM sees it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Request {
    pub action: String,
    pub resource: String,
    /// Condition keys, in lower case, with their values; several for keys such as `aws:TagKeys`.
    pub context: BTreeMap<String, Vec<String>>,
}

impl Request {
    pub fn new(action: &str, resource: &str) -> Self {
        Request {
            action: action.to_owned(),
            resource: resource.to_owned(),
            context: BTreeMap::new(),
        }
    }

    pub fn with(mut self, key: &str, value: &str) -> Self {
        let values = self.context.entry(key.to_lowercase()).or_default();
        values.push(value.to_owned());
        self
    }
}

/// What the policies say together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    Allowed,
    /// By the statement of this Sid.
    Denied(String),
    NotAllowed,
}

/// Policies of one principal together.
pub fn decide(policies: &[Value], request: &Request) -> Decision {
    let statements = || {
        policies.iter().flat_map(|policy| {
            assert_eq!(policy["Version"], "2012-10-17");
            let statements = policy["Statement"].as_array();
            statements.unwrap_or_else(|| panic!("no list of statements: {policy}"))
        })
    };
    let speaks = |effect: &str| {
        statements()
            .filter(|statement| statement["Effect"] == effect)
            .find(|statement| applies(statement, request))
    };
    if let Some(deny) = speaks("Deny") {
        return Decision::Denied(deny["Sid"].as_str().unwrap_or_default().to_owned());
    }
    match speaks("Allow") {
        Some(_) => Decision::Allowed,
        None => Decision::NotAllowed,
    }
}

/// Whether a statement speaks of the request.
pub fn applies(statement: &Value, request: &Request) -> bool {
    for element in statement.as_object().unwrap().keys() {
        let known = [
            "Sid",
            "Effect",
            "Principal",
            "Action",
            "Resource",
            "NotResource",
            "Condition",
        ];
        assert!(known.contains(&element.as_str()), "unknown element {element}");
    }
    let action = request.action.to_lowercase();
    let acts = texts(&statement["Action"])
        .iter()
        .any(|pattern| glob(&pattern.to_lowercase(), &action));
    let on = |element: &str| {
        texts(&statement[element])
            .iter()
            .any(|pattern| glob(pattern, &request.resource))
    };
    let reaches = match (statement.get("Resource"), statement.get("NotResource")) {
        (Some(_), None) => on("Resource"),
        (None, Some(_)) => !on("NotResource"),
        (None, None) => true,
        _ => panic!("both Resource and NotResource: {statement}"),
    };
    acts && reaches && holds(&statement["Condition"], request)
}

fn holds(condition: &Value, request: &Request) -> bool {
    let Some(operators) = condition.as_object() else {
        return true;
    };
    operators.iter().all(|(operator, keys)| {
        let keys = keys.as_object().unwrap();
        keys.iter().all(|(key, values)| {
            let found = request.context.get(&key.to_lowercase());
            compare(operator, &texts(values), found.map(Vec::as_slice))
        })
    })
}

fn compare(operator: &str, wanted: &[String], found: Option<&[String]>) -> bool {
    if let Some(operator) = operator.strip_prefix("ForAnyValue:") {
        return found
            .unwrap_or_default()
            .iter()
            .any(|value| compare(operator, wanted, Some(std::slice::from_ref(value))));
    }
    if let Some(operator) = operator.strip_prefix("ForAllValues:") {
        return found
            .unwrap_or_default()
            .iter()
            .all(|value| compare(operator, wanted, Some(std::slice::from_ref(value))));
    }
    if operator == "Null" {
        let [wanted] = wanted else {
            panic!("Null takes one value")
        };
        return (wanted == "true") == found.is_none_or(<[String]>::is_empty);
    }
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let (test, negated): (fn(&str, &str) -> bool, bool) = match operator {
        "StringEquals" => (|wanted, found| wanted == found, false),
        "StringNotEquals" => (|wanted, found| wanted == found, true),
        "StringEqualsIgnoreCase" => (
            |wanted, found| wanted.to_lowercase() == found.to_lowercase(),
            false,
        ),
        "StringLike" => (glob, false),
        "ArnEquals" | "ArnLike" => (arn, false),
        "ArnNotEquals" | "ArnNotLike" => (arn, true),
        "Bool" => (|wanted, found| wanted.eq_ignore_ascii_case(found), false),
        unknown => panic!("the evaluator doesn't know {unknown}"),
    };
    match found {
        // A comparison that fails for want of a key holds where it is negated.
        None => if_exists || negated,
        Some([value]) => wanted.iter().any(|wanted| test(wanted, value)) != negated,
        Some(several) => {
            panic!("{operator} on several values needs ForAnyValue or ForAllValues: {several:?}")
        }
    }
}

/// Each of the six parts for itself.
fn arn(pattern: &str, text: &str) -> bool {
    let (patterns, texts): (Vec<_>, Vec<_>) =
        (pattern.splitn(6, ':').collect(), text.splitn(6, ':').collect());
    patterns.len() == 6
        && texts.len() == 6
        && patterns
            .iter()
            .zip(texts)
            .all(|(pattern, text)| glob(pattern, text))
}

/// `*` for any characters, `?` for one.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut retry) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .unwrap_or_else(|| panic!("not a text: {item}"))
                    .to_owned()
            })
            .collect(),
        other => panic!("neither a text nor a list: {other}"),
    }
}

#[test]
fn patterns_are_compared_as_iam_does() {
    for (pattern, text, is) in [
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a*c", "abbd", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*/x/*", "role/a/x/y", true),
        ("**", "anything", true),
        ("a", "A", false),
    ] {
        assert_eq!(glob(pattern, text), is, "{pattern} {text}");
    }
    assert!(arn("arn:aws:iam::1:policy/*", "arn:aws:iam::1:policy/a/b"));
    assert!(
        !arn("arn:aws:*:policy/a", "arn:aws:iam::1:policy/a"),
        "a part for itself"
    );
}

#[test]
fn a_key_that_is_missing_fails_a_comparison_unless_negated_or_if_exists() {
    let wanted = ["a".to_owned()];
    for (operator, holds) in [
        ("StringEquals", false),
        ("StringEqualsIfExists", true),
        ("StringNotEquals", true),
        ("ArnLike", false),
        ("ArnNotEquals", true),
        ("ForAnyValue:StringEqualsIgnoreCase", false),
        ("Bool", false),
        ("BoolIfExists", true),
    ] {
        assert_eq!(compare(operator, &wanted, None), holds, "{operator}");
    }
    assert!(compare("Null", &["true".to_owned()], None));
    assert!(
        compare("ForAllValues:StringNotEquals", &wanted, None),
        "of none, all are"
    );
    let several = |values: [&str; 2]| values.map(str::to_owned);
    assert!(compare(
        "ForAllValues:StringNotEquals",
        &wanted,
        Some(&several(["b", "c"]))
    ));
    assert!(!compare(
        "ForAllValues:StringNotEquals",
        &wanted,
        Some(&several(["a", "c"]))
    ));
    assert!(!compare("Null", &["false".to_owned()], None));
}
