//! Presets: which of them a class allows, and with which values. What a preset is and whether a value can be one at all
//! is [`access`](crate::access)'s business.

use std::collections::BTreeMap;

use super::pattern::{Pattern, Token};
use super::separation::{self, Wildcards};
use super::template::{Names, Part, Template};
use super::{ClassRules, Refusal};
use crate::access::{self, AccessError, Checked, OWN_ROLE, Parameter, Preset};
use crate::api::class::AllowedPreset;
use crate::api::condition::reasons;
use crate::api::role::AccessPreset;
use crate::iam::arn::{AccountId, Partition, RoleArn};

/// The presets of a class: for each, the values that its parameters may have. A parameter without an entry may have any
/// value if it names no resource, and none if it does.
pub type AllowedPresets = BTreeMap<String, BTreeMap<String, Vec<Template>>>;

/// Reads `allow.presets`, or says what is wrong with it.
pub(super) fn understand(written: &[AllowedPreset]) -> Result<AllowedPresets, Vec<String>> {
    let mut understood = AllowedPresets::new();
    let mut wrong = Vec::new();
    for AllowedPreset { name, with } in written {
        let Some(preset) = access::preset(name) else {
            // Asked for without values, it says which one may be meant.
            let with = BTreeMap::new();
            let asked = access::check(access::Request {
                preset: name,
                version: None,
                with: &with,
            });
            wrong.extend(asked.err().map(|e| e.to_string()));
            continue;
        };
        let mut values = BTreeMap::new();
        for (parameter, globs) in with {
            let known = preset
                .versions
                .iter()
                .any(|version| version.parameters.iter().any(|known| known.name == *parameter));
            if !known {
                wrong.push(format!(
                    "the preset {name} has no parameter {parameter:?}; remove or correct it"
                ));
            }
            let mut templates = Vec::new();
            for glob in globs {
                match Template::parse(glob) {
                    Ok(template) => {
                        wrong.extend(never_asked_for(preset, parameter, &template));
                        templates.push(template);
                    }
                    Err(e) => wrong.push(format!("{name}, {parameter}: {e}")),
                }
            }
            let apart = separation::check(&templates, Wildcards::Free).into_iter();
            wrong.extend(apart.map(|what| format!("{name}, {parameter}: {what}")));
            values.insert(parameter.clone(), templates);
        }
        if understood.insert(name.clone(), values).is_some() {
            wrong.push(format!("the preset {name} is there twice; merge the two"));
        }
    }
    if wrong.is_empty() {
        Ok(understood)
    } else {
        Err(wrong)
    }
}

/// Why nobody can ever ask for what a class lists as a value: it is a mistake, such as an ARN in the place of a bucket's
/// name, and would show only when a tenant is refused. Of patterns with wildcards only their characters are looked at: each
/// by itself, not where it stands.
fn never_asked_for(preset: &Preset, parameter: &str, listed: &Template) -> Option<String> {
    let text = listed.as_str();
    if listed.is_literal() {
        let why = access::never_a_value(preset, parameter, text)?;
        return Some(format!("{why} (no tenant can ask for what is listed here)"));
    }
    let characters = listed.parts().iter().filter_map(|part| match part {
        Part::Token(Token::Char(c)) => Some(*c),
        _ => None,
    });
    let Some((bad, example)) = access::never_in_a_value(preset, parameter, characters) else {
        let why = never_when_filled_in(preset, parameter, listed)?;
        return Some(format!(
            "{text:?} for a namespace: {why} (no tenant can ask for what is listed here)"
        ));
    };
    Some(format!(
        "{text:?} can't match a value for {parameter} of the preset {}: no value for it contains {bad:?}; remove that \
         character: a value is something like {example:?}",
        preset.name
    ))
}

/// What is wrong with a pattern that has placeholders and no wildcard, whoever's names are filled in: names of each form
/// that parameters tell apart.
fn never_when_filled_in(preset: &Preset, parameter: &str, listed: &Template) -> Option<AccessError> {
    const NAMES: [&str; 4] = ["team-a", "team", "t", "000000000000"];
    let mut why = None;
    for name in NAMES {
        let mut value = String::new();
        for part in listed.parts() {
            match part {
                Part::Token(Token::Char(c)) => value.push(*c),
                Part::Namespace | Part::Cluster => value.push_str(name),
                Part::Token(Token::One | Token::Run | Token::Variable(_)) => return None,
            }
        }
        let problem = access::never_a_value(preset, parameter, &value)?;
        why.get_or_insert(problem);
    }
    why
}

/// An entry of `spec.access`, as far as it is right by itself.
///
/// # Errors
///
/// There is no such preset, version or parameter, or a value can't be one.
pub fn checked(entry: &AccessPreset) -> Result<Checked<'_>, Refusal> {
    let version = entry.version.map(|version| u32::try_from(version).unwrap_or(0));
    let request = access::Request {
        preset: &entry.preset,
        version,
        with: &entry.with,
    };
    access::check(request).map_err(|e| of_access(&e))
}

/// What is wrong with a request for presets, as a refusal.
pub fn of_access(error: &AccessError) -> Refusal {
    let reason = match error {
        AccessError::NoRegion { .. } | AccessError::Region(_) => reasons::REGION_UNKNOWN,
        _ => reasons::INVALID_SPEC,
    };
    Refusal::new(reason, format!("access: {error}"))
}

/// What of the object's presets the class doesn't allow, each with its place in the list.
pub(super) fn refusals(
    rules: &ClassRules,
    names: Names<'_>,
    account: Option<(&Partition, &AccountId)>,
    access: &[AccessPreset],
) -> Vec<(usize, Refusal)> {
    let mut refusals = Vec::new();
    for (index, entry) in access.iter().enumerate() {
        match checked(entry) {
            Err(refusal) => refusals.push((index, refusal)),
            Ok(checked) => {
                let found = of_entry(rules, names, account, &checked);
                refusals.extend(found.into_iter().map(|refusal| (index, refusal)));
            }
        }
    }
    refusals
}

fn of_entry(
    rules: &ClassRules,
    names: Names<'_>,
    account: Option<(&Partition, &AccountId)>,
    checked: &Checked<'_>,
) -> Vec<Refusal> {
    let (class, preset) = (&rules.name, &checked.preset().name);
    let Some(allowed) = rules.presets.get(preset) else {
        return vec![Refusal::new(
            reasons::PRESET_NOT_ALLOWED,
            format!(
                "class {class:?} doesn't allow the preset {preset}; remove it, or ask the platform admin to add it to \
                 allow.presets"
            ),
        )];
    };
    let mut refusals = Vec::new();
    for (parameter, value) in checked.values() {
        if !is_value_allowed(parameter, value, allowed.get(&parameter.name), names) {
            let name = &parameter.name;
            refusals.push(Refusal::new(
                reasons::PRESET_NOT_ALLOWED,
                format!(
                    "class {class:?} doesn't allow {value:?} for {name} of the preset {preset}{}; use an allowed value, or \
                     ask the platform admin to add it to with.{name} of {preset} in allow.presets",
                    written(allowed.get(name), names)
                ),
            ));
        }
        if parameter.passes_role && !may_pass(rules, account, value) {
            refusals.push(passes(rules, preset, value));
        }
    }
    refusals
}

/// What of the object's presets hands a role to a service that isn't one of this account's listed ones: all that is left
/// to decide once the account is known.
pub(super) fn of_account(
    rules: &ClassRules,
    account: (&Partition, &AccountId),
    access: &[AccessPreset],
) -> Vec<Refusal> {
    let understood: Vec<Checked<'_>> = access.iter().filter_map(|entry| checked(entry).ok()).collect();
    let mut refusals = Vec::new();
    for entry in &understood {
        let passed = entry.values().filter(|(parameter, _)| parameter.passes_role);
        let strangers = passed.filter(|(_, value)| !may_pass(rules, Some(account), value));
        refusals.extend(strangers.map(|(_, value)| passes(rules, &entry.preset().name, value)));
    }
    refusals
}

fn passes(rules: &ClassRules, preset: &str, value: &str) -> Refusal {
    Refusal::new(
        reasons::PASS_ROLE_NOT_ALLOWED,
        format!(
            "class {:?} doesn't allow handing the role {value:?} to a service, as the preset {preset} would; write \
             {OWN_ROLE} for this object's own role, or ask the platform admin to add the role's ARN to \
             allow.passRoleArns",
            rules.name
        ),
    )
}

fn is_value_allowed(
    parameter: &Parameter,
    value: &str,
    allowed: Option<&Vec<Template>>,
    names: Names<'_>,
) -> bool {
    let Some(allowed) = allowed else {
        return !parameter.names_resource;
    };
    let asked = match parameter.glob {
        true => Pattern::glob(value),
        false => Pattern::literal(value),
    };
    allowed
        .iter()
        .any(|template| template.fill(names).includes(&asked))
}

/// The object's own role needs no consent: whoever may use it has all of it already. Where the account isn't known yet,
/// path and name decide, and the account is looked at later.
fn may_pass(rules: &ClassRules, account: Option<(&Partition, &AccountId)>, value: &str) -> bool {
    let is_meant = |arn: &RoleArn| {
        let resource = format!("{}{}", arn.path().as_str(), arn.name());
        resource.trim_start_matches('/') == value
            && account
                .is_none_or(|(partition, account)| arn.partition() == partition && arn.account() == account)
    };
    value == OWN_ROLE || rules.consents.pass_roles().iter().any(is_meant)
}

fn written(allowed: Option<&Vec<Template>>, names: Names<'_>) -> String {
    const SHOWN: usize = 3;
    let Some(allowed) = allowed.filter(|allowed| !allowed.is_empty()) else {
        return String::new();
    };
    let values: Vec<String> = allowed
        .iter()
        .take(SHOWN)
        .map(|template| template.fill_text(names))
        .collect();
    let more = if allowed.len() > SHOWN { ", …" } else { "" };
    format!(" (it allows {}{more})", values.join(", "))
}
