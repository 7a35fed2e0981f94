//! Tags.

use super::*;

#[tokio::test]
async fn a_key_in_another_case_is_the_same_key() {
    let (iam, name) = with_trainer().await;
    iam.tag_role(&name, &tags(&[("Team", "a")])).await.unwrap();
    iam.tag_role(&name, &tags(&[("TEAM", "b")])).await.unwrap();
    assert_eq!(iam.role("trainer").unwrap().tags, tags(&[("Team", "b")]));
    let keys = BTreeSet::from(["team".to_owned(), "missing".to_owned()]);
    iam.untag_role(&name, &keys).await.unwrap();
    assert_eq!(iam.role("trainer").unwrap().tags, tags(&[]));
}

#[tokio::test]
async fn what_iam_does_not_take_as_a_tag_is_refused() {
    let (iam, name) = with_trainer().await;
    for (pairs, expected) in [
        (vec![("a", "1"), ("A", "2")], "InvalidInput"),
        (vec![("aws:x", "1")], "InvalidInput"),
        (vec![("a!", "1")], "ValidationError"),
        (vec![("a", "<>")], "ValidationError"),
    ] {
        assert_eq!(
            code(iam.tag_role(&name, &tags(&pairs)).await),
            expected,
            "{pairs:?}"
        );
    }
}
