//! The lists of a whole account, a page at a time.

use std::collections::{BTreeMap, BTreeSet};

use mlservicerole_operator::aws::error::code;
use mlservicerole_operator::iam::role::{RoleContent, RoleDetails, RoleSettings};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::server::{Server, iam_only, ok};

const DOCUMENT: &str = r#"{"Resource":"arn:aws:s3:::b/a+b%2Fc d","Sid":"ü"}"#;

fn encoded() -> String {
    utf8_percent_encode(DOCUMENT, NON_ALPHANUMERIC).to_string()
}

/// Of a role in GetAccountAuthorizationDetails, what every one has.
fn detail(name: &str, arn: &str, more: &str) -> String {
    format!(
        "<member><Path>/ml/</Path><RoleName>{name}</RoleName><RoleId>AROAXYZ</RoleId><Arn>{arn}</Arn>\
         <CreateDate>2026-11-24T15:00:00Z</CreateDate>\
         <AssumeRolePolicyDocument>{}</AssumeRolePolicyDocument>{more}</member>",
        encoded()
    )
}

fn page(items: &str, end: &str) -> String {
    format!("<RoleDetailList>{items}</RoleDetailList>{end}")
}

const LAST: &str = "<IsTruncated>false</IsTruncated>";
const ARN: &str = "arn:aws:iam::111122223333:role/ml/trainer";

#[tokio::test]
async fn a_page_of_details_is_asked_for_roles_only() {
    let server = Server::start(iam_only(|call| ok(call.action(), &page("", LAST)))).await;
    server.iam().await.role_details_page(Some("m+1")).await.unwrap();
    let call = server.only("GetAccountAuthorizationDetails");
    assert_eq!(call.field("Filter.member.1"), "Role");
    assert_eq!(call.field("MaxItems"), "300");
    assert_eq!(call.field("Marker"), "m+1");
}

#[tokio::test]
async fn details_come_whole_and_decoded() {
    let more = format!(
        "<RolePolicyList><member><PolicyName>p</PolicyName><PolicyDocument>{}</PolicyDocument></member></RolePolicyList>\
         <AttachedManagedPolicies><member><PolicyName>x</PolicyName>\
         <PolicyArn>arn:aws:iam::aws:policy/x</PolicyArn></member></AttachedManagedPolicies>\
         <PermissionsBoundary><PermissionsBoundaryArn>arn:aws:iam::111122223333:policy/b</PermissionsBoundaryArn>\
         </PermissionsBoundary><Tags><member><Key>team</Key><Value>a+b</Value></member></Tags>",
        encoded()
    );
    let items = detail("trainer", ARN, &more);
    let more = "<IsTruncated>true</IsTruncated><Marker>next</Marker>";
    let answer = page(&items, more);
    let server = Server::start(iam_only(move |call| ok(call.action(), &answer))).await;
    let page = server.iam().await.role_details_page(None).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("next"));
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].name.as_str(), "trainer");
    assert_eq!(
        page.items[0].role,
        Some(RoleDetails {
            arn: ARN.parse().unwrap(),
            id: "AROAXYZ".into(),
            trust: DOCUMENT.into(),
            permissions_boundary: Some("arn:aws:iam::111122223333:policy/b".into()),
            tags: BTreeMap::from([("team".into(), "a+b".into())]),
            content: RoleContent {
                inline: BTreeMap::from([("p".into(), DOCUMENT.into())]),
                attached: BTreeSet::from(["arn:aws:iam::aws:policy/x".parse().unwrap()]),
            },
        })
    );
}

#[tokio::test]
async fn a_role_that_is_not_understood_is_named_and_the_rest_of_the_page_holds() {
    let items = detail("new", "AROAXYZ", "") + &detail("trainer", ARN, "");
    let answer = page(&items, LAST);
    let server = Server::start(iam_only(move |call| ok(call.action(), &answer))).await;
    let page = server.iam().await.role_details_page(None).await.unwrap();
    let told: Vec<_> = page
        .items
        .iter()
        .map(|item| (item.name.as_str(), item.role.is_some()))
        .collect();
    assert_eq!(told, [("new", false), ("trainer", true)]);
}

#[tokio::test]
async fn a_page_that_breaks_off_without_a_marker_is_an_error() {
    for action in ["ListRoles", "GetAccountAuthorizationDetails"] {
        let server = Server::start(iam_only(|call| match call.action() {
            "ListRoles" => ok("ListRoles", "<Roles></Roles><IsTruncated>true</IsTruncated>"),
            action => ok(action, &page("", "<IsTruncated>true</IsTruncated>")),
        }))
        .await;
        let iam = server.iam().await;
        let error = match action {
            "ListRoles" => iam.role_settings_page("/ml/", None).await.unwrap_err(),
            _ => iam.role_details_page(None).await.unwrap_err(),
        };
        assert_eq!(
            (error.operation, error.code.as_str()),
            (action, code::UNREADABLE_ANSWER)
        );
    }
}

#[tokio::test]
async fn settings_are_asked_for_by_path() {
    let server = Server::start(iam_only(|call| {
        let role = |name: &str, more: &str| {
            format!(
                "<member><Path>/ml/</Path><RoleName>{name}</RoleName><RoleId>AROA{name}</RoleId>\
                 <Arn>arn:aws:iam::111122223333:role/ml/{name}</Arn><CreateDate>2026-11-24T15:00:00Z</CreateDate>{more}</member>"
            )
        };
        let more = "<Description>for a</Description><MaxSessionDuration>7200</MaxSessionDuration>";
        let roles = role("a", more) + &role("b", "");
        ok(call.action(), &format!("<Roles>{roles}</Roles>{LAST}"))
    }))
    .await;
    let page = server
        .iam()
        .await
        .role_settings_page("/ml/prod/", Some("m"))
        .await
        .unwrap();
    let call = server.only("ListRoles");
    assert_eq!(
        (call.field("PathPrefix"), call.field("Marker")),
        ("/ml/prod/", "m")
    );
    assert_eq!(call.field("MaxItems"), "1000");
    let told: Vec<_> = page
        .items
        .into_iter()
        .map(|item| (item.name.to_string(), item.role))
        .collect();
    let settings = |id: &str, description: &str, max_session_duration_seconds| {
        Some(RoleSettings {
            id: id.to_owned(),
            description: description.to_owned(),
            max_session_duration_seconds,
        })
    };
    assert_eq!(
        told,
        [
            ("a".to_owned(), settings("AROAa", "for a", 7_200)),
            ("b".to_owned(), settings("AROAb", "", 3_600)),
        ]
    );
}

#[tokio::test]
async fn the_number_of_roles_is_what_the_account_says() {
    let summary = "<SummaryMap><entry><key>Roles</key><value>42</value></entry></SummaryMap>";
    let server = Server::start(iam_only(move |call| ok(call.action(), summary))).await;
    assert_eq!(server.iam().await.account_role_count().await.unwrap(), Some(42));
    let server = Server::start(iam_only(|call| ok(call.action(), "<SummaryMap></SummaryMap>"))).await;
    assert_eq!(server.iam().await.account_role_count().await.unwrap(), None);
}
