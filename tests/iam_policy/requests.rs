//! Requests to write: as the operator makes them, and a little different.

use std::collections::BTreeMap;

use mlservicerole_operator::iam::tags;

use crate::evaluator::Request;
use crate::made::{BOUNDARY, CLUSTER_UID};
use crate::policed::{on_role, writing};

pub const OURS: &str = "arn:aws:iam::111122223333:role/mlservicerole/prod/team-a/team-a-trainer-abc";
pub const THEIRS: &str = "arn:aws:iam::111122223333:role/mlservicerole/prod/team-b/team-b-trainer-def";
pub const OUTSIDE: &str = "arn:aws:iam::111122223333:role/admin";
pub const OPERATOR: &str = "arn:aws:iam::111122223333:role/mlservicerole-operator";
pub const OTHER_CLUSTER: &str = "arn:aws:iam::111122223333:role/mlservicerole/staging/team-a/x";
pub const OTHER_ACCOUNT: &str = "arn:aws:iam::444455556666:role/mlservicerole/prod/team-a/x";

pub type Tags = BTreeMap<String, String>;

pub fn tagged(pairs: &[(&str, &str)]) -> Tags {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

pub fn marks(cluster: &str) -> Tags {
    let mut marks: Tags = tags::OWNERSHIP.map(|key| (key.to_owned(), "x".to_owned())).into();
    marks.insert(tags::CLUSTER.to_owned(), cluster.to_owned());
    marks.insert(tags::CLUSTER_UID.to_owned(), CLUSTER_UID.to_owned());
    marks
}

pub fn owned(action: &str) -> Request {
    on_role(action, OURS, &marks("prod"), Some(BOUNDARY))
}

pub fn on(action: &str, arn: &str, cluster: &str) -> Request {
    on_role(action, arn, &marks(cluster), Some(BOUNDARY))
}

pub fn unbound(action: &str) -> Request {
    on_role(action, OURS, &marks("prod"), None)
}

pub fn untagged(action: &str, arn: &str) -> Request {
    on_role(action, arn, &Tags::new(), Some(BOUNDARY))
}

pub fn create(arn: &str, tags: &Tags, boundary: Option<&str>) -> Request {
    let request = writing(Request::new("iam:CreateRole", arn), tags);
    match boundary {
        Some(boundary) => request.with("iam:PermissionsBoundary", boundary),
        None => request,
    }
}

pub fn attach(request: Request, policy: &str) -> Request {
    request.with("iam:PolicyARN", policy)
}

pub fn tag(arn: &str, found: &Tags, written: &[(&str, &str)]) -> Request {
    writing(on_role("iam:TagRole", arn, found, None), &tagged(written))
}

pub fn untag(key: &str) -> Request {
    owned("iam:UntagRole").with("aws:TagKeys", key)
}

pub fn bound(arn: &str, cluster: &str, boundary: &str) -> Request {
    on_role("iam:PutRolePermissionsBoundary", arn, &marks(cluster), None)
        .with("iam:PermissionsBoundary", boundary)
}

pub fn plain(action: &str, resource: &str) -> Request {
    Request::new(action, resource)
}

pub fn left_behind(cluster: &str) -> Tags {
    let mut tags = marks(cluster);
    tags.insert(tags::RETAINED.to_owned(), "true".to_owned());
    tags
}
