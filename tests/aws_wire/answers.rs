//! What is made of answers that say yes.

use std::collections::{BTreeMap, BTreeSet};

use mlservicerole_operator::aws::ErrorClass;
use mlservicerole_operator::aws::error::code;
use mlservicerole_operator::iam::role::RoleHeader;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::server::{Call, Reply, Server, error, iam_only, ok};

const ARN: &str = "arn:aws:iam::111122223333:role/ml/trainer";

/// Has what percent-encoding is easily undone wrongly for.
const DOCUMENT: &str = r#"{"Resource":"arn:aws:s3:::b/a+b%2Fc d","Sid":"ü"}"#;

fn encoded() -> String {
    utf8_percent_encode(DOCUMENT, NON_ALPHANUMERIC).to_string()
}

fn role(arn: &str, more: &str) -> String {
    format!(
        "<Role><Path>/ml/</Path><RoleName>trainer</RoleName><RoleId>AROAXYZ</RoleId>\
         <Arn>{arn}</Arn><CreateDate>2026-11-24T15:00:00Z</CreateDate>{more}</Role>"
    )
}

async fn get_role(role: String) -> Result<RoleHeader, mlservicerole_operator::aws::AwsError> {
    let server = Server::start(iam_only(move |_| ok("GetRole", &role))).await;
    let iam = server.iam().await;
    iam.get_role(&"trainer".parse().unwrap()).await
}

fn escaped(document: &str) -> String {
    document.replace('"', "&quot;")
}

#[tokio::test]
async fn a_role_is_read_with_everything_that_it_has() {
    let more = format!(
        "<AssumeRolePolicyDocument>{}</AssumeRolePolicyDocument><Description>for a</Description>\
         <MaxSessionDuration>7200</MaxSessionDuration><PermissionsBoundary>\
         <PermissionsBoundaryType>Whatever</PermissionsBoundaryType>\
         <PermissionsBoundaryArn>arn:aws:iam::111122223333:policy/b</PermissionsBoundaryArn>\
         </PermissionsBoundary><Tags><member><Key>team</Key><Value>a+b</Value></member>\
         <member><Key>empty</Key><Value></Value></member></Tags>",
        encoded()
    );
    assert_eq!(
        get_role(role(ARN, &more)).await.unwrap(),
        RoleHeader {
            arn: ARN.parse().unwrap(),
            id: "AROAXYZ".into(),
            trust: DOCUMENT.into(),
            description: "for a".into(),
            max_session_duration_seconds: 7200,
            permissions_boundary: Some("arn:aws:iam::111122223333:policy/b".into()),
            tags: BTreeMap::from([("team".into(), "a+b".into()), ("empty".into(), String::new())]),
        }
    );
}

#[tokio::test]
async fn what_a_role_does_not_have_is_empty_or_the_default() {
    for more in ["", "<Description></Description>"] {
        let header = get_role(role(ARN, more)).await.unwrap();
        assert_eq!(header.description, "");
        assert_eq!(header.max_session_duration_seconds, 3600);
        assert_eq!(header.permissions_boundary, None);
        assert_eq!(header.tags, BTreeMap::new());
    }
}

#[tokio::test]
async fn a_document_that_is_not_encoded_is_taken_as_it_stands() {
    let more = format!(
        "<AssumeRolePolicyDocument>{}</AssumeRolePolicyDocument>",
        escaped(DOCUMENT)
    );
    assert_eq!(get_role(role(ARN, &more)).await.unwrap().trust, DOCUMENT);
}

#[tokio::test]
async fn an_id_in_place_of_a_new_roles_arn_means_not_yet() {
    let error = get_role(role("AROAXYZ", "")).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::NotYetConsistent);
    assert_eq!(error.code, code::ARN_NOT_YET_KNOWN);
    assert!(!error.ambiguous);
}

#[tokio::test]
async fn an_unusable_answer_to_create_role_says_that_the_role_may_exist() {
    for body in [role("AROAXYZ", ""), String::new()] {
        let server = Server::start(iam_only(move |_| ok("CreateRole", &body))).await;
        let new = mlservicerole_operator::iam::role::NewRole {
            arn: ARN.parse().unwrap(),
            trust: DOCUMENT.into(),
            description: String::new(),
            max_session_duration_seconds: 3600,
            permissions_boundary: None,
            tags: BTreeMap::new(),
        };
        let error = server.iam().await.create_role(&new).await.unwrap_err();
        assert!(error.ambiguous, "{error:?}");
    }
}

#[tokio::test]
async fn an_answer_without_a_role_is_not_a_role() {
    let error = get_role(String::new()).await.unwrap_err();
    assert_eq!(error.code, code::UNREADABLE_ANSWER);
    assert_eq!(error.class, ErrorClass::Transient);
}

fn attached(names: &[&str], marker: &str) -> Reply {
    let members: String = names
        .iter()
        .map(|name| {
            format!(
                "<member><PolicyName>{name}</PolicyName>\
                 <PolicyArn>arn:aws:iam::aws:policy/{name}</PolicyArn></member>"
            )
        })
        .collect();
    ok(
        "ListAttachedRolePolicies",
        &format!("<AttachedPolicies>{members}</AttachedPolicies>{}", page(marker)),
    )
}

fn inline(names: &[&str], marker: &str) -> Reply {
    let members: String = names
        .iter()
        .map(|name| format!("<member>{name}</member>"))
        .collect();
    ok(
        "ListRolePolicies",
        &format!("<PolicyNames>{members}</PolicyNames>{}", page(marker)),
    )
}

fn page(marker: &str) -> String {
    match marker {
        "" => "<IsTruncated>false</IsTruncated>".into(),
        _ => format!("<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>"),
    }
}

fn paged_content(call: &Call) -> Reply {
    match (call.action(), call.field("Marker")) {
        ("ListAttachedRolePolicies", "") => attached(&["A", "B"], "two"),
        // IAM may send a page with nothing on it.
        ("ListAttachedRolePolicies", "two") => attached(&[], "three"),
        ("ListAttachedRolePolicies", "three") => attached(&["C"], ""),
        ("ListRolePolicies", "") => inline(&["one"], "two"),
        ("ListRolePolicies", "two") => inline(&["plain", "gone"], ""),
        ("GetRolePolicy", _) => match call.field("PolicyName") {
            "gone" => error(404, "NoSuchEntity", "The role policy cannot be found."),
            "plain" => policy("plain", &escaped(DOCUMENT)),
            name => policy(name, &encoded()),
        },
        other => panic!("unexpected {other:?}"),
    }
}

fn policy(name: &str, document: &str) -> Reply {
    ok(
        "GetRolePolicy",
        &format!(
            "<RoleName>trainer</RoleName><PolicyName>{name}</PolicyName>\
             <PolicyDocument>{document}</PolicyDocument>"
        ),
    )
}

#[tokio::test]
async fn a_roles_policies_are_read_from_all_pages() {
    let server = Server::start(iam_only(paged_content)).await;
    let iam = server.iam().await;
    let content = iam.role_content(&"trainer".parse().unwrap()).await.unwrap();
    let arn = |name| format!("arn:aws:iam::aws:policy/{name}").parse().unwrap();
    assert_eq!(content.attached, BTreeSet::from([arn("A"), arn("B"), arn("C")]));
    assert_eq!(
        content.inline,
        BTreeMap::from([("one".into(), DOCUMENT.into()), ("plain".into(), DOCUMENT.into())]),
        "both spellings of a document are read, and one that vanished is left out"
    );
    assert_eq!(server.count("ListAttachedRolePolicies"), 3);
    assert_eq!(server.count("ListRolePolicies"), 2);
    assert_eq!(server.count("GetRolePolicy"), 3);
}

#[tokio::test]
async fn a_list_that_breaks_off_is_an_error_and_not_a_shorter_list() {
    let unfinished = "<IsTruncated>true</IsTruncated>";
    for broken in ["ListAttachedRolePolicies", "ListRolePolicies"] {
        let server = Server::start(iam_only(move |call| match call.action() {
            action if action == broken => ok(action, unfinished),
            "ListAttachedRolePolicies" => attached(&[], ""),
            _ => inline(&[], ""),
        }))
        .await;
        let iam = server.iam().await;
        let name = "trainer".parse().unwrap();
        let error = iam.role_content(&name).await.unwrap_err();
        assert_eq!((error.operation, error.class), (broken, ErrorClass::Transient));
    }
}

#[tokio::test]
async fn audiences_are_the_client_ids_of_the_provider() {
    let server = Server::start(iam_only(|call| {
        assert_eq!(
            call.field("OpenIDConnectProviderArn"),
            "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/1"
        );
        ok(
            "GetOpenIDConnectProvider",
            "<Url>oidc.example/id/1</Url><ClientIDList><member>sts.amazonaws.com</member>\
             <member>other</member></ClientIDList>",
        )
    }))
    .await;
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/1"
        .parse()
        .unwrap();
    let iam = server.iam().await;
    assert_eq!(
        iam.open_id_connect_provider_audiences(&provider).await.unwrap(),
        BTreeSet::from(["sts.amazonaws.com".into(), "other".into()])
    );
}

#[tokio::test]
async fn a_policy_exists_unless_iam_says_that_it_does_not() {
    for (reply, expected) in [
        (ok("GetPolicy", "<Policy></Policy>"), Ok(true)),
        (error(404, "NoSuchEntity", "Policy does not exist"), Ok(false)),
        (error(403, "AccessDenied", "no"), Err(ErrorClass::Denied)),
    ] {
        let server = Server::start(iam_only(move |_| reply.clone())).await;
        let iam = server.iam().await;
        let policy = "arn:aws:iam::aws:policy/ReadOnly".parse().unwrap();
        let answer = iam.policy_exists(&policy).await;
        assert_eq!(answer.map_err(|error| error.class), expected);
    }
}
