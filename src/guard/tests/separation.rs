//! Patterns of one list that mean for one namespace what they mean for another.

use serde_json::json;

use super::fixtures::{class_refusal, least_class};
use crate::guard::separation::{self, Wildcards};
use crate::guard::template::{Names, Template};
use crate::guard::understand;

fn wrong(texts: &[&str], wildcards: Wildcards) -> Vec<String> {
    let templates: Vec<Template> = texts
        .iter()
        .map(|text| Template::of_policy(text).unwrap())
        .collect();
    separation::check(&templates, wildcards)
}

#[test]
fn two_patterns_that_share_a_text_of_two_namespaces_are_refused_with_all_three() {
    let found = wrong(&["ml-{namespace}", "ml-{namespace}-data"], Wildcards::Free);
    assert_eq!(
        found,
        [
            "\"ml-{namespace}\" and \"ml-{namespace}-data\" don't keep namespaces apart: \"ml-a-data\" is of the namespace \
             \"a-data\" by the first and of the namespace \"a\" by the second; put a character that no namespace's name can \
             hold, such as . or /, beside {namespace} in both, or begin them differently"
        ]
    );
}

#[test]
fn lists_that_mix_namespaces_up_are_told_from_those_that_do_not() {
    for texts in [
        ["{namespace}", "{namespace}-data"],
        ["{namespace}-data", "data-{namespace}"],
        ["{namespace}", "{namespace}x"],
        ["{namespace}/*", "data/{namespace}/*"],
        ["a*/{namespace}", "ab/{namespace}-x"],
        ["{namespace}", "x-{namespace}"],
        ["{cluster}/{namespace}", "{cluster}/{namespace}-x"],
        ["{cluster}.{namespace}.*", "*.{namespace}-x.y"],
        ["${aws:PrincipalTag/x}/{namespace}", "a/{namespace}-x"],
    ] {
        assert_eq!(wrong(&texts, Wildcards::Free).len(), 1, "{texts:?}");
    }
    for texts in [
        ["{namespace}", "{namespace}/*"],
        ["{namespace}/*", "{namespace}.*"],
        ["ml-{namespace}", "ml-{namespace}/*"],
        ["ml-{namespace}", "other-{namespace}-data"],
        ["ml-{namespace}", "ml-{namespace}"],
        ["ml.{namespace}.data", "ml.{namespace}.x"],
        ["{namespace}", "shared-*"],
        ["{namespace}", "shared"],
        ["{namespace}_*", "{namespace}_x/*"],
        ["{cluster}/{namespace}", "{cluster}/{namespace}/x"],
        // They share a/a alone, which is of the namespace a by both.
        ["a/{namespace}", "{namespace}/a"],
        // A name doesn't begin with - and doesn't end with it.
        ["x-{namespace}", "x--{namespace}"],
        ["{namespace}", "{namespace}-"],
    ] {
        assert!(wrong(&texts, Wildcards::Free).is_empty(), "{texts:?}");
    }
}

#[test]
fn wildcards_reach_no_further_than_what_they_are_compared_with() {
    let policies = [
        "arn:aws:iam::111122223333:policy/*/{namespace}",
        "arn:aws:iam::111122223333:policy/x/y/{namespace}-data",
    ];
    assert_eq!(wrong(&policies, Wildcards::Free).len(), 1);
    assert!(wrong(&policies, Wildcards::WithinSegment).is_empty());
    let resources = [
        "arn:aws:dynamodb:*:111122223333:table/{namespace}.*",
        "arn:aws:dynamodb:*:111122223333:table/{namespace}/*",
    ];
    assert!(!wrong(&resources, Wildcards::Free).is_empty());
    assert!(wrong(&resources, Wildcards::WithinArn).is_empty());
}

#[test]
fn what_is_said_is_what_trying_all_short_names_says() {
    let parts = ["{namespace}", "*", "?", "-", "/", "a", "b"];
    let mut texts = Vec::new();
    for length in 1..=3 {
        for case in 0..parts.len().pow(length) {
            let text: String = (0..length)
                .map(|i| parts[case / parts.len().pow(i) % parts.len()])
                .collect();
            if text.matches("{namespace}").count() == 1 && Template::parse(&text).is_ok() {
                texts.push(text);
            }
        }
    }
    let letters = ["a", "b", "-"];
    let names: Vec<String> = (1..=3u32)
        .flat_map(|length| {
            (0..letters.len().pow(length)).map(move |case| {
                (0..length)
                    .map(|i| letters[case / letters.len().pow(i) % letters.len()])
                    .collect::<String>()
            })
        })
        .filter(|name| !name.starts_with('-') && !name.ends_with('-'))
        .collect();
    let filled = |text: &str| -> Vec<_> {
        let template = Template::parse(text).unwrap();
        let of = |namespace: &String| {
            template.fill(Names {
                cluster: "c",
                namespace,
            })
        };
        names.iter().map(of).collect()
    };
    let patterns: Vec<_> = texts.iter().map(|text| filled(text)).collect();
    let (mut apart, mut mixed) = (0, 0);
    for one in 0..texts.len() {
        for other in one..texts.len() {
            let tried = (0..names.len()).any(|x| {
                (0..names.len()).any(|y| x != y && patterns[one][x].intersects(&patterns[other][y]))
            });
            let said = !wrong(&[&texts[one], &texts[other]], Wildcards::Free).is_empty();
            assert_eq!(said, tried, "{} and {}", texts[one], texts[other]);
            if said { mixed += 1 } else { apart += 1 }
        }
    }
    assert!(apart > 1_000 && mixed > 100, "{apart} {mixed}");
}

#[test]
fn every_list_of_a_class_is_looked_at() {
    let s3 = |text: &str| format!("arn:aws:s3:::{text}");
    let rule = |resources: &[String]| json!({"actions": ["s3:GetObject"], "resources": resources});
    let classes = [
        (
            "allow.roleNames",
            json!({"roleNames": ["ml-{namespace}", "ml-{namespace}-data"]}),
        ),
        (
            "allow.tagKeys",
            json!({"tagKeys": ["ml-{namespace}", "ML-{namespace}-data"]}),
        ),
        (
            "allow.managedPolicyArns",
            json!({"managedPolicyArns": [
                "arn:aws:iam::111122223333:policy/{namespace}",
                "arn:aws:iam::111122223333:policy/{namespace}-data",
            ]}),
        ),
        (
            "allow.inline, resources",
            json!({"inline": [rule(&[s3("ml-{namespace}/*"), s3("ml-{namespace}-data/*")])]}),
        ),
        // Also of two rules.
        (
            "allow.inline, resources",
            json!({"inline": [rule(&[s3("ml-{namespace}/*")]), rule(&[s3("ml-{namespace}-data/*")])]}),
        ),
        (
            "allow.inline, conditions",
            json!({"inline": [{"actions": ["s3:ListBucket"], "resources": [s3("ml")], "conditions":
                {"StringLike": {"s3:prefix": ["{namespace}", "{namespace}-data"]}}}]}),
        ),
        (
            "allow.presets",
            json!({"presets": [{"name": "s3-prefix-read", "with": {"bucket": ["ml"],
                "prefix": ["{namespace}", "{namespace}-data"]}}]}),
        ),
    ];
    for (field, allow) in classes {
        let refusal = class_refusal(&least_class(&json!({ "allow": allow })));
        assert_eq!(refusal.reason, "InvalidSpec", "{field}");
        for part in [field, "don't keep namespaces apart", "{namespace}"] {
            assert!(refusal.message.contains(part), "{part}: {}", refusal.message);
        }
    }
}

#[test]
fn a_wildcard_before_and_one_behind_mix_namespaces_up() {
    for text in [
        "*/{namespace}/*",
        "arn:aws:s3:::ml-*/{namespace}/*",
        "${aws:PrincipalTag/x}/{namespace}/*",
    ] {
        let found = wrong(&[text], Wildcards::WithinArn);
        assert_eq!(found.len(), 1, "{text}");
        for part in [
            text,
            "doesn't keep namespaces apart",
            "write out what stands before {namespace}",
        ] {
            assert!(found[0].contains(part), "{}", found[0]);
        }
    }
    for text in [
        "*/{namespace}",
        "{namespace}/*",
        "ml/{namespace}/*",
        "?/{namespace}/*",
        "*/{namespace}/data",
        "arn:aws:dynamodb:*:*:table/{namespace}.*",
        "{cluster}/{namespace}/*",
    ] {
        assert!(wrong(&[text], Wildcards::WithinArn).is_empty(), "{text}");
    }
    assert!(
        wrong(
            &["arn:aws:iam::111122223333:policy/*/{namespace}/*"],
            Wildcards::WithinSegment
        )
        .is_empty()
    );
}

#[test]
fn a_class_with_many_patterns_is_soon_understood() {
    let many = |of: &dyn Fn(usize) -> String| -> Vec<String> { (0..100).map(of).collect() };
    let resources = many(&|n| format!("arn:aws:dynamodb:*:111122223333:table/{{namespace}}.{n}.*"));
    let class = least_class(&json!({"allow": {
        "roleNames": many(&|n| format!("{{namespace}}.{n}.*")),
        "inline": [{"actions": ["dynamodb:GetItem"], "resources": resources}],
    }}));
    let begun = std::time::Instant::now();
    understand("ml", &class).unwrap();
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    println!("{:?}", begun.elapsed());
}
