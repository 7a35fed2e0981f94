//! Templates: what fills their places, and what isn't a template.

use super::super::template::{Piece, Template};

#[test]
fn places_and_parameters_are_told_from_text() {
    let template = Template::read("arn:${P}:s3:::${bucket}/x", &["prefix", "bucket"]).unwrap();
    assert_eq!(
        template.pieces(),
        [
            Piece::Literal("arn:".to_owned()),
            Piece::Partition,
            Piece::Literal(":s3:::".to_owned()),
            Piece::Parameter(1),
            Piece::Literal("/x".to_owned()),
        ]
    );
}

#[test]
fn a_doubled_dollar_leaves_a_policy_variable_for_iam() {
    let template = Template::read("$${aws:PrincipalTag/team}-${R}", &[]).unwrap();
    assert_eq!(
        template.pieces(),
        [
            Piece::Literal("${aws:PrincipalTag/team}-".to_owned()),
            Piece::Region
        ]
    );
}

#[test]
fn a_dollar_that_is_neither_is_an_error() {
    for source in [
        "${unknown}",
        "a$b",
        "$",
        "$$",
        "${P",
        "$${P",
        "${}",
        "$$${P}",
        "${p}",
    ] {
        assert!(Template::read(source, &["bucket"]).is_err(), "{source}");
    }
}
