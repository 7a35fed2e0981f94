//! What a class writes for many namespaces: placeholders, and the rule that keeps one namespace's values apart from
//! another's.

use super::fixtures::NAMES;
use crate::guard::template::{Names, Template};

fn reads(text: &str) -> String {
    match Template::of_policy(text) {
        Ok(_) => String::new(),
        Err(e) => e.to_string(),
    }
}

#[test]
fn placeholders_are_filled_in() {
    for (text, filled) in [
        ("ml-{namespace}", "ml-team-a"),
        ("ml/{cluster}/{namespace}/*", "ml/prod/team-a/*"),
        ("{namespace}.*", "team-a.*"),
        ("{namespace}/{namespace}", "team-a/team-a"),
        ("{cluster}*", "prod*"),
        ("{cluster}_{namespace}", "prod_team-a"),
        ("a${aws:PrincipalTag/x}{cluster}", "a${aws:PrincipalTag/x}prod"),
        ("*/{namespace}/?", "*/team-a/?"),
        ("${*}${$}", "${*}${$}"),
    ] {
        let template = Template::of_policy(text).unwrap();
        assert_eq!(template.fill_text(NAMES), filled);
        assert_eq!(template.as_str(), text);
    }
}

#[test]
fn what_is_filled_in_is_no_wildcard_and_no_placeholder() {
    let names = Names {
        cluster: "*",
        namespace: "?",
    };
    let filled = Template::parse("{cluster}/{namespace}").unwrap().fill(names);
    assert!(filled.matches("*/?"));
    assert!(!filled.matches("a/b") && !filled.matches("*/b"));
    let names = Names {
        cluster: "{namespace}",
        namespace: "{cluster}",
    };
    let filled = Template::parse("{cluster}").unwrap().fill(names);
    assert!(filled.matches("{namespace}") && !filled.matches("{cluster}"));
}

#[test]
fn a_namespace_is_kept_apart_from_wildcards_and_other_placeholders() {
    for text in [
        "{namespace}*",
        "*{namespace}",
        "{namespace}?",
        "ml-{namespace}-*",
        "*-{namespace}",
        "?-x-9-{namespace}",
        "{namespace}{cluster}",
        "{cluster}{namespace}",
        "{cluster}-{namespace}",
        "{namespace}-{namespace}",
        "{namespace}-a-*/b",
        "x/{namespace}-data-*",
        "{namespace}${aws:username}",
        "a/*-b-{namespace}/c",
    ] {
        let error = reads(text);
        for words in [text, "nothing keeps {namespace} apart", "such as / or ."] {
            assert!(error.contains(words), "{text}: {error}");
        }
    }
    for text in [
        "ml-{namespace}",
        "{namespace}-data",
        "ml/{namespace}/*",
        "*/{namespace}/*",
        "{namespace}.*",
        "{namespace}_*",
        "{namespace}A*",
        "*:{namespace}-x/*",
        "{namespace}/{cluster}",
        "*",
        "a-*-{cluster}-*",
    ] {
        assert_eq!(reads(text), "", "{text}");
    }
}

#[test]
fn no_namespace_fills_a_pattern_with_what_is_another_namespaces() {
    let namespaces = ["a", "a-b", "b", "ab", "a-a", "team", "team-b"];
    let parts = ["{namespace}", "*", "?", "-", "/", "a", ".", "{cluster}"];
    let mut kept = 0;
    for case in 0..parts.len().pow(4) {
        let text: String = (0..4)
            .map(|i| parts[case / parts.len().pow(i) % parts.len()])
            .collect();
        let Ok(template) = Template::parse(&text) else {
            continue;
        };
        if text.matches("{namespace}").count() != 1 || !text.contains(['*', '?']) {
            continue;
        }
        kept += 1;
        for own in namespaces {
            for other in namespaces.into_iter().filter(|other| *other != own) {
                // A text of the other namespace, its wildcards taken up by nothing or by a plain letter.
                for letter in ["", "x"] {
                    let names = Names {
                        cluster: "c",
                        namespace: other,
                    };
                    let theirs = template.fill_text(names).replace(['*', '?'], letter);
                    let mine = template.fill(Names {
                        cluster: "c",
                        namespace: own,
                    });
                    assert!(
                        !mine.matches(&theirs),
                        "{text}: {own} also has {theirs} of {other}"
                    );
                }
            }
        }
    }
    assert!(kept > 100, "{kept}");
}

#[test]
fn other_braces_are_refused() {
    for text in [
        "{namspace}",
        "{Namespace}",
        "{ namespace }",
        "{",
        "a}",
        "{name}",
        "{{namespace}}",
        "{}",
        "{namespace",
    ] {
        let error = Template::parse(text).unwrap_err().to_string();
        assert!(
            error.contains("{namespace} or {cluster}, the only placeholders"),
            "{text}: {error}"
        );
    }
    // Where policy variables mean nothing, they are no placeholders either.
    Template::parse("${aws:username}").unwrap_err();
    assert!(reads("${aws:username").contains("doesn't end"));
}

#[test]
fn wildcards_alone_say_nothing() {
    for text in ["*", "**", "?*", "??", ""] {
        let error = Template::parse(text)
            .and_then(Template::not_everything)
            .unwrap_err();
        assert!(error.to_string().contains("matches everything"), "{error}");
    }
    for text in ["a*", "*/", "{cluster}", "{namespace}"] {
        Template::parse(text).and_then(Template::not_everything).unwrap();
    }
}
