//! Tags of the role itself, where a class's rules go by them and lets tenants set them: then a tenant chooses what its rule
//! means. Tags that somebody else's policies go by aren't known here.

use std::collections::{BTreeMap, BTreeSet};

use super::inline::Rule;
use super::pattern::{Pattern, Token};
use super::template::{Part, Template};
use crate::iam::tags;

/// What a role's tag is called in a policy, whatever the case (IAM user guide, "AWS global condition context keys").
const PRINCIPAL_TAG: &str = "aws:principaltag/";

/// What is wrong with the keys that tenants may set: each by which a rule goes, unless the class sets it on every role,
/// which no object may overrule.
pub(super) fn check(rules: &[Rule], keys: &[Template], own: &BTreeMap<String, String>) -> Vec<String> {
    let looked_at: BTreeSet<String> = rules.iter().flat_map(looked_at).collect();
    let of_tenants = looked_at
        .iter()
        .filter(|key| !own.keys().any(|other| tags::same_key(other, key)));
    of_tenants
        .filter_map(|key| {
            let listed = keys.iter().find(|listed| may_be(listed, key))?;
            Some(format!(
                "{:?} lets an object set the tag {key:?} of its role as it likes, by which a rule of allow.inline goes \
                 (aws:PrincipalTag); take the key out of allow.tagKeys, or set the tag for all in roles.tags",
                listed.as_str()
            ))
        })
        .collect()
}

/// The keys of the tags by which a rule goes, in lower case.
fn looked_at(rule: &Rule) -> BTreeSet<String> {
    let in_texts = rule.resources().iter().chain(rule.demanded().flatten());
    let variables = in_texts.flat_map(Template::parts).filter_map(|part| match part {
        Part::Token(Token::Variable(text)) => Some(text.trim_start_matches("${")),
        _ => None,
    });
    let names = variables.chain(rule.keys());
    names.filter_map(key_of).collect()
}

/// The tag's key in `aws:PrincipalTag/team`, `aws:PrincipalTag/team}` and `aws:PrincipalTag/team, 'none'}`.
fn key_of(name: &str) -> Option<String> {
    let name = name.trim().to_lowercase();
    let key = name.strip_prefix(PRINCIPAL_TAG)?;
    let end = key.find([',', '}']).unwrap_or(key.len());
    key.get(..end).map(|key| key.trim().to_owned())
}

/// Whether in some namespace of some cluster a listed key is this one.
fn may_be(listed: &Template, key: &str) -> bool {
    let tokens = listed.parts().iter().map(|part| match part {
        Part::Token(token) => token.clone(),
        Part::Namespace | Part::Cluster => Token::Run,
    });
    Pattern::of(tokens).matches(key)
}
