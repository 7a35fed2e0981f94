//! What the API server refuses in a class: a mistyped class fails closed.

use serde_json::{Map, Value, json};

use crate::support::kstatus::{Status, kstatus};
use crate::support::schema::Kind;

crate::trials![
    what_widens_must_be_written,
    a_boundary_is_an_arn_or_the_written_absence_of_one,
    account_and_issuers_have_their_shapes,
    paths_prefixes_and_tags_have_their_shapes,
    consents_have_their_shapes,
    a_full_class_passes,
];

const SHAPE: Option<&str> = Some("should match");
const TOO_LONG: Option<&str> = Some("Too long");
const TOO_MANY: Option<&str> = Some("Too many");

/// The shortest good class, with a top-level field added.
fn with(field: &str, value: Value) -> Value {
    let mut spec = json!({"roles": {"permissionsBoundary": {"none": {}}}, "allow": {"namespaces": {}}});
    match (&mut spec[field], value) {
        (Value::Object(old), Value::Object(new)) => old.extend(new),
        (old, new) => *old = new,
    }
    spec
}

fn roles(field: &str, value: Value) -> Value {
    with("roles", json!({field: value}))
}

fn allow(field: &str, value: Value) -> Value {
    with("allow", json!({field: value}))
}

async fn what_widens_must_be_written() {
    let required = Some("Required value");
    let boundary = json!({"permissionsBoundary": {"none": {}}});
    Kind::classes()
        .check_new(vec![
            (
                "the shortest class",
                json!({"roles": boundary, "allow": {"namespaces": {}}}),
                None,
            ),
            ("nothing", json!({}), required),
            ("no allow", json!({ "roles": boundary }), required),
            ("no roles", json!({"allow": {"namespaces": {}}}), required),
            (
                "no namespaces",
                json!({"roles": boundary, "allow": {}}),
                Some("spec.allow.namespaces: Required value"),
            ),
            (
                "no boundary",
                json!({"roles": {}, "allow": {"namespaces": {}}}),
                Some("spec.roles.permissionsBoundary: Required value"),
            ),
            (
                "labels",
                json!({"roles": boundary, "allow": {"namespaces": {"matchLabels": {"team": "ml"}}}}),
                None,
            ),
            (
                "a selector as text",
                json!({"roles": boundary, "allow": {"namespaces": "*"}}),
                Some("must be of type object"),
            ),
        ])
        .await;
}

async fn a_boundary_is_an_arn_or_the_written_absence_of_one() {
    let one = Some("permissionsBoundary needs exactly one of arn");
    let boundary = |value: Value| roles("permissionsBoundary", value);
    let arn = "arn:aws:iam::123456789012:policy/boundary";
    Kind::classes()
        .check_new(vec![
            ("an ARN", boundary(json!({ "arn": arn })), None),
            ("none", boundary(json!({"none": {}})), None),
            ("neither", boundary(json!({})), one),
            ("both", boundary(json!({"arn": arn, "none": {}})), one),
            (
                "a name",
                boundary(json!({"arn": "boundary-of-the-platform"})),
                SHAPE,
            ),
            (
                "a role's ARN",
                boundary(json!({"arn": "arn:aws:iam::123456789012:role/boundary"})),
                SHAPE,
            ),
            (
                "true",
                boundary(json!({"none": true})),
                Some("must be of type object"),
            ),
        ])
        .await;
}

async fn account_and_issuers_have_their_shapes() {
    let account = |id: &str| with("aws", json!({ "accountId": id }));
    let assume = |arn: &str| with("aws", json!({"assumeRole": {"arn": arn}}));
    let external = |id: &str| {
        let role = json!({"arn": "arn:aws:iam::123456789012:role/a", "externalId": id});
        with("aws", json!({ "assumeRole": role }))
    };
    let issuer = |url: &str| {
        with(
            "oidc",
            json!({"issuers": [{"url": url, "trustSameNamespaces": true}]}),
        )
    };
    let issuers = |n: usize| {
        let issuers: Vec<_> = (0..n)
            .map(|i| json!({"url": format!("https://oidc.example/{i}")}))
            .collect();
        with("oidc", json!({ "issuers": issuers }))
    };
    let twice = json!([{"url": "https://a.example"}, {"url": "https://a.example"}]);
    Kind::classes()
        .check_new(vec![
            ("an account", account("123456789012"), None),
            ("an account with dashes", account("1234-5678-90"), SHAPE),
            (
                "an account of eleven digits",
                account("12345678901"),
                Some("spec.aws.accountId"),
            ),
            (
                "a number",
                with("aws", json!({"accountId": 123456789012_u64})),
                Some("must be of type string"),
            ),
            (
                "a role to assume",
                assume("arn:aws:iam::123456789012:role/path/a"),
                None,
            ),
            (
                "a user to assume",
                assume("arn:aws:iam::123456789012:user/a"),
                SHAPE,
            ),
            (
                "an external id alone",
                with("aws", json!({"assumeRole": {"externalId": "abc"}})),
                Some("Required value"),
            ),
            ("an external id", external("a1_+=,.@:/-"), None),
            ("an external id with a space", external("a b"), SHAPE),
            (
                "an issuer",
                issuer("https://oidc.eks.us-east-1.amazonaws.com/id/ABC"),
                None,
            ),
            ("an issuer without TLS", issuer("http://oidc.example"), SHAPE),
            (
                "an issuer without scheme",
                issuer("oidc.eks.us-east-1.amazonaws.com/id/A"),
                SHAPE,
            ),
            (
                "an issuer with a query",
                issuer("https://oidc.example?a=b"),
                SHAPE,
            ),
            (
                "an issuer twice",
                with("oidc", json!({ "issuers": twice })),
                Some("Duplicate value"),
            ),
            ("10 issuers", issuers(10), None),
            ("11 issuers", issuers(11), TOO_MANY),
            (
                "an audience",
                with("oidc", json!({"audience": "https://sts.example"})),
                None,
            ),
            (
                "an empty audience",
                with("oidc", json!({"audience": ""})),
                Some("spec.oidc.audience"),
            ),
            (
                "an audience with a space",
                with("oidc", json!({"audience": "a b"})),
                SHAPE,
            ),
        ])
        .await;
}

async fn paths_prefixes_and_tags_have_their_shapes() {
    let path = |path: &str| roles("path", json!(path));
    let prefix = |prefix: &str| roles("namePrefix", json!(prefix));
    let tag = |key: &str| roles("tags", json!({key: "x"}));
    let session = |seconds: i32| roles("maxSessionDurationSeconds", json!(seconds));
    let many: Map<String, Value> = (0..41).map(|i| (format!("k{i}"), json!(""))).collect();
    let uids = |n: usize| roles("formerClusterUIDs", (0..n).map(|i| format!("uid-{i}")).collect());
    Kind::classes()
        .check_new(vec![
            ("a path", path("/ml/{cluster}/{namespace}/"), None),
            ("the root path", path("/"), None),
            ("a path without slash before", path("ml/"), SHAPE),
            ("a path without slash behind", path("/ml"), SHAPE),
            ("a path with a space", path("/m l/"), SHAPE),
            ("a path of 513", path(&format!("/{}/", "a".repeat(511))), TOO_LONG),
            ("a prefix", prefix("ml-"), None),
            ("a prefix with a slash", prefix("ml/"), SHAPE),
            ("a prefix of 33", prefix(&"a".repeat(33)), TOO_LONG),
            ("an hour", session(3600), None),
            ("a minute", session(60), Some("greater than or equal to 3600")),
            ("a day", session(86400), Some("less than or equal to 43200")),
            ("a tag", tag("team"), None),
            ("a tag of AWS", tag("Aws:team"), Some("are reserved")),
            (
                "a tag of the operator",
                tag("mlservicerole.io/name"),
                Some("are reserved"),
            ),
            (
                "a long key",
                tag(&"k".repeat(129)),
                Some("a tag key has 1 to 128 characters"),
            ),
            ("an empty key", tag(""), Some("a tag key has 1 to 128 characters")),
            ("41 tags", roles("tags", Value::Object(many)), TOO_MANY),
            ("10 former clusters", uids(10), None),
            ("11 former clusters", uids(11), TOO_MANY),
            (
                "a former cluster twice",
                roles("formerClusterUIDs", json!(["a", "a"])),
                Some("Duplicate value"),
            ),
            (
                "a former cluster by its ARN",
                roles("formerClusterUIDs", json!(["arn:aws:eks"])),
                SHAPE,
            ),
        ])
        .await;
}

async fn consents_have_their_shapes() {
    let strings = |field: &str, n: usize| allow(field, (0..n).map(|i| format!("value-{i}")).collect());
    let rule = |value: Value| allow("inline", json!([value]));
    let adopt = |value: Value| allow("adopt", json!([value]));
    let arn = "arn:aws:iam::123456789012:role/a";
    Kind::classes()
        .check_new(vec![
            ("200 managed policies", strings("managedPolicyArns", 200), None),
            (
                "201 managed policies",
                strings("managedPolicyArns", 201),
                TOO_MANY,
            ),
            (
                "a managed policy twice",
                allow("managedPolicyArns", json!(["a", "a"])),
                Some("Duplicate value"),
            ),
            (
                "a managed policy with a space",
                allow("managedPolicyArns", json!(["a b"])),
                SHAPE,
            ),
            ("200 role names", strings("roleNames", 200), None),
            ("201 role names", strings("roleNames", 201), TOO_MANY),
            ("50 tag keys", strings("tagKeys", 50), None),
            ("51 tag keys", strings("tagKeys", 51), TOO_MANY),
            ("50 services", strings("trustedServices", 50), None),
            ("51 services", strings("trustedServices", 51), TOO_MANY),
            (
                "an empty service",
                allow("trustedServices", json!([""])),
                Some("spec.allow.trustedServices[0]"),
            ),
            (
                "an inline rule",
                rule(json!({"actions": ["s3:Get*"], "resources": ["*"]})),
                None,
            ),
            (
                "an inline rule without actions",
                rule(json!({"actions": [], "resources": ["*"]})),
                Some("should have at least 1 items"),
            ),
            (
                "an inline rule without resources",
                rule(json!({"actions": ["s3:*"]})),
                Some("Required value"),
            ),
            (
                "a role to adopt",
                adopt(json!({"arn": arn, "namespaces": ["a"]})),
                None,
            ),
            (
                "a role to adopt for nobody",
                adopt(json!({"arn": arn, "namespaces": []})),
                Some("should have at least 1 items"),
            ),
            (
                "retain as text",
                allow("retain", json!("yes")),
                Some("must be of type boolean"),
            ),
            ("onViolation", with("onViolation", json!("Revoke")), None),
            (
                "an unknown onViolation",
                with("onViolation", json!("Delete")),
                Some("Unsupported value"),
            ),
        ])
        .await;
}

async fn a_full_class_passes() {
    let full = json!({
        "aws": {"accountId": "123456789012", "assumeRole": {"arn": "arn:aws:iam::123456789012:role/a", "externalId": "abc"}},
        "oidc": {"issuers": [{"url": "https://oidc.example/a", "trustSameNamespaces": true}], "audience": "sts.amazonaws.com"},
        "roles": {
            "path": "/ml/", "namePrefix": "ml-", "maxSessionDurationSeconds": 7200, "tags": {"team": "a"},
            "formerClusterUIDs": ["a"], "permissionsBoundary": {"arn": "arn:aws:iam::123456789012:policy/b"},
        },
        "allow": {
            "namespaces": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a"]}]},
            "presets": [{"name": "s3-read", "with": {"bucket": ["a-*"]}}],
            "managedPolicyArns": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"],
            "inline": [{"actions": ["s3:*"], "resources": ["*"], "conditions": {"StringEquals": {"a": ["b"]}}}],
            "trustedServices": ["sagemaker.amazonaws.com"], "passRoleArns": ["arn:aws:iam::123456789012:role/a"],
            "escalatingActions": ["iam:PassRole"], "roleNames": ["a"], "tagKeys": ["team"],
            "adopt": [{"arn": "arn:aws:iam::123456789012:role/a", "namespaces": ["a"]}],
            "retain": true, "defaultServiceAccount": true,
        },
        "onViolation": "Keep",
    });
    let stored = Kind::classes().stored(&full).await;
    assert_eq!(stored["spec"], full);
    assert_eq!(stored["status"], json!({"observedGeneration": -1}));
    assert_eq!(kstatus(&stored), Status::InProgress);
}
