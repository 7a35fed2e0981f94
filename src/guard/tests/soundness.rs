//! Whatever an accepted document allows, one rule of the class allows: tried request by request in a small world, by an
//! evaluation of policies written apart from the guard.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fixtures::NAMES;
use super::pattern::{Dice, cases, matches};
use crate::api::class::InlineRule;
use crate::guard::inline::{check, understand};
use crate::iam::document::PolicyDocument;

const NAMES_OF_ACTIONS: [&str; 7] = ["a", "b", "ab", "*", "a*", "?", "*b"];
const NAMES_OF_RESOURCES: [&str; 12] = [
    "a",
    "b",
    "*",
    "a*",
    "*b",
    "?",
    "a/*",
    "${aws:v}",
    "a/${aws:v}",
    "${aws:v}/*",
    "a:b",
    "*:b",
];
const ACCOUNTS: [&str; 4] = ["", "1", "*", "?"];
const VALUES: [&str; 8] = ["a", "b", "ab", "*", "a*", "?", "${aws:v}", "a${*}"];
const OPERATORS: [&str; 13] = [
    "StringEquals",
    "stringequals",
    "StringNotEquals",
    "StringLike",
    "StringNotLike",
    "StringEqualsIfExists",
    "StringLikeIfExists",
    "StringNotLikeIfExists",
    "ForAllValues:StringEquals",
    "ForAnyValue:StringLike",
    "ForAnyValue:StringNotEquals",
    "ForAllValues:StringNotLike",
    "Null",
];

/// What is asked of AWS.
struct Request<'a> {
    action: &'a str,
    resource: &'a str,
    /// The values of the condition key `aws:k`.
    key: &'a [&'a str],
    /// The text of the policy variable `aws:v`.
    variable: &'a str,
}

/// Texts that match a pattern of a policy. The variable's text is no pattern, so its characters are put out of reach.
fn like(pattern: &str, text: &str, variable: &str) -> bool {
    let hidden =
        |text: &str| -> String { text.chars().map(|c| if c == '*' { '\u{1}' } else { c }).collect() };
    let pattern = pattern
        .replace("${*}", "\u{1}")
        .replace("${aws:v}", &hidden(variable));
    let text = hidden(text);
    matches(
        &pattern.chars().collect::<Vec<_>>(),
        &text.chars().collect::<Vec<_>>(),
    )
}

fn equal(written: &str, text: &str, variable: &str) -> bool {
    written.replace("${*}", "*").replace("${aws:v}", variable) == text
}

/// IAM user guide, "IAM JSON policy elements: Condition operators".
fn holds(operator: &str, values: &[String], request: &Request<'_>) -> bool {
    let operator = operator.to_ascii_lowercase();
    if operator == "null" {
        return values
            .iter()
            .any(|value| (value == "true") == request.key.is_empty());
    }
    let (set, plain) = match operator.split_once(':') {
        Some((set, plain)) => (Some(set.to_owned()), plain.to_owned()),
        None => (None, operator),
    };
    let (if_exists, plain) = match plain.strip_suffix("ifexists") {
        Some(plain) => (true, plain.to_owned()),
        None => (false, plain),
    };
    let negated = plain.contains("not");
    let single = |text: &str| {
        let found = values.iter().any(|value| match plain.contains("like") {
            true => like(value, text, request.variable),
            false => equal(value, text, request.variable),
        });
        found != negated
    };
    match set.as_deref() {
        _ if request.key.is_empty() && if_exists => true,
        Some("forallvalues") => request.key.iter().all(|text| single(text)),
        Some(_) => request.key.iter().any(|text| single(text)),
        None if request.key.is_empty() => negated,
        None => match negated {
            true => request.key.iter().all(|text| single(text)),
            false => request.key.iter().any(|text| single(text)),
        },
    }
}

type Conditions = BTreeMap<String, BTreeMap<String, Vec<String>>>;

fn allows(actions: &[String], resources: &[String], conditions: &Conditions, request: &Request<'_>) -> bool {
    actions
        .iter()
        .any(|action| like(&action.to_ascii_lowercase(), request.action, ""))
        && resources
            .iter()
            .any(|resource| like(resource, request.resource, request.variable))
        && conditions.iter().all(|(operator, keys)| {
            keys.iter().all(|(key, values)| {
                assert!(key.eq_ignore_ascii_case("aws:k"));
                holds(operator, values, request)
            })
        })
}

fn some(dice: &mut Dice, most: usize, make: impl Fn(&mut Dice) -> String) -> Vec<String> {
    (0..=dice.below(most)).map(|_| make(dice)).collect()
}

fn action(dice: &mut Dice) -> String {
    let service = *dice.of(&["s", "s", "S"]);
    format!("{service}:{}", dice.of(&NAMES_OF_ACTIONS))
}

fn resource(dice: &mut Dice) -> String {
    match dice.below(8) {
        0 => "*".to_owned(),
        _ => format!(
            "arn:aws:s::{}:{}",
            dice.of(&ACCOUNTS),
            dice.of(&NAMES_OF_RESOURCES)
        ),
    }
}

fn conditions(dice: &mut Dice, otherwise: &Conditions) -> Conditions {
    match dice.below(4) {
        0 => Conditions::new(),
        1 | 2 => otherwise.clone(),
        _ => {
            let operator = *dice.of(&OPERATORS);
            let values = match operator {
                "Null" => vec![(*dice.of(&["true", "false"])).to_owned()],
                _ => some(dice, 2, |dice| (*dice.of(&VALUES)).to_owned()),
            };
            let key = *dice.of(&["aws:k", "AWS:K"]);
            BTreeMap::from([(operator.to_owned(), BTreeMap::from([(key.to_owned(), values)]))])
        }
    }
}

#[test]
fn whatever_an_accepted_document_allows_one_rule_allows() {
    let cases = cases("GUARD_SOUNDNESS_CASES", 3_000);
    let mut dice = Dice::new(11);
    let mut requests = Vec::new();
    for action in ["s:a", "s:b", "s:ab", "s:c"] {
        for resource in ["a", "b", "c", "ab", "a/", "a/c", "a/b", "c/c", "a:b", "*"] {
            for account in ["", "1", "2"] {
                for variable in ["a", "c", "", "*", "a/b", "1:b"] {
                    for key in [&[][..], &["a"], &["b"], &["c"], &["ab", "a"], &["a*"]] {
                        requests.push((action, format!("arn:aws:s::{account}:{resource}"), key, variable));
                    }
                }
            }
        }
    }
    let mut accepted = 0;
    for _ in 0..cases {
        let rules: Vec<InlineRule> = (0..=dice.below(2))
            .map(|_| InlineRule {
                actions: some(&mut dice, 2, action),
                resources: some(&mut dice, 2, resource),
                conditions: conditions(&mut dice, &Conditions::new()),
            })
            .collect();
        let first = &rules[0];
        // Often near the first rule, else hardly any is accepted.
        let (actions, resources) = match dice.below(3) {
            0 => (some(&mut dice, 2, action), some(&mut dice, 2, resource)),
            1 => (first.actions.clone(), some(&mut dice, 2, resource)),
            _ => (some(&mut dice, 2, action), first.resources.clone()),
        };
        let wanted = conditions(&mut dice, &first.conditions);
        let mut statement = json!({"Effect": "Allow", "Action": actions, "Resource": resources});
        if !wanted.is_empty() {
            statement["Condition"] = json!(wanted);
        }
        let document: Value = json!({"Version": "2012-10-17", "Statement": [statement]});
        let document = PolicyDocument::from_value(&document).unwrap();
        let understood: Vec<_> = rules.iter().map(|rule| understand(rule).unwrap()).collect();
        if !check(&document, &understood, NAMES).is_empty() {
            continue;
        }
        accepted += 1;
        for (action, resource, key, variable) in &requests {
            let request = Request {
                action,
                resource,
                key,
                variable,
            };
            if allows(&actions, &resources, &wanted, &request) {
                let covered = rules
                    .iter()
                    .any(|rule| allows(&rule.actions, &rule.resources, &rule.conditions, &request));
                assert!(
                    covered,
                    "{action} on {resource} with {key:?} and {variable:?} is allowed by {actions:?} {resources:?} \
                     {wanted:?}, and by none of {rules:?}"
                );
            }
        }
    }
    assert!(accepted * 40 > cases, "only {accepted} of {cases} were accepted");
}
