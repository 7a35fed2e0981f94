//! Whatever a tenant writes as a value, it is refused, or it is a literal in exactly its place.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::super::template::Piece;
use super::*;

/// Pieces that hostile values are made of: what means something in ARNs, policies, JSON, URLs, shells and logs.
const PIECES: &[&str] = &[
    "*",
    "?",
    "${",
    "}",
    "$",
    "$$",
    "{namespace}",
    "${aws:username}",
    "\"",
    "'",
    "`",
    "\\",
    "\\u002a",
    "%2a",
    ",",
    ":",
    "::",
    "/",
    "//",
    "/*",
    "..",
    "../",
    ".",
    "-",
    "--",
    "_",
    "_all",
    "_plugins",
    "+",
    "=",
    "@",
    "#",
    "&",
    "|",
    ";",
    "<",
    ">",
    "(",
    ")",
    "[",
    "]",
    "!",
    "~",
    "^",
    " ",
    "\t",
    "\n",
    "\r",
    "\0",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{a0}",
    "\u{200b}",
    "\u{202e}",
    "\u{feff}",
    "\u{ff0a}",
    "ｅ",
    "é",
    "😀",
    "a",
    "b",
    "z",
    "A",
    "Z",
    "0",
    "9",
    "team-a",
    "arn:aws:s3:::x",
    "self",
    "us",
    "us-east-1",
    "global",
    "true",
    "null",
    "role",
    "fs-0123456789abcdef0",
    "fsap-0123456789abcdef0",
    "mrk-",
];

fn hostile_value() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 0..6).prop_map(|pieces| pieces.concat());
    prop_oneof![
        4 => pieces,
        1 => any::<String>(),
        1 => "[ -~]{0,40}",
        1 => (1usize..600).prop_map(|length| "a".repeat(length)),
    ]
}

/// An example with something done to it: so near to a good value that many get through.
fn near_value() -> impl Strategy<Value = (u8, usize, &'static str)> {
    (0u8..4, 0usize..40, prop::sample::select(PIECES))
}

fn damage(example: &str, (way, at, piece): (u8, usize, &str)) -> String {
    let at = at.min(example.len());
    let (before, after) = example.split_at(at);
    match way {
        0 => format!("{piece}{example}"),
        1 => format!("{example}{piece}"),
        2 => format!("{before}{piece}{after}"),
        _ => format!("{before}{piece}"),
    }
}

/// What a policy says: each action with each resource, and what stands in the conditions.
#[derive(Debug, Default, PartialEq)]
struct Said {
    pairs: BTreeSet<(String, String)>,
    conditions: BTreeSet<String>,
}

impl Said {
    fn add(&mut self, actions: &BTreeSet<String>, resources: &BTreeSet<String>) {
        for action in actions {
            self.pairs.extend(
                resources
                    .iter()
                    .map(|resource| (action.clone(), resource.clone())),
            );
        }
    }

    fn count(&self, of: &[&str]) -> usize {
        let resources: BTreeSet<&String> = self.pairs.iter().map(|(_, resource)| resource).collect();
        let texts = resources.into_iter().chain(&self.conditions);
        texts
            .map(|text| of.iter().map(|part| text.matches(part).count()).sum::<usize>())
            .sum()
    }
}

/// What a preset must say for one value of each parameter, made here in another way than by the engine.
fn expected(version: &PresetVersion, values: &With, somewhere: &Somewhere) -> Said {
    let fill = |template: &Template| -> String {
        let pieces = template.pieces().iter().map(|piece| match piece {
            Piece::Literal(literal) => literal.clone(),
            Piece::Partition => somewhere.partition.to_string(),
            Piece::Region => somewhere.region.to_owned(),
            Piece::Account => somewhere.account.to_string(),
            Piece::DnsSuffix => "amazonaws.com".to_owned(),
            Piece::Parameter(index) => {
                let parameter = &version.parameters[*index];
                let value = &values[&parameter.name][0];
                match (parameter.passes_role, value.as_str()) {
                    (false, value) => value.to_owned(),
                    (true, OWN_ROLE) => somewhere.role.to_string(),
                    (true, name) => format!("arn:aws:iam::{}:role/{name}", somewhere.account),
                }
            }
        });
        pieces.collect()
    };
    let mut said = Said::default();
    for statement in &version.statements {
        let actions = statement.actions.iter().cloned().collect();
        said.add(&actions, &statement.resources.iter().map(fill).collect());
        said.conditions
            .extend(statement.condition_values().flatten().map(fill));
    }
    said
}

fn strings(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => BTreeSet::from([text.clone()]),
        Value::Array(values) => values.iter().flat_map(strings).collect(),
        Value::Object(map) => map.values().flat_map(strings).collect(),
        _ => BTreeSet::new(),
    }
}

fn said(document: &Value) -> Said {
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        one => vec![one.clone()],
    };
    let mut said = Said::default();
    for statement in statements {
        assert_eq!(statement["Effect"], "Allow");
        for key in statement.as_object().unwrap().keys() {
            assert!(["Effect", "Action", "Resource", "Condition"].contains(&key.as_str()));
        }
        said.add(&strings(&statement["Action"]), &strings(&statement["Resource"]));
        said.conditions.extend(strings(&statement["Condition"]));
    }
    said
}

fn cases() -> u32 {
    std::env::var("PRESET_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(5000)
}

fn try_value(preset: &Preset, parameter: &Parameter, value: &str) {
    let version = preset.versions.last().unwrap();
    let mut values: With = examples(version)
        .into_iter()
        .map(|(name, examples)| (name, vec![examples[0].clone()]))
        .collect();
    values.insert(parameter.name.clone(), vec![value.to_owned()]);
    let request = Request {
        version: Some(version.number),
        ..request(&preset.name, &values)
    };
    let checked = match check(request) {
        Ok(checked) => checked,
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.is_ascii() || text.chars().all(|c| !c.is_control()),
                "{text:?}"
            );
            assert!(text.len() < 2000, "{text}");
            return;
        }
    };
    let somewhere = ireland();
    let document = expand(&[checked], &somewhere.place()).unwrap().unwrap().to_json();
    let document: Value = serde_json::from_str(&document).unwrap();
    let said = said(&document);
    assert_eq!(said, expected(version, &values, &somewhere), "{value:?}");

    let templates = || version.statements.iter().flat_map(StatementTemplate::templates);
    let wildcards = |text: &str| text.matches(['*', '?']).count();
    let by_value = if parameter.glob { wildcards(value) } else { 0 };
    let allowed: usize = templates()
        .map(|template| wildcards(template.source()) + by_value * template.parameters().count())
        .sum();
    assert!(said.count(&["*", "?"]) <= allowed, "{value:?}");
    let allowed: usize = templates()
        .map(|template| template.source().matches("$${").count())
        .sum();
    assert!(said.count(&["$"]) <= allowed, "{value:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn a_hostile_value_is_refused_or_stays_a_literal_in_its_place(
        preset in 0..catalogue().len(),
        which in any::<prop::sample::Index>(),
        hostile in hostile_value(),
        near in near_value(),
    ) {
        let preset = &catalogue()[preset];
        let version = preset.versions.last().unwrap();
        if !version.parameters.is_empty() {
            let parameter = &version.parameters[which.index(version.parameters.len())];
            try_value(preset, parameter, &hostile);
            try_value(preset, parameter, &damage(&parameter.example[0], near));
        }
    }

    #[test]
    fn a_hostile_request_is_refused_without_a_panic(
        name in hostile_value(),
        parameter in hostile_value(),
        value in hostile_value(),
        version in prop::option::of(any::<u32>()),
    ) {
        let values = With::from([(parameter, vec![value])]);
        let refusal = check(Request { preset: &name, version, with: &values }).unwrap_err().to_string();
        prop_assert!(refusal.chars().all(|c| !c.is_control()));
        prop_assert!(refusal.chars().count() < 1000);
    }
}
