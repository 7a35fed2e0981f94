//! What RBAC and the admission policies of the manifests say to whoever may not do what they try, with real tokens: a
//! tenant, an admin with and without `unfinalize`, and the operator itself. Who may do what is a table in rights.rs.

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use mlservicerole_operator::api::{
    CREATED_BY_ANNOTATION, MlServiceRole, MlServiceRoleClass, PLACEMENT_ANNOTATION, ROLE_ARN_ANNOTATION,
    ROLE_FINALIZER,
};
use serde_json::{Value, json};

use crate::support::people::{operator, somebody};
use crate::support::{Class, Space, base_class_name, eventually};

crate::trials![
    a_tenant_creates_and_changes_objects_of_a_class_that_it_may_use,
    a_tenant_gets_no_class_that_it_may_not_use,
    the_default_class_is_for_those_who_may_use_the_default,
    a_tenant_changes_no_object_of_a_class_that_it_may_not_use_but_deletes_it,
    a_tenant_cant_take_off_the_finalizer_and_a_holder_of_unfinalize_can,
    a_tenant_cant_write_the_placement,
    the_operator_changes_only_its_annotations_of_service_accounts,
    the_operator_creates_and_deletes_only_service_accounts_of_its_own,
    the_operator_reads_no_credentials_and_changes_no_spec,
];

fn use_of(class: &str) -> Value {
    json!([{"apiGroups": ["mlservicerole.io"], "resources": ["mlserviceroleclasses"], "resourceNames": [class], "verbs": ["use"]}])
}

fn role(name: &str, class: Option<&str>) -> MlServiceRole {
    let mut spec = json!({"serviceAccounts": [{"name": name, "creationPolicy": "Never"}]});
    if let Some(class) = class {
        spec["className"] = json!(class);
    }
    serde_json::from_value(json!({
        "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole", "metadata": {"name": name}, "spec": spec,
    }))
    .unwrap()
}

fn trial() -> PostParams {
    PostParams {
        dry_run: true,
        ..Default::default()
    }
}

fn patch_trial() -> PatchParams {
    PatchParams {
        dry_run: true,
        ..Default::default()
    }
}

fn roles(client: &Client, namespace: &str) -> Api<MlServiceRole> {
    Api::namespaced(client.clone(), namespace)
}

async fn try_create(api: &Api<MlServiceRole>, object: MlServiceRole) -> kube::Result<MlServiceRole> {
    api.create(&trial(), &object).await
}

async fn try_delete(accounts: &Api<ServiceAccount>, name: &str) -> kube::Result<()> {
    let dry_run = DeleteParams {
        dry_run: true,
        ..Default::default()
    };
    accounts.delete(name, &dry_run).await.map(|_| ())
}

/// Asks until it is allowed: RBAC and policies take a moment to be known.
async fn allowed<T: std::fmt::Debug, F: Future<Output = Result<T, kube::Error>>>(
    what: &str,
    ask: impl Fn() -> F,
) -> T {
    eventually(&format!("{what} is allowed"), || async {
        ask().await.map_err(|e| e.to_string())
    })
    .await
}

/// Asked once, it is forbidden, and the answer says this.
async fn denied<T: std::fmt::Debug>(
    what: &str,
    asked: impl Future<Output = Result<T, kube::Error>>,
    says: &str,
) {
    match asked.await {
        Err(kube::Error::Api(status)) => {
            assert_eq!(status.code, 403, "{what}: {}", status.message);
            assert!(status.message.contains(says), "{what}: {}", status.message);
        }
        other => panic!("{what}: {other:?}"),
    }
}

async fn a_tenant_creates_and_changes_objects_of_a_class_that_it_may_use() {
    let space = Space::new("adm-tenant").await;
    let class = base_class_name(space.bed);
    let tenant = somebody(&space, "tenant", &["mlservicerole-edit"], use_of(&class)).await;
    let own = roles(&tenant, &space.name);
    allowed("creating", || async {
        try_create(&own, role("trainer", Some(&class))).await
    })
    .await;
    own.create(&PostParams::default(), &role("trainer", Some(&class)))
        .await
        .unwrap();
    let patch = Patch::Merge(json!({"spec": {"role": {"description": "trains"}}}));
    own.patch("trainer", &PatchParams::default(), &patch)
        .await
        .unwrap();
    space.placed("trainer").await;
    own.delete("trainer", &DeleteParams::default()).await.unwrap();
    space.gone("trainer").await;
}

async fn a_tenant_gets_no_class_that_it_may_not_use() {
    let space = Space::new("adm-use").await;
    let class = base_class_name(space.bed);
    let other = Class::like_base("adm-use", json!({})).await;
    let tenant = somebody(&space, "tenant", &["mlservicerole-edit"], use_of(&class)).await;
    let own = roles(&tenant, &space.name);
    allowed("creating", || async {
        try_create(&own, role("trainer", Some(&class))).await
    })
    .await;
    let asked = try_create(&own, role("trainer", Some(&other.name)));
    denied(
        "another class",
        asked,
        r#"ask the platform admin for the verb "use" on it"#,
    )
    .await;
    let asked = try_create(&own, role("trainer", None));
    denied("no class", asked, "mlserviceroleclasses/default").await;
}

async fn the_default_class_is_for_those_who_may_use_the_default() {
    let space = Space::new("adm-default").await;
    let rules = json!([{"apiGroups": ["mlservicerole.io"], "resources": ["mlserviceroleclasses/default"], "verbs": ["use"]}]);
    let tenant = somebody(&space, "tenant", &["mlservicerole-edit"], rules).await;
    let own = roles(&tenant, &space.name);
    allowed("the default class", || async {
        try_create(&own, role("trainer", None)).await
    })
    .await;
    let class = base_class_name(space.bed);
    let asked = try_create(&own, role("trainer", Some(&class)));
    denied("a class by name", asked, &class).await;
    // The placement says which class it was: with it, somebody could choose any class without naming it.
    let mut forged = role("trainer", None);
    let placement = json!({"class": class, "roleArn": "arn:aws:iam::111122223333:role/x"}).to_string();
    forged
        .annotations_mut()
        .insert(PLACEMENT_ANNOTATION.to_owned(), placement);
    denied(
        "a class by placement",
        own.create(&trial(), &forged),
        PLACEMENT_ANNOTATION,
    )
    .await;
}

async fn a_tenant_changes_no_object_of_a_class_that_it_may_not_use_but_deletes_it() {
    let space = Space::new("adm-change").await;
    let object = space.create("trainer", json!({})).await;
    let class = object.spec.class_name.unwrap();
    space.ready("trainer").await;
    let tenant = somebody(&space, "tenant", &["mlservicerole-edit"], json!([])).await;
    let own = roles(&tenant, &space.name);
    allowed("reading", || own.get("trainer")).await;
    let spec = Patch::Merge(json!({"spec": {"role": {"description": "trains"}}}));
    denied(
        "changing the spec",
        own.patch("trainer", &patch_trial(), &spec),
        &class,
    )
    .await;
    let label = Patch::Merge(json!({"metadata": {"labels": {"team": "a"}}}));
    own.patch("trainer", &patch_trial(), &label).await.unwrap();
    own.delete("trainer", &DeleteParams::default()).await.unwrap();
    space.gone("trainer").await;
}

async fn a_tenant_cant_take_off_the_finalizer_and_a_holder_of_unfinalize_can() {
    let space = Space::new("adm-final").await;
    let class = base_class_name(space.bed);
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let tenant = somebody(&space, "tenant", &["mlservicerole-edit"], use_of(&class)).await;
    let rules = json!([{"apiGroups": ["mlservicerole.io"], "resources": ["mlserviceroles"], "verbs": ["unfinalize"]}]);
    let admin = somebody(&space, "admin", &["mlservicerole-edit"], rules).await;
    let bare = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    let (tenants, admins) = (roles(&tenant, &space.name), roles(&admin, &space.name));
    allowed("reading", || tenants.get("trainer")).await;
    denied(
        "taking off the finalizer",
        tenants.patch("trainer", &patch_trial(), &bare),
        r#"the verb "unfinalize""#,
    )
    .await;
    // As `kubectl replace` does, with a manifest that never had one.
    let mut replaced = tenants.get("trainer").await.unwrap();
    replaced.metadata.finalizers = None;
    denied(
        "replacing without the finalizer",
        tenants.replace("trainer", &trial(), &replaced),
        "must apply instead",
    )
    .await;
    allowed("taking off the finalizer with unfinalize", || async {
        admins.patch("trainer", &patch_trial(), &bare).await
    })
    .await;
    let object = tenants.get("trainer").await.unwrap();
    assert!(
        object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == ROLE_FINALIZER)
    );
}

async fn a_tenant_cant_write_the_placement() {
    let space = Space::new("adm-place").await;
    let class = base_class_name(space.bed);
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let tenant = somebody(&space, "tenant", &["mlservicerole-edit"], use_of(&class)).await;
    let own = roles(&tenant, &space.name);
    allowed("reading", || own.get("trainer")).await;
    for value in [Value::Null, json!("{}")] {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {PLACEMENT_ANNOTATION: value}}}));
        denied(
            "writing the placement",
            own.patch("trainer", &patch_trial(), &patch),
            PLACEMENT_ANNOTATION,
        )
        .await;
    }
    let mut copied = role("copied", Some(&class));
    copied
        .annotations_mut()
        .insert(PLACEMENT_ANNOTATION.to_owned(), "{}".to_owned());
    denied(
        "creating with a placement",
        own.create(&trial(), &copied),
        "leave it out of new objects",
    )
    .await;
}

async fn the_operator_changes_only_its_annotations_of_service_accounts() {
    let space = Space::new("adm-op-sa").await;
    space
        .create_account(
            json!({"metadata": {"name": "theirs", "annotations": {"team": "a"}, "labels": {"team": "a"}}}),
        )
        .await;
    let client = operator(space.bed).await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client, &space.name);
    let ask = |patch: Value| {
        let accounts = accounts.clone();
        async move {
            accounts
                .patch("theirs", &patch_trial(), &Patch::Merge(&patch))
                .await
        }
    };
    ask(json!({"metadata": {"annotations": {ROLE_ARN_ANNOTATION: "arn:aws:iam::111122223333:role/x", "mlservicerole.io/bound-by": "a/b"}}}))
        .await
        .unwrap();
    for (what, patch) in [
        (
            "another annotation",
            json!({"metadata": {"annotations": {"team": "b"}}}),
        ),
        (
            "a new annotation",
            json!({"metadata": {"annotations": {"new": "b"}}}),
        ),
        (
            "a lost annotation",
            json!({"metadata": {"annotations": {"team": null}}}),
        ),
        (
            "the mark of a ServiceAccount that it created",
            json!({"metadata": {"annotations": {CREATED_BY_ANNOTATION: "a/b"}}}),
        ),
        (
            "a lookalike",
            json!({"metadata": {"annotations": {"mlservicerole.iox/a": "b"}}}),
        ),
        ("a label", json!({"metadata": {"labels": {"team": "b"}}})),
        (
            "a finalizer",
            json!({"metadata": {"finalizers": ["example.com/x"]}}),
        ),
        ("pull secrets", json!({"imagePullSecrets": [{"name": "x"}]})),
        ("secrets", json!({"secrets": [{"name": "x"}]})),
        (
            "the token's mount",
            json!({"automountServiceAccountToken": false}),
        ),
    ] {
        denied(what, ask(patch), "the operator").await;
    }
}

async fn the_operator_creates_and_deletes_only_service_accounts_of_its_own() {
    let space = Space::new("adm-op-own").await;
    space
        .create_account(json!({"metadata": {"name": "theirs"}}))
        .await;
    let client = operator(space.bed).await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client, &space.name);
    let make = |account: Value| {
        let accounts = accounts.clone();
        async move {
            let account = serde_json::from_value(account).unwrap();
            accounts.create(&trial(), &account).await
        }
    };
    let created_by = json!({"mlservicerole.io/created-by": "a/b"});
    make(json!({"metadata": {"name": "ours", "annotations": created_by}}))
        .await
        .unwrap();
    denied(
        "without the mark",
        make(json!({"metadata": {"name": "ours"}})),
        "created-by",
    )
    .await;
    let labelled = json!({"metadata": {"name": "ours", "annotations": created_by, "labels": {"app": "x"}}});
    denied("with a label", make(labelled), "nothing else").await;
    let secrets =
        json!({"metadata": {"name": "ours", "annotations": created_by}, "secrets": [{"name": "x"}]});
    denied("with a secret", make(secrets), "nothing else").await;
    denied(
        "deleting theirs",
        try_delete(&accounts, "theirs"),
        "only ServiceAccounts that it created",
    )
    .await;
    space
        .patch_account("theirs", json!({"metadata": {"annotations": created_by}}))
        .await;
    try_delete(&accounts, "theirs").await.unwrap();
    // Kept, it may be handed over to somebody else's object; the mark is dropped then, and never changed.
    for (value, may) in [(json!("a/b"), true), (Value::Null, true), (json!("c/d"), false)] {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {CREATED_BY_ANNOTATION: value}}}));
        let trial = patch_trial();
        let asked = accounts.patch("theirs", &trial, &patch);
        match may {
            true => drop(asked.await.unwrap()),
            false => denied("another mark", asked, "only as it creates one").await,
        }
    }
}

async fn the_operator_reads_no_credentials_and_changes_no_spec() {
    let space = Space::new("adm-op-rest").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let client = operator(space.bed).await;
    let own = roles(&client, &space.name);
    let spec = Patch::Merge(json!({"spec": {"role": {"description": "x"}}}));
    denied(
        "a spec",
        own.patch("trainer", &patch_trial(), &spec),
        // Of two policies: it may use no class, and it changes no spec.
        "denied request",
    )
    .await;
    let classes: Api<MlServiceRoleClass> = Api::all(client.clone());
    let wider = Patch::Merge(json!({"spec": {"allow": {"tagKeys": ["another"]}}}));
    denied(
        "a class's spec",
        classes.patch(&base_class_name(space.bed), &patch_trial(), &wider),
        "writes only annotations, finalizers",
    )
    .await;
    denied(
        "deleting an object",
        own.delete("trainer", &DeleteParams::default()),
        "delete",
    )
    .await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &space.name);
    denied("secrets", secrets.list(&ListParams::default()), "secrets").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client, &space.name);
    let asked = async {
        accounts
            .create_token_request("trainer", &PostParams::default(), &Default::default())
            .await
    };
    denied("a token", asked, "serviceaccounts/token").await;
}
