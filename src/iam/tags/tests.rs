//! Tag keys and values as IAM takes them.

use proptest::prelude::*;

use super::*;

#[test]
fn the_operators_keys_are_reserved_and_accepted_by_iam() {
    for key in [
        CLUSTER,
        CLUSTER_UID,
        NAMESPACE,
        NAMESPACE_UID,
        NAME,
        UID,
        RETAINED,
    ] {
        assert!(key.starts_with(PREFIX), "{key}");
        assert!(is_reserved(key), "{key}");
        assert!(!is_system(key), "{key}");
        assert_eq!(check(key, "team-a"), Ok(()), "{key}");
    }
}

#[test]
fn reserved_keys_are_known_in_every_case() {
    for key in [
        "MLSERVICEROLE.IO/UID",
        "mlServiceRole.io/anything",
        "mlservicerole.io/",
        "aws:x",
        "AWS:x",
        "aWs:",
    ] {
        assert!(is_reserved(key), "{key}");
    }
    // The long s and the Kelvin sign, which are s and k in one of the cases.
    for key in ["mlſervicerole.io/uid", "aw\u{17f}:x"] {
        assert!(is_reserved(key), "{key}");
    }
    for key in [
        "",
        "team",
        "aws",
        "awsome:x",
        "xaws:x",
        "mlservicerole.io",
        "mlservicerole.iox/",
        "x/mlservicerole.io/",
    ] {
        assert!(!is_reserved(key), "{key}");
    }
}

#[test]
fn only_awss_own_keys_are_system_keys() {
    assert!(is_system("AWS:cloudformation:stack-name"));
    assert!(!is_system("mlservicerole.io/uid"));
    assert!(!is_system("aws/x"));
}

#[test]
fn keys_are_the_same_without_regard_to_case() {
    assert!(same_key("Team", "tEAM"));
    assert!(same_key("ÄRGER", "ärger"));
    assert!(!same_key("team", "team2"));
    assert!(!same_key("team2", "team"));
    assert!(!same_key("team", ""));
}

#[test]
fn a_tag_is_found_by_its_key_in_any_case_and_first_by_its_exact_one() {
    let tags = BTreeMap::from([("TEAM", "a"), ("Team", "b"), ("owner", "c")])
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(get(&tags, "Team"), Some("b"));
    assert_eq!(get(&tags, "team"), Some("a"));
    assert_eq!(get(&tags, "OWNER"), Some("c"));
    assert_eq!(get(&tags, "own"), None);
}

#[test]
fn keys_and_values_have_iams_lengths_in_characters() {
    assert_eq!(check(&"ä".repeat(128), &"ä".repeat(256)), Ok(()));
    assert_eq!(check("a", ""), Ok(()));
    assert!(matches!(
        check(&"a".repeat(129), ""),
        Err(TagError::TooLong { length: 129, .. })
    ));
    assert!(matches!(
        check("a", &"a".repeat(257)),
        Err(TagError::TooLong { length: 257, .. })
    ));
    assert_eq!(check("", "a"), Err(TagError::EmptyKey));
}

#[test]
fn letters_numbers_separators_and_some_signs_are_accepted() {
    for text in ["Straße 7", "日本", "Ⅷ½", "a_b.c:d/e=f+g-h@i", "a\u{a0}b\u{2028}"] {
        assert_eq!(check(text, text), Ok(()), "{text}");
    }
    for text in [
        "a*",
        "a,b",
        "a\tb",
        "a\nb",
        "a\u{85}",
        "a\"",
        "a&b",
        "🦀",
        "{namespace}",
        "a\u{0}",
    ] {
        assert!(check(text, "").is_err(), "{text:?}");
        assert!(check("a", text).is_err(), "{text:?}");
    }
}

#[test]
fn a_key_of_awss_can_not_be_set() {
    assert_eq!(check("AWS:x", ""), Err(TagError::SystemKey("AWS:x".to_owned())));
}

#[test]
fn errors_say_which_of_the_two_is_wrong() {
    assert_eq!(
        check("team", "a,b").unwrap_err().to_string(),
        "the value of the tag \"team\", \"a,b\" contains ','; use letters, digits, spaces and _.:/=+-@ only"
    );
    assert_eq!(
        check("a,b", "x").unwrap_err().to_string(),
        "the tag key \"a,b\" contains ','; use letters, digits, spaces and _.:/=+-@ only"
    );
}

proptest! {
    #[test]
    fn no_spelling_of_a_reserved_key_passes(tail in "[a-zA-Z/-]{0,10}", upper in any::<u32>()) {
        for prefix in ["aws:", PREFIX] {
            let key: String = prefix.chars().enumerate().map(|(i, c)| {
                if upper >> i & 1 == 1 { c.to_ascii_uppercase() } else { c }
            }).chain(tail.chars()).collect();
            prop_assert!(is_reserved(&key), "{}", key);
        }
    }

    #[test]
    fn nothing_makes_it_panic(key in any::<String>(), value in any::<String>()) {
        let _ = check(&key, &value).map_err(|error| error.to_string());
        let _ = is_reserved(&key);
        prop_assert!(same_key(&key, &key));
        prop_assert_eq!(same_key(&key, &value), same_key(&value, &key));
    }
}
