//! Role names and paths, given and derived.

use super::*;
use proptest::prelude::*;

#[test]
fn a_role_name_has_1_to_64_of_iams_characters() {
    for text in ["a", "Az09_+=,.@-", &"a".repeat(64)] {
        assert_eq!(text.parse::<RoleName>().unwrap().as_str(), text);
    }
    for text in ["", &"a".repeat(65), "a/b", "a b", "ä", "a*", "a\n", "a:b"] {
        assert!(text.parse::<RoleName>().is_err(), "{text:?}");
    }
}

#[test]
fn iam_takes_names_that_differ_in_case_for_the_same() {
    let name = |text: &str| text.parse::<RoleName>().unwrap();
    assert!(name("Trainer").same_in_iam(&name("tRAINER")));
    assert_ne!(name("Trainer"), name("tRAINER"));
    assert!(!name("trainer").same_in_iam(&name("trainer2")));
}

#[test]
fn a_path_is_a_slash_or_stands_between_two() {
    let longest = format!("/{}/", "a".repeat(510));
    for text in ["/", "/a/", "/a/b/", "/{a}!~*/", "///", &longest] {
        assert_eq!(text.parse::<RolePath>().unwrap().as_str(), text);
    }
    let too_long = format!("/{}/", "a".repeat(511));
    for text in ["", "//", "a", "/a", "a/", "/a b/", "/ä/", "/a\t/", &too_long] {
        assert!(text.parse::<RolePath>().is_err(), "{text:?}");
    }
}

#[test]
fn the_default_path_names_cluster_and_namespace() {
    let path = expand_path(DEFAULT_PATH_TEMPLATE, "prod", "team-a").unwrap();
    assert_eq!(path.as_str(), "/mlservicerole/prod/team-a/");
}

#[test]
fn a_template_may_name_each_more_than_once_or_not_at_all() {
    let path = expand_path("/{namespace}/{cluster}-{namespace}/", "prod", "team-a").unwrap();
    assert_eq!(path.as_str(), "/team-a/prod-team-a/");
    assert_eq!(expand_path("/ml/", "prod", "team-a").unwrap().as_str(), "/ml/");
    assert_eq!(expand_path("/", "prod", "team-a").unwrap().as_str(), "/");
}

#[test]
fn a_template_with_anything_else_in_braces_is_refused() {
    for template in [
        "/{name}/",
        "/{}/",
        "/{Cluster}/",
        "/{ cluster }/",
        "/{{cluster}}/",
    ] {
        assert!(
            matches!(
                expand_path(template, "prod", "team-a"),
                Err(NameError::UnknownPlaceholder { .. })
            ),
            "{template}"
        );
    }
    for template in ["/{cluster/", "/cluster}/", "/}{cluster}/", "/{cluster}}/"] {
        assert!(
            matches!(expand_path(template, "prod", "team-a"), Err(NameError::Brace(_))),
            "{template}"
        );
    }
}

#[test]
fn a_template_that_gives_no_path_or_a_pattern_is_refused() {
    for template in ["", "ml/{cluster}/", "/ml/{cluster}", "/a b/", "/ml/*/", "/ml?/"] {
        assert!(expand_path(template, "prod", "team-a").is_err(), "{template}");
    }
}

#[test]
fn a_cluster_or_namespace_can_not_reach_into_another_path() {
    for part in ["", "a/b", "../b", "{namespace}", "a*", "a b"] {
        assert!(
            expand_path(DEFAULT_PATH_TEMPLATE, part, "team-a").is_err(),
            "{part}"
        );
        assert!(
            expand_path(DEFAULT_PATH_TEMPLATE, "prod", part).is_err(),
            "{part}"
        );
        assert!(derive_role_name("", part, "team-a", "trainer").is_err(), "{part}");
        assert!(derive_role_name("", "prod", part, "trainer").is_err(), "{part}");
        assert!(derive_role_name("", "prod", "team-a", part).is_err(), "{part}");
    }
}

#[test]
fn a_derived_name_reads_as_prefix_namespace_name_and_hash() {
    // Written out: if this ever changes, every role in the world gets another name.
    let name = derive_role_name("ml-", "prod", "team-a", "trainer").unwrap();
    assert_eq!(name.as_str(), "ml-team-a-trainer-zlgfbdftfdye");
}

#[test]
fn the_prefix_may_name_the_cluster() {
    let name = derive_role_name("{cluster}-", "prod", "team-a", "trainer").unwrap();
    assert!(name.as_str().starts_with("prod-team-a-trainer-"), "{name}");
}

#[test]
fn parts_that_run_together_get_names_of_their_own() {
    let one = derive_role_name("", "prod", "a-b", "c").unwrap();
    let other = derive_role_name("", "prod", "a", "b-c").unwrap();
    assert_eq!(one.as_str()[..6], other.as_str()[..6]);
    assert_ne!(one, other);
}

#[test]
fn the_prefix_is_never_cut() {
    let prefix = "p".repeat(MAX_PREFIX_LENGTH);
    let name = derive_role_name(&prefix, "prod", "team-a", "trainer").unwrap();
    assert!(name.as_str().starts_with(&format!("{prefix}-")), "{name}");
    assert!(derive_role_name(&format!("{prefix}p"), "prod", "team-a", "trainer").is_err());
    assert!(derive_role_name("a/", "prod", "team-a", "trainer").is_err());
}

#[test]
fn errors_say_what_to_change() {
    let errors = [
        "a b".parse::<RoleName>().unwrap_err(),
        "a".repeat(65).parse::<RoleName>().unwrap_err(),
        "".parse::<RoleName>().unwrap_err(),
        "ml/".parse::<RolePath>().unwrap_err(),
        expand_path("/{name}/", "prod", "team-a").unwrap_err(),
        expand_path("/{cluster/", "prod", "team-a").unwrap_err(),
        expand_path("/ml/*/", "prod", "team-a").unwrap_err(),
        expand_path("/", "pr/od", "team-a").unwrap_err(),
    ]
    .map(|error| error.to_string())
    .join("\n");
    insta::assert_snapshot!(errors);
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,2}", "[A-Za-z0-9-]{1,20}", "[a-z0-9.-]{40,253}"]
}

proptest! {
    #[test]
    fn a_derived_name_is_always_one(
        prefix in "[a-zA-Z0-9-]{0,51}", cluster in part(), namespace in part(), name in part(),
    ) {
        let derived = derive_role_name(&prefix, &cluster, &namespace, &name).unwrap();
        prop_assert!(derived.as_str().len() <= 64);
        prop_assert!(derived.as_str().parse::<RoleName>().is_ok());
        prop_assert!(derived.as_str().starts_with(&prefix));
        prop_assert_eq!(derive_role_name(&prefix, &cluster, &namespace, &name).unwrap(), derived);
    }

    #[test]
    fn objects_that_differ_get_names_that_differ_in_iam(
        one in (part(), part(), part()), other in (part(), part(), part()),
    ) {
        let derive = |(cluster, namespace, name): &(String, String, String)| {
            derive_role_name("", cluster, namespace, name).unwrap()
        };
        prop_assert_eq!(one == other, derive(&one).same_in_iam(&derive(&other)));
    }

    #[test]
    fn a_change_of_any_part_also_of_case_alone_gives_another_name(
        parts in [part(), part(), part()], which in 0..3_usize,
    ) {
        let derive = |[cluster, namespace, name]: &[String; 3]| {
            derive_role_name("", cluster, namespace, name).unwrap()
        };
        let mut cased = parts.clone();
        cased[which] = cased[which].chars().map(|c| if c.is_ascii_lowercase() {
            c.to_ascii_uppercase()
        } else {
            c.to_ascii_lowercase()
        }).collect();
        let mut longer = parts.clone();
        longer[which].push('x');
        prop_assert!(!derive(&parts).same_in_iam(&derive(&longer)));
        prop_assert_eq!(cased == parts, derive(&parts).same_in_iam(&derive(&cased)));
    }

    #[test]
    fn nothing_makes_it_panic(template in any::<String>(), a in any::<String>(), b in any::<String>()) {
        let _ = expand_path(&template, &a, &b);
        let _ = expand_path(&template, "prod", "team-a");
        let _ = derive_role_name(&template, &a, &b, &a);
        let _ = derive_role_name(&template, "prod", "team-a", &a);
        let _ = derive_role_name("", "prod", "team-a", &a);
    }
}
