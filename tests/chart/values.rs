//! A `values.yaml` with its comments: what each value is, where it stands, and its default.

use serde_json::Value;

/// A key of `values.yaml`, in the order of the file.
#[derive(Debug)]
pub struct Entry {
    /// Path, as in `image.tag`.
    pub path: String,
    /// The comment above it, in one line; empty if there is none.
    pub about: String,
    pub default: Value,
}

/// All keys outside lists and outside maps that are defaults as a whole.
pub fn entries(text: &str) -> Vec<Entry> {
    let document: Value = yaml_serde::from_str(text).unwrap();
    let mut found: Vec<Entry> = Vec::new();
    let mut above: Vec<&str> = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim_start();
        let depth = line.len() - trimmed.len();
        if let Some(comment) = trimmed.strip_prefix('#') {
            above.push(comment.trim());
            continue;
        }
        let key = trimmed.split_once(':').map(|(key, _)| key);
        let key = key.filter(|key| {
            !key.is_empty()
                && key
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
                && !key.starts_with('-')
        });
        if let Some(key) = key {
            path.retain(|(at, _)| *at < depth);
            path.push((depth, key.to_owned()));
            let names: Vec<&str> = path.iter().map(|(_, name)| name.as_str()).collect();
            let default = names.iter().try_fold(&document, |at, name| at.get(*name));
            found.push(Entry {
                path: names.join("."),
                about: above.join(" "),
                default: default.unwrap_or_else(|| panic!("{names:?}")).clone(),
            });
        }
        above.clear();
    }
    found
}

impl Entry {
    /// Whether another entry is below this one.
    pub fn holds(&self, other: &Entry) -> bool {
        other
            .path
            .strip_prefix(&self.path)
            .is_some_and(|rest| rest.starts_with('.'))
    }
}
