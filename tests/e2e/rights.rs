//! Who can and can't do what, as a table: each deed is tried with each one's real token, on the API server's own decision
//! (RBAC and admission) and without its effect. What a refusal says is in admission.rs.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::{Client, ResourceExt};
use mlservicerole_operator::api::{
    CREATED_BY_ANNOTATION, MlServiceRole, MlServiceRoleClass, PLACEMENT_ANNOTATION, ROLE_ARN_ANNOTATION,
};
use serde_json::{Value, json};

use crate::support::people::{operator, somebody};
use crate::support::{Space, base_class_name, eventually};

crate::trials![each_can_do_what_the_table_says_and_nothing_else];

/// One column of the table.
#[derive(Clone, Copy, Debug)]
enum Who {
    /// `mlservicerole-view` in the namespace.
    Reader,
    /// The built-in role `edit`, which includes none of ours unless the admin asks for that.
    Developer,
    /// `mlservicerole-edit`, but the use of no class.
    Editor,
    /// `mlservicerole-edit` and the use of the class.
    Tenant,
    /// As a tenant, in another namespace.
    Neighbour,
    /// May write classes, but use none, and lacks `unfinalize`.
    Keeper,
    /// Everything that is ours.
    Admin,
    /// The operator, should it be taken over.
    Operator,
}

const ALL: [Who; 8] = [
    Who::Reader,
    Who::Developer,
    Who::Editor,
    Who::Tenant,
    Who::Neighbour,
    Who::Keeper,
    Who::Admin,
    Who::Operator,
];

/// One row of the table.
#[derive(Clone, Copy, Debug)]
enum Deed {
    ReadObject,
    CreateObject,
    ChangeObject,
    DeleteObject,
    WriteStatus,
    OwnFinalizers,
    TakeOffFinalizer,
    WritePlacement,
    ReadClass,
    CreateClass,
    ChangeClass,
    DeleteClass,
    TakeOffClassFinalizer,
    WriteClassStatus,
    AnnotateAccount,
    LabelAccount,
    MarkAccountAsCreated,
    DeleteAccount,
    ReadSecrets,
}

/// For each deed, who can do it, in the order of [`ALL`].
#[rustfmt::skip]
const TABLE: [(Deed, [bool; 8]); 19] = {
    use Deed::*;
    const Y: bool = true;
    const N: bool = false;
    //                      reader developer editor tenant neighbour keeper admin operator
    [
        (ReadObject,            [Y, N, Y, Y, N, N, Y, Y]),
        (CreateObject,          [N, N, N, Y, N, N, Y, N]),
        (ChangeObject,          [N, N, N, Y, N, N, Y, N]),
        (DeleteObject,          [N, N, Y, Y, N, N, Y, N]),
        (WriteStatus,           [N, N, N, N, N, N, N, Y]),
        (OwnFinalizers,         [N, N, N, N, N, N, N, N]),
        (TakeOffFinalizer,      [N, N, N, N, N, N, Y, Y]),
        (WritePlacement,        [N, N, N, N, N, N, Y, Y]),
        (ReadClass,             [N, N, N, N, N, Y, Y, Y]),
        (CreateClass,           [N, N, N, N, N, Y, Y, N]),
        (ChangeClass,           [N, N, N, N, N, Y, Y, N]),
        (DeleteClass,           [N, N, N, N, N, Y, Y, N]),
        (TakeOffClassFinalizer, [N, N, N, N, N, N, Y, Y]),
        (WriteClassStatus,      [N, N, N, N, N, N, N, Y]),
        (AnnotateAccount,       [N, Y, N, N, N, N, N, Y]),
        (LabelAccount,          [N, Y, N, N, N, N, N, N]),
        (MarkAccountAsCreated,  [N, Y, N, N, N, N, N, N]),
        (DeleteAccount,         [N, Y, N, N, N, N, N, N]),
        (ReadSecrets,           [N, Y, N, N, N, N, N, N]),
    ]
};

async fn client_as(who: Who, space: &Space, other: &Space, class: &str) -> Client {
    let ours = |resource: &str, verbs: &[&str]| json!({"apiGroups": ["mlservicerole.io"], "resources": [resource], "verbs": verbs});
    let mut of_class = ours("mlserviceroleclasses", &["use"]);
    of_class["resourceNames"] = json!([class]);
    let (space, name, roles, rules): (&Space, &str, &[&str], Value) = match who {
        Who::Reader => (space, "reader", &["mlservicerole-view"], json!([])),
        Who::Developer => (space, "developer", &["edit"], json!([])),
        Who::Editor => (space, "editor", &["mlservicerole-edit"], json!([])),
        Who::Tenant => (space, "tenant", &["mlservicerole-edit"], json!([of_class])),
        Who::Neighbour => (other, "neighbour", &["mlservicerole-edit"], json!([of_class])),
        Who::Keeper => {
            let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
            (
                space,
                "keeper",
                &[],
                json!([ours("mlserviceroleclasses", &verbs)]),
            )
        }
        Who::Admin => {
            let rules = [
                ours("mlserviceroleclasses", &["*"]),
                ours("mlserviceroles", &["unfinalize"]),
            ];
            (space, "admin", &["mlservicerole-edit"], json!(rules))
        }
        Who::Operator => return operator(space.bed).await,
    };
    somebody(space, name, roles, rules).await
}

/// Tries it on the object, the class and the ServiceAccount `theirs` of a namespace. Nothing is changed.
async fn attempt(
    deed: Deed,
    client: &Client,
    namespace: &str,
    theirs: &MlServiceRoleClass,
) -> kube::Result<()> {
    let class = &theirs.name_any();
    let objects: Api<MlServiceRole> = Api::namespaced(client.clone(), namespace);
    let classes: Api<MlServiceRoleClass> = Api::all(client.clone());
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let create = PostParams {
        dry_run: true,
        ..Default::default()
    };
    let delete = DeleteParams {
        dry_run: true,
        ..Default::default()
    };
    let write = PatchParams {
        dry_run: true,
        ..Default::default()
    };
    let merge = |patch: Value| Patch::Merge(patch);
    let annotated = |key: &str, value: &str| merge(json!({"metadata": {"annotations": {key: value}}}));
    let bare = merge(json!({"metadata": {"finalizers": null}}));
    match deed {
        Deed::ReadObject => objects.get("trainer").await.map(drop),
        Deed::CreateObject => {
            let spec = json!({"className": class, "serviceAccounts": [{"name": "another"}]});
            let object = MlServiceRole::new("another", serde_json::from_value(spec).unwrap());
            objects.create(&create, &object).await.map(drop)
        }
        Deed::ChangeObject => {
            let spec = merge(json!({"spec": {"role": {"description": "another"}}}));
            objects.patch("trainer", &write, &spec).await.map(drop)
        }
        Deed::DeleteObject => objects.delete("trainer", &delete).await.map(drop),
        Deed::WriteStatus => {
            let status = merge(json!({"status": {"roleArn": "arn:aws:iam::111122223333:role/another"}}));
            objects.patch_status("trainer", &write, &status).await.map(drop)
        }
        Deed::OwnFinalizers => may_own_finalizers(client, namespace).await,
        Deed::TakeOffFinalizer => objects.patch("trainer", &write, &bare).await.map(drop),
        Deed::WritePlacement => {
            let placement = annotated(PLACEMENT_ANNOTATION, "another");
            objects.patch("trainer", &write, &placement).await.map(drop)
        }
        Deed::ReadClass => classes.list(&ListParams::default().limit(1)).await.map(drop),
        Deed::CreateClass => {
            let another = MlServiceRoleClass::new("another", theirs.spec.clone());
            classes.create(&create, &another).await.map(drop)
        }
        Deed::ChangeClass => {
            let wider = merge(json!({"spec": {"allow": {"tagKeys": ["another"]}}}));
            classes.patch(class, &write, &wider).await.map(drop)
        }
        Deed::DeleteClass => classes.delete(class, &delete).await.map(drop),
        Deed::TakeOffClassFinalizer => classes.patch(class, &write, &bare).await.map(drop),
        Deed::WriteClassStatus => {
            let named = ListParams::default().fields(&format!("metadata.name={class}"));
            let newest = classes
                .list(&named)
                .await
                .ok()
                .and_then(|list| list.items.into_iter().next());
            let mut written = newest.unwrap_or_else(|| theirs.clone());
            written.status.get_or_insert_default().observed_generation = Some(7);
            classes.replace_status(class, &create, &written).await.map(drop)
        }
        Deed::AnnotateAccount => {
            let arn = annotated(ROLE_ARN_ANNOTATION, "arn:aws:iam::111122223333:role/another");
            accounts.patch("theirs", &write, &arn).await.map(drop)
        }
        Deed::LabelAccount => {
            let label = merge(json!({"metadata": {"labels": {"another": "label"}}}));
            accounts.patch("theirs", &write, &label).await.map(drop)
        }
        Deed::MarkAccountAsCreated => {
            let mark = annotated(CREATED_BY_ANNOTATION, "trainer/0");
            accounts.patch("theirs", &write, &mark).await.map(drop)
        }
        Deed::DeleteAccount => accounts.delete("theirs", &delete).await.map(drop),
        Deed::ReadSecrets => {
            let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
            secrets.list(&ListParams::default()).await.map(drop)
        }
    }
}

/// Those that write a subresource `finalizers` may set owner references that block deletion; RBAC alone decides.
async fn may_own_finalizers(client: &Client, namespace: &str) -> kube::Result<()> {
    let asked = ResourceAttributes {
        group: Some("mlservicerole.io".to_owned()),
        resource: Some("mlserviceroles".to_owned()),
        subresource: Some("finalizers".to_owned()),
        verb: Some("update".to_owned()),
        namespace: Some(namespace.to_owned()),
        ..Default::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(asked),
            ..Default::default()
        },
        ..Default::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await?;
    match answer.status.is_some_and(|status| status.allowed) {
        true => Ok(()),
        false => Err(kube::Error::Api(Box::new(
            Status::failure("mlserviceroles/finalizers", "Forbidden").with_code(403),
        ))),
    }
}

async fn each_can_do_what_the_table_says_and_nothing_else() {
    let (space, other) = (Space::new("rights").await, Space::new("rights-other").await);
    let name = base_class_name(space.bed);
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    space
        .create_account(json!({"metadata": {"name": "theirs"}}))
        .await;
    let classes: Api<MlServiceRoleClass> = Api::all(space.bed.client.clone());
    let class = classes.get(&name).await.unwrap();
    let mut wrong = Vec::new();
    for (column, who) in ALL.into_iter().enumerate() {
        let client = client_as(who, &space, &other, &name).await;
        let (can, cannot): (Vec<_>, Vec<_>) = TABLE.iter().partition(|(_, may)| may[column]);
        for (deed, _) in can {
            eventually(&format!("{who:?} can {deed:?}"), || async {
                let done = attempt(deed, &client, &space.name, &class).await;
                done.map_err(|e| e.to_string())
            })
            .await;
        }
        for (deed, _) in cannot {
            match attempt(deed, &client, &space.name, &class).await {
                Err(kube::Error::Api(status)) if status.code == 403 => {}
                other => wrong.push(format!("{who:?} {deed:?}: {other:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
