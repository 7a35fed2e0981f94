//! Attempts of tenants to get more than a class allows, and requests that are as they should be: data in
//! `guard_corpus/`, where anyone can add a case (its README says how). Every attempt is made as it is written, in
//! every disguise that fits it (`guard_corpus/disguise.rs`), and under the default class that is shipped. What the
//! operator then does in AWS isn't looked at here.

// clippy.toml allows it in test functions only, not in what test functions share.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mlservicerole_operator::api::{MlServiceRoleClass, MlServiceRoleClassSpec, MlServiceRoleSpec};
use mlservicerole_operator::guard::{ClassRules, Refusal, Request, check, understand, violations};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[path = "guard_corpus/disguise.rs"]
mod disguise;

/// The fewest attempts, and the fewest legitimate requests, that the corpus may have.
const FEWEST: (usize, usize) = (150, 60);
/// The fewest disguises in which each attempt is made, of those that write in another way what is refused.
const FEWEST_DISGUISES: usize = 2;
/// The class that is shipped, by its name here.
const DEFAULT: &str = "default";

/// A class of `classes.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    /// For the reader.
    #[serde(rename = "about")]
    _about: String,
    spec: MlServiceRoleClassSpec,
    /// What the class allows: attempts are hidden beside it.
    fine: Value,
}

/// One request for a role.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The whole of it reads as what is asked for.
    name: String,
    class: String,
    /// Where the way is published; none for what follows from the class's rules alone.
    #[serde(rename = "source")]
    _source: Option<String>,
    /// Of one inline policy; short for a `spec` with it.
    statements: Option<Value>,
    spec: Option<Value>,
    /// Name of the object.
    #[serde(default = "trainer")]
    object: String,
    #[serde(default = "team_a")]
    namespace: String,
    /// Of the namespace, besides its name.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// The reason of one of the refusals; attempts only.
    reason: Option<String>,
    /// What the message holds: the rule and what was asked for; attempts only.
    #[serde(default)]
    says: Vec<String>,
    /// Why fewer than two disguises write in another way what is refused; attempts only.
    few_disguises: Option<String>,
    /// `allowed` where the default class allows it, since what is asked for is harmless there; else a reason.
    default: Option<String>,
}

fn trainer() -> String {
    "trainer".to_owned()
}

fn team_a() -> String {
    "team-a".to_owned()
}

impl Case {
    fn spec(&self) -> Value {
        match (&self.spec, &self.statements) {
            (Some(spec), None) => spec.clone(),
            (None, Some(statements)) => json!({"inlinePolicies": [
                {"name": "asked", "document": {"Version": "2012-10-17", "Statement": statements}}
            ]}),
            _ => panic!("{}: exactly one of spec and statements", self.name),
        }
    }

    /// All refusals of this spec, with the answer that the operator gives in the end compared.
    fn answer(&self, rules: &ClassRules, spec: &Value) -> Vec<Refusal> {
        let refusals = self.refusals(rules, spec);
        let decided = self.ask(rules, spec, |rules, request| check(rules, request).err());
        assert_eq!(decided, Refusal::joined(refusals.clone()), "{}", self.name);
        if let Some(refusal) = decided {
            assert!(
                refusal.message.len() <= 4096,
                "{}: {}",
                self.name,
                refusal.message.len()
            );
        }
        refusals
    }

    /// All refusals of this spec.
    fn refusals(&self, rules: &ClassRules, spec: &Value) -> Vec<Refusal> {
        let found = self.ask(rules, spec, violations);
        found.into_iter().map(|(_, refusal)| refusal).collect()
    }

    fn ask<T>(
        &self,
        rules: &ClassRules,
        spec: &Value,
        question: impl FnOnce(&ClassRules, Request<'_>) -> T,
    ) -> T {
        let spec: MlServiceRoleSpec =
            serde_json::from_value(spec.clone()).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let mut labels = self.labels.clone();
        labels.insert("kubernetes.io/metadata.name".to_owned(), self.namespace.clone());
        let request = Request {
            cluster: "prod",
            account: Some((&"aws".parse().unwrap(), &"111122223333".parse().unwrap())),
            namespace: &self.namespace,
            namespace_labels: &labels,
            name: &self.object,
            spec: &spec,
        };
        question(rules, request)
    }
}

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn read<T: DeserializeOwned>(file: &Path) -> T {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// All cases of a directory of the corpus.
fn cases(directory: &str) -> Vec<Case> {
    let directory = path("tests/guard_corpus").join(directory);
    let mut files: Vec<PathBuf> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for file in files {
        for case in read::<Vec<Case>>(&file) {
            let asked = (
                &case.class,
                case.spec().to_string(),
                &case.namespace,
                &case.object,
            );
            let is_new = seen.insert(format!("{asked:?}"));
            assert!(
                is_new,
                "{}: {:?} asks for what another case asks for",
                file.display(),
                case.name
            );
            all.push(case);
        }
    }
    all
}

fn classes() -> BTreeMap<String, Class> {
    let mut classes: BTreeMap<String, Class> = read(&path("tests/guard_corpus/classes.json"));
    let shipped = fs::read_to_string(path("deploy/kubectl/20-class.yaml")).unwrap();
    let shipped: MlServiceRoleClass = yaml_serde::from_str(&shipped).unwrap();
    let default = Class {
        _about: String::new(),
        spec: shipped.spec,
        fine: json!({"managedPolicyArns": ["arn:aws:iam::aws:policy/AmazonBedrockReadOnly"]}),
    };
    classes.insert(DEFAULT.to_owned(), default);
    classes
}

fn rules(classes: &BTreeMap<String, Class>) -> BTreeMap<String, ClassRules> {
    let understood = |(name, class): (&String, &Class)| {
        let rules = understand(name, &class.spec).unwrap_or_else(|refusal| panic!("{}", refusal.message));
        (name.clone(), rules)
    };
    classes.iter().map(understood).collect()
}

/// What is wrong with how an attempt was answered.
fn complaint(refusals: &[Refusal], reason: Option<&str>, says: &[String]) -> Option<String> {
    let of_reason: Vec<&Refusal> = refusals
        .iter()
        .filter(|refusal| reason.is_none_or(|reason| refusal.reason == reason))
        .collect();
    let answer: Vec<String> = refusals
        .iter()
        .map(|r| format!("{}: {}", r.reason, r.message))
        .collect();
    let answer = answer.join(" | ");
    if refusals.is_empty() {
        return Some("is allowed".to_owned());
    }
    let is_said = |refusal: &&Refusal| says.iter().all(|word| refusal.message.contains(word.as_str()));
    match of_reason.iter().any(is_said) {
        true => None,
        false => Some(format!(
            "isn't refused with {reason:?} and {says:?}, but with {answer}"
        )),
    }
}

fn fail_if_any(complaints: &[String]) {
    assert!(
        complaints.is_empty(),
        "{} of them:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

#[test]
fn the_corpus_is_as_large_as_it_has_to_be() {
    let (attempts, legitimate) = (cases("attempts").len(), cases("legitimate").len());
    println!("{attempts} attempts, {legitimate} legitimate requests");
    assert!(attempts >= FEWEST.0, "{attempts} attempts");
    assert!(legitimate >= FEWEST.1, "{legitimate} legitimate requests");
}

/// A published way to more rights.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    id: String,
    /// For the reader.
    #[serde(rename = "source")]
    _source: String,
    /// What it takes: all of these actions.
    actions: Vec<String>,
}

impl Case {
    /// The actions that its inline policies allow by their full names, in lower case.
    fn named_actions(&self) -> BTreeSet<String> {
        let spec = self.spec();
        let policies = spec["inlinePolicies"].as_array().into_iter().flatten();
        let statements = policies.flat_map(|policy| match &policy["document"]["Statement"] {
            Value::Array(statements) => statements.clone(),
            one => vec![one.clone()],
        });
        let allowing = statements.filter(|statement| statement["Effect"] == "Allow");
        let actions = allowing.flat_map(|statement| match &statement["Action"] {
            Value::Array(actions) => actions.clone(),
            one => vec![one.clone()],
        });
        actions
            .filter_map(|action| Some(action.as_str()?.to_ascii_lowercase()))
            .filter(|action| !action.contains(['*', '?', '$']))
            .collect()
    }
}

#[test]
fn each_published_way_is_tried_with_all_the_actions_that_it_takes() {
    let published: Vec<Published> = read(&path("tests/guard_corpus/published.json"));
    let ids: BTreeSet<&str> = published.iter().map(|way| way.id.as_str()).collect();
    assert_eq!(ids.len(), published.len(), "each has an id of its own");
    assert!(published.len() >= 65, "{}", published.len());
    let tried: Vec<BTreeSet<String>> = cases("attempts").iter().map(Case::named_actions).collect();
    let is_tried = |way: &&Published| {
        assert!(!way.actions.is_empty(), "{}", way.id);
        tried.iter().any(|named| {
            way.actions
                .iter()
                .all(|action| named.contains(&action.to_ascii_lowercase()))
        })
    };
    let missing: Vec<String> = published
        .iter()
        .filter(|way| !is_tried(way))
        .map(|way| format!("{} ({}) has no attempt", way.id, way.actions.join(", ")))
        .collect();
    fail_if_any(&missing);
}

#[test]
fn every_attempt_is_refused_and_the_refusal_names_the_rule() {
    let rules = rules(&classes());
    let mut complaints = Vec::new();
    for case in cases("attempts") {
        let reason = case
            .reason
            .as_deref()
            .unwrap_or_else(|| panic!("{} has no reason", case.name));
        assert!(!case.says.is_empty(), "{} says nothing", case.name);
        let refusals = case.answer(&rules[&case.class], &case.spec());
        let complaint = complaint(&refusals, Some(reason), &case.says);
        complaints.extend(complaint.map(|c| format!("{} ({}) {c}", case.name, case.class)));
    }
    fail_if_any(&complaints);
}

#[test]
fn every_attempt_is_refused_in_every_disguise() {
    let classes = classes();
    let rules = rules(&classes);
    let mut complaints = Vec::new();
    let (mut made, mut rewriting) = (0, 0);
    for case in cases("attempts") {
        let reason = case.reason.as_deref();
        let of_rule: Vec<String> = case
            .says
            .iter()
            .filter(|word| word.starts_with("allow."))
            .cloned()
            .collect();
        let disguises = disguise::all(&case.spec(), &classes[&case.class].fine);
        let rewritten = disguises.iter().filter(|disguised| disguised.rewrites).count();
        if (rewritten < FEWEST_DISGUISES) != case.few_disguises.is_some() {
            complaints.push(format!(
                "{} has {rewritten} disguises that rewrite it, and few_disguises says {:?}",
                case.name, case.few_disguises
            ));
        }
        made += disguises.len();
        rewriting += rewritten;
        for disguised in disguises {
            let (reason, says) = match disguised.keeps_reason {
                true => (reason, of_rule.as_slice()),
                false => (None, [].as_slice()),
            };
            let refusals = case.refusals(&rules[&case.class], &disguised.spec);
            let complaint = complaint(&refusals, reason, says);
            complaints.extend(
                complaint.map(|c| format!("{} ({}), {}: {c}", case.name, case.class, disguised.name)),
            );
        }
    }
    println!("{made} disguises, of which {rewriting} rewrite what is refused");
    fail_if_any(&complaints);
}

#[test]
fn the_shipped_default_class_refuses_every_attempt_also_in_disguise() {
    let classes = classes();
    let rules = &rules(&classes)[DEFAULT];
    let mut complaints = Vec::new();
    let mut tried = 0;
    for case in cases("attempts") {
        let spec = case.spec();
        if case.default.as_deref() == Some("allowed") {
            let refusals = case.answer(rules, &spec);
            assert_eq!(refusals, [], "{}: remove \"default\": \"allowed\"", case.name);
            continue;
        }
        tried += 1;
        let refusals = case.answer(rules, &spec);
        let of_plain = complaint(&refusals, case.default.as_deref(), &[]);
        complaints.extend(of_plain.map(|c| format!("{} (default) {c}", case.name)));
        for disguised in disguise::all(&spec, &classes[DEFAULT].fine) {
            let complaint = complaint(&case.refusals(rules, &disguised.spec), None, &[]);
            complaints.extend(complaint.map(|c| format!("{} (default), {}: {c}", case.name, disguised.name)));
        }
    }
    println!("{tried} attempts under the default class");
    assert!(tried >= FEWEST.0);
    fail_if_any(&complaints);
}

/// The floor is there whatever a class says.
#[test]
fn no_class_of_the_corpus_lets_an_escalating_action_through() {
    let rules = rules(&classes());
    let mut complaints = Vec::new();
    let escalating = |case: &Case| {
        matches!(
            case.reason.as_deref(),
            Some("EscalationNotAllowed" | "PassRoleNotAllowed")
        )
    };
    for case in cases("attempts").into_iter().filter(escalating) {
        for (name, rules) in &rules {
            let refusals = case.answer(rules, &case.spec());
            if refusals.is_empty() && !is_consented(&case, name) {
                complaints.push(format!("{} ({name}) is allowed", case.name));
            }
        }
    }
    fail_if_any(&complaints);
}

/// The class `consents` gives two consents, and these cases ask for just that.
fn is_consented(case: &Case, class: &str) -> bool {
    class == "consents"
        && ["open an object by its ACL", "open a key by a grant"].contains(&case.name.as_str())
}

#[test]
fn every_legitimate_request_is_allowed() {
    let rules = rules(&classes());
    let mut complaints = Vec::new();
    for case in cases("legitimate") {
        for refusal in case.answer(&rules[&case.class], &case.spec()) {
            complaints.push(format!(
                "{} ({}): {}: {}",
                case.name, case.class, refusal.reason, refusal.message
            ));
        }
    }
    fail_if_any(&complaints);
}

#[test]
fn what_attempts_are_hidden_beside_is_allowed_by_itself() {
    let classes = classes();
    let rules = rules(&classes);
    let case = cases("attempts").remove(0);
    for (name, class) in &classes {
        assert_eq!(case.refusals(&rules[name], &class.fine), [], "{name}");
    }
}

/// Case, a further condition or a Deny beside it must not make the guard refuse what it allows.
#[test]
fn legitimate_requests_stay_allowed_where_a_disguise_changes_nothing_about_them() {
    let classes = classes();
    let rules = rules(&classes);
    let mut complaints = Vec::new();
    for case in cases("legitimate")
        .into_iter()
        .filter(|case| case.namespace == team_a())
    {
        for disguised in disguise::all(&case.spec(), &classes[&case.class].fine) {
            if !disguised.means_the_same {
                continue;
            }
            for refusal in case.refusals(&rules[&case.class], &disguised.spec) {
                complaints.push(format!(
                    "{} ({}), {}: {}",
                    case.name, case.class, disguised.name, refusal.message
                ));
            }
        }
    }
    fail_if_any(&complaints);
}
