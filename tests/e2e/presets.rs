//! Presets on live roles: expanded, repaired, scoped by the class, and noted on the role.

use mlservicerole_operator::api::condition::reasons;
use serde_json::{Value, json};

use crate::support::{Class, Space};

crate::trials![
    a_preset_becomes_a_policy_of_the_role_and_a_tag_says_its_version,
    a_preset_follows_its_values_and_goes_with_its_entry,
    what_somebody_does_to_the_policy_of_presets_is_put_back,
    a_class_that_scopes_values_by_namespace_serves_each_namespace_its_own,
    a_preset_passes_only_roles_that_the_class_lists,
];

const POLICY: &str = "mlservicerole-access";
const TAG: &str = "mlservicerole.io/presets";

fn read(bucket: &str, prefix: &str) -> Value {
    json!({"preset": "s3-prefix-read", "with": {"bucket": [bucket], "prefix": [prefix]}})
}

/// A namespace with a class of its own, which allows a few presets.
async fn place(short: &str) -> (Space, Class) {
    let space = Space::new(short).await;
    let presets = json!([
        {"name": "s3-prefix-read", "with": {"bucket": ["ml-data"], "prefix": ["{namespace}", "shared/*"]}},
        {"name": "polly-synthesize"},
        {"name": "sagemaker-training-job", "with": {"prefix": ["{namespace}"]}},
    ]);
    let class = Class::like_base(short, json!({"allow": {"presets": presets}})).await;
    (space, class)
}

/// The same with an object that reads what is its namespace's own, once that is ready.
async fn reader(short: &str) -> Space {
    let (space, class) = place(short).await;
    let access = json!([read("ml-data", &space.name)]);
    space
        .create("trainer", json!({"className": class.name, "access": access}))
        .await;
    space.ready("trainer").await;
    space
}

async fn a_preset_becomes_a_policy_of_the_role_and_a_tag_says_its_version() {
    let (space, class) = place("preset").await;
    let access = json!([read("ml-data", &space.name), {"preset": "polly-synthesize", "version": 1}]);
    let mark = space.bed.proxy.mark();
    space
        .create("trainer", json!({"className": class.name, "access": access}))
        .await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    assert_eq!(role.inline.keys().collect::<Vec<_>>(), [POLICY]);
    let document = role.inline[POLICY].to_string();
    assert!(
        document.contains(&format!("arn:aws:s3:::ml-data/{}/*", space.name)),
        "{document}"
    );
    assert!(document.contains("polly:SynthesizeSpeech"), "{document}");
    assert_eq!(role.tags[TAG], "polly-synthesize@1 s3-prefix-read@1");
    assert_eq!(
        space.bed.proxy.writes_since(mark, &space.prefix()),
        ["CreateRole", "PutRolePolicy"]
    );
}

async fn a_preset_follows_its_values_and_goes_with_its_entry() {
    let space = reader("preset-change").await;
    space
        .patch_spec("trainer", json!({"access": [read("ml-data", "shared/images")]}))
        .await;
    space
        .role_until("trainer", "follows", |role| {
            role.inline[POLICY].to_string().contains("shared/images")
        })
        .await;
    space.patch_spec("trainer", json!({"access": []})).await;
    let role = space
        .role_until("trainer", "has no policy", |role| role.inline.is_empty())
        .await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap_or(role);
    assert!(!role.tags.contains_key(TAG), "{:?}", role.tags);
}

async fn what_somebody_does_to_the_policy_of_presets_is_put_back() {
    let space = reader("preset-drift").await;
    let whole = space.role("trainer").await.unwrap();
    let name = whole.arn.rsplit('/').next().unwrap();
    let wide = crate::support::aws::statement("s3:*", "*");
    space.bed.aws.put_inline(name, POLICY, &wide).await;
    space.touch("trainer", "now").await;
    space
        .role_until("trainer", "is as it was", |role| role.inline == whole.inline)
        .await;
}

async fn a_class_that_scopes_values_by_namespace_serves_each_namespace_its_own() {
    let (space, class) = place("preset-scope").await;
    let cases = [
        ("sibling", read("ml-data", &format!("{}-b", space.name))),
        ("bucket", read("other", &space.name)),
    ];
    for (name, entry) in cases {
        space
            .create(name, json!({"className": class.name, "access": [entry]}))
            .await;
        let message = space.refused(name, reasons::PRESET_NOT_ALLOWED).await;
        for part in [class.name.as_str(), "s3-prefix-read", "allow.presets"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(space.role(name).await.is_none());
    }
    let hostile = read("ml-data", "x/*\",\"*");
    space
        .create("hostile", json!({"className": class.name, "access": [hostile]}))
        .await;
    space.refused("hostile", reasons::INVALID_SPEC).await;
}

async fn a_preset_passes_only_roles_that_the_class_lists() {
    let (space, class) = place("preset-pass").await;
    let access = |role: &str| json!([{"preset": "sagemaker-training-job", "with": {"prefix": [space.name], "executionRole": [role]}}]);
    space
        .create(
            "trainer",
            json!({
                "className": class.name, "access": access("ml/execution"),
                "role": {"trustedServices": ["sagemaker.amazonaws.com"]},
            }),
        )
        .await;
    let message = space.refused("trainer", reasons::PASS_ROLE_NOT_ALLOWED).await;
    assert!(message.contains("allow.passRoleArns"), "{message}");
    let listed = format!("arn:aws:iam::{}:role/ml/execution", space.bed.aws.account);
    class
        .patch(json!({"spec": {"allow": {"passRoleArns": [listed]}}}))
        .await;
    space.ready("trainer").await;
    space
        .patch_spec("trainer", json!({"access": access("self")}))
        .await;
    let own = space.role("trainer").await.unwrap().arn;
    space
        .role_until("trainer", "passes itself", |role| {
            role.inline[POLICY].to_string().contains(&own)
        })
        .await;
}
