//! Reading documents: what is tolerated, and what is refused with its place.

use super::*;

fn error(text: &str) -> String {
    PolicyDocument::parse(text).unwrap_err().to_string()
}

/// Of a statement, also when it is read from a value.
fn statement_error(statement: Value) -> String {
    let document = with(statement);
    let from_value = PolicyDocument::from_value(&document).unwrap_err();
    assert_eq!(
        PolicyDocument::parse(&document.to_string()).unwrap_err(),
        from_value
    );
    from_value.to_string()
}

#[test]
fn every_element_is_read() {
    let document = read(&json!({
        "Version": "2012-10-17",
        "Id": "x",
        "Statement": [
            {
                "Sid": "A1",
                "Effect": "Allow",
                "Principal": {"AWS": "123456789012", "Federated": ["a", "b"]},
                "Action": "s3:GetObject",
                "Resource": ["a", "b"],
                "Condition": {"StringEquals": {"aws:x": "y"}},
            },
            {"Effect": "Deny", "NotPrincipal": "*", "NotAction": ["s3:*"], "NotResource": "a"},
        ],
    }));
    assert_eq!(document.version(), Some(Version::V2012));
    assert_eq!(document.id(), Some("x"));
    let [first, second] = document.statements() else {
        panic!("two statements")
    };
    assert_eq!(first.sid(), Some("A1"));
    assert_eq!(first.effect(), Effect::Allow);
    assert_eq!(
        first.principal(),
        Some(&Scope::Only(Principal::Of(BTreeMap::from([
            (PrincipalType::Aws, vec!["123456789012".to_owned()]),
            (PrincipalType::Federated, vec!["a".to_owned(), "b".to_owned()]),
        ]))))
    );
    assert_eq!(first.action(), &Scope::Only(vec!["s3:GetObject".to_owned()]));
    assert_eq!(
        first.resource(),
        Some(&Scope::Only(vec!["a".to_owned(), "b".to_owned()]))
    );
    assert_eq!(first.condition()["StringEquals"]["aws:x"], ["y"]);
    assert_eq!(second.sid(), None);
    assert_eq!(second.effect(), Effect::Deny);
    assert_eq!(second.principal(), Some(&Scope::AllExcept(Principal::Everyone)));
    assert_eq!(second.action(), &Scope::AllExcept(vec!["s3:*".to_owned()]));
    assert_eq!(second.resource(), Some(&Scope::AllExcept(vec!["a".to_owned()])));
    assert!(second.condition().is_empty());
}

#[test]
fn one_statement_needs_no_list() {
    let statement = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
    assert_eq!(
        read(&json!({"Version": "2012-10-17", "Statement": statement})),
        read(&with(statement))
    );
}

#[test]
fn numbers_and_booleans_in_conditions_are_text() {
    let document = read(&with(json!({
        "Effect": "Allow",
        "Action": "s3:*",
        "Condition": {"X": {"a:a": true, "a:b": [1, -2, 0.5, "c"], "a:d": 123456789012345678_u64}},
    })));
    let keys = &document.statements()[0].condition()["X"];
    assert_eq!(keys["a:a"], ["true"]);
    assert_eq!(keys["a:b"], ["1", "-2", "0.5", "c"]);
    assert_eq!(keys["a:d"], ["123456789012345678"]);
}

#[test]
fn an_effect_in_another_case_is_read() {
    for (written, effect) in [("allow", Effect::Allow), ("DENY", Effect::Deny)] {
        let document = read(&with(json!({"Effect": written, "Action": "s3:*"})));
        assert_eq!(document.statements()[0].effect(), effect);
    }
}

#[test]
fn empty_sids_are_none_and_so_no_duplicates() {
    let statement = json!({"Sid": "", "Effect": "Allow", "Action": "s3:*"});
    let document = read(&json!({"Statement": [statement, statement]}));
    assert_eq!(document.statements()[0].sid(), None);
}

#[test]
fn sids_that_differ_in_case_are_no_duplicates() {
    let statement = |sid: &str| json!({"Sid": sid, "Effect": "Allow", "Action": "s3:*"});
    read(&json!({"Statement": [statement("A"), statement("a")]}));
}

#[test]
fn iams_whole_character_set_is_read() {
    let resource = "\t\n\r ~é\u{80}\u{ff}";
    read(&with(
        json!({"Effect": "Allow", "Action": "s3:*", "Resource": resource}),
    ));
}

#[test]
fn errors_about_the_document_say_where_and_what_to_change() {
    let errors = [
        error(""),
        error("{"),
        error("{} {}"),
        error("[]"),
        error("\"x\""),
        error("{}"),
        error("{\"Version\": \"2012-10-17\", \"Statements\": []}"),
        error("{\"version\": \"2012-10-17\", \"Statement\": []}"),
        error("{\"Version\": \"2012-10-18\", \"Statement\": []}"),
        error("{\"Version\": 2012, \"Statement\": []}"),
        error("{\"Version\": \"2012-10-17\", \"Version\": \"2012-10-17\", \"Statement\": []}"),
        error("{\"Statement\": []}"),
        error("{\"Statement\": \"x\"}"),
        error("{\"Statement\": [null]}"),
    ]
    .join("\n");
    insta::assert_snapshot!(errors);
}

#[test]
fn errors_about_a_statement_say_where_and_what_to_change() {
    let errors = [
        json!({"Action": "s3:*"}),
        json!({"Sid": "ReadData", "Effect": "Permit", "Action": "s3:*"}),
        json!({"Effect": true, "Action": "s3:*"}),
        json!({"Effect": "Allow"}),
        json!({"Effect": "Allow", "Action": "s3:*", "NotAction": "s3:*"}),
        json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*", "NotResource": "*"}),
        json!({"Effect": "Allow", "Action": "s3:*", "Principal": "*", "NotPrincipal": "*"}),
        json!({"Effect": "Allow", "Action": []}),
        json!({"Effect": "Allow", "Action": 1}),
        json!({"Effect": "Allow", "Action": ["s3:*", 1]}),
        json!({"Effect": "Allow", "Action": [["s3:*"]]}),
        json!({"Effect": "Allow", "Action": "s3:*", "Resource": {}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Resource": []}),
        json!({"Effect": "Allow", "action": "s3:*"}),
        json!({"Effect": "Allow", "Action": "s3:*", "Actions": "s3:*"}),
        json!({"Sid": "Read data", "Effect": "Allow", "Action": "s3:*"}),
        json!({"Sid": 1, "Effect": "Allow", "Action": "s3:*"}),
        json!({"Effect": "Allow", "Action": "s3:*", "Principal": "123456789012"}),
        json!({"Effect": "Allow", "Action": "s3:*", "Principal": {}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Principal": ["*"]}),
        json!({"Effect": "Allow", "Action": "s3:*", "Principal": {"Aws": "*"}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Principal": {"AWS": []}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Principal": {"AWS": 123456789012_u64}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Condition": []}),
        json!({"Effect": "Allow", "Action": "s3:*", "Condition": {"Bool": "x"}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Condition": {"Bool": {}}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Condition": {"Bool": {"aws:x": []}}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Condition": {"Bool": {"aws:x": null}}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Condition": {"Bool": {"aws:x": [{}]}}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Condition": {"Bool": {"aws:x": 1e300}}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Condition": {"Bool": {"AWS:X": "1", "aws:x": "2"}}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Condition": {"Bool": {"a:x": "1"}, "bool": {"a:x": "2"}}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::datä–"}),
        json!({"Effect": "Allow", "Action": "s3:*", "Resource": "a\u{0}"}),
        json!({"Effect": "Allow", "Action": "s3:*", "Condition": {"Bool": {"aws:x–": "1"}}}),
        json!({"Effect": "Allow", "Action": "s3:*", "Resource": 1, "Sid": "x".repeat(100)}),
    ]
    .map(statement_error)
    .join("\n");
    insta::assert_snapshot!(errors);
}

#[test]
fn a_key_that_occurs_twice_is_refused_wherever_it_is() {
    for twice in [
        "{\"Statement\": {\"Effect\": \"Deny\", \"Effect\": \"Allow\", \"Action\": \"s3:*\"}}",
        "{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:*\", \"Action\": \"*\"}}",
        "{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:*\", \"Principal\": {\"AWS\": \"a\", \"AWS\": \"*\"}}}",
        "{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:*\", \"Condition\": {\"Bool\": {\"a:b\": 1}, \"Bool\": {\"a:b\": 2}}}}",
        "{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:*\", \"Condition\": {\"Bool\": {\"a:b\": 1, \"a:b\": 2}}}}",
        "{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:*\", \"Act\\u0069on\": \"*\"}}",
    ] {
        let error = error(twice);
        assert!(error.contains("occurs twice"), "{error}");
        assert!(error.starts_with("statement 1"), "{error}");
    }
}

#[test]
fn the_second_of_two_equal_sids_is_named() {
    let statement = json!({"Sid": "ReadData", "Effect": "Allow", "Action": "s3:*"});
    let error = PolicyDocument::from_value(&json!({"Statement": [statement, statement]})).unwrap_err();
    assert_eq!((error.statement(), error.element()), (Some(2), "Sid"));
    assert_eq!(error.problem(), "another statement has the same Sid");
    assert!(
        error
            .to_string()
            .starts_with("statement 2 (Sid \"ReadData\"), Sid: "),
        "{error}"
    );
}

#[test]
fn a_later_statement_is_named_by_its_number_and_its_sid() {
    let good = json!({"Sid": "A", "Effect": "Allow", "Action": "s3:*"});
    let bad = json!({"Sid": "B", "Effect": "Allow", "Action": []});
    let error = PolicyDocument::from_value(&json!({"Statement": [good, bad]})).unwrap_err();
    assert!(
        error.to_string().starts_with("statement 2 (Sid \"B\"), Action: "),
        "{error}"
    );
}

#[test]
fn depth_is_an_error_and_no_stack_overflow() {
    let deep = "[".repeat(100_000);
    assert!(error(&deep).contains("recursion limit"), "{}", error(&deep));

    let mut value = json!("x");
    for _ in 0..1_000 {
        value = json!([value]);
    }
    let error = PolicyDocument::from_value(&json!({"Statement": value})).unwrap_err();
    assert!(error.problem().contains("nested too deeply"), "{error}");
}
