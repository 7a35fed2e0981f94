//! Time limits and attempts of requests to AWS.

use super::*;

const ROLE: &str =
    r#"<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><A/></GetRoleResponse>"#;

#[test]
fn a_whole_document_is_an_answer_whatever_stands_around_it() {
    for body in [
        ROLE.to_owned(),
        format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{ROLE}\n"),
        format!("\u{feff}<?xml version='1.0'?>{ROLE}\r\n"),
        "<DeleteRoleResponse></DeleteRoleResponse >".to_owned(),
        "<DeleteRoleResponse/>".to_owned(),
    ] {
        assert!(is_whole_answer(body.as_bytes(), true), "{body}");
    }
    assert!(is_whole_answer(b"<ErrorResponse></ErrorResponse>", false));
}

#[test]
fn a_document_that_breaks_off_anywhere_is_none() {
    for length in 0..ROLE.len() {
        assert!(!is_whole_answer(&ROLE.as_bytes()[..length], true), "{length}");
    }
}

#[test]
fn what_did_not_come_from_aws_is_no_answer() {
    for body in [
        "",
        "ok",
        "<html><body>log in</body></html>",
        "<!DOCTYPE html><html></html>",
        "<ErrorResponse></ErrorResponse>",
        "{\"__type\":\"Response\"}",
    ] {
        assert!(!is_whole_answer(body.as_bytes(), true), "{body}");
    }
    assert!(!is_whole_answer(&[0xff, 0xfe], true));
}
