//! The lists of a whole account, cut into pages.

use mlservicerole_operator::aws::{Listed, Page};
use mlservicerole_operator::iam::role::{RoleContent, RoleDetails, RoleSettings};

use super::{FakeRole, State};

impl State {
    pub(super) fn details_page(&self, marker: Option<&str>) -> Page<RoleDetails> {
        self.page(marker, |_| true).of(|role| {
            let role = self.as_answered(role);
            RoleDetails {
                arn: role.arn,
                id: role.id,
                trust: role.trust,
                permissions_boundary: role.permissions_boundary.filter(|_| self.tells_boundaries),
                tags: role.tags,
                content: RoleContent {
                    inline: role.inline,
                    attached: role.attached,
                },
            }
        })
    }

    pub(super) fn settings_page(&self, path_prefix: &str, marker: Option<&str>) -> Page<RoleSettings> {
        self.page(marker, |role| role.arn.path().as_str().starts_with(path_prefix))
            .of(|role| RoleSettings {
                id: role.id.clone(),
                description: role.description.clone(),
                max_session_duration_seconds: role.max_session_duration_seconds,
            })
    }

    /// Roles in the order of their names, from the one that the marker names. A role that reads don't show yet is on no
    /// list either.
    fn page(&self, marker: Option<&str>, wanted: impl Fn(&FakeRole) -> bool) -> Cut<'_> {
        let mut roles = self
            .roles
            .iter()
            .filter(|(key, _)| self.invisible.get(*key).is_none_or(|reads| *reads == 0))
            .filter(|(key, _)| marker.is_none_or(|marker| key.as_str() >= marker))
            .filter(|(_, role)| wanted(role));
        let on_it: Vec<&FakeRole> = roles
            .by_ref()
            .take(self.page_size)
            .map(|(_, role)| role)
            .collect();
        Cut {
            roles: on_it,
            next: roles.next().map(|(key, _)| key.clone()),
        }
    }
}

struct Cut<'a> {
    roles: Vec<&'a FakeRole>,
    next: Option<String>,
}

impl Cut<'_> {
    fn of<T>(self, told: impl Fn(&FakeRole) -> T) -> Page<T> {
        let item = |role: &FakeRole| Listed {
            name: role.arn.name().clone(),
            role: Some(told(role)),
        };
        Page {
            items: self.roles.into_iter().map(item).collect(),
            next: self.next,
        }
    }
}
