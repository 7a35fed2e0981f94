//! What the API server refuses in a new MlServiceRole, before the operator sees it.

use serde_json::{Map, Value, json};

use crate::support::Space;
use crate::support::kstatus::{Status, kstatus};
use crate::support::schema::Kind;

crate::trials![
    names_and_arns_have_their_shapes,
    sizes_have_their_limits,
    values_outside_their_enumerations_are_refused,
    duplicates_are_refused,
    fields_that_need_each_other_are_checked_together,
    tag_keys_are_checked,
    a_full_object_passes,
    policy_documents_keep_their_fields,
    a_new_object_counts_as_in_progress,
];

const SHAPE: Option<&str> = Some("should match");
const TOO_LONG: Option<&str> = Some("Too long");
const TOO_MANY: Option<&str> = Some("Too many");

async fn names_and_arns_have_their_shapes() {
    let space = Space::without_operator("shapes").await;
    let managed = |arn: &str| json!({ "managedPolicyArns": [arn] });
    let account = |name: &str| json!({ "serviceAccounts": [{ "name": name }] });
    let named = |name: &str| json!({"role": {"name": name}});
    let service = |name: &str| json!({"role": {"trustedServices": [name]}});
    let inline = |name: &str| json!({"inlinePolicies": [{"name": name, "document": {}}]});
    let preset = |name: &str| json!({"access": [{"preset": name}]});
    Kind::roles(&space.name)
        .check_new(vec![
            ("nothing at all", json!({}), None),
            ("a class", json!({"className": "ml.default-1"}), None),
            ("a class in capitals", json!({"className": "Default"}), SHAPE),
            (
                "a class that ends in a dash",
                json!({"className": "default-"}),
                SHAPE,
            ),
            ("an empty class", json!({"className": ""}), Some("spec.className")),
            (
                "an AWS-managed policy",
                managed("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"),
                None,
            ),
            (
                "a policy with a path",
                managed("arn:aws:iam::aws:policy/service-role/AWSLambdaRole"),
                None,
            ),
            (
                "a policy in China",
                managed("arn:aws-cn:iam::123456789012:policy/mine"),
                None,
            ),
            (
                "a policy in GovCloud",
                managed("arn:aws-us-gov:iam::123456789012:policy/mine"),
                None,
            ),
            ("a policy by its name", managed("AmazonS3ReadOnlyAccess"), SHAPE),
            (
                "a role as policy",
                managed("arn:aws:iam::123456789012:role/mine"),
                SHAPE,
            ),
            (
                "a policy of a short account",
                managed("arn:aws:iam::1234:policy/mine"),
                SHAPE,
            ),
            (
                "a policy with a space",
                managed("arn:aws:iam::aws:policy/a b"),
                SHAPE,
            ),
            (
                "a policy in two lines",
                managed("arn:aws:iam::aws:policy/a\nb"),
                SHAPE,
            ),
            ("a ServiceAccount", account("trainer-1.a"), None),
            ("a ServiceAccount in capitals", account("Trainer"), SHAPE),
            (
                "a ServiceAccount of another namespace",
                account("team-b:trainer"),
                SHAPE,
            ),
            ("a ServiceAccount with a star", account("train*"), SHAPE),
            (
                "a ServiceAccount without a name",
                json!({"serviceAccounts": [{}]}),
                Some("Required value"),
            ),
            ("a role name", named("Trainer_1+=,.@-"), None),
            ("a role name with a path", named("team/trainer"), SHAPE),
            ("an empty role name", named(""), Some("spec.role.name")),
            ("a service", service("sagemaker.amazonaws.com"), None),
            ("a service in China", service("sagemaker.amazonaws.com.cn"), None),
            (
                "a service of somebody else",
                service("sagemaker.example.com"),
                SHAPE,
            ),
            ("all services", service("*"), SHAPE),
            ("an inline policy", inline("Read_1+=,.@-"), None),
            ("an inline policy with a slash", inline("a/b"), SHAPE),
            (
                "an inline policy without document",
                json!({"inlinePolicies": [{"name": "a"}]}),
                Some("Required value"),
            ),
            (
                "a document as text",
                json!({"inlinePolicies": [{"name": "a", "document": "{}"}]}),
                Some("must be of type object"),
            ),
            ("a preset", preset("sagemaker-invoke-endpoint"), None),
            ("a preset in capitals", preset("SageMaker"), SHAPE),
            (
                "a description in Latin-1",
                json!({"role": {"description": "für Modelle\n"}}),
                None,
            ),
            (
                "a description in Greek",
                json!({"role": {"description": "μοντέλο"}}),
                SHAPE,
            ),
        ])
        .await;
}

async fn sizes_have_their_limits() {
    let space = Space::without_operator("sizes").await;
    let repeated = |n: usize| "a".repeat(n);
    let accounts = |n: usize| {
        let accounts: Vec<_> = (0..n).map(|i| json!({"name": format!("sa-{i}")})).collect();
        json!({ "serviceAccounts": accounts })
    };
    let managed = |n: usize| {
        let arns: Vec<_> = (0..n).map(|i| format!("arn:aws:iam::aws:policy/P{i}")).collect();
        json!({ "managedPolicyArns": arns })
    };
    let inline = |n: usize| {
        let policies: Vec<_> = (0..n)
            .map(|i| json!({"name": format!("p{i}"), "document": {}}))
            .collect();
        json!({ "inlinePolicies": policies })
    };
    let services = |n: usize| {
        let services: Vec<_> = (0..n).map(|i| format!("s{i}.amazonaws.com")).collect();
        json!({"role": {"trustedServices": services}})
    };
    let presets = |n: usize| {
        let presets: Vec<_> = (0..n).map(|_| json!({"preset": "a"})).collect();
        json!({ "access": presets })
    };
    let session = |seconds: i32| json!({"role": {"maxSessionDurationSeconds": seconds}});
    Kind::roles(&space.name)
        .check_new(vec![
            ("32 ServiceAccounts", accounts(32), None),
            ("33 ServiceAccounts", accounts(33), TOO_MANY),
            ("25 managed policies", managed(25), None),
            ("26 managed policies", managed(26), TOO_MANY),
            ("25 inline policies", inline(25), None),
            ("26 inline policies", inline(26), TOO_MANY),
            ("10 services", services(10), None),
            ("11 services", services(11), TOO_MANY),
            ("20 presets", presets(20), None),
            ("21 presets", presets(21), TOO_MANY),
            ("an hour", session(3600), None),
            (
                "less than an hour",
                session(3599),
                Some("greater than or equal to 3600"),
            ),
            ("twelve hours", session(43200), None),
            (
                "more than twelve hours",
                session(43201),
                Some("less than or equal to 43200"),
            ),
            (
                "half seconds",
                json!({"role": {"maxSessionDurationSeconds": 3600.5}}),
                Some("must be of type integer"),
            ),
            ("a role name of 64", json!({"role": {"name": repeated(64)}}), None),
            (
                "a role name of 65",
                json!({"role": {"name": repeated(65)}}),
                TOO_LONG,
            ),
            (
                "a description of 1000",
                json!({"role": {"description": repeated(1000)}}),
                None,
            ),
            (
                "a description of 1001",
                json!({"role": {"description": repeated(1001)}}),
                TOO_LONG,
            ),
            ("a class of 254", json!({"className": repeated(254)}), TOO_LONG),
            (
                "a ServiceAccount of 254",
                json!({"serviceAccounts": [{"name": repeated(254)}]}),
                TOO_LONG,
            ),
            (
                "an inline policy's name of 129",
                json!({"inlinePolicies": [{"name": repeated(129), "document": {}}]}),
                TOO_LONG,
            ),
        ])
        .await;
}

async fn values_outside_their_enumerations_are_refused() {
    let space = Space::without_operator("enums").await;
    let unsupported = Some("Unsupported value");
    let account = |field: &str, value: &str| json!({"serviceAccounts": [{"name": "a", field: value}]});
    let named = |field: &str, value: &str| json!({field: value, "role": {"name": "a"}});
    Kind::roles(&space.name)
        .check_new(vec![
            ("deletionPolicy Delete", json!({"deletionPolicy": "Delete"}), None),
            ("deletionPolicy Retain", json!({"deletionPolicy": "Retain"}), None),
            (
                "deletionPolicy retain",
                json!({"deletionPolicy": "retain"}),
                unsupported,
            ),
            ("mode Manage", json!({"mode": "Manage"}), None),
            ("mode Observe", json!({"mode": "Observe"}), None),
            ("mode DryRun", json!({"mode": "DryRun"}), unsupported),
            ("adoptionPolicy Never", named("adoptionPolicy", "Never"), None),
            (
                "adoptionPolicy AdoptAndReplaceTrust",
                named("adoptionPolicy", "AdoptAndReplaceTrust"),
                None,
            ),
            (
                "adoptionPolicy Always",
                named("adoptionPolicy", "Always"),
                unsupported,
            ),
            ("creationPolicy Never", account("creationPolicy", "Never"), None),
            (
                "creationPolicy Always",
                account("creationPolicy", "Always"),
                unsupported,
            ),
            (
                "conflictPolicy Replace",
                account("conflictPolicy", "Replace"),
                None,
            ),
            (
                "conflictPolicy Force",
                account("conflictPolicy", "Force"),
                unsupported,
            ),
        ])
        .await;
}

async fn duplicates_are_refused() {
    let space = Space::without_operator("duplicates").await;
    let duplicate = Some("Duplicate value");
    let arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    Kind::roles(&space.name)
        .check_new(vec![
            (
                "a ServiceAccount twice",
                json!({"serviceAccounts": [{"name": "a"}, {"name": "a", "creationPolicy": "Never"}]}),
                duplicate,
            ),
            (
                "a managed policy twice",
                json!({"managedPolicyArns": [arn, arn]}),
                duplicate,
            ),
            (
                "an inline policy twice",
                json!({"inlinePolicies": [{"name": "a", "document": {}}, {"name": "a", "document": {}}]}),
                duplicate,
            ),
            (
                "a service twice",
                json!({"role": {"trustedServices": ["a.amazonaws.com", "a.amazonaws.com"]}}),
                duplicate,
            ),
            (
                "a preset twice",
                json!({"access": [{"preset": "a"}, {"preset": "a"}]}),
                None,
            ),
        ])
        .await;
}

async fn fields_that_need_each_other_are_checked_together() {
    let space = Space::without_operator("together").await;
    let nobody = Some("serviceAccounts may be empty only where role.trustedServices names a service");
    let nameless = Some("adoptionPolicy needs role.name");
    Kind::roles(&space.name)
        .check_new(vec![
            ("nobody may use the role", json!({"serviceAccounts": []}), nobody),
            (
                "nobody, with a description",
                json!({"serviceAccounts": [], "role": {"description": "x"}}),
                nobody,
            ),
            (
                "nobody, with no service",
                json!({"serviceAccounts": [], "role": {"trustedServices": []}}),
                nobody,
            ),
            (
                "a service only",
                json!({"serviceAccounts": [], "role": {"trustedServices": ["sagemaker.amazonaws.com"]}}),
                None,
            ),
            (
                "adoption of any role",
                json!({"adoptionPolicy": "Adopt"}),
                nameless,
            ),
            (
                "forced adoption of any role",
                json!({"adoptionPolicy": "AdoptAndReplaceTrust", "role": {}}),
                nameless,
            ),
            ("no adoption", json!({"adoptionPolicy": "Never"}), None),
        ])
        .await;
}

async fn tag_keys_are_checked() {
    let space = Space::without_operator("tags").await;
    let tag = |key: &str, value: &str| json!({"role": {"tags": {key: value}}});
    let many = |n: usize| {
        let tags: Map<String, Value> = (0..n).map(|i| (format!("k{i}"), json!(""))).collect();
        json!({"role": {"tags": tags}})
    };
    let reserved = Some("are reserved");
    Kind::roles(&space.name)
        .check_new(vec![
            ("a tag", tag("cost-center", "ml"), None),
            ("a tag without value", tag("cost-center", ""), None),
            ("a tag of AWS", tag("aws:region", "x"), reserved),
            ("a tag of AWS in capitals", tag("AWS:region", "x"), reserved),
            (
                "a tag of the operator",
                tag("mlservicerole.io/cluster-uid", "x"),
                reserved,
            ),
            (
                "a tag of the operator in capitals",
                tag("MLServiceRole.IO/uid", "x"),
                reserved,
            ),
            (
                "a key that only resembles one",
                tag("mlservicerole-io/uid", "x"),
                None,
            ),
            ("a key that begins like AWS", tag("awsome", "x"), None),
            ("a key of 128", tag(&"k".repeat(128), "x"), None),
            (
                "a key of 129",
                tag(&"k".repeat(129), "x"),
                Some("a tag key has 1 to 128 characters"),
            ),
            (
                "an empty key",
                tag("", "x"),
                Some("a tag key has 1 to 128 characters"),
            ),
            ("a value of 256", tag("k", &"v".repeat(256)), None),
            ("a value of 257", tag("k", &"v".repeat(257)), TOO_LONG),
            ("40 tags", many(40), None),
            ("41 tags", many(41), TOO_MANY),
            (
                "a number",
                json!({"role": {"tags": {"k": 1}}}),
                Some("must be of type string"),
            ),
        ])
        .await;
}

async fn a_full_object_passes() {
    let space = Space::without_operator("full").await;
    let full = json!({
        "className": "default",
        "serviceAccounts": [
            {"name": "a", "creationPolicy": "IfMissing", "conflictPolicy": "Refuse"},
            {"name": "b", "creationPolicy": "Never", "conflictPolicy": "Replace"},
        ],
        "access": [{"preset": "s3-read", "version": 1, "with": {"bucket": ["a", "b"]}}],
        "managedPolicyArns": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"],
        "inlinePolicies": [{"name": "a", "document": {"Version": "2012-10-17", "Statement": []}}],
        "role": {
            "name": "a", "description": "b", "maxSessionDurationSeconds": 7200, "tags": {"team": "a"},
            "trustedServices": ["sagemaker.amazonaws.com"],
        },
        "deletionPolicy": "Retain", "adoptionPolicy": "Adopt", "mode": "Observe",
    });
    let kind = Kind::roles(&space.name);
    assert_eq!(kind.create(&full).await, None);
    assert_eq!(kind.stored(&full).await["spec"], full);
}

async fn policy_documents_keep_their_fields() {
    let space = Space::without_operator("documents").await;
    let document = json!({"Version": "2012-10-17", "Statement": {
        "Sid": "a", "Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*",
        "Condition": {"StringLike": {"aws:PrincipalTag/team": ["a", "b"]}, "Bool": {"aws:SecureTransport": true}},
    }});
    let spec = json!({"inlinePolicies": [{"name": "a", "document": document}]});
    let stored = Kind::roles(&space.name).stored(&spec).await;
    assert_eq!(stored["spec"]["inlinePolicies"][0]["document"], document);
}

async fn a_new_object_counts_as_in_progress() {
    let space = Space::without_operator("fresh").await;
    let stored = Kind::roles(&space.name).stored(&json!({})).await;
    assert_eq!(stored["status"], json!({"observedGeneration": -1}));
    assert_eq!(kstatus(&stored), Status::InProgress);
}
