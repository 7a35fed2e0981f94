//! The data files: every one can be read, and keeps the rules of the house.

use std::collections::BTreeSet;

use super::super::catalogue::FILES;
use super::*;
use crate::iam::document::{Kind, check as check_document};

fn versions() -> impl Iterator<Item = (&'static Preset, &'static PresetVersion)> {
    catalogue()
        .iter()
        .flat_map(|preset| preset.versions.iter().map(move |version| (preset, version)))
}

#[test]
fn every_file_can_be_read_and_is_found_by_its_name() {
    for (name, text) in FILES {
        Preset::read(name, text).unwrap();
        assert_eq!(&preset(name).unwrap().name, name);
    }
    assert_eq!(catalogue().len(), FILES.len());
    assert!(FILES.is_sorted_by_key(|(name, _)| name));
    assert!(preset("no-such").is_none());
}

#[test]
fn every_file_of_the_directory_is_listed() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/access/presets");
    let found: BTreeSet<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let listed: BTreeSet<String> = FILES.iter().map(|(name, _)| format!("{name}.json")).collect();
    assert_eq!(found, listed);
}

#[test]
fn every_preset_says_what_it_is_and_where_it_comes_from() {
    for preset in catalogue() {
        assert!((10..=80).contains(&preset.title.len()), "{}", preset.name);
        assert!(!preset.title.ends_with('.'), "{}", preset.name);
        assert!(
            preset.documentation.starts_with("https://docs.aws.amazon.com/"),
            "{}",
            preset.name
        );
        for sentence in preset.notes.iter().chain([&preset.description]) {
            assert!(sentence.ends_with('.'), "{}: {sentence}", preset.name);
        }
    }
}

#[test]
fn every_parameter_is_used_takes_its_examples_and_no_wildcard_alone() {
    for (preset, version) in versions() {
        for (index, parameter) in version.parameters.iter().enumerate() {
            let used = version
                .statements
                .iter()
                .flat_map(StatementTemplate::templates)
                .any(|template| template.parameters().any(|used| used == index));
            let name = format!("{} of {}", parameter.name, preset.name);
            assert!(used, "{name} is used");
            assert!(!parameter.example.is_empty(), "{name} has an example");
            for refused in [
                "", "*", "**", "?", "a*", "a/*/b", "${x}", "a b", "a\n", "\"", "/*",
            ] {
                assert!(!parameter.matches(refused), "{name} takes {refused:?}");
            }
            assert!(
                parameter.names_resource || parameter.passes_role,
                "{name} is scoped by the class"
            );
        }
    }
}

#[test]
fn every_action_is_named_in_full_but_for_verbs_of_mlflow() {
    for (preset, version) in versions() {
        for action in version.statements.iter().flat_map(|statement| &statement.actions) {
            let (service, name) = action.split_once(':').unwrap();
            let verb = service == "sagemaker-mlflow" && name.len() > 3;
            assert!(
                !name.contains('?') && (verb || !name.contains('*')),
                "{action} of {}",
                preset.name
            );
        }
    }
}

#[test]
fn a_wildcard_of_a_template_stands_behind_a_delimiter_at_its_end() {
    for (preset, version) in versions() {
        for template in version.statements.iter().flat_map(StatementTemplate::templates) {
            let source = template.source();
            let good = !source.contains(['*', '?'])
                || source == "*"
                || ["/*", "--*", ":*"]
                    .iter()
                    .any(|end| source.strip_suffix(end).is_some_and(|rest| !rest.contains('*')));
            assert!(good, "{source} of {}", preset.name);
        }
    }
}

#[test]
fn a_role_is_passed_to_a_named_service_only_and_by_a_parameter_only() {
    for (preset, version) in versions() {
        for statement in &version.statements {
            let passes = statement.actions.iter().any(|action| action == "iam:PassRole");
            let by_parameter = statement
                .resources
                .iter()
                .flat_map(Template::parameters)
                .any(|index| version.parameters[index].passes_role);
            assert_eq!(passes, by_parameter, "{}", preset.name);
            if passes {
                assert_eq!(statement.actions.len(), 1, "{}", preset.name);
                let services = &statement.conditions["StringEquals"]["iam:PassedToService"];
                assert!(
                    services
                        .iter()
                        .all(|service| service.source().ends_with(".amazonaws.com")),
                    "{}",
                    preset.name
                );
            }
        }
    }
}

#[test]
fn every_preset_with_its_examples_is_a_policy_that_iam_takes_in_each_partition() {
    for (partition, region) in [
        ("aws", "eu-west-1"),
        ("aws-cn", "cn-north-1"),
        ("aws-us-gov", "us-gov-west-1"),
    ] {
        let somewhere = somewhere(partition, region);
        for (preset, version) in versions() {
            let values = examples(version);
            let request = Request {
                version: Some(version.number),
                ..request(&preset.name, &values)
            };
            let checked = check(request).unwrap();
            let document = expand(&[checked], &somewhere.place()).unwrap().unwrap();
            check_document(&document, Kind::Identity).unwrap();
            let text = document.to_json();
            let foreign = text.matches("arn:").count() - text.matches(&format!("arn:{partition}:")).count();
            assert_eq!(foreign, 0, "{text}");
        }
    }
}

/// Whether a text is one that a pattern with `*` means.
fn means(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, "")) => text.starts_with(head),
        Some(_) => panic!("{pattern}: only a last wildcard is known here"),
    }
}

fn resources_and_values(preset: &Preset, version: &PresetVersion, values: &With) -> BTreeSet<String> {
    let request = Request {
        version: Some(version.number),
        ..request(&preset.name, values)
    };
    let document = expand(&[check(request).unwrap()], &ireland().place())
        .unwrap()
        .unwrap();
    let mut found = BTreeSet::new();
    for statement in document.statements() {
        found.extend(statement.resource().unwrap().value().iter().cloned());
        found.extend(
            statement
                .condition()
                .values()
                .flat_map(|keys| keys.values().flatten().cloned()),
        );
    }
    found
}

#[test]
fn a_value_reaches_nothing_of_another_that_begins_like_it() {
    let mut compared = 0;
    for (preset, version) in versions() {
        for parameter in &version.parameters {
            let mut values: With = examples(version);
            let short = parameter.example[0].clone();
            values.insert(parameter.name.clone(), vec![short.clone()]);
            let of_short = resources_and_values(preset, version, &values);
            for more in ["b", "-b", "_b", ".b", "0", ":b", "-b-c"] {
                let long = format!("{short}{more}");
                if !parameter.matches(&long) {
                    continue;
                }
                compared += 1;
                values.insert(parameter.name.clone(), vec![long]);
                let of_long = resources_and_values(preset, version, &values);
                for narrow in of_short.difference(&of_long) {
                    for other in of_long.difference(&of_short) {
                        assert!(
                            !means(narrow, other),
                            "{narrow} reaches {other} of {}",
                            preset.name
                        );
                    }
                }
            }
        }
    }
    assert!(compared > 100, "{compared}");
}
