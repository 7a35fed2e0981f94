//! Which way an account is looked at, from what is remembered of its size. Asks for that size where it decides.

use tracing::debug;

use crate::aws::IamApi;
use crate::plan::sweep::{Census, Method, Why, choose as by_cost};

/// Roles that an account may have at most, as far as AWS raises the quota by itself (Service Quotas, L-FE177D64).
const LARGEST_ACCOUNT: usize = 10_000;

/// What is remembered of an account's lists from one look to the next.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lists {
    /// Roles of the account.
    pub roles: Option<usize>,
    /// Most roles on a page of GetAccountAuthorizationDetails.
    pub details_page: Option<usize>,
    /// Most roles on a page of ListRoles.
    pub settings_page: Option<usize>,
    /// Whether the former tells permissions boundaries.
    pub tells_boundaries: Option<bool>,
    /// Whether the last look was by its lists.
    pub listed: bool,
}

/// Chooses for `ours` roles, of which `outside` are under none of the classes' paths. `iams` are ways into the account.
pub async fn choose(
    lists: &mut Lists,
    ours: usize,
    outside: usize,
    iams: impl IntoIterator<Item = impl IamApi> + Send,
    calls: &mut usize,
) -> Method {
    if lists.tells_boundaries == Some(false) {
        return Method::Each(Why::BoundariesUntold);
    }
    let census = |lists: &Lists, all| Census {
        ours,
        outside,
        all,
        details_page: lists.details_page,
        settings_page: lists.settings_page,
    };
    if lists.listed {
        return by_cost(&census(lists, lists.roles));
    }
    // Where lists pay even in the largest account that there is, nobody asks how large this one is.
    if let Method::Lists { .. } = by_cost(&census(lists, Some(LARGEST_ACCOUNT))) {
        return Method::Lists { wide: false };
    }
    let iams: Vec<_> = iams.into_iter().collect();
    for iam in &iams {
        *calls += 1;
        match iam.account_role_count().await {
            Ok(roles) => {
                lists.roles = roles;
                break;
            }
            Err(error) => debug!(%error, "the number of an account's roles can't be read"),
        }
    }
    by_cost(&census(lists, lists.roles))
}
