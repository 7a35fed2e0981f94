//! Tests of the presets, and what they share.

#![allow(clippy::unwrap_used)] // All of this is test code.

use std::collections::BTreeMap;

use super::*;
use crate::iam::arn::{AccountId, Partition, RoleArn};

mod catalogue;
mod check;
mod expand;
mod hostile;
mod merge;
mod tag;
mod template;

/// A place in the partition, with all that a place has.
struct Somewhere {
    partition: Partition,
    region: &'static str,
    account: AccountId,
    role: RoleArn,
}

fn somewhere(partition: &str, region: &'static str) -> Somewhere {
    Somewhere {
        partition: partition.parse().unwrap(),
        region,
        account: "111122223333".parse().unwrap(),
        role: format!("arn:{partition}:iam::111122223333:role/ml/prod/team-a-trainer-abcdef234567")
            .parse()
            .unwrap(),
    }
}

fn ireland() -> Somewhere {
    somewhere("aws", "eu-west-1")
}

impl Somewhere {
    fn place(&self) -> Place<'_> {
        Place {
            partition: &self.partition,
            region: Some(self.region),
            account: &self.account,
            role: &self.role,
        }
    }
}

type With = BTreeMap<String, Vec<String>>;

fn with(values: &[(&str, &[&str])]) -> With {
    values
        .iter()
        .map(|(name, values)| {
            (
                (*name).to_owned(),
                values.iter().map(|value| (*value).to_owned()).collect(),
            )
        })
        .collect()
}

/// The examples of all parameters.
fn examples(version: &PresetVersion) -> With {
    version
        .parameters
        .iter()
        .map(|parameter| (parameter.name.clone(), parameter.example.clone()))
        .collect()
}

fn request<'a>(preset: &'a str, with: &'a With) -> Request<'a> {
    Request {
        preset,
        version: None,
        with,
    }
}

/// The policy of one preset in Ireland.
fn policy(preset: &str, values: &[(&str, &[&str])]) -> serde_json::Value {
    let with = with(values);
    let checked = check(request(preset, &with)).unwrap();
    let document = expand(&[checked], &ireland().place()).unwrap().unwrap();
    serde_json::from_str(&document.to_json()).unwrap()
}
