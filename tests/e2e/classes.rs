//! Classes: missing, broken, narrowed, deleted; and what an object says of each.

use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use mlservicerole_operator::api::CLASS_FINALIZER;
use mlservicerole_operator::api::condition::{reasons, types};
use serde_json::{Value, json};

use crate::support::aws::{READ_ONLY, S3_READ_ONLY};
use crate::support::space::condition;
use crate::support::{Class, Space, bed, eventually};

crate::trials![
    a_missing_class_is_named_and_waited_for,
    a_namespace_is_accepted_by_its_labels,
    a_class_that_opens_lets_waiting_objects_in,
    a_class_in_use_stays_until_its_last_object_goes,
    an_unused_class_goes_at_once,
    a_mistake_anywhere_in_a_class_is_not_accepted,
    a_class_of_another_account_makes_no_call,
    a_class_without_a_trusted_issuer_says_so,
    a_class_with_a_stranger_as_issuer_is_not_accepted,
    a_class_with_a_missing_boundary_says_so,
    a_class_says_what_it_found,
    the_boundary_of_the_class_is_on_every_role,
    path_prefix_and_tags_of_the_class_are_on_every_role,
    a_boundary_that_the_class_gives_up_is_not_removed,
    a_class_of_another_account_puts_its_roles_there,
];

async fn a_missing_class_is_named_and_waited_for() {
    let space = Space::new("missing").await;
    let name = Class::name("appears");
    space.create("trainer", json!({ "className": name })).await;
    let message = space.refused("trainer", reasons::CLASS_NOT_FOUND).await;
    assert!(message.contains(&name), "{message}");
    let class = Class::like_base("appears", json!({})).await;
    space.ready("trainer").await;
    assert_eq!(class.name, name);
}

async fn label(space: &Space, labels: Value) {
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(space.bed.client.clone());
    let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
    namespaces
        .patch(&space.name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

async fn a_namespace_is_accepted_by_its_labels() {
    let space = Space::new("labels").await;
    let class = Class::like_base(
        "labels",
        json!({"allow": {"namespaces": {"matchLabels": {"tier": "gold"}}}}),
    )
    .await;
    space.create("trainer", json!({"className": class.name})).await;
    let message = space.refused("trainer", reasons::NAMESPACE_NOT_ALLOWED).await;
    assert!(
        message.contains(&class.name) && message.contains(&space.name),
        "{message}"
    );
    label(&space, json!({"tier": "gold"})).await;
    space.ready("trainer").await;
    let before = space.role("trainer").await;
    label(&space, json!({"tier": "tin"})).await;
    space.refused("trainer", reasons::NAMESPACE_NOT_ALLOWED).await;
    assert_eq!(
        space.role("trainer").await,
        before,
        "a live role keeps what it has"
    );
    space.delete_and_wait("trainer").await;
    let role = before.unwrap().arn;
    assert_eq!(
        space.bed.aws.snapshot(role.rsplit('/').next().unwrap()).await,
        None
    );
}

async fn a_class_that_opens_lets_waiting_objects_in() {
    let space = Space::new("opens").await;
    let class = Class::like_base("opens", json!({"allow": {"managedPolicyArns": [READ_ONLY]}})).await;
    space
        .create(
            "trainer",
            json!({"className": class.name, "managedPolicyArns": [S3_READ_ONLY]}),
        )
        .await;
    space
        .refused("trainer", reasons::MANAGED_POLICY_NOT_ALLOWED)
        .await;
    class
        .patch(json!({"spec": {"allow": {"managedPolicyArns": [S3_READ_ONLY]}}}))
        .await;
    space.ready("trainer").await;
}

async fn a_class_in_use_stays_until_its_last_object_goes() {
    let space = Space::new("in-use").await;
    let class = Class::like_base("in-use", json!({})).await;
    space.create("first", json!({"className": class.name})).await;
    space.create("second", json!({"className": class.name})).await;
    space.ready("first").await;
    space.ready("second").await;
    class.delete().await;
    // A newcomer proves that the operator has seen the deletion.
    space.create("third", json!({"className": class.name})).await;
    let message = space.refused("third", reasons::CLASS_TERMINATING).await;
    assert!(message.contains(&class.name), "{message}");
    space.delete_and_wait("third").await;
    // Until the operator has seen the newcomer go, it may be among them.
    let keepers = format!("delete {0}/first, {0}/second;", space.name);
    class
        .reported_saying(types::READY, "False", reasons::CLASS_TERMINATING, &keepers)
        .await;
    space.delete_and_wait("first").await;
    class
        .until("stays for the second object", |class| {
            class.is_some_and(|class| {
                class
                    .finalizers()
                    .iter()
                    .any(|finalizer| finalizer == CLASS_FINALIZER)
            })
        })
        .await;
    space.delete_and_wait("second").await;
    class.until("is gone", |class| class.is_none()).await;
}

async fn an_unused_class_goes_at_once() {
    bed().operator().await;
    let class = Class::like_base("unused", json!({})).await;
    class.reported(types::READY, "True", reasons::SYNCED).await;
    class.delete().await;
    class.until("is gone", |class| class.is_none()).await;
}

async fn a_mistake_anywhere_in_a_class_is_not_accepted() {
    let space = Space::new("mistakes").await;
    let role = "arn:aws:iam::111122223333:role/x";
    let cases = [
        (
            "aws-glob",
            json!({"allow": {"managedPolicyArns": ["arn:aws:iam::aws:policy/Amazon*ReadOnly"]}}),
            "AWS's own policies",
        ),
        (
            "apart",
            json!({"allow": {"roleNames": ["ml-{namespace}-*"]}}),
            "{namespace}",
        ),
        (
            "everything",
            json!({"allow": {"inline": [{"actions": ["*"], "resources": ["*"]}]}}),
            "*",
        ),
        (
            "preset",
            json!({"allow": {"presets": [{"name": "s3-prefix-reed"}]}}),
            "did you mean s3-prefix-read",
        ),
        (
            "parameter",
            json!({"allow": {"presets": [{"name": "s3-prefix-read", "with": {"buckets": ["b"]}}]}}),
            "buckets",
        ),
        (
            "adopt",
            json!({"allow": {"adopt": [{"arn": format!("{role}*"), "namespaces": ["a"]}]}}),
            "allow.adopt",
        ),
        (
            "pass",
            json!({"allow": {"passRoleArns": [format!("{role}*")]}}),
            "allow.passRoleArns",
        ),
        (
            "escalate",
            json!({"allow": {"escalatingActions": ["iam:*"]}}),
            "allow.escalatingActions",
        ),
    ];
    let mut classes = Vec::new();
    for (short, changes, words) in cases {
        let class = Class::like_base(&format!("mistaken-{short}"), changes).await;
        space.create(short, json!({"className": class.name})).await;
        classes.push((short, words, class));
    }
    for (short, words, class) in &classes {
        let message = class
            .reported(types::ACCEPTED, "False", reasons::INVALID_SPEC)
            .await;
        assert!(message.contains(words), "{short}: {message}");
        class.reported(types::READY, "False", reasons::INVALID_SPEC).await;
        let message = space.refused(short, reasons::CLASS_NOT_ACCEPTED).await;
        assert!(message.contains(&class.name), "{short}: {message}");
    }
}

async fn a_class_of_another_account_makes_no_call() {
    let space = Space::new("account").await;
    let class = Class::like_base("account", json!({"aws": {"accountId": "999999999999"}})).await;
    let message = class
        .reported(types::READY, "False", reasons::WRONG_ACCOUNT)
        .await;
    assert!(message.contains("999999999999"), "{message}");
    let mark = space.bed.proxy.mark();
    space.create("trainer", json!({"className": class.name})).await;
    space
        .until("trainer", "isn't ready and names the class", |object| {
            let ready = condition(object, types::READY)?;
            (ready.status != "True" && ready.message.contains(&class.name)).then_some(())
        })
        .await;
    assert!(space.bed.proxy.since(mark, &space.prefix()).is_empty());
    space.delete_and_wait("trainer").await;
    assert!(space.bed.proxy.since(mark, &space.prefix()).is_empty());
}

async fn a_class_without_a_trusted_issuer_says_so() {
    bed().operator().await;
    let class = Class::like_base("audience-none", json!({"oidc": {"audience": "nobody-knows"}})).await;
    let message = class
        .reported(types::READY, "False", reasons::ISSUER_NOT_TRUSTED)
        .await;
    assert!(message.contains("nobody-knows"), "{message}");
    let issuer = "https://oidc.example/unknown";
    let issuers = json!([{"url": issuer, "trustSameNamespaces": true}]);
    let class = Class::like_base("issuer-none", json!({"oidc": {"issuers": issuers}})).await;
    let message = class
        .reported(types::READY, "False", reasons::ISSUER_NOT_TRUSTED)
        .await;
    assert!(message.contains(issuer), "{message}");
}

async fn a_class_with_a_stranger_as_issuer_is_not_accepted() {
    let space = Space::new("stranger").await;
    let issuer = "https://oidc.example/stranger";
    let class = Class::like_base("stranger", json!({"oidc": {"issuers": [{"url": issuer}]}})).await;
    let message = class
        .reported(types::ACCEPTED, "False", reasons::INVALID_SPEC)
        .await;
    assert!(
        message.contains(issuer) && message.contains("trustSameNamespaces"),
        "{message}"
    );
    space.create("trainer", json!({"className": class.name})).await;
    space.refused("trainer", reasons::CLASS_NOT_ACCEPTED).await;
}

async fn a_class_with_a_missing_boundary_says_so() {
    bed().operator().await;
    let arn = format!("arn:aws:iam::{}:policy/no-such-boundary", bed().aws.account);
    let boundary = json!({"none": null, "arn": arn});
    let class = Class::like_base("no-boundary", json!({"roles": {"permissionsBoundary": boundary}})).await;
    let message = class
        .reported(types::READY, "False", reasons::BOUNDARY_MISSING)
        .await;
    assert!(message.contains(&arn), "{message}");
}

async fn a_class_says_what_it_found() {
    let bed = bed();
    bed.operator().await;
    let class = Class::like_base("found", json!({})).await;
    class.reported(types::READY, "True", reasons::SYNCED).await;
    let found = Class::api().get(&class.name).await.unwrap();
    let status = found.status.clone().unwrap();
    assert_eq!(status.observed_generation, found.metadata.generation);
    assert_eq!(status.account_id.as_ref(), Some(&bed.aws.account));
    assert_eq!(status.partition.as_deref(), Some("aws"));
    assert_eq!(status.issuers, std::slice::from_ref(&bed.issuer));
}

async fn the_boundary_of_the_class_is_on_every_role() {
    let space = Space::new("bounded").await;
    let arn = space.bed.boundary_arn();
    let boundary = json!({"none": null, "arn": arn});
    let class = Class::like_base("bounded", json!({"roles": {"permissionsBoundary": boundary}})).await;
    let mark = space.bed.proxy.mark();
    space.create("trainer", json!({"className": class.name})).await;
    space.ready("trainer").await;
    assert_eq!(space.role("trainer").await.unwrap().boundary, Some(arn));
    assert_eq!(
        space.bed.proxy.writes_since(mark, &space.prefix()),
        ["CreateRole"],
        "bounded from the first moment"
    );
}

async fn path_prefix_and_tags_of_the_class_are_on_every_role() {
    let space = Space::new("placed").await;
    let path = format!("{}teams/{{namespace}}/", space.bed.path());
    let roles = json!({"path": path, "namePrefix": "e2e-ml-", "tags": {"owner": "platform"}});
    let class = Class::like_base("placed", json!({ "roles": roles })).await;
    space
        .create(
            "trainer",
            json!({"className": class.name, "role": {"tags": {"team": "a"}}}),
        )
        .await;
    space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    let beginning = format!(
        "arn:aws:iam::{}:role{}teams/{}/e2e-ml-{}-trainer-",
        space.bed.aws.account,
        space.bed.path(),
        space.name,
        space.name
    );
    assert!(role.arn.starts_with(&beginning), "{} for {beginning}", role.arn);
    assert_eq!(role.tags.get("owner").map(String::as_str), Some("platform"));
    assert_eq!(role.tags.get("team").map(String::as_str), Some("a"));
    class
        .patch(json!({"spec": {"roles": {"tags": {"owner": null, "unit": "ml"}}}}))
        .await;
    eventually("the class's tags follow", || async {
        let tags = space
            .role("trainer")
            .await
            .map(|role| role.tags)
            .unwrap_or_default();
        let right = !tags.contains_key("owner") && tags.get("unit").is_some_and(|unit| unit == "ml");
        if right {
            Ok(())
        } else {
            Err(format!("{tags:?}\n{}", space.log()))
        }
    })
    .await;
}

async fn a_boundary_that_the_class_gives_up_is_not_removed() {
    let space = Space::new("unbounded").await;
    let arn = space.bed.boundary_arn();
    let boundary = json!({"none": null, "arn": arn});
    let class = Class::like_base("unbounded", json!({"roles": {"permissionsBoundary": boundary}})).await;
    space.create("trainer", json!({"className": class.name})).await;
    space.ready("trainer").await;
    let before = space.role("trainer").await;
    class
        .patch(json!({"spec": {"roles": {"permissionsBoundary": {"arn": null, "none": {}}}}}))
        .await;
    let blocked = space
        .reported("trainer", types::ROLE_SYNCED, reasons::BOUNDARY_REMOVAL_REFUSED)
        .await;
    assert_eq!(blocked.status, "False");
    assert_eq!(space.role("trainer").await, before);
}

async fn a_class_of_another_account_puts_its_roles_there() {
    let space = Space::new("assumed").await;
    let account = "222222222222";
    let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap();
    let Some(there) = space.bed.aws.of_account(&endpoint, account).await else {
        eprintln!("this emulator has one account only: roles in another one aren't tested");
        return;
    };
    let assume = json!({"arn": format!("arn:aws:iam::{account}:role/operator"), "externalId": "e2e"});
    let aws = json!({"accountId": account, "assumeRole": assume});
    let class = Class::like_base("assumed", json!({ "aws": aws })).await;
    class
        .reported(types::READY, "False", reasons::ISSUER_NOT_TRUSTED)
        .await;

    let provider = there.iam.create_open_id_connect_provider().url(&space.bed.issuer);
    let provider = provider.client_id_list("sts.amazonaws.com").send().await.unwrap();
    // The class is looked at again when it changes, at the latest.
    class
        .patch(json!({"spec": {"roles": {"tags": {"unit": "ml"}}}}))
        .await;
    class.reported(types::READY, "True", reasons::SYNCED).await;
    space
        .create(
            "trainer",
            json!({"className": class.name, "managedPolicyArns": [READ_ONLY]}),
        )
        .await;
    let object = space.ready("trainer").await;
    let arn = object.status.unwrap().role_arn.unwrap();
    assert!(arn.starts_with(&format!("arn:aws:iam::{account}:role/")), "{arn}");
    space.bound("trainer", &arn).await;
    let name = arn.rsplit('/').next().unwrap();
    let role = there.snapshot(name).await.unwrap();
    assert!(
        role.trust
            .to_string()
            .contains(&format!("arn:aws:iam::{account}:oidc-provider/")),
        "{}",
        role.trust
    );
    assert_eq!(
        space.bed.aws.snapshot(name).await,
        None,
        "nothing in the operator's own account"
    );
    space.delete_and_wait("trainer").await;
    assert_eq!(there.snapshot(name).await, None);
    let delete = there.iam.delete_open_id_connect_provider();
    let arn = provider.open_id_connect_provider_arn.unwrap();
    delete.open_id_connect_provider_arn(arn).send().await.unwrap();
}
