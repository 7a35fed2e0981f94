//! Inline policies: whether each thing that a document allows is covered by a rule of the class. The built-in floor
//! is [`floor`](super::floor)'s business.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::Demand;
use super::pattern::Pattern;
use super::resource;
use super::template::{Names, Template};
use super::violation::{Violation, quoted, some_of};
use crate::api::class::InlineRule;
use crate::api::condition::reasons;
use crate::iam::arn::Partition;
use crate::iam::document::{Effect, PolicyDocument, Scope, Statement, is_operator};

/// For looking at a resource's form, whatever is filled in.
const NOWHERE: Names<'_> = Names {
    cluster: "c",
    namespace: "n",
};

/// A rule of `allow.inline`, understood.
#[derive(Clone, Debug)]
pub struct Rule {
    actions: Vec<Pattern>,
    resources: Vec<Template>,
    demands: Vec<Demand>,
}

impl Rule {
    /// Where it allows its actions.
    pub(super) fn resources(&self) -> &[Template] {
        &self.resources
    }

    /// The keys of its conditions.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.demands.iter().map(|demand| demand.key.as_str())
    }

    /// The values of each of its conditions.
    pub(super) fn demanded(&self) -> impl Iterator<Item = &[Template]> {
        self.demands.iter().map(|demand| demand.values.as_slice())
    }
}

/// Reads a rule, or says all that is wrong with it.
pub(super) fn understand(written: &InlineRule) -> Result<Rule, Vec<String>> {
    let mut wrong = Vec::new();
    let actions = kept(&mut wrong, &written.actions, action_of_rule);
    let resources = kept(&mut wrong, &written.resources, resource_of_rule);
    if written.actions.is_empty() || written.resources.is_empty() {
        wrong.push("a rule needs actions and resources; write at least one of each".to_owned());
    }
    let mut demands = Vec::new();
    let mut seen = BTreeSet::new();
    for (operator, keys) in &written.conditions {
        if !is_operator(operator) || keys.is_empty() {
            wrong.push(format!(
                "the condition {} must be one of IAM's operators, such as StringEquals, with at least one key",
                quoted(operator)
            ));
        }
        for (key, values) in keys {
            let what = format!("the condition {operator} {}", quoted(key));
            if !key.contains(':') || values.is_empty() {
                wrong.push(format!(
                    "{what} needs a key such as aws:SourceVpc, and at least one value"
                ));
            }
            if !seen.insert((operator.to_ascii_lowercase(), key.to_ascii_lowercase())) {
                wrong.push(format!(
                    "{what} is there twice, if only in another case; merge the two"
                ));
            }
            let read = |text: &str| Template::of_policy(text).map_err(|e| format!("{what}: {e}"));
            demands.push(Demand {
                operator: operator.clone(),
                key: key.clone(),
                values: kept(&mut wrong, values, read),
            });
        }
    }
    match wrong.is_empty() {
        true => Ok(Rule {
            actions,
            resources,
            demands,
        }),
        false => Err(wrong),
    }
}

/// What can be read of these texts; what can't is noted.
fn kept<T>(wrong: &mut Vec<String>, texts: &[String], read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
    let mut found = Vec::new();
    for text in texts {
        match read(text) {
            Ok(value) => found.push(value),
            Err(what) => wrong.push(what),
        }
    }
    found
}

fn action_of_rule(text: &str) -> Result<Pattern, String> {
    if text == "*" {
        return Err(
            "\"*\" in actions is every action of every service, also of those to come; name the services, such as s3:Get*"
                .to_owned(),
        );
    }
    action(text).ok_or_else(|| {
        format!(
            "{} in actions isn't an action; write service:action with the service in full, such as s3:Get*",
            quoted(text)
        )
    })
}

/// An action as a pattern in lower case, since AWS compares actions without regard to case.
pub(super) fn action(text: &str) -> Option<Pattern> {
    let (service, name) = text.split_once(':')?;
    let named = |text: &str, others: &[u8]| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
    };
    (named(service, b"-.") && named(name, b"-_.*?")).then(|| Pattern::glob(text).in_lower_case())
}

fn resource_of_rule(text: &str) -> Result<Template, String> {
    let template = Template::of_policy(text).map_err(|e| format!("resources: {e}"))?;
    // A placeholder in partition or service shows by its braces, which no name holds.
    let (partition, service) = match text.splitn(4, ':').collect::<Vec<_>>()[..] {
        [_, partition, service, _] => (partition, service),
        _ => ("", ""),
    };
    let is_service = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let in_full = resource::parts(&template.fill(NOWHERE)).is_some()
        && partition.parse::<Partition>().is_ok()
        && !service.is_empty()
        && service.chars().all(is_service);
    match in_full || text == "*" {
        true => Ok(template),
        false => Err(format!(
            "{} in resources is neither \"*\" nor an ARN with all of its six parts, partition and service in full, \
             such as arn:aws:s3:::bucket/{{namespace}}/*",
            quoted(text)
        )),
    }
}

/// A rule for one namespace and cluster.
struct Filled<'a> {
    rule: &'a Rule,
    resources: Vec<Pattern>,
}

/// Everything in a document's Allow statements that no rule covers. Deny statements only take away, and are always
/// allowed.
pub(super) fn check(document: &PolicyDocument, rules: &[Rule], names: Names<'_>) -> Vec<Violation> {
    let rules: Vec<Filled<'_>> = rules
        .iter()
        .map(|rule| Filled {
            rule,
            resources: rule
                .resources
                .iter()
                .map(|resource| resource.fill(names))
                .collect(),
        })
        .collect();
    let allows = document.statements().iter().enumerate();
    allows
        .filter(|(_, statement)| statement.effect() == Effect::Allow)
        .flat_map(|at| check_statement(at, &rules, names))
        .collect()
}

/// Those of the rules, by number, that cover something; with all texts that the same rules cover.
type Covered<'a> = BTreeMap<BTreeSet<usize>, Vec<&'a str>>;

fn check_statement(at: (usize, &Statement), rules: &[Filled<'_>], names: Names<'_>) -> Vec<Violation> {
    let (_, statement) = at;
    let mut found = Vec::new();
    let mut refuse = |element: &str, problem: String| {
        found.push(Violation::new(
            reasons::INLINE_POLICY_NOT_ALLOWED,
            at,
            element,
            problem,
        ));
    };
    let (Scope::Only(actions), Some(Scope::Only(resources))) = (statement.action(), statement.resource())
    else {
        if let Scope::AllExcept(_) = statement.action() {
            refuse(
                "NotAction",
                "it allows every action but those that it names, also those that AWS adds later; list the actions that \
                 are needed in Action"
                    .to_owned(),
            );
        }
        if !matches!(statement.resource(), Some(Scope::Only(_))) {
            refuse(
                "NotResource",
                "it allows every resource but those that it names; list the resources that are needed in Resource"
                    .to_owned(),
            );
        }
        return found;
    };
    let mut covered_actions = Covered::new();
    for text in actions {
        let pattern = if text == "*" {
            Some(Pattern::glob(text))
        } else {
            action(text)
        };
        let Some(pattern) = pattern else {
            refuse(
                "Action",
                format!(
                    "{} isn't an action; write service:action, such as s3:GetObject",
                    quoted(text)
                ),
            );
            continue;
        };
        let by = |filled: &Filled<'_>| filled.rule.actions.iter().any(|own| own.includes(&pattern));
        covered_actions.entry(numbers(rules, by)).or_default().push(text);
    }
    let mut covered_resources = Covered::new();
    for text in resources {
        match Pattern::policy_text(text) {
            Ok(pattern) => {
                let by = |filled: &Filled<'_>| {
                    filled
                        .resources
                        .iter()
                        .any(|own| resource::includes(own, &pattern))
                };
                covered_resources
                    .entry(numbers(rules, by))
                    .or_default()
                    .push(text);
            }
            Err(e) => refuse("Resource", format!("in {}, {e}", quoted(text))),
        }
    }
    let met = numbers(rules, |filled| {
        let demands = &filled.rule.demands;
        demands
            .iter()
            .all(|demand| demand.is_met_by(statement.condition(), names))
    });
    for (by_action, actions) in &covered_actions {
        if by_action.is_empty() {
            refuse("Action", no_rule_for(actions, rules));
            continue;
        }
        for (by_resource, resources) in &covered_resources {
            let both: BTreeSet<usize> = by_action.intersection(by_resource).copied().collect();
            if both.is_empty() {
                refuse("Resource", not_there(actions, resources, by_action, rules));
            } else if both.is_disjoint(&met) {
                refuse("Condition", demanded(actions, resources, &both, rules, names));
            }
        }
    }
    found
}

fn numbers(rules: &[Filled<'_>], holds: impl Fn(&Filled<'_>) -> bool) -> BTreeSet<usize> {
    let numbered = rules.iter().enumerate();
    numbered
        .filter(|(_, rule)| holds(rule))
        .map(|(number, _)| number)
        .collect()
}

fn no_rule_for(actions: &[&str], rules: &[Filled<'_>]) -> String {
    let written: Vec<String> = actions.iter().map(|text| quoted(text)).collect();
    let patterns: Vec<Pattern> = actions.iter().filter_map(|text| action(text)).collect();
    let part: BTreeSet<String> = rules
        .iter()
        .flat_map(|filled| &filled.rule.actions)
        .filter(|own| patterns.iter().any(|pattern| pattern.intersects(own)))
        .map(ToString::to_string)
        .collect();
    let part: Vec<String> = part.into_iter().collect();
    let of_those = match part.is_empty() {
        true => "remove it".to_owned(),
        false => format!("write only what the rules name ({})", some_of(&part, 5)),
    };
    format!(
        "no rule of allow.inline covers {}; {of_those}, or ask the platform admin to add it to allow.inline",
        some_of(&written, 3)
    )
}

fn not_there(actions: &[&str], resources: &[&str], by: &BTreeSet<usize>, rules: &[Filled<'_>]) -> String {
    let written: Vec<String> = resources.iter().map(|text| quoted(text)).collect();
    let allowed: Vec<String> = chosen(by, rules)
        .flat_map(|filled| &filled.resources)
        .map(ToString::to_string)
        .collect();
    format!(
        "no one rule of allow.inline covers {} on {}; write resources within {}, or ask the platform admin to add a rule \
         to allow.inline",
        actions.first().map(|text| quoted(text)).unwrap_or_default(),
        some_of(&written, 3),
        some_of(&allowed, 3)
    )
}

fn demanded(
    actions: &[&str],
    resources: &[&str],
    by: &BTreeSet<usize>,
    rules: &[Filled<'_>],
    names: Names<'_>,
) -> String {
    let demands: Vec<String> = chosen(by, rules)
        .take(1)
        .flat_map(|filled| &filled.rule.demands)
        .map(|demand| demand.shown(names))
        .collect();
    format!(
        "the rule of allow.inline that covers {} on {} demands {}; add the condition with that operator and no other \
         values, or ask the platform admin to add a rule to allow.inline",
        actions.first().map(|text| quoted(text)).unwrap_or_default(),
        resources.first().map(|text| quoted(text)).unwrap_or_default(),
        some_of(&demands, 3)
    )
}

fn chosen<'a, 'b>(
    by: &'b BTreeSet<usize>,
    rules: &'b [Filled<'a>],
) -> impl Iterator<Item = &'b Filled<'a>> + 'b {
    by.iter().filter_map(|number| rules.get(*number))
}
