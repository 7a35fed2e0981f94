//! How the roles of an account are looked at: by two lists of the whole account, or each for itself. What costs fewer
//! calls is chosen; what can't be had is not.

/// What reading a role for itself costs, in calls: GetRole, ListAttachedRolePolicies, ListRolePolicies and one
/// GetRolePolicy.
const CALLS_PER_ROLE: usize = 4;

/// What a choice goes by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Census {
    /// Roles of ours in the account.
    pub ours: usize,
    /// Those of them whose path is none of their class's, as of adopted ones: the shorter list doesn't show them.
    pub outside: usize,
    /// All roles of the account, where that is known.
    pub all: Option<usize>,
    /// Roles that IAM put on a page of GetAccountAuthorizationDetails the last time.
    pub details_page: Option<usize>,
    /// Roles that it put on a page of ListRoles.
    pub settings_page: Option<usize>,
}

/// How the roles of an account are looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// By GetAccountAuthorizationDetails and ListRoles. `wide`: the latter for all paths too.
    Lists {
        /// Whether ListRoles is asked for all paths.
        wide: bool,
    },
    /// Each for itself.
    Each(Why),
}

/// Why each role is read for itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// The account has many roles, and few of them are ours.
    Cheaper,
    /// AWS denies one of the lists.
    Denied(&'static str),
    /// The lists couldn't be had, more than once.
    Failing,
    /// The list of the account leaves boundaries out, so that a missing one wouldn't be found.
    BoundariesUntold,
    /// No credentials reach the account.
    Unreachable,
}

/// What a page is taken to hold until one was seen: IAM's own default, of which it says that it may answer fewer (IAM
/// API reference, GetAccountAuthorizationDetails, `MaxItems`).
const UNSEEN_PAGE: usize = 100;

/// Chooses by cost. An account of unknown size is listed: its size is known then.
pub fn choose(census: &Census) -> Method {
    let Census {
        ours,
        outside,
        all,
        details_page,
        settings_page,
    } = *census;
    let pages = |roles: usize, page: Option<usize>| roles.div_ceil(page.unwrap_or(UNSEEN_PAGE).max(1)).max(1);
    let Some(all) = all else {
        return Method::Lists { wide: false };
    };
    // A role outside the path costs a GetRole: its policies are in the other list.
    let narrow = pages(ours.saturating_sub(outside), settings_page) + outside;
    let wide = pages(all, settings_page);
    let lists = pages(all, details_page) + narrow.min(wide);
    if ours.saturating_mul(CALLS_PER_ROLE) < lists {
        Method::Each(Why::Cheaper)
    } else {
        Method::Lists { wide: wide < narrow }
    }
}

impl Method {
    /// For the status of a class: what is done.
    pub fn told(&self) -> &'static str {
        match self {
            Method::Lists { .. } => "AccountLists",
            Method::Each(_) => "EachRole",
        }
    }

    /// For the status of a class: why, where that isn't the usual. Nothing in it changes from one time to the next.
    pub fn reason(&self) -> Option<String> {
        let Method::Each(why) = self else { return None };
        Some(match why {
            Why::Cheaper => "the account has many roles and few of them are the operator's, so that reading each of these \
                             takes fewer calls"
                .to_owned(),
            Why::Denied(operation) => format!(
                "AWS denies the operator iam:{operation}, so that every role costs calls of its own; allow it in the \
                 operator's IAM policy"
            ),
            Why::Failing => "AWS doesn't answer the lists of the account properly".to_owned(),
            Why::BoundariesUntold => "the account's list leaves out the permissions boundaries of roles".to_owned(),
            Why::Unreachable => "the account can't be reached with the credentials of this class".to_owned(),
        })
    }
}
