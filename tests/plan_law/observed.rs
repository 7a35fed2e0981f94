//! Random states of the world: what is found.

use std::collections::{BTreeMap, BTreeSet};

use mlservicerole_operator::api::{
    AUDIENCE_ANNOTATION, BOUND_BY_ANNOTATION, CREATED_BY_ANNOTATION, FIELD_MANAGER,
    PREVIOUS_ROLE_ARN_ANNOTATION, ROLE_ARN_ANNOTATION,
};
use mlservicerole_operator::iam::arn::{PolicyArn, RoleArn};
use mlservicerole_operator::iam::quota;
use mlservicerole_operator::iam::tags;
use mlservicerole_operator::plan::{Departure, FormerState, Retention, Rival, RoleIntent};
use serde_json::{Value, json};

use crate::before::{adopted, nobodys_role};
use crate::desired::{
    self, ACCOUNTS, Desired, FORMER_CLUSTER_UID, INLINE_QUOTA, ISSUERS, NAMESPACE, SERVICES,
};
use crate::dice::Dice;
use crate::support::fake_cluster::{FakeServiceAccount, Holder};
use crate::support::fake_iam::{ACCOUNT, FakeRole};

const OTHER_ARN: &str = "arn:aws:iam::111122223333:role/other";
/// What a ServiceAccount carried before it was bound.
pub const BEFORE_ARN: &str = "arn:aws:iam::111122223333:role/before";
/// When the object was created; rivals are older or younger.
pub const CREATED: &str = "2026-01-01T05:00:00Z";

/// What the process remembers of the role when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It has just started.
    Nothing,
    /// The role as it is.
    Accurate,
    /// The role as it should be, from so long ago that it is time to look again.
    Old,
    /// A role that needs a repair, though another one than the role in fact does.
    Wrong,
}

/// What a case finds.
pub struct Observed {
    /// Whether the object carries finalizer and placement.
    pub placed: bool,
    pub role: Option<FakeRole>,
    /// Whether that role belongs to this object, by how it was made and not by how it is judged.
    pub ours: bool,
    /// Whether it belongs to nobody, likewise.
    pub nobodys: bool,
    /// What it was before it was taken over, by the name that its tag gives the record.
    pub record: Option<(String, FormerState)>,
    pub service_accounts: BTreeMap<String, FakeServiceAccount>,
    pub rivals: Vec<Rival>,
    pub memory: Memory,
    /// IAM answers documents in other words than they were written.
    pub rewrites: bool,
    /// So many reads of a new role say that there is none.
    pub delayed_reads: usize,
}

pub fn observed(dice: &mut Dice, desired: &Desired) -> Observed {
    let intent = &desired.intent;
    let live_adoption = desired.departure.is_none() && intent.adoption.is_some();
    let (mut role, ours, nobodys) = match dice.roll(8) {
        0 => (None, true, false),
        1 => (Some(foreign_role(dice, intent)), false, false),
        2 => (Some(nobodys_role(dice, intent)), false, true),
        3 | 4 if live_adoption => (Some(nobodys_role(dice, intent)), false, true),
        _ => (Some(own_role(dice, intent)), true, false),
    };
    let unsaid = |departure: &Departure| departure.retain == Retention::Unsaid;
    let times = match (&desired.departure, intent.adoption) {
        (Some(departure), _) if unsaid(departure) => 1,
        (_, Some(_)) => 2,
        (_, None) => 5,
    };
    let record = match &mut role {
        Some(role) if ours && dice.one_in(times) && !dice.one_in(4) => adopted(dice, intent, role),
        _ => None,
    };
    let rivals: Vec<Rival> = [("rival", "uid-0", 1), ("late", "uid-2", 9)]
        .into_iter()
        .filter(|_| dice.one_in(3))
        .map(|(name, uid, hour)| Rival {
            name: name.to_owned(),
            uid: uid.to_owned(),
            created: format!("2026-01-01T0{hour}:00:00Z"),
            deleting: false,
            observes: false,
            service_accounts: Vec::new(),
        })
        .collect();
    let rivals = rivals
        .into_iter()
        .map(|rival| Rival {
            deleting: dice.one_in(4),
            observes: dice.one_in(4),
            service_accounts: dice
                .at_most(2, &ACCOUNTS)
                .into_iter()
                .map(ToOwned::to_owned)
                .collect(),
            ..rival
        })
        .collect();
    let service_accounts = ACCOUNTS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), service_account(dice, name, intent.arn())?)))
        .collect();
    Observed {
        placed: desired.departure.is_some() || !dice.one_in(3),
        memory: *dice.pick(&[
            Memory::Nothing,
            Memory::Nothing,
            Memory::Accurate,
            Memory::Old,
            Memory::Wrong,
        ]),
        rewrites: dice.one_in(10),
        delayed_reads: if dice.one_in(4) { 1 + dice.roll(2) } else { 0 },
        role,
        ours,
        nobodys,
        record,
        service_accounts,
        rivals,
    }
}

/// A role of this object's in any state.
pub fn own_role(dice: &mut Dice, intent: &RoleIntent) -> FakeRole {
    let mut role = FakeRole {
        arn: intent.arn().clone(),
        id: "AROABEFORE".to_owned(),
        trust: trust(dice, intent),
        description: intent.description.clone(),
        max_session_duration_seconds: intent.max_session_duration_seconds,
        permissions_boundary: intent.permissions_boundary.as_ref().map(ToString::to_string),
        tags: intent.tags.clone(),
        inline: intent
            .inline
            .iter()
            .map(|(name, wanted)| (name.clone(), wanted.to_json()))
            .collect(),
        attached: intent.attached.clone(),
        instance_profiles: BTreeSet::new(),
    };
    if dice.one_in(2) {
        role.description = (*dice.pick(&["", "other"])).to_owned();
    }
    if dice.one_in(3) {
        role.max_session_duration_seconds = *dice.pick(&[3_600, 7_200, 43_200]);
    }
    if dice.one_in(2) {
        let mut any: Vec<Option<String>> = desired::boundaries().into_iter().map(Some).collect();
        any.push(None);
        role.permissions_boundary = dice.pick(&any).clone();
    }
    if dice.one_in(2) {
        change_tags(dice, &mut role.tags);
    }
    if dice.one_in(2) {
        let attached = desired::attached(dice);
        role.attached = attached.iter().map(|arn| arn.parse().unwrap()).collect();
    } else if role.attached.len() < 10 && dice.one_in(2) {
        role.attached
            .insert(dice.pick(&desired::policies()).parse::<PolicyArn>().unwrap());
    }
    match dice.roll(4) {
        0 => {
            let inline = desired::inline(dice);
            role.inline = inline
                .into_iter()
                .map(|(name, document)| (name, document.to_string()))
                .collect();
        }
        1 => {
            for name in role.inline.keys().cloned().collect::<Vec<_>>() {
                let before = role.inline.clone();
                role.inline
                    .entry(name)
                    .and_modify(|document| *document = reworded(document));
                // Other words may take more room than there is.
                if inline_size(&role) > INLINE_QUOTA {
                    role.inline = before;
                }
            }
            let extra =
                r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
            if inline_size(&role) + quota::size(extra) <= INLINE_QUOTA {
                role.inline.insert("extra".to_owned(), extra.to_owned());
            }
        }
        2 => role.inline = swapped(role.inline),
        _ => {}
    }
    assert!(inline_size(&role) <= INLINE_QUOTA, "no role can be like this");
    if dice.one_in(6) {
        role.instance_profiles.insert("profile".to_owned());
    }
    match dice.roll(6) {
        0 => {
            role.tags.insert(tags::UID.to_owned(), "uid-before".to_owned());
        }
        1 => {
            role.tags
                .insert(tags::CLUSTER_UID.to_owned(), FORMER_CLUSTER_UID.to_owned());
            role.tags
                .insert(tags::NAMESPACE_UID.to_owned(), "namespace-before".to_owned());
        }
        _ => {}
    }
    role
}

/// What IAM counts of a role's inline policies.
fn inline_size(role: &FakeRole) -> usize {
    role.inline.values().map(|document| quota::size(document)).sum()
}

/// The same documents under each other's names.
fn swapped(inline: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let documents: Vec<String> = inline.values().rev().cloned().collect();
    inline.into_keys().zip(documents).collect()
}

/// The same in other words.
fn reworded(document: &str) -> String {
    let document: Value = serde_json::from_str(document).unwrap();
    let statements = match &document["Statement"] {
        Value::Array(several) => several.clone(),
        one => vec![one.clone()],
    };
    let statements: Vec<Value> = statements
        .into_iter()
        .rev()
        .enumerate()
        .map(|(index, mut statement)| {
            statement["Sid"] = json!(format!("Reworded{index}"));
            for key in ["Action", "Resource"] {
                if statement[key].is_string() {
                    statement[key] = json!([statement[key]]);
                } else if let Some(list) = statement[key].as_array() {
                    statement[key] = list.iter().rev().cloned().collect();
                }
            }
            statement
        })
        .collect();
    serde_json::to_string_pretty(&json!({"Statement": statements, "Version": document["Version"]})).unwrap()
}

fn trust(dice: &mut Dice, intent: &RoleIntent) -> String {
    let mut trust = intent.trust.clone();
    match dice.roll(10) {
        0 | 1 => return trust.document().to_json(),
        2 => return "unreadable".to_owned(),
        3 => {
            // Closed, as in the middle of a repair.
            trust.service_accounts.clear();
            trust.trusted_services.clear();
            return trust.document().to_json();
        }
        _ => {}
    }
    let owned = |texts: Vec<&str>| texts.into_iter().map(ToOwned::to_owned).collect();
    if dice.one_in(2) {
        trust.service_accounts = owned(dice.some(&ACCOUNTS));
    }
    if dice.one_in(2) {
        trust.trusted_services = owned(dice.some(&SERVICES));
    }
    if dice.one_in(3) {
        trust.issuers = dice
            .some(&ISSUERS)
            .iter()
            .map(|url| url.parse().unwrap())
            .collect();
    }
    if dice.one_in(6) {
        trust.audience = "before".to_owned();
    }
    if dice.one_in(8) {
        trust.namespace = "team-b".to_owned();
    }
    let document = trust.document().to_json();
    let mut document: Value = serde_json::from_str(&document).unwrap();
    let mut statements = match &document["Statement"] {
        Value::Array(several) => several.clone(),
        one => vec![one.clone()],
    };
    if dice.one_in(3) {
        statements.push(dice.pick(&strangers()).clone());
    }
    let short = statements.clone();
    if dice.one_in(3) {
        statements = statements.into_iter().flat_map(split).collect();
    }
    document["Statement"] = Value::Array(statements);
    // Other words may take more room than IAM has.
    if quota::size(&document.to_string()) > quota::DEFAULT_TRUST_POLICY_SIZE {
        document["Statement"] = Value::Array(short);
    }
    document.to_string()
}

/// Principals that no object of this kind can express.
fn strangers() -> Vec<Value> {
    vec![
        json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}, "Action": "sts:AssumeRole"}),
        json!({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}),
        json!({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}),
        json!({"Effect": "Deny", "Principal": {"AWS": "444455556666"}, "Action": "sts:AssumeRole"}),
    ]
}

/// One statement for each subject, as people write them.
fn split(statement: Value) -> Vec<Value> {
    let Some(keys) = statement["Condition"]["StringEquals"].as_object().cloned() else {
        return vec![statement];
    };
    let Some((key, subs)) = keys.iter().find(|(key, _)| key.ends_with(":sub")) else {
        return vec![statement];
    };
    let Some(subs) = subs.as_array() else {
        return vec![statement];
    };
    subs.iter()
        .map(|sub| {
            let mut one = statement.clone();
            one["Condition"]["StringEquals"][key.as_str()] = json!([sub]);
            one
        })
        .collect()
}

fn change_tags(dice: &mut Dice, tags: &mut BTreeMap<String, String>) {
    if dice.one_in(2) {
        tags.insert("aws:cloudformation:stack".to_owned(), "theirs".to_owned());
    }
    if dice.one_in(2) {
        tags.insert("extra".to_owned(), "x".to_owned());
    }
    if dice.one_in(3) {
        // Nearly as many as there can be.
        let room = 50 - tags.len();
        tags.extend((0..room).map(|i| (format!("full{i}"), String::new())));
    }
    for key in ["Team", "x", "owner"] {
        if dice.one_in(3)
            && let Some(value) = tags.remove(key)
            && dice.one_in(2)
        {
            tags.insert(
                key.to_uppercase(),
                if dice.one_in(2) {
                    value
                } else {
                    "changed".to_owned()
                },
            );
        }
    }
}

/// A role of our name that belongs to somebody else.
fn foreign_role(dice: &mut Dice, intent: &RoleIntent) -> FakeRole {
    let mut role = own_role(dice, intent);
    role.tags = intent.tags.clone();
    let mut set = |key: &str, value: &str| {
        role.tags.insert(key.to_owned(), value.to_owned());
    };
    match dice.roll(5) {
        1 => set(tags::CLUSTER_UID, "cluster-9"),
        2 => set(tags::NAMESPACE_UID, "namespace-9"),
        3 => set(tags::NAMESPACE, "team-b"),
        4 => set(tags::NAME, "somebody"),
        _ => {
            let elsewhere = format!("arn:aws:iam::{ACCOUNT}:role/elsewhere/{}", intent.arn().name());
            role.arn = elsewhere.parse().unwrap();
        }
    }
    role
}

fn service_account(dice: &mut Dice, name: &str, arn: &RoleArn) -> Option<FakeServiceAccount> {
    let arn = arn.to_string();
    let us = Holder::apply(FIELD_MANAGER);
    let posted = Holder::update(FIELD_MANAGER);
    let mut account = FakeServiceAccount {
        uid: format!("sa-{name}"),
        version: 1,
        other_managers: BTreeSet::from(["helm".to_owned()]),
        ..Default::default()
    };
    let mark = |account: &mut FakeServiceAccount, holder: &Holder, value: &str, by: &str| {
        account.annotate(holder.clone(), ROLE_ARN_ANNOTATION, value);
        account.annotate(holder.clone(), BOUND_BY_ANNOTATION, by);
    };
    match dice.roll(19) {
        0..=3 => return None,
        4 | 5 => {}
        18 => account.annotate(Holder::apply("helm"), ROLE_ARN_ANNOTATION, ""),
        6 => mark(&mut account, &us, &arn, "trainer/uid-1"),
        7 | 8 => {
            mark(&mut account, &posted, &arn, "trainer/uid-1");
            account.annotate(posted, CREATED_BY_ANNOTATION, "trainer/uid-1");
            if dice.one_in(2) {
                account.other_managers.clear();
            }
            account.secrets = usize::from(dice.one_in(4));
            account.deleting = dice.one_in(6);
        }
        9 => mark(&mut account, &us, &arn, "trainer/uid-before"),
        10 => account.annotate(Holder::update("helm"), ROLE_ARN_ANNOTATION, OTHER_ARN),
        11 => account.annotate(Holder::update("helm"), ROLE_ARN_ANNOTATION, &arn),
        12 => {
            mark(&mut account, &us, &arn, "trainer/uid-1");
            account.annotate(Holder::update("kubectl"), ROLE_ARN_ANNOTATION, OTHER_ARN);
        }
        13 => account.annotate(us.clone(), BOUND_BY_ANNOTATION, "trainer/uid-1"),
        14 => mark(&mut account, &us, OTHER_ARN, "rival/uid-0"),
        15 => mark(&mut account, &us, OTHER_ARN, "gone/uid-9"),
        16 => account.annotate(us.clone(), BOUND_BY_ANNOTATION, "gone/uid-9"),
        _ => {
            mark(&mut account, &us, &arn, "trainer/uid-1");
            account.annotate(us.clone(), AUDIENCE_ANNOTATION, "before");
        }
    }
    if dice.one_in(3) {
        account.annotate(Holder::update("helm"), "team", NAMESPACE);
    }
    if dice.one_in(6) {
        account.annotate(Holder::update("helm"), AUDIENCE_ANNOTATION, "theirs");
    }
    if dice.one_in(3) {
        let record = *dice.pick(&[BEFORE_ARN, BEFORE_ARN, "todo", &arn]);
        account.annotate(us, PREVIOUS_ROLE_ARN_ANNOTATION, record);
    }
    Some(account)
}
