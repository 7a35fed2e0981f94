//! Hostile policies: whatever is written, the reader and the guard answer without a panic, and with no more work than a
//! fixed number of steps for each byte.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

use super::fixtures::*;
use super::pattern::{Dice, cases, steps};
use crate::api::role::InlinePolicy;
use crate::guard::ClassRules;
use crate::guard::policy;
use crate::iam::document::{self, Kind, PolicyDocument};

/// Documents to start from.
const REAL: [&str; 4] = [
    r#"{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],
        "Resource":["arn:aws:s3:::shared","arn:aws:s3:::shared/*"]}]}"#,
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::ml",
        "Condition":{"StringLike":{"s3:prefix":["team-a/*","${aws:userid}/*"]},"Bool":{"aws:SecureTransport":true}}}}"#,
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:PassRole",
        "Resource":"arn:aws:iam::111122223333:role/ml/exec","Condition":{"StringEquals":{"iam:PassedToService":
        "sagemaker.amazonaws.com"}}},{"Effect":"Deny","NotAction":"s3:*","NotResource":"*"}]}"#,
    r#"{"Version":"2012-10-17","Id":"x","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
];

const PIECES: [&str; 40] = [
    "*",
    "?",
    "**",
    "?*?*",
    "${",
    "}",
    "${aws:username}",
    "${*}",
    "{namespace}",
    "\"",
    "\\",
    "\\u0000",
    "\\u0073",
    "\\ud800",
    "\u{e9}",
    "\u{202e}",
    "\n",
    ":",
    "::::::",
    "arn:",
    "[",
    "]",
    "{",
    "}",
    ",",
    "null",
    "-1e999",
    "1e400",
    "\"Action\":",
    "\"NotAction\":",
    "\"Effect\":\"Allow\",",
    "Statement",
    "s3:",
    "S3:GETOBJECT",
    "iam:Pass*",
    "true",
    " ",
    "[[[[[[[[",
    "\u{ff}",
    "",
];

fn class() -> ClassRules {
    rules(&least_class(&json!({"allow": {
        "inline": [
            {"actions": ["s3:Get*", "s3:?ist*", "s3:*t*"], "resources": ["arn:aws:s3:::shared*", "arn:aws:s3:::*/a?b*c/*"]},
            {"actions": ["s3:ListBucket"], "resources": ["arn:aws:s3:::ml"], "conditions": {"StringLike": {"s3:prefix": ["{namespace}/*", "*a?a*"]}}},
            {"actions": ["iam:PassRole"], "resources": ["arn:aws:iam::*:role/ml/*"]},
        ],
        "passRoleArns": ["arn:aws:iam::111122223333:role/ml/exec"],
    }})))
}

/// How many steps the guard takes for a document. It must not panic.
fn work(document: Value, rules: &ClassRules) -> usize {
    let policy = InlinePolicy {
        name: "p".to_owned(),
        document,
    };
    steps(|| {
        for (_, refusal) in policy::check_all(std::slice::from_ref(&policy), rules, NAMES) {
            assert!(refusal.message.len() < 4_096, "{}", refusal.message);
            assert!(!refusal.message.contains('\n'), "{:?}", refusal.message);
        }
    })
}

/// The steps for each byte that nothing may exceed: the patterns of the class and of a service's part of the floor, held
/// against each character. Four times the most that was measured, 478 of the shape "runs".
const STEPS_PER_BYTE: usize = 2_000;

#[test]
fn no_mutation_of_a_policy_makes_a_panic_or_more_than_linear_work() {
    let rules = class();
    let mut dice = Dice::new(21);
    let (mut judged, mut read, mut most) = (0, 0, 0);
    let mut kept: Vec<String> = REAL.map(str::to_owned).to_vec();
    for case in 0..cases("GUARD_FUZZ_CASES", 20_000) {
        let mut text = dice.of(&kept).clone();
        for _ in 0..=dice.below(4) {
            text = mutated(&mut dice, &text);
        }
        let spent = processor_time(|| {
            let _ = PolicyDocument::parse(&text);
        });
        assert!(
            spent <= PARSING_PER_BYTE * (text.len() as u32 + 1_000),
            "{spent:?} for {text}"
        );
        if let Ok(document) = serde_json::from_str::<Value>(&text) {
            read += 1;
            let reaches = reaches_the_rules(&document);
            judged += usize::from(reaches);
            let steps = work(document, &rules);
            most = most.max(steps / (text.len() + 1));
            assert!(
                steps <= STEPS_PER_BYTE * (text.len() + 1),
                "{steps} steps for {text}"
            );
            if case % 64 == 0 && text.len() < 2_000 && reaches {
                kept.push(text);
            }
            if kept.len() > 200 {
                kept.truncate(REAL.len());
            }
        }
    }
    println!("{read} of JSON, {judged} reach the rules, at most {most} steps for each byte");
    assert!(judged > read / 5, "only {judged} of {read} reach the rules");
}

/// Whether the document conforms to the grammar and to what IAM asks beyond, so that the floor and the rules are asked.
fn reaches_the_rules(document: &Value) -> bool {
    PolicyDocument::from_value(document)
        .is_ok_and(|document| document::check(&document, Kind::Identity).is_ok())
}

/// What reading a byte may take at most: a few hundred times what it takes, since a machine has other things to do too.
const PARSING_PER_BYTE: Duration = Duration::from_micros(20);

/// The time that this thread was running, whatever others run beside it.
fn processor_time(work: impl FnOnce()) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    };
    let before = now();
    work();
    now().saturating_sub(before)
}

/// The parser has no count of its steps, so its time is taken: of several attempts the shortest.
#[test]
fn four_times_the_text_takes_the_parser_about_four_times_as_long() {
    let statements = |count: usize, statement: &dyn Fn(usize) -> Value| json!({"Version": "2012-10-17", "Statement": (0..count).map(statement).collect::<Vec<_>>()});
    let of_one = |element: &str, value: Value| {
        let mut statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"});
        statement[element] = value;
        json!({"Version": "2012-10-17", "Statement": [statement]})
    };
    let texts = |count: usize| (0..count).map(|i| json!(format!("text-{i}"))).collect::<Value>();
    let object = |count: usize, value: &Value| {
        (0..count)
            .map(|i| (format!("key-{i}"), value.clone()))
            .collect::<Map<String, Value>>()
    };
    let shapes: [(&str, &dyn Fn(usize) -> Value); 7] = [
        ("statements with a Sid", &|count| {
            statements(
                count,
                &|i| json!({"Sid": format!("S{i}"), "Effect": "Allow", "Action": "s3:*"}),
            )
        }),
        ("actions", &|count| of_one("Action", texts(count))),
        ("a long action", &|count| {
            of_one("Action", json!("s".repeat(count * 8)))
        }),
        ("keys of a condition", &|count| {
            of_one("Condition", json!({"StringLike": object(count, &json!("x"))}))
        }),
        ("operators", &|count| {
            of_one("Condition", Value::Object(object(count, &json!({"k": "x"}))))
        }),
        ("unknown elements", &|count| {
            Value::Object(object(count, &json!(1)))
        }),
        ("values of a condition", &|count| {
            of_one("Condition", json!({"StringLike": {"k": texts(count)}}))
        }),
    ];
    for (shape, document) in shapes {
        let time = |count: usize| {
            let text = document(count).to_string();
            let once = || {
                processor_time(|| {
                    let _ = PolicyDocument::parse(&text);
                })
            };
            (0..7).map(|_| once()).min().unwrap_or_default()
        };
        let (one, four) = (time(2_000), time(8_000));
        println!("{shape}: {one:?} and {four:?}");
        // Quadratic work would take sixteen times as long.
        assert!(
            four <= one * 10 + Duration::from_micros(200),
            "{shape}: {one:?} and {four:?}"
        );
    }
}

fn mutated(dice: &mut Dice, text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = dice.below(chars.len() + 1);
    let to = (at + dice.below(12)).min(chars.len());
    let (before, after) = (
        chars[..at].iter().collect::<String>(),
        chars[to..].iter().collect::<String>(),
    );
    match dice.below(4) {
        0 => format!("{before}{after}"),
        1 => format!(
            "{before}{}{after}",
            chars[at..to].iter().collect::<String>().repeat(2)
        ),
        _ => format!(
            "{before}{}{}",
            dice.of(&PIECES),
            chars[at..].iter().collect::<String>()
        ),
    }
}

#[test]
fn no_json_value_makes_a_panic() {
    let rules = class();
    let mut dice = Dice::new(22);
    let mut most = 0;
    for _ in 0..cases("GUARD_FUZZ_CASES", 20_000) {
        let document = json_value(&mut dice, 0);
        let bytes = document.to_string().len();
        let steps = work(document, &rules);
        most = most.max(steps / (bytes + 1));
        assert!(
            steps <= STEPS_PER_BYTE * (bytes + 1),
            "{steps} steps for {bytes} bytes"
        );
    }
    println!("at most {most} steps for each byte");
}

fn json_value(dice: &mut Dice, depth: usize) -> Value {
    const KEYS: [&str; 12] = [
        "Version",
        "Statement",
        "Effect",
        "Action",
        "Resource",
        "NotAction",
        "NotResource",
        "Principal",
        "Condition",
        "StringLike",
        "s3:prefix",
        "Sid",
    ];
    const TEXTS: [&str; 12] = [
        "2012-10-17",
        "Allow",
        "Deny",
        "s3:GetObject",
        "s3:*",
        "*",
        "arn:aws:s3:::shared/*",
        "arn:aws:s3:::${x}",
        "",
        "a",
        "iam:PassRole",
        "\u{1F600}",
    ];
    match dice.below(if depth > 5 { 4 } else { 9 }) {
        0 => Value::Null,
        1 => json!(dice.below(2) == 0),
        2 => json!(dice.below(1_000_000)),
        3 => json!(dice.of(&TEXTS)),
        4 | 5 => (0..dice.below(4)).map(|_| json_value(dice, depth + 1)).collect(),
        _ => {
            let mut object: Map<String, Value> = Map::new();
            if depth == 0 {
                object.insert("Version".to_owned(), json!("2012-10-17"));
            }
            for _ in 0..dice.below(6) {
                let key = *dice.of(&KEYS);
                let value = match (key, dice.below(3)) {
                    ("Effect", 0 | 1) => json!("Allow"),
                    ("Action" | "Resource", 0) => json!(dice.of(&TEXTS)),
                    _ => json_value(dice, depth + 1),
                };
                object.insert(key.to_owned(), value);
            }
            Value::Object(object)
        }
    }
}

#[test]
fn twice_the_document_is_at_most_twice_the_work() {
    let rules = class();
    let document = |shape: &str, length: usize| {
        let (actions, resources): (Vec<String>, Vec<String>) = match shape {
            "many" => (
                (0..length).map(|i| format!("s3:GetObject{i}*")).collect(),
                (0..length).map(|i| format!("arn:aws:s3:::shared/{i}*")).collect(),
            ),
            "stars" => (
                vec!["s3:GetObject".to_owned()],
                vec![format!("arn:aws:s3:::shared{}", "*a?".repeat(length * 8))],
            ),
            "runs" => (
                vec![format!("s3:{}", "?*t".repeat(length * 8))],
                vec![format!("arn:aws:s3:::{}/a", "*ab?c".repeat(length * 4))],
            ),
            _ => (
                vec!["s3:GetObject".to_owned()],
                vec![format!(
                    "arn:aws:s3:::shared/{}",
                    "${aws:username}*".repeat(length)
                )],
            ),
        };
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resources}]})
    };
    for shape in ["many", "stars", "runs", "variables"] {
        let few = work(document(shape, 200), &rules);
        let twice = work(document(shape, 400), &rules);
        assert!(twice <= few * 9 / 4 + 10_000, "{shape}: {few} and {twice} steps");
        let bytes = document(shape, 400).to_string().len();
        println!(
            "{shape}: {few} and {twice} steps, {} for each byte",
            twice / bytes
        );
        assert!(
            twice <= STEPS_PER_BYTE * bytes,
            "{shape}: {twice} steps for {bytes} bytes"
        );
    }
}

#[test]
fn what_is_nested_or_large_beyond_reason_is_refused() {
    let rules = class();
    let mut deep = json!("s3:GetObject");
    for _ in 0..5_000 {
        deep = Value::Array(vec![deep]);
    }
    for document in [
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["x".repeat(1 << 20)], "Resource": "*"}]}),
        json!({"Version": "2012-10-17", "Statement": vec![json!({"Effect": "Allow"}); 40_000]}),
    ] {
        assert_eq!(work(document, &rules), 0);
    }
    let text = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    PolicyDocument::parse(&text).unwrap_err();
    PolicyDocument::from_value(&deep).unwrap_err();
    // Dropping a value this deep would use up the stack.
    std::mem::forget(deep);
}
