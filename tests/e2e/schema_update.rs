//! What can't be changed in an MlServiceRole or a class: whatever decides where the role lives.

use serde_json::json;

use crate::support::schema::Kind;
use crate::support::{Class, Space, bed, class_spec};

crate::trials![
    the_class_of_an_object_is_for_good,
    the_name_of_a_role_is_for_good,
    account_path_and_prefix_of_a_class_are_for_good,
];

const CLASS: Option<&str> = Some("className can't be added, changed or removed");
const NAME: Option<&str> = Some("role.name can't be added, changed or removed");

async fn the_class_of_an_object_is_for_good() {
    let space = Space::without_operator("class-stays").await;
    space
        .create_exactly("with", json!({"className": "none-such"}))
        .await;
    space
        .create_exactly("without", json!({"managedPolicyArns": []}))
        .await;
    let kind = Kind::roles(&space.name);
    kind.check_change(
        "with",
        vec![
            ("another class", json!({"className": "other"}), CLASS),
            ("no class", json!({"className": null}), CLASS),
            (
                "the same class",
                json!({"className": "none-such", "deletionPolicy": "Delete"}),
                None,
            ),
        ],
    )
    .await;
    kind.check_change(
        "without",
        vec![
            ("a class", json!({"className": "other"}), CLASS),
            ("something else", json!({"deletionPolicy": "Delete"}), None),
        ],
    )
    .await;
}

async fn the_name_of_a_role_is_for_good() {
    let space = Space::without_operator("name-stays").await;
    let class = "none-such";
    let named = json!({"className": class, "role": {"name": "a", "description": "b"}});
    space.create_exactly("with", named).await;
    let nameless = json!({"className": class, "role": {"description": "b"}});
    space.create_exactly("without", nameless).await;
    space.create_exactly("bare", json!({ "className": class })).await;
    let kind = Kind::roles(&space.name);
    kind.check_change(
        "with",
        vec![
            ("another name", json!({"role": {"name": "c"}}), NAME),
            ("the same name in capitals", json!({"role": {"name": "A"}}), NAME),
            ("no name", json!({"role": {"name": null}}), NAME),
            ("no role", json!({ "role": null }), NAME),
            ("another description", json!({"role": {"description": "c"}}), None),
        ],
    )
    .await;
    kind.check_change(
        "without",
        vec![
            ("a name", json!({"role": {"name": "a"}}), NAME),
            ("no role", json!({ "role": null }), None),
        ],
    )
    .await;
    kind.check_change(
        "bare",
        vec![
            ("a role with a name", json!({"role": {"name": "a"}}), NAME),
            (
                "a role without a name",
                json!({"role": {"description": "a"}}),
                None,
            ),
        ],
    )
    .await;
}

async fn account_path_and_prefix_of_a_class_are_for_good() {
    let account = Some("aws.accountId can't be added, changed or removed");
    let path = Some("roles.path can't be added, changed or removed");
    let prefix = Some("roles.namePrefix can't be added, changed or removed");
    let mut spec = class_spec(bed());
    let bare = Class::new("stays-bare", spec.clone()).await;
    spec["aws"] = json!({"accountId": "123456789012"});
    spec["roles"]["path"] = json!("/ml/");
    spec["roles"]["namePrefix"] = json!("ml-");
    let full = Class::new("stays-full", spec).await;
    let kind = Kind::classes();
    kind.check_change(
        &full.name,
        vec![
            (
                "another account",
                json!({"aws": {"accountId": "210987654321"}}),
                account,
            ),
            ("no account", json!({"aws": {"accountId": null}}), account),
            ("no aws", json!({ "aws": null }), account),
            (
                "a way to the account",
                json!({"aws": {"assumeRole": {"arn": "arn:aws:iam::123456789012:role/a"}}}),
                None,
            ),
            ("another path", json!({"roles": {"path": "/other/"}}), path),
            ("no path", json!({"roles": {"path": null}}), path),
            (
                "another prefix",
                json!({"roles": {"namePrefix": "other-"}}),
                prefix,
            ),
            ("no prefix", json!({"roles": {"namePrefix": null}}), prefix),
            ("another tag", json!({"roles": {"tags": {"team": "a"}}}), None),
        ],
    )
    .await;
    kind.check_change(
        &bare.name,
        vec![
            (
                "an account",
                json!({"aws": {"accountId": "210987654321"}}),
                account,
            ),
            ("aws without account", json!({"aws": {}}), None),
            ("a path", json!({"roles": {"path": "/other/"}}), path),
            ("a prefix", json!({"roles": {"namePrefix": "other-"}}), prefix),
        ],
    )
    .await;
}
