//! What the operator does through the life of its roles is allowed by the policy that is printed for it, and nothing
//! is allowed that it never does.

use std::collections::{BTreeMap, BTreeSet};

use mlservicerole_operator::aws::IamApi;
use mlservicerole_operator::iam::arn::OidcProviderArn;
use mlservicerole_operator::iam::tags;
use mlservicerole_operator::plan::{Retention, Step};
use serde_json::{Value, json};

use crate::evaluator::{Decision, Request, decide, glob};
use crate::life::Life;
use crate::made::{
    BEDROCK, BOUNDARY, CLUSTER_UID, FORMER_BOUNDARY, ISSUER, LEGACY, READ_ONLY, S3_READ, bounded, former,
    options, policies, unbounded,
};

fn document(action: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
}

fn trainer() -> Value {
    json!({
        "managedPolicyArns": [READ_ONLY],
        "inlinePolicies": [{"name": "read", "document": document("s3:GetObject")}],
        "role": {"description": "trains"},
    })
}

fn adopter() -> Value {
    json!({
        "managedPolicyArns": [READ_ONLY],
        "role": {"name": "trainer"},
        "adoptionPolicy": "AdoptAndReplaceTrust",
    })
}

fn classes() -> [Value; 2] {
    [bounded(), unbounded()]
}

/// From creation to deletion, with everything in between that somebody else can do to a role.
async fn whole_life(class: &Value) -> Life {
    let mut allowing = options();
    allowing.leave_instance_profiles = true;
    let mut life = Life::new(class, policies(class, &allowing), trainer());
    life.settle().await;
    let made = life.role().unwrap();
    let is_bounded = made.permissions_boundary.is_some();
    let harm: [&dyn Fn(&mut crate::support::fake_iam::FakeRole); 8] = [
        &|role| role.description = "not ours".to_owned(),
        &|role| role.max_session_duration_seconds = 7200,
        &|role| role.trust = role.trust.replace("team-a", "team-b"),
        &|role| {
            role.tags.insert("stray".to_owned(), "tag".to_owned());
        },
        &|role| role.inline.clear(),
        &|role| {
            role.inline
                .insert("stray".to_owned(), document("s3:*").to_string());
        },
        &|role| role.attached = BTreeSet::from([S3_READ.parse().unwrap()]),
        &|role| {
            role.tags.remove(tags::UID);
            role.tags.insert(tags::UID.to_owned(), "somebody".to_owned());
        },
    ];
    for edit in harm {
        life.edit(edit);
        life.settle().await;
    }
    if is_bounded {
        for boundary in [None, Some(FORMER_BOUNDARY.to_owned())] {
            life.edit(|role| {
                role.permissions_boundary = boundary;
                role.attached.clear();
            });
            life.settle().await;
        }
    }
    life.respec(json!({"managedPolicyArns": [BEDROCK], "role": {"maxSessionDurationSeconds": 3600}}));
    life.settle().await;
    life.reborn("uid-2");
    life.settle().await;
    assert_eq!(life.role().unwrap().tags[tags::UID], "uid-2");
    life.edit(|role| {
        role.instance_profiles.insert("stray".to_owned());
        role.attached.insert(S3_READ.parse().unwrap());
    });
    life.leave(Retention::Unsaid).await;
    assert_eq!(life.role(), None);
    life
}

#[tokio::test]
async fn a_role_is_made_kept_and_deleted_with_and_without_a_boundary() {
    for class in classes() {
        whole_life(&class).await;
    }
}

#[tokio::test]
async fn a_role_is_left_behind_and_taken_back() {
    for class in classes() {
        let mut life = Life::new(&class, policies(&class, &options()), trainer());
        life.settle().await;
        life.leave(Retention::Retain).await;
        assert!(tags::is_retained(&life.role().unwrap().tags));
    }
}

/// The role that somebody made before, in the state that is given.
fn legacy(class: &Value, policies: Vec<Value>, boundary: Option<&str>) -> Life {
    let life = Life::new(class, policies, adopter());
    life.iam.fake.add_foreign_role("/legacy/", "trainer");
    life.edit(|role| {
        role.permissions_boundary = boundary.map(str::to_owned);
        role.attached.insert(BEDROCK.parse().unwrap());
        role.inline.insert("old".to_owned(), document("s3:*").to_string());
        role.tags.insert("team".to_owned(), "a".to_owned());
        role.description = "old".to_owned();
    });
    life
}

#[tokio::test]
async fn a_role_is_adopted_and_given_back() {
    for (class, boundary) in [
        (bounded(), None),
        (bounded(), Some(BOUNDARY)),
        (unbounded(), None),
    ] {
        let mut life = legacy(&class, policies(&class, &options()), boundary);
        let before = life.role().unwrap();
        assert_eq!(before.arn.to_string(), LEGACY);
        life.settle().await;
        assert_eq!(
            life.role().unwrap().attached,
            BTreeSet::from([READ_ONLY.parse().unwrap()])
        );
        life.leave(Retention::Unsaid).await;
        let after = life.role().unwrap();
        assert_eq!(
            (after.trust, after.inline, after.attached),
            (before.trust, before.inline, before.attached)
        );
    }
}

#[tokio::test]
async fn what_an_adopted_role_had_before_is_put_back_where_the_flags_name_it() {
    let mut options = options();
    options.former_boundaries = vec![former(None, FORMER_BOUNDARY)];
    options.former_policies = vec![S3_READ.parse().unwrap()];
    let class = bounded();
    let mut life = legacy(&class, policies(&class, &options), Some(FORMER_BOUNDARY));
    life.edit(|role| role.attached = BTreeSet::from([S3_READ.parse().unwrap()]));
    let before = life.role().unwrap();
    life.settle().await;
    assert_eq!(
        life.role().unwrap().permissions_boundary.as_deref(),
        Some(BOUNDARY)
    );
    life.leave(Retention::Unsaid).await;
    let after = life.role().unwrap();
    assert_eq!(
        (after.permissions_boundary, after.attached),
        (before.permissions_boundary, before.attached)
    );
}

#[tokio::test]
async fn a_role_that_another_cluster_left_behind_is_adopted() {
    for (mark, value) in [(tags::RETAINED, "true"), (tags::UID, tags::RETAINED_UID)] {
        let class = bounded();
        let mut life = legacy(&class, policies(&class, &options()), None);
        life.edit(|role| {
            for key in tags::OWNERSHIP {
                role.tags.insert(key.to_owned(), "another".to_owned());
            }
            role.tags.insert(mark.to_owned(), value.to_owned());
        });
        life.settle().await;
        let tags = life.role().unwrap().tags;
        assert_eq!(
            (tags[tags::CLUSTER].as_str(), tags::is_retained(&tags)),
            ("prod", false)
        );
    }
}

#[tokio::test]
async fn the_uid_of_the_cluster_may_be_tested_too_and_roles_of_former_clusters_are_inherited() {
    let mut class = bounded();
    class["roles"]["formerClusterUIDs"] = json!([CLUSTER_UID]);
    let mut options = options();
    options.cluster_uid = Some(CLUSTER_UID.to_owned());
    let mut life = Life::new(&class, policies(&class, &options), trainer());
    life.settle().await;
    options.cluster_uid = Some("uid-of-the-rebuilt".to_owned());
    life.permit(policies(&class, &options));
    life.moved_to("uid-of-the-rebuilt");
    life.settle().await;
    assert_eq!(life.role().unwrap().tags[tags::CLUSTER_UID], "uid-of-the-rebuilt");
    life.leave(Retention::Delete).await;
}

#[tokio::test]
async fn a_class_changes_its_boundary() {
    let mut before = bounded();
    before["roles"]["permissionsBoundary"]["arn"] = json!(FORMER_BOUNDARY);
    let mut life = Life::new(&before, policies(&before, &options()), trainer());
    life.settle().await;
    let mut options = options();
    options.former_boundaries = vec![former(None, FORMER_BOUNDARY)];
    // First the policies, then the class; and back, should the admin think again.
    life.permit(policies(&bounded(), &options));
    life.respec(json!({"managedPolicyArns": [BEDROCK]}));
    life.settle().await;
    for class in [bounded(), before, bounded()] {
        life.reclass(&class);
        life.settle().await;
        let boundary = &class["roles"]["permissionsBoundary"]["arn"];
        assert_eq!(json!(life.role().unwrap().permissions_boundary), *boundary);
    }
    life.permit(policies(&bounded(), &crate::made::options()));
    life.respec(trainer());
    life.settle().await;
    life.leave(Retention::Delete).await;
}

/// What is asked about a class and its account.
async fn of_the_class(life: &Life) {
    let provider = OidcProviderArn::new(
        &"aws".parse().unwrap(),
        &"111122223333".parse().unwrap(),
        &ISSUER.parse().unwrap(),
    );
    life.iam.fake.add_provider(&provider, &["sts.amazonaws.com"]);
    life.iam
        .open_id_connect_provider_audiences(&provider)
        .await
        .unwrap();
    life.iam.policy_exists(&BOUNDARY.parse().unwrap()).await.unwrap();
    life.iam.account_quotas().await.unwrap();
}

/// The IAM action of a step; a step that is new must be given one here.
fn action_of(step: &Step) -> Option<&'static str> {
    Some(match step {
        Step::CreateRole(_) => "iam:CreateRole",
        Step::SetBoundary(_) => "iam:PutRolePermissionsBoundary",
        Step::UpdateTrust { .. } => "iam:UpdateAssumeRolePolicy",
        Step::Tag(_) => "iam:TagRole",
        Step::Untag(_) => "iam:UntagRole",
        Step::UpdateRole { .. } => "iam:UpdateRole",
        Step::PutInline { .. } => "iam:PutRolePolicy",
        Step::DeleteInline(_) => "iam:DeleteRolePolicy",
        Step::Attach(_) => "iam:AttachRolePolicy",
        Step::Detach(_) => "iam:DetachRolePolicy",
        Step::LeaveInstanceProfile(_) => "iam:RemoveRoleFromInstanceProfile",
        Step::DeleteRole => "iam:DeleteRole",
        Step::AddFinalizer(_)
        | Step::KeepFormerState(_)
        | Step::CreateServiceAccount(_)
        | Step::BindServiceAccount { .. }
        | Step::UnbindServiceAccount { .. }
        | Step::DeleteServiceAccount { .. }
        | Step::RemoveFinalizer => return None,
    })
}

/// One of each that writes to a role.
fn steps() -> Vec<Step> {
    let life = Life::new(&bounded(), vec![], trainer());
    let policy = || READ_ONLY.parse().unwrap();
    let text = || "x".to_owned();
    vec![
        Step::CreateRole(Box::new(life.new_role())),
        Step::SetBoundary(policy()),
        Step::UpdateTrust { document: text() },
        Step::Tag(BTreeMap::new()),
        Step::Untag(BTreeSet::new()),
        Step::UpdateRole {
            description: text(),
            max_session_duration_seconds: 3600,
        },
        Step::PutInline {
            name: text(),
            document: text(),
        },
        Step::DeleteInline(text()),
        Step::Attach(policy()),
        Step::Detach(policy()),
        Step::LeaveInstanceProfile(text()),
        Step::DeleteRole,
    ]
}

#[tokio::test]
async fn every_step_that_writes_a_role_is_part_of_the_lives_that_are_tried_here() {
    let asked = whole_life(&bounded()).await.asked();
    for step in steps() {
        let action = action_of(&step).unwrap();
        assert!(step.writes_role());
        assert_eq!(action, format!("iam:{}", step.action()));
        assert!(asked.contains(action), "{action}");
    }
}

#[test]
fn roles_are_taken_out_of_instance_profiles_only_where_the_flag_says_so() {
    let profile = "arn:aws:iam::111122223333:instance-profile/nodes";
    let request = Request::new("iam:RemoveRoleFromInstanceProfile", profile);
    let mut options = options();
    for allowed in [false, true] {
        options.leave_instance_profiles = allowed;
        let decision = decide(&policies(&bounded(), &options), &request);
        assert_eq!(decision == Decision::Allowed, allowed);
    }
}

/// Reads of whole accounts.
const SWEEP: [&str; 2] = ["iam:GetAccountAuthorizationDetails", "iam:ListRoles"];

#[tokio::test]
async fn nothing_is_allowed_that_the_operator_never_does() {
    let life = whole_life(&bounded()).await;
    of_the_class(&life).await;
    let asked = life.asked();
    assert!(life.iam.log.lock().unwrap().denied.is_empty());
    for policy in policies(&bounded(), &options()) {
        for statement in policy["Statement"].as_array().unwrap() {
            let actions = match &statement["Action"] {
                Value::String(one) => vec![one.clone()],
                several => serde_json::from_value(several.clone()).unwrap(),
            };
            for action in actions.iter().filter(|_| statement["Effect"] == "Allow") {
                assert!(!action.contains('*'), "{action}");
                assert!(
                    asked.contains(action) || SWEEP.contains(&action.as_str()),
                    "{action}"
                );
            }
        }
    }
}

#[test]
fn the_sweep_of_whole_accounts_can_be_left_out() {
    let mut options = options();
    let sweeps = |options: &mlservicerole_operator::permissions::Options| {
        let text = json!(policies(&bounded(), options)).to_string();
        text.contains("GetAccountAuthorizationDetails")
    };
    assert!(sweeps(&options));
    options.account_sweep = false;
    assert!(!sweeps(&options));
}

#[test]
fn no_denial_speaks_of_what_is_allowed() {
    // A Deny that takes back what the same policies allow would show only at the request.
    let documents = policies(&bounded(), &options());
    let all = || {
        documents
            .iter()
            .flat_map(|policy| policy["Statement"].as_array().unwrap())
    };
    let never = all().find(|statement| statement["Sid"] == "Never").unwrap();
    for allow in all().filter(|statement| statement["Effect"] == "Allow") {
        let actions = allow["Action"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![allow["Action"].clone()]);
        for action in actions {
            for pattern in never["Action"].as_array().unwrap() {
                let (pattern, action) = (pattern.as_str().unwrap(), action.as_str().unwrap());
                assert!(
                    !glob(&pattern.to_lowercase(), &action.to_lowercase()),
                    "{pattern} {action}"
                );
            }
        }
    }
}
