//! Objects that name no class: served by the one default class, and by it for good. Run one by one: a default
//! class concerns the whole cluster.

use mlservicerole_operator::api::DEFAULT_CLASS_ANNOTATION;
use mlservicerole_operator::api::condition::reasons;
use serde_json::json;

use crate::support::space::placed_arn;
use crate::support::{Class, Space, bed, class_spec};

crate::trials![the_default_class_serves_objects_that_name_none];

async fn the_default_class_serves_objects_that_name_none() {
    let space = Space::new("default").await;
    let annotation = json!({DEFAULT_CLASS_ANNOTATION: "true"});
    space.create_exactly("first", json!({})).await;
    let message = space.refused("first", reasons::NO_DEFAULT_CLASS).await;
    assert!(message.contains(DEFAULT_CLASS_ANNOTATION), "{message}");

    let one = Class::annotated("default-one", class_spec(bed()), annotation.clone()).await;
    let first = space.ready("first").await;
    assert_eq!(
        first
            .status
            .as_ref()
            .and_then(|status| status.class_name.as_ref()),
        Some(&one.name)
    );
    assert_eq!(
        first.spec.class_name, None,
        "the class is pinned by the placement"
    );

    let two = Class::annotated("default-two", class_spec(bed()), annotation.clone()).await;
    space.create_exactly("second", json!({})).await;
    let message = space.refused("second", reasons::AMBIGUOUS_DEFAULT_CLASS).await;
    assert!(
        message.contains(&one.name) && message.contains(&two.name),
        "{message}"
    );
    // What was placed stays where it is.
    space
        .patch_spec("first", json!({"role": {"description": "x"}}))
        .await;
    let after = space.ready("first").await;
    assert_eq!(placed_arn(&after), placed_arn(&first));

    one.patch(json!({"metadata": {"annotations": {DEFAULT_CLASS_ANNOTATION: "false"}}}))
        .await;
    let second = space.ready("second").await;
    assert_eq!(
        second.status.and_then(|status| status.class_name),
        Some(two.name.clone())
    );
    space
        .patch_spec("first", json!({"role": {"description": "y"}}))
        .await;
    let after = space.ready("first").await;
    assert_eq!(
        after.status.and_then(|status| status.class_name),
        Some(one.name.clone())
    );
    space.delete_and_wait("first").await;
    space.delete_and_wait("second").await;
}
