//! Repairing a role that exists: each property, and the order among them.

use super::*;

/// A trust policy of our shape.
fn trusting(names: &[&str]) -> String {
    let list: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    intent(json!({"serviceAccounts": list}))
        .trust
        .document()
        .to_json()
}

#[test]
fn each_property_alone_takes_one_step() {
    let intent = intent(json!({
        "managedPolicyArns": [READ_ONLY],
        "inlinePolicies": [{"name": "p", "document": document("s3:GetObject")}],
        "role": {"tags": {"Team": "a"}, "description": "d"},
    }));
    type Change = fn(&mut RoleHeader, &mut RoleContent);
    let table: &[(Change, &str)] = &[
        (|header, _| header.description.clear(), "UpdateRole"),
        (
            |header, _| header.max_session_duration_seconds = 3600,
            "UpdateRole",
        ),
        (
            |header, _| {
                header.tags.insert("Team".to_owned(), "b".to_owned());
            },
            "TagRole Team",
        ),
        (
            |header, _| {
                header.tags.remove("Team");
            },
            "TagRole Team",
        ),
        (
            |header, _| {
                header.tags.insert("extra".to_owned(), String::new());
            },
            "UntagRole extra",
        ),
        (
            |header, _| {
                header
                    .tags
                    .insert(tags::CLUSTER.to_owned(), "old name".to_owned());
            },
            "TagRole mlservicerole.io/cluster",
        ),
        (|_, content| content.inline.clear(), "PutRolePolicy p"),
        (
            |_, content| {
                content
                    .inline
                    .insert("p".to_owned(), document("s3:*").to_string());
            },
            "PutRolePolicy p",
        ),
        (
            |_, content| {
                content.inline.insert("p".to_owned(), "unreadable".to_owned());
            },
            "PutRolePolicy p",
        ),
        (
            |_, content| {
                content
                    .inline
                    .insert("x".to_owned(), document("s3:*").to_string());
            },
            "DeleteRolePolicy x",
        ),
        (
            |_, content| content.attached.clear(),
            "AttachRolePolicy arn:aws:iam::aws:policy/AmazonSageMakerReadOnly",
        ),
        (
            |_, content| {
                content.attached.insert(policy(ADMIN));
            },
            "DetachRolePolicy arn:aws:iam::aws:policy/AdministratorAccess",
        ),
    ];
    for (change, expected) in table {
        let plan = repair(&intent, change);
        assert_eq!(show(&plan).trim_end(), *expected);
    }
}

#[test]
fn update_role_sets_both_of_its_values() {
    let intent = intent(json!({"role": {"description": "d"}}));
    let plan = repair(&intent, |header, _| header.max_session_duration_seconds = 3600);
    assert_eq!(
        plan.stages,
        [vec![Step::UpdateRole {
            description: "d".to_owned(),
            max_session_duration_seconds: 7200,
        }]]
    );
}

#[test]
fn a_tag_whose_key_differs_only_in_case_is_set_and_not_removed() {
    let intent = intent(json!({"role": {"tags": {"Team": "a"}}}));
    let plan = repair(&intent, |header, _| {
        header.tags.remove("Team");
        header.tags.insert("TEAM".to_owned(), "b".to_owned());
    });
    assert_eq!(plan.stages, [vec![Step::Tag(labels(&[("Team", "a")]))]]);
}

#[test]
fn wrong_everywhere_is_repaired_in_the_one_safe_order() {
    let class = json!({"roles": {"permissionsBoundary": {"none": null, "arn": BOUNDARY}}});
    let mut spec = two_policies();
    json_patch::merge(
        &mut spec,
        &json!({"serviceAccounts": [{"name": "a"}, {"name": "b"}]}),
    );
    let intent = intent_under(&class, spec);
    let mut wrong = header(&intent);
    wrong.permissions_boundary = None;
    wrong.trust = trusting(&["b", "c"]);
    wrong.description = "x".to_owned();
    wrong.tags.insert("extra".to_owned(), "x".to_owned());
    wrong.tags.remove(tags::CLUSTER);
    let content = RoleContent {
        inline: labels(&[("x", "{}")]),
        attached: [policy(ADMIN)].into(),
    };
    let found = [
        service_account("a", &[]),
        bound("b", &intent),
        bound("c", &intent),
    ];
    let next = plan(
        &intent,
        true,
        &read(wrong, Some(content), 100),
        around(&found, &[]),
        &clock(100, 100),
    );
    insta::assert_snapshot!(show(&steps(next)), @r#"
    PutRolePermissionsBoundary arn:aws:iam::111122223333:policy/boundary

    UpdateAssumeRolePolicy Allow "system:serviceaccount:team-a:b"

    UntagRole extra
    TagRole mlservicerole.io/cluster
    UpdateRole
    PutRolePolicy p
    AttachRolePolicy arn:aws:iam::aws:policy/AmazonSageMakerReadOnly
    DeleteRolePolicy x
    DetachRolePolicy arn:aws:iam::aws:policy/AdministratorAccess

    UpdateAssumeRolePolicy Allow ["system:serviceaccount:team-a:a","system:serviceaccount:team-a:b"]

    BindServiceAccount a

    UnbindServiceAccount c (eks.amazonaws.com/role-arn, mlservicerole.io/bound-by)
    "#);
}

#[test]
fn trust_that_only_shrinks_shrinks_before_the_policies_change() {
    let intent = intent(two_policies());
    let plan = repair(&intent, |header, content| {
        header.trust = trusting(&["trainer", "former"]);
        content.attached.clear();
    });
    insta::assert_snapshot!(show(&plan), @r#"
    UpdateAssumeRolePolicy Allow "system:serviceaccount:team-a:trainer"

    AttachRolePolicy arn:aws:iam::aws:policy/AmazonSageMakerReadOnly
    "#);
}

#[test]
fn trust_that_only_grows_grows_after_the_policies_changed() {
    let intent = intent(json!({"serviceAccounts": [{"name": "a"}, {"name": "b"}]}));
    let plan = repair(&intent, |header, content| {
        header.trust = trusting(&["a"]);
        content.attached.insert(policy(ADMIN));
    });
    insta::assert_snapshot!(show(&plan), @r#"
    DetachRolePolicy arn:aws:iam::aws:policy/AdministratorAccess

    UpdateAssumeRolePolicy Allow ["system:serviceaccount:team-a:a","system:serviceaccount:team-a:b"]
    "#);
}

#[test]
fn trust_that_is_replaced_is_closed_while_the_policies_change() {
    let intent = intent(two_policies());
    let plan = repair(&intent, |header, content| {
        header.trust = trusting(&["somebody"]);
        content.attached.clear();
    });
    insta::assert_snapshot!(show(&plan), @r#"
    UpdateAssumeRolePolicy Deny "*"

    AttachRolePolicy arn:aws:iam::aws:policy/AmazonSageMakerReadOnly

    UpdateAssumeRolePolicy Allow "system:serviceaccount:team-a:trainer"
    "#);
}

#[test]
fn trust_that_is_replaced_beside_right_policies_takes_one_step() {
    let plan = repair(&intent(two_policies()), |header, _| {
        header.trust = trusting(&["somebody"])
    });
    insta::assert_snapshot!(show(&plan), @r#"UpdateAssumeRolePolicy Allow "system:serviceaccount:team-a:trainer""#);
}

#[test]
fn a_trust_policy_that_cannot_be_read_counts_as_open_to_anyone() {
    let plan = repair(&intent(two_policies()), |header, content| {
        header.trust = "unreadable".to_owned();
        content.inline.clear();
    });
    insta::assert_snapshot!(show(&plan), @r#"
    UpdateAssumeRolePolicy Deny "*"

    PutRolePolicy p

    UpdateAssumeRolePolicy Allow "system:serviceaccount:team-a:trainer"
    "#);
}

#[test]
fn wanted_attachments_come_first_while_there_is_room() {
    let intent = intent(json!({"managedPolicyArns": [READ_ONLY]}));
    let plan = repair(&intent, |_, content| {
        content.attached = (0..9).map(|i| policy(&format!("{BOUNDARY}{i}"))).collect();
    });
    assert_eq!(plan.stages.len(), 1);
    assert_eq!(plan.stages[0].len(), 10);
    assert_eq!(plan.stages[0][0], Step::Attach(policy(READ_ONLY)));
}

#[test]
fn unwanted_attachments_go_first_where_ten_are_taken() {
    let intent = intent(json!({"managedPolicyArns": [READ_ONLY]}));
    let plan = repair(&intent, |_, content| {
        content.attached = (0..10).map(|i| policy(&format!("{BOUNDARY}{i}"))).collect();
    });
    assert_eq!(plan.stages.len(), 1);
    assert_eq!(plan.stages[0].len(), 11);
    assert_eq!(plan.stages[0][10], Step::Attach(policy(READ_ONLY)));
}

/// A policy document of about so many characters.
fn sized(length: usize) -> Value {
    document(&format!("s3:Get{}", "x".repeat(length - 93)))
}

#[test]
fn unwanted_inline_policies_go_first_where_both_would_not_fit() {
    for (old, put_first) in [(4_000, true), (6_000, false)] {
        let intent = intent(json!({"inlinePolicies": [{"name": "p", "document": sized(5_000)}]}));
        let plan = repair(&intent, |_, content| {
            content.inline = labels(&[("old", &sized(old).to_string())]);
        });
        let expected = if put_first {
            ["PutRolePolicy p", "DeleteRolePolicy old"]
        } else {
            ["DeleteRolePolicy old", "PutRolePolicy p"]
        };
        assert_eq!(plan.steps().map(show_step).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn inline_policies_that_shrink_make_room_for_those_that_grow() {
    let intent = intent(json!({"inlinePolicies": [
        {"name": "grows", "document": sized(8_000)},
        {"name": "new", "document": sized(200)},
        {"name": "shrinks", "document": sized(300)},
    ]}));
    let plan = repair(&intent, |_, content| {
        content.inline = labels(&[
            ("grows", &sized(300).to_string()),
            ("shrinks", &sized(8_000).to_string()),
        ]);
    });
    assert_eq!(
        plan.steps().map(show_step).collect::<Vec<_>>(),
        [
            "PutRolePolicy shrinks",
            "PutRolePolicy grows",
            "PutRolePolicy new"
        ]
    );
}

#[test]
fn a_role_of_an_earlier_object_is_tagged_before_it_is_changed() {
    let intent = intent(two_policies());
    let plan = repair(&intent, |header, content| {
        header.tags.insert(tags::UID.to_owned(), "uid-0".to_owned());
        header.tags.insert("extra".to_owned(), "x".to_owned());
        header.trust = trusting(&["trainer", "former"]);
        content.attached.clear();
    });
    let name = intent.arn().name().to_string();
    insta::assert_snapshot!(show(&plan).replace(&name, "NAME"), @r#"
    TagRole mlservicerole.io/cluster, mlservicerole.io/cluster-uid, mlservicerole.io/name, mlservicerole.io/namespace, mlservicerole.io/namespace-uid, mlservicerole.io/uid

    UpdateAssumeRolePolicy Allow "system:serviceaccount:team-a:trainer"

    UntagRole extra
    AttachRolePolicy arn:aws:iam::aws:policy/AmazonSageMakerReadOnly

    Normal RoleTakenOver: role NAME of an earlier object of this name is this object's now
    "#);
}

#[test]
fn a_role_of_a_listed_former_cluster_is_taken_over() {
    let class = json!({"roles": {"formerClusterUIDs": ["cluster-0"]}});
    let intent = intent_under(&class, json!({}));
    let plan = repair(&intent, |header, _| {
        header
            .tags
            .insert(tags::CLUSTER_UID.to_owned(), "cluster-0".to_owned());
        header
            .tags
            .insert(tags::NAMESPACE_UID.to_owned(), "namespace-0".to_owned());
    });
    assert_eq!(plan.stages, [vec![Step::Tag(intent.owner.tags())]]);
}

/// A role that already has a policy that means the same, with a Sid that the spec's form has no room for.
#[test]
fn a_wordy_policy_is_shortened_where_the_others_need_its_room() {
    let sized = |size: usize| document(&format!("s3:Get{}", "x".repeat(size)));
    let bare = crate::iam::quota::size(&document("s3:Get").to_string());
    let spec = |second: usize| {
        json!({"inlinePolicies": [
            {"name": "a", "document": sized(5_000)}, {"name": "b", "document": sized(second)},
        ]})
    };
    let steps_to = |second: usize| {
        let intent = intent(spec(second));
        let mut content = content(&intent);
        let mut wordy = sized(5_000);
        wordy["Statement"][0]["Sid"] = json!("Wordy");
        content.inline.insert("a".to_owned(), wordy.to_string());
        content.inline.insert("b".to_owned(), sized(1).to_string());
        let knowledge = read(header(&intent), Some(content), 0);
        let plan = steps(plan(
            &intent,
            true,
            &knowledge,
            around(&[bound("trainer", &intent)], &[]),
            &clock(0, 0),
        ));
        plan.steps().map(show_step).collect::<Vec<_>>()
    };
    let full = 10_240 - 2 * (bare - 2) - 5_000;
    assert_eq!(steps_to(full - 20), ["PutRolePolicy b"]);
    assert_eq!(steps_to(full), ["PutRolePolicy a", "PutRolePolicy b"]);
}
