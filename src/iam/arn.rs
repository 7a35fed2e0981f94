//! ARNs of what the operator deals with: roles, managed policies and OIDC providers, and the parts
//! that they are built from.
//!
//! A value of these types is well-formed; whether the thing exists is not known here. Other ARNs
//! (users, sessions) are not modelled: of a caller's ARN only the partition matters, see
//! [`partition_of`]. Shapes: IAM user guide, "IAM identifiers".

use std::fmt;
use std::str::FromStr;

use super::name::{NameError, RoleName, RolePath, is_name_character};
use super::serde_as_text;

#[cfg(test)]
mod tests;

/// The longest issuer URL, in characters (IAM API reference, CreateOpenIDConnectProvider, `Url`).
pub const MAX_ISSUER_LENGTH: usize = 255;
/// The longest name of a managed policy, in characters (IAM API reference, CreatePolicy).
pub const MAX_POLICY_NAME_LENGTH: usize = 128;

/// Why a text is not the ARN, account, partition or issuer that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    #[error("{0:?} is not an ARN; ARNs look like arn:aws:iam::123456789012:role/name")]
    NotAnArn(String),
    #[error("{text:?} is not the ARN of {wanted}; it should look like {example}")]
    Kind {
        text: String,
        wanted: &'static str,
        example: &'static str,
    },
    #[error("{0:?} is not an AWS account ID; write its 12 digits, leading zeros included, as a string")]
    Account(String),
    #[error("{0:?} is not an AWS partition; partitions are named like aws, aws-cn or aws-us-gov")]
    Partition(String),
    #[error("in the ARN {arn:?}: {error}")]
    Name { arn: String, error: NameError },
    #[error("the issuer {url:?} can't be used: {problem}")]
    Issuer { url: String, problem: &'static str },
}

/// The ID of an AWS account: exactly 12 digits. Text, since leading zeros count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(String);

impl AccountId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ArnError::Account(text.to_owned()));
        }
        Ok(AccountId(text.to_owned()))
    }
}

/// A partition of AWS: `aws`, `aws-cn`, `aws-us-gov`, `aws-iso`… The shape is checked and not a
/// list, since AWS adds partitions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(String);

impl Partition {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Partition {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let mut words = text.split('-');
        let well_formed = words.next() == Some("aws")
            && words.all(|word| {
                !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            });
        if !well_formed {
            return Err(ArnError::Partition(text.to_owned()));
        }
        Ok(Partition(text.to_owned()))
    }
}

/// The ARN of a role: `arn:P:iam::ACCOUNT:role/path/name`.
///
/// `==` compares exactly, though IAM compares role names without case
/// ([`RoleName::same_in_iam`]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleArn {
    partition: Partition,
    account: AccountId,
    path: RolePath,
    name: RoleName,
}

impl RoleArn {
    pub fn new(partition: &Partition, account: &AccountId, path: &RolePath, name: &RoleName) -> Self {
        RoleArn {
            partition: partition.clone(),
            account: account.clone(),
            path: path.clone(),
            name: name.clone(),
        }
    }

    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    pub fn account(&self) -> &AccountId {
        &self.account
    }

    pub fn path(&self) -> &RolePath {
        &self.path
    }

    pub fn name(&self) -> &RoleName {
        &self.name
    }
}

impl FromStr for RoleArn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let wrong_kind = || ArnError::Kind {
            text: text.to_owned(),
            wanted: "an IAM role",
            example: "arn:aws:iam::123456789012:role/path/name",
        };
        let named = |error| ArnError::Name {
            arn: text.to_owned(),
            error,
        };
        let arn = IamArn::split(text)?.ok_or_else(wrong_kind)?;
        let (path, name) = arn.path_and_name("role").ok_or_else(wrong_kind)?;
        Ok(RoleArn {
            partition: arn.partition,
            account: arn.account.parse()?,
            path: path.parse().map_err(named)?,
            name: name.parse().map_err(named)?,
        })
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RoleArn {
            partition,
            account,
            path,
            name,
        } = self;
        write!(f, "arn:{partition}:iam::{account}:role{path}{name}")
    }
}

/// The ARN of a managed policy: AWS-managed (`arn:P:iam::aws:policy/…`) or customer-managed
/// (`arn:P:iam::ACCOUNT:policy/…`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyArn {
    text: String,
    partition: Partition,
    account: Option<AccountId>,
}

impl PolicyArn {
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The account whose policy it is; none for an AWS-managed one.
    pub fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    pub fn is_aws_managed(&self) -> bool {
        self.account.is_none()
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for PolicyArn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let wrong_kind = || ArnError::Kind {
            text: text.to_owned(),
            wanted: "a managed policy",
            example: "arn:aws:iam::aws:policy/name or arn:aws:iam::123456789012:policy/path/name",
        };
        let named = |error| ArnError::Name {
            arn: text.to_owned(),
            error,
        };
        let arn = IamArn::split(text)?.ok_or_else(wrong_kind)?;
        let (path, name) = arn.path_and_name("policy").ok_or_else(wrong_kind)?;
        // A policy's path obeys the rules of a role's (IAM API reference, CreatePolicy).
        path.parse::<RolePath>().map_err(named)?;
        if name.is_empty() || name.len() > MAX_POLICY_NAME_LENGTH {
            return Err(wrong_kind());
        }
        if !name.chars().all(is_name_character) {
            return Err(wrong_kind());
        }
        let account = match arn.account {
            "aws" => None,
            account => Some(account.parse()?),
        };
        Ok(PolicyArn {
            text: text.to_owned(),
            partition: arn.partition,
            account,
        })
    }
}

/// The ARN of an IAM OIDC provider: `arn:P:iam::ACCOUNT:oidc-provider/ISSUER`, where the issuer
/// stands without its scheme.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OidcProviderArn {
    partition: Partition,
    account: AccountId,
    issuer: Issuer,
}

impl OidcProviderArn {
    pub fn new(partition: &Partition, account: &AccountId, issuer: &Issuer) -> Self {
        OidcProviderArn {
            partition: partition.clone(),
            account: account.clone(),
            issuer: issuer.clone(),
        }
    }

    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    pub fn account(&self) -> &AccountId {
        &self.account
    }

    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }
}

impl FromStr for OidcProviderArn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let wrong_kind = || ArnError::Kind {
            text: text.to_owned(),
            wanted: "an IAM OIDC provider",
            example: "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC",
        };
        let arn = IamArn::split(text)?.ok_or_else(wrong_kind)?;
        let issuer = arn
            .resource
            .strip_prefix("oidc-provider/")
            .ok_or_else(wrong_kind)?;
        Ok(OidcProviderArn {
            partition: arn.partition,
            account: arn.account.parse()?,
            issuer: format!("{HTTPS}{issuer}").parse()?,
        })
    }
}

impl fmt::Display for OidcProviderArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OidcProviderArn {
            partition,
            account,
            issuer,
        } = self;
        write!(
            f,
            "arn:{partition}:iam::{account}:oidc-provider/{}",
            issuer.without_scheme()
        )
    }
}

const HTTPS: &str = "https://";

/// The URL of an OIDC issuer, such as an EKS cluster's: `https://` and at most 255 characters,
/// without user, query or fragment (IAM API reference, CreateOpenIDConnectProvider).
///
/// A trailing slash is kept, and makes another issuer: AWS STS compares a token's `iss` claim with
/// the provider character by character, and the provider's ARN and condition keys hold the slash
/// too. To drop it here would write a trust policy that no token ever matches. For the same reason
/// the case of letters is kept.
///
/// The characters are narrower than a URL's: `*`, `?`, `$`, braces and quotes, which mean something
/// in a policy document, are refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Issuer(String);

impl Issuer {
    /// The whole URL, as in a token's `iss` claim.
    pub fn url(&self) -> &str {
        &self.0
    }

    /// The URL without `https://`: the end of the provider's ARN, and what stands before `:aud` and
    /// `:sub` in the condition keys of a trust policy.
    pub fn without_scheme(&self) -> &str {
        self.0.strip_prefix(HTTPS).unwrap_or(&self.0)
    }
}

impl FromStr for Issuer {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        match issuer_problem(text) {
            Some(problem) => Err(ArnError::Issuer {
                url: text.to_owned(),
                problem,
            }),
            None => Ok(Issuer(text.to_owned())),
        }
    }
}

fn issuer_problem(url: &str) -> Option<&'static str> {
    let Some(rest) = url.strip_prefix(HTTPS) else {
        return Some("it must begin with https://");
    };
    if url.chars().count() > MAX_ISSUER_LENGTH {
        return Some("it has more than 255 characters, which is IAM's limit");
    }
    if rest.contains('?') {
        return Some("it must not have a query ('?' and what follows)");
    }
    if rest.contains('#') {
        return Some("it must not have a fragment ('#' and what follows)");
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Some("it must not name a user (what stands before '@')");
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if host.is_empty() {
        return Some("it has no host name");
    }
    if !host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
    {
        return Some("its host name may hold only letters, digits, '.' and '-'");
    }
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return Some("its port must be a number");
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/%+=,@".contains(&b);
    if !rest.bytes().all(allowed) {
        return Some("its path may hold only letters, digits and -._~:/%+=,@");
    }
    None
}

/// The partition of any ARN, such as the caller's own as STS reports it (a role session, a user, a
/// federated user or root). The rest of the ARN is not looked at.
pub fn partition_of(arn: &str) -> Result<Partition, ArnError> {
    match *arn.splitn(6, ':').collect::<Vec<_>>() {
        ["arn", partition, service, _, _, resource] if !service.is_empty() && !resource.is_empty() => {
            partition.parse()
        }
        _ => Err(ArnError::NotAnArn(arn.to_owned())),
    }
}

/// An ARN of IAM's, cut into its parts.
struct IamArn<'a> {
    partition: Partition,
    account: &'a str,
    resource: &'a str,
}

impl<'a> IamArn<'a> {
    /// None when it is an ARN, but of another service, or one with a region, which IAM's never
    /// have.
    fn split(text: &'a str) -> Result<Option<Self>, ArnError> {
        let partition = partition_of(text)?;
        Ok(match *text.splitn(6, ':').collect::<Vec<_>>() {
            [_, _, "iam", "", account, resource] => Some(IamArn {
                partition,
                account,
                resource,
            }),
            _ => None,
        })
    }

    /// `role/a/b/name` is path `/a/b/` and name `name`.
    fn path_and_name(&self, kind: &str) -> Option<(&'a str, &'a str)> {
        let path_and_name = self.resource.strip_prefix(kind)?;
        let last_slash = path_and_name.rfind('/')?;
        Some(path_and_name.split_at(last_slash + 1))
    }
}

macro_rules! display_as_str {
    ($($type:ty: $text:ident),+ $(,)?) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.$text())
            }
        }
    )+};
}

display_as_str!(AccountId: as_str, Partition: as_str, PolicyArn: as_str, Issuer: url);
serde_as_text!(AccountId, Partition, RoleArn, PolicyArn, OidcProviderArn, Issuer);
