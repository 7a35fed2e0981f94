//! Somebody else: whatever other people and programs may do to a role and to ServiceAccounts.

use mlservicerole_operator::api::{BOUND_BY_ANNOTATION, ROLE_ARN_ANNOTATION};
use mlservicerole_operator::iam::tags;

use crate::desired::{self, ACCOUNTS};
use crate::dice::Dice;
use crate::support::fake_cluster::{FakeServiceAccount, Holder};
use crate::support::fake_iam::ACCOUNT;
use crate::world::World;

const OTHER_ARN: &str = "arn:aws:iam::111122223333:role/other";
const EVERYTHING: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;

/// What was done, for a failure to tell.
pub type Deed = String;

/// Does something, if it can be done as things stand.
pub fn act(dice: &mut Dice, world: &World<'_>) -> Deed {
    match dice.roll(13) {
        0..=3 => on_service_account(dice, world),
        4 => on_records(world),
        _ => on_role(dice, world),
    }
}

/// Kinds of deeds that must not be missing.
pub const RARER_KINDS: [&str; 6] = [
    "instance profile",
    "as retained",
    "tag of theirs",
    "was forged",
    "record was removed",
    "record was deleted",
];

/// Which of them a deed is.
pub fn kind(deed: &Deed) -> Option<&'static str> {
    RARER_KINDS.into_iter().find(|kind| deed.contains(kind))
}

fn on_records(world: &World<'_>) -> Deed {
    match world.cluster.former_states().keys().next() {
        Some(name) => {
            world.cluster.forget_former_state(name);
            "a record was deleted".to_owned()
        }
        None => "nothing".to_owned(),
    }
}

fn on_role(dice: &mut Dice, world: &World<'_>) -> Deed {
    let arn = world.case.arn();
    let name = arn.name().as_str();
    if world.role().is_none() {
        if dice.one_in(3) {
            world.iam.add_foreign_role(arn.path().as_str(), name);
            return "a foreign role came".to_owned();
        }
        return "nothing".to_owned();
    }
    if dice.one_in(8) {
        world.iam.remove_role(name);
        if dice.one_in(2) {
            let path = if dice.one_in(2) {
                arn.path().as_str()
            } else {
                "/elsewhere/"
            };
            world.iam.add_foreign_role(path, name);
            return format!("the role was replaced by a foreign one at {path}");
        }
        return "the role was deleted".to_owned();
    }
    world.iam.with_role_mut(name, |role| match dice.roll(14) {
        0 if role.attached.len() < 10 => {
            let policy = dice.pick(&desired::policies()).clone();
            role.attached.insert(policy.parse().expect("a policy's ARN"));
            format!("{policy} was attached")
        }
        1 => {
            role.attached.pop_first();
            "a policy was detached".to_owned()
        }
        2 => {
            role.inline = [("theirs".to_owned(), EVERYTHING.to_owned())].into();
            "inline policies were replaced by one of theirs".to_owned()
        }
        3 => {
            role.inline.pop_first();
            "an inline policy was deleted".to_owned()
        }
        4 => {
            role.trust = format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{ACCOUNT}:root"}},"Action":"sts:AssumeRole"}}]}}"#
            );
            "the trust policy was replaced".to_owned()
        }
        5 => {
            role.tags.retain(|key, _| !key.starts_with("mlservicerole.io/"));
            "the ownership tags were stripped".to_owned()
        }
        6 if role.tags.contains_key(tags::NAME) => {
            let (name, uid) = *dice.pick(&[("elsewhere", "cluster-9"), ("prod", desired::FORMER_CLUSTER_UID)]);
            role.tags.insert(tags::CLUSTER.to_owned(), name.to_owned());
            role.tags.insert(tags::CLUSTER_UID.to_owned(), uid.to_owned());
            format!("the role was tagged as one of cluster {name} ({uid})")
        }
        7 => {
            let boundary = dice.pick(&desired::boundaries()).clone();
            role.permissions_boundary = dice.one_in(2).then_some(boundary);
            format!("the boundary became {:?}", role.permissions_boundary)
        }
        8 => {
            role.instance_profiles.insert("by-others".to_owned());
            "the role was put into an instance profile".to_owned()
        }
        9 if role.tags.len() < 40 => {
            role.tags.insert(tags::RETAINED.to_owned(), "true".to_owned());
            "the role was marked as retained".to_owned()
        }
        10 if role.tags.len() < 40 => {
            role.tags.insert("theirs".to_owned(), "x".to_owned());
            "a tag of theirs was added".to_owned()
        }
        11 if role.tags.len() < 40 && role.tags.contains_key(tags::NAME) => {
            role.tags.insert(tags::ADOPTED.to_owned(), "forged".to_owned());
            "the name of the record was forged".to_owned()
        }
        12 => {
            role.tags.remove(tags::ADOPTED);
            "the name of the record was removed".to_owned()
        }
        _ => {
            role.description = "theirs".to_owned();
            role.tags.remove("Team");
            "description and a tag were changed".to_owned()
        }
    })
}

fn on_service_account(dice: &mut Dice, world: &World<'_>) -> Deed {
    let name = *dice.pick(&ACCOUNTS);
    let others = Holder::update("kubectl");
    let mut accounts = world.cluster.service_accounts();
    let Some(account) = accounts.get_mut(name) else {
        let mut account = FakeServiceAccount {
            uid: format!("sa-by-others-{}", dice.roll(1_000)),
            ..Default::default()
        };
        if dice.one_in(2) {
            account.annotate(others, ROLE_ARN_ANNOTATION, OTHER_ARN);
        }
        world.cluster.add_service_account(name, account);
        return format!("ServiceAccount {name} was created");
    };
    let deed = match dice.roll(4) {
        0 => {
            account.annotate(others, ROLE_ARN_ANNOTATION, OTHER_ARN);
            format!("ServiceAccount {name} got another ARN")
        }
        1 => {
            account.annotations.remove(ROLE_ARN_ANNOTATION);
            format!("ServiceAccount {name} lost its ARN")
        }
        2 => {
            account.annotations.remove(ROLE_ARN_ANNOTATION);
            account.annotations.remove(BOUND_BY_ANNOTATION);
            format!("ServiceAccount {name} lost its ARN and the marker")
        }
        _ => {
            world.cluster.remove_service_account(name);
            return format!("ServiceAccount {name} was deleted");
        }
    };
    world.cluster.edit_service_account(name, account.clone());
    deed
}
