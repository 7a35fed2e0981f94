//! `ListRoles` and `GetAccountAuthorizationDetails` in pages, with what AWS returns in them. The emulator answers with
//! one page whatever its size, leaves permissions boundaries out of the second and puts tags into the first, which AWS
//! doesn't ("Listing … does not return all attributes", IAM API reference, ListRoles).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Roles on a page when the request doesn't say (IAM API reference, `MaxItems` of both actions).
const DEFAULT_PAGE: usize = 100;
/// And at most.
const LARGEST_PAGE: usize = 1000;

const OPEN: &str = "<member>";
const CLOSE: &str = "</member>";

/// Lists that somebody is paging through. A list is kept as it was when its first page was asked for.
#[derive(Default)]
pub struct Lists {
    walks: Mutex<HashMap<usize, Arc<Walk>>>,
    next: AtomicUsize,
}

/// One list, cut into roles.
struct Walk {
    head: String,
    roles: Vec<String>,
    tail: String,
}

pub fn is_paged(action: &str) -> bool {
    list_of(action).is_some()
}

/// The element that holds the roles.
fn list_of(action: &str) -> Option<&'static str> {
    match action {
        "ListRoles" => Some("Roles"),
        "GetAccountAuthorizationDetails" => Some("RoleDetailList"),
        _ => None,
    }
}

impl Lists {
    /// The first page of what the emulator answered.
    pub fn first(
        &self,
        action: &str,
        answer: &str,
        most: Option<usize>,
        boundary: impl Fn(&str) -> Option<String>,
    ) -> String {
        let Some(mut walk) = list_of(action).and_then(|list| Walk::cut(list, answer)) else {
            return answer.to_owned();
        };
        for role in &mut walk.roles {
            match action {
                "ListRoles" => remove_element(role, "Tags"),
                _ => add_boundary(role, &boundary),
            }
        }
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let walk = Arc::new(walk);
        self.walks.lock().unwrap().insert(id, walk.clone());
        self.page(id, &walk, 0, most)
    }

    /// The page that a marker leads to; none if the marker isn't one of ours.
    pub fn next(&self, marker: &str, most: Option<usize>) -> Option<String> {
        let (id, start) = marker.strip_prefix("page-")?.split_once('-')?;
        let (id, start) = (id.parse().ok()?, start.parse().ok()?);
        let walk = self.walks.lock().unwrap().get(&id)?.clone();
        Some(self.page(id, &walk, start, most))
    }

    fn page(&self, id: usize, walk: &Walk, start: usize, most: Option<usize>) -> String {
        let size = most.unwrap_or(DEFAULT_PAGE).clamp(1, LARGEST_PAGE);
        let end = (start + size).min(walk.roles.len());
        let roles = walk.roles.get(start..end).unwrap_or_default().concat();
        if end >= walk.roles.len() {
            self.walks.lock().unwrap().remove(&id);
            return format!("{}{roles}{}", walk.head, walk.tail);
        }
        let more = format!("<IsTruncated>true</IsTruncated><Marker>page-{id}-{end}</Marker>");
        let tail = walk.tail.replace("<IsTruncated>false</IsTruncated>", &more);
        format!("{}{roles}{tail}", walk.head)
    }
}

impl Walk {
    fn cut(list: &str, answer: &str) -> Option<Walk> {
        let open = format!("<{list}>");
        let begin = answer.find(&open)? + open.len();
        let (mut roles, mut at) = (Vec::new(), begin);
        while answer[at..].starts_with(OPEN) {
            let end = end_of_member(answer, at)?;
            roles.push(answer[at..end].to_owned());
            at = end;
        }
        Some(Walk {
            head: answer[..begin].to_owned(),
            roles,
            tail: answer[at..].to_owned(),
        })
    }
}

/// Where the member that begins at `begin` ends; members hold others.
fn end_of_member(text: &str, begin: usize) -> Option<usize> {
    let (mut at, mut depth) = (begin + OPEN.len(), 1);
    while depth > 0 {
        let close = at + text[at..].find(CLOSE)?;
        depth += text[at..close].matches(OPEN).count();
        depth -= 1;
        at = close + CLOSE.len();
    }
    Some(at)
}

fn add_boundary(role: &mut String, boundary: impl Fn(&str) -> Option<String>) {
    let name = role
        .split_once("<RoleName>")
        .and_then(|(_, rest)| rest.split_once("</RoleName>"));
    let Some(arn) = name.and_then(|(name, _)| boundary(name)) else {
        return;
    };
    if !role.contains("<PermissionsBoundary>") {
        let end = role.len() - CLOSE.len();
        role.insert_str(
            end,
            &format!(
                "<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>\
                 <PermissionsBoundaryArn>{arn}</PermissionsBoundaryArn></PermissionsBoundary>"
            ),
        );
    }
}

fn remove_element(role: &mut String, element: &str) {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    if let (Some(begin), Some(end)) = (role.find(&open), role.find(&close)) {
        role.replace_range(begin..end + close.len(), "");
    }
}
