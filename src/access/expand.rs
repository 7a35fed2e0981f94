//! From presets and values to one policy document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::check::Checked;
use super::error::AccessError;
use super::merge::{Statement, merge};
use super::preset::StatementTemplate;
use super::template::{Piece, Template};
use crate::iam::arn::{AccountId, Partition, RoleArn};
use crate::iam::document::{Kind, PolicyDocument, check as check_document};

/// The name of the inline policy that holds what all presets of an object allow. One is enough: IAM limits the sum of
/// all inline policies of a role (10,240 characters; IAM user guide, "IAM and AWS STS quotas"), not each.
pub const POLICY_NAME: &str = "mlservicerole-access";

/// How many strings one list of a preset's statement may become where several parameters combine.
pub const MAX_EXPANSION: usize = 100;

/// Where the role is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub partition: &'a Partition,
    /// The region whose resources are meant, such as `eu-west-1`.
    pub region: Option<&'a str>,
    pub account: &'a AccountId,
    /// The object's own role.
    pub role: &'a RoleArn,
}

/// The policy that allows what the presets say, as short as they can be said together; none for no presets.
///
/// The same presets and values make the same document, in whatever order they are given.
///
/// # Errors
///
/// [`AccessError::NoRegion`], [`AccessError::Region`] and [`AccessError::TooManyCombinations`]. The size isn't looked
/// at: it counts together with the object's own inline policies.
pub fn expand(checked: &[Checked<'_>], place: &Place<'_>) -> Result<Option<PolicyDocument>, AccessError> {
    if let Some(region) = place.region.filter(|region| !is_region(region)) {
        return Err(AccessError::Region(region.to_owned()));
    }
    let mut statements = Vec::new();
    for use_of in checked {
        let filling = Filling { use_of, place };
        for template in &use_of.version().statements {
            statements.extend(filling.statement(template)?);
        }
    }
    if statements.is_empty() {
        return Ok(None);
    }
    let statements: Vec<_> = merge(statements).iter().map(to_json).collect();
    let document = json!({ "Version": "2012-10-17", "Statement": statements });
    let document =
        PolicyDocument::from_value(&document).map_err(|error| AccessError::Document(error.to_string()))?;
    check_document(&document, Kind::Identity).map_err(|error| AccessError::Document(error.to_string()))?;
    Ok(Some(document))
}

fn to_json(statement: &Statement) -> serde_json::Value {
    let Statement {
        actions,
        resources,
        conditions,
    } = statement;
    let mut json = json!({ "Effect": "Allow", "Action": actions, "Resource": resources });
    if !conditions.is_empty()
        && let Some(object) = json.as_object_mut()
    {
        object.insert("Condition".to_owned(), json!(conditions));
    }
    json
}

/// `eu-west-1`, `us-gov-west-1`, `us-iso-east-1`. A region stands inside ARNs, so nothing else may.
fn is_region(region: &str) -> bool {
    let mut words = region.split('-');
    let number = words.next_back().unwrap_or_default();
    let all = |word: &str, of: fn(&u8) -> bool| !word.is_empty() && word.bytes().all(|b| of(&b));
    region.len() <= 32
        && all(number, u8::is_ascii_digit)
        && words.clone().count() >= 2
        && words.all(|word| all(word, u8::is_ascii_lowercase))
}

/// What ends the names of the partition's endpoints (AWS General Reference, "AWS service endpoints"; AWS SDKs,
/// `partitions.json`). A partition of which nothing is known gets the commercial one's: a condition on it then fails
/// closed.
fn dns_suffix(partition: &Partition) -> &'static str {
    match partition.as_str() {
        "aws-cn" => "amazonaws.com.cn",
        "aws-iso" => "c2s.ic.gov",
        "aws-iso-b" => "sc2s.sgov.gov",
        "aws-iso-e" => "cloud.adc-e.uk",
        "aws-iso-f" => "csp.hci.ic.gov",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

struct Filling<'a> {
    use_of: &'a Checked<'a>,
    place: &'a Place<'a>,
}

impl Filling<'_> {
    /// None when the statement is about an absent parameter.
    fn statement(&self, template: &StatementTemplate) -> Result<Option<Statement>, AccessError> {
        let resources = self.list(&template.resources)?;
        let mut complete = !resources.is_empty();
        let mut conditions = BTreeMap::new();
        for (operator, keys) in &template.conditions {
            let mut filled = BTreeMap::new();
            for (key, values) in keys {
                let values = self.list(values)?;
                complete &= !values.is_empty();
                filled.insert(key.clone(), values);
            }
            conditions.insert(operator.clone(), filled);
        }
        Ok(complete.then(|| Statement {
            actions: template.actions.iter().cloned().collect(),
            resources,
            conditions,
        }))
    }

    fn list(&self, templates: &[Template]) -> Result<BTreeSet<String>, AccessError> {
        let mut filled = BTreeSet::new();
        for template in templates {
            self.string(template, &mut filled)?;
        }
        Ok(filled)
    }

    /// One string for each combination of the values of the parameters in it.
    fn string(&self, template: &Template, filled: &mut BTreeSet<String>) -> Result<(), AccessError> {
        let mut used: Vec<usize> = template.parameters().collect();
        used.sort_unstable();
        used.dedup();
        let count = used
            .iter()
            .map(|parameter| self.use_of.values_of(*parameter).len())
            .fold(1, usize::saturating_mul);
        if count.saturating_add(filled.len()) > MAX_EXPANSION {
            return Err(AccessError::TooManyCombinations {
                preset: self.use_of.preset().name.clone(),
                count: count.saturating_add(filled.len()),
                limit: MAX_EXPANSION,
            });
        }
        let mut combinations: Vec<BTreeMap<usize, &str>> = vec![BTreeMap::new()];
        for parameter in used {
            let values = self.use_of.values_of(parameter);
            combinations = combinations
                .iter()
                .flat_map(|chosen| {
                    values.iter().map(move |value| {
                        let mut chosen = chosen.clone();
                        chosen.insert(parameter, value.as_str());
                        chosen
                    })
                })
                .collect();
        }
        for chosen in &combinations {
            filled.insert(self.fill(template, chosen)?);
        }
        Ok(())
    }

    fn fill(&self, template: &Template, chosen: &BTreeMap<usize, &str>) -> Result<String, AccessError> {
        let mut text = String::new();
        for piece in template.pieces() {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Partition => text.push_str(self.place.partition.as_str()),
                Piece::Account => text.push_str(self.place.account.as_str()),
                Piece::DnsSuffix => text.push_str(dns_suffix(self.place.partition)),
                Piece::Region => text.push_str(self.place.region.ok_or_else(|| AccessError::NoRegion {
                    preset: self.use_of.preset().name.clone(),
                })?),
                Piece::Parameter(parameter) => {
                    let value = chosen.get(parameter).copied().unwrap_or_default();
                    match self.use_of.role(*parameter, value, self.place) {
                        Some(role) => text.push_str(&role.to_string()),
                        None => text.push_str(value),
                    }
                }
            }
        }
        Ok(text)
    }
}
