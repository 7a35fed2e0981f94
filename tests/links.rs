//! Every link in the documents leads somewhere: relative ones to a file of this repository, and where they name a heading
//! or an anchor, to one that is there. Links to other sites are only looked at in CI (`.github/workflows/links.yaml`).

#![allow(clippy::unwrap_used)] // All of this is test code.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

/// What a document links to, and what in it can be linked to.
#[derive(Debug, Default, PartialEq)]
struct Document {
    links: Vec<String>,
    anchors: BTreeSet<String>,
    /// `[text][name]` without a line `[name]: …`.
    undefined: Vec<String>,
}

fn read(text: &str) -> Document {
    let undefined = RefCell::new(Vec::new());
    let note = |link: BrokenLink<'_>| -> Option<(CowStr<'_>, CowStr<'_>)> {
        // `[text]` alone is more often meant as text.
        if matches!(link.link_type, LinkType::Reference | LinkType::Collapsed) {
            undefined.borrow_mut().push(link.reference.into_string());
        }
        None
    };
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES;
    let parser = Parser::new_with_broken_link_callback(text, options, Some(note));
    let mut document = Document::default();
    let (mut heading, mut repeated) = (None::<String>, BTreeMap::<String, usize>::new());
    for event in parser {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&heading.take().unwrap_or_default());
                let before = repeated.entry(slug.clone()).or_default();
                document.anchors.insert(match *before {
                    0 => slug,
                    times => format!("{slug}-{times}"),
                });
                *before += 1;
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                document.links.push(dest_url.into_string());
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                document.anchors.extend(attributes(&html, &["id", "name"]));
                document.links.extend(attributes(&html, &["href", "src"]));
            }
            _ => {}
        }
    }
    document.undefined = undefined.into_inner();
    document
}

/// As GitHub makes the anchor of a heading: letters, digits, `-` and `_` stay, in lower case; spaces become `-`.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect::<String>().to_lowercase()
}

fn attributes(html: &str, names: &[&str]) -> Vec<String> {
    let mut values = Vec::new();
    for name in names {
        let start = format!(" {name}=\"");
        let rests = html.split(&start).skip(1);
        values.extend(rests.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    }
    values
}

/// What is wrong with a link, if anything. `path` is the document's, from the top of the repository.
fn wrong(path: &Path, link: &str, root: &Path) -> Option<String> {
    if ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| link.starts_with(scheme))
    {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => path.to_path_buf(),
        file => match within(path.parent().unwrap_or(Path::new("")), file) {
            Some(target) => target,
            None => return Some("leads out of the repository".to_owned()),
        },
    };
    if !root.join(&target).exists() {
        return Some(format!("there is no {}", target.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    if target.extension().is_none_or(|extension| extension != "md") {
        return Some("only headings of documents can be linked to".to_owned());
    }
    let there = read(&fs::read_to_string(root.join(&target)).unwrap()).anchors;
    (!there.contains(anchor)).then(|| format!("{} has no heading or anchor {anchor:?}", target.display()))
}

/// A path from the top of the repository; none where it leaves it.
fn within(directory: &Path, file: &str) -> Option<PathBuf> {
    let mut whole = PathBuf::new();
    for part in directory.join(file).components() {
        match part {
            Component::Normal(name) => whole.push(name),
            Component::CurDir => {}
            Component::ParentDir => whole.pop().then_some(())?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(whole)
}

/// All documents, from the top of the repository.
fn documents(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = [".github", "deploy", "docs", "tests"]
        .iter()
        .map(PathBuf::from)
        .collect();
    let top = fs::read_dir(root).unwrap();
    left.extend(
        top.map(|entry| PathBuf::from(entry.unwrap().file_name()))
            .filter(|path| is_markdown(path)),
    );
    while let Some(path) = left.pop() {
        if root.join(&path).is_dir() {
            let entries = fs::read_dir(root.join(&path)).unwrap();
            left.extend(entries.map(|entry| path.join(entry.unwrap().file_name())));
        } else if is_markdown(&path) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut problems, mut links) = (Vec::new(), 0);
    for path in documents(root) {
        let document = read(&fs::read_to_string(root.join(&path)).unwrap());
        for link in &document.links {
            links += 1;
            if let Some(problem) = wrong(&path, link, root) {
                problems.push(format!("{}: {link}: {problem}", path.display()));
            }
        }
        for name in &document.undefined {
            problems.push(format!("{}: [{name}] is defined nowhere", path.display()));
        }
    }
    assert!(links > 50, "{links} links");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_page_of_docs_is_one_click_away_from_the_readme() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = read(&fs::read_to_string(root.join("README.md")).unwrap());
    let linked: BTreeSet<PathBuf> = readme
        .links
        .iter()
        .filter_map(|link| within(Path::new(""), link.split('#').next().unwrap_or_default()))
        .collect();
    let lonely: Vec<_> = documents(root)
        .into_iter()
        .filter(|path| path.parent() == Some(Path::new("docs")) && !linked.contains(path))
        .collect();
    assert!(lonely.is_empty(), "README.md doesn't link to {lonely:?}");
}

#[test]
fn anchors_are_those_of_github() {
    let text = "# `Ready` is `True`, but *no* pod has_it\n\n## Twice\n\n## Twice\n\n| <a id=\"a.b\"></a>x | y |\n|---|---|\n";
    let anchors = read(text).anchors;
    let wanted = ["ready-is-true-but-no-pod-has_it", "twice", "twice-1", "a.b"];
    assert_eq!(anchors, wanted.map(str::to_owned).into());
}

#[test]
fn what_is_wrong_with_a_link_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir(root.join("docs")).unwrap();
    fs::write(root.join("docs/a.md"), "# One\n\n`[not](a-link)` [b][nowhere]\n").unwrap();
    fs::write(root.join("docs/b.txt"), "").unwrap();
    let says = |link: &str| wrong(Path::new("docs/a.md"), link, root).unwrap_or_default();
    for good in [
        "#one",
        "a.md#one",
        "b.txt",
        "../docs/a.md",
        "../docs",
        "https://example.com/#x",
    ] {
        assert_eq!(says(good), "", "{good}");
    }
    for (bad, why) in [
        ("#two", "no heading"),
        ("c.md", "there is no docs/c.md"),
        ("b.txt#L3", "only headings"),
        ("../../a.md", "out of the repository"),
        ("/docs/a.md", "out of the repository"),
    ] {
        assert!(says(bad).contains(why), "{bad}: {}", says(bad));
    }
    let document = read(&fs::read_to_string(root.join("docs/a.md")).unwrap());
    assert_eq!(document.links, Vec::<String>::new());
    assert_eq!(document.undefined, ["nowhere"]);
}
