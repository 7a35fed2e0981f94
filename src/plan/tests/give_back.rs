//! Giving back a role that was taken over: it ends as it was, and on the way nobody has permissions that weren't meant
//! for them.

use serde_json::json;

use super::fixtures::*;
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::tags;
use crate::iam::trust::trusted_by_both;
use crate::plan::{
    Departure, Depth, FormerState, Next, Plan, Recalled, Retention, RoleIntent, RoleKnowledge, Sought, Step,
    plan_departure,
};

fn object() -> RoleIntent {
    intent(json!({
        "managedPolicyArns": [READ_ONLY],
        "serviceAccounts": [{"name": "a"}, {"name": "b"}],
        "role": {"name": "trainer-role", "tags": {"Team": "a"}},
    }))
}

/// The role as it was: it let in `b` and `c`, and could read S3.
fn before() -> FormerState {
    let object = object();
    let mut trust = object.trust.clone();
    trust.service_accounts = ["b".to_owned(), "c".to_owned()].into();
    let header = RoleHeader {
        id: "AROA1".to_owned(),
        trust: trust.document().to_json(),
        description: "theirs".to_owned(),
        tags: labels(&[("owner", "them")]),
        ..header(&object)
    };
    let content = RoleContent {
        inline: [("theirs".to_owned(), document("s3:GetObject").to_string())].into(),
        attached: [policy(S3_READ)].into(),
    };
    FormerState::of(&object.owner, &header, &content)
}

/// The role as the object has it.
fn adopted(former: &FormerState) -> RoleHeader {
    let mut header = header(&object());
    header.tags.insert(tags::ADOPTED.to_owned(), former.name());
    header
}

fn leaving(retain: Retention) -> Departure {
    let intent = object();
    Departure {
        owner: intent.owner.clone(),
        role_arn: intent.arn().clone(),
        former_cluster_uids: ["cluster-0".to_owned()].into(),
        retain,
        attached: intent.attached.clone(),
        inline: intent.inline.keys().cloned().collect(),
        lets_go: true,
    }
}

fn next(retain: Retention, knowledge: &RoleKnowledge) -> Next {
    plan_departure(&leaving(retain), knowledge, around(&[], &[]), &clock(100, 100))
}

fn known(header: RoleHeader, content: RoleContent, record: Option<&FormerState>) -> RoleKnowledge {
    let sought = Sought::of(&header);
    let mut knowledge = read(header, Some(content), 100);
    knowledge.recalled = Some(Box::new(Recalled {
        sought,
        state: record.cloned().map(Box::new),
        as_of: seconds(100),
    }));
    knowledge
}

fn given_back(former: &FormerState) -> Plan {
    steps(next(
        Retention::Unsaid,
        &known(adopted(former), content(&object()), Some(former)),
    ))
}

#[test]
fn a_role_ends_as_it_was_and_is_nobodys() {
    let former = before();
    let plan = given_back(&former);
    let mut knowledge = known(adopted(&former), content(&object()), Some(&former));
    for step in plan.steps() {
        knowledge.note_done(step, seconds(101));
    }
    let owner = object().owner;
    assert_eq!(
        FormerState::of(&owner, header_of(&knowledge), content_of(&knowledge)),
        former
    );
    let left = header_of(&knowledge);
    let mut tags = left.tags.clone();
    assert!(tags::is_retained(&tags), "{tags:?}");
    tags.retain(|key, _| !tags::is_mark(key));
    assert_eq!(tags, former.tags);
    let again = steps(next(
        Retention::Unsaid,
        &known(left.clone(), content(&object()), None),
    ));
    assert_eq!(
        again.steps().collect::<Vec<_>>(),
        [&Step::RemoveFinalizer],
        "after a crash"
    );
    assert_eq!(plan.notices[0].reason, "RoleGivenBack");
    assert_eq!(plan.steps().last(), Some(&Step::RemoveFinalizer));
}

#[test]
fn only_whoever_had_it_and_has_it_is_let_in_while_its_permissions_change() {
    insta::assert_snapshot!(show(&given_back(&before())), @r#"
    UpdateAssumeRolePolicy Allow "system:serviceaccount:team-a:b"

    UntagRole Team
    TagRole owner
    UpdateRole
    PutRolePolicy theirs
    AttachRolePolicy arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess
    DetachRolePolicy arn:aws:iam::aws:policy/AmazonSageMakerReadOnly

    UpdateAssumeRolePolicy Allow ["system:serviceaccount:team-a:b","system:serviceaccount:team-a:c"]

    TagRole mlservicerole.io/retained

    RemoveFinalizer

    Normal RoleGivenBack: role arn:aws:iam::111122223333:role/mlservicerole/prod/team-a/trainer-role is as it was before it was taken over, and belongs to nobody
    "#);
}

#[test]
fn a_role_that_nobody_of_both_may_use_is_closed_meanwhile() {
    let mut former = before();
    former.trust_policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}"#.to_owned();
    let plan = given_back(&former);
    let first = plan.steps().next().unwrap();
    let Step::UpdateTrust { document } = first else {
        panic!("{first:?}")
    };
    assert!(
        document.contains("Deny") && !document.contains("Allow"),
        "{document}"
    );
    let trusts = plan
        .steps()
        .filter(|step| matches!(step, Step::UpdateTrust { .. }));
    assert_eq!(
        trusts.last(),
        Some(&Step::UpdateTrust {
            document: former.trust_policy
        })
    );
}

#[test]
fn a_cut_at_any_step_is_gone_on_from_and_ends_the_same() {
    let former = before();
    let whole = given_back(&former);
    let count = whole.steps().count();
    for cut in 0..count - 2 {
        let mut knowledge = known(adopted(&former), content(&object()), Some(&former));
        for step in whole.steps().take(cut) {
            knowledge.note_done(step, seconds(50));
        }
        let read = (
            header_of(&knowledge).clone(),
            Some(content_of(&knowledge).clone()),
        );
        knowledge.note_read(Some(read), seconds(100));
        let rest = steps(next(Retention::Unsaid, &knowledge));
        let left: Vec<&Step> = rest.steps().collect();
        assert_eq!(
            left,
            whole.steps().skip(cut).collect::<Vec<_>>(),
            "cut after {cut}"
        );
    }
}

#[test]
fn trust_alone_is_put_back_in_one_step() {
    let mut former = before();
    let object = object();
    former.inline_policies.clear();
    former.attached_policies = object.attached.clone();
    let plan = given_back(&former);
    let trusts = plan
        .steps()
        .filter(|step| matches!(step, Step::UpdateTrust { .. }));
    assert_eq!(trusts.count(), 1);
    assert_eq!(
        trusted_by_both("nonsense", &former.trust_policy)
            .to_json()
            .matches("Allow")
            .count(),
        0
    );
}

#[test]
fn a_former_boundary_comes_back_and_a_later_one_is_never_removed() {
    let mut former = before();
    former.permissions_boundary = Some(BOUNDARY.to_owned());
    let plan = given_back(&former);
    assert!(
        plan.steps()
            .any(|step| *step == Step::SetBoundary(policy(BOUNDARY)))
    );

    let former = before();
    let mut bounded = adopted(&former);
    bounded.permissions_boundary = Some(BOUNDARY.to_owned());
    let plan = steps(next(
        Retention::Unsaid,
        &known(bounded, content(&object()), Some(&former)),
    ));
    assert!(!plan.steps().any(|step| matches!(step, Step::SetBoundary(_))));
    let kept = plan
        .notices
        .iter()
        .find(|notice| notice.reason == "BoundaryKept")
        .unwrap();
    assert!(
        kept.warning && kept.message.contains(BOUNDARY),
        "{}",
        kept.message
    );
}

#[test]
fn the_record_is_looked_up_before_anything_is_given_back() {
    let former = before();
    let knowledge = read(adopted(&former), Some(content(&object())), 100);
    let sought = match next(Retention::Unsaid, &knowledge) {
        Next::Recall(sought) => sought,
        other => panic!("{other:?}"),
    };
    assert_eq!(sought.name, Some(former.name()));
    assert!(sought.is_told_by(&former));
    let mut header_alone = known(adopted(&former), content(&object()), Some(&former));
    header_alone.state = read(adopted(&former), None, 100).state;
    expect_read(&next(Retention::Unsaid, &header_alone), Depth::Full);
    // It is looked up again in a later reconcile: it may have come or gone since.
    for record in [None, Some(&former)] {
        let mut knowledge = known(adopted(&former), content(&object()), record);
        knowledge.recalled.as_mut().unwrap().as_of = seconds(99);
        assert!(matches!(next(Retention::Unsaid, &knowledge), Next::Recall(_)));
    }
}

#[test]
fn a_read_that_may_be_older_than_our_last_write_is_not_what_is_given_back_from() {
    let former = before();
    let at = |knowledge: &RoleKnowledge, now: u64| {
        let leaving = leaving(Retention::Unsaid);
        let mut knowledge = knowledge.clone();
        knowledge.recalled.as_mut().unwrap().as_of = seconds(now);
        plan_departure(&leaving, &knowledge, around(&[], &[]), &clock(now, now))
    };
    let mut knowledge = known(adopted(&former), content(&object()), Some(&former));
    let policy = Step::PutInline {
        name: "just-now".to_owned(),
        document: document("s3:PutObject").to_string(),
    };
    knowledge.note_done(&policy, seconds(100));
    // The policy isn't shown, and would be left on the role.
    knowledge.note_read(Some((adopted(&former), Some(content(&object())))), seconds(101));
    let (why, until) = waits(at(&knowledge, 101));
    assert_eq!((why.reason, why.final_), ("NotYetConsistent", false));
    assert!(until > 101 && until <= 100 + WINDOW, "{until}");
    knowledge.note_read(
        Some((adopted(&former), Some(content(&object())))),
        seconds(100 + WINDOW),
    );
    steps(at(&knowledge, 100 + WINDOW));
}

#[test]
fn a_role_whose_record_is_lost_or_another_roles_keeps_its_object_until_somebody_decides() {
    let former = before();
    let created_again = FormerState {
        role_id: "AROA2".to_owned(),
        ..before()
    };
    let elsewhere = FormerState {
        role_arn: "arn:aws:iam::111122223333:role/elsewhere".parse().unwrap(),
        ..before()
    };
    for record in [None, Some(&created_again), Some(&elsewhere)] {
        let header = adopted(record.unwrap_or(&former));
        let knowledge = known(header, content(&object()), record);
        let why = match next(Retention::Unsaid, &knowledge) {
            Next::Blocked(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!((why.reason, why.final_), ("FormerStateLost", true));
        let name = record.unwrap_or(&former).name();
        for part in [
            "trainer-role",
            &name,
            "deletionPolicy: Retain",
            "allow.retain",
            "Delete",
        ] {
            assert!(why.message.contains(part), "{part}: {}", why.message);
        }
        let plan = steps(next(Retention::Retain, &knowledge));
        let actions: Vec<&str> = plan.steps().map(Step::action).collect();
        assert_eq!(actions, ["TagRole", "RemoveFinalizer"]);
    }
    // What somebody else wrote into the tag is never looked up.
    let mut header = adopted(&former);
    header
        .tags
        .insert(tags::ADOPTED.to_owned(), "kube-root-ca.crt".to_owned());
    assert_eq!(Sought::of(&header).name, None);
    let knowledge = known(header, content(&object()), None);
    assert!(matches!(next(Retention::Unsaid, &knowledge), Next::Blocked(_)));
}

#[test]
fn a_role_that_lost_the_mark_of_its_adoption_is_given_back_by_its_record() {
    let former = before();
    let marked = given_back(&former);
    let forged = |value: &str| {
        let mut header = adopted(&former);
        header.tags.insert(tags::ADOPTED.to_owned(), value.to_owned());
        header
    };
    let other = FormerState {
        role_id: "AROA2".to_owned(),
        ..before()
    };
    for header in [header(&object()), forged("no record"), forged(&other.name())] {
        let unknown = read(header.clone(), Some(content(&object())), 100);
        assert!(matches!(next(Retention::Unsaid, &unknown), Next::Recall(_)));
        let plan = steps(next(
            Retention::Unsaid,
            &known(header, content(&object()), Some(&former)),
        ));
        assert!(!plan.steps().any(|step| *step == Step::DeleteRole));
        let not_tags = |plan: &Plan| {
            let steps = plan.steps().filter(|step| !matches!(step, Step::Tag(_)));
            steps.cloned().collect::<Vec<_>>()
        };
        assert_eq!(not_tags(&plan), not_tags(&marked));
        assert_eq!(plan.notices[0].reason, "RoleGivenBack");
    }
    // The record of another role is nobody's reason to keep this one, which its object made.
    let own = known(header(&object()), content(&object()), Some(&other));
    let plan = steps(next(Retention::Unsaid, &own));
    assert!(plan.steps().any(|step| *step == Step::DeleteRole));
}

#[test]
fn what_is_said_is_done() {
    let former = before();
    let knowledge = known(adopted(&former), content(&object()), Some(&former));
    let plan = steps(next(Retention::Delete, &knowledge));
    assert!(plan.steps().any(|step| *step == Step::DeleteRole));
    let plan = steps(next(Retention::Retain, &knowledge));
    let actions: Vec<&str> = plan.steps().map(Step::action).collect();
    assert_eq!(actions, ["TagRole", "RemoveFinalizer"]);
    // A role that the operator made goes, where nothing is said.
    let own = known(header(&object()), content(&object()), None);
    let plan = steps(next(Retention::Unsaid, &own));
    assert!(plan.steps().any(|step| *step == Step::DeleteRole));
}

#[test]
fn an_inherited_role_is_given_back_too() {
    let former = before();
    let mut header = adopted(&former);
    header.tags.insert(tags::UID.to_owned(), "uid-0".to_owned());
    let plan = steps(next(
        Retention::Unsaid,
        &known(header, content(&object()), Some(&former)),
    ));
    assert_eq!(plan.notices[0].reason, "RoleGivenBack");
}
