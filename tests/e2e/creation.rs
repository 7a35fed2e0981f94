//! Creating and deleting a role: what comes of it, and what it costs on the wire.

use kube::ResourceExt;
use mlservicerole_operator::api::{CREATED_BY_ANNOTATION, ROLE_FINALIZER};
use serde_json::{Value, json};

use crate::support::Space;
use crate::support::aws::{READ_ONLY, S3_READ_ONLY, statement};
use crate::support::proxy::Call;
use crate::support::space::{bound_by, ownership_tags, placed_arn, role_arn};
use crate::support::{base_class_name, eventually};

crate::trials![
    creating_takes_one_call_for_each_thing_and_three_writes,
    each_step_is_logged_as_part_of_the_reconcile_of_its_object,
    the_role_is_as_the_object_says,
    the_trust_policy_admits_nobody_but_the_service_accounts,
    the_status_and_the_columns_say_what_there_is,
    a_converged_object_costs_nothing_but_sweeps,
    deleting_takes_one_read_and_one_call_for_each_thing,
];

const MANAGED: [&str; 2] = [READ_ONLY, S3_READ_ONLY];

/// Two managed policies and one inline policy.
fn spec() -> Value {
    json!({
        "managedPolicyArns": MANAGED,
        "inlinePolicies": [{"name": "data", "document": statement("s3:GetObject", "arn:aws:s3:::data/*")}],
        "role": {"description": "trains", "maxSessionDurationSeconds": 3700, "tags": {"team": "a"}},
    })
}

fn actions(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.action.as_str()).collect()
}

async fn creating_takes_one_call_for_each_thing_and_three_writes() {
    let space = Space::new("cost").await;
    let mark = space.bed.proxy.mark();
    space.create("trainer", spec()).await;
    space.ready("trainer").await;

    let calls = space.bed.proxy.since(mark, &space.prefix());
    let mut first: Vec<&str> = actions(&calls).into_iter().take(4).collect();
    assert_eq!(
        first[0], "CreateRole",
        "nothing comes before the role: {calls:#?}"
    );
    first.sort_unstable();
    assert_eq!(
        first,
        [
            "AttachRolePolicy",
            "AttachRolePolicy",
            "CreateRole",
            "PutRolePolicy"
        ]
    );
    assert_eq!(
        space.bed.proxy.writes_since(mark, &space.prefix()).len(),
        4,
        "{calls:#?}"
    );

    let Some(audit) = &space.bed.audit else {
        eprintln!("no audit log: the requests to the API server aren't counted");
        return;
    };
    // The status is the last write; a second one would be seen before this object's.
    space.create("later", json!({})).await;
    space.ready("later").await;
    let mut writes: Vec<(String, String)> = audit
        .writes(&space.name)
        .into_iter()
        .filter(|request| request.name == "trainer" || request.name.is_empty())
        .map(|request| (request.verb, request.resource))
        .collect();
    writes.sort();
    let expected = [
        ("create", "serviceaccounts"),
        ("patch", "mlserviceroles"),
        ("update", "mlserviceroles/status"),
    ];
    let mut expected: Vec<_> = expected
        .map(|(verb, resource)| (verb.to_owned(), resource.to_owned()))
        .into();
    // The request that creates the other object's ServiceAccount may carry no name.
    let unnamed = audit
        .writes(&space.name)
        .iter()
        .filter(|request| request.name.is_empty())
        .count();
    expected.extend((1..unnamed).map(|_| ("create".to_owned(), "serviceaccounts".to_owned())));
    expected.sort();
    assert_eq!(writes, expected);
}

/// Traces are made of the same spans; see docs/tracing.md.
async fn each_step_is_logged_as_part_of_the_reconcile_of_its_object() {
    let space = Space::new("span").await;
    space.create("trainer", json!({})).await;
    space.ready("trainer").await;
    let as_text = format!(r#"reconcile{{namespace="{}" object="trainer"}}"#, space.name);
    let as_json = format!(
        r#""namespace":"{}","object":"trainer","name":"reconcile""#,
        space.name
    );
    for step in ["AddFinalizer", "CreateRole", "CreateServiceAccount"] {
        eventually(&format!("{step} is logged"), || async {
            let log = space.bed.launcher.log_tail(&space.name, 100);
            let mut lines = log.lines().filter(|line| line.contains(step));
            lines
                .any(|line| line.contains(&as_text) || line.contains(&as_json))
                .then_some(())
                .ok_or(log)
        })
        .await;
    }
}

async fn the_role_is_as_the_object_says() {
    let space = Space::new("asked").await;
    space.create("trainer", spec()).await;
    let object = space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    let bed = space.bed;

    let name = role.arn.rsplit('/').next().unwrap();
    assert!(name.starts_with(&format!("{}-trainer-", space.name)), "{name}");
    let path = format!("{}{}/", bed.path(), space.name);
    assert_eq!(
        role.arn,
        format!("arn:aws:iam::{}:role{path}{name}", bed.aws.account)
    );
    assert_eq!(role.description, "trains");
    assert_eq!(role.max_session, 3700);
    assert_eq!(role.boundary, None);
    assert_eq!(role.attached, MANAGED.map(str::to_owned).into());
    let document = statement("s3:GetObject", "arn:aws:s3:::data/*");
    assert_eq!(role.inline.keys().collect::<Vec<_>>(), ["data"]);
    let stored = &role.inline["data"]["Statement"];
    let stored = stored.as_array().map_or(stored, |statements| &statements[0]);
    assert!(
        stored.to_string().contains("s3:GetObject"),
        "{stored} for {document}"
    );

    let mut tags = ownership_tags(bed, &object, &namespace_uid(&space).await);
    tags.insert("team".into(), "a".into());
    assert_eq!(role.tags, tags);
}

async fn the_trust_policy_admits_nobody_but_the_service_accounts() {
    let space = Space::new("trust").await;
    let accounts = json!([{"name": "a"}, {"name": "b"}]);
    let spec = json!({"serviceAccounts": accounts, "role": {"trustedServices": ["sagemaker.amazonaws.com"]}});
    space.create("trainer", spec).await;
    space.ready("trainer").await;
    let trust = space.role("trainer").await.unwrap().trust;
    let bed = space.bed;
    let statements = trust["Statement"].as_array().unwrap();
    assert_eq!(statements.len(), 2, "{trust:#}");
    let listed = |value: &Value| match value {
        Value::Array(values) => values.clone(),
        value => vec![value.clone()],
    };
    let of = |kind: &str| {
        statements
            .iter()
            .find(|s| s["Principal"].get(kind).is_some())
            .unwrap()
    };

    let federated = of("Federated");
    assert_eq!(federated["Effect"], "Allow");
    assert_eq!(
        listed(&federated["Principal"]["Federated"]),
        [json!(bed.provider_arn())]
    );
    assert_eq!(listed(&federated["Action"]), ["sts:AssumeRoleWithWebIdentity"]);
    let host = bed.issuer.trim_start_matches("https://");
    let condition = federated["Condition"].as_object().unwrap();
    assert_eq!(condition.keys().collect::<Vec<_>>(), ["StringEquals"]);
    let equals = &condition["StringEquals"];
    assert_eq!(equals.as_object().unwrap().len(), 2, "{trust:#}");
    assert_eq!(listed(&equals[format!("{host}:aud")]), ["sts.amazonaws.com"]);
    let subject = |name: &str| json!(format!("system:serviceaccount:{}:{name}", space.name));
    let mut subjects = listed(&equals[format!("{host}:sub")]);
    subjects.sort_by_key(Value::to_string);
    assert_eq!(subjects, [subject("a"), subject("b")]);

    let service = of("Service");
    assert_eq!(
        listed(&service["Principal"]["Service"]),
        ["sagemaker.amazonaws.com"]
    );
    assert_eq!(listed(&service["Action"]), ["sts:AssumeRole"]);
    let source = &service["Condition"]["StringEquals"]["aws:SourceAccount"];
    assert_eq!(listed(source), [json!(bed.aws.account)]);
}

async fn the_status_and_the_columns_say_what_there_is() {
    let space = Space::new("status").await;
    space.create("trainer", spec()).await;
    let object = space.ready("trainer").await;
    let role = space.role("trainer").await.unwrap();
    let status = object.status.clone().unwrap();
    let name = role.arn.rsplit('/').next().map(str::to_owned);

    assert!(
        object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == ROLE_FINALIZER)
    );
    assert_eq!(placed_arn(&object).as_ref(), Some(&role.arn));
    assert_eq!(status.role_arn.as_ref(), Some(&role.arn));
    assert_eq!(status.role_name, name);
    assert_eq!(status.role_id.as_ref(), Some(&role.id));
    assert_eq!(status.class_name, Some(base_class_name(space.bed)));
    assert_eq!(status.observed_generation, Some(1));
    let accounts: Vec<_> = status
        .service_accounts
        .iter()
        .map(|sa| (sa.name.as_str(), sa.bound))
        .collect();
    assert_eq!(accounts, [("trainer", true)]);
    let conditions: Vec<_> = status
        .conditions
        .iter()
        .map(|c| (c.type_.as_str(), c.status.as_str(), c.observed_generation))
        .collect();
    for kind in ["Accepted", "RoleSynced", "ServiceAccountsBound", "Ready"] {
        assert!(conditions.contains(&(kind, "True", Some(1))), "{conditions:?}");
    }
    assert_eq!(
        conditions.len(),
        4,
        "no Stalled while all is well: {conditions:?}"
    );

    let account = space.account("trainer").await.unwrap();
    assert_eq!(role_arn(&account), Some(role.arn.as_str()));
    let marker = bound_by(&account).unwrap();
    assert!(
        marker.contains("trainer") && marker.contains(&object.uid().unwrap()),
        "{marker}"
    );
    assert!(account.annotations().contains_key(CREATED_BY_ANNOTATION));

    let path = format!(
        "/apis/mlservicerole.io/v1alpha1/namespaces/{}/mlserviceroles",
        space.name
    );
    let request = hyper::Request::get(path)
        .header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .unwrap();
    let table: Value = space.bed.client.request(request).await.unwrap();
    let columns: Vec<_> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].clone())
        .collect();
    assert_eq!(
        columns,
        [
            "Name",
            "Ready",
            "Reason",
            "Role",
            "Class",
            "ServiceAccounts",
            "Age"
        ]
    );
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    let expected = json!([
        "trainer",
        "True",
        "Synced",
        name,
        base_class_name(space.bed),
        "1/1"
    ]);
    assert_eq!(cells[..6], expected.as_array().unwrap()[..]);
}

async fn a_converged_object_costs_nothing_but_sweeps() {
    let space = Space::new("converged").await;
    space.create("trainer", spec()).await;
    space.ready("trainer").await;
    let settled = space
        .bed
        .audit
        .as_ref()
        .map(|audit| audit.writes(&space.name).len());
    let mark = space.bed.proxy.mark();
    for round in 0..10 {
        space.touch("trainer", &round.to_string()).await;
        let patch = json!({"metadata": {"annotations": {"e2e.example/touched": round.to_string()}}});
        space.patch_account("trainer", patch).await;
    }
    // A change that is seen in AWS proves that the operator has looked at all that came before.
    space
        .patch_spec("trainer", json!({"role": {"description": "trains more"}}))
        .await;
    space
        .role_until("trainer", "follows", |role| role.description == "trains more")
        .await;
    space.ready("trainer").await;

    assert_eq!(
        space.bed.proxy.writes_since(mark, &space.prefix()),
        ["UpdateRole"]
    );
    let calls = space.bed.proxy.since(mark, &space.prefix());
    let reads = calls.iter().filter(|call| call.action == "GetRole").count();
    // One before the update, and one after it, when IAM can be relied on to show whether it was taken back.
    assert!(reads <= 2, "{reads} reads: {:?}", actions(&calls));
    let (Some(audit), Some(settled)) = (&space.bed.audit, settled) else {
        eprintln!("no audit log: the requests to the API server aren't counted");
        return;
    };
    let writes = eventually("the status of the change is in the audit log", || async {
        let writes = audit.writes(&space.name).split_off(settled);
        if writes.is_empty() {
            Err("nothing yet".into())
        } else {
            Ok(writes)
        }
    })
    .await;
    let writes: Vec<_> = writes
        .iter()
        .map(|w| (w.verb.as_str(), w.resource.as_str()))
        .collect();
    assert_eq!(
        writes,
        [("update", "mlserviceroles/status")],
        "the change's own status, and nothing else"
    );
}

async fn deleting_takes_one_read_and_one_call_for_each_thing() {
    let space = Space::new("departs").await;
    space.create("trainer", spec()).await;
    space.ready("trainer").await;
    let name = space.placed("trainer").await;
    let mark = space.bed.proxy.mark();
    space.delete_and_wait("trainer").await;
    let calls = space.bed.proxy.since(mark, &space.prefix());
    // Whatever comes before is a look that was due.
    let last = &calls[calls.len().saturating_sub(5)..];
    assert_eq!(
        last.first().map(|call| call.action.as_str()),
        Some("GetRole"),
        "{:?}",
        actions(&calls)
    );
    assert_eq!(
        last.last().map(|call| call.action.as_str()),
        Some("DeleteRole"),
        "{:?}",
        actions(&calls)
    );
    let mut writes = space.bed.proxy.writes_since(mark, &space.prefix());
    writes.sort_unstable();
    assert_eq!(
        writes,
        [
            "DeleteRole",
            "DeleteRolePolicy",
            "DetachRolePolicy",
            "DetachRolePolicy"
        ]
    );
    let arn = placed_arn(&name).unwrap();
    assert_eq!(
        space.bed.aws.snapshot(arn.rsplit('/').next().unwrap()).await,
        None
    );
    assert!(
        space.account("trainer").await.is_none(),
        "the ServiceAccount was the operator's"
    );
}

async fn namespace_uid(space: &Space) -> String {
    crate::support::space::namespace_uid(space.bed, &space.name).await
}
